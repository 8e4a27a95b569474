//! Silence: the annotation of a claim, with its end.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::fold::Places;
use crate::model::finding::Object;
use crate::model::view::Story;

/// Who silenced it, if anybody did and it has not ended.
pub(super) fn silenced(story: &Story, places: &Places<'_>, at: Timestamp) -> Option<String> {
    let Object::Claim(subject) = &story.finding.key.subject.object else {
        return None;
    };
    let seen = story.places.iter().flat_map(|node| places.volumes(node));
    let claims = seen.filter_map(|volume| volume.claim.as_ref());
    let told = claims.map(|claim| (&claim.claim, claim.silence.as_ref()));
    let known = places.cluster.silences.iter();
    let known = known.map(|(claim, silence)| (claim, Some(silence)));
    let (_, annotation) = told.chain(known).find(|(claim, _)| *claim == subject)?;
    let annotation = annotation?;
    let until = parse_silence(annotation)
        .into_iter()
        .filter(|(code, _)| code.eq_ignore_ascii_case(&story.finding.key.code.0))
        .map(|(_, until)| until)
        .find(|until| until.is_none_or(|last| today(at) <= last))?;
    let by = format!("the annotation of claim {subject}");
    Some(match until {
        Some(last) => format!("{by}, until {last}"),
        None => by,
    })
}

fn today(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// `CODE[,CODE][@YYYY-MM-DD]`: the codes, each with the last day of its silence (UTC).
///
/// A code without a date of its own has that of the next one with a date; where none follows, its
/// silence does not end. A date that cannot be read ends it: better to be heard than to be lost.
fn parse_silence(annotation: &str) -> Vec<(&str, Option<Date>)> {
    let mut silences = Vec::new();
    let mut until = None;
    for entry in annotation.rsplit(',') {
        let (code, date) = match entry.split_once('@') {
            Some((code, date)) => (code, Some(date)),
            None => (entry, None),
        };
        if let Some(date) = date {
            until = Some(date.trim().parse::<Date>().unwrap_or(Date::MIN));
        }
        if !code.trim().is_empty() {
            silences.push((code.trim(), until));
        }
    }
    silences.reverse();
    silences
}
