// SPDX-License-Identifier: GPL-2.0-or-later
//! Streams that we open: to carry a link, kept up while it has something to carry, or to ask an authoritative
//! server about a key.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use crate::xmpp::dns::{Attempts, Connected, Security, Steps};
use crate::xmpp::stream::{CLOSE, Decoder, Reader, Writer};
use crate::xmpp::tls::{self, Beginning, Secured};

use super::dialback::{Answer, Questions};
use super::domain::DomainPair;
use super::failure::Failure;
use super::header::{NS_SERVER, header};
use super::hub::Hub;
use super::initiator::{Goal, Initiator, Means, Step, Terms};
use super::link::Link;
use super::outgoing::Outgoing;
use super::random;
use super::record::{Join, Opener, StreamRecord};
use super::session::{Initiated, Session, Side};
use super::socket;

/// How long what waits for a link that was up is kept while it is made again.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream that is ready for stanzas.
struct Opened {
    reader: Reader<ReadHalf<TlsStream<TcpStream>>>,
    sink: WriteHalf<TlsStream<TcpStream>>,
    writer: Writer,
    terms: Terms,
    /// The id that the server gave the stream.
    id: String,
    tls: &'static str,
    distrust: Option<String>,
    peer: std::net::SocketAddr,
}

/// A stream that is over.
struct Ended {
    failure: Failure,
    lived: Duration,
    /// What was sent last may be lost, unknown to us.
    lossy: bool,
}

/// What a negotiation led to.
#[derive(Debug)]
enum End {
    StartTls,
    Ready(Terms),
    Verified(Answer),
}

/// Carries a link on streams of our own until it rests, or another stream carries it.
///
/// Boxed, as a stream that ends may need others: its type would contain itself.
pub(super) fn keep(hub: Arc<Hub>, link: Arc<Link>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut keeper = Keeper {
            external: true,
            up: None,
            hub,
            link,
        };
        while keeper.goes_on().await {}
    })
}

/// Somebody who sees to one link.
struct Keeper {
    hub: Arc<Hub>,
    link: Arc<Link>,
    /// Whether EXTERNAL is tried.
    external: bool,
    /// When it was up last.
    up: Option<Instant>,
}

impl Keeper {
    /// One connection; false when there is nothing more to do.
    async fn goes_on(&mut self) -> bool {
        // Boxed, as the stream lives on when what made it is over.
        let opening = tokio::select! {
            opening = Box::pin(self.open()) => opening,
            () = self.hub.stopped() => Err(Failure::Stopped),
            () = self.link.closing.notified() => Err(Failure::Stopped),
        };
        match opening {
            Ok(Some(opened)) => self.carry(opened).await,
            Ok(None) => false,
            Err(failure) => Box::pin(self.failed(failure)).await,
        }
    }

    /// A stream for the link; `None` if one that is there takes it along.
    async fn open(&self) -> Result<Option<Box<Opened>>, Failure> {
        if self.joins().await {
            return Ok(None);
        }
        let _permit = self
            .hub
            .connecting
            .acquire()
            .await
            .map_err(|_| Failure::Crowded)?;
        // However many endpoints a domain publishes: others wait for the permit.
        let opening = open(&self.hub, &self.link.pair, self.external);
        timeout(2 * self.hub.timing.handshake, opening)
            .await
            .unwrap_or(Err(Failure::Slow))
            .map(|opened| Some(Box::new(opened)))
    }

    /// Whether a stream to the same server takes the link along, by dialback: only where it would be authenticated by
    /// nothing better on a stream of its own.
    async fn joins(&self) -> bool {
        let pair = &self.link.pair;
        let certificates = self.hub.certificates.current();
        if !self.hub.site.dialback || certificates.identities.naming(&pair.local).is_some() {
            return false;
        }
        let Some(stream) = self.hub.stream_to(&pair.remote) else {
            return false;
        };
        let (taken, answer) = oneshot::channel();
        let join = Join {
            link: Arc::clone(&self.link),
            taken,
        };
        stream.joins.send(join).await.is_ok()
            && matches!(
                timeout(self.hub.timing.handshake, answer).await,
                Ok(Ok(true))
            )
    }

