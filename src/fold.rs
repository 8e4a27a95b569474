//! Findings of all sources → one story per thing that is wrong, worst first.
//!
//! The same finding from several nodes is one story with several places. Of the open findings on
//! one object's way the earliest stuck step is the story, and later ones that its places share
//! follow from it. A claim's annotation silences: shown, not counted. It knows no history and no
//! clock; the moment is given.

#![deny(clippy::disallowed_methods)]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::finding::{Code, Finding, Object, Severity, State};
use crate::model::names::{DriverName, NodeName};
use crate::model::stage::{MountStage, Stage};
use crate::model::view::{NodeView, Story, View};
use crate::model::volume::Volume;

/// Everything that a reader may see at this moment. `nodes` may come in any order.
pub fn fold<'a>(
    at: Timestamp,
    nodes: &[NodeView],
    findings: impl Iterator<Item = &'a Finding>,
) -> View {
    let mut nodes = nodes.to_vec();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let places = Places { nodes: &nodes };
    let mut stories = by_place(findings);
    for story in &mut stories {
        story.silenced = silenced(story, &places, at);
    }
    let mut stories = by_stage(stories, &places);
    stories.sort_by_cached_key(order);
    View { at, nodes, stories }
}

/// The least certain state that counts: open once, and now unconfirmed.
const COUNTED: u8 = 1;

/// How certain a state is: the most certain one speaks for all places.
fn certainty(finding: &Finding) -> u8 {
    match finding.state {
        State::Open => 0,
        State::Unconfirmed { .. } if finding.opened.is_some() => COUNTED,
        State::Settling => 2,
        State::Unconfirmed { .. } => 3,
        State::Resolved { .. } => 4,
    }
}

/// Severity, counted before silenced, state, then code and subject, so that lists stand still.
fn order(story: &Story) -> impl Ord + use<> {
    let finding = &story.finding;
    (
        Reverse(finding.severity),
        story.silenced.is_some(),
        certainty(finding),
        finding.key.clone(),
    )
}

/// One story per code and object, with the nodes that see it.
fn by_place<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Story> {
    let mut groups: BTreeMap<(&Code, &Object), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        groups
            .entry((&finding.key.code, &finding.key.subject.object))
            .or_default()
            .push(finding);
    }
    groups.into_values().filter_map(one_story).collect()
}

fn one_story(mut findings: Vec<&Finding>) -> Option<Story> {
    // What is over in one place says nothing of the others.
    let over = |finding: &&Finding| matches!(finding.state, State::Resolved { .. });
    if !findings.iter().all(over) {
        findings.retain(|finding| !over(finding));
    }
    findings.sort_by_key(|finding| {
        (
            certainty(finding),
            Reverse(finding.severity),
            finding.first_seen,
            &finding.key.subject.node,
        )
    });
    let mut leading = (*findings.first()?).clone();
    for finding in &findings {
        leading.first_seen = leading.first_seen.min(finding.first_seen);
    }
    let mut places: Vec<NodeName> = findings
        .iter()
        .filter_map(|finding| finding.key.subject.node.clone())
        .collect();
    places.sort();
    places.dedup();
    Some(Story {
        finding: leading,
        places,
        explains: Vec::new(),
        silenced: None,
    })
}

/// Puts stories under those that they follow from. Silenced ones take no part: what is not counted
/// must not hide what is.
fn by_stage(stories: Vec<Story>, places: &Places<'_>) -> Vec<Story> {
    let causes: Vec<Option<usize>> = stories
        .iter()
        .map(|story| cause(story, &stories, places))
        .collect();
    let roots: Vec<usize> = (0..stories.len())
        .map(|index| {
            // A cause is always an earlier step, so the chain ends.
            let mut root = index;
            while let Some(next) = causes[root] {
                root = next;
            }
            root
        })
        .collect();
    let mut explained: Vec<Vec<Finding>> = vec![Vec::new(); stories.len()];
    for (index, story) in stories.iter().enumerate() {
        if roots[index] != index {
            explained[roots[index]].push(story.finding.clone());
        }
    }
    stories
        .into_iter()
        .zip(explained)
        .enumerate()
        .filter(|(index, _)| roots[*index] == *index)
        .map(|(_, (mut story, mut explains))| {
            explains.sort_by(|one, other| (one.stage, &one.key).cmp(&(other.stage, &other.key)));
            // What it brings about can be worse than the step itself.
            let worst = explains.iter().filter(|one| certainty(one) <= COUNTED);
            let worst = worst.map(|one| one.severity).max();
            story.finding.severity = story.finding.severity.max(worst.unwrap_or(Severity::Info));
            Story { explains, ..story }
        })
        .collect()
}

