//! The calls of `csidoctor.v1`: an agent reports, a reader asks.
//!
//! A channel connects when it is first used and again when it broke; each call has a deadline.

use std::time::Duration;

use jiff::Timestamp;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

pub use crate::grpc::failure::Error;

use crate::grpc::MESSAGE_LIMIT;
use crate::model::finding::Code as FindingCode;
use crate::model::scan::Scan;
use crate::model::view::{NodeStatus, NodeVolume, Story, Summary};
use crate::proto::v1::findings_client::FindingsClient;
use crate::proto::v1::intake_client::IntakeClient;
use crate::proto::{ReportRequest, v1};
use crate::wire::{self, WireError};

/// A collector on the same network answers in milliseconds; a busy one commits within a second.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How often a list is begun anew when it changes faster than its pages can be read.
const ATTEMPTS: u32 = 3;

/// A collector at an address: `host:port`, with or without `http://`.
#[derive(Debug, Clone)]
pub struct Collector {
    address: String,
    channel: Channel,
}

impl Collector {
    /// Nothing is connected yet: the first call does it.
    ///
    /// Must be called inside a tokio runtime.
    pub fn at(address: &str) -> Result<Self, Error> {
        let bad = || Error::Address {
            address: address.to_owned(),
        };
        let authority = address.strip_prefix("http://").unwrap_or(address);
        if authority.is_empty() || authority.contains("://") || !authority.contains(':') {
            return Err(bad());
        }
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .map_err(|_| bad())?
            .connect_timeout(CONNECT_DEADLINE)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .tcp_nodelay(true);
        Ok(Self {
            address: authority.to_owned(),
            channel: endpoint.connect_lazy(),
        })
    }

    /// The address, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The agent's side.
    pub fn reporter(&self) -> Reporter {
        Reporter {
            client: IntakeClient::new(self.channel.clone())
                .max_encoding_message_size(MESSAGE_LIMIT)
                .max_decoding_message_size(MESSAGE_LIMIT),
            collector: self.clone(),
        }
    }

    /// The reader's side.
    pub fn reader(&self) -> Reader {
        Reader {
            client: FindingsClient::new(self.channel.clone())
                .max_encoding_message_size(MESSAGE_LIMIT)
                .max_decoding_message_size(MESSAGE_LIMIT),
            collector: self.clone(),
        }
    }

    pub(super) fn failed(&self, what: &'static str, status: &Status) -> Error {
        Error::of(&self.address, what, status)
    }

    pub(super) fn not_understood(&self, what: &'static str, source: WireError) -> Error {
        Error::Answer {
            address: self.address.clone(),
            what,
            source,
        }
    }

    pub(super) fn take<T>(
        &self,
        what: &'static str,
        answer: Result<Response<T>, Status>,
    ) -> Result<T, Error> {
        answer
            .map(Response::into_inner)
            .map_err(|status| self.failed(what, &status))
    }
}

fn within_deadline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

/// Brings scans to a collector.
#[derive(Debug, Clone)]
pub struct Reporter {
    collector: Collector,
    client: IntakeClient<Channel>,
}

impl Reporter {
    /// Reports a scan; when it returns, what the scan says is kept.
    pub async fn report(&mut self, scan: &Scan) -> Result<(), Error> {
        let request = within_deadline(ReportRequest {
            scan: wire::encode_scan(scan).into(),
        });
        let answer = self.client.report(request).await;
        self.collector.take("Report", answer).map(drop)
    }
}

/// Which findings are asked for; empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Only about objects of this namespace.
    pub namespace: Option<String>,
    /// Only this code.
    pub code: Option<FindingCode>,
}

/// Which volumes are asked for; empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeFilter {
    /// Only of claims or pods of this namespace.
    pub namespace: Option<String>,
    /// Only the one whose claim, persistent volume, handle or directory has this name.
    pub name: Option<String>,
}

/// A list, with the moment that it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// When it was so, by the collector's clock.
    pub at: Timestamp,
    /// What was asked for.
    pub items: Vec<T>,
}

/// Asks a collector.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) collector: Collector,
    pub(super) client: FindingsClient<Channel>,
}

/// One page, as every list has it.
struct Page<P> {
    at_ns: i64,
    items: Vec<P>,
    next: String,
}

impl Reader {
    /// Numbers for one screen, with the moment that they show.
    pub async fn summary(&mut self) -> Result<(Timestamp, Summary), Error> {
        let request = within_deadline(v1::SummaryRequest {});
        let answer = self.client.summary(request).await;
        Ok(self.collector.take("Summary", answer)?.into())
    }

