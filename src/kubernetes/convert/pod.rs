//! Pods: how far they are, and their volumes that are storage.

use k8s_openapi::api::core::v1 as core;

use crate::kubernetes::convert::{Error, given, name, namespace, terms, time};
use crate::model::names::{HostPath, PodRef};
use crate::model::objects::{ContainerPlace, Pod, PodState, PodVolume, PodVolumeSource};

/// The UID under which the kubelet keeps a static pod, on the mirror that stands for it in the API.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// A pod.
pub fn pod(pod: core::Pod) -> Result<Pod, Error> {
    let terms = Some(Box::new(terms::of_pod(&pod)));
    let metadata = pod.metadata;
    let spec = pod.spec.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let state = pod_state(metadata.deletion_timestamp.is_some(), &status);
    let ended = time(metadata.deletion_timestamp.clone()).or_else(|| match state {
        PodState::Done => last_end(&status),
        _ => None,
    });
    let reference = PodRef {
        name: name(&metadata)?.into(),
        namespace: namespace(metadata.namespace).into(),
        uid: metadata.uid.unwrap_or_default().into(),
    };
    let static_uid = metadata
        .annotations
        .and_then(|mut annotations| annotations.remove(CONFIG_HASH))
        .map(Into::into);
    let containers = spec.init_containers.iter().flatten();
    let containers: Vec<&core::Container> = containers.chain(&spec.containers).collect();
    let volumes = spec
        .volumes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|volume| pod_volume(&reference.name, volume))
        .map(|volume| PodVolume {
            places: places(&volume.name, &containers, &status),
            ..volume
        })
        .collect();
    Ok(Pod {
        pod: reference,
        node: given(spec.node_name).map(Into::into),
        state,
        started: time(status.start_time),
        ended,
        volumes,
        static_uid,
        terms,
    })
}

/// When the last container of a pod ended.
fn last_end(status: &core::PodStatus) -> Option<jiff::Timestamp> {
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let containers = lists.into_iter().flatten().flatten();
    let ended = containers.filter_map(|one| one.state.as_ref()?.terminated.as_ref());
    ended.filter_map(|end| time(end.finished_at.clone())).max()
}

/// Where the containers of a pod have one of its volumes.
fn places(
    volume: &str,
    containers: &[&core::Container],
    status: &core::PodStatus,
) -> Vec<ContainerPlace> {
    let mut places = Vec::new();
    for container in containers {
        let mounts = container.volume_mounts.iter().flatten();
        for mount in mounts.filter(|mount| mount.name == volume) {
            places.push(ContainerPlace {
                container: container.name.as_str().into(),
                id: container_id(&container.name, status),
                path: clean(&mount.mount_path),
                sub_path: given(mount.sub_path.clone()).is_some()
                    || given(mount.sub_path_expr.clone()).is_some(),
            });
        }
    }
    places
}

/// Where a `mountPath` leads, by its words: the kubelet takes a relative one as from the root
/// (`pkg/kubelet/kubelet_pods.go`, `makeMounts`), and the runtime cleans what it is given.
fn clean(mount_path: &str) -> HostPath {
    let mut parts = Vec::new();
    for part in mount_path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    HostPath::from(format!("/{}", parts.join("/")).as_str())
}

/// The runtime's name for a container, without the runtime's own (`containerd://…`).
fn container_id(container: &str, status: &core::PodStatus) -> Option<String> {
    let statuses = [&status.init_container_statuses, &status.container_statuses];
    let of_it = statuses
        .into_iter()
        .flatten()
        .flatten()
        .find(|one| one.name == container)?;
    let id = of_it.container_id.as_deref()?;
    given(Some(
        id.split_once("://").map_or(id, |(_, id)| id).to_owned(),
    ))
}

/// How far a pod is, of its own words alone.
fn pod_state(being_deleted: bool, status: &core::PodStatus) -> PodState {
    if being_deleted {
        return PodState::Ending;
    }
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return PodState::Done;
    }
    // Volumes are mounted before the first container starts, an init container included.
    let started = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten()
        .any(was_started);
    if started {
        PodState::Running
    } else {
        PodState::Starting
    }
}

