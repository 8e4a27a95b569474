//! What is looked for in logs: the volume that is stuck, where its driver's containers may say why.

use std::sync::Arc;

use crate::binding::NO_PROVISIONER;
use crate::cli::diagnose::source::Source;
use crate::kubernetes::logs::{Search, logs as read};
use crate::model::finding::Object;
use crate::model::names::{ClaimRef, NodeName, PersistentVolumeName};
use crate::model::objects::{Claim, Objects, PersistentVolume, Pod, PodVolumeSource};
use crate::model::observed::{Gap, Why};
use crate::model::stage::{BindStage, ExpandStage, MountStage, Stage};
use crate::model::way::{Followed, Logs, Way};
use crate::stages;

/// Why a source has no logs, and who has.
const NO_SERVER: &str = "logs are read from the API server alone, with your own rights: ask without --from; its kubeconfig is named with --kubeconfig FILE, its context with --context NAME";

/// The lines about the first volume that is stuck where somebody's log may say why.
pub(super) async fn logs(source: &Source, followed: &[Followed]) -> Option<Logs> {
    let objects = &source.objects;
    let ways = followed.iter().map(|one| &one.way);
    let (way, search) = ways
        .filter(|way| is_stuck(way))
        .find_map(|way| Some((way, search(objects, way)?)))?;
    let mut logs = match &source.client {
        Some(client) => read(client, &search).await,
        None => Logs {
            gaps: vec![Gap::new(Why::NotAsked, NO_SERVER)],
            ..Logs::default()
        },
    };
    let is_mount = way.mounted_in.is_some();
    logs.kubelet = search.node.filter(|_| is_mount).map(|node| {
        // The kubelet calls a volume by its PersistentVolume, an inline one by its pod's UID.
        let name = search.names.first().map(String::as_str).unwrap_or_default();
        stages::kubelet_log(node.as_str(), name)
    });
    Some(logs)
}

/// Whether it stands at a step that a driver or a sidecar has to do.
fn is_stuck(way: &Way) -> bool {
    way.here().is_some_and(|step| match step.stage {
        Stage::Bind(stage) => matches!(
            stage,
            BindStage::Provisioner | BindStage::VolumeFound | BindStage::Bound
        ),
        Stage::Mount(stage) => stage > MountStage::Scheduled && stage < MountStage::Answers,
        Stage::Expand(stage) => stage > ExpandStage::Requested,
    })
}

fn search(objects: &Objects, way: &Way) -> Option<Search> {
    let pod = way.mounted_in.as_ref().and_then(|(pod, _)| {
        let mut pods = objects.pods.items.iter();
        pods.find(|one| one.pod == *pod)
    });
    let node = pod.and_then(|pod| pod.node.clone());
    match &way.object {
        Object::Claim(claim) => of_claim(objects, claim, node),
        Object::PersistentVolume(name, _) => {
            let volume = volume(objects, name)?;
            // What is kept is kept on purpose.
            let terms = volume.terms.as_deref();
            let is_kept = terms.is_some_and(|terms| terms.reclaim == "Retain");
            of_volume(volume, node).filter(|_| !is_kept)
        }
        Object::Pod(_) => {
            let (_, name) = way.mounted_in.as_ref()?;
            inline(pod?, name, node)
        }
        _ => None,
    }
}

fn volume<'a>(objects: &'a Objects, name: &PersistentVolumeName) -> Option<&'a PersistentVolume> {
    objects
        .volumes
        .items
        .iter()
        .find(|one| one.name == *name)
        .map(Arc::as_ref)
}

fn of_claim(objects: &Objects, claim: &ClaimRef, node: Option<NodeName>) -> Option<Search> {
    let claim: &Claim = objects
        .claims
        .items
        .iter()
        .find(|one| one.claim == *claim)?;
    let bound = claim.volume.as_ref().and_then(|name| volume(objects, name));
    // Where an expansion stands at a node is told by its pod.
    let mut pods = objects.pods.items.iter();
    let node = node.or_else(|| pods.find(|pod| pod.uses(&claim.claim))?.node.clone());
    let mut search = if let Some(volume) = bound {
        of_volume(volume, node)?
    } else {
        let mut classes = objects.classes.items.iter();
        let class = classes.find(|one| Some(&one.name) == claim.class.as_ref())?;
        if class.provisioner.as_str() == NO_PROVISIONER {
            return None;
        }
        Search {
            driver: class.provisioner.clone(),
            names: Vec::new(),
            claim: None,
            node,
        }
    };
    // Provisioners name what they make after the UID.
    let uid = claim.claim.uid.to_string();
    search.names.extend([format!("pvc-{uid}"), uid]);
    search.claim = Some((
        String::from(&claim.claim.namespace),
        String::from(&claim.claim.name),
    ));
    Some(search)
}

fn of_volume(volume: &PersistentVolume, node: Option<NodeName>) -> Option<Search> {
    let csi = volume.csi.as_ref()?;
    Some(Search {
        driver: csi.driver.clone(),
        names: vec![volume.name.to_string(), csi.handle.to_string()],
        claim: None,
        node,
    })
}

fn inline(pod: &Pod, name: &str, node: Option<NodeName>) -> Option<Search> {
    let mut volumes = pod.volumes.iter();
    let PodVolumeSource::InlineCsi(driver) = &volumes.find(|one| one.name == name)?.source else {
        return None;
    };
    Some(Search {
        driver: driver.clone(),
        names: vec![pod.pod.uid.to_string()],
        claim: None,
        node,
    })
}
