//! Pure functions from facts to verdicts, one finding code a file.
//!
//! A rule says *problem* as soon as it sees one; patience is data (`Rule::grace`) and belongs
//! to `history`. It knows no clock, no other rule and nothing of earlier scans.

#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use crate::expansion::Case;
use crate::model::facts::{ClusterFacts, NodeFacts};
use crate::model::finding::{Code, Problem, RuleVerdicts, Severity, Subject, quote};
use crate::model::observed::{Gap, Listing, Observed};
use crate::model::stage::Stage;

/// Declares each rule's module and the list of all, in the order shown to users.
macro_rules! rules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule, in the alphabetical order of their codes.
        pub static RULES: &[&Rule] = &[$(&$module::RULE),*];
    };
}

rules! {
    attach_limit_reached,
    container_mount_stale,
    controller_expansion_failed,
    controller_expansion_pending,
    device_missing,
    device_not_resized,
    driver_not_ready,
    driver_not_registered,
    driver_slow,
    driver_unreachable,
    expansion_status_stale,
    filesystem_errors,
    filesystem_nearly_full,
    filesystem_not_grown,
    inodes_nearly_exhausted,
    mount_failed,
    mount_unresponsive,
    node_expansion_failed,
    node_expansion_pending,
    node_silent,
    orphaned_pod_volume,
    pod_waiting_on_volume,
    resizer_missing,
    slow_ownership_change,
    staged_device_mismatch,
    staged_without_pod,
    stale_mount,
    storage_backend_unhealthy,
    unexpected_read_only,
    unmount_stuck,
    volume_condition_abnormal,
    volume_not_mounted,
}

/// A finding code with everything that belongs to it.
#[derive(Debug)]
pub struct Rule {
    /// The state that it names.
    pub code: &'static str,
    /// How bad it is, unless a problem says otherwise.
    pub severity: Severity,
    /// The step on an object's way that it judges.
    pub stage: Option<Stage>,
    /// How long a problem must last before it opens: Kubernetes may be about to cure it by itself.
    pub grace: Duration,
    /// A fragment that can follow a count: "mounts do not answer".
    pub summary: &'static str,
    /// Its page of the handbook.
    pub docs: &'static str,
    /// What it looks at.
    pub check: Check,
}

/// What a rule looks at.
#[derive(Debug)]
pub enum Check {
    /// One node, in the agent.
    Node(fn(&NodeFacts, &mut Verdicts)),
    /// One claim with its volume: on each node that has it, and without any node's word.
    Expansion(fn(&Case<'_>, &mut Verdicts)),
    /// The cluster, in the collector.
    Cluster(fn(&ClusterFacts, &mut Verdicts)),
}

/// The sink of one rule: every subject that the rule looked at gets one of three answers.
///
/// Two answers about one subject (a claim in two pods) become one: a problem outweighs an
/// unknown, and an unknown outweighs ok.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// In the order of looking, which is mostly that of the subjects.
    said: Vec<(Subject, Verdict)>,
    gaps: Vec<Gap>,
}

#[derive(Debug)]
enum Verdict {
    Ok,
    Unknown(Gap),
    Problem(Box<Problem>),
}

impl Verdicts {
    /// The subjects of a list; what may be missing from it is noted, so that absence is not taken for recovery.
    pub fn each<'a, T>(&mut self, listing: &'a Listing<T>) -> std::slice::Iter<'a, T> {
        for gap in &listing.gaps {
            if !self.gaps.contains(gap) {
                self.gaps.push(gap.clone());
            }
        }
        listing.items.iter()
    }

    /// The subject was looked at and is well.
    pub fn ok(&mut self, subject: Subject) {
        self.said.push((subject, Verdict::Ok));
    }

    /// The subject could not be judged, for this reason.
    pub fn unknown(&mut self, subject: Subject, gap: &Gap) {
        self.said.push((subject, Verdict::Unknown(gap.clone())));
    }

    /// The subject is not well. A second problem of the same subject adds its evidence to the first.
    pub fn problem(&mut self, subject: Subject, problem: Problem) {
        self.said
            .push((subject, Verdict::Problem(Box::new(problem))));
    }

    /// One verdict a subject, by subject.
    fn merged(mut self) -> Vec<(Subject, Verdict)> {
        self.said.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.said.dedup_by(|(subject, next), (before, first)| {
            if subject != before {
                return false;
            }
            match (first, next) {
                (Verdict::Problem(first), Verdict::Problem(next)) => {
                    first.evidence.append(&mut next.evidence);
                }
                (first @ Verdict::Ok, next @ Verdict::Unknown(_))
                | (first, next @ Verdict::Problem(_)) => std::mem::swap(first, next),
                _ => {}
            }
            true
        });
        self.said
    }

    fn of(mut self, rule: &Rule) -> RuleVerdicts {
        let mut verdicts = RuleVerdicts {
            code: rule.code.into(),
            severity: rule.severity,
            stage: rule.stage,
            grace: rule.grace,
            ok: 0,
            problems: Vec::new(),
            unknowns: Vec::new(),
            gaps: std::mem::take(&mut self.gaps),
        };
        for (subject, verdict) in self.merged() {
            match verdict {
                Verdict::Ok => verdicts.ok += 1,
                Verdict::Unknown(gap) => verdicts.unknowns.push((subject, gap)),
                Verdict::Problem(problem) => verdicts.problems.push((subject, *problem)),
            }
        }
        verdicts
    }
}

