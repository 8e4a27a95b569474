//! What nobody saved of a cluster: the kinds of which files have nothing at all.
//!
//! Without a word of them it cannot be told whether there are any, as when the right to list them is missing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::model::names::NodeName;
use crate::model::objects::{
    Attachment, Claim, Class, CsiDriver, CsiNode, Objects, PersistentVolume,
};
use crate::model::observed::{Gap, Listing, Why};

use super::kept::{Kept, PodInFull, Said};
use super::parse::Kind;

/// Makes a gap of each list that is empty for no reason, unless its kind was met.
pub(super) fn note_unsaved(objects: &mut Objects, met: &BTreeSet<Kind>, place: &Path) {
    let unsaved = Kind::ALL.into_iter().filter(|kind| !met.contains(kind));
    for kind in unsaved {
        let gap = gap(kind, place);
        match kind {
            Kind::Pod => note(&mut objects.pods, gap),
            Kind::Claim => note(&mut objects.claims, gap),
            Kind::Volume => note(&mut objects.volumes, gap),
            Kind::Attachment => note(&mut objects.attachments, gap),
            Kind::CsiNode => note(&mut objects.csi_nodes, gap),
            Kind::CsiDriver => note(&mut objects.drivers, gap),
            Kind::Node => note(&mut objects.nodes, gap),
            Kind::Class => note(&mut objects.classes, gap),
            Kind::Event => note(&mut objects.events, gap),
        }
    }
}

fn note<T>(listing: &mut Listing<T>, gap: Gap) {
    // Files that cannot be read say more of why there is nothing.
    if listing.items.is_empty() && listing.gaps.is_empty() {
        listing.gaps.push(gap);
    }
}

fn gap(kind: Kind, place: &Path) -> Gap {
    let path = path(kind);
    let resource = path.rsplit('/').next().unwrap_or_default();
    let place = place.display();
    // As the API server lists them: `kubectl get -o yaml` writes a list without a kind, from which nobody
    // can tell that there are none.
    let what = format!(
        "{resource}: {place} has none, so they were not saved; get them with: kubectl get --raw {path} > {place}/{resource}.json"
    );
    let why = match kind {
        // Most questions do without.
        Kind::Attachment | Kind::CsiNode | Kind::CsiDriver | Kind::Node => Why::NotAsked,
        Kind::Pod | Kind::Claim | Kind::Volume | Kind::Class | Kind::Event => Why::NotFound,
    };
    Gap::new(why, what)
}

/// Where the API server has all of a kind.
fn path(kind: Kind) -> String {
    match kind {
        Kind::Pod => PodInFull::path(""),
        Kind::Claim => Arc::<Claim>::path(""),
        Kind::Volume => Arc::<PersistentVolume>::path(""),
        Kind::Attachment => Arc::<Attachment>::path(""),
        Kind::CsiNode => CsiNode::path(""),
        Kind::CsiDriver => CsiDriver::path(""),
        Kind::Node => NodeName::path(""),
        Kind::Class => Arc::<Class>::path(""),
        Kind::Event => Said::path(""),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::parse::parse_file;
    use super::*;

    fn gaps(yaml: &str, expected: &Expect) {
        let parsed = parse_file("all.yaml", yaml.as_bytes(), &[]);
        let met = parsed.kinds().clone();
        let mut objects = parsed.into_objects();
        note_unsaved(&mut objects, &met, Path::new("dir"));
        let lists = [
            &objects.pods.gaps,
            &objects.claims.gaps,
            &objects.volumes.gaps,
            &objects.attachments.gaps,
            &objects.csi_nodes.gaps,
            &objects.drivers.gaps,
            &objects.nodes.gaps,
            &objects.classes.gaps,
            &objects.events.gaps,
        ];
        let shown = lists.into_iter().flatten().map(ToString::to_string);
        let shown: Vec<String> = shown.chain([String::new()]).collect();
        let shown = shown.join("\n");
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_kind_of_which_there_is_nothing_was_not_saved() {
        gaps(
            "{apiVersion: v1, kind: List, items: []}\n---\n{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: web, uid: p}}",
            &expect![[r#"
                persistentvolumeclaims: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/persistentvolumeclaims > dir/persistentvolumeclaims.json (NotFound)
                persistentvolumes: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/persistentvolumes > dir/persistentvolumes.json (NotFound)
                volumeattachments: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/volumeattachments > dir/volumeattachments.json (NotAsked)
                csinodes: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/csinodes > dir/csinodes.json (NotAsked)
                csidrivers: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/csidrivers > dir/csidrivers.json (NotAsked)
                nodes: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/nodes > dir/nodes.json (NotAsked)
                storageclasses: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/storageclasses > dir/storageclasses.json (NotFound)
                events: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/events > dir/events.json (NotFound)
            "#]],
        );
    }

    #[test]
    fn a_list_of_a_kind_says_that_there_are_none() {
        gaps(
            "{apiVersion: v1, kind: PodList, items: []}\n---\n{apiVersion: storage.k8s.io/v1, kind: StorageClassList}\n---\n{apiVersion: v1, kind: EventList, items: []}",
            &expect![[r#"
                persistentvolumeclaims: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/persistentvolumeclaims > dir/persistentvolumeclaims.json (NotFound)
                persistentvolumes: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/persistentvolumes > dir/persistentvolumes.json (NotFound)
                volumeattachments: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/volumeattachments > dir/volumeattachments.json (NotAsked)
                csinodes: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/csinodes > dir/csinodes.json (NotAsked)
                csidrivers: dir has none, so they were not saved; get them with: kubectl get --raw /apis/storage.k8s.io/v1/csidrivers > dir/csidrivers.json (NotAsked)
                nodes: dir has none, so they were not saved; get them with: kubectl get --raw /api/v1/nodes > dir/nodes.json (NotAsked)
            "#]],
        );
    }

    #[test]
    fn what_cannot_be_read_is_the_reason() {
        gaps(
            "a: [",
            &expect![[r#"
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
                read manifest all.yaml: unclosed bracket '[' at line 1, column 4 (Malformed)
            "#]],
        );
    }
}
