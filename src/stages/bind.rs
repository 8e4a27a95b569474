//! *bind*: from a new claim to a bound one.

use std::sync::Arc;

use crate::binding::{self, NO_PROVISIONER, Standing, Unfit};
use crate::model::binding::{Binding, Waiting};
use crate::model::finding::{NextStep, Object};
use crate::model::objects::Class;
use crate::model::observed::Observed;
use crate::model::stage::{BindStage, Stage};
use crate::model::way::{Mark, Step, Way};

/// So many volumes that do not fit are told; the finding has more of them.
const TOLD: usize = 3;

/// The steps of a claim that is not bound. What is to be done is told by the rule that names it.
pub fn bind(all: &Binding, one: &Waiting, next: Option<NextStep>) -> Way {
    let standing = binding::standing(all, one);
    let steps = steps(all, one, &standing);
    let here = steps.iter().find(|step| step.mark.is_here());
    let state = match (here, &standing) {
        (Some(step), _) => step.stands(),
        (None, Standing::Leaving) => "It is being deleted.".to_owned(),
        (None, Standing::Unknown(_)) => "Where it stands is not known.".to_owned(),
        (None, _) => "It is under way.".to_owned(),
    };
    Way {
        object: Object::Claim(one.claim.claim.clone()),
        mounted_in: None,
        seen_by: "its objects".to_owned(),
        state,
        steps,
        next,
    }
}

fn step(stage: BindStage, mark: Mark, evidence: impl Into<String>) -> Step {
    Step {
        stage: Stage::Bind(stage),
        mark,
        evidence: evidence.into(),
        at: None,
    }
}

fn steps(all: &Binding, one: &Waiting, standing: &Standing<'_>) -> Vec<Step> {
    let at = stands_at(standing, one);
    let is_class_known = matches!(standing, Standing::Unknown(_)) && class(all, one).is_some();
    let created = one.claim.terms.as_ref().and_then(|terms| terms.created);
    let mut steps = vec![step(BindStage::Claimed, Mark::Done, "it is there").when(created)];
    for stage in [
        BindStage::ClassExists,
        BindStage::Consumer,
        BindStage::Provisioner,
        BindStage::VolumeFound,
        BindStage::Bound,
    ] {
        let told = words(all, one, standing, stage);
        steps.push(match &at {
            Err(_) if stage == BindStage::ClassExists && is_class_known => {
                step(stage, Mark::Done, told)
            }
            Err(words) => step(stage, Mark::Unknown, words.clone()),
            Ok(at) if stage == *at => step(stage, mark(one, standing), told),
            Ok(at) if stage < *at => step(stage, Mark::Done, told),
            Ok(_) => step(stage, Mark::Ahead, ""),
        });
    }
    steps
}

/// Whether it stands there because something is wrong, or waits for somebody who may be about to act.
fn mark(one: &Waiting, standing: &Standing<'_>) -> Mark {
    match standing {
        Standing::Provisioning(_) if binding::refusal(one).is_some() => Mark::Stuck,
        Standing::NoPod(_)
        | Standing::NoNode(..)
        | Standing::Fits(_)
        | Standing::Provisioning(_) => Mark::Waiting,
        _ => Mark::Stuck,
    }
}

/// The step where it stands, or why that is not known.
fn stands_at(standing: &Standing<'_>, one: &Waiting) -> Result<BindStage, String> {
    Ok(match standing {
        Standing::Unknown(gap) => return Err(gap.what.to_string()),
        Standing::Leaving => return Err("it is being deleted".to_owned()),
        Standing::NoDefault | Standing::NoClass(_) => BindStage::ClassExists,
        Standing::NoPod(_) | Standing::NoNode(..) | Standing::Bypassed(..) => BindStage::Consumer,
        Standing::NoSuchVolume(_) | Standing::NoneFits(_) => BindStage::VolumeFound,
        Standing::Fits(_) | Standing::Lost => BindStage::Bound,
        Standing::Provisioning(class) => {
            if binding::is_taken_up(one) || one.provisioner_seen.is_some() {
                BindStage::VolumeFound
            } else if let Some(gap) = binding::unheard(one, class) {
                return Err(gap.what.to_string());
            } else {
                BindStage::Provisioner
            }
        }
    })
}

