// SPDX-License-Identifier: GPL-2.0-or-later
//! What many dialogs cost: memory, CPU time of a presence change, time until a restarted gateway serves them.

use std::error::Error;
use std::fmt;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::Place;
use crate::case::Case;
use crate::generator::{Generator, Load};
use crate::kamailio::Kamailio;
use crate::mark::Mark;
use crate::memory::private_bytes;
use crate::population::{self, STORED};
use crate::spread::Spread;

/// Presence changes each second while their cost is measured: half of what saturates, as elsewhere. At far fewer it
/// is mostly that of waking processes up.
const CHANGES: f64 = 20_000.0;

/// Dialogs made each second by traffic.
const MADE: f64 = 2_000.0;

/// Nothing, or few packets, have come for so long: all is settled.
pub(crate) const QUIET: Duration = Duration::from_secs(3);

/// Packets in that time which are few: with a million dialogs the contacts of XMPP watchers, asked at the pace that
/// follows a start, send half as many, while SIP watchers are told four times as many.
pub(crate) const FEW: usize = 3_000;

/// Between two attempts to be served after a restart.
const ATTEMPT: Duration = Duration::from_millis(10);

/// A dialog may cost so many bytes.
const BYTES: f64 = 1024.0;

/// A presence change may cost so many times what it costs with the fewest dialogs.
const FLAT: f64 = 1.2;

/// 100,000 dialogs are served again after so long.
const SERVED: Duration = Duration::from_secs(2);

/// The figures of one size.
#[derive(Debug, Default)]
pub(crate) struct Row {
    dialogs: usize,
    bytes: f64,
    changes: Vec<Spent>,
    settled: Duration,
    answered: Duration,
    passed: Duration,
}

/// CPU time of a presence change, in microseconds.
#[derive(Debug)]
struct Spent {
    all: f64,
    gateway: f64,
}

/// The table, and the memory of dialogs that traffic has made.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    made: Option<(usize, f64)>,
}

impl Table {
    /// Measures each size.
    pub(crate) fn measure(
        place: &Place,
        sizes: &[usize],
        made: usize,
        lasting: Duration,
        rounds: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut table = Self::default();
        let nothing = memory_of_none(place)?;
        for dialogs in sizes.iter().copied() {
            let row = Row::measure(place, dialogs, nothing, lasting, rounds)?;
            println!("{row}");
            table.rows.push(row);
        }
        table.made = Some((made, memory_of_made(place, made, nothing)?));
        Ok(table)
    }
}

impl Row {
    fn measure(
        place: &Place,
        dialogs: usize,
        nothing: u64,
        lasting: Duration,
        rounds: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut generator = place.generator()?;
        let store = Kamailio::clear(place.root)?;
        let address = Kamailio::address_on(place.ip.into());
        population::store(&store, dialogs, generator.local(), address)?;
        let kamailio = place.kamailio(&generator)?;
        let settled = generator.attend(QUIET, FEW)?;
        let bytes = private_bytes(gateway(&kamailio)?)?.saturating_sub(nothing) as f64;
        let mut row = Self {
            dialogs,
            bytes: bytes / dialogs as f64,
            settled,
            ..Self::default()
        };
        generator.take_turns(shuffled(dialogs / 2));
        for _ in 0..rounds {
            // Contacts are still being asked, and timers run: not what a change costs.
            let (begun, before) = (Instant::now(), kamailio.reading());
            generator.serve(lasting)?;
            let without = kamailio
                .reading()
                .since(&before)
                .each_second(begun.elapsed());
            let (begun, before) = (Instant::now(), kamailio.reading());
            let load = Load::Rate(CHANGES);
            let measured = generator.measure(Case::Presence, load, lasting)?;
            let with = kamailio.reading().since(&before);
            let took = begun.elapsed().as_secs_f64();
            let each = |with: Duration, without: f64| {
                (with.as_secs_f64() - without * took) * 1e6
                    / measured.account.complete.max(1) as f64
            };
            row.changes.push(Spent {
                all: each(with.all, without.0),
                gateway: each(with.gateway, without.1),
            });
        }
        (row.answered, row.passed) = restart(place, &kamailio, &mut generator)?;
        Ok(row)
    }
}

fn gateway(kamailio: &Kamailio) -> io::Result<u32> {
    kamailio
        .gateway()
        .ok_or_else(|| io::Error::other("no gateway process runs"))
}

