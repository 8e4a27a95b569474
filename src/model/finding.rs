//! What rules say, and what becomes of it: problems, verdicts, findings.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::cause::Cause;
use crate::model::names::{
    ClaimRef, DriverName, NodeName, PersistentVolumeName, PodRef, ServerName, Uid,
};
use crate::model::observed::Gap;
use crate::model::stage::Stage;

/// The code of a finding: CamelCase, the state that it names; never renamed, never reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub String);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Code {
    fn from(code: &str) -> Self {
        Self(code.to_owned())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Data or service will be at risk, or somebody is held up.
    Warning,
    /// Data or service is at risk now.
    Critical,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object of Kubernetes, or a driver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A claim.
    Claim(ClaimRef),
    /// A PersistentVolume; its UID is empty where no object was seen.
    PersistentVolume(PersistentVolumeName, Uid),
    /// A pod.
    Pod(PodRef),
    /// A driver.
    Driver(DriverName),
    /// A node.
    Node(NodeName),
    /// What network mounts have behind them, as the kernel names it: the subject of stories alone.
    Server(ServerName),
}

impl Object {
    /// The kind, in one word, as kubectl's short or our own.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Claim(_) => "claim",
            Self::PersistentVolume(..) => "volume",
            Self::Pod(_) => "pod",
            Self::Driver(_) => "driver",
            Self::Node(_) => "node",
            Self::Server(_) => "server",
        }
    }

    /// The namespace, for what has one.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Claim(claim) => Some(&claim.namespace),
            Self::Pod(pod) => Some(&pod.namespace),
            Self::PersistentVolume(..) | Self::Driver(_) | Self::Node(_) | Self::Server(_) => None,
        }
    }

    /// The name, without the namespace.
    pub fn name(&self) -> &str {
        match self {
            Self::Claim(claim) => &claim.name,
            Self::Pod(pod) => &pod.name,
            Self::PersistentVolume(name, _) => name.as_str(),
            Self::Driver(name) => name.as_str(),
            Self::Node(name) => name.as_str(),
            Self::Server(name) => name.as_str(),
        }
    }

    /// The UID, where the object has one and it is known.
    pub fn uid(&self) -> Option<&Uid> {
        let uid = match self {
            Self::Claim(claim) => &claim.uid,
            Self::Pod(pod) => &pod.uid,
            Self::PersistentVolume(_, uid) => uid,
            Self::Driver(_) | Self::Node(_) | Self::Server(_) => return None,
        };
        (!uid.as_str().is_empty()).then_some(uid)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace() {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind(), self.name()),
            None => write!(f, "{} {}", self.kind(), self.name()),
        }
    }
}

/// What a verdict or a finding is about.
///
/// The most durable object that has the problem; the node is part of it where the fact is
/// local to a node. Never a path or a message: those change while the problem stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The object.
    pub object: Object,
    /// The node, for what is true on one node only.
    pub node: Option<NodeName>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{} on node {node}", self.object),
            None => self.object.fmt(f),
        }
    }
}

/// A finding's identity over time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What is wrong.
    pub code: Code,
    /// With what.
    pub subject: Subject,
}

/// What a rule says about a subject that is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One whole sentence with names and numbers.
    pub message: String,
    /// What it was concluded from.
    pub evidence: Vec<Evidence>,
    /// Since when it is so, where the facts carry a time.
    pub since: Option<Timestamp>,
    /// What to do, in order.
    pub next: Vec<NextStep>,
    /// Other objects that a person will look at.
    pub related: Vec<Object>,
    /// The rule's own, unless said otherwise here.
    pub severity: Option<Severity>,
    /// The root cause, where words of somebody else were classified.
    pub cause: Option<Cause>,
}

