//! The walkthroughs of `docs/`, run as they are written: each command of their `console` blocks, and what
//! is shown below it.
//!
//! `[..]` stands for anything within a line, a line of `...` for any lines. Blocks of `sh` are run too, and what
//! they show is not compared: what a kubelet, a driver or its sidecars do, which are not in this cluster.
//! `UPDATE_WALKTHROUGHS=1` writes what is shown into the documents; then read the diff.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;

const COMMAND_LINE: &str = env!("CARGO_BIN_EXE_kubectl-csi_doctor");

/// In the order in which a newcomer reads them; the last one looks at what the others made.
const ALL: [&str; 4] = [
    "class-not-there",
    "enlarged-online",
    "container-creating",
    "storage-report",
];

/// Controllers, and the provisioner's look-again, take as long.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a block shows last that ran to its end.
const DONE: &str = "all of it was done";

/// Takes away what the documents made: other chapters have objects of their own.
const LEAVE: &str = "
kubectl delete pod --all -n media --force --grace-period=0
kubectl delete pod --all -n web --force --grace-period=0
kubectl delete namespace orders media web --timeout=60s
kubectl delete pv pvc-orders pvc-media pvc-web --wait=false
kubectl delete volumeattachment --all --wait=false
kubectl delete storageclass fast-ssd
kubectl delete csidriver disk.example.com
kubectl delete node worker-1
";

pub(super) fn each_as_it_is_written(cluster: &Cluster) {
    let update = std::env::var_os("UPDATE_WALKTHROUGHS").is_some();
    let shell = Shell::of(cluster);
    for name in ALL {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/walkthroughs/{name}.md"));
        let text = fs::read_to_string(&path).unwrap();
        let mut again = String::new();
        let mut ran = 0;
        for part in parts(&text) {
            match part {
                Part::Prose(lines) => again.push_str(lines),
                Part::Beside(whole, script) => {
                    let shown = shell.run(&format!("set -e\n{script}\necho {DONE}"));
                    assert!(
                        shown.trim_end().ends_with(DONE),
                        "{name}: {script}\n{shown}"
                    );
                    again.push_str(whole);
                }
                Part::Step(command, expected) => {
                    ran += 1;
                    let shown = shell.expect(name, command, expected, update);
                    write!(again, "$ {command}{shown}").unwrap();
                }
            }
        }
        if update {
            fs::write(&path, again).unwrap();
        }
        println!("   {name}: {ran} commands, each with what it shows");
    }
    shell.run(LEAVE);
}

/// A document, piece by piece.
enum Part<'a> {
    Prose(&'a str),
    /// A block of `sh`, and what is to be run of it.
    Beside(&'a str, &'a str),
    /// A command with its heredoc, and what it shows.
    Step(&'a str, &'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut in_console = false;
    while !rest.is_empty() {
        if in_console && let Some(command) = rest.strip_prefix("$ ") {
            let length = command_length(command);
            let shown = &command[length..];
            let end = shown
                .split_inclusive('\n')
                .take_while(|line| !line.starts_with("$ ") && !line.starts_with("```"))
                .map(str::len)
                .sum::<usize>();
            parts.push(Part::Step(&command[..length], &shown[..end]));
            rest = &shown[end..];
        } else if !in_console && let Some(block) = rest.strip_prefix("```sh\n") {
            let (script, _) = block.split_once("\n```\n").unwrap();
            let length = "```sh\n".len() + script.len() + "\n```\n".len();
            parts.push(Part::Beside(&rest[..length], script));
            rest = &rest[length..];
        } else {
            let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
            let line = &rest[..length];
            if line.starts_with("```") {
                in_console = line.trim_end() == "```console";
            }
            parts.push(Part::Prose(line));
            rest = &rest[length..];
        }
    }
    parts
}

/// A command ends with its line, or with the mark of its heredoc.
fn command_length(text: &str) -> usize {
    let line = text.find('\n').map_or(text.len(), |end| end + 1);
    if text[..line].contains("<<'END'") {
        text.find("\nEND\n").unwrap() + "\nEND\n".len()
    } else {
        line
    }
}

/// Runs commands as a person at the keyboard does, in a directory of its own.
struct Shell {
    path: String,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Shell {
    fn of(cluster: &Cluster) -> Self {
        let home = cluster.dir().join("walkthroughs");
        fs::create_dir_all(&home).unwrap();
        let program = Path::new(COMMAND_LINE).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        Self {
            // `kubectl csi-doctor` is found as kubectl finds plugins.
            path: format!("{}:{}:{path}", program.display(), cluster.bin().display()),
            kubeconfig: cluster.dir().join("admin.kubeconfig"),
            home,
        }
    }

    fn run(&self, script: &str) -> String {
        let output = Command::new("timeout")
            .args(["60", "sh", "-c", script])
            .current_dir(&self.home)
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// What a command shows, as it is written down; it is asked again until it shows that, if asking changes
    /// nothing.
    fn expect(&self, name: &str, command: &str, expected: &str, update: bool) -> String {
        let asks = ["kubectl csi-doctor ", "kubectl get "];
        let again = asks.iter().any(|word| command.starts_with(word));
        let begun = Instant::now();
        loop {
            let shown = self.run(command);
            if is_like(&lines(expected), &lines(&shown)) {
                return expected.to_owned();
            }
            // What is updated has settled by then.
            let patience = if update {
                Duration::from_secs(8)
            } else {
                PATIENCE
            };
            if again && begun.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(300));
                continue;
            }
            assert!(
                update,
                "{name}: $ {command}is to show\n{expected}and shows\n{shown}"
            );
            return steady(&shown);
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

/// Whether lines are as expected.
fn is_like(expected: &[&str], shown: &[&str]) -> bool {
    match expected {
        [] => shown.is_empty(),
        ["...", rest @ ..] => (0..=shown.len()).any(|skipped| is_like(rest, &shown[skipped..])),
        [line, rest @ ..] => {
            let [first, others @ ..] = shown else {
                return false;
            };
            is_like_line(line, first) && is_like(rest, others)
        }
    }
}

fn is_like_line(expected: &str, shown: &str) -> bool {
    let mut pieces = expected.split("[..]");
    let Some(mut rest) = pieces.next().and_then(|first| shown.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    rest.is_empty() || last == Some("")
}

/// Without moments and ages.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let words: Vec<String> = line.split(' ').map(steady_word).collect();
        writeln!(steady, "{}", words.join(" ").trim_end()).unwrap();
    }
    steady
}

fn steady_word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| "(),;.\"".contains(c));
    let digits = bare.trim_end_matches(|c: char| "smhd".contains(c));
    let is_age = bare.len() == digits.len() + 1
        && !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit());
    if !bare.is_empty() && (is_age || bare.parse::<jiff::Timestamp>().is_ok()) {
        word.replace(bare, "[..]")
    } else {
        word.to_owned()
    }
}
