//! A storage report as tables of words.

use crate::model::mount::Usage;
use crate::model::observed::{Listing, Observed};
use crate::model::report::{ClaimRow, ClassRow, Report, Total, VolumeRow};
use crate::model::sizes::Bytes;
use crate::model::terms::ClaimPhase;
use crate::render::report::{NONE, UNKNOWN};

/// One table.
pub(super) struct Section {
    /// What it lists.
    pub(super) title: &'static str,
    /// What is said where there is nothing.
    pub(super) nothing: &'static str,
    /// The heads of its columns.
    pub(super) heads: Vec<&'static str>,
    /// Its rows.
    pub(super) rows: Vec<Vec<String>>,
}

/// A column: its head, whether only a wide table has it, and what stands in it.
type Column<T> = (&'static str, bool, fn(&Report, &T) -> String);

/// All tables of a report, in the order in which people look.
pub(super) fn sections(report: &Report, wide: bool) -> Vec<Section> {
    vec![
        section(report, wide, "StorageClasses", CLASSES, &report.classes),
        section(report, wide, "PersistentVolumes", VOLUMES, &report.volumes),
        section(
            report,
            wide,
            "PersistentVolumeClaims",
            CLAIMS,
            &report.claims,
        ),
        section(report, wide, "By class", BY_CLASS, &sums(&report.by_class)),
        section(
            report,
            wide,
            "By driver",
            BY_DRIVER,
            &sums(&report.by_driver),
        ),
    ]
}

fn section<T>(
    report: &Report,
    wide: bool,
    title: &'static str,
    columns: &[Column<T>],
    listing: &Listing<T>,
) -> Section {
    let shown = || {
        columns
            .iter()
            .filter(|(_, only_wide, _)| wide || !only_wide)
    };
    Section {
        title,
        nothing: if listing.gaps.is_empty() {
            "None."
        } else {
            UNKNOWN
        },
        heads: shown().map(|(head, _, _)| *head).collect(),
        rows: listing
            .items
            .iter()
            .map(|item| shown().map(|(_, _, cell)| cell(report, item)).collect())
            .collect(),
    }
}

/// Sums of what is missing say so themselves.
fn sums(totals: &[Total]) -> Listing<Total> {
    Listing::complete(totals.to_vec())
}

const CLASSES: &[Column<ClassRow>] = &[
    ("NAME", false, |_, one| {
        let mark = if one.is_default { " (default)" } else { "" };
        format!("{}{mark}", one.name)
    }),
    ("PROVISIONER", false, |_, one| one.provisioner.clone()),
    ("RECLAIMPOLICY", false, |_, one| word(&one.reclaim)),
    ("VOLUMEBINDINGMODE", false, |_, one| {
        one.binding_mode.to_owned()
    }),
    ("ALLOWVOLUMEEXPANSION", false, |_, one| {
        one.expandable.to_string()
    }),
];

const VOLUMES: &[Column<VolumeRow>] = &[
    ("NAME", false, |_, one| one.name.clone()),
    ("CAPACITY", false, |_, one| size(one.capacity)),
    ("ACCESS MODES", true, |_, one| modes(&one.access_modes)),
    ("RECLAIM POLICY", false, |_, one| word(&one.reclaim)),
    ("STATUS", false, |_, one| word(one.shown())),
    ("CLAIM", false, |_, one| {
        one.claim
            .as_ref()
            .map_or(NONE.to_owned(), ToString::to_string)
    }),
    ("STORAGECLASS", false, |_, one| word(&one.class)),
    ("DRIVER", false, |_, one| {
        one.driver.clone().unwrap_or_else(|| NONE.to_owned())
    }),
    ("AGE", true, |report, one| age(report, one.created)),
];

const CLAIMS: &[Column<ClaimRow>] = &[
    ("NAMESPACE", false, |_, one| one.claim.namespace.to_string()),
    ("NAME", false, |_, one| one.claim.name.to_string()),
    ("STATUS", false, |_, one| one.shown().to_owned()),
    ("VOLUME", false, |_, one| {
        word(one.volume.as_deref().unwrap_or_default())
    }),
    ("REQUEST", false, |_, one| size(one.request)),
    ("CAPACITY", false, |_, one| size(one.capacity)),
    ("USED", false, |_, one| {
        of_bound(one, |usage| Bytes(usage.used_bytes).to_string())
    }),
    ("USE%", false, |_, one| {
        of_bound(one, |usage| format!("{}%", usage.percent_used()))
    }),
    ("INODES%", true, |_, one| {
        of_bound(one, |usage| format!("{}%", usage.percent_inodes()))
    }),
    ("ACCESS MODES", true, |_, one| modes(&one.access_modes)),
    ("STORAGECLASS", false, |_, one| {
        word(one.class.as_deref().unwrap_or_default())
    }),
    ("DRIVER", true, |_, one| {
        known(&one.driver, |driver| {
            word(driver.as_deref().unwrap_or_default())
        })
    }),
    ("NODE", true, |_, one| {
        known(&one.nodes, |nodes| {
            list(nodes.iter().map(ToString::to_string))
        })
    }),
    ("POD", true, |_, one| {
        known(&one.pods, |pods| list(pods.iter().cloned()))
    }),
    ("FINDINGS", false, |_, one| {
        known(&one.findings, |codes| list(codes.iter().cloned()))
    }),
    ("AGE", true, |report, one| age(report, one.created)),
];

const BY_CLASS: &[Column<Total>] = &[
    ("STORAGECLASS", false, |_, one| of(one)),
    ("CLAIMS", false, |_, one| {
        known(&one.claims, usize::to_string)
    }),
    ("VOLUMES", false, |_, one| {
        known(&one.volumes, usize::to_string)
    }),
    ("REQUESTED", false, |_, one| sum(&one.requested)),
    ("PROVISIONED", false, |_, one| sum(&one.provisioned)),
    ("USED", false, |_, one| used(one)),
    ("RECLAIMABLE", false, |_, one| sum(&one.reclaimable)),
];

const BY_DRIVER: &[Column<Total>] = &[
    ("DRIVER", false, |_, one| of(one)),
    ("CLAIMS", false, |_, one| {
        known(&one.claims, usize::to_string)
    }),
    ("VOLUMES", false, |_, one| {
        known(&one.volumes, usize::to_string)
    }),
    ("REQUESTED", false, |_, one| sum(&one.requested)),
    ("PROVISIONED", false, |_, one| sum(&one.provisioned)),
    ("USED", false, |_, one| used(one)),
    ("RECLAIMABLE", false, |_, one| sum(&one.reclaimable)),
];

fn of(one: &Total) -> String {
    one.of.clone().unwrap_or_else(|| NONE.to_owned())
}

/// What is in them, and of how many that is known where it is not all.
fn used(one: &Total) -> String {
    let text = sum(&one.used);
    if one.used.known().is_some() && one.claims.known() != Some(&one.used_of) {
        format!("{text} (of {})", one.used_of)
    } else {
        text
    }
}

fn sum(bytes: &Observed<Bytes>) -> String {
    known(bytes, ToString::to_string)
}

/// What is in a volume; a claim without one has nothing that could be known.
fn of_bound(one: &ClaimRow, words: impl Fn(&Usage) -> String) -> String {
    match one.phase {
        ClaimPhase::Bound => known(&one.usage, words),
        _ => NONE.to_owned(),
    }
}

fn known<T>(fact: &Observed<T>, words: impl Fn(&T) -> String) -> String {
    fact.known().map_or_else(|| UNKNOWN.to_owned(), words)
}

fn word(word: &str) -> String {
    if word.is_empty() { NONE } else { word }.to_owned()
}

fn size(size: Option<Bytes>) -> String {
    size.map_or_else(|| NONE.to_owned(), |size| size.to_string())
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    word(&words.join(","))
}

/// As kubectl shortens them.
fn modes(modes: &[String]) -> String {
    list(modes.iter().map(|mode| {
        match mode.as_str() {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        }
        .to_owned()
    }))
}

fn age(report: &Report, created: Option<jiff::Timestamp>) -> String {
    created.map_or_else(
        || NONE.to_owned(),
        |created| crate::render::age(report.at, created),
    )
}