/// The story of the earliest step that explains this one.
fn cause(story: &Story, stories: &[Story], places: &Places<'_>) -> Option<usize> {
    if story.silenced.is_some() || matches!(story.finding.state, State::Resolved { .. }) {
        return None;
    }
    stories
        .iter()
        .enumerate()
        .filter(|(_, other)| other.silenced.is_none() && other.finding.state == State::Open)
        .filter(|(_, other)| follows(story, other) || waits_for_driver(story, other, places))
        .min_by_key(|(_, other)| (other.finding.stage, &other.finding.key))
        .map(|(index, _)| index)
}

/// Whether it is a later step of the same object's way, nowhere else than where the earlier is stuck.
fn follows(story: &Story, earlier: &Story) -> bool {
    let (Some(stage), Some(earlier_stage)) = (story.finding.stage, earlier.finding.stage) else {
        return false;
    };
    story.finding.key.subject.object == earlier.finding.key.subject.object
        && stage.same_way(earlier_stage)
        && earlier_stage < stage
        && seen_only_there(story, earlier)
}

/// Whether it rests on what a driver answers, and that driver is not there.
fn waits_for_driver(story: &Story, driver_story: &Story, places: &Places<'_>) -> bool {
    let Object::Driver(driver) = &driver_story.finding.key.subject.object else {
        return false;
    };
    driver_story.finding.stage == Some(Stage::Mount(MountStage::DriverRegistered))
        && !matches!(story.finding.key.subject.object, Object::Driver(_))
        && rests_on_driver(&story.finding)
        && seen_only_there(story, driver_story)
        && !story.places.is_empty()
        && story
            .places
            .iter()
            .all(|node| places.serves(node, driver, &story.finding.key.subject.object))
}

/// Whether all its evidence is what the driver answered: only then is a silent driver its cause. A
/// dead mount of the same driver is evidence of its own.
fn rests_on_driver(finding: &Finding) -> bool {
    // The calls of CSI's node service; evidence names its source by the call.
    const CALLS: [&str; 6] = [
        "NodeExpandVolume",
        "NodeGetVolumeHealth",
        "NodeGetVolumeStats",
        "NodePublishVolume",
        "NodeStageVolume",
        "NodeUnpublishVolume",
    ];
    let evidence = &finding.problem.evidence;
    !evidence.is_empty()
        && evidence
            .iter()
            .all(|one| CALLS.iter().any(|call| one.source.starts_with(call)))
}

fn seen_only_there(story: &Story, there: &Story) -> bool {
    there.places.is_empty()
        || (!story.places.is_empty() && story.places.iter().all(|node| there.places.contains(node)))
}

/// The nodes, sorted by name.
struct Places<'a> {
    nodes: &'a [NodeView],
}

impl<'a> Places<'a> {
    fn volumes(&self, node: &NodeName) -> &'a [Volume] {
        self.nodes
            .binary_search_by(|view| view.name.cmp(node))
            .map_or(&[], |index| &self.nodes[index].scan.facts.volumes.items)
    }

    fn serves(&self, node: &NodeName, driver: &DriverName, object: &Object) -> bool {
        self.volumes(node)
            .iter()
            .any(|volume| volume.driver == *driver && volume.object() == *object)
    }
}

/// Who silenced it, if anybody did and it has not ended.
fn silenced(story: &Story, places: &Places<'_>, at: Timestamp) -> Option<String> {
    let Object::Claim(subject) = &story.finding.key.subject.object else {
        return None;
    };
    let annotation = story
        .places
        .iter()
        .flat_map(|node| places.volumes(node))
        .filter_map(|volume| volume.claim.as_ref())
        .find(|claim| claim.claim == *subject)?
        .silence
        .as_ref()?;
    let until = parse_silence(annotation)
        .into_iter()
        .filter(|(code, _)| code.eq_ignore_ascii_case(&story.finding.key.code.0))
        .map(|(_, until)| until)
        .find(|until| until.is_none_or(|last| today(at) <= last))?;
    let by = format!("the annotation of claim {subject}");
    Some(match until {
        Some(last) => format!("{by}, until {last}"),
        None => by,
    })
}

