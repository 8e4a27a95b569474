//! *bind* of a claim that is bound: when, to what, and by whom.

use crate::model::finding::{NextStep, Object, quote};
use crate::model::names::PodRef;
use crate::model::objects::{Claim, Class, PersistentVolume, Pod, PodState};
use crate::model::observed::Observed;
use crate::model::stage::{BindStage, Stage};
use crate::model::way::{Mark, Step, Way};
use crate::stages::place::words;
use crate::stages::told::{Told, found};

/// What agents read of objects has no such word; the API server has.
const AGENTS_DO_NOT_TELL: &str = "agents do not tell; the API server does: --kubeconfig FILE";

/// The steps of a claim whose status says that it is bound.
pub fn bound(told: &Told<'_>, claim: &Claim) -> Way {
    let volume = told.volume_of(claim);
    let mut steps = vec![claimed(told, claim), class(told, claim), consumer(claim)];
    steps.extend(of_volume(claim, &volume));
    let gone = matches!(volume, Observed::Known(None));
    Way {
        object: Object::Claim(claim.claim.clone()),
        mounted_in: None,
        seen_by: "its objects".to_owned(),
        state: match (gone, is_leaving(claim)) {
            (true, _) => "Its status says that it is bound, and its volume is not there.",
            (false, true) => "It is bound, and is being deleted.",
            (false, false) => "It is bound.",
        }
        .to_owned(),
        next: gone.then(|| NextStep {
            what: "Do not delete anything before the storage was looked at: find out who deleted the PersistentVolume, and whether its data is still there.".to_owned(),
            command: Some(format!(
                "kubectl describe pvc -n {} {}",
                quote(&claim.claim.namespace),
                quote(&claim.claim.name)
            )),
        }),
        steps,
    }
}

/// The way of a claim that a pod names and that is not there.
pub fn absent(claim: &Object, pod: &PodRef, next: Option<NextStep>) -> Way {
    let words = format!("pod {pod} names it, and it is not there");
    Way {
        object: claim.clone(),
        mounted_in: None,
        seen_by: "its objects".to_owned(),
        state: "It stands at: claim exists.".to_owned(),
        steps: vec![step(BindStage::Claimed, Mark::Stuck, words)],
        next,
    }
}

pub(super) fn step(stage: BindStage, mark: Mark, evidence: impl Into<String>) -> Step {
    Step {
        stage: Stage::Bind(stage),
        mark,
        evidence: evidence.into(),
        at: None,
    }
}

fn is_leaving(claim: &Claim) -> bool {
    claim.terms.as_ref().is_some_and(|terms| terms.deleting)
}

fn claimed(told: &Told<'_>, claim: &Claim) -> Step {
    let created = claim.terms.as_ref().and_then(|terms| terms.created);
    let words = if is_leaving(claim) {
        format!("it is being deleted; {}", held(told, claim))
    } else {
        "it is there".to_owned()
    };
    step(BindStage::Claimed, Mark::Done, words).when(created)
}

/// What keeps a claim that is being deleted: its finalizer goes when no pod names it (`pvc-protection`,
/// `pkg/controller/volume/pvcprotection`).
fn held(told: &Told<'_>, claim: &Claim) -> String {
    let pods = &told.objects.pods;
    let holds = |pod: &&Pod| pod.state != PodState::Done && pod.uses(&claim.claim);
    let users = pods.items.iter().filter(holds);
    let users: Vec<&str> = users.map(|pod| pod.pod.name.as_str()).collect();
    match (users.is_empty(), pods.gaps.first()) {
        (false, _) => format!("pods that name it hold it: {}", users.join(", ")),
        (true, Some(gap)) => format!("whether a pod holds it is not known: {gap}"),
        (true, None) => "no pod that names it holds it".to_owned(),
    }
}

fn class(told: &Told<'_>, claim: &Claim) -> Step {
    let stage = BindStage::ClassExists;
    let Some(name) = &claim.class else {
        return step(stage, Mark::Done, "it names none");
    };
    match found(&told.objects.classes, |one: &Class| one.name == *name) {
        Observed::Known(Some(class)) => {
            let created = class.terms.as_ref().and_then(|terms| terms.created);
            step(stage, Mark::Done, format!("storageclass {name}")).when(created)
        }
        Observed::Known(None) => step(
            stage,
            Mark::Ahead,
            format!("there is no storageclass {name}, and a bound claim needs none"),
        ),
        Observed::Unknown(gap) => step(stage, Mark::Unknown, format!("storageclass {name}: {gap}")),
    }
}

