//! The kernel's mount table: bytes to mounts (`proc_pid_mountinfo(5)`).
//!
//! It knows the format and nothing about which mounts matter. A path is bytes and stays so;
//! a line that cannot be understood costs that line and nothing else.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use memchr::memmem;

use crate::model::mount::{DeviceNumber, Mount};
use crate::model::names::{HostPath, Text};
use crate::model::observed::{Gap, Listing, Why};

use super::file;

/// Broken lines that get a gap of their own; what is beyond them is counted in one.
const MAX_GAPS: usize = 20;

/// Characters of a broken line that its gap shows.
const EXCERPT: usize = 80;

/// The table of the host: that of its first process.
pub fn read_table(host_root: &Path) -> Listing<Mount> {
    let path = HostPath::from("/proc/1/mountinfo");
    match std::fs::read(file::below(host_root, &path)) {
        Ok(table) if table.is_empty() => Listing::unknown(Gap::new(
            Why::Malformed,
            format!("read the mount table {path}: it is empty"),
        )),
        Ok(table) => parse_mountinfo(&table),
        Err(error) => {
            let gap = file::gap("read the mount table", &path, &error);
            Listing::unknown(file::of_source(gap))
        }
    }
}

/// With whom a mount shares what is mounted and unmounted on it (`mount_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Peers {
    /// The group in which it gives and takes.
    pub(super) shared: Option<u32>,
    /// The group from which it takes only.
    pub(super) master: Option<u32>,
}

/// The mounts of a table, in its order, which is the order of mounting.
pub fn parse_mountinfo(table: &[u8]) -> Listing<Mount> {
    parse(table, &[], |_| false, |_| ())
}

/// Those of a container's table that can be of a volume. What it has in common with another such table, line by
/// line, is shared with that: containers are made alike.
pub(super) fn parse_inside(table: &[u8], other: &[Mount]) -> Listing<Mount> {
    parse(table, other, is_the_kernels, |_| ())
}

/// Whether a line is of what the kernel tells of itself, which every container has, and which is no volume.
fn is_the_kernels(line: &[u8]) -> bool {
    const OWN: [&[u8]; 6] = [
        b"proc", b"sysfs", b"cgroup", b"cgroup2", b"devpts", b"mqueue",
    ];
    // No field has a space in it; the lone hyphen comes before the type.
    let Some(hyphen) = memmem::find(line, b" - ") else {
        return false;
    };
    let after = &line[hyphen + 3..];
    let end = memchr::memchr(b' ', after).unwrap_or(after.len());
    OWN.contains(&&after[..end])
}

/// The same, with the peers of each mount.
pub(super) fn parse_with_peers(table: &[u8]) -> (Listing<Mount>, Vec<Peers>) {
    let mut peers = Vec::new();
    let listing = parse(table, &[], |_| false, |one| peers.push(one));
    (listing, peers)
}

fn parse(
    table: &[u8],
    other: &[Mount],
    left_out: impl Fn(&[u8]) -> bool,
    mut with_peers: impl FnMut(Peers),
) -> Listing<Mount> {
    let mut listing = Listing {
        items: Vec::with_capacity(other.len()),
        gaps: Vec::new(),
    };
    let mut unlisted = 0_usize;
    let mut rest = table;
    let lines = std::iter::from_fn(|| {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).filter(|_| !rest.is_empty())?;
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    });
    for (index, line) in lines.enumerate() {
        if line.is_empty() || left_out(line) {
            continue;
        }
        let like = Like([other.get(listing.items.len()), listing.items.last()]);
        match parse_line(line, like) {
            Ok((mount, peers)) => {
                listing.items.push(mount);
                with_peers(peers);
            }
            Err(_) if listing.gaps.len() >= MAX_GAPS => unlisted += 1,
            Err(fault) => listing.gaps.push(Gap::new(
                Why::Malformed,
                format!(
                    "read line {} of the mount table: {fault}: {}",
                    index + 1,
                    excerpt(line)
                ),
            )),
        }
    }
    if unlisted > 0 {
        listing.gaps.push(Gap::new(
            Why::Malformed,
            format!("read the mount table: {unlisted} more lines that cannot be understood"),
        ));
    }
    listing
}

/// Mounts that another one may have much in common with: the one in the same line of another table, and the one in
/// the line before, since most of a node's mounts differ by their paths alone.
#[derive(Clone, Copy)]
struct Like<'a>([Option<&'a Mount>; 2]);

