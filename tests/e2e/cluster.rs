//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler on the loopback, with RBAC, an audit
//! log and service-account tokens; and `kubectl` as the administrator.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::until;

/// The name of the only user who may everything; the token is worth nothing beyond the loopback.
const ADMIN: &str = "admin-of-this-test";

/// The kubelet's token, and the name of its node.
pub(crate) const KUBELET: &str = "kubelet-of-this-test";
pub(crate) const NODE: &str = "node-1";

/// The first address of the Services, where pods look for the API server.
pub(crate) const API_ADDRESS: &str = "10.0.0.1";

/// What a control plane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Objects whose statuses this test writes itself: on the loopback alone.
    Objects,
    /// A real kubelet with pods, in the namespaces that `tests/cluster/node.sh` makes.
    Node,
}

/// A control plane. It ends when this is dropped.
pub(crate) struct Cluster {
    purpose: Purpose,
    dir: PathBuf,
    bin: PathBuf,
    ports: Ports,
    processes: RefCell<Vec<Process>>,
}

struct Ports {
    etcd: u16,
    peer: u16,
    api: u16,
    controllers: u16,
    scheduler: u16,
}

impl Cluster {
    /// Starts all of it anew, with an empty store.
    pub(crate) fn start(purpose: Purpose) -> Self {
        let dir = match purpose {
            Purpose::Objects => "run",
            Purpose::Node => "node/control",
        };
        let cluster = Self::start_alone(purpose, dir);
        cluster.start_controllers();
        cluster
    }

    /// Starts the API server and its store anew, with its files in a directory of this name: nobody acts on
    /// what is written there.
    pub(crate) fn start_alone(purpose: Purpose, dir: &str) -> Self {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cluster");
        let bin = target.join("bin");
        assert!(
            bin.join("kube-apiserver").exists(),
            "no control plane in {}: run make e2e",
            bin.display()
        );
        let dir = target.join(dir);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
        let made = Command::new(here.join("certificates.sh"))
            .arg(&dir)
            .status()
            .unwrap();
        assert!(
            made.success(),
            "certificates: see {}/openssl.log",
            dir.display()
        );
        let [etcd, peer, api, controllers, scheduler] = free_ports();
        // In a network of its own it has the port that pods are told.
        let api = if purpose == Purpose::Node { 443 } else { api };
        let ports = Ports {
            etcd,
            peer,
            api,
            controllers,
            scheduler,
        };
        let cluster = Self {
            purpose,
            dir,
            bin,
            ports,
            processes: RefCell::default(),
        };
        fs::write(
            cluster.dir.join("tokens.csv"),
            format!(
                "{ADMIN},admin,admin,\"system:masters\"\n\
                 {KUBELET},system:node:{NODE},kubelet,\"system:nodes\"\n"
            ),
        )
        .unwrap();
        fs::write(cluster.dir.join("admin.token"), ADMIN).unwrap();
        cluster.kubeconfig("admin", api, &cluster.dir.join("admin.token"));
        cluster.start_etcd();
        cluster.start_api();
        cluster
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn api_port(&self) -> u16 {
        self.ports.api
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    fn start_etcd(&self) {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd);
        let peer = format!("http://127.0.0.1:{}", self.ports.peer);
        self.run(
            "etcd",
            &[
                &format!("--data-dir={}", self.dir.join("etcd").display()),
                "--unsafe-no-fsync",
                "--log-level=error",
                &format!("--listen-client-urls={client}"),
                &format!("--advertise-client-urls={client}"),
                &format!("--listen-peer-urls={peer}"),
                &format!("--initial-advertise-peer-urls={peer}"),
                &format!("--initial-cluster=default={peer}"),
            ],
        );
    }

    /// Starts the API server, and waits until it answers.
    pub(crate) fn start_api(&self) {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let is_node = self.purpose == Purpose::Node;
        let bind = if is_node { "0.0.0.0" } else { "127.0.0.1" };
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/audit-policy.yaml");
        self.run(
            "kube-apiserver",
            &[
                &format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd),
                &format!("--bind-address={bind}"),
                &format!("--advertise-address={API_ADDRESS}"),
                &format!("--secure-port={}", self.ports.api),
                &format!("--tls-cert-file={}", file("server.crt")),
                &format!("--tls-private-key-file={}", file("server.key")),
                "--endpoint-reconciler-type=none",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                &format!("--feature-gates=CSIVolumeHealth={is_node}"),
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                &format!("--service-account-key-file={}", file("accounts.key")),
                &format!(
                    "--service-account-signing-key-file={}",
                    file("accounts.key")
                ),
                &format!("--token-auth-file={}", file("tokens.csv")),
                "--allow-privileged",
                // Nobody here knows the node by its name.
                "--kubelet-preferred-address-types=InternalIP",
                &format!("--audit-policy-file={}", policy.display()),
                &format!("--audit-log-path={}", self.audit_log().display()),
            ],
        );
        until("the API server is ready", Duration::from_mins(2), || {
            self.try_kubectl(&["get", "--raw", "/readyz"])
                .ok()
                .filter(|answer| answer == "ok")
        });
    }

