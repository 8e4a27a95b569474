//! What an error text means, for a person.

use std::fmt::Write as _;

use anstyle::Style;

use crate::model::cause::{Classification, Confidence};

/// The cause of a message, how sure that is, the layers it was wrapped in, and what to do; of one that tells
/// none by itself, which it would have at some stages.
pub fn cause(told: &Classification, at_stages: &[(&str, Classification)]) -> String {
    let bold = Style::new().bold();
    let mut text = String::new();
    let _ = match told.cause {
        Some(cause) => writeln!(
            text,
            "Cause:  {bold}{}{bold:#}, {}",
            cause.id.as_str(),
            match cause.confidence {
                Confidence::Stated => "stated: the text itself says so",
                Confidence::Likely => "likely: the usual cause of this wording, not the only one",
            }
        ),
        None => writeln!(
            text,
            "Cause:  {bold}unknown{bold:#}: it has none of the wordings that are known of kubelet, controllers, sidecars, drivers, clouds and filesystems"
        ),
    };
    for (stage, told) in at_stages {
        if let Some(cause) = told.cause {
            let _ = writeln!(
                text,
                "If it is the error of stage {stage}: {bold}{}{bold:#}, {}. {}",
                cause.id, cause.confidence, told.next
            );
        }
    }
    let _ = writeln!(text, "Next:   {}", told.next);
    if told.cause.is_none() {
        text.push_str(
            "        Or follow the object that it is about: kubectl csi-doctor diagnose pod|pvc|pv NAME\n",
        );
    }
    if !told.others.is_empty() {
        let _ = writeln!(text, "Others that it can be:");
        for other in &told.others {
            let _ = writeln!(text, "  {}: {}", other.cause.as_str(), other.how_to_tell);
        }
    }
    let _ = writeln!(text, "Layers, the outermost first:");
    for layer in &told.layers {
        let by = match (layer.speaker, layer.code) {
            (Some(speaker), Some(code)) => format!("{speaker}, {code}: "),
            (Some(speaker), None) => format!("{speaker}: "),
            (None, Some(code)) => format!("{code}: "),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "  {by}{}", layer.text);
    }
    text
}
