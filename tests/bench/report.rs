// SPDX-License-Identifier: GPL-2.0-or-later
//! The figures of all rounds as tables, and what they say about the aims.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::case::Case;
use crate::cpu::Spent;
use crate::generator::Measured;
use crate::saturation::throughput;
use crate::spread::Spread;
use crate::tally::{Account, quantile};

/// Case a) may cost at most so many times `t_newtran` + `t_reply`.
const AIM: f64 = 2.0;

/// One measurement and the CPU time that it cost others.
#[derive(Debug)]
pub(crate) struct Sample {
    /// What the generator saw.
    pub(crate) measured: Measured,
    /// CPU time of Kamailio.
    pub(crate) kamailio: Spent,
    /// CPU time of the XMPP server.
    pub(crate) sink: Duration,
}

/// The samples of one table, one per round, by case.
pub(crate) type Column = BTreeMap<Case, Vec<Sample>>;

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Saturating rate by case, operations per second.
    pub(crate) saturation: BTreeMap<Case, f64>,
    /// At half the saturating rate of the case named first: it and both baselines.
    pub(crate) paced: BTreeMap<Case, Column>,
    /// Without a pace.
    pub(crate) flat_out: Column,
    /// CPU time of an idle Kamailio in a second, by round.
    pub(crate) idle: Vec<Duration>,
    /// Packets the kernel dropped at full buffers while a pace was kept.
    pub(crate) drops: u64,
    /// What Kamailio complained about, in any round.
    pub(crate) complaints: Vec<String>,
}

impl Sample {
    fn per_operation(&self, spent: Duration) -> f64 {
        micros(spent) / (self.measured.account.complete.max(1) as f64)
    }

    fn cost(&self) -> f64 {
        self.per_operation(self.kamailio.all)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = Spread::of(self.idle.iter().map(|spent| micros(*spent) / 1000.0));
        writeln!(
            f,
            "An idle Kamailio with stox takes {idle} ms of CPU a second.\n"
        )?;
        for (case, column) in &self.paced {
            self.paced_table(f, *case, column)?;
        }
        if !self.flat_out.is_empty() {
            self.flat_out_table(f)?;
        }
        self.judge(f)
    }
}

impl Report {
    fn paced_table(&self, f: &mut fmt::Formatter<'_>, case: Case, column: &Column) -> fmt::Result {
        let saturation = self.saturation.get(&case).copied().unwrap_or_default();
        writeln!(
            f,
            "{}: saturation {saturation:.0}/s; all rows at half of it, {:.0}/s",
            case.title(),
            saturation / 2.0
        )?;
        costs(f, column)?;
        writeln!(
            f,
            "  {:<32} {:>13} {:>13} {:>15} {:>15}",
            "latency", "p50 us", "p99 us", "added p50 us", "added p99 us"
        )?;
        for (row, samples) in column {
            let at = |part| latencies(samples, part);
            let base = |part| column.get(&Case::Stateful).map(|b| latencies(b, part));
            write!(f, "  {:<32}", row.title())?;
            for part in [0.5, 0.99] {
                write!(f, " {:>13.0}", Spread::of(at(part)).median())?;
            }
            for part in [0.5, 0.99] {
                match base(part) {
                    Some(base) if !row.is_baseline() => {
                        let added = at(part).into_iter().zip(base).map(|(own, base)| own - base);
                        write!(f, " {:>15}", Spread::of(added).to_string())?;
                    }
                    Some(_) | None => write!(f, " {:>15}", "-")?,
                }
            }
            writeln!(f)?;
        }
        if let Some(samples) = column.get(&Case::Subscribe) {
            let answers = |part| {
                samples
                    .iter()
                    .map(move |s| micros(quantile(&s.measured.account.to_answer, part)))
            };
            writeln!(
                f,
                "  of it until the 200 to SUBSCRIBE: p50 {} us, p99 {} us; NOTIFYs per operation: {}",
                Spread::of(answers(0.5)),
                Spread::of(answers(0.99)),
                Spread::of(samples.iter().map(|s| {
                    s.measured.account.notifies as f64 / s.measured.account.complete.max(1) as f64
                }))
                .decimals(2)
            )?;
        }
        writeln!(f)
    }

