//! The classifier against real messages: the confusion table and its bars, and texts of any kind.

use std::collections::BTreeMap;
use std::io::Write as _;

use csi_doctor::causes::{Symptom, classify};
use csi_doctor::model::cause::{CauseId, Classification, Confidence};
use expect_test::expect_file;
use proptest::prelude::*;
use serde_json::Value;

const CORPUS: &str = include_str!("../causes/messages.jsonl");
const TRIAL: &str = include_str!("../causes/trial.jsonl");

/// A label that expects no answer.
const UNDETERMINED: &str = "undetermined";

/// Of the causes given as stated, so many in a hundred must be right.
const STATED_BAR: usize = 95;
/// Of the causes given as likely, so many in a hundred must be right.
const LIKELY_BAR: usize = 60;
/// Of the messages that state their cause, so many in a hundred must be understood.
const RECALL_BAR: usize = 85;

struct Message {
    value: Value,
    wanted: String,
    states_cause: bool,
}

impl Message {
    fn text(&self, field: &str) -> Option<&str> {
        self.value[field].as_str().filter(|text| !text.is_empty())
    }

    fn classify(&self) -> Classification {
        classify(&Symptom {
            text: self.text("message").unwrap_or_default(),
            reason: self.text("reason"),
            stage: self.text("stage"),
            driver: self.text("driver"),
            kind: self.text("kind"),
        })
    }
}

fn messages(lines: &str) -> Vec<Message> {
    lines
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).expect("a line is JSON");
            Message {
                wanted: value["root_cause"].as_str().expect("a label").to_owned(),
                states_cause: value["message_states_cause"].as_bool().expect("a label"),
                value,
            }
        })
        .collect()
}

#[derive(Default)]
struct Share {
    right: usize,
    all: usize,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.all += 1;
        self.right += usize::from(right);
    }

    fn reaches(&self, percent: usize) -> bool {
        self.right * 100 >= percent * self.all
    }

    /// In tenths of a percent, rounded down.
    fn text(&self) -> String {
        let tenths = (self.right * 1000).checked_div(self.all).unwrap_or(1000);
        format!(
            "{} of {} ({}.{} %)",
            self.right,
            self.all,
            tenths / 10,
            tenths % 10
        )
    }
}

struct Score {
    stated: Share,
    likely: Share,
    recall: Share,
    /// What was answered, by what was wanted.
    table: BTreeMap<String, BTreeMap<String, usize>>,
}

fn score(messages: &[Message]) -> Score {
    let mut score = Score {
        stated: Share::default(),
        likely: Share::default(),
        recall: Share::default(),
        table: BTreeMap::new(),
    };
    for message in messages {
        let cause = message.classify().cause;
        let answer = cause.map_or("unknown", |cause| cause.id.as_str());
        let right = answer == message.wanted;
        match cause.map(|cause| cause.confidence) {
            Some(Confidence::Stated) => score.stated.count(right),
            Some(Confidence::Likely) => score.likely.count(right),
            None => {}
        }
        if message.states_cause {
            score.recall.count(right);
        }
        *score
            .table
            .entry(message.wanted.clone())
            .or_default()
            .entry(answer.to_owned())
            .or_default() += 1;
    }
    score
}

