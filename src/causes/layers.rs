//! A nested message taken apart: who wrapped whom, outermost first.
//!
//! Each program that passes an error on puts its own words before it, in a fixed form: the event
//! recorder, the kubelet, a sidecar, gRPC, the runner of a command. Knows these forms, their gRPC
//! codes and the stage that they imply; knows nothing of causes.

use std::sync::LazyLock;

use crate::causes::clean::shown;
use crate::causes::needles::{Needles, fold};
use crate::model::cause::{GrpcCode, Layer};

/// As deep as layers are told apart; real messages nest about six deep.
const DEPTH: usize = 16;

/// As far behind the start of a wrapping its end is sought: names and paths lie between.
const REACH: usize = 1200;

/// What stands between an operation on a named object and the error of it.
const CLOSERS: &[&str] = &["' : ", "': ", ") : ", "failed: "];

/// A step on a volume's way, as far as the matchers tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Provision,
    Restore,
    Bind,
    Attach,
    Detach,
    Stage,
    Publish,
    Unstage,
    Unpublish,
    Expand,
    Snapshot,
    Delete,
    Runtime,
}

impl Phase {
    /// The phase of a stage name as rules and people write it.
    pub(super) fn from_name(name: &str) -> Option<Phase> {
        Some(match name {
            "provision" => Phase::Provision,
            "restore" => Phase::Restore,
            "bind" => Phase::Bind,
            "attach" => Phase::Attach,
            "detach" => Phase::Detach,
            "stage" => Phase::Stage,
            "publish" | "mount" => Phase::Publish,
            "unstage" => Phase::Unstage,
            "unpublish" => Phase::Unpublish,
            "expand" | "expand-controller" | "expand-node" => Phase::Expand,
            "snapshot" => Phase::Snapshot,
            "delete" => Phase::Delete,
            "runtime" => Phase::Runtime,
            _ => return None,
        })
    }
}

/// How the words of one wrapping end, and with them the layer.
enum Ends {
    /// With the marker itself.
    Here,
    /// With the first of the closers after the marker.
    Closed,
    /// With the description that follows a gRPC code.
    Status,
    /// With the marker; what follows is what a command printed.
    Output,
}

struct Wrapping {
    marker: &'static str,
    speaker: Option<&'static str>,
    phase: Option<Phase>,
    ends: Ends,
}

const fn op(marker: &'static str, speaker: &'static str, phase: Phase) -> Wrapping {
    Wrapping {
        marker,
        speaker: Some(speaker),
        phase: Some(phase),
        ends: Ends::Closed,
    }
}

const fn prefix(marker: &'static str, speaker: &'static str, phase: Option<Phase>) -> Wrapping {
    Wrapping {
        marker,
        speaker: Some(speaker),
        phase,
        ends: Ends::Here,
    }
}

const fn output(marker: &'static str) -> Wrapping {
    Wrapping {
        marker,
        speaker: None,
        phase: None,
        ends: Ends::Output,
    }
}

