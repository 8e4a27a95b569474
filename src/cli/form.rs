//! In which form an answer is printed, and what makes a shell complete command lines.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::args::{Cli, Command, Output, ReportForm};

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
    clap_complete::generate(shell, &mut Cli::command(), name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
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
