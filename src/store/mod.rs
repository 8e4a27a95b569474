//! What outlives the collector: findings and their changes, durable; the latest scan of each node, a cache.
//!
//! One thread writes, and many reports share one commit. It stores what it is given; it knows no
//! rule, no folding and no network.

mod schema;
mod sqlite;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, mpsc};
use std::thread;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::history::Change;
use crate::model::finding::Finding;
use crate::model::scan::Origin;
use crate::store::sqlite::Database;

/// How many reports one commit takes at most: a disk that is busy gathers more, and a reader of the
/// acknowledgement waits for no more than these.
const GROUP: usize = 256;

/// Where findings are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Nowhere: they are gone with the process, and come back with the next scans.
    Memory,
    /// In this file, made when it is missing.
    File(PathBuf),
}

impl FromStr for Location {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(match word {
            "memory" => Self::Memory,
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What went wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or made.
    #[error("opening the store {}: does its directory exist, and may this user write there?", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// The file is somebody else's.
    #[error("{} is not a store of csi-doctor and is left as it is: name another file with --store", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("the store {} is damaged and is left as it is ({why}): move it away, and the collector starts with a new one", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A later version wrote it.
    #[error("the store {} was written by a later csi-doctor (version {version} of its form, known is {known}) and is left as it is: run that version, or name another file with --store", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i32,
        /// The latest that this program knows.
        known: i32,
    },
    /// Another process has it.
    #[error("the store {} is in use by another process: two collectors cannot share one file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A group of reports could not be written.
    #[error("writing to the store: {0}")]
    Write(String),
    /// The writer is gone.
    #[error("writing to the store: its writer has ended")]
    Closed,
}

/// What an earlier life of the collector left.
#[derive(Debug, Default)]
pub struct Kept {
    /// The findings that are not over, by source.
    pub findings: BTreeMap<String, Vec<Finding>>,
    /// A late scan of each node, as far as its form is still read.
    pub scans: Vec<KeptScan>,
    /// Which scan of each node was taken last.
    pub heard: Vec<Heard>,
}

/// That a scan was taken, which outlives the scan itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The node.
    pub node: String,
    /// When it came, by the collector's clock.
    pub received: Timestamp,
    /// Which scan of which agent it was.
    pub origin: Origin,
}

/// A scan as it was received, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptScan {
    /// The node.
    pub node: String,
    /// When it came, by the collector's clock.
    pub received: Timestamp,
    /// A `csidoctor.v1.Scan`, as its keeper packs it.
    pub packed: Arc<[u8]>,
}

/// What is written together: all of it or nothing.
#[derive(Debug)]
pub struct Batch {
    /// Whose findings these are.
    pub source: String,
    /// By the collector's clock.
    pub at: Timestamp,
    /// The steps to write.
    pub changes: Vec<Change>,
    /// All findings of the source that are not over, to be written in place of those that are
    /// kept: after a batch of the source was lost.
    pub whole: Option<Vec<Finding>>,
    /// That a scan of it was taken.
    pub heard: Option<Heard>,
    /// That scan, when it is time to keep one again.
    pub scan: Option<KeptScan>,
    /// The source is gone for good: nothing of its present is kept.
    pub gone: bool,
}

impl Batch {
    /// Nothing to be written of this source, yet.
    pub fn of(source: impl Into<String>, at: Timestamp) -> Self {
        Self {
            source: source.into(),
            at,
            changes: Vec::new(),
            whole: None,
            heard: None,
            scan: None,
            gone: false,
        }
    }
}

struct Job {
    batch: Batch,
    done: oneshot::Sender<Result<(), Error>>,
}

/// The store. The last clone that is dropped ends the writer, after all that was given to it.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

/// The answer to one batch, to be awaited.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<(), Error>>);

impl Pending {
    /// Ready when the batch is durable, or lost.
    pub async fn written(self) -> Result<(), Error> {
        self.0.await.unwrap_or(Err(Error::Closed))
    }
}

/// The writer's thread, to wait for at the end.
#[derive(Debug)]
pub struct Writer(thread::JoinHandle<()>);

impl Writer {
    /// Waits until everything is written; every `Store` must have been dropped before.
    pub fn finish(self) {
        // A panic of the writer was told to each caller as `Closed`.
        let _ = self.0.join();
    }
}

impl Store {
    /// Opens or makes a store and starts its writer. Whatever is not a store of ours is refused
    /// and left as it is.
    pub fn open(location: &Location) -> Result<(Self, Kept, Writer), Error> {
        let mut database = Database::open(location)?;
        let kept = database.kept()?;
        let (jobs, queue) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_all(&mut database, &queue))
            .map_err(|error| Error::Write(error.to_string()))?;
        Ok((Self { jobs }, kept, Writer(thread)))
    }

    /// Hands over a batch, in order: two batches of one caller are written as they came. The caller
    /// bounds how many are under way.
    pub fn submit(&self, batch: Batch) -> Pending {
        let (done, answer) = oneshot::channel();
        // A writer that has ended drops the sender, which the receiver tells.
        let _ = self.jobs.send(Job { batch, done });
        Pending(answer)
    }
}

fn write_all(database: &mut Database, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter().take(GROUP - 1));
        let (batches, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.batch, job.done)).unzip();
        let result = database.write(&batches);
        for done in answers {
            // Who asked may have given up; what is written stays written.
            let _ = done.send(match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::Write(error.to_string())),
            });
        }
    }
}
