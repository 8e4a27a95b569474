//! Single requests to the API server: one page of a list, one object.

use kube::Client;
use kube::api::{GetParams, ListParams};
use kube::core::Request;

use crate::model::observed::Gap;

use super::failure::{self, Verb};
use super::kept::{Arrived, Kept, Key, Page};

/// So many objects are asked for at once.
pub(super) const PAGE: u32 = 500;

/// One page of a list; of all namespaces where none is named.
pub(super) async fn page<M: Kept>(
    client: &Client,
    namespace: &str,
    params: &ListParams,
) -> Result<Page<M>, kube::Error> {
    let request = Request::new(M::path(namespace));
    let request = if M::METADATA_ONLY {
        request.list_metadata(params)
    } else {
        request.list(params)
    };
    client
        .request(request.map_err(kube::Error::BuildRequest)?)
        .await
}

/// One object, not older than a version: then it may come from the server's memory.
pub(super) async fn get<M: Kept>(
    client: &Client,
    (namespace, name): &Key,
    version: Option<String>,
) -> Result<Option<Arrived<M>>, Gap> {
    let mut params = GetParams {
        resource_version: version,
    };
    loop {
        let request = Request::new(M::path(namespace)).get(name, &params);
        let answer = match request {
            Ok(request) => client.request(request).await,
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        return match answer {
            Ok(arrived) => Ok(Some(arrived)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            // The server's history was put back, from a backup perhaps.
            Err(error) if failure::is_expired(&error) && params.resource_version.is_some() => {
                params.resource_version = None;
                continue;
            }
            Err(error) => Err(failure::gap::<M>(Verb::Get, &error)),
        };
    }
}
