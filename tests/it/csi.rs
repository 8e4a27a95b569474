//! Plugins at real sockets: well, refusing, silent, stale, and speaking nonsense.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use csi_doctor::csi::Plugins;
use csi_doctor::csi::sockets::find_sockets;
use csi_doctor::model::driver::Plugin;
use csi_doctor::model::names::{DriverName, HostPath};
use csi_doctor::model::observed::{Listing, Observed, Why};
use csi_doctor::model::seen::PluginSeen;
use csi_doctor::model::volume::DriverStats;
use expect_test::{Expect, expect};
use futures::future::join_all;
use tonic::Status;

use crate::support::fake_plugin::{
    Manner, Stats, leave_stale, never_accept, plugin_socket, registrar_socket, serve_plugin,
    serve_registrar, speak_nonsense,
};

/// Long enough for a busy machine, where something answers.
const LONG: Duration = Duration::from_secs(30);

/// Where nothing answers.
const SHORT: Duration = Duration::from_millis(300);

/// A host root with a kubelet's directory at `/k`.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(host.path().join("k/plugins_registry")).unwrap();
        std::fs::create_dir_all(host.path().join("k/plugins/kubernetes.io/csi")).unwrap();
        Self(host)
    }

    fn kubelet(&self) -> PathBuf {
        self.0.path().join("k")
    }

    fn plugins(&self, deadline: Duration) -> Plugins {
        Plugins::new(self.0.path().to_owned(), deadline)
    }
}

fn show(seen: &Listing<PluginSeen>) -> String {
    let plugins = seen.items.iter().map(|one| match &one.plugin {
        Observed::Known(plugin) => format!(
            "{} at {}: version {:?}, ready {:?}, can {:?}\n",
            one.name,
            one.socket,
            plugin.version,
            plugin.ready.known(),
            plugin.capabilities.known()
        ),
        Observed::Unknown(gap) => format!("{} at {}: {gap}\n", one.name, one.socket),
    });
    let gaps = seen.gaps.iter().map(|gap| format!("gap: {gap}\n"));
    plugins.chain(gaps).collect()
}

async fn check(host: &Host, deadline: Duration, expected: &Expect) {
    let seen = host.plugins(deadline).identify(&"/k".into()).await;
    expected.assert_eq(&show(&seen));
}

fn socket(directory: &str) -> HostPath {
    HostPath::from(plugin_socket(Path::new("/k"), directory))
}

async fn stats(plugins: &Plugins, directory: &str, volume: &str) -> Observed<DriverStats> {
    let path = HostPath::from("/k/pods/p/mount");
    plugins
        .stats(&socket(directory), &volume.into(), &path, None)
        .await
}

fn why(answer: &Observed<DriverStats>) -> Option<Why> {
    answer.gap().map(|gap| gap.why)
}

