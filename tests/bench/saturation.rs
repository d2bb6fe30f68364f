// SPDX-License-Identifier: GPL-2.0-or-later
//! The highest rate at which 99.9 % of the operations are complete in 500 ms.

use std::io;
use std::time::Duration;

use crate::case::Case;
use crate::generator::{Generator, Load, Measured};

/// Operations under way at a time when there is no pace.
pub(crate) const WINDOW: usize = 50;

/// The same where one after the other is done for one sender, who may not have too many waiting.
pub(crate) const NARROW: usize = 16;

/// The part that must be complete in time.
const SERVED: f64 = 0.999;

/// A generator that takes longer than asked for by more than this part was the limit itself.
const BEHIND: f64 = 0.05;

/// Halvings of the range in which the rate lies.
const STEPS: usize = 5;

/// Looks for it; in operations per second, 0 if no rate was served.
pub(crate) fn find(generator: &mut Generator, case: Case, lasting: Duration) -> io::Result<f64> {
    let free = generator.measure(case, Load::Window(generator.window(case)), lasting)?;
    let flat_out = throughput(&free);
    let (mut good, mut bad) = (0.0, flat_out * 1.3);
    let mut rate = flat_out * 0.9;
    for _ in 0..STEPS {
        // Another program may take the processor for a moment: one failure is not believed.
        if serves(generator, case, rate, lasting)? || serves(generator, case, rate, lasting)? {
            good = rate;
        } else {
            bad = rate;
        }
        rate = f64::midpoint(good, bad);
    }
    Ok(good)
}

/// Operations completed per second.
pub(crate) fn throughput(measured: &Measured) -> f64 {
    measured.account.complete as f64 / measured.account.lasted.as_secs_f64().max(0.001)
}

fn serves(generator: &mut Generator, case: Case, rate: f64, lasting: Duration) -> io::Result<bool> {
    let measured = generator.measure(case, Load::Rate(rate), lasting)?;
    let account = &measured.account;
    Ok(account.in_time as f64 >= account.offered as f64 * SERVED
        && measured.behind < lasting.mul_f64(BEHIND))
}
