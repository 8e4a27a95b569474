//! `MountFailed`: a pod cannot start because a volume cannot be mounted, and somebody said why.

use std::time::Duration;

use crate::causes;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::names::{DriverName, PodRef};
use crate::model::objects::Event;
use crate::model::stage::{MountStage, Stage};
use crate::mounting::{self, Wait};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "MountFailed",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Published)),
    // The kubelet's longest back-off between two tries is 2m2s: what one try cures is no finding.
    grace: Duration::from_mins(2),
    summary: "volumes cannot be mounted",
    docs: include_str!("../../docs/findings/MountFailed.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let driver = node.drivers.items.iter().find(|driver| driver.name == volume.driver);
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match mounting::wait(volume, published, driver) {
                Wait::No | Wait::Full(_) | Wait::Silent => verdicts.ok(subject),
                Wait::Unknown(gap) => verdicts.unknown(subject, gap),
                Wait::Told(event) => {
                    let what = format!("volume {} cannot be mounted", volume.spec_name);
                    let problem = problem(&published.pod, &what, event, Some(&volume.driver));
                    let logs = format!("kubectl get pods -A -o wide --field-selector spec.nodeName={} | grep -i csi", node.node);
                    let problem = problem.next("Find the driver's pod on the node; its log has the whole story.", logs);
                    verdicts.problem(subject, problem.related(volume.related()));
                }
            }
        }
    }
    for waiting in verdicts.each(&node.waiting) {
        let subject = waiting.subject(&node.node);
        match mounting::failure(&waiting.events) {
            Ok(None) => verdicts.ok(subject),
            Err(gap) => verdicts.unknown(subject, gap),
            Ok(Some(event)) => {
                let what = "a volume of it cannot be mounted";
                verdicts.problem(subject, problem(&waiting.pod, what, event, None));
            }
        }
    }
}

