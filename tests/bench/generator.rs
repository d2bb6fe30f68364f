// SPDX-License-Identifier: GPL-2.0-or-later
//! Both users' devices at once: begins operations at a pace, answers every NOTIFY, keeps account.
//!
//! It never sends a packet again: what Kamailio loses stays lost and is counted.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::arrival::{Arrival, answer_to};
use crate::case::Case;
use crate::cpu;
use crate::kamailio::Kamailio;
use crate::mark::Mark;
use crate::saturation;
use crate::sink::Sink;
use crate::tally::{Account, IN_TIME, Tally};

/// How long a measurement waits for anything more to come.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often the receiving thread looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(20);

/// Room for packets while this program does not get the processor.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Most operations without a pace: what they leave in Kamailio's memory stays there for a while.
const UNPACED_MAX: usize = 30_000;

/// What a pace may make up for at once.
const BURST: Duration = Duration::from_millis(2);

/// How operations follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// So many begin every second, whatever becomes of them.
    Rate(f64),
    /// The next one begins when one of that many has ended.
    Window(usize),
}

/// A measurement.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// What came of it.
    pub(crate) account: Account,
    /// CPU time of the generator.
    pub(crate) spent: Duration,
    /// By how much sending took longer than the pace asked for.
    pub(crate) behind: Duration,
    /// When it began.
    pub(crate) begun: Instant,
}

/// The generator, with a socket of its own.
#[derive(Debug)]
pub(crate) struct Generator {
    socket: UdpSocket,
    local: SocketAddr,
    kamailio: SocketAddr,
    sink: Sink,
    runs: u64,
    watched: Vec<Mark>,
    senders: usize,
    asked: AtomicUsize,
}