fn today(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// `CODE[,CODE][@YYYY-MM-DD]`: the codes, each with the last day of its silence (UTC).
///
/// A code without a date of its own has that of the next one with a date; where none follows, its
/// silence does not end. A date that cannot be read ends it: better to be heard than to be lost.
fn parse_silence(annotation: &str) -> Vec<(&str, Option<Date>)> {
    let mut silences = Vec::new();
    let mut until = None;
    for entry in annotation.rsplit(',') {
        let (code, date) = match entry.split_once('@') {
            Some((code, date)) => (code, Some(date)),
            None => (entry, None),
        };
        if let Some(date) = date {
            until = Some(date.trim().parse::<Date>().unwrap_or(Date::MIN));
        }
        if !code.trim().is_empty() {
            silences.push((code.trim(), until));
        }
    }
    silences.reverse();
    silences
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::model::facts::NodeFacts;
    use crate::model::finding::{Key, Problem, Resolution, Subject};
    use crate::model::sample;
    use crate::model::scan::{Origin, Scan};
    use crate::model::stage::ExpandStage;

    fn at() -> Timestamp {
        "2026-11-05T12:00:00Z".parse().unwrap()
    }

    fn finding(code: &str, object: &Object, node: &str, stage: Option<Stage>) -> Finding {
        Finding {
            key: Key {
                code: code.into(),
                subject: Subject {
                    object: object.clone(),
                    node: Some(node.into()),
                },
            },
            severity: Severity::Warning,
            stage,
            state: State::Open,
            first_seen: at(),
            opened: Some(at()),
            last_confirmed: at(),
            problem: Problem::new(format!("{code}.")),
        }
    }

    fn settling(finding: Finding) -> Finding {
        Finding {
            state: State::Settling,
            opened: None,
            ..finding
        }
    }

    fn with_severity(finding: Finding, severity: Severity) -> Finding {
        Finding {
            severity,
            ..finding
        }
    }

    fn claim() -> Object {
        Object::Claim(crate::model::names::ClaimRef {
            namespace: "shop".into(),
            name: "data".into(),
            uid: "u-1".into(),
        })
    }

    const STAGED: Option<Stage> = Some(Stage::Mount(MountStage::Staged));
    const ANSWERS: Option<Stage> = Some(Stage::Mount(MountStage::Answers));
    const WRITABLE: Option<Stage> = Some(Stage::Mount(MountStage::Writable));
    const GROWN: Option<Stage> = Some(Stage::Expand(ExpandStage::FilesystemGrown));

    fn check(nodes: &[NodeView], findings: &[Finding], expected: &Expect) {
        let view = fold(at(), nodes, findings.iter());
        let mut text = String::new();
        for story in &view.stories {
            text.push_str(&format!(
                "{} {} {} {}",
                story.finding.severity,
                story.finding.state.as_str(),
                story.finding.key.code,
                story.finding.key.subject.object
            ));
            let places: Vec<_> = story.places.iter().map(NodeName::as_str).collect();
            text.push_str(&format!(" on {}", places.join(" ")));
            if let Some(by) = &story.silenced {
                text.push_str(&format!(", silenced by {by}"));
            }
            text.push('\n');
            for one in &story.explains {
                text.push_str(&format!(
                    "  explains {} ({})\n",
                    one.key.code,
                    one.state.as_str()
                ));
            }
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn one_story_for_all_places() {
        check(
            &[],
            &[
                finding("StaleMount", &claim(), "n2", ANSWERS),
                settling(finding("StaleMount", &claim(), "n3", ANSWERS)),
                finding("StaleMount", &claim(), "n1", ANSWERS),
                Finding {
                    state: State::Resolved {
                        at: at(),
                        how: Resolution::Ok,
                    },
                    ..finding("StaleMount", &claim(), "n4", ANSWERS)
                },
            ],
            &expect![[r#"
                warning open StaleMount claim shop/data on n1 n2 n3
            "#]],
        );
    }

    #[test]
    fn the_earliest_stuck_step_explains_the_later_ones() {
        check(
            &[],
            &[
                with_severity(
                    finding("Full", &claim(), "n1", WRITABLE),
                    Severity::Critical,
                ),
                finding("Stuck", &claim(), "n1", STAGED),
                settling(finding("Hangs", &claim(), "n1", ANSWERS)),
                finding("NotGrown", &claim(), "n1", GROWN),
                finding("Hangs", &Object::Node("x".into()), "n1", ANSWERS),
            ],
            &expect![[r#"
                critical open Stuck claim shop/data on n1
                  explains Hangs (settling)
                  explains Full (open)
                warning open Hangs node x on n1
                warning open NotGrown claim shop/data on n1
            "#]],
        );
    }

    #[test]
    fn what_may_go_by_itself_explains_nothing() {
        check(
            &[],
            &[
                finding("Full", &claim(), "n1", WRITABLE),
                settling(finding("Stuck", &claim(), "n1", STAGED)),
            ],
            &expect![[r#"
                warning open Full claim shop/data on n1
                warning settling Stuck claim shop/data on n1
            "#]],
        );
    }

    #[test]
    fn a_step_stuck_elsewhere_explains_nothing() {
        check(
            &[],
            &[
                finding("Full", &claim(), "n1", WRITABLE),
                finding("Stuck", &claim(), "n2", STAGED),
            ],
            &expect![[r#"
                warning open Full claim shop/data on n1
                warning open Stuck claim shop/data on n2
            "#]],
        );
    }

    /// The healthy node with this annotation on its first claim, and that claim.
    fn annotated(annotation: &str) -> (NodeView, Object) {
        let facts = sample::degraded(|volume| {
            let claim = volume.claim.as_mut().unwrap();
            claim.silence = Some(annotation.to_owned());
        });
        let object = facts.volumes.items[0].object();
        (view_of(facts), object)
    }

    fn view_of(facts: NodeFacts) -> NodeView {
        NodeView {
            name: facts.node.clone(),
            heard: at(),
            silent: false,
            scan: Arc::new(Scan {
                origin: Origin {
                    instance: "a".into(),
                    sequence: 1,
                },
                version: "0".into(),
                interval: Duration::from_secs(60),
                took: Duration::ZERO,
                facts,
                verdicts: Vec::new(),
            }),
        }
    }

    fn silence(annotation: &str, expected: &Expect) {
        let (view, claim) = annotated(annotation);
        let node = view.name.as_str().to_owned();
        check(
            &[view],
            &[
                finding("Stuck", &claim, &node, STAGED),
                finding("Full", &claim, &node, WRITABLE),
            ],
            expected,
        );
    }

    #[test]
    fn silenced_is_shown_last_and_hides_nothing() {
        silence(
            "Stuck",
            &expect![[r#"
            warning open Full claim shop/orders-db on node-1
            warning open Stuck claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db
        "#]],
        );
        silence(
            "Stuck,Full",
            &expect![[r#"
            warning open Full claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db
            warning open Stuck claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db
        "#]],
        );
        silence(
            "Elsewhere",
            &expect![[r#"
            warning open Stuck claim shop/orders-db on node-1
              explains Full (open)
        "#]],
        );
    }

    #[test]
    fn silence_ends() {
        silence(
            "Stuck@2026-11-05",
            &expect![[r#"
            warning open Full claim shop/orders-db on node-1
            warning open Stuck claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db, until 2026-11-05
        "#]],
        );
        silence(
            "Stuck@2026-11-04",
            &expect![[r#"
            warning open Stuck claim shop/orders-db on node-1
              explains Full (open)
        "#]],
        );
        silence(
            "Stuck@someday",
            &expect![[r#"
            warning open Stuck claim shop/orders-db on node-1
              explains Full (open)
        "#]],
        );
        silence(
            "Stuck, Full @2026-12-31",
            &expect![[r#"
            warning open Full claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db, until 2026-12-31
            warning open Stuck claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db, until 2026-12-31
        "#]],
        );
        silence(
            "Stuck@2026-12-31,Full@2026-01-01",
            &expect![[r#"
            warning open Full claim shop/orders-db on node-1
            warning open Stuck claim shop/orders-db on node-1, silenced by the annotation of claim shop/orders-db, until 2026-12-31
        "#]],
        );
    }

    #[test]
    fn an_absent_driver_explains_only_what_rests_on_its_answers() {
        let view = view_of(sample::node());
        let volume = view.scan.facts.volumes.items[0].clone();
        let node = view.name.as_str().to_owned();
        let mut asked = finding("Abnormal", &volume.object(), &node, ANSWERS);
        asked.problem = asked
            .problem
            .because("condition", "-", "NodeGetVolumeStats");
        let mut seen = finding("Stale", &volume.object(), &node, ANSWERS);
        seen.problem = seen.problem.because("statfs", "ESTALE", "the kernel");
        let driver = finding(
            "DriverUnreachable",
            &Object::Driver(volume.driver),
            &node,
            Some(Stage::Mount(MountStage::DriverRegistered)),
        );
        check(
            &[view],
            &[asked, seen, driver],
            &expect![[r#"
            warning open DriverUnreachable driver disk.example.com on node-1
              explains Abnormal (open)
            warning open Stale claim shop/orders-db on node-1
        "#]],
        );
    }
}
