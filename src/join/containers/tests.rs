//! Which mount of a container is a volume's.

use crate::model::mount::DeviceNumber;
use crate::model::objects::PodVolumeSource;
use crate::model::sample;
use crate::model::seen::NamespaceSeen;

use super::*;

/// A mount of a device's directory.
fn mount(device: (u32, u32), root: &str, target: &str) -> Mount {
    let (major, minor) = device;
    Mount {
        device: DeviceNumber { major, minor },
        root: root.into(),
        ..sample::mount(target.into())
    }
}

fn place(path: &str) -> ContainerPlace {
    ContainerPlace {
        container: "app".into(),
        id: Some("c0ffee".to_owned()),
        path: path.into(),
        sub_path: false,
    }
}

fn volume(places: &[ContainerPlace]) -> PodVolume {
    PodVolume {
        name: "data".into(),
        source: PodVolumeSource::Claim("data".to_owned()),
        read_only: false,
        places: places.to_vec(),
        health: Vec::new(),
    }
}

fn container(first: Vec<Mount>, others: Vec<Vec<Mount>>) -> ContainerSeen {
    let others = others.into_iter().zip(5000..);
    let others = others.map(|(mounts, process)| NamespaceSeen {
        process,
        table: Listing::complete(mounts),
    });
    ContainerSeen {
        pod: "u".into(),
        id: "c0ffee".to_owned(),
        process: 4711,
        table: Listing::complete(first),
        others: others.collect(),
    }
}

const HOST: (u32, u32) = (8, 16);
const OTHER: (u32, u32) = (8, 32);

/// Process and path of what is found at each of a volume's places, beside other volumes' places.
fn found(
    host: &Mount,
    places: &[ContainerPlace],
    beside: &[ContainerPlace],
    sub_paths: &[SubPath],
    seen: &ContainerSeen,
) -> Vec<Option<(u32, String)>> {
    let index = Index {
        pods: HashMap::from_iter([(&seen.pod, vec![seen])]),
        gap: None,
    };
    let wanted = Wanted {
        places,
        volumes: &[volume(places), volume(beside)],
        host: Some(host),
        sub_paths,
    };
    let inside = index.inside(&seen.pod, wanted);
    let shown = |one: &Inside| {
        let mount = one.mount.as_ref()?;
        assert_eq!(mount.target, one.path);
        Some((one.process, one.path.to_string()))
    };
    inside.known().unwrap().iter().map(shown).collect()
}

fn in_first(path: &str) -> (u32, String) {
    (4711, path.to_owned())
}

#[test]
fn a_path_through_a_link_of_the_image_is_found_where_it_leads() {
    let host = mount(HOST, "/", "/k/v");
    let linked = [place("/var/run/x")];
    let seen = |mounts| container(mounts, Vec::new());
    let there = vec![mount(OTHER, "/", "/other"), mount(HOST, "/", "/run/x")];
    assert_eq!(
        found(&host, &linked, &[], &[], &seen(there)),
        [Some(in_first("/run/x"))]
    );
    let elsewhere = vec![mount(OTHER, "/", "/run/x"), mount(HOST, "/sub", "/run/y")];
    assert_eq!(found(&host, &linked, &[], &[], &seen(elsewhere)), [None]);
}

#[test]
fn what_lies_at_the_place_itself_is_told_whatever_it_is() {
    let host = mount(HOST, "/", "/k/v");
    let seen = vec![mount(OTHER, "/", "/data"), mount(HOST, "/", "/run/x")];
    let seen = container(seen, Vec::new());
    assert_eq!(
        found(&host, &[place("/data")], &[], &[], &seen),
        [Some(in_first("/data"))]
    );
}