fn consumer(claim: &Claim) -> Step {
    let stage = BindStage::Consumer;
    let Some(terms) = claim.terms.as_deref() else {
        return step(stage, Mark::Unknown, AGENTS_DO_NOT_TELL);
    };
    let words = match &terms.selected_node {
        Some(node) => format!("the scheduler chose node {node}"),
        None => "it was bound without waiting for one".to_owned(),
    };
    step(stage, Mark::Done, words)
}

fn of_volume(claim: &Claim, volume: &Observed<Option<&PersistentVolume>>) -> [Step; 3] {
    let name = claim
        .volume
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let by = match claim.terms.as_deref() {
        Some(terms) if terms.volume_chosen => ", which the controller chose",
        Some(_) => ", which the claim named",
        None => "",
    };
    match volume {
        Observed::Unknown(gap) => [
            step(BindStage::Provisioner, Mark::Unknown, words(gap)),
            step(BindStage::VolumeFound, Mark::Unknown, words(gap)),
            step(
                BindStage::Bound,
                Mark::Done,
                format!("its status says so: to persistentvolume {name}{by}"),
            ),
        ],
        Observed::Known(None) => [
            step(
                BindStage::Provisioner,
                Mark::Unknown,
                "its volume would tell",
            ),
            step(
                BindStage::VolumeFound,
                Mark::Stuck,
                format!("there is no persistentvolume {name}"),
            ),
            step(BindStage::Bound, Mark::Ahead, ""),
        ],
        Observed::Known(Some(volume)) => {
            let changed = volume.terms.as_deref().and_then(|terms| terms.changed);
            [
                made(volume),
                there(volume),
                step(
                    BindStage::Bound,
                    Mark::Done,
                    format!("to persistentvolume {name}{by}"),
                )
                .when(changed),
            ]
        }
    }
}

/// Who made a volume.
pub(super) fn made(volume: &PersistentVolume) -> Step {
    let stage = BindStage::Provisioner;
    let Some(terms) = volume.terms.as_deref() else {
        return step(stage, Mark::Unknown, AGENTS_DO_NOT_TELL);
    };
    match &terms.made_by {
        Some(by) => step(stage, Mark::Done, format!("{by} made its volume")),
        None => step(stage, Mark::Done, "none: its volume was made by hand"),
    }
}

/// A volume that is there.
pub(super) fn there(volume: &PersistentVolume) -> Step {
    let created = volume.terms.as_ref().and_then(|terms| terms.created);
    let size = volume
        .capacity
        .map(|size| format!(", {size}"))
        .unwrap_or_default();
    let source = match &volume.csi {
        Some(csi) => format!(", {} of {}", csi.handle, csi.driver),
        None => ", no CSI volume".to_owned(),
    };
    let words = format!("persistentvolume {}{size}{source}", volume.name);
    step(BindStage::VolumeFound, Mark::Done, words).when(created)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::objects::{Objects, PodVolume, PodVolumeSource};
    use crate::model::observed::{Gap, Listing, Why};
    use crate::model::sample;
    use crate::model::terms::ClaimTerms;

    use super::*;

    fn leaving(pods: Listing<Pod>) -> String {
        let mut claim = sample::claim();
        claim.terms = Some(Box::new(ClaimTerms {
            deleting: true,
            ..ClaimTerms::default()
        }));
        let objects = Objects {
            pods,
            ..Objects::default()
        };
        let told = Told {
            at: sample::noon(),
            objects: &objects,
            nodes: None,
        };
        claimed(&told, &claim).evidence
    }

    fn user(state: PodState) -> Pod {
        let volume = PodVolume {
            name: "data".into(),
            source: PodVolumeSource::Claim("orders-db".to_owned()),
            read_only: false,
            places: Vec::new(),
            health: Vec::new(),
        };
        Pod {
            pod: PodRef {
                namespace: "shop".into(),
                name: "orders-0".into(),
                uid: "pod-uid-0".into(),
            },
            node: None,
            state,
            started: None,
            ended: None,
            volumes: vec![volume],
            static_uid: None,
            terms: None,
        }
    }

    #[test]
    fn a_claim_that_leaves_says_who_holds_it() {
        let unlisted = Listing::unknown(Gap::new(Why::Denied, "list pods"));
        let told = [
            leaving(Listing::complete(vec![user(PodState::Running)])),
            leaving(Listing::complete(vec![user(PodState::Done)])),
            leaving(unlisted),
        ];
        expect![[r#"
            it is being deleted; pods that name it hold it: orders-0
            it is being deleted; no pod that names it holds it
            it is being deleted; whether a pod holds it is not known: list pods (Denied)"#]]
        .assert_eq(&told.join("\n"));
    }
}
