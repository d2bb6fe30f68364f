// SPDX-License-Identifier: GPL-2.0-or-later
//! One stream from handshake to end. Reading and writing wait independently, so that a peer that does not
//! read never keeps us from reading.

use std::pin::pin;

use minidom::Element;
use rxml::xml_ncname;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use xmpp_parsers::ns::JABBER_CLIENT;

use crate::stanza::{Inbound, Stanza};

use super::component::{self, NS_COMPONENT};
use super::failure::Failure;
use super::link::{LinkEvent, Shared};
use super::status::LinkState;
use super::stream::{Decoder, Reader, Received};

/// Runs a stream on a connection just made until it ends; says why it ended. [`LinkEvent::Up`] is sent when
/// the server accepts, [`LinkEvent::Down`] is left to the caller.
pub(super) async fn run<R, W>(
    source: R,
    mut sink: W,
    shared: &Shared,
    events: &mpsc::Sender<LinkEvent>,
) -> Failure
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = Reader::new(source, Decoder::new(NS_COMPONENT, shared.limits));
    let mut stopping = shared.stopping.subscribe();
    let handshake = component::handshake(&mut reader, &mut sink, &shared.config);
    let negotiated = tokio::select! {
        negotiated = timeout(shared.timing.handshake, handshake) => negotiated,
        () = stopped(&mut stopping) => return Failure::Stopped,
    };
    let writer = match negotiated {
        Ok(Ok(writer)) => writer,
        Ok(Err(failure)) => {
            if let Failure::Illegal(error) = &failure {
                let part = component::part(&mut sink, error);
                // Out of time, the connection is dropped untold.
                let _ = timeout(shared.timing.parting, part).await;
            }
            return failure;
        }
        Err(_) => return Failure::HandshakeTimeout,
    };
    shared.outbox.open(writer);
    shared.status.enter(LinkState::Up);
    let up = LinkEvent::Up {
        link: shared.name(),
    };
    if events.send(up).await.is_err() {
        return Failure::Stopped;
    }

    let mut reading = pin!(Receiver::new(&mut reader, shared, events).run());
    let mut writing = pin!(shared.outbox.drain(&mut sink));
    let failure = tokio::select! {
        failure = &mut reading => failure,
        written = &mut writing => match written {
            Ok(()) => Failure::Stopped,
            Err(error) => Failure::Io(error),
        },
        () = shared.closing.notified() => Failure::Renewed,
        () = stopped(&mut stopping) => {
            shared.outbox.finish(None);
            // Both go on until the peer has closed its side too; the owner limits the time.
            let (_, _) = tokio::join!(&mut reading, &mut writing);
            return Failure::Stopped;
        }
    };
    if failure.leaves_peer_listening() {
        shared.outbox.finish(failure.fault_of_peer());
        // Out of time, the connection is dropped with the rest unsaid.
        let _ = timeout(shared.timing.parting, writing).await;
    }
    failure
}

/// Waits until the owner wants the link closed.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // It fails only when the owner is gone, who takes this task with him.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The reading side with its keep-alive (XEP-0199).
struct Receiver<'a, R> {
    reader: &'a mut Reader<R>,
    shared: &'a Shared,
    events: &'a mpsc::Sender<LinkEvent>,
    ping: Option<Ping>,
    pings: u64,
    /// When reading went on after the core had taken the last stanza: its slowness is no silence.
    resumed: Instant,
}

struct Ping {
    id: String,
    sent: Instant,
}

impl<'a, R: AsyncRead + Unpin> Receiver<'a, R> {
    fn new(
        reader: &'a mut Reader<R>,
        shared: &'a Shared,
        events: &'a mpsc::Sender<LinkEvent>,
    ) -> Self {
        Self {
            reader,
            shared,
            events,
            ping: None,
            pings: 0,
            resumed: Instant::now(),
        }
    }

