//! What to do where nothing could be asked: the end of the one line that says so.

use anyhow::anyhow;

use crate::grpc::client::Error;
use crate::kubernetes::client::RIGHT_IS_MISSING;
use crate::model::observed::{Gap, Why};

/// How a collector in the cluster is reached from here.
pub(super) const FORWARD: &str =
    "kubectl -n csi-doctor port-forward deployment/csi-doctor-collector 9470";

/// What helps against a gap that left nothing to tell of one namespace, or of all of them.
pub(super) fn of_gap(gap: &Gap, of_all_namespaces: bool) -> &'static str {
    match gap.why {
        Why::Denied if of_all_namespaces && gap.what.contains(RIGHT_IS_MISSING) => {
            "; who has rights in one namespace alone names it: -n NAMESPACE"
        }
        Why::Unavailable | Why::TimedOut => {
            "; is it up, and is this the right context? See: kubectl cluster-info"
        }
        Why::Malformed => "; it may have been cut off: get it anew",
        _ => "",
    }
}

/// The same error, with what to do where a collector is not there, or is none.
pub(super) fn of_error(error: anyhow::Error) -> anyhow::Error {
    let what_to_do = match error.downcast_ref() {
        Some(Error::Unreachable { .. }) => {
            format!("if it runs in the cluster, forward its port: {FORWARD}")
        }
        // Whoever breaks off each connection is connected to until then.
        Some(Error::TimedOut { .. }) => format!(
            "it is busy, or something else listens there; a collector in the cluster is reached by: {FORWARD}"
        ),
        Some(Error::Foreign { .. }) => {
            format!("--collector takes the address of its gRPC port, as after: {FORWARD}")
        }
        _ => return error,
    };
    anyhow!("{error:#}; {what_to_do}")
}
