//! What is told once, what twice would be too much, and what not at all.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::{Expect, expect};
use jiff::SignedDuration;

use super::*;
use crate::model::finding::{Finding, Key, Problem, Subject};
use crate::model::names::ClaimRef;
use crate::model::sample;
use crate::model::view::Ended;

fn at(second: i64) -> Timestamp {
    sample::noon() + SignedDuration::from_secs(second)
}

fn claim(name: &str) -> Object {
    Object::Claim(ClaimRef {
        namespace: "shop".into(),
        name: name.into(),
        uid: name.into(),
    })
}

/// A story that opened then.
fn story(object: Object, opened: i64) -> Story {
    let finding = Finding {
        key: Key {
            code: "Hangs".into(),
            subject: Subject { object, node: None },
        },
        severity: Severity::Critical,
        stage: None,
        state: State::Open,
        first_seen: at(opened - 30),
        opened: Some(at(opened)),
        last_confirmed: at(opened),
        flaps: 0,
        problem: Problem::new("It hangs."),
    };
    Story {
        finding,
        places: vec!["n1".into(), "n2".into()],
        explains: Vec::new(),
        silenced: None,
    }
}

fn storm(members: &[&str], opened: i64) -> Story {
    let explains = members
        .iter()
        .map(|name| story(claim(name), opened).finding);
    Story {
        explains: explains.collect(),
        ..story(Object::Server("nfs-1".into()), opened)
    }
}

fn view(stories: &[Story], ended: &[(&str, Resolution)]) -> View {
    let end = |(name, how): &(&str, Resolution)| {
        Arc::new(Ended {
            key: story(claim(name), 0).finding.key,
            at: at(999),
            how: *how,
        })
    };
    View {
        at: at(1000),
        nodes: Vec::new(),
        cluster: Arc::default(),
        stories: stories.to_vec(),
        ended: ended.iter().map(end).collect(),
    }
}

/// What is told of these views, one after the other.
fn check(remembers: bool, views: &[View], expected: &Expect) {
    let mut notices = Notices::new(at(0), remembers);
    let mut text = String::new();
    for view in views {
        for notice in notices.next(view) {
            let Notice {
                on, turn, subject, ..
            } = &notice;
            let kind = if notice.is_warning {
                "Warning"
            } else {
                "Normal"
            };
            let about = if on == subject {
                String::new()
            } else {
                format!(" about {subject}")
            };
            let turn = turn.as_str();
            writeln!(text, "{kind} {turn} on {on}{about}: {}", notice.note).unwrap();
        }
        text.push_str("--\n");
    }
    expected.assert_eq(&text);
}

#[test]
fn once_when_it_opens_and_once_when_it_is_over() {
    let open = view(&[story(claim("a"), 200)], &[]);
    let unconfirmed = State::Unconfirmed {
        since: at(300),
        why: "nobody can tell".into(),
    };
    let mut uncertain = story(claim("a"), 200);
    uncertain.finding.state = unconfirmed;
    let uncertain = view(&[uncertain], &[]);
    let over = view(&[], &[("a", Resolution::Ok)]);
    check(
        true,
        &[open.clone(), open.clone(), uncertain, over.clone(), over],
        &expect![[r#"
            Warning Opened on claim shop/a: It hangs.
            --
            --
            --
            Normal Resolved on claim shop/a: Over: it was looked at and is well. It was: It hangs.
            --
            --
        "#]],
    );
    let gone = view(&[], &[("a", Resolution::SubjectGone)]);
    let forgotten = view(&[], &[("a", Resolution::SourceGone)]);
    check(
        true,
        &[open.clone(), gone, open, forgotten],
        &expect![[r#"
            Warning Opened on claim shop/a: It hangs.
            --
            Normal Resolved on claim shop/a: Over: what it was about is gone. It was: It hangs.
            --
            Warning Opened on claim shop/a: It hangs.
            --
            Normal Resolved on claim shop/a: Over: its node was not heard for so long that it is taken to be gone. It was: It hangs.
            --
        "#]],
    );
}

#[test]
fn what_an_earlier_life_told_is_not_told_again_but_its_end_is() {
    let long_ago = view(&[story(claim("a"), -3600)], &[]);
    let just_before = view(&[story(claim("b"), -10)], &[]);
    let over = view(&[], &[("a", Resolution::Ok), ("b", Resolution::Ok)]);
    check(
        true,
        &[long_ago, just_before, over],
        &expect![[r#"
            --
            Warning Opened on claim shop/b: It hangs.
            Normal Resolved on claim shop/a: Over. It was: It hangs.
            --
            Normal Resolved on claim shop/b: Over: it was looked at and is well. It was: It hangs.
            --
        "#]],
    );
}

#[test]
fn who_remembers_nothing_is_quiet_for_two_intervals() {
    // First seen 30 seconds before they opened: within the first two minutes, and after them.
    let early = view(&[story(claim("a"), 140)], &[]);
    let late = view(&[story(claim("a"), 140), story(claim("b"), 151)], &[]);
    check(
        false,
        &[early, late],
        &expect![[r#"
            --
            Warning Opened on claim shop/b: It hangs.
            --
        "#]],
    );
}

#[test]
fn what_does_not_count_is_not_told() {
    let mut silenced = story(claim("a"), 200);
    silenced.silenced = Some("somebody".into());
    let mut settling = story(claim("b"), 200);
    settling.finding.state = State::Settling;
    settling.finding.opened = None;
    let views = [view(&[silenced, settling], &[]), view(&[], &[])];
    check(
        true,
        &views,
        &expect![[r#"
            --
            --
        "#]],
    );
}

#[test]
fn a_storm_is_told_on_one_node_and_its_last_claim_not_again() {
    let views = [
        view(&[storm(&["a", "b", "c"], 200)], &[]),
        view(&[storm(&["a", "b"], 200)], &[]),
        view(&[story(claim("b"), 200)], &[]),
        view(&[], &[("b", Resolution::Ok)]),
    ];
    check(
        true,
        &views,
        &expect![[r#"
            Warning Opened on node n1 about server nfs-1: It hangs.
            --
            --
            --
            Normal Resolved on node n1 about server nfs-1: Over: it was looked at and is well. It was: It hangs.
            --
        "#]],
    );
}

#[test]
fn a_claim_that_was_told_before_its_storm_is_over_with_its_own_word() {
    let views = [
        view(&[story(claim("a"), 200)], &[]),
        view(&[storm(&["a", "b"], 200)], &[]),
        view(&[], &[("a", Resolution::Ok), ("b", Resolution::Ok)]),
    ];
    check(
        true,
        &views,
        &expect![[r#"
            Warning Opened on claim shop/a: It hangs.
            --
            Warning Opened on node n1 about server nfs-1: It hangs.
            --
            Normal Resolved on claim shop/a: Over: it was looked at and is well. It was: It hangs.
            Normal Resolved on node n1 about server nfs-1: Over: it was looked at and is well. It was: It hangs.
            --
        "#]],
    );
}
