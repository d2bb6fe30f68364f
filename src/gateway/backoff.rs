// SPDX-License-Identifier: GPL-2.0-or-later
//! Pauses between attempts: doubling up to one hour, with jitter.

use super::identity::Identity;

/// The first pause between two questions to one user.
const FIRST_MS: u64 = 60_000;

/// The first pause between two attempts at a link, so that a server that starts anew is found before what it
/// said counts as gone.
const FIRST_OF_LINK_MS: u64 = 4_000;

const LONGEST_MS: u64 = 3_600_000;

/// The pause after so many failures in a row, between half of the nominal one and all of it.
pub(super) fn backoff_ms(identity: &mut Identity, failures: u32) -> u64 {
    pause_ms(identity, FIRST_MS, failures)
}

/// The pause before a link between servers is tried again.
pub(super) fn link_backoff_ms(identity: &mut Identity, failures: u32) -> u64 {
    pause_ms(identity, FIRST_OF_LINK_MS, failures)
}

fn pause_ms(identity: &mut Identity, first_ms: u64, failures: u32) -> u64 {
    let nominal = first_ms
        .saturating_mul(1_u64 << failures.min(16))
        .min(LONGEST_MS);
    identity.between(nominal / 2, nominal)
}
