//! Where the kubelet keeps a CSI volume, by its rules of naming.
//!
//! Source: Kubernetes 1.30–1.37, `pkg/volume/csi/{csi_mounter,csi_attacher,csi_block,csi_util}.go`.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::model::mount::Mount;
use crate::model::names::{DriverName, HostPath, PodRef, Uid, VolumeHandle};
use crate::model::objects::VolumeMode;
use crate::model::volume::Volume;

/// The target path of a volume in a pod.
pub(super) fn target(root: &HostPath, mode: VolumeMode, pod: &Uid, spec_name: &str) -> HostPath {
    match mode {
        VolumeMode::Filesystem => below(
            root,
            [
                "pods/",
                pod.as_str(),
                "/volumes/kubernetes.io~csi/",
                &escape(spec_name),
                "/mount",
            ],
        ),
        VolumeMode::Block => below(
            root,
            [
                "plugins/kubernetes.io/csi/volumeDevices/publish/",
                &escape(spec_name),
                "/",
                pod.as_str(),
            ],
        ),
    }
}

/// The staging target path of a volume.
pub(super) fn staging(
    root: &HostPath,
    mode: VolumeMode,
    driver: &DriverName,
    handle: &VolumeHandle,
    spec_name: &str,
) -> HostPath {
    match mode {
        VolumeMode::Filesystem => below(
            root,
            [
                "plugins/kubernetes.io/csi/",
                driver.as_str(),
                "/",
                &hash(handle.as_str()),
                "/globalmount",
            ],
        ),
        VolumeMode::Block => below(
            root,
            [
                "plugins/kubernetes.io/csi/volumeDevices/staging/",
                &escape(spec_name),
            ],
        ),
    }
}

/// The staging target path of kubelets before 1.24, which may survive on upgraded nodes.
pub(super) fn old_staging(root: &HostPath, spec_name: &str) -> HostPath {
    old_stages(root).join(format!("{}/globalmount", escape(spec_name)))
}

/// The directory of such paths.
pub(super) fn old_stages(root: &HostPath) -> HostPath {
    root.join("plugins/kubernetes.io/csi/pv")
}

/// The path by which the kubelet asks for a volume's usage: that of its own map for a raw block volume
/// (`plugins/kubernetes.io/csi/volumeDevices/<spec name>/dev/<pod UID>`), the target path for any other.
pub fn asked_at(mode: VolumeMode, target: &HostPath) -> HostPath {
    let mut parents = target.0.ancestors().skip(1);
    match (mode, parents.next(), parents.nth(1), target.0.file_name()) {
        (VolumeMode::Block, Some(volume), Some(all), Some(pod)) => {
            let name = volume.file_name().unwrap_or_default();
            all.join(name).join("dev").join(pod).into()
        }
        _ => target.clone(),
    }
}

/// The path at which a filesystem is asked that is published as `mount`: the stage's, where the same
/// directory of the same filesystem is mounted there. A question that waits for its answer keeps the mount
/// busy by which it came, and the pod's is the one that has to go when the pod does.
pub fn touched_at<'a>(volume: &'a Volume, mount: &'a Mount) -> &'a HostPath {
    let staged = volume.staged.known().and_then(Option::as_ref);
    let same = staged.filter(|staged| staged.device == mount.device && staged.root == mount.root);
    &same.unwrap_or(mount).target
}

/// The handle that the kubelet makes up for an inline volume.
pub(super) fn inline_handle(pod: &PodRef, name: &str) -> VolumeHandle {
    format!("csi-{}", hash(&format!("{}{name}", pod.uid))).into()
}

/// The kubelet's only escaping of names in paths.
fn escape(name: &str) -> Cow<'_, str> {
    if name.contains('/') {
        name.replace('/', "~").into()
    } else {
        name.into()
    }
}

/// A path of several pieces; not formatted, since every volume comes by here.
fn below<const N: usize>(root: &HostPath, pieces: [&str; N]) -> HostPath {
    root.join(pieces.concat())
}

fn hash(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| char::from(DIGITS[usize::from(four & 15)]);
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        hex.push(digit(byte >> 4));
        hex.push(digit(byte));
    }
    hex
}

#[cfg(test)]
mod tests {
    use crate::model::observed::Observed;

    use super::*;

    #[test]
    fn a_filesystem_is_touched_at_its_stage_where_that_is_the_same() {
        let mut node = crate::model::sample::node();
        let volume = &mut node.volumes.items[0];
        let published = volume.published[0]
            .mount
            .known()
            .cloned()
            .flatten()
            .unwrap();
        let staged = volume.staged.known().cloned().flatten().unwrap();
        assert_eq!(touched_at(volume, &published), &staged.target);
        let mut elsewhere = published.clone();
        elsewhere.root = "/a-directory".into();
        assert_eq!(touched_at(volume, &elsewhere), &published.target);
        elsewhere = published.clone();
        elsewhere.device.minor += 1;
        assert_eq!(touched_at(volume, &elsewhere), &published.target);
        volume.staged = Observed::Known(None);
        assert_eq!(touched_at(volume, &published), &published.target);
    }

    #[test]
    fn paths_are_the_kubelets() {
        let root = HostPath::from("/var/lib/kubelet");
        let pod = PodRef {
            uid: "3f2c7e0a-1111-2222-3333-444455556666".into(),
            ..PodRef::default()
        };
        assert_eq!(
            staging(
                &root,
                VolumeMode::Filesystem,
                &"d.example.com".into(),
                &"vol-0123".into(),
                "pv"
            )
            .to_string(),
            "/var/lib/kubelet/plugins/kubernetes.io/csi/d.example.com/\
             f1dcc41f8f47bcb49d9e1cd26bd3aef8ebdac1e4cbe319cc4b4ac26bffe8f1e9/globalmount"
        );
        assert_eq!(
            inline_handle(&pod, "scratch").as_str(),
            "csi-0934dacff83927dc0a39c2f57b7f65aef661df391235ea04c0346de54ef740a8"
        );
        let device = target(&root, VolumeMode::Block, &pod.uid, "pv");
        assert_eq!(
            asked_at(VolumeMode::Block, &device).to_string(),
            "/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices/pv/dev/3f2c7e0a-1111-2222-3333-444455556666"
        );
        assert_eq!(
            target(&root, VolumeMode::Filesystem, &pod.uid, "a/b").to_string(),
            "/var/lib/kubelet/pods/3f2c7e0a-1111-2222-3333-444455556666/volumes/kubernetes.io~csi/a~b/mount"
        );
    }
}
