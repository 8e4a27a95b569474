//! The store at its address: a file that is ours, or is not.

use std::fs;
use std::path::Path;
use std::time::Duration;

use csi_doctor::history::{Change, History, Statement};
use csi_doctor::model::finding::{Object, Problem, RuleVerdicts, Severity, Subject};
use csi_doctor::store::{Batch, KeptScan, Location, Store};
use jiff::Timestamp;

fn noon() -> Timestamp {
    "2026-11-05T12:00:00Z".parse().unwrap()
}

fn subject() -> Subject {
    Subject {
        object: Object::Driver("d".into()),
        node: Some("n".into()),
    }
}

/// What a history says to a problem, or to its end.
fn changes(history: &mut History, sick: bool) -> Vec<Change> {
    let problems = sick.then(|| (subject(), Problem::new("d is sick.")));
    let verdicts = [RuleVerdicts {
        code: "Sick".into(),
        severity: Severity::Critical,
        stage: None,
        grace: Duration::ZERO,
        ok: 0,
        problems: problems.into_iter().collect(),
        unknowns: Vec::new(),
        gaps: Vec::new(),
    }];
    let statement = Statement {
        verdicts: &verdicts,
        subjects: [subject()].into(),
        observed_at: None,
    };
    history.apply(&statement, noon(), 1.0)
}

fn batch(changes: Vec<Change>) -> Batch {
    Batch {
        changes,
        scan: Some(KeptScan {
            node: "n".into(),
            received: noon(),
            packed: vec![1, 2, 3].into(),
        }),
        ..Batch::of("n", noon())
    }
}

fn refusal(path: &Path) -> String {
    let location = Location::File(path.to_owned());
    let error = Store::open(&location).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "FILE")
}

#[tokio::test]
async fn what_is_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("store.db"));
    let mut history = History::default();

    let (store, kept, writer) = Store::open(&location).unwrap();
    assert!(kept.findings.is_empty());
    let pending = store.submit(batch(changes(&mut history, true)));
    pending.written().await.unwrap();
    drop(store);
    writer.finish();

    let (store, kept, writer) = Store::open(&location).unwrap();
    let findings: Vec<_> = history.findings().cloned().collect();
    assert_eq!(kept.findings["n"], findings);
    assert_eq!(kept.scans[0].packed[..], [1, 2, 3]);
    let pending = store.submit(batch(changes(&mut history, false)));
    pending.written().await.unwrap();
    drop(store);
    writer.finish();

    let (_store, kept, _writer) = Store::open(&location).unwrap();
    assert!(kept.findings.is_empty(), "what is over is not present");
}

#[tokio::test]
async fn the_whole_takes_the_place_of_what_was_lost() {
    let mut history = History::default();
    let (store, _, _writer) = Store::open(&Location::Memory).unwrap();
    changes(&mut history, true);
    let whole = Batch {
        whole: Some(history.findings().cloned().collect()),
        ..batch(Vec::new())
    };
    store.submit(whole).written().await.unwrap();
}

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "these are notes of mine, and no database\n".repeat(100);
    fs::write(&path, &notes).unwrap();
    assert_eq!(
        refusal(&path),
        "FILE is not a store of csi-doctor and is left as it is: name another file with --store"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[test]
fn a_directory_that_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        refusal(&folder.path().join("missing/store.db")),
        "opening the store FILE: does its directory exist, and may this user write there?"
    );
}

#[test]
fn two_do_not_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let _first = Store::open(&Location::File(path.clone())).unwrap();
    assert_eq!(
        refusal(&path),
        "the store FILE is in use by another process: two collectors cannot share one file"
    );
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (store, _, writer) = Store::open(&Location::File(path.clone())).unwrap();
    let mut history = History::default();
    let pending = store.submit(batch(changes(&mut history, true)));
    pending.written().await.unwrap();
    drop(store);
    writer.finish();

    let mut bytes = fs::read(&path).unwrap();
    let page = 4096;
    assert!(bytes.len() > 2 * page);
    bytes[page..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let told = refusal(&path);
    assert!(
        told.starts_with("the store FILE is damaged and is left as it is"),
        "{told}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_later_form_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (store, _, writer) = Store::open(&Location::File(path.clone())).unwrap();
    drop(store);
    writer.finish();

    // The form's number is a big-endian word of SQLite's header.
    let mut bytes = fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    assert_eq!(
        refusal(&path),
        "the store FILE was written by a later csi-doctor (version 99 of its form, known is 2) \
         and is left as it is: run that version, or name another file with --store"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
