//! The command line as a program: whole command lines with their output and exit codes, in `tests/cmd/`.

#[test]
fn command_lines_answer_as_written_down() {
    trycmd::TestCases::new().case("tests/cmd/*.toml");
}
