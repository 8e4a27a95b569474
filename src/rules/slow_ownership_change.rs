//! `SlowOwnershipChange`: a volume is mounted, and its pod still waits while the kubelet changes the
//! owner of every file on it.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::objects::{Event, PodState, VolumeMode};
use crate::model::observed::{Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts};

/// The kubelet says it after 30 seconds, and again each minute while it lasts (`pkg/volume/volume_linux.go`).
const LASTS: Duration = Duration::from_mins(3);

pub(super) static RULE: Rule = Rule {
    code: "SlowOwnershipChange",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::PodStarted)),
    // It is said only after half a minute.
    grace: Duration::from_mins(1),
    summary: "pods wait while files change their owner",
    docs: include_str!("../../docs/findings/SlowOwnershipChange.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        if volume.mode == VolumeMode::Block {
            continue;
        }
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match &published.state {
                Observed::Known(PodState::Starting) => {}
                Observed::Known(_) => {
                    verdicts.ok(subject);
                    continue;
                }
                Observed::Unknown(_) if published.live == Observed::Known(true) => {
                    verdicts.ok(subject);
                    continue;
                }
                Observed::Unknown(gap) => {
                    verdicts.unknown(subject, gap);
                    continue;
                }
            }
            let events = &published.events;
            let unseen = events.gaps.iter().find(|gap| gap.why != Why::NotAsked);
            match (goes_on(node, published), unseen) {
                (Some(event), _) => verdicts.problem(subject, problem(node, volume, published, event)),
                (None, Some(gap)) => verdicts.unknown(subject, gap),
                (None, None) => verdicts.ok(subject),
            }
        }
    }
}

/// The event that says that it goes on at present.
fn goes_on<'a>(node: &NodeFacts, published: &'a Published) -> Option<&'a Event> {
    let mut said = published.events.items.iter().rev();
    let event = said.find(|event| event.reason == "VolumePermissionChangeInProgress")?;
    let age = node.observed_at.duration_since(event.at?);
    Duration::try_from(age).map_or(true, |age| age < LASTS).then_some(event)
}

fn problem(node: &NodeFacts, volume: &Volume, published: &Published, event: &Event) -> Problem {
    let pod = &published.pod;
    let at = event.at.map_or_else(String::new, |at| format!(" at {at:.0}"));
    Problem::new(format!(
        "Pod {pod} waits on {} while the kubelet changes the owner of every file of volume {}, which is mounted already.",
        node.node, volume.spec_name
    ))
    .because(event.reason.clone(), event.message.clone(), format!("event of pod {pod} by {}{at}", event.by))
    .because(
        "inodes in use",
        match &published.usage {
            Observed::Known(usage) => usage.used_inodes.to_string(),
            Observed::Unknown(gap) => format!("not known: {gap}"),
        },
        "statfs",
    )
    .advise("Let it end: it grows with the number of files, and is done again at each start of a pod.")
    .next(
        "Have it done only where the root directory has another owner, in the pod's template (spec.securityContext.fsGroupChangePolicy: OnRootMismatch).",
        format!("kubectl get pod -n {} {} -o jsonpath='{{.spec.securityContext}}'", pod.namespace, pod.name),
    )
    .next(
        "Or let the driver do it, or nobody: fsGroupPolicy of the CSIDriver.",
        format!("kubectl get csidriver {} -o jsonpath='{{.spec.fsGroupPolicy}}'", volume.driver),
    )
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::ToSpan;

    use crate::model::finding::Object;
    use crate::model::observed::{Gap, Listing};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn starting(minutes_ago: i64, change: impl FnOnce(&mut Published)) -> NodeFacts {
        sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.state = Observed::Known(PodState::Starting);
            published.live = Observed::Known(false);
            published.inside = Observed::Known(Vec::new());
            published.events = Listing::complete(vec![Event {
                about: Object::Pod(sample::pod("orders-0", "pod-uid-0")),
                by: "kubelet".to_owned(),
                warning: true,
                reason: "VolumePermissionChangeInProgress".to_owned(),
                message: "Setting volume ownership for /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount is taking longer than expected, processed 120000 files.".to_owned(),
                at: Some(sample::noon() - minutes_ago.minutes()),
            }]);
            change(published);
        })
    }

    #[test]
    fn a_pod_that_runs_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_change_that_goes_on_is_a_problem() {
        check(&RULE, &starting(1, |_| ()), expect![[r#"
            warning SlowOwnershipChange: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits on node-1 while the kubelet changes the owner of every file of volume pvc-11, which is mounted already.
              - VolumePermissionChangeInProgress: Setting volume ownership for /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount is taking longer than expected, processed 120000 files. [event of pod shop/orders-0 by kubelet at 2026-11-25T11:59:00Z]
              - inodes in use: 1200 [statfs]
              > Let it end: it grows with the number of files, and is done again at each start of a pod.
              > Have it done only where the root directory has another owner, in the pod's template (spec.securityContext.fsGroupChangePolicy: OnRootMismatch).
                kubectl get pod -n shop orders-0 -o jsonpath='{.spec.securityContext}'
              > Or let the driver do it, or nobody: fsGroupPolicy of the CSIDriver.
                kubectl get csidriver disk.example.com -o jsonpath='{.spec.fsGroupPolicy}'
        "#]]);
    }

    #[test]
    fn one_that_has_ended_is_quiet() {
        check(&RULE, &starting(20, |_| ()), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_has_started_since_is_quiet() {
        check(&RULE, &starting(1, |published| published.state = Observed::Known(PodState::Running)), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn events_that_could_not_be_read_are_unknown() {
        let node = starting(1, |published| {
            published.events.items.clear();
            published.events.gaps.push(Gap::new(Why::Denied, "list events: forbidden"));
        });
        check(&RULE, &node, expect![[r#"
            unknown SlowOwnershipChange: claim shop/orders-db on node node-1: list events: forbidden (Denied)
        "#]]);
    }

    #[test]
    fn a_pod_that_was_not_seen_is_unknown() {
        let gap = Gap::new(Why::Denied, "watch pods: forbidden");
        check(&RULE, &starting(1, |published| published.state = Observed::Unknown(gap)), expect![[r#"
            unknown SlowOwnershipChange: claim shop/orders-db on node node-1: watch pods: forbidden (Denied)
        "#]]);
    }
}
