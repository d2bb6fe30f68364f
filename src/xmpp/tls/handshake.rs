// SPDX-License-Identifier: GPL-2.0-or-later
//! Handshakes of TLS 1.2 and 1.3 (RFC 6120 §5, RFC 7590, XEP-0368).
//!
//! In: a connection, a configuration of [`Identities`](super::Identities). Out: an encrypted stream, and what
//! is known of the peer by it. Nothing is resumed and no data comes before the handshake is done: each
//! connection shows its certificates anew.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ResolvesServerCertUsingSni};
use rustls::{AlertDescription, ClientConfig, CommonState, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::names::a_labels;
use super::unjudged::Unjudged;

/// The protocol's name for ALPN (XEP-0368 §4).
const ALPN: &[u8] = b"xmpp-server";

/// Most bytes that wait, encrypted, for a peer that reads slowly: one full record and a bit.
const BUFFER: usize = 20 * 1024;

/// How TLS begins on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// After `<starttls/>` (RFC 6120 §5): nothing is said of the protocol.
    Starttls,
    /// With the first byte (XEP-0368): ALPN says which protocol.
    Direct,
}

/// What is known of a peer after the handshake.
#[derive(Debug, Clone)]
pub struct Secured {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The chain it presented and has the key of, its own certificate first; not judged.
    pub chain: Vec<CertificateDer<'static>>,
}

/// Why no handshake came about, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// No name for SNI.
    #[error("{0:?} is no name that TLS can ask for")]
    Name(String),
    /// The peer hung up.
    #[error("the peer closed the connection during the TLS handshake")]
    Ended,
    /// The connection broke.
    #[error("the connection failed during the TLS handshake: {0}")]
    Io(io::Error),
    /// The peer sends something else.
    #[error("the peer does not speak TLS here")]
    NotTls,
    /// Versions, ciphers, kinds of key.
    #[error(
        "the peer and the gateway have no version, cipher or kind of key of TLS in common: {0}"
    )]
    NothingInCommon(rustls::Error),
    /// The peer has none for this domain, or does not serve it.
    #[error("the peer has no certificate for the domain (TLS alert unrecognized_name)")]
    UnknownName,
    /// Something else is served there.
    #[error(
        "the peer does not offer XMPP between servers here (TLS alert no_application_protocol)"
    )]
    OtherProtocol,
    /// The peer wants none of our certificate.
    #[error("the peer refuses the gateway's certificate: {0}")]
    CertificateRefused(rustls::Error),
    /// The peer presented a chain of which it does not have the key, or one that cannot be read.
    #[error("the peer's certificate does not fit its handshake: {0}")]
    PeerCertificate(rustls::Error),
    /// Anything else.
    #[error("the TLS handshake failed: {0}")]
    Failed(rustls::Error),
}

/// Opens TLS towards an XMPP domain. Time is limited by the caller.
pub async fn connect<S>(
    stream: S,
    config: Arc<ClientConfig>,
    domain: &str,
) -> Result<(client::TlsStream<S>, Secured), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = server_name(domain).ok_or_else(|| HandshakeError::Name(domain.to_owned()))?;
    let mut stream = TlsConnector::from(config).connect(name, stream).await?;
    let tls = stream.get_mut().1;
    tls.set_buffer_limit(Some(BUFFER));
    let secured = Secured::of(tls);
    Ok((stream, secured))
}

/// Takes TLS from a peer that connected. Time is limited by the caller.
pub async fn accept<S>(
    stream: S,
    config: Arc<ServerConfig>,
) -> Result<(server::TlsStream<S>, Secured), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = TlsAcceptor::from(config).accept(stream).await?;
    let tls = stream.get_mut().1;
    tls.set_buffer_limit(Some(BUFFER));
    let secured = Secured::of(tls);
    Ok((stream, secured))
}

/// The name for SNI: the XMPP domain in A-labels. A literal address goes without.
fn server_name(domain: &str) -> Option<ServerName<'static>> {
    let literal = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(domain);
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Some(ServerName::from(address));
    }
    ServerName::try_from(a_labels(domain)?).ok()
}

impl Secured {
    fn of(tls: &CommonState) -> Self {
        let version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(_) | None => "unknown",
        };
        let cipher = tls
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str());
        Self {
            version,
            cipher: cipher.unwrap_or("unknown"),
            chain: tls.peer_certificates().unwrap_or_default().to_vec(),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Ended;
        }
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self::of(error),
            Err(error) => Self::Io(error),
        }
    }
}

impl HandshakeError {
    fn of(error: rustls::Error) -> Self {
        use rustls::Error;

        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "not our enum, and it may grow"
        )]
        match error {
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_) => Self::NothingInCommon(error),
            Error::NoApplicationProtocol => Self::OtherProtocol,
            Error::InvalidCertificate(_) => Self::PeerCertificate(error),
            Error::AlertReceived(alert) => Self::of_alert(alert),
            _ => Self::Failed(error),
        }
    }

    /// What the peer had to say (RFC 8446 §6.2).
    fn of_alert(alert: AlertDescription) -> Self {
        let error = rustls::Error::AlertReceived(alert);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "not our enum, and it may grow"
        )]
        match alert {
            AlertDescription::UnrecognisedName => Self::UnknownName,
            AlertDescription::NoApplicationProtocol => Self::OtherProtocol,
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity => Self::NothingInCommon(error),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired => Self::CertificateRefused(error),
            _ => Self::Failed(error),
        }
    }
}

/// A configuration for each [`Beginning`].
#[derive(Debug)]
pub(super) struct Either<T> {
    starttls: Arc<T>,
    direct: Arc<T>,
}

impl<T> Either<T> {
    pub(super) fn of(&self, beginning: Beginning) -> Arc<T> {
        Arc::clone(match beginning {
            Beginning::Starttls => &self.starttls,
            Beginning::Direct => &self.direct,
        })
    }
}

/// Makes configurations of handshakes.
#[derive(Debug)]
pub(super) struct Handshakes {
    provider: Arc<CryptoProvider>,
    client: ClientConfig,
    server: ServerConfig,
}

impl Handshakes {
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let verifier = Arc::new(Unjudged(Arc::clone(&provider)));
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Unjudged>::clone(&verifier))
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self {
            provider,
            client,
            server,
        })
    }

    pub(super) fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// For connections that we open with this certificate.
    pub(super) fn connecting(&self, key: Arc<dyn ResolvesClientCert>) -> Either<ClientConfig> {
        let mut starttls = self.client.clone();
        starttls.client_auth_cert_resolver = key;
        let mut direct = starttls.clone();
        direct.alpn_protocols = vec![ALPN.to_vec()];
        Either {
            starttls: Arc::new(starttls),
            direct: Arc::new(direct),
        }
    }

    /// For connections that come; the peer is asked for its certificate and may have none.
    pub(super) fn accepting(&self, key: Arc<dyn ResolvesServerCert>) -> Either<ServerConfig> {
        let mut starttls = self.server.clone();
        starttls.cert_resolver = key;
        let mut direct = starttls.clone();
        direct.alpn_protocols = vec![ALPN.to_vec()];
        Either {
            starttls: Arc::new(starttls),
            direct: Arc::new(direct),
        }
    }
}
