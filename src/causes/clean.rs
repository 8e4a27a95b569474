//! Text made fit to be read and to be shown: no control characters, no escapes, bounded length.
//!
//! Knows nothing of what a text means.

/// The most bytes of one layer that are shown; an event's message has at most as many.
const SHOWN: usize = 1024;

/// The text without control and direction characters, escapes resolved, white space collapsed.
///
/// Linear in the length of the text. Logs quote errors with `\"` and `\n`; the same error in an
/// event has neither, and both must read alike.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = if c == '\\' { unescape(&mut chars) } else { c };
        match c {
            _ if c.is_whitespace() || c.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '\u{2018}' | '\u{2019}' => out.push('\''),
            '\u{201c}' | '\u{201d}' => out.push('"'),
            // Marks that change how a terminal orders or hides what follows.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {}
            _ => out.push(c),
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

/// What a backslash and the characters after it stand for. A run of backslashes is one.
fn unescape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> char {
    while chars.next_if_eq(&'\\').is_some() {}
    match chars.peek() {
        Some('"') => {
            chars.next();
            '"'
        }
        Some('n' | 't' | 'r') => {
            chars.next();
            ' '
        }
        _ => '\\',
    }
}

/// At most as much of a clean text as is shown, cut between characters.
pub(super) fn shown(text: &str) -> String {
    let text = text.trim();
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let mut end = SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_go() {
        assert_eq!(
            clean("  volume \\\"x\\\" :\\n\u{1b}[31mmount\tfailed\\\\\\\"  "),
            "volume \"x\" : [31mmount failed\""
        );
        assert_eq!(clean("a\u{202e}b\u{85}c"), "ab c");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let cut = shown(&"é".repeat(2000));
        assert!(cut.ends_with("é…") && cut.len() <= SHOWN + 4);
    }
}
