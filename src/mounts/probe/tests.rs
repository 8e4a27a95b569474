//! The scheduling of probes, with filesystems that do as a test says.

use std::collections::BTreeSet as Set;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use expect_test::{Expect, expect};

use super::*;
use crate::model::mount::Usage;
use crate::model::state::Waiting;

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
        let minor = task.device.minor;
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
            if sick {
                Observed::Unknown(Gap::new(Why::Stale, format!("open {target}: gone")))
            } else {
                Observed::Known(Filesystem {
                    usage: Usage {
                        total_bytes: u64::from(minor),
                        ..Usage::default()
                    },
                    true_size: None,
                })
            }
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

    fn look(&self, second: i64, places: Vec<Place>) -> HashMap<HostPath, Observed<Filesystem>> {
        self.prober.look(
            Timestamp::from_second(second).unwrap(),
            places,
            &BTreeMap::new(),
        )
    }

    fn check(&self, second: i64, places: &[(u32, &str)], expected: &Expect) {
        let places = places.iter().map(|(minor, path)| place(*minor, path));
        let mut shown = String::new();
        let answers: BTreeMap<_, _> = self.look(second, places.collect()).into_iter().collect();
        for (target, answer) in answers {
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
        fs_type: if minor == 9 { "xfs" } else { "ext4" }.into(),
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
    // One after the other they would take 24 deadlines; a busy machine adds some to one.
    assert!(took < DEADLINE * 12, "{took:?}");
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
    assert!(lock(&fixture.prober.shared.state).threads <= THREADS);
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

#[test]
fn a_suspect_is_spared_once_and_then_known() {
    let fixture = Fixture::new(4);
    let waiting = |minor| {
        let waiting = Waiting {
            requests: 3,
            since: Some(Timestamp::UNIX_EPOCH),
        };
        (place(minor, "").device, Suspicion::Waiting(waiting))
    };
    let look = |second: i64| {
        let now = Timestamp::from_second(second).unwrap();
        let places = vec![place(1, ""), place(2, ""), place(3, "")];
        let frozen = Suspicion::Frozen {
            device: place(3, "").device,
            in_flight: 2,
            since: Timestamp::UNIX_EPOCH,
        };
        let suspects = BTreeMap::from([waiting(1), waiting(2), (place(3, "").device, frozen)]);
        let answers = fixture.prober.look(now, places, &suspects);
        let answers: BTreeMap<_, _> = answers.into_iter().collect();
        let words = answers.into_values().map(|answer| match answer {
            Observed::Known(_) => "answers".to_owned(),
            Observed::Unknown(gap) => gap.what.to_string(),
        });
        words.collect::<Vec<_>>().join("\n")
    };
    fixture.world.hang([2]);
    expect![[r#"
        statfs of /1: not made, since 3 requests wait for its daemon
        statfs of /2: not made, since 3 requests wait for its daemon
        statfs of /3: not made, since 2 requests are in flight on its device 0:3 and none has ended"#]]
    .assert_eq(&look(0));
    expect![[r#"
        answers
        statfs of /2: no answer within 100ms
        statfs of /3: not made, since 2 requests are in flight on its device 0:3 and none has ended"#]]
    .assert_eq(&look(30));
    expect![[r#"
        answers
        statfs of /2: an earlier call to this filesystem has not returned
        statfs of /3: not made, since 2 requests are in flight on its device 0:3 and none has ended"#]]
    .assert_eq(&look(60));
    fixture.world.release(2);
}
