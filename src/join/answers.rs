//! What the volumes answered, put into the facts; and the size of a filesystem from its answers.

use crate::join::paths::touched_at;
use crate::model::facts::NodeFacts;
use crate::model::mount::{Mount, Usage};
use crate::model::names::HostPath;
use crate::model::objects::VolumeMode;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::{Answers, Filesystem};
use crate::model::sizes::{Bytes, FilesystemSize};
use crate::model::state::KernelState;
use crate::model::volume::Volume;

const MI: u64 = 1 << 20;
const GI: u64 = 1 << 30;

/// Bytes of an inode on disk, as mke2fs makes them by default.
const EXT_INODE_BYTES: u64 = 256;

/// The largest log that mkfs.xfs makes.
const XFS_LARGEST_LOG: u64 = 2 * GI;

/// Puts what the volumes answered into the facts.
pub fn answer(facts: &mut NodeFacts, answers: &Answers) {
    for (at, volume) in facts.volumes.items.iter_mut().enumerate() {
        if let Some(Some(told)) = answers.told.get(at) {
            volume.stats.clone_from(&told.stats);
            volume.health.clone_from(&told.health);
        }
        answer_volume(volume, answers);
    }
}

fn answer_volume(volume: &mut Volume, answers: &Answers) {
    for published in &mut volume.published {
        if volume.mode == VolumeMode::Block {
            let what = "a raw block device has no filesystem";
            published.usage = Observed::Unknown(Gap::new(Why::Unsupported, what));
        } else if let Observed::Known(None) = published.mount {
            published.usage = Observed::Unknown(nothing_mounted(&published.target));
        }
    }
    for published in &mut volume.published {
        if let Some(place) = answers.elsewhere.get(&published.target) {
            published.elsewhere = place.clone();
        }
    }
    put_usage(volume, answers);
    volume.sizes.driver = volume.stats.as_ref().map(|stats| {
        let total = stats.usage.map(|usage| Bytes(usage.total_bytes));
        total.filter(|total| total.0 > 0)
    });
    let Some(mount) = a_mount(volume) else {
        let target = volume.published.first().map(|published| &published.target);
        let place = target.or(volume.staging.as_ref()).cloned();
        let unseen = volume.published.iter().find_map(|one| one.mount.gap());
        let gap = match unseen.cloned() {
            Some(gap) => gap,
            None => nothing_mounted(&place.unwrap_or_default()),
        };
        volume.sizes.device = Observed::Unknown(gap.clone());
        volume.sizes.filesystem = Observed::Unknown(gap.clone());
        volume.state = KernelState {
            device: Observed::Unknown(gap.clone()),
            errors: Observed::Unknown(gap.clone()),
            waiting: Observed::Unknown(gap),
        };
        return;
    };
    if let Some(device) = answers.devices.get(&mount.target) {
        volume.sizes.device = device.clone();
    }
    if let Some(state) = answers.states.get(&mount.target) {
        volume.state = state.clone();
    }
    let device = volume.sizes.device.known().copied().flatten();
    if let Some(filesystem) = answers.filesystems.get(touched_at(volume, &mount)) {
        let size = filesystem
            .clone()
            .map(|filesystem| filesystem_size(&mount.fs_type, &filesystem, device));
        volume.sizes.filesystem = size;
    }
    if volume.mode == VolumeMode::Block {
        volume.sizes.filesystem = Observed::Known(None);
    }
    if volume.is_directory_backed() {
        // The disk below is the node's own: its sizes say nothing of the volume.
        volume.sizes.device = Observed::Known(None);
        volume.sizes.filesystem = Observed::Known(None);
    }
}

/// What the filesystem of each published mount answered.
fn put_usage(volume: &mut Volume, answers: &Answers) {
    if volume.mode == VolumeMode::Block {
        return;
    }
    let found: Vec<(usize, Observed<Usage>)> = volume
        .published
        .iter()
        .enumerate()
        .filter_map(|(at, published)| {
            let asked = match &published.mount {
                Observed::Known(Some(mount)) => touched_at(volume, mount),
                Observed::Known(None) => return None,
                Observed::Unknown(_) => &published.target,
            };
            let filesystem = answers.filesystems.get(asked)?;
            Some((at, filesystem.clone().map(|filesystem| filesystem.usage)))
        })
        .collect();
    for (at, usage) in found {
        volume.published[at].usage = usage;
    }
}

/// A mount by which the volume can be looked at: the first pod's that has one.
fn a_mount(volume: &Volume) -> Option<Mount> {
    volume
        .published
        .iter()
        .find_map(|published| published.mount.known()?.clone())
}

fn nothing_mounted(path: &HostPath) -> Gap {
    Gap::new(Why::NotFound, format!("nothing is mounted at {path}"))
}

/// Between which two numbers the size of a filesystem lies; `None` for types whose size is a server's matter.
fn filesystem_size(
    fs_type: &str,
    filesystem: &Filesystem,
    device: Option<Bytes>,
) -> Option<FilesystemSize> {
    let total = filesystem.usage.total_bytes;
    let exactly = |size| FilesystemSize {
        at_least: size,
        at_most: size,
    };
    if let Some(true_size) = filesystem.true_size {
        return Some(exactly(true_size));
    }
    let overhead = match fs_type {
        "tmpfs" if total == 0 => return None,
        // Both answer statfs with their whole size.
        "tmpfs" | "btrfs" => return Some(exactly(Bytes(total))),
        "xfs" => XFS_LARGEST_LOG,
        "ext2" | "ext3" | "ext4" => {
            let inodes = filesystem
                .usage
                .total_inodes
                .saturating_mul(EXT_INODE_BYTES);
            // Bitmaps, descriptors and the blocks reserved for more of them are well below a 64th.
            inodes
                .saturating_add(ext_largest_journal(device.map_or(total, |device| device.0)))
                .saturating_add(total / 64)
        }
        _ => return None,
    };
    Some(FilesystemSize {
        at_least: Bytes(total),
        at_most: Bytes(total.saturating_add(overhead)),
    })
}

