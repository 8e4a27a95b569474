//! Making and entering namespaces. All of it must happen while the process has
//! a single thread: the kernel refuses it afterwards.
//!
//! Knows nothing of what is mounted inside.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, anyhow};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

/// What to do where the kernel refuses user namespaces.
pub(crate) const REFUSED: &str = "run the lab as root, or let the kernel give user namespaces to everybody: \
`sysctl user.max_user_namespaces=10000`, on Debian also `kernel.unprivileged_userns_clone=1`, \
on Ubuntu also `kernel.apparmor_restrict_unprivileged_userns=0`";

/// Moves this process into a mount namespace of its own and its future
/// children into a PID namespace; without root, in a user namespace in which
/// it is root.
pub(crate) fn separate() -> anyhow::Result<()> {
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if geteuid().is_root() {
        match unshare(own) {
            // Root of a container that may not: perhaps in a user namespace.
            Err(Errno::EPERM) => {}
            result => return result.context("could not make a mount and PID namespace"),
        }
    }
    let (user, group) = (geteuid(), getegid());
    unshare(own | CloneFlags::CLONE_NEWUSER)
        .map_err(|error| anyhow!("could not make a user namespace: {error}: {REFUSED}"))?;
    let write = |file: &str, text: String| {
        std::fs::write(file, text)
            .map_err(|error| anyhow!("could not write {file}: {error}: {REFUSED}"))
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("0 {user} 1"))?;
    write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Moves this process into the namespaces of another; its future children are
/// in the other's PID namespace too.
pub(crate) fn enter(pid: i32) -> anyhow::Result<()> {
    let open = |kind: &str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        File::open(&path).with_context(|| format!("could not open {path}"))
    };
    let (user, processes, mounts) = (open("user")?, open("pid")?, open("mnt")?);
    let ours = std::fs::metadata("/proc/self/ns/user").context("could not read our namespace")?;
    // Entering the user namespace one is in already is an error to the kernel.
    if user.metadata()?.ino() != ours.ino() {
        setns(user, CloneFlags::CLONE_NEWUSER).context("could not enter the user namespace")?;
    }
    setns(processes, CloneFlags::CLONE_NEWPID).context("could not enter the PID namespace")?;
    setns(mounts, CloneFlags::CLONE_NEWNS).context("could not enter the mount namespace")
}
