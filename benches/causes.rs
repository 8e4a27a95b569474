//! How long a classification takes: one usual message, and texts of growing size side by side.
//!
//! A usual message has a budget of 50 µs; the time a byte takes must not grow with the text.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use csi_doctor::causes::{Symptom, classify};

const USUAL: &str = "(combined from similar events): MountVolume.SetUp failed for volume \
    \"pvc-0f7d4a4e-6a1d-4b0e-9a43-6c2b8e0c3a10\" : rpc error: code = Internal desc = mount failed: \
    exit status 32\nMounting command: mount\nMounting arguments: -t nfs -o nfsvers=4.1 \
    192.0.2.10:/export/data /var/lib/kubelet/pods/5d3c1f7e-8a0c-4f6e-b0f3-2f6d0c0b9a55/volumes/\
    kubernetes.io~csi/pvc-0f7d4a4e/mount\nOutput: mount.nfs: Connection timed out\n";

/// The median and the least of so many runs: on a busy machine the least says more of a long one.
fn timed(runs: usize, text: &str) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            black_box(classify(&Symptom {
                text: black_box(text),
                stage: Some("publish"),
                ..Symptom::default()
            }));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[runs / 2], times[0])
}

fn filled(with: &str, length: usize) -> String {
    with.chars().cycle().take(length).collect()
}

fn main() {
    timed(100, USUAL);
    let (median, least) = timed(2000, USUAL);
    println!(
        "usual message ({} bytes): median {median:?}, least {least:?}",
        USUAL.len()
    );
    for (name, with) in [
        ("usual messages in a row", USUAL),
        ("one letter", "a"),
        ("wrappings", "rpc error: code = Internal desc = "),
        ("unclosed wrappings", "MountVolume.SetUp failed for volume "),
        ("backslashes", "\\"),
    ] {
        print!("{name:>24}:");
        for kib in [16, 128, 1024] {
            let text = filled(with, kib * 1024);
            let (median, least) = timed(25, &text);
            let length = u128::try_from(text.len()).expect("a length fits");
            let per_byte = |took: Duration| took.as_nanos() / length;
            print!(
                "  {kib} KiB {median:?} ({} ns/byte, least {})",
                per_byte(median),
                per_byte(least)
            );
        }
        println!();
    }
}
