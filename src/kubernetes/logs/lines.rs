//! Which lines of a log are about a volume and matter, and what of them may be shown.

use jiff::Timestamp;

use crate::causes::{Symptom, classify};
use crate::model::cause::Cause;

use super::Search;
use super::runners::has_word;

/// The last so many lines of a container.
const MOST: usize = 5;

/// Longer lines are cut, in characters.
const LENGTH: usize = 600;

/// Shorter names are in every other line.
const SHORTEST: usize = 4;

/// Names of fields whose values are nobody else's to read.
const SECRET: [&str; 10] = [
    "authorization",
    "secret",
    "password",
    "passwd",
    "token",
    "credential",
    "accesskey",
    "access_key",
    "apikey",
    "api_key",
];

/// A line that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Option<Timestamp>,
    pub(super) text: String,
    pub(super) cause: Option<Cause>,
}

/// The last lines about a volume that tell of a fault, the same words once.
pub(super) fn lines(log: &str, search: &Search) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    for line in log.lines().rev() {
        let (at, text) = stamped(line);
        if !is_about(text, search) {
            continue;
        }
        let told = classify(&Symptom {
            text,
            driver: Some(search.driver.as_str()),
            kind: Some("log"),
            ..Symptom::default()
        });
        if !is_fault(text) && told.cause.is_none() {
            continue;
        }
        let words = without_head(text);
        if found
            .iter()
            .any(|one| without_head(&one.text) == redact(words))
        {
            continue;
        }
        found.push(Line {
            at,
            text: redact(text),
            cause: told.cause,
        });
        if found.len() == MOST {
            break;
        }
    }
    found.reverse();
    for line in &mut found {
        if let Some((at, _)) = line.text.char_indices().nth(LENGTH) {
            line.text.truncate(at);
            line.text.push('…');
        }
    }
    found
}

/// The time that the kubelet puts before a line, and the line.
fn stamped(line: &str) -> (Option<Timestamp>, &str) {
    match line.split_once(' ') {
        Some((at, text)) if at.ends_with('Z') || at.contains('+') => match at.parse() {
            Ok(at) => (Some(at), text),
            Err(_) => (None, line),
        },
        _ => (None, line),
    }
}

/// Whether a line names the volume.
fn is_about(text: &str, search: &Search) -> bool {
    let named = |name: &String| name.len() >= SHORTEST && has_word(text, name);
    search.names.iter().any(named)
        || search
            .claim
            .as_ref()
            .is_some_and(|(namespace, name)| has_word(text, namespace) && has_word(text, name))
}