    /// Lets a stream carry the link until it ends; true if another is needed.
    async fn carry(&mut self, opened: Box<Opened>) -> bool {
        let ended = self.converse(opened).await;
        Box::pin(self.ended(ended)).await
    }

    /// A stream is over; true if another is needed.
    async fn ended(&mut self, ended: Ended) -> bool {
        let name = self.link.pair.link();
        let failure = ended.failure;
        tracing::info!(link = %name, reason = %failure, "stream ended");
        self.up = Some(Instant::now());
        if matches!(failure, Failure::Stopped) {
            self.link.disconnected(&failure.to_string(), true);
            let stanzas = self.link.give_up();
            self.hub
                .return_all(&self.link.pair, stanzas, failure.condition())
                .await;
            return false;
        }
        // Whoever the link brought presence of is gone if the other server is: that shows when it is made again.
        let again = !matches!(failure, Failure::Idle);
        let needed = self.link.disconnected(&failure.to_string(), again);
        if again && (ended.lossy || failure.is_violent()) {
            self.hub.tell_down(&self.link, failure.to_string()).await;
        }
        if ended.lived >= self.hub.timing.stable {
            self.link.lasted();
        } else if needed {
            self.pause(PATIENCE).await;
        }
        needed
    }

    /// Waits a while after a failure.
    async fn pause(&self, most: Duration) {
        let pause = self.link.pause(random::number()).min(most);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.hub.stopped() => {}
            () = self.link.closing.notified() => {}
        }
    }

    async fn converse(&mut self, opened: Box<Opened>) -> Ended {
        let (hub, pair) = (&self.hub, &self.link.pair);
        let opened = *opened;
        let outgoing = Outgoing::new(opened.writer, None);
        let (record, joining) =
            StreamRecord::new(hub.number(), Opener::Us, opened.peer, opened.tls, outgoing);
        let terms = opened.terms;
        {
            let mut agreed = record.agreed();
            agreed.pairs.push((pair.clone(), terms.authentication));
            agreed.bidi = terms.bidi;
            agreed.management = terms.management;
            agreed.multiplex = terms.multiplex;
            agreed.distrust = opened.distrust;
        }
        hub.opened(Arc::clone(&record));
        let side = Side::Initiated(Initiated {
            pairs: vec![pair.clone()],
            bidi: terms.bidi,
            id: opened.id,
            joining: Vec::new(),
            questions: Questions::default(),
        });
        let nobody = |_: &str| Err(String::new());
        let mut session = Session::new(hub, &record, opened.reader, side, &nobody, joining, None);
        if terms.management {
            session.managed();
        }
        record.outgoing.carry(Arc::clone(&self.link));
        self.link.connected(record.outgoing.wake());
        self.external = true;
        tracing::info!(link = %pair.link(), peer = %record.peer, by = terms.authentication.as_str(), "stream is up");
        hub.tell_up(&self.link).await;
        let failure = session.run(opened.sink).await;
        hub.ended(&record);
        let lossy = record.outgoing.may_have_lost();
        let mut links = record.outgoing.release();
        links.retain(|link| !Arc::ptr_eq(link, &self.link));
        Box::pin(hub.released(links, &failure, lossy)).await;
        Ended {
            failure,
            lived: record.since.elapsed(),
            lossy,
        }
    }

    /// No stream came about; true if there is to be another attempt.
    async fn failed(&mut self, failure: Failure) -> bool {
        if matches!(failure, Failure::Stopped) {
            let stanzas = self.link.give_up();
            self.hub
                .return_all(&self.link.pair, stanzas, failure.condition())
                .await;
            return false;
        }
        if self.external && self.hub.site.dialback && failure.speaks_for_dialback() {
            tracing::debug!(link = %self.link.pair.link(), reason = %failure, "dialback is tried");
            self.external = false;
            return true;
        }
        self.external = true;
        let patience = self.up.map(|up| PATIENCE.saturating_sub(up.elapsed()));
        if let Some(left) = patience.filter(|left| !left.is_zero()) {
            self.link.stumbled(&failure.to_string());
            self.pause(left).await;
            return self.link.reconnect();
        }
        if self.give_back(&failure).await {
            self.pause(Duration::MAX).await;
            // Whoever still wants it says so by sending.
            self.link.rest_after_pause();
        }
        false
    }

    /// Tells the senders of what waits, and the core. False if another stream carries the link meanwhile.
    async fn give_back(&self, failure: &Failure) -> bool {
        let name = self.link.pair.link();
        let reason = failure.to_string();
        let Some(stanzas) = self.link.failed(&reason, failure.condition()) else {
            return false;
        };
        tracing::info!(link = %name, reason, "no stream can be made");
        self.hub.tell_down(&self.link, reason).await;
        self.hub
            .return_all(&self.link.pair, stanzas, failure.condition())
            .await;
        true
    }
}

