// SPDX-License-Identifier: GPL-2.0-or-later
//! The steady work of many pairs at its real rate: what share of the processors it takes, and how late news is.
//!
//! One dialog for each pair, half of them of SIP users who watch, half of XMPP users. Each contact changes three times an
//! hour and each subscription is refreshed every hour: the workloads S1 to S3 that the XSF's and the SIMPLE working
//! group's analyses of interdomain presence agree on.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Place;
use crate::arrival;
use crate::case::Case;
use crate::cpu::Spent;
use crate::generator::Generator;
use crate::kamailio::Kamailio;
use crate::mark::Mark;
use crate::population;
use crate::scale::{FEW, QUIET, shuffled};
use crate::spread::Spread;
use crate::tally::{Tally, quantile};

/// Changes of each contact in an hour.
const CHANGES: f64 = 3.0;

/// An hour, in seconds: after so long a subscription is refreshed.
const HOUR: f64 = 3600.0;

/// The processors that the aim is about, and the part of them that may be used.
const PROCESSORS: f64 = 2.0;
const SHARE: f64 = 0.25;

/// What is still under way at the end of a window is waited for so long.
const REST: Duration = Duration::from_millis(500);

/// A number of pairs with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Workload {
    /// The word that chooses it on the command line.
    pub(crate) word: &'static str,
    pairs: usize,
}

impl Workload {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [
        Self {
            word: "s1",
            pairs: 80_000,
        },
        Self {
            word: "s2",
            pairs: 400_000,
        },
        Self {
            word: "s3",
            pairs: 600_000,
        },
    ];

    /// Pairs of each direction.
    fn half(self) -> usize {
        self.pairs / 2
    }

    /// Seconds between two changes of contacts of one direction.
    fn between_changes(self) -> Duration {
        Duration::from_secs_f64(HOUR / CHANGES / self.half() as f64)
    }

    /// Seconds between two refreshes by phones.
    fn between_refreshes(self) -> Duration {
        Duration::from_secs_f64(HOUR / self.half() as f64)
    }
}

/// What one window showed.
#[derive(Debug, Default)]
struct Window {
    lasted: Duration,
    spent: Spent,
    begun: usize,
    /// From the XMPP contact's presence to the NOTIFY.
    to_sip: Vec<Duration>,
    /// From the SIP contact's NOTIFY to the presence.
    to_xmpp: Vec<Duration>,
    /// SUBSCRIBEs of the gateway's.
    refreshed: usize,
    /// Requests that were answered with anything but 200.
    refused: usize,
}

/// The figures of one workload.
#[derive(Debug)]
pub(crate) struct Steady {
    workload: Workload,
    windows: Vec<Window>,
}

/// What is played in a window.
struct Work<'a> {
    workload: Workload,
    place: &'a Place,
    kamailio: &'a Kamailio,
    generator: &'a Generator,
    /// In which order contacts change and phones refresh.
    order: &'a [Mark],
    turn: usize,
}

impl Steady {
    /// Measures so many windows.
    pub(crate) fn measure(
        place: &Place,
        workload: Workload,
        lasting: Duration,
        windows: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut generator = place.generator()?;
        let store = Kamailio::clear(place.root)?;
        let address = Kamailio::address_on(place.ip.into());
        population::store(&store, workload.pairs, generator.local(), address)?;
        let kamailio = place.kamailio(&generator)?;
        generator.attend(QUIET, FEW)?;
        let order = shuffled(workload.half());
        let mut steady = Self {
            workload,
            windows: Vec::new(),
        };
        let mut turn = 0;
        for _ in 0..windows {
            let runs = (generator.next_run(), generator.next_run());
            let mut work = Work {
                workload,
                place,
                kamailio: &kamailio,
                generator: &generator,
                order: &order,
                turn,
            };
            steady.windows.push(work.window(lasting, runs)?);
            turn = work.turn;
        }
        Ok(steady)
    }
}

