//! How a driver behaves, or one of its volumes: what was set, topic by topic, in a file that the plugin
//! reads at every call. What is not set is done well.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tonic::Status;

use super::backing::Backend;
use super::manner::Manner;

/// How often a plugin that hangs looks whether it is to go on.
const POLL: Duration = Duration::from_millis(200);

/// What is done where nothing is set.
const WELL: &str = "well";

/// What of a behaviour can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// Every call of a driver.
    Answer,
    /// How many milliseconds each of a driver's answers takes.
    Delay,
    /// The answer to `Probe`.
    Probe,
    /// The calls by which a driver tells of its volumes' health.
    Dialect,
    /// The storage behind a driver, of which it tells from CSI 1.13 on.
    Storage,
    /// The name by which the registrar knows a driver.
    Name,
    /// Whether there is a registrar.
    Registrar,
    /// Whether what a driver mounts reaches the host.
    Mounts,
    /// `NodeGetInfo`: an error, or what the driver calls the node.
    NodeInfo,
    /// `CreateVolume`.
    Create,
    /// A volume, by its driver's word.
    Health,
    /// `DeleteVolume` of a volume.
    Delete,
    /// `ControllerPublishVolume`.
    Attach,
    /// `ControllerUnpublishVolume`.
    Detach,
    /// `ControllerExpandVolume`.
    Grow,
    /// `NodeStageVolume`.
    Stage,
    /// `NodePublishVolume`.
    Publish,
    /// `NodeUnpublishVolume`.
    Unpublish,
    /// `NodeUnstageVolume`.
    Unstage,
    /// `NodeGetVolumeStats` and `NodeGetVolumeHealth`.
    Stats,
    /// `NodeExpandVolume`.
    Expand,
}

/// Where a topic belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Driver,
    Volume,
}

/// The topics with their names, where they belong, and what can be set beside `well`, `hang` and a code.
const TOPICS: [(Topic, &str, Of, &str); 21] = [
    (Topic::Answer, "answer", Of::Driver, ""),
    (Topic::Delay, "delay", Of::Driver, "milliseconds"),
    (Topic::Probe, "probe", Of::Driver, "absent, false"),
    (
        Topic::Dialect,
        "dialect",
        Of::Driver,
        "health, both, neither",
    ),
    (
        Topic::Storage,
        "storage",
        Of::Driver,
        "healthy, degraded, unreachable, a number",
    ),
    (Topic::Name, "name", Of::Driver, "another name"),
    (Topic::Registrar, "registrar", Of::Driver, "none"),
    (Topic::Mounts, "mounts", Of::Driver, "unshared"),
    (Topic::NodeInfo, "node-info", Of::Driver, "another node id"),
    (Topic::Create, "create", Of::Driver, ""),
    (
        Topic::Health,
        "health",
        Of::Volume,
        "abnormal, degraded, inaccessible, data-loss, a number",
    ),
    (Topic::Delete, "delete", Of::Volume, ""),
    (Topic::Attach, "attach", Of::Volume, ""),
    (Topic::Detach, "detach", Of::Volume, ""),
    (Topic::Grow, "grow", Of::Volume, ""),
    (Topic::Stage, "stage", Of::Volume, ""),
    (Topic::Publish, "publish", Of::Volume, ""),
    (Topic::Unpublish, "unpublish", Of::Volume, ""),
    (Topic::Unstage, "unstage", Of::Volume, ""),
    (Topic::Stats, "stats", Of::Volume, ""),
    (Topic::Expand, "expand", Of::Volume, "lie, offline"),
];

impl Topic {
    fn entry(self) -> (&'static str, Of, &'static str) {
        let found = TOPICS.iter().find(|entry| entry.0 == self);
        // Every topic is in the table; a test says so.
        found.map_or(("", Of::Driver, ""), |entry| (entry.1, entry.2, entry.3))
    }

    /// Whether it is a driver's or a volume's.
    pub(crate) fn of(self) -> Of {
        self.entry().1
    }

    /// Whether a plugin heeds it from its start on only, or its callers ask once for each of its starts.
    pub(crate) fn needs_start(self) -> bool {
        matches!(
            self,
            Self::Name | Self::Registrar | Self::Mounts | Self::NodeInfo
        )
    }

    fn allows(self, value: &str) -> bool {
        let number = || value.parse::<u16>().is_ok();
        let manner = value.parse::<Manner>().ok();
        match (self, value) {
            (_, "") => false,
            (Self::NodeInfo, _) | (_, WELL) => true,
            (Self::Delay, _) => number(),
            (Self::Dialect | Self::Registrar | Self::Mounts, _) => self.lists(value),
            (Self::Name, _) => manner.is_none(),
            (Self::Storage | Self::Health, _) if number() => true,
            (Self::Expand, _) => manner.is_some(),
            _ if self.lists(value) => true,
            _ => matches!(manner, Some(Manner::Hang | Manner::Refuse(_))),
        }
    }

