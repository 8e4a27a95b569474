//! Every folder of `tests/scenarios/`: a situation as the world shows it → findings as a person reads them.
//!
//! `host/proc/1/mountinfo` and the kubelet's directory below `host/` are read by the edges that read
//! them on a node, `manifests/` likewise. What only a kernel or a plugin can answer is in `answers.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use csi_doctor::expansion::Case;
use csi_doctor::join;
use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::driver::Driver;
use csi_doctor::model::facts::{ClusterFacts, NodeFacts, Thresholds};
use csi_doctor::model::finding::{Object, Problem, RuleVerdicts, Severity};
use csi_doctor::model::names::{HostPath, NodeName};
use csi_doctor::model::observed::{Gap, Listing, Observed};
use csi_doctor::model::sample;
use csi_doctor::model::seen::Seen;
use csi_doctor::model::stage::Stage;
use csi_doctor::model::volume::Volume;
use csi_doctor::mounts::{kubelet, mountinfo};
use csi_doctor::render::way::way;
use csi_doctor::rules;
use csi_doctor::stages;
use expect_test::expect_file;

mod world;

use world::World;

#[test]
fn every_scenario_reads_as_expected() {
    let mut stories: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    stories.sort();
    assert!(!stories.is_empty());
    for story in stories {
        let situation = Situation::read(&story);
        expect_file![story.join("expected.txt")].assert_eq(&situation.findings());
        let steps = story.join("steps.txt");
        if steps.exists() {
            expect_file![steps].assert_eq(&situation.steps());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// What a node, and who has the objects alone, would know of the situation in a folder.
struct Situation {
    node: NodeFacts,
    /// The claims that no pod uses: no node has them.
    unused: ClusterFacts,
}

impl Situation {
    fn read(story: &Path) -> Self {
        let world: World =
            serde_saphyr::from_str(&fs::read_to_string(story.join("answers.yaml")).unwrap())
                .unwrap_or_else(|error| panic!("{}/answers.yaml: {error}", story.display()));
        let host = story.join("host");
        let root = HostPath::from("/var/lib/kubelet");
        let seen = Seen {
            node: "node-1".into(),
            observed_at: sample::noon(),
            thresholds: Thresholds::DEFAULT,
            table: mountinfo::read_table(&host),
            kubelet: kubelet::read_kubelet_dir(&host, &root),
            plugins: Listing::complete(world.plugins()),
            objects: Directory::new(story.join("manifests")).read(),
            containers: Observed::Known(Vec::new()),
            kubelet_process: world.kubelet(),
        };
        let seen = Seen {
            containers: world.containers(&seen),
            ..seen
        };
        let mut facts = join::join(&seen);
        let answers = world.answers(&facts, &host);
        join::answer(&mut facts, &answers);
        join::held(&mut facts, &seen, &answers);
        let mut unused = join::cluster(&seen.objects, &BTreeSet::new(), sample::noon());
        unused
            .volumes
            .items
            .retain(|volume| volume.published.is_empty());
        Self {
            node: facts,
            unused,
        }
    }

    /// All verdicts on it.
    fn findings(&self) -> String {
        let facts = &self.node;
        let mut verdicts = rules::diagnose_node(facts);
        if !self.unused.volumes.items.is_empty() {
            verdicts.extend(rules::diagnose_cluster(&self.unused));
        }
        // Told once, not once a rule: then a new rule changes no story but its own.
        let mut gaps: Vec<Gap> = facts.gaps.clone();
        gaps.extend(
            verdicts
                .iter_mut()
                .flat_map(|rule| std::mem::take(&mut rule.gaps)),
        );
        gaps.sort();
        gaps.dedup();
        let mut text = String::new();
        for gap in gaps {
            let _ = writeln!(text, "gap: {gap}");
        }
        let ill = verdicts
            .iter()
            .filter(|rule| !(rule.problems.is_empty() && rule.unknowns.is_empty()));
        text.extend(ill.map(sample::read));
        text.extend(verdicts.iter().flat_map(settling));
        text.push_str("everything else is ok\n");
        one_story_a_claim(&verdicts);
        text
    }

    /// The steps of each claim's expansion.
    fn steps(&self) -> String {
        let mut verdicts = rules::diagnose_node(&self.node);
        verdicts.extend(rules::diagnose_cluster(&self.unused));
        let seen = |volume, node, drivers: &[Driver]| {
            let case = case_of(volume, node, drivers)?;
            let told = stages::expand(&case);
            let late = verdicts.iter().any(|rule| is_late(rule, &told.object));
            Some(way(&if late { told.overdue() } else { told }))
        };
        let drivers = &self.node.drivers.items;
        let here = self.node.volumes.items.iter();
        let here = here.filter_map(|volume| seen(volume, Some(&self.node.node), drivers));
        let unused = self.unused.volumes.items.iter();
        let unused = unused.filter_map(|volume| seen(volume, None, &[]));
        here.chain(unused).collect()
    }
}

fn case_of<'a>(
    volume: &'a Volume,
    node: Option<&'a NodeName>,
    drivers: &'a [Driver],
) -> Option<Case<'a>> {
    Some(Case {
        node,
        observed_at: sample::noon(),
        volume,
        claim: volume.claim.as_ref()?,
        persistent: volume.persistent.known()?.as_ref()?,
        driver: drivers.iter().find(|driver| driver.name == volume.driver),
    })
}

/// Whether a rule about expansions finds something about a claim that counts, for all the facts say.
fn is_late(rule: &RuleVerdicts, claim: &Object) -> bool {
    let expands = matches!(rule.stage, Some(Stage::Expand(_))) && rule.severity > Severity::Info;
    let mut of_it = rule
        .problems
        .iter()
        .filter(|(subject, _)| subject.object == *claim);
    expands && of_it.any(|(_, problem)| problem.since.is_none() || lasts(rule, problem))
}

/// Whether something has lasted longer than its rule's grace.
fn lasts(rule: &RuleVerdicts, problem: &Problem) -> bool {
    problem.since.is_some_and(|since| {
        let age = sample::noon().duration_since(since);
        Duration::try_from(age).is_ok_and(|age| age >= rule.grace)
    })
}

/// What may still go by itself: the facts do not say that it has lasted longer than the rule's grace.
fn settling(rule: &RuleVerdicts) -> Vec<String> {
    let expands = matches!(rule.stage, Some(Stage::Expand(_)));
    let fresh = rule
        .problems
        .iter()
        .filter(|(_, problem)| expands && !lasts(rule, problem));
    fresh
        .map(|(subject, _)| format!("{} settles: {subject}\n", rule.code))
        .collect()
}

/// Two findings on one expansion would be two stories of one thing.
fn one_story_a_claim(verdicts: &[RuleVerdicts]) {
    let mut seen = BTreeMap::new();
    for rule in verdicts {
        for (subject, _) in &rule.problems {
            if matches!(rule.stage, Some(Stage::Expand(_))) {
                let other = seen.insert(subject.clone(), rule.code.clone());
                assert!(other.is_none(), "{subject}: {other:?} and {}", rule.code);
            }
        }
    }
}
