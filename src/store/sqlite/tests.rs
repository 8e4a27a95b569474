//! A full disk, the bounds, and what a gone source leaves.

use super::*;
use crate::model::finding::{Code, Key, Object, Problem, Severity, State, Subject};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn finding(number: usize) -> Finding {
    Finding {
        key: Key {
            code: Code(format!("Sick{number}")),
            subject: Subject {
                object: Object::Driver("d".into()),
                node: None,
            },
        },
        severity: Severity::Info,
        stage: None,
        state: State::Open,
        first_seen: at(0),
        opened: Some(at(0)),
        last_confirmed: at(0),
        flaps: 0,
        problem: Problem::new("x".repeat(1000)),
    }
}

fn opened(second: i64, numbers: std::ops::Range<usize>) -> Batch {
    Batch {
        changes: numbers
            .map(|number| Change {
                kind: ChangeKind::Opened,
                finding: finding(number),
            })
            .collect(),
        ..Batch::of("n", at(second))
    }
}

fn count(database: &Database, table: &str) -> i32 {
    database
        .ask(&format!("SELECT count(*) FROM {table}"))
        .unwrap()
}

#[test]
fn a_full_disk_loses_the_group_and_takes_the_whole_later() {
    let mut database = Database::open(&Location::Memory).unwrap();
    database.write(&[opened(0, 0..2)]).unwrap();
    database.pragma("max_page_count", "20").unwrap();
    let error = database.write(&[opened(1, 2..200)]).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
    assert_eq!(count(&database, "findings"), 2);

    database.pragma("max_page_count", "10000").unwrap();
    let whole = Batch {
        whole: Some((100..150).map(finding).collect()),
        ..opened(2, 0..0)
    };
    database.write(&[whole]).unwrap();
    assert_eq!(count(&database, "findings"), 50);
    assert_eq!(database.kept().unwrap().findings["n"].len(), 50);
}

#[test]
fn the_past_is_forgotten_after_its_time() {
    let mut database = Database::open(&Location::Memory).unwrap();
    database.write(&[opened(0, 0..10)]).unwrap();
    let later = RETENTION.as_secs() + 1;
    // Old changes are looked for once in a thousand.
    database.write(&[opened(later, 0..1000)]).unwrap();
    assert_eq!(count(&database, "changes"), 1010);
    database.write(&[opened(later, 0..1)]).unwrap();
    assert_eq!(count(&database, "changes"), 1001);
}

#[test]
fn a_source_that_is_gone_leaves_only_its_past() {
    let mut database = Database::open(&Location::Memory).unwrap();
    let heard = Heard {
        node: "n".to_owned(),
        received: at(0),
        origin: Origin {
            instance: "a".to_owned(),
            sequence: u64::MAX,
        },
    };
    let batch = Batch {
        heard: Some(heard.clone()),
        ..opened(0, 0..2)
    };
    database.write(&[batch]).unwrap();
    assert_eq!(database.kept().unwrap().heard, [heard]);
    let gone = Batch {
        gone: true,
        ..Batch::of("n", at(1))
    };
    database.write(&[gone]).unwrap();
    let tables = ["findings", "heard", "scans", "changes"];
    assert_eq!(tables.map(|table| count(&database, table)), [0, 0, 0, 2]);
}

#[test]
fn a_scan_of_a_form_that_is_no_longer_read_is_dropped() {
    let mut database = Database::open(&Location::Memory).unwrap();
    let scan = KeptScan {
        node: "n".to_owned(),
        received: at(0),
        packed: vec![1].into(),
    };
    let batch = Batch {
        scan: Some(scan),
        ..opened(0, 0..0)
    };
    database.write(&[batch]).unwrap();
    let connection = &database.connection;
    connection.execute("UPDATE scans SET form = 0", []).unwrap();
    database.prepare().unwrap();
    assert_eq!(count(&database, "scans"), 0);
}
