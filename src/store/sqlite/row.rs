// SPDX-License-Identifier: GPL-2.0-or-later
//! Rows and records.
//!
//! In: rows. Out: records, or which table, row and column cannot be understood, without what it holds. And back.

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use crate::address::{Aor, BareJid, Pair};
use crate::frame::Flow;
use crate::record::{
    AuthorizationRecord, AuthorizationState, DialogId, DialogRecord, Direction, MessageId,
    MessageRecord, MessageRequest, MessageSender, Moment,
};
use crate::sip::Package;

use super::super::StoreError;
use super::unreadable;

/// First byte of the column `rest` of a dialog: which [`Rest`] follows.
const REST: u8 = 1;

/// First byte of the column `rest` of a message: which [`MessageRest`] follows.
const MESSAGE_REST: u8 = 1;

/// What a dialog has that is no column of its own.
#[derive(Serialize, Deserialize)]
struct Rest {
    call_id: String,
    local_tag: String,
    remote_tag: Option<String>,
    event_id: Option<String>,
    local_uri: String,
    remote_uri: String,
    remote_target: String,
    route_set: Vec<String>,
    flow: Option<Flow>,
    cseq_reserved: u32,
    remote_cseq: u32,
    shown: Vec<String>,
}

/// What a message has that is no column of its own.
#[derive(Serialize, Deserialize)]
struct MessageRest {
    sender: Option<MessageSender>,
    request: MessageRequest,
    failure: Option<String>,
}

/// Pairs that have been read, by their texts: one that stands in many rows is read and kept once.
#[derive(Default)]
pub(super) struct Pairs(RefCell<HashMap<(String, String), Pair>>);

/// Every authorisation.
pub(super) fn authorizations(
    connection: &Connection,
    pairs: &Pairs,
) -> Result<Vec<AuthorizationRecord>, StoreError> {
    let sql = "SELECT rowid, sip, xmpp, direction, state, since, heard FROM authorization";
    read(connection, "authorization", sql, |cells| {
        Ok(AuthorizationRecord {
            pair: cells.pair(pairs)?,
            direction: cells.text("direction", Direction::parse)?,
            state: cells.text("state", AuthorizationState::parse)?,
            since: cells.moment("since")?,
            heard: cells.moment("heard")?,
        })
    })
}

/// Every dialog.
pub(super) fn dialogs(
    connection: &Connection,
    pairs: &Pairs,
) -> Result<Vec<DialogRecord>, StoreError> {
    let sql =
        "SELECT rowid, id, sip, xmpp, direction, active, expires_at, rest, package FROM dialog";
    read(connection, "dialog", sql, |cells| {
        let rest: Vec<u8> = cells.get("rest")?;
        let rest: Rest = unpack(REST, &rest).ok_or_else(|| cells.corrupt("rest"))?;
        Ok(DialogRecord {
            id: cells.text("id", dialog_id_of)?,
            pair: cells.pair(pairs)?,
            direction: cells.text("direction", Direction::parse)?,
            call_id: rest.call_id,
            local_tag: rest.local_tag,
            remote_tag: rest.remote_tag,
            event_id: rest.event_id,
            package: cells.text("package", Package::parse)?,
            local_uri: rest.local_uri,
            remote_uri: rest.remote_uri,
            remote_target: rest.remote_target,
            route_set: rest.route_set,
            flow: rest.flow,
            cseq_reserved: rest.cseq_reserved,
            remote_cseq: rest.remote_cseq,
            expires_at: cells.moment("expires_at")?,
            active: cells.get("active")?,
            shown: rest.shown,
        })
    })
}

/// Every message.
pub(super) fn messages(
    connection: &Connection,
    pairs: &Pairs,
) -> Result<Vec<MessageRecord>, StoreError> {
    let sql = "SELECT id AS rowid, id, sip, xmpp, since, rest FROM message";
    read(connection, "message", sql, |cells| {
        let rest: Vec<u8> = cells.get("rest")?;
        let rest: MessageRest = unpack(MESSAGE_REST, &rest).ok_or_else(|| cells.corrupt("rest"))?;
        Ok(MessageRecord {
            id: MessageId(cells.get::<i64>("id")?.cast_unsigned()),
            pair: cells.pair(pairs)?,
            since: cells.moment("since")?,
            sender: rest.sender,
            request: rest.request,
            failure: rest.failure,
        })
    })
}

