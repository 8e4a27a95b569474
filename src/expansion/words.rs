//! What drivers answered, as conditions and events quote it, and what that means.

use jiff::Timestamp;

use crate::model::finding::Object;
use crate::model::names::{ClaimRef, DriverName};
use crate::model::objects::{Condition, Event};

/// What keeps a half of an expansion from being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing that was said.
    OnItsWay,
    /// The request was lowered; it is tried anew.
    Lowered,
    /// The driver did not answer in time, was busy or away: it is asked again.
    Slow(Said),
    /// The driver expands only what nobody uses.
    InUse(Said),
    /// The driver answers with an error; it is asked again.
    Failing(Said),
    /// The driver, or Kubernetes for it, says that this size cannot be.
    Infeasible(Option<Said>),
}

impl Trouble {
    /// The words that it was concluded from.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Self::OnItsWay | Self::Lowered => None,
            Self::Slow(said) | Self::InUse(said) | Self::Failing(said) => Some(said),
            Self::Infeasible(said) => said.as_ref(),
        }
    }

    /// Whether a person must do something about the driver, the storage or the request.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failing(_) | Self::Infeasible(_))
    }
}

/// Words, with where they stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What kind of thing said it: a condition's type, an event's reason.
    pub fact: String,
    /// The words.
    pub words: String,
    /// The object that carries them, or the call that brought them.
    pub source: String,
    /// When, or since when.
    pub at: Option<Timestamp>,
}

impl Said {
    pub(super) fn condition(condition: &Condition, claim: &ClaimRef) -> Self {
        Self {
            fact: condition.kind.clone(),
            words: condition.message.clone(),
            source: format!("condition of claim {claim}"),
            at: condition.since,
        }
    }

    fn event(event: &Event) -> Self {
        Self {
            fact: event.reason.clone(),
            words: event.message.clone(),
            source: format!("event of {}", event.about),
            at: event.at,
        }
    }

    pub(super) fn by_plugin(driver: &DriverName) -> Self {
        Self {
            fact: "volume expansion".to_owned(),
            words: "OFFLINE, not ONLINE".to_owned(),
            source: format!("GetPluginCapabilities of {driver}"),
            at: None,
        }
    }

    /// The driver's own words, without what others wrapped around them.
    pub fn short(&self) -> &str {
        self.words
            .find("rpc error:")
            .map_or(self.words.as_str(), |at| &self.words[at..])
            .trim_end()
    }

    /// What they mean.
    ///
    /// Which codes are final: external-resizer `pkg/util/util.go`, `IsFinalError`, and
    /// `expand_and_recover.go` for those that are infeasible; the CSI specification for
    /// `FAILED_PRECONDITION` of `NodeExpandVolume`, after which nobody asks again.
    pub(super) fn trouble(self) -> Trouble {
        // The resizer's own words where the driver is offline-only and a pod runs.
        if self.words.contains("only supports offline expansion") {
            return Trouble::InUse(self);
        }
        match code(&self.words) {
            Some("InvalidArgument" | "OutOfRange" | "NotFound") => Trouble::Infeasible(Some(self)),
            Some("FailedPrecondition") => Trouble::InUse(self),
            Some("DeadlineExceeded" | "Aborted" | "Canceled" | "Unavailable") => {
                Trouble::Slow(self)
            }
            _ => Trouble::Failing(self),
        }
    }
}

/// The gRPC code in an error as Go words it: `rpc error: code = OutOfRange desc = …`.
fn code(words: &str) -> Option<&str> {
    let (_, after) = words.split_once("code = ")?;
    after
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .filter(|code| !code.is_empty())
}

