//! Looking at and changing mounts inside the lab. Looking reads the kernel's
//! table only: it never touches a filesystem that may hang.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tokio::process::Command;
use tokio::time::timeout;

/// Formatting and growing are quick on volumes of this size.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the kernel says of the topmost mount on a path.
pub(crate) struct Mounted {
    pub(crate) source: PathBuf,
    /// The superblock's number and the directory of it, as the table has them.
    filesystem: String,
}

/// Looks a mount point up. The lab's own paths need no unescaping.
pub(crate) fn find(path: &Path) -> Option<Mounted> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    String::from_utf8_lossy(&table)
        .lines()
        .rev()
        .find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let fields: Vec<&str> = left.split(' ').collect();
            let [_, _, device, root, point, ..] = fields[..] else {
                return None;
            };
            let source = right.split(' ').nth(1)?;
            (Path::new(point) == path).then(|| Mounted {
                source: source.into(),
                filesystem: format!("{device} {root}"),
            })
        })
}

/// Whether the same directory of the same filesystem is mounted on both.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    let (one, other) = (find(one), find(other));
    one.zip(other)
        .is_some_and(|(one, other)| one.filesystem == other.filesystem)
}

/// Runs a program of the system to its end, within a deadline.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    output(program, arguments).await.map(drop)
}

/// The same, with what it printed.
pub(crate) async fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(arguments)
        // mkfs and its kin live where an ordinary PATH does not look.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output)
        .await
        .map_err(|_| anyhow!("`{}` did not end within {PATIENCE:?}", shown()))?
        .with_context(|| format!("could not run {program}"))?;
    if output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Ok(said.trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace('\n', "; ");
    bail!("`{}` failed: {said}", shown())
}

/// Binds one path onto another.
pub(crate) fn bind(source: &Path, target: &Path, read_only: bool) -> anyhow::Result<()> {
    let none: Option<&Path> = None;
    let to = || {
        format!(
            "could not bind {} to {}",
            source.display(),
            target.display()
        )
    };
    mount(Some(source), target, none, MsFlags::MS_BIND, none).with_context(to)?;
    if read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, target, none, flags, none)
            .with_context(|| format!("could not make {} read-only", target.display()))?;
    }
    Ok(())
}

/// Changes a mounted filesystem itself, not one mount of it: the mounts stay
/// as they are, as when the kernel makes a filesystem read-only after errors.
pub(crate) fn remount(path: &Path, read_only: bool, options: Option<&str>) -> anyhow::Result<()> {
    let none: Option<&Path> = None;
    let mut flags = MsFlags::MS_REMOUNT;
    flags.set(MsFlags::MS_RDONLY, read_only);
    let mount_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    mount(none, path, none, flags, options)
        // The call above changes filesystem and mount; this takes the mount back.
        .and_then(|()| mount(none, path, none, mount_only, none))
        .with_context(|| format!("could not remount {}", path.display()))
}

/// Mounts a new tmpfs of a size in bytes.
pub(crate) fn mount_tmpfs(source: &str, path: &Path, bytes: u64) -> anyhow::Result<()> {
    let options = format!("mode=0777,size={bytes}");
    mount(
        Some(source),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .with_context(|| format!("could not mount a tmpfs on {}", path.display()))
}

/// Takes everything that is stacked on a path out of sight, whoever uses it.
pub(crate) fn detach(path: &Path) -> anyhow::Result<()> {
    while find(path).is_some() {
        umount2(path, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH)
            .with_context(|| format!("could not detach {}", path.display()))?;
    }
    Ok(())
}

/// Begins to write a file, and does not wait for the end, which may never come.
pub(crate) fn begin_writing(file: &Path) -> anyhow::Result<()> {
    let mut child = Command::new("dd")
        .args([
            "if=/dev/zero",
            "bs=64k",
            "count=16",
            "conv=fsync",
            "status=none",
        ])
        .arg(format!("of={}", file.display()))
        .stdin(Stdio::null())
        .spawn()
        .context("could not run dd")?;
    tokio::spawn(async move {
        let _ = child.wait().await;
    });
    Ok(())
}

/// Unmounts everything that is stacked on a path; nothing there is fine.
pub(crate) fn unmount(path: &Path) -> anyhow::Result<()> {
    while find(path).is_some() {
        umount2(path, MntFlags::UMOUNT_NOFOLLOW)
            .with_context(|| format!("could not unmount {}", path.display()))?;
    }
    Ok(())
}
