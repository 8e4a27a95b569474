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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet as Set;
    use std::fmt::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use expect_test::{Expect, expect};

    use super::*;
    use crate::model::mount::Usage;

    const DEADLINE: Duration = Duration::from_millis(100);

    /// What the fake filesystems do.
    #[derive(Default)]
    struct World {
        /// Those whose calls do not return, by minor number.
        hung: Mutex<Set<u32>>,
        changed: Condvar,
        /// Those whose root directory gives an error.
        sick: Mutex<Set<u32>>,
        calls: Mutex<Vec<(u32, bool)>>,
        inside_at_once: AtomicUsize,
        most_at_once: AtomicUsize,
        returned: AtomicUsize,
    }

    impl World {
        fn hang(&self, minors: impl IntoIterator<Item = u32>) {
            lock(&self.hung).extend(minors);
        }

        fn release(&self, minor: u32) {
            lock(&self.hung).remove(&minor);
            self.changed.notify_all();
        }

        fn touch(&self, task: &Task) -> Answer {
            // The fake's targets are their superblock's minor number.
            let minor: u32 = task.targets[0].to_string()[1..]
                .split('/')
                .next()
                .and_then(|minor| minor.parse().ok())
                .unwrap();
            lock(&self.calls).push((minor, task.inside));
            let now = self.inside_at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(now, Ordering::SeqCst);
            let mut hung = lock(&self.hung);
            while hung.contains(&minor) {
                hung = self
                    .changed
                    .wait(hung)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(hung);
            self.inside_at_once.fetch_sub(1, Ordering::SeqCst);
            self.returned.fetch_add(1, Ordering::SeqCst);
            let sick = task.inside && lock(&self.sick).contains(&minor);
            let answer = |target: &HostPath| {
                let answer = if sick {
                    Observed::Unknown(Gap::new(Why::Stale, format!("open {target}: gone")))
                } else {
                    Observed::Known(Filesystem {
                        usage: Usage {
                            total_bytes: u64::from(minor),
                            ..Usage::default()
                        },
                        true_size: None,
                    })
                };
                (target.clone(), answer)
            };
            Answer {
                filesystems: task.targets.iter().map(answer).collect(),
                sick,
            }
        }
    }

    struct Fixture {
        world: Arc<World>,
        prober: Prober,
    }

    impl Fixture {
        fn new(max_stuck: usize) -> Self {
            let world = Arc::new(World::default());
            let theirs = Arc::clone(&world);
            Self {
                world,
                prober: Prober::with(DEADLINE, max_stuck, move |task| theirs.touch(task)),
            }
        }

        fn look(
            &self,
            second: i64,
            places: Vec<Place>,
        ) -> BTreeMap<HostPath, Observed<Filesystem>> {
            self.prober
                .look(Timestamp::from_second(second).unwrap(), places)
        }

        fn check(&self, second: i64, places: &[(u32, &str)], expected: &Expect) {
            let places = places.iter().map(|(minor, path)| place(*minor, path));
            let mut shown = String::new();
            for (target, answer) in self.look(second, places.collect()) {
                match answer {
                    Observed::Known(filesystem) => {
                        writeln!(shown, "{target} {}", filesystem.usage.total_bytes).unwrap();
                    }
                    Observed::Unknown(gap) => {
                        let since = gap.since.map_or(-1, Timestamp::as_second);
                        writeln!(shown, "{gap} since {since}").unwrap();
                    }
                }
            }
            expected.assert_eq(&shown);
        }

        /// Until a stuck thread has come home.
        fn wait_until_returned(&self, calls: usize) {
            for _ in 0..2000 {
                let idle = lock(&self.prober.shared.state).stuck.is_empty();
                if idle && self.world.returned.load(Ordering::SeqCst) >= calls {
                    return;
                }
                std::thread::yield_now();
                std::thread::park_timeout(Duration::from_millis(1));
            }
            panic!("the stuck thread did not come back");
        }
    }

    fn place(minor: u32, path: &str) -> Place {
        Place {
            target: format!("/{minor}{path}").into(),
            device: DeviceNumber { major: 0, minor },
            fs_type: if minor == 9 { "xfs" } else { "ext4" }.to_owned(),
        }
    }

    #[test]
    fn healthy_places_answer_one_task_a_superblock() {
        let fixture = Fixture::new(4);
        fixture.check(
            0,
            &[(1, "/a"), (2, ""), (1, "/b")],
            &expect![[r#"
            /1/a 1
            /1/b 1
            /2 2
        "#]],
        );
        let calls: Set<u32> = lock(&fixture.world.calls)
            .iter()
            .map(|call| call.0)
            .collect();
        assert_eq!(calls, Set::from([1, 2]));
        assert_eq!(lock(&fixture.world.calls).len(), 2);
    }

    #[test]
    fn a_hung_one_costs_a_deadline_and_is_asked_again_after_a_pause() {
        let fixture = Fixture::new(4);
        fixture.world.hang([1]);
        fixture.check(
            10,
            &[(1, "/a"), (1, "/b"), (2, "")],
            &expect![[r#"
            statfs of /1/a: no answer within 100ms (TimedOut) since 10
            statfs of /1/b: no answer within 100ms (TimedOut) since 10
            /2 2
        "#]],
        );
        let begun = Instant::now();
        fixture.check(
            20,
            &[(1, "/a"), (2, "")],
            &expect![[r#"
            statfs of /1/a: an earlier call to this filesystem has not returned (TimedOut) since 10
            /2 2
        "#]],
        );
        assert!(
            begun.elapsed() < DEADLINE,
            "a hung filesystem is not waited for twice"
        );
        let of_one = |calls: &[(u32, bool)]| calls.iter().filter(|call| call.0 == 1).count();
        assert_eq!(of_one(&lock(&fixture.world.calls)), 1);

        fixture.world.release(1);
        fixture.wait_until_returned(3);
        fixture.check(30, &[(1, "/a")], &expect![[r#"
            statfs of /1/a: it did not answer in time and is not asked before 1970-01-01T00:00:30Z (TimedOut) since 10
        "#]]);
        assert_eq!(of_one(&lock(&fixture.world.calls)), 1);
        fixture.check(
            31,
            &[(1, "/a")],
            &expect![[r#"
            /1/a 1
        "#]],
        );
        assert_eq!(of_one(&lock(&fixture.world.calls)), 2);
    }

    #[test]
    fn many_hung_ones_hang_in_parallel() {
        let fixture = Fixture::new(40);
        fixture.world.hang(0..24);
        let places: Vec<Place> = (0..124).map(|minor| place(minor, "")).collect();
        let begun = Instant::now();
        let answers = fixture.look(0, places);
        let took = begun.elapsed();
        let known = answers
            .values()
            .filter(|answer| answer.known().is_some())
            .count();
        assert_eq!((answers.len(), known), (124, 100));
        // One after the other they would take 24 deadlines, by fours six.
        assert!(took < DEADLINE * 6, "{took:?}");
        fixture.look(1, (0..124).map(|minor| place(minor, "")).collect());
        let threads = lock(&fixture.prober.shared.state).threads;
        assert!(threads <= 24 + THREADS, "{threads} threads");
    }

    #[test]
    fn with_every_thread_stuck_the_rest_is_left_alone() {
        let fixture = Fixture::new(0);
        fixture.world.hang([1, 2, 3, 4]);
        let places: Vec<(u32, &str)> = (1..=6).map(|minor| (minor, "")).collect();
        fixture.check(
            0,
            &places,
            &expect![[r#"
            statfs of /1: no answer within 100ms (TimedOut) since 0
            statfs of /2: no answer within 100ms (TimedOut) since 0
            statfs of /3: no answer within 100ms (TimedOut) since 0
            statfs of /4: no answer within 100ms (TimedOut) since 0
            statfs of /5: left alone, since 4 filesystems hang already (NotAsked) since -1
            statfs of /6: left alone, since 4 filesystems hang already (NotAsked) since -1
        "#]],
        );
        for minor in 1..=4 {
            fixture.world.release(minor);
        }
        fixture.wait_until_returned(4);
        fixture.check(1000, &places, &expect![[r#"
            statfs of /1: it did not answer in time and is not asked before 1970-01-01T00:16:40Z (TimedOut) since 0
            statfs of /2: it did not answer in time and is not asked before 1970-01-01T00:16:40Z (TimedOut) since 0
            statfs of /3: it did not answer in time and is not asked before 1970-01-01T00:16:40Z (TimedOut) since 0
            statfs of /4: it did not answer in time and is not asked before 1970-01-01T00:16:40Z (TimedOut) since 0
            /5 5
            /6 6
        "#]]);
    }

    #[test]
    fn a_superblock_is_never_asked_twice_at_once() {
        let fixture = Fixture::new(8);
        fixture.world.hang([1]);
        for second in 0..50 {
            fixture.look(second, vec![place(1, "")]);
        }
        assert_eq!(fixture.world.most_at_once.load(Ordering::SeqCst), 1);
        assert_eq!(lock(&fixture.prober.shared.state).threads, 1);
    }

    #[test]
    fn the_root_directory_is_looked_into_now_and_then() {
        let fixture = Fixture::new(4);
        let inside = |second: i64, minor: u32| {
            lock(&fixture.world.calls).clear();
            fixture.look(second, vec![place(minor, ""), place(9, "")]);
            lock(&fixture.world.calls)
                .iter()
                .any(|(which, inside)| *which == minor && *inside)
        };
        assert!(inside(0, 1), "at first sight");
        assert!(!inside(1, 1), "not each time");
        assert!(inside(2, 9), "each time for xfs");
        assert!(inside(3, 9), "each time for xfs");
        assert!(inside(400, 1), "after a while");
        lock(&fixture.world.sick).insert(1);
        assert!(inside(800, 1), "when it is due");
        assert!(
            inside(801, 1),
            "again while it fails, or the fault would come and go"
        );
        lock(&fixture.world.sick).remove(&1);
        assert!(inside(802, 1), "until it succeeds");
        assert!(!inside(803, 1), "and not each time then");
    }
}
