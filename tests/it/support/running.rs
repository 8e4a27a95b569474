//! A collector in this process, on the loopback, and what is reported to it.

use std::net::SocketAddr;
use std::time::Duration;

use csi_doctor::collector::objects::Source;
use csi_doctor::collector::{Config, Edges, serve};
use csi_doctor::grpc::client::{Collector, FindingFilter, Reader, Reporter};
use csi_doctor::model::finding::{Problem, RuleVerdicts, Severity};
use csi_doctor::model::sample;
use csi_doctor::model::scan::{Origin, Scan};
use csi_doctor::model::view::Story;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A collector that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(Source::Nowhere, config).await
    }

    pub(crate) async fn start_with(objects: Source, config: Config) -> Self {
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = grpc.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let edges = Edges {
            grpc,
            plain: None,
            objects,
            events: None,
        };
        let task = tokio::spawn(serve(edges, config, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            task,
        }
    }

    pub(crate) fn clients(&self) -> (Reporter, Reader) {
        let collector = Collector::at(&self.address.to_string()).unwrap();
        (collector.reporter(), collector.reader())
    }

    pub(crate) async fn channel(&self) -> Channel {
        let address = format!("http://{}", self.address);
        Channel::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

pub(crate) fn at_once() -> Config {
    Config {
        publish_every: Duration::from_millis(1),
        ..Config::default()
    }
}

/// The healthy node, in whose first volume something may be wrong.
pub(crate) fn scan(sequence: u64, problem: Option<Problem>) -> Scan {
    let mut facts = sample::node();
    facts.observed_at = Timestamp::now();
    let subject = facts.volumes.items[0].subject(&facts.node);
    Scan {
        origin: Origin {
            instance: "life-1".into(),
            sequence,
        },
        version: "0.1.0".into(),
        interval: HOUR,
        took: Duration::ZERO,
        verdicts: vec![RuleVerdicts {
            code: "Sick".into(),
            severity: Severity::Critical,
            stage: None,
            grace: HOUR,
            ok: u32::from(problem.is_none()),
            problems: problem
                .into_iter()
                .map(|problem| (subject.clone(), problem))
                .collect(),
            unknowns: Vec::new(),
            gaps: Vec::new(),
        }],
        facts,
    }
}

/// A problem within its grace.
pub(crate) fn young() -> Problem {
    Problem::new("It is sick.")
}

/// A problem past its grace.
pub(crate) fn old() -> Problem {
    let since = Timestamp::now() - SignedDuration::from_hours(2);
    Problem::new("It is sick.").since(Some(since))
}

/// Asks until the stories are as they should be.
pub(crate) async fn until(
    reader: &mut Reader,
    what: &str,
    are: impl Fn(&[Story]) -> bool,
) -> Vec<Story> {
    let asking = async {
        loop {
            let listed = reader.findings(&FindingFilter::default()).await.unwrap();
            if are(&listed.items) {
                return listed.items;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("the findings never were {what}"))
}

pub(crate) async fn until_state(reader: &mut Reader, state: &str) -> Story {
    // Beside what the collector itself may say of the node.
    let is_asked = |story: &Story| story.finding.key.code.0 == "Sick";
    let stories = until(reader, state, |stories| {
        let mut asked = stories.iter().filter(|story| is_asked(story));
        let is = |story: &Story| story.finding.state.as_str() == state;
        asked.next().is_some_and(is) && asked.next().is_none()
    })
    .await;
    stories.into_iter().find(is_asked).unwrap()
}
