//! Who may speak of an expansion: of the controller's half the collector, which hears every resizer.

use std::collections::BTreeMap;

use crate::model::finding::{Code, Finding, Object, State};
use crate::model::stage::{ExpandStage, Stage};

/// What the collector itself says of the controller's half of claims' expansions.
pub(super) struct Speakers<'a>(BTreeMap<&'a Object, &'a Code>);

impl<'a> Speakers<'a> {
    pub(super) fn of(findings: &[&'a Finding]) -> Self {
        let own = findings.iter().filter(|one| {
            let is_open = matches!(one.state, State::Open | State::Settling);
            one.key.subject.node.is_none() && is_open && is_controllers(one)
        });
        Self(
            own.map(|one| (&one.key.subject.object, &one.key.code))
                .collect(),
        )
    }

    /// A node hears of its own claims only: whether a resizer lives it cannot tell as well.
    pub(super) fn may_say(&self, finding: &Finding) -> bool {
        let subject = &finding.key.subject;
        subject.node.is_none()
            || !is_controllers(finding)
            || self
                .0
                .get(&subject.object)
                .is_none_or(|code| **code == finding.key.code)
    }
}

fn is_controllers(finding: &Finding) -> bool {
    matches!(finding.stage, Some(Stage::Expand(stage)) if stage <= ExpandStage::CapacityRaised)
}