#[tokio::test]
async fn well_plugins_are_one_entry_each() {
    let host = Host::new();
    let disk = Manner::of("disk.example.com");
    let share = Manner::of("share.example.com");
    let _disk = serve_plugin(&host.kubelet(), "csi-disk", &disk);
    let _share = serve_plugin(&host.kubelet(), "share", &share);
    let endpoint = "unix:///k/plugins/csi-disk/csi.sock";
    let _registrar = serve_registrar(&host.kubelet(), "CSIPlugin", "disk.example.com", endpoint);
    let _other = serve_registrar(&host.kubelet(), "DRAPlugin", "gpu.example.com", "/gpu.sock");
    check(&host, LONG, &expect![[r#"
        disk.example.com at /k/plugins/csi-disk/csi.sock: version "1.2.3", ready Some(true), can Some(["77", "GET_VOLUME_STATS", "STAGE_UNSTAGE_VOLUME"])
        share.example.com at /k/plugins/share/csi.sock: version "1.2.3", ready Some(true), can Some(["77", "GET_VOLUME_STATS", "STAGE_UNSTAGE_VOLUME"])
    "#]]).await;
}

/// What a plugin says of itself beside its name.
async fn known(plugins: &Plugins) -> Plugin {
    let seen = plugins.identify(&"/k".into()).await;
    let plugin = seen.items.into_iter().next().unwrap().plugin;
    plugin.known().unwrap().clone()
}

#[tokio::test]
async fn readiness_has_four_dialects() {
    let host = Host::new();
    let disk = Manner::of("disk.example.com");
    let _disk = serve_plugin(&host.kubelet(), "disk", &disk);
    let plugins = host.plugins(LONG);
    let mut shown = String::new();
    let lost = Status::failed_precondition("no iscsid");
    for answer in [None, Some(Ok(true)), Some(Ok(false)), Some(Err(lost))] {
        *disk.ready.lock().unwrap() = answer;
        let ready = known(&plugins).await.ready;
        let said = match ready.gap() {
            Some(gap) => gap.to_string(),
            None => format!("{:?}", ready.known()),
        };
        writeln!(shown, "{said}").unwrap();
    }
    expect![[r#"
        Some(true)
        Some(true)
        Some(false)
        call Probe at /k/plugins/disk/csi.sock: FailedPrecondition: no iscsid (Unavailable)
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn health_is_asked_where_the_plugin_has_the_calls() {
    let host = Host::new();
    let disk = Manner::of("disk.example.com");
    let _disk = serve_plugin(&host.kubelet(), "disk", &disk);
    let plugins = host.plugins(LONG);
    let before = known(&plugins).await.storage_health;
    assert_eq!(before.gap().map(|gap| gap.why), Some(Why::Unsupported));
    *disk.health.lock().unwrap() = Some(vec![1, 2, 3, 0, 99]);
    let storage = known(&plugins).await.storage_health;
    let path = HostPath::from("/k/pods/p/mount");
    let volume = plugins
        .health(&socket("disk"), &"a".into(), &path, None)
        .await;
    let mut shown = String::new();
    for (of, health) in [("storage", storage), ("volume", volume)] {
        for entry in health.known().unwrap() {
            writeln!(shown, "{of}: {entry}").unwrap();
        }
    }
    expect![[r#"
        storage: Degraded
        storage: Unreachable
        storage: something that is not known here (3)
        storage: something that is not known here (0)
        storage: something that is not known here (99)
        volume: Degraded (Told): ab
        volume: Inaccessible (Told): ab
        volume: DataLoss (Told): ab
        volume: something that is not known here (0) (Told): ab
        volume: something that is not known here (99) (Told): ab
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn what_the_node_is_called_is_asked_once_for_each_start() {
    let host = Host::new();
    let disk = Manner::of("disk.example.com");
    let served = serve_plugin(&host.kubelet(), "disk", &disk);
    let plugins = host.plugins(LONG);
    for _ in 0..3 {
        let info = known(&plugins).await.info;
        let info = info.known().unwrap();
        assert_eq!((info.node_id.as_str(), info.max_volumes), ("node-1", 0));
    }
    assert_eq!(disk.named_node.load(Ordering::SeqCst), 1);
    drop(served);
    let _again = serve_plugin(&host.kubelet(), "disk", &disk);
    known(&plugins).await;
    assert_eq!(disk.named_node.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn registrars_say_as_what_a_plugin_is_registered() {
    let host = Host::new();
    let (disk, share, tape) = (
        Manner::of("disk.example.com"),
        Manner::of("share.example.com"),
        Manner::of("tape.example.com"),
    );
    let _disk = serve_plugin(&host.kubelet(), "disk.example.com", &disk);
    let _share = serve_plugin(&host.kubelet(), "share.example.com", &share);
    let _tape = serve_plugin(&host.kubelet(), "tape.example.com", &tape);
    let endpoint = "/k/plugins/disk.example.com/csi.sock";
    let _registrar = serve_registrar(&host.kubelet(), "CSIPlugin", "old.example.com", endpoint);
    let _silent = never_accept(&registrar_socket(&host.kubelet(), "tape.example.com"));
    let seen = host.plugins(SHORT).identify(&"/k".into()).await;
    let mut shown = String::new();
    for one in &seen.items {
        let said = match &one.registered_as {
            Observed::Known(name) => format!("{:?}", name.as_ref().map(DriverName::as_str)),
            Observed::Unknown(gap) => format!("{:?}", gap.why),
        };
        writeln!(shown, "{}: {said}", one.name).unwrap();
    }
    expect![[r#"
        disk.example.com: Some("old.example.com")
        share.example.com: None
        tape.example.com: TimedOut
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn unwell_plugins_are_told_apart() {
    let host = Host::new();
    let refusing = Manner::of("refusing.example.com");
    *refusing.error.lock().unwrap() = Some(Status::internal("no \x1b[31mbackend\nat all"));
    let silent = Manner::of("silent.example.com");
    silent.never.store(true, Ordering::SeqCst);
    let _refusing = serve_plugin(&host.kubelet(), "refusing", &refusing);
    let _silent = serve_plugin(&host.kubelet(), "silent", &silent);
    let _deaf = never_accept(&plugin_socket(&host.kubelet(), "deaf"));
    leave_stale(&plugin_socket(&host.kubelet(), "stale"));
    leave_stale(&registrar_socket(&host.kubelet(), "stale"));
    leave_stale(&registrar_socket(&host.kubelet(), "gone.example.com"));
    let _liar = serve_registrar(
        &host.kubelet(),
        "CSIPlugin",
        "liar.example.com",
        "not a path",
    );
    let _lost = serve_registrar(
        &host.kubelet(),
        "CSIPlugin",
        "lost.example.com",
        "/k/lost.sock",
    );
    check(&host, SHORT, &expect![[r#"
        deaf at /k/plugins/deaf/csi.sock: call GetPluginInfo at /k/plugins/deaf/csi.sock: no answer within 300ms (TimedOut)
        gone.example.com at /k/plugins_registry/gone.example.com-reg.sock: connect to /k/plugins_registry/gone.example.com-reg.sock: connection refused: nobody listens at this socket (Unavailable)
        liar.example.com at /k/plugins_registry/liar.example.com-reg.sock: call GetInfo at /k/plugins_registry/liar.example.com-reg.sock: its endpoint is no path: "not a path" (Malformed)
        lost.example.com at /k/lost.sock: connect to /k/lost.sock: there is no such socket (NotFound)
        refusing at /k/plugins/refusing/csi.sock: call GetPluginInfo at /k/plugins/refusing/csi.sock: Internal: no [31mbackend at all (Unavailable)
        silent at /k/plugins/silent/csi.sock: call GetPluginInfo at /k/plugins/silent/csi.sock: no answer within 300ms (TimedOut)
        stale at /k/plugins/stale/csi.sock: connect to /k/plugins/stale/csi.sock: connection refused: nobody listens at this socket (Unavailable)
    "#]]).await;
}

#[tokio::test]
async fn a_socket_that_speaks_something_else_is_unavailable() {
    let host = Host::new();
    speak_nonsense(&plugin_socket(&host.kubelet(), "nonsense"));
    let seen = host.plugins(LONG).identify(&"/k".into()).await;
    let gap = seen.items[0].plugin.gap().unwrap();
    assert_eq!(gap.why, Why::Unavailable, "{gap}");
    // Where exactly it breaks is a matter of timing.
    let begin = "call GetPluginInfo at /k/plugins/nonsense/csi.sock: ";
    assert!(gap.what.starts_with(begin), "{gap}");
}

#[tokio::test]
async fn silent_plugins_are_waited_for_together() {
    let host = Host::new();
    let deaf: Vec<_> = (0..20)
        .map(|number| never_accept(&plugin_socket(&host.kubelet(), &format!("deaf-{number}"))))
        .collect();
    let begun = Instant::now();
    let seen = host.plugins(SHORT).identify(&"/k".into()).await;
    assert_eq!(seen.items.len(), deaf.len());
    assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_missing_directory_is_a_gap() {
    let host = Host(tempfile::tempdir().unwrap());
    check(&host, LONG, &expect![[r#"
        gap: look for sockets in /k/plugins_registry: No such file or directory (os error 2) (NotFound)
        gap: look for sockets in /k/plugins: No such file or directory (os error 2) (NotFound)
    "#]]).await;
}

#[tokio::test]
async fn a_plugin_that_comes_back_is_known_again() {
    let host = Host::new();
    let plugins = host.plugins(LONG);
    let manner = Manner::of("disk.example.com");
    let known = async || {
        let seen = plugins.identify(&"/k".into()).await;
        seen.items[0].plugin.known().is_some()
    };
    let served = serve_plugin(&host.kubelet(), "disk", &manner);
    assert!(known().await);
    drop(served);
    leave_stale(&plugin_socket(&host.kubelet(), "disk"));
    assert!(!known().await);
    let _served = serve_plugin(&host.kubelet(), "disk", &manner);
    assert!(known().await);
}

#[tokio::test]
async fn a_silent_plugin_that_wakes_is_known_again() {
    let host = Host::new();
    let plugins = host.plugins(SHORT);
    let manner = Manner::of("disk.example.com");
    manner.never.store(true, Ordering::SeqCst);
    let _served = serve_plugin(&host.kubelet(), "disk", &manner);
    let mut since = Vec::new();
    for _ in 0..2 {
        let seen = plugins.identify(&"/k".into()).await;
        let gap = seen.items[0].plugin.gap().unwrap();
        assert_eq!(gap.why, Why::TimedOut);
        since.push(gap.since.unwrap());
    }
    assert_eq!(since[0], since[1], "it is silent since the first time");
    manner.never.store(false, Ordering::SeqCst);
    let seen = plugins.identify(&"/k".into()).await;
    assert_eq!(seen.items[0].name, "disk.example.com".into());
    assert!(seen.items[0].plugin.known().is_some());
}

#[test]
fn sockets_are_found_where_the_kubelet_looks() {
    let host = Host::new();
    let kubelet = host.kubelet();
    leave_stale(&registrar_socket(&kubelet, "disk.example.com"));
    leave_stale(&kubelet.join("plugins_registry/other.sock"));
    leave_stale(&kubelet.join("plugins_registry/.hidden-reg.sock"));
    leave_stale(&kubelet.join("plugins_registry/nested/deep-reg.sock"));
    leave_stale(&plugin_socket(&kubelet, "disk"));
    leave_stale(&kubelet.join("plugins/disk/admin.sock"));
    std::fs::create_dir(kubelet.join("plugins/file")).unwrap();
    std::fs::write(kubelet.join("plugins/file/csi.sock"), "no socket").unwrap();
    let found = find_sockets(host.0.path(), &"/k".into());
    let shown: Vec<String> = found
        .items
        .iter()
        .map(|socket| {
            format!(
                "{:?} {} at {}",
                socket.kind, socket.driver_hint, socket.path
            )
        })
        .collect();
    assert!(found.is_complete());
    expect![[r#"
        Registration disk.example.com at /k/plugins_registry/disk.example.com-reg.sock
        Registration deep at /k/plugins_registry/nested/deep-reg.sock
        Registration other at /k/plugins_registry/other.sock
        Plugin disk at /k/plugins/disk/csi.sock"#]]
    .assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn a_path_longer_than_the_kernel_takes_is_reached() {
    let host = Host::new();
    let plugins = host.plugins(LONG);
    let long = "d".repeat(120);
    let manner = Manner::of("long.example.com");
    // It must be bound under a short name, too, and moved to its place.
    let _served = serve_plugin(&host.kubelet(), "short", &manner);
    std::fs::rename(
        host.kubelet().join("plugins/short"),
        host.kubelet().join("plugins").join(&long),
    )
    .unwrap();
    let seen = plugins.identify(&"/k".into()).await;
    assert_eq!(seen.items[0].name, "long.example.com".into());
}

#[tokio::test]
async fn stats_of_volumes() {
    let host = Host::new();
    let manner = Manner::of("disk.example.com");
    manner.volumes.lock().unwrap().extend([
        (
            "good".to_owned(),
            Stats::Usage {
                total: 100,
                used: 40,
            },
        ),
        ("busy".to_owned(), Stats::Error(Status::aborted("pending"))),
        ("odd".to_owned(), Stats::Error(Status::unknown("rpc error"))),
    ]);
    let _served = serve_plugin(&host.kubelet(), "disk", &manner);
    let plugins = host.plugins(LONG);
    let mut shown = String::new();
    for volume in ["good", "busy", "odd", "missing"] {
        let words = match stats(&plugins, "disk", volume).await {
            Observed::Known(stats) => format!("{} used", stats.usage.unwrap().used_bytes),
            Observed::Unknown(gap) => gap.to_string(),
        };
        writeln!(shown, "{volume}: {words}").unwrap();
    }
    expect![[r#"
        good: 40 used
        busy: call NodeGetVolumeStats for volume busy at /k/plugins/disk/csi.sock: busy: the kubelet or a sidecar has a call for it under way (Unavailable)
        odd: call NodeGetVolumeStats for volume odd at /k/plugins/disk/csi.sock: Unknown: rpc error (Unavailable)
        missing: call NodeGetVolumeStats for volume missing at /k/plugins/disk/csi.sock: NotFound: volume missing is not here (NotFound)
    "#]].assert_eq(&shown);
}

#[tokio::test]
async fn a_volume_whose_turn_does_not_come_is_not_waited_for() {
    let host = Host::new();
    let manner = Manner::of("disk.example.com");
    manner
        .volumes
        .lock()
        .unwrap()
        .extend(["a", "b", "c", "d"].map(|volume| (volume.to_owned(), Stats::Never)));
    let _served = serve_plugin(&host.kubelet(), "disk", &manner);
    let plugins = host.plugins(SHORT);
    let asked = ["a", "b", "c", "d"].map(|volume| stats(&plugins, "disk", volume));
    let answers = join_all(asked).await;
    // The first takes the whole deadline; of the others at most one has its turn just then.
    let not_asked = answers.iter().filter(|one| why(one) == Some(Why::NotAsked));
    assert!(not_asked.count() >= 2, "{answers:?}");
    assert_eq!(why(&answers[0]), Some(Why::TimedOut));
}

#[tokio::test]
async fn one_call_is_under_way_at_a_time() {
    let host = Host::new();
    let manner = Manner::of("disk.example.com");
    let names: Vec<String> = (0..20).map(|number| format!("volume-{number}")).collect();
    let usage = Stats::Usage { total: 2, used: 1 };
    let volumes = names.iter().map(|name| (name.clone(), usage.clone()));
    manner.volumes.lock().unwrap().extend(volumes);
    let _served = serve_plugin(&host.kubelet(), "disk", &manner);
    let plugins = host.plugins(LONG);
    let answers = join_all(names.iter().map(|name| stats(&plugins, "disk", name))).await;
    assert!(answers.iter().all(|answer| answer.known().is_some()));
    assert_eq!(manner.most_at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_silent_volume_does_not_silence_the_others() {
    let host = Host::new();
    let manner = Manner::of("disk.example.com");
    manner.volumes.lock().unwrap().extend([
        ("hung".to_owned(), Stats::Never),
        ("good".to_owned(), Stats::Usage { total: 2, used: 1 }),
    ]);
    let _served = serve_plugin(&host.kubelet(), "disk", &manner);
    let plugins = host.plugins(SHORT);
    assert_eq!(
        why(&stats(&plugins, "disk", "hung").await),
        Some(Why::TimedOut)
    );
    let again = stats(&plugins, "disk", "hung").await;
    assert_eq!(why(&again), Some(Why::TimedOut));
    assert!(again.gap().unwrap().since.is_some());
    assert_eq!(why(&stats(&plugins, "disk", "good").await), None);
    let calls = manner.calls.lock().unwrap().clone();
    assert_eq!(
        calls,
        ["hung", "good"],
        "a volume that hangs is not asked for again at once"
    );
}

#[tokio::test]
async fn a_plugin_that_is_not_there_is_told_for_each_volume() {
    let host = Host::new();
    let plugins = Arc::new(host.plugins(LONG));
    expect!["connect to /k/plugins/disk/csi.sock: there is no such socket (NotFound)"].assert_eq(
        &stats(&plugins, "disk", "v")
            .await
            .gap()
            .unwrap()
            .to_string(),
    );
}
