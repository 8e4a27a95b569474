//! The findings as they are, then what changes, until somebody ends it.

use jiff::Timestamp;
use tonic::{Request, Streaming};

use crate::grpc::client::{Collector, Error, FindingFilter, Reader, decode};
use crate::model::finding::{Code, Object};
use crate::model::view::Story;
use crate::proto::v1;
use crate::wire::{self, WireError};

const WHAT: &str = "WatchFindings";

/// What has changed at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// When, by the collector's clock.
    pub at: Timestamp,
    /// Whether everything of before is to be forgotten.
    pub full: bool,
    /// What is new or different.
    pub changed: Vec<Story>,
    /// What is no more.
    pub gone: Vec<(Code, Object)>,
}

/// A watch that is under way.
#[derive(Debug)]
pub struct Watch {
    collector: Collector,
    stream: Streaming<v1::WatchFindingsResponse>,
}

impl Reader {
    /// Begins to watch; the first changes are the whole list. It has no deadline.
    pub async fn watch(&mut self, filter: &FindingFilter) -> Result<Watch, Error> {
        let request = Request::new(v1::WatchFindingsRequest {
            namespace: filter.namespace.clone().unwrap_or_default(),
            code: filter
                .code
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            ..v1::WatchFindingsRequest::default()
        });
        let answer = self.client.watch_findings(request).await;
        Ok(Watch {
            collector: self.collector.clone(),
            stream: self.collector.take(WHAT, answer)?,
        })
    }
}

impl Watch {
    /// What changes next; nothing once the collector ends.
    pub async fn next(&mut self) -> Result<Option<Changes>, Error> {
        let message = self.stream.message().await;
        let Some(message) = message.map_err(|status| self.collector.failed(WHAT, &status))? else {
            return Ok(None);
        };
        let gone = message.gone.into_iter().map(|key| {
            let object = key.object.ok_or_else(|| WireError::missing("object"))?;
            Ok((Code(key.code), object.try_into()?))
        });
        let gone: Result<_, WireError> = gone.collect();
        Ok(Some(Changes {
            at: wire::at(message.at_ns),
            full: message.full,
            changed: decode(&self.collector, WHAT, message.changed)?,
            gone: gone.map_err(|error| self.collector.not_understood(WHAT, error))?,
        }))
    }
}
