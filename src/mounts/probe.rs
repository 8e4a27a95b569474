//! Asking filesystems without ever hanging: a few threads, one probe per superblock, patience with an end.
//!
//! A call into a dead filesystem may never return, and nothing can end it. So such calls are made
//! by threads of our own with small stacks; who waits for them gives up at a deadline, and a thread
//! that is stuck is left behind and replaced, up to a cap. A superblock whose probe is stuck is not
//! asked again until that probe has come back, and then with back-off.
//!
//! It knows superblocks by their device number and nothing of volumes, pods or plugins. The clock
//! of its memory is the caller's; only deadlines are measured here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::HashMap;
use jiff::Timestamp;

use crate::model::mount::DeviceNumber;
use crate::model::names::{HostPath, Text};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::Filesystem;

use super::memory::Memory;
use super::state::Suspicion;
use super::touch::{self, Answer, Task};

/// Threads that serve at once, those not counted that are slow. One is enough for healthy
/// filesystems, whose `statfs` takes microseconds; a network's takes milliseconds.
const THREADS: usize = 4;

/// Enough for three system calls and a directory buffer on the heap.
const STACK: usize = 128 * 1024;

/// After so long with something in the queue one more thread takes part.
const RAMP: Duration = Duration::from_millis(2);

/// From here on a probe is slow, and another thread takes its place in serving the others.
const SLOW: Duration = Duration::from_millis(50);

/// What comes back from a round, as it comes.
type Answers = Vec<(HostPath, Observed<Filesystem>)>;

/// One mounted place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is mounted.
    pub target: HostPath,
    /// The superblock's number.
    pub device: DeviceNumber,
    /// The superblock's type.
    pub fs_type: Text,
}

/// Asks filesystems; lives as long as the program, since it remembers who hangs.
pub struct Prober {
    shared: Arc<Shared>,
    deadline: Duration,
    max_stuck: usize,
    /// One round at a time: it is bounded, so nobody waits for ever.
    round: Mutex<Memory>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do.
    work: Condvar,
    /// All is done.
    news: Condvar,
    touch: Box<dyn Fn(&Task) -> Answer + Send + Sync>,
}

/// What threads and the waiting caller share.
#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Task>>,
    running: BTreeMap<DeviceNumber, Running>,
    done: Vec<(Arc<Task>, Answer)>,
    /// Superblocks with a thread that was given up and has not come back.
    stuck: BTreeSet<DeviceNumber>,
    /// Those whose thread has come back since the last round.
    returned: Vec<DeviceNumber>,
    /// All threads, and those of them that wait for work.
    threads: usize,
    idle: usize,
    closing: bool,
}

struct Running {
    started: Instant,
    task: Arc<Task>,
}

impl Prober {
    /// A prober whose callers wait at most `deadline` for a filesystem, and that leaves at most
    /// `max_stuck` threads behind in filesystems that do not answer before it runs out of fresh ones.
    pub fn new(host_root: PathBuf, deadline: Duration, max_stuck: usize) -> Self {
        let live = touch::is_live(&host_root);
        Self::with(deadline, max_stuck, move |task| {
            touch::touch(&host_root, live, task)
        })
    }