/// What the authoritative server of the pair's remote domain says of a key.
pub(super) async fn verify(
    hub: &Hub,
    pair: &DomainPair,
    id: &str,
    key: &str,
) -> Result<Answer, Failure> {
    let goal = Goal::Verify {
        id: id.to_owned(),
        key: key.to_owned(),
    };
    let mut attempts = attempts(hub, pair).await?;
    let mut last = None;
    while let Some(connected) = attempts.next().await {
        let negotiation = Negotiation::new(hub, pair, goal.clone(), means(hub, false));
        match timeout(hub.timing.handshake, negotiation.verify(connected)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) if failure.is_of_endpoint() => last = Some(failure),
            Ok(Err(failure)) => return Err(failure),
            Err(_) => last = Some(Failure::Slow),
        }
    }
    Err(unreachable(last, &attempts))
}

async fn open(hub: &Hub, pair: &DomainPair, external: bool) -> Result<Opened, Failure> {
    let mut attempts = attempts(hub, pair).await?;
    let mut last = None;
    while let Some(connected) = attempts.next().await {
        let negotiation = Negotiation::new(hub, pair, Goal::Stanzas, means(hub, external));
        match timeout(hub.timing.handshake, negotiation.open(connected)).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(failure)) if failure.is_of_endpoint() => last = Some(failure),
            Ok(Err(failure)) => return Err(failure),
            Err(_) => last = Some(Failure::Slow),
        }
    }
    Err(unreachable(last, &attempts))
}

async fn attempts(hub: &Hub, pair: &DomainPair) -> Result<Attempts, Failure> {
    let locator = hub.locator();
    let mut steps = Steps::default();
    let endpoints = locator
        .locate(&pair.remote, &mut steps)
        .await
        .map_err(|error| {
            let words = error.to_string();
            if error.is_temporary() {
                Failure::Unreachable(words)
            } else {
                Failure::NoServer(words)
            }
        })?;
    Ok(Attempts::new(locator, endpoints, steps))
}

fn unreachable(last: Option<Failure>, attempts: &Attempts) -> Failure {
    last.unwrap_or_else(|| Failure::Unreachable(attempts.steps().failures()))
}

fn means(hub: &Hub, external: bool) -> Means {
    Means {
        external,
        dialback: hub.site.dialback,
        bidi: true,
    }
}

/// One connection on its way to a stream.
#[derive(Debug)]
pub(super) struct Negotiation<'a> {
    hub: &'a Hub,
    pair: &'a DomainPair,
    /// What was said, and how far it is.
    pub(super) initiator: Initiator,
    /// What TLS tells of the server, once it is there.
    pub(super) secured: Option<Secured>,
    writer: Option<Writer>,
}

impl<'a> Negotiation<'a> {
    pub(super) fn new(hub: &'a Hub, pair: &'a DomainPair, goal: Goal, means: Means) -> Self {
        Self {
            hub,
            pair,
            initiator: Initiator::new(pair.clone(), goal, means, hub.site.secret.clone()),
            secured: None,
            writer: None,
        }
    }

    async fn open(mut self, connected: Connected) -> Result<Opened, Failure> {
        let peer = connected.peer;
        let (mut reader, tls, begin) = self.secure(connected).await?;
        let End::Ready(terms) = self.negotiate(&mut reader, begin).await? else {
            return Err(Failure::Unexpected("an answer".to_owned()));
        };
        reader.trust();
        let (reader, sink) = reader.into_halves();
        Ok(Opened {
            reader,
            sink,
            writer: self.writer.ok_or(Failure::Domain)?,
            terms,
            id: self.initiator.id().unwrap_or_default().to_owned(),
            tls,
            distrust: self.initiator.trusted().err().map(str::to_owned),
            peer,
        })
    }

