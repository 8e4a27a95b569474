//! Generated values for the round-trip tests: small, within the limits of the wire.

mod finding;

use std::time::Duration;

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;

use crate::model::driver::{Driver, Plugin};
use crate::model::facts::{NodeFacts, Thresholds};
use crate::model::leftover::{Leftover, LeftoverKind, Uncovered};
use crate::model::mount::{DeviceNumber, Mount, Usage};
use crate::model::names::{ClaimRef, HostPath, PodRef};
use crate::model::objects::{
    Attachment, Claim, Class, Condition, CsiSource, Event, PersistentVolume, PodState, VolumeMode,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::scan::{Origin, Scan};
use crate::model::sizes::{Bytes, FilesystemSize, Sizes};
use crate::model::state::{BlockDevice, FilesystemErrors, KernelState, Waiting};
use crate::model::volume::{self, DriverStats, Inside, Published, SubPath, Volume};

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
        .prop_map(|(why, what, since)| Gap { why, what, since })
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
        namespace,
        name,
        uid: uid.into(),
    })
}

fn pod_ref() -> impl Strategy<Value = PodRef> {
    (name(), name(), name()).prop_map(|(namespace, name, uid)| PodRef {
        namespace,
        name,
        uid: uid.into(),
    })
}

fn claim() -> impl Strategy<Value = Claim> {
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
        (any::<bool>(), option::of(text())),
    )
        .prop_map(|(first, sizes, conditions, silence, last)| {
            let (node_expansion_not_required, made_from) = last;
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
            }
        })
}

fn mode() -> impl Strategy<Value = VolumeMode> {
    prop::sample::select(vec![VolumeMode::Filesystem, VolumeMode::Block])
}

fn persistent() -> impl Strategy<Value = PersistentVolume> {
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
            }
        })
}

fn attachment() -> impl Strategy<Value = Attachment> {
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
        })
}

fn mount() -> impl Strategy<Value = Mount> {
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
                    options,
                    fs_type,
                    source,
                    super_options,
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
        option::of(text()),
        seen_inside(),
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
                (sub_paths, device_node, live, inside),
            )| Published {
                pod,
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

type SeenInside = (Vec<SubPath>, bool, Observed<bool>, Observed<Vec<Inside>>);

fn seen_inside() -> impl Strategy<Value = SeenInside> {
    let sub_path = (name(), mount()).prop_map(|(container, mount)| SubPath { container, mount });
    let inside = (name(), any::<u32>(), path(), option::of(mount())).prop_map(
        |(container, process, path, mount)| Inside {
            container,
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

fn leftover() -> impl Strategy<Value = Leftover> {
    (
        prop::sample::select(LeftoverKind::ALL.to_vec()),
        path(),
        [option::of(name()), option::of(name()), option::of(name())],
        observed(option::of(mount())),
    )
        .prop_map(|(kind, path, [pod, driver, handle], mount)| Leftover {
            kind,
            path,
            pod: pod.map(Into::into),
            driver: driver.map(Into::into),
            handle: handle.map(Into::into),
            mount,
        })
}

fn uncovered() -> impl Strategy<Value = Uncovered> {
    (
        [name(), name(), name()],
        path(),
        observed(option::of(mount())),
    )
        .prop_map(|([pod, plugin, name], path, mount)| Uncovered {
            pod: pod.into(),
            plugin,
            name,
            path,
            mount,
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

fn class() -> impl Strategy<Value = Class> {
    (name(), name(), any::<bool>()).prop_map(|(class, provisioner, expandable)| Class {
        name: class.into(),
        provisioner: provisioner.into(),
        expandable,
    })
}

fn event() -> impl Strategy<Value = Event> {
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

fn volume() -> impl Strategy<Value = Volume> {
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
        (observed(stats()), sizes(), kernel_state()),
    )
        .prop_map(|(first, objects, paths, (stats, sizes, state))| {
            let (spec_name, driver, handle, claim, mode) = first;
            let (persistent, attachment, class, events, resizer_seen) = objects;
            let (staging, staged, published) = paths;
            Volume {
                spec_name,
                driver: driver.into(),
                handle: handle.map(Into::into),
                claim,
                persistent,
                attachment,
                class,
                events,
                resizer_seen,
                mode,
                staging,
                staged,
                published,
                stats,
                sizes,
                state,
            }
        })
}

fn driver() -> impl Strategy<Value = Driver> {
    let plugin = (
        name(),
        observed(any::<bool>()),
        observed(few(name())),
        observed(few(name())),
    )
        .prop_map(|(version, ready, capabilities, services)| Plugin {
            version,
            ready,
            capabilities,
            services,
        });
    (name(), few(text()), option::of(path()), observed(plugin)).prop_map(
        |(name, expected_by, socket, plugin)| Driver {
            name: name.into(),
            expected_by,
            socket,
            plugin,
        },
    )
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
        (listing(leftover()), listing(uncovered())),
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
