//! Which API server to talk to, and how: a kubeconfig, or the service account of the pod we are in.
//!
//! It knows no objects.

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use kube::Client;
use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

/// An address that drops packets is noticed after so long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said where the API server knows the caller and does not let him.
pub const RIGHT_IS_MISSING: &str = "the right is missing";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is none, or names what is not there.
    #[error(
        "read kubeconfig {path}; `kubectl config view` and `kubectl config get-contexts` show what is in it"
    )]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// There is a service account, and it cannot be used.
    #[error("read the service account of this pod")]
    InCluster {
        /// What is wrong with it.
        source: Box<InClusterError>,
    },
    /// Certificates or addresses in the configuration cannot be used.
    #[error("make a client of the API server")]
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
    let config = match kubeconfig {
        Some(path) => in_file(path, None).await?,
        None => Config::incluster().map_err(|source| Error::InCluster {
            source: Box::new(source),
        })?,
    };
    with(config, program)
}

/// Where kubectl looks for its configuration: the files of `KUBECONFIG`, or the one at home.
fn kubeconfigs() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
        Some(paths) => std::env::split_paths(&paths).collect(),
        None => std::env::home_dir()
            .map(|home| home.join(".kube/config"))
            .into_iter()
            .collect(),
    }
}

/// Whether the caller has a kubeconfig, where kubectl looks for it.
pub fn has_kubeconfig() -> bool {
    kubeconfigs().iter().any(|path| path.exists())
}

/// A client with the caller's own rights: by a kubeconfig, or by the one that kubectl would take; by
/// its current context, unless another one is named.
pub async fn as_caller(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    program: &str,
) -> Result<Client, Error> {
    if let Some(path) = kubeconfig {
        return with(in_file(path, context).await?, program);
    }
    let failed = |source| Error::Kubeconfig {
        path: kubeconfigs().into_iter().next().unwrap_or_default(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read().map_err(failed)?;
    let config = by_context(kubeconfig, context).await.map_err(failed)?;
    with(config, program)
}

async fn in_file(path: &Path, context: Option<&str>) -> Result<Config, Error> {
    let failed = |source| Error::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    by_context(kubeconfig, context).await.map_err(failed)
}

async fn by_context(
    kubeconfig: Kubeconfig,
    context: Option<&str>,
) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions {
        context: context.map(ToOwned::to_owned),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options).await
}

fn with(mut config: Config, program: &str) -> Result<Client, Error> {
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
