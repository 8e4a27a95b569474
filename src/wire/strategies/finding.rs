//! Generated verdicts, findings and stories.

use proptest::option;
use proptest::prelude::*;

use crate::model::cause::{Cause, CauseId, Confidence};
use crate::model::finding::{
    Evidence, Finding, Key, NextStep, Object, Problem, Resolution, RuleVerdicts, Severity, State,
    Subject,
};
use crate::model::names::NodeName;
use crate::model::stage::Stage;
use crate::model::view::Story;
use crate::wire::strategies::{claim_ref, few, gap, millis, name, pod_ref, text, time};

pub(super) fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        claim_ref().prop_map(Object::Claim),
        pod_ref().prop_map(Object::Pod),
        (name(), name()).prop_map(|(name, uid)| Object::PersistentVolume(name.into(), uid.into())),
        name().prop_map(|name| Object::Driver(name.into())),
        name().prop_map(|name| Object::Node(name.into())),
        name().prop_map(|name| Object::Server(name.into())),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    (object(), option::of(name())).prop_map(|(object, node)| Subject {
        object,
        node: node.map(Into::into),
    })
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(vec![Severity::Info, Severity::Warning, Severity::Critical])
}

fn cause() -> impl Strategy<Value = Cause> {
    let confidence = prop::sample::select(vec![Confidence::Stated, Confidence::Likely]);
    (prop::sample::select(CauseId::ALL.to_vec()), confidence)
        .prop_map(|(id, confidence)| Cause { id, confidence })
}

fn stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(Stage::ALL.to_vec())
}

fn problem() -> impl Strategy<Value = Problem> {
    let evidence = [text(), text(), text()].prop_map(|[fact, value, source]| Evidence {
        fact,
        value,
        source,
    });
    let step = (text(), option::of(text())).prop_map(|(what, command)| NextStep { what, command });
    (
        text(),
        few(evidence),
        option::of(time()),
        few(step),
        few(object()),
        (option::of(severity()), option::of(cause())),
    )
        .prop_map(
            |(message, evidence, since, next, related, (severity, cause))| Problem {
                message,
                evidence,
                since,
                next,
                related,
                severity,
                cause,
            },
        )
}

pub(super) fn verdicts() -> impl Strategy<Value = RuleVerdicts> {
    (
        (
            name(),
            severity(),
            option::of(stage()),
            millis(),
            any::<u32>(),
        ),
        few((subject(), problem())),
        few((subject(), gap())),
        few(gap()),
    )
        .prop_map(|(first, problems, unknowns, gaps)| {
            let (code, severity, stage, grace, ok) = first;
            RuleVerdicts {
                code: code.as_str().into(),
                severity,
                stage,
                grace,
                ok,
                problems,
                unknowns,
                gaps,
            }
        })
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Settling),
        Just(State::Open),
        (time(), text()).prop_map(|(since, why)| State::Unconfirmed { since, why }),
        (time(), prop::sample::select(Resolution::ALL.to_vec()))
            .prop_map(|(at, how)| State::Resolved { at, how }),
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    (
        (name(), subject(), severity(), option::of(stage()), state()),
        (time(), option::of(time()), time(), any::<u32>()),
        problem(),
    )
        .prop_map(|(first, times, problem)| {
            let (code, subject, severity, step, state) = first;
            let (first_seen, opened, last_confirmed, flaps) = times;
            Finding {
                key: Key {
                    code: code.as_str().into(),
                    subject,
                },
                severity,
                stage: step,
                state,
                first_seen,
                opened,
                last_confirmed,
                flaps,
                problem,
            }
        })
}

pub(crate) fn story() -> impl Strategy<Value = Story> {
    (finding(), few(name()), few(finding()), option::of(text())).prop_map(
        |(finding, places, explains, silenced)| Story {
            finding,
            places: places.into_iter().map(NodeName::from).collect(),
            explains,
            silenced,
        },
    )
}
