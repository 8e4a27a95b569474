//! Objects as kubectl lets people name them: `pvc NAME`, `pvc/NAME`, long and short, with or without a group.

use anyhow::bail;

/// What kind of object is meant, and which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// As it was written, but for a group behind it.
    pub(super) kind: &'a str,
    /// Its name, without the namespace.
    pub(super) name: &'a str,
}

/// Takes both ways of naming apart; `verb` is what is to be done with the object, of one of these kinds.
pub(super) fn named<'a>(
    verb: &str,
    kinds: &[&str],
    what: &'a str,
    name: Option<&'a str>,
) -> anyhow::Result<Named<'a>> {
    let (kind, name) = match (what.split_once('/'), name) {
        (Some((kind, name)), None) => (kind, name),
        (None, Some(name)) => (what, name),
        // A name alone: what has a dash or a digit is no kind.
        (None, None) if !what.chars().all(|c| c.is_ascii_alphabetic() || c == '.') => {
            let all: Vec<String> = kinds.iter().map(|kind| format!("{kind}/{what}")).collect();
            bail!("{what} is no kind of object; say {}", all.join(" or "))
        }
        (None, None) => bail!("which {what}? {verb} {what} NAME"),
        (Some(_), Some(name)) => bail!("{what} has a name already; what is {name}?"),
    };
    if name.is_empty() {
        bail!("which {kind}? {verb} {kind} NAME");
    }
    let kind = kind.split_once('.').map_or(kind, |(kind, _group)| kind);
    Ok(Named { kind, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_either_way() {
        let told = |what, name| {
            named("describe", &["pvc", "pod"], what, name).map_err(|error| error.to_string())
        };
        let claim = Named {
            kind: "pvc",
            name: "db",
        };
        assert_eq!(told("pvc", Some("db")), Ok(claim));
        assert_eq!(told("pvc/db", None), Ok(claim));
        let driver = Named {
            kind: "csidriver",
            name: "disk.example.com",
        };
        assert_eq!(
            told("csidriver.storage.k8s.io/disk.example.com", None),
            Ok(driver)
        );
        // A volume's handle may have any form.
        let handle = Named {
            kind: "volume",
            name: "pool/image",
        };
        assert_eq!(told("volume", Some("pool/image")), Ok(handle));
        assert_eq!(
            told("pvc", None),
            Err("which pvc? describe pvc NAME".to_owned())
        );
        assert_eq!(
            told("db-0", None),
            Err("db-0 is no kind of object; say pvc/db-0 or pod/db-0".to_owned())
        );
        assert_eq!(
            told("pvc/", None),
            Err("which pvc? describe pvc NAME".to_owned())
        );
        assert_eq!(
            told("pvc/db", Some("web")),
            Err("pvc/db has a name already; what is web?".to_owned())
        );
    }
}
