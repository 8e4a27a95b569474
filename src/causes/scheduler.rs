//! How the scheduler words why no node will do, as far as volumes are the reason.
//!
//! Source: Kubernetes `pkg/scheduler/framework/plugins/{volumebinding,volumezone,
//! volumerestrictions,nodevolumelimits}`. Knows nothing of the reasons that are not about volumes.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // `volumerestrictions`: a claim that one pod only may use.
    says_any(&["node has pod using persistentvolumeclaim with the same name and readwriteoncepod"])
        .states(Is::VolumeInUseElsewhere),
    says(&["volume node affinity conflict"]).states(Is::TopologyMismatch),
    says(&["didn't match persistentvolume's node affinity"]).states(Is::TopologyMismatch),
    says(&["had no available volume zone"]).states(Is::TopologyMismatch),
    // The same check before Kubernetes 1.19, `predicates.go`, in the scheduler's log.
    says(&["mismatch on 'failure-domain.beta.kubernetes.io/"]).states(Is::TopologyMismatch),
    says(&["mismatch on 'topology.kubernetes.io/"]).states(Is::TopologyMismatch),
    says(&["exceed max volume count"]).states(Is::NodeAttachLimit),
    says(&["did not have enough free storage"]).states(Is::BackendCapacityExhausted),
    says(&["didn't find available persistent volumes to bind"]).likely(
        Is::NoMatchingPv,
        &[Is::TopologyMismatch, Is::BackendCapacityExhausted],
    ),
    says(&["persistentvolumeclaim '", "' not found"]).states(Is::ReferencedObjectMissing),
    says(&["persistentvolumeclaims '", "' not found"]).states(Is::ReferencedObjectMissing),
    says(&["persistentvolumeclaim '", "' is being deleted"]).states(Is::ReferencedObjectMissing),
    says(&[
        "unavailable due to persistentvolumeclaim with readwriteoncepod access mode already in-use",
    ])
    .states(Is::VolumeInUseElsewhere),
    says(&["had no available disk"]).states(Is::VolumeInUseElsewhere),
    says(&["csi driver is not installed on the node"]).states(Is::CsiDriverNotRegistered),
    says(&["no matching persistentvolume", "found"])
        .at(&[Phase::Bind])
        .states(Is::NoMatchingPv),
];
