//! `SQLite`: one file, or memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};

use crate::history::{Change, ChangeKind};
use crate::model::finding::Finding;
use crate::model::scan::Origin;
use crate::store::schema::{APPLICATION, MIGRATIONS, SCAN_FORM, known_version};
use crate::store::{Batch, Error, Heard, Kept, KeptScan, Location};
use crate::wire;

/// How long the changes of a finding are kept.
const RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many changes are kept at most: some 1 KiB each, so that a storm cannot fill the disk.
const MAX_CHANGES: i64 = 100_000;

/// How many changes may come before the old ones are looked for again.
const PRUNE_EVERY: u64 = 1000;

/// Another collector that is just ending needs this long.
const BUSY: Duration = Duration::from_secs(3);

/// An open database.
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    unpruned: u64,
}

impl Database {
    pub(super) fn open(location: &Location) -> Result<Self, Error> {
        let (connection, path) = match location {
            Location::Memory => (Connection::open_in_memory(), PathBuf::from("memory")),
            Location::File(path) => (
                Connection::open_with_flags(
                    path,
                    OpenFlags::SQLITE_OPEN_READ_WRITE
                        | OpenFlags::SQLITE_OPEN_CREATE
                        | OpenFlags::SQLITE_OPEN_NO_MUTEX,
                ),
                path.clone(),
            ),
        };
        let connection = connection.map_err(|source| refused(&path, source))?;
        let mut database = Self {
            connection,
            path,
            unpruned: PRUNE_EVERY,
        };
        database.check()?;
        database
            .prepare()
            .map_err(|source| refused(&database.path, source))?;
        Ok(database)
    }

    /// Whether it is ours, whole, and of a form that is known. Changes nothing.
    fn check(&self) -> Result<(), Error> {
        let path = || self.path.clone();
        let ask = |what: &str| self.ask(what).map_err(|source| refused(&self.path, source));
        self.connection
            .busy_timeout(BUSY)
            .map_err(|source| refused(&self.path, source))?;
        let application = ask("PRAGMA application_id")?;
        let version = ask("PRAGMA user_version")?;
        let tables = ask("SELECT count(*) FROM sqlite_schema")?;
        if application == 0 && version == 0 && tables == 0 {
            return Ok(());
        }
        if application != APPLICATION {
            return Err(Error::Foreign { path: path() });
        }
        if version > known_version() {
            return Err(Error::TooNew {
                path: path(),
                version,
                known: known_version(),
            });
        }
        let state: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|source| refused(&self.path, source))?;
        if state != "ok" {
            return Err(Error::Corrupt {
                path: path(),
                why: state,
            });
        }
        Ok(())
    }

    fn ask(&self, what: &str) -> rusqlite::Result<i32> {
        self.connection.query_row(what, [], |row| row.get(0))
    }

    /// Brings it to the present form.
    fn prepare(&mut self) -> rusqlite::Result<()> {
        // One process: no shared memory file, and a second collector is refused at once.
        self.pragma("locking_mode", "EXCLUSIVE")?;
        self.pragma("journal_mode", "WAL")?;
        // What is acknowledged survives the loss of power too.
        self.pragma("synchronous", "FULL")?;
        let version = self.ask("PRAGMA user_version")?;
        let done = usize::try_from(version).unwrap_or(0);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for migration in &MIGRATIONS[done.min(MIGRATIONS.len())..] {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", known_version())?;
        transaction.execute("DELETE FROM scans WHERE form != ?1", [SCAN_FORM])?;
        transaction.commit()
    }

    fn pragma(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        self.connection
            .pragma_update_and_check(None, name, value, |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                other => Err(other),
            })
    }

    /// What was kept. A finding that is no longer read is left out: the agents tell it again.
    pub(super) fn kept(&mut self) -> Result<Kept, Error> {
        self.read_kept()
            .map_err(|source| refused(&self.path, source))
    }

    fn read_kept(&self) -> rusqlite::Result<Kept> {
        let mut kept = Kept::default();
        let mut findings = self
            .connection
            .prepare("SELECT source, finding FROM findings")?;
        let mut rows = findings.query([])?;
        while let Some(row) = rows.next()? {
            let source: String = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob()?;
            if let Ok(finding) = wire::decode_finding(bytes) {
                kept.findings.entry(source).or_default().push(finding);
            }
        }
        let mut scans = self
            .connection
            .prepare("SELECT node, received_ns, scan FROM scans ORDER BY node")?;
        let mut rows = scans.query([])?;
        while let Some(row) = rows.next()? {
            kept.scans.push(KeptScan {
                node: row.get(0)?,
                received: wire::at(row.get(1)?),
                packed: row.get_ref(2)?.as_blob()?.into(),
            });
        }
        let mut heard = self
            .connection
            .prepare("SELECT node, received_ns, instance, sequence FROM heard ORDER BY node")?;
        let mut rows = heard.query([])?;
        while let Some(row) = rows.next()? {
            kept.heard.push(Heard {
                node: row.get(0)?,
                received: wire::at(row.get(1)?),
                origin: Origin {
                    instance: row.get(2)?,
                    // Written as the same 64 bits.
                    sequence: row.get::<_, i64>(3)?.cast_unsigned(),
                },
            });
        }
        Ok(kept)
    }

    /// Writes the batches in one transaction.
    pub(super) fn write(&mut self, batches: &[Batch]) -> rusqlite::Result<()> {
        let prune = self.unpruned >= PRUNE_EVERY;
        let mut written = 0;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for batch in batches {
            if let Some(findings) = &batch.whole {
                transaction
                    .prepare_cached("DELETE FROM findings WHERE source = ?1")?
                    .execute([&batch.source])?;
                for finding in findings {
                    put(&transaction, &batch.source, finding)?;
                }
            }
            for change in &batch.changes {
                written += 1;
                write_change(&transaction, batch, change)?;
            }
            write_node(&transaction, batch)?;
            if prune {
                forget_old(&transaction, batch.at)?;
            }
        }
        transaction.commit()?;
        self.unpruned = if prune {
            written
        } else {
            self.unpruned + written
        };
        Ok(())
    }
}

