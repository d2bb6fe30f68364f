// SPDX-License-Identifier: GPL-2.0-or-later
//! A link that stays: connects, and connects again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jid::Jid;
use minidom::Element;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::Component;
use crate::stanza::{Inbound, LinkName, Stanza};

use super::backoff::Backoff;
use super::failure::Failure;
use super::handled::Receipt;
use super::outbox::{Outbox, SendError};
use super::session;
use super::status::{LinkState, LinkStatus, StatusCell};
use super::stream::Limits;
use super::timing::Timing;

/// What a link tells its owner.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all events are stanzas; a box would cost each of them an allocation"
)]
pub enum LinkEvent {
    /// The server accepted the link.
    Up {
        /// The link's name.
        link: LinkName,
    },
    /// The link ended, or could not be made for a reason not yet told.
    Down {
        /// The link's name.
        link: LinkName,
        /// Why, for the operator.
        reason: String,
    },
    /// A legal stanza.
    Stanza {
        /// The stanza, and the link that it came by.
        inbound: Inbound,
        /// To be settled when what the stanza led to is durable; `None` if nobody waits for that.
        receipt: Option<Receipt>,
    },
}

/// A link to an XMPP server, kept up by a task of its own until [`Link::close`]; dropping it ends the
/// connection at once.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    task: JoinSet<()>,
}

/// What the link's task and its owner share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Component,
    pub(super) limits: Limits,
    pub(super) timing: Timing,
    pub(super) outbox: Outbox,
    pub(super) status: StatusCell,
    pub(super) stopping: watch::Sender<bool>,
    /// The operator wants the stream closed, or no more waiting.
    pub(super) closing: Notify,
}

impl Link {
    /// A link as a component (XEP-0114) that takes what is within `limits`. While `events` is full the link
    /// does not read.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn component(config: Component, limits: Limits, events: mpsc::Sender<LinkEvent>) -> Self {
        Self::component_with_timing(config, limits, events, Timing::default())
    }

    /// As [`Self::component`], with other durations than the usual ones.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn component_with_timing(
        config: Component,
        limits: Limits,
        events: mpsc::Sender<LinkEvent>,
        timing: Timing,
    ) -> Self {
        let shared = Arc::new(Shared {
            config,
            limits,
            timing,
            outbox: Outbox::default(),
            status: StatusCell::new(),
            stopping: watch::Sender::new(false),
            closing: Notify::new(),
        });
        let mut task = JoinSet::new();
        task.spawn(keep(Arc::clone(&shared), events));
        Self { shared, task }
    }

    /// The link's name.
    pub fn name(&self) -> LinkName {
        self.shared.name()
    }

    /// Queues a stanza; never waits. A stanza that was queued may still be lost with the connection.
    pub fn send(&self, stanza: Stanza) -> Result<(), SendError> {
        if !belongs(&stanza, &self.shared.config.domain) {
            debug_assert!(false, "a stanza whose addresses do not belong on this link");
            self.shared.status.lock().stanzas_dropped += 1;
            return Err(SendError::Misaddressed);
        }
        self.shared.push(&stanza.into_element())
    }

    /// The link as it stands.
    pub fn status(&self) -> LinkStatus {
        let mut status = self.shared.status.lock().clone();
        status.queue_bytes = self.shared.outbox.bytes();
        status
    }

    /// Closes the stream, if there is one, and connects anew; a pause before another attempt ends.
    pub fn renew(&self) {
        self.shared.closing.notify_waiters();
    }

    /// Writes what is queued, closes the stream and waits for the server to close its side; all `within` a
    /// time, else the connection is cut.
    pub async fn close(mut self, within: Duration) {
        self.shared.stopping.send_replace(true);
        if timeout(within, self.task.join_next()).await.is_err() {
            tracing::debug!(
                link = %self.name(),
                "link cut: the server did not close in time"
            );
        }
    }
}

impl Shared {
    /// The link's name.
    pub(super) fn name(&self) -> LinkName {
        LinkName::component(&self.config.domain)
    }

