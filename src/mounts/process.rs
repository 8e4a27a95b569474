//! The kubelet's own process, and the static pods that it was given.
//!
//! It reads the names and command lines of processes, and the kubelet's configuration where that can
//! be seen from here; it touches no volume.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::KubeletProcess;

use super::file;

/// The name of the program itself.
const KUBELET: &[u8] = b"kubelet";

/// The first 15 characters of the names of programs that have a kubelet inside.
const AROUND: [&[u8]; 8] = [
    b"hyperkube",
    b"kubelite",
    b"k0s",
    b"k3s",
    b"k3s-server",
    b"k3s-agent",
    b"rke2",
    b"rke2-agent",
];

/// A command line longer than this is cut by nobody, and is no kubelet's.
const MAX_COMMAND: u64 = 128 * 1024;

/// A kubelet's configuration has some dozens of lines.
const MAX_CONFIG: u64 = 1024 * 1024;

/// A process that is a kubelet, or has one inside.
pub(super) struct Found {
    process: u32,
    alone: bool,
    /// Its arguments, each ended by a zero byte.
    pub(super) command: Vec<u8>,
}

/// The kubelet's process; none where none is seen among processes of the host.
pub fn read_kubelet(host_root: &Path) -> Observed<Option<KubeletProcess>> {
    let found = match kubelets(host_root) {
        Ok(found) => found,
        Err(error) => {
            let proc = HostPath::from("/proc");
            return Observed::Unknown(file::gap("list the processes in", &proc, &error));
        }
    };
    Observed::Known(found.into_iter().next().map(|found| KubeletProcess {
        process: found.process,
        static_pods: static_pods(host_root, &found),
    }))
}

/// The processes that are a kubelet or have one inside, the oldest first.
pub(super) fn kubelets(host_root: &Path) -> io::Result<Vec<Found>> {
    let proc = file::below(host_root, &"/proc".into());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&proc)?.flatten() {
        let number = entry.file_name();
        let number = number.to_str().and_then(|name| name.parse().ok());
        let Some(process) = number else { continue };
        let directory = entry.path();
        // The name first: reading the command line of a process that hangs in a page fault can hang too.
        let Ok(name) = file::read_small(&directory.join("comm"), 64) else {
            continue;
        };
        let name = name.trim_ascii_end();
        if name != KUBELET && !AROUND.contains(&name) {
            continue;
        }
        if let Ok(command) = file::read_small(&directory.join("cmdline"), MAX_COMMAND) {
            found.push(Found {
                process,
                alone: name == KUBELET,
                command,
            });
        }
    }
    found.sort_by_key(|one| one.process);
    Ok(found)
}

/// The value of a flag of a command line, in either of its two forms.
pub(super) fn flag<'a>(command: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let mut arguments = command.split(|byte| *byte == 0);
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument.strip_prefix(b"--") else {
            continue;
        };
        match rest.strip_prefix(wanted.as_bytes()) {
            Some([]) => return arguments.next(),
            Some([b'=', value @ ..]) => return Some(value),
            _ => {}
        }
    }
    None
}

/// How many manifests of static pods the kubelet was given: it starts them without the API server.
fn static_pods(host_root: &Path, found: &Found) -> Observed<u32> {
    let cannot = |what: &str| Observed::Unknown(Gap::new(Why::Unsupported, what));
    if !found.alone {
        return cannot("look for static pods: the kubelet is inside another program");
    }
    if flag(&found.command, "config-dir").is_some()
        || flag(&found.command, "manifest-url").is_some()
    {
        return cannot("look for static pods: the kubelet has more than one place for them");
    }
    let told = flag(&found.command, "pod-manifest-path").map(path_of);
    let configured = match (told, flag(&found.command, "config").map(path_of)) {
        (Some(path), _) => Some(path),
        (None, None) => None,
        (None, Some(config)) => {
            match file::read_small(&file::resolve(host_root, &config), MAX_CONFIG) {
                Ok(text) => static_pod_path(&text),
                Err(error) => return Observed::Unknown(file::gap("read", &config, &error)),
            }
        }
    };
    let Some(path) = configured else {
        return Observed::Known(0);
    };
    match std::fs::read_dir(file::resolve(host_root, &path)) {
        Ok(entries) => {
            // The kubelet leaves out what begins with a dot (`pkg/kubelet/config/file.go`).
            let manifests = entries
                .flatten()
                .filter(|entry| !entry.file_name().as_bytes().starts_with(b"."));
            Observed::Known(u32::try_from(manifests.count()).unwrap_or(u32::MAX))
        }
        Err(error) => Observed::Unknown(file::gap("list the static pods in", &path, &error)),
    }
}

