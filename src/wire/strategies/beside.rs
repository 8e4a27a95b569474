//! Generated things beside the volumes in use.

use proptest::option;
use proptest::prelude::*;

use crate::model::kubelet::{Kubelet, WaitingPod};
use crate::model::leftover::{Leftover, LeftoverKind, Uncovered};
use crate::wire::strategies::objects::event;
use crate::wire::strategies::volume::mount;
use crate::wire::strategies::{finding, listing, name, observed, path, pod_ref, text, time};

pub(super) fn leftover() -> impl Strategy<Value = Leftover> {
    (
        prop::sample::select(LeftoverKind::ALL.to_vec()),
        path(),
        [option::of(name()), option::of(name()), option::of(name())],
        observed(option::of(mount())),
        (option::of(finding::object()), listing(text())),
    )
        .prop_map(|(kind, path, [pod, driver, handle], mount, of)| Leftover {
            object: of.0,
            held_by: of.1,
            kind,
            path,
            pod: pod.map(Into::into),
            driver: driver.map(Into::into),
            handle: handle.map(Into::into),
            mount,
        })
}

pub(super) fn uncovered() -> impl Strategy<Value = Uncovered> {
    (
        [name(), name(), name()],
        path(),
        observed(option::of(mount())),
    )
        .prop_map(|([pod, plugin, name], path, mount)| Uncovered {
            pod: pod.into(),
            plugin,
            name: name.into(),
            path,
            mount,
        })
}

pub(super) fn waiting() -> impl Strategy<Value = WaitingPod> {
    (pod_ref(), option::of(time()), listing(event())).prop_map(|(pod, since, events)| WaitingPod {
        pod,
        since,
        events,
    })
}

pub(super) fn kubelet() -> impl Strategy<Value = Kubelet> {
    (observed(any::<bool>()), observed(any::<u32>())).prop_map(|(running, unmirrored)| Kubelet {
        running,
        unmirrored,
    })
}