/// Of a gateway without dialogs.
fn memory_of_none(place: &Place) -> io::Result<u64> {
    let generator = place.generator()?;
    Kamailio::clear(place.root)?;
    let kamailio = place.kamailio(&generator)?;
    generator.attend(QUIET, 0)?;
    private_bytes(gateway(&kamailio)?)
}

/// Bytes of each of so many dialogs, half of either direction, that came about by traffic.
fn memory_of_made(place: &Place, dialogs: usize, nothing: u64) -> io::Result<f64> {
    let mut generator = place.generator()?;
    Kamailio::clear(place.root)?;
    let kamailio = place.kamailio(&generator)?;
    generator.make(Case::Subscribe, dialogs / 2, MADE)?;
    generator.make(Case::Ask, dialogs / 2, MADE)?;
    generator.attend(QUIET, 0)?;
    let bytes = private_bytes(gateway(&kamailio)?)?.saturating_sub(nothing);
    Ok(bytes as f64 / dialogs as f64)
}

/// Kills the gateway process: how long until it answers in a dialog again, and until presence passes again.
fn restart(
    place: &Place,
    kamailio: &Kamailio,
    generator: &mut Generator,
) -> io::Result<(Duration, Duration)> {
    let mark = Mark {
        run: STORED,
        number: 0,
    };
    let address = Kamailio::address_on(place.ip.into());
    let killed = Instant::now();
    Kamailio::kill(gateway(kamailio)?);
    let mut cseq = 10;
    loop {
        cseq += 1;
        let refresh = population::refresh(mark, cseq, generator.local(), address);
        if generator.ask(&refresh, ATTEMPT)? == Some(200) {
            break;
        }
        if killed.elapsed() > Duration::from_secs(120) {
            return Err(io::Error::other("the gateway does not come back"));
        }
        thread::sleep(ATTEMPT);
    }
    let answered = killed.elapsed();
    while !place.sink.is_connected() {
        thread::sleep(ATTEMPT);
    }
    generator.take_turns(vec![mark]);
    loop {
        let lasting = Duration::from_millis(1);
        let measured = generator.measure(Case::Presence, Load::Rate(1000.0), lasting)?;
        if let Some(took) = measured.account.to_end.first() {
            return Ok((answered, measured.begun.duration_since(killed) + *took));
        }
    }
}

/// Every stored pair with a SIP watcher, in an order that looks like chance.
pub(crate) fn shuffled(pairs: usize) -> Vec<Mark> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut marks: Vec<_> = (0..pairs)
        .map(|number| Mark {
            run: STORED,
            number,
        })
        .collect();
    for last in (1..marks.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        marks.swap(last, (state % (last as u64 + 1)) as usize);
    }
    marks
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Spread::of(self.changes.iter().map(|spent| spent.all));
        let gateway = Spread::of(self.changes.iter().map(|spent| spent.gateway));
        write!(
            f,
            "| {} | {:.0} B | {all} µs | {gateway} µs | {:.2} s | {:.2} s | {:.0} s |",
            self.dialogs,
            self.bytes,
            self.answered.as_secs_f64(),
            self.passed.as_secs_f64(),
            self.settled.as_secs_f64(),
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| Dialogs | private memory each | CPU time of a presence change | of it the gateway process \
             | killed: answers again after | passes presence after | SIP watchers told after a start |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        if let Some((dialogs, bytes)) = self.made {
            writeln!(f, "\n{dialogs} dialogs made by traffic: {bytes:.0} B each.")?;
        }
        let change = |row: &Row| Spread::of(row.changes.iter().map(|spent| spent.all)).median();
        let verdict = |met| if met { "met" } else { "MISSED" };
        let Some(first) = self.rows.first() else {
            return Ok(());
        };
        for row in &self.rows {
            let many = row.dialogs >= 100_000;
            if many {
                writeln!(
                    f,
                    "Aim: {BYTES:.0} B for each of {} dialogs: {:.0} -> {}",
                    row.dialogs,
                    row.bytes,
                    verdict(row.bytes <= BYTES)
                )?;
            }
            let times = change(row) / change(first).max(f64::MIN_POSITIVE);
            writeln!(
                f,
                "Aim: a change costs at most {FLAT} times as much with {} dialogs: {times:.2} -> {}",
                row.dialogs,
                verdict(times <= FLAT)
            )?;
            if row.dialogs == 100_000 {
                writeln!(
                    f,
                    "Aim: a killed gateway serves {} dialogs after {} s: {:.1} -> {}",
                    row.dialogs,
                    SERVED.as_secs(),
                    row.answered.as_secs_f64(),
                    verdict(row.answered <= SERVED)
                )?;
            }
        }
        Ok(())
    }
}
