//! The plugins of a node: who is behind the sockets, and what they say of volumes.
//!
//! Connections are kept, so that a plugin which accepts nothing has one of ours in its queue and
//! not one for each scan. A socket file that was made anew is connected to anew. It does not know
//! which drivers somebody expects.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::model::driver::NodeInfo;
use crate::model::health::HealthEntry;
use crate::model::names::{DriverName, HostPath, VolumeHandle};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::PluginSeen;
use crate::model::volume::DriverStats;

use super::client::Client;
use super::failure::Error;
use super::patience::Patience;
use super::sockets::{Socket, SocketKind, below, find_sockets};
use super::{convert, text};

/// What a registrar says of a CSI plugin (`pkg/kubelet/pluginmanager`: others are `DevicePlugin` and `DRAPlugin`).
const CSI_PLUGIN: &str = "CSIPlugin";

/// The plugins of a node; lives as long as the program, since it keeps connections and patience.
#[derive(Debug)]
pub struct Plugins {
    host_root: PathBuf,
    deadline: Duration,
    lines: Mutex<BTreeMap<HostPath, Arc<Line>>>,
}

/// One socket.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Held during a call about a volume: plugins may serve one at a time, and the kubelet is to have its share.
    turn: tokio::sync::Mutex<()>,
    connection: Mutex<Option<(Stamp, Client)>>,
    patience: Mutex<Patience>,
    /// Since when the plugin has not answered who it is.
    silent_since: Mutex<Option<Timestamp>>,
    /// What the plugin behind this socket file calls the node, and when it was asked.
    pub(super) info: Mutex<Option<(Stamp, Observed<NodeInfo>, Instant)>>,
}

/// Tells one socket file from the next of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// A plugin's socket, before it is asked.
struct Candidate {
    name: DriverName,
    socket: HostPath,
    registered_as: Observed<Option<DriverName>>,
}

/// What came of a registrar's socket.
enum Registrar {
    /// It told of a CSI plugin.
    Csi(Candidate),
    /// It told of something else.
    Other,
    /// It told nothing.
    Failed(Box<PluginSeen>),
}

impl Plugins {
    /// Plugins under a host root, each call given `deadline`.
    pub fn new(host_root: PathBuf, deadline: Duration) -> Self {
        Self {
            host_root,
            deadline,
            lines: Mutex::default(),
        }
    }

    /// Who is behind the sockets of a kubelet's directory, all asked at once: one entry a driver,
    /// by name. It takes two deadlines: registrars first, then the plugins that they name.
    pub async fn identify(&self, kubelet: &HostPath) -> Listing<PluginSeen> {
        let found = self.find(kubelet).await;
        let registrars = found
            .items
            .iter()
            .filter(|socket| socket.kind == SocketKind::Registration);
        let registrars = join_all(registrars.map(|socket| self.ask_registrar(socket))).await;

        let mut candidates: BTreeMap<HostPath, Candidate> = BTreeMap::new();
        let mut failed = Vec::new();
        let unseen = found.gaps.first();
        for registrar in registrars {
            match registrar {
                Registrar::Csi(candidate) => {
                    candidates.insert(candidate.socket.clone(), candidate);
                }
                Registrar::Other => {}
                Registrar::Failed(seen) => failed.push(*seen),
            }
        }
        // A registrar that does not answer may be this plugin's: then it cannot be said that none is.
        let unregistered = |hint: &str| {
            let own = failed.iter().find(|seen| seen.name.as_str() == hint);
            let gap = own.and_then(|seen| seen.plugin.gap()).or(unseen);
            gap.map_or(Observed::Known(None), |gap| Observed::Unknown(gap.clone()))
        };
        for socket in &found.items {
            if socket.kind == SocketKind::Plugin {
                candidates
                    .entry(socket.path.clone())
                    .or_insert_with(|| Candidate {
                        name: text::clean(&socket.driver_hint).into(),
                        socket: socket.path.clone(),
                        registered_as: unregistered(&text::clean(&socket.driver_hint)),
                    });
            }
        }
        let mut seen = join_all(candidates.into_values().map(|one| self.ask_plugin(one))).await;
        // Registrars that failed come last: what they would have named may be found without them.
        seen.append(&mut failed);
        self.forget_sockets_but(&found.items, &seen);
        Listing {
            items: one_a_driver(seen),
            gaps: found.gaps,
        }
    }

