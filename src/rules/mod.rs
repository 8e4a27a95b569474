//! Pure functions from facts to verdicts, one finding code a file.
//!
//! A rule says *problem* as soon as it sees one; patience is data (`Rule::grace`) and belongs
//! to `history`. It knows no clock, no other rule and nothing of earlier scans.

#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use crate::binding::{self, Standing, Unbound};
use crate::expansion::Case;
use crate::model::facts::{ClusterFacts, NodeFacts};
use crate::model::finding::{Code, Problem, RuleVerdicts, Severity, Subject, quote};
use crate::model::observed::{Gap, Listing, Observed};
use crate::model::stage::{ExpandStage, Stage};

/// Declares each rule's module and the list of all, in the order shown to users.
macro_rules! rules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule, in the alphabetical order of their codes.
        pub static RULES: &[&Rule] = &[$(&$module::RULE),*];
    };
}

rules! {
    attach_limit_reached,
    claim_lost,
    claim_missing,
    container_mount_stale,
    controller_expansion_failed,
    controller_expansion_pending,
    default_storage_class_missing,
    device_missing,
    device_not_resized,
    driver_not_ready,
    driver_not_registered,
    driver_slow,
    driver_unreachable,
    expansion_status_stale,
    filesystem_errors,
    filesystem_nearly_full,
    filesystem_not_grown,
    inodes_nearly_exhausted,
    mount_failed,
    mount_unresponsive,
    no_matching_volume,
    node_expansion_failed,
    node_expansion_pending,
    node_silent,
    orphaned_pod_volume,
    pod_waiting_on_volume,
    provisioner_missing,
    provisioning_failed,
    resizer_missing,
    slow_ownership_change,
    staged_device_mismatch,
    staged_without_pod,
    stale_mount,
    storage_backend_unhealthy,
    storage_class_not_found,
    unexpected_read_only,
    unmount_stuck,
    volume_condition_abnormal,
    volume_not_mounted,
    waiting_for_first_consumer,
}

/// A finding code with everything that belongs to it.
#[derive(Debug)]
pub struct Rule {
    /// The state that it names.
    pub code: &'static str,
    /// How bad it is, unless a problem says otherwise.
    pub severity: Severity,
    /// The step on an object's way that it judges.
    pub stage: Option<Stage>,
    /// How long a problem must last before it opens: Kubernetes may be about to cure it by itself.
    pub grace: Duration,
    /// A fragment that can follow a count: "mounts do not answer".
    pub summary: &'static str,
    /// Its page of the handbook.
    pub docs: &'static str,
    /// What it looks at.
    pub check: Check,
}

/// What a rule looks at.
#[derive(Debug)]
pub enum Check {
    /// One node, in the agent.
    Node(fn(&NodeFacts, &mut Verdicts)),
    /// One claim with its volume: on each node that has it, and without any node's word.
    Expansion(fn(&Case<'_>, &mut Verdicts)),
    /// One claim that is not bound, and what it waits for.
    Binding(fn(&Unbound<'_>, &mut Verdicts)),
    /// The cluster, in the collector.
    Cluster(fn(&ClusterFacts, &mut Verdicts)),
}

/// The sink of one rule: every subject that the rule looked at gets one of three answers.
///
/// Two answers about one subject (a claim in two pods) become one: a problem outweighs an
/// unknown, and an unknown outweighs ok.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// In the order of looking, which is mostly that of the subjects.
    said: Vec<(Subject, Verdict)>,
    gaps: Vec<Gap>,
}

#[derive(Debug)]
enum Verdict {
    Ok,
    Unknown(Gap),
    Problem(Box<Problem>),
}

impl Verdicts {
    /// The subjects of a list; what may be missing from it is noted, so that absence is not taken for recovery.
    pub fn each<'a, T>(&mut self, listing: &'a Listing<T>) -> std::slice::Iter<'a, T> {
        for gap in &listing.gaps {
            if !self.gaps.contains(gap) {
                self.gaps.push(gap.clone());
            }
        }
        self.said.reserve(listing.items.len());
        listing.items.iter()
    }

    /// The subject was looked at and is well.
    pub fn ok(&mut self, subject: Subject) {
        self.said.push((subject, Verdict::Ok));
    }

    /// The subject could not be judged, for this reason.
    pub fn unknown(&mut self, subject: Subject, gap: &Gap) {
        self.said.push((subject, Verdict::Unknown(gap.clone())));
    }

    /// The subject is not well. A second problem of the same subject adds its evidence to the first.
    pub fn problem(&mut self, subject: Subject, problem: Problem) {
        self.said
            .push((subject, Verdict::Problem(Box::new(problem))));
    }

    /// One verdict a subject, by subject.
    fn merged(mut self) -> Vec<(Subject, Verdict)> {
        self.said.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.said.dedup_by(|(subject, next), (before, first)| {
            if subject != before {
                return false;
            }
            match (first, next) {
                (Verdict::Problem(first), Verdict::Problem(next)) => {
                    first.evidence.append(&mut next.evidence);
                }
                (first @ Verdict::Ok, next @ Verdict::Unknown(_))
                | (first, next @ Verdict::Problem(_)) => std::mem::swap(first, next),
                _ => {}
            }
            true
        });
        self.said
    }

    fn of(mut self, rule: &Rule) -> RuleVerdicts {
        let mut verdicts = RuleVerdicts {
            code: rule.code.into(),
            severity: rule.severity,
            stage: rule.stage,
            grace: rule.grace,
            ok: 0,
            problems: Vec::new(),
            unknowns: Vec::new(),
            gaps: std::mem::take(&mut self.gaps),
        };
        for (subject, verdict) in self.merged() {
            match verdict {
                Verdict::Ok => verdicts.ok += 1,
                Verdict::Unknown(gap) => verdicts.unknowns.push((subject, gap)),
                Verdict::Problem(problem) => verdicts.problems.push((subject, *problem)),
            }
        }
        verdicts
    }
}

/// Every rule's verdicts on what a node saw.
pub fn diagnose_node(facts: &NodeFacts) -> Vec<RuleVerdicts> {
    RULES
        .iter()
        .filter_map(|rule| rule.on_node(facts))
        .collect()
}

/// The verdicts of the rules that can judge without any node's word.
pub fn diagnose_cluster(facts: &ClusterFacts) -> Vec<RuleVerdicts> {
    RULES
        .iter()
        .filter_map(|rule| rule.on_cluster(facts))
        .collect()
}

impl Rule {
    fn on_node(&self, facts: &NodeFacts) -> Option<RuleVerdicts> {
        let mut verdicts = Verdicts::default();
        match self.check {
            Check::Node(check) => check(facts, &mut verdicts),
            Check::Expansion(check) => each_case(facts, check, &mut verdicts),
            Check::Cluster(_) | Check::Binding(_) => return None,
        }
        Some(verdicts.of(self))
    }

