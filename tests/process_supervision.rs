// SPDX-License-Identifier: GPL-2.0-or-later
//! Real processes: ports that are forked, a gateway that is forked by port 0, killed, frozen and told to end.
//!
//! This program plays the host and its SIP workers. It stays single-threaded and forks the ports, each with a
//! scripted [`SipPort`] that reports every call. The gateway does what a request's text says. Limits are ten
//! times what is promised; what was seen is printed.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::print_stdout,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stox::config::Config;
use stox::frame::{
    Answer, Command, Flow, HandedOver, LinkEvent, LogLine, Outcome, Protocol, Question, Record,
    Reply, RequestId, Send, Slot, ToGateway, Value,
};
use stox::process::{
    AskError, Channels, Counter, EXIT_CANNOT_START, ForeignMapping, GatewayEnd, Packets, Refusal,
    SendError, SipPort, Supervision, Taken, monotonic, port,
};

/// How long anything may take that has no limit of its own.
const GENEROUS: Duration = Duration::from_secs(30);

/// The reason of a reply in which a port stays for good.
const WAITS: &str = "wait";

const SCENARIOS: &[(&str, fn())] = &[
    ("requests_are_answered_once", requests_are_answered_once),
    (
        "a_request_that_kills_is_answered_and_not_replayed",
        a_request_that_kills,
    ),
    (
        "twenty_kills_under_load_lose_no_answer",
        twenty_kills_under_load,
    ),
    (
        "a_frozen_gateway_is_answered_for_and_replaced",
        a_frozen_gateway,
    ),
    ("a_crash_loop_refuses_at_once", a_crash_loop),
    (
        "a_gateway_that_cannot_start_is_not_hurried",
        a_gateway_that_cannot_start,
    ),
    ("a_request_that_cannot_be_sent_has_a_result", a_failed_send),
    (
        "a_gateway_keeps_nothing_of_its_host",
        a_gateway_keeps_nothing,
    ),
    ("a_gateway_that_is_behind_gets_nothing_new", a_busy_gateway),
    ("questions_are_answered_or_given_up", questions),
    (
        "the_real_gateway_survives_kills_and_ends_cleanly",
        the_real_gateway,
    ),
    ("a_clean_end_leaves_nobody", a_clean_end),
    ("a_gateway_that_does_not_end_is_ended", a_stubborn_gateway),
    ("everybody_ends_with_port_zero", the_end_of_port_zero),
    (
        "a_port_that_waits_for_the_host_for_good_ends",
        a_port_that_waits,
    ),
];

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    for (name, scenario) in SCENARIOS {
        if filter.as_ref().is_none_or(|filter| name.contains(filter)) {
            let start = monotonic();
            scenario();
            println!("test {name} ... ok ({:.1?})", monotonic() - start);
        }
    }
}

fn requests_are_answered_once() {
    let host = Host::start(2, true, scripted);
    for transaction in 0..100 {
        host.hand_over(transaction, "twice").unwrap();
    }
    let answers = host.answers(100);
    assert!(answers.values().all(|answer| answer.status == 200));
    host.until("the second answers are stale", || {
        host.channels.counter(Counter::StaleCommands) == 100
    });
    assert_eq!(host.channels.counter(Counter::Answered), 100);
}