/// The journal that mke2fs makes by default in a filesystem of this size, with 4 KiB blocks.
///
/// Source: e2fsprogs `lib/ext2fs/mkjournal.c`, `ext2fs_default_journal_size`.
fn ext_largest_journal(size: u64) -> u64 {
    const BELOW: [(u64, u64); 7] = [
        (128 * MI, 4 * MI),
        (GI, 16 * MI),
        (2 * GI, 32 * MI),
        (16 * GI, 64 * MI),
        (32 * GI, 128 * MI),
        (64 * GI, 256 * MI),
        (128 * GI, 512 * MI),
    ];
    let journal = BELOW.iter().find(|(limit, _)| size < *limit);
    journal.map_or(GI, |(_, journal)| *journal)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn size(fs_type: &str, device: u64, total_bytes: u64, total_inodes: u64) -> String {
        let usage = Usage {
            total_bytes,
            total_inodes,
            ..Usage::default()
        };
        let filesystem = Filesystem {
            usage,
            true_size: None,
        };
        match filesystem_size(fs_type, &filesystem, Some(Bytes(device))) {
            Some(size) => {
                let covers = size.at_most.0 >= device && size.at_least.0 <= device;
                format!("{size}, may cover its device: {covers}\n")
            }
            None => "a server's matter\n".to_owned(),
        }
    }

    #[test]
    fn sizes_of_filesystems_that_cover_their_devices() {
        let all = [
            // As measured: 128 MiB and 1 GiB by mke2fs without options.
            size("ext4", 128 * MI, 120_015_872, 32_768),
            size("ext4", GI, 1_020_702_720, 65_536),
            size("xfs", GI, GI - 64 * MI, 0),
            size("btrfs", GI, GI, 0),
            size("nfs4", GI, 100 * GI, 0),
        ];
        expect![[r#"
            114.4Mi to 140.2Mi, may cover its device: true
            973.4Mi to 1.0Gi, may cover its device: true
            960Mi to 2.9Gi, may cover its device: true
            1Gi, may cover its device: true
            a server's matter
        "#]]
        .assert_eq(&all.concat());
    }

    #[test]
    fn sizes_of_filesystems_that_stayed_small() {
        let all = [
            size("ext4", 256 * MI, 120_015_872, 32_768),
            size("ext4", 2 * GI, 1_020_702_720, 65_536),
            size("btrfs", 2 * GI, GI, 0),
        ];
        expect![[r#"
            114.4Mi to 140.2Mi, may cover its device: false
            973.4Mi to 1.0Gi, may cover its device: false
            1Gi, may cover its device: false
        "#]]
        .assert_eq(&all.concat());
    }

    /// As measured on sparse files by mke2fs 1.47, mkfs.xfs and mkfs.btrfs without options but `-m0`:
    /// device, `f_blocks` of 4 KiB, inodes. A filesystem that covers its device is never taken for a
    /// small one, and one whose device has doubled always is, where its type tells its size.
    #[test]
    fn overhead_of_each_type_and_size_is_told_from_smallness() {
        const TI: u64 = 1 << 40;
        let measured = [
            ("ext4", GI, 249_195, 65_536),
            ("ext4", 10 * GI, 2_554_693, 655_360),
            ("ext4", 100 * GI, 25_656_558, 6_553_600),
            ("ext4", TI, 263_940_717, 67_108_864),
            ("ext4", 10 * TI, 2_662_907_880, 335_544_320),
            ("xfs", GI, 245_760, 524_288),
            ("xfs", 10 * GI, 2_605_056, 5_242_880),
            ("xfs", 100 * GI, 26_198_016, 52_428_800),
            ("xfs", TI, 268_304_384, 107_374_144),
            ("xfs", 10 * TI, 2_683_832_822, 1_073_741_760),
            ("btrfs", GI, 262_144, 0),
            ("btrfs", 10 * TI, 2_684_354_560, 0),
        ];
        for (fs_type, device, blocks, inodes) in measured {
            let answer = Filesystem {
                usage: Usage {
                    total_bytes: blocks * 4096,
                    total_inodes: inodes,
                    ..Usage::default()
                },
                true_size: None,
            };
            let size = |device| filesystem_size(fs_type, &answer, Some(Bytes(device))).unwrap();
            let covers = size(device);
            assert!(covers.at_most.0 >= device, "{fs_type} {device}: {covers}");
            assert!(covers.at_least.0 <= device, "{fs_type} {device}: {covers}");
            // Without its geometry a small xfs may be all log.
            if fs_type != "xfs" || device > 4 * GI {
                let half = size(2 * device);
                let floor = 2 * device - 2 * device / 100 * 3;
                assert!(half.at_most.0 < floor, "{fs_type} {device}: {half}");
            }
        }
    }
}
