//! What is said of the health of a volume or a backend, from every dialect: the worst wins.
//!
//! A driver that speaks CSI 1.13 answers `NodeGetVolumeHealth`; an older one puts `VolumeCondition`
//! into `NodeGetVolumeStats`; one that does neither says nothing, and then only what is seen without
//! it counts. Kubernetes 1.37 keeps words of drivers in status fields: they are heard beside them.
//! The table of all cases is `docs/health.md`.

#![deny(clippy::disallowed_methods)]

use crate::model::driver::Driver;
use crate::model::health::{HealthEntry, Illness};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::volume::Volume;

/// What is said in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health<'a> {
    /// Nobody says anything: other rules judge by what is seen.
    Untold,
    /// It is said to be well.
    Well,
    /// Something is said to be wrong; the worst first.
    Ill(Vec<Told>),
    /// Who could say did not answer.
    Unknown(&'a Gap),
}

/// One thing that is said to be wrong, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What.
    pub entry: HealthEntry,
    /// Where it was said.
    pub source: String,
}

/// What is said of a volume.
pub fn of_volume(volume: &Volume) -> Health<'_> {
    let mut told = Vec::new();
    let mut add = |entries: &[HealthEntry], source: &str| {
        told.extend(entries.iter().map(|entry| Told {
            entry: entry.clone(),
            source: source.to_owned(),
        }));
    };
    // The newer call takes the older one's place: a driver that has both keeps the older for old kubelets.
    let said = match (&volume.health, &volume.stats) {
        (Observed::Known(entries), _) => {
            add(entries, "NodeGetVolumeHealth");
            Ok(true)
        }
        (Observed::Unknown(gap), stats) if gap.why == Why::Unsupported => match stats {
            Observed::Known(stats) => match &stats.condition {
                Some(condition) if condition.abnormal => {
                    let entry = HealthEntry {
                        illness: Illness::Abnormal,
                        reason: String::new(),
                        message: condition.message.clone(),
                    };
                    add(&[entry], "NodeGetVolumeStats, volume_condition");
                    Ok(true)
                }
                Some(_) => Ok(true),
                None => Ok(false),
            },
            // Only a driver that promises conditions owes an answer.
            Observed::Unknown(gap) if volume.condition_promised => Err(gap),
            Observed::Unknown(_) => Ok(false),
        },
        // A driver is asked about what pods have.
        (Observed::Unknown(_), _) if volume.is_in_use_nowhere() => Ok(false),
        (Observed::Unknown(gap), _) => Err(gap),
    };
    if let Some(claim) = &volume.claim {
        add(&claim.health, "claim's status.healthStatus");
    }
    for published in &volume.published {
        add(&published.health, "pod's status.volumeHealth");
    }
    conclude(told, said)
}

/// What is said of the storage behind a driver.
pub fn of_backend(driver: &Driver) -> Health<'_> {
    let mut told = Vec::new();
    let mut add = |entries: &[HealthEntry], source: &str| {
        told.extend(entries.iter().map(|entry| Told {
            entry: entry.clone(),
            source: source.to_owned(),
        }));
    };
    let said = match driver.plugin.known().map(|plugin| &plugin.storage_health) {
        Some(Observed::Known(entries)) => {
            add(entries, "NodeGetStorageHealth");
            Ok(true)
        }
        Some(Observed::Unknown(gap)) if gap.why != Why::Unsupported => Err(gap),
        Some(Observed::Unknown(_)) => Ok(false),
        None => match &driver.plugin {
            // That a plugin does not answer is another rule's matter; what it would say is not known.
            Observed::Unknown(gap) if !driver.expected_by.is_empty() => Err(gap),
            _ => Ok(false),
        },
    };
    add(&driver.reported_health, "CSINode's status.storageHealth");
    conclude(told, said)
}

