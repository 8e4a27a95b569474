//! What is said about an error text: its cause, how sure we are, and the layers it was wrapped in.
//!
//! Knows the names of the causes and nothing of how a text is read: that is `causes`.

use std::fmt;

macro_rules! cause_ids {
    ($($(#[$doc:meta])* $variant:ident => $id:literal,)+) => {
        /// The root cause of a storage error; each has its section in `docs/causes.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CauseId {
            $($(#[$doc])* $variant,)+
        }

        impl CauseId {
            /// Every cause, in the order of the handbook.
            pub const ALL: &'static [CauseId] = &[$(CauseId::$variant,)+];

            /// The name of the cause as people see it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(CauseId::$variant => $id,)+
                }
            }

            /// The cause of that name.
            pub fn from_name(name: &str) -> Option<CauseId> {
                Self::ALL.iter().copied().find(|id| id.as_str() == name)
            }
        }
    };
}

cause_ids! {
    /// The node cannot reach the storage data path.
    DataPathUnreachable => "data-path-unreachable",
    /// The storage server is reached but rejects the identity used to mount.
    DataPathAuthFailed => "data-path-auth-failed",
    /// The export or share does not admit this client.
    ExportAccessDenied => "export-access-denied",
    /// The path asked for does not exist or is of the wrong kind.
    PathInvalid => "path-invalid",
    /// A mount, format or transport tool is missing on the node or in the driver image.
    MountHelperMissing => "mount-helper-missing",
    /// The mount options in PV, class or driver are not valid for that filesystem, server or protocol version.
    BadMountOption => "bad-mount-option",
    /// The node's kernel lacks the module or a feature the volume needs.
    KernelSupportMissing => "kernel-support-missing",
    /// The user-space process that serves the mount is not up or was killed.
    MountDaemonFailed => "mount-daemon-failed",
    /// A mount on the node is dead.
    StaleMount => "stale-mount",
    /// The device or mount point is held by something on the node.
    DeviceBusy => "device-busy",
    /// The volume is attached for the control plane but no device shows up on the node.
    DeviceNotFound => "device-not-found",
    /// iSCSI, `NVMe` or FC session to the target cannot be made.
    BlockTransportLoginFailed => "block-transport-login-failed",
    /// The filesystem on the device is damaged, or must be checked before it can be mounted or grown.
    FilesystemCorruption => "filesystem-corruption",
    /// The filesystem is intact but not what the mount expects.
    FilesystemMismatch => "filesystem-mismatch",
    /// I/O errors below the filesystem made the kernel abort the journal and turn it read-only.
    IoErrorReadonly => "io-error-readonly",
    /// The filesystem of the node or cache is full.
    DiskFull => "disk-full",
    /// Recursive ownership change for fsGroup is slow, races with files that vanish, or fsGroup is not set at all.
    FsgroupOwnership => "fsgroup-ownership",
    /// An object the pod names is missing or being deleted.
    ReferencedObjectMissing => "referenced-object-missing",
    /// No driver or plugin of that name is known where it is needed.
    CsiDriverNotRegistered => "csi-driver-not-registered",
    /// The driver exists by name but its controller or node service does not answer, or it was never installed.
    CsiDriverUnavailable => "csi-driver-unavailable",
    /// The driver works on another kubelet directory, or its mounts do not propagate to the host.
    KubeletDirMismatch => "kubelet-dir-mismatch",
    /// The driver's own configuration is wrong.
    DriverMisconfigured => "driver-misconfigured",
    /// The secret that the driver needs is absent, empty, lacks a field, or is not referenced.
    DriverSecretInvalid => "driver-secret-invalid",
    /// A defect of the driver, or a version that does not fit the cluster, CRDs, storage or tools.
    DriverDefect => "driver-defect",
    /// A Kubernetes service account lacks a right on storage objects.
    K8sRbacDenied => "k8s-rbac-denied",
    /// The management API that the driver or the kubelet needs does not answer.
    ApiUnreachable => "api-unreachable",
    /// The management API rejects the driver's identity.
    BackendAuthFailed => "backend-auth-failed",
    /// The identity is known but lacks a right for the action.
    BackendPermissionDenied => "backend-permission-denied",
    /// A limit of the account or product is reached.
    BackendQuotaExceeded => "backend-quota-exceeded",
    /// The pool, volume group or node has no space left for the volume.
    BackendCapacityExhausted => "backend-capacity-exhausted",
    /// The storage system itself is unhealthy.
    StorageBackendDegraded => "storage-backend-degraded",
    /// The volume behind the PV no longer exists in the storage system.
    VolumeNotFoundBackend => "volume-not-found-backend",
    /// Ceph has blocklisted this node's client after a stall or by hand.
    ClientBlocklisted => "client-blocklisted",
    /// Driver or cloud does not know the node.
    NodeUnknownToDriver => "node-unknown-to-driver",
    /// The node has no attach slot left.
    NodeAttachLimit => "node-attach-limit",
    /// Volume and node do not go together.
    TopologyMismatch => "topology-mismatch",
    /// Another pod or client legitimately holds the volume on another node.
    VolumeInUseElsewhere => "volume-in-use-elsewhere",
    /// The old pod has moved away but its node has not released the volume yet.
    MultiAttachPreviousNode => "multi-attach-previous-node",
    /// The node that holds the attachment is down or gone.
    StaleAttachmentDeadNode => "stale-attachment-dead-node",
    /// A `VolumeAttachment` stays or hangs in deletion.
    StaleVolumeattachment => "stale-volumeattachment",
    /// The driver refuses because an earlier call for the same volume still runs.
    OperationInProgress => "operation-in-progress",
    /// A conflict, cache sync or slow call that clears on the next retry.
    TransientRetry => "transient-retry",
    /// kubelet, API server or controller works on outdated state of a volume.
    ComponentStateStale => "component-state-stale",
    /// The class binds on first use and no pod has been scheduled with the claim.
    WaitingForConsumer => "waiting-for-consumer",
    /// Normal progress: an external controller has been asked.
    WaitingForController => "waiting-for-controller",
    /// The `StorageClass` is missing, or a parameter of it is wrong.
    StorageclassInvalid => "storageclass-invalid",
    /// The size asked for is out of range or smaller than what exists.
    InvalidSizeRequest => "invalid-size-request",
    /// Driver or backend cannot do what is asked.
    UnsupportedCapability => "unsupported-capability",
    /// No PV fits the claim.
    NoMatchingPv => "no-matching-pv",
    /// PV and claim point past each other.
    BindingInconsistent => "binding-inconsistent",
    /// A `ResourceQuota` or `LimitRange` of the namespace stops the claim.
    NamespaceQuotaExceeded => "namespace-quota-exceeded",
    /// The class does not allow expansion, or nothing in the driver can do it.
    ExpandUnsupported => "expand-unsupported",
    /// Expansion waits for the volume to be detached or the pod to be restarted.
    ExpandNeedsRestart => "expand-needs-restart",
    /// The backend limits how often a volume may be modified.
    ModifyCooldown => "modify-cooldown",
    /// No `VolumeSnapshotClass`, no default one, or one of another driver.
    SnapshotClassInvalid => "snapshot-class-invalid",
    /// The source of snapshot, clone or restore is missing, not CSI, or does not fit.
    DataSourceInvalid => "data-source-invalid",
    /// Snapshot CRDs or their version are not in the cluster.
    SnapshotApiMissing => "snapshot-api-missing",
    /// Unmount or unmap fails because the target is still in use on the node.
    UnmountBusy => "unmount-busy",
    /// Directories of dead pods are left on the node; kubelet cannot build an unmounter.
    OrphanedPodDirs => "orphaned-pod-dirs",
    /// Deletion waits for a user.
    DeleteBlockedInUse => "delete-blocked-in-use",
}

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// The text itself says so.
    Stated,
    /// The usual cause of such a wording; others are named beside it.
    Likely,
}

