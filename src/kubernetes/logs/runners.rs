//! Which containers matter to a driver's volumes: by what pods run, never by who made them.
//!
//! A sidecar says by `--csi-address` where its driver's socket is, and what it does by its own name; the
//! container that has the same directory and no such word is the driver. Whose driver it is stands in
//! arguments, variables, paths and, for who leads, in a Lease.
//!
//! Sources: csi-lib-utils `leaderelection`, external-provisioner, -attacher and -resizer `cmd`.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;

use crate::model::names::NodeName;

/// A container that works for a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runner {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) node: Option<NodeName>,
    pub(super) role: Role,
    /// It serves one node: its pod registers the driver with a kubelet.
    pub(super) on_node: bool,
    /// Who leads says it of itself by a Lease.
    pub(super) leads: bool,
    /// It was restarted: what it said before is in the log of its earlier life.
    pub(super) restarted: bool,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Provisioner,
    Attacher,
    Resizer,
    Driver,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioner => "provisioner",
            Self::Attacher => "attacher",
            Self::Resizer => "resizer",
            Self::Driver => "driver",
        }
    }
}

/// The containers of a pod that work for a driver.
pub(super) fn runners(pod: &core::Pod, driver: &str, leaders: &[Leader]) -> Vec<Runner> {
    let (Some(spec), Some(name)) = (&pod.spec, &pod.metadata.name) else {
        return Vec::new();
    };
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let words: Vec<Vec<String>> = spec.containers.iter().map(words).collect();
    let sockets: Vec<&core::Container> = spec
        .containers
        .iter()
        .zip(&words)
        .filter(|(_, words)| has_socket(words))
        .map(|(container, _)| container)
        .collect();
    if sockets.is_empty() {
        return Vec::new();
    }
    let leads = leaders.iter().any(|one| one.is(&namespace, name, driver));
    let paths = spec.volumes.iter().flatten();
    let paths = paths.filter_map(|volume| Some(volume.host_path.as_ref()?.path.as_str()));
    let paths: Vec<&str> = paths.collect();
    let names = words.iter().flatten().map(String::as_str);
    let is_its = leads
        || names
            .chain(paths.iter().copied())
            .any(|text| has_word(text, driver));
    if !is_its {
        return Vec::new();
    }
    let registers = paths.iter().any(|path| path.contains("plugins_registry"));
    let told = spec.containers.iter().zip(&words);
    let found = told.filter_map(|(container, words)| {
        let role = role(container, words, &sockets)?;
        Some(Runner {
            namespace: namespace.clone(),
            pod: name.clone(),
            container: container.name.clone(),
            node: spec.node_name.clone().map(Into::into),
            role,
            on_node: registers,
            leads,
            restarted: was_restarted(pod, &container.name),
        })
    });
    found.collect()
}

fn was_restarted(pod: &core::Pod, container: &str) -> bool {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_ref());
    let mut statuses = statuses.into_iter().flatten();
    statuses.any(|one| one.name == container && one.restart_count > 0)
}

/// Command, arguments and variables of a container, with its variables put in.
fn words(container: &core::Container) -> Vec<String> {
    let variables = container.env.iter().flatten();
    let variables: BTreeMap<&str, &str> = variables
        .filter_map(|one| Some((one.name.as_str(), one.value.as_deref()?)))
        .collect();
    let said = container.command.iter().chain(&container.args).flatten();
    let mut words: Vec<String> = said
        .map(|word| {
            let mut word = word.clone();
            for (name, value) in &variables {
                word = word.replace(&format!("$({name})"), value);
            }
            word
        })
        .collect();
    words.extend(
        variables
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    words
}

/// Whether a container is told of a CSI socket.
fn has_socket(words: &[String]) -> bool {
    words.iter().any(|word| {
        let flag = word.trim_start_matches('-');
        flag.starts_with("csi-address")
            || word.starts_with("CSI_ENDPOINT=")
            || (word.contains("unix:") && word.contains(".sock"))
    })
}

/// What a container does: a sidecar by the last part of its image or its own name.
fn role(
    container: &core::Container,
    words: &[String],
    sockets: &[&core::Container],
) -> Option<Role> {
    let is_sidecar = words
        .iter()
        .any(|word| word.trim_start_matches('-').starts_with("csi-address"));
    if is_sidecar {
        let image = container.image.as_deref().unwrap_or_default();
        let image = image.rsplit('/').next().unwrap_or_default();
        let command = container.command.iter().flatten().next();
        let command = command.map(String::as_str).unwrap_or_default();
        let does = |word: &str| {
            [image, &container.name, command]
                .iter()
                .any(|text| text.contains(word))
        };
        return [
            ("provisioner", Role::Provisioner),
            ("attacher", Role::Attacher),
            ("resizer", Role::Resizer),
        ]
        .into_iter()
        .find(|(word, _)| does(word))
        .map(|(_, role)| role);
    }
    let mounts = |one: &core::Container| -> Vec<String> {
        let mounts = one.volume_mounts.iter().flatten();
        mounts.map(|mount| mount.name.clone()).collect()
    };
    let own = mounts(container);
    let shares = sockets
        .iter()
        .any(|one| one.name == container.name || mounts(one).iter().any(|name| own.contains(name)));
    shares.then_some(Role::Driver)
}

/// Whether a text has a name as a whole word.
pub(super) fn has_word(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let mut after = text[at + name.len()..].chars();
            // A full stop that ends a sentence, and none that goes on with a name.
            let next = match after.next() {
                Some('.') => after.next(),
                next => next,
            };
            !before.is_some_and(part) && !next.is_some_and(part)
        })
}