impl Generator {
    /// Sends from a free port of that address.
    pub(crate) fn new(ip: IpAddr, sink: Sink) -> io::Result<Self> {
        let kamailio = Kamailio::address_on(ip);
        let socket = UdpSocket::bind((ip, 0))?;
        SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_read_timeout(Some(GLANCE))?;
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            kamailio,
            sink,
            runs: 0,
            watched: Vec::new(),
            senders: 1,
            asked: AtomicUsize::new(0),
        })
    }

    /// Makes pairs whose contact is watched, for [`Case::Presence`].
    pub(crate) fn watch(&mut self, pairs: usize) -> io::Result<()> {
        self.make(Case::Subscribe, pairs, 500.0)?;
        let run = self.runs;
        self.watched = (0..pairs).map(|number| Mark { run, number }).collect();
        Ok(())
    }

    /// Makes so many dialogs by operations of that case, so many a second.
    pub(crate) fn make(&mut self, case: Case, dialogs: usize, rate: f64) -> io::Result<()> {
        let seconds = Duration::from_secs_f64(dialogs as f64 / rate);
        let account = self.measure(case, Load::Rate(rate), seconds)?.account;
        let (made, refused) = (account.complete, account.refused);
        if made < dialogs {
            return Err(io::Error::other(format!(
                "only {made} of {dialogs} dialogs could be made, {refused} were refused: {}",
                case.title()
            )));
        }
        Ok(())
    }

    /// Takes these for the watched contacts of [`Case::Presence`].
    pub(crate) fn take_turns(&mut self, watched: Vec<Mark>) {
        self.watched = watched;
    }

    /// Messages are of so many users, who take turns.
    pub(crate) fn set_senders(&mut self, senders: usize) {
        self.senders = senders.max(1);
    }

    /// How many operations may be under way when there is no pace.
    pub(crate) fn window(&self, case: Case) -> usize {
        if case == Case::MessageToSip && self.senders == 1 {
            saturation::NARROW
        } else {
            saturation::WINDOW
        }
    }

    /// The name of a further measurement.
    pub(crate) fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    /// SUBSCRIBEs of the gateway's that have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Sends one packet.
    pub(crate) fn send(&self, packet: &str) -> io::Result<()> {
        self.socket.send_to(packet.as_bytes(), self.kamailio)?;
        Ok(())
    }

    /// Where it is reached.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Answers what comes until no more than so many packets come in a while; how long it took to get there.
    pub(crate) fn attend(&self, quiet: Duration, few: usize) -> io::Result<Duration> {
        let start = Instant::now();
        loop {
            let reached = start.elapsed();
            if self.serve(quiet)? <= few {
                return Ok(reached);
            }
        }
    }

    /// Answers what comes for a while; the number of packets.
    pub(crate) fn serve(&self, lasting: Duration) -> io::Result<usize> {
        let start = Instant::now();
        let tally = Tally::new(Case::Presence, 0, 0, start);
        let mut buffer = vec![0; 64 * 1024];
        let mut packets = 0;
        while start.elapsed() < lasting {
            packets += usize::from(self.take(Case::Presence, &tally, &mut buffer)?.is_some());
        }
        Ok(packets)
    }

    /// Sends one packet, and answers what comes until an answer to it has come, or that time is over.
    pub(crate) fn ask(&self, packet: &str, within: Duration) -> io::Result<Option<u16>> {
        self.socket.send_to(packet.as_bytes(), self.kamailio)?;
        let start = Instant::now();
        let tally = Tally::new(Case::Options, 0, 0, start);
        let mut buffer = vec![0; 64 * 1024];
        while start.elapsed() < within {
            let Some(arrived) = self.packet(&mut buffer)? else {
                continue;
            };
            if let Some(status) = answer_to(arrived, packet) {
                return Ok(Some(status));
            }
            self.handle(Case::Options, &tally, arrived)?;
        }
        Ok(None)
    }

    /// Begins operations for a while, and waits until all have ended or nothing more comes.
    pub(crate) fn measure(
        &mut self,
        case: Case,
        load: Load,
        lasting: Duration,
    ) -> io::Result<Measured> {
        let run = self.next_run();
        let size = match load {
            Load::Rate(rate) => (rate * lasting.as_secs_f64()).ceil() as usize,
            Load::Window(_) => UNPACED_MAX,
        };
        self.sink.forget_arrivals();
        let begun = Instant::now();
        let tally = Tally::new(case, run, size, begun);
        let stop = AtomicBool::new(false);
        let sender = thread::current();
        thread::scope(|scope| {
            let receiver = scope.spawn(|| self.receive(case, &tally, &stop, &sender));
            let before = cpu::of_this_thread();
            let behind = match load {
                Load::Rate(rate) => self.send_at(rate, size, case, &tally),
                Load::Window(width) => self.send_within(width, lasting, case, &tally),
            };
            let own = cpu::of_this_thread().saturating_sub(before);
            stop.store(true, Ordering::Relaxed);
            let received = receiver
                .join()
                .map_err(|_| io::Error::other("the receiving thread panicked"))??;
            for (mark, at) in self.sink.messages() {
                tally.arrived(mark, at);
            }
            for (mark, at) in self.sink.errors() {
                tally.reported(mark, at);
            }
            Ok(Measured {
                account: tally.account(),
                spent: own + received,
                behind: behind?,
                begun,
            })
        })
    }

    /// Open loop. Returns by how much it took longer than asked for: when this program did not get the
    /// processor, it goes on at its pace instead of sending all it missed at once.
    fn send_at(&self, rate: f64, count: usize, case: Case, tally: &Tally) -> io::Result<Duration> {
        let mut start = Instant::now();
        let mut behind = Duration::ZERO;
        for number in 0..count {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            let now = Instant::now();
            if let Some(early) = due.checked_duration_since(now) {
                thread::sleep(early);
            } else if let Some(late) = (now - due).checked_sub(BURST) {
                behind += late;
                start += late;
            }
            self.begin(number, case, tally)?;
        }
        wait_for_rest(tally, count);
        Ok(behind)
    }

    /// Closed loop, at most [`UNPACED_MAX`] operations. Returns no delay: there is no pace.
    fn send_within(
        &self,
        width: usize,
        lasting: Duration,
        case: Case,
        tally: &Tally,
    ) -> io::Result<Duration> {
        let start = Instant::now();
        let (mut begun, mut given_up, mut ended) = (0, 0, 0);
        let mut moved = start;
        while start.elapsed() < lasting && begun < UNPACED_MAX {
            let now_ended = tally.ended();
            if now_ended != ended {
                ended = now_ended;
                moved = Instant::now();
            } else if moved.elapsed() > IN_TIME {
                given_up = begun - ended;
                moved = Instant::now();
            }
            let open = begun - ended.max(given_up).min(begun);
            if open >= width {
                thread::park_timeout(GLANCE);
                continue;
            }
            self.begin(begun, case, tally)?;
            begun += 1;
        }
        wait_for_rest(tally, begun);
        Ok(Duration::ZERO)
    }

    fn begin(&self, number: usize, case: Case, tally: &Tally) -> io::Result<()> {
        let mark = tally.mark(number);
        let sender = number % self.senders;
        if let Some(request) = case.request(mark, sender, self.local) {
            tally.begins(number, Instant::now());
            self.socket.send_to(request.as_bytes(), self.kamailio)?;
            return Ok(());
        }
        if let Some(stanza) = case.stanza(mark, sender) {
            tally.begins(number, Instant::now());
            return self.sink.push(&stanza);
        }
        let Some(pair) = self.watched.get(number % self.watched.len().max(1)) else {
            return Err(io::Error::other("nobody is watched"));
        };
        let stanza = format!(
            "<presence from='juliet{pair}@xmpp.example/bench' to='romeo{pair}@sip.example'>\
             <status>{mark}</status></presence>"
        );
        tally.begins(number, Instant::now());
        self.sink.push(&stanza)
    }

    /// Takes what comes until told to stop; returns its CPU time.
    fn receive(
        &self,
        case: Case,
        tally: &Tally,
        stop: &AtomicBool,
        sender: &Thread,
    ) -> io::Result<Duration> {
        let mut buffer = vec![0; 64 * 1024];
        while !stop.load(Ordering::Relaxed) {
            if let Some((_, true)) = self.take(case, tally, &mut buffer)? {
                sender.unpark();
            }
        }
        Ok(cpu::of_this_thread())
    }

    /// Takes one packet, if one comes soon, and answers it: the status if it is an answer itself, and whether
    /// it ends an operation.
    pub(crate) fn take(
        &self,
        case: Case,
        tally: &Tally,
        buffer: &mut [u8],
    ) -> io::Result<Option<(Option<u16>, bool)>> {
        self.packet(buffer)?
            .map(|packet| self.handle(case, tally, packet))
            .transpose()
    }

    /// The next packet; empty if it is no text.
    fn packet<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a str>> {
        match self.socket.recv(buffer) {
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                Ok(Some(str::from_utf8(bytes).unwrap_or_default()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn handle(&self, case: Case, tally: &Tally, packet: &str) -> io::Result<(Option<u16>, bool)> {
        let now = Instant::now();
        let send = |packet: &str| self.socket.send_to(packet.as_bytes(), self.kamailio);
        Ok(match Arrival::read(packet, self.local) {
            Some(Arrival::Answer { mark, status }) => {
                (Some(status), tally.answered(mark, status, now))
            }
            Some(Arrival::Notify {
                dialog,
                shown,
                open,
                answer,
            }) => {
                send(&answer)?;
                tally.notified();
                let mark = if case == Case::Presence {
                    shown
                } else {
                    dialog
                };
                let ended = open && mark.is_some_and(|mark| tally.shown(mark, now));
                (None, ended)
            }
            Some(Arrival::Subscribe { answer, notify }) => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                send(&answer)?;
                send(&notify)?;
                (None, false)
            }
            Some(Arrival::Message { mark, answer }) => {
                send(&answer)?;
                (None, mark.is_some_and(|mark| tally.shown(mark, now)))
            }
            None => (None, false),
        })
    }
}

/// Waits until so many operations have ended, or no more do.
fn wait_for_rest(tally: &Tally, begun: usize) {
    let (mut ended, mut moved) = (tally.ended(), Instant::now());
    while ended < begun && moved.elapsed() < PATIENCE {
        thread::park_timeout(GLANCE);
        let now_ended = tally.ended();
        if now_ended != ended {
            (ended, moved) = (now_ended, Instant::now());
        }
    }
}
