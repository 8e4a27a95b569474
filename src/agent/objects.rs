//! Where a node's Kubernetes objects come from: the API server, a directory of manifests, or nowhere.

use std::time::Duration;

use anyhow::Context as _;

use crate::agent::args::NodeArgs;
use crate::kubernetes::client;
use crate::kubernetes::manifests::Directory;
use crate::kubernetes::node::Node;
use crate::model::objects::Objects;
use crate::model::observed::{Gap, Why};

/// The source of objects.
pub enum Source {
    /// The API server.
    Api(Box<Node>),
    /// Files.
    Manifests(Directory),
    /// None: only what lies on the node is known.
    Nowhere,
}

impl Source {
    /// The source that the arguments name; without a name the API server of the pod that we are in.
    ///
    /// What is named and cannot be used is an error; an API server that does not answer is not.
    pub(super) async fn open(args: &NodeArgs) -> anyhow::Result<Self> {
        if let Some(directory) = &args.manifests {
            return Ok(Self::Manifests(Directory::new(directory.clone())));
        }
        if args.kubeconfig.is_none() && !client::is_in_cluster() {
            return Ok(Self::Nowhere);
        }
        let client = client::connect(args.kubeconfig.as_deref(), "csi-doctor-agent")
            .await
            .context("finding the API server")?;
        let node = Node::watch(client, args.node_name.as_str().into());
        Ok(Self::Api(Box::new(node)))
    }

    /// All objects at this moment, where they may be other ones than before; the API server is waited
    /// for no longer than this.
    pub(super) async fn read(&mut self, patience: Duration) -> Option<Objects> {
        match self {
            Self::Api(node) => Some(node.objects(patience).await),
            Self::Manifests(directory) => directory.read_if_changed(),
            Self::Nowhere => None,
        }
    }
}

/// What is known of objects from nowhere.
pub(super) fn nothing() -> Objects {
    Objects::unknown(&Gap::new(
        Why::NotAsked,
        "no source of Kubernetes objects is configured: neither --kubeconfig nor --manifests is given, and this is no pod",
    ))
}
