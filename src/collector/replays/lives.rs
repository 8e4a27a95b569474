//! Single findings with unusual lives: flapping, restarts, wrong clocks, two agents, silence.

use std::fmt::Write as _;

use expect_test::expect;
use jiff::SignedDuration;

use crate::collector::replays::{Cluster, nfs_node};
use crate::model::finding::State;

/// Steps of findings about one node, told by what each report sees.
fn tell(cluster: &mut Cluster, life: &str, steps: &[(i64, bool)]) -> String {
    let mut text = String::new();
    for (second, sick) in steps {
        cluster.wait(*second);
        let now = cluster.now().at;
        let facts = nfs_node(0, usize::from(*sick), now, now);
        cluster.report(life, facts);
        let view = cluster.view();
        let state = view.stories.first().map_or("-".to_owned(), |story| {
            let flaps = story.finding.flaps;
            format!("{}, flapped {flaps}", story.finding.state.as_str())
        });
        let _ = writeln!(text, "{second:<3} {state}");
    }
    text
}

#[test]
fn a_flapping_mount_is_told() {
    let mut cluster = Cluster::new();
    let steps = [
        (0, true),
        (20, false),
        (40, true),
        (55, false),
        (70, true),
        (90, false),
        (110, true),
    ];
    expect![[r#"
        0   settling, flapped 0
        20  -
        40  settling, flapped 1
        55  -
        70  open, flapped 2
        90  -
        110 open, flapped 3
    "#]]
    .assert_eq(&tell(&mut cluster, "life", &steps));
}

#[test]
fn an_agent_restarted_in_the_middle_goes_on() {
    let mut cluster = Cluster::new();
    let before = tell(&mut cluster, "before", &[(0, true)]);
    let after = tell(&mut cluster, "after", &[(20, true), (40, true)]);
    expect![[r#"
        0   settling, flapped 0
        20  settling, flapped 0
        40  open, flapped 0
    "#]]
    .assert_eq(&(before + &after));
}

#[test]
fn a_clock_that_jumps_back_a_day_changes_nothing() {
    let mut cluster = Cluster::new();
    let mut text = String::new();
    let day = SignedDuration::from_hours(24);
    for (second, jumped) in [(0, false), (10, true), (20, true), (30, true), (40, true)] {
        cluster.wait(second);
        let now = cluster.now().at - if jumped { day } else { SignedDuration::ZERO };
        cluster.report("life", nfs_node(0, 1, now, now));
        let view = cluster.view();
        let finding = &view.stories[0].finding;
        let age = cluster
            .now()
            .at
            .duration_since(finding.first_seen)
            .as_secs();
        let _ = writeln!(text, "{second:<3} {} of {age} s", finding.state.as_str());
    }
    expect![[r#"
        0   settling of 0 s
        10  settling of 10 s
        20  settling of 20 s
        30  open of 30 s
        40  open of 40 s
    "#]]
    .assert_eq(&text);
}

#[test]
fn two_agents_that_claim_one_node_are_told() {
    let mut cluster = Cluster::new();
    let mut text = String::new();
    // One sees a hanging mount, the other does not; the second stops after three reports.
    for second in (0..390).step_by(15) {
        cluster.wait(second);
        let now = cluster.now().at;
        let first = second % 30 == 0;
        if !first && !(60..=150).contains(&second) {
            continue;
        }
        let life = if first { "first" } else { "second" };
        cluster.report(life, nfs_node(0, usize::from(first), now, now));
        let view = cluster.view();
        let gap = view.nodes[0].brief.gaps.first();
        let state = view.stories.first().map(|story| &story.finding.state);
        let _ = writeln!(
            text,
            "{second:<3} {life}: {}{}",
            state.map_or("-", State::as_str),
            gap.map_or(String::new(), |gap| format!(", {:.31}", gap.what))
        );
    }
    expect![[r#"
        0   first: settling
        30  first: open
        60  first: open
        75  second: -
        90  first: -, two agents report for node n00 
        105 second: -, two agents report for node n00 
        120 first: -, two agents report for node n00 
        135 second: -, two agents report for node n00 
        150 first: -, two agents report for node n00 
        180 first: -, two agents report for node n00 
        210 first: -, two agents report for node n00 
        240 first: -, two agents report for node n00 
        270 first: settling
        300 first: open
        330 first: open
        360 first: open
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_silent_node_is_told_and_forgotten() {
    let mut cluster = Cluster::new();
    let now = cluster.now().at;
    cluster.report("life", nfs_node(0, 1, now, now));
    cluster.wait(30);
    let now = cluster.now().at;
    cluster.report(
        "life",
        nfs_node(0, 1, now - SignedDuration::from_secs(30), now),
    );
    let mut text = String::new();
    for second in [30, 130, 600, 740, 86_000, 86_500] {
        cluster.wait(second);
        let _ = write!(text, "at {second} s\n{}", cluster.counted());
    }
    expect![[r#"
        at 30 s
        open MountUnresponsive: claim shop/data-0-0, 1 nodes, 0 explained
        at 130 s
        unconfirmed MountUnresponsive: claim shop/data-0-0, 1 nodes, 0 explained
        at 600 s
        unconfirmed MountUnresponsive: claim shop/data-0-0, 1 nodes, 0 explained
        at 740 s
        unconfirmed MountUnresponsive: claim shop/data-0-0, 1 nodes, 0 explained
        open NodeSilent: node n00, 1 nodes, 0 explained
        at 86000 s
        unconfirmed MountUnresponsive: claim shop/data-0-0, 1 nodes, 0 explained
        open NodeSilent: node n00, 1 nodes, 0 explained
        at 86500 s
    "#]]
    .assert_eq(&text);
    cluster.is_as_if_nothing_had_been();
    assert_eq!(cluster.view().nodes, []);
}

/// As an autoscaler does it every night: the node is taken out, and its agent with it.
#[test]
fn a_node_that_is_taken_out_is_forgotten_quietly() {
    let mut cluster = Cluster::new();
    let now = cluster.now().at;
    cluster.report("life", nfs_node(0, 1, now, now));
    cluster.standing = Some(["n00".into(), "n01".into()].into());
    cluster.wait(30);
    let now = cluster.now().at;
    cluster.report(
        "life",
        nfs_node(0, 1, now - SignedDuration::from_secs(30), now),
    );
    // Its Node may be gone before its agent has ended: who speaks is there.
    cluster.standing = Some(["n01".into()].into());
    cluster.wait(60);
    assert_eq!(cluster.view().nodes.len(), 1);
    cluster.wait(140);
    cluster.is_as_if_nothing_had_been();
    assert_eq!(cluster.view().nodes, []);
}

#[test]
fn a_silent_node_that_is_not_known_to_be_gone_is_told() {
    for standing in [None, Some(["n00".into()].into())] {
        let mut cluster = Cluster::new();
        let now = cluster.now().at;
        cluster.standing = standing;
        cluster.report("life", nfs_node(0, 0, now, now));
        cluster.wait(740);
        assert_eq!(
            cluster.counted(),
            "open NodeSilent: node n00, 1 nodes, 0 explained\n"
        );
        // Taken out by hand after it was told: the finding goes with it.
        cluster.standing = Some(["n01".into()].into());
        cluster.wait(770);
        cluster.is_quiet();
        assert_eq!(cluster.view().nodes, []);
    }
}
