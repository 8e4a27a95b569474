//! Whether there is a cluster that kubectl would ask.

use std::path::Path;

use anyhow::bail;

use crate::kubernetes::client;

/// Whether the caller has a kubeconfig; `/dev/null` says that there is none, as kubectl takes it. One that is
/// named and is not there is a slip, and no wish to ask somebody else.
pub(super) fn is_there() -> anyhow::Result<bool> {
    let Some(named) = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) else {
        return Ok(client::has_kubeconfig());
    };
    if Path::new(&named) == Path::new("/dev/null") {
        return Ok(false);
    }
    if !client::has_kubeconfig() {
        bail!(
            "KUBECONFIG names {}, which is not there; unset it, or name another one with --kubeconfig",
            named.display()
        );
    }
    Ok(true)
}
