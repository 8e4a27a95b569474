//! What a fault is to give, and when it came and went.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Real;
use super::doctor::Told;
use crate::until;

/// The longest of the scaled graces, and the kubelet's longest pause between two tries.
const PATIENCE: Duration = Duration::from_mins(4);

/// How the lab's drivers word a refusal.
pub(super) const REFUSAL: &str = "desc = the driver was told to refuse";

/// A fault, and the finding that it is to give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault<'a> {
    what: &'a str,
    code: &'a str,
    kind: &'a str,
    name: &'a str,
    /// What somebody else said of it, which the finding has to quote.
    words: &'a str,
}

impl<'a> Fault<'a> {
    /// A fault of some object.
    pub(super) const fn of(what: &'a str, code: &'a str, kind: &'a str, name: &'a str) -> Self {
        Self {
            what,
            code,
            kind,
            name,
            words: "",
        }
    }

    /// A fault of a claim.
    pub(super) const fn of_claim(what: &'a str, code: &'a str, name: &'a str) -> Self {
        Self::of(what, code, "PersistentVolumeClaim", name)
    }

    /// The same, told in these words.
    pub(super) const fn in_words(self, words: &'a str) -> Self {
        Self { words, ..self }
    }

    pub(super) fn key(&self) -> Told {
        let [code, kind, name] = [self.code, self.kind, self.name].map(ToOwned::to_owned);
        (code, kind, name)
    }
}

/// What a story is called that will be `MountFailed`, until the kubelet has tried: it looks for an attachment with pauses
/// of its own, up to 16 s here, which is within the shipped grace, not the scaled one.
const UNTIL_TRIED: &str = "PodWaitingOnVolume";

/// Waits for each of these and says when it came. Nothing else may be told, but what stories are called in passing,
/// by code and name; and in the end each story has one name.
pub(super) fn expect(
    real: &Real<'_>,
    begun: Instant,
    expected: &[Fault<'_>],
    in_passing: &[(&str, &str)],
) {
    let mut missing: BTreeMap<Told, &Fault<'_>> =
        expected.iter().map(|one| (one.key(), one)).collect();
    let mut others = BTreeSet::new();
    let for_a_while = |(code, kind, name): &Told| {
        let tried = |one: &Fault<'_>| (one.code, one.kind, one.name) == ("MountFailed", kind, name);
        in_passing.contains(&(code, name)) || code == UNTIL_TRIED && expected.iter().any(tried)
    };
    while !missing.is_empty() && begun.elapsed() < PATIENCE {
        for (told, finding) in real.doctor.open() {
            let quoted = |fault: &Fault<'_>| finding["evidence"].to_string().contains(fault.words);
            if missing.get(&told).is_some_and(|fault| quoted(fault)) {
                let fault = missing.remove(&told).unwrap();
                say(begun, fault, &finding);
            } else if !expected.iter().any(|one| one.key() == told) && !for_a_while(&told) {
                others.insert(format!("{told:?}: {}", finding["message"]));
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    real.doctor.note(real.cluster, "ill");
    assert!(
        missing.is_empty(),
        "not within {PATIENCE:?}: {missing:#?}; told instead: {others:#?}; there is: {:#?}",
        real.doctor.findings()
    );
    assert!(
        others.is_empty(),
        "told beside what was expected: {others:#?}"
    );
    until("each story has one name", Duration::from_secs(30), || {
        let open = real.doctor.open();
        let subjects: BTreeSet<_> = open.keys().map(|(_, kind, name)| (kind, name)).collect();
        (subjects.len() == open.len()).then_some(())
    });
}

fn say(begun: Instant, fault: &Fault<'_>, finding: &Value) {
    let Fault {
        what,
        code,
        kind,
        name,
        words,
    } = fault;
    println!(
        "   {:>5.1} s  {what}: {code} of {kind} {name}",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "            {}",
        finding["message"].as_str().unwrap_or_default()
    );
    let evidence = finding["evidence"].as_array().into_iter().flatten();
    let quoted = |one: &&Value| one.to_string().contains(words);
    if let Some(evidence) = evidence.into_iter().find(quoted) {
        let text = |name: &str| evidence[name].as_str().unwrap_or_default().to_owned();
        println!("            {}: {}", text("fact"), text("value"));
    }
}

/// Waits until every finding is over.
pub(super) fn over(real: &Real<'_>, begun: Instant) {
    let mut left = real.doctor.findings();
    while !left.is_empty() {
        let now = real.doctor.findings();
        for (told, _) in left.iter().filter(|(told, _)| !now.contains_key(*told)) {
            println!(
                "   {:>5.1} s  over: {} of {} {}",
                begun.elapsed().as_secs_f64(),
                told.0,
                told.1,
                told.2
            );
        }
        left = now;
        assert!(
            begun.elapsed() < PATIENCE,
            "healed, and still there: {left:#?}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

pub(super) fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}
