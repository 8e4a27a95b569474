//! What the lab says to its terminal; nothing else in it prints.

use std::io::Write;

/// Prints lines to standard output. A closed pipe is not worth dying for.
pub(crate) fn say(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Prints lines to standard error.
pub(crate) fn complain(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = writeln!(out, "{text}");
}
