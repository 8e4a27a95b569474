//! The log lines about findings, with field names that follow OpenTelemetry's (`docs/logs.md`).

use jiff::Timestamp;

use crate::history::{Change, ChangeKind};
use crate::model::names::NodeName;

/// One line when a finding opens, changes its state or is over. What never opened is not told.
pub(super) fn change(change: &Change) {
    let finding = &change.finding;
    if finding.opened.is_none() || change.kind == ChangeKind::Refreshed {
        return;
    }
    let subject = &finding.key.subject;
    let object = &subject.object;
    let of_kind = |kind: &str| (object.kind() == kind).then(|| object.name());
    let node = subject.node.as_ref().map(NodeName::as_str);
    tracing::info!(
        csi_doctor.code = finding.key.code.0.as_str(),
        csi_doctor.severity = finding.severity.as_str(),
        csi_doctor.state = finding.state.as_str(),
        csi_doctor.change = change.kind.as_str(),
        csi_doctor.cause = finding.problem.cause.map(|cause| cause.id.as_str()),
        csi_doctor.subject = %object,
        csi_doctor.driver = of_kind("driver"),
        k8s.node.name = node.or_else(|| of_kind("node")),
        k8s.namespace.name = object.namespace(),
        k8s.persistentvolumeclaim.name = of_kind("claim"),
        k8s.persistentvolume.name = of_kind("volume"),
        k8s.pod.name = of_kind("pod"),
        "{}",
        finding.problem.message
    );
}

/// One line when a node is given up.
pub(super) fn gone(node: &NodeName, heard: Option<Timestamp>) {
    tracing::warn!(
        k8s.node.name = node.as_str(),
        csi_doctor.heard = heard.map(|heard| heard.to_string()),
        "the node is taken to be gone: nothing of it is kept"
    );
}

/// One line when a node falls silent.
pub(super) fn silent(node: &NodeName, heard: Option<Timestamp>) {
    tracing::warn!(
        k8s.node.name = node.as_str(),
        csi_doctor.heard = heard.map(|heard| heard.to_string()),
        "the agent is silent: what is known of its node is unconfirmed"
    );
}
