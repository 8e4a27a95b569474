//! What `--from` names: a directory of objects, in place of the API server.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::bail;

use crate::kubernetes::manifests::Directory;
use crate::model::objects::Objects;
use crate::model::terms::Requirement;

/// How to save all that `report` and `diagnose` read.
const SAVE: &str =
    "kubectl get pv,pvc,sc,pods,events,nodes,csinodes,csidrivers,volumeattachments -A -o yaml";

/// What files hold; files that hold nothing of Kubernetes' storage were not meant.
pub(super) fn objects(directory: &Path, labels: Vec<Requirement>) -> anyhow::Result<Objects> {
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no directory {shown}; make it with: mkdir -p {shown} && {SAVE} > {shown}/all.yaml"
        ),
        Ok(metadata) if !metadata.is_dir() => {
            let parent = directory.parent().filter(|parent| *parent != Path::new(""));
            bail!(
                "{shown} is no directory; --from takes the one that it is in, with all files of it: --from {}",
                parent.unwrap_or(Path::new(".")).display()
            )
        }
        _ => {}
    }
    let asked = !labels.is_empty();
    let mut files = Directory::with_labels(directory.to_owned(), labels);
    let mut objects = files.read();
    let none = objects.counts().iter().all(|(_, count)| *count == 0);
    if none && !asked && objects.gaps().is_empty() {
        bail!(
            "{shown} holds no object of Kubernetes' storage; fill it with: {SAVE} > {shown}/all.yaml"
        );
    }
    files.note_unsaved(&mut objects);
    Ok(objects)
}
