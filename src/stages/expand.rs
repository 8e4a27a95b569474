//! *expand*: from a class that allows it to a filesystem that has grown.

use crate::expansion::{Case, Ground, Standing, Trouble};
use crate::model::finding::{Object, quote};
use crate::model::objects::{Class, Event, VolumeMode};
use crate::model::observed::{Gap, Observed};
use crate::model::stage::{ExpandStage, Stage};
use crate::model::way::{Mark, Step, Way};

/// The seven steps of a claim's expansion.
pub fn expand(case: &Case<'_>) -> Way {
    let standing = case.standing();
    let ground = case.ground();
    let mut steps = vec![
        class_allows(case),
        requested(case, &standing),
        resizer_saw(case, &standing),
        controller_expanded(case, &standing),
        capacity_raised(case, &standing),
        node_expanded(case, &standing, &ground),
        filesystem_grown(case, &standing, &ground),
    ];
    // One step is where it stands; what comes after is not stuck, it waits for its turn.
    if let Some(here) = steps.iter().position(|step| step.mark.is_here()) {
        for step in &mut steps[here + 1..] {
            if step.mark.is_here() {
                step.mark = Mark::Ahead;
            }
        }
    }
    let here = steps.iter().find(|step| step.mark.is_here());
    let is_asked = asked(case, &standing);
    let state = match (here, &case.volume.class) {
        (Some(step), _) => step.stands(),
        (None, _) if is_asked => "It is done, as far as can be seen.".to_owned(),
        (None, Observed::Known(Some(class))) if !class.expandable => refused(class),
        (None, _) => "There is nothing to expand: nobody asked for more than it has.".to_owned(),
    };
    let next = here.and_then(|_| case.advice());
    Way {
        object: Object::Claim(case.claim.claim.clone()),
        mounted_in: None,
        seen_by: match case.node {
            Some(node) => format!("node {node}"),
            None if is_asked => {
                "its objects alone; what only a node can see is not known".to_owned()
            }
            None => "its objects".to_owned(),
        },
        state,
        steps,
        next,
    }
}

/// Where the class does not allow it, and nobody asks.
fn refused(class: &Class) -> String {
    let patch = r#"'{"allowVolumeExpansion":true}'"#;
    format!(
        "There is nothing to expand: nobody asked for more than it has, and who does is refused. If the driver can expand, let the class allow it first: kubectl patch storageclass {} -p {patch}",
        quote(&class.name)
    )
}

fn step(stage: ExpandStage, mark: Mark, evidence: impl Into<String>) -> Step {
    Step {
        stage: Stage::Expand(stage),
        mark,
        evidence: evidence.into(),
        at: None,
    }
}

/// Whether somebody asked for more, now or once.
fn asked(case: &Case<'_>, standing: &Standing) -> bool {
    *standing != Standing::Idle || case.is_recorded()
}

fn class_allows(case: &Case<'_>) -> Step {
    let (mark, evidence) = match (&case.volume.class, &case.claim.class) {
        (Observed::Known(Some(class)), _) if class.expandable => (
            Mark::Done,
            format!(
                "allowVolumeExpansion of storageclass {} is true",
                class.name
            ),
        ),
        // A class is read when the request is raised; later it may say what it likes.
        (Observed::Known(Some(class)), _) if wants_more(case) => (
            Mark::Done,
            format!(
                "the request was accepted, though storageclass {} does not allow it now",
                class.name
            ),
        ),
        (Observed::Known(Some(class)), _) => (
            Mark::Ahead,
            format!(
                "allowVolumeExpansion of storageclass {} is not true: a larger request is refused",
                class.name
            ),
        ),
        (Observed::Known(None), Some(class)) => {
            (Mark::Unknown, format!("storageclass {class} is not there"))
        }
        (Observed::Known(None), None) => (
            Mark::Unknown,
            "the claim has no class; only provisioned volumes can be enlarged".to_owned(),
        ),
        (Observed::Unknown(gap), _) => (Mark::Unknown, gap.to_string()),
    };
    step(ExpandStage::ClassAllows, mark, evidence)
}

fn wants_more(case: &Case<'_>) -> bool {
    case.claim.request > case.claim.capacity
}

