// SPDX-License-Identifier: GPL-2.0-or-later
//! What links between servers cost: to make them, to keep them, and each stanza that goes over one.
//!
//! Our edge to the federation runs in a process of its own, without Kamailio, against another one in a third
//! process and against a real Prosody, all on one machine; DNS is answered by this process. Links are made by STARTTLS,
//! TLS 1.3 and EXTERNAL, with P-256 certificates. CPU time is of one side's whole process.
//!
//! `cargo bench --bench federation -- --case links --streams 2000 --rounds 5`; `--case stanzas --seconds 2`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is about time, and prints"
)]

#[expect(dead_code, reason = "the other benchmark needs the rest")]
#[path = "../cpu.rs"]
mod cpu;
#[path = "../memory.rs"]
mod memory;
mod net;
mod node;
mod prosody;
#[path = "../spread.rs"]
mod spread;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use cpu::Reading;
use net::{Net, many};
use node::Node;
use prosody::Prosody;
use spread::Spread;

/// The domain of whoever opens the links.
const OPENER: &str = "opener.example";

/// Links made before anything is measured: whatever is allocated once only is there then.
const FIRST: u32 = 64;

/// After how long nothing moves any more that was moved by making links.
const SETTLED: Duration = Duration::from_secs(3);

/// An idle stream may take so many KiB of memory.
const AIM: f64 = 30.0;

/// Stanzas each second where they come one by one.
const PACE: u32 = 1000;

/// What is wanted.
struct Plan {
    links: bool,
    stanzas: bool,
    streams: u32,
    rounds: usize,
    lasting: Duration,
}

impl Plan {
    fn read() -> Result<Option<Self>, String> {
        let mut plan = Self {
            links: true,
            stanzas: true,
            streams: 2000,
            rounds: 5,
            lasting: Duration::from_secs(2),
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
                "--case" => {
                    (plan.links, plan.stanzas) = match value.as_str() {
                        "links" => (true, false),
                        "stanzas" => (false, true),
                        _ => return Err(format!("{value} is no case: links, stanzas")),
                    };
                }
                "--streams" => plan.streams = value.parse().map_err(|_| bad())?,
                "--rounds" => plan.rounds = value.parse().map_err(|_| bad())?,
                "--seconds" => {
                    let seconds = value.parse().ok();
                    let seconds = seconds.filter(|seconds| (0.1..=600.0).contains(seconds));
                    plan.lasting = Duration::from_secs_f64(seconds.ok_or_else(bad)?);
                }
                _ => {
                    return Err(format!(
                        "{word} is not understood: --case, --rounds, --seconds, --streams"
                    ));
                }
            }
        }
        Ok(wanted.then_some(plan))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some(node::ROLE) {
        return node::serve();
    }
    // `cargo test --all-targets` starts benchmarks too, without that word.
    let Some(plan) = Plan::read()? else {
        return Ok(());
    };
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 79, high, low.max(1));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bench = Bench::new(Net::new(root.join("target/bench-federation"), ip)?)?;
    if plan.links {
        links(&bench, &plan)?;
    }
    if plan.stanzas {
        stanzas(&bench, &plan)?;
    }
    Ok(())
}

