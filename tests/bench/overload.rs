// SPDX-License-Identifier: GPL-2.0-or-later
//! What is left of the service when twice as much is asked for as can be served.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::case::Case;
use crate::generator::{Generator, Load, Measured};
use crate::saturation;
use crate::spread::Spread;
use crate::tally::quantile;

/// So many times the saturating rate.
const TIMES: f64 = 2.0;

/// The part of the peak that must be left.
const GOODPUT: f64 = 0.9;

/// The two loads of one case, by round.
#[derive(Debug)]
pub(crate) struct Overload {
    case: Case,
    rate: f64,
    rounds: Vec<(Measured, Measured)>,
}

impl Overload {
    /// Measures one case at the saturating rate and above, by turns.
    pub(crate) fn measure(
        generator: &mut Generator,
        case: Case,
        lasting: Duration,
        rounds: usize,
    ) -> io::Result<Self> {
        let rate = saturation::find(generator, case, lasting / 2)?;
        let mut overload = Self {
            case,
            rate,
            rounds: Vec::new(),
        };
        for _ in 0..rounds {
            let peak = generator.measure(case, Load::Rate(rate), lasting)?;
            let twice = generator.measure(case, Load::Rate(rate * TIMES), lasting)?;
            generator.attend(Duration::from_secs(2), 0)?;
            overload.rounds.push((peak, twice));
        }
        Ok(overload)
    }
}

/// Operations that ended well and in time, each second that they were begun in.
fn goodput(measured: &Measured, rate: f64) -> f64 {
    let lasted = measured.account.offered as f64 / rate + measured.behind.as_secs_f64();
    measured.account.in_time as f64 / lasted.max(0.001)
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let twice = || self.rounds.iter().map(|(_, twice)| twice);
        let peak = Spread::of(self.rounds.iter().map(|(peak, _)| goodput(peak, self.rate)));
        let left = Spread::of(twice().map(|m| goodput(m, self.rate * TIMES)));
        let sum = |count: fn(&Measured) -> usize| twice().map(count).sum::<usize>();
        let offered = sum(|m| m.account.offered);
        let refused = sum(|m| m.account.refused);
        let complete = sum(|m| m.account.complete);
        let late = complete - sum(|m| m.account.in_time);
        let lost = offered.saturating_sub(complete + refused);
        let millis = |part| {
            let times = twice().map(move |m| quantile(&m.account.to_refusal, part));
            Spread::of(times.map(|time| time.as_secs_f64() * 1000.0)).decimals(1)
        };
        let behind = Spread::of(twice().map(|m| m.behind.as_secs_f64() * 1000.0));
        writeln!(f, "{}", self.case.title())?;
        writeln!(
            f,
            "  at {:.0}/s well and in time {peak}/s; at twice that {left}/s",
            self.rate
        )?;
        writeln!(
            f,
            "  of {offered} begun: {complete} complete, {late} of them late, {refused} refused, {lost} lost"
        )?;
        writeln!(
            f,
            "  refused after p50 {} ms, p99 {} ms; the generator was behind by {behind} ms",
            millis(0.5),
            millis(0.99)
        )?;
        let part = left.median() / peak.median().max(1.0);
        let verdict = if part >= GOODPUT { "met" } else { "MISSED" };
        writeln!(
            f,
            "  Aim: {:.0} % of the peak: {:.0} % -> {verdict}",
            GOODPUT * 100.0,
            part * 100.0
        )
    }
}
