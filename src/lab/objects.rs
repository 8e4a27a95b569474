//! What the API server would say of the lab's node and volumes, as text that
//! people know from `kubectl get -o json`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lab::catalogue::Driver;
use crate::lab::containers::place;
use crate::lab::site::NODE;
use crate::lab::volumes::{
    Condition, Kind, NAMESPACE, SUB_PATH, Use, Volume, quantity, sha256, uuid,
};

/// A driver as the kubelet registered it.
pub(crate) struct Registered {
    pub(crate) driver: &'static str,
    /// The name that its registrar told.
    pub(crate) name: String,
    pub(crate) node_id: String,
    pub(crate) limit: Option<i64>,
}

/// Times in Kubernetes have whole seconds.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn node(volumes: &[Volume], registered: &[Registered], now: Timestamp) -> Value {
    let unique =
        |volume: &Volume| format!("kubernetes.io/csi/{}^{}", volume.driver.name, volume.handle);
    let ids: serde_json::Map<String, Value> = registered
        .iter()
        .map(|driver| (driver.name.clone(), json!(driver.node_id)))
        .collect();
    let condition = |name: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": name, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": time(now), "lastTransitionTime": time(now),
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": NODE, "uid": uuid("node"), "creationTimestamp": time(now),
            "annotations": {"csi.volume.kubernetes.io/nodeid": Value::Object(ids).to_string()},
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"},
        },
        "spec": {},
        "status": {
            "conditions": [
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "volumesInUse": volumes.iter().filter(|volume| volume.has_claim()).map(unique).collect::<Vec<_>>(),
            "volumesAttached": volumes.iter().filter(|volume| volume.driver.attach)
                .map(|volume| json!({"name": unique(volume), "devicePath": ""})).collect::<Vec<_>>(),
        },
    })
}

pub(crate) fn csi_node(registered: &[Registered], now: Timestamp) -> Value {
    let drivers: Vec<Value> = registered
        .iter()
        .map(|driver| {
            let mut entry = json!({"name": driver.name, "nodeID": driver.node_id});
            if let Some(limit) = driver.limit {
                entry["allocatable"] = json!({"count": limit});
            }
            entry
        })
        .collect();
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
        "metadata": {
            "name": NODE, "uid": uuid("csinode"), "creationTimestamp": time(now),
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": uuid("node")}],
        },
        "spec": {"drivers": drivers},
    })
}

pub(crate) fn csi_driver(driver: &Driver, now: Timestamp) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
        "metadata": {
            "name": driver.name, "uid": uuid(&format!("csidriver {}", driver.name)),
            "creationTimestamp": time(now),
        },
        "spec": {
            "attachRequired": driver.attach, "podInfoOnMount": false,
            "fsGroupPolicy": "File", "storageCapacity": false, "requiresRepublish": false,
            "volumeLifecycleModes": driver.modes(),
        },
    })
}

pub(crate) fn storage_class(driver: &Driver, now: Timestamp) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {
            "name": driver.class, "uid": uuid(&format!("class {}", driver.class)),
            "creationTimestamp": time(now),
        },
        "provisioner": driver.name,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": driver.expansion,
    })
}

pub(crate) fn claim(volume: &Volume) -> Value {
    let condition = |condition: &Condition| {
        json!({
            "type": condition.name, "status": "True", "message": condition.message,
            "lastProbeTime": null, "lastTransitionTime": time(condition.since),
        })
    };
    let mut status = json!({
        "phase": "Bound",
        "accessModes": [volume.access_mode()],
        "capacity": {"storage": quantity(volume.granted)},
    });
    if !volume.conditions.is_empty() {
        status["conditions"] = volume.conditions.iter().map(condition).collect();
    }
    if let Some(allocated) = volume.allocated {
        status["allocatedResources"] = json!({"storage": quantity(allocated)});
    }
    if let Some(state) = volume.allocated_status {
        status["allocatedResourceStatuses"] = json!({"storage": state});
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": volume.claim, "namespace": NAMESPACE, "uid": volume.claim_uid,
            "creationTimestamp": time(volume.created),
            "finalizers": ["kubernetes.io/pvc-protection"],
            "annotations": {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.kubernetes.io/selected-node": NODE,
                "volume.kubernetes.io/storage-provisioner": volume.driver.name,
            },
        },
        "spec": {
            "accessModes": [volume.access_mode()],
            "resources": {"requests": {"storage": quantity(volume.requested)}},
            "storageClassName": volume.driver.class,
            "volumeMode": volume.kind.mode(),
            "volumeName": volume.pv(),
        },
        "status": status,
    })
}