    fn on_cluster(&self, facts: &ClusterFacts) -> Option<RuleVerdicts> {
        let mut verdicts = Verdicts::default();
        match self.check {
            Check::Node(_) => return None,
            Check::Expansion(check) => self.each_claim(facts, check, &mut verdicts),
            Check::Binding(check) => each_unbound(facts, check, &mut verdicts),
            Check::Cluster(check) => check(facts, &mut verdicts),
        }
        Some(verdicts.of(self))
    }

    /// The bound claims, as far as objects alone tell. What a node sees better is left to it: the bytes,
    /// and its half of an expansion.
    fn each_claim(
        &self,
        facts: &ClusterFacts,
        check: fn(&Case<'_>, &mut Verdicts),
        verdicts: &mut Verdicts,
    ) {
        let is_nodes = self.stage > Some(Stage::Expand(ExpandStage::CapacityRaised));
        for volume in verdicts.each(&facts.volumes) {
            let Some(claim) = &volume.claim else { continue };
            let subject = || Subject {
                object: volume.object(),
                node: None,
            };
            match (&facts.on_nodes, &volume.persistent) {
                (_, Observed::Unknown(gap)) => verdicts.unknown(subject(), gap),
                (_, Observed::Known(None)) => {}
                (Observed::Known(told), _) if is_nodes && told.contains(&claim.claim) => {}
                (Observed::Unknown(gap), _) if is_nodes => verdicts.unknown(subject(), gap),
                (_, Observed::Known(Some(persistent))) => {
                    let case = Case {
                        node: None,
                        observed_at: facts.observed_at,
                        volume,
                        claim,
                        persistent,
                        driver: None,
                    };
                    check(&case, verdicts);
                }
            }
        }
    }
}

/// The claims that are not bound; what cannot be told of one is unknown.
fn each_unbound(
    facts: &ClusterFacts,
    check: fn(&Unbound<'_>, &mut Verdicts),
    verdicts: &mut Verdicts,
) {
    let binding = &facts.binding;
    for one in verdicts.each(&binding.claims) {
        match binding::standing(binding, one) {
            Standing::Unknown(gap) => verdicts.unknown(one.subject(), gap),
            standing => {
                let unbound = Unbound {
                    facts,
                    one,
                    standing,
                };
                check(&unbound, verdicts);
            }
        }
    }
}

/// The claims of a node's volumes; one whose PersistentVolume was not seen is unknown.
fn each_case(facts: &NodeFacts, check: fn(&Case<'_>, &mut Verdicts), verdicts: &mut Verdicts) {
    for volume in verdicts.each(&facts.volumes) {
        let Some(claim) = &volume.claim else { continue };
        match &volume.persistent {
            Observed::Unknown(gap) => verdicts.unknown(volume.subject(&facts.node), gap),
            Observed::Known(None) => {}
            Observed::Known(Some(persistent)) => {
                let drivers = &facts.drivers.items;
                let case = Case {
                    node: Some(&facts.node),
                    observed_at: facts.observed_at,
                    volume,
                    claim,
                    persistent,
                    driver: drivers.iter().find(|driver| driver.name == volume.driver),
                };
                check(&case, verdicts);
            }
        }
    }
}

/// The rule of this code; case does not matter, since people type it.
pub fn find(code: &Code) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|rule| rule.code.eq_ignore_ascii_case(&code.0))
        .copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use crate::expansion::sample::enlarged;
    use crate::model::binding::Binding;
    use crate::model::facts::{ClusterFacts, NodeFacts};
    use crate::model::finding::RuleVerdicts;
    use crate::model::names::ClaimRef;
    use crate::model::observed::{Gap, Observed, Why};
    use crate::model::sample;

    use super::Rule;

    /// The sample's claims as objects alone tell, under an expansion whose node half waits.
    fn cluster(on_nodes: Observed<BTreeSet<ClaimRef>>) -> ClusterFacts {
        let node = enlarged(20, 20, 10, |claim, _| {
            claim.resize_status = Some("NodeResizePending".to_owned());
        });
        ClusterFacts {
            volumes: node.volumes,
            on_nodes,
            binding: Binding::default(),
            ..ClusterFacts::unknown(sample::noon(), Gap::new(Why::NotAsked, "no server"))
        }
    }

    fn said(facts: &ClusterFacts) -> String {
        let verdicts = crate::rules::diagnose_cluster(facts);
        let told = verdicts
            .iter()
            .filter(|rule| !(rule.problems.is_empty() && rule.unknowns.is_empty()));
        let mut text = String::new();
        for rule in told {
            for (subject, _) in &rule.problems {
                writeln!(text, "{} problem: {subject}", rule.code).unwrap();
            }
            for (subject, gap) in &rule.unknowns {
                writeln!(text, "{} unknown: {subject}: {gap}", rule.code).unwrap();
            }
        }
        text
    }

    #[test]
    fn the_nodes_half_is_judged_where_the_node_is_heard() {
        let nobody = Observed::Known(BTreeSet::new());
        expect![[r#"
            NodeExpansionPending problem: claim shop/orders-db
        "#]]
        .assert_eq(&said(&cluster(nobody.clone())));
        let mut facts = cluster(nobody);
        let claim = facts.volumes.items[0].claim.as_ref().unwrap();
        facts.on_nodes = Observed::Known(BTreeSet::from([claim.claim.clone()]));
        assert_eq!(said(&facts), "");
        assert!(
            facts
                .subjects()
                .iter()
                .any(|subject| subject.node.is_none())
        );
        let unlisted = Observed::Unknown(Gap::new(Why::Denied, "list pods"));
        expect![[r#"
            DeviceNotResized unknown: claim shop/orders-db: list pods (Denied)
            ExpansionStatusStale unknown: claim shop/orders-db: list pods (Denied)
            FilesystemNotGrown unknown: claim shop/orders-db: list pods (Denied)
            NodeExpansionFailed unknown: claim shop/orders-db: list pods (Denied)
            NodeExpansionPending unknown: claim shop/orders-db: list pods (Denied)
        "#]]
        .assert_eq(&said(&cluster(unlisted)));
    }

    #[test]
    fn a_volume_that_may_have_changed_is_unknown() {
        let mut facts = cluster(Observed::Known(BTreeSet::new()));
        let gap = Gap::new(Why::Unavailable, "watch persistentvolumes");
        facts.volumes.items[0].persistent = Observed::Unknown(gap);
        expect![[r#"
            ControllerExpansionFailed unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            ControllerExpansionPending unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            DeviceNotResized unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            ExpansionStatusStale unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            FilesystemNotGrown unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            NodeExpansionFailed unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            NodeExpansionPending unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
            ResizerMissing unknown: claim shop/orders-db: watch persistentvolumes (Unavailable)
        "#]]
        .assert_eq(&said(&facts));
    }

    /// What a rule about nodes says of one.
    pub(super) fn on(rule: &Rule, node: &NodeFacts) -> RuleVerdicts {
        rule.on_node(node).expect("a rule about nodes")
    }

    /// What a rule about the cluster says of one.
    pub(super) fn on_cluster(rule: &Rule, facts: &ClusterFacts) -> RuleVerdicts {
        rule.on_cluster(facts).expect("a rule about the cluster")
    }

    /// The same, as a person reads it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an expectation is written in place"
    )]
    pub(super) fn unbound(rule: &Rule, facts: &ClusterFacts, expected: Expect) {
        expected.assert_eq(&sample::read(&on_cluster(rule, facts)));
    }

    /// The same, as a person reads it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an expectation is written in place"
    )]
    pub(super) fn check(rule: &Rule, node: &NodeFacts, expected: Expect) {
        expected.assert_eq(&sample::read(&on(rule, node)));
    }
}