/// What all measurements need.
struct Bench {
    net: Net,
    opener: Vec<(&'static str, String)>,
    accepter: Vec<(&'static str, String)>,
    port: u16,
}

impl Bench {
    fn new(net: Net) -> Result<Self, Box<dyn Error>> {
        let opener = net.certificate(&[OPENER])?;
        let accepter = net.certificate(&["*.many.example"])?;
        let port = net.free_port()?;
        Ok(Self {
            opener: net.parameters(&opener),
            accepter: net.parameters(&accepter),
            port,
            net,
        })
    }

    /// A node that serves the domain [`OPENER`].
    fn opener(&self) -> Result<Node, Box<dyn Error>> {
        let mut parameters = self.opener.clone();
        parameters.push(("sip_domain", OPENER.to_owned()));
        let port = self.net.free_port()?;
        parameters.push(("listen", format!("{}:{port}", self.net.ip)));
        Ok(Node::start(&parameters)?)
    }

    /// A node that serves so many domains.
    fn accepter(&self, domains: u32) -> Result<Node, Box<dyn Error>> {
        let mut parameters = self.accepter.clone();
        for number in 0..domains {
            parameters.push(("sip_domain", many(number)));
            self.net.publish(&many(number), self.port)?;
        }
        parameters.push(("listen", format!("{}:{}", self.net.ip, self.port)));
        Ok(Node::start(&parameters)?)
    }
}

// --- links

/// What making and keeping links took, on one side.
#[derive(Default)]
struct Side {
    millis: Vec<f64>,
    kibibytes: Vec<f64>,
}

fn links(bench: &Bench, plan: &Plan) -> Result<(), Box<dyn Error>> {
    let (mut rates, mut opening, mut accepting) = (Vec::new(), Side::default(), Side::default());
    for round in 0..plan.rounds {
        println!("Links: round {} of {}", round + 1, plan.rounds);
        let mut accepter = bench.accepter(FIRST + plan.streams)?;
        let mut opener = bench.opener()?;
        opener.count(&format!("open 0 {FIRST}"))?;
        thread::sleep(SETTLED);
        let memory = (opener.memory()?, accepter.memory()?);
        let before = (opener.reading(), accepter.reading());
        let took = opener.count(&format!("open {FIRST} {}", plan.streams))?;
        let after = (opener.reading(), accepter.reading());
        thread::sleep(SETTLED);
        let each = f64::from(plan.streams);
        rates.push(each / seconds(&took, 0));
        for (side, before, after, memory, now) in [
            (&mut opening, before.0, after.0, memory.0, opener.memory()?),
            (
                &mut accepting,
                before.1,
                after.1,
                memory.1,
                accepter.memory()?,
            ),
        ] {
            let spent = after.since(&before).all;
            side.millis.push(spent.as_secs_f64() * 1e3 / each);
            let bytes = now.saturating_sub(memory);
            side.kibibytes.push(bytes as f64 / 1024.0 / each);
        }
        for node in [&mut opener, &mut accepter] {
            let expected = format!("{} up external TLSv1.3 acknowledged", FIRST + plan.streams);
            let kind = node.tell("kind")?;
            if kind != expected {
                return Err(io::Error::other(format!("streams are {kind}")).into());
            }
        }
    }
    println!(
        "\nMedian (least-most) of {} rounds, {} links each, made by STARTTLS, TLS 1.3, EXTERNAL, P-256",
        plan.rounds, plan.streams
    );
    println!(
        "  links made each second, 64 at a time, both sides on this machine: {}",
        Spread::of(rates)
    );
    println!(
        "  {:<12} {:>24} {:>26}",
        "side", "CPU ms per link", "KiB per idle stream"
    );
    for (name, side) in [("opens", opening), ("accepts", accepting)] {
        let memory = Spread::of(side.kibibytes).decimals(1);
        println!(
            "  {name:<12} {:>24} {:>26}   Aim: at most {AIM:.0} KiB -> {}",
            Spread::of(side.millis).decimals(2).to_string(),
            memory.to_string(),
            if memory.median() <= AIM {
                "met"
            } else {
                "MISSED"
            }
        );
    }
    println!();
    Ok(())
}

// --- stanzas

/// What a stanza took, in every round.
#[derive(Default)]
struct Row {
    rates: Vec<f64>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// One kind of load, by its row's name and the beginning of a node's command.
const LOADS: [(&str, &str); 3] = [
    ("headlines, as fast as it goes", "flood"),
    ("headlines, 1000/s", "pace"),
    ("ping and result, 64 under way", "ask"),
];

fn stanzas(bench: &Bench, plan: &Plan) -> Result<(), Box<dyn Error>> {
    let mut rows = BTreeMap::new();
    let peers: &[Peer] = if Prosody::is_installed() {
        &[Peer::Stox, Peer::Prosody(true), Peer::Prosody(false)]
    } else {
        println!("Prosody is not installed: not measured with it");
        &[Peer::Stox]
    };
    for round in 0..plan.rounds {
        println!("Stanzas: round {} of {}", round + 1, plan.rounds);
        for peer in peers {
            one_round(bench, plan, *peer, &mut rows)?;
        }
    }
    println!(
        "\nMedian (least-most) of {} rounds of {:.1} s, one link",
        plan.rounds,
        plan.lasting.as_secs_f64()
    );
    println!(
        "  {:<66} {:>24} {:>20} {:>20}",
        "to, what", "stanzas/s", "our CPU us each", "peer's CPU us each"
    );
    for ((peer, load), row) in rows {
        println!(
            "  {:<66} {:>24} {:>20} {:>20}",
            format!("{}: {}", Peer::title(peer), LOADS[load].0),
            Spread::of(row.rates).to_string(),
            Spread::of(row.ours).decimals(1).to_string(),
            Spread::of(row.theirs).decimals(1).to_string(),
        );
    }
    Ok(())
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    /// Our own edge.
    Stox,
    /// Prosody; whether it acknowledges.
    Prosody(bool),
}

impl Peer {
    fn title(self) -> &'static str {
        match self {
            Self::Stox => "stox, acknowledging",
            Self::Prosody(true) => "Prosody, acknowledging",
            Self::Prosody(false) => "Prosody",
        }
    }
}

fn one_round(
    bench: &Bench,
    plan: &Plan,
    peer: Peer,
    rows: &mut BTreeMap<(Peer, usize), Row>,
) -> Result<(), Box<dyn Error>> {
    let mut opener = bench.opener()?;
    let (mut accepter, prosody, domain) = match peer {
        Peer::Stox => (Some(bench.accepter(1)?), None, many(0)),
        Peer::Prosody(acknowledges) => {
            let prosody = Prosody::start(&bench.net, acknowledges)?;
            (None, Some(prosody), prosody::DOMAIN.to_owned())
        }
    };
    opener.count(&format!("flood 300 {domain}"))?;
    for (at, (_, command)) in LOADS.iter().enumerate() {
        let rate = if *command == "pace" {
            format!(" {PACE}")
        } else {
            String::new()
        };
        let theirs = |accepter: &Option<Node>| match (accepter, &prosody) {
            (Some(node), _) => node.reading(),
            (None, Some(prosody)) => prosody.reading(),
            (None, None) => Reading::of_tree(u32::MAX),
        };
        let heard_before = heard(&mut accepter)?;
        let before = (opener.reading(), theirs(&accepter));
        let millis = plan.lasting.as_millis();
        let answer = opener.count(&format!("{command}{rate} {millis} {domain}"))?;
        let spent = (
            opener.reading().since(&before.0).all,
            theirs(&accepter).since(&before.1).all,
        );
        let sent = answer.first().copied().unwrap_or_default();
        let arrived = heard(&mut accepter)?.saturating_sub(heard_before);
        if accepter.is_some() && *command != "ask" && arrived != sent {
            return Err(io::Error::other(format!("{sent} sent, {arrived} arrived")).into());
        }
        let row = rows.entry((peer, at)).or_default();
        row.rates.push(sent as f64 / seconds(&answer, 1));
        row.ours.push(spent.0.as_secs_f64() * 1e6 / sent as f64);
        row.theirs.push(spent.1.as_secs_f64() * 1e6 / sent as f64);
    }
    Ok(())
}

fn heard(accepter: &mut Option<Node>) -> io::Result<u64> {
    match accepter {
        Some(node) => Ok(node.count("heard")?.first().copied().unwrap_or_default()),
        None => Ok(0),
    }
}

/// The microseconds at that place of an answer, in seconds.
fn seconds(answer: &[u64], at: usize) -> f64 {
    answer.get(at).copied().unwrap_or_default().max(1) as f64 / 1e6
}