fn was_started(container: &core::ContainerStatus) -> bool {
    let is_or_was =
        |state: &core::ContainerState| state.running.is_some() || state.terminated.is_some();
    container.started == Some(true)
        || container.restart_count > 0
        || container.state.as_ref().is_some_and(is_or_was)
        || container.last_state.as_ref().is_some_and(is_or_was)
}

/// A volume that is storage; the others are none of ours.
fn pod_volume(pod: &str, volume: core::Volume) -> Option<PodVolume> {
    let (source, read_only) = if let Some(claim) = volume.persistent_volume_claim {
        (PodVolumeSource::Claim(claim.claim_name), claim.read_only)
    } else if volume.ephemeral.is_some() {
        // The claim that the controller makes for it is named so (`ephemeral.VolumeClaimName`).
        let claim = format!("{pod}-{}", volume.name);
        (PodVolumeSource::Claim(claim), None)
    } else {
        let csi = volume.csi?;
        (PodVolumeSource::InlineCsi(csi.driver.into()), csi.read_only)
    };
    Some(PodVolume {
        name: volume.name.into(),
        source,
        read_only: read_only.unwrap_or(false),
        places: Vec::new(),
        health: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn check(pods: &[(&str, Value)], expected: &Expect) {
        let mut shown = String::new();
        for (words, value) in pods {
            let mut value = value.clone();
            value["metadata"]["name"] = "web".into();
            let pod = pod(serde_json::from_value(value).unwrap()).unwrap();
            writeln!(shown, "{words}: {:?}", pod.state).unwrap();
        }
        expected.assert_eq(&shown);
    }

    fn container(state: &Value, more: &Value) -> Value {
        let mut container = json!({
            "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        });
        if let (Some(container), Some(more)) = (container.as_object_mut(), more.as_object()) {
            container.extend(more.clone());
        }
        container
    }

    #[test]
    fn where_a_mount_path_leads() {
        for (written, meant) in [
            ("/data", "/data"),
            ("/data/", "/data"),
            ("//var//run/./x/", "/var/run/x"),
            ("/var/lib/../run/x", "/var/run/x"),
            ("/../../data", "/data"),
            ("data/x", "/data/x"),
            ("./data", "/data"),
            ("/", "/"),
            ("", "/"),
        ] {
            assert_eq!(clean(written), meant.into(), "{written}");
        }
    }

    #[test]
    fn how_far_a_pod_is() {
        let status = |status: Value| json!({ "status": status });
        let of =
            |list: &str, container: Value| status(json!({ "phase": "Pending", list: [container] }));
        let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
        let running = json!({ "running": { "startedAt": "2026-11-01T10:00:00Z" } });
        let ended = json!({ "terminated": { "exitCode": 1 } });
        let none = json!({});
        check(
            &[
                ("without a status", json!({})),
                ("without containers", status(json!({ "phase": "Pending" }))),
                (
                    "waiting",
                    of("containerStatuses", container(&waiting, &none)),
                ),
                (
                    "running",
                    of("containerStatuses", container(&running, &none)),
                ),
                (
                    "ended once",
                    of("containerStatuses", container(&ended, &none)),
                ),
                (
                    "ended and waiting again",
                    of(
                        "containerStatuses",
                        container(&waiting, &json!({ "lastState": ended })),
                    ),
                ),
                (
                    "restarted",
                    of(
                        "containerStatuses",
                        container(&waiting, &json!({ "restartCount": 2 })),
                    ),
                ),
                (
                    "initialising",
                    of("initContainerStatuses", container(&running, &none)),
                ),
                ("succeeded", status(json!({ "phase": "Succeeded" }))),
                ("failed", status(json!({ "phase": "Failed" }))),
                (
                    "being deleted",
                    json!({ "metadata": { "deletionTimestamp": "2026-11-01T10:00:00Z" }, "status": { "phase": "Failed" } }),
                ),
            ],
            &expect![[r#"
                without a status: Starting
                without containers: Starting
                waiting: Starting
                running: Running
                ended once: Running
                ended and waiting again: Running
                restarted: Running
                initialising: Running
                succeeded: Done
                failed: Done
                being deleted: Ending
            "#]],
        );
    }
}
