//! In which form an answer is printed, and what makes a shell complete command lines.

use clap::CommandFactory as _;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::cli::args::{Cli, Command, Output, ReportForm};
use crate::rules::RULES;

/// For whom an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For a person, or for programs, as it is.
    Verbatim,
    /// For programs; what is JSON so far becomes YAML.
    Yaml,
    /// For the next command of a pipe.
    Name,
}

impl Command {
    /// The form that was asked for.
    pub(super) fn form(&self) -> Form {
        let output = match self {
            Self::Status(output) => output.output,
            Self::Get(args) => args.output.output,
            Self::Describe(args) => args.output.output,
            Self::Diagnose(args) => args.output.output,
            Self::Explain(args) => args.output.output,
            Self::Report(args) if args.output == ReportForm::Yaml => return Form::Yaml,
            Self::Report(_) | Self::Completion { .. } => return Form::Verbatim,
        };
        match output {
            None | Some(Output::Wide | Output::Json) => Form::Verbatim,
            Some(Output::Yaml) => Form::Yaml,
            Some(Output::Name) => Form::Name,
        }
    }
}

impl Form {
    /// An answer in this form.
    pub(super) fn of(self, text: String) -> anyhow::Result<String> {
        if self != Self::Yaml {
            return Ok(text);
        }
        let mut values = Vec::new();
        for value in serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>() {
            values.push(serde_saphyr::to_string(&value?)?);
        }
        Ok(values.join("---\n"))
    }
}

/// The script for a shell.
pub(super) fn completion(shell: Shell) -> String {
    let mut script = Vec::new();
    let name = "kubectl-csi_doctor";
    let codes = PossibleValuesParser::new(RULES.iter().map(|rule| rule.code));
    let kinds = |kinds: &'static [&'static str]| PossibleValuesParser::new(kinds.iter().copied());
    // What is changed goes to the end of its command: the places are named anew.
    let what = |command: clap::Command, of| {
        let command = command.mut_arg("what", |arg| arg.value_parser(kinds(of)).index(1));
        command.mut_arg("name", |arg| arg.index(2))
    };
    let mut command = Cli::command()
        .mut_subcommand("explain", |one| {
            one.mut_arg("code", |arg| arg.value_parser(codes))
        })
        .mut_subcommand("diagnose", |one| what(one, &["pvc", "pod", "pv"]))
        .mut_subcommand("describe", |one| {
            what(one, &["volume", "driver", "pod", "node"])
        });
    clap_complete::generate(shell, &mut command, name, &mut script);
    // bash's script calls a subcommand by one name and looks for it by another, made of `kubectl csi-doctor`.
    String::from_utf8_lossy(&script).replace("kubectl__subcmd__csi_doctor", "kubectl__csi_doctor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_its_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completion(shell);
            let words = ["kubectl-csi_doctor", "diagnose", "fail-on"];
            assert!(words.iter().all(|word| script.contains(word)), "{shell}");
        }
    }

    #[test]
    fn yaml_says_what_json_says() {
        let text = Form::Yaml.of("{\"a\": [1, \"on\"]}\n{\"b\": null}\n".to_owned());
        assert_eq!(text.unwrap(), "a:\n- 1\n- \"on\"\n---\nb: null\n");
    }
}
