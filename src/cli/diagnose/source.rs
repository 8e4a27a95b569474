//! What is known of an object: by the API server, by files, by what nodes told a collector, or by several.

use anyhow::Context as _;
use jiff::Timestamp;

use crate::cli::args::DiagnoseArgs;
use crate::cli::{COLLECTOR, findings_in, from, kubeconfig, volumes_in};
use crate::grpc::client::Collector;
use crate::join;
use crate::kubernetes::around::{self, Wanted};
use crate::kubernetes::client::{self, Client};
use crate::model::objects::Objects;
use crate::model::view::{NodeStatus, NodeVolume, Story};
use crate::stages::{OnNodes, Told};

/// What was read before anything is judged.
pub(super) struct Source {
    pub(super) objects: Objects,
    /// Where they are from, for a person.
    pub(super) place: String,
    /// All namespaces were asked for.
    pub(super) is_everywhere: bool,
    /// What nodes told.
    pub(super) nodes: Option<Nodes>,
    /// Nobody but nodes was asked.
    pub(super) is_nodes_alone: bool,
    /// By the clock of who told; by ours where nobody's is better.
    pub(super) at: Option<Timestamp>,
    /// The API server that was asked.
    pub(super) client: Option<Client>,
}

/// What a collector knows of an object.
pub(super) struct Nodes {
    volumes: Vec<NodeVolume>,
    heard: Vec<NodeStatus>,
    pub(super) stories: Vec<Story>,
    at: Timestamp,
}

impl Source {
    /// Asks whom the arguments name, else whom kubectl would ask, and beside them the collector that was
    /// named; where there is nobody else, a collector alone.
    pub(super) async fn ask(
        args: &DiagnoseArgs,
        collector: Option<&str>,
        wanted: Wanted<'_>,
    ) -> anyhow::Result<Self> {
        if let Some(directory) = &args.objects.from {
            let nodes = beside(args, collector, wanted).await?;
            return Ok(Self {
                objects: from::objects(directory, Vec::new())?,
                place: directory.display().to_string(),
                is_everywhere: false,
                nodes,
                is_nodes_alone: false,
                at: None,
                client: None,
            });
        }
        let is_named = args.objects.kubeconfig.is_some() || args.objects.context.is_some();
        if is_named || kubeconfig::is_there()? {
            let nodes = beside(args, collector, wanted).await?;
            return of_server(args, wanted, nodes).await;
        }
        let nodes = of_collector(args, collector.unwrap_or(COLLECTOR), wanted).await?;
        Ok(Self {
            objects: join::from_nodes(&nodes.volumes, &nodes.heard),
            place: "what nodes told".to_owned(),
            is_everywhere: false,
            at: Some(nodes.at),
            nodes: Some(nodes),
            is_nodes_alone: true,
            client: None,
        })
    }

    /// All that ways are told by.
    pub(super) fn told(&self, at: Timestamp) -> Told<'_> {
        Told {
            at,
            objects: &self.objects,
            nodes: self.nodes.as_ref().map(|nodes| OnNodes {
                volumes: &nodes.volumes,
                nodes: &nodes.heard,
            }),
        }
    }
}

async fn beside(
    args: &DiagnoseArgs,
    collector: Option<&str>,
    wanted: Wanted<'_>,
) -> anyhow::Result<Option<Nodes>> {
    match collector {
        Some(address) => Ok(Some(of_collector(args, address, wanted).await?)),
        None => Ok(None),
    }
}

async fn of_server(
    args: &DiagnoseArgs,
    wanted: Wanted<'_>,
    nodes: Option<Nodes>,
) -> anyhow::Result<Source> {
    let kubeconfig = args.objects.kubeconfig.as_deref();
    let context = args.objects.context.as_deref();
    let client = client::as_caller(kubeconfig, context, "kubectl-csi_doctor").await?;
    let own = client.default_namespace();
    let namespace = args.scope.namespace.as_deref().unwrap_or(own);
    let (namespace, place) = match wanted {
        Wanted::Volume(_) => (None, "the cluster".to_owned()),
        _ if args.scope.all_namespaces => (None, "any namespace".to_owned()),
        _ => (Some(namespace), format!("namespace {namespace}")),
    };
    let objects = around::around(&client, namespace, wanted).await;
    Ok(Source {
        objects,
        place,
        is_everywhere: args.scope.all_namespaces,
        nodes,
        is_nodes_alone: false,
        at: None,
        client: Some(client),
    })
}

async fn of_collector(
    args: &DiagnoseArgs,
    address: &str,
    wanted: Wanted<'_>,
) -> anyhow::Result<Nodes> {
    let mut reader = Collector::at(address).context("--collector")?.reader();
    let name = match wanted {
        Wanted::Claim(name) | Wanted::Volume(name) => Some(name),
        // Volumes are not found by their pods' names.
        Wanted::Pod(_) => None,
    };
    let told = reader.volumes(&volumes_in(&args.scope, name)).await?;
    let heard = reader.nodes().await?.items;
    let stories = reader.findings(&findings_in(&args.scope)).await?.items;
    Ok(Nodes {
        volumes: told.items,
        heard,
        stories,
        at: told.at,
    })
}
