//! `explain --message`: the cause of a pasted error, without a collector.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::causes::{self, Symptom, classify};
use crate::cli::Answer;
use crate::cli::args::Output;
use crate::model::cause::Classification;
use crate::render;

/// More than this in one go is no message any more.
const LONGEST_INPUT: u64 = 256 << 20;

/// One line of JSON Lines.
#[derive(Deserialize)]
struct Line {
    message: String,
    reason: Option<String>,
    stage: Option<String>,
    driver: Option<String>,
    kind: Option<String>,
}

/// The cause of a text, or of what standard input holds when the text is `-`.
pub(super) fn explain(text: &str, output: Option<Output>) -> anyhow::Result<Answer> {
    let input = if text == "-" {
        read_input()?
    } else {
        text.to_owned()
    };
    if input.trim().is_empty() {
        bail!("there is no message to explain: --message TEXT, or - for standard input");
    }
    if !matches!(output, Some(Output::Json | Output::Yaml)) {
        let told = classify(&Symptom {
            text: &input,
            ..Symptom::default()
        });
        let at_stages = match told.cause {
            Some(_) => Vec::new(),
            None => causes::by_stage(&input),
        };
        return Ok(Answer::found_nothing(render::cause::cause(
            &told, &at_stages,
        )));
    }
    if !is_json_lines(&input) {
        let told = classify(&Symptom {
            text: &input,
            ..Symptom::default()
        });
        return Ok(Answer::found_nothing(render::json::cause(&told)));
    }
    let lines = input
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let mut unread = 0;
    let text = lines
        .map(|(at, line)| match serde_json::from_str::<Line>(line) {
            Ok(message) => render::json::cause(&message.classify()),
            Err(error) => {
                unread += 1;
                render::json::unread(&format!("line {}: {error}", at + 1))
            }
        })
        .collect();
    Ok(Answer {
        text,
        found: false,
        failure: (unread > 0).then(|| format!("of the lines of standard input {unread} could not be read; the answer has an error in the place of each")),
    })
}

impl Line {
    fn classify(&self) -> Classification {
        classify(&Symptom {
            text: &self.message,
            reason: self.reason.as_deref(),
            stage: self.stage.as_deref(),
            driver: self.driver.as_deref(),
            kind: self.kind.as_deref(),
        })
    }
}

/// Whether an input is meant as JSON Lines: its first line is an object.
fn is_json_lines(input: &str) -> bool {
    let first = input
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(first).is_ok()
}

/// Standard input; bytes that are no UTF-8 do not keep a message from being read.
fn read_input() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(LONGEST_INPUT)
        .read_to_end(&mut bytes)
        .context("reading standard input")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
