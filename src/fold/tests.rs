//! What is folded, and what must not be.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;
use crate::model::brief::Brief;
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
        flaps: 0,
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
    let view = fold(at(), nodes, &Arc::default(), findings.iter());
    let mut text = String::new();
    for story in &view.stories {
        let finding = &story.finding;
        let places: Vec<_> = story.places.iter().map(NodeName::as_str).collect();
        let silenced = story.silenced.as_ref();
        writeln!(
            text,
            "{} {} {} {} on {}{}",
            finding.severity,
            finding.state.as_str(),
            finding.key.code,
            finding.key.subject.object,
            places.join(" "),
            silenced.map_or(String::new(), |by| format!(", silenced by {by}"))
        )
        .unwrap();
        for one in &story.explains {
            let state = one.state.as_str();
            writeln!(text, "  explains {} ({state})", one.key.code).unwrap();
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
        let claim = Arc::make_mut(volume.claim.as_mut().unwrap());
        claim.silence = Some(annotation.to_owned());
    });
    let object = facts.volumes.items[0].object();
    (view_of(facts), object)
}

fn view_of(facts: NodeFacts) -> NodeView {
    let name = facts.node.clone();
    let scan = Scan {
        origin: Origin {
            instance: "a".into(),
            sequence: 1,
        },
        version: "0".into(),
        interval: Duration::from_mins(1),
        took: Duration::ZERO,
        facts,
        verdicts: Vec::new(),
    };
    let mut brief = Brief::of(&scan);
    brief.judged.clone_from(&scan.facts.volumes.items);
    NodeView {
        name,
        heard: at(),
        silent: false,
        brief: Arc::new(brief),
        packed: Arc::default(),
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
    let volume = view.brief.judged[0].clone();
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

/// A node whose volumes are of this server, one claim each.
fn node_of(name: &str, server: &str, claims: &[&str]) -> NodeView {
    let mut facts = sample::node();
    facts.node = name.into();
    let volume = facts.volumes.items.remove(0);
    for claim in claims {
        let mut volume = volume.clone();
        Arc::make_mut(volume.claim.as_mut().unwrap()).claim.name = (*claim).into();
        let mut mount = sample::mount("/t".into());
        mount.fs_type = "nfs4".into();
        mount.source = format!("{server}:/export/{claim}").into();
        volume.staged = crate::model::observed::Observed::Known(None);
        volume.published[0].mount = crate::model::observed::Observed::Known(Some(mount));
        facts.volumes.items.push(volume);
    }
    view_of(facts)
}

#[test]
fn one_server_behind_many_volumes_is_one_story() {
    let nodes = [
        node_of("n1", "nfs-1", &["a", "b"]),
        node_of("n2", "nfs-1", &["c"]),
        node_of("n3", "nfs-2", &["d"]),
    ];
    let hangs = |node: usize, volume: usize| {
        let node = &nodes[node];
        let object = node.brief.judged[volume].object();
        finding("Hangs", &object, node.name.as_str(), ANSWERS)
    };
    let claim = nodes[0].brief.judged[1].object();
    check(
        &nodes,
        &[
            hangs(0, 0),
            settling(hangs(0, 1)),
            hangs(1, 0),
            // Of another server, and of another kind.
            hangs(2, 0),
            finding("Full", &claim, "n2", WRITABLE),
        ],
        &expect![[r#"
            warning open Full claim shop/b on n2
            warning open Hangs claim shop/d on n3
            warning open Hangs server nfs-1 on n1 n2
              explains Hangs (open)
              explains Hangs (open)
              explains Hangs (settling)
        "#]],
    );
    let view = fold(
        at(),
        &nodes,
        &Arc::default(),
        [hangs(0, 0), hangs(1, 0)].iter(),
    );
    expect!["2 volumes on 2 nodes have the same problem, and server nfs-1 is behind all of them. The oldest: Hangs."].assert_eq(&view.stories[0].finding.problem.message);
    let view = fold(at(), &nodes, &Arc::default(), [hangs(0, 0)].iter());
    let subject = &view.stories[0].finding.key.subject;
    assert_eq!(subject.object.to_string(), "claim shop/a");
}

/// What the collector itself says of a claim.
fn of_cluster(code: &str, stage: Option<Stage>) -> Finding {
    let mut finding = finding(code, &claim(), "n1", stage);
    finding.key.subject.node = None;
    finding
}

#[test]
fn of_the_controllers_half_the_collector_knows_better() {
    let saw = Some(Stage::Expand(ExpandStage::ResizerSaw));
    let expanded = Some(Stage::Expand(ExpandStage::ControllerExpanded));
    check(
        &[],
        &[
            finding("ResizerMissing", &claim(), "n1", saw),
            of_cluster("ControllerExpansionPending", expanded),
            finding("FilesystemNotGrown", &claim(), "n1", GROWN),
        ],
        &expect![[r#"
            warning open ControllerExpansionPending claim shop/data on 
              explains FilesystemNotGrown (open)
        "#]],
    );
    // Both say the same: the node is a place of it.
    check(
        &[],
        &[
            finding("ResizerMissing", &claim(), "n1", saw),
            of_cluster("ResizerMissing", saw),
        ],
        &expect![[r#"
            warning open ResizerMissing claim shop/data on n1
        "#]],
    );
    // What the collector cannot tell any more outweighs nobody.
    let mut uncertain = of_cluster("ControllerExpansionPending", expanded);
    uncertain.state = State::Unconfirmed {
        since: at(),
        why: "no answer".into(),
    };
    check(
        &[],
        &[finding("ResizerMissing", &claim(), "n1", saw), uncertain],
        &expect![[r#"
            warning open ResizerMissing claim shop/data on n1
            warning unconfirmed ControllerExpansionPending claim shop/data on 
        "#]],
    );
}

#[test]
fn a_claim_that_no_node_has_is_silenced_too() {
    let Object::Claim(of) = claim() else {
        unreachable!()
    };
    let cluster = ClusterView {
        silences: vec![(of, "ResizerMissing".into())],
        ..ClusterView::default()
    };
    let missing = of_cluster("ResizerMissing", None);
    let view = fold(at(), &[], &Arc::new(cluster), [missing].iter());
    assert!(!view.stories[0].counts());
}
