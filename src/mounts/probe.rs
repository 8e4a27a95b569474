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
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::model::mount::DeviceNumber;
use crate::model::names::HostPath;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::Filesystem;

use super::touch::{self, Answer, Task};

/// Threads that serve healthy filesystems: `statfs` of those takes microseconds.
const THREADS: usize = 4;

/// Enough for three system calls and a directory buffer on the heap.
const STACK: usize = 128 * 1024;

/// From here on a probe is slow, and another thread takes its place in serving the others.
const SLOW: Duration = Duration::from_millis(50);

/// Between two looks into the root directory of a filesystem that `statfs` does not flatter;
/// spread over the second half, so that thousands do not fall due together.
const INSIDE_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// The longest pause before a filesystem that hung is asked again.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// One mounted place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is mounted.
    pub target: HostPath,
    /// The superblock's number.
    pub device: DeviceNumber,
    /// The superblock's type.
    pub fs_type: String,
}

/// Asks filesystems; lives as long as the program, since it remembers who hangs.
pub struct Prober {
    shared: Arc<Shared>,
    deadline: Duration,
    max_stuck: usize,
    /// One round at a time: it is bounded, so nobody waits for ever.
    round: Mutex<Memory>,
}

/// What is remembered between rounds.
#[derive(Default)]
struct Memory {
    trouble: BTreeMap<DeviceNumber, Trouble>,
    /// When the root directory of a superblock is looked into again.
    inside_due: BTreeMap<DeviceNumber, Timestamp>,
}

/// A superblock whose probe ran past the deadline.
struct Trouble {
    since: Timestamp,
    /// How often in a row.
    times: u32,
    /// When it may be asked again; nothing while the probe is stuck.
    rest_until: Option<Timestamp>,
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
    queue: VecDeque<(DeviceNumber, Task)>,
    running: BTreeMap<DeviceNumber, Running>,
    done: Vec<(DeviceNumber, Answer)>,
    /// Superblocks with a thread that was given up and has not come back.
    stuck: BTreeSet<DeviceNumber>,
    /// Those whose thread has come back since the last round.
    returned: Vec<DeviceNumber>,
    threads: usize,
    closing: bool,
}

struct Running {
    started: Instant,
    targets: Vec<HostPath>,
}

