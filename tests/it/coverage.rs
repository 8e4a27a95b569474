//! Which codes apply to which kinds of volumes: `docs/coverage.md`, made from what the rules answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use csi_doctor::model::facts::NodeFacts;
use csi_doctor::model::leftover::Uncovered;
use csi_doctor::model::objects::VolumeMode;
use csi_doctor::model::observed::{Gap, Observed, Why};
use csi_doctor::model::sample;
use csi_doctor::rules::{self, Check, RULES};
use expect_test::expect_file;

const HEAD: &str = "\
# Which findings apply to which volumes

*yes*: the rule looks at volumes of this kind and answers; *driver*: it looks at their driver; *–*: it does not apply. What csi-doctor does not look at (volumes of plugins that are built into the kubelet and not served by a CSI driver, hostPath) is shown as *not covered* and never as healthy. So are nodes without an agent (Windows, virtual ones): nothing is known of them. Findings about claims without any node (such as ControllerExpansionPending while no pod runs) are judged for every kind that has a claim and a CSI driver. A test makes this table from what the rules answer.

";

/// The kinds, each as a node with one healthy volume of it.
fn kinds() -> Vec<(&'static str, NodeFacts)> {
    let unsupported = || Gap::new(Why::Unsupported, "a raw block device has no filesystem");
    let block = sample::degraded(|volume| {
        volume.mode = VolumeMode::Block;
        volume.published[0].usage = Observed::Unknown(unsupported());
        volume.published[0].inside = Observed::Known(Vec::new());
        volume.sizes.filesystem = Observed::Known(None);
    });
    let inline = sample::degraded(|volume| {
        volume.claim = None;
        volume.persistent = Observed::Known(None);
        volume.attachment = Observed::Known(None);
        volume.spec_name = "scratch".into();
    });
    let ephemeral = sample::degraded(|volume| {
        if let Some(claim) = &mut volume.claim {
            let claim = Arc::make_mut(claim);
            claim.claim.name = "orders-0-scratch".into();
        }
    });
    // Its PersistentVolume has another source; driver and handle come from the kubelet's note.
    let migrated = sample::degraded(|volume| {
        if let Observed::Known(Some(persistent)) = &mut volume.persistent {
            let persistent = Arc::make_mut(persistent);
            persistent.csi = None;
        }
    });
    let mut in_tree = sample::node();
    in_tree.volumes.items.clear();
    in_tree.drivers.items.clear();
    let host_path = in_tree.clone();
    in_tree.uncovered.items.push(Uncovered {
        pod: "pod-uid-0".into(),
        plugin: "nfs".to_owned(),
        name: "share".into(),
        path: "/var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~nfs/share".into(),
        mount: Observed::Known(Some(sample::mount("/share".into()))),
    });
    vec![
        ("CSI filesystem", sample::node()),
        ("CSI block", block),
        ("inline CSI", inline),
        ("generic ephemeral", ephemeral),
        ("migrated in-tree", migrated),
        ("in-tree NFS, iSCSI, local", in_tree),
        ("hostPath", host_path),
    ]
}

#[test]
fn the_table_is_what_the_rules_answer() {
    let kinds = kinds();
    let mut answers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, facts) in &kinds {
        let verdicts = rules::diagnose_node(facts);
        let mut alone = facts.clone();
        alone.volumes.items.clear();
        let without = rules::diagnose_node(&alone);
        for rule in RULES
            .iter()
            .filter(|rule| !matches!(rule.check, Check::Binding(_) | Check::Cluster(_)))
        {
            let looked = |all: &[csi_doctor::model::finding::RuleVerdicts]| {
                let of_it = all.iter().find(|one| one.code.0 == rule.code).unwrap();
                assert!(
                    of_it.problems.is_empty() && of_it.unknowns.is_empty(),
                    "{}",
                    rule.code
                );
                of_it.ok
            };
            let answer = match (looked(&verdicts), looked(&without)) {
                (0, _) => "–",
                (all, of_driver) if all == of_driver => "driver",
                _ => "yes",
            };
            answers.entry(rule.code).or_default().push(answer);
        }
    }
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "| Finding | {} |", names.join(" | "));
    let _ = writeln!(text, "| --- {}|", "| --- ".repeat(names.len()));
    for (code, answers) in answers {
        let _ = writeln!(text, "| {code} | {} |", answers.join(" | "));
    }
    expect_file!["../../docs/coverage.md"].assert_eq(&text);
}
