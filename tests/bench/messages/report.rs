// SPDX-License-Identifier: GPL-2.0-or-later
//! The figures of all rounds as tables, and what they say about the aims.

use std::fmt;
use std::time::Duration;

use crate::case::Case;
use crate::cpu::Spent;
use crate::generator::Measured;
use crate::saturation::throughput;
use crate::spread::Spread;
use crate::tally::{Account, quantile};

/// A message may cost at most so many times what it is compared with.
const TIMES: f64 = 2.0;

/// The gateway may add so many milliseconds to 99 of 100 messages.
const DELAY: f64 = 5.0;

/// One direction with a number of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) case: Case,
    pub(crate) senders: usize,
}

/// What it is compared with.
pub(crate) fn baseline(case: Case) -> Case {
    if case == Case::MessageToSip {
        Case::RelayedMessage
    } else {
        Case::AnsweredMessage
    }
}

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

/// A flow and what it is compared with, one sample each round.
#[derive(Debug, Default)]
struct Rows {
    own: Vec<Sample>,
    base: Vec<Sample>,
}

/// All of one flow.
#[derive(Debug)]
struct Table {
    flow: Flow,
    saturation: f64,
    /// At half the saturating rate.
    paced: Rows,
    /// Without a pace.
    flat_out: Rows,
}

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
    /// CPU time of an idle Kamailio in a second, by round.
    pub(crate) idle: Vec<Duration>,
    /// Packets the kernel dropped at full buffers.
    pub(crate) drops: u64,
    /// What Kamailio complained about, in any round.
    pub(crate) complaints: Vec<String>,
}

impl Report {
    /// A flow that saturates at that rate.
    pub(crate) fn add(&mut self, flow: Flow, saturation: f64) {
        self.tables.push(Table {
            flow,
            saturation,
            paced: Rows::default(),
            flat_out: Rows::default(),
        });
    }

    /// Where a flow saturates.
    pub(crate) fn saturation(&self, flow: Flow) -> f64 {
        let table = self.tables.iter().find(|table| table.flow == flow);
        table.map_or(0.0, |table| table.saturation)
    }

    /// Measured at half of that.
    pub(crate) fn paced(&mut self, flow: Flow, row: Case, sample: Sample) {
        if let Some(table) = self.tables.iter_mut().find(|table| table.flow == flow) {
            table.paced.add(flow, row, sample);
        }
    }

    /// Measured without a pace.
    pub(crate) fn flat_out(&mut self, flow: Flow, row: Case, sample: Sample) {
        if let Some(table) = self.tables.iter_mut().find(|table| table.flow == flow) {
            table.flat_out.add(flow, row, sample);
        }
    }
}

impl Rows {
    fn add(&mut self, flow: Flow, row: Case, sample: Sample) {
        if row == flow.case {
            self.own.push(sample);
        } else {
            self.base.push(sample);
        }
    }

    /// What a message costs in terms of what it is compared with in the same round.
    fn ratios(&self) -> Spread {
        let pairs = self.own.iter().zip(&self.base);
        Spread::of(pairs.map(|(own, base)| own.cost() / base.cost())).decimals(2)
    }

    /// By how much that part of the messages takes longer than without the gateway, in milliseconds.
    fn added(&self, of: fn(&Account) -> &Vec<Duration>, part: f64) -> Spread {
        let at = move |sample: &Sample| millis(quantile(of(&sample.measured.account), part));
        let pairs = self.own.iter().zip(&self.base);
        Spread::of(pairs.map(|(own, base)| at(own) - at(base))).decimals(2)
    }
}

impl Sample {
    fn each(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / (self.measured.account.complete.max(1) as f64)
    }