fn requested(case: &Case<'_>, standing: &Standing) -> Step {
    let span = case.asked();
    let (mark, evidence) = match standing {
        Standing::Idle if !case.is_recorded() => (
            Mark::Ahead,
            format!(
                "the request is {}, and the claim has {}",
                span.to, span.from
            ),
        ),
        Standing::Idle | Standing::Marked => (
            Mark::Done,
            match case.old_size() {
                Some(old) => format!("from {old} to {}", span.to),
                None => format!("to {}", span.to),
            },
        ),
        _ => (Mark::Done, format!("from {} to {}", span.from, span.to)),
    };
    step(ExpandStage::Requested, mark, evidence)
}

fn resizer_saw(case: &Case<'_>, standing: &Standing) -> Step {
    let stage = ExpandStage::ResizerSaw;
    match standing {
        Standing::Unseen => {
            let driver = &case.volume.driver;
            let words = match case.volume.resizer_seen.filter(|_| case.resizer_lives()) {
                Some(at) => {
                    format!("not yet: the resizer of {driver} spoke of another claim at {at:.0}")
                }
                None => format!("no status, condition or event of a resizer of {driver}"),
            };
            step(stage, Mark::Waiting, words)
        }
        Standing::Idle if !case.is_recorded() => step(stage, Mark::Ahead, ""),
        _ => step(stage, Mark::Done, trace(case)),
    }
}

/// What the resizer left behind on claim or volume.
fn trace(case: &Case<'_>) -> String {
    if let Some(status) = &case.claim.resize_status {
        return format!("the claim's status is {status}");
    }
    let conditions: Vec<&str> = case.conditions().map(|one| one.kind.as_str()).collect();
    if !conditions.is_empty() {
        return format!("conditions of the claim: {}", conditions.join(", "));
    }
    if case.persistent.capacity_before_resize.is_some() {
        return "the volume carries pre-resize-capacity".to_owned();
    }
    let by_resizer = |event: &&Event| event.by.starts_with("external-resizer ");
    match case.volume.events.items.iter().rfind(by_resizer) {
        Some(event) => format!("event {} by {}", event.reason, event.by),
        None => "the volume is larger than the claim was".to_owned(),
    }
}

fn controller_expanded(case: &Case<'_>, standing: &Standing) -> Step {
    let stage = ExpandStage::ControllerExpanded;
    match standing {
        Standing::Unseen => step(stage, Mark::Ahead, "the resizer comes first"),
        Standing::Controller(trouble) => {
            step(stage, mark(trouble), controller_words(case, trouble))
        }
        Standing::Idle if !case.is_recorded() => step(stage, Mark::Ahead, ""),
        _ => step(
            stage,
            Mark::Done,
            "the resizer raised the capacity after it",
        ),
    }
}

/// Whether a half that is not done is at work, or said to fail.
fn mark(trouble: &Trouble) -> Mark {
    match trouble {
        Trouble::OnItsWay | Trouble::Lowered | Trouble::Slow(_) => Mark::Waiting,
        Trouble::Failing(_) | Trouble::Infeasible(_) | Trouble::InUse(_) => Mark::Stuck,
    }
}

fn controller_words(case: &Case<'_>, trouble: &Trouble) -> String {
    match (trouble, trouble.said()) {
        (Trouble::Infeasible(_), said) => format!(
            "the driver says that it cannot be: {}",
            said.map_or("no words", |said| said.short())
        ),
        (Trouble::Failing(_), Some(said)) => said.short().to_owned(),
        _ => case.controller_waits_for(trouble),
    }
}

fn capacity_raised(case: &Case<'_>, standing: &Standing) -> Step {
    let mark = match standing {
        Standing::Unseen | Standing::Controller(_) => Mark::Ahead,
        Standing::Idle if !case.is_recorded() => Mark::Ahead,
        _ => Mark::Done,
    };
    let (volume, capacity) = (&case.persistent.name, case.provided().to);
    step(
        ExpandStage::CapacityRaised,
        mark,
        format!("persistentvolume {volume} has {capacity}"),
    )
}

