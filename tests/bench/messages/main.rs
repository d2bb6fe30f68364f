// SPDX-License-Identifier: GPL-2.0-or-later
//! What single messages cost: CPU time of each, how late it is, and how many there can be.
//!
//! A real Kamailio with `target/stox.so`, an XMPP server that takes everything and answers pings at once, and users'
//! devices of our own, all on one machine. Each direction is compared with what Kamailio does without stox, in turns in
//! the same run of the same Kamailio: to XMPP with `t_newtran` and `t_reply`, to SIP with a `t_relay` of a MESSAGE to the
//! same phone. CPU time is of all processes of Kamailio and the gateway, not of the server and the devices.
//!
//! A message to SIP is sent when the one before it between the same two users has its answer (RFC 3428 §8): what one
//! sender can send is bounded by that time, not by CPU time.
//!
//! `cargo bench --bench messages -- --case to-sip --senders 1000 --seconds 2 --rounds 5`; `BENCH_SECONDS` sets the seconds
//! too, `--senders` may be repeated, `--case overload` is a table of its own.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is about time, and prints"
)]

#[path = "../arrival.rs"]
mod arrival;
#[path = "../case.rs"]
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod case;
#[path = "../cpu.rs"]
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod cpu;
#[path = "../drops.rs"]
mod drops;
#[path = "../generator.rs"]
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod generator;
#[path = "../kamailio.rs"]
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod kamailio;
#[path = "../mark.rs"]
mod mark;
#[path = "../overload.rs"]
mod overload;
mod report;
#[path = "../saturation.rs"]
mod saturation;
#[path = "../sink.rs"]
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod sink;
#[path = "../spread.rs"]
mod spread;
#[path = "../tally.rs"]
#[expect(dead_code, reason = "another benchmark needs the rest")]
mod tally;

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
use report::{Flow, Report, Sample};
use sink::Sink;

/// The directions.
const CASES: [Case; 2] = [Case::MessageToXmpp, Case::MessageToSip];

/// Numbers of users who send by turns.
const SENDERS: [usize; 2] = [1, 1000];

/// After how long Kamailio has freed every transaction: `wt_timer` of the configuration, and a margin.
const FREED: Duration = Duration::from_millis(1500);

/// What is wanted.
#[derive(Debug)]
struct Plan {
    cases: Vec<Case>,
    senders: Vec<usize>,
    /// Of one measurement.
    lasting: Duration,
    rounds: usize,
    costs: bool,
    overload: bool,
}

impl Plan {
    fn read() -> Result<Option<Self>, String> {
        let seconds = env::var("BENCH_SECONDS").unwrap_or_else(|_| "2".to_owned());
        let mut plan = Self {
            cases: CASES.to_vec(),
            senders: Vec::new(),
            lasting: lasting(&seconds)?,
            rounds: 5,
            costs: true,
            overload: true,
        };
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
            let bad = || format!("{word} {value} is not understood");
            match word.as_str() {
                "--seconds" => plan.lasting = lasting(&value)?,
                "--rounds" => plan.rounds = value.parse().map_err(|_| bad())?,
                "--senders" => plan.senders.push(value.parse().map_err(|_| bad())?),
                "--case" if value == "overload" => plan.costs = false,
                "--case" => {
                    plan.overload = false;
                    plan.cases.retain(|case| case.word() == value);
                    if plan.cases.is_empty() {
                        return Err(format!("{value} is no case: to-xmpp, to-sip, overload"));
                    }
                }
                _ => {
                    return Err(format!(
                        "{word} is not understood: --case, --rounds, --seconds, --senders"
                    ));
                }
            }
        }
        if plan.senders.is_empty() {
            plan.senders = SENDERS.to_vec();
        }
        Ok(wanted.then_some(plan))
    }

    /// Each direction with each number of senders.
    fn flows(&self) -> Vec<Flow> {
        let of_case = |case: &Case| {
            let case = *case;
            let flows = self.senders.iter();
            flows.map(move |senders| Flow {
                case,
                senders: *senders,
            })
        };
        self.cases.iter().flat_map(of_case).collect()
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
    let ip = Ipv4Addr::new(127, 79, high, low.max(1));
    let place = Place {
        root: Path::new(env!("CARGO_MANIFEST_DIR")),
        ip,
        sink: Sink::listen(IpAddr::V4(ip))?,
    };
    if plan.costs {
        place.costs(&plan)?;
    }
    if plan.overload {
        for flow in plan.flows() {
            let (_kamailio, mut generator) = place.start()?;
            generator.set_senders(flow.senders);
            let overload = Overload::measure(&mut generator, flow.case, plan.lasting, plan.rounds)?;
            println!("Of {} users: {overload}", flow.senders);
        }
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
    fn start(&self) -> io::Result<(Kamailio, Generator)> {
        let ip = IpAddr::V4(self.ip);
        let generator = Generator::new(ip, self.sink.clone())?;
        Kamailio::clear(self.root)?;
        let kamailio = Kamailio::start(self.root, ip, &self.sink, generator.local())?;
        Ok((kamailio, generator))
    }

    fn costs(&self, plan: &Plan) -> io::Result<()> {
        let mut report = Report::default();
        for flow in plan.flows() {
            let (kamailio, mut generator) = self.start()?;
            generator.set_senders(flow.senders);
            let rate = saturation::find(&mut generator, flow.case, plan.lasting / 2)?;
            println!("{flow}: saturation {rate:.0}/s");
            if rate == 0.0 {
                return Err(io::Error::other(format!(
                    "no rate is served; Kamailio says: {:?}",
                    kamailio.complaints()
                )));
            }
            report.add(flow, rate);
        }
        for round in 0..plan.rounds {
            println!("Round {} of {}", round + 1, plan.rounds);
            self.round(plan, round, &mut report)?;
        }
        println!("\nMedian (least-most) of {} rounds\n{report}", plan.rounds);
        Ok(())
    }

    /// Every round begins with another flow, and with the other of each two that are compared.
    fn round(&self, plan: &Plan, round: usize, report: &mut Report) -> io::Result<()> {
        let (kamailio, mut generator) = self.start()?;
        for case in [Case::AnsweredMessage, Case::RelayedMessage] {
            generator.measure(case, Load::Rate(500.0), Duration::from_millis(500))?;
        }
        thread::sleep(FREED);
        report.idle.push(idle(&kamailio));
        let drops = drops::at(self.ip);
        let mut flows = plan.flows();
        let by = round % flows.len().max(1);
        flows.rotate_left(by);
        for flow in flows {
            generator.set_senders(flow.senders);
            let mut rows = [flow.case, report::baseline(flow.case)];
            rows.rotate_left(round % 2);
            let pace = Load::Rate(report.saturation(flow) / 2.0);
            for row in rows {
                let sample = self.sample(&kamailio, &mut generator, row, pace, plan.lasting)?;
                report.paced(flow, row, sample);
            }
            let window = Load::Window(generator.window(flow.case));
            for row in rows {
                let sample =
                    self.sample(&kamailio, &mut generator, row, window, plan.lasting / 2)?;
                report.flat_out(flow, row, sample);
            }
        }
        report.drops += drops::at(self.ip) - drops;
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

/// CPU time that a second without any work takes.
fn idle(kamailio: &Kamailio) -> Duration {
    let before = kamailio.reading();
    thread::sleep(Duration::from_secs(1));
    kamailio.reading().since(&before).all
}