fn a_request_that_kills() {
    let host = Host::start(1, true, scripted);
    host.hand_over(1, "hold").unwrap();
    host.hand_over(2, "crash").unwrap();
    let start = monotonic();
    let answers = host.answers(2);
    assert!(
        answers
            .values()
            .all(|answer| answer.status == 503 && answer.retry_after)
    );
    let took = monotonic() - start;
    println!("  503 for what a dead gateway held after {took:.1?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    host.hand_over(3, "answer").unwrap();
    assert_eq!(host.answers(1)[&3].status, 200, "the next gateway serves");
    assert_eq!(
        host.channels.counter(Counter::GatewayRestarts),
        1,
        "and does not meet the killer"
    );
}

fn twenty_kills_under_load() {
    let host = Host::start(2, false, scripted);
    let (mut next, mut seen, mut refused) = (0, BTreeMap::new(), 0);
    let mut slowest = Duration::ZERO;
    for round in 0..20_u32 {
        let gateway = host.gateway(1_000_000 + round);
        // Kills come early, late, and between a request and its answer.
        for step in 0..60 + round * 3 {
            let hold = format!("hold in {}", round + 1);
            let text = ["answer", &hold, "twice"][(step % 3) as usize];
            match host.hand_over(next, text) {
                Ok(()) => next += 1,
                Err(Refusal { .. }) => refused += 1,
            }
        }
        for _ in 0..round % 4 * 10 {
            let answer = host.answer();
            assert!(
                seen.insert(answer.transaction, answer.status).is_none(),
                "answered twice"
            );
        }
        let killed = monotonic();
        kill(gateway, libc::SIGKILL);
        for _ in 0..20 {
            if host.hand_over(next, "answer").is_ok() {
                next += 1;
            }
        }
        while seen.len() < next as usize {
            let answer = host.answer();
            assert!(
                seen.insert(answer.transaction, answer.status).is_none(),
                "answered twice"
            );
        }
        slowest = slowest.max(monotonic() - killed);
    }
    let served = seen.values().filter(|&&status| status == 200).count();
    println!(
        "  {next} requests: {served} answered, {} unavailable, {refused} refused; all within {slowest:.1?} of a kill",
        seen.len() - served,
    );
    assert_eq!(host.channels.counter(Counter::GatewayRestarts), 20);
    assert!(
        served < seen.len(),
        "some kills must have met held requests"
    );
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

fn a_busy_gateway() {
    let host = Host::start(1, true, scripted);
    host.hand_over(1, "behind").unwrap();
    assert_eq!(host.answer().status, 200, "what it has is answered");
    let refusal = host.hand_over(2, "answer").unwrap_err();
    assert!(refusal.retry_after > 0);
    assert_eq!(host.channels.counter(Counter::RefusedBusy), 1);
    host.until("it takes requests again", || {
        host.hand_over(3, "answer").is_ok()
    });
    assert_eq!(host.answer().transaction, 3);
}

fn a_frozen_gateway() {
    let host = Host::start(1, true, scripted);
    let gateway = host.gateway(0);
    host.hand_over(1, "hold").unwrap();
    host.hand_over(2, "answer").unwrap();
    assert_eq!(host.answers(1)[&2].status, 200, "so the first is taken");
    kill(gateway, libc::SIGSTOP);
    let start = monotonic();
    host.hand_over(3, "answer").unwrap();
    let answers = host.answers(2);
    assert!(
        answers
            .values()
            .all(|answer| answer.status == 503 && answer.retry_after)
    );
    println!(
        "  503 for what a frozen gateway held after {:.1?}",
        monotonic() - start
    );
    assert!(monotonic() - start < Duration::from_secs(30));
    host.until("the frozen gateway is replaced", || {
        host.channels.counter(Counter::GatewayRestarts) == 1
    });
    println!("  replaced after {:.1?}", monotonic() - start);
    host.hand_over(4, "answer").unwrap();
    assert_eq!(host.answers(1)[&4].status, 200);
    assert_eq!(
        host.channels.counter(Counter::StaleRequests),
        1,
        "the third was answered unread"
    );
}

fn a_crash_loop() {
    let host = Host::start(1, true, |_| std::process::abort());
    host.until("requests are refused", || host.channels.ready().is_err());
    let Err(Refusal { retry_after }) = host.channels.ready() else {
        panic!("ready again")
    };
    assert!((1..=30).contains(&retry_after));
    assert!(host.channels.counter(Counter::GatewayRestarts) >= 3);
}

fn a_gateway_that_cannot_start() {
    let host = Host::start(1, false, |_| EXIT_CANNOT_START);
    host.until("requests are refused", || host.channels.ready().is_err());
    assert_eq!(host.channels.counter(Counter::GatewayRestarts), 0);
}

fn a_failed_send() {
    let host = Host::start(1, true, scripted);
    // The gateway sends a request that the port refuses, and answers with the status of the result.
    host.hand_over(1, "send").unwrap();
    assert_eq!(host.answers(1)[&1].status, 408);
    assert_eq!(host.channels.counter(Counter::SendsFailed), 1);
}

fn a_gateway_keeps_nothing() {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let (size, protection) = (1 << 20, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping at an address of the kernel's choice.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    let inside = memory.wrapping_byte_add(size / 2);
    OF_THE_HOST.store(inside.addr(), Ordering::Relaxed);
    // SAFETY: nothing reads or writes it anywhere.
    let foreign = unsafe { ForeignMapping::containing(inside) };
    let file = std::fs::File::open("/dev/null").unwrap();
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };

    let host = Host::start_with(2, true, &[foreign], scripted);
    host.hand_over(1, "inventory").unwrap();
    let seen = host.answer().reason;
    assert_eq!(
        seen,
        "descriptors=5 mapped=false blocked=0 name=stox gateway"
    );
    assert!(is_mapped(inside.addr()), "here it still is");
}

/// An address that the gateway must not reach.
static OF_THE_HOST: AtomicUsize = AtomicUsize::new(0);

fn is_mapped(address: usize) -> bool {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .any(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(start)..number(end)).contains(&address)
        })
}

