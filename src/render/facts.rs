//! `scan -o facts`: all that was seen of each volume, before anybody judges it.

use std::fmt::Write as _;
use std::path::Path;

use crate::model::facts::NodeFacts;
use crate::model::mount::{Mount, Usage};
use crate::model::objects::VolumeMode;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::sizes::Bytes;
use crate::model::volume::{Inside, Published, Volume};

/// The facts of a node, one paragraph a volume.
pub fn facts(node: &NodeFacts) -> String {
    let mut text = String::new();
    for volume in &node.volumes.items {
        volume_facts(&mut text, volume);
    }
    for left in &node.leftovers.items {
        let of = left.pod.as_ref().map_or_else(
            || "of no pod in use".to_owned(),
            |pod| format!("of pod {pod}, which is not there"),
        );
        let _ = writeln!(text, "left over: {} {of}", left.kind);
        let _ = writeln!(text, "  {}", left.path);
        let _ = writeln!(text, "  mounted: {}", mounted(&left.mount));
    }
    for place in &node.uncovered.items {
        let _ = writeln!(
            text,
            "not covered: {} {} of pod {}",
            place.plugin, place.name, place.pod
        );
        let _ = writeln!(text, "  mounted: {}", mounted(&place.mount));
    }
    let lists = [
        ("volumes", &node.volumes.gaps),
        ("drivers", &node.drivers.gaps),
        ("left-overs", &node.leftovers.gaps),
        ("what is not covered", &node.uncovered.gaps),
        ("node", &node.gaps),
    ];
    for (list, gaps) in lists {
        for gap in gaps {
            let _ = writeln!(text, "gap of {list}: {gap}");
        }
    }
    text
}

fn volume_facts(text: &mut String, volume: &Volume) {
    let mode = match volume.mode {
        VolumeMode::Filesystem => "",
        VolumeMode::Block => ", a block device",
    };
    let _ = writeln!(text, "{}{mode}", volume.object());
    let _ = writeln!(text, "  staged: {}", mounted(&volume.staged));
    for published in &volume.published {
        published_facts(text, published);
    }
    let state = &volume.state;
    let _ = writeln!(
        text,
        "  device: {}, size {}",
        or_none(&state.device),
        or_none(&volume.sizes.device)
    );
    let _ = writeln!(
        text,
        "  filesystem size: {}",
        or_none(&volume.sizes.filesystem)
    );
    let _ = writeln!(text, "  errors: {}", or_none(&state.errors));
    let _ = writeln!(text, "  FUSE: {}", or_none(&state.waiting));
    if volume.is_directory_backed() {
        let _ = writeln!(text, "  a directory of a filesystem that it shares");
    }
}

fn published_facts(text: &mut String, published: &Published) {
    let state = match &published.state {
        Observed::Known(state) => format!("{state:?}").to_lowercase(),
        Observed::Unknown(gap) => unknown(gap),
    };
    let live = match &published.live {
        Observed::Known(true) => "a process of it lives".to_owned(),
        Observed::Known(false) => "no process of it lives".to_owned(),
        Observed::Unknown(gap) => unknown(gap),
    };
    let _ = writeln!(text, "  pod {}: {state}; {live}", published.pod);
    let host = if published.device_node {
        "a device node of the driver's own".to_owned()
    } else {
        mounted(&published.mount)
    };
    let _ = writeln!(text, "    on the host: {host}");
    match &published.inside {
        Observed::Known(inside) => {
            for one in inside {
                let _ = writeln!(
                    text,
                    "    in container {}: {}",
                    one.container,
                    seen_inside(one)
                );
            }
        }
        Observed::Unknown(gap) => {
            let _ = writeln!(text, "    in containers: {}", unknown(gap));
        }
    }
    for sub_path in &published.sub_paths {
        let _ = writeln!(
            text,
            "    subPath for container {}: {} of {}",
            sub_path.container, sub_path.mount.root, sub_path.mount.source
        );
    }
    if let Observed::Known(Some(by)) = &published.asked_read_only {
        let _ = writeln!(text, "    read-only asked for by {by}");
    }
    let answers = match &published.usage {
        Observed::Known(usage) => usage_of(usage),
        // There is nothing that could answer: a raw block device.
        Observed::Unknown(gap) if gap.why == Why::Unsupported => "-".to_owned(),
        Observed::Unknown(gap) => unknown(gap),
    };
    let _ = writeln!(text, "    answers: {answers}");
}

fn seen_inside(inside: &Inside) -> String {
    match &inside.mount {
        Some(mount) => format!("{} at {}", mount_of(mount), inside.path),
        None => format!("nothing is mounted at {}", inside.path),
    }
}

fn usage_of(usage: &Usage) -> String {
    format!(
        "{} % of {}, {} of {} inodes",
        usage.percent_used(),
        Bytes(usage.total_bytes),
        usage.used_inodes,
        usage.total_inodes
    )
}

fn mounted(mount: &Observed<Option<Mount>>) -> String {
    match mount {
        Observed::Known(Some(mount)) => mount_of(mount),
        Observed::Known(None) => "nothing".to_owned(),
        Observed::Unknown(gap) => unknown(gap),
    }
}

pub(super) fn mount_of(mount: &Mount) -> String {
    // What is mounted over the file of a raw block volume is a device's node, not a filesystem.
    if mount.fs_type == "devtmpfs" && *mount.root.0 != *Path::new("/") {
        return format!("device /dev{}, {}", mount.root, mount.options);
    }
    format!(
        "{} on {} ({}), {}; filesystem {}",
        mount.fs_type, mount.source, mount.device, mount.options, mount.super_options
    )
}

fn or_none<T: std::fmt::Display>(fact: &Observed<Option<T>>) -> String {
    match fact {
        Observed::Known(Some(fact)) => fact.to_string(),
        Observed::Known(None) => "-".to_owned(),
        Observed::Unknown(gap) => unknown(gap),
    }
}

fn unknown(gap: &Gap) -> String {
    format!("not known: {gap}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;

    #[test]
    fn a_healthy_volume_in_full() {
        expect![[r#"
            claim shop/orders-db
              staged: ext4 on /dev/sdb (8:16), rw,relatime; filesystem rw
              pod shop/orders-0: running; a process of it lives
                on the host: ext4 on /dev/sdb (8:16), rw,relatime; filesystem rw
                in container app: ext4 on /dev/sdb (8:16), rw,relatime; filesystem rw at /var/lib/data
                answers: 21 % of 9.7Gi, 1200 of 655360 inodes
              device: 8:16, size 10Gi
              filesystem size: 9.7Gi to 10Gi
              errors: none
              FUSE: -
        "#]].assert_eq(&super::facts(&sample::node()));
    }
}