impl Problem {
    /// A problem with nothing but its sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            evidence: Vec::new(),
            since: None,
            next: Vec::new(),
            related: Vec::new(),
            severity: None,
            cause: None,
        }
    }

    /// With a piece of evidence.
    #[must_use]
    pub fn because(
        mut self,
        fact: impl Into<String>,
        value: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        self.evidence.push(Evidence {
            fact: fact.into(),
            value: value.into(),
            source: source.into(),
        });
        self
    }

    /// With something to do.
    #[must_use]
    pub fn next(mut self, what: impl Into<String>, command: impl Into<String>) -> Self {
        self.next.push(NextStep {
            what: what.into(),
            command: Some(command.into()),
        });
        self
    }

    /// With something to do for which there is no command.
    #[must_use]
    pub fn advise(mut self, what: impl Into<String>) -> Self {
        self.next.push(NextStep {
            what: what.into(),
            command: None,
        });
        self
    }

    /// With the time since when it is so.
    #[must_use]
    pub fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    /// With other objects to look at.
    #[must_use]
    pub fn related(self, related: Vec<Object>) -> Self {
        Self { related, ..self }
    }

    /// With the cause that somebody's words tell.
    #[must_use]
    pub fn cause(self, cause: Option<Cause>) -> Self {
        Self { cause, ..self }
    }

    /// With a severity that is not the rule's own.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self {
            severity: Some(severity),
            ..self
        }
    }
}

/// One observed fact that a problem rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What was looked at.
    pub fact: String,
    /// What it was.
    pub value: String,
    /// Where it was seen: a file, a call, an object.
    pub source: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// What and why, as a sentence.
    pub what: String,
    /// A command that can be pasted.
    pub command: Option<String>,
}

/// One rule's verdicts of one scan, compactly: what is ok is what the listed facts imply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVerdicts {
    /// The rule.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// The step that it judges.
    pub stage: Option<Stage>,
    /// How long a problem must last before it opens.
    pub grace: Duration,
    /// How many subjects are ok.
    pub ok: u32,
    /// Subjects with a problem.
    pub problems: Vec<(Subject, Problem)>,
    /// Subjects that could not be judged.
    pub unknowns: Vec<(Subject, Gap)>,
    /// Why the list of subjects may be incomplete; empty when it is complete.
    pub gaps: Vec<Gap>,
}

/// A problem with a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong with what.
    pub key: Key,
    /// How bad it is.
    pub severity: Severity,
    /// The step on the object's way.
    pub stage: Option<Stage>,
    /// Where it is in its life.
    pub state: State,
    /// When the first verdict came, or since when the facts say it is so.
    pub first_seen: Timestamp,
    /// When it opened; `None` while it has only ever been settling.
    pub opened: Option<Timestamp>,
    /// When a verdict last said that it is so.
    pub last_confirmed: Timestamp,
    /// How often it came back within an hour after it had gone.
    pub flaps: u32,
    /// What the last such verdict said.
    pub problem: Problem,
}

/// Where a finding is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It may go by itself: shown, not counted, no alarm.
    Settling,
    /// It is so.
    Open,
    /// Nobody can tell at present.
    Unconfirmed {
        /// Since when.
        since: Timestamp,
        /// Why.
        why: String,
    },
    /// It is over.
    Resolved {
        /// When.
        at: Timestamp,
        /// How one knows.
        how: Resolution,
    },
}

impl State {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Open => "open",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Resolved { .. } => "resolved",
        }
    }
}

/// How one knows that a finding is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// It was looked at and is well.
    Ok,
    /// Its subject is known to be gone.
    SubjectGone,
    /// Who told of it has not been heard for so long that it is taken to be gone.
    SourceGone,
}

impl Resolution {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Ok, Self::SubjectGone, Self::SourceGone];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::SubjectGone => "subject gone",
            Self::SourceGone => "source gone",
        }
    }
}

/// A word of a command that will be pasted into a shell: names and paths are data of strangers.
pub fn quote(word: impl fmt::Display) -> String {
    let word = word.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%+,~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_of_commands_are_quoted_when_they_need_it() {
        assert_eq!(
            quote("/var/lib/kubelet/kubernetes.io~csi/pvc-1"),
            "/var/lib/kubelet/kubernetes.io~csi/pvc-1"
        );
        assert_eq!(quote("/a b; rm -rf c"), "'/a b; rm -rf c'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
