// SPDX-License-Identifier: GPL-2.0-or-later
//! The gateway process as a plain program: this test plays worker and port on its sockets.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "a test"
)]

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stox::address::{Aor, BareJid, Pair};
use stox::frame::{
    Command, Flow, HandedOver, LogLevel, LogLine, MAX_FRAME, Outcome, Protocol, Reply, Slot,
    ToGateway,
};
use stox::process::EXIT_CANNOT_START;
use stox::record::{
    AuthorizationRecord, AuthorizationState, Change, DialogId, DialogRecord, Direction, Moment,
};
use stox::sip::Package;
use stox::store::{Sqlite, Store};

/// How long anything may take.
const GENEROUS: Duration = Duration::from_secs(30);

#[test]
fn options_are_answered_and_nonsense_is_refused() {
    let mut gateway = Gateway::start("answers", &[]);
    gateway
        .hand_over(1, options("juliet@xmpp.example"))
        .unwrap();
    gateway.hand_over(2, "nonsense\r\n\r\n").unwrap();
    let replies = gateway.replies(2);
    assert_eq!(replies[&1].status, 200, "{:?}", replies[&1]);
    assert_eq!(replies[&2].status, 400, "{:?}", replies[&2]);
    let end = gateway.terminate();
    assert!(end.success(), "{end}");
    assert!(
        gateway
            .log
            .iter()
            .any(|line| line.text.starts_with("gateway process starts"))
    );
}

#[test]
fn an_unusable_store_is_said_in_words() {
    let mut gateway = Gateway::start("unusable", &["store=sqlite:/proc/none/stox.db"]);
    let end = gateway.end();
    assert_eq!(end.code(), Some(EXIT_CANNOT_START));
    gateway.read_log();
    let line = gateway.log.last().expect("an error is logged");
    assert_eq!(line.level, LogLevel::Error);
    assert!(line.text.contains("/proc/none/stox.db"), "{}", line.text);
}

