//! On a terminal, wide and narrow: what a person sees there, beside what a pipe gets.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubectl-csi_doctor");

/// What is asked: a healthy cluster, an ill one, an empty one.
const ASKED: &[&str] = &[
    "report --from tests/report/manifests",
    "report --from tests/report/manifests -o wide",
    "diagnose pvc orders-db -n shop --from tests/diagnose/healthy",
    "diagnose pvc orders -n shop --from tests/diagnose/ill",
    "report --from tests/diagnose/empty",
    "explain StorageClassNotFound",
    "explain",
];

fn command(words: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(words.split(' '))
        .env("TERM", "xterm")
        .env("KUBECONFIG", "/dev/null")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn piped(words: &str) -> String {
    let output = command(words).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// What comes out on a terminal of so many columns.
fn on_terminal(words: &str, columns: u16) -> String {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut command = command(words);
    let mut child = command
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    // The reader comes to an end when nobody has the other side any more.
    drop((command, pty.slave));
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    let mut master = File::from(pty.master);
    // At the end a terminal says EIO.
    while let Ok(read @ 1..) = master.read(&mut piece) {
        text.extend_from_slice(&piece[..read]);
    }
    child.wait().unwrap();
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

#[test]
fn no_width_changes_a_word() {
    for words in ASKED {
        let wide = on_terminal(words, 200);
        assert_eq!(on_terminal(words, 60), wide, "{words}");
        let plain = anstream::adapter::strip_str(&wide).to_string();
        assert_eq!(plain, piped(words), "{words}");
        assert!(!plain.is_empty(), "{words}");
    }
}

#[test]
fn colours_are_for_terminals_alone() {
    let words = ASKED[0];
    assert!(on_terminal(words, 80).contains('\x1b'));
    assert!(!piped(words).contains('\x1b'));
}
