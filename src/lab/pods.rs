//! Pods on their way in and out, as the API server tells of them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::lab::objects::{pod, time};
use crate::lab::volumes::Volume;

/// The grace that Kubernetes gives where nobody says otherwise.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// How a pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its work is done.
    Done,
    /// Its node was short of something.
    Evicted,
}

/// A pod whose volumes are still to come.
pub(crate) fn starting(volume: &Volume) -> Value {
    let mut starting = pod(volume);
    starting["status"]["phase"] = "Pending".into();
    unready(&mut starting);
    let status = &mut starting["status"]["containerStatuses"][0];
    status["started"] = false.into();
    status["state"] = json!({"waiting": {"reason": "ContainerCreating"}});
    if let Some(status) = status.as_object_mut() {
        status.remove("containerID");
    }
    starting
}

/// A pod that was asked to go at this time: it has until the end of its grace.
pub(crate) fn ending(volume: &Volume, asked: Timestamp) -> Value {
    let mut ending = pod(volume);
    ending["metadata"]["deletionTimestamp"] = time(asked + GRACE).into();
    ending["metadata"]["deletionGracePeriodSeconds"] = GRACE.as_secs().into();
    ending
}

/// A pod that has ended at this time and is still there.
pub(crate) fn ended(volume: &Volume, how: End, at: Timestamp) -> Value {
    let mut ended = pod(volume);
    unready(&mut ended);
    let (phase, code, reason) = match how {
        End::Done => ("Succeeded", 0, "Completed"),
        End::Evicted => ("Failed", 137, "Error"),
    };
    ended["status"]["phase"] = phase.into();
    if how == End::Evicted {
        ended["status"]["reason"] = "Evicted".into();
        ended["status"]["message"] = "The node was low on resource: memory. ".into();
    }
    let status = &mut ended["status"]["containerStatuses"][0];
    status["started"] = false.into();
    status["state"] = json!({"terminated": {
        "exitCode": code, "reason": reason,
        "startedAt": time(volume.created), "finishedAt": time(at),
    }});
    ended
}

/// A pod whose container ended at this time and runs anew.
pub(crate) fn restarted(volume: &Volume, at: Timestamp) -> Value {
    let mut restarted = pod(volume);
    let status = &mut restarted["status"]["containerStatuses"][0];
    status["restartCount"] = 1.into();
    status["lastState"] = json!({"terminated": {
        "exitCode": 137, "reason": "Error",
        "startedAt": time(volume.created), "finishedAt": time(at),
    }});
    restarted
}

fn unready(pod: &mut Value) {
    pod["status"]["containerStatuses"][0]["ready"] = false.into();
    for condition in pod["status"]["conditions"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
            condition["status"] = "False".into();
        }
    }
}