#[test]
fn one_of_two_volumes_of_a_filesystem_is_missed() {
    let host = mount(HOST, "/volumes/a", "/k/v");
    let other = || mount(HOST, "/volumes/b", "/var/lib/b");
    let seen = container(vec![other()], Vec::new());
    assert_eq!(
        found(&host, &[place("/a")], &[place("/var/lib/b")], &[], &seen),
        [None]
    );
    // A share has one root for all of its volumes.
    let host = mount(HOST, "/", "/k/v");
    let seen = container(vec![mount(HOST, "/", "/b")], Vec::new());
    assert_eq!(
        found(&host, &[place("/a")], &[place("/b")], &[], &seen),
        [None]
    );
}

#[test]
fn one_of_two_places_of_a_volume_is_missed() {
    let host = mount(HOST, "/", "/k/v");
    let seen = || container(vec![mount(HOST, "/", "/run/a")], Vec::new());
    let places = [place("/run/a"), place("/b")];
    assert_eq!(
        found(&host, &places, &[], &[], &seen()),
        [Some(in_first("/run/a")), None]
    );
    let linked = [place("/var/run/a"), place("/var/run/b")];
    assert_eq!(
        found(&host, &linked, &[], &[], &seen()),
        [Some(in_first("/run/a")), None]
    );
}

#[test]
fn a_directory_of_a_volume_is_known_by_its_root() {
    let host = mount(HOST, "/", "/k/v");
    let linked = [ContainerPlace {
        sub_path: true,
        ..place("/var/run/x")
    }];
    let bind = |root| SubPath {
        container: "app".into(),
        mount: mount(HOST, root, "/k/sub"),
    };
    let seen = || container(vec![mount(HOST, "/thumbs", "/run/x")], Vec::new());
    let there = [Some(in_first("/run/x"))];
    assert_eq!(
        found(&host, &linked, &[], &[bind("/thumbs")], &seen()),
        there
    );
    assert_eq!(
        found(&host, &linked, &[], &[bind("/full")], &seen()),
        [None]
    );
    assert_eq!(found(&host, &linked, &[], &[], &seen()), there);
}

#[test]
fn a_volume_that_another_namespace_of_the_container_has_is_there() {
    let host = mount(HOST, "/", "/k/v");
    let places = [place("/data")];
    let seen = container(Vec::new(), vec![vec![mount(HOST, "/", "/data")]]);
    let in_other = [Some((5000, "/data".to_owned()))];
    assert_eq!(found(&host, &places, &[], &[], &seen), in_other);
    let something_else = vec![mount(OTHER, "/", "/data")];
    let seen = container(Vec::new(), vec![Vec::new(), something_else]);
    assert_eq!(found(&host, &places, &[], &[], &seen), [None]);
}

#[test]
fn what_a_container_sees_of_the_hosts_directories_is_not_its_own() {
    let host = mount(HOST, "/", "/k/pods/u/volumes/kubernetes.io~csi/v/mount");
    let copies = || {
        vec![
            mount(
                HOST,
                "/",
                "/host/k/pods/u/volumes/kubernetes.io~csi/v/mount",
            ),
            mount(HOST, "/", "/k/plugins/kubernetes.io/csi/d/1/globalmount"),
        ]
    };
    let seen = container(copies(), vec![copies()]);
    assert_eq!(found(&host, &[place("/data")], &[], &[], &seen), [None]);
}

#[test]
fn an_older_mount_behind_a_link_is_found() {
    let host = mount((0, 91), "/", "/k/v");
    let older = |target| container(vec![mount((0, 57), "/", target)], Vec::new());
    let linked = [place("/var/run/x")];
    assert_eq!(
        found(&host, &linked, &[], &[], &older("/run/x")),
        [Some(in_first("/run/x"))]
    );
    assert_eq!(found(&host, &linked, &[], &[], &older("/run/y")), [None]);
}

#[test]
fn of_mounts_one_over_another_the_topmost_counts() {
    let numbered = |id, parent, device| Mount {
        id,
        parent,
        ..mount(device, "/", "/data")
    };
    let mounts = [numbered(9, 8, OTHER), numbered(8, 1, HOST)];
    let top = at(&mounts, &"/data".into()).map(|mount| mount.id);
    assert_eq!(top, Some(9));
}