fn conclude(mut told: Vec<Told>, said: Result<bool, &Gap>) -> Health<'_> {
    if !told.is_empty() {
        told.sort_by(|one, other| {
            let worst_first = other.entry.illness.cmp(&one.entry.illness);
            worst_first.then_with(|| one.source.cmp(&other.source))
        });
        return Health::Ill(told);
    }
    match said {
        Ok(true) => Health::Well,
        Ok(false) => Health::Untold,
        Err(gap) => Health::Unknown(gap),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::sample;
    use crate::model::volume::Condition;

    use super::*;

    const TABLE: &str = include_str!("../docs/health.md");

    /// The cells of each row below a heading.
    fn rows(heading: &str) -> Vec<Vec<&'static str>> {
        let section = TABLE.split(heading).nth(1).expect("the heading is there");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter(|line| line.starts_with("| "));
        // The head and the line below it.
        let rows = rows.skip(2).map(|row| {
            let cells = row.trim_matches('|').split(" | ");
            cells.map(str::trim).collect()
        });
        rows.collect()
    }

    fn gap(why: Why) -> Gap {
        Gap::new(why, "as the table says")
    }

    fn entries(cell: &str) -> Vec<HealthEntry> {
        let words = match cell {
            "none" | "nothing wrong" => return Vec::new(),
            "a number that is not known" => vec!["7"],
            words => words.split(" and ").collect(),
        };
        let entry = |word| HealthEntry {
            illness: Illness::of_word(word),
            reason: String::new(),
            message: String::new(),
        };
        words.into_iter().map(entry).collect()
    }

    /// An answer in the newer dialect.
    fn answer(cell: &str) -> Observed<Vec<HealthEntry>> {
        match cell {
            "not had" => Observed::Unknown(gap(Why::Unsupported)),
            "no answer" => Observed::Unknown(gap(Why::TimedOut)),
            "not asked" => Observed::Unknown(gap(Why::NotAsked)),
            "NOT_FOUND" => Observed::Unknown(gap(Why::NotFound)),
            "driver gone" => Observed::Unknown(gap(Why::Unavailable)),
            "capabilities not known" => Observed::Unknown(gap(Why::Malformed)),
            "mounted in no pod" => Observed::Known(Vec::new()),
            words => Observed::Known(entries(words)),
        }
    }

    fn read(health: &Health<'_>) -> String {
        match health {
            Health::Untold => "untold".to_owned(),
            Health::Well => "well".to_owned(),
            Health::Unknown(_) => "unknown".to_owned(),
            Health::Ill(told) => told[0].entry.to_string(),
        }
    }

    #[test]
    fn the_table_of_volumes_is_true() {
        let rows = rows("## Volumes");
        assert_eq!(rows.len(), 22);
        for row in rows {
            let [newer, older, status, follows] = row[..] else {
                panic!("{row:?}");
            };
            let mut volume = sample::volume();
            volume.health = answer(newer);
            volume.condition_promised = !matches!(older, "not had" | "not promised, no answer");
            let condition = |abnormal| Condition {
                abnormal,
                message: String::new(),
            };
            match (older, &mut volume.stats) {
                ("promised, no answer" | "not promised, no answer", stats) => {
                    *stats = Observed::Unknown(gap(Why::TimedOut));
                }
                ("normal", Observed::Known(stats)) => stats.condition = Some(condition(false)),
                ("abnormal", Observed::Known(stats)) => stats.condition = Some(condition(true)),
                ("not had", _) => {}
                _ => panic!("{older}"),
            }
            if newer == "mounted in no pod" {
                volume.health = Observed::Unknown(gap(Why::NotFound));
                volume.published[0].mount = Observed::Known(None);
            }
            // Of a claim or of a pod: each other row.
            match &mut volume.claim {
                Some(claim) if newer.len() % 2 == 0 => {
                    Arc::make_mut(claim).health = entries(status);
                }
                _ => volume.published[0].health = entries(status),
            }
            assert_eq!(read(&of_volume(&volume)), follows, "{row:?}");
        }
    }

    #[test]
    fn the_table_of_backends_is_true() {
        let rows = rows("## Storage behind a driver");
        assert_eq!(rows.len(), 11);
        for row in rows {
            let [newer, status, follows] = row[..] else {
                panic!("{row:?}");
            };
            let mut driver = sample::driver();
            match &mut driver.plugin {
                plugin if newer == "driver gone" => *plugin = Observed::Unknown(gap(Why::NotFound)),
                Observed::Known(plugin) => plugin.storage_health = answer(newer),
                Observed::Unknown(_) => panic!("the sample's plugin answers"),
            }
            driver.reported_health = entries(status);
            assert_eq!(read(&of_backend(&driver)), follows, "{row:?}");
        }
    }
}
