//! How old a problem is by clocks that are wrong and graces that are scaled.

use super::*;

fn verdicts_of(problem: Problem) -> RuleVerdicts {
    RuleVerdicts {
        code: "Sick".into(),
        severity: Severity::Warning,
        stage: None,
        grace: Duration::from_secs(GRACE),
        ok: 0,
        problems: vec![(subject(), problem)],
        unknowns: Vec::new(),
        gaps: Vec::new(),
    }
}

#[test]
fn a_clock_that_is_wrong_is_not_believed() {
    // An agent whose clock is a day off, either way: its times neither age a problem nor keep it young.
    for off in [-86_400, 86_400] {
        let mut history = History::default();
        let mut say = |second: i64| {
            let problem = Problem::new("d is sick.").since(Some(at(off)));
            let verdicts = [verdicts_of(problem)];
            let statement = Statement {
                verdicts: &verdicts,
                subjects: BTreeSet::from([subject()]),
                observed_at: Some(at(second + off)),
            };
            let changes = history.apply(&statement, at(second), 1.0);
            changes.first().map(|change| change.kind)
        };
        assert_eq!(say(0), Some(ChangeKind::Settling), "{off}");
        assert_eq!(say(60), None, "{off}");
        assert_eq!(say(120), Some(ChangeKind::Opened), "{off}");
    }
}

#[test]
fn grace_is_scaled() {
    let opens_after = |scale: f64, second: i64| {
        let mut history = History::default();
        let verdicts = [verdicts_of(Problem::new("d is sick."))];
        let statement = Statement {
            verdicts: &verdicts,
            subjects: BTreeSet::from([subject()]),
            observed_at: None,
        };
        history.apply(&statement, at(0), scale);
        history.apply(&statement, at(second), scale);
        history.findings().all(|one| one.state == State::Open)
    };
    assert!(opens_after(0.05, 6));
    assert!(!opens_after(0.05, 5));
    assert!(opens_after(0.0, 0));
    assert!(!opens_after(f64::MAX, 1_000_000));
}
