//! The small values that every message has: text, paths, times, gaps.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Observed, Why};
use crate::proto::v1;
use crate::wire::WireError;

/// Names of objects have at most 253 characters; handles and drivers' names may have more.
const NAME_LIMIT: usize = 1024;

/// Words of people, drivers and the kernel (the options of an overlay mount fill a page).
const TEXT_LIMIT: usize = 4096;

/// The kernel's own limit.
const PATH_LIMIT: usize = 4096;

/// A name, made harmless.
pub(super) fn name(text: String) -> String {
    clean(text, NAME_LIMIT)
}

/// A short word, made harmless.
pub(super) fn word(text: String) -> String {
    clean(text, NAME_LIMIT)
}

/// A sentence, made harmless.
pub(super) fn text(text: String) -> String {
    clean(text, TEXT_LIMIT)
}

/// A list of words, made harmless.
pub(super) fn words(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(word).collect()
}

/// Cuts to the limit, turns white space into spaces and drops what steers a terminal or turns
/// the direction of writing.
fn clean(text: String, limit: usize) -> String {
    if text.len() <= limit && (is_plain(text.as_bytes()) || !text.chars().any(steers)) {
        return text;
    }
    let mut harmless = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let character = match character {
            '\n' | '\t' | '\r' => ' ',
            other if steers(other) => continue,
            other => other,
        };
        if harmless.len() + character.len_utf8() > limit {
            break;
        }
        harmless.push(character);
    }
    harmless
}

/// Whether it is printable ASCII alone, as nearly all text is. It looks at every byte without stopping,
/// which a processor does many at a time.
fn is_plain(bytes: &[u8]) -> bool {
    let plain = |plain, byte: &u8| plain & matches!(byte, 0x20..=0x7e);
    bytes.iter().fold(true, plain)
}

