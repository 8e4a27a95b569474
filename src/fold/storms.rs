//! Storms: one dead server behind many volumes is one story about the server.
//!
//! Only what judges whether a filesystem answers is folded so: a missing mount or a full export of
//! the same server is nobody else's fault. What is behind a volume is asked of its mounts, as the
//! nodes see them; one that names no server, or several, stays a story of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::fold::{Places, certainty};
use crate::model::finding::{Code, Evidence, Finding, Key, Object, Problem, Subject};
use crate::model::mount::Mount;
use crate::model::names::{NodeName, ServerName};
use crate::model::stage::{MountStage, Stage};
use crate::model::view::Story;
use crate::model::volume::Volume;

/// How many of the volumes are named in the story's evidence; all are among what it explains.
const NAMED: usize = 8;

/// Puts stories together that one server is behind.
pub(super) fn by_server(stories: Vec<Story>, places: &Places<'_>) -> Vec<Story> {
    let mut servers: BTreeMap<(Code, ServerName), Vec<Story>> = BTreeMap::new();
    let mut others = Vec::new();
    for story in stories {
        match server(&story, places) {
            Some(server) => {
                let key = (story.finding.key.code.clone(), server);
                servers.entry(key).or_default().push(story);
            }
            None => others.push(story),
        }
    }
    for ((code, server), mut members) in servers {
        if members.len() == 1 {
            others.append(&mut members);
        } else {
            others.extend(storm(code, server, members));
        }
    }
    others
}

/// The one server behind all mounts of the volume that the story is about.
fn server(story: &Story, places: &Places<'_>) -> Option<ServerName> {
    let finding = &story.finding;
    if story.silenced.is_some() || finding.stage != Some(Stage::Mount(MountStage::Answers)) {
        return None;
    }
    let object = &finding.key.subject.object;
    let servers: BTreeSet<Option<ServerName>> = story
        .places
        .iter()
        .flat_map(|node| places.known_by(node, object))
        .flat_map(Volume::mounts)
        .map(Mount::server)
        .collect();
    let mut servers = servers.into_iter();
    match (servers.next(), servers.next()) {
        (Some(server), None) => server,
        _ => None,
    }
}

/// The story about the server. The most certain and worst of its members leads, of these the oldest.
fn storm(code: Code, server: ServerName, mut members: Vec<Story>) -> Option<Story> {
    members.sort_by_cached_key(|story| {
        let finding = &story.finding;
        let (seen, key) = (finding.first_seen, finding.key.clone());
        (certainty(finding), Reverse(finding.severity), seen, key)
    });
    let lead = &members.first()?.finding;
    let nodes: BTreeSet<&NodeName> = members.iter().flat_map(|story| &story.places).collect();
    let places: Vec<NodeName> = nodes.into_iter().cloned().collect();
    let problem = problem(&server, lead, &members, places.len());
    let all = || members.iter().map(|story| &story.finding);
    let finding = Finding {
        key: Key {
            code,
            subject: Subject {
                object: Object::Server(server),
                node: None,
            },
        },
        severity: lead.severity,
        stage: lead.stage,
        state: lead.state.clone(),
        first_seen: all().map(|one| one.first_seen).min()?,
        opened: all().filter_map(|one| one.opened).min(),
        last_confirmed: all().map(|one| one.last_confirmed).max()?,
        flaps: lead.flaps,
        problem,
    };
    let explains = members
        .into_iter()
        .flat_map(|story| std::iter::once(shortened(story.finding)).chain(story.explains))
        .collect();
    Some(Story {
        finding,
        places,
        explains,
        silenced: None,
    })
}

fn problem(server: &ServerName, lead: &Finding, members: &[Story], nodes: usize) -> Problem {
    let nodes = match nodes {
        1 => "one node".to_owned(),
        nodes => format!("{nodes} nodes"),
    };
    let mut names: Vec<String> = members
        .iter()
        .map(|story| story.finding.key.subject.object.to_string())
        .collect();
    names.sort();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let oldest = names.join(", ") + &rest;
    let mut problem = lead.problem.clone();
    problem.message = format!(
        "{} volumes on {nodes} have the same problem, and server {server} is behind all of them. The oldest: {}",
        members.len(),
        lead.problem.message
    );
    let evidence = Evidence {
        fact: format!("volumes of server {server} with this problem"),
        value: oldest,
        source: "sources of their mounts".to_owned(),
    };
    problem.evidence.insert(0, evidence);
    problem.related.insert(0, lead.key.subject.object.clone());
    problem
}

/// A member, with its sentence alone: evidence and next steps are those of the story.
fn shortened(mut finding: Finding) -> Finding {
    finding.problem = Problem {
        since: finding.problem.since,
        severity: finding.problem.severity,
        ..Problem::new(finding.problem.message)
    };
    finding
}