pub(crate) fn persistent_volume(volume: &Volume) -> Value {
    let mut annotations = json!({"pv.kubernetes.io/provisioned-by": volume.driver.name});
    let mut csi = json!({"driver": volume.driver.name, "volumeHandle": volume.handle});
    if !matches!(volume.kind, Kind::Block | Kind::Directory) {
        csi["fsType"] = volume.kind.fs_type().into();
    }
    if let Some(before) = volume.pre_resize {
        annotations["volume.alpha.kubernetes.io/pre-resize-capacity"] = json!(quantity(before));
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": volume.pv(), "uid": uuid(&format!("pv {}", volume.claim)),
            "creationTimestamp": time(volume.created),
            "annotations": annotations,
            "finalizers": ["kubernetes.io/pv-protection"],
        },
        "spec": {
            "accessModes": [volume.access_mode()],
            "capacity": {"storage": quantity(volume.capacity)},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": NAMESPACE, "name": volume.claim, "uid": volume.claim_uid,
            },
            "csi": csi,
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": volume.driver.class,
            "volumeMode": volume.kind.mode(),
        },
        "status": {"phase": "Bound"},
    })
}

pub(crate) fn pod(volume: &Volume) -> Value {
    // What has no claim is known by the name that its pod gives it.
    let name = if volume.has_claim() {
        "data"
    } else {
        volume.claim
    };
    let mut container = json!({
        "name": "app",
        "image": format!("registry.example/shop/{}:1.4.2", volume.claim),
    });
    if volume.kind == Kind::Block {
        container["volumeDevices"] = json!([{"name": "data", "devicePath": "/dev/xvda"}]);
    } else {
        container["volumeMounts"] = json!([{
            "name": name, "mountPath": place(volume), "readOnly": volume.read_only,
        }]);
        if volume.used == Use::SubPath {
            container["volumeMounts"][0]["subPath"] = json!(SUB_PATH);
        }
    }
    let source = match volume.used {
        Use::Inline => json!({"name": name, "csi": {"driver": volume.driver.name}}),
        Use::InTree => json!({"name": name, "nfs": {"server": "files.example", "path": "/wiki"}}),
        _ => json!({
            "name": name,
            "persistentVolumeClaim": {"claimName": volume.claim, "readOnly": volume.read_only},
        }),
    };
    let ready = |name: &str| {
        json!({
            "type": name, "status": "True",
            "lastProbeTime": null, "lastTransitionTime": time(volume.created),
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": volume.pod, "namespace": NAMESPACE, "uid": volume.pod_uid,
            "creationTimestamp": time(volume.created),
            "labels": {"app": volume.claim},
        },
        "spec": {
            "nodeName": NODE,
            "restartPolicy": "Always",
            "containers": [container],
            "volumes": [source],
        },
        "status": {
            "phase": "Running",
            "startTime": time(volume.created),
            "conditions": [ready("Initialized"), ready("Ready"), ready("ContainersReady"), ready("PodScheduled")],
            "containerStatuses": [{
                "name": "app", "ready": true, "started": true, "restartCount": 0,
                "image": format!("registry.example/shop/{}:1.4.2", volume.claim),
                "imageID": "",
                "containerID": format!("containerd://{}", volume.container_id()),
                "state": {"running": {"startedAt": time(volume.created)}},
            }],
        },
    })
}

/// An attachment that did not come about, with the attacher's error where it told one.
pub(crate) fn unattached(volume: &Volume, error: Option<&str>) -> Value {
    let mut unattached = attachment(volume);
    unattached["status"]["attached"] = false.into();
    if let Some(error) = error {
        let now = time(Timestamp::now());
        unattached["status"]["attachError"] = json!({"message": error, "time": now});
    }
    unattached
}