/// Whether a line tells of a fault: by the letter of klog, a level, or a word.
fn is_fault(text: &str) -> bool {
    let mut head = text.chars();
    let letter = head.next();
    if matches!(letter, Some('E' | 'F' | 'W')) && head.next().is_some_and(|c| c.is_ascii_digit()) {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    [
        "error",
        "fail",
        "warn",
        "cannot",
        "refused",
        "denied",
        "timed out",
        "deadline exceeded",
        "panic",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// A line without what klog puts before it, which differs with each repetition.
fn without_head(text: &str) -> &str {
    match text.split_once("] ") {
        Some((head, words)) if head.len() < 80 => words,
        _ => text,
    }
}

/// Words without secrets and without what a terminal would act upon.
pub(super) fn redact(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let plain = without_values(&plain);
    let words: Vec<String> = plain.split(' ').map(redact_word).collect();
    words.join(" ")
}

/// Without the values of fields with such a name, in whatever notation: JSON, Go's, a flag's.
fn without_values(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut kept = String::new();
    let mut rest = 0;
    while let Some((at, word)) = next_secret(&lower, rest) {
        let mut end = at + word.len();
        // The rest of the name: secrets, secretKey.
        let tail = &text[end..];
        end += tail
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
            .unwrap_or(tail.len());
        let gap = text[end..]
            .find(|c: char| !matches!(c, '"' | '\'' | '\\' | ' '))
            .unwrap_or(0);
        let mark = text[end + gap..].chars().next();
        // A flag's value may follow after a blank.
        let name = text[..at].rsplit(' ').next().unwrap_or_default();
        let is_flag = name.starts_with('-') && mark.is_some_and(|c| c != '-');
        if !is_flag && !matches!(mark, Some(':' | '=' | '{' | '[')) {
            kept.push_str(&text[rest..end]);
            rest = end;
            continue;
        }
        let has_mark = matches!(mark, Some(':' | '='));
        let begin = end + gap + usize::from(has_mark);
        let value = &text[begin..];
        let blank = value.len() - value.trim_start().len();
        kept.push_str(&text[rest..begin + blank]);
        kept.push_str("***");
        rest = begin + blank + length_of_value(&value[blank..]);
    }
    kept.push_str(&text[rest..]);
    kept
}

fn next_secret(lower: &str, from: usize) -> Option<(usize, &'static str)> {
    let found = SECRET.iter().filter_map(|word| {
        let at = lower[from..].find(word)?;
        Some((from + at, *word))
    });
    found.min_by_key(|(at, word)| (*at, std::cmp::Reverse(word.len())))
}

/// How long a value is: to the bracket or quote that ends it, else to a blank or comma.
fn length_of_value(value: &str) -> usize {
    let start = value.find(|c: char| c != '\\').unwrap_or(0);
    let first = value[start..].chars().next();
    let nested = |open: char, close: char| {
        let mut depth = 0_u32;
        for (at, c) in value.char_indices() {
            if c == open {
                depth += 1;
            } else if c == close {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + c.len_utf8();
                }
            }
        }
        // It was cut: nothing of the rest is known not to be secret.
        value.len()
    };
    match first {
        Some('{') => nested('{', '}'),
        Some('[') => nested('[', ']'),
        Some('<') => nested('<', '>'),
        // Go prints a map so.
        Some('m') if value.starts_with("map[") => nested('[', ']'),
        Some(quote @ ('"' | '\'')) => {
            let inside = &value[start + 1..];
            inside
                .find(quote)
                .map_or(value.len(), |at| start + 1 + at + 1)
        }
        _ if value.to_ascii_lowercase().starts_with("bearer ") => {
            let word = &value[7..];
            7 + word.find([' ', ',', '"']).unwrap_or(word.len())
        }
        _ => value.find([' ', ',', ';', '}', ']']).unwrap_or(value.len()),
    }
}

/// One word: an address without its user, no token.
fn redact_word(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(begin) = word.find("://").map(|at| at + 3) {
        let authority = word[begin..].find('/').map_or(word.len(), |at| begin + at);
        if let Some(at) = word[begin..authority].rfind('@') {
            word.replace_range(begin..begin + at, "***");
        }
    }
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '_' | '.');
    let mut shown = String::new();
    for part in word.split_inclusive(|c: char| !is_of_token(c)) {
        let run = part.trim_end_matches(|c: char| !is_of_token(c));
        if is_token(run) {
            shown.push_str("***");
            shown.push_str(&part[run.len()..]);
        } else {
            shown.push_str(part);
        }
    }
    shown
}

/// Long, and of capitals, small letters and digits without any order: no name of Kubernetes is so.
fn is_token(run: &str) -> bool {
    let has = |is: fn(&char) -> bool| run.chars().any(|c| is(&c));
    run.len() >= 32
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;

    use super::*;

    fn search() -> Search {
        Search {
            driver: "disk.example.com".into(),
            names: vec!["vol-11".to_owned(), "pvc-11".to_owned(), "1".to_owned()],
            claim: Some(("shop".to_owned(), "data".to_owned())),
            node: None,
        }
    }

    #[test]
    fn lines_about_the_volume_that_tell_of_a_fault() {
        let log = r#"2026-11-25T12:00:00.5Z I1125 12:00:00.500000       1 controller.go:10] provisioning vol-11
2026-11-25T12:00:01Z E1125 12:00:01.000000       1 controller.go:99] error syncing vol-110: it is another one
2026-11-25T12:00:02Z E1125 12:00:02.000000       1 controller.go:99] error syncing pvc-11: rpc error: code = ResourceExhausted desc = no space left in pool
2026-11-25T12:00:03Z E1125 12:00:03.000000       1 controller.go:99] error syncing pvc-11: rpc error: code = ResourceExhausted desc = no space left in pool
2026-11-25T12:00:04Z {"level":"error","msg":"NodeStageVolume","volume":"vol-11","err":"exit status 32"}
2026-11-25T12:00:05Z W1125 12:00:05.000000       1 x.go:1] claim "shop/data" has no volume
2026-11-25T12:00:06Z E1125 12:00:06.000000       1 x.go:1] data of no claim, 1 error
"#;
        let mut shown = String::new();
        for line in lines(log, &search()) {
            let cause = line.cause.map(|cause| cause.id.as_str());
            writeln!(shown, "{:?} {} {cause:?}", line.at, line.text).unwrap();
        }
        expect![[r#"
            Some(2026-11-25T12:00:03Z) E1125 12:00:03.000000       1 controller.go:99] error syncing pvc-11: rpc error: code = ResourceExhausted desc = no space left in pool None
            Some(2026-11-25T12:00:04Z) {"level":"error","msg":"NodeStageVolume","volume":"vol-11","err":"exit status 32"} None
            Some(2026-11-25T12:00:05Z) W1125 12:00:05.000000       1 x.go:1] claim "shop/data" has no volume None
        "#]].assert_eq(&shown);
    }

    #[test]
    fn no_secret_is_shown() {
        let mut shown = String::new();
        for text in [
            r#"GRPC request: {"secrets":{"userKey":"AQD=="},"volume_id":"vol-11"} error"#,
            r#"secrets:<key:"adminID" value:"x" > volume_id:"vol-11""#,
            "Secrets:map[adminKey:abc adminID:x] VolumeId:vol-11",
            "mount -o username=x,password=hunter2,vers=3.0 //server/share",
            "--token abc --password-file=x -v; a token of it; token: abcdef, next",
            "Authorization: Bearer abc.def.ghi done",
            r#"{\"password\":\"p w\",\"id\":\"vol-11\"}"#,
            "dial https://admin:pw@array.example.com/api: refused",
            "key eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9.eyJzdWIiOiJ4In0 is bad",
            "csi-dbc662a36a5c185bdb51cc98c62079fc5907ebe3eb3b95d8696f45a317c21298 stays, and pvc-0f8b1c2e-3d4a-4b5c-8d9e-0a1b2c3d4e5f",
            r#"cut off {"secrets":{"a":"b"#,
            "secret \"db\" not found",
            "a\u{1b}[31mred",
        ] {
            writeln!(shown, "{}", redact(text)).unwrap();
        }
        expect![[r#"
            GRPC request: {"secrets":***,"volume_id":"vol-11"} error
            secrets:*** volume_id:"vol-11"
            Secrets:*** VolumeId:vol-11
            mount -o username=x,password=***,vers=3.0 //server/share
            --token *** --password-file=*** -v; a token of it; token: ***, next
            Authorization: *** done
            {\"password\":***,\"id\":\"vol-11\"}
            dial https://***@array.example.com/api: refused
            key *** is bad
            csi-dbc662a36a5c185bdb51cc98c62079fc5907ebe3eb3b95d8696f45a317c21298 stays, and pvc-0f8b1c2e-3d4a-4b5c-8d9e-0a1b2c3d4e5f
            cut off {"secrets":***
            secret "db" not found
            a [31mred
        "#]].assert_eq(&shown);
    }
}