impl Work<'_> {
    fn window(&mut self, lasting: Duration, runs: (u64, u64)) -> io::Result<Window> {
        let changes =
            (lasting.as_secs_f64() / self.workload.between_changes().as_secs_f64()) as usize;
        let begun = Instant::now();
        let tally = |run| Tally::new(Case::Presence, run, changes + 1, begun);
        let (to_sip, to_xmpp) = (tally(runs.0), tally(runs.1));
        self.place.sink.forget_arrivals();
        let (stop, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
        let asked = self.generator.asked();
        let before = self.kamailio.reading();
        let (lasted, spent, refreshed) = thread::scope(|scope| {
            let generator = self.generator;
            let receiver = scope.spawn(|| -> io::Result<()> {
                let mut buffer = vec![0; 64 * 1024];
                while !stop.load(Ordering::Relaxed) {
                    let taken = generator.take(Case::Presence, &to_sip, &mut buffer)?;
                    if matches!(taken, Some((Some(status), _)) if status != 200) {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(())
            });
            let played = self.play(lasting, &to_sip, &to_xmpp);
            let (lasted, spent) = (begun.elapsed(), self.kamailio.reading().since(&before));
            let refreshed = generator.asked() - asked;
            thread::sleep(REST);
            stop.store(true, Ordering::Relaxed);
            receiver
                .join()
                .map_err(|_| io::Error::other("the receiving thread panicked"))??;
            played.map(|()| (lasted, spent, refreshed))
        })?;
        for (mark, at) in self.place.sink.arrivals() {
            to_xmpp.shown(mark, at);
        }
        let (to_sip, to_xmpp) = (to_sip.account(), to_xmpp.account());
        Ok(Window {
            lasted,
            spent,
            begun: to_sip.offered + to_xmpp.offered,
            to_sip: to_sip.to_end,
            to_xmpp: to_xmpp.to_end,
            refreshed,
            refused: refused.into_inner(),
        })
    }

    /// Contacts change and phones refresh, each in its time.
    fn play(&mut self, lasting: Duration, to_sip: &Tally, to_xmpp: &Tally) -> io::Result<()> {
        let (phones, kamailio) = (
            self.generator.local(),
            Kamailio::address_on(self.place.ip.into()),
        );
        let start = Instant::now();
        let mut changes = 0;
        let mut refreshes = 0_u32;
        loop {
            let change = self.workload.between_changes() * changes;
            let refresh = self.workload.between_refreshes() * refreshes;
            let due = change.min(refresh);
            if due >= lasting {
                return Ok(());
            }
            if let Some(early) = due.checked_sub(start.elapsed()) {
                thread::sleep(early);
            }
            let pair = self.next();
            if change > refresh {
                refreshes += 1;
                let packet = population::refresh(pair, arrival::number(), phones, kamailio);
                self.generator.send(&packet)?;
                continue;
            }
            let number = changes as usize;
            changes += 1;
            let shown = to_sip.mark(number);
            to_sip.begins(number, Instant::now());
            self.place.sink.push(&format!(
                "<presence from='juliet{pair}@xmpp.example/bench' to='romeo{pair}@sip.example'>\
                 <status>{shown}</status></presence>"
            ))?;
            let shown = to_xmpp.mark(number);
            to_xmpp.begins(number, Instant::now());
            let packet = change_of_phone(self.next(), shown, phones, kamailio);
            self.generator.send(&packet)?;
        }
    }

    fn next(&mut self) -> Mark {
        self.turn += 1;
        let at = self.turn % self.order.len().max(1);
        self.order.get(at).copied().unwrap_or_default()
    }
}

/// The NOTIFY of a stored pair's SIP contact that shows a mark.
fn change_of_phone(pair: Mark, shown: Mark, phones: SocketAddr, kamailio: SocketAddr) -> String {
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\
         <presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo{pair}@sip.example'>\
         <tuple id='ID-phone'><status><basic>open</basic></status><note>{shown}</note></tuple></presence>"
    );
    population::notify(pair, arrival::number(), &body, phones, kamailio)
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workload { word, pairs } = self.workload;
        let share = |of: fn(Spent, Duration) -> f64| {
            let shares = self.windows.iter().map(|w| of(w.spent, w.lasted));
            Spread::of(shares.map(|each| 100.0 * each / PROCESSORS)).decimals(1)
        };
        let all = share(|spent, time| spent.each_second(time).0);
        let gateway = share(|spent, time| spent.each_second(time).1);
        let sum = |count: fn(&Window) -> usize| self.windows.iter().map(count).sum::<usize>();
        let seconds = self
            .windows
            .iter()
            .map(|w| w.lasted.as_secs_f64())
            .sum::<f64>();
        let each_second = |count: usize| count as f64 / seconds.max(f64::MIN_POSITIVE);
        let delays = |of: fn(&Window) -> &Vec<Duration>| {
            let mut all: Vec<_> = self.windows.iter().flat_map(of).copied().collect();
            all.sort_unstable();
            let millis = |part| quantile(&all, part).as_secs_f64() * 1000.0;
            format!("{:.2} / {:.2} ms", millis(0.5), millis(0.99))
        };
        let begun = sum(|w| w.begun);
        let lost = begun - sum(|w| w.to_sip.len() + w.to_xmpp.len());
        writeln!(
            f,
            "| Workload | pairs | changes | refreshes by phones | by the gateway | CPU time of {PROCESSORS} processors \
             | of it the gateway process | presence to NOTIFY p50 / p99 | NOTIFY to presence p50 / p99 |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        writeln!(
            f,
            "| {} | {pairs} | {:.0}/s | {:.0}/s | {:.0}/s | {all} % | {gateway} % | {} | {} |",
            word.to_uppercase(),
            each_second(begun),
            1.0 / self.workload.between_refreshes().as_secs_f64(),
            each_second(sum(|w| w.refreshed)),
            delays(|w| &w.to_sip),
            delays(|w| &w.to_xmpp),
        )?;
        writeln!(
            f,
            "Of {begun} changes {lost} were lost; {} requests were refused.",
            sum(|w| w.refused)
        )?;
        let verdict = if all.median() <= SHARE * 100.0 {
            "met"
        } else {
            "MISSED"
        };
        writeln!(
            f,
            "Aim: {:.0} % of {PROCESSORS} processors: {:.1} % -> {verdict}",
            SHARE * 100.0,
            all.median()
        )
    }
}
