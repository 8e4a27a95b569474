//! `diagnose`: an object's way, one line a step, and the one thing to do.

use std::fmt::Write as _;

use crate::model::stage::Stage;
use crate::model::way::Way;

/// The way as a person reads it.
pub fn way(way: &Way) -> String {
    let mut text = String::new();
    let title = match way.steps.first().map(|step| step.stage) {
        Some(Stage::Bind(_)) => "Binding",
        Some(Stage::Mount(_)) => "Mount",
        Some(Stage::Expand(_)) | None => "Expansion",
    };
    let _ = writeln!(text, "{title} of {}, seen by {}", way.object, way.seen_by);
    let name = |stage: &str| {
        stage
            .split_once(": ")
            .map_or(stage.to_owned(), |(_, step)| step.to_owned())
    };
    for step in &way.steps {
        let line = format!(
            "  {} {:<20} {}",
            step.mark.sign(),
            name(step.stage.as_str()),
            step.evidence
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "{}", way.state);
    if let Some(next) = &way.next {
        let _ = writeln!(text, "What to do: {}", next.what);
        if let Some(command) = &next.command {
            let _ = writeln!(text, "    {command}");
        }
    }
    text
}
