// SPDX-License-Identifier: GPL-2.0-or-later
//! Ids that cannot be guessed (RFC 6120 §4.7.3), and numbers that need not be.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes for a secret.
pub(super) fn secret() -> Result<[u8; 32], ring::error::Unspecified> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

/// An id for a stream, of 128 random bits. Without randomness of the system's, of which there is always some once the
/// gateway has started, it is as good as a hash.
pub(super) fn id() -> String {
    let mut bytes = [0; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&number().to_be_bytes());
        bytes[8..].copy_from_slice(&number().to_be_bytes());
    }
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// A number for jitter.
pub(super) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}
