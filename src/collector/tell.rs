//! The log lines about findings, with field names that follow OpenTelemetry's.

use jiff::Timestamp;

use crate::history::{Change, ChangeKind};
use crate::model::finding::Object;
use crate::model::names::NodeName;

/// One line when a finding opens, changes its state or is over. What never opened is not told.
pub(super) fn change(change: &Change) {
    let finding = &change.finding;
    if finding.opened.is_none() || change.kind == ChangeKind::Refreshed {
        return;
    }
    let subject = &finding.key.subject;
    let (claim, pod) = match &subject.object {
        Object::Claim(claim) => (Some(claim.name.as_str()), None),
        Object::Pod(pod) => (None, Some(pod.name.as_str())),
        Object::PersistentVolume(..) | Object::Driver(_) | Object::Node(_) | Object::Server(_) => {
            (None, None)
        }
    };
    tracing::info!(
        csi_doctor.code = finding.key.code.0.as_str(),
        csi_doctor.severity = finding.severity.as_str(),
        csi_doctor.state = finding.state.as_str(),
        csi_doctor.change = change.kind.as_str(),
        csi_doctor.subject = %subject.object,
        k8s.node.name = subject.node.as_ref().map(NodeName::as_str),
        k8s.namespace.name = subject.object.namespace(),
        k8s.persistentvolumeclaim.name = claim,
        k8s.pod.name = pod,
        "{}",
        finding.problem.message
    );
}

/// One line when a node is given up.
pub(super) fn gone(node: &NodeName, heard: Option<Timestamp>) {
    tracing::warn!(
        k8s.node.name = node.as_str(),
        heard = heard.map(|heard| heard.to_string()),
        "the node is taken to be gone: nothing of it is kept"
    );
}

/// One line when a node falls silent.
pub(super) fn silent(node: &NodeName, heard: Option<Timestamp>) {
    tracing::warn!(
        k8s.node.name = node.as_str(),
        heard = heard.map(|heard| heard.to_string()),
        "the agent is silent: what is known of its node is unconfirmed"
    );
}
