//! What the containers around a driver logged of one volume, as far as the caller may read.
//!
//! Which containers and which lines is told apart from asking, and tested without a server.

mod lines;
mod runners;

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, Error};
use tokio::time::timeout;

use crate::model::names::{DriverName, NodeName};
use crate::model::observed::{Gap, Why};
use crate::model::way::{LogLine, Logs};

use self::runners::{Leader, Role, Runner};
use super::ask::PAGE;

/// A server that takes longer for one answer is not waited for.
const ANSWER: Duration = Duration::from_secs(20);

/// So many logs are read, and so many at once.
const MOST: usize = 8;
const AT_ONCE: usize = 4;

/// So much of each: the last lines, of an hour, of at most so many bytes.
const LINES: i64 = 5000;
const SECONDS: i64 = 3600;
const BYTES: i64 = 1 << 20;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The driver whose containers are asked.
    pub driver: DriverName,
    /// The names of the volume: handle, PersistentVolume, the claim's UID.
    pub names: Vec<String>,
    /// Namespace and name of its claim, which a line must have both.
    pub claim: Option<(String, String)>,
    /// The node on which it is to be mounted; without one only controllers are asked.
    pub node: Option<NodeName>,
}

/// The lines that matter.
pub async fn logs(client: &Client, search: &Search) -> Logs {
    let mut logs = Logs::default();
    let leaders = leaders(client, &mut logs.gaps).await;
    let mut runners = find(client, search, &leaders, &mut logs.gaps).await;
    choose(&mut runners, search);
    if runners.is_empty() && logs.gaps.is_empty() {
        let what = format!(
            "no pod was found that runs anything for driver {}",
            search.driver
        );
        logs.gaps.push(Gap::new(Why::NotFound, what));
    }
    let more = runners.len().saturating_sub(MOST);
    runners.truncate(MOST);
    if more > 0 {
        let what = format!(
            "{more} more containers of driver {} were left out",
            search.driver
        );
        logs.gaps.push(Gap::new(Why::NotAsked, what));
    }
    let answers = stream::iter(runners).map(|runner| async move {
        let log = read(client, &runner, false).await;
        let before = if runner.restarted {
            read(client, &runner, true).await.unwrap_or_default()
        } else {
            String::new()
        };
        (runner, log.map(|log| before + &log))
    });
    let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
    for (runner, log) in answers {
        let by = format!(
            "{}/{} {} ({})",
            runner.namespace,
            runner.pod,
            runner.container,
            runner.role.as_str()
        );
        match log {
            Ok(log) => {
                let found = lines::lines(&log, search);
                logs.lines.extend(found.into_iter().map(|line| LogLine {
                    by: by.clone(),
                    at: line.at,
                    text: line.text,
                    cause: line.cause,
                }));
                logs.read.push(by);
            }
            Err(gap) if !logs.gaps.contains(&gap) => logs.gaps.push(gap),
            Err(_) => {}
        }
    }
    logs
}

/// Who leads, where that may be read: else every replica is asked.
async fn leaders(client: &Client, gaps: &mut Vec<Gap>) -> Vec<Leader> {
    let leases: Api<Lease> = Api::all(client.clone());
    match timeout(ANSWER, leases.list(&ListParams::default())).await {
        Ok(Ok(leases)) => leases.items.into_iter().filter_map(Leader::of).collect(),
        Ok(Err(error)) => {
            gaps.push(gap(
                "list leases.coordination.k8s.io",
                "list",
                "leases.coordination.k8s.io",
                &error,
            ));
            Vec::new()
        }
        Err(_) => {
            gaps.push(late("list leases.coordination.k8s.io"));
            Vec::new()
        }
    }
}

/// The containers that work for the driver.
async fn find(
    client: &Client,
    search: &Search,
    leaders: &[Leader],
    gaps: &mut Vec<Gap>,
) -> Vec<Runner> {
    let pods: Api<core::Pod> = Api::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = match timeout(ANSWER, pods.list(&params)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                gaps.push(gap("list pods of all namespaces", "list", "pods", &error));
                break;
            }
            Err(_) => {
                gaps.push(late("list pods of all namespaces"));
                break;
            }
        };
        let runners = page.items.iter();
        found
            .extend(runners.flat_map(|pod| runners::runners(pod, search.driver.as_str(), leaders)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => break,
        }
    }
    found
}

/// Those that have to do with the volume: controllers, of several replicas the one that leads, and the
/// node's own plugin.
fn choose(runners: &mut Vec<Runner>, search: &Search) {
    let led = runners.iter().any(|one| one.leads);
    runners.retain(|one| {
        let is_here = search.node.is_some() && one.node == search.node;
        if one.on_node && one.role == Role::Driver {
            is_here
        } else {
            one.leads || !led
        }
    });
    // The node's own plugin first, when it is there.
    runners.sort_by(|one, other| {
        let rank = |runner: &Runner| (!runner.on_node, runner.role);
        rank(one)
            .cmp(&rank(other))
            .then_with(|| (&one.namespace, &one.pod).cmp(&(&other.namespace, &other.pod)))
    });
}

async fn read(client: &Client, runner: &Runner, previous: bool) -> Result<String, Gap> {
    let pods: Api<core::Pod> = Api::namespaced(client.clone(), &runner.namespace);
    let params = LogParams {
        container: Some(runner.container.clone()),
        tail_lines: Some(LINES),
        since_seconds: Some(SECONDS),
        limit_bytes: Some(BYTES),
        timestamps: true,
        previous,
        ..LogParams::default()
    };
    let attempt = format!("read the log of {}/{}", runner.namespace, runner.pod);
    match timeout(ANSWER, pods.logs(&runner.pod, &params)).await {
        Ok(Ok(log)) => Ok(log),
        Ok(Err(error)) => Err(gap(&attempt, "get", "pods/log", &error)),
        Err(_) => Err(late(&attempt)),
    }
}

/// A refusal, with the right that would cure it.
fn gap(attempt: &str, verb: &str, resource: &str, error: &Error) -> Gap {
    match error {
        Error::Api(status) if status.code == 403 => Gap::new(
            Why::Denied,
            format!(
                "{attempt}: the right is missing; a role must grant the verb {verb} on {resource}"
            ),
        ),
        Error::Api(status) => Gap::new(
            Why::Unavailable,
            format!(
                "{attempt}: {}: {}",
                status.code,
                lines::redact(&status.message)
            ),
        ),
        error => Gap::new(Why::Unavailable, format!("{attempt}: {error}")),
    }
}

fn late(attempt: &str) -> Gap {
    let what = format!("{attempt}: the API server did not answer in time");
    Gap::new(Why::TimedOut, what)
}
