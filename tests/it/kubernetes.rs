//! A directory of manifests: good files, broken ones, and what is none of ours.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::objects::Objects;
use csi_doctor::model::observed::Listing;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop, uid: c-1, annotations: {csi-doctor.io/silence: FilesystemNearlyFull}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: fast
  volumeName: pv-1
  resources: {requests: {storage: 2Gi}}
status:
  phase: Bound
  capacity: {storage: 1Gi}
  allocatedResources: {storage: 2Gi}
  allocatedResourceStatuses: {storage: NodeResizePending}
  conditions:
  - {type: FileSystemResizePending, status: 'True', message: Waiting for the node, lastTransitionTime: 2026-11-01T10:00:00Z}
  - {type: Resizing, status: 'False'}
";

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, uid: p-1}
spec:
  nodeName: node-1
  containers: [{name: c, image: i, resources: {limits: {cpu: 2, memory: 1.5Gi}}}]
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: data, readOnly: true}}
  - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 1Gi}}}}}}
  - {name: inline, csi: {driver: inline.example.com}}
  - {name: config, configMap: {name: settings}}
status:
  startTime: 2026-11-01T09:00:00Z
  phase: Pending
  containerStatuses: [{name: c, image: i, imageID: '', ready: false, restartCount: 0, state: {waiting: {}}}]
";

fn show(objects: &Objects) -> String {
    fn list<T: std::fmt::Debug>(shown: &mut String, kind: &str, listing: &Listing<T>) {
        for item in &listing.items {
            writeln!(shown, "{kind}: {item:?}").unwrap();
        }
        for gap in &listing.gaps {
            writeln!(shown, "{kind} gap: {gap}").unwrap();
        }
    }
    let mut shown = String::new();
    list(&mut shown, "pods", &objects.pods);
    list(&mut shown, "claims", &objects.claims);
    list(&mut shown, "volumes", &objects.volumes);
    list(&mut shown, "attachments", &objects.attachments);
    list(&mut shown, "CSI nodes", &objects.csi_nodes);
    shown
}

fn check(files: &[(&str, &str)], expected: &Expect) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let objects = Directory::new(directory.path().to_owned()).read();
    expected.assert_eq(&show(&objects));
}

/// The names alone.
fn names(objects: &Objects) -> String {
    let pods = objects.pods.items.iter().map(|pod| pod.pod.to_string());
    let claims = objects
        .claims
        .items
        .iter()
        .map(|claim| claim.claim.to_string());
    let volumes = objects
        .volumes
        .items
        .iter()
        .map(|volume| volume.name.to_string());
    pods.chain(claims)
        .chain(volumes)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn objects_of_every_kind_of_ours() {
    let more = "
# A comment, and documents that are none of ours.
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-1, uid: v-1, annotations: {volume.alpha.kubernetes.io/pre-resize-capacity: 1Gi}}
spec:
  capacity: {storage: 2147483648}
  accessModes: [ReadWriteOnce]
  mountOptions: [noatime]
  claimRef: {namespace: shop, name: data, uid: c-1}
  csi: {driver: disk.example.com, volumeHandle: vol-1, readOnly: true}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
---
---
apiVersion: storage.k8s.io/v1
kind: VolumeAttachment
metadata: {name: csi-07}
spec: {attacher: disk.example.com, nodeName: node-1, source: {persistentVolumeName: pv-1}}
status: {attached: false, attachError: {message: disk is gone, time: 2026-11-01T10:00:00Z}}
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {name: node-1}
spec: {drivers: [{name: disk.example.com, nodeID: n1, topologyKeys: []}]}
";
    check(
        &[("a.yaml", CLAIM), ("b.yml", POD), ("c.yaml", more)],
        &expect![[r#"
            pods: Pod { pod: PodRef { namespace: Text("shop"), name: Text("web"), uid: Uid("p-1") }, node: Some(NodeName("node-1")), state: Starting, started: Some(2026-11-01T09:00:00Z), ended: None, volumes: [PodVolume { name: Text("data"), source: Claim("data"), read_only: true, places: [], health: [] }, PodVolume { name: Text("scratch"), source: Claim("web-scratch"), read_only: false, places: [], health: [] }, PodVolume { name: Text("inline"), source: InlineCsi(DriverName("inline.example.com")), read_only: false, places: [], health: [] }], static_uid: None, terms: Some(PodTerms { created: None, scheduled: None, sandbox: None, waits: None }) }
            claims: Claim { claim: ClaimRef { namespace: Text("shop"), name: Text("data"), uid: Uid("c-1") }, bound: true, volume: Some(PersistentVolumeName("pv-1")), class: Some(ClassName("fast")), access_modes: ["ReadWriteOnce"], request: Some(Bytes(2147483648)), allocated: Some(Bytes(2147483648)), resize_status: Some("NodeResizePending"), capacity: Some(Bytes(1073741824)), conditions: [Condition { kind: "FileSystemResizePending", message: "Waiting for the node", since: Some(2026-11-01T10:00:00Z) }], node_expansion_not_required: false, made_from: None, silence: Some("FilesystemNearlyFull"), health: [], terms: Some(ClaimTerms { phase: Bound, class: Some("fast"), selector: None, mode: Filesystem, attributes_class: None, selected_node: None, created: None, deleting: false, volume_chosen: false }) }
            volumes: PersistentVolume { name: PersistentVolumeName("pv-1"), uid: Uid("v-1"), capacity: Some(Bytes(2147483648)), claim: Some(ClaimRef { namespace: Text("shop"), name: Text("data"), uid: Uid("c-1") }), csi: Some(CsiSource { driver: DriverName("disk.example.com"), handle: VolumeHandle("vol-1"), read_only: true }), mode: Filesystem, access_modes: ["ReadWriteOnce"], mount_options: ["noatime"], capacity_before_resize: Some(Bytes(1073741824)), terms: Some(VolumeTerms { phase: "", class: "", labels: {}, attributes_class: None, nodes: [], reclaim: "", created: None, deleting: false, made_by: None, changed: None, message: None }) }
            attachments: Attachment { name: "csi-07", driver: DriverName("disk.example.com"), volume: Some(PersistentVolumeName("pv-1")), node: NodeName("node-1"), attached: false, error: Some("disk is gone"), terms: Some(AttachmentTerms { created: None, failed: Some(2026-11-01T10:00:00Z), deleting: false }) }
            CSI nodes: CsiNode { node: NodeName("node-1"), drivers: [(DriverName("disk.example.com"), Registration { node_id: "n1", allocatable: None })], health: [] }
        "#]],
    );
}

#[test]
fn lists_typed_lists_and_json() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write(
        "list.json",
        r#"{"apiVersion":"v1","kind":"List","items":[
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"one"}},
            {"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}},
            {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"pv"}}]}"#,
    );
    write(
        "typed.json",
        r#"{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"two","namespace":"x"}}]}
           {"apiVersion":"v1","kind":"PersistentVolumeClaimList","items":[{"metadata":{"name":"three"}}]}
           {"apiVersion":"v1","kind":"SecretList","items":[{"metadata":{"name":"s"}}]}"#,
    );
    write(
        "nested.yaml",
        "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata: {name: four}\n",
    );
    write(
        ".hidden.yaml",
        "kind: Pod\napiVersion: v1\nmetadata: {name: hidden}\n",
    );
    write("readme.txt", "no manifest");
    let objects = Directory::new(directory.path().to_owned()).read();
    assert!(objects.pods.is_complete() && objects.claims.is_complete());
    expect!["default/four default/one x/two default/three pv"].assert_eq(&names(&objects));
}

