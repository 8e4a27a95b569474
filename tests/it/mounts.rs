//! The kernel's and the kubelet's files under a host root that a test made, and real filesystems of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use csi_doctor::model::mount::{DeviceNumber, Mount};
use csi_doctor::model::names::HostPath;
use csi_doctor::model::observed::{Observed, Why};
use csi_doctor::model::sizes::Bytes;
use csi_doctor::mounts::kubelet::read_kubelet_dir;
use csi_doctor::mounts::mountinfo::read_table;
use csi_doctor::mounts::probe::{Place, Prober};
use csi_doctor::mounts::root::discover_root;
use csi_doctor::mounts::sysfs::{device_of, device_size};
use expect_test::expect;
use jiff::Timestamp;

const POD: &str = "3f2c7e0a-1111-2222-3333-444455556666";

fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_table_with_a_broken_and_a_non_utf8_line() {
    let host = tempfile::tempdir().unwrap();
    write(
        host.path(),
        "proc/1/mountinfo",
        b"22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
          this line is broken\n\
          23 22 0:40 / /mnt/caf\xe9 rw - tmpfs tmpfs rw\n",
    );
    let table = read_table(host.path());
    let targets: Vec<&[u8]> = table
        .items
        .iter()
        .map(|mount| mount.target.0.as_os_str().as_bytes())
        .collect();
    assert_eq!(targets, [&b"/"[..], b"/mnt/caf\xe9"]);
    expect![[r#"
        [
            Gap {
                why: Malformed,
                what: Text(
                    "read line 2 of the mount table: the mount ID is no number: this line is broken",
                ),
                since: None,
            },
        ]
    "#]].assert_debug_eq(&table.gaps);
}

#[test]
fn no_table_is_a_gap() {
    let host = tempfile::tempdir().unwrap();
    let table = read_table(host.path());
    assert_eq!((table.items.len(), table.gaps.len()), (0, 1));
    assert_eq!(table.gaps[0].why, Why::Unavailable);
    write(host.path(), "proc/1/mountinfo", "");
    assert_eq!(read_table(host.path()).gaps[0].why, Why::Malformed);
}

#[test]
fn this_machines_own_table_has_no_gap() {
    let table = read_table(Path::new("/"));
    if table.items.is_empty() {
        // /proc may be mounted with hidepid.
        assert_eq!(table.gaps[0].why, Why::Denied);
    } else {
        assert!(table.is_complete(), "{:?}", table.gaps);
        assert!(
            table
                .items
                .iter()
                .any(|mount| *mount.target.0 == *Path::new("/"))
        );
    }
}

#[test]
fn volumes_of_pods_in_the_kubelets_directory() {
    let host = tempfile::tempdir().unwrap();
    let csi = format!("k/pods/{POD}/volumes/kubernetes.io~csi");
    let good = r#"{"driverName":"disk.example.com","volumeHandle":"vol-1","volumeLifecycleMode":"Persistent"}"#;
    write(host.path(), &format!("{csi}/pv-good/vol_data.json"), good);
    write(
        host.path(),
        &format!("{csi}/pv-broken/vol_data.json"),
        "{\"driverName\":\x1b",
    );
    fs::create_dir_all(host.path().join(&csi).join("pv-missing/mount")).unwrap();
    // Something that would hold up whoever opens it as if it were a file.
    fs::create_dir_all(host.path().join(&csi).join("pv-pipe")).unwrap();
    nix::unistd::mkfifo(
        &host.path().join(&csi).join("pv-pipe/vol_data.json"),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    write(host.path(), "k/pods/no-volumes/etc-hosts", "");
    write(host.path(), "k/pods/a-file", "");

    let kubelet = read_kubelet_dir(host.path(), &"/k".into());
    assert!(kubelet.pod_volumes.is_complete());
    let shown: Vec<String> = kubelet
        .pod_volumes
        .items
        .iter()
        .map(|volume| {
            let data = match &volume.data {
                Observed::Known(data) => format!("{} {}", data.driver, data.handle),
                Observed::Unknown(gap) => gap.to_string(),
            };
            format!("{} at {}: {data}", volume.spec_name, volume.target)
        })
        .collect();
    expect![[r#"
        pv-broken at /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-broken/mount: read /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-broken/vol_data.json: expected value at line 1 column 15 (Malformed)
        pv-good at /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-good/mount: disk.example.com vol-1
        pv-missing at /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-missing/mount: read /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-missing/vol_data.json: No such file or directory (os error 2) (NotFound)
        pv-pipe at /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-pipe/mount: read /k/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/pv-pipe/vol_data.json: not a regular file (Unavailable)"#]].assert_eq(&shown.join("\n"));

    let nothing = read_kubelet_dir(host.path(), &"/elsewhere".into());
    expect!["list the pods' directories in /elsewhere/pods: No such file or directory (os error 2) (Unavailable)"].assert_eq(&nothing.pod_volumes.gaps[0].to_string());
}

#[test]
fn the_kubelets_root_is_told_seen_or_known() {
    let host = tempfile::tempdir().unwrap();
    assert_eq!(discover_root(host.path()), "/var/lib/kubelet".into());
    fs::create_dir_all(host.path().join("var/lib/k0s/kubelet/pods")).unwrap();
    assert_eq!(discover_root(host.path()), "/var/lib/k0s/kubelet".into());
    let line = format!(
        "30 1 0:9 / /data/k/pods/{POD}/volumes/kubernetes.io~csi/v/mount rw - tmpfs t rw\n"
    );
    write(host.path(), "proc/1/mountinfo", line);
    assert_eq!(discover_root(host.path()), "/data/k".into());
    write(host.path(), "proc/77/comm", "kubelet\n");
    write(
        host.path(),
        "proc/77/cmdline",
        "/usr/bin/kubelet\0--root-dir=/told\0",
    );
    assert_eq!(discover_root(host.path()), "/told".into());
}

#[test]
fn a_linked_root_is_followed_inside_the_host() {
    let host = tempfile::tempdir().unwrap();
    let volume = format!("data/kubelet/pods/{POD}/volumes/kubernetes.io~csi/pv/vol_data.json");
    write(
        host.path(),
        &volume,
        r#"{"driverName":"d","volumeHandle":"v"}"#,
    );
    fs::create_dir_all(host.path().join("var/lib")).unwrap();
    symlink("/data/kubelet", host.path().join("var/lib/kubelet")).unwrap();
    let kubelet = read_kubelet_dir(host.path(), &"/var/lib/kubelet".into());
    assert_eq!(kubelet.pod_volumes.items.len(), 1);
    assert!(kubelet.pod_volumes.items[0].data.known().is_some());
}

#[test]
fn sizes_of_devices() {
    let host = tempfile::tempdir().unwrap();
    let number = |major, minor| DeviceNumber { major, minor };
    write(host.path(), "sys/dev/block/7:0/size", "262144\n");
    write(host.path(), "sys/dev/block/7:1/size", "many\n");
    write(host.path(), "sys/class/block/loop0/dev", "7:0\n");
    write(host.path(), "sys/class/block/dm-3/dev", "253:3\n");
    fs::create_dir_all(host.path().join("dev/mapper")).unwrap();
    symlink("../dm-3", host.path().join("dev/mapper/vg-lv")).unwrap();

    let size = |device| device_size(host.path(), device);
    assert_eq!(size(number(7, 0)), Observed::Known(Some(Bytes(128 << 20))));
    assert_eq!(size(number(0, 44)), Observed::Known(None));
    assert_eq!(size(number(7, 1)).gap().unwrap().why, Why::Malformed);
    expect!["read /sys/dev/block/8:0/size: No such file or directory (os error 2) (NotFound)"]
        .assert_eq(&size(number(8, 0)).gap().unwrap().to_string());

    let device = |fs_type: &str, source: &str, root: &str, device| {
        let mount = Mount {
            id: 1,
            parent: 1,
            device,
            root: root.into(),
            target: "/t".into(),
            options: "rw".into(),
            fs_type: fs_type.into(),
            source: source.into(),
            super_options: "rw".into(),
        };
        device_of(host.path(), &mount)
    };
    let anonymous = number(0, 50);
    assert_eq!(
        device("ext4", "/dev/loop0", "/", number(7, 0)),
        Some(number(7, 0))
    );
    assert_eq!(
        device("btrfs", "/dev/loop0", "/", anonymous),
        Some(number(7, 0))
    );
    assert_eq!(
        device("btrfs", "/dev/mapper/vg-lv", "/", anonymous),
        Some(number(253, 3))
    );
    assert_eq!(device("btrfs", "/dev/gone", "/", anonymous), None);
    assert_eq!(
        device("devtmpfs", "devtmpfs", "/loop0", number(0, 6)),
        Some(number(7, 0))
    );
    assert_eq!(device("tmpfs", "/dev/loop0", "/", anonymous), None);
    assert_eq!(device("nfs4", "server:/dev/loop0", "/", anonymous), None);
}

#[test]
fn a_real_filesystem_answers() {
    let host = tempfile::tempdir().unwrap();
    fs::create_dir(host.path().join("volume")).unwrap();
    let prober = Prober::new(host.path().to_owned(), Duration::from_secs(10), 4);
    let place = |target: &str, minor| Place {
        target: target.into(),
        device: DeviceNumber { major: 1, minor },
        fs_type: "ext4".into(),
    };
    let places = vec![place("/volume", 1), place("/missing", 2)];
    let answers = prober.look(Timestamp::UNIX_EPOCH, places, &BTreeMap::new());
    let usage = answers[&HostPath::from("/volume")].known().unwrap().usage;
    assert!(
        usage.total_bytes > 0 && usage.used_bytes <= usage.total_bytes,
        "{usage:?}"
    );
    expect!["statfs of /missing: No such file or directory (NotFound)"].assert_eq(
        &answers[&HostPath::from("/missing")]
            .gap()
            .unwrap()
            .to_string(),
    );
}