fn told(score: &Score) -> String {
    let mut lines = vec![
        format!("stated, right: {}", score.stated.text()),
        format!("likely, right: {}", score.likely.text()),
        format!("recall where the text states it: {}", score.recall.text()),
        String::new(),
        "wanted: answers".to_owned(),
    ];
    for (wanted, answers) in &score.table {
        let answers: Vec<String> = answers
            .iter()
            .map(|(answer, count)| {
                let answer = if answer == wanted { "right" } else { answer };
                format!("{answer} {count}")
            })
            .collect();
        lines.push(format!("{wanted}: {}", answers.join(", ")));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn the_corpus_is_understood() {
    let score = score(&messages(CORPUS));
    let told = told(&score);
    print_table("corpus", &told);
    expect_file!["../causes/confusion.txt"].assert_eq(&told);
    assert!(score.stated.reaches(STATED_BAR));
    assert!(score.likely.reaches(LIKELY_BAR));
    assert!(score.recall.reaches(RECALL_BAR));
}

#[test]
fn the_trial_is_understood() {
    let score = score(&messages(TRIAL));
    let told = told(&score);
    print_table("trial", &told);
    expect_file!["../causes/confusion-trial.txt"].assert_eq(&told);
    assert!(score.stated.reaches(STATED_BAR));
    assert!(score.likely.reaches(LIKELY_BAR));
    assert!(score.recall.reaches(RECALL_BAR));
}

/// The table is for people to read: written past the harness, which hides what passing tests print.
fn print_table(of: &str, told: &str) {
    let _ = writeln!(std::io::stderr(), "== {of} ==\n{told}");
}

/// Answers, one a line, for comparing runs: `CAUSES_ANSWERS=1 cargo test answers -- --nocapture`.
#[allow(clippy::print_stdout, reason = "the confusion table is to be read")]
#[test]
fn answers_name_known_labels() {
    let shown = std::env::var_os("CAUSES_ANSWERS").is_some();
    for message in messages(CORPUS).iter().chain(&messages(TRIAL)) {
        assert!(
            message.wanted == UNDETERMINED
                || CauseId::ALL.iter().any(|id| id.as_str() == message.wanted),
            "{}",
            message.wanted
        );
        if shown {
            let cause = message.classify().cause;
            println!(
                "@@{}\t{}\t{}",
                message.text("id").unwrap_or_default(),
                cause.map_or("unknown", |cause| cause.id.as_str()),
                cause.map_or("-", |cause| cause.confidence.as_str())
            );
        }
    }
}

#[test]
fn a_likely_cause_has_company_and_a_next_step() {
    for message in messages(CORPUS).iter().chain(&messages(TRIAL)) {
        let classification = message.classify();
        assert!(!classification.next.is_empty());
        let likely = classification
            .cause
            .is_some_and(|cause| cause.confidence == Confidence::Likely);
        assert_eq!(likely, !classification.others.is_empty());
        for other in &classification.others {
            assert!(!other.how_to_tell.is_empty(), "{}", other.cause);
        }
    }
}

/// A layer shows at most so many bytes: its bound, and the mark that it was cut.
const LAYER_BYTES: usize = 1024 + '…'.len_utf8();

fn assert_fit_to_show(classification: &Classification) {
    for layer in &classification.layers {
        assert!(!layer.text.chars().any(char::is_control));
        assert!(layer.text.len() <= LAYER_BYTES);
    }
    assert!(classification.layers.len() <= 16);
}

#[test]
fn hostile_texts_are_bounded() {
    for with in [
        "",
        "\\",
        "\u{1b}[2J\u{7}",
        "rpc error: code = ",
        "rpc error: code = Internal desc = ",
        "MountVolume.SetUp failed for volume ",
        "Output: ",
        "\u{202e}\u{0}",
        "é…\u{85}",
        "(combined from similar events): ",
    ] {
        for times in [1, 3, 5000] {
            assert_fit_to_show(&classify(&Symptom {
                text: &with.repeat(times),
                ..Symptom::default()
            }));
        }
    }
}

/// Pieces of real messages, so that arbitrary texts reach past the first comparison.
fn piece() -> impl Strategy<Value = String> {
    let whole: Vec<String> = messages(CORPUS)
        .iter()
        .map(|message| message.text("message").unwrap_or_default().to_owned())
        .collect();
    prop_oneof![
        ".{0,40}",
        proptest::sample::select(whole),
        Just("rpc error: code = ".to_owned()),
        Just(" desc = ".to_owned()),
        Just("\" : ".to_owned()),
        Just("Output: ".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_classified(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let text = String::from_utf8_lossy(&bytes);
        assert_fit_to_show(&classify(&Symptom { text: &text, ..Symptom::default() }));
    }

    #[test]
    fn any_pieces_are_classified(
        pieces in proptest::collection::vec(piece(), 0..12),
        stage in ".{0,12}",
        reason in ".{0,12}",
    ) {
        let text = pieces.concat();
        assert_fit_to_show(&classify(&Symptom {
            text: &text,
            stage: Some(&stage),
            reason: Some(&reason),
            ..Symptom::default()
        }));
    }
}
