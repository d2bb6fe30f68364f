// SPDX-License-Identifier: GPL-2.0-or-later
//! The embedded engine: SQLite, write-ahead log, `synchronous=FULL`.
//!
//! In: sets of changes, each set one transaction. Out: what was kept. Addresses, states and times are columns
//! that an operator can read with `sqlite3` while the gateway runs; the rest of a dialog or message is one versioned
//! value.

mod open;
mod row;

#[cfg(test)]
mod durability;

use std::path::Path;

use rusqlite::{Connection, ErrorCode, Transaction, params};

use crate::record::{Change, Direction, Snapshot};

use super::{Store, StoreError};

/// A database file.
#[derive(Debug)]
pub struct Sqlite {
    // Before the lock: SQLite's own locks are gone before another gateway may open the file.
    connection: Connection,
    /// Held against another gateway; the kernel lets go of it however this process ends.
    _lock: std::fs::File,
}

impl Sqlite {
    /// Opens or creates the database; held exclusively until dropped.
    ///
    /// Beside it lies `PATH-lock`, which only says who has it open: the database stays readable for `sqlite3`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (connection, lock) = open::open(path).map_err(|why| StoreError::Open {
            path: path.display().to_string(),
            why,
        })?;
        Ok(Self {
            connection,
            _lock: lock,
        })
    }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        // One read transaction, so that all tables are of one moment.
        let transaction = self.connection.transaction().map_err(|e| unreadable(&e))?;
        let pairs = row::Pairs::default();
        let mut snapshot = Snapshot {
            authorizations: row::authorizations(&transaction, &pairs)?,
            dialogs: row::dialogs(&transaction, &pairs)?,
            messages: row::messages(&transaction, &pairs)?,
        };
        // SQL orders addresses as text, the snapshot as addresses; and it would look for each dialog where it lies.
        snapshot.dialogs.sort_unstable_by_key(|record| record.id);
        snapshot.messages.sort_unstable_by_key(|record| record.id);
        snapshot
            .authorizations
            .sort_by(|a, b| (&a.pair, a.direction).cmp(&(&b.pair, b.direction)));
        Ok(snapshot)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(|e| unwritable(&e))?;
        for change in changes {
            apply(&transaction, change)?;
        }
        transaction.commit().map_err(|e| unwritable(&e))
    }
}

fn apply(transaction: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    let run = |sql, values: &[&dyn rusqlite::ToSql]| -> Result<(), StoreError> {
        let mut statement = transaction
            .prepare_cached(sql)
            .map_err(|e| unwritable(&e))?;
        statement.execute(values).map_err(|e| unwritable(&e))?;
        Ok(())
    };
    match change {
        Change::PutAuthorization(record) => run(
            "INSERT INTO authorization (sip, xmpp, direction, state, since, heard) \
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sip, xmpp, direction) \
             DO UPDATE SET state = excluded.state, since = excluded.since, heard = excluded.heard",
            params![
                record.pair.sip.to_string(),
                record.pair.xmpp.as_str(),
                record.direction.as_str(),
                record.state.as_str(),
                row::moment(record.since),
                row::moment(record.heard),
            ],
        ),
        Change::RemoveAuthorization { pair, direction } => run(
            "DELETE FROM authorization WHERE sip = ? AND xmpp = ? AND direction = ?",
            params![pair.sip.to_string(), pair.xmpp.as_str(), direction.as_str()],
        ),
        Change::Heard { pair, at } => run(
            "UPDATE authorization SET heard = ? WHERE sip = ? AND xmpp = ? AND direction = ?",
            params![
                row::moment(*at),
                pair.sip.to_string(),
                pair.xmpp.as_str(),
                Direction::ToSip.as_str()
            ],
        ),
        Change::PutDialog(record) => run(
            "REPLACE INTO dialog (id, sip, xmpp, direction, active, expires_at, rest, package) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                row::dialog_id(record.id),
                record.pair.sip.to_string(),
                record.pair.xmpp.as_str(),
                record.direction.as_str(),
                record.active,
                row::moment(record.expires_at),
                row::rest(record)?,
                record.package.as_str(),
            ],
        ),
        Change::RemoveDialog(id) => run(
            "DELETE FROM dialog WHERE id = ?",
            params![row::dialog_id(*id)],
        ),
        Change::PutMessage(record) => run(
            "REPLACE INTO message (id, sip, xmpp, since, failed, rest) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                row::message_id(record.id),
                record.pair.sip.to_string(),
                record.pair.xmpp.as_str(),
                row::moment(record.since),
                record.failure.is_some(),
                row::message_rest(record)?,
            ],
        ),
        Change::RemoveMessage(id) => run(
            "DELETE FROM message WHERE id = ?",
            params![row::message_id(*id)],
        ),
    }
}