fn node_expanded(case: &Case<'_>, standing: &Standing, ground: &Ground) -> Step {
    let stage = ExpandStage::NodeExpanded;
    match (standing, ground) {
        (Standing::Unseen | Standing::Controller(_), _) => {
            step(stage, Mark::Ahead, "the storage comes first")
        }
        (Standing::Idle, _) if !case.is_recorded() => step(stage, Mark::Ahead, ""),
        (Standing::Idle | Standing::Marked, Ground::DeviceSmall { device }) => step(
            stage,
            Mark::Stuck,
            format!("told to be done, and the block device still has {device}"),
        ),
        (Standing::Idle | Standing::Marked, _) if case.claim.node_expansion_not_required => step(
            stage,
            Mark::Done,
            "the controller said that no node is needed",
        ),
        (Standing::Idle | Standing::Marked, _) => match kubelet_said(case) {
            Some(event) => step(
                stage,
                Mark::Done,
                format!("event {} by {}", event.reason, event.by),
            )
            .when(event.at),
            None => step(
                stage,
                Mark::Done,
                format!("the claim says that it has {}", case.provided().from),
            ),
        },
        (Standing::Node(trouble), Ground::Covers { grown: true })
            if !trouble.is_failure() && !case.is_shared() =>
        {
            step(stage, Mark::Done, "the volume has grown, whoever did it")
        }
        (Standing::Node(trouble), _) => step(
            stage,
            mark(trouble),
            match trouble.said().filter(|_| trouble.is_failure()) {
                Some(said) => said.short().to_owned(),
                None => case.node_waits_for(trouble),
            },
        ),
    }
}

/// The kubelet's last word that its half is done.
fn kubelet_said<'a>(case: &Case<'a>) -> Option<&'a Event> {
    let events = case.volume.events.items.iter();
    events
        .filter(|event| event.reason == "FileSystemResizeSuccessful")
        .max_by_key(|event| event.at)
}

fn filesystem_grown(case: &Case<'_>, standing: &Standing, ground: &Ground) -> Step {
    let stage = ExpandStage::FilesystemGrown;
    let says = format!("the claim says {}", case.provided().from);
    let what = match case.volume.mode {
        VolumeMode::Filesystem => "filesystem",
        VolumeMode::Block => "device",
    };
    match (standing, ground) {
        (Standing::Unseen | Standing::Controller(_), _) => step(
            stage,
            Mark::Ahead,
            format!("{says}; the storage comes first"),
        ),
        (_, Ground::FilesystemSmall { filesystem, floor }) => step(
            stage,
            Mark::Stuck,
            format!("{says}; the filesystem has {filesystem} of {floor}"),
        ),
        (Standing::Idle, _) if !case.is_recorded() => step(stage, Mark::Ahead, ""),
        (_, Ground::DeviceSmall { .. }) => step(
            stage,
            Mark::Ahead,
            format!("{says}; the device comes first"),
        ),
        (_, Ground::Unseen(gap)) => unknown(&says, gap),
        (_, Ground::NotHere) => step(
            stage,
            Mark::Unknown,
            format!("{says}; it is mounted in no pod there, so nobody can see"),
        ),
        (Standing::Node(_) | Standing::Marked, _) => step(
            stage,
            Mark::Waiting,
            format!("{says}, and is not told to be done; {}", bytes(case, what)),
        ),
        (_, Ground::Silent) => step(
            stage,
            Mark::Done,
            format!("{says}; its bytes are a server's matter"),
        ),
        (_, Ground::Covers { .. }) => {
            step(stage, Mark::Done, format!("{says}; {}", bytes(case, what)))
        }
    }
}

fn bytes(case: &Case<'_>, what: &str) -> String {
    let sizes = &case.volume.sizes;
    match (&sizes.filesystem, &sizes.device) {
        (Observed::Known(Some(size)), _) => format!("the {what} has {size}"),
        (_, Observed::Known(Some(size))) => format!("the device has {size}"),
        _ => format!("the {what} does not tell"),
    }
}

fn unknown(says: &str, gap: &Gap) -> Step {
    step(
        ExpandStage::FilesystemGrown,
        Mark::Unknown,
        format!("{says}; {gap}"),
    )
}
