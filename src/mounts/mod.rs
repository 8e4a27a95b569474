//! The kernel and the kubelet's directory, under a host root.
//!
//! Nothing here knows Kubernetes' objects, plugins or rules: it reads the mount table, sysfs and
//! the kubelet's own files, and asks filesystems, each in a way that cannot hang the caller.
//! It is the one place where a host path is joined to the host root.

pub mod containers;
pub mod elsewhere;
mod file;
pub mod kubelet;
pub mod left;
mod memory;
pub mod mountinfo;
mod peers;
pub mod probe;
pub mod process;
pub mod root;
pub mod state;
pub mod sysfs;
mod touch;
pub mod watch;
pub mod xfs;
