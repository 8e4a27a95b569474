//! How FUSE mounts and the processes that serve them word a failure: mount pods, sidecars,
//! stunnel and the like.
//!
//! Sources: libfuse `util/fusermount.c`; efs-utils; the mount pods and sidecars of CSI drivers.
//! Knows nothing of the object stores behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // A webhook adds the serving container to the pod; without it nobody serves the mount.
    says(&["failed to inject the sidecar container"]).states(Is::MountDaemonFailed),
    says_any(&[
        "gcsfuse exited with error",
        "sidecar container failed with error: signal",
        "exited with error: signal",
    ])
    .at(&[Phase::Stage, Phase::Publish, Phase::Runtime])
    .states(Is::MountDaemonFailed),
    // The target path was made where this mount(8) cannot see it.
    says(&["kubelet/pods/", "mount point does not exist"]).likely(
        Is::KubeletDirMismatch,
        &[Is::PathInvalid, Is::MountDaemonFailed],
    ),
    // A mount service beside the driver, reached by its own socket.
    says_any(&["proxy.sock", "mount.sock", "mounter.sock"])
        .with(&["connect: "])
        .likely(Is::MountDaemonFailed, &[Is::CsiDriverUnavailable]),
    says(&["failed to find the sidecar container"])
        .likely(Is::MountDaemonFailed, &[Is::DriverMisconfigured]),
    says_any(&["mount", "fuse", "exit status 137"])
        .with(&[
            "signal: killed",
            "oomkilled",
            "out of memory",
            "exit status 137",
        ])
        .at(&[Phase::Publish, Phase::Stage, Phase::Runtime])
        .general()
        .likely(Is::MountDaemonFailed, &[Is::DriverDefect]),
    says(&["rpc.statd is not running but is required for remote locking"]).likely(
        Is::MountHelperMissing,
        &[Is::MountDaemonFailed, Is::BadMountOption],
    ),
    // efs-utils `mount_efs`: no port left for one more tunnel.
    says(&["failed to locate an available port in the range"]).states(Is::MountDaemonFailed),
    says_any(&["stunnel", "efs-proxy", "amazon-efs-mount-watchdog"])
        .with(&[
            "exited",
            "terminated",
            "failed to start",
            "not running",
            "failed to initialize tls tunnel",
            "errored",
        ])
        .likely(
            Is::MountDaemonFailed,
            &[Is::DataPathUnreachable, Is::BadMountOption],
        ),
    says(&["failed to initialize tls tunnel"]).likely(
        Is::MountDaemonFailed,
        &[Is::DataPathUnreachable, Is::DriverMisconfigured],
    ),
    // FUSE: the serving process.
    says_any(&[
        "fuse pod",
        "mount pod",
        "mountpod",
        "fuse daemon",
        "fuse server",
        "fuse process",
        "sidecar container",
        "ceph-fuse",
        "blobfuse",
        "gcsfuse",
        "geesefs",
        "mountpoint pod",
        "csi-mount-pod",
    ])
    .with(&[
        "is not ready",
        "not ready",
        "is not running",
        "exited",
        "not started",
        "terminated",
        "was killed",
        "crash",
        "oom",
        "isn't ready",
        "signal: killed",
        "process exited",
        "failed to start",
        "is being deleted",
    ])
    .likely(
        Is::MountDaemonFailed,
        &[Is::BadMountOption, Is::DataPathAuthFailed],
    ),
    says_any(&["fusermount: ", "fuse: device not found", "/dev/fuse"])
        .general()
        .likely(
            Is::MountDaemonFailed,
            &[Is::KernelSupportMissing, Is::MountHelperMissing],
        ),
    says(&["modprobe fuse"]).states(Is::KernelSupportMissing),
    // A FUSE server's command line is made from mount options.
    says_any(&[
        "flag provided but not defined",
        "unknown flag",
        "unrecognized flag",
        "unrecognized argument",
        "incorrect usage",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .likely(Is::BadMountOption, &[Is::DriverDefect]),
];
