//! The storage report in every form: `tests/report/` has the objects and what is said of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csi_doctor::join;
use csi_doctor::kubernetes::list;
use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::mount::Usage;
use csi_doctor::model::observed::{Gap, Listing, Observed, Why};
use csi_doctor::model::report::{Beside, ClaimName, Findings, OnNodes, Report};
use csi_doctor::model::sample;
use csi_doctor::render;
use expect_test::{expect, expect_file};

use crate::support::apiserver::{Server, World};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report")
}

fn name(name: &str) -> ClaimName {
    ("shop".into(), name.into())
}

/// What a node tells of one claim, and a rule of another.
fn beside() -> Beside {
    let usage = Usage {
        total_bytes: 10_464_022_528,
        used_bytes: 9_800_000_000,
        available_bytes: 200_000_000,
        total_inodes: 655_360,
        used_inodes: 1200,
    };
    let told = OnNodes {
        nodes: vec!["node-1".into()],
        usage: Observed::Known(usage),
    };
    let found = vec!["FilesystemNearlyFull".to_owned()];
    Beside {
        on_nodes: Observed::Known(BTreeMap::from([(name("orders-db"), told)])),
        findings: Findings {
            codes: BTreeMap::from([(name("orders-db"), found)]),
            unjudged: BTreeMap::new(),
        },
    }
}

fn report(namespace: Option<&str>) -> Report {
    let objects = Directory::new(folder().join("manifests")).read();
    join::report(sample::noon(), objects, &beside(), namespace)
}

#[test]
fn every_form_reads_as_written_down() {
    let report = report(None);
    let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
    let forms = [
        ("table.txt", plain(&render::report::table(&report, false))),
        ("wide.txt", plain(&render::report::table(&report, true))),
        ("report.md", render::report::markdown(&report)),
        ("report.html", render::report::html(&report)),
        ("report.json", render::json::report(&report)),
        ("report.csv", render::report::csv(&report).replace('\r', "")),
    ];
    for (file, text) in forms {
        expect_file![folder().join(file)].assert_eq(&text);
    }
}

#[test]
fn one_namespace_has_its_own_claims_and_volumes() {
    let report = report(Some("docs"));
    let names: Vec<&str> = report
        .claims
        .items
        .iter()
        .map(|one| one.claim.name.as_str())
        .collect();
    assert_eq!(names, ["lost"]);
    assert!(report.volumes.items.is_empty());
    assert_eq!(report.classes.items.len(), 2);
}

#[test]
fn what_is_not_known_is_no_zero() {
    let mut objects = Directory::new(folder().join("manifests")).read();
    let gap = Gap::new(Why::Denied, "list persistentvolumes");
    objects.volumes = Listing::unknown(gap.clone());
    let beside = Beside {
        on_nodes: Observed::Unknown(Gap::new(Why::NotAsked, "no collector was asked")),
        findings: Findings {
            codes: BTreeMap::new(),
            unjudged: BTreeMap::from([
                (name("waits"), Gap::new(Why::Denied, "list pods")),
                (name("orders-db"), gap),
            ]),
        },
    };
    let report = join::report(sample::noon(), objects, &beside, None);
    let text = render::report::table(&report, false);
    let text = anstream::adapter::strip_str(&text).to_string();
    expect![[r#"
        StorageClasses
        NAME             PROVISIONER         RECLAIMPOLICY   VOLUMEBINDINGMODE      ALLOWVOLUMEEXPANSION
        fast (default)   disk.example.com    Delete          WaitForFirstConsumer   true
        archive          files.example.com   Retain          Immediate              false

        PersistentVolumes
        -

        PersistentVolumeClaims
        NAMESPACE   NAME        STATUS    VOLUME     REQUEST   CAPACITY   USED     USE%     STORAGECLASS   FINDINGS
        docs        lost        Lost      pvc-gone   50Gi      <none>     <none>   <none>   archive        <none>
        shop        waits       Pending   <none>     1Gi       <none>     <none>   <none>   fast           -
        shop        orders-db   Bound     pvc-1      10Gi      10Gi       -        -        fast           -
        shop        unused      Bound     pvc-2      20Gi      20Gi       -        -        fast           <none>

        By class
        STORAGECLASS   CLAIMS   VOLUMES   REQUESTED   PROVISIONED   USED   RECLAIMABLE
        archive        1        -         50Gi        -             -      -
        fast           3        -         31Gi        -             -      -

        By driver
        DRIVER             CLAIMS   VOLUMES   REQUESTED   PROVISIONED   USED   RECLAIMABLE
        (not known)        3        -         80Gi        -             -      -
        disk.example.com   1        -         1Gi         -             -      -

        -: not seen: list persistentvolumes
        -: no collector was asked
        -: findings of 2 claims: not all rules could judge them: list pods
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn who_may_read_nothing_is_told_which_verbs() {
    let server = Server::new(World {
        refused: vec!["/"],
        ..World::default()
    });
    let objects = list::everything(&server.client(), None, None, &|_| {}).await;
    let gaps: Vec<String> = objects.gaps().iter().map(ToString::to_string).collect();
    expect![[r#"
        list events: the right is missing; a role must grant the verb list on events (Denied)
        list persistentvolumeclaims: the right is missing; a role must grant the verb list on persistentvolumeclaims (Denied)
        list persistentvolumes: the right is missing; a role must grant the verb list on persistentvolumes (Denied)
        list pods: the right is missing; a role must grant the verb list on pods (Denied)
        list storageclasses.storage.k8s.io: the right is missing; a role must grant the verb list on storageclasses.storage.k8s.io (Denied)"#]]
    .assert_eq(&gaps.join("\n"));
}
