// SPDX-License-Identifier: GPL-2.0-or-later
//! Opening a database file: everything that can be wrong with it, each in a sentence for the operator.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// The schema this code reads and writes, kept in SQLite's `user_version`.
const SCHEMA: i32 = 3;

/// Marks the file as a store of stox, in SQLite's `application_id`: "stox" in ASCII.
const APPLICATION: i32 = 0x7374_6f78;

/// How long a commit waits while an operator's own transaction holds the file.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE authorization (
    sip TEXT NOT NULL,        -- SIP user, as a URI
    xmpp TEXT NOT NULL,       -- XMPP user, as a bare JID
    direction TEXT NOT NULL,  -- to_xmpp: the SIP user watches; to_sip: the XMPP user watches
    state TEXT NOT NULL,      -- pending, granted, refused, cancelled
    since INTEGER NOT NULL,   -- milliseconds since 1970
    heard INTEGER NOT NULL DEFAULT 0, -- when an XMPP watcher was last heard of, to some hours
    PRIMARY KEY (sip, xmpp, direction)
) STRICT;
CREATE TABLE dialog (
    id TEXT PRIMARY KEY,          -- as in the gateway's Contact, 16 hexadecimal digits
    sip TEXT NOT NULL,
    xmpp TEXT NOT NULL,
    direction TEXT NOT NULL,
    active INTEGER NOT NULL,      -- 1: the subscription is active, 0: pending
    expires_at INTEGER NOT NULL,  -- milliseconds since 1970
    rest BLOB NOT NULL,           -- version byte, then everything else of the dialog
    package TEXT NOT NULL DEFAULT 'presence' -- the event package
) STRICT;
";

/// The table that schema 3 added.
const MESSAGES: &str = "
CREATE TABLE message (
    id INTEGER PRIMARY KEY,   -- in the order in which they were taken
    sip TEXT NOT NULL,        -- to whom, as a URI
    xmpp TEXT NOT NULL,       -- from whom, as a bare JID
    since INTEGER NOT NULL,   -- milliseconds since 1970
    failed INTEGER NOT NULL,  -- 1: it cannot be delivered, and its sender is being told
    rest BLOB NOT NULL        -- version byte, then everything else of the message
) STRICT;
";

/// Makes schema 2 of schema 1. Nobody counts as unheard of for having been there before.
const FROM_1: &str = "
ALTER TABLE authorization ADD COLUMN heard INTEGER NOT NULL DEFAULT 0;
UPDATE authorization SET heard = max(since, CAST(strftime('%s', 'now') AS INTEGER) * 1000);
ALTER TABLE dialog ADD COLUMN package TEXT NOT NULL DEFAULT 'presence';
";

/// Opens or creates the database at `path`, and locks it against other gateways.
pub(super) fn open(path: &Path) -> Result<(Connection, File), String> {
    if path.is_dir() {
        return Err("it is a directory: give the path of a file in it".to_owned());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(format!(
            "the directory {} does not exist: create it, owned by the user Kamailio runs as",
            folder.display()
        ));
    }
    let lock = lock(path, folder)?;
    create(path, folder)?;
    let connection = connect(path).map_err(|error| explain(&error, folder))?;
    prepare(&connection, folder)?;
    Ok((connection, lock))
}

/// Takes the lock file beside the database. SQLite's own lock would shut out an operator's `sqlite3` as well.
fn lock(path: &Path, folder: &Path) -> Result<File, String> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(|error| inaccessible(&name, folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(
            "another gateway has it open: end that one, or give each a file of its own".to_owned(),
        ),
        Err(TryLockError::Error(error)) => Err(format!(
            "{} cannot be locked ({error}): use a local file system",
            name.display()
        )),
    }
}

/// Makes an empty file that only its owner can read, before SQLite makes one that all can; and finds out
/// whether an existing one can be written, where SQLite would fall back to reading and fail late.
fn create(path: &Path, folder: &Path) -> Result<(), String> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| inaccessible(path, folder, &error))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    // The first statement that reads the file: a file that is no database fails here.
    connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// Settles journal, durability and schema.
fn prepare(connection: &Connection, folder: &Path) -> Result<(), String> {
    let fail = |error| explain(&error, folder);
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(fail)?;
    let version = number("user_version").map_err(fail)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fail)?;
    let empty = application == 0 && version == 0 && tables == 0;
    if !empty && application != APPLICATION {
        return Err(
            "it is the database of another program: give stox a file of its own".to_owned(),
        );
    }
    if !empty && !(1..=SCHEMA).contains(&version) {
        return Err(format!(
            "it was written by another version of stox (schema {version}, this one knows {SCHEMA}): \
             use that version, or move the file away to begin anew"
        ));
    }

    let journal: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(fail)?;
    if journal != "wal" {
        return Err(
            "its file system offers no write-ahead log: use a local file system".to_owned(),
        );
    }
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(fail)?;
    connection
        .pragma_update(None, "foreign_keys", false)
        .map_err(fail)?;
    if empty {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; \
                 PRAGMA user_version = {SCHEMA}; {TABLES} {MESSAGES} COMMIT;"
            ))
            .map_err(fail)?;
    } else if version < SCHEMA {
        let from_1 = if version == 1 { FROM_1 } else { "" };
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; PRAGMA user_version = {SCHEMA}; {from_1} {MESSAGES} COMMIT;"
            ))
            .map_err(fail)?;
    }
    Ok(())
}