#[test]
fn broken_files_cost_themselves_only() {
    let broken = "kind: Pod\napiVersion: v1\nmetadata: {name: lost\n---\nkind: Pod\napiVersion: v1\nmetadata: {name: kept}\n";
    let odd = "
kind: PersistentVolumeClaim
apiVersion: v1
metadata: {name: odd, namespace: shop}
spec: {resources: {requests: {storage: 2 GiB}}}
---
kind: PersistentVolumeClaim
apiVersion: v1
metadata: {name: even, namespace: shop}
spec: {resources: {requests: {storage: 2Gi}}}
---
kind: VolumeAttachment
apiVersion: storage.k8s.io/v1
metadata: {name: typo}
spec: {attacher: 7, nodeName: n, source: {}}
";
    check(
        &[
            ("a-broken.yaml", broken),
            ("b-odd.yaml", odd),
            (
                "c-half.json",
                r#"{"kind":"Pod","apiVersion":"v1","metadata":{"na"#,
            ),
            ("d-empty.yaml", ""),
            ("e-words.yaml", "just some words\n"),
            (
                "f-twice.yaml",
                "kind: Pod\napiVersion: v1\nmetadata: {name: a}\nkind: Pod\n",
            ),
        ],
        &expect![[r#"
            pods: Pod { pod: PodRef { namespace: Text("default"), name: Text("kept"), uid: Uid("") }, node: None, state: Starting, started: None, ended: None, volumes: [], static_uid: None, terms: Some(PodTerms { created: None, scheduled: None, sandbox: None, waits: None }) }
            pods gap: read manifest a-broken.yaml, document 1: unclosed bracket '{' at line 3, column 11 (Malformed)
            pods gap: read manifest c-half.json: EOF while parsing a string at line 1 column 47 (Malformed)
            pods gap: read manifest e-words.yaml: it has no kind (Malformed)
            pods gap: read manifest f-twice.yaml: duplicate mapping key `kind` is not allowed here at line 4, column 1 (Malformed)
            claims: Claim { claim: ClaimRef { namespace: Text("shop"), name: Text("even"), uid: Uid("") }, bound: false, volume: None, class: None, access_modes: [], request: Some(Bytes(2147483648)), allocated: None, resize_status: None, capacity: None, conditions: [], node_expansion_not_required: false, made_from: None, silence: None, health: [], terms: Some(ClaimTerms { phase: Pending, class: None, selector: None, mode: Filesystem, attributes_class: None, selected_node: None, created: None, deleting: false, volume_chosen: false }) }
            claims gap: read manifest a-broken.yaml, document 1: unclosed bracket '{' at line 3, column 11 (Malformed)
            claims gap: read manifest b-odd.yaml, document 1, PersistentVolumeClaim shop/odd: spec.resources.requests.storage is "2 GiB": its unit is none of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent (Malformed)
            claims gap: read manifest c-half.json: EOF while parsing a string at line 1 column 47 (Malformed)
            claims gap: read manifest e-words.yaml: it has no kind (Malformed)
            claims gap: read manifest f-twice.yaml: duplicate mapping key `kind` is not allowed here at line 4, column 1 (Malformed)
            volumes gap: read manifest a-broken.yaml, document 1: unclosed bracket '{' at line 3, column 11 (Malformed)
            volumes gap: read manifest c-half.json: EOF while parsing a string at line 1 column 47 (Malformed)
            volumes gap: read manifest e-words.yaml: it has no kind (Malformed)
            volumes gap: read manifest f-twice.yaml: duplicate mapping key `kind` is not allowed here at line 4, column 1 (Malformed)
            attachments gap: read manifest a-broken.yaml, document 1: unclosed bracket '{' at line 3, column 11 (Malformed)
            attachments gap: read manifest b-odd.yaml, document 3, VolumeAttachment typo: invalid type: integer `7`, expected a string (Malformed)
            attachments gap: read manifest c-half.json: EOF while parsing a string at line 1 column 47 (Malformed)
            attachments gap: read manifest e-words.yaml: it has no kind (Malformed)
            attachments gap: read manifest f-twice.yaml: duplicate mapping key `kind` is not allowed here at line 4, column 1 (Malformed)
            CSI nodes gap: read manifest a-broken.yaml, document 1: unclosed bracket '{' at line 3, column 11 (Malformed)
            CSI nodes gap: read manifest c-half.json: EOF while parsing a string at line 1 column 47 (Malformed)
            CSI nodes gap: read manifest e-words.yaml: it has no kind (Malformed)
            CSI nodes gap: read manifest f-twice.yaml: duplicate mapping key `kind` is not allowed here at line 4, column 1 (Malformed)
        "#]],
    );
}

#[test]
fn a_block_of_text_with_a_line_of_dashes_stays_whole() {
    let text = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  script: |\n    ---\n    kind: Pod\n";
    check(&[("a.yaml", text)], &expect![[""]]);
}

#[test]
fn files_are_read_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let pod = |name: &str| format!("kind: Pod\napiVersion: v1\nmetadata: {{name: {name}}}\n");
    let put = |file: &str, text: &str| {
        // As an editor does, and the lab: a new file under the old name.
        let new = directory.path().join(".new");
        fs::write(&new, text).unwrap();
        fs::rename(new, directory.path().join(file)).unwrap();
    };
    let mut manifests = Directory::new(directory.path().to_owned());
    put("a.yaml", &pod("one"));
    put("b.yaml", &pod("two"));
    assert_eq!(names(&manifests.read()), "default/one default/two");
    put("b.yaml", &pod("six"));
    assert_eq!(names(&manifests.read()), "default/one default/six");
    fs::remove_file(directory.path().join("a.yaml")).unwrap();
    assert_eq!(names(&manifests.read()), "default/six");
    put("c.yaml", &pod("six"));
    assert_eq!(
        names(&manifests.read()),
        "default/six",
        "one name is one pod"
    );
}

#[test]
fn no_directory_is_unknown_not_empty() {
    let objects = Directory::new(Path::new("/nowhere/manifests").to_owned()).read();
    expect![[r#"
        pods gap: list the manifests in /nowhere/manifests: No such file or directory (os error 2) (NotFound)
        claims gap: list the manifests in /nowhere/manifests: No such file or directory (os error 2) (NotFound)
        volumes gap: list the manifests in /nowhere/manifests: No such file or directory (os error 2) (NotFound)
        attachments gap: list the manifests in /nowhere/manifests: No such file or directory (os error 2) (NotFound)
        CSI nodes gap: list the manifests in /nowhere/manifests: No such file or directory (os error 2) (NotFound)
    "#]].assert_eq(&show(&objects));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.yaml"), &bytes).unwrap();
        fs::write(directory.path().join("b.json"), &bytes).unwrap();
        fs::write(directory.path().join("c.yaml"), CLAIM).unwrap();
        let objects = Directory::new(directory.path().to_owned()).read();
        prop_assert_eq!(objects.claims.items.len(), 1);
    }

    #[test]
    fn manifests_with_a_bite_out_are_survived(at in 0..CLAIM.len(), length in 0..40_usize) {
        let directory = tempfile::tempdir().unwrap();
        let end = (at + length).min(CLAIM.len());
        let bitten = [&CLAIM.as_bytes()[..at], &CLAIM.as_bytes()[end..]].concat();
        fs::write(directory.path().join("a.yaml"), bitten).unwrap();
        fs::write(directory.path().join("b.yaml"), POD).unwrap();
        let objects = Directory::new(directory.path().to_owned()).read();
        prop_assert_eq!(objects.pods.items.len(), 1);
    }
}
