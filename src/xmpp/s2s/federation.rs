// SPDX-License-Identifier: GPL-2.0-or-later
//! The gateway as the runtime sees it on the federation: opened, given stanzas, asked, closed.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::config::{Config, Reached};
use crate::stanza::{LinkName, Stanza};
use crate::xmpp::dns::{Locator, ResolverError};
use crate::xmpp::outbox::SendError;
use crate::xmpp::tls::{
    Beginning, CertificateFiles, Identity, KeyFiles, LiveCertificates, LoadError,
};
use crate::xmpp::{LinkEvent, Timing};

use super::check::{CheckError, Desk, Report};
use super::dialback::Secret;
use super::domain::DomainPair;
use super::hub::Hub;
use super::record::{Opener, StreamRecord};
use super::site::Site;
use super::{inbound, random, validity};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why the federation cannot be joined, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// Certificates, keys, authorities.
    #[error(transparent)]
    Certificates(#[from] LoadError),
    /// The way to DNS.
    #[error("cannot ask DNS: {0}")]
    Resolver(#[from] ResolverError),
    /// A listening address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random,
}

/// All server-to-server links.
#[derive(Debug, Clone)]
pub struct Federation {
    hub: Arc<Hub>,
    desk: Arc<Desk>,
}

/// One link or stream, for the operator.
#[derive(Debug, Clone, Default)]
pub struct StreamView {
    /// The link's name; that of the first pair, or empty while none is authenticated.
    pub link: String,
    /// `out`, `in` or `both`; empty for a link without a stream.
    pub direction: &'static str,
    /// Where it stands.
    pub state: &'static str,
    /// `external` or `dialback`, by pair if they differ.
    pub authentication: String,
    /// The version of TLS.
    pub tls: &'static str,
    /// The other server's address.
    pub peer: Option<SocketAddr>,
    /// Why the other server's certificate proves nothing, if it does not.
    pub distrust: String,
    /// Whether stanzas are acknowledged.
    pub acknowledged: bool,
    /// Bytes that wait.
    pub queue_bytes: usize,
    /// Stanzas received.
    pub stanzas_in: u64,
    /// Stanzas sent.
    pub stanzas_out: u64,
    /// Since when it is so.
    pub since: Option<Instant>,
    /// Why there is no stream, or the last one ended.
    pub last_error: String,
}

/// One of our certificates, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateView {
    /// Its file.
    pub file: PathBuf,
    /// What it names, in words.
    pub names: String,
    /// Whole days until it ends; negative when it has ended.
    pub days_left: i64,
    /// Those of our domains that it names.
    pub domains: Vec<String>,
}

/// Streams that stanzas may go on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamsUp {
    /// Those that we opened.
    pub out: u64,
    /// Those that other servers opened.
    pub in_: u64,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FederationTotals {
    /// Stanzas received.
    pub stanzas_in: u64,
    /// Stanzas sent.
    pub stanzas_out: u64,
    /// Stanzas received that were answered with an error or dropped.
    pub stanzas_refused: u64,
    /// Stanzas that came back to their senders.
    pub stanzas_returned: u64,
    /// Connections of other servers that were taken.
    pub accepted: u64,
    /// Limits, and how often each was reached.
    pub reached: Reached,
}

impl Federation {
    /// Opens the listeners; to be called within the tokio runtime.
    pub fn join(
        config: Arc<Config>,
        timing: Timing,
        events: mpsc::Sender<LinkEvent>,
    ) -> Result<Self, FederationError> {
        let secret = Secret::new(&random::secret().map_err(|_| FederationError::Random)?);
        let site = Site::new(Arc::clone(&config), secret);
        let certificates = LiveCertificates::load(files(&config))?;
        let locator = Locator::new(&config.resolvers)?;
        let mut listeners = Vec::new();
        for (addresses, beginning) in [
            (&config.listen, Beginning::Starttls),
            (&config.listen_tls, Beginning::Direct),
        ] {
            for address in addresses {
                let listener = listener(*address).map_err(|source| FederationError::Listen {
                    address: *address,
                    source,
                })?;
                listeners.push((listener, beginning));
            }
        }
        let hub = Hub::new(config, site, certificates, locator, timing, events);
        for (listener, beginning) in listeners {
            hub.spawn(inbound::listen(Arc::clone(&hub), listener, beginning));
        }
        validity::name_the_unnamed(&hub);
        hub.spawn(validity::watch(Arc::clone(&hub)));
        Ok(Self {
            hub,
            desk: Arc::default(),
        })
    }

    /// Sends a stanza; never waits. What cannot be delivered comes back as an error from its addressee.
    pub fn send(&self, local: &str, remote: &str, stanza: Stanza) -> Result<(), SendError> {
        let pair = DomainPair::new(local, remote);
        self.hub.send(&pair, &stanza.into_element())
    }

    /// Every link and stream.
    pub fn view(&self) -> Vec<StreamView> {
        let streams = self.hub.streams();
        let mut views: Vec<_> = streams.iter().map(|stream| self.stream(stream)).collect();
        for link in self.hub.links() {
            let state = link.state();
            if state != "up" {
                let tally = link.tally();
                views.push(StreamView {
                    link: link.pair.link().to_string(),
                    state,
                    queue_bytes: link.bytes(),
                    stanzas_out: tally.stanzas_out,
                    since: tally.since,
                    last_error: tally.last_error.unwrap_or_default(),
                    ..StreamView::default()
                });
            }
        }
        views
    }

