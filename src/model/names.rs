//! Newtypes for every identifier, so that a driver's name is never taken for a volume's.
//!
//! Names and paths are shared, not copied: a scan has each of them in many places, by the thousand.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(name: T) -> Self {
                Self(name.into())
            }
        }
    };
}

name! {
    /// Any other words that many facts share.
    Text
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        *self.0 == **other
    }
}

impl From<&Text> for String {
    fn from(text: &Text) -> Self {
        text.as_str().to_owned()
    }
}

name! {
    /// A node, by the name of its Node object.
    NodeName
}
name! {
    /// A CSI driver, as `GetPluginInfo` and CSIDriver name it.
    DriverName
}
name! {
    /// What a PersistentVolume calls `volumeHandle` and CSI calls `volume_id`.
    VolumeHandle
}
name! {
    /// A PersistentVolume, by its name; cluster-wide.
    PersistentVolumeName
}
name! {
    /// A StorageClass, by its name.
    ClassName
}
name! {
    /// What serves a network filesystem, as its mounts name it: a host, an address, a list of them.
    ServerName
}
name! {
    /// The UID of a Kubernetes object: two objects of one name are told apart by it.
    Uid
}

/// A pod, one life of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Its UID, which also names its directory under the kubelet's `pods/`.
    pub uid: Uid,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A PersistentVolumeClaim, one life of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClaimRef {
    /// Its namespace.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Its UID.
    pub uid: Uid,
}

impl fmt::Display for ClaimRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A path as the *host* sees it. Only `mounts` joins it to the agent's host root.
#[derive(Debug, Clone)]
pub struct HostPath(pub Arc<Path>);

impl HostPath {
    /// The path below this one.
    #[must_use]
    pub fn join(&self, below: impl AsRef<Path>) -> Self {
        let below = below.as_ref();
        // Made for both: to join them is to copy twice.
        let room = self.bytes().len() + 1 + below.as_os_str().len();
        let mut path = PathBuf::with_capacity(room);
        path.push(&self.0);
        path.push(below);
        path.into()
    }

    /// The directory that it is in; the root is in itself.
    #[must_use]
    pub fn directory(&self) -> Self {
        Self(self.0.parent().unwrap_or(&self.0).into())
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_encoded_bytes()
    }
}

/// By their bytes: paths of the mount table and of the kubelet are written in one way only, and a scan
/// compares them by the thousand.
impl Ord for HostPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for HostPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for HostPath {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for HostPath {}

impl Hash for HostPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl<T: Into<PathBuf>> From<T> for HostPath {
    fn from(path: T) -> Self {
        Self(Arc::from(path.into()))
    }
}

impl Default for HostPath {
    fn default() -> Self {
        Self(Path::new("").into())
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
