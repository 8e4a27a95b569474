//! `explain`: the handbook and the causes, without a collector.

use anyhow::bail;

use crate::causes;
use crate::cli::args::{ExplainArgs, Output};
use crate::cli::{Answer, message, near};
use crate::model::cause::CauseId;
use crate::model::finding::quote;
use crate::model::stage::Stage;
use crate::render;
use crate::render::json::Page;
use crate::rules::{self, RULES, Rule};

/// The whole handbook, by this word.
const HANDBOOK: &str = "handbook";

/// The handbook, a page of it, the list of its pages, a cause, or the cause of a message.
pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<Answer> {
    if let Some(text) = &args.message {
        return message::explain(text, args.output.output);
    }
    let is_json = matches!(args.output.output, Some(Output::Json | Output::Yaml));
    let text = match args.code.as_deref() {
        Some(HANDBOOK) if !is_json => render::page::page(include_str!("../../docs/handbook.md")),
        Some(code) => match (rules::find(&code.into()), cause(code)) {
            (Some(rule), _) if is_json => render::json::page(&page(rule, true)),
            (Some(rule), _) => render::page::page(rule.docs),
            (None, Some(id)) if is_json => render::json::cause_page(id, &causes::page(id)),
            (None, Some(id)) => render::page::page(&causes::page(id)),
            (None, None) if code.contains(char::is_whitespace) => bail!(
                "there is no finding of that name; what a message means is said by: kubectl csi-doctor explain --message {}",
                quote(code)
            ),
            (None, None) => bail!(
                "there is no finding {code}{}; `kubectl csi-doctor explain` lists them; nor a cause of that name",
                near::meant(code, RULES.iter().map(|rule| rule.code))
            ),
        },
        None if is_json => {
            let all: Vec<_> = RULES.iter().map(|rule| page(rule, false)).collect();
            render::json::pages(&all)
        }
        None => render::page::list(
            RULES
                .iter()
                .map(|rule| (rule.code, rule.severity, rule.summary)),
        ),
    };
    Ok(Answer::found_nothing(text))
}

/// A cause by its name, as `explain --message` and `diagnose` write it.
fn cause(name: &str) -> Option<CauseId> {
    CauseId::from_name(&name.to_ascii_lowercase())
}

fn page(rule: &'static Rule, whole: bool) -> Page<'static> {
    Page {
        code: rule.code,
        severity: rule.severity.to_string(),
        stage: rule.stage.map(Stage::as_str),
        grace_seconds: rule.grace.as_secs(),
        summary: rule.summary,
        text: whole.then_some(rule.docs),
    }
}
