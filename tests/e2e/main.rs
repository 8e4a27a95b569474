//! A real control plane, `deploy/` applied to it, and agent and collector with the tokens that it gives.
//!
//! No part of `cargo test`: it needs the programs of `tests/cluster/build.sh`. `make e2e` builds them
//! and runs this. Each chapter prints what it measured; all run, and one that fails fails the whole.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step is a failed test, and a test says what it saw"
)]

mod api;
mod audit;
mod chapters;
mod cluster;
mod doctor;
mod node;
mod proxy;
mod real;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cluster::{Cluster, Purpose};

fn main() -> ExitCode {
    // What cargo passes to its own harness, and listing, is none of ours.
    let mut wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let failed = if wanted.first().is_some_and(|word| word == "node") {
        real::run(&wanted.split_off(1))
    } else {
        let begun = Instant::now();
        let cluster = Cluster::start(Purpose::Objects);
        println!(
            "control plane ready in {:.1} s, its files are in {}",
            begun.elapsed().as_secs_f64(),
            cluster.dir().display()
        );
        chapters::prepare(&cluster);
        each(chapters::ALL, &wanted, &cluster)
    };
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// A chapter's name, and what it does with all that it needs.
type Chapter<T> = (&'static str, fn(&T));

/// Runs the chapters that are wanted, or all; gives the names of those that failed.
fn each<T>(all: &[Chapter<T>], wanted: &[String], with: &T) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, chapter) in all {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        println!("── {name}");
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| chapter(with)));
        println!(
            "   {} in {:.0} s",
            if outcome.is_ok() { "ok" } else { "FAILED" },
            begun.elapsed().as_secs_f64()
        );
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    failed
}

/// Waits until there is an answer; panics with these words when there is none in time.
fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
