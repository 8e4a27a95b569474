//! What somebody may have meant who wrote something else.

/// The nearest of some words: at most a third of the letters are others.
pub(super) fn nearest<'a>(word: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = word.chars().count() / 3;
    all.map(|one| (distance(word, one), one))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, one)| one)
}

/// How many letters have to be put in, taken away or changed; their case is nothing.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (to, its) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *its);
            diagonal = row[to + 1];
            row[to + 1] = changed.min(row[to] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
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
