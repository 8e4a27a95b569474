//! `diagnose` as a program, asking a server over HTTP and a collector over gRPC.

use std::path::Path;

use expect_test::expect;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::apiserver::{Server, World};
use crate::support::running::{Running, at_once, scan};

async fn diagnose(words: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-csi_doctor"));
    command.arg("diagnose").args(words);
    // Who runs the test may have a cluster.
    command
        .env("KUBECONFIG", "/dev/null")
        .env_remove("CSI_DOCTOR_COLLECTOR");
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

/// A pod on a node, whose volume cannot be staged, and the driver of it.
fn world() -> World {
    let mut world = World::default();
    let claim = json!({"metadata": {"namespace": "shop", "name": "orders", "uid": "c-1", "creationTimestamp": "2026-11-01T09:00:00Z"},
        "spec": {"volumeName": "pv-1", "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    let pod = json!({"metadata": {"namespace": "shop", "name": "orders-0", "uid": "p-1"},
        "spec": {"nodeName": "node-1", "containers": [], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "orders"}}]},
        "status": {"startTime": "2026-11-01T09:05:00Z"}});
    let event = json!({"metadata": {"namespace": "shop", "name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "orders-0", "uid": "p-1"},
        "source": {"component": "kubelet"}, "type": "Warning", "reason": "FailedMount", "lastTimestamp": "2026-11-01T09:06:00Z",
        "message": "MountVolume.MountDevice failed for volume \"pv-1\" : rpc error: code = DeadlineExceeded desc = context deadline exceeded"});
    let plugin = |name: &str, node: &str| {
        json!({"metadata": {"namespace": "storage", "name": name}, "spec": {"nodeName": node,
            "volumes": [{"name": "dir", "hostPath": {"path": "/var/lib/kubelet/plugins/disk.example.com"}},
                {"name": "registration", "hostPath": {"path": "/var/lib/kubelet/plugins_registry"}}],
            "containers": [{"name": "driver", "image": "r/d", "args": ["--endpoint=unix:/csi/csi.sock"],
                "volumeMounts": [{"name": "dir", "mountPath": "/csi"}]}]}})
    };
    let lists: [(&str, Vec<Value>); 8] = [
        (
            "/api/v1/namespaces/shop/persistentvolumeclaims",
            vec![claim.clone()],
        ),
        ("/api/v1/namespaces/shop/pods", vec![pod]),
        ("/api/v1/namespaces/shop/events", vec![event]),
        ("/api/v1/namespaces/default/events", Vec::new()),
        (
            "/api/v1/pods",
            vec![plugin("node-a", "node-1"), plugin("node-b", "node-2")],
        ),
        ("/apis/coordination.k8s.io/v1/leases", Vec::new()),
        (
            "/apis/storage.k8s.io/v1/volumeattachments",
            vec![json!({"metadata": {"name": "csi-1"},
            "spec": {"attacher": "disk.example.com", "nodeName": "node-1", "source": {"persistentVolumeName": "pv-1"}}, "status": {"attached": true}})],
        ),
        ("/apis/storage.k8s.io/v1/storageclasses", Vec::new()),
    ];
    world.lists.extend(lists);
    for (path, object) in [
        (
            "/api/v1/namespaces/shop/persistentvolumeclaims/orders",
            claim,
        ),
        (
            "/api/v1/persistentvolumes/pv-1",
            json!({"metadata": {"name": "pv-1", "uid": "v-1"},
            "spec": {"capacity": {"storage": "1Gi"}, "claimRef": {"namespace": "shop", "name": "orders", "uid": "c-1"},
                "csi": {"driver": "disk.example.com", "volumeHandle": "vol-0001"}}, "status": {"phase": "Bound"}}),
        ),
        (
            "/apis/storage.k8s.io/v1/csinodes/node-1",
            json!({"metadata": {"name": "node-1"},
            "spec": {"drivers": [{"name": "disk.example.com", "nodeID": "1"}]}}),
        ),
        (
            "/apis/storage.k8s.io/v1/storageclasses/fast",
            json!({"metadata": {"name": "fast"}, "provisioner": "disk.example.com"}),
        ),
    ] {
        world.objects.insert(path.to_owned(), object);
    }
    for pod in ["node-a", "node-b"] {
        let log = format!(
            "2026-11-01T09:05:30Z {pod} stages vol-0001\n2026-11-01T09:06:00Z {pod}: error: staging vol-0001 with secrets:map[key:abc]: connection refused\n"
        );
        let path = format!("/api/v1/namespaces/storage/pods/{pod}/log driver");
        world.logs.insert(path, log);
    }
    world
}