/// Every rule's verdicts on what a node saw.
pub fn diagnose_node(facts: &NodeFacts) -> Vec<RuleVerdicts> {
    RULES
        .iter()
        .filter_map(|rule| rule.on_node(facts))
        .collect()
}

/// The verdicts of the rules that can judge without any node's word.
pub fn diagnose_cluster(facts: &ClusterFacts) -> Vec<RuleVerdicts> {
    RULES
        .iter()
        .filter_map(|rule| rule.on_cluster(facts))
        .collect()
}

impl Rule {
    fn on_node(&self, facts: &NodeFacts) -> Option<RuleVerdicts> {
        let mut verdicts = Verdicts::default();
        match self.check {
            Check::Node(check) => check(facts, &mut verdicts),
            Check::Expansion(check) => each_case(facts, check, &mut verdicts),
            Check::Cluster(_) => return None,
        }
        Some(verdicts.of(self))
    }

    fn on_cluster(&self, facts: &ClusterFacts) -> Option<RuleVerdicts> {
        let mut verdicts = Verdicts::default();
        match self.check {
            Check::Node(_) => return None,
            Check::Expansion(check) => each_claim(facts, check, &mut verdicts),
            Check::Cluster(check) => check(facts, &mut verdicts),
        }
        Some(verdicts.of(self))
    }
}

/// The bound claims, as far as objects alone tell.
fn each_claim(facts: &ClusterFacts, check: fn(&Case<'_>, &mut Verdicts), verdicts: &mut Verdicts) {
    for volume in verdicts.each(&facts.volumes) {
        if let (Some(claim), Observed::Known(Some(persistent))) =
            (&volume.claim, &volume.persistent)
        {
            let case = Case {
                node: None,
                observed_at: facts.observed_at,
                volume,
                claim,
                persistent,
                driver: None,
            };
            check(&case, verdicts);
        }
    }
}

/// The claims of a node's volumes; one whose PersistentVolume was not seen is unknown.
fn each_case(facts: &NodeFacts, check: fn(&Case<'_>, &mut Verdicts), verdicts: &mut Verdicts) {
    for volume in verdicts.each(&facts.volumes) {
        let Some(claim) = &volume.claim else { continue };
        match &volume.persistent {
            Observed::Unknown(gap) => verdicts.unknown(volume.subject(&facts.node), gap),
            Observed::Known(None) => {}
            Observed::Known(Some(persistent)) => {
                let drivers = &facts.drivers.items;
                let case = Case {
                    node: Some(&facts.node),
                    observed_at: facts.observed_at,
                    volume,
                    claim,
                    persistent,
                    driver: drivers.iter().find(|driver| driver.name == volume.driver),
                };
                check(&case, verdicts);
            }
        }
    }
}

/// The rule of this code; case does not matter, since people type it.
pub fn find(code: &Code) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|rule| rule.code.eq_ignore_ascii_case(&code.0))
        .copied()
}

#[cfg(test)]
mod tests {
    use expect_test::Expect;

    use crate::model::facts::NodeFacts;
    use crate::model::finding::RuleVerdicts;
    use crate::model::sample;

    use super::Rule;

    /// What a rule about nodes says of one.
    pub(super) fn on(rule: &Rule, node: &NodeFacts) -> RuleVerdicts {
        rule.on_node(node).expect("a rule about nodes")
    }

    /// The same, as a person reads it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an expectation is written in place"
    )]
    pub(super) fn check(rule: &Rule, node: &NodeFacts, expected: Expect) {
        expected.assert_eq(&sample::read(&on(rule, node)));
    }
}