    fn with(
        deadline: Duration,
        max_stuck: usize,
        touch: impl Fn(&Task) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                work: Condvar::new(),
                news: Condvar::new(),
                touch: Box::new(touch),
            }),
            deadline,
            max_stuck,
            round: Mutex::default(),
        }
    }

    /// Asks the filesystem at each place, each superblock by one thread, one place after the other.
    ///
    /// Every place has an answer, in a time that one hung filesystem lengthens by one deadline at
    /// most. A suspect is not touched: one whose device is frozen not at all, one whose daemon has
    /// requests waiting not at first, since it may only be busy.
    pub fn look(
        &self,
        now: Timestamp,
        places: Vec<Place>,
        suspects: &BTreeMap<DeviceNumber, Suspicion>,
    ) -> HashMap<HostPath, Observed<Filesystem>> {
        let mut memory = lock(&self.round);
        let mut answers = Answers::new();
        self.begin(now, places, suspects, &mut memory, &mut answers);
        let mut state = lock(&self.shared.state);
        loop {
            for (task, answer) in std::mem::take(&mut state.done) {
                memory.answered(now, task.device, answer.sick);
                let targets = Arc::unwrap_or_clone(task).targets;
                answers.extend(targets.into_iter().zip(answer.filesystems));
            }
            self.give_up_overdue(now, &mut state, &mut memory, &mut answers);
            let serving = self.keep_serving(&mut state, &mut answers);
            if state.queue.is_empty() && state.running.is_empty() {
                return answers.into_iter().collect();
            }
            let pause = self.pause(&state, serving);
            state = self
                .shared
                .news
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Queues one task for each superblock that may be asked, and answers for the others.
    fn begin(
        &self,
        now: Timestamp,
        places: Vec<Place>,
        suspects: &BTreeMap<DeviceNumber, Suspicion>,
        memory: &mut Memory,
        answers: &mut Answers,
    ) {
        let mut tasks: BTreeMap<DeviceNumber, Task> = BTreeMap::new();
        for place in places {
            tasks
                .entry(place.device)
                .or_insert_with(|| Task {
                    device: place.device,
                    targets: Vec::new(),
                    fs_type: place.fs_type,
                    inside: false,
                })
                .targets
                .push(place.target);
        }
        let mut state = lock(&self.shared.state);
        for device in std::mem::take(&mut state.returned) {
            memory.returned(now, device, self.deadline);
        }
        memory.forget_all_but(
            |device| tasks.contains_key(&device),
            |device| state.stuck.contains(&device),
        );
        for (device, mut task) in tasks {
            let left_alone = memory
                .left_alone(now, device)
                .or_else(|| memory.suspected(device, suspects.get(&device)));
            if let Some((reason, since)) = left_alone {
                for target in task.targets {
                    let what = format!("statfs of {target}: {reason}");
                    let gap = Gap::new(Why::TimedOut, what).since(since);
                    answers.push((target, Observed::Unknown(gap)));
                }
                continue;
            }
            task.inside = memory.looks_inside(now, device, &task.fs_type);
            state.queue.push_back(Arc::new(task));
        }
    }

    /// Stops waiting for probes that ran past the deadline; their threads are on their own.
    fn give_up_overdue(
        &self,
        now: Timestamp,
        state: &mut State,
        memory: &mut Memory,
        answers: &mut Answers,
    ) {
        let deadline = self.deadline;
        let overdue = |running: &Running| running.started.elapsed() >= deadline;
        let (hung, running): (BTreeMap<_, _>, _) = std::mem::take(&mut state.running)
            .into_iter()
            .partition(|(_, running)| overdue(running));
        state.running = running;
        for (device, running) in hung {
            state.stuck.insert(device);
            let since = memory.hung(now, device);
            for target in &running.task.targets {
                let what = format!("statfs of {target}: no answer within {deadline:?}");
                let gap = Gap::new(Why::TimedOut, what).since(since);
                answers.push((target.clone(), Observed::Unknown(gap)));
            }
        }
    }

    /// Brings one more thread to what is queued, if that is due; how many serve then. With all of
    /// them stuck and none to be had, what is queued is left alone.
    fn keep_serving(&self, state: &mut State, answers: &mut Answers) -> usize {
        let is_slow = |running: &&Running| running.started.elapsed() >= SLOW;
        let slow = state.running.values().filter(is_slow).count() + state.stuck.len();
        let serving = state.threads.saturating_sub(slow + state.idle);
        if state.queue.is_empty() || serving >= THREADS {
            return serving;
        }
        if state.idle > 0 {
            self.shared.work.notify_one();
            return serving + 1;
        }
        let mut reason = format!("{} filesystems hang already", state.stuck.len());
        if state.threads < THREADS + self.max_stuck {
            match self.start_thread() {
                Ok(()) => {
                    state.threads += 1;
                    return serving + 1;
                }
                Err(error) => reason = format!("no thread could be started: {error}"),
            }
        }
        if state.threads == state.stuck.len() {
            for task in state.queue.drain(..) {
                for target in &task.targets {
                    let what = format!("statfs of {target}: left alone, since {reason}");
                    let gap = Gap::new(Why::NotAsked, what);
                    answers.push((target.clone(), Observed::Unknown(gap)));
                }
            }
        }
        serving
    }

    fn start_thread(&self) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new()
            .name("probe".to_owned())
            .stack_size(STACK)
            .spawn(move || shared.serve())
            .map(drop)
    }

    /// Until when nothing can have to be decided, unless all is done before.
    fn pause(&self, state: &State, serving: usize) -> Duration {
        let oldest = state.running.values().map(|running| running.started).min();
        let left = oldest.map_or(self.deadline, |started| {
            self.deadline.saturating_sub(started.elapsed())
        });
        let pause = match state.queue.is_empty() {
            true => left,
            false if serving < THREADS => left.min(RAMP),
            false => left.min(SLOW),
        };
        pause.max(Duration::from_millis(1))
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober")
            .field("deadline", &self.deadline)
            .field("max_stuck", &self.max_stuck)
            .finish_non_exhaustive()
    }
}

impl Drop for Prober {
    /// Idle threads end; stuck ones end when they come back, if ever.
    fn drop(&mut self) {
        lock(&self.shared.state).closing = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// The life of a thread.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            // One that came back late, when another had already taken its place, is one too many.
            let surplus = state.threads > state.stuck.len() + THREADS && state.queue.is_empty();
            if state.closing || surplus {
                state.threads -= 1;
                return;
            }
            let Some(task) = state.queue.pop_front() else {
                state.idle += 1;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            let running = Running {
                started: Instant::now(),
                task: Arc::clone(&task),
            };
            state.running.insert(task.device, running);
            drop(state);
            let answer = (self.touch)(&task);
            state = lock(&self.state);
            if state.running.remove(&task.device).is_some() {
                state.done.push((task, answer));
                if state.queue.is_empty() && state.running.is_empty() {
                    self.news.notify_all();
                }
            } else {
                state.stuck.remove(&task.device);
                state.returned.push(task.device);
            }
        }
    }
}

/// A mutex whose holder panicked is taken all the same: the values in it are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
