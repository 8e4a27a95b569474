//! What an error text means, for a person.

use std::fmt::Write as _;

use anstyle::Style;

use crate::model::cause::{Classification, Confidence};

/// The cause of a message, how sure that is, the layers it was wrapped in, and what to do.
pub fn cause(told: &Classification) -> String {
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
        None => writeln!(text, "Cause:  {bold}unknown{bold:#}"),
    };
    let _ = writeln!(text, "Next:   {}", told.next);
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