async fn by_server(server: &Server, words: &[&str]) -> (String, Option<i32>) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(directory.path()).await;
    let kubeconfig: &Path = &kubeconfig;
    let mut words = words.to_vec();
    words.extend(["--kubeconfig", kubeconfig.to_str().unwrap()]);
    diagnose(&words).await
}

#[tokio::test]
async fn a_pod_is_followed_and_the_log_of_its_nodes_plugin_read() {
    let server = Server::new(world());
    let (text, code) = by_server(&server, &["pod", "orders-0"]).await;
    assert_eq!(code, Some(1), "{text}");
    expect![[r#"
        Binding of claim shop/orders, seen by its objects
          ✓ claim exists         it is there (2026-11-01T09:00:00Z)
          ✓ class exists         storageclass fast
          ✓ consumer there       it was bound without waiting for one
          ✓ provisioner present  none: its volume was made by hand
          ✓ volume found         persistentvolume pv-1, 1Gi, vol-0001 of disk.example.com
          ✓ bound                to persistentvolume pv-1, which the claim named
        It is bound.

        Mount of claim shop/orders in pod shop/orders-0, as its volume data, seen by its objects
          ✓ scheduled            on node node-1
          ✓ attached             VolumeAttachment csi-1 says so
          ✓ driver registered    CSINode node-1 lists disk.example.com
          ✗ staged               FailedMount by kubelet: MountVolume.MountDevice failed for volume "pv-1" : rpc error: code = DeadlineExceeded desc = context deadline exceeded (2026-11-01T09:06:00Z)
          · published
          · answers
          · writable
          · pod started
        It stands at: staged.

        In logs:
          storage/node-a driver (driver)
            2026-11-01T09:06:00Z node-a: error: staging vol-0001 with secrets:***: connection refused
          The kubelet's log, on the node:
            kubectl debug node/node-1 -it --profile=sysadmin --image=busybox -- chroot /host journalctl -u kubelet --since=-1h --no-pager | grep pv-1

        What to do: The text does not tell the cause: read the next log layer of that stage (the sidecar, then the driver's container, then the kernel log of the node).
            kubectl describe pod -n shop orders-0
        More: kubectl csi-doctor explain MountFailed
    "#]].assert_eq(&text);
    expect![[r#"
        /api/v1/namespaces/shop/events?fieldSelector=involvedObject.kind%3DPersistentVolumeClaim
        /api/v1/namespaces/shop/events?fieldSelector=involvedObject.uid%3Dp-1
        /api/v1/namespaces/shop/persistentvolumeclaims/orders?
        /api/v1/namespaces/shop/pods?
        /api/v1/namespaces/shop/pods?fieldSelector=metadata.name%3Dorders-0
        /api/v1/namespaces/storage/pods/node-a/log?
        /api/v1/persistentvolumes/pv-1?
        /api/v1/pods?
        /apis/coordination.k8s.io/v1/leases?
        /apis/storage.k8s.io/v1/csidrivers/disk.example.com?
        /apis/storage.k8s.io/v1/csinodes/node-1?
        /apis/storage.k8s.io/v1/storageclasses/fast?
        /apis/storage.k8s.io/v1/volumeattachments/csi-0f5aebca813e8fccb04c21c292ad866790c2e6cd2e21450c16dac1c21913de51?
        /apis/storage.k8s.io/v1/volumeattachments?"#]].assert_eq(&server.asked());
    // The same by the claim and by the volume.
    let mount = text.split("Mount of").nth(1).unwrap();
    let mount = mount.split_inclusive('\n').take(10).collect::<String>();
    for words in [["pvc", "orders"], ["pv", "pv-1"]] {
        let (text, code) = by_server(&server, &words).await;
        assert_eq!(code, Some(1));
        assert!(text.contains(&mount), "{text}");
    }
}

#[tokio::test]
async fn a_missing_right_is_named_and_the_rest_is_there() {
    let server = Server::new(world());
    for (refused, right) in [
        ("pods/log", "the verb get on pods/log"),
        ("list /api/v1/pods", "the verb list on pods"),
        (
            "list /apis/coordination",
            "the verb list on leases.coordination.k8s.io",
        ),
        ("/csinodes", "the verb get on csinodes.storage.k8s.io"),
    ] {
        server.change(|world| world.refused = vec![refused]);
        let (text, code) = by_server(&server, &["pod/orders-0"]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(right) && text.contains("✗ staged"), "{text}");
    }
}

#[tokio::test]
async fn what_nodes_told_goes_through_the_same_steps() {
    let running = Running::start(at_once()).await;
    let (mut reporter, _) = running.clients();
    reporter.report(&scan(1, None)).await.unwrap();
    let address = running.address.to_string();
    let mut text = String::new();
    for words in [["pvc", "orders-db"], ["pod", "orders-0"], ["pv", "pvc-11"]] {
        let (told, code) = diagnose(&[words[0], words[1], "--collector", &address]).await;
        assert_eq!(code, Some(0), "{told}");
        text.push_str(&told);
        text.push('\n');
    }
    // The moment of the scan is another one each time.
    let lines = text.lines().map(|line| line.split(" (20").next().unwrap());
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    expect![[r#"
        Binding of claim shop/orders-db, seen by its objects
          ✓ claim exists         it is there
          ✓ class exists         storageclass fast
          ? consumer there       agents do not tell; the API server does: --kubeconfig FILE
          ? provisioner present  the same
          ✓ volume found         persistentvolume pvc-11, 10Gi, vol-11 of disk.example.com
          ✓ bound                to persistentvolume pvc-11
        It is bound.

        Mount of claim shop/orders-db in pod shop/orders-0, as its volume data, seen by node node-1
          ✓ scheduled            on node node-1
          ✓ attached             VolumeAttachment csi-0011 says so
          ✓ driver registered    plugin disk.example.com answers, version 1.4.0
          ✓ staged               ext4 on /dev/sdb
          ✓ published            ext4 on /dev/sdb
          ✓ answers              21 % used, 1 % of its inodes
          ✓ writable             neither mount nor filesystem is read-only
          ✓ pod started          a container was started
        It is in its pod, as far as can be seen.

        Expansion of claim shop/orders-db, seen by node node-1
          ✓ class allows         allowVolumeExpansion of storageclass fast is true
          · request raised       the request is 10Gi, and the claim has 10Gi
          · resizer saw it
          · controller expanded
          · capacity raised      persistentvolume pvc-11 has 10Gi
          · node expanded
          · filesystem grown
        There is nothing to expand: nobody asked for more than it has.

        Binding of claim shop/orders-db, seen by its objects
          ✓ claim exists         it is there
          ✓ class exists         storageclass fast
          ? consumer there       agents do not tell; the API server does: --kubeconfig FILE
          ? provisioner present  the same
          ✓ volume found         persistentvolume pvc-11, 10Gi, vol-11 of disk.example.com
          ✓ bound                to persistentvolume pvc-11
        It is bound.

        Mount of claim shop/orders-db in pod shop/orders-0, as its volume data, seen by node node-1
          ✓ scheduled            on node node-1
          ✓ attached             VolumeAttachment csi-0011 says so
          ✓ driver registered    plugin disk.example.com answers, version 1.4.0
          ✓ staged               ext4 on /dev/sdb
          ✓ published            ext4 on /dev/sdb
          ✓ answers              21 % used, 1 % of its inodes
          ✓ writable             neither mount nor filesystem is read-only
          ✓ pod started          a container was started
        It is in its pod, as far as can be seen.

        Binding of volume pvc-11, seen by its objects
          ? provisioner present  agents do not tell; the API server does: --kubeconfig FILE
          ✓ volume found         persistentvolume pvc-11, 10Gi, vol-11 of disk.example.com
          ✓ bound                to claim shop/orders-db
        It is bound.

        Mount of claim shop/orders-db in pod shop/orders-0, as its volume data, seen by node node-1
          ✓ scheduled            on node node-1
          ✓ attached             VolumeAttachment csi-0011 says so
          ✓ driver registered    plugin disk.example.com answers, version 1.4.0
          ✓ staged               ext4 on /dev/sdb
          ✓ published            ext4 on /dev/sdb
          ✓ answers              21 % used, 1 % of its inodes
          ✓ writable             neither mount nor filesystem is read-only
          ✓ pod started          a container was started
        It is in its pod, as far as can be seen.

        Expansion of claim shop/orders-db, seen by node node-1
          ✓ class allows         allowVolumeExpansion of storageclass fast is true
          · request raised       the request is 10Gi, and the claim has 10Gi
          · resizer saw it
          · controller expanded
          · capacity raised      persistentvolume pvc-11 has 10Gi
          · node expanded
          · filesystem grown
        There is nothing to expand: nobody asked for more than it has.

    "#]]
    .assert_eq(&text);
    running.stop().await;
}