/// `staticPodPath` of a `KubeletConfiguration`, which stands at the outermost level.
fn static_pod_path(config: &[u8]) -> Option<HostPath> {
    let line = config
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"staticPodPath:"))?;
    let value = line.trim_ascii();
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    (!value.is_empty()).then(|| path_of(value))
}

fn path_of(bytes: &[u8]) -> HostPath {
    PathBuf::from(OsStr::from_bytes(bytes)).into()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;

    use expect_test::expect;

    use super::*;

    /// A host with one process of this name and command line, and two manifests of static pods.
    fn host(name: &str, command: &str, config: &str) -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        let process = host.path().join("proc/812");
        let manifests = host.path().join("etc/static");
        for directory in [&process, &manifests] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(process.join("comm"), format!("{name}\n")).unwrap();
        fs::write(process.join("cmdline"), command.replace(' ', "\0")).unwrap();
        fs::write(host.path().join("etc/kubelet.yaml"), config).unwrap();
        for manifest in ["a.yaml", "b.yaml", ".hidden"] {
            fs::write(manifests.join(manifest), "").unwrap();
        }
        host
    }

    #[test]
    fn static_pods_are_counted_where_the_kubelet_looks_for_them() {
        let all = [
            ("kubelet", "kubelet --v=2", ""),
            ("kubelet", "kubelet --pod-manifest-path=/etc/static", ""),
            (
                "kubelet",
                "kubelet --config /etc/kubelet.yaml",
                "a: 1\nstaticPodPath: \"/etc/static\"\n",
            ),
            ("kubelet", "kubelet --config=/etc/kubelet.yaml", "a: 1\n"),
            ("kubelet", "kubelet --config=/etc/none.yaml", ""),
            ("kubelet", "kubelet --pod-manifest-path=/none", ""),
            ("kubelet", "kubelet --config-dir=/etc", ""),
            ("k3s-agent", "k3s agent", ""),
            ("bash", "bash -c kubelet", ""),
        ];
        let mut text = String::new();
        for (name, command, config) in all {
            let host = host(name, command, config);
            let said = match read_kubelet(host.path()) {
                Observed::Known(None) => "none".to_owned(),
                Observed::Known(Some(kubelet)) => match kubelet.static_pods {
                    Observed::Known(count) => {
                        format!("process {}, {count} static pods", kubelet.process)
                    }
                    Observed::Unknown(gap) => gap.to_string(),
                },
                Observed::Unknown(gap) => gap.to_string(),
            };
            let _ = writeln!(text, "{command}: {said}");
        }
        expect![[r#"
            kubelet --v=2: process 812, 0 static pods
            kubelet --pod-manifest-path=/etc/static: process 812, 2 static pods
            kubelet --config /etc/kubelet.yaml: process 812, 2 static pods
            kubelet --config=/etc/kubelet.yaml: process 812, 0 static pods
            kubelet --config=/etc/none.yaml: read /etc/none.yaml: No such file or directory (os error 2) (NotFound)
            kubelet --pod-manifest-path=/none: list the static pods in /none: No such file or directory (os error 2) (NotFound)
            kubelet --config-dir=/etc: look for static pods: the kubelet has more than one place for them (Unsupported)
            k3s agent: look for static pods: the kubelet is inside another program (Unsupported)
            bash -c kubelet: none
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn processes_that_cannot_be_listed_are_a_gap() {
        let host = tempfile::tempdir().unwrap();
        assert!(read_kubelet(host.path()).gap().is_some());
    }
}