/// What a gateway process finds in itself.
fn inventory() -> String {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        let number: RawFd = name.to_str().unwrap().parse().unwrap();
        // The listing itself is one more, and gone by the time it is looked at.
        number > 2 && std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok()
    });
    let descriptors = descriptors.collect::<Vec<_>>();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let blocked = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:"))
        .unwrap();
    let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let mapped = is_mapped(OF_THE_HOST.load(Ordering::Relaxed));
    // Requests, results, two commands, questions; not the listing.
    let count = descriptors.len() - 1;
    format!(
        "descriptors={count} mapped={mapped} blocked={blocked} name={}",
        name.trim()
    )
}

fn questions() {
    let host = Host::start(1, true, scripted);
    let answer = host.channels.ask(&Question::Status).unwrap();
    assert_eq!(
        answer,
        Answer::Records(vec![Record::default().int("generation", 1)])
    );
    let gateway = host.gateway(0);
    kill(gateway, libc::SIGSTOP);
    let start = monotonic();
    assert!(matches!(
        host.channels.ask(&Question::Status),
        Err(AskError::Late)
    ));
    assert!(monotonic() - start < Duration::from_secs(10));
    kill(gateway, libc::SIGKILL);
    let answer = host.channels.ask(&Question::Status).unwrap();
    assert_eq!(
        answer,
        Answer::Records(vec![Record::default().int("generation", 2)]),
        "the next answers"
    );
}

fn the_real_gateway() {
    drop(std::fs::remove_dir_all(folder()));
    std::fs::create_dir_all(folder()).unwrap();
    let mut host = Host::start(2, true, |end| {
        let mut config = Config::default();
        let store = format!("sqlite:{}", folder().join("stox.db").display());
        for (name, value) in [
            ("sip_domain", "sip.example"),
            ("xmpp_allow", "xmpp.example"),
            ("contact", "192.0.2.1:5060"),
            ("store", &store),
        ] {
            config.set(name, value).unwrap();
        }
        stox::runtime::run(Arc::new(config), end)
    });
    for round in 0..4 {
        host.hand_over(round, OPTIONS).unwrap();
        assert_eq!(host.answers(1)[&round].status, 200);
        let Ok(Answer::Records(status)) = host.channels.ask(&Question::Status) else {
            panic!("no status")
        };
        let generation = Value::Int(i64::from(round + 1));
        assert!(
            status[0].0.contains(&("generation".into(), generation)),
            "{status:?}"
        );
        if round < 3 {
            // The only child of port 0.
            kill(child_of(host.ports[0]), libc::SIGKILL);
        }
    }
    let gateway = child_of(host.ports[0]);
    for &port in &host.ports {
        kill(port, libc::SIGTERM);
    }
    let start = monotonic();
    for port in std::mem::take(&mut host.ports) {
        assert_eq!(end_of(port), Some(0));
    }
    println!("  ended within {:.1?}", monotonic() - start);
    assert!(monotonic() - start < Duration::from_secs(50));
    assert!(is_gone(gateway));
}

