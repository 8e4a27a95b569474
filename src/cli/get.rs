//! `get`: findings, volumes, nodes and drivers from a collector, once or as they change.

use std::collections::BTreeMap;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::args::{FailOn, GetArgs, Kind, Output};
use crate::cli::{Answer, findings_in, found, volumes_in};
use crate::grpc::client::{Listed, Reader};
use crate::model::finding::{Code, Object};
use crate::model::view::{NodeStatus, NodeVolume, Story};
use crate::program;
use crate::render;

/// By what nodes told a collector.
pub(super) async fn get(
    mut reader: Reader,
    args: &GetArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    if args.selector.is_some() {
        bail!(
            "a collector keeps no labels, and so cannot know: -l is for `report`, which reads objects itself"
        );
    }
    if args.watch {
        return watch(reader, args).await;
    }
    let output = args.output.output;
    let (text, found) = match args.what {
        Kind::Findings => {
            let Listed { at, items: stories } = reader.findings(&findings_in(&args.scope)).await?;
            (findings(at, &stories, output), found(&stories, fail_on))
        }
        Kind::Volumes => {
            let Listed {
                at,
                items: mut volumes,
            } = reader.volumes(&volumes_in(&args.scope, None)).await?;
            volumes.sort_by(|one, other| by_name(one).cmp(&by_name(other)));
            let stories = reader.findings(&findings_in(&args.scope)).await?.items;
            let text = match output {
                Some(Output::Json | Output::Yaml) => render::json::volumes(at, &volumes),
                Some(Output::Name) => {
                    let objects: Vec<Object> =
                        volumes.iter().map(|one| one.volume.object()).collect();
                    render::names(objects.iter())
                }
                Some(Output::Wide) | None => render::lists::volumes(&volumes, &stories),
            };
            (text, false)
        }
        Kind::Nodes | Kind::Drivers => {
            let Listed { at, items: nodes } = reader.nodes().await?;
            (of_nodes(at, &nodes, args), false)
        }
    };
    Ok(Answer::new(text, found))
}

fn findings(at: Timestamp, stories: &[Story], output: Option<Output>) -> String {
    match output {
        Some(Output::Json | Output::Yaml) => render::json::findings(at, stories),
        Some(Output::Name) => names(stories),
        Some(Output::Wide) | None if stories.is_empty() => "No findings.\n".to_owned(),
        wide => render::lists::findings(at, stories, wide.is_some()),
    }
}

fn names(stories: &[Story]) -> String {
    render::names(
        stories
            .iter()
            .map(|story| &story.finding.key.subject.object),
    )
}

fn of_nodes(at: Timestamp, nodes: &[NodeStatus], args: &GetArgs) -> String {
    let is_nodes = args.what == Kind::Nodes;
    match args.output.output {
        Some(Output::Json | Output::Yaml) if is_nodes => render::json::nodes(at, nodes),
        Some(Output::Json | Output::Yaml) => render::json::drivers(at, nodes),
        Some(Output::Name) => {
            let of = |node: &NodeStatus| {
                let drivers = node
                    .drivers
                    .iter()
                    .map(|one| Object::Driver(one.name.clone()));
                if is_nodes {
                    vec![Object::Node(node.name.clone())]
                } else {
                    drivers.collect()
                }
            };
            let objects: Vec<Object> = nodes.iter().flat_map(of).collect();
            render::names(objects.iter())
        }
        Some(Output::Wide) | None if is_nodes => render::lists::nodes(at, nodes),
        Some(Output::Wide) | None => render::lists::drivers(nodes),
    }
}

/// The order of volumes: the collector tells them node by node.
fn by_name(one: &NodeVolume) -> impl Ord + '_ {
    let volume = &one.volume;
    (
        volume.namespaces().next(),
        volume.names().next(),
        one.node.as_str(),
    )
}

/// Prints findings, and then what changes; comes back when the collector ends.
async fn watch(mut reader: Reader, args: &GetArgs) -> anyhow::Result<Answer> {
    let wide = match args.output.output {
        None => false,
        Some(Output::Wide) => true,
        Some(_) => bail!("--watch prints a table; programs watch by WatchFindings (docs/api.md)"),
    };
    if args.what != Kind::Findings {
        bail!("findings can be watched, and nothing else");
    }
    let mut changes = reader.watch(&findings_in(&args.scope)).await?;
    let mut known: BTreeMap<(Code, Object), Story> = BTreeMap::new();
    let mut begun = false;
    while let Some(now) = changes.next().await? {
        let mut gone: Vec<Story> = now
            .gone
            .iter()
            .filter_map(|key| known.remove(key))
            .collect();
        if now.full {
            gone.extend(std::mem::take(&mut known).into_values());
        }
        for story in &now.changed {
            let key = &story.finding.key;
            known.insert(
                (key.code.clone(), key.subject.object.clone()),
                story.clone(),
            );
        }
        if now.full && begun {
            // After a gap in hearing, what is still there was not gone.
            gone.retain(|story| {
                let key = &story.finding.key;
                !known.contains_key(&(key.code.clone(), key.subject.object.clone()))
            });
        }
        if begun {
            program::print(&render::lists::changes(now.at, &now.changed, &gone, wide));
        } else {
            program::print(&render::lists::findings(now.at, &now.changed, wide));
        }
        begun = true;
    }
    bail!("the collector has ended the watch; ask again")
}
