//! `get findings|volumes|nodes|drivers`: one line each.

use jiff::Timestamp;

use crate::model::driver::Driver;
use crate::model::finding::{Object, Subject};
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::sizes::Bytes;
use crate::model::stage::Stage;
use crate::model::view::{NodeStatus, NodeVolume, Story};
use crate::render::age;
use crate::render::table::{Cell, table};

/// The stories, one line each; `wide` adds the stage and the message.
pub fn findings(at: Timestamp, stories: &[Story], wide: bool) -> String {
    let all: Vec<(&Story, bool)> = stories.iter().map(|story| (story, false)).collect();
    stories_in_lines(at, &all, wide)
}

/// What has changed since these lists were printed, without heads; what is gone says so.
pub fn changes(at: Timestamp, changed: &[Story], gone: &[Story], wide: bool) -> String {
    let changed = changed.iter().map(|story| (story, false));
    let all: Vec<(&Story, bool)> = changed
        .chain(gone.iter().map(|story| (story, true)))
        .collect();
    let text = stories_in_lines(at, &all, wide);
    text.split_once('\n')
        .map_or(String::new(), |(_, rows)| rows.to_owned())
}

/// Stories, each with whether it is gone.
fn stories_in_lines(at: Timestamp, stories: &[(&Story, bool)], wide: bool) -> String {
    let rows = stories.iter().map(|(story, gone)| {
        let finding = &story.finding;
        [
            Cell::severity(finding.severity),
            finding.key.code.to_string().into(),
            finding.key.subject.object.to_string().into(),
            places(story).into(),
            if *gone {
                "gone".into()
            } else if story.silenced.is_some() {
                "silenced".into()
            } else {
                Cell::state(&finding.state)
            },
            age(at, finding.first_seen).into(),
        ]
    });
    let heads = ["SEVERITY", "CODE", "OBJECT", "NODE", "STATE", "AGE"];
    if !wide {
        return table(heads, &rows.collect::<Vec<_>>());
    }
    let [severity, code, object, node, state, seen] = heads;
    let heads = [
        severity, code, object, node, state, seen, "STAGE", "MESSAGE",
    ];
    let rows = rows.zip(stories).map(
        |([severity, code, object, node, state, seen], (story, _))| {
            let step = story.finding.stage.map_or("-", Stage::as_str);
            let message = story.finding.problem.message.as_str();
            [
                severity,
                code,
                object,
                node,
                state,
                seen,
                step.into(),
                message.into(),
            ]
        },
    );
    table(heads, &rows.collect::<Vec<_>>())
}

/// The nodes of a story.
pub(super) fn places(story: &Story) -> String {
    match story.places.as_slice() {
        [] => "-".to_owned(),
        [node] => node.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// Volumes, one line each, with the stories about them.
pub fn volumes(volumes: &[NodeVolume], stories: &[Story]) -> String {
    let rows = volumes.iter().map(|one| {
        let volume = &one.volume;
        let object = volume.object();
        let usage = volume.usage();
        let about = stories
            .iter()
            .filter(|story| is_about(story, &object, &one.node));
        let codes: Vec<&str> = about
            .map(|story| story.finding.key.code.0.as_str())
            .collect();
        [
            object.namespace().unwrap_or("-").into(),
            claim_name(&object).into(),
            volume.spec_name.as_str().into(),
            volume.driver.as_str().into(),
            one.node.as_str().into(),
            size(&volume.sizes.request).into(),
            size(&volume.sizes.capacity).into(),
            usage.known().map_or("?".into(), |usage| {
                Bytes(usage.used_bytes).to_string().into()
            }),
            usage.known().map_or("?".into(), |usage| {
                format!("{}%", usage.percent_used()).into()
            }),
            if codes.is_empty() {
                "-".into()
            } else {
                codes.join(",").into()
            },
        ]
    });
    let heads = [
        "NAMESPACE",
        "CLAIM",
        "VOLUME",
        "DRIVER",
        "NODE",
        "REQUEST",
        "CAPACITY",
        "USED",
        "USE%",
        "FINDINGS",
    ];
    table(heads, &rows.collect::<Vec<_>>())
}

/// Whether a story, or what it explains, is about this object on this node.
pub fn is_about(story: &Story, object: &Object, node: &NodeName) -> bool {
    let same = |subject: &Subject| subject.object == *object;
    (same(&story.finding.key.subject) && (story.places.is_empty() || story.places.contains(node)))
        || story
            .explains
            .iter()
            .any(|finding| same(&finding.key.subject))
}

fn claim_name(object: &Object) -> &str {
    match object {
        Object::Claim(claim) => &claim.name,
        _ => "-",
    }
}

/// A size: `-` where the volume has none, `?` where it is not known.
pub(super) fn size(size: &Observed<Option<Bytes>>) -> String {
    match size {
        Observed::Known(Some(size)) => size.to_string(),
        Observed::Known(None) => "-".to_owned(),
        Observed::Unknown(_) => "?".to_owned(),
    }
}

/// Nodes, one line each.
pub fn nodes(at: Timestamp, nodes: &[NodeStatus]) -> String {
    let rows = nodes.iter().map(|node| {
        [
            node.name.as_str().into(),
            if node.silent { "silent" } else { "heard" }.into(),
            age(at, node.heard).into(),
            node.volumes.to_string().into(),
            node.drivers.len().to_string().into(),
            node.gaps.len().to_string().into(),
            node.agent_version.as_str().into(),
        ]
    });
    let heads = [
        "NAME",
        "AGENT",
        "LAST HEARD",
        "VOLUMES",
        "DRIVERS",
        "GAPS",
        "VERSION",
    ];
    table(heads, &rows.collect::<Vec<_>>())
}

/// The drivers of all nodes, one line each.
pub fn drivers(nodes: &[NodeStatus]) -> String {
    let rows = nodes.iter().flat_map(|node| {
        node.drivers.iter().map(|driver| {
            [
                driver.name.as_str().into(),
                node.name.as_str().into(),
                answers(driver).into(),
                driver
                    .plugin
                    .known()
                    .map_or("-", |plugin| plugin.version.as_str())
                    .into(),
                if driver.expected_by.is_empty() {
                    "-".into()
                } else {
                    driver.expected_by.join(", ").into()
                },
            ]
        })
    });
    table(
        ["DRIVER", "NODE", "ANSWERS", "VERSION", "EXPECTED BY"],
        &rows.collect::<Vec<_>>(),
    )
}

fn answers(driver: &Driver) -> &'static str {
    match &driver.plugin {
        Observed::Known(plugin) => match plugin.ready {
            Observed::Known(true) => "ready",
            Observed::Known(false) => "not ready",
            Observed::Unknown(_) => "yes, readiness unknown",
        },
        Observed::Unknown(gap) => gap.why.as_str(),
    }
}
