//! `DeviceNotResized`: everybody says that the expansion is done, and the node's block device has the old size.

use std::time::Duration;

use crate::expansion::{Case, Ground, Standing};
use crate::model::finding::Severity;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "DeviceNotResized",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::NodeExpanded)),
    // Status and device are changed by different hands, one after the other.
    grace: Duration::from_mins(2),
    summary: "block devices still have the size from before an expansion",
    docs: include_str!("../../docs/findings/DeviceNotResized.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    let told_done = matches!(case.standing(), Standing::Idle | Standing::Marked);
    let Some(old) = case.old_size().filter(|_| told_done) else {
        return verdicts.ok(case.subject());
    };
    match case.ground() {
        Ground::DeviceSmall { device } => {
            let message = format!(
                "Claim {} says that it was enlarged to {}, and its block device on {} still has {device}, no more than the {old} from before.",
                case.claim.claim,
                case.claim.capacity.unwrap_or_default(),
                case.where_it_is(),
            );
            let problem = case
                .problem(message, None)
                .because(
                    "size before the expansion",
                    old.to_string(),
                    format!("annotation of persistentvolume {}", case.persistent.name),
                );
            verdicts.problem(case.subject(), problem);
        }
        Ground::Unseen(gap) => verdicts.unknown(case.subject(), &gap),
        _ => verdicts.ok(case.subject()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::expansion::sample::{done, hide_volume};
    use crate::model::objects::VolumeMode;
    use crate::model::observed::{Gap, Observed, Why};
    use crate::model::sample;
    use crate::model::sizes::Bytes;
    use crate::rules::tests::{check, on};

    use super::*;

    const GI: u64 = 1 << 30;

    #[test]
    fn no_expansion_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_device_of_the_old_size_is_a_problem() {
        check(&RULE, &done(|_, _| ()), expect![[r#"
            warning DeviceNotResized: claim shop/orders-db on node node-1
              Claim shop/orders-db says that it was enlarged to 20Gi, and its block device on node node-1 still has 10Gi, no more than the 10Gi from before.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              - size before the expansion: 10Gi [annotation of persistentvolume pvc-11]
              > Let the node read the device's size again; if it stays, the storage did not give more, or the driver did not ask.
                lsblk --bytes /dev/sdb ; dmesg | tail
        "#]]);
    }

    #[test]
    fn a_raw_block_device_of_the_old_size_is_a_problem() {
        let node = done(|_, volume| volume.mode = VolumeMode::Block);
        assert_eq!(on(&RULE, &node).problems.len(), 1);
    }

    #[test]
    fn a_header_or_a_rounded_capacity_is_quiet() {
        for device in [20 * GI - (16 << 20), 20_000_000_000, 20 * GI] {
            let node = done(|_, volume| volume.sizes.device = Observed::Known(Some(Bytes(device))));
            check(&RULE, &node, expect!["1 ok\n"]);
        }
    }

    #[test]
    fn a_difference_that_no_expansion_made_is_quiet() {
        let node = sample::degraded(|volume| volume.sizes.device = Observed::Known(Some(Bytes(7 * GI))));
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn an_expansion_under_way_is_quiet() {
        let node = done(|claim, _| {
            claim.capacity = Some(Bytes(10 * GI));
            claim.resize_status = Some("NodeResizePending".to_owned());
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn what_has_no_device_is_quiet() {
        let node = done(|_, volume| {
            volume.sizes.device = Observed::Known(None);
            volume.sizes.filesystem = Observed::Known(None);
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_device_that_was_not_seen_is_unknown() {
        let node = done(|_, volume| {
            volume.sizes.device = Observed::Unknown(Gap::new(Why::Denied, "read /sys/dev/block/8:16/size: permission denied"));
        });
        check(&RULE, &node, expect![[r#"
            unknown DeviceNotResized: claim shop/orders-db on node node-1: read /sys/dev/block/8:16/size: permission denied (Denied)
        "#]]);
        check(&RULE, &hide_volume(done(|_, _| ())), expect![[r#"
            unknown DeviceNotResized: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
