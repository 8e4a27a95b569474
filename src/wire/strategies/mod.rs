//! Generated values for the round-trip tests: small, within the limits of the wire.

mod beside;
mod finding;
mod objects;
mod volume;

use std::time::Duration;

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;

use crate::model::driver::{Driver, NodeInfo, Plugin, Registration};
use crate::model::facts::{NodeFacts, Thresholds};
use crate::model::health::{HealthEntry, Illness};
use crate::model::names::{ClaimRef, HostPath, PodRef};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::scan::{Origin, Scan};
use crate::model::sizes::Bytes;
use crate::wire::strategies::beside::{kubelet, leftover, uncovered, waiting};
use crate::wire::strategies::volume::volume;

pub(crate) use crate::wire::strategies::finding::story;

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9.-]{0,8}"
}

fn text() -> impl Strategy<Value = String> {
    "[ -~é]{1,16}"
}

fn few<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, 0..3)
}

fn path() -> impl Strategy<Value = HostPath> {
    "/[a-z/é]{1,12}".prop_map(HostPath::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (1..i64::MAX).prop_map(|ns| Timestamp::from_nanosecond(i128::from(ns)).unwrap())
}

fn millis() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|ms| Duration::from_millis(u64::from(ms)))
}

fn gap() -> impl Strategy<Value = Gap> {
    (
        prop::sample::select(Why::ALL.to_vec()),
        text(),
        option::of(time()),
    )
        .prop_map(|(why, what, since)| Gap {
            why,
            what: what.into(),
            since,
        })
}

fn observed<T: std::fmt::Debug + Clone>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Observed<T>> {
    prop_oneof![
        3 => of.prop_map(Observed::Known),
        1 => gap().prop_map(Observed::Unknown),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    any::<u64>().prop_map(Bytes)
}

fn claim_ref() -> impl Strategy<Value = ClaimRef> {
    (name(), name(), name()).prop_map(|(namespace, name, uid)| ClaimRef {
        namespace: namespace.into(),
        name: name.into(),
        uid: uid.into(),
    })
}

fn pod_ref() -> impl Strategy<Value = PodRef> {
    (name(), name(), name()).prop_map(|(namespace, name, uid)| PodRef {
        namespace: namespace.into(),
        name: name.into(),
        uid: uid.into(),
    })
}

fn health() -> impl Strategy<Value = HealthEntry> {
    (name(), text(), text()).prop_map(|(word, reason, message)| HealthEntry {
        illness: Illness::of_word(&word),
        reason,
        message,
    })
}

fn plugin() -> impl Strategy<Value = Plugin> {
    let info = (text(), any::<u64>()).prop_map(|(node_id, max_volumes)| NodeInfo {
        node_id,
        max_volumes,
    });
    (
        name(),
        observed(any::<bool>()),
        observed(few(name())),
        observed(few(name())),
        (observed(info), millis(), observed(few(health()))),
    )
        .prop_map(|(version, ready, capabilities, services, last)| Plugin {
            version,
            ready,
            capabilities,
            services,
            info: last.0,
            took: last.1,
            storage_health: last.2,
        })
}

fn driver() -> impl Strategy<Value = Driver> {
    let registration =
        (text(), option::of(any::<u32>())).prop_map(|(node_id, allocatable)| Registration {
            node_id,
            allocatable,
        });
    (
        (name(), few(text()), option::of(path()), observed(plugin())),
        observed(option::of(name())),
        observed(option::of(registration)),
        (option::of(time()), any::<u32>(), few(health())),
    )
        .prop_map(|(first, registered_as, csi_node, last)| Driver {
            name: first.0.into(),
            expected_by: first.1,
            socket: first.2,
            plugin: first.3,
            registered_as: registered_as.map(|name| name.map(Into::into)),
            csi_node,
            started: last.0,
            attached: last.1,
            reported_health: last.2,
        })
}

fn listing<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Listing<T>> {
    (few(of), few(gap())).prop_map(|(items, gaps)| Listing { items, gaps })
}

fn facts() -> impl Strategy<Value = NodeFacts> {
    (
        name(),
        time(),
        any::<u8>(),
        listing(volume()),
        listing(driver()),
        (
            listing(leftover()),
            listing(uncovered()),
            listing(waiting()),
            kubelet(),
        ),
        few(gap()),
    )
        .prop_map(
            |(node, observed_at, nearly_full_percent, volumes, drivers, beside, gaps)| NodeFacts {
                node: node.into(),
                observed_at,
                thresholds: Thresholds {
                    nearly_full_percent,
                },
                volumes,
                drivers,
                leftovers: beside.0,
                uncovered: beside.1,
                waiting: beside.2,
                kubelet: beside.3,
                gaps,
            },
        )
}

pub(crate) fn scan() -> impl Strategy<Value = Scan> {
    (
        (name(), any::<u64>(), name(), millis(), millis()),
        facts(),
        few(finding::verdicts()),
    )
        .prop_map(|(first, facts, verdicts)| {
            let (instance, sequence, version, interval, took) = first;
            Scan {
                origin: Origin { instance, sequence },
                version,
                interval,
                took,
                facts,
                verdicts,
            }
        })
}