impl Prober {
    /// A prober whose callers wait at most `deadline` for a filesystem, and that leaves at most
    /// `max_stuck` threads behind in filesystems that do not answer before it runs out of fresh ones.
    pub fn new(host_root: PathBuf, deadline: Duration, max_stuck: usize) -> Self {
        Self::with(deadline, max_stuck, move |task| {
            touch::touch(&host_root, task)
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
    /// Every place has an answer, in a time that one hung filesystem lengthens by one deadline at most.
    pub fn look(
        &self,
        now: Timestamp,
        places: Vec<Place>,
    ) -> BTreeMap<HostPath, Observed<Filesystem>> {
        let mut memory = lock(&self.round);
        let mut answers = BTreeMap::new();
        self.begin(now, places, &mut memory, &mut answers);
        let mut state = lock(&self.shared.state);
        loop {
            for (device, answer) in std::mem::take(&mut state.done) {
                memory.settle(now, device, answer, &mut answers);
            }
            self.give_up_overdue(now, &mut state, &mut memory, &mut answers);
            self.keep_serving(&mut state, &mut answers);
            if state.queue.is_empty() && state.running.is_empty() && state.done.is_empty() {
                return answers;
            }
            let pause = self.pause(&state);
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
        memory: &mut Memory,
        answers: &mut BTreeMap<HostPath, Observed<Filesystem>>,
    ) {
        let mut tasks: BTreeMap<DeviceNumber, Task> = BTreeMap::new();
        for place in places {
            tasks
                .entry(place.device)
                .or_insert_with(|| Task {
                    targets: Vec::new(),
                    fs_type: place.fs_type,
                    inside: false,
                })
                .targets
                .push(place.target);
        }
        let mut state = lock(&self.shared.state);
        memory.welcome_back(now, std::mem::take(&mut state.returned), self.deadline);
        memory.forget(&state, &tasks);
        for (device, mut task) in tasks {
            if let Some((reason, since)) = memory.left_alone(now, device) {
                for target in task.targets {
                    let what = format!("statfs of {target}: {reason}");
                    let gap = Gap::new(Why::TimedOut, what).since(since);
                    answers.insert(target, Observed::Unknown(gap));
                }
                continue;
            }
            task.inside = memory.looks_inside(now, device, &task.fs_type);
            state.queue.push_back((device, task));
        }
    }

    /// Stops waiting for probes that ran past the deadline; their threads are on their own.
    fn give_up_overdue(
        &self,
        now: Timestamp,
        state: &mut State,
        memory: &mut Memory,
        answers: &mut BTreeMap<HostPath, Observed<Filesystem>>,
    ) {
        let overdue: Vec<DeviceNumber> = state
            .running
            .iter()
            .filter(|(_, running)| running.started.elapsed() >= self.deadline)
            .map(|(device, _)| *device)
            .collect();
        for device in overdue {
            let Some(running) = state.running.remove(&device) else {
                continue;
            };
            let trouble = memory.hung(now, device);
            state.stuck.insert(device);
            for target in running.targets {
                let what = format!("statfs of {target}: no answer within {:?}", self.deadline);
                let gap = Gap::new(Why::TimedOut, what).since(trouble);
                answers.insert(target, Observed::Unknown(gap));
            }
        }
    }

    /// Sees to it that there are threads for what is queued; with all of them stuck and none to be
    /// had, what is queued is left alone.
    fn keep_serving(
        &self,
        state: &mut State,
        answers: &mut BTreeMap<HostPath, Observed<Filesystem>>,
    ) {
        let slow = state
            .running
            .values()
            .filter(|running| running.started.elapsed() >= SLOW.min(self.deadline))
            .count();
        let mut refused = None;
        while !state.queue.is_empty() && state.threads < THREADS + self.max_stuck {
            let serving = state.threads.saturating_sub(slow + state.stuck.len());
            if serving >= THREADS.min(state.queue.len() + state.running.len() - slow) {
                break;
            }
            if let Err(error) = self.start_thread() {
                refused = Some(error);
                break;
            }
            state.threads += 1;
        }
        if state.queue.is_empty() {
            return;
        }
        if state.threads > state.stuck.len() {
            self.shared.work.notify_all();
            return;
        }
        let reason = match refused {
            Some(error) => format!("no thread could be started: {error}"),
            None => format!("{} filesystems hang already", state.stuck.len()),
        };
        for target in state.queue.drain(..).flat_map(|(_, task)| task.targets) {
            let what = format!("statfs of {target}: left alone, since {reason}");
            let gap = Gap::new(Why::NotAsked, what);
            answers.insert(target, Observed::Unknown(gap));
        }
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
    fn pause(&self, state: &State) -> Duration {
        let ages = state
            .running
            .values()
            .map(|running| running.started.elapsed());
        let until =
            |limit: Duration, age: Duration| limit.checked_sub(age).filter(|d| !d.is_zero());
        let next = ages
            .flat_map(|age| [until(self.deadline, age), until(SLOW, age)])
            .flatten()
            .min();
        // A thread may be about to take up a task: that is not announced, and looked at again.
        next.unwrap_or(SLOW)
            .min(if state.queue.is_empty() {
                self.deadline
            } else {
                SLOW
            })
            .max(Duration::from_millis(1))
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
            let Some((device, task)) = state.queue.pop_front() else {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let running = Running {
                started: Instant::now(),
                targets: task.targets.clone(),
            };
            state.running.insert(device, running);
            drop(state);
            let answer = (self.touch)(&task);
            state = lock(&self.state);
            if state.running.remove(&device).is_some() {
                state.done.push((device, answer));
                if state.queue.is_empty() && state.running.is_empty() {
                    self.news.notify_all();
                }
            } else {
                state.stuck.remove(&device);
                state.returned.push(device);
            }
        }
    }
}

impl Memory {
    /// Takes an answer that came in time.
    fn settle(
        &mut self,
        now: Timestamp,
        device: DeviceNumber,
        answer: Answer,
        answers: &mut BTreeMap<HostPath, Observed<Filesystem>>,
    ) {
        self.trouble.remove(&device);
        if answer.sick {
            self.inside_due.insert(device, now);
        }
        answers.extend(answer.filesystems);
    }

    /// Notes that a probe ran past the deadline; since when that is so.
    fn hung(&mut self, now: Timestamp, device: DeviceNumber) -> Timestamp {
        self.inside_due.insert(device, now);
        let trouble = self.trouble.entry(device).or_insert(Trouble {
            since: now,
            times: 0,
            rest_until: None,
        });
        trouble.times += 1;
        trouble.rest_until = None;
        trouble.since
    }

    /// Superblocks whose stuck probe has come back are asked again after a pause that doubles.
    fn welcome_back(&mut self, now: Timestamp, returned: Vec<DeviceNumber>, deadline: Duration) {
        for device in returned {
            if let Some(trouble) = self.trouble.get_mut(&device) {
                let doubled = deadline.saturating_mul(1 << (trouble.times - 1).min(16));
                let pause = SignedDuration::try_from(doubled)
                    .unwrap_or(LONGEST_PAUSE)
                    .min(LONGEST_PAUSE);
                trouble.rest_until = Some(now.saturating_add(pause).unwrap_or(Timestamp::MAX));
            }
        }
    }

    /// Forgets superblocks that nobody asks for any more; their numbers will be used again.
    fn forget(&mut self, state: &State, tasks: &BTreeMap<DeviceNumber, Task>) {
        self.trouble
            .retain(|device, _| tasks.contains_key(device) || state.stuck.contains(device));
        self.inside_due
            .retain(|device, _| tasks.contains_key(device));
    }

    /// Why a superblock is not asked in this round, and since when it hangs.
    fn left_alone(&self, now: Timestamp, device: DeviceNumber) -> Option<(String, Timestamp)> {
        let trouble = self.trouble.get(&device)?;
        let reason = match trouble.rest_until {
            None => "an earlier call to this filesystem has not returned".to_owned(),
            Some(until) if now < until => {
                format!("it did not answer in time and is not asked before {until:.0}")
            }
            Some(_) => return None,
        };
        Some((reason, trouble.since))
    }

    /// Whether this round looks into the root directory, and notes when the next one does.
    fn looks_inside(&mut self, now: Timestamp, device: DeviceNumber, fs_type: &str) -> bool {
        // A shut-down XFS answers statfs as if nothing had happened.
        if fs_type == "xfs" {
            return true;
        }
        if self.inside_due.get(&device).is_some_and(|due| now < *due) {
            return false;
        }
        let half = INSIDE_EVERY / 2;
        let spread = i64::from(device.major * 31 + device.minor) % half.as_secs().max(1);
        let next = half + SignedDuration::from_secs(spread);
        let due = now.saturating_add(next).unwrap_or(Timestamp::MAX);
        self.inside_due.insert(device, due);
        true
    }
}

/// A mutex whose holder panicked is taken all the same: the values in it are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