/// The latest of some events; none that an expansion which succeeded since has outdated.
pub(super) fn latest(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Option<&Event> {
    const DONE: [&str; 3] = [
        "FileSystemResizeRequired",
        "FileSystemResizeSuccessful",
        "VolumeResizeSuccessful",
    ];
    events
        .iter()
        .rev()
        .take_while(|event| !DONE.contains(&event.reason.as_str()))
        .find(|event| wanted(event))
}

/// The resizer's latest failure; without recovery data the only place that says so.
pub(super) fn controller_failure(events: &[Event]) -> Option<Said> {
    latest(events, |event| {
        event.reason == "VolumeResizeFailed" && matches!(event.about, Object::Claim(_))
    })
    .map(Said::event)
}

/// The kubelet's latest failure; without recovery data the only place that says so.
pub(super) fn node_failure(events: &[Event]) -> Option<Said> {
    latest(events, |event| {
        let by_kubelet = matches!(event.about, Object::Pod(_))
            && matches!(event.reason.as_str(), "VolumeResizeFailed" | "FailedMount");
        by_kubelet || event.reason == "FileSystemResizeFailed"
    })
    .map(Said::event)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn codes_mean_what_resizer_and_kubelet_make_of_them() {
        let named = |words: &str| {
            let said = Said {
                fact: String::new(),
                words: words.to_owned(),
                source: String::new(),
                at: None,
            };
            let name = format!("{:?}", said.trouble());
            let end = name.find('(').unwrap_or(name.len());
            format!("{words}: {}\n", &name[..end])
        };
        let codes = [
            "Canceled",
            "Unknown",
            "InvalidArgument",
            "DeadlineExceeded",
            "NotFound",
            "AlreadyExists",
            "PermissionDenied",
            "ResourceExhausted",
            "FailedPrecondition",
            "Aborted",
            "OutOfRange",
            "Unimplemented",
            "Internal",
            "Unavailable",
            "DataLoss",
            "Unauthenticated",
        ];
        let texts = codes.map(|code| named(&format!("rpc error: code = {code} desc = x")));
        let others = [
            named("requested read-only file system"),
            named(
                "Unable to expand a/b because CSI driver d only supports offline expansion and volume is currently in-use",
            ),
        ];
        expect![[r#"
            rpc error: code = Canceled desc = x: Slow
            rpc error: code = Unknown desc = x: Failing
            rpc error: code = InvalidArgument desc = x: Infeasible
            rpc error: code = DeadlineExceeded desc = x: Slow
            rpc error: code = NotFound desc = x: Infeasible
            rpc error: code = AlreadyExists desc = x: Failing
            rpc error: code = PermissionDenied desc = x: Failing
            rpc error: code = ResourceExhausted desc = x: Failing
            rpc error: code = FailedPrecondition desc = x: InUse
            rpc error: code = Aborted desc = x: Slow
            rpc error: code = OutOfRange desc = x: Infeasible
            rpc error: code = Unimplemented desc = x: Failing
            rpc error: code = Internal desc = x: Failing
            rpc error: code = Unavailable desc = x: Slow
            rpc error: code = DataLoss desc = x: Failing
            rpc error: code = Unauthenticated desc = x: Failing
            requested read-only file system: Failing
            Unable to expand a/b because CSI driver d only supports offline expansion and volume is currently in-use: InUse
        "#]]
        .assert_eq(&(texts.concat() + &others.concat()));
    }

    #[test]
    fn what_an_earlier_expansion_left_behind_is_outdated() {
        let event = |reason: &str| Event {
            about: Object::Claim(crate::model::sample::claim_ref()),
            by: "external-resizer disk.example.com".to_owned(),
            warning: false,
            reason: reason.to_owned(),
            message: String::new(),
            at: None,
        };
        let resizing = |event: &Event| event.reason == "Resizing";
        for done in ["VolumeResizeSuccessful", "FileSystemResizeRequired"] {
            let before = [event("Resizing"), event(done)];
            assert_eq!(latest(&before, resizing), None, "{done}");
            let anew = [event("Resizing"), event(done), event("Resizing")];
            assert_eq!(latest(&anew, resizing), anew.last(), "{done}");
        }
    }
}