/// Who leads, by a Lease.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    namespace: String,
    lease: String,
    holder: String,
}

impl Leader {
    /// The one of a Lease that somebody holds.
    pub(super) fn of(lease: Lease) -> Option<Self> {
        Some(Self {
            namespace: lease.metadata.namespace?,
            lease: lease.metadata.name?,
            holder: lease.spec?.holder_identity?,
        })
    }

    /// Whether a pod leads for a driver: Leases are named after it, in letters, digits and hyphens, and
    /// held by a host's name, which is the pod's.
    fn is(&self, namespace: &str, pod: &str, driver: &str) -> bool {
        let plain: String = driver
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        self.namespace == namespace
            && (self.lease.ends_with(&plain) || self.lease.ends_with(driver))
            && (self.holder == pod || self.holder.starts_with(&format!("{pod}_")))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;
    use serde_json::{Value, json};

    use super::*;

    fn shown(pod: &Value, driver: &str, leaders: &[Leader]) -> String {
        let pod = serde_json::from_value(pod.clone()).unwrap();
        let mut shown = String::new();
        for one in runners(&pod, driver, leaders) {
            let node = if one.on_node { "node" } else { "controller" };
            writeln!(
                shown,
                "{} {} {node} leads: {}",
                one.container,
                one.role.as_str(),
                one.leads
            )
            .unwrap();
        }
        shown
    }

    fn controller() -> Value {
        json!({"metadata": {"namespace": "storage", "name": "ctl-0"}, "spec": {
            "volumes": [{"name": "socket-dir", "emptyDir": {}}],
            "containers": [
                {"name": "csi-provisioner", "image": "r/csi-provisioner:v5", "args": ["--csi-address=$(ADDRESS)"],
                    "env": [{"name": "ADDRESS", "value": "/csi/csi.sock"}], "volumeMounts": [{"name": "socket-dir", "mountPath": "/csi"}]},
                {"name": "a", "image": "r/csi-attacher@sha256:0", "args": ["-csi-address", "/csi/csi.sock"], "volumeMounts": [{"name": "socket-dir", "mountPath": "/csi"}]},
                {"name": "liveness", "image": "r/livenessprobe", "args": ["--csi-address=/csi/csi.sock"], "volumeMounts": [{"name": "socket-dir", "mountPath": "/csi"}]},
                {"name": "plugin", "image": "r/whatever", "args": ["--endpoint=unix:///csi/csi.sock"], "volumeMounts": [{"name": "socket-dir", "mountPath": "/csi"}]},
                {"name": "proxy", "image": "r/kube-rbac-proxy"}]}})
    }

    #[test]
    fn a_lease_says_whose_controller_it_is() {
        let lease = |name: &str, holder: &str| {
            let lease = json!({"metadata": {"namespace": "storage", "name": name}, "spec": {"holderIdentity": holder}});
            Leader::of(serde_json::from_value(lease).unwrap()).unwrap()
        };
        let pod = controller();
        assert_eq!(shown(&pod, "disk.example.com", &[]), "");
        let other = lease("external-attacher-leader-nfs-example-com", "ctl-0");
        assert_eq!(shown(&pod, "disk.example.com", &[other]), "");
        let elsewhere = lease("external-attacher-leader-disk-example-com", "ctl-1");
        assert_eq!(shown(&pod, "disk.example.com", &[elsewhere]), "");
        let own = lease("external-attacher-leader-disk-example-com", "ctl-0");
        expect![[r#"
            csi-provisioner provisioner controller leads: true
            a attacher controller leads: true
            plugin driver controller leads: true
        "#]]
        .assert_eq(&shown(&pod, "disk.example.com", &[own]));
    }

    #[test]
    fn a_word_says_whose_node_plugin_it_is() {
        let pod = json!({"metadata": {"namespace": "storage", "name": "node-x"}, "spec": {"nodeName": "node-1",
            "volumes": [{"name": "dir", "hostPath": {"path": "/var/lib/kubelet/plugins/disk.example.com"}},
                {"name": "reg", "hostPath": {"path": "/var/lib/kubelet/plugins_registry"}}],
            "containers": [
                {"name": "registrar", "image": "r/csi-node-driver-registrar", "args": ["--csi-address=/csi/csi.sock"], "volumeMounts": [{"name": "dir", "mountPath": "/csi"}]},
                {"name": "driver", "image": "r/d", "env": [{"name": "CSI_ENDPOINT", "value": "unix:/csi/csi.sock"}], "volumeMounts": [{"name": "dir", "mountPath": "/csi"}]}]}});
        expect![[r#"
            driver driver node leads: false
        "#]]
        .assert_eq(&shown(&pod, "disk.example.com", &[]));
        // Another driver whose name goes on, and a pod that only speaks of it.
        assert_eq!(shown(&pod, "disk.example", &[]), "");
        let talks = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "x", "args": ["disk.example.com"]}]}});
        assert_eq!(shown(&talks, "disk.example.com", &[]), "");
    }
}
