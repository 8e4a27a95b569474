//! `describe`: one thing in full, with its evidence and what to do.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::finding::{Finding, Object, State};
use crate::model::mount::Mount;
use crate::model::names::{HostPath, NodeName};
use crate::model::objects::VolumeMode;
use crate::model::observed::Observed;
use crate::model::sizes::{Bytes, SOURCES, Sizes};
use crate::model::view::{NodeVolume, Story};
use crate::model::volume::{Published, Volume};
use crate::render::facts::mount_of;
use crate::render::lists::{self, is_about};
use crate::render::table::severity_style;
use crate::render::{age, moment};

/// The widest bar of the ladder, in characters.
const BAR: u64 = 32;

/// A volume: what it is, its sizes, its mounts, and the stories about it.
pub fn volume(at: Timestamp, one: &NodeVolume, stories: &[Story]) -> String {
    let volume = &one.volume;
    let mut text = String::new();
    let _ = writeln!(text, "Volume:    {}", volume.spec_name);
    let _ = writeln!(text, "About:     {}", volume.object());
    let _ = writeln!(text, "Driver:    {}", volume.driver);
    let _ = writeln!(text, "Handle:    {}", known(&volume.handle));
    let _ = writeln!(
        text,
        "Node:      {}, seen {} ago{}",
        one.node,
        age(at, one.observed_at),
        if one.silent {
            "; silent since, so none of this is certain"
        } else {
            ""
        }
    );
    let _ = writeln!(text, "Attached:  {}", attached(volume));
    let _ = writeln!(text, "Usage:     {}", usage(volume));
    let _ = writeln!(text, "Driver says: {}", driver_says(volume));
    let _ = writeln!(
        text,
        "\nSizes, from the request to the filesystem, as seen at {}:",
        moment(one.observed_at)
    );
    text.push_str(&ladder(&volume.sizes));
    let _ = writeln!(text, "\nMounts:");
    if let Some(staging) = &volume.staging {
        text.push_str(&mount("staged", staging, &volume.staged));
    }
    for published in &volume.published {
        text.push_str(&pod(published));
    }
    let about: Vec<&Story> = stories
        .iter()
        .filter(|story| is_about(story, &volume.object(), &one.node))
        .collect();
    if about.is_empty() {
        let _ = writeln!(text, "\nFindings: none");
    }
    let driver = Object::Driver(volume.driver.clone());
    for ill in stories
        .iter()
        .filter(|story| is_about(story, &driver, &one.node))
    {
        let finding = &ill.finding;
        let _ = writeln!(
            text,
            "\nIts driver: {} ({}): {}\n  More: kubectl csi-doctor describe driver {}",
            finding.key.code, finding.severity, finding.problem.message, volume.driver
        );
    }
    for one in about {
        let _ = writeln!(text, "\n{}", story(at, one).trim_end());
    }
    text
}

/// A story: the finding to act on, its evidence, what to do, and what follows from it.
pub fn story(at: Timestamp, story: &Story) -> String {
    let finding = &story.finding;
    let style = severity_style(finding.severity);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{style}{}{style:#} ({}): {}",
        finding.key.code, finding.severity, finding.key.subject.object
    );
    let _ = writeln!(text, "  {}", finding.problem.message);
    let _ = writeln!(text, "  State: {}", life(at, finding));
    if let Some(stage) = finding.stage {
        let _ = writeln!(text, "  Stage: {stage}");
    }
    if let Some(cause) = finding.problem.cause {
        let _ = writeln!(text, "  Cause: {} ({})", cause.id, cause.confidence);
    }
    if story.places.len() > 1 {
        let nodes: Vec<&str> = story.places.iter().map(NodeName::as_str).collect();
        let _ = writeln!(text, "  Seen on: {}", nodes.join(", "));
    }
    if let Some(by) = &story.silenced {
        let _ = writeln!(text, "  Silenced: {by}");
    }
    let _ = writeln!(text, "  Evidence:");
    for evidence in &finding.problem.evidence {
        let _ = writeln!(
            text,
            "    - {}: {}  [{}]",
            evidence.fact, evidence.value, evidence.source
        );
    }
    let _ = writeln!(text, "  What to do:");
    for (at, step) in finding.problem.next.iter().enumerate() {
        let _ = writeln!(text, "    {}. {}", at + 1, step.what);
        if let Some(command) = &step.command {
            let _ = writeln!(text, "       {command}");
        }
    }
    for explained in &story.explains {
        let _ = writeln!(
            text,
            "  From this follows {}: {}",
            explained.key.code, explained.problem.message
        );
    }
    let _ = writeln!(
        text,
        "  More: kubectl csi-doctor explain {}",
        finding.key.code
    );
    text
}

