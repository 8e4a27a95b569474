//! How far the expansion of a volume is: what its objects say, and what its bytes say.
//!
//! Rules and stages judge by the same reading, so that one claim has one story. It knows no
//! patience, and no other volume.
//!
//! Sources: external-resizer `pkg/controller/{controller,expand_and_recover,resize_status}.go`,
//! Kubernetes `pkg/volume/util/operationexecutor/node_expander.go`, `pkg/volume/util/resize_util.go`.

#![deny(clippy::disallowed_methods)]

mod advice;
mod evidence;
mod ground;
#[cfg(test)]
pub(crate) mod sample;
mod words;

pub use ground::Ground;
pub use words::{Said, Trouble};

use jiff::{SignedDuration, Timestamp};

use crate::model::driver::Driver;
use crate::model::finding::{Object, Subject};
use crate::model::names::NodeName;
use crate::model::objects::{Claim, Condition, PersistentVolume, PodState};
use crate::model::observed::Observed;
use crate::model::sizes::Bytes;
use crate::model::volume::{Published, Volume};

/// A resizer that spoke of any claim of its driver so recently is alive.
const RESIZER_LIVES: SignedDuration = SignedDuration::from_mins(15);

/// A bound claim with its volume, on one node or without any node's word.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The node that saw it.
    pub node: Option<&'a NodeName>,
    /// When.
    pub observed_at: Timestamp,
    /// All that is known of it.
    pub volume: &'a Volume,
    /// Its claim.
    pub claim: &'a Claim,
    /// Its PersistentVolume.
    pub persistent: &'a PersistentVolume,
    /// Its driver on that node.
    pub driver: Option<&'a Driver>,
}

/// How far an expansion is, by the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody asked for more, or it is told to be done.
    Idle,
    /// Nobody has taken it up.
    Unseen,
    /// The controller's half is not done.
    Controller(Trouble),
    /// The controller's half is done, the node's is not.
    Node(Trouble),
    /// All sizes say that it is done, and a mark says that it is not.
    Marked,
}

/// From and to of an expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What the claim has, by its status.
    pub from: Bytes,
    /// What it is to have.
    pub to: Bytes,
}

impl<'a> Case<'a> {
    /// What findings about it are about.
    pub fn subject(&self) -> Subject {
        Subject {
            object: Object::Claim(self.claim.claim.clone()),
            node: self.node.cloned(),
        }
    }

    /// What the claim has and what it asks for.
    pub fn asked(&self) -> Span {
        Span {
            from: self.claim.capacity.unwrap_or_default(),
            to: self.claim.request.unwrap_or_default(),
        }
    }

    /// What the claim has and what its volume has.
    pub fn provided(&self) -> Span {
        Span {
            from: self.claim.capacity.unwrap_or_default(),
            to: self.persistent.capacity.unwrap_or_default(),
        }
    }

    /// How far the expansion is, by the objects.
    ///
    /// With recovery data `allocatedResourceStatuses` says which half is at work; without (gate
    /// off, old resizer) sizes and conditions do. `allocatedResources` alone means nothing: it
    /// stays after an expansion.
    pub fn standing(&self) -> Standing {
        let (Some(has), Some(provides)) = (self.claim.capacity, self.persistent.capacity) else {
            return Standing::Idle;
        };
        let wants = self.claim.request.unwrap_or(has);
        let done = wants <= has && provides <= has;
        match self.claim.resize_status.as_deref() {
            // A request that was taken back.
            Some(status) if status.starts_with("Controller") && done => Standing::Idle,
            // Kubernetes 1.30 says Failed where later ones say Infeasible.
            Some(status) if status.starts_with("Controller") => {
                Standing::Controller(self.controller(is_final(status)))
            }
            Some(status) if status.starts_with("Node") => match done {
                true => Standing::Marked,
                // The resizer begins anew with the smaller request.
                false if self.was_lowered() => Standing::Controller(Trouble::Lowered),
                false => Standing::Node(self.on_node(is_final(status))),
            },
            _ => self.without_status(has, wants, provides),
        }
    }

    fn without_status(&self, has: Bytes, wants: Bytes, provides: Bytes) -> Standing {
        if wants > provides && wants > has {
            return match self.controller(false) {
                Trouble::OnItsWay if !self.resizer_has_begun() => Standing::Unseen,
                trouble => Standing::Controller(trouble),
            };
        }
        let pending = self.claim.condition("FileSystemResizePending").is_some();
        if has < provides && (wants > has || pending) {
            return Standing::Node(self.on_node(false));
        }
        let marked = |kind| self.claim.condition(kind).is_some();
        if pending || marked("Resizing") || marked("NodeResizeError") {
            return Standing::Marked;
        }
        Standing::Idle
    }

    /// Whether the request is smaller than what is being worked on.
    fn was_lowered(&self) -> bool {
        self.claim.allocated.is_some() && self.claim.request < self.claim.allocated
    }

    fn resizer_has_begun(&self) -> bool {
        self.claim.condition("Resizing").is_some()
            || words::latest(&self.volume.events.items, |event| {
                event.reason == "Resizing" && matches!(event.about, Object::Claim(_))
            })
            .is_some()
    }

