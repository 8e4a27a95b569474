//! `explain`: the handbook, without a collector.

use std::fmt::Write as _;

use anyhow::Context as _;

use crate::cli::Answer;
use crate::rules::{self, RULES};

/// A page of the handbook, or the list of its pages.
pub(super) fn explain(code: Option<&str>) -> anyhow::Result<Answer> {
    let text = match code {
        Some(code) => {
            let rule = rules::find(&code.into()).with_context(|| {
                format!("there is no finding {code}; `kubectl csi-doctor explain` lists them")
            })?;
            rule.docs.to_owned()
        }
        None => RULES.iter().fold(String::new(), |mut text, rule| {
            let _ = writeln!(
                text,
                "{:<24} {:<8} {}",
                rule.code, rule.severity, rule.summary
            );
            text
        }),
    };
    Ok(Answer { text, found: false })
}
