//! The stored form: bytes that were written once decode for ever.

use std::path::PathBuf;
use std::time::Duration;

use csi_doctor::model::finding::{Problem, RuleVerdicts, Severity, Subject};
use csi_doctor::model::observed::{Gap, Why};
use csi_doctor::model::sample;
use csi_doctor::model::scan::{Origin, Scan};
use csi_doctor::model::stage::Stage;
use csi_doctor::wire::{decode_scan, encode_scan};
use expect_test::expect;

/// A scan with something of everything.
fn scan() -> Scan {
    let mut facts = sample::node();
    let subject = facts.volumes.items[0].subject(&facts.node);
    facts
        .volumes
        .gaps
        .push(Gap::new(Why::Denied, "reading the directory of a pod"));
    let nobody = Subject {
        node: None,
        ..subject.clone()
    };
    Scan {
        origin: Origin {
            instance: "life-1".into(),
            sequence: 7,
        },
        version: "0.1.0".into(),
        interval: Duration::from_mins(1),
        took: Duration::from_millis(120),
        facts,
        verdicts: vec![RuleVerdicts {
            code: "StaleMount".into(),
            severity: Severity::Critical,
            stage: Some(Stage::ALL[5]),
            grace: Duration::from_mins(2),
            ok: 3,
            problems: vec![(
                subject,
                Problem::new("The mount is stale.")
                    .because("statfs", "ESTALE", "/mnt")
                    .next("Look at it.", "findmnt /mnt"),
            )],
            unknowns: vec![(nobody, Gap::new(Why::TimedOut, "asking the plugin"))],
            gaps: vec![Gap::new(Why::NotAsked, "objects")],
        }],
    }
}

/// The bytes of 0.1.0. They are never written anew: a field that is added gets a file of its own.
#[test]
fn the_first_form_still_decodes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/wire/scan-0.1.0.bin");
    if !path.exists() && std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, encode_scan(&scan())).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let scan = decode_scan(&bytes).unwrap();
    let again = decode_scan(&encode_scan(&scan)).unwrap();
    assert_eq!(
        again, scan,
        "nothing of it is lost; what is newer than these bytes is a gap"
    );

    let verdicts = &scan.verdicts[0];
    let (subject, problem) = &verdicts.problems[0];
    let volume = &scan.facts.volumes.items[0];
    let shown = format!(
        "{} {} of node {}\n{} {} grace {:?}, {} ok\n{subject}: {}\n{} {} {}\n{}\n{}\n",
        scan.origin.instance,
        scan.origin.sequence,
        scan.facts.node,
        verdicts.code,
        verdicts.stage.unwrap(),
        verdicts.grace,
        verdicts.ok,
        problem.message,
        volume.driver,
        volume.handle.known().unwrap(),
        volume.usage().known().unwrap().total_bytes,
        verdicts.unknowns[0].1,
        scan.facts.volumes.gaps[0],
    );
    expect![[r"
        life-1 7 of node node-1
        StaleMount mount: answers grace 120s, 3 ok
        claim shop/orders-db on node node-1: The mount is stale.
        disk.example.com vol-11 10464022528
        asking the plugin (TimedOut)
        reading the directory of a pod (Denied)
    "]]
    .assert_eq(&shown);
}