impl Like<'_> {
    /// A text; that of one of them where it is the same.
    fn text(self, field: &[u8], of: impl Fn(&Mount) -> &Text) -> Text {
        let mut known = self.0.into_iter().flatten().map(of);
        match known.find(|text| text.as_bytes() == field) {
            Some(text) => text.clone(),
            None => String::from_utf8_lossy(field).into(),
        }
    }

    /// A path; that of one of them where it is the same.
    fn path(self, field: &[u8], of: impl Fn(&Mount) -> &HostPath) -> HostPath {
        let path = unescape(field);
        let mut known = self.0.into_iter().flatten().map(of);
        match known.find(|known| known.0.as_os_str().as_bytes() == &*path) {
            Some(known) => known.clone(),
            None => HostPath(Path::new(OsStr::from_bytes(&path)).into()),
        }
    }
}

/// One line, or what is wrong with it.
fn parse_line(line: &[u8], like: Like<'_>) -> Result<(Mount, Peers), &'static str> {
    // Single spaces: the source of a mount may be empty.
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = |fault| fields.next().ok_or(fault);
    let id = number(next("no mount ID")?).ok_or("the mount ID is no number")?;
    let parent = number(next("no parent ID")?).ok_or("the parent ID is no number")?;
    let device = device(next("no device number")?).ok_or("the device number is none")?;
    let root = like.path(next("no root")?, |mount| &mount.root);
    let target = like.path(next("no mount point")?, |mount| &mount.target);
    let options = like.text(next("no mount options")?, |mount| &mount.options);
    if !target.0.is_absolute() {
        return Err("the mount point is not absolute");
    }
    // Optional fields, known and unknown, end at the first lone hyphen.
    let mut peers = Peers::default();
    loop {
        let field = next("no hyphen after the optional fields")?;
        if field == b"-" {
            break;
        } else if let Some(group) = field.strip_prefix(b"shared:") {
            peers.shared = number(group);
        } else if let Some(group) = field.strip_prefix(b"master:") {
            peers.master = number(group);
        }
    }
    let fs_type = like.text(next("no filesystem type")?, |mount| &mount.fs_type);
    let source = unescape(next("no source")?);
    let source = like.text(&source, |mount| &mount.source);
    let mut super_options = Cow::Borrowed(next("no superblock options")?);
    for more in fields {
        let options = super_options.to_mut();
        options.push(b' ');
        options.extend_from_slice(more);
    }
    if fs_type.is_empty() {
        return Err("no filesystem type");
    }
    let super_options = like.text(&super_options, |mount| &mount.super_options);
    let mount = Mount {
        id,
        parent,
        device,
        root,
        target,
        options,
        fs_type,
        source,
        super_options,
    };
    Ok((mount, peers))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn device(field: &[u8]) -> Option<DeviceNumber> {
    let colon = field.iter().position(|byte| *byte == b':')?;
    Some(DeviceNumber {
        major: number(&field[..colon])?,
        minor: number(&field[colon + 1..])?,
    })
}

/// Three octal digits after a backslash are a byte; any other backslash is itself.
fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        if let [
            b'\\',
            high @ b'0'..=b'3',
            middle @ b'0'..=b'7',
            low @ b'0'..=b'7',
            tail @ ..,
        ] = rest
        {
            bytes.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
            rest = tail;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Cow::Owned(bytes)
}

/// The beginning of a broken line, fit for a terminal.
fn excerpt(line: &[u8]) -> String {
    // A character has at most four bytes: no need to decode a line of megabytes.
    let start = &line[..line.len().min(EXCERPT * 4 + 4)];
    let decoded = String::from_utf8_lossy(start);
    let mut shown: String = decoded
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(EXCERPT)
        .collect();
    if decoded.chars().nth(EXCERPT).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(table: &[u8], expected: &Expect) {
        let listing = parse_mountinfo(table);
        let mut shown = String::new();
        for mount in &listing.items {
            writeln!(
                shown,
                "{} on {} {} {:?} {:?} {} {:?} {} {:?}",
                mount.id,
                mount.parent,
                mount.device,
                mount.root.0,
                mount.target.0,
                mount.options,
                mount.source.as_str(),
                mount.fs_type,
                mount.super_options.as_str()
            )
            .unwrap();
        }
        for gap in &listing.gaps {
            writeln!(shown, "gap: {gap}").unwrap();
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn lines_of_every_shape() {
        check(
            b"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n\
              36 22 0:44 / /mnt/a\\040b\\134c ro,noatime - fuse.sshfs user@host:/x\\040y rw,user_id=0\n\
              37 22 0:45 /sub//deleted /mnt/t rw shared:7 master:2 propagate_from:1 unbindable - tmpfs  rw\n\
              38 22 0:4 net:[4026531840] /run/netns/x rw - nsfs nsfs rw\n\
              39 22 0:50 / /mnt/- rw new:9 - overlay a - b rw,lowerdir=/a\\072b\n",
            &expect![[r#"
                22 on 1 254:1 "/" "/" rw,relatime "/dev/vda1" ext4 "rw,errors=remount-ro"
                36 on 22 0:44 "/" "/mnt/a b\\c" ro,noatime "user@host:/x y" fuse.sshfs "rw,user_id=0"
                37 on 22 0:45 "/sub//deleted" "/mnt/t" rw "" tmpfs "rw"
                38 on 22 0:4 "net:[4026531840]" "/run/netns/x" rw "nsfs" nsfs "rw"
                39 on 22 0:50 "/" "/mnt/-" rw "a" overlay "- b rw,lowerdir=/a\\072b"
            "#]],
        );
    }

    #[test]
    fn a_broken_line_costs_itself_only() {
        check(
            b"22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
              what is\tthis\x1b[31m\n\
              x 22 0:1 / /a rw - tmpfs t rw\n\
              24 22 0.1 / /a rw - tmpfs t rw\n\
              25 22 0:1 / a rw - tmpfs t rw\n\
              26 22 0:1 / /a rw shared:1 tmpfs t rw\n\
              27 22 0:1 / /a rw - tmpfs\n\
              28 22 0:1 / /mnt/\xff\xfe rw - tmpfs \xff rw",
            &expect![[r#"
                22 on 1 254:1 "/" "/" rw "/dev/vda1" ext4 "rw"
                28 on 22 0:1 "/" "/mnt/\xFF\xFE" rw "�" tmpfs "rw"
                gap: read line 2 of the mount table: the mount ID is no number: what is�this�[31m (Malformed)
                gap: read line 3 of the mount table: the mount ID is no number: x 22 0:1 / /a rw - tmpfs t rw (Malformed)
                gap: read line 4 of the mount table: the device number is none: 24 22 0.1 / /a rw - tmpfs t rw (Malformed)
                gap: read line 5 of the mount table: the mount point is not absolute: 25 22 0:1 / a rw - tmpfs t rw (Malformed)
                gap: read line 6 of the mount table: no hyphen after the optional fields: 26 22 0:1 / /a rw shared:1 tmpfs t rw (Malformed)
                gap: read line 7 of the mount table: no source: 27 22 0:1 / /a rw - tmpfs (Malformed)
            "#]],
        );
    }

    #[test]
    fn what_the_kernel_tells_of_itself_is_no_volume() {
        let table = b"23 22 0:1 / /proc rw - proc proc rw\n24 23 0:1 /sys /proc/sys ro shared:1 - proc proc rw\n\
            25 22 0:2 / /sys ro - sysfs sysfs ro\n26 25 0:3 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n\
            27 22 0:4 / /dev rw - tmpfs proc rw\n28 22 0:5 / /data rw - procfs x rw\n29 22 0:6 / /x rw - proc";
        let listing = parse_inside(table, &[]);
        let ids: Vec<u32> = listing.items.iter().map(|mount| mount.id).collect();
        assert_eq!((ids, listing.gaps), (vec![27, 28], Vec::new()));
    }

    #[test]
    fn a_table_of_garbage_does_not_flood() {
        let listing = parse_mountinfo("garbage\n".repeat(1000).as_bytes());
        assert_eq!(listing.gaps.len(), MAX_GAPS + 1);
        expect!["read the mount table: 980 more lines that cannot be understood (Malformed)"]
            .assert_eq(&listing.gaps[MAX_GAPS].to_string());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(table in proptest::collection::vec(any::<u8>(), 0..400)) {
            let listing = parse_mountinfo(&table);
            prop_assert!(listing.gaps.iter().all(|gap| !gap.what.chars().any(char::is_control)));
        }

        #[test]
        fn what_is_shared_with_another_table_is_the_same(lines in proptest::collection::vec((0..4_usize, 0..4_usize), 0..6)) {
            const LINES: [&str; 4] = [
                "22 1 254:1 / / rw - ext4 /dev/vda1 rw",
                "23 22 0:1 /a /mnt/a\\040b ro - tmpfs t ro",
                "24 22 0:1 / /mnt/\\134 rw - tmpfs t\\040u rw,x",
                "what is this",
            ];
            let table = |of: fn(&(usize, usize)) -> usize| lines.iter().map(|one| LINES[of(one)]).collect::<Vec<_>>().join("\n");
            let (one, other) = (table(|one| one.0), table(|one| one.1));
            let like = parse_inside(one.as_bytes(), &parse_mountinfo(other.as_bytes()).items);
            prop_assert_eq!(like, parse_mountinfo(one.as_bytes()));
        }

        #[test]
        fn nearly_right_lines_are_survived(line in r"[0-9]{1,3} [0-9]{1,3} [0-9]:[0-9] [/\\0-7a]{0,8} [/\\0-7a -]{0,8} rw[ -]{0,4}[a-z ]{0,9}") {
            let lines = line.lines().count();
            let listing = parse_mountinfo(line.as_bytes());
            prop_assert_eq!(listing.items.len() + listing.gaps.len(), lines);
        }
    }
}