fn life(at: Timestamp, finding: &Finding) -> String {
    let back = match finding.flaps {
        0 => String::new(),
        1 => ", came back once within an hour".to_owned(),
        times => format!(", came back {times} times, each within an hour"),
    };
    let seen = format!(
        "first seen {} ({} ago), last confirmed {} ago{back}",
        moment(finding.first_seen),
        age(at, finding.first_seen),
        age(at, finding.last_confirmed)
    );
    match &finding.state {
        State::Settling => format!("settling, it may go by itself; {seen}"),
        State::Open => format!("open; {seen}"),
        State::Unconfirmed { since, why } => {
            format!("unconfirmed for {}, {why}; {seen}", age(at, *since))
        }
        State::Resolved { at: when, how } => {
            format!("resolved {} ago ({}); {seen}", age(at, *when), how.as_str())
        }
    }
}

fn known<T: std::fmt::Display>(fact: &Observed<T>) -> String {
    match fact {
        Observed::Known(fact) => fact.to_string(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    }
}

fn attached(volume: &Volume) -> String {
    match &volume.attachment {
        Observed::Known(Some(one)) if one.attached => format!("yes, {}", one.name),
        Observed::Known(Some(one)) => match &one.error {
            Some(error) => format!("no: {error}"),
            None => format!("not yet, {}", one.name),
        },
        Observed::Known(None) => "no attachment, as with drivers that attach nothing".to_owned(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    }
}

fn usage(volume: &Volume) -> String {
    if volume.mode == VolumeMode::Block {
        return "a raw block device: what uses it knows".to_owned();
    }
    match volume.usage() {
        Observed::Known(usage) => format!(
            "{} of {} ({} %), {} left; {} of {} inodes",
            Bytes(usage.used_bytes),
            Bytes(usage.total_bytes),
            usage.percent_used(),
            Bytes(usage.available_bytes),
            usage.used_inodes,
            usage.total_inodes
        ),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    }
}

fn driver_says(volume: &Volume) -> String {
    match &volume.stats {
        Observed::Known(stats) => match &stats.condition {
            Some(condition) if condition.abnormal => format!("abnormal: {}", condition.message),
            Some(condition) => format!("normal: {}", condition.message),
            None => "nothing of its health".to_owned(),
        },
        Observed::Unknown(gap) => format!("not known: {gap}"),
    }
}

fn pod(published: &Published) -> String {
    let state = match &published.state {
        Observed::Known(state) => format!("{state:?}").to_lowercase(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    };
    let mut text = mount(
        &format!("in pod {} ({state})", published.pod),
        &published.target,
        &published.mount,
    );
    if let Observed::Known(Some(by)) = &published.asked_read_only {
        let _ = writeln!(text, "    read-only is asked for by {by}");
    }
    text
}

fn mount(what: &str, path: &HostPath, mount: &Observed<Option<Mount>>) -> String {
    let is = match mount {
        Observed::Known(Some(mount)) => mount_of(mount),
        Observed::Known(None) => "nothing is mounted there".to_owned(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    };
    format!("  {what}\n    {path}\n    {is}\n")
}

/// The seven sizes as aligned bars, the largest one filling the width.
fn ladder(sizes: &Sizes) -> String {
    let filesystem = sizes
        .filesystem
        .as_ref()
        .map(|size| size.map(|size| size.at_least));
    let steps = [
        ("claim's request", &sizes.request),
        ("allocated", &sizes.allocated),
        ("volume's capacity", &sizes.capacity),
        ("block device", &sizes.device),
        ("filesystem", &filesystem),
        ("claim's status", &sizes.status),
        ("driver says", &sizes.driver),
    ];
    let known = steps.iter().filter_map(|(_, size)| *size.known()?);
    let largest = known.max().unwrap_or_default();
    let mut sources = SOURCES.into_iter();
    let rows = steps.map(|(name, size)| {
        let source = sources.next().unwrap_or_default();
        let shown = match &sizes.filesystem {
            Observed::Known(Some(range)) if name == "filesystem" => range.to_string(),
            _ => lists::size(size),
        };
        let bar = match size {
            Observed::Known(Some(size)) => bar(*size, largest),
            Observed::Known(None) => "there is none".to_owned(),
            Observed::Unknown(gap) => gap.to_string(),
        };
        (name, shown, source, bar)
    });
    let width = rows
        .iter()
        .map(|(_, shown, ..)| shown.len())
        .max()
        .unwrap_or(0);
    let lines = rows.map(|(name, shown, source, bar)| {
        format!("  {name:<17}  {shown:>width$}  {source:<18}  {bar}\n")
    });
    lines.concat()
}

fn bar(size: Bytes, largest: Bytes) -> String {
    let length = u128::from(size.0) * u128::from(BAR) / u128::from(largest.0.max(1));
    "█".repeat(usize::try_from(length).unwrap_or_default().max(1))
}