fn put(connection: &Connection, source: &str, finding: &Finding) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO findings (source, code, subject, finding)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            source,
            finding.key.code.0,
            wire::encode_subject(&finding.key.subject),
            wire::encode_finding(finding)
        ])?;
    Ok(())
}

fn write_change(connection: &Connection, batch: &Batch, change: &Change) -> rusqlite::Result<()> {
    let finding = &change.finding;
    if change.kind.is_end() {
        connection
            .prepare_cached(
                "DELETE FROM findings WHERE source = ?1 AND code = ?2 AND subject = ?3",
            )?
            .execute(params![
                batch.source,
                finding.key.code.0,
                wire::encode_subject(&finding.key.subject)
            ])?;
    } else if batch.whole.is_none() {
        put(connection, &batch.source, finding)?;
    }
    if !is_told(change) {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO changes (at_ns, source, code, subject, kind, finding)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            wire::at_ns(batch.at),
            batch.source,
            finding.key.code.0,
            wire::encode_subject(&finding.key.subject),
            change.kind.as_str(),
            wire::encode_finding(finding)
        ])?;
    Ok(())
}

/// What is kept of the source itself.
fn write_node(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    if let Some(heard) = &batch.heard {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO heard (node, received_ns, instance, sequence)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                heard.node,
                wire::at_ns(heard.received),
                heard.origin.instance,
                heard.origin.sequence.cast_signed()
            ])?;
    }
    if let Some(scan) = &batch.scan {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO scans (node, received_ns, form, scan)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                scan.node,
                wire::at_ns(scan.received),
                SCAN_FORM,
                &scan.packed[..]
            ])?;
    }
    if batch.gone {
        for table in [
            "findings WHERE source",
            "scans WHERE node",
            "heard WHERE node",
        ] {
            connection
                .prepare_cached(&format!("DELETE FROM {table} = ?1"))?
                .execute([&batch.source])?;
        }
    }
    Ok(())
}

/// Whether a change belongs to the past that is kept: steps of what has been open at some time.
fn is_told(change: &Change) -> bool {
    change.finding.opened.is_some() && change.kind != ChangeKind::Refreshed
}

fn forget_old(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let oldest = now.checked_sub(RETENTION).unwrap_or(Timestamp::MIN);
    connection
        .prepare_cached("DELETE FROM changes WHERE at_ns < ?1")?
        .execute([wire::at_ns(oldest)])?;
    connection
        .prepare_cached("DELETE FROM changes WHERE id <= (SELECT max(id) FROM changes) - ?1")?
        .execute([MAX_CHANGES])?;
    Ok(())
}

/// What an error on opening means to the operator.
fn refused(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::Foreign { path },
        Some(ErrorCode::DatabaseCorrupt) => Error::Corrupt {
            path,
            why: source.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::InUse { path },
        _ => Error::Open { path, source },
    }
}

#[cfg(test)]
mod tests;
