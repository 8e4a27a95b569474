//! The steps of an object's way, in their order.

use std::fmt;

/// One step on an object's way; a rule may say which one it judges. Steps are in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From a new claim to a bound one.
    Bind(BindStage),
    /// From a scheduled pod to its started containers.
    Mount(MountStage),
    /// From a raised request to a grown filesystem.
    Expand(ExpandStage),
}

/// The way of a claim to a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindStage {
    /// The claim is there.
    Claimed,
    /// Its class is there.
    ClassExists,
    /// A pod that the class waits for is there, and has a node.
    Consumer,
    /// Somebody makes volumes of the class.
    Provisioner,
    /// A volume was made, or one that fits was found.
    VolumeFound,
    /// Both name each other.
    Bound,
}

/// The way of a volume into a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MountStage {
    /// A node was chosen.
    Scheduled,
    /// The volume is attached to it.
    Attached,
    /// The driver is there.
    DriverRegistered,
    /// `NodeStageVolume` is done.
    Staged,
    /// `NodePublishVolume` is done.
    Published,
    /// The filesystem answers.
    Answers,
    /// It can be written, where that is asked for, and there is room.
    Writable,
    /// The containers run.
    PodStarted,
}

/// The seven steps of an expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpandStage {
    /// The class allows it.
    ClassAllows,
    /// The claim's request was raised.
    Requested,
    /// The resizer saw it.
    ResizerSaw,
    /// `ControllerExpandVolume` is done.
    ControllerExpanded,
    /// The PersistentVolume's capacity was raised.
    CapacityRaised,
    /// `NodeExpandVolume` is done.
    NodeExpanded,
    /// The filesystem has grown and the claim says so.
    FilesystemGrown,
}

impl Stage {
    /// Whether both are steps of the same way.
    pub fn same_way(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// The step in words, without its way.
    pub fn step(self) -> &'static str {
        let words = self.as_str();
        words.split_once(": ").map_or(words, |(_, step)| step)
    }

    /// Way and step in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind(stage) => match stage {
                BindStage::Claimed => "bind: claim exists",
                BindStage::ClassExists => "bind: class exists",
                BindStage::Consumer => "bind: consumer there",
                BindStage::Provisioner => "bind: provisioner present",
                BindStage::VolumeFound => "bind: volume found",
                BindStage::Bound => "bind: bound",
            },
            Self::Mount(stage) => match stage {
                MountStage::Scheduled => "mount: scheduled",
                MountStage::Attached => "mount: attached",
                MountStage::DriverRegistered => "mount: driver registered",
                MountStage::Staged => "mount: staged",
                MountStage::Published => "mount: published",
                MountStage::Answers => "mount: answers",
                MountStage::Writable => "mount: writable",
                MountStage::PodStarted => "mount: pod started",
            },
            Self::Expand(stage) => match stage {
                ExpandStage::ClassAllows => "expand: class allows",
                ExpandStage::Requested => "expand: request raised",
                ExpandStage::ResizerSaw => "expand: resizer saw it",
                ExpandStage::ControllerExpanded => "expand: controller expanded",
                ExpandStage::CapacityRaised => "expand: capacity raised",
                ExpandStage::NodeExpanded => "expand: node expanded",
                ExpandStage::FilesystemGrown => "expand: filesystem grown",
            },
        }
    }

    /// Every step of every way.
    pub const ALL: [Self; 21] = [
        Self::Bind(BindStage::Claimed),
        Self::Bind(BindStage::ClassExists),
        Self::Bind(BindStage::Consumer),
        Self::Bind(BindStage::Provisioner),
        Self::Bind(BindStage::VolumeFound),
        Self::Bind(BindStage::Bound),
        Self::Mount(MountStage::Scheduled),
        Self::Mount(MountStage::Attached),
        Self::Mount(MountStage::DriverRegistered),
        Self::Mount(MountStage::Staged),
        Self::Mount(MountStage::Published),
        Self::Mount(MountStage::Answers),
        Self::Mount(MountStage::Writable),
        Self::Mount(MountStage::PodStarted),
        Self::Expand(ExpandStage::ClassAllows),
        Self::Expand(ExpandStage::Requested),
        Self::Expand(ExpandStage::ResizerSaw),
        Self::Expand(ExpandStage::ControllerExpanded),
        Self::Expand(ExpandStage::CapacityRaised),
        Self::Expand(ExpandStage::NodeExpanded),
        Self::Expand(ExpandStage::FilesystemGrown),
    ];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