    async fn run(mut self) -> Failure {
        loop {
            let deadline = self.deadline();
            let Ok(received) = timeout_at(deadline, self.reader.next()).await else {
                if self.deadline() > deadline {
                    continue;
                }
                if self.ping.is_some() {
                    return Failure::Silent;
                }
                self.send_ping();
                continue;
            };
            match received {
                Ok(Received::Content(element)) => {
                    if let Err(failure) = self.take(element).await {
                        return failure;
                    }
                    self.resumed = Instant::now();
                }
                Ok(Received::Refused(refused)) => {
                    tracing::debug!(link = %self.shared.config.domain, why = %refused.excess, "stanza skipped");
                    self.shared
                        .status
                        .lock()
                        .reached
                        .count(refused.excess.into());
                    self.refuse(refused.reply.as_ref());
                }
                Ok(Received::Other(_) | Received::Header(_)) => self.refuse(None),
                Ok(Received::Error(error)) => return Failure::Error(error),
                Ok(Received::Closed) => return Failure::Closed,
                Err(error) => return error.into(),
            }
        }
    }

    /// Until when something must be heard. Whatever was heard since the ping answers it.
    fn deadline(&mut self) -> Instant {
        let heard = self.reader.heard();
        if self.ping.as_ref().is_some_and(|ping| heard > ping.sent) {
            self.ping = None;
        }
        match &self.ping {
            Some(ping) => ping.sent.max(self.resumed) + self.shared.timing.answer,
            None => heard.max(self.resumed) + self.shared.timing.silence,
        }
    }

    /// The ping goes to the component's own domain, so the server sends it back to us: that needs no other
    /// domain to be known or reachable, and any answer at all shows that the server lives.
    fn send_ping(&mut self) {
        self.pings += 1;
        let ping = Ping {
            id: format!("keep-alive-{}", self.pings),
            sent: Instant::now(),
        };
        let domain = self.shared.config.domain.as_str();
        let element = Element::builder("iq", JABBER_CLIENT)
            .attr(xml_ncname!("type").into(), "get")
            .attr(xml_ncname!("from").into(), domain)
            .attr(xml_ncname!("to").into(), domain)
            .attr(xml_ncname!("id").into(), ping.id.as_str())
            .append(Element::bare("ping", xmpp_parsers::ns::PING))
            .build();
        // When the queue is full the server has not read for long: no answer will come, as is right.
        let _ = self.shared.outbox.push(&element);
        self.ping = Some(ping);
    }

    /// Whether this is a ping of ours come back, or an answer to it; only the server itself can say `from`
    /// our domain.
    fn is_keep_alive(&self, element: &Element) -> bool {
        element.name() == "iq"
            && element.attr("from") == Some(self.shared.config.domain.as_str())
            && element
                .attr("id")
                .and_then(|id| id.strip_prefix("keep-alive-"))
                .and_then(|n| n.parse().ok())
                .is_some_and(|n: u64| (1..=self.pings).contains(&n))
    }

    async fn take(&self, element: Element) -> Result<(), Failure> {
        if self.is_keep_alive(&element) {
            return Ok(());
        }
        match Stanza::from_element(element) {
            Ok(stanza) => {
                self.shared.status.lock().stanzas_in += 1;
                let link = self.shared.name();
                let event = LinkEvent::Stanza {
                    inbound: Inbound { link, stanza },
                    receipt: None,
                };
                self.events.send(event).await.map_err(|_| Failure::Stopped)
            }
            Err(unreadable) => {
                tracing::debug!(link = %self.shared.config.domain, why = %unreadable.why, "stanza refused");
                self.refuse(unreadable.reply.as_ref());
                Ok(())
            }
        }
    }

    fn refuse(&self, reply: Option<&Element>) {
        self.shared.status.lock().stanzas_refused += 1;
        if let Some(reply) = reply {
            // The sender goes without an answer when the queue is full; that is counted.
            let _ = self.shared.push(reply);
        }
    }
}
