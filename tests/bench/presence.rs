// SPDX-License-Identifier: GPL-2.0-or-later
//! What stox costs: CPU time per operation, added latency, saturating rate.
//!
//! A real Kamailio with `target/stox.so`, an XMPP server and a generator of our own, all on one machine and on
//! an address of their own. Every case is compared with what Kamailio does without stox, in the same run of the
//! same Kamailio: the figures of one machine mean little, their ratios more. Rates are those of a machine that the
//! generator shares.
//!
//! `cargo bench --bench presence -- --case a --seconds 2 --rounds 5`; `BENCH_SECONDS` sets the seconds too. The cases
//! `overload`, `scale` and the workloads `s1`, `s2` and `s3` are tables of their own; `--dialogs 1000000` measures
//! `scale` with so many, and may be repeated.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is about time, and prints"
)]

mod arrival;
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod case;
mod cpu;
mod drops;
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod generator;
mod kamailio;
mod mark;
mod memory;
mod overload;
mod population;
mod report;
mod saturation;
mod scale;
mod sink;
mod spread;
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod tally;
mod workload;

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use case::Case;
use generator::{Generator, Load};
use kamailio::Kamailio;
use overload::Overload;
use report::{Report, Sample};
use scale::Table;
use sink::Sink;
use workload::{Steady, Workload};

/// Contacts that take turns in changing their presence.
const PAIRS: usize = 500;

/// After how long Kamailio has freed every transaction: `wt_timer` of the configuration, and a margin.
const FREED: Duration = Duration::from_millis(1500);

/// What is wanted.
#[derive(Debug)]
struct Plan {
    cases: Vec<Case>,
    /// Of one measurement.
    lasting: Duration,
    rounds: usize,
    /// Whether overload is measured.
    overload: bool,
    /// Numbers of dialogs to measure with.
    sizes: Vec<usize>,
    workloads: Vec<Workload>,
}

/// The sizes that take no more than a few minutes.
const SIZES: [usize; 2] = [1_000, 100_000];

/// Of so many dialogs at most it is measured whether those made by traffic take as much memory as those from the store.
const MADE: usize = 100_000;

impl Plan {
    fn read() -> Result<Option<Self>, String> {
        let seconds = env::var("BENCH_SECONDS").unwrap_or_else(|_| "2".to_owned());
        let mut plan = Self {
            cases: Case::ALL
                .into_iter()
                .filter(|case| !case.is_baseline() && *case != Case::Ask)
                .collect(),
            lasting: lasting(&seconds)?,
            rounds: 5,
            overload: true,
            sizes: SIZES.to_vec(),
            workloads: Workload::ALL.to_vec(),
        };
        let mut sizes = Vec::new();
        let mut wanted = false;
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--bench" {
                wanted = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--seconds" => plan.lasting = lasting(&value)?,
                "--rounds" => {
                    plan.rounds = value
                        .parse()
                        .map_err(|_| format!("{value} is no number of rounds"))?;
                }
                "--dialogs" => {
                    let size = value.parse();
                    let size = size.map_err(|_| format!("{value} is no number of dialogs"))?;
                    sizes.push(size);
                }
                "--case" => {
                    plan.overload = value == "overload";
                    plan.workloads.retain(|workload| workload.word == value);
                    if value != "scale" {
                        plan.sizes.clear();
                    }
                    let apart = ["scale", "overload"].contains(&value.as_str());
                    if apart || !plan.workloads.is_empty() {
                        plan.cases.clear();
                        continue;
                    }
                    let named = Case::ALL.into_iter().find(|case| case.word() == value);
                    plan.cases = vec![named.ok_or_else(|| {
                        format!(
                            "{value} is no case: a, b, c, d, overload, s1, s2, s3, scale, stateful or stateless"
                        )
                    })?];
                }
                _ => {
                    return Err(format!(
                        "{word} is not understood: --case, --dialogs, --rounds, --seconds"
                    ));
                }
            }
        }
        if !sizes.is_empty() {
            plan.sizes = sizes;
        }
        Ok(wanted.then_some(plan))
    }
}

