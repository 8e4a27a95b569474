//! Usage of a mounted volume, by asking its filesystem.
//!
//! A filesystem that does not answer holds one thread for ever, and no more:
//! while a question is out, the next one about that volume is told so.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::statvfs::statvfs;
use tonic::Status;

use crate::proto::csi::VolumeUsage;
use crate::proto::csi::volume_usage::Unit;

#[derive(Debug, Default)]
pub(super) struct Stats {
    asking: Arc<Mutex<BTreeSet<String>>>,
}

impl Stats {
    pub(super) async fn read(
        &self,
        handle: &str,
        path: PathBuf,
    ) -> Result<Vec<VolumeUsage>, Status> {
        let fresh = self
            .asking
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(handle.to_owned());
        if !fresh {
            return Err(Status::aborted(format!(
                "an operation with the given volume {handle} already exists"
            )));
        }
        let (asking, handle) = (Arc::clone(&self.asking), handle.to_owned());
        // It runs to its end even if the caller gives up.
        let answer = tokio::task::spawn_blocking(move || {
            let answer = usage(&path);
            asking
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&handle);
            answer
        });
        answer
            .await
            .map_err(|error| Status::internal(format!("could not ask for usage: {error}")))?
    }
}

fn usage(path: &std::path::Path) -> Result<Vec<VolumeUsage>, Status> {
    let answer = statvfs(path).map_err(|error| {
        Status::internal(format!(
            "could not get usage of {}: {error}",
            path.display()
        ))
    })?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let bytes = |blocks: u64| number(blocks.saturating_mul(answer.fragment_size()));
    let (blocks, free) = (answer.blocks(), answer.blocks_free());
    let (files, files_free) = (answer.files(), answer.files_free());
    Ok(vec![
        VolumeUsage {
            available: bytes(answer.blocks_available()),
            total: bytes(blocks),
            used: bytes(blocks.saturating_sub(free)),
            unit: Unit::Bytes.into(),
        },
        VolumeUsage {
            available: number(answer.files_available()),
            total: number(files),
            used: number(files.saturating_sub(files_free)),
            unit: Unit::Inodes.into(),
        },
    ])
}
