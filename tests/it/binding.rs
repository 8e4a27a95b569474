//! Every folder of `tests/binding/`: claims and what could be theirs → findings and the steps of each
//! claim, as a person reads them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use csi_doctor::join;
use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::finding::{RuleVerdicts, Severity};
use csi_doctor::model::sample;
use csi_doctor::render::way::way;
use csi_doctor::rules;
use csi_doctor::stages;
use expect_test::expect_file;

#[test]
fn every_story_of_a_claim_reads_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/binding");
    let stories = fs::read_dir(root).unwrap();
    let mut stories: Vec<PathBuf> = stories.map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    for story in stories {
        let objects = Directory::new(story.join("manifests")).read();
        assert_eq!(objects.gaps(), [], "{}", story.display());
        let facts = join::cluster(&objects, &BTreeSet::new(), sample::noon());
        let verdicts = rules::diagnose_cluster(&facts);
        let ill = verdicts
            .iter()
            .filter(|rule| !(rule.problems.is_empty() && rule.unknowns.is_empty()));
        let mut text: String = ill.map(sample::read).collect();
        text.push_str("everything else is ok\n");
        let problems: usize = verdicts.iter().map(|rule| rule.problems.len()).sum();
        assert!(problems <= 1, "{}: one claim, one story", story.display());
        for one in &facts.binding.claims.items {
            let told = stages::bind(&facts.binding, one, None);
            let late = verdicts.iter().any(has_lasted);
            text.push_str(&way(&if late { told.overdue() } else { told }));
        }
        expect_file![story.join("expected.txt")].assert_eq(&text);
    }
}

/// Whether something that counts has lasted longer than its rule's grace.
fn has_lasted(rule: &RuleVerdicts) -> bool {
    rule.problems.iter().any(|(_, problem)| {
        let lasts = problem.since.is_none_or(|since| {
            let age = sample::noon().duration_since(since);
            Duration::try_from(age).is_ok_and(|age| age >= rule.grace)
        });
        lasts && problem.severity.unwrap_or(rule.severity) > Severity::Info
    })
}
