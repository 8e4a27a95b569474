//! Generated volumes: where they are mounted, how big they are, what the kernel says.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;

use crate::model::health::HealthEntry;
use crate::model::mount::{DeviceNumber, Mount, Usage};
use crate::model::objects::{Event, PodState};
use crate::model::observed::{Listing, Observed};
use crate::model::sizes::{FilesystemSize, Sizes};
use crate::model::state::{BlockDevice, FilesystemErrors, KernelState, Waiting};
use crate::model::volume::{self, DriverStats, Elsewhere, Inside, Published, SubPath, Volume};
use crate::wire::strategies::objects::{attachment, claim, class, event, mode, persistent};
use crate::wire::strategies::{
    bytes, few, health, listing, name, observed, path, pod_ref, text, time,
};

pub(super) fn mount() -> impl Strategy<Value = Mount> {
    (
        any::<[u32; 4]>(),
        path(),
        path(),
        [text(), text(), text(), text()],
    )
        .prop_map(
            |(
                [id, parent, major, minor],
                root,
                target,
                [options, fs_type, source, super_options],
            )| {
                Mount {
                    id,
                    parent,
                    device: DeviceNumber { major, minor },
                    root,
                    target,
                    options: options.into(),
                    fs_type: fs_type.into(),
                    source: source.into(),
                    super_options: super_options.into(),
                }
            },
        )
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u64; 5]>().prop_map(
        |[total, used, available, total_inodes, used_inodes]| Usage {
            total_bytes: total,
            used_bytes: used,
            available_bytes: available,
            total_inodes,
            used_inodes,
        },
    )
}

fn published() -> impl Strategy<Value = Published> {
    let state = prop::sample::select(vec![
        PodState::Starting,
        PodState::Running,
        PodState::Ending,
        PodState::Done,
    ]);
    (
        pod_ref(),
        observed(state),
        option::of(time()),
        path(),
        observed(option::of(mount())),
        observed(usage()),
        observed(option::of(text())),
        (seen_inside(), said()),
    )
        .prop_map(
            |(
                pod,
                state,
                started,
                target,
                mount,
                usage,
                asked_read_only,
                (
                    (sub_paths, device_node, live, inside),
                    (volume_name, ended, stacked, events, health, elsewhere),
                ),
            )| Published {
                pod,
                name: volume_name.into(),
                ended,
                stacked,
                elsewhere,
                events,
                health,
                state,
                started,
                target,
                mount,
                usage,
                asked_read_only,
                sub_paths,
                device_node,
                live,
                inside,
            },
        )
}

type WhatWasSaid = (
    String,
    Option<Timestamp>,
    u32,
    Listing<Event>,
    Vec<HealthEntry>,
    Observed<Option<Elsewhere>>,
);

fn said() -> impl Strategy<Value = WhatWasSaid> {
    let elsewhere =
        (any::<u32>(), [text(), text(), text()]).prop_map(|(process, [name, fs_type, source])| {
            Elsewhere {
                process,
                name,
                fs_type,
                source,
            }
        });
    (
        name(),
        option::of(time()),
        any::<u32>(),
        listing(event()),
        few(health()),
        observed(option::of(elsewhere)),
    )
}

type SeenInside = (Vec<SubPath>, bool, Observed<bool>, Observed<Vec<Inside>>);

fn seen_inside() -> impl Strategy<Value = SeenInside> {
    let sub_path = (name(), mount()).prop_map(|(container, mount)| SubPath {
        container: container.into(),
        mount,
    });
    let inside = (name(), any::<u32>(), path(), option::of(mount())).prop_map(
        |(container, process, path, mount)| Inside {
            container: container.into(),
            process,
            path,
            mount,
        },
    );
    (
        few(sub_path),
        any::<bool>(),
        observed(any::<bool>()),
        observed(few(inside)),
    )
}

fn kernel_state() -> impl Strategy<Value = KernelState> {
    let device = (
        any::<[u32; 2]>(),
        any::<[bool; 2]>(),
        any::<u64>(),
        option::of(time()),
    )
        .prop_map(
            |([major, minor], [present, read_only], in_flight, frozen_since)| BlockDevice {
                number: DeviceNumber { major, minor },
                present,
                read_only,
                in_flight,
                frozen_since,
            },
        );
    let errors = (any::<u64>(), option::of(time()), any::<bool>())
        .prop_map(|(count, last, fresh)| FilesystemErrors { count, last, fresh });
    let waiting = (any::<u64>(), option::of(time()))
        .prop_map(|(requests, since)| Waiting { requests, since });
    (
        observed(option::of(device)),
        observed(option::of(errors)),
        observed(option::of(waiting)),
    )
        .prop_map(|(device, errors, waiting)| KernelState {
            device,
            errors,
            waiting,
        })
}

fn stats() -> impl Strategy<Value = DriverStats> {
    let condition = (any::<bool>(), text())
        .prop_map(|(abnormal, message)| volume::Condition { abnormal, message });
    (option::of(usage()), option::of(condition))
        .prop_map(|(usage, condition)| DriverStats { usage, condition })
}

fn sizes() -> impl Strategy<Value = Sizes> {
    let size = || observed(option::of(bytes()));
    let filesystem =
        (bytes(), bytes()).prop_map(|(at_least, at_most)| FilesystemSize { at_least, at_most });
    (
        [size(), size(), size(), size(), size(), size()],
        observed(option::of(filesystem)),
    )
        .prop_map(|(sizes, filesystem)| {
            let [request, allocated, capacity, device, status, driver] = sizes;
            Sizes {
                request,
                allocated,
                capacity,
                device,
                filesystem,
                status,
                driver,
            }
        })
}

pub(super) fn volume() -> impl Strategy<Value = Volume> {
    (
        (
            name(),
            name(),
            observed(name()),
            option::of(claim()),
            mode(),
        ),
        (
            observed(option::of(persistent())),
            observed(option::of(attachment())),
            observed(option::of(class())),
            listing(event()),
            option::of(time()),
        ),
        (
            option::of(path()),
            observed(option::of(mount())),
            few(published()),
        ),
        (
            observed(stats()),
            sizes(),
            kernel_state(),
            observed(few(health())),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(first, objects, paths, (stats, sizes, state, health, condition_promised))| {
                let (spec_name, driver, handle, claim, mode) = first;
                let (persistent, attachment, class, events, resizer_seen) = objects;
                let (staging, staged, published) = paths;
                Volume {
                    spec_name: spec_name.into(),
                    driver: driver.into(),
                    handle: handle.map(Into::into),
                    claim: claim.map(Arc::new),
                    persistent: persistent.map(|one| one.map(Arc::new)),
                    attachment: attachment.map(|one| one.map(Arc::new)),
                    class: class.map(|one| one.map(Arc::new)),
                    events,
                    resizer_seen,
                    mode,
                    staging,
                    staged,
                    published,
                    stats,
                    health,
                    condition_promised,
                    sizes,
                    state,
                }
            },
        )
}