/// RFC 4475. The table's other columns are checked over UDP and TCP by `tests/e2e/test_torture.py`.
#[test]
fn every_torture_message_is_answered_once_as_written_down() {
    let senders = ["example.com", "example.net", "example.org"];
    let senders = senders.map(|domain| format!("sip_domain={domain}"));
    let mut gateway = Gateway::start("torture", &senders.each_ref().map(String::as_str));
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rfc4475");
    let table = std::fs::read_to_string(vectors.join("outcomes")).unwrap();
    let rows: Vec<Vec<_>> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let (head, rows) = rows.split_first().unwrap();
    assert_eq!(head[5..], ["frame", "xmpp-frame"]);
    assert_eq!(rows.len(), 50);

    let mut slot = 0;
    for row in rows {
        let message = std::fs::read(vectors.join(row[0]).with_extension("dat")).unwrap();
        for raw in [to_xmpp(&message), message] {
            gateway.hand_over(slot, raw).unwrap();
            slot += 1;
        }
    }
    let replies = gateway.replies(slot as usize);
    let mut wrong = Vec::new();
    for (row, slot) in rows.iter().zip((0..).step_by(2)) {
        let (frame, xmpp) = (&replies[&(slot + 1)], &replies[&slot]);
        let found = [frame, xmpp].map(|reply| reply.status.to_string());
        if row[5..] != found {
            wrong.push(format!(
                "{} {found:?} {} / {}",
                row[0], frame.reason, xmpp.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    gateway
        .hand_over(slot, options("juliet@xmpp.example"))
        .unwrap();
    assert_eq!(gateway.replies(1)[&slot].status, 200, "it lives");
    assert!(gateway.terminate().success());
}

/// A message with its Request-URI replaced by one to XMPP; a response stays as it is.
fn to_xmpp(message: &[u8]) -> Vec<u8> {
    let end = message.windows(2).position(|w| w == b"\r\n").unwrap();
    let (line, rest) = message.split_at(end);
    let line = str::from_utf8(line).unwrap();
    let (method, after) = line.split_once(' ').unwrap();
    if method.starts_with("SIP/") {
        return message.to_vec();
    }
    let version = after.rfind(" SIP/").map_or("", |at| &after[at..]);
    let line = format!("{method} sip:juliet@xmpp.example{version}");
    [line.as_bytes(), rest].concat()
}

#[test]
fn a_port_that_falls_behind_makes_the_workers_wait_and_nothing_is_lost() {
    let mut gateway = Gateway::start("behind", &[]);
    // While nobody reads commands, requests are taken for a while, then stay in their socket until it is
    // full: that is where a worker answers 503.
    let mut sent = 0;
    let full = loop {
        match gateway.hand_over(sent, options("juliet@xmpp.example")) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100_000, "requests are read without bound");
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    let replies = gateway.replies(sent as usize);
    assert!(replies.values().all(|reply| reply.status == 200));
    gateway
        .hand_over(sent, options("juliet@xmpp.example"))
        .unwrap();
    assert_eq!(
        gateway.replies(1)[&sent].status,
        200,
        "afterwards all is as before"
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn stored_dialogs_are_served_soon_after_a_start() {
    // 100,000 are to take 2 s on a machine of their own; here it is ten times as long for a fifth of them.
    const DIALOGS: u32 = 20_000;
    const MOST: Duration = Duration::from_secs(20);
    let database = fresh_store("many");
    fill(&database, DIALOGS);
    let started = Instant::now();
    let mut gateway = Gateway::start_with(&database, &[]);
    for n in [0, DIALOGS / 2, DIALOGS - 1] {
        let refresh = SUBSCRIBE
            .replace(
                "SUBSCRIBE sip:juliet@xmpp.example",
                &format!("SUBSCRIBE sip:stox-{n:016x}@192.0.2.1:5060"),
            )
            .replace(
                "<sip:romeo@sip.example>;tag=yt66",
                &format!("<sip:romeo{n}@sip.example>;tag=theirs"),
            )
            .replace(
                "To: <sip:juliet@xmpp.example>",
                &format!("To: <sip:juliet{n}@xmpp.example>;tag=ours-{n}"),
            )
            .replace("5BCF940D", &format!("call-{n}"))
            .replace("CSeq: 1 ", "CSeq: 2 ");
        gateway.hand_over(n, &refresh).unwrap();
    }
    let replies = gateway.replies(3);
    assert!(
        replies.values().all(|reply| reply.status == 200),
        "{replies:?}"
    );
    let took = started.elapsed();
    assert!(took < MOST, "{DIALOGS} dialogs were served after {took:?}");
}

#[test]
fn the_end_of_the_host_is_the_end_of_the_gateway() {
    let mut gateway = Gateway::start("end", &[]);
    gateway
        .hand_over(1, options("juliet@xmpp.example"))
        .unwrap();
    gateway.replies(1);
    gateway.requests = None;
    let end = gateway.end();
    assert!(end.success(), "{end}");
}

#[test]
fn a_subscription_crosses_to_xmpp_and_the_stream_is_closed_at_the_end() {
    let (mut gateway, mut stream) = Gateway::linked(&fresh_store("subscription"));
    gateway.hand_over(1, SUBSCRIBE).unwrap();
    assert_eq!(gateway.replies(1)[&1].status, 200);
    let notify = gateway.other_command();
    assert!(
        matches!(&notify, Command::Send(send) if send.method == "NOTIFY"),
        "{notify:?}"
    );
    let subscribe = read_until(&mut stream, ">");
    assert!(subscribe.contains("subscribe"), "{subscribe}");
    assert!(subscribe.contains("juliet@xmpp.example"), "{subscribe}");

    // SAFETY: no memory is passed.
    unsafe { libc::kill(gateway.pid(), libc::SIGTERM) };
    read_until(&mut stream, "</stream:stream>");
    stream.write_all(b"</stream:stream>").unwrap();
    assert!(gateway.end().success());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it waits for a store")]
fn a_message_that_sip_has_answered_is_forgotten_though_nothing_else_comes() {
    let database = fresh_store("answered");
    let (mut gateway, mut stream) = Gateway::linked(&database);
    let reader = rusqlite::Connection::open(&database).unwrap();
    let stored = || {
        let sql = "SELECT count(*) FROM message";
        reader.query_row(sql, (), |row| row.get::<_, u32>(0))
    };
    let message = "<message from='juliet@xmpp.example/balcony' to='romeo@sip.example' id='m1'>\
        <body>Art thou not Romeo, and a Montague?</body></message>";
    stream.write_all(message.as_bytes()).unwrap();
    let Command::Send(send) = gateway.other_command() else {
        panic!("no MESSAGE");
    };
    assert_eq!((send.method.as_str(), stored()), ("MESSAGE", Ok(1)));
    let answer = ToGateway::Result(Outcome {
        id: send.id,
        status: 200,
        raw: None,
    });
    gateway.results.send(&answer.encode().unwrap()).unwrap();
    let deadline = Instant::now() + GENEROUS;
    while stored() != Ok(0) {
        assert!(Instant::now() < deadline, "it is still stored");
        std::thread::yield_now();
    }
}

const SUBSCRIBE: &str = "SUBSCRIBE sip:juliet@xmpp.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKna998sk\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:romeo@sip.example>;tag=yt66\r\n\
    To: <sip:juliet@xmpp.example>\r\n\
    Call-ID: 5BCF940D\r\n\
    CSeq: 1 SUBSCRIBE\r\n\
    Event: presence\r\n\
    Expires: 3600\r\n\
    Contact: <sip:romeo@192.0.2.7:5060>\r\n\
    Content-Length: 0\r\n\r\n";

/// What the program writes to the server, up to a text.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        stream
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error} after {text}"));
        text.push(char::from(byte[0]));
    }
    text
}

fn options(user: &str) -> String {
    format!(
        "OPTIONS sip:{user} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKhjhs8ass877\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:romeo@sip.example>;tag=1928301774\r\n\
         To: <sip:{user}>\r\n\
         Call-ID: a84b4c76e66710\r\n\
         CSeq: 63104 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// The program, and this side of its sockets.
struct Gateway {
    program: Child,
    /// Dropping it tells the program that no worker is left.
    requests: Option<UnixDatagram>,
    results: UnixDatagram,
    commands: UnixDatagram,
    log: Vec<LogLine>,
    others: VecDeque<Command>,
}

impl Gateway {
    fn start(name: &str, params: &[&str]) -> Self {
        Self::start_with(&fresh_store(name), params)
    }

    fn start_with(database: &Path, params: &[&str]) -> Self {
        let ((requests, their_requests), (results, their_results), (commands, their_commands)) =
            (pair(), pair(), pair());
        let program = Program::new(env!("CARGO_BIN_EXE_stox-gateway"))
            .args(["--requests", &number(&their_requests)])
            .args(["--results", &number(&their_results)])
            .args(["--command", &number(&their_commands)])
            .args(["--param", "sip_domain=sip.example"])
            .args(["--param", "xmpp_allow=xmpp.example"])
            .args(["--param", "contact=192.0.2.1:5060"])
            .args(["--param", &store(database)])
            .args(params.iter().flat_map(|param| ["--param", param]))
            .spawn()
            .unwrap();
        commands.set_read_timeout(Some(GENEROUS)).unwrap();
        requests.set_nonblocking(true).unwrap();
        Self {
            program,
            requests: Some(requests),
            results,
            commands,
            log: Vec::new(),
            others: VecDeque::new(),
        }
    }

    /// One that is a component of the server at the other end of the stream.
    fn linked(database: &Path) -> (Self, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let component =
            format!("component=domain=sip.example;host=127.0.0.1;port={port};secret=s3cret");
        let mut gateway = Self::start_with(database, &[&component]);
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        read_until(&mut stream, ">");
        let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
            xmlns:stream='http://etherx.jabber.org/streams' from='sip.example' id='3BF96D32'>";
        stream.write_all(header.as_bytes()).unwrap();
        read_until(&mut stream, "</handshake>");
        stream.write_all(b"<handshake/>").unwrap();
        let event = gateway.other_command();
        assert!(
            matches!(&event, Command::Event(event) if event.up),
            "{event:?}"
        );
        (gateway, stream)
    }

    fn hand_over(&self, index: u32, raw: impl AsRef<[u8]>) -> io::Result<()> {
        let local = "192.0.2.1:5060".parse().unwrap();
        let request = ToGateway::Request(HandedOver {
            slot: Slot { index, counter: 7 },
            raw: raw.as_ref().to_vec(),
            request_uri: None,
            contact: None,
            flow: Flow {
                protocol: Protocol::Udp,
                peer: local,
                local,
                connection: 0,
            },
            authenticated: true,
        });
        let socket = self.requests.as_ref().expect("the host has not ended");
        socket.send(&request.encode().unwrap()).map(drop)
    }

    fn command(&self) -> io::Result<Command> {
        let mut buffer = vec![0; MAX_FRAME];
        let length = self.commands.recv(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Command::decode(&buffer[..length]).expect("a command"))
    }

    /// The next replies, each for another slot.
    fn replies(&mut self, count: usize) -> BTreeMap<u32, Reply> {
        let mut replies = BTreeMap::new();
        while replies.len() < count {
            match self.command().expect("a reply is owed") {
                Command::Reply(reply) => {
                    assert_eq!(reply.slot.counter, 7);
                    let before = replies.insert(reply.slot.index, reply);
                    assert_eq!(before, None, "answered twice");
                }
                Command::Log(line) => self.log.push(line),
                other @ (Command::Send(_) | Command::Event(_)) => self.others.push_back(other),
            }
        }
        replies
    }

    /// The next command that is neither a reply nor the log.
    fn other_command(&mut self) -> Command {
        loop {
            if let Some(other) = self.others.pop_front() {
                return other;
            }
            match self.command().expect("a command comes") {
                Command::Log(line) => self.log.push(line),
                Command::Reply(reply) => panic!("unexpected {reply:?}"),
                other @ (Command::Send(_) | Command::Event(_)) => return other,
            }
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.program.id()).unwrap()
    }

    /// Reads what is left of the log of a program that has ended.
    fn read_log(&mut self) {
        self.commands.set_nonblocking(true).unwrap();
        while let Ok(command) = self.command() {
            if let Command::Log(line) = command {
                self.log.push(line);
            }
        }
    }

    fn terminate(&mut self) -> ExitStatus {
        // SAFETY: no memory is passed.
        unsafe { libc::kill(self.pid(), libc::SIGTERM) };
        self.end()
    }

    fn end(&mut self) -> ExitStatus {
        self.program.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Where a store may be made.
fn fresh_store(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("gateway_program")
        .join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("stox.db")
}

/// Granted subscriptions of as many SIP watchers, an hour long.
#[expect(
    clippy::disallowed_methods,
    reason = "the program looks at the clock too"
)]
fn fill(database: &Path, dialogs: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Moment(u64::try_from(now.as_millis()).unwrap());
    let mut changes = Vec::new();
    for n in 0..dialogs {
        let pair = Pair::new(
            Aor::new(&format!("romeo{n}"), "sip.example").unwrap(),
            BareJid::new(&format!("juliet{n}@xmpp.example")).unwrap(),
        );
        changes.push(Change::PutAuthorization(AuthorizationRecord {
            pair: pair.clone(),
            direction: Direction::ToXmpp,
            state: AuthorizationState::Granted,
            since: now,
            heard: now,
        }));
        changes.push(Change::PutDialog(Box::new(DialogRecord {
            id: DialogId(u64::from(n)),
            pair,
            direction: Direction::ToXmpp,
            call_id: format!("call-{n}"),
            local_tag: format!("ours-{n}"),
            remote_tag: Some("theirs".to_owned()),
            event_id: None,
            package: Package::Presence,
            local_uri: format!("sip:juliet{n}@xmpp.example"),
            remote_uri: format!("sip:romeo{n}@sip.example"),
            remote_target: "sip:romeo@192.0.2.7:5060".to_owned(),
            route_set: Vec::new(),
            flow: None,
            cseq_reserved: 64,
            remote_cseq: 1,
            expires_at: now.plus_secs(3600),
            active: true,
            shown: Vec::new(),
        })));
    }
    Sqlite::open(database).unwrap().commit(&changes).unwrap();
}

fn store(path: &Path) -> String {
    format!("store=sqlite:{}", path.display())
}

fn number(fd: &OwnedFd) -> String {
    fd.as_raw_fd().to_string()
}

/// Our end, and one that a child inherits.
fn pair() -> (UnixDatagram, OwnedFd) {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the pointer is to an array of two descriptors.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) };
    assert_eq!(made, 0, "{}", io::Error::last_os_error());
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(fds[1], libc::F_SETFD, 0) };
    let [ours, theirs] = fds.map(|fd| {
        // SAFETY: just made by socketpair, and owned by nobody else.
        unsafe { OwnedFd::from_raw_fd(fd) }
    });
    (ours.into(), theirs)
}