    fn lists(self, value: &str) -> bool {
        self.entry().2.split(", ").any(|word| word == value)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().0)
    }
}

impl FromStr for Topic {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = TOPICS.iter().find(|entry| entry.1 == text);
        let found = found.map(|entry| entry.0);
        found.ok_or_else(|| anyhow!("there is no topic {text}; there are:\n{}", topics()))
    }
}

/// All topics, for people.
pub(crate) fn topics() -> String {
    let lines = TOPICS.iter().map(|(_, name, of, words)| {
        let of = match of {
            Of::Driver => "driver",
            Of::Volume => "volume",
        };
        format!("  {name:<10} {of:<7} {words}")
            .trim_end()
            .to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

impl Backend {
    fn conduct_path(&self, of: &str) -> PathBuf {
        self.directory().join(format!("{of}.conduct"))
    }

    /// All that is set of a driver or a volume.
    fn conduct(&self, of: &str) -> BTreeMap<Topic, String> {
        let text = std::fs::read_to_string(self.conduct_path(of)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .filter_map(|(topic, value)| Some((topic.parse().ok()?, value.to_owned())))
            .collect()
    }

    /// Sets how a driver or a volume behaves.
    pub(crate) fn set(&self, of: &str, topic: Topic, value: &str) -> anyhow::Result<()> {
        if !topic.allows(value) {
            bail!("{topic} cannot be {value}; there are:\n{}", topics());
        }
        let mut conduct = self.conduct(of);
        conduct.insert(topic, value.to_owned());
        self.write_conduct(of, &conduct)
    }

    /// Lets a driver or a volume behave well, in all topics but how a volume expands.
    pub(crate) fn behave_well(&self, of: &str) -> anyhow::Result<()> {
        let mut conduct = self.conduct(of);
        conduct.retain(|topic, _| *topic == Topic::Expand);
        self.write_conduct(of, &conduct)
    }

    fn write_conduct(&self, of: &str, conduct: &BTreeMap<Topic, String>) -> anyhow::Result<()> {
        let mut text = String::new();
        for (topic, value) in conduct {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{topic}={value}");
        }
        let (path, temporary) = (
            self.conduct_path(of),
            self.directory().join(format!(".{of}.conduct")),
        );
        // Renamed into place: a plugin reads it at any time.
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// What is set, `well` where nothing is.
    pub(crate) fn set_to(&self, of: &str, topic: Topic) -> String {
        let mut conduct = self.conduct(of);
        conduct.remove(&topic).unwrap_or_else(|| WELL.to_owned())
    }

    /// Whether a driver calls the node something else than at its registration.
    pub(crate) fn names_node_anew(&self, driver: &str) -> bool {
        let told = self.set_to(driver, Topic::NodeInfo);
        told.parse::<Manner>().is_err()
    }

    /// Hangs for as long as that is set, or refuses; otherwise says what is set.
    pub(super) async fn heed(&self, of: &str, topic: Topic) -> Result<String, Status> {
        loop {
            let value = self.set_to(of, topic);
            match value.parse() {
                // Ends when the caller gives up, or when it is told otherwise.
                Ok(Manner::Hang) => tokio::time::sleep(POLL).await,
                Ok(Manner::Refuse(code)) => {
                    return Err(Status::new(code, "the driver was told to refuse"));
                }
                _ => return Ok(value),
            }
        }
    }

    /// How a driver behaves at every call.
    pub(super) async fn heed_driver(&self, driver: &str) -> Result<(), Status> {
        let delay = self.set_to(driver, Topic::Delay);
        let delay = delay.parse().map_or(Duration::ZERO, Duration::from_millis);
        tokio::time::sleep(delay).await;
        self.heed(driver, Topic::Answer).await.map(drop)
    }

    /// The same, and how at a call about a volume; about one that is still to be made, the driver's own.
    pub(super) async fn heed_call(
        &self,
        driver: &str,
        of: &str,
        topic: Topic,
    ) -> Result<(), Status> {
        self.heed_driver(driver).await?;
        self.heed(of, topic).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_read_as_it_is_written_and_takes_what_the_table_says() {
        for (topic, name, _, words) in TOPICS {
            assert_eq!(name.parse::<Topic>().unwrap(), topic);
            assert!(topic.allows("well"), "{name}");
            for word in words.split(", ").filter(|word| !word.contains(' ')) {
                let word = if word == "milliseconds" { "1300" } else { word };
                assert!(word.is_empty() || topic.allows(word), "{name}={word}");
            }
        }
        assert!(Topic::Health.allows("7") && Topic::Health.allows("NotFound"));
        assert!(!Topic::Health.allows("rude") && !Topic::Dialect.allows("hang"));
    }
}