const OPTIONS: &str = "OPTIONS sip:juliet@xmpp.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKhjhs8ass877\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:romeo@sip.example>;tag=1928301774\r\n\
    To: <sip:juliet@xmpp.example>\r\n\
    Call-ID: a84b4c76e66710\r\n\
    CSeq: 63104 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("process_supervision")
}

fn child_of(parent: libc::pid_t) -> libc::pid_t {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    children.unwrap().trim().parse().unwrap()
}

fn a_clean_end() {
    let mut host = Host::start(2, true, scripted);
    let gateway = host.gateway(0);
    host.hand_over(1, "hold").unwrap();
    host.hand_over(2, "answer").unwrap();
    assert_eq!(host.answers(1)[&2].status, 200);
    let start = monotonic();
    for &port in &host.ports {
        kill(port, libc::SIGTERM);
    }
    assert_eq!(
        host.answers(1)[&1].status,
        503,
        "nobody is left without an answer"
    );
    for port in std::mem::take(&mut host.ports) {
        assert_eq!(end_of(port), Some(0));
    }
    let took = monotonic() - start;
    println!("  ended within {took:.1?}");
    assert!(took < Duration::from_secs(50));
    assert!(is_gone(gateway));
}

fn a_stubborn_gateway() {
    let mut host = Host::start(1, true, |end| {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        scripted(end)
    });
    let gateway = host.gateway(0);
    let start = monotonic();
    kill(host.ports[0], libc::SIGTERM);
    for port in std::mem::take(&mut host.ports) {
        assert_eq!(end_of(port), Some(0));
    }
    println!("  ended within {:.1?}", monotonic() - start);
    assert!(monotonic() - start < Duration::from_secs(50));
    assert!(is_gone(gateway));
}

fn the_end_of_port_zero() {
    let mut host = Host::start(2, true, scripted);
    let gateway = host.gateway(0);
    kill(host.ports[0], libc::SIGKILL);
    let ports = std::mem::take(&mut host.ports);
    assert_eq!(end_of(ports[0]), None, "killed");
    assert_eq!(end_of(ports[1]), Some(0));
    host.until("the gateway is gone", || is_gone(gateway));
}

/// As for a lock that another process of the host held when it was ended.
fn a_port_that_waits() {
    let mut host = Host::start(2, true, scripted);
    let gateway = host.gateway(0);
    for transaction in 1..=2 {
        // Each goes to one of the two ports.
        host.hand_over(transaction, "wait").unwrap();
    }
    assert_eq!(host.answer().reason, WAITS);
    let start = monotonic();
    let ports = std::mem::take(&mut host.ports);
    for &port in &ports {
        kill(port, libc::SIGTERM);
    }
    let ends: Vec<_> = ports.into_iter().map(end_of).collect();
    println!("  ended within {:.1?}", monotonic() - start);
    assert!(ends.contains(&None), "one was waiting");
    assert!(monotonic() - start < Duration::from_secs(80));
    host.until("the gateway is gone", || is_gone(gateway));
}