    fn start_controllers(&self) {
        let common = [
            format!(
                "--kubeconfig={}",
                self.dir.join("admin.kubeconfig").display()
            ),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", self.dir.join("controllers").display()),
        ];
        let mut arguments: Vec<&str> = common.iter().map(String::as_str).collect();
        let port = format!("--secure-port={}", self.ports.scheduler);
        arguments.push(&port);
        self.run("kube-scheduler", &arguments);
        arguments.pop();
        let port = format!("--secure-port={}", self.ports.controllers);
        let key = format!(
            "--service-account-private-key-file={}",
            self.dir.join("accounts.key").display()
        );
        let authority = format!("--root-ca-file={}", self.dir.join("ca.crt").display());
        arguments.extend([
            port.as_str(),
            &key,
            &authority,
            "--use-service-account-credentials",
        ]);
        if self.purpose == Purpose::Objects {
            // There is no kubelet, and pods are to stay all the same.
            arguments.push("--controllers=*,-node-lifecycle-controller");
        }
        self.run("kube-controller-manager", &arguments);
        until(
            "the controllers made the default service account",
            Duration::from_mins(2),
            || {
                self.try_kubectl(&["get", "serviceaccount", "default", "-n", "default"])
                    .ok()
            },
        );
    }

    fn run(&self, name: &str, arguments: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        self.run_program(name, Command::new(self.bin.join(name)).args(arguments));
    }

    /// Where the programs of `tests/cluster/build.sh` are.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// Starts a program that ends with the control plane; its log has its name.
    pub(crate) fn run_program(&self, name: &str, command: &mut Command) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join(format!("{name}.log")))
            .unwrap();
        let child = command
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        self.processes.borrow_mut().push(Process {
            name: name.to_owned(),
            child,
        });
    }

    /// Sends a signal to a program.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let processes = self.processes.borrow();
        let process = processes
            .iter()
            .find(|process| process.name == name)
            .unwrap();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), process.id().to_string()])
            .status();
        assert!(sent.unwrap().success(), "kill -{signal} {name}");
    }

    /// Ends a program of the control plane.
    pub(crate) fn stop(&self, name: &str) {
        self.processes
            .borrow_mut()
            .retain(|process| process.name != name);
    }

    /// A kubeconfig for whoever has the token in a file; gives its path.
    pub(crate) fn kubeconfig(&self, name: &str, port: u16, token: &Path) -> PathBuf {
        let path = self.dir.join(format!("{name}.kubeconfig"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: e2e\n\
             clusters: [{{name: e2e, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: '{}'}}}}]\n\
             users: [{{name: e2e, user: {{tokenFile: '{}'}}}}]\n\
             contexts: [{{name: e2e, context: {{cluster: e2e, user: e2e}}}}]\n",
            self.dir.join("ca.crt").display(),
            token.display()
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// What `kubectl` prints; its complaint where it fails.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl_with(arguments, "")
    }

    /// What `kubectl` prints.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// An object or a list, as JSON.
    pub(crate) fn get(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["get", "-o", "json"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        serde_json::from_str(&self.kubectl(&arguments)).unwrap()
    }

    /// Applies manifests.
    pub(crate) fn apply(&self, manifests: &str) {
        self.kubectl_with(&["apply", "-f", "-"], manifests)
            .unwrap_or_else(|error| panic!("{error}\n{manifests}"));
    }

    /// Changes a status, as the one would who is not here.
    pub(crate) fn patch_status(&self, object: &[&str], status: &Value) {
        let patch = serde_json::json!({ "status": status }).to_string();
        let words = [
            "patch",
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ];
        let arguments: Vec<&str> = words.iter().chain(object).copied().collect();
        self.kubectl(&arguments);
    }

    fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(self.bin.join("kubectl"))
            .arg(format!(
                "--kubeconfig={}",
                self.dir.join("admin.kubeconfig").display()
            ))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Forgets all history of the store: nobody can go on from an old version.
    pub(crate) fn compact(&self) {
        let range = self.etcd("/v3/kv/range", r#"{"key":"AA==","limit":1}"#);
        let revision = range["header"]["revision"].as_str().unwrap().to_owned();
        self.etcd(
            "/v3/kv/compaction",
            &format!(r#"{{"revision":"{revision}","physical":true}}"#),
        );
    }

    fn etcd(&self, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.etcd)).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The last one first: an API server without its store takes long to end.
        while self.processes.borrow_mut().pop().is_some() {}
    }
}

/// A process that ends when this is dropped: asked first, killed after a while.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    pub(crate) fn new(name: &str, child: Child) -> Self {
        Self {
            name: name.to_owned(),
            child,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("   {} had to be killed", self.name);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that nobody has at this moment.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