/// Sources: client-go `tools/record/events_cache.go`; Kubernetes
/// `pkg/volume/util/operationexecutor/operation_generator.go` and `volume/util/types`; the
/// sidecars' controllers; grpc-go `status.Error`; mount-utils `mount_linux.go`.
const WRAPPINGS: &[Wrapping] = &[
    prefix("(combined from similar events): ", "event recorder", None),
    op("mountvolume.mountdevice", "kubelet", Phase::Stage),
    op("mountvolume.waitforattach", "kubelet", Phase::Stage),
    op("mountvolume.setup", "kubelet", Phase::Publish),
    op("mountvolume.newmounter", "kubelet", Phase::Publish),
    op("mountvolume.nodeaffinity", "kubelet", Phase::Publish),
    op("mountvolume.findpluginbyspec", "kubelet", Phase::Publish),
    op("mapvolume.setupdevice", "kubelet", Phase::Stage),
    op("mapvolume.waitforattach", "kubelet", Phase::Stage),
    op("mapvolume.mappoddevice", "kubelet", Phase::Publish),
    op(
        "nodeexpandvolume.nodeexpandvolume",
        "kubelet",
        Phase::Expand,
    ),
    op("unmountvolume.", "kubelet", Phase::Unpublish),
    op("unmapvolume.", "kubelet", Phase::Unpublish),
    op("unmountdevice", "kubelet", Phase::Unstage),
    op(
        "attachvolume.attach",
        "attach/detach controller",
        Phase::Attach,
    ),
    op(
        "attachvolume.newattacher",
        "attach/detach controller",
        Phase::Attach,
    ),
    op(
        "detachvolume.detach",
        "attach/detach controller",
        Phase::Detach,
    ),
    op(
        "failed to provision volume",
        "external-provisioner",
        Phase::Provision,
    ),
    op(
        "error expanding volume '",
        "expand controller",
        Phase::Expand,
    ),
    Wrapping {
        marker: "resize volume '",
        speaker: Some("external-resizer"),
        phase: Some(Phase::Expand),
        ends: Ends::Closed,
    },
    prefix(
        "failed to create snapshot content with error ",
        "snapshot-controller",
        Some(Phase::Snapshot),
    ),
    prefix(
        "failed to check and update snapshot content: ",
        "external-snapshotter",
        Some(Phase::Snapshot),
    ),
    prefix(
        "failed to create snapshot: ",
        "external-snapshotter",
        Some(Phase::Snapshot),
    ),
    Wrapping {
        marker: "rpc error: code = ",
        speaker: None,
        phase: None,
        ends: Ends::Status,
    },
    output("output: "),
    output("stderr: "),
];

static MARKERS: LazyLock<Needles> =
    LazyLock::new(|| Needles::new(WRAPPINGS.iter().map(|wrapping| wrapping.marker)));

/// Programs whose own lines start with their name and a colon.
const TOOLS: &[&str] = &[
    "mount.nfs4",
    "mount.nfs",
    "mount.cifs",
    "mount.lustre",
    "mount.ceph",
    "mount.fuse",
    "mount",
    "umount",
    "rbd",
    "iscsiadm",
    "nvme",
    "cryptsetup",
    "mkfs.ext4",
    "mkfs.xfs",
    "resize2fs",
    "xfs_growfs",
    "e2fsck",
    "fsck",
    "blkid",
    "modprobe",
];

/// A message taken apart.
#[derive(Debug)]
pub(super) struct Nested {
    /// The layers, outermost first.
    pub(super) layers: Vec<Layer>,
    /// Where in the clean text each layer's own words start.
    pub(super) starts: Vec<usize>,
    /// The stage that the outer layers imply: that of the outermost one which names any.
    pub(super) phase: Option<Phase>,
    /// The innermost gRPC code.
    pub(super) code: Option<GrpcCode>,
}

impl Nested {
    /// How deep a place in the text lies.
    pub(super) fn depth(&self, at: usize) -> usize {
        self.starts.iter().filter(|start| **start <= at).count()
    }
}

/// A place where one layer's words end and the next one's begin.
struct Cut {
    outer_end: usize,
    inner_start: usize,
    outer_speaker: Option<&'static str>,
    inner_speaker: Option<&'static str>,
    code: Option<GrpcCode>,
}

/// Takes a clean text apart. Linear in its length: depth and reach are bounded.
pub(super) fn unwrap(text: &str) -> Nested {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut phase = None;
    let mut from = 0;
    let mut searched = 0;
    MARKERS.scan(text, |marker, start, end| {
        if start < from || cuts.len() + 1 >= DEPTH {
            return;
        }
        let wrapping = &WRAPPINGS[marker];
        phase = phase.or(wrapping.phase);
        if let Some(cut) = cut(text, wrapping, start, end, &mut searched) {
            from = cut.inner_start;
            cuts.push(cut);
        }
    });
    assemble(text, &cuts, phase)
}