fn problem(pod: &PodRef, what: &str, event: &Event, driver: Option<&DriverName>) -> Problem {
    let told = causes::of_event(event, driver);
    let by = if event.by.is_empty() { "somebody" } else { &event.by };
    Problem::new(format!("Pod {pod} cannot start, since {what}: {}.", told.heart()))
        .cause(told.cause)
        .because(
            event.reason.clone(),
            event.message.clone(),
            match event.at {
                Some(at) => format!("event of pod {pod} by {by} at {at:.0}"),
                None => format!("event of pod {pod} by {by}"),
            },
        )
        .advise(told.next)
        .next("See all that was said of the pod.", format!("kubectl describe pod -n {} {}", pod.namespace, pod.name))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::finding::Object;
    use crate::model::kubelet::WaitingPod;
    use crate::model::objects::PodState;
    use crate::model::observed::{Gap, Listing, Observed, Why};
    use crate::model::sample;
    use crate::model::volume::Published;
    use crate::rules::tests::check;

    use super::*;

    fn event(reason: &str, message: &str) -> Event {
        Event {
            about: Object::Pod(sample::pod("orders-0", "pod-uid-0")),
            by: "kubelet".to_owned(),
            warning: true,
            reason: reason.to_owned(),
            message: message.to_owned(),
            at: Some(sample::noon()),
        }
    }

    const REFUSED: &str = r#"MountVolume.SetUp failed for volume "pvc-11" : rpc error: code = Internal desc = mount failed: exit status 32: mount.nfs: Connection refused"#;

    fn starting(events: Vec<Event>, change: impl FnOnce(&mut Published)) -> NodeFacts {
        sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.state = Observed::Known(PodState::Starting);
            published.mount = Observed::Known(None);
            published.live = Observed::Known(false);
            published.inside = Observed::Known(Vec::new());
            published.events = Listing::complete(events);
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
    fn the_kubelets_words_are_told_with_their_cause() {
        check(&RULE, &starting(vec![event("FailedMount", REFUSED)], |_| ()), expect![[r#"
            warning MountFailed: claim shop/orders-db on node node-1
              Pod shop/orders-0 cannot start, since volume pvc-11 cannot be mounted: mount failed: exit status 32: mount.nfs: Connection refused.
              = data-path-unreachable (stated)
              - FailedMount: MountVolume.SetUp failed for volume "pvc-11" : rpc error: code = Internal desc = mount failed: exit status 32: mount.nfs: Connection refused [event of pod shop/orders-0 by kubelet at 2026-11-25T12:00:00Z]
              > From that node test DNS, route and ports of the storage server; open the security group or firewall; start the server.
              > See all that was said of the pod.
                kubectl describe pod -n shop orders-0
              > Find the driver's pod on the node; its log has the whole story.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
        "#]]);
    }

    #[test]
    fn a_time_out_of_all_volumes_gives_way_to_the_one_that_says_why() {
        let generic = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[]: timed out waiting for the condition";
        let both = vec![event("FailedMount", REFUSED), event("FailedMount", generic)];
        check(&RULE, &starting(both, |_| ()), expect![[r#"
            warning MountFailed: claim shop/orders-db on node node-1
              Pod shop/orders-0 cannot start, since volume pvc-11 cannot be mounted: mount failed: exit status 32: mount.nfs: Connection refused.
              = data-path-unreachable (stated)
              - FailedMount: MountVolume.SetUp failed for volume "pvc-11" : rpc error: code = Internal desc = mount failed: exit status 32: mount.nfs: Connection refused [event of pod shop/orders-0 by kubelet at 2026-11-25T12:00:00Z]
              > From that node test DNS, route and ports of the storage server; open the security group or firewall; start the server.
              > See all that was said of the pod.
                kubectl describe pod -n shop orders-0
              > Find the driver's pod on the node; its log has the whole story.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
        "#]]);
        check(&RULE, &starting(vec![event("FailedMount", generic)], |_| ()), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_is_mounted_meanwhile_is_quiet() {
        let node = starting(vec![event("FailedMount", REFUSED)], |published| {
            published.mount = Observed::Known(Some(sample::mount(published.target.clone())));
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_has_started_since_is_quiet() {
        let node = starting(vec![event("FailedMount", REFUSED)], |published| {
            published.state = Observed::Known(PodState::Running);
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn an_expansion_that_fails_at_the_mount_is_another_rules_matter() {
        let words = r#"MountVolume.Setup failed while expanding volume for volume "pvc-11" : rpc error: code = Internal desc = resize2fs failed"#;
        check(&RULE, &starting(vec![event("FailedMount", words)], |_| ()), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_is_no_storage_is_told_of_the_pod() {
        let mut node = sample::node();
        node.waiting.items.push(WaitingPod {
            pod: sample::pod("web-0", "pod-uid-7"),
            since: Some(sample::noon()),
            events: Listing::complete(vec![event("FailedMount", r#"MountVolume.SetUp failed for volume "settings" : secret "web-settings" not found"#)]),
        });
        check(&RULE, &node, expect![[r#"
            warning MountFailed: pod shop/web-0 on node node-1
              Pod shop/web-0 cannot start, since a volume of it cannot be mounted: secret "web-settings" not found.
              = referenced-object-missing (stated)
              - FailedMount: MountVolume.SetUp failed for volume "settings" : secret "web-settings" not found [event of pod shop/web-0 by kubelet at 2026-11-25T12:00:00Z]
              > Create the object in the pod's namespace or correct the name; for a terminating claim delete its users first.
              > See all that was said of the pod.
                kubectl describe pod -n shop web-0
        "#]]);
    }

    #[test]
    fn events_that_could_not_be_read_are_unknown() {
        let node = starting(Vec::new(), |published| {
            published.events.gaps.push(Gap::new(Why::Denied, "list events: forbidden"));
        });
        check(&RULE, &node, expect![[r#"
            unknown MountFailed: claim shop/orders-db on node node-1: list events: forbidden (Denied)
        "#]]);
    }
}
