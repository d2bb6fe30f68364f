// SPDX-License-Identifier: GPL-2.0-or-later
//! What a stanza takes in memory once it is built, which for many small elements is far more than its bytes.

/// How many times its size a stanza may take.
const TIMES: u64 = 16;

/// What a stanza of any size may take, in bytes: a quarter of the room that the parser keeps for one token.
const FREE: u64 = 256 * 1024;

// Measured by tests/allocation.rs, rounded up. An attribute that is the first of its element or of its
// namespace has a map made for it.
const ELEMENT: u64 = 1024;
const FIRST_ATTRIBUTE: u64 = 2048;
const ATTRIBUTE: u64 = 128;

/// The weight of the stanza being built.
#[derive(Debug, Default)]
pub(super) struct Weight(u64);

impl Weight {
    /// One more element.
    pub(super) fn element(&mut self) {
        self.0 += ELEMENT;
    }

    /// One more attribute of the element that came last.
    pub(super) fn attribute(&mut self, first: bool) {
        self.0 += if first { FIRST_ATTRIBUTE } else { ATTRIBUTE };
    }

    /// Whether it is too much for a stanza of so many bytes.
    pub(super) fn exceeds(&self, size: u64) -> bool {
        self.0 > FREE + TIMES * size
    }
}
