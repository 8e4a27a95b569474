//! Generated claims, PersistentVolumes and what belongs to them.

use proptest::option;
use proptest::prelude::*;

use crate::model::objects::{
    Attachment, Claim, Class, Condition, CsiSource, Event, PersistentVolume, VolumeMode,
};
use crate::wire::strategies::{bytes, claim_ref, few, finding, health, name, text, time};

pub(super) fn claim() -> impl Strategy<Value = Claim> {
    let condition =
        (name(), text(), option::of(time())).prop_map(|(kind, message, since)| Condition {
            kind,
            message,
            since,
        });
    (
        (
            claim_ref(),
            any::<bool>(),
            option::of(name()),
            option::of(name()),
            few(name()),
        ),
        (
            option::of(bytes()),
            option::of(bytes()),
            option::of(name()),
            option::of(bytes()),
        ),
        few(condition),
        option::of(text()),
        (any::<bool>(), option::of(text()), few(health())),
    )
        .prop_map(|(first, sizes, conditions, silence, last)| {
            let (node_expansion_not_required, made_from, health) = last;
            let (claim, bound, volume, class, access_modes) = first;
            let (request, allocated, resize_status, capacity) = sizes;
            Claim {
                claim,
                bound,
                volume: volume.map(Into::into),
                class: class.map(Into::into),
                access_modes,
                request,
                allocated,
                resize_status,
                capacity,
                conditions,
                node_expansion_not_required,
                made_from,
                silence,
                health,
                terms: None,
            }
        })
}

pub(super) fn mode() -> impl Strategy<Value = VolumeMode> {
    prop::sample::select(vec![VolumeMode::Filesystem, VolumeMode::Block])
}

pub(super) fn persistent() -> impl Strategy<Value = PersistentVolume> {
    let csi = (name(), name(), any::<bool>()).prop_map(|(driver, handle, read_only)| CsiSource {
        driver: driver.into(),
        handle: handle.into(),
        read_only,
    });
    (
        (name(), name(), option::of(bytes()), option::of(claim_ref())),
        (
            option::of(csi),
            mode(),
            few(name()),
            few(name()),
            option::of(bytes()),
        ),
    )
        .prop_map(|(first, second)| {
            let (name, uid, capacity, claim) = first;
            let (csi, mode, access_modes, mount_options, capacity_before_resize) = second;
            PersistentVolume {
                name: name.into(),
                uid: uid.into(),
                capacity,
                claim,
                csi,
                mode,
                access_modes,
                mount_options,
                capacity_before_resize,
                terms: None,
            }
        })
}

pub(super) fn attachment() -> impl Strategy<Value = Attachment> {
    (
        name(),
        name(),
        option::of(name()),
        name(),
        any::<bool>(),
        option::of(text()),
    )
        .prop_map(|(name, driver, volume, node, attached, error)| Attachment {
            name,
            driver: driver.into(),
            volume: volume.map(Into::into),
            node: node.into(),
            attached,
            error,
            terms: None,
        })
}

pub(super) fn class() -> impl Strategy<Value = Class> {
    (name(), name(), any::<bool>()).prop_map(|(class, provisioner, expandable)| Class {
        name: class.into(),
        provisioner: provisioner.into(),
        expandable,
        terms: None,
    })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let said = (name(), any::<bool>(), name(), text(), option::of(time()));
    (finding::object(), said).prop_map(|(about, (by, warning, reason, message, at))| Event {
        about,
        by,
        warning,
        reason,
        message,
        at,
    })
}
