// SPDX-License-Identifier: GPL-2.0-or-later
//! Pauses between attempts: doubling from one minute to one hour, with jitter.

use super::identity::Identity;

const FIRST_MS: u64 = 60_000;
const LONGEST_MS: u64 = 3_600_000;

/// The pause after so many failures in a row, between half of the nominal one and all of it.
pub(super) fn backoff_ms(identity: &mut Identity, failures: u32) -> u64 {
    let nominal = FIRST_MS
        .saturating_mul(1_u64 << failures.min(16))
        .min(LONGEST_MS);
    identity.between(nominal / 2, nominal)
}
