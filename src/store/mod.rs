// SPDX-License-Identifier: GPL-2.0-or-later
//! Where hard and soft state survive: one trait, two engines.
//!
//! In: sets of [`Change`]s. Out: a [`Snapshot`] at start. [`Writer`] owns an engine on a thread of its own
//! and commits what has gathered as one transaction (group commit); a set counts only once it is durable.

#[cfg(test)]
mod conformance;
mod memory;
mod sqlite;
mod writer;

pub use memory::Memory;
pub use sqlite::Sqlite;
pub use writer::{Committed, Writer};

use crate::record::{Change, Snapshot};

/// Keeps state over restarts.
pub trait Store: Send + 'static {
    /// Everything kept.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Makes changes durable, in order, all or none; when it returns they survive a power loss.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Why a store cannot be used; the text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Cannot be opened: missing directory, permissions, not a database, in use by another gateway.
    #[error("the store {path} cannot be opened: {why}")]
    Open {
        /// Path of the database.
        path: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// Its content cannot be understood.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Writing failed.
    #[error("the store cannot be written: {0}")]
    Write(String),
}
