//! One volume among a hundred that does not answer, a hung FUSE volume or a frozen device, or one of
//! each: what the scan of the others costs, in time, threads and memory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use csi_doctor::agent::scan::Scanner;
use csi_doctor::model::observed::Observed;
use csi_doctor::model::scan::Scan;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::node::Node;
use super::{BASE, status, threads};

/// At most so many times as long as without the sick ones.
const LIMIT: f64 = 1.5;

/// Threads for those that answer; one more for each that does not.
const THREADS: usize = 4;

/// What a volume suffers from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sick {
    /// A FUSE volume whose daemon answers nothing.
    Hung,
    /// An ext4 whose device ends no request.
    Frozen,
}

/// A filesystem that answers until it is told not to.
#[derive(Clone, Default)]
struct Silent {
    hangs: Arc<(Mutex<bool>, Condvar)>,
}

impl Silent {
    fn set(&self, hangs: bool) {
        *self.hangs.0.lock().unwrap() = hangs;
        self.hangs.1.notify_all();
    }
}

impl fuser::Filesystem for Silent {
    fn statfs(&self, _: &fuser::Request, _: fuser::INodeNo, reply: fuser::ReplyStatfs) {
        let mut hangs = self.hangs.0.lock().unwrap();
        while *hangs {
            hangs = self.hangs.1.wait(hangs).unwrap();
        }
        reply.statfs(100, 50, 50, 10, 5, 4096, 255, 4096);
    }
}

/// A loop device on a storage that can stop answering, as the lab makes it.
struct Device {
    name: String,
    hold: PathBuf,
    target: PathBuf,
    daemon: Child,
}

impl Device {
    fn mounted_at(target: &Path) -> Self {
        let base = Path::new(BASE);
        let (real, shelf, hold) = (base.join("real"), base.join("shelf"), base.join("hold"));
        std::fs::create_dir_all(&shelf).unwrap();
        let image = std::fs::File::create(&real).unwrap();
        image.set_len(64 << 20).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_csi-doctor-lab"))
            .arg("fuse-image")
            .args([
                "--image".as_ref(),
                real.as_os_str(),
                "--hold".as_ref(),
                hold.as_os_str(),
            ])
            .args(["--at".as_ref(), shelf.as_os_str()])
            .spawn()
            .unwrap();
        let image = shelf.join("disk.img");
        while !image.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let name = tool("losetup", &["--find", "--show", image.to_str().unwrap()]);
        tool("mkfs.ext4", &["-q", "-F", &name]);
        let none: Option<&str> = None;
        mount(
            Some(name.as_str()),
            target,
            Some("ext4"),
            MsFlags::empty(),
            none,
        )
        .unwrap();
        Self {
            name,
            hold,
            target: target.to_owned(),
            daemon,
        }
    }

    /// Stops in the middle of a write; who writes.
    fn freeze(&self) -> Child {
        std::fs::write(&self.hold, "").unwrap();
        let file = format!("of={}", self.target.join("journal.bin").display());
        Command::new("dd")
            .args([
                "if=/dev/zero",
                "bs=64k",
                "count=16",
                "conv=fsync",
                "status=none",
                &file,
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn thaw(mut self, mut writer: Child) {
        std::fs::remove_file(&self.hold).unwrap();
        writer.wait().unwrap();
        umount2(self.target.as_path(), MntFlags::empty()).unwrap();
        tool("losetup", &["--detach", &self.name]);
        umount2(&Path::new(BASE).join("shelf"), MntFlags::MNT_DETACH).unwrap();
        self.daemon.wait().unwrap();
    }
}

fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// 1,000 scans with these among a hundred; whether a limit is missed.
pub(crate) fn run(runtime: &tokio::runtime::Runtime, what: &[Sick]) -> bool {
    // Whether requests wait for a daemon is read there, as on a node.
    let none: Option<&str> = None;
    let control = "/sys/fs/fuse/connections";
    let _ = mount(
        Some("fusectl"),
        control,
        Some("fusectl"),
        MsFlags::empty(),
        none,
    );
    let mut node = Node::bare(100);
    let scan = |scanner: &mut Scanner| {
        let begun = Instant::now();
        let scan = runtime.block_on(scanner.scan(Duration::from_secs(30)));
        (begun.elapsed().as_secs_f64() * 1e3, scan)
    };
    let targets = node.targets.split_off(100 - what.len());
    for target in &targets {
        umount2(target.as_path(), MntFlags::MNT_DETACH).unwrap();
    }
    let mut scanner = Node::scanner();
    let mut healthy: Vec<f64> = (0..50).map(|_| scan(&mut scanner).0).collect();
    healthy.sort_by(f64::total_cmp);
    let silent = Silent::default();
    let (mut session, mut device) = (None, None);
    for (sick, target) in what.iter().zip(&targets) {
        match sick {
            Sick::Hung => {
                let config = fuser::Config::default();
                session = Some(fuser::spawn_mount(silent.clone(), target, &config).unwrap());
                silent.set(true);
            }
            Sick::Frozen => device = Some(Device::mounted_at(target)),
        }
    }
    let writer = device.as_ref().map(Device::freeze);
    let begun = Instant::now();
    let mut known = None;
    let (mut times, mut memory) = (Vec::new(), [0, 0]);
    for round in 0..1000 {
        let (took, scan) = scan(&mut scanner);
        times.push(took);
        if known.is_none() && unanswered(&scan) == what.len() {
            known = Some(begun.elapsed());
        }
        if round == 50 {
            memory[0] = status("VmRSS:");
        }
    }
    memory[1] = status("VmRSS:");
    let probes = threads("probe");
    times.sort_by(f64::total_cmp);
    let ratio = times[500] / healthy[25];
    println!(
        "\n{} among 100, 1000 scans: {:.2} ms a scan, {:.2} ms without: ×{ratio:.2}\n\
         known after {:.1} s; {probes} probe threads; RSS {} KiB after 50 scans, {} KiB at the end",
        name(what),
        times[500],
        healthy[25],
        known.map_or(f64::NAN, |known| known.as_secs_f64()),
        memory[0],
        memory[1]
    );
    silent.set(false);
    drop(session);
    if let Some((device, writer)) = device.zip(writer) {
        device.thaw(writer);
    }
    let threads = THREADS + what.len();
    ratio > LIMIT || known.is_none() || probes > threads || memory[1] * 100 > memory[0] * 110
}

/// How many volumes did not answer in time.
fn unanswered(scan: &Scan) -> usize {
    let volumes = scan.facts.volumes.items.iter();
    let published = volumes.flat_map(|one| &one.published);
    let silent = published.filter(|one| match (&one.mount, &one.usage) {
        (Observed::Known(Some(_)), Observed::Unknown(gap)) => {
            gap.why == csi_doctor::model::observed::Why::TimedOut
        }
        _ => false,
    });
    silent.count()
}

fn name(what: &[Sick]) -> &'static str {
    match what {
        [Sick::Hung] => "one hung FUSE volume",
        [Sick::Frozen] => "one frozen device",
        _ => "one of each",
    }
}
