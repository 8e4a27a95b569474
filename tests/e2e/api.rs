//! The API server as the administrator, without a `kubectl` for each request: by one `kubectl proxy`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Cluster, Process, free_ports};
use crate::until;

/// A way to the API server that costs a millisecond. It ends when this is dropped.
pub(crate) struct Api<'a> {
    /// Whose it is.
    pub(crate) cluster: &'a Cluster,
    port: u16,
    _proxy: Process,
}

impl<'a> Api<'a> {
    pub(crate) fn of(cluster: &'a Cluster) -> Self {
        let [port] = free_ports();
        let admin = cluster.dir().join("admin.kubeconfig");
        let child = Command::new(cluster.bin().join("kubectl"))
            .arg("--kubeconfig")
            .arg(admin)
            .args(["proxy", &format!("--port={port}")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let api = Self {
            cluster,
            port,
            _proxy: Process::new("kubectl proxy", child),
        };
        until("kubectl proxy listens", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        api
    }

    /// An object or a list; nothing where it is not there.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.ask("GET", path, "application/json", "")
    }

    /// Makes an object in the list at a path.
    pub(crate) fn create(&self, path: &str, object: &Value) {
        let text = object.to_string();
        let made = self.ask("POST", path, "application/json", &text);
        assert!(made.is_some(), "no {path}");
    }

    /// Changes an object; gives it as it is then, or nothing where it is not there.
    pub(crate) fn patch(&self, path: &str, change: &Value) -> Option<Value> {
        self.ask(
            "PATCH",
            path,
            "application/merge-patch+json",
            &change.to_string(),
        )
    }

    /// Has an object deleted, if it is there.
    pub(crate) fn delete(&self, path: &str) {
        let _gone = self.ask("DELETE", path, "application/json", "");
    }

    fn ask(&self, verb: &str, path: &str, form: &str, body: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{verb} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {form}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap_or_default();
        if code == "404" {
            return None;
        }
        assert!(code.starts_with('2'), "{verb} {path}: {answer}");
        Some(serde_json::from_str(body).unwrap())
    }
}