impl Confidence {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Confidence::Stated => "stated",
            Confidence::Likely => "likely",
        }
    }

    /// The confidence of that word.
    pub fn from_name(name: &str) -> Option<Confidence> {
        [Confidence::Stated, Confidence::Likely]
            .into_iter()
            .find(|confidence| confidence.as_str() == name)
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cause and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause {
    /// Which cause.
    pub id: CauseId,
    /// Whether the text says so or usually means so.
    pub confidence: Confidence,
}

macro_rules! grpc_codes {
    ($($variant:ident = $number:literal,)+) => {
        /// The status codes of gRPC, by the names that Go prints.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum GrpcCode {
            $(
                #[doc = concat!("Number ", stringify!($number), ".")]
                $variant = $number,
            )+
        }

        impl GrpcCode {
            /// The code's name as Go prints it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(GrpcCode::$variant => stringify!($variant),)+
                }
            }

            /// The code of that name, whatever its case.
            pub fn from_name(name: &str) -> Option<GrpcCode> {
                $(
                    if name.eq_ignore_ascii_case(stringify!($variant)) {
                        return Some(GrpcCode::$variant);
                    }
                )+
                None
            }
        }
    };
}

grpc_codes! {
    Canceled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One wrapping of a nested message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What this layer itself says, without what it wraps; control characters removed, bounded length.
    pub text: String,
    /// Who words it, where the form tells.
    pub speaker: Option<&'static str>,
    /// The gRPC status that this layer is the description of.
    pub code: Option<GrpcCode>,
}

/// Another cause that such a wording can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Which cause.
    pub cause: CauseId,
    /// How to tell it from its neighbours: a sentence of the handbook.
    pub how_to_tell: &'static str,
}

/// All that is said about one error text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// The cause, or nothing when it is unknown.
    pub cause: Option<Cause>,
    /// The layers of the message, outermost first.
    pub layers: Vec<Layer>,
    /// The next step: what to do about the cause, or how to learn it.
    pub next: &'static str,
    /// For a likely cause, the others that the wording can have.
    pub others: Vec<Other>,
}

/// More of somebody's words than so many characters is no part of a sentence.
const HEART: usize = 240;

impl Classification {
    /// The words at the heart of the message: its innermost layer, as part of a sentence.
    pub fn heart(&self) -> String {
        let innermost = self.layers.last();
        let words = innermost.map(|layer| layer.text.trim()).unwrap_or_default();
        let words = words.trim_end_matches('.');
        match words.char_indices().nth(HEART) {
            Some((at, _)) => format!("{}…", &words[..at]),
            None => words.to_owned(),
        }
    }
}
