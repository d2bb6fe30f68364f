// SPDX-License-Identifier: GPL-2.0-or-later
//! Names the gateway makes up: tags, Call-IDs, dialog and stanza ids, and jitter. Seeded, so that a
//! recorded run makes the same names again.

use std::fmt::Write as _;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::mapping::message::DIALOG;
use crate::record::DialogId;

/// The core's only randomness.
#[derive(Debug)]
pub(super) struct Identity {
    random: ChaCha12Rng,
}

impl Identity {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            random: ChaCha12Rng::from_seed(seed),
        }
    }

    /// A new dialog's name.
    pub(super) fn dialog(&mut self) -> DialogId {
        DialogId(self.random.next_u64())
    }

    /// A tag: 64 random bits, twice what RFC 3261 §19.3 asks for.
    pub(super) fn tag(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    /// The Call-ID of a dialog, 128 random bits (RFC 3261 §8.1.1.4). No message has one that begins like it.
    pub(super) fn call_id(&mut self) -> String {
        self.long(DIALOG)
    }

    /// The Call-ID of a message that belongs to no thread.
    pub(super) fn message_call_id(&mut self) -> String {
        self.long("m-")
    }

    fn long(&mut self, prefix: &str) -> String {
        let mut id = prefix.to_owned();
        for _ in 0..2 {
            let _ = write!(id, "{:016x}", self.random.next_u64());
        }
        id
    }

    /// The id of a stanza, with a word that tells what its answer is an answer to.
    pub(super) fn stanza(&mut self, word: &str) -> String {
        format!("{word}-{:016x}", self.random.next_u64())
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.random.next_u64() % span.max(1))
    }
}