/// What the scripted gateway does: what each request says.
fn scripted(end: GatewayEnd) -> i32 {
    let mut buffer = vec![0; Packets::BUFFER];
    let mut waits_for_result = None;
    end.questions.set_nonblocking(true).unwrap();
    loop {
        end.beat();
        let fds = [
            end.requests.as_raw_fd(),
            end.results.as_raw_fd(),
            end.questions.as_raw_fd(),
        ];
        wait_for(&fds, Duration::from_millis(100));
        while let Ok(taken) = end.take(&mut buffer) {
            let Taken::Request(request) = taken else {
                continue;
            };
            match request.raw.as_slice() {
                b"answer" => reply(&end, request.slot, 200),
                b"inventory" => reply_saying(&end, request.slot, 200, inventory()),
                b"twice" => {
                    reply(&end, request.slot, 200);
                    reply(&end, request.slot, 200);
                }
                b"wait" => reply_saying(&end, request.slot, 200, WAITS.into()),
                b"hold" => {}
                // Held by one generation only; the next answers what that one has not even read.
                text if text.starts_with(b"hold in ") => {
                    if text != format!("hold in {}", end.generation).as_bytes() {
                        reply(&end, request.slot, 200);
                    }
                }
                b"behind" => {
                    end.hold_off(Duration::from_millis(500));
                    reply(&end, request.slot, 200);
                }
                b"crash" => std::process::abort(),
                b"send" => {
                    command(&end, &Command::Send(any_request()));
                    waits_for_result = Some(request.slot);
                }
                other => panic!("unknown request {other:?}"),
            }
        }
        while let Ok(frame) = end.results.recv(&mut buffer) {
            let Ok(ToGateway::Result(Outcome { status, .. })) = ToGateway::decode(frame) else {
                panic!("not a result")
            };
            reply(&end, waits_for_result.take().unwrap(), status);
        }
        while let Ok((mut stream, _)) = end.questions.accept() {
            let mut question = Vec::new();
            stream.read_to_end(&mut question).unwrap();
            assert_eq!(Question::decode(&question), Ok(Question::Status));
            let answer = Answer::Records(vec![
                Record::default().int("generation", end.generation.into()),
            ]);
            // Who asked may have given up.
            let _ = stream.write_all(&answer.encode().unwrap());
        }
    }
}

fn reply(end: &GatewayEnd, slot: Slot, status: u16) {
    reply_saying(end, slot, status, std::process::id().to_string());
}

fn reply_saying(end: &GatewayEnd, slot: Slot, status: u16, reason: String) {
    let (headers, body) = (Vec::new(), Vec::new());
    let reply = Reply {
        slot,
        status,
        reason,
        to_tag: None,
        headers,
        body,
    };
    command(end, &Command::Reply(reply));
}

fn command(end: &GatewayEnd, command: &Command) {
    let frame = command.encode().unwrap();
    let port = &end.commands[std::process::id() as usize % end.commands.len()];
    while let Err(error) = port.send(&frame) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        std::thread::yield_now();
    }
}

