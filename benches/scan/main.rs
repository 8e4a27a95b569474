//! What a scan costs, each figure beside its floor in the same run: `make bench`.
//!
//! It needs root and namespaces of its own, in which it is the first process (the Makefile makes
//! them): then `/proc/1/mountinfo` is its own table, and the node is what it mounts. The name of a part
//! (`cost`, `storm`, `hung`, `frozen`, `both`) runs that part alone.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::exit,
    reason = "a program that prints, on a machine where nothing of this may fail"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use csi_doctor::model::scan::Scan;
use csi_doctor::wire;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::time::{ClockId, clock_gettime};
use node::{Node, list};
use sick::Sick;

mod node;
mod sick;

/// The agent's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BASE: &str = "/tmp/csi-doctor-bench";

/// Rounds of which the median counts: a machine that is shared is a third quicker at one moment than at another.
const ROUNDS: usize = 25;

/// Longer than a signal of the mount table is held back.
const PAUSE: Duration = Duration::from_millis(150);

/// Limits that the project has set itself; beyond them the run fails.
const FULL: f64 = 1.5;
const QUIET: f64 = 0.5;
const STORM: f64 = 2.0;

fn main() {
    if std::process::id() != 1 {
        println!("bench: run it by `make bench`, as the first process of namespaces of its own");
        std::process::exit(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let only = std::env::args().nth(1).filter(|part| part != "--bench");
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let mut failed = false;
    if wanted("cost") {
        failed |= cost(&runtime);
    }
    if wanted("storm") {
        failed |= storm(&runtime);
    }
    for (part, what) in [
        ("hung", &[Sick::Hung][..]),
        ("frozen", &[Sick::Frozen]),
        ("both", &[Sick::Hung, Sick::Frozen]),
    ] {
        if wanted(part) {
            failed |= sick::run(&runtime, what);
        }
    }
    println!(
        "\n{}",
        if failed {
            "beyond a limit"
        } else {
            "within all limits"
        }
    );
    // A probe may still be in a filesystem that does not answer.
    std::process::exit(i32::from(failed));
}

/// A whole scan and a round without a change, beside the floor.
fn cost(runtime: &tokio::runtime::Runtime) -> bool {
    let mut failed = false;
    println!("CPU milliseconds, median of {ROUNDS}\n");
    println!("volumes     floor  full scan  ratio  quiet round  quiet/full");
    let mut growth = Vec::new();
    for volumes in [100, 1000, 5000] {
        let node = Node::lived_in(volumes);
        let mut scanner = Node::scanner();
        scanner.watch(|| ()).unwrap();
        let mut scan = || {
            let scan = runtime.block_on(scanner.scan(Duration::from_secs(30)));
            report(&scan, volumes);
        };
        let mut figures = [const { Vec::new() }; 3];
        // By turns, so that all three see the same machine; and each after a pause, as an agent scans.
        for _ in 0..=ROUNDS {
            touch_table(&node);
            figures[0].push(measured(|| node.floor()));
            touch_table(&node);
            figures[1].push(measured(&mut scan));
            std::thread::sleep(PAUSE);
            figures[2].push(measured(&mut scan));
        }
        let [floor, full, quiet] = figures.map(|all| median(&all));
        let (ratio, share) = (full / floor, quiet / full);
        println!(
            "{volumes:>7}  {floor:>8.2}  {full:>9.2}  {ratio:>5.2}  {quiet:>11.2}  {share:>10.2}"
        );
        failed |= ratio > FULL || share > QUIET;
        growth.push((floor, full));
    }
    let (floor, full) = (growth[2].0 / growth[1].0, growth[2].1 / growth[1].1);
    println!("\ngrowth from 1000 to 5000 volumes: floor ×{floor:.2}, full scan ×{full:.2}");
    failed || full > floor * 1.1
}

/// Makes the kernel signal a change.
fn touch_table(node: &Node) {
    let none: Option<&str> = None;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    mount(none, node.targets[0].as_path(), none, flags, none).unwrap();
    std::thread::sleep(PAUSE);
}

/// What is sent; and that all was seen.
fn report(scan: &Scan, volumes: usize) {
    assert_eq!(scan.facts.volumes.items.len(), volumes);
    for volume in &scan.facts.volumes.items {
        assert!(volume.usage().known().is_some());
        let inside = volume.published[0].inside.known();
        assert!(inside.is_some_and(
            |inside| inside.iter().all(|one| one.mount.is_some()) && !inside.is_empty()
        ));
    }
    black_box(wire::encode_scan(scan));
}

/// CPU milliseconds of the whole process.
fn measured(run: impl FnOnce()) -> f64 {
    let before = cpu();
    run();
    cpu().saturating_sub(before).as_secs_f64() * 1e3
}

/// The median of all but the first, which finds nothing made.
fn median(all: &[f64]) -> f64 {
    let mut rest = all[1..].to_vec();
    rest.sort_by(f64::total_cmp);
    rest[rest.len() / 2]
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .unwrap()
        .into()
}

/// What mounting costs whoever mounts while the agent runs beside.
fn storm(runtime: &tokio::runtime::Runtime) -> bool {
    let _node = Node::bare(5000);
    let operations = || {
        let place = Path::new(BASE).join("storm");
        std::fs::create_dir_all(&place).unwrap();
        let none: Option<&str> = None;
        let begun = Instant::now();
        for _ in 0..1000 {
            mount(Some("storm"), &place, Some("tmpfs"), MsFlags::empty(), none).unwrap();
            umount2(&place, MntFlags::empty()).unwrap();
        }
        begun.elapsed().as_secs_f64() * 1e3
    };
    // The mean of so many that the agent scans and rests several times meanwhile.
    let mean = || (0..200).map(|_| operations()).sum::<f64>() / 200.0;
    let alone = mean();
    let stop = Arc::new(AtomicBool::new(false));
    let agent = runtime.spawn({
        let (stop, mut scanner) = (Arc::clone(&stop), Node::scanner());
        async move {
            let woken = Arc::new(tokio::sync::Notify::new());
            let waker = Arc::clone(&woken);
            scanner.watch(move || waker.notify_one()).unwrap();
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) {
                let scan = scanner.scan(Duration::from_secs(30)).await;
                rounds += 1;
                tokio::time::sleep(scan.took * csi_doctor::agent::REST).await;
                let _ = tokio::time::timeout(Duration::from_millis(500), woken.notified()).await;
            }
            rounds
        }
    });
    let beside = mean();
    stop.store(true, Ordering::Relaxed);
    let rounds = runtime.block_on(agent).unwrap();
    let ratio = beside / alone;
    println!(
        "\n2000 mount operations on a table of 5000: {alone:.0} ms alone, {beside:.0} ms beside the agent ({rounds} rounds): ×{ratio:.2}"
    );
    ratio > STORM
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn threads(name: &str) -> usize {
    let tasks = list(Path::new("/proc/self/task")).into_iter();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.join("comm")).ok());
    names.filter(|comm| comm.trim() == name).count()
}