fn lasting(seconds: &str) -> Result<Duration, String> {
    seconds
        .parse()
        .ok()
        .filter(|seconds| (0.1..=600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{seconds} is no number of seconds from 0.1 to 600"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test --all-targets` starts benchmarks too, without that word.
    let Some(plan) = Plan::read()? else {
        return Ok(());
    };
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 78, high, low.max(1));
    let place = Place {
        root: Path::new(env!("CARGO_MANIFEST_DIR")),
        ip,
        sink: Sink::listen(IpAddr::V4(ip))?,
    };
    if !plan.cases.is_empty() {
        place.costs(&plan)?;
    }
    if plan.overload {
        for case in [Case::Options, Case::Subscribe] {
            let (_kamailio, mut generator) = place.start()?;
            let overload = Overload::measure(&mut generator, case, plan.lasting, plan.rounds)?;
            println!("{overload}");
        }
    }
    if !plan.sizes.is_empty() {
        let made = MADE.min(plan.sizes.iter().copied().max().unwrap_or(MADE));
        let table = Table::measure(&place, &plan.sizes, made, plan.lasting, plan.rounds)?;
        println!("\n{table}");
    }
    for workload in plan.workloads {
        let steady = Steady::measure(&place, workload, plan.lasting * 2, plan.rounds)?;
        println!("\n{steady}");
    }
    Ok(())
}

/// Where it all happens.
#[derive(Debug)]
struct Place {
    root: &'static Path,
    ip: Ipv4Addr,
    sink: Sink,
}

impl Place {
    fn costs(&self, plan: &Plan) -> io::Result<()> {
        let mut report = Report::default();
        self.saturate(plan, &mut report)?;
        for round in 0..plan.rounds {
            println!("Round {} of {}", round + 1, plan.rounds);
            self.round(plan, round, &mut report)?;
        }
        println!("\nMedian (least-most) of {} rounds\n{report}", plan.rounds);
        Ok(())
    }

    fn start(&self) -> io::Result<(Kamailio, Generator)> {
        let generator = self.generator()?;
        Kamailio::clear(self.root)?;
        Ok((self.kamailio(&generator)?, generator))
    }

    fn generator(&self) -> io::Result<Generator> {
        Generator::new(IpAddr::V4(self.ip), self.sink.clone())
    }

    fn kamailio(&self, generator: &Generator) -> io::Result<Kamailio> {
        let ip = IpAddr::V4(self.ip);
        Kamailio::start(self.root, ip, &self.sink, generator.local())
    }

    fn saturate(&self, plan: &Plan, report: &mut Report) -> io::Result<()> {
        for case in plan.cases.iter().copied() {
            let (kamailio, mut generator) = self.start()?;
            if case == Case::Presence {
                generator.watch(PAIRS)?;
            }
            let rate = saturation::find(&mut generator, case, plan.lasting / 2)?;
            println!("{}: saturation {rate:.0}/s", case.title());
            if rate == 0.0 {
                return Err(io::Error::other(format!(
                    "no rate of {} is served; Kamailio says: {:?}",
                    case.title(),
                    kamailio.complaints()
                )));
            }
            report.saturation.insert(case, rate);
        }
        Ok(())
    }

    fn round(&self, plan: &Plan, round: usize, report: &mut Report) -> io::Result<()> {
        let (kamailio, mut generator) = self.start()?;
        generator.measure(
            Case::Stateful,
            Load::Rate(500.0),
            Duration::from_millis(500),
        )?;
        if plan.cases.contains(&Case::Presence) {
            generator.watch(PAIRS)?;
            thread::sleep(FREED);
        }
        report.idle.push(idle(&kamailio));
        // Every round begins with another one, so that none always follows the same.
        let turn = |mut cases: Vec<Case>| {
            let by = round % cases.len().max(1);
            cases.rotate_left(by);
            cases
        };
        let drops = drops::at(self.ip);
        for case in turn(plan.cases.clone()) {
            let rate = report.saturation.get(&case).copied().unwrap_or_default() / 2.0;
            for row in turn(with_baselines(&[case])) {
                let sample = self.sample(
                    &kamailio,
                    &mut generator,
                    row,
                    Load::Rate(rate),
                    plan.lasting,
                )?;
                let column = report.paced.entry(case).or_default();
                column.entry(row).or_default().push(sample);
            }
        }
        report.drops += drops::at(self.ip) - drops;
        for row in turn(with_baselines(&plan.cases)) {
            let load = Load::Window(saturation::WINDOW);
            let sample = self.sample(&kamailio, &mut generator, row, load, plan.lasting / 2)?;
            report.flat_out.entry(row).or_default().push(sample);
        }
        report.complaints.extend(kamailio.complaints());
        Ok(())
    }

    fn sample(
        &self,
        kamailio: &Kamailio,
        generator: &mut Generator,
        case: Case,
        load: Load,
        lasting: Duration,
    ) -> io::Result<Sample> {
        let (before, sink) = (kamailio.reading(), self.sink.spent());
        let measured = generator.measure(case, load, lasting)?;
        // What freeing costs belongs to who allocated, not to who is measured next.
        thread::sleep(FREED);
        Ok(Sample {
            measured,
            kamailio: kamailio.reading().since(&before),
            sink: self.sink.spent().saturating_sub(sink),
        })
    }
}

/// The cases and what they are compared with.
fn with_baselines(cases: &[Case]) -> Vec<Case> {
    Case::ALL
        .into_iter()
        .filter(|case| case.is_baseline() || cases.contains(case))
        .collect()
}

/// CPU time that a second without any work takes.
fn idle(kamailio: &Kamailio) -> Duration {
    let before = kamailio.reading();
    thread::sleep(Duration::from_secs(1));
    kamailio.reading().since(&before).all
}