    async fn verify(mut self, connected: Connected) -> Result<Answer, Failure> {
        let (mut reader, _, begin) = self.secure(connected).await?;
        let End::Verified(answer) = self.negotiate(&mut reader, begin).await? else {
            return Err(Failure::Unexpected("stanzas".to_owned()));
        };
        take_leave(&mut reader).await;
        Ok(answer)
    }

    /// Goes as far as stanzas could go, and no further.
    pub(super) async fn probe(&mut self, connected: Connected) -> Result<Terms, Failure> {
        let (mut reader, _, begin) = self.secure(connected).await?;
        let End::Ready(terms) = self.negotiate(&mut reader, begin).await? else {
            return Err(Failure::Unexpected("an answer".to_owned()));
        };
        take_leave(&mut reader).await;
        Ok(terms)
    }

    /// TLS, at once or by STARTTLS.
    async fn secure(
        &mut self,
        connected: Connected,
    ) -> Result<(Reader<TlsStream<TcpStream>>, &'static str, Step), Failure> {
        socket::prepare(&connected.stream)?;
        let (stream, beginning) = match connected.endpoint.security {
            Security::Direct => (connected.stream, Beginning::Direct),
            Security::StartTls => {
                let mut reader = self.reader(connected.stream);
                let begin = self.initiator.start();
                let End::StartTls = self.negotiate(&mut reader, begin).await? else {
                    return Err(Failure::NoTls);
                };
                let plain = reader.into_source().ok_or_else(|| {
                    Failure::Unexpected("unencrypted data behind <proceed/>".to_owned())
                })?;
                (plain, Beginning::Starttls)
            }
        };
        let certificates = self.hub.certificates.current();
        let config = certificates
            .identities
            .client_config(&self.pair.local, beginning);
        let (tls, secured) = tls::connect(stream, config, &self.pair.remote)
            .await
            .map_err(Failure::Tls)?;
        let version = secured.version;
        let trusted = certificates
            .trust
            .judge(&secured.chain, &self.pair.remote, UnixTime::now())
            .map_err(|distrust| distrust.to_string());
        self.secured = Some(secured);
        let begin = self.initiator.secured(trusted)?;
        Ok((self.reader(tls), version, begin))
    }

    fn reader<S: AsyncRead + Unpin>(&self, stream: S) -> Reader<S> {
        Reader::small(stream, Decoder::new(NS_SERVER, self.hub.limits))
    }

    async fn negotiate<S>(&mut self, reader: &mut Reader<S>, begin: Step) -> Result<End, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut steps = vec![begin];
        loop {
            for step in steps {
                match step {
                    Step::Open => self.open_stream(reader).await?,
                    Step::Send(element) => {
                        let writer = self.writer.as_mut().ok_or(Failure::Domain)?;
                        let mut bytes = Vec::new();
                        writer
                            .write(&element, &mut bytes)
                            .map_err(|_| Failure::Domain)?;
                        reader.source_mut().write_all(&bytes).await?;
                    }
                    Step::StartTls => return Ok(End::StartTls),
                    Step::Ready(terms) => return Ok(End::Ready(terms)),
                    Step::Verified(answer) => return Ok(End::Verified(answer)),
                }
            }
            reader.source_mut().flush().await?;
            steps = self.initiator.received(reader.next().await?)?;
        }
    }

    async fn open_stream<S>(&mut self, reader: &mut Reader<S>) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut bytes = Vec::new();
        let header = header(Some(&self.pair.local), Some(&self.pair.remote), None);
        self.writer = Some(Writer::open(header, &mut bytes).map_err(|_| Failure::Domain)?);
        reader.restart(Decoder::new(NS_SERVER, self.hub.limits));
        reader.source_mut().write_all(&bytes).await?;
        Ok(())
    }
}

/// Ends a stream on which all is said: it does not matter whether the server hears it.
async fn take_leave(reader: &mut Reader<TlsStream<TcpStream>>) {
    let _ = reader.source_mut().write_all(CLOSE).await;
    let _ = reader.source_mut().shutdown().await;
}
