// SPDX-License-Identifier: GPL-2.0-or-later
//! The engine for tests: keeps everything in memory.

use std::collections::BTreeMap;

use crate::address::Pair;
use crate::record::{
    AuthorizationRecord, Change, DialogId, DialogRecord, Direction, MessageId, MessageRecord,
    Snapshot,
};

use super::{Store, StoreError};

/// A store that forgets everything when dropped.
#[derive(Debug, Default)]
pub struct Memory {
    authorizations: BTreeMap<(Pair, Direction), AuthorizationRecord>,
    dialogs: BTreeMap<DialogId, DialogRecord>,
    messages: BTreeMap<MessageId, MessageRecord>,
}

impl Store for Memory {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            authorizations: self.authorizations.values().cloned().collect(),
            dialogs: self.dialogs.values().cloned().collect(),
            messages: self.messages.values().cloned().collect(),
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            match change {
                Change::PutAuthorization(record) => {
                    let key = (record.pair.clone(), record.direction);
                    self.authorizations.insert(key, record.clone());
                }
                Change::RemoveAuthorization { pair, direction } => {
                    self.authorizations.remove(&(pair.clone(), *direction));
                }
                Change::Heard { pair, at } => {
                    let key = (pair.clone(), Direction::ToSip);
                    if let Some(record) = self.authorizations.get_mut(&key) {
                        record.heard = *at;
                    }
                }
                Change::PutDialog(record) => {
                    self.dialogs.insert(record.id, DialogRecord::clone(record));
                }
                Change::RemoveDialog(id) => {
                    self.dialogs.remove(id);
                }
                Change::PutMessage(record) => {
                    self.messages
                        .insert(record.id, MessageRecord::clone(record));
                }
                Change::RemoveMessage(id) => {
                    self.messages.remove(id);
                }
            }
        }
        Ok(())
    }
}