    /// Queues an element and counts it.
    pub(super) fn push(&self, element: &Element) -> Result<(), SendError> {
        let queued = self.outbox.push(element);
        let mut status = self.status.lock();
        match queued {
            Ok(()) => status.stanzas_out += 1,
            Err(_) => status.stanzas_dropped += 1,
        }
        queued
    }
}

/// Whether a stanza has the addresses that a component's server insists on (XEP-0114 §3).
fn belongs(stanza: &Stanza, domain: &str) -> bool {
    let (from, to) = match stanza {
        Stanza::Presence(presence) => (presence.from.as_ref(), presence.to.as_ref()),
        Stanza::Message(message) => (message.from.as_ref(), message.to.as_ref()),
        Stanza::Iq(iq) => (iq.from(), iq.to()),
    };
    to.is_some() && from.is_some_and(|from: &Jid| from.domain().as_str() == domain)
}

/// The link's task.
async fn keep(shared: Arc<Shared>, events: mpsc::Sender<LinkEvent>) {
    let name = shared.name();
    let mut stopping = shared.stopping.subscribe();
    let mut backoff = Backoff::new(shared.timing.retry_floor, shared.timing.retry_ceiling);
    let mut told = None;
    loop {
        let begin = Instant::now();
        let times_up = shared.status.lock().times_up;
        let failure = attempt(&shared, &events).await;
        let was_up = shared.status.lock().times_up > times_up;
        let lost = shared.outbox.shut();
        let reason = failure.to_string();
        {
            let mut status = shared.status.lock();
            status.stanzas_lost += lost as u64;
            status.last_error = Some(reason.clone());
        }
        if was_up || told.as_ref() != Some(&reason) {
            tracing::info!(link = %name, %reason, "link down");
            told = Some(reason.clone());
            let down = LinkEvent::Down {
                link: name.clone(),
                reason,
            };
            if matches!(failure, Failure::Stopped) {
                // The owner may wait for this task instead of reading its events.
                let _ = events.try_send(down);
            } else if events.send(down).await.is_err() {
                break;
            }
        }
        if matches!(failure, Failure::Stopped) {
            break;
        }
        if was_up && begin.elapsed() >= shared.timing.stable {
            backoff.reset();
        }
        shared.status.enter(LinkState::Waiting);
        let wait = backoff.next(RandomState::new().build_hasher().finish());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.closing.notified() => {}
            () = session::stopped(&mut stopping) => break,
        }
    }
    shared.status.enter(LinkState::Closed);
}

/// One connection, from look-up to end.
async fn attempt(shared: &Shared, events: &mpsc::Sender<LinkEvent>) -> Failure {
    shared.status.enter(LinkState::Connecting);
    let mut stopping = shared.stopping.subscribe();
    let connection = tokio::select! {
        connection = connect(shared) => connection,
        () = session::stopped(&mut stopping) => return Failure::Stopped,
    };
    let connection = match connection {
        Ok(connection) => connection,
        Err(failure) => return failure,
    };
    shared.status.lock().peer = connection.peer_addr().ok();
    shared.status.enter(LinkState::Handshaking);
    let (source, sink) = connection.into_split();
    session::run(source, sink, shared, events).await
}