    fn stream(&self, stream: &StreamRecord) -> StreamView {
        let agreed = stream.agreed().clone();
        let ways: Vec<_> = agreed.pairs.iter().map(|(_, how)| how.as_str()).collect();
        let same = ways.windows(2).all(|pair| pair[0] == pair[1]);
        StreamView {
            link: agreed
                .pairs
                .iter()
                .map(|(pair, _)| pair.link().to_string())
                .collect::<Vec<_>>()
                .join(" "),
            direction: match (stream.opener, agreed.bidi) {
                (_, true) => "both",
                (Opener::Us, false) => "out",
                (Opener::Them, false) => "in",
            },
            state: if ways.is_empty() { "handshaking" } else { "up" },
            authentication: if same {
                ways.first().copied().unwrap_or_default().to_owned()
            } else {
                ways.join(" ")
            },
            tls: stream.tls,
            peer: Some(stream.peer),
            distrust: agreed.distrust.unwrap_or_default(),
            acknowledged: agreed.management,
            queue_bytes: stream
                .outgoing
                .links()
                .iter()
                .map(|link| link.bytes())
                .sum(),
            stanzas_in: stream.stanzas_in(),
            stanzas_out: stream.outgoing.stanzas(),
            since: Some(stream.since),
            last_error: String::new(),
        }
    }

    /// How many streams stanzas may go on now.
    pub fn streams_up(&self) -> StreamsUp {
        let mut up = StreamsUp::default();
        for stream in self.hub.streams() {
            if stream.agreed().pairs.is_empty() {
                continue;
            }
            match stream.opener {
                Opener::Us => up.out += 1,
                Opener::Them => up.in_ += 1,
            }
        }
        up
    }

    /// How many links a stream carries now.
    pub fn links_up(&self) -> u64 {
        let up = self
            .hub
            .links()
            .into_iter()
            .filter(|link| link.state() == "up");
        up.map(|_| 1).sum()
    }

    /// Counters.
    pub fn totals(&self) -> FederationTotals {
        let totals = self.hub.totals();
        FederationTotals {
            stanzas_in: totals.stanzas_in,
            stanzas_out: totals.stanzas_out,
            stanzas_refused: totals.stanzas_refused,
            stanzas_returned: totals.stanzas_returned,
            accepted: totals.accepted,
            reached: totals.reached,
        }
    }

    /// How a domain can be reached: `text` is the domain, or the name of a link. `None` while that is being found
    /// out; to be asked again.
    pub fn check(&self, text: &str) -> Result<Option<Report>, CheckError> {
        self.desk.ask(&self.hub, text)
    }

    /// Closes what there is of a link: what waits goes back to its senders. False if there is no such link.
    pub fn close_link(&self, name: &LinkName) -> bool {
        let mut any = false;
        for stream in self.hub.streams() {
            let carries = stream
                .agreed()
                .pairs
                .iter()
                .any(|(pair, _)| pair.link() == *name);
            if carries {
                stream.closing.notify_one();
                any = true;
            }
        }
        for link in self.hub.links() {
            if link.pair.link() == *name {
                // A link at rest has nobody who would hear it, and must not hear it later.
                link.closing.notify_waiters();
                any = true;
            }
        }
        any
    }

    /// Reads certificates, keys and authorities anew, and how to ask DNS. Streams stay. What cannot be read stays as
    /// it was.
    pub fn reload(&self) -> impl Future<Output = Result<(), FederationError>> + Send + use<> {
        let hub = Arc::clone(&self.hub);
        async move {
            let locator = Locator::new(&hub.config.resolvers)?;
            let reading = Arc::clone(&hub);
            let read = spawn_blocking(move || reading.certificates.reload());
            // It fails only by a panic, which has aborted the process, or when the gateway ends.
            read.await.unwrap_or(Ok(()))?;
            hub.relocate(locator);
            validity::look(&hub, UnixTime::now());
            validity::name_the_unnamed(&hub);
            Ok(())
        }
    }

    /// Our certificates, in the order of the parameters.
    pub fn certificates(&self) -> Vec<CertificateView> {
        let domains: Vec<_> = self.hub.config.s2s_domains().map(Cow::into_owned).collect();
        let now = UnixTime::now();
        let certificates = self.hub.certificates.current();
        let view = |own: &Identity| CertificateView {
            file: own.certificate().to_owned(),
            names: own.names(),
            days_left: own.days_left(now),
            domains: own
                .covered(&domains)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        };
        certificates.identities.iter().map(view).collect()
    }

    /// Closes all streams, within that time.
    pub async fn close(self, within: Duration) {
        self.hub.stopping.send_replace(true);
        let mut tasks = self.hub.tasks();
        let closed = async { while tasks.join_next().await.is_some() {} };
        // What does not end in time is cut.
        let _ = timeout(within, closed).await;
    }
}

fn files(config: &Config) -> CertificateFiles {
    let pairs = config.certificates.iter().zip(&config.private_keys);
    CertificateFiles {
        ca_list: config.ca_list.clone(),
        own: pairs
            .map(
                |(certificate, private_key): (&PathBuf, &PathBuf)| KeyFiles {
                    certificate: certificate.clone(),
                    private_key: private_key.clone(),
                },
            )
            .collect(),
    }
}

fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A gateway process that starts again finds connections of its predecessor still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