    fn cost(&self) -> f64 {
        self.each(self.kamailio.all)
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.senders == 1 { "" } else { "s" };
        write!(f, "{}, {} sender{plural}", self.case.title(), self.senders)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = Spread::of(self.idle.iter().map(|spent| millis(*spent))).decimals(1);
        writeln!(
            f,
            "An idle Kamailio with stox takes {idle} ms of CPU a second."
        )?;
        for table in &self.tables {
            table.show(f)?;
        }
        writeln!(f, "\nAims")?;
        for table in &self.tables {
            table.judge(f)?;
        }
        writeln!(
            f,
            "Packets dropped by the kernel at full sockets: {}. Complaints in Kamailio's log: {}",
            self.drops,
            self.complaints.len()
        )?;
        for line in self.complaints.iter().take(5) {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl Table {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flow, saturation, ..
        } = self;
        let half = saturation / 2.0;
        writeln!(
            f,
            "\n{flow}: saturation {saturation:.0}/s; at half of it, {half:.0}/s"
        )?;
        self.costs(f, &self.paced)?;
        self.delays(f)?;
        writeln!(f, "  Without a pace")?;
        self.costs(f, &self.flat_out)?;
        let rate = |samples: &[Sample]| Spread::of(samples.iter().map(|s| throughput(&s.measured)));
        let (own, base) = (rate(&self.flat_out.own), rate(&self.flat_out.base));
        writeln!(f, "  {own} /s, and {base} /s without the gateway")
    }

    /// CPU time of each message.
    fn costs(&self, f: &mut fmt::Formatter<'_>, rows: &Rows) -> fmt::Result {
        writeln!(
            f,
            "  {:<32} {:>19} {:>14} {:>13} {:>13} {:>15} {:>9} {:>6} {:>17}",
            "CPU us per message",
            "all",
            "Kamailio's own",
            "port",
            "gateway",
            "of it the store",
            "generator",
            "sink",
            "lost/refused/late"
        )?;
        let base = baseline(self.flow.case);
        for (row, samples) in [(self.flow.case, &rows.own), (base, &rows.base)] {
            let each =
                |of: fn(&Sample) -> Duration| Spread::of(samples.iter().map(|s| s.each(of(s))));
            let own = each(|s| s.kamailio.all - s.kamailio.gateway - s.kamailio.port);
            writeln!(
                f,
                "  {:<32} {:>19} {:>14.1} {:>13.1} {:>13.1} {:>15.1} {:>9.1} {:>6.1} {:>17}",
                row.title(),
                each(|s| s.kamailio.all).decimals(1).to_string(),
                own.median(),
                each(|s| s.kamailio.port).median(),
                each(|s| s.kamailio.gateway).median(),
                each(|s| s.kamailio.store).median(),
                each(|s| s.measured.spent).median(),
                each(|s| s.sink).median(),
                missing(samples),
            )?;
        }
        writeln!(f, "  times what it is compared with: {}", rows.ratios())
    }

    /// How late a message is, and its answer.
    fn delays(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, of) in self.delayed() {
            let at = |part| {
                let own = self.paced.own.iter();
                Spread::of(own.map(|s| millis(quantile(of(&s.measured.account), part)))).decimals(2)
            };
            write!(f, "  {what} after p50 {} ms, p99 {} ms", at(0.5), at(0.99))?;
            if self.has_base(of) {
                let added = |part| self.paced.added(of, part);
                write!(f, "; added p50 {} ms, p99 {} ms", added(0.5), added(0.99))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// What a message has delays of; the last is what the aim is about.
    fn delayed(&self) -> Vec<(&'static str, Delays)> {
        let arrived: (_, Delays) = ("arrived", |account| &account.to_arrival);
        if self.flow.case == Case::MessageToSip {
            vec![arrived]
        } else {
            vec![arrived, ("answered", |account| &account.to_answer)]
        }
    }

    /// Whether what it is compared with has such delays too.
    fn has_base(&self, of: Delays) -> bool {
        let mut base = self.paced.base.iter();
        base.any(|sample| !of(&sample.measured.account).is_empty())
    }

    fn judge(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.flow;
        for (load, rows) in [
            ("at half load", &self.paced),
            ("without a pace", &self.flat_out),
        ] {
            let ratios = rows.ratios();
            writeln!(
                f,
                "  {flow}, {load}: at most {TIMES:.1} times {}: {ratios} -> {}",
                baseline(flow.case).title(),
                verdict(ratios.median() <= TIMES)
            )?;
        }
        if let Some((what, of)) = self.delayed().last() {
            let added = self.paced.added(*of, 0.99);
            writeln!(
                f,
                "  {flow}, at half load: {what} at most {DELAY:.0} ms later, p99: {added} -> {}",
                verdict(added.median() <= DELAY)
            )?;
        }
        let sum = |count: fn(&Account) -> usize| {
            let own = self.paced.own.iter();
            own.map(|s| count(&s.measured.account)).sum::<usize>()
        };
        let (offered, arrived) = (sum(|a| a.offered), sum(|a| a.to_arrival.len()));
        let (ended, twice) = (sum(|a| a.complete + a.refused), sum(|a| a.duplicates));
        writeln!(
            f,
            "  {flow}, at half load: of {offered} begun {ended} ended and {arrived} arrived, {twice} twice -> {}",
            verdict(offered == ended && offered == arrived && twice == 0)
        )
    }
}

type Delays = fn(&Account) -> &Vec<Duration>;

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
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

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