fn cut(
    text: &str,
    wrapping: &Wrapping,
    start: usize,
    end: usize,
    searched: &mut usize,
) -> Option<Cut> {
    let mut cut = Cut {
        outer_end: end,
        inner_start: end,
        outer_speaker: wrapping.speaker,
        inner_speaker: None,
        code: None,
    };
    match &wrapping.ends {
        Ends::Here => {}
        Ends::Output => cut.inner_speaker = Some(tool(&text[end..])),
        Ends::Closed => {
            let close = nearest(text, end, searched)?;
            (cut.outer_end, cut.inner_start) = (close, close);
        }
        Ends::Status => {
            let name_end = text[end..].find(' ').map(|at| end + at)?;
            cut.code = GrpcCode::from_name(&text[end..name_end]);
            cut.outer_end = start;
            cut.inner_start = text[name_end..]
                .strip_prefix(" desc = ")
                .map_or(name_end, |_| name_end + " desc = ".len());
        }
    }
    (cut.inner_start < text.len()).then_some(cut)
}

/// The end of the first closer within reach. What was searched in vain is not searched again.
fn nearest(text: &str, from: usize, searched: &mut usize) -> Option<usize> {
    let from = from.max(*searched);
    let bytes = text.as_bytes();
    let end = bytes.len().min(from + REACH);
    let found = (from..end).find_map(|at| {
        CLOSERS
            .iter()
            .find(|closer| starts_folded(&bytes[at..], closer))
            .map(|closer| at + closer.len())
    });
    *searched = if found.is_none() { end } else { *searched };
    found
}

fn starts_folded(bytes: &[u8], needle: &str) -> bool {
    bytes.len() >= needle.len()
        && bytes
            .iter()
            .zip(needle.bytes())
            .all(|(byte, wanted)| fold(*byte) == wanted)
}

/// The program that printed this, where its first line says so.
fn tool(printed: &str) -> &'static str {
    TOOLS
        .iter()
        .find(|tool| {
            printed
                .strip_prefix(**tool)
                .is_some_and(|rest| rest.starts_with(':'))
        })
        .copied()
        .unwrap_or("the command that was run")
}

fn assemble(text: &str, cuts: &[Cut], phase: Option<Phase>) -> Nested {
    let mut nested = Nested {
        layers: Vec::with_capacity(cuts.len() + 1),
        starts: Vec::with_capacity(cuts.len() + 1),
        phase,
        code: None,
    };
    let mut start = 0;
    let (mut code, mut inner_speaker) = (None, None);
    for cut in cuts {
        let speaker = inner_speaker.or(cut.outer_speaker);
        nested.push(&text[start..cut.outer_end.max(start)], start, speaker, code);
        (start, code, inner_speaker) = (cut.inner_start, cut.code, cut.inner_speaker);
    }
    nested.push(&text[start..], start, inner_speaker, code);
    nested
}

impl Nested {
    fn push(
        &mut self,
        words: &str,
        start: usize,
        speaker: Option<&'static str>,
        code: Option<GrpcCode>,
    ) {
        let words = words.trim().trim_end_matches([':', ',']).trim_end();
        if words.is_empty() && code.is_none() {
            return;
        }
        self.code = code.or(self.code);
        self.starts.push(start);
        self.layers.push(Layer {
            text: shown(words),
            speaker,
            code,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_message_comes_apart() {
        let nested = unwrap(
            "(combined from similar events): MountVolume.SetUp failed for volume \"pvc-1\" : \
             rpc error: code = Internal desc = Could not mount: exit status 32 Mounting command: \
             mount Output: mount.nfs: Connection timed out",
        );
        let told: Vec<String> = nested
            .layers
            .iter()
            .map(|layer| format!("{:?} {:?} {}", layer.speaker, layer.code, layer.text))
            .collect();
        assert_eq!(
            told,
            [
                "Some(\"event recorder\") None (combined from similar events)",
                "Some(\"kubelet\") None MountVolume.SetUp failed for volume \"pvc-1\"",
                "None Some(Internal) Could not mount: exit status 32 Mounting command: mount Output",
                "Some(\"mount.nfs\") None mount.nfs: Connection timed out",
            ]
        );
        assert_eq!(nested.phase, Some(Phase::Publish));
        assert_eq!(nested.code, Some(GrpcCode::Internal));
    }
}