async fn connect(shared: &Shared) -> Result<TcpStream, Failure> {
    let config = &shared.config;
    let address = || format!("{}:{}", config.host, config.port);
    // An IPv6 address may be written in brackets.
    let host = config.host.trim_matches(['[', ']']);
    let connection = timeout(
        shared.timing.connect,
        TcpStream::connect((host, config.port)),
    )
    .await
    .map_err(|_| Failure::ConnectTimeout { address: address() })?
    .map_err(|source| Failure::Connect {
        address: address(),
        source,
    })?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(30);
    const HEAD: &str = "<stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' id='i' from='sip.test'>";

    /// A server that says and hears plain text.
    struct Server {
        listener: TcpListener,
        connection: Option<TcpStream>,
        heard: String,
    }

    impl Server {
        async fn with_link(patience: Duration) -> (Self, Link, mpsc::Receiver<LinkEvent>) {
            Self::with_timing(Timing {
                silence: patience,
                answer: patience,
                ..Timing::default()
            })
            .await
        }

        async fn with_timing(timing: Timing) -> (Self, Link, mpsc::Receiver<LinkEvent>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let config = Component {
                domain: "sip.test".to_owned(),
                host: "127.0.0.1".to_owned(),
                port: listener.local_addr().unwrap().port(),
                secret: "s".to_owned(),
            };
            let timing = Timing {
                retry_floor: Duration::from_millis(1),
                ..timing
            };
            let (sender, events) = mpsc::channel(4);
            let server = Self {
                listener,
                connection: None,
                heard: String::new(),
            };
            let link =
                Link::component_with_timing(config, Limits::with_stanza(1000), sender, timing);
            (server, link, events)
        }

        async fn connect(&mut self) {
            self.connection = Some(self.listener.accept().await.unwrap().0);
            self.heard.clear();
            self.hear("to='sip.test'").await;
        }

        async fn accept(&mut self) {
            self.connect().await;
            self.say(HEAD).await;
            self.hear("</handshake>").await;
            self.say("<handshake/>").await;
        }

        async fn say(&mut self, text: &str) {
            let connection = self.connection.as_mut().unwrap();
            connection.write_all(text.as_bytes()).await.unwrap();
        }

        async fn hear(&mut self, text: &str) {
            let mut buffer = [0; 4096];
            while !self.heard.contains(text) {
                let connection = self.connection.as_mut().unwrap();
                let length = timeout(LIMIT, connection.read(&mut buffer))
                    .await
                    .unwrap()
                    .unwrap();
                assert_ne!(length, 0, "no {text} in {}", self.heard);
                self.heard
                    .push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
        }
    }

    async fn event(events: &mut mpsc::Receiver<LinkEvent>) -> LinkEvent {
        timeout(LIMIT, events.recv()).await.unwrap().unwrap()
    }

    async fn reason(events: &mut mpsc::Receiver<LinkEvent>) -> String {
        match event(events).await {
            LinkEvent::Down { reason, .. } => reason,
            other @ (LinkEvent::Up { .. } | LinkEvent::Stanza { .. }) => panic!("{other:?}"),
        }
    }

    async fn expect_up(events: &mut mpsc::Receiver<LinkEvent>) {
        let link = LinkName::component("sip.test");
        match event(events).await {
            LinkEvent::Up { link: up } => assert_eq!(up, link),
            other @ (LinkEvent::Down { .. } | LinkEvent::Stanza { .. }) => panic!("{other:?}"),
        }
    }

    fn message(size: usize) -> Stanza {
        let text = format!(
            "<message xmlns='jabber:client' from='a@sip.test' to='b@x.test'><body>{}</body></message>",
            "b".repeat(size)
        );
        Stanza::from_element(text.parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_server_that_does_not_read_fills_the_queue_and_is_still_heard() {
        let (mut server, link, mut events) = Server::with_link(LIMIT).await;
        server.accept().await;
        expect_up(&mut events).await;
        let full = timeout(LIMIT, async {
            loop {
                if let Err(error) = link.send(message(100_000)) {
                    assert_eq!(error, SendError::Full);
                    // Full for good only when the kernel takes no more either.
                    server.say(" ").await;
                    tokio::task::yield_now().await;
                    if link.send(message(100_000)).is_err() {
                        return error;
                    }
                }
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(full.await, Ok(SendError::Full));
        assert!(link.status().queue_bytes <= 1024 * 1024);
        server
            .say("<message from='b@x.test' to='a@sip.test'/>")
            .await;
        assert!(matches!(event(&mut events).await, LinkEvent::Stanza { .. }));
    }

    #[tokio::test]
    async fn a_stream_that_the_operator_closes_ends_in_order_and_comes_again() {
        let (mut server, link, mut events) = Server::with_link(LIMIT).await;
        server.accept().await;
        expect_up(&mut events).await;
        link.renew();
        server.hear("</stream:stream>").await;
        let LinkEvent::Down { reason, .. } = event(&mut events).await else {
            panic!("no end");
        };
        assert_eq!(reason, "closed by the operator");
        server.accept().await;
        expect_up(&mut events).await;
    }

    #[tokio::test]
    async fn a_pause_ends_when_the_operator_wants_it() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Component {
            domain: "sip.test".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: nobody.local_addr().unwrap().port(),
            secret: "s".to_owned(),
        };
        drop(nobody);
        let timing = Timing {
            retry_floor: LIMIT * 1000,
            retry_ceiling: LIMIT * 1000,
            ..Timing::default()
        };
        let (sender, mut events) = mpsc::channel(4);
        let limits = Limits::with_stanza(1000);
        let link = Link::component_with_timing(config, limits, sender, timing);
        assert!(matches!(event(&mut events).await, LinkEvent::Down { .. }));
        timeout(LIMIT, async {
            while link.status().state != LinkState::Waiting {
                tokio::task::yield_now().await;
            }
            while link.status().state == LinkState::Waiting {
                link.renew();
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_core_that_does_not_listen_stops_the_reading_and_is_no_silence() {
        let (mut server, link, mut events) = Server::with_link(Duration::from_millis(50)).await;
        server.accept().await;
        expect_up(&mut events).await;
        for _ in 0..20 {
            server
                .say("<message from='b@x.test' to='a@sip.test'/>")
                .await;
        }
        // Four events fit the channel and one waits; more than silence and answer together go by.
        while link.status().stanzas_in < 5 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(link.status().stanzas_in, 5);
        for _ in 0..20 {
            assert!(matches!(event(&mut events).await, LinkEvent::Stanza { .. }));
        }
    }

    #[tokio::test]
    async fn a_silent_server_is_asked_and_then_left() {
        let (mut server, _link, mut events) = Server::with_link(Duration::from_millis(50)).await;
        server.accept().await;
        expect_up(&mut events).await;
        server.hear("urn:xmpp:ping").await;
        assert_eq!(reason(&mut events).await, Failure::Silent.to_string());
        server.accept().await;
        expect_up(&mut events).await;
    }

    #[tokio::test]
    async fn a_server_that_says_too_much_or_too_little_before_it_accepts_is_left() {
        let most = Limits::with_stanza(1000).untrusted;
        for (length, legal) in [(most, true), (most + 1, false), (most * 10, false)] {
            let (mut server, _link, mut events) = Server::with_link(LIMIT).await;
            server.connect().await;
            server.say(HEAD).await;
            server.hear("</handshake>").await;
            let accepting = "<handshake/>";
            let rest = length - HEAD.len() - accepting.len();
            server.say(&(" ".repeat(rest) + accepting)).await;
            if legal {
                expect_up(&mut events).await;
            } else {
                server.hear("<policy-violation").await;
                assert!(reason(&mut events).await.contains("too much"), "{length}");
            }
        }
        let (mut server, _link, mut events) = Server::with_timing(Timing {
            handshake: Duration::from_millis(50),
            ..Timing::default()
        })
        .await;
        server.connect().await;
        let expected = Failure::HandshakeTimeout.to_string();
        assert_eq!(reason(&mut events).await, expected);
    }

    #[tokio::test]
    async fn an_illegal_stream_is_told_and_made_anew() {
        let (mut server, link, mut events) = Server::with_link(LIMIT).await;
        for (text, condition) in [
            ("<!DOCTYPE a>", "restricted-xml"),
            ("<a></b>", "not-well-formed"),
        ] {
            server.accept().await;
            expect_up(&mut events).await;
            server.say(text).await;
            server
                .hear(&format!(
                    "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'"
                ))
                .await;
            server.hear("</stream:stream>").await;
            assert!(reason(&mut events).await.contains(condition));
        }
        assert_eq!(link.send(message(1)), Err(SendError::Down));
    }

    #[tokio::test]
    async fn closing_writes_what_waits_and_hears_the_server_out() {
        let (mut server, link, mut events) = Server::with_link(LIMIT).await;
        server.accept().await;
        expect_up(&mut events).await;
        link.send(message(1)).unwrap();
        let closing = tokio::spawn(link.close(LIMIT));
        server.hear("</message></stream:stream>").await;
        server
            .say("<message from='b@x.test' to='a@sip.test'/></stream:stream>")
            .await;
        assert!(matches!(event(&mut events).await, LinkEvent::Stanza { .. }));
        timeout(LIMIT, closing).await.unwrap().unwrap();
    }
}
