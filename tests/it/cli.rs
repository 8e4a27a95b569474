//! The command line as a program: whole command lines with their output and exit codes, in `tests/cmd/`.

use std::process::Command;

use expect_test::expect;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubectl-csi_doctor");

#[test]
fn command_lines_answer_as_written_down() {
    trycmd::TestCases::new().case("tests/cmd/*.toml");
}

/// What bash offers at the end of each line, by the script that is printed for it.
#[test]
fn bash_completes_subcommands_kinds_and_codes() {
    let script = r#"
        source /dev/stdin <<< "$("$1" completion bash)"
        for line in "get " "report -o " "explain StorageC" "diagnose " "describe "; do
            COMP_WORDS=(kubectl-csi_doctor)
            while IFS= read -r -d ' ' word; do COMP_WORDS+=("$word"); done <<< "$line"
            COMP_WORDS+=("${line##* }")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            COMPREPLY=()
            _kubectl__csi_doctor kubectl-csi_doctor "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            offered=()
            for word in "${COMPREPLY[@]}"; do [[ $word == -* ]] || offered+=("$word"); done
            echo "$line| ${offered[*]}"
        done
    "#;
    let output = Command::new("bash")
        .args(["-c", script, "bash", PROGRAM])
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    expect![[r#"
        get | findings volumes nodes drivers
        report -o | table wide json yaml csv markdown html
        explain StorageC| StorageClassNotFound
        diagnose | pvc pod pv
        describe | volume driver pod node
    "#]]
    .assert_eq(&text);
}
