//! Which words are to be put on objects: one when a story opens, one when it is over.
//!
//! It sees one view after the other and remembers what was told; it has no clock and does nothing
//! itself (`announce.rs` does). What an earlier life of the collector told is known by the time when
//! it opened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::finding::{Code, Object, Resolution, Severity, State};
use crate::model::names::NodeName;
use crate::model::notice::{Notice, Turn};
use crate::model::view::{Story, View};

/// What opened so shortly before this collector began may not have been told by the one before. It is
/// said again, by the same name: the API server knows, for an hour at least, whether it was.
const AGAIN: Duration = Duration::from_mins(5);

/// So many intervals of an agent pass before a collector that remembers nothing says anything: what
/// it sees first was told by an earlier life.
const QUIET_INTERVALS: u32 = 2;

/// Of an agent that does not say its interval, and of the collector itself.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);

type Id = (Code, Object);

/// What was told.
#[derive(Debug)]
pub(super) struct Notices {
    begun: Timestamp,
    remembers: bool,
    told: BTreeMap<Id, Told>,
}

/// A story that is not over.
#[derive(Debug)]
struct Told {
    episode: Timestamp,
    /// What carries the word of its end; none where nothing is to be said.
    on: Option<Object>,
    /// As it was worded last.
    message: String,
    /// Of a storm: those who have been in it. It is not over before they are.
    members: BTreeSet<Object>,
}

impl Notices {
    /// Of a collector that began now, and remembers findings of an earlier life or does not.
    pub(super) fn new(begun: Timestamp, remembers: bool) -> Self {
        Self {
            begun,
            remembers,
            told: BTreeMap::new(),
        }
    }

    /// What is to be told now that things are so.
    pub(super) fn next(&mut self, view: &View) -> Vec<Notice> {
        let mut notices = self.openings(view);
        notices.extend(self.ends(view));
        notices
    }

    fn openings(&mut self, view: &View) -> Vec<Notice> {
        let mut notices = Vec::new();
        for story in view.stories.iter().filter(|story| story.counts()) {
            let (finding, key) = (&story.finding, &story.finding.key);
            let id = (key.code.clone(), key.subject.object.clone());
            let members = members(story);
            if let Some(told) = self.told.get_mut(&id) {
                told.message.clone_from(&finding.problem.message);
                told.members.extend(members);
                continue;
            }
            let episode = finding.opened.unwrap_or(finding.first_seen);
            let in_storm = self
                .told
                .iter()
                .any(|((code, _), told)| *code == id.0 && told.members.contains(&id.1));
            let on = carrier(story).filter(|_| !in_storm);
            let is_news = !self.was_told(story, episode, view);
            if let Some(on) = on.clone().filter(|_| is_news) {
                notices.push(Notice {
                    on,
                    code: id.0.clone(),
                    subject: id.1.clone(),
                    episode,
                    turn: Turn::Opened,
                    is_warning: finding.severity > Severity::Info,
                    note: finding.problem.message.clone(),
                    at: episode,
                });
            }
            let told = Told {
                episode,
                on,
                message: finding.problem.message.clone(),
                members: members.collect(),
            };
            self.told.insert(id, told);
        }
        notices
    }

    /// Whether an earlier life of the collector told of it, as far as one can know.
    fn was_told(&self, story: &Story, episode: Timestamp, view: &View) -> bool {
        if self.remembers {
            return episode < self.begun - AGAIN;
        }
        let intervals = story.places.iter().filter_map(|place| {
            let at = view.nodes.binary_search_by(|node| node.name.cmp(place));
            Some(view.nodes[at.ok()?].brief.interval)
        });
        let interval = intervals.filter(|one| !one.is_zero()).max();
        let quiet = interval.unwrap_or(DEFAULT_INTERVAL) * QUIET_INTERVALS;
        story.finding.first_seen < self.begun + quiet
    }

    fn ends(&mut self, view: &View) -> Vec<Notice> {
        let present: BTreeSet<(&Code, &Object)> = view
            .stories
            .iter()
            .flat_map(|story| std::iter::once(&story.finding).chain(&story.explains))
            .filter(|finding| !matches!(finding.state, State::Resolved { .. }))
            .map(|finding| (&finding.key.code, &finding.key.subject.object))
            .collect();
        let mut notices = Vec::new();
        self.told.retain(|(code, object), told| {
            let is_there = |object: &Object| present.contains(&(code, object));
            if is_there(object) || told.members.iter().any(is_there) {
                return true;
            }
            let is_it = |ended: &Object| ended == object || told.members.contains(ended);
            let mut ended = view.ended.iter().rev();
            let ended = ended.find(|one| one.key.code == *code && is_it(&one.key.subject.object));
            if let Some(on) = told.on.take() {
                let how = ended.map_or("", |ended| words(ended.how));
                notices.push(Notice {
                    on,
                    code: code.clone(),
                    subject: object.clone(),
                    episode: told.episode,
                    turn: Turn::Resolved,
                    is_warning: false,
                    note: format!("Over{how}. It was: {}", told.message),
                    at: ended.map_or(view.at, |ended| ended.at),
                });
            }
            false
        });
        notices
    }
}

fn words(how: Resolution) -> &'static str {
    match how {
        Resolution::Ok => ": it was looked at and is well",
        Resolution::SubjectGone => ": what it was about is gone",
        Resolution::SourceGone => {
            ": its node was not heard for so long that it is taken to be gone"
        }
    }
}

/// Those who are in a storm, which is a story about their server.
fn members(story: &Story) -> impl Iterator<Item = Object> {
    let key = &story.finding.key;
    let is_storm = matches!(key.subject.object, Object::Server(_));
    let explains = story.explains.iter().map(|one| &one.key);
    explains
        .filter(move |one| is_storm && one.code == key.code)
        .map(|one| one.subject.object.clone())
}

/// What carries the word: the object itself; for what is none of Kubernetes', the first node that sees
/// it. An Event on each of a storm's claims would be a storm of its own.
fn carrier(story: &Story) -> Option<Object> {
    let subject = &story.finding.key.subject;
    match &subject.object {
        Object::Driver(_) | Object::Server(_) => {
            let place: Option<&NodeName> = subject.node.as_ref().or(story.places.first());
            place.cloned().map(Object::Node)
        }
        object => Some(object.clone()),
    }
}

#[cfg(test)]
mod tests;