fn any_request() -> Send {
    Send {
        id: RequestId(1 << 32),
        order_key: 0,
        method: "NOTIFY".into(),
        request_uri: "sip:romeo@sip.example".into(),
        from_uri: "sip:juliet@xmpp.example".into(),
        from_tag: "j89d".into(),
        to_uri: "sip:romeo@sip.example".into(),
        to_tag: None,
        call_id: "5BCF940D".into(),
        cseq: 1,
        route_set: Vec::new(),
        next_hop: None,
        socket: None,
        own_token: false,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// A final answer as a port gave it.
#[derive(Debug)]
struct Answered {
    transaction: u32,
    status: u16,
    retry_after: bool,
    reason: String,
}

/// A port that reports its calls.
struct Reporting {
    to_host: UnixDatagram,
}

impl SipPort for Reporting {
    fn reply(&mut self, tm_index: u32, tm_label: u32, reply: &Reply) {
        assert_eq!(tm_label, !tm_index, "index and label of one transaction");
        let retry_after = reply.headers.iter().any(|(name, _)| name == "Retry-After");
        let line = format!("{tm_index} {} {retry_after} {}", reply.status, reply.reason);
        // The host may have ended.
        let _ = self.to_host.send(line.as_bytes());
        if reply.reason == WAITS {
            loop {
                std::thread::yield_now();
            }
        }
    }

    fn send(&mut self, _: &Send) -> Result<(), SendError> {
        Err(SendError("this port sends nothing".into()))
    }

    fn event(&mut self, _: &LinkEvent) {}

    fn log(&mut self, line: &LogLine) {
        println!("  | {:?}: {}", line.level, line.text);
    }
}

/// The host: channels, ports, and what they report.
struct Host {
    channels: Channels,
    ports: Vec<libc::pid_t>,
    reports: UnixDatagram,
}

impl Host {
    fn start(ports: u32, backs_off: bool, gateway: fn(GatewayEnd) -> i32) -> Self {
        Self::start_with(ports, backs_off, &[], gateway)
    }

    fn start_with(
        ports: u32,
        backs_off: bool,
        foreign: &[ForeignMapping],
        gateway: fn(GatewayEnd) -> i32,
    ) -> Self {
        let channels = Channels::open(ports).unwrap();
        let (reports, to_host) = UnixDatagram::pair().unwrap();
        let ports = (0..ports)
            .map(|index| {
                // SAFETY: this program has one thread.
                let pid = unsafe { libc::fork() };
                assert!(pid >= 0, "{}", io::Error::last_os_error());
                if pid == 0 {
                    let mut port = Reporting {
                        to_host: to_host.try_clone().unwrap(),
                    };
                    let supervision = Supervision { backs_off, foreign };
                    port::run(&channels, index, &mut port, supervision, &mut |end| {
                        gateway(end)
                    });
                }
                pid
            })
            .collect();
        reports.set_read_timeout(Some(GENEROUS)).unwrap();
        Self {
            channels,
            ports,
            reports,
        }
    }

    /// What a worker does.
    fn hand_over(&self, transaction: u32, text: &str) -> Result<(), Refusal> {
        self.channels.ready()?;
        let reservation = self.channels.reserve()?;
        let local = "192.0.2.1:5060".parse().unwrap();
        let request = HandedOver {
            slot: reservation.slot(),
            raw: text.as_bytes().to_vec(),
            request_uri: None,
            contact: None,
            flow: Flow {
                protocol: Protocol::Udp,
                peer: local,
                local,
                connection: 0,
            },
            authenticated: true,
        };
        self.channels
            .hand_over(reservation, transaction, !transaction, request)
    }

    fn answer(&self) -> Answered {
        let mut buffer = [0; 200];
        let length = self.reports.recv(&mut buffer).expect("an answer is owed");
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap();
        Answered {
            transaction: word().parse().unwrap(),
            status: word().parse().unwrap(),
            retry_after: word().parse().unwrap(),
            reason: word().to_owned(),
        }
    }

    /// The next answers, each for another transaction.
    fn answers(&self, count: usize) -> BTreeMap<u32, Answered> {
        let mut answers = BTreeMap::new();
        while answers.len() < count {
            let answer = self.answer();
            let before = answers.insert(answer.transaction, answer);
            assert!(before.is_none(), "answered twice: {before:?}");
        }
        answers
    }

    /// The process id of the gateway, which must have nothing else to answer.
    fn gateway(&self, transaction: u32) -> libc::pid_t {
        self.hand_over(transaction, "answer").unwrap();
        let answer = self.answer();
        assert_eq!((answer.transaction, answer.status), (transaction, 200));
        answer.reason.parse().unwrap()
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = monotonic();
        while !condition() {
            assert!(monotonic() - start < GENEROUS, "not in time: {what}");
            wait_for(&[], Duration::from_millis(5));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for &port in &self.ports {
            kill(port, libc::SIGTERM);
        }
        for &port in &self.ports {
            end_of(port);
        }
    }
}

fn kill(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(pid, signal) };
}

/// Exit status of a child; `None` when a signal ended it.
fn end_of(pid: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    // SAFETY: the pointer is to a local integer.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

/// Whether a process has ended, reaped or not.
fn is_gone(pid: libc::pid_t) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    })
}

fn wait_for(fds: &[RawFd], wait: Duration) {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|&fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let (length, wait) = (polled.len() as libc::nfds_t, wait.as_millis() as i32);
    // SAFETY: pointer and length are those of the local vector.
    unsafe { libc::poll(polled.as_mut_ptr(), length, wait) };
}