pub(crate) fn attachment(volume: &Volume) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
        "metadata": {
            "name": volume.attachment(), "uid": uuid(&format!("attachment {}", volume.claim)),
            "creationTimestamp": time(volume.created),
        },
        "spec": {
            "attacher": volume.driver.name, "nodeName": NODE,
            "source": {"persistentVolumeName": volume.pv()},
        },
        "status": {"attached": true},
    })
}

/// What an event speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Pod,
    Claim,
}

/// What is told about an object, by whom.
pub(crate) struct Told<'a> {
    pub(crate) about: About,
    pub(crate) by: String,
    pub(crate) warning: bool,
    pub(crate) reason: &'a str,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

pub(crate) fn event(volume: &Volume, told: &Told<'_>) -> Value {
    let (kind, name, uid) = match told.about {
        About::Pod => ("Pod", volume.pod, &volume.pod_uid),
        About::Claim => ("PersistentVolumeClaim", volume.claim, &volume.claim_uid),
    };
    let mut source = json!({"component": told.by});
    if told.by == "kubelet" {
        source["host"] = json!(NODE);
    }
    // Sixteen hex digits after the object's name, as the recorder does it.
    let seed = format!("{} {} {}", told.at, told.reason, told.message);
    let name_of_event = format!("{name}.{}", &sha256(&seed)[..16]);
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {
            "name": name_of_event, "namespace": NAMESPACE,
            "uid": uuid(&name_of_event), "creationTimestamp": time(told.at),
        },
        "involvedObject": {
            "apiVersion": "v1", "kind": kind, "namespace": NAMESPACE, "name": name, "uid": uid,
        },
        "type": if told.warning { "Warning" } else { "Normal" },
        "reason": told.reason,
        "message": told.message,
        "source": source,
        "reportingComponent": told.by,
        "firstTimestamp": time(told.at), "lastTimestamp": time(told.at), "count": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::catalogue::catalogue;
    use crate::lab::site::Abilities;
    use crate::lab::{manifests, pods};

    #[test]
    fn every_object_means_the_same_to_the_types_of_the_api() {
        let now = Timestamp::UNIX_EPOCH;
        let abilities = Abilities {
            loops: Ok(()),
            xfs: Ok(()),
            btrfs: Ok(()),
            fuse: Ok(()),
        };
        let (mut volumes, _) = catalogue(&abilities, now);
        volumes[0].allocated = Some(1);
        volumes[0].allocated_status = Some("NodeResizePending");
        volumes[0].pre_resize = Some(1);
        volumes[0].conditions = vec![Condition {
            name: "FileSystemResizePending",
            since: now,
            message: String::new(),
        }];
        let registered = [Registered {
            driver: volumes[0].driver.name,
            name: volumes[0].driver.name.to_owned(),
            node_id: NODE.to_owned(),
            limit: Some(16),
        }];
        let told = Told {
            about: About::Claim,
            by: "kubelet".to_owned(),
            warning: true,
            reason: "Because",
            message: "of this".to_owned(),
            at: now,
        };
        for object in [
            node(&volumes, &registered, now),
            csi_node(&registered, now),
            csi_driver(volumes[0].driver, now),
            storage_class(volumes[0].driver, now),
            claim(&volumes[0]),
            claim(&volumes[1]),
            pod(&volumes[6]),
            pod(&volumes[9]),
            pod(&volumes[12]),
            pod(&volumes[14]),
            persistent_volume(&volumes[13]),
            persistent_volume(&volumes[0]),
            pod(&volumes[0]),
            attachment(&volumes[0]),
            unattached(&volumes[0], Some("no")),
            pods::starting(&volumes[0]),
            pods::ending(&volumes[0], now),
            pods::ended(&volumes[0], pods::End::Done, now),
            pods::ended(&volumes[0], pods::End::Evicted, now),
            pods::restarted(&volumes[0], now),
            event(&volumes[0], &told),
        ] {
            manifests::check(&object).unwrap();
        }
    }
}