fn steers(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path, whose bytes need not be UTF-8: cut to the kernel's limit, control bytes become `?`.
pub(super) fn path(mut bytes: Vec<u8>) -> HostPath {
    bytes.truncate(PATH_LIMIT);
    if is_plain(&bytes) {
        return PathBuf::from(OsString::from_vec(bytes)).into();
    }
    for index in 0..bytes.len() {
        // U+0080 to U+009F steer terminals too: 0xC2 and a byte below 0xA0.
        let steering = bytes[index].is_ascii_control()
            || (index > 0 && bytes[index - 1] == 0xc2 && (0x80..0xa0).contains(&bytes[index]));
        if steering {
            bytes[index] = b'?';
        }
    }
    PathBuf::from(OsString::from_vec(bytes)).into()
}

/// The bytes of a path.
pub(super) fn path_bytes(path: &HostPath) -> Vec<u8> {
    path.0.as_os_str().as_bytes().to_vec()
}

/// A text that must not be empty.
pub(super) fn required(field: &str, value: String) -> Result<String, WireError> {
    if value.is_empty() {
        Err(WireError::missing(field))
    } else {
        Ok(value)
    }
}

/// Every element of a list; an error names its place.
pub(super) fn all<P, T>(field: &str, list: Vec<P>) -> Result<Vec<T>, WireError>
where
    T: TryFrom<P, Error = WireError>,
{
    list.into_iter()
        .enumerate()
        .map(|(index, element)| {
            T::try_from(element).map_err(|error| error.within(&format!("{field}[{index}]")))
        })
        .collect()
}

/// A message that may be absent; an error names its place.
pub(super) fn optional<P, T>(field: &str, message: Option<P>) -> Result<Option<T>, WireError>
where
    T: TryFrom<P, Error = WireError>,
{
    message
        .map(|message| T::try_from(message).map_err(|error| error.within(field)))
        .transpose()
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn duration(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Nanoseconds since the epoch; what lies beyond the years 1677 to 2262 is cut to them.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    let nanoseconds = at.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl From<&Gap> for v1::Gap {
    fn from(gap: &Gap) -> Self {
        Self {
            why: gap.why.as_str().to_owned(),
            what: gap.what.to_string(),
            since_ns: gap.since.map_or(0, nanoseconds),
        }
    }
}

impl From<v1::Gap> for Gap {
    fn from(gap: v1::Gap) -> Self {
        let known = Why::ALL.into_iter().find(|why| why.as_str() == gap.why);
        let what = match known {
            Some(_) => text(gap.what),
            None => text(format!("{} ({})", gap.what, gap.why)),
        };
        Self {
            why: known.unwrap_or(Why::Malformed),
            what: what.into(),
            since: (gap.since_ns != 0).then(|| timestamp(gap.since_ns)),
        }
    }
}

pub(super) fn gaps(gaps: Vec<v1::Gap>) -> Vec<Gap> {
    gaps.into_iter().map(Into::into).collect()
}

/// A fact that travels as a value or a gap; a gap outweighs, and neither is a gap too.
pub(super) fn observed<T>(value: Option<T>, gap: Option<v1::Gap>, what: &str) -> Observed<T> {
    match (value, gap) {
        (_, Some(gap)) => Observed::Unknown(gap.into()),
        (Some(value), None) => Observed::Known(value),
        (None, None) => Observed::Unknown(unsaid(what)),
    }
}

/// A fact that may be that there is no such thing: neither value nor gap says so.
pub(super) fn observed_option<T>(value: Option<T>, gap: Option<v1::Gap>) -> Observed<Option<T>> {
    match gap {
        Some(gap) => Observed::Unknown(gap.into()),
        None => Observed::Known(value),
    }
}

/// What the sender should have said and did not.
pub(super) fn unsaid(what: &str) -> Gap {
    Gap::new(Why::Malformed, format!("the agent does not say {what}"))
}

/// The two fields in which a fact travels.
pub(super) fn split<'a, T, P>(
    fact: &'a Observed<T>,
    to: impl FnOnce(&'a T) -> P,
) -> (Option<P>, Option<v1::Gap>) {
    match fact {
        Observed::Known(value) => (Some(to(value)), None),
        Observed::Unknown(gap) => (None, Some(gap.into())),
    }
}

/// The two fields of a fact that may be that there is no such thing.
pub(super) fn split_option<'a, T, P>(
    fact: &'a Observed<Option<T>>,
    to: impl FnOnce(&'a T) -> P,
) -> (Option<P>, Option<v1::Gap>) {
    let (value, gap) = split(fact, |value| value.as_ref().map(to));
    (value.flatten(), gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_is_harmless() {
        let table = [
            ("plain words", "plain words"),
            ("two\nlines\tand a tab", "two lines and a tab"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("left\u{202e}right", "leftright"),
            ("\u{9b}31m", "31m"),
        ];
        for (given, expected) in table {
            assert_eq!(text(given.to_owned()), expected);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let cut = text("é".repeat(TEXT_LIMIT));
        assert_eq!(cut.len(), TEXT_LIMIT);
        assert_eq!(name("x".repeat(5000)).len(), NAME_LIMIT);
    }

    #[test]
    fn control_bytes_of_paths_are_replaced_and_others_kept() {
        let given = b"/mnt/a\x1b\xc2\x9b\xff".to_vec();
        assert_eq!(path_bytes(&path(given)), b"/mnt/a?\xc2?\xff".to_vec());
    }

    #[test]
    fn an_unknown_reason_is_a_gap_that_keeps_the_word() {
        let gap = Gap::from(v1::Gap {
            why: "Eclipsed".into(),
            what: "reading the sun".into(),
            since_ns: 0,
        });
        assert_eq!(gap.to_string(), "reading the sun (Eclipsed) (Malformed)");
    }

    #[test]
    fn a_fact_without_value_and_reason_is_unknown() {
        let fact = observed::<u8>(None, None, "the usage");
        assert_eq!(
            fact.gap().unwrap().to_string(),
            "the agent does not say the usage (Malformed)"
        );
    }
}