/// What a failed read means.
fn unreadable(error: &rusqlite::Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// What a failed write means, for the operator.
fn unwritable(error: &rusqlite::Error) -> StoreError {
    StoreError::Write(match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            "the disk is full: free some space; nothing accepted so far is lost".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program keeps it locked for writing: end that program's transaction".to_owned()
        }
        Some(ErrorCode::ReadOnly) => {
            "its file or folder has become read-only: look at the mount and the permissions"
                .to_owned()
        }
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{Folder, authorization, dialog, message};
    use super::*;

    #[test]
    fn a_full_disk_is_told_in_words_and_nothing_of_the_set_is_kept() {
        let folder = Folder::new();
        let mut store = Sqlite::open(&folder.database()).unwrap();
        store
            .commit(&[Change::PutAuthorization(authorization(1))])
            .unwrap();
        let before = store.load().unwrap();
        store
            .connection
            .pragma_update(None, "max_page_count", 8)
            .unwrap();
        let many: Vec<_> = (0..500)
            .map(|n| Change::PutDialog(Box::new(dialog(n))))
            .collect();
        let error = store.commit(&many).unwrap_err().to_string();
        assert!(error.contains("the disk is full"), "{error}");
        assert_eq!(store.load().unwrap(), before);
    }

    #[test]
    fn what_cannot_be_decoded_is_named_without_personal_data() {
        for (damage, place) in [
            (
                "UPDATE authorization SET state = 'maybe'",
                "table authorization, row 1, column state",
            ),
            (
                "UPDATE authorization SET sip = 'romeo'",
                "table authorization, row 1, column sip",
            ),
            (
                "UPDATE authorization SET xmpp = '@'",
                "table authorization, row 1, column xmpp",
            ),
            (
                "UPDATE dialog SET id = 'x'",
                "table dialog, row 1, column id",
            ),
            (
                "UPDATE dialog SET rest = x'00'",
                "table dialog, row 1, column rest",
            ),
            (
                "UPDATE dialog SET rest = x''",
                "table dialog, row 1, column rest",
            ),
            (
                "UPDATE dialog SET rest = CAST(rest || x'00' AS BLOB)",
                "table dialog, row 1, column rest",
            ),
            (
                "UPDATE dialog SET direction = ''",
                "table dialog, row 1, column direction",
            ),
            (
                "UPDATE message SET rest = x'00'",
                "table message, row 1, column rest",
            ),
            (
                "UPDATE message SET xmpp = '@'",
                "table message, row 1, column xmpp",
            ),
        ] {
            let folder = Folder::new();
            let mut store = Sqlite::open(&folder.database()).unwrap();
            store
                .commit(&[
                    Change::PutAuthorization(authorization(1)),
                    Change::PutDialog(Box::new(dialog(1))),
                    Change::PutMessage(Box::new(message(1))),
                ])
                .unwrap();
            store.connection.execute(damage, []).unwrap();
            let error = store.load().unwrap_err();
            assert!(matches!(error, StoreError::Corrupt(_)), "{damage}: {error}");
            let error = error.to_string();
            assert!(error.contains(place), "{damage}: {error}");
            assert!(!error.contains("example"), "{damage}: {error}");
        }
    }

    #[test]
    fn an_operator_can_read_while_the_gateway_writes() {
        let folder = Folder::new();
        let mut store = Sqlite::open(&folder.database()).unwrap();
        let operator = Connection::open(folder.database()).unwrap();
        store
            .commit(&[Change::PutAuthorization(authorization(7))])
            .unwrap();
        let seen: (String, String, String, String) = operator
            .query_row(
                "SELECT sip, xmpp, direction, state FROM authorization",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!(
            seen,
            (
                "sip:romeo7@sip.example".to_owned(),
                "juliet7@xmpp.example".to_owned(),
                "to_sip".to_owned(),
                "refused".to_owned()
            )
        );
    }
}