    /// What the plugin at a socket says of a volume.
    pub async fn stats(
        &self,
        socket: &HostPath,
        volume: &VolumeHandle,
        path: &HostPath,
        staging: Option<&HostPath>,
    ) -> Observed<DriverStats> {
        let question =
            |client: Client| async move { client.volume_stats(volume, path, staging).await };
        let answer = self.about_volume(socket, volume, question).await;
        answer.map(|answer| convert::driver_stats(&answer))
    }

    /// What the plugin at a socket says of a volume's health (CSI 1.13).
    pub async fn health(
        &self,
        socket: &HostPath,
        volume: &VolumeHandle,
        path: &HostPath,
        staging: Option<&HostPath>,
    ) -> Observed<Vec<HealthEntry>> {
        let question =
            |client: Client| async move { client.volume_health(volume, path, staging).await };
        let answer = self.about_volume(socket, volume, question).await;
        answer.map(|answer| convert::volume_health(&answer))
    }

    /// Asks about a volume. One call is under way for each plugin at most; a volume that did not
    /// answer is left alone for a while, and the plugin as a whole after several.
    async fn about_volume<T, F>(
        &self,
        socket: &HostPath,
        volume: &VolumeHandle,
        question: impl Fn(Client) -> F,
    ) -> Observed<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let line = self.line(socket);
        // A plugin that takes long for each must not hold up what is known of the rest.
        let Ok(_turn) = timeout(self.deadline, line.turn.lock()).await else {
            let what = format!(
                "volume {volume} was not asked about: its driver took too long for the others"
            );
            return Observed::Unknown(Gap::new(Why::NotAsked, what));
        };
        if let Some(gap) = lock(&line.patience).left_alone(volume, Instant::now()) {
            return Observed::Unknown(gap);
        }
        match self.ask(&line, socket, question).await {
            Ok(answer) => {
                lock(&line.patience).answered(volume);
                Observed::Known(answer)
            }
            Err(error) => {
                let gap = error.into_gap();
                let mut patience = lock(&line.patience);
                if gap.why != Why::TimedOut {
                    patience.answered(volume);
                    return Observed::Unknown(gap);
                }
                let now = Timestamp::now();
                let since = patience.silent(volume, now, Instant::now(), self.deadline);
                Observed::Unknown(gap.since(since))
            }
        }
    }

    /// The sockets, listed off the runtime's threads.
    async fn find(&self, kubelet: &HostPath) -> Listing<Socket> {
        let (host_root, directory) = (self.host_root.clone(), kubelet.clone());
        let found = tokio::task::spawn_blocking(move || find_sockets(&host_root, &directory));
        found.await.unwrap_or_else(|error| {
            let what = format!("look for sockets in {kubelet}: {error}");
            Listing::unknown(Gap::new(Why::Unavailable, what))
        })
    }

    async fn ask_registrar(&self, socket: &Socket) -> Registrar {
        let line = self.line(&socket.path);
        let answer = self
            .ask(&line, &socket.path, |client| async move {
                client.registration().await
            })
            .await;
        let hint = text::clean(&socket.driver_hint);
        let failed = |gap| {
            Registrar::Failed(Box::new(PluginSeen {
                name: hint.as_str().into(),
                socket: socket.path.clone(),
                registered_as: Observed::Unknown(Gap::clone(&gap)),
                plugin: Observed::Unknown(gap),
                started: self.started(&socket.path),
            }))
        };
        let info = match answer {
            Ok(info) => info,
            Err(error) => return failed(line.aged(error.into_gap())),
        };
        line.well();
        if info.r#type != CSI_PLUGIN {
            return Registrar::Other;
        }
        let endpoint = info.endpoint.as_str();
        let endpoint = endpoint.strip_prefix("unix:").unwrap_or(endpoint);
        let endpoint = endpoint.strip_prefix("//").unwrap_or(endpoint);
        if !endpoint.starts_with('/') || endpoint.chars().any(char::is_control) {
            let what = format!(
                "call GetInfo at {}: its endpoint is no path: {:?}",
                socket.path,
                text::clean(endpoint)
            );
            return failed(Gap::new(Why::Malformed, what));
        }
        let name = text::clean(&info.name);
        let name: DriverName = if name.is_empty() { hint } else { name }.into();
        Registrar::Csi(Candidate {
            registered_as: Observed::Known(Some(name.clone())),
            name,
            socket: endpoint.into(),
        })
    }

    async fn ask_plugin(&self, candidate: Candidate) -> PluginSeen {
        let Candidate {
            name,
            socket,
            registered_as,
        } = candidate;
        let line = self.line(&socket);
        let started = self.started(&socket);
        match self.introduce(&line, &socket).await {
            Ok((own_name, plugin)) => {
                line.well();
                let name = if own_name.is_empty() {
                    name
                } else {
                    own_name.into()
                };
                PluginSeen {
                    name,
                    socket,
                    plugin: Observed::Known(plugin),
                    registered_as,
                    started,
                }
            }
            Err(error) => PluginSeen {
                name,
                socket,
                plugin: Observed::Unknown(line.aged(error.into_gap())),
                registered_as,
                started,
            },
        }
    }

    /// When a socket was made: by the plugin's last start.
    fn started(&self, socket: &HostPath) -> Option<Timestamp> {
        let (seconds, _) = self.stamp(socket)?.changed;
        Timestamp::from_second(seconds).ok()
    }

    /// Asks over the kept connection; over a new one if that turns out to be broken.
    pub(super) async fn ask<T, F>(
        &self,
        line: &Line,
        socket: &HostPath,
        question: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (client, kept) = self.client(line, socket).await?;
        let answer = question(client).await;
        match answer {
            Err(error) if error.is_broken_connection() => {
                lock(&line.connection).take();
                if !kept {
                    return Err(error);
                }
                let (client, _) = self.client(line, socket).await?;
                question(client).await
            }
            answer => answer,
        }
    }

    /// A connection to a socket, and whether it is a kept one.
    async fn client(&self, line: &Line, socket: &HostPath) -> Result<(Client, bool), Error> {
        let stamp = self.stamp(socket);
        let kept = lock(&line.connection).clone();
        if let (Some(stamp), Some((kept_stamp, client))) = (stamp, &kept)
            && stamp == *kept_stamp
        {
            return Ok((client.clone(), true));
        }
        if kept.is_some() {
            // A new plugin has not been silent yet.
            *lock(&line.patience) = Patience::default();
        }
        lock(&line.connection).take();
        let client = Client::connect(&self.host_root, socket, self.deadline).await?;
        if let Some(stamp) = stamp {
            *lock(&line.connection) = Some((stamp, client.clone()));
        }
        Ok((client, false))
    }

    pub(super) fn stamp(&self, socket: &HostPath) -> Option<Stamp> {
        let metadata = below(&self.host_root, socket).symlink_metadata().ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    fn line(&self, socket: &HostPath) -> Arc<Line> {
        Arc::clone(lock(&self.lines).entry(socket.clone()).or_default())
    }

    /// Closes connections to sockets that are there no more.
    fn forget_sockets_but(&self, found: &[Socket], seen: &[PluginSeen]) {
        lock(&self.lines).retain(|path, _| {
            found.iter().any(|socket| socket.path == *path)
                || seen.iter().any(|plugin| plugin.socket == *path)
        });
    }
}

impl Line {
    /// A gap with the time since when this socket has not answered.
    fn aged(&self, gap: Gap) -> Gap {
        let since = *lock(&self.silent_since).get_or_insert_with(Timestamp::now);
        gap.since(since)
    }

    /// The socket has answered.
    fn well(&self) {
        lock(&self.silent_since).take();
    }
}

/// The answer, or the gap that its absence leaves.
pub(super) fn observed<T>(answer: Result<T, Error>) -> Observed<T> {
    match answer {
        Ok(answer) => Observed::Known(answer),
        Err(error) => Observed::Unknown(error.into_gap()),
    }
}

/// Of several sockets of one driver the one that answers, else the first.
fn one_a_driver(seen: Vec<PluginSeen>) -> Vec<PluginSeen> {
    let mut drivers: BTreeMap<DriverName, PluginSeen> = BTreeMap::new();
    for plugin in seen {
        match drivers.get(&plugin.name) {
            Some(kept) if kept.plugin.known().is_some() || plugin.plugin.known().is_none() => {}
            _ => {
                drivers.insert(plugin.name.clone(), plugin);
            }
        }
    }
    drivers.into_values().collect()
}

/// A mutex whose holder panicked is taken all the same: its value is whole at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
