//! The one thing to do about an expansion that is stuck, and what it waits for.

use crate::expansion::{Case, Ground, Standing, Trouble};
use crate::model::finding::{NextStep, quote};
use crate::model::mount::Mount;

impl Case<'_> {
    /// What an unfinished node half waits for, as far as the facts tell: a clause.
    pub fn node_waits_for(&self, trouble: &Trouble) -> String {
        let driver = &self.volume.driver;
        match trouble {
            Trouble::InUse(_) => {
                return format!(
                    "driver {driver} cannot grow it while it is in use, and the kubelet asks again only when a pod mounts it anew"
                );
            }
            Trouble::Slow(said) => {
                return format!(
                    "driver {driver} did not finish NodeExpandVolume ({}), and the kubelet asks again",
                    said.short()
                );
            }
            _ => {}
        }
        let Some(writer) = self.writer() else {
            return match (self.running().next(), self.user()) {
                (Some(reader), _) => format!(
                    "only pods that mount it read-only run ({}), and the kubelet expands for writers",
                    reader.pod
                ),
                (None, Some(user)) => format!("pod {} that uses it does not run", user.pod),
                (None, None) => "no pod uses it, and it grows when one mounts it".to_owned(),
            };
        };
        if self.expands_no_node() {
            return format!(
                "driver {driver} says that it cannot expand on a node (no EXPAND_VOLUME), so nobody will"
            );
        }
        if self.expands_offline_only() {
            return format!(
                "driver {driver} expands only volumes that nobody uses, and pod {} runs with it",
                writer.pod
            );
        }
        if self.claim.resize_status.as_deref() == Some("NodeResizeInProgress") {
            return format!(
                "the kubelet has begun for pod {}, and has not said how it went",
                writer.pod
            );
        }
        format!(
            "pod {} runs, so the kubelet should expand it by itself",
            writer.pod
        )
    }

    /// What an unfinished controller half waits for: a clause.
    pub fn controller_waits_for(&self, trouble: &Trouble) -> String {
        let driver = &self.volume.driver;
        match trouble {
            Trouble::InUse(_) => match self.user() {
                Some(user) => format!(
                    "driver {driver} expands only volumes that nobody uses, and pod {} uses it",
                    user.pod
                ),
                None => format!(
                    "driver {driver} expands only volumes that nobody uses; no pod uses it now, so it should go on"
                ),
            },
            Trouble::Slow(said) => format!(
                "driver {driver} did not finish ControllerExpandVolume ({}), and the resizer asks again",
                said.short()
            ),
            Trouble::Lowered => "the request was lowered, and the resizer tries anew".to_owned(),
            _ if self.standing() == Standing::Unseen => format!(
                "the resizer of {driver} is at work on other claims, and has not taken up this one"
            ),
            _ => format!("the resizer of {driver} has begun, and has not said how it went"),
        }
    }

    /// The one thing to do; nothing where nothing is stuck.
    pub fn advice(&self) -> Option<NextStep> {
        let driver = &self.volume.driver;
        Some(match self.standing() {
            Standing::Unseen if self.resizer_lives() => step(
                format!(
                    "Wait for its turn; if it stays so, read the log of the resizer of {driver}."
                ),
                "kubectl get pods -A | grep -i -e resizer -e controller",
            ),
            Standing::Unseen => step(
                format!(
                    "Look whether the resizer of {driver} runs: a sidecar csi-resizer beside the driver's controller."
                ),
                "kubectl get pods -A | grep -i -e resizer -e controller",
            ),
            Standing::Controller(Trouble::Infeasible(_))
            | Standing::Node(Trouble::Infeasible(_)) => self.lower(),
            Standing::Controller(Trouble::InUse(_)) => say(
                "Stop the pods that use it until the storage has grown: scale their owner down, and up again.",
            ),
            Standing::Controller(Trouble::Lowered) => {
                say("Wait: a smaller request is tried by itself.")
            }
            Standing::Controller(_) => step(
                format!("Read what the resizer and {driver} say of it."),
                self.events(),
            ),
            Standing::Node(trouble) => self.on_node_advice(&trouble),
            Standing::Idle | Standing::Marked => self.bytes_advice()?,
        })
    }

    fn on_node_advice(&self, trouble: &Trouble) -> NextStep {
        let anew = "Make the pod anew: the volume is grown when it is mounted.";
        match trouble {
            Trouble::Failing(_) => step(
                "See what the driver answers in full: its log on the node, and the events.",
                self.events(),
            ),
            Trouble::InUse(_) => self.anew(anew),
            _ if self.ground() == (Ground::Covers { grown: true }) && !self.is_shared() => self.anew(
                "The bytes are there; make the pod anew, and the kubelet will say so in the claim.",
            ),
            Trouble::OnItsWay if self.user().is_none() => {
                say("Start a pod that uses it: the volume is grown when it is mounted.")
            }
            Trouble::OnItsWay if self.writer().is_none() || self.expands_offline_only() => {
                self.anew(anew)
            }
            _ => step("See what the kubelet and the resizer said.", self.events()),
        }
    }

    fn anew(&self, what: &str) -> NextStep {
        match self.user() {
            Some(user) if !user.pod.name.is_empty() => step(
                what,
                format!(
                    "kubectl delete pod -n {} {}",
                    quote(&user.pod.namespace),
                    quote(&user.pod.name)
                ),
            ),
            _ => say(what),
        }
    }

    fn bytes_advice(&self) -> Option<NextStep> {
        let mut mounts = self.volume.published.iter();
        let mount = mounts.find_map(|one| one.mount.known()?.as_ref());
        match (self.ground(), mount) {
            (Ground::DeviceSmall { .. }, Some(mount)) => Some(step(
                "Let the node read the device's size again; if it stays, the storage did not give more, or the driver did not ask.",
                format!("lsblk --bytes {} ; dmesg | tail", quote(device_path(mount))),
            )),
            (Ground::DeviceSmall { .. } | Ground::FilesystemSmall { .. }, None) => Some(say(
                "Make the pod anew, so that the driver stages the volume again and grows it.",
            )),
            (Ground::FilesystemSmall { .. }, Some(mount)) => Some(match mount.fs_type.as_str() {
                "xfs" => by_hand(format!("xfs_growfs -d {}", quote(&mount.target))),
                "ext3" | "ext4" => by_hand(format!("resize2fs {}", quote(&mount.source))),
                "btrfs" => by_hand(format!(
                    "btrfs filesystem resize max {}",
                    quote(&mount.target)
                )),
                _ => say(
                    "Make the pod anew, so that the driver stages the volume again and grows it.",
                ),
            }),
            _ if self.standing() == Standing::Marked => Some(step(
                "Nothing is missing but the claim's word; see who wrote it last.",
                format!(
                    "kubectl get pvc -n {} {} -o yaml --show-managed-fields",
                    quote(&self.claim.claim.namespace),
                    quote(&self.claim.claim.name)
                ),
            )),
            _ => None,
        }
    }

    /// A request that can be: more than the claim has.
    fn lower(&self) -> NextStep {
        let span = self.asked();
        step(
            format!(
                "Lower the request to what the storage can give, more than {}; Kubernetes tries again by itself.",
                span.from
            ),
            format!(
                "kubectl edit pvc -n {} {}",
                quote(&self.claim.claim.namespace),
                quote(&self.claim.claim.name)
            ),
        )
    }

    /// What was said of the claim.
    fn events(&self) -> String {
        format!(
            "kubectl get events -n {} --field-selector involvedObject.name={} --sort-by=.lastTimestamp",
            quote(&self.claim.claim.namespace),
            quote(&self.claim.claim.name)
        )
    }
}

/// The device under a mount; a raw block volume is a file of `devtmpfs`, and its root names it.
fn device_path(mount: &Mount) -> String {
    match mount.fs_type.as_str() {
        "devtmpfs" => format!("/dev{}", mount.root),
        _ => mount.source.to_string(),
    }
}

fn say(what: impl Into<String>) -> NextStep {
    NextStep {
        what: what.into(),
        command: None,
    }
}

fn step(what: impl Into<String>, command: impl Into<String>) -> NextStep {
    NextStep {
        what: what.into(),
        command: Some(command.into()),
    }
}

fn by_hand(command: String) -> NextStep {
    step(
        "Grow the filesystem by hand; this is what the driver left out.",
        command,
    )
}
