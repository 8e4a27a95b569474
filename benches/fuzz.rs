//! Every parser on mutated inputs, for as long as it is told: `make fuzz SECONDS=600`.
//!
//! Seeds are inputs as the world has them; a mutation flips, cuts, repeats or splices bytes of two of
//! them. A panic ends the run and prints the input. It prints how many executions there were.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::exit,
    reason = "a program that prints"
)]

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use csi_doctor::kubernetes::{parse, quantity};
use csi_doctor::mounts::{containers, kubelet, mountinfo, root, sysfs};
use csi_doctor::wire;

const MOUNTINFO: &[u8] = b"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n36 22 0:44 / /mnt/a\\040b\\134c ro,noatime - fuse.sshfs user@host:/x\\040y rw,user_id=0\n37 22 0:45 /sub//deleted /mnt/t rw shared:7 master:2 propagate_from:1 unbindable - tmpfs  rw\n";
const DATA: &[u8] = br#"{"attachmentID":"csi-07","driverName":"disk.example.com","nodeName":"n","specVolID":"pvc-1","volumeHandle":"vol-1","volumeLifecycleMode":"Persistent"}"#;
const CGROUP: &[u8] = b"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod3f2c7e0a_1111_2222_3333_444455556666.slice/cri-containerd-abababababababababababababababababababababababababababababababab.scope\n12:pids:/kubepods/pod3f2c7e0a-1111-2222-3333-444455556666/x\n";
const STAT: &[u8] = b"  10 0 80 5 20 0 160 9 3 12 14 30 0 8 1 40 2\n";
const COMMAND: &[u8] = b"kubelet\0--root-dir=/data/k\0--v=2\0";
const QUANTITIES: &[u8] = b"12.5Gi";
const MANIFEST: &[u8] = b"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: web, namespace: shop, uid: p-1}\n  spec:\n    nodeName: node-1\n    volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {resources: {requests: {storage: 2Gi}}}\n";

type Target = (&'static str, &'static [u8], fn(&[u8]));

const TARGETS: [Target; 8] = [
    ("mountinfo", MOUNTINFO, |bytes| {
        drop(mountinfo::parse_mountinfo(bytes));
    }),
    ("vol_data.json", DATA, |bytes| {
        drop(kubelet::parse_volume_data(bytes));
    }),
    ("cgroup", CGROUP, |bytes| {
        drop(containers::parse_cgroup(bytes));
    }),
    ("sysfs", STAT, |bytes| {
        let _ = sysfs::parse_stat(bytes);
        let _ = sysfs::parse_size(bytes);
        let _ = sysfs::parse_number(bytes);
        let _ = sysfs::parse_boot_time(bytes);
    }),
    ("command line", COMMAND, |bytes| {
        drop(root::root_in_command(bytes));
    }),
    ("quantity", QUANTITIES, |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = quantity::parse_bytes(text);
        }
    }),
    ("manifest", MANIFEST, |bytes| {
        drop(parse::parse_file("fuzz.yaml", bytes, &[]));
    }),
    ("report", b"\n\x04life\x10\x01", |bytes| {
        let _ = wire::decode_scan(bytes);
    }),
];

fn main() {
    let seconds = std::env::var("SECONDS_TO_RUN").ok();
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(60);
    let each = Duration::from_secs(seconds) / TARGETS.len() as u32;
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut random = Random(started.map_or(1, |since| since.as_nanos() as u64) | 1);
    println!("seed {:#x}, {seconds} s", random.0);
    let mut all = 0_u64;
    for (name, seed, parse) in TARGETS {
        let mut corpus: Vec<Vec<u8>> = vec![seed.to_vec(), Vec::new()];
        let (end, mut executions) = (Instant::now() + each, 0_u64);
        while executions % 64 != 0 || Instant::now() < end {
            let input = mutate(&corpus, &mut random);
            if catch_unwind(|| parse(&input)).is_err() {
                println!("{name}: panicked on {:?}", String::from_utf8_lossy(&input));
                std::process::exit(1);
            }
            executions += 1;
            // Now and then a mutation becomes a seed, so that they drift apart.
            if executions % 1024 == 0 && input.len() < 8192 {
                if corpus.len() < 64 {
                    corpus.push(input);
                } else {
                    let at = 1 + random.below(corpus.len() - 1);
                    corpus[at] = input;
                }
            }
        }
        println!("{name:<14} {executions:>12} executions");
        all += executions;
    }
    println!("{:<14} {all:>12} executions, no panic", "all");
}

/// xorshift64*: fast, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => bytes.insert(at, random.next() as u8),
            3 => bytes.truncate(at),
            4 if at < bytes.len() => {
                let end = at + random.below((bytes.len() - at).min(32)) + 1;
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let words: [&[u8]; 6] = [
                    b"18446744073709551616",
                    b"-1",
                    b"\xff\xfe",
                    b" - ",
                    b"\\777",
                    b"pod",
                ];
                bytes.splice(at..at, words[random.below(words.len())].iter().copied());
            }
        }
    }
    bytes
}
