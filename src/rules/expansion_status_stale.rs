//! `ExpansionStatusStale`: the volume has grown, and the claim still says that it waits.

use std::time::Duration;
use crate::expansion::{Case, Ground, Standing};
use crate::model::finding::Severity;
use crate::model::observed::Gap;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ExpansionStatusStale",
    severity: Severity::Info,
    stage: Some(Stage::Expand(ExpandStage::FilesystemGrown)),
    // The kubelet writes the claim right after the driver's answer; a device grows before that.
    grace: Duration::from_mins(3),
    summary: "claims say that they wait for an expansion that is done",
    docs: include_str!("../../docs/findings/ExpansionStatusStale.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    match (case.standing(), case.ground()) {
        (Standing::Marked, ground) if !ground.is_small() => verdicts.problem(
            case.subject(),
            case.problem(
                format!(
                    "Claim {} has all of its {}, and is still marked as being expanded ({}).",
                    case.claim.claim,
                    case.provided().to,
                    marks(case)
                ),
                None,
            ),
        ),
        (Standing::Node(trouble), ground) if !trouble.is_failure() && !case.is_shared() => {
            match ground {
                Ground::Covers { grown: true } => {
                    let span = case.provided();
                    let message = format!(
                        "Claim {} still says that it has {} and waits for its node, and on {} the volume has grown to its {}.",
                        case.claim.claim, span.from, case.where_it_is(), span.to
                    );
                    verdicts.problem(case.subject(), case.problem(message, trouble.said()));
                }
                // What no pod uses is nowhere to be seen.
                Ground::Unseen(gap) if case.user().is_some() => {
                    verdicts.unknown(case.subject(), &unseen(&gap));
                }
                _ => verdicts.ok(case.subject()),
            }
        }
        _ => verdicts.ok(case.subject()),
    }
}

fn unseen(gap: &Gap) -> Gap {
    Gap {
        what: format!("whether it has grown all the same: {}", gap.what).into(),
        ..gap.clone()
    }
}

/// What still says so.
fn marks(case: &Case<'_>) -> String {
    let status = case.claim.resize_status.iter().map(String::as_str);
    let conditions = case.conditions().map(|one| one.kind.as_str());
    let marks: Vec<&str> = status.chain(conditions).collect();
    marks.join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::expansion::sample::{done, enlarged, failed, hide_volume};
    use crate::model::facts::NodeFacts;
    use crate::model::objects::{Claim, VolumeMode};
    use crate::model::observed::{Observed, Why};
    use crate::model::sample;
    use crate::model::sizes::{Bytes, FilesystemSize};
    use crate::model::volume::Volume;
    use crate::rules::tests::{check, on};

    use super::*;

    const GI: u64 = 1 << 30;

    /// The claim waits, the bytes do not.
    fn grown(change: impl FnOnce(&mut Claim, &mut Volume)) -> NodeFacts {
        enlarged(20, 20, 10, |claim, volume| {
            claim.resize_status = Some("NodeResizePending".to_owned());
            failed(claim, "FileSystemResizePending", "Waiting for user to (re-)start a pod");
            volume.sizes.device = Observed::Known(Some(Bytes(20 * GI)));
            volume.sizes.filesystem = Observed::Known(Some(FilesystemSize {
                at_least: Bytes(19 * GI),
                at_most: Bytes(20 * GI),
            }));
            change(claim, volume);
        })
    }

    #[test]
    fn no_expansion_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_claim_that_waits_for_what_is_done_is_a_problem() {
        check(&RULE, &grown(|_, _| ()), expect![[r#"
            info ExpansionStatusStale: claim shop/orders-db on node node-1
              Claim shop/orders-db still says that it has 10Gi and waits for its node, and on node node-1 the volume has grown to its 20Gi.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 20Gi [sysfs]
              - filesystem: 19Gi to 20Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: NodeResizePending [claim shop/orders-db]
              > The bytes are there; make the pod anew, and the kubelet will say so in the claim.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_mark_that_was_left_behind_is_a_problem() {
        let node = done(|claim, volume| {
            failed(claim, "FileSystemResizePending", "Waiting for user to (re-)start a pod");
            volume.sizes.device = Observed::Known(Some(Bytes(20 * GI)));
            volume.sizes.filesystem = Observed::Known(None);
        });
        check(&RULE, &node, expect![[r#"
            info ExpansionStatusStale: claim shop/orders-db on node node-1
              Claim shop/orders-db has all of its 20Gi, and is still marked as being expanded (FileSystemResizePending).
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 20Gi [sysfs]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > Nothing is missing but the claim's word; see who wrote it last.
                kubectl get pvc -n shop orders-db -o yaml --show-managed-fields
        "#]]);
    }

    #[test]
    fn a_raw_block_device_that_has_grown_is_a_problem() {
        let node = grown(|_, volume| volume.mode = VolumeMode::Block);
        assert_eq!(on(&RULE, &node).problems.len(), 1);
    }

    #[test]
    fn a_filesystem_that_may_be_the_old_one_is_quiet() {
        let node = grown(|_, volume| {
            volume.sizes.filesystem = Observed::Known(Some(FilesystemSize {
                at_least: Bytes(9 * GI),
                at_most: Bytes(20 * GI),
            }));
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_volume_of_several_nodes_is_quiet() {
        let node = grown(|_, volume| {
            if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                let persistent = Arc::make_mut(persistent);
                persistent.access_modes = vec!["ReadWriteMany".to_owned()];
            }
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn bytes_that_were_not_seen_are_unknown() {
        let node = grown(|_, volume| {
            volume.sizes.filesystem = Observed::Unknown(Gap::new(Why::TimedOut, "statfs: no answer"));
        });
        check(&RULE, &node, expect![[r#"
            unknown ExpansionStatusStale: claim shop/orders-db on node node-1: whether it has grown all the same: statfs: no answer (TimedOut)
        "#]]);
        check(&RULE, &hide_volume(grown(|_, _| ())), expect![[r#"
            unknown ExpansionStatusStale: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
