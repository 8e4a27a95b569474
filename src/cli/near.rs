//! What somebody may have meant who wrote something else.

/// The nearest of some words as a question to stand behind what was said; nothing where none is near.
pub(super) fn meant<'a>(word: &str, all: impl Iterator<Item = &'a str>) -> String {
    nearest(word, all).map_or_else(String::new, |near| format!(" (did you mean {near}?)"))
}

/// The nearest of some words: at most a third of the letters are others.
fn nearest<'a>(word: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = word.chars().count() / 3;
    let word = word.to_lowercase();
    all.map(|one| (strsim::levenshtein(&word, &one.to_lowercase()), one))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let near = |word| nearest(word, ["StorageClassNotFound", "ClaimLost"].into_iter());
        assert_eq!(near("StorageClasNotFound"), Some("StorageClassNotFound"));
        assert_eq!(near("claimlost"), Some("ClaimLost"));
        assert_eq!(near("Volume"), None);
        assert_eq!(
            nearest("orders-bd", ["orders-db"].into_iter()),
            Some("orders-db")
        );
    }
}
