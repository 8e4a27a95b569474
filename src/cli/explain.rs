//! `explain`: the handbook and the causes, without a collector.

use std::fmt::Write as _;

use anyhow::Context as _;

use crate::cli::args::ExplainArgs;
use crate::cli::{Answer, message};
use crate::rules::{self, RULES};

/// A page of the handbook, the list of its pages, or the cause of a message.
pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<Answer> {
    if let Some(text) = &args.message {
        return message::explain(text, args.output.output);
    }
    let text = match args.code.as_deref() {
        Some(code) => {
            let rule = rules::find(&code.into()).with_context(|| {
                format!("there is no finding {code}; `kubectl csi-doctor explain` lists them")
            })?;
            rule.docs.to_owned()
        }
        None => RULES.iter().fold(String::new(), |mut text, rule| {
            let _ = writeln!(
                text,
                "{:<26} {:<8} {}",
                rule.code, rule.severity, rule.summary
            );
            text
        }),
    };
    Ok(Answer::found_nothing(text))
}