    fn flat_out_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Flat out, {} operations under way",
            crate::saturation::WINDOW
        )?;
        costs(f, &self.flat_out)?;
        for (case, samples) in &self.flat_out {
            let rate = Spread::of(samples.iter().map(|s| throughput(&s.measured)));
            writeln!(f, "  {:<32} {rate} /s", case.title())?;
        }
        writeln!(f)
    }

    fn judge(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paced = self.paced.get(&Case::Options);
        for (where_, column) in [
            ("at half the saturating rate", paced),
            ("flat out", Some(&self.flat_out)),
        ] {
            let Some(ratios) = column.and_then(|c| ratios(c, Case::Options, Case::Stateful)) else {
                continue;
            };
            let verdict = if ratios.median() <= AIM {
                "met"
            } else {
                "MISSED"
            };
            writeln!(
                f,
                "Aim: a) at most {AIM:.1} times t_newtran + t_reply, {where_}: {} -> {verdict}",
                ratios.decimals(2)
            )?;
        }
        let samples = || {
            let rows = self.paced.values().flatten();
            rows.filter(|(row, _)| !row.is_baseline())
                .flat_map(|(_, samples)| samples)
        };
        let sum = |count: fn(&Sample) -> usize| samples().map(count).sum::<usize>();
        let offered = sum(|s| s.measured.account.offered);
        let lost = offered - sum(|s| s.measured.account.complete);
        let verdict = if lost == 0 { "met" } else { "MISSED" };
        writeln!(
            f,
            "Aim: nothing lost below saturation: {offered} begun, {lost} not complete \
             (refused {}), {} later than 500 ms, {} answered twice -> {verdict}",
            sum(|s| s.measured.account.refused),
            sum(|s| s.measured.account.complete - s.measured.account.in_time),
            sum(|s| s.measured.account.repeated),
        )?;
        writeln!(
            f,
            "Packets dropped by the kernel at full sockets meanwhile: {}; the generator took at most {:.0} ms longer than its pace asks for.",
            self.drops,
            samples()
                .map(|s| micros(s.measured.behind) / 1000.0)
                .fold(0.0, f64::max)
        )?;
        writeln!(f, "Complaints in Kamailio's log: {}", self.complaints.len())?;
        for line in self.complaints.iter().take(5) {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// CPU time per operation, by row.
fn costs(f: &mut fmt::Formatter<'_>, column: &Column) -> fmt::Result {
    writeln!(
        f,
        "  {:<32} {:>18} {:>13} {:>18} {:>18} {:>10} {:>6} {:>17}",
        "CPU us per operation",
        "Kamailio, all",
        "gateway",
        "x t_newtran+t_reply",
        "x sl_send_reply",
        "generator",
        "sink",
        "lost/refused/late"
    )?;
    for (row, samples) in column {
        let each = |of: fn(&Sample) -> Duration| {
            Spread::of(samples.iter().map(|s| s.per_operation(of(s))))
        };
        let (all, gateway) = (
            each(|s| s.kamailio.all),
            each(|s| s.kamailio.gateway).median(),
        );
        let gateway = format!("{gateway:.1} ({:.0} %)", gateway / all.median() * 100.0);
        let ratio = |base| {
            ratios(column, *row, base).map_or_else(|| "-".to_owned(), |r| r.decimals(2).to_string())
        };
        writeln!(
            f,
            "  {:<32} {:>18} {:>13} {:>18} {:>18} {:>10.1} {:>6.1} {:>17}",
            row.title(),
            all.decimals(1).to_string(),
            gateway,
            ratio(Case::Stateful),
            ratio(Case::Stateless),
            each(|s| s.measured.spent).median(),
            each(|s| s.sink).median(),
            missing(samples),
        )?;
    }
    Ok(())
}

/// How many were never answered, answered otherwise than with 200, or later than 500 ms.
fn missing(samples: &[Sample]) -> String {
    let sum = |count: fn(&Account) -> usize| -> usize {
        samples.iter().map(|s| count(&s.measured.account)).sum()
    };
    format!(
        "{}/{}/{}",
        sum(|a| (a.offered - a.complete).saturating_sub(a.refused)),
        sum(|a| a.refused),
        sum(|a| a.complete - a.in_time)
    )
}

/// Cost of a case in terms of a baseline, each with the baseline of its own round.
fn ratios(column: &Column, case: Case, base: Case) -> Option<Spread> {
    let (own, base) = (column.get(&case)?, column.get(&base)?);
    Some(Spread::of(
        own.iter()
            .zip(base)
            .map(|(own, base)| own.cost() / base.cost()),
    ))
}

fn latencies(samples: &[Sample], part: f64) -> Vec<f64> {
    samples
        .iter()
        .map(|s| micros(quantile(&s.measured.account.to_end, part)))
        .collect()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
