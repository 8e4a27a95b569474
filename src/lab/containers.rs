//! Containers of the lab's pods: a process each, with a mount namespace and a root of its own and the
//! volume in it, that does nothing.
//!
//! The container runtime puts a container into a cgroup named after its pod. The lab's cgroup would
//! outlive it, so it shows the same text at the same place, bound over the process's own.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chdir, pause, pivot_root};
use tokio::time::sleep;

use crate::lab::laboratory::Lab;
use crate::lab::volumes::{Kind, Volume};
use crate::lab::{args, mounts};

/// Where every pod of the lab has its volume, as its spec says.
pub(crate) const PLACE: &str = "/var/lib/data";

/// What is a link in most images, and where it leads.
const LINK: (&str, &str) = ("var/run", "run");

/// Where a pod has its volume, as its spec says: one of them through a link of its image.
pub(crate) fn place(volume: &Volume) -> &'static str {
    match volume.kind {
        Kind::Directory => "/var/run/data",
        _ => PLACE,
    }
}

/// The same as the container's mount table has it.
fn behind_link(place: &Path) -> PathBuf {
    let below = place.strip_prefix("/").unwrap_or(place);
    match below.strip_prefix(LINK.0) {
        Ok(rest) => Path::new("/").join(LINK.1).join(rest),
        Err(_) => place.to_path_buf(),
    }
}

/// The process of one container.
pub(crate) fn run(wanted: &args::Container) -> anyhow::Result<ExitCode> {
    let none: Option<&Path> = None;
    let place = behind_link(&wanted.place);
    let place = wanted.root.join(place.strip_prefix("/").unwrap_or(&place));
    let link = wanted.root.join(LINK.0);
    std::fs::create_dir_all(link.parent().unwrap_or(&link))
        .and_then(|()| std::fs::create_dir_all(&place))
        .with_context(|| format!("could not make {}", place.display()))?;
    if !link.is_symlink() {
        std::os::unix::fs::symlink(Path::new("/").join(LINK.1), &link)
            .with_context(|| format!("could not link {}", link.display()))?;
    }
    unshare(CloneFlags::CLONE_NEWNS).context("could not make a mount namespace")?;
    // What the host mounts later arrives here; what happens here stays here.
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(none, "/", none, slave, none).context("could not make the mounts slaves")?;
    mounts::bind(&wanted.root, &wanted.root, false)?;
    if let Some(volume) = &wanted.volume {
        mounts::bind(volume, &place, wanted.read_only)?;
    }
    let enter = || {
        chdir(&wanted.root)?;
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        chdir("/")
    };
    enter().context("could not make the container's root its own")?;
    loop {
        pause();
    }
}

/// Unmounts a path in the mount namespace of a container.
pub(crate) fn unmount_inside(wanted: &args::UnmountInside) -> anyhow::Result<ExitCode> {
    let path = format!("/proc/{}/ns/mnt", wanted.process);
    let namespace = File::open(&path).with_context(|| format!("could not open {path}"))?;
    setns(namespace, CloneFlags::CLONE_NEWNS).context("could not enter the container")?;
    umount2(wanted.at.as_path(), MntFlags::UMOUNT_NOFOLLOW)
        .with_context(|| format!("could not unmount {}", wanted.at.display()))?;
    Ok(ExitCode::SUCCESS)
}

impl Lab {
    /// Starts the container of a volume's pod, and waits until it has the volume.
    pub(crate) async fn start_container(&mut self, index: usize) -> anyhow::Result<i32> {
        let volume = self.volumes[index].clone();
        self.start_container_of(&volume, index).await
    }

    /// The same for a pod that is not the first of its volume. Numbers take turns in how a cgroup is named.
    pub(crate) async fn start_container_of(
        &mut self,
        volume: &Volume,
        number: usize,
    ) -> anyhow::Result<i32> {
        let root = self.setup.containers().join(volume.pod);
        let mut arguments: Vec<OsString> = vec![
            "container".into(),
            "--root".into(),
            root.join("root").into(),
            "--place".into(),
            place(volume).into(),
        ];
        // Of a device the runtime makes a node in the container's /dev, and mounts nothing.
        if volume.kind != Kind::Block {
            arguments.extend(["--volume".into(), volume.for_container(&self.setup).into()]);
        }
        if volume.read_only {
            arguments.push("--read-only".into());
        }
        let (name, cgroup) = (
            container(volume.pod),
            cgroup(number, &volume.pod_uid, &volume.container_id()),
        );
        std::fs::create_dir_all(root.join("root"))
            .with_context(|| format!("could not make {}", root.display()))?;
        let pid = self
            .processes
            .start(&name, "csi-doctor-lab-pause", arguments)?;
        let at = behind_link(Path::new(place(volume)));
        let at = (volume.kind != Kind::Block).then_some(at.as_path());
        await_root(pid, &name, at).await?;
        // Where /proc is another namespace's, the number is somebody else's.
        let own = std::fs::read_link("/proc/self").unwrap_or_default();
        if own == Path::new(&std::process::id().to_string()) {
            let file = root.join("cgroup");
            std::fs::write(&file, cgroup)
                .with_context(|| format!("could not write {}", file.display()))?;
            mounts::bind(&file, &PathBuf::from(format!("/proc/{pid}/cgroup")), false)?;
        }
        Ok(pid)
    }

    /// Ends the container of a volume's pod, if it runs.
    pub(crate) async fn stop_container(&mut self, index: usize) -> anyhow::Result<()> {
        let name = container(self.volumes[index].pod);
        if self.processes.pid(&name).is_some() {
            self.processes.kill(&name).await?;
        }
        Ok(())
    }
}

/// The name of a container's process here.
pub(crate) fn container(pod: &str) -> String {
    format!("container-{pod}")
}

/// The cgroup of a container as the kubelet's two drivers name it, one after the other.
fn cgroup(number: usize, pod: &str, container: &str) -> String {
    if number.is_multiple_of(2) {
        return format!("0::/kubepods/burstable/pod{pod}/{container}\n");
    }
    let pod = pod.replace('-', "_");
    format!(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{container}.scope\n"
    )
}

/// Waits until a container has its own root, and its volume where it has one.
async fn await_root(pid: i32, name: &str, place: Option<&Path>) -> anyhow::Result<()> {
    for _ in 0..200 {
        let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let lines = || table.lines();
        let target = |line: &'_ str| line.split(' ').nth(4).map(PathBuf::from);
        let has = |place: &Path| lines().any(|line| target(line).as_deref() == Some(place));
        if lines().count() < 4 && has(Path::new("/")) && place.is_none_or(has) {
            return Ok(());
        }
        sleep(Duration::from_millis(25)).await;
    }
    bail!("{name} did not come to have its root and its volume")
}
