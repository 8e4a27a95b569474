//! A line of the kernel's mount table, and what a filesystem says of itself.

use std::fmt;

use crate::model::names::{HostPath, ServerName, Text};

/// Major and minor number of a device, real or anonymous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DeviceNumber {
    /// Major number; 0 for filesystems without a device of their own.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A mount (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The mount's ID; reused by the kernel.
    pub id: u32,
    /// The ID of the mount that this one is on.
    pub parent: u32,
    /// `st_dev` of the files on it: one per superblock.
    pub device: DeviceNumber,
    /// The directory (or file) of the filesystem that is mounted here.
    pub root: HostPath,
    /// Where it is mounted.
    pub target: HostPath,
    /// Options of this mount alone.
    pub options: Text,
    /// Filesystem type, with its subtype (`fuse.sshfs`).
    pub fs_type: Text,
    /// Device, server, or whatever the filesystem calls its source.
    pub source: Text,
    /// Options of the superblock, shared by all mounts of it.
    pub super_options: Text,
}

impl Mount {
    /// Which side makes it read-only, if any: a mount is writable only when both sides are.
    pub fn read_only(&self) -> Option<ReadOnlySide> {
        if has_option(&self.super_options, "ro") {
            Some(ReadOnlySide::Superblock)
        } else if has_option(&self.super_options, "emergency_ro") {
            Some(ReadOnlySide::Emergency)
        } else if has_option(&self.options, "ro") {
            Some(ReadOnlySide::Mount)
        } else {
            None
        }
    }

    /// Who serves it, for filesystems that come over the network: the same name on every node.
    pub fn server(&self) -> Option<ServerName> {
        let source = self.source.as_str();
        let before_path = || source.split_once(":/").map(|(server, _)| server);
        let server = match self.fs_type.as_str() {
            "nfs" | "nfs4" | "lustre" => before_path(),
            "cifs" | "smb3" => source.strip_prefix("//")?.split('/').next(),
            // Old: monitors:/path. New: user@fsid.name=/path (mount.ceph(8)).
            "ceph" => match source.split_once("=/") {
                Some((cluster, _)) => cluster.split_once('@').map(|(_, cluster)| cluster),
                None => before_path(),
            },
            // host:/volume or host:volume, and what else has its daemon on the node and its data
            // elsewhere: user@host:/path, Name:filesystem.
            "glusterfs" => source.split(':').next(),
            fuse if fuse.starts_with("fuse.") => match before_path() {
                Some(server) => Some(server),
                None if source.contains(':') => Some(source),
                None => None,
            },
            _ => None,
        }?;
        (!server.is_empty()).then(|| server.into())
    }
}

/// Whether a comma-separated list of options has exactly this word.
pub fn has_option(options: &str, word: &str) -> bool {
    options.split(',').any(|option| option == word)
}

/// What makes a mount read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnlySide {
    /// The option of this one mount.
    Mount,
    /// The whole filesystem.
    Superblock,
    /// The kernel, after errors (`emergency_ro`, Linux 6.15).
    Emergency,
}

impl fmt::Display for ReadOnlySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mount => "the mount is read-only",
            Self::Superblock => "the filesystem is read-only",
            Self::Emergency => "the kernel made the filesystem read-only after errors",
        })
    }
}

/// What a filesystem answers to `statfs(2)`, or a driver to `NodeGetVolumeStats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes in all, less the filesystem's own overhead.
    pub total_bytes: u64,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that an ordinary user may still write.
    pub available_bytes: u64,
    /// Inodes in all; 0 where the filesystem makes them as it goes.
    pub total_inodes: u64,
    /// Inodes in use.
    pub used_inodes: u64,
}

impl Usage {
    /// Percent of the space in use, as `df` counts it: what is reserved for root is neither.
    pub fn percent_used(&self) -> u8 {
        percent(self.used_bytes, self.used_bytes + self.available_bytes)
    }

    /// Percent of the inodes in use; 0 where the filesystem counts none.
    pub fn percent_inodes(&self) -> u8 {
        percent(self.used_inodes, self.total_inodes)
    }
}

/// Whole percent, rounded up as `df` does; 0 of nothing.
fn percent(part: u64, whole: u64) -> u8 {
    if whole == 0 {
        return 0;
    }
    (u128::from(part) * 100)
        .div_ceil(u128::from(whole))
        .min(100) as u8
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;

    use crate::model::sample;

    #[test]
    fn servers_are_named_by_network_mounts_alone() {
        let mut text = String::new();
        for (fs_type, source) in [
            ("nfs4", "nfs-1.example.com:/export/a"),
            ("nfs", "[fe80::1]:/a:/b"),
            ("cifs", "//files/share/x"),
            ("ceph", "10.0.0.1:6789,10.0.0.2:6789:/volumes/a"),
            ("ceph", "admin@b3acfc0d.cephfs=/volumes/a"),
            ("lustre", "10.0.0.1@tcp:/fs"),
            ("fuse.glusterfs", "gluster-1:/vol"),
            ("fuse.sshfs", "me@host:/home"),
            ("fuse.juicefs", "JuiceFS:shared"),
            ("fuse.s3fs", "s3fs"),
            ("ext4", "/dev/sdb"),
            ("nfs", ":/"),
            ("cifs", "x"),
        ] {
            let mut mount = sample::mount("/t".into());
            mount.fs_type = fs_type.into();
            mount.source = source.into();
            let server = mount
                .server()
                .map_or("-".to_owned(), |server| server.to_string());
            writeln!(text, "{fs_type} {source} → {server}").unwrap();
        }
        expect![[r#"
            nfs4 nfs-1.example.com:/export/a → nfs-1.example.com
            nfs [fe80::1]:/a:/b → [fe80::1]
            cifs //files/share/x → files
            ceph 10.0.0.1:6789,10.0.0.2:6789:/volumes/a → 10.0.0.1:6789,10.0.0.2:6789
            ceph admin@b3acfc0d.cephfs=/volumes/a → b3acfc0d.cephfs
            lustre 10.0.0.1@tcp:/fs → 10.0.0.1@tcp
            fuse.glusterfs gluster-1:/vol → gluster-1
            fuse.sshfs me@host:/home → me@host
            fuse.juicefs JuiceFS:shared → JuiceFS:shared
            fuse.s3fs s3fs → -
            ext4 /dev/sdb → -
            nfs :/ → -
            cifs x → -
        "#]]
        .assert_eq(&text);
    }
}