fn inaccessible(path: &Path, folder: &Path, error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::PermissionDenied {
        format!(
            "{} cannot be written: give the user Kamailio runs as the right to write in {}",
            path.display(),
            folder.display()
        )
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        format!(
            "the file system of {} is mounted read-only",
            folder.display()
        )
    } else if kind == ErrorKind::StorageFull {
        "the disk is full: free some space".to_owned()
    } else {
        format!("{}: {error}", path.display())
    }
}

fn explain(error: &rusqlite::Error, folder: &Path) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "it is not a database: give another path, or move the file away".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            "the database is damaged: restore it from a backup, or move it away to begin anew"
                .to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program keeps it locked: end that program".to_owned()
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => format!(
            "it cannot be written: give the user Kamailio runs as the right to write it and in {}",
            folder.display()
        ),
        Some(ErrorCode::DiskFull) => "the disk is full: free some space".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::super::conformance::Folder;
    use super::*;

    fn refused(path: &Path) -> String {
        open(path).map(drop).unwrap_err()
    }

    #[test]
    fn each_fault_is_told_in_words() {
        let folder = Folder::new();
        let path = folder.database();
        assert!(refused(folder.path()).contains("it is a directory"));
        assert!(refused(&folder.path().join("no/stox.db")).contains("does not exist"));
        // Where not even root may create a file.
        let unwritable = refused(Path::new("/sys/kernel/stox.db"));
        assert!(
            unwritable.contains("cannot be written") || unwritable.contains("read-only"),
            "{unwritable}"
        );

        fs::write(
            &path,
            "[stox]\nthis is no database, but long enough to look like a header".repeat(40),
        )
        .unwrap();
        assert!(refused(&path).contains("not a database"));
        fs::remove_file(&path).unwrap();

        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE location (aor)")
            .unwrap();
        assert!(refused(&path).contains("another program"));
        fs::remove_file(&path).unwrap();

        let (connection, lock) = open(&path).unwrap();
        assert!(refused(&path).contains("another gateway has it open"));
        connection
            .pragma_update(None, "user_version", SCHEMA + 1)
            .unwrap();
        drop((connection, lock));
        let newer = refused(&path);
        assert!(newer.contains("schema 4, this one knows 3"), "{newer}");
    }

    #[test]
    fn an_older_schema_is_brought_up_to_date() {
        let folder = Folder::new();
        let path = folder.database();
        Connection::open(&path)
            .unwrap()
            .execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1;
                 CREATE TABLE authorization (
                     sip TEXT NOT NULL, xmpp TEXT NOT NULL, direction TEXT NOT NULL, state TEXT NOT NULL,
                     since INTEGER NOT NULL, PRIMARY KEY (sip, xmpp, direction)) STRICT;
                 CREATE TABLE dialog (
                     id TEXT PRIMARY KEY, sip TEXT NOT NULL, xmpp TEXT NOT NULL, direction TEXT NOT NULL,
                     active INTEGER NOT NULL, expires_at INTEGER NOT NULL, rest BLOB NOT NULL) STRICT;
                 INSERT INTO authorization VALUES ('sip:r@s.example', 'j@x.example', 'to_sip', 'granted', 7);
                 INSERT INTO dialog VALUES ('0', '', '', '', 1, 9, x'01');"
            ))
            .unwrap();
        for _ in 0..2 {
            let (connection, _lock) = open(&path).unwrap();
            let (since, heard): (i64, i64) = connection
                .query_row("SELECT since, heard FROM authorization", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .unwrap();
            assert!(since == 7 && heard > 1_700_000_000_000, "{since} {heard}");
            let package: String = connection
                .query_row("SELECT package FROM dialog", [], |row| row.get(0))
                .unwrap();
            assert_eq!(package, "presence");
        }
    }

    #[test]
    fn a_program_that_locks_the_file_is_told_apart() {
        let folder = Folder::new();
        let path = folder.database();
        drop(open(&path).unwrap());
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE")
            .unwrap();
        assert!(refused(&path).contains("another program keeps it locked"));
    }

    #[test]
    fn a_write_survives_power_loss_and_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let (connection, _lock) = open(&folder.database()).unwrap();
        let number = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(number("synchronous"), 2, "FULL");
        assert_eq!(number("foreign_keys"), 0);
        connection
            .execute_batch(
                "DELETE FROM dialog; INSERT INTO dialog VALUES ('', '', '', '', 0, 0, x'', '')",
            )
            .unwrap();
        for name in ["stox.db", "stox.db-wal", "stox.db-lock"] {
            let mode = fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
