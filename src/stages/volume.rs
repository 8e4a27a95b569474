//! *bind* as a PersistentVolume sees it: free, bound, released or failed, and what becomes of it then.

use jiff::SignedDuration;

use crate::causes::{Symptom, classify};
use crate::model::finding::{NextStep, Object, quote};
use crate::model::names::ClaimRef;
use crate::model::objects::{Claim, Event, PersistentVolume};
use crate::model::observed::Observed;
use crate::model::stage::BindStage;
use crate::model::way::{Mark, Step, Way};
use crate::stages::bound::{made, step, there};
use crate::stages::told::{Told, found};

/// A provisioner that lives deletes a volume sooner, or says that it cannot: it tries anew after seconds.
const DELETES: SignedDuration = SignedDuration::from_mins(5);

/// The steps of a volume and its claim.
pub fn volume(told: &Told<'_>, volume: &PersistentVolume) -> Way {
    let (bound, state, next) = bound(told, volume);
    Way {
        object: Object::PersistentVolume(volume.name.clone(), volume.uid.clone()),
        mounted_in: None,
        seen_by: "its objects".to_owned(),
        state,
        steps: vec![made(volume), there(volume), bound],
        next,
    }
}

/// How it stands with its claim.
fn bound(told: &Told<'_>, volume: &PersistentVolume) -> (Step, String, Option<NextStep>) {
    let stage = BindStage::Bound;
    let changed = volume.terms.as_deref().and_then(|terms| terms.changed);
    let claim = volume.claim.as_ref();
    let of = claim.map(|claim| format!("{}/{}", claim.namespace, claim.name));
    let of = of.as_deref().unwrap_or("no claim");
    match volume.phase() {
        "Released" | "Failed" => return left(told, volume, of),
        "Available" | "Pending" => {
            let words = match claim {
                Some(_) => format!("it is kept for claim {of}"),
                None => "no claim has taken it".to_owned(),
            };
            let step = step(stage, Mark::Ahead, words).when(changed);
            let state = claim.map_or("It is free.", |_| "It is kept for that claim alone.");
            return (step, state.to_owned(), None);
        }
        _ => {}
    }
    let Some(claim) = claim else {
        let step = step(stage, Mark::Unknown, "it names no claim");
        return (step, "Whose it is is not known.".to_owned(), None);
    };
    match found(&told.objects.claims, |one: &Claim| {
        is_same(&one.claim, claim)
    }) {
        Observed::Known(Some(_)) => {
            let step = step(stage, Mark::Done, format!("to claim {of}")).when(changed);
            let leaves = volume.terms.as_ref().is_some_and(|terms| terms.deleting);
            let state = if leaves {
                "It is bound, and is being deleted: it stays until its claim is gone."
            } else {
                "It is bound."
            };
            (step, state.to_owned(), None)
        }
        Observed::Known(None) => {
            let words = format!("claim {of} is not there any more");
            let step = step(stage, Mark::Waiting, words).when(changed);
            let state = "It is about to be released.".to_owned();
            (step, state, None)
        }
        Observed::Unknown(gap) => {
            let words = format!("to claim {of}, by its own word; {gap}");
            let step = step(stage, Mark::Done, words).when(changed);
            (step, "It is bound, as far as it says.".to_owned(), None)
        }
    }
}

fn is_same(one: &ClaimRef, other: &ClaimRef) -> bool {
    let same_life =
        one.uid == other.uid || one.uid.as_str().is_empty() || other.uid.as_str().is_empty();
    one.namespace == other.namespace && one.name == other.name && same_life
}

/// A volume whose claim is gone.
fn left(told: &Told<'_>, volume: &PersistentVolume, of: &str) -> (Step, String, Option<NextStep>) {
    let at = told.at;
    let terms = volume.terms.as_deref();
    let changed = terms.and_then(|terms| terms.changed);
    let object = Object::PersistentVolume(volume.name.clone(), volume.uid.clone());
    let said = told.said(&object);
    let refused = said.iter().rev().find(|event| is_refusal(event));
    let message = terms.and_then(|terms| terms.message.as_deref());
    let reclaim = terms.map_or("", |terms| terms.reclaim.as_str());
    let pv = quote(&volume.name);
    if let Some(words) = refused.map(|event| event.message.as_str()).or(message) {
        let at = refused.and_then(|event| event.at).or(changed);
        let words_of = format!("claim {of} is gone, and its volume cannot be deleted: {words}");
        let step = step(BindStage::Bound, Mark::Stuck, words_of).when(at);
        let told = classify(&Symptom {
            text: words,
            reason: refused.map(|event| event.reason.as_str()),
            driver: volume.csi.as_ref().map(|csi| csi.driver.as_str()),
            ..Symptom::default()
        });
        let next = NextStep {
            what: told.next.to_owned(),
            command: Some(format!("kubectl describe pv {pv}")),
        };
        return (
            step,
            format!("It is {}, and its deletion fails.", volume.phase()),
            Some(next),
        );
    }
    let words = format!("claim {of} is gone; reclaim policy {reclaim}");
    let step = |mark| step(BindStage::Bound, mark, words.clone()).when(changed);
    if reclaim == "Retain" {
        let next = NextStep {
            what: "Its data is kept and nobody uses it. If nobody needs it, delete the PersistentVolume, and then the storage behind it, which stays; to give it to a new claim, take the old one's name out of it.".to_owned(),
            command: Some(format!(
                r#"kubectl patch pv {pv} --type=json -p '[{{"op":"remove","path":"/spec/claimRef"}}]'"#
            )),
        };
        let state = "It is released, and kept.".to_owned();
        return (step(Mark::Waiting), state, Some(next));
    }
    let next = NextStep {
        what:
            "It is to be deleted, and nobody says that it fails: see whether its provisioner runs."
                .to_owned(),
        command: Some(format!("kubectl describe pv {pv}")),
    };
    let is_fresh = changed.is_some_and(|changed| at.duration_since(changed) < DELETES);
    let (mark, state) = if is_fresh {
        (Mark::Waiting, "It is released, and about to be deleted.")
    } else {
        (Mark::Stuck, "It is released, and was to be deleted.")
    };
    (step(mark), state.to_owned(), Some(next))
}

/// Whether somebody said that it could not be deleted.
fn is_refusal(event: &Event) -> bool {
    matches!(
        event.reason.as_str(),
        "VolumeFailedDelete" | "VolumeFailedRecycle" | "VolumeUnknownReclaimPolicy"
    )
}