/// The class of a claim, its own or the default one.
fn class<'a>(all: &'a Binding, one: &Waiting) -> Option<&'a Class> {
    match &one.claim.class {
        Some(name) => {
            let mut classes = all.classes.items.iter().map(Arc::as_ref);
            classes.find(|class| class.name == *name)
        }
        None => binding::default_class(all),
    }
}

fn words(all: &Binding, one: &Waiting, standing: &Standing<'_>, stage: BindStage) -> String {
    let wants_none = one
        .claim
        .terms
        .as_ref()
        .and_then(|terms| terms.class.as_deref())
        == Some("");
    match (stage, standing) {
        (BindStage::ClassExists, Standing::NoDefault) => {
            "it names no class, and no class is the default one".to_owned()
        }
        (BindStage::ClassExists, Standing::NoClass(name)) => {
            format!("there is no storageclass {name}")
        }
        (BindStage::ClassExists, _) if wants_none => "it wants none".to_owned(),
        (BindStage::ClassExists, _) => match class(all, one) {
            Some(class) => format!("storageclass {}", class.name),
            None => "none is needed: volumes are made by hand".to_owned(),
        },
        (BindStage::Consumer, Standing::NoPod(_)) => {
            "the class waits for a pod, and none names the claim".to_owned()
        }
        (BindStage::Consumer, Standing::NoNode(_, user)) => {
            format!("pod {} has no node yet", user.pod)
        }
        (BindStage::Consumer, Standing::Bypassed(_, pod, node)) => format!(
            "pod {pod} is on node {node} without the scheduler's choice, for which the class waits"
        ),
        (BindStage::Consumer, _) => consumer(all, one),
        (BindStage::Provisioner, Standing::Provisioning(class)) => match one.provisioner_seen {
            Some(at) => format!("{} spoke last at {at:.0}", class.provisioner),
            None if binding::is_taken_up(one) => format!("{} has taken it up", class.provisioner),
            None => format!("nobody has heard of {}", class.provisioner),
        },
        (BindStage::Provisioner, _) => match class(all, one) {
            Some(class) if class.provisioner.as_str() != NO_PROVISIONER => {
                "none is needed for this volume".to_owned()
            }
            _ => "none: volumes are made by hand".to_owned(),
        },
        (BindStage::VolumeFound, Standing::NoSuchVolume(name)) => {
            format!("there is no persistentvolume {name}")
        }
        (BindStage::VolumeFound, Standing::NoneFits(unfit)) => none_fits(unfit),
        (BindStage::VolumeFound, Standing::Fits(volume)) => {
            format!("persistentvolume {} fits", volume.name)
        }
        (BindStage::VolumeFound, Standing::Lost) => "it was bound once".to_owned(),
        (BindStage::VolumeFound, _) => match binding::refusal(one) {
            Some(event) => event.message.clone(),
            None => "it is being made".to_owned(),
        },
        (BindStage::Bound, Standing::Lost) => "its volume is gone".to_owned(),
        (BindStage::Bound, _) => "the controller is about to bind it".to_owned(),
        _ => String::new(),
    }
}

/// The nearest of those that do not fit, and how many there are beside.
fn none_fits(unfit: &[Unfit<'_>]) -> String {
    let Some((nearest, others)) = unfit.split_first() else {
        return "no volume is Available".to_owned();
    };
    let mut words = vec![format!("{} does not fit: {nearest}", nearest.volume.name)];
    let others = others.iter().take(TOLD - 1);
    words.extend(others.map(|one| format!("nor does {}: {one}", one.volume.name)));
    let more = unfit.len().saturating_sub(TOLD);
    words.extend((more > 0).then(|| format!("nor do {more} more")));
    words.join(", ")
}

fn consumer(all: &Binding, one: &Waiting) -> String {
    let terms = one.claim.terms.as_ref();
    if let Some(node) = terms.and_then(|terms| terms.selected_node.as_ref()) {
        return format!("the scheduler chose node {node}");
    }
    let waits = class(all, one).and_then(|class| class.terms.as_ref());
    if !waits.is_some_and(|terms| terms.waits_for_consumer) {
        return "the class does not wait for one".to_owned();
    }
    match &one.users {
        Observed::Known(users) => match users.as_slice() {
            [user] => format!("pod {} names it", user.pod),
            users => format!("{} pods name it", users.len()),
        },
        Observed::Unknown(gap) => gap.what.to_string(),
    }
}
