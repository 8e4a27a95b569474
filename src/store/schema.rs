//! The form of the database, and the way to it from every earlier one.

/// `csid`, in the header of the file: whose it is.
pub(super) const APPLICATION: i32 = 0x6373_6964;

/// Steps from one form to the next, in order; the number of the form is how many were taken. Never
/// changed once released, only added to.
pub(super) const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE findings (
        source  TEXT NOT NULL,
        code    TEXT NOT NULL,
        subject BLOB NOT NULL, -- csidoctor.v1.Subject
        finding BLOB NOT NULL, -- csidoctor.v1.Finding
        PRIMARY KEY (source, code, subject)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
        id      INTEGER PRIMARY KEY,
        at_ns   INTEGER NOT NULL,
        source  TEXT NOT NULL,
        code    TEXT NOT NULL,
        subject BLOB NOT NULL,
        kind    TEXT NOT NULL, -- opened, unconfirmed, confirmed, resolved
        finding BLOB NOT NULL  -- as it was after the change
    ) STRICT;
    CREATE INDEX changes_by_time ON changes (at_ns);
    CREATE TABLE scans (
        node        TEXT PRIMARY KEY,
        received_ns INTEGER NOT NULL,
        form        INTEGER NOT NULL,
        scan        BLOB NOT NULL -- csidoctor.v1.Scan
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Which scan was taken last; the scan itself is written less often.
    CREATE TABLE heard (
        node        TEXT PRIMARY KEY,
        received_ns INTEGER NOT NULL,
        instance    TEXT NOT NULL,
        sequence    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];

/// The form of scans that is still read: packed, since 2. They are a cache: others are dropped.
pub(super) const SCAN_FORM: i64 = 2;

/// The number of the present form.
pub(super) fn known_version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}
