// SPDX-License-Identifier: GPL-2.0-or-later
//! Streams that other servers open to us.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::xmpp::stream::{CLOSE, Decoder, Reader, StreamError, Writer};
use crate::xmpp::tls::{self, Beginning};

use super::failure::Failure;
use super::header::{NS_SERVER, header};
use super::hub::Hub;
use super::outgoing::Outgoing;
use super::random;
use super::record::{Opener, StreamRecord};
use super::responder::{Responder, Step};
use super::session::{Session, Side};
use super::socket;

/// How long to wait when the system has no descriptor left for another connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes connections until the gateway ends.
pub(super) async fn listen(hub: Arc<Hub>, listener: TcpListener, beginning: Beginning) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = hub.stopped() => return,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Err(limit) = hub.admission().enter(peer.ip(), Instant::now()) {
            hub.reached(limit);
            continue;
        }
        hub.accepted();
        let visit = Visit {
            hub: Arc::clone(&hub),
            address: peer.ip(),
        };
        hub.spawn(serve(visit, stream, peer, beginning));
    }
}

/// A connection that was let in; it leaves when this is dropped.
struct Visit {
    hub: Arc<Hub>,
    address: IpAddr,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.hub.admission().leave(self.address);
    }
}

async fn serve(visit: Visit, stream: TcpStream, peer: SocketAddr, beginning: Beginning) {
    let hub = &visit.hub;
    let deadline = Instant::now() + hub.timing.handshake;
    let responder = Box::new(Responder::new(hub.site.clone(), random::id));
    // Boxed, as the stream lives on when what made it is over.
    let securing = Box::pin(secure(hub, stream, beginning, responder));
    let secured = timeout_at(deadline, securing).await;
    let failure = match secured {
        Ok(Ok(secured)) => Box::pin(converse(hub, secured, peer, deadline)).await,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::Slow,
    };
    tracing::debug!(%peer, reason = %failure, "accepted stream ended");
}

/// A connection behind TLS.
struct Connection {
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    secured: tls::Secured,
    responder: Box<Responder>,
}

async fn secure(
    hub: &Hub,
    stream: TcpStream,
    beginning: Beginning,
    mut responder: Box<Responder>,
) -> Result<Connection, Failure> {
    socket::prepare(&stream)?;
    let stream = match beginning {
        Beginning::Direct => stream,
        Beginning::Starttls => {
            let mut reader = Reader::small(stream, Decoder::new(NS_SERVER, hub.limits));
            match starttls(&mut reader, &mut responder).await {
                Ok(()) => reader.into_source().ok_or_else(|| {
                    Failure::Unexpected("unencrypted data behind <starttls/>".to_owned())
                })?,
                Err(failure) => {
                    // It may be gone already.
                    let _ = timeout(hub.timing.parting, reader.source_mut().shutdown()).await;
                    return Err(failure);
                }
            }
        }
    };
    let certificates = hub.certificates.current();
    let config = match responder.wanted() {
        Some(domain) => certificates.identities.server_config_for(domain, beginning),
        None => certificates.identities.server_config(beginning),
    };
    let (stream, secured) = tls::accept(stream, config).await.map_err(Failure::Tls)?;
    responder.secured();
    Ok(Connection {
        stream,
        secured,
        responder,
    })
}

/// What comes before TLS: a header, and `<starttls/>`.
async fn starttls(
    reader: &mut Reader<TcpStream>,
    responder: &mut Responder,
) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let mut opening = Vec::new();
    let mut writer =
        Writer::open(header(None, None, None), &mut opening).map_err(|_| Failure::Domain)?;
    let mut opened = false;
    let untrusted = |_: &str| Err(String::new());
    loop {
        let steps = match reader.next().await.map_err(Failure::from) {
            Ok(received) => responder
                .received(received, &untrusted)
                .map_err(Failure::Illegal),
            Err(failure) => Err(failure),
        };
        let steps = match steps {
            Ok(steps) => steps,
            Err(failure) => {
                if let Some(error) = failure.fault_of_peer() {
                    if !opened {
                        bytes.append(&mut opening);
                    }
                    say_error(reader, &mut writer, &error, bytes).await;
                }
                return Err(failure);
            }
        };
        for step in steps {
            match step {
                Step::Open { from, to, id } => {
                    let header = header(from.as_deref(), to.as_deref(), Some(&id));
                    writer = Writer::open(header, &mut bytes).map_err(|_| Failure::Domain)?;
                    opened = true;
                }
                Step::Send(element) => {
                    writer
                        .write(&element, &mut bytes)
                        .map_err(|_| Failure::Domain)?;
                }
                Step::StartTls => {
                    let proceed = minidom::Element::bare("proceed", xmpp_parsers::ns::TLS);
                    writer
                        .write(&proceed, &mut bytes)
                        .map_err(|_| Failure::Domain)?;
                    reader.source_mut().write_all(&bytes).await?;
                    return Ok(());
                }
                Step::Close
                | Step::Restart
                | Step::Verify { .. }
                | Step::Proven { .. }
                | Step::Stanza { .. }
                | Step::Refused { .. }
                | Step::Management(_) => {
                    bytes.extend_from_slice(CLOSE);
                    reader.source_mut().write_all(&bytes).await?;
                    return Err(Failure::Closed);
                }
            }
        }
        reader.source_mut().write_all(&bytes).await?;
        bytes.clear();
    }
}

async fn say_error(
    reader: &mut Reader<TcpStream>,
    writer: &mut Writer,
    error: &StreamError,
    mut bytes: Vec<u8>,
) {
    if writer.write(&error.to_element(), &mut bytes).is_ok() {
        bytes.extend_from_slice(CLOSE);
        // Nobody is left to be told when this fails.
        let _ = reader.source_mut().write_all(&bytes).await;
    }
}

async fn converse(
    hub: &Arc<Hub>,
    connection: Connection,
    peer: SocketAddr,
    deadline: Instant,
) -> Failure {
    let Connection {
        stream,
        secured,
        responder,
    } = connection;
    let mut opening = Vec::new();
    let ours = responder.wanted().map(str::to_owned);
    let Ok(writer) = Writer::open(
        header(ours.as_deref(), None, Some(&random::id())),
        &mut opening,
    ) else {
        return Failure::Domain;
    };
    let outgoing = Outgoing::new(writer, Some(opening));
    let (record, joining) =
        StreamRecord::new(hub.number(), Opener::Them, peer, secured.version, outgoing);
    hub.opened(Arc::clone(&record));
    let certificates = hub.certificates.current();
    let judge = |domain: &str| {
        let judged = certificates
            .trust
            .judge(&secured.chain, domain, UnixTime::now())
            .map_err(|distrust| distrust.to_string());
        record.agreed().distrust = judged.as_ref().err().cloned();
        judged
    };
    let reader = Reader::small(stream, Decoder::new(NS_SERVER, hub.limits));
    let (reader, sink) = reader.into_halves();
    let side = Side::Accepted(responder);
    let session = Session::new(hub, &record, reader, side, &judge, joining, Some(deadline));
    let failure = session.run(sink).await;
    hub.ended(&record);
    let links = record.outgoing.release();
    let lossy = record.outgoing.may_have_lost();
    Box::pin(hub.released(links, &failure, lossy)).await;
    failure
}