    /// The stories, worst first.
    pub async fn findings(&mut self, filter: &FindingFilter) -> Result<Listed<Story>, Error> {
        const WHAT: &str = "ListFindings";
        let (client, collector) = (&self.client, self.collector.clone());
        let page = |page_token: String| {
            let request = within_deadline(v1::ListFindingsRequest {
                namespace: filter.namespace.clone().unwrap_or_default(),
                code: filter
                    .code
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                page_token,
                ..v1::ListFindingsRequest::default()
            });
            let mut client = client.clone();
            async move {
                let answer = client.list_findings(request).await?.into_inner();
                Ok(Page {
                    at_ns: answer.at_ns,
                    items: answer.stories,
                    next: answer.next_page_token,
                })
            }
        };
        pages(&collector, WHAT, page).await
    }

    /// The volumes on all nodes.
    pub async fn volumes(&mut self, filter: &VolumeFilter) -> Result<Listed<NodeVolume>, Error> {
        const WHAT: &str = "ListVolumes";
        let (client, collector) = (&self.client, self.collector.clone());
        let page = |page_token: String| {
            let request = within_deadline(v1::ListVolumesRequest {
                namespace: filter.namespace.clone().unwrap_or_default(),
                name: filter.name.clone().unwrap_or_default(),
                page_size: 0,
                page_token,
            });
            let mut client = client.clone();
            async move {
                let answer = client.list_volumes(request).await?.into_inner();
                Ok(Page {
                    at_ns: answer.at_ns,
                    items: answer.volumes,
                    next: answer.next_page_token,
                })
            }
        };
        pages(&collector, WHAT, page).await
    }

    /// The nodes that have reported.
    pub async fn nodes(&mut self) -> Result<Listed<NodeStatus>, Error> {
        const WHAT: &str = "ListNodes";
        let (client, collector) = (&self.client, self.collector.clone());
        let page = |page_token: String| {
            let request = within_deadline(v1::ListNodesRequest {
                page_size: 0,
                page_token,
            });
            let mut client = client.clone();
            async move {
                let answer = client.list_nodes(request).await?.into_inner();
                Ok(Page {
                    at_ns: answer.at_ns,
                    items: answer.nodes,
                    next: answer.next_page_token,
                })
            }
        };
        pages(&collector, WHAT, page).await
    }
}

/// All pages of a list; begins again when the collector says that the list has changed.
async fn pages<P, T, F>(
    collector: &Collector,
    what: &'static str,
    ask: impl Fn(String) -> F,
) -> Result<Listed<T>, Error>
where
    T: TryFrom<P, Error = WireError>,
    F: Future<Output = Result<Page<P>, Status>>,
{
    let mut attempt = 1;
    let mut token = String::new();
    let mut items = Vec::new();
    loop {
        let page = match ask(token).await {
            Err(status) if status.code() == Code::Aborted && attempt < ATTEMPTS => {
                attempt += 1;
                token = String::new();
                items.clear();
                continue;
            }
            answer => answer.map_err(|status| collector.failed(what, &status))?,
        };
        let empty = page.items.is_empty();
        items.extend(decode(collector, what, page.items)?);
        // An empty page with a token would be asked for for ever.
        if page.next.is_empty() || empty {
            return Ok(Listed {
                at: wire::at(page.at_ns),
                items,
            });
        }
        token = page.next;
    }
}

pub(super) fn decode<P, T: TryFrom<P, Error = WireError>>(
    collector: &Collector,
    what: &'static str,
    items: Vec<P>,
) -> Result<Vec<T>, Error> {
    items
        .into_iter()
        .map(|item| T::try_from(item).map_err(|error| collector.not_understood(what, error)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_host_and_port() {
        for good in ["127.0.0.1:9470", "http://localhost:1", "[::1]:9470"] {
            assert!(Collector::at(good).is_ok(), "{good}");
        }
        for bad in ["", "here", "https://x:1", "ftp://x:1", "a b:1"] {
            assert_eq!(
                Collector::at(bad).unwrap_err().to_string(),
                format!("{bad:?} is not an address of a collector, as 127.0.0.1:9470")
            );
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_plainly() {
        // Port 1 of the loopback: nobody listens there.
        let mut reader = Collector::at("127.0.0.1:1").unwrap().reader();
        let error = reader.summary().await.unwrap_err().to_string();
        assert!(
            error
                .starts_with("asking the collector at 127.0.0.1:1 for Summary: Connection refused"),
            "{error}"
        );
    }
}
