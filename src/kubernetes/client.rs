//! Which API server to talk to, and how: a kubeconfig, or the service account of the pod we are in.
//!
//! It knows no objects.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// An address that drops packets is noticed after so long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is none, or names what is not there.
    #[error("read kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// There is a service account, and it cannot be used.
    #[error("read the service account of this pod: {source}")]
    InCluster {
        /// What is wrong with it.
        source: Box<InClusterError>,
    },
    /// Certificates or addresses in the configuration cannot be used.
    #[error("make a client of the API server: {source}")]
    Client {
        /// What is wrong with them.
        source: Box<kube::Error>,
    },
}

/// Whether this process runs in a pod that was told of an API server: the kubelet sets these.
pub fn is_in_cluster() -> bool {
    ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
        .iter()
        .all(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// A client by the current context of a kubeconfig, or by the pod's service account where none is
/// given. Nothing is asked yet; tokens in files are read anew when they rotate.
pub async fn connect(kubeconfig: Option<&Path>, program: &str) -> Result<Client, Error> {
    let mut config = match kubeconfig {
        Some(path) => {
            let failed = |source| Error::Kubeconfig {
                path: path.to_owned(),
                source: Box::new(source),
            };
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(failed)?
        }
        None => Config::incluster().map_err(|source| Error::InCluster {
            source: Box::new(source),
        })?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Each asker has its own patience; two on top of each other multiply.
    config.default_retry = false;
    if config.cluster_url.scheme_str() == Some("http") {
        // Else the system's certificates are looked for, which an image may lack.
        config.root_cert = Some(Vec::new());
    }
    let agent = format!("{program}/{}", env!("CARGO_PKG_VERSION"));
    if let (Ok(name), Ok(agent)) = ("user-agent".parse(), agent.parse()) {
        config.headers.push((name, agent));
    }
    Client::try_from(config).map_err(|source| Error::Client {
        source: Box::new(source),
    })
}
