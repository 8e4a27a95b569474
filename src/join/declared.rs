//! What objects declare of a volume: its sizes, and whether it is to be read-only.

use std::sync::LazyLock;

use crate::model::objects::{Claim, PersistentVolume, PodVolume};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::sizes::Sizes;

/// A fact for which a volume must be touched, before that was done.
pub(super) fn untouched<T>() -> Observed<T> {
    static GAP: LazyLock<Gap> =
        LazyLock::new(|| Gap::new(Why::NotAsked, "not looked at in this scan"));
    Observed::Unknown(GAP.clone())
}

/// Who asked for a volume to be read-only, if anybody did.
///
/// Only the first access mode counts: the kubelet maps no other (`pkg/volume/csi/csi_client.go`).
pub(super) fn asked_read_only(
    volume: &PodVolume,
    persistent: Observed<&PersistentVolume>,
) -> Observed<Option<String>> {
    if volume.read_only {
        return Observed::Known(Some("the pod".to_owned()));
    }
    persistent.map(declared_read_only)
}

fn declared_read_only(persistent: &PersistentVolume) -> Option<String> {
    let name = &persistent.name;
    if persistent.csi.as_ref().is_some_and(|csi| csi.read_only) {
        Some(format!("persistentvolume {name}: readOnly"))
    } else if persistent
        .access_modes
        .first()
        .is_some_and(|mode| mode == "ReadOnlyMany")
    {
        Some(format!("persistentvolume {name}: access mode ReadOnlyMany"))
    } else if persistent
        .mount_options
        .iter()
        .any(|option| is_read_only(option))
    {
        Some(format!("persistentvolume {name}: mount option ro"))
    } else {
        None
    }
}

/// Whether an entry of `mountOptions`, passed on as it stands, has the word: of mount(8), or of a driver
/// with a mount program of its own (Mountpoint for Amazon S3: `--read-only`).
fn is_read_only(option: &str) -> bool {
    let mut words = option.split(',').map(str::trim);
    words.any(|word| matches!(word, "ro" | "read-only" | "--read-only"))
}

pub(super) fn no_sizes() -> Sizes {
    Sizes {
        request: Observed::Known(None),
        allocated: Observed::Known(None),
        capacity: Observed::Known(None),
        device: untouched(),
        filesystem: untouched(),
        status: Observed::Known(None),
        driver: untouched(),
    }
}

pub(super) fn declared_sizes(claim: &Claim, persistent: Option<&PersistentVolume>) -> Sizes {
    Sizes {
        request: Observed::Known(claim.request),
        // Beside no status it is only what the last expansion left behind.
        allocated: Observed::Known(claim.allocated.filter(|_| claim.resize_status.is_some())),
        capacity: match persistent {
            Some(persistent) => Observed::Known(persistent.capacity),
            None => untouched(),
        },
        status: Observed::Known(claim.capacity),
        ..no_sizes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_is_asked_for_in_several_words() {
        for option in ["ro", "hard,ro", "ro, nolock", "read-only", "--read-only"] {
            assert!(is_read_only(option), "{option}");
        }
        for option in ["rw", "errors=remount-ro", "root_squash", "--allow-other"] {
            assert!(!is_read_only(option), "{option}");
        }
    }
}