fn read<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    record: impl Fn(&Cells<'_, '_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql).map_err(|e| unreadable(&e))?;
    let mut rows = statement.query([]).map_err(|e| unreadable(&e))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(|e| unreadable(&e))? {
        records.push(record(&Cells { table, row })?);
    }
    Ok(records)
}

/// One row, and how to speak of it.
struct Cells<'a, 'stmt> {
    table: &'static str,
    row: &'a Row<'stmt>,
}

impl Cells<'_, '_> {
    fn get<T: FromSql>(&self, column: &str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|_| self.corrupt(column))
    }

    fn text<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(&self.get::<String>(column)?).ok_or_else(|| self.corrupt(column))
    }

    fn moment(&self, column: &str) -> Result<Moment, StoreError> {
        Ok(Moment(self.get::<i64>(column)?.cast_unsigned()))
    }

    fn pair(&self, pairs: &Pairs) -> Result<Pair, StoreError> {
        let texts = (self.get("sip")?, self.get("xmpp")?);
        if let Some(pair) = pairs.0.borrow().get(&texts) {
            return Ok(pair.clone());
        }
        let pair = Pair::new(
            self.text("sip", |text| Aor::parse(text).ok())?,
            self.text("xmpp", |text| BareJid::new(text).ok())?,
        );
        pairs.0.borrow_mut().insert(texts, pair.clone());
        Ok(pair)
    }

    /// Names the place, never the content: addresses are personal data.
    fn corrupt(&self, column: &str) -> StoreError {
        let row = self.row.get("rowid").unwrap_or(0_i64);
        StoreError::Corrupt(format!("table {}, row {row}, column {column}", self.table))
    }
}

/// Sixteen digits, so that the order of the texts is that of the numbers.
pub(super) fn dialog_id(id: DialogId) -> String {
    format!("{:016x}", id.0)
}

fn dialog_id_of(text: &str) -> Option<DialogId> {
    let id = DialogId(u64::from_str_radix(text, 16).ok()?);
    (dialog_id(id) == text).then_some(id)
}

/// SQLite knows signed integers only: the same bits, so that every moment comes back.
pub(super) fn moment(moment: Moment) -> i64 {
    moment.0.cast_signed()
}

pub(super) fn rest(record: &DialogRecord) -> Result<Vec<u8>, StoreError> {
    let rest = Rest {
        call_id: record.call_id.clone(),
        local_tag: record.local_tag.clone(),
        remote_tag: record.remote_tag.clone(),
        event_id: record.event_id.clone(),
        local_uri: record.local_uri.clone(),
        remote_uri: record.remote_uri.clone(),
        remote_target: record.remote_target.clone(),
        route_set: record.route_set.clone(),
        flow: record.flow.clone(),
        cseq_reserved: record.cseq_reserved,
        remote_cseq: record.remote_cseq,
        shown: record.shown.clone(),
    };
    pack(REST, &rest)
}

/// The rowid: the order of the numbers, as far as signed ones go, is that in which messages came.
pub(super) fn message_id(id: MessageId) -> i64 {
    id.0.cast_signed()
}

pub(super) fn message_rest(record: &MessageRecord) -> Result<Vec<u8>, StoreError> {
    let rest = MessageRest {
        sender: record.sender.clone(),
        request: record.request.clone(),
        failure: record.failure.clone(),
    };
    pack(MESSAGE_REST, &rest)
}

fn pack(version: u8, rest: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(rest, vec![version]).map_err(|error| StoreError::Write(error.to_string()))
}

fn unpack<'a, T: Deserialize<'a>>(expected: u8, bytes: &'a [u8]) -> Option<T> {
    let (&version, bytes) = bytes.split_first()?;
    if version != expected {
        return None;
    }
    let (rest, unread) = postcard::take_from_bytes(bytes).ok()?;
    unread.is_empty().then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_rest_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _: Option<Rest> = unpack(REST, &bytes);
            let _: Option<MessageRest> = unpack(MESSAGE_REST, &bytes);
        }

        #[test]
        fn ids_and_moments_come_back(n in any::<u64>()) {
            prop_assert_eq!(dialog_id_of(&dialog_id(DialogId(n))), Some(DialogId(n)));
            prop_assert_eq!(moment(Moment(n)).cast_unsigned(), n);
        }
    }
}
