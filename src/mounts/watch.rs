//! Being woken when the host's mount table changes.
//!
//! The kernel marks an open mountinfo as having urgent data whenever something is mounted, unmounted
//! or remounted in its namespace (`proc_pid_mounts(5)`); that needs no capability. What else changes,
//! such as the errors of a filesystem, wakes nobody. It does not know what changed.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::model::names::HostPath;
use crate::model::observed::Gap;

use super::file;

/// A pod brings a burst of mounts: who is woken is woken once, when the burst may be over.
pub const DEBOUNCE: Duration = Duration::from_millis(100);

/// Enough for two system calls.
const STACK: usize = 64 * 1024;

/// A watch on the host's mount table; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    changes: Arc<AtomicU64>,
    /// Its end tells the thread to end.
    _stop: PipeWriter,
}

impl Watch {
    /// Watches the table of the host's first process; `woken` is called after each burst of changes.
    pub fn start(host_root: &Path, woken: impl Fn() + Send + 'static) -> Result<Self, Gap> {
        let path = HostPath::from("/proc/1/mountinfo");
        let gap = |error: io::Error| file::gap("watch the mount table", &path, &error);
        let table = File::open(file::below(host_root, &path)).map_err(gap)?;
        let (reader, writer) = io::pipe().map_err(gap)?;
        let changes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&changes);
        std::thread::Builder::new()
            .name("watch".to_owned())
            .stack_size(STACK)
            .spawn(move || serve(&table, &reader, &counted, woken))
            .map_err(gap)?;
        Ok(Self {
            changes,
            _stop: writer,
        })
    }

    /// How many bursts have begun; a table that was read before the newest of them is old.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

/// The life of the thread.
fn serve(table: &File, stop: &PipeReader, changes: &AtomicU64, woken: impl Fn()) {
    loop {
        let mut both = [
            PollFd::new(table.as_fd(), PollFlags::POLLPRI),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut both, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        if both[1].any() != Some(false) {
            return;
        }
        changes.fetch_add(1, Ordering::Release);
        if stopped_within(stop, DEBOUNCE) {
            return;
        }
        // What came meanwhile is swallowed, and counted, so that a table read just before it is old too.
        let mut one = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
        if poll(&mut one, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            changes.fetch_add(1, Ordering::Release);
        }
        woken();
    }
}

fn stopped_within(stop: &PipeReader, pause: Duration) -> bool {
    let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::ZERO);
    let mut one = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    poll(&mut one, timeout).is_ok_and(|ready| ready > 0)
}