    fn controller(&self, is_final: bool) -> Trouble {
        if is_final && self.was_lowered() {
            return Trouble::Lowered;
        }
        let said = self
            .condition_said("ControllerResizeError")
            .or_else(|| words::controller_failure(&self.volume.events.items));
        if is_final {
            return Trouble::Infeasible(said);
        }
        match said {
            Some(said) => said.trouble(),
            None if self.claim.resize_status.is_none() && self.only_unused() => {
                Trouble::InUse(Said::by_plugin(&self.volume.driver))
            }
            None => Trouble::OnItsWay,
        }
    }

    /// Whether the driver says that it expands only what nobody uses, and somebody uses it.
    fn only_unused(&self) -> bool {
        self.expands_offline_only() && self.user().is_some()
    }

    fn on_node(&self, is_final: bool) -> Trouble {
        let said = self
            .condition_said("NodeResizeError")
            // An event stays for an hour; what has grown since did not fail.
            .or_else(|| {
                let grown = self.ground() == Ground::Covers { grown: true };
                words::node_failure(&self.volume.events.items).filter(|_| !grown)
            });
        if is_final {
            return Trouble::Infeasible(said);
        }
        // At rest an infeasible expansion is back at `NodeResizePending`, with the condition: the
        // status of its own is there for some milliseconds (measured, Kubernetes 1.37).
        said.map_or(Trouble::OnItsWay, Said::trouble)
    }

    fn condition_said(&self, kind: &str) -> Option<Said> {
        self.claim
            .condition(kind)
            .map(|condition| Said::condition(condition, &self.claim.claim))
    }

    /// Since when its half waits, by the condition that says so.
    pub fn since(&self) -> Option<Timestamp> {
        let since = |kind: &str| self.claim.condition(kind).and_then(|one| one.since);
        let kinds: &[&str] = match self.standing() {
            Standing::Controller(_) => &["ControllerResizeError", "Resizing"],
            Standing::Node(Trouble::Failing(_) | Trouble::Infeasible(_)) => {
                &["NodeResizeError", "FileSystemResizePending"]
            }
            _ => &["FileSystemResizePending"],
        };
        kinds.iter().find_map(|kind| since(kind))
    }

    /// Whether an expansion is recorded; without a record a difference means nothing: LUKS headers
    /// and hand-written capacities are smaller for ever.
    pub fn is_recorded(&self) -> bool {
        self.old_size().is_some()
            || self.claim.allocated.is_some()
            || self.claim.node_expansion_not_required
    }

    /// The size before the expansion, where it is recorded.
    pub fn old_size(&self) -> Option<Bytes> {
        let new = self.persistent.capacity?;
        let recorded = self.persistent.capacity_before_resize;
        let before = |size: &Bytes| *size < new;
        recorded
            .filter(before)
            .or_else(|| self.claim.capacity.filter(before))
    }

    /// Whether several nodes may have it at once.
    pub fn is_shared(&self) -> bool {
        let shared = |mode: &String| mode == "ReadWriteMany" || mode == "ReadOnlyMany";
        self.persistent.access_modes.iter().any(shared)
    }

    /// Whether the driver says that it expands only volumes that nobody uses.
    pub fn expands_offline_only(&self) -> bool {
        self.driver
            .and_then(|driver| driver.plugin.known())
            .is_some_and(crate::model::driver::Plugin::expands_offline_only)
    }

    /// Whether the driver says that it does nothing on the node.
    pub fn expands_no_node(&self) -> bool {
        let plugin = self.driver.and_then(|driver| driver.plugin.known());
        plugin.and_then(|plugin| plugin.can("EXPAND_VOLUME")) == Some(false)
    }

    /// Whether the resizer of its driver spoke of any claim lately.
    pub fn resizer_lives(&self) -> bool {
        self.volume
            .resizer_seen
            .is_some_and(|seen| self.observed_at.duration_since(seen) < RESIZER_LIVES)
    }

    /// A pod that has it, as far as is known.
    pub fn user(&self) -> Option<&'a Published> {
        let over = |one: &&Published| matches!(one.state, Observed::Known(PodState::Done));
        self.volume.published.iter().find(|one| !over(one))
    }

    /// A running pod that may write to it.
    pub fn writer(&self) -> Option<&'a Published> {
        self.running()
            .find(|one| one.asked_read_only == Observed::Known(None))
    }

    /// The running pods that have it.
    pub fn running(&self) -> impl Iterator<Item = &'a Published> {
        let runs = |one: &&Published| matches!(one.state, Observed::Known(PodState::Running));
        self.volume.published.iter().filter(runs)
    }

    /// The conditions of its claim that belong to an expansion.
    pub fn conditions(&self) -> impl Iterator<Item = &'a Condition> {
        const KINDS: [&str; 4] = [
            "Resizing",
            "FileSystemResizePending",
            "ControllerResizeError",
            "NodeResizeError",
        ];
        let ours = |one: &&Condition| KINDS.contains(&one.kind.as_str());
        self.claim.conditions.iter().filter(ours)
    }
}

/// Whether a status says that asking again is of no use.
fn is_final(status: &str) -> bool {
    status.ends_with("Infeasible") || status.ends_with("Failed")
}
