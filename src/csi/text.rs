//! Text from plugins: it is for people, and anything may be in it.

/// The most that is kept of one text: raw words of others travel and are stored.
pub(super) const MAX: usize = 1024;

/// A text without control characters, of at most one KiB.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX));
    for c in text.chars() {
        // A line break becomes a space, so that words stay apart.
        let c = if c.is_whitespace() { ' ' } else { c };
        if c.is_control() || is_invisible(c) {
            continue;
        }
        if clean.len() + c.len_utf8() > MAX {
            break;
        }
        clean.push(c);
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Characters that turn the direction of what follows, or hide in it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_go_and_words_stay_apart() {
        assert_eq!(
            clean("disk\n\x1b[31mfull\x07\t\u{202e}now"),
            "disk [31mfull now"
        );
        assert_eq!(clean(&"é".repeat(1000)).len(), MAX);
    }

    proptest! {
        #[test]
        fn any_text_becomes_short_and_plain(text in ".{0,2000}") {
            let clean = clean(&text);
            prop_assert!(clean.len() <= MAX);
            prop_assert!(!clean.chars().any(char::is_control));
        }
    }
}
