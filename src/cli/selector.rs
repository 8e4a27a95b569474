//! `-l`: which labels claims must have, in kubectl's words.

use std::collections::HashSet;

use anyhow::bail;

use crate::model::names::PersistentVolumeName;
use crate::model::objects::Objects;
use crate::model::terms::Requirement;

/// Parses `app=db`, `app!=db`, `app`, `!app`, `app in (a,b)`, `app notin (a,b)`, and these with commas between.
pub(super) fn selector(text: &str) -> anyhow::Result<Vec<Requirement>> {
    let mut requirements = Vec::new();
    let mut rest = text;
    loop {
        // A comma inside of brackets separates values.
        let closed = rest.find('(').and_then(|_| rest.find(')'));
        let opens = rest.find('(').unwrap_or(rest.len());
        let end = match rest.find(',') {
            Some(comma) if comma < opens => comma,
            _ => closed.map_or(rest.len(), |closed| closed + 1),
        };
        let (one, after) = rest.split_at(end);
        let Some(requirement) = requirement(one.trim()) else {
            bail!(
                "-l {text:?}: {:?} is no requirement of a label, as app=db, app!=db, app, !app or app in (a,b)",
                one.trim()
            );
        };
        requirements.push(requirement);
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(requirements);
        }
        let Some(after) = after.strip_prefix(',') else {
            bail!("-l {text:?}: there is no comma before {after:?}");
        };
        rest = after;
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    let (key, operator, values) = if let Some((key, value)) = text.split_once("!=") {
        (key, "NotIn", vec![value])
    } else if let Some((key, value)) = text.split_once('=') {
        (key, "In", vec![value.strip_prefix('=').unwrap_or(value)])
    } else if let Some(list) = text.strip_suffix(')') {
        let (head, values) = list.split_once('(')?;
        let (key, word) = head.trim().split_once(char::is_whitespace)?;
        let operator = match word.trim() {
            "in" => "In",
            "notin" => "NotIn",
            _ => return None,
        };
        (key, operator, values.split(',').collect())
    } else if let Some(key) = text.strip_prefix('!') {
        (key, "DoesNotExist", Vec::new())
    } else {
        (text, "Exists", Vec::new())
    };
    let key = key.trim();
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c));
    let values: Vec<&str> = values.into_iter().map(str::trim).collect();
    let is_plain =
        !key.is_empty() && !key.contains(odd) && !values.iter().any(|one| one.contains(odd));
    is_plain.then(|| Requirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: values.into_iter().map(ToOwned::to_owned).collect(),
    })
}

/// Leaves the volumes of the claims that were read, and those claims.
pub(super) fn narrow(objects: &mut Objects) {
    let claims = objects.claims.items.iter();
    let names: HashSet<&PersistentVolumeName> =
        claims.filter_map(|claim| claim.volume.as_ref()).collect();
    let volumes = &mut objects.volumes.items;
    volumes.retain(|volume| names.contains(&volume.name));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;

    use super::*;

    #[test]
    fn words_are_kubectls() {
        let texts = [
            "app=db",
            "app==db,tier!=web",
            " app , !old ",
            "app in (a, b),tier notin (c)",
            "example.com/app=a",
            "app=",
            "",
            "a b",
            "app in a",
            "app=a b",
            "app in (a",
            "app in (a) b",
        ];
        let shown: String = texts
            .iter()
            .map(|text| match selector(text) {
                Ok(found) => {
                    let words: Vec<String> = found.iter().map(ToString::to_string).collect();
                    format!("{text:?} {}\n", words.join(" & "))
                }
                Err(error) => format!("{error}\n"),
            })
            .collect();
        expect![[r#"
            "app=db" app=db
            "app==db,tier!=web" app=db & tier NotIn (web)
            " app , !old " app & !old
            "app in (a, b),tier notin (c)" app In (a,b) & tier NotIn (c)
            "example.com/app=a" example.com/app=a
            "app=" app=
            -l "": "" is no requirement of a label, as app=db, app!=db, app, !app or app in (a,b)
            -l "a b": "a b" is no requirement of a label, as app=db, app!=db, app, !app or app in (a,b)
            -l "app in a": "app in a" is no requirement of a label, as app=db, app!=db, app, !app or app in (a,b)
            -l "app=a b": "app=a b" is no requirement of a label, as app=db, app!=db, app, !app or app in (a,b)
            -l "app in (a": "app in (a" is no requirement of a label, as app=db, app!=db, app, !app or app in (a,b)
            -l "app in (a) b": there is no comma before "b"
        "#]].assert_eq(&shown);
    }

    #[test]
    fn what_is_not_there_is_not_equal() {
        let labels = BTreeMap::from([("app".to_owned(), "db".to_owned())]);
        let takes = |text: &str| {
            let found = selector(text).unwrap();
            found.iter().all(|one| one.takes(&labels) == Some(true))
        };
        assert!(takes("app=db,tier!=web,!tier") && takes("app in (web,db)"));
        assert!(!takes("tier") && !takes("app!=db") && !takes("app notin (db)"));
    }
}
