// SPDX-License-Identifier: GPL-2.0-or-later
//! The component link against a real Prosody, with an XMPP user at the other end.
//!
//! Each test starts a Prosody of its own on an address of 127.77.1.0/24, in a folder under `target/`.
//! Without Prosody the tests say so and pass, unless `STOX_REQUIRE_PEERS` is `1`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use stox::address::Jid;
use stox::config::Component;
use stox::stanza::{LinkName, Stanza};
use stox::xmpp::stream::Limits;
use stox::xmpp::{Link, LinkEvent, LinkState, SendError, Timing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, IqRequest};
use xmpp_parsers::presence::{Presence, Show, Type};
use xmpp_parsers::roster::Roster;

const DOMAIN: &str = "sip.test";
const SECRET: &str = "a secret";
const MAX_STANZA: usize = 256 * 1024;
/// Far above what any step takes.
const LIMIT: Duration = Duration::from_secs(60);

/// One Prosody with the user juliet@xmpp.test, killed with the test.
struct Prosody {
    folder: PathBuf,
    address: Ipv4Addr,
    process: Child,
}

impl Prosody {
    async fn start(address: Ipv4Addr) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prosody-{address}"));
        let _ = fs::remove_dir_all(&folder);
        let accounts = folder.join("data/xmpp%2etest/accounts");
        fs::create_dir_all(&accounts).unwrap();
        let account = "return { [\"password\"] = \"pw\" };\n";
        fs::write(accounts.join("juliet.dat"), account).unwrap();
        fs::write(accounts.join("nurse.dat"), account).unwrap();
        let base = folder.display();
        let config = format!(
            r#"run_as_root = true
daemonize = false
pidfile = "{base}/prosody.pid"
data_path = "{base}/data"
interfaces = {{ "{address}" }}
local_interfaces = {{ "{address}" }}
component_interfaces = {{ "{address}" }}
c2s_ports = {{ 5222 }}
s2s_ports = {{ }}
component_ports = {{ 5347 }}
http_ports = {{ }}
https_ports = {{ }}
use_ipv6 = false
modules_enabled = {{ "roster"; "saslauth"; "presence"; "message"; "iq"; "ping" }}
modules_disabled = {{ "s2s"; "offline" }}
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
c2s_stanza_size_limit = 10000000
component_stanza_size_limit = 10000000
log = {{ {{ levels = {{ min = "debug" }}, to = "file", filename = "{base}/prosody.log" }} }}
VirtualHost "xmpp.test"
Component "{DOMAIN}"
  component_secret = "{SECRET}"
"#
        );
        fs::write(folder.join("prosody.cfg.lua"), config).unwrap();
        let process = Self::spawn(&folder);
        let mut prosody = Self {
            folder,
            address,
            process,
        };
        prosody.wait_until_it_listens().await;
        prosody
    }

    fn spawn(folder: &Path) -> Child {
        Command::new("prosody")
            .arg("--config")
            .arg(folder.join("prosody.cfg.lua"))
            .arg("-F")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + LIMIT;
        for port in [5347, 5222] {
            while TcpStream::connect((self.address, port)).await.is_err() {
                assert_eq!(self.process.try_wait().unwrap(), None, "Prosody ended");
                assert!(Instant::now() < deadline, "Prosody does not listen");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    fn signal(&self, signal: &str) {
        // The shell's own: the program is in a package that a small system lacks.
        let kill = format!("kill {signal} {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn restart(&mut self) {
        self.signal("-TERM");
        self.process.wait().unwrap();
        self.process = Self::spawn(&self.folder);
        self.wait_until_it_listens().await;
    }

    fn link(&self, secret: &str, timing: Timing) -> (Link, mpsc::Receiver<LinkEvent>) {
        let (sender, events) = mpsc::channel(16);
        let config = Component {
            domain: DOMAIN.to_owned(),
            host: self.address.to_string(),
            port: 5347,
            secret: secret.to_owned(),
        };
        let link =
            Link::component_with_timing(config, Limits::with_stanza(MAX_STANZA), sender, timing);
        (link, events)
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A user's connection, plain text in and out.
struct User {
    connection: TcpStream,
    heard: String,
}

impl User {
    /// Logs in with resource `r`. `plain` is the SASL PLAIN response in base64.
    async fn log_in(prosody: &Prosody, plain: &str) -> Self {
        let connection = TcpStream::connect((prosody.address, 5222)).await.unwrap();
        let mut user = Self {
            connection,
            heard: String::new(),
        };
        let open = "<stream:stream to='xmpp.test' version='1.0' xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'>";
        user.say(open).await;
        user.hear("</stream:features>").await;
        user.say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ))
        .await;
        user.hear("<success").await;
        user.heard.clear();
        user.say(open).await;
        user.hear("</stream:features>").await;
        user.say(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>r</resource></bind></iq><presence/>",
        )
        .await;
        user.hear("</jid>").await;
        // Only who asked for the roster is told of subscriptions (RFC 6121 §2.2).
        user.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
            .await;
        user.hear("id='roster'").await;
        user
    }

    async fn say(&mut self, text: &str) {
        timeout(LIMIT, self.connection.write_all(text.as_bytes()))
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until the server has said something that holds `text`.
    async fn hear(&mut self, text: &str) {
        let mut buffer = [0; 65536];
        while !self.heard.contains(text) {
            let read = timeout(LIMIT, self.connection.read(&mut buffer)).await;
            let length = read
                .unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.heard))
                .unwrap();
            assert_ne!(length, 0, "closed before {text:?}: {:?}", self.heard);
            self.heard
                .push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// The stanza with that id, as the server wrote it.
    async fn stanza(&mut self, id: &str) -> String {
        self.hear(&format!("id='{id}'")).await;
        // The next stanza has come too, so this one is complete.
        self.say(&format!(
            "<iq type='get' to='xmpp.test' id='after-{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
        self.hear(&format!("after-{id}")).await;
        let at = self.heard.find(&format!("id='{id}'")).unwrap();
        let begin = self.heard[..at].rfind('<').unwrap();
        let end = self.heard[at..]
            .find("</error>")
            .map_or(self.heard.len(), |n| at + n);
        self.heard[begin..end].to_owned()
    }
}

const JULIET: &str = "AGp1bGlldABwdw==";
const NURSE: &str = "AG51cnNlAHB3";

/// Timing for tests: quick to retry, otherwise as always.
fn quick() -> Timing {
    Timing {
        retry_floor: Duration::from_millis(50),
        retry_ceiling: Duration::from_millis(200),
        ..Timing::default()
    }
}

async fn event(events: &mut mpsc::Receiver<LinkEvent>) -> LinkEvent {
    timeout(LIMIT, events.recv()).await.unwrap().unwrap()
}

async fn expect_up(events: &mut mpsc::Receiver<LinkEvent>) {
    loop {
        match event(events).await {
            LinkEvent::Up { link } => {
                assert_eq!(link, LinkName::component(DOMAIN));
                return;
            }
            LinkEvent::Down { .. } => {}
            LinkEvent::Stanza { inbound, .. } => panic!("{inbound:?}"),
        }
    }
}

async fn expect_down(events: &mut mpsc::Receiver<LinkEvent>) -> String {
    match event(events).await {
        LinkEvent::Down { link, reason } => {
            assert_eq!(link, LinkName::component(DOMAIN));
            reason
        }
        other @ (LinkEvent::Up { .. } | LinkEvent::Stanza { .. }) => panic!("{other:?}"),
    }
}

async fn expect_stanza(events: &mut mpsc::Receiver<LinkEvent>) -> Stanza {
    match event(events).await {
        LinkEvent::Stanza { inbound, .. } => {
            assert_eq!(inbound.link, LinkName::component(DOMAIN));
            inbound.stanza
        }
        other @ (LinkEvent::Up { .. } | LinkEvent::Down { .. }) => panic!("{other:?}"),
    }
}

fn stanza(text: &str) -> Stanza {
    Stanza::from_element(text.parse().unwrap()).unwrap()
}

/// White space that follows a stanza: newer versions of Prosody's parser put off a long token until about as
/// much has come again.
fn after(content: &str) -> String {
    " ".repeat(content.len() + 1)
}

/// Whether Prosody can be started here.
fn prosody_is_installed() -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|f| f.join("prosody").is_file()));
    if !found {
        assert_ne!(
            std::env::var_os("STOX_REQUIRE_PEERS"),
            Some("1".into()),
            "prosody is not installed"
        );
        #[expect(clippy::print_stderr, reason = "a skip must be seen")]
        {
            eprintln!("SKIPPED: prosody is not installed");
        }
    }
    found
}

#[tokio::test]
async fn stanzas_pass_both_ways_until_the_link_is_closed() {
    if !prosody_is_installed() {
        return;
    }
    let prosody = Prosody::start(Ipv4Addr::new(127, 77, 1, 1)).await;
    let (link, mut events) = prosody.link(SECRET, quick());
    assert_eq!(
        link.send(stanza(
            "<presence xmlns='jabber:client' from='romeo@sip.test' to='juliet@xmpp.test'/>"
        )),
        Err(SendError::Down)
    );
    expect_up(&mut events).await;
    assert_eq!(link.status().state, LinkState::Up);

    let mut juliet = User::log_in(&prosody, JULIET).await;
    juliet
        .say("<presence to='romeo@sip.test' type='subscribe' id='s1'/>")
        .await;
    let expected = "<presence xmlns='jabber:client' from='juliet@xmpp.test' to='romeo@sip.test' \
                    type='subscribe' id='s1'/>";
    assert_eq!(expect_stanza(&mut events).await, stanza(expected));

    link.send(stanza(
        "<presence xmlns='jabber:client' from='romeo@sip.test' to='juliet@xmpp.test' \
         type='subscribed'/>",
    ))
    .unwrap();
    juliet.hear("type='subscribed'").await;

    link.send(stanza(
        "<iq xmlns='jabber:client' from='romeo@sip.test' to='juliet@xmpp.test/r' type='get' id='p1'>\
         <ping xmlns='urn:xmpp:ping'/></iq>",
    ))
    .unwrap();
    juliet.hear("id='p1'").await;
    juliet
        .say("<iq to='romeo@sip.test' type='result' id='p1'/>")
        .await;
    loop {
        if let Stanza::Iq(iq) = expect_stanza(&mut events).await {
            assert_eq!(iq.id(), "p1");
            break;
        }
    }

    let status = link.status();
    assert_eq!(status.stanzas_out, 2);
    assert!(status.peer.is_some());
    timeout(LIMIT, link.close(LIMIT)).await.unwrap();
    let log = fs::read_to_string(prosody.folder.join("prosody.log")).unwrap();
    assert!(log.contains("</stream:stream>") || log.contains("component disconnected"));
}

#[tokio::test]
async fn hostile_stanzas_are_errors_for_their_sender_only() {
    if !prosody_is_installed() {
        return;
    }
    let prosody = Prosody::start(Ipv4Addr::new(127, 77, 1, 2)).await;
    let (link, mut events) = prosody.link(SECRET, quick());
    expect_up(&mut events).await;
    let mut juliet = User::log_in(&prosody, JULIET).await;
    let mut nurse = User::log_in(&prosody, NURSE).await;

    let deep = format!(
        "<x xmlns='y'>{}{}</x>",
        "<a>".repeat(5000),
        "</a>".repeat(5000)
    );
    let large = format!("<body>{}</body>", "b".repeat(1024 * 1024));
    let attribute = format!("<x xmlns='y' a='{}'/>", "b".repeat(200 * 1024));
    let long = format!("<x xmlns='y' a='{}'/>", "b".repeat(500 * 1024));
    let wide: String = (0..100).map(|n| format!(" a{n}=''")).collect();
    let wide = format!("<x xmlns='y'{wide}/>");
    for (n, (kind, attributes, content, condition)) in [
        ("message", "", deep.as_str(), "policy-violation"),
        ("message", "", &large, "policy-violation"),
        ("message", "", &long, "policy-violation"),
        ("message", "", &wide, "policy-violation"),
        ("presence", "", "<show>available</show>", "bad-request"),
        ("presence", "", "<priority>1000</priority>", "bad-request"),
        ("message", " type='weird'", "", "bad-request"),
        (
            "message",
            "",
            "<thread>a</thread><thread>b</thread>",
            "bad-request",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("hostile{n}");
        juliet
            .say(&format!(
                "<{kind} to='romeo@sip.test' id='{id}'{attributes}>{content}</{kind}>{}",
                after(content)
            ))
            .await;
        let answer = juliet.stanza(&id).await;
        assert!(answer.contains("type='error'"), "{n}: {answer}");
        assert!(answer.contains("type='modify'"), "{n}: {answer}");
        assert!(answer.contains(condition), "{n}: {answer}");
    }

    // An attribute beyond the usual size of a parser's token is legal.
    nurse
        .say(&format!(
            "<message to='romeo@sip.test' id='n1'>{attribute}</message>{}",
            after(&attribute)
        ))
        .await;
    let Stanza::Message(message) = expect_stanza(&mut events).await else {
        panic!("expected the nurse's message");
    };
    assert_eq!(message.id.unwrap().0, "n1");
    let status = link.status();
    assert_eq!(status.stanzas_refused, 8);
    assert_eq!(status.times_up, 1);
    assert_eq!(status.stanzas_in, 1);
}

#[tokio::test]
async fn the_link_returns_after_a_restart_of_the_server() {
    if !prosody_is_installed() {
        return;
    }
    let mut prosody = Prosody::start(Ipv4Addr::new(127, 77, 1, 3)).await;
    let (link, mut events) = prosody.link(SECRET, quick());
    expect_up(&mut events).await;
    prosody.restart().await;
    let reason = expect_down(&mut events).await;
    assert!(reason.contains("the server"), "{reason}");
    expect_up(&mut events).await;
    assert_eq!(link.status().times_up, 2);
}

#[tokio::test]
async fn a_frozen_server_is_found_by_ping() {
    if !prosody_is_installed() {
        return;
    }
    let prosody = Prosody::start(Ipv4Addr::new(127, 77, 1, 4)).await;
    let timing = Timing {
        silence: Duration::from_millis(100),
        answer: Duration::from_secs(3),
        ..quick()
    };
    let (link, mut events) = prosody.link(SECRET, timing);
    expect_up(&mut events).await;
    // Longer than silence and answer together, so that only pings that come back keep the link.
    let quiet = timeout(Duration::from_secs(4), events.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(link.status().state, LinkState::Up);

    prosody.signal("-STOP");
    assert_eq!(
        expect_down(&mut events).await,
        "the server does not answer any more"
    );
    prosody.signal("-CONT");
    expect_up(&mut events).await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_in_words() {
    if !prosody_is_installed() {
        return;
    }
    let prosody = Prosody::start(Ipv4Addr::new(127, 77, 1, 5)).await;
    let (link, mut events) = prosody.link("a wrong one", quick());
    let reason = expect_down(&mut events).await;
    assert!(
        reason.starts_with("the server refused the secret of component sip.test: not-authorized"),
        "{reason}"
    );
    assert!(!format!("{link:?}").contains("a wrong one"));
}

/// The `xmpp-rs` client as Juliet: another implementation of streams, stanzas and their types.
#[tokio::test]
async fn an_independent_client_is_asked_answers_and_is_told() {
    if !prosody_is_installed() {
        return;
    }
    let prosody = Prosody::start(Ipv4Addr::new(127, 77, 1, 6)).await;
    let (link, mut events) = prosody.link(SECRET, quick());
    expect_up(&mut events).await;
    let jid: Jid = "juliet@xmpp.test/balcony".parse().unwrap();
    let server = DnsConfig::Addr {
        addr: format!("{}:5222", prosody.address),
    };
    let mut juliet = Client::new_plaintext(jid, "pw", server, Timeouts::tight());
    loop {
        if hear(&mut juliet).await.is_online() {
            break;
        }
    }
    let roster = Roster {
        ver: None,
        items: vec![],
    };
    drop(juliet.send_iq(None, IqRequest::Get(roster.into())).await);
    tell(&mut juliet, Presence::available()).await;

    link.send(stanza(
        "<presence xmlns='jabber:client' from='romeo@sip.test' to='juliet@xmpp.test' \
         type='subscribe'/>",
    ))
    .unwrap();
    let asked = hear_presence(&mut juliet, Type::Subscribe).await;
    assert_eq!(asked.from.unwrap().to_string(), "romeo@sip.test");
    tell(
        &mut juliet,
        Presence::new(Type::Subscribed).with_to("romeo@sip.test".parse::<Jid>().unwrap()),
    )
    .await;
    let mut told = Vec::new();
    while !told.contains(&Type::None) {
        if let Stanza::Presence(presence) = expect_stanza(&mut events).await {
            told.push(presence.type_);
        }
    }
    assert!(told.contains(&Type::Subscribed), "{told:?}");

    link.send(stanza(
        "<presence xmlns='jabber:client' from='romeo@sip.test/orchard' \
         to='juliet@xmpp.test/balcony'><show>away</show><status>in the garden</status></presence>",
    ))
    .unwrap();
    let seen = hear_presence(&mut juliet, Type::None).await;
    assert_eq!(seen.show, Some(Show::Away));
    juliet.send_end().await.unwrap();
    link.close(LIMIT).await;
}

async fn hear(client: &mut Client) -> tokio_xmpp::Event {
    timeout(LIMIT, client.next()).await.unwrap().unwrap()
}

/// Waits for presence of that type from somebody else.
async fn hear_presence(client: &mut Client, type_: Type) -> Presence {
    loop {
        if let tokio_xmpp::Event::Stanza(tokio_xmpp::Stanza::Presence(presence)) =
            hear(client).await
            && presence.type_ == type_
            && presence
                .from
                .as_ref()
                .is_some_and(|from| from.domain().as_str() == DOMAIN)
        {
            return presence;
        }
    }
}

async fn tell(client: &mut Client, presence: Presence) {
    client.send_stanza(presence.into()).await.unwrap();
}
