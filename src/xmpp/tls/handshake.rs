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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Folder, Issued, Leaf, San};
    use crate::xmpp::tls::{CertificateFiles, Identities, LiveCertificates};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::version::{TLS12, TLS13};
    use rustls::{HandshakeKind, SupportedProtocolVersion};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    const VERSIONS: [(&SupportedProtocolVersion, &str); 2] =
        [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")];

    type Client = Result<(client::TlsStream<DuplexStream>, Secured), HandshakeError>;
    type Server = Result<(server::TlsStream<DuplexStream>, Secured), HandshakeError>;

    /// Certificates of ours, in files that can change.
    struct Site {
        folder: Folder,
        root: Authority,
        live: LiveCertificates,
    }

    impl Site {
        fn new(each: &[&[San<'_>]]) -> Self {
            let folder = Folder::new();
            let root = Authority::root("root");
            let own = each.iter().enumerate().map(|(n, names)| {
                let issued = root.issue(Leaf::named(names));
                issued.store(&folder, &n.to_string())
            });
            let files = CertificateFiles {
                own: own.collect(),
                ca_list: Some(folder.write("ca", &root.pem())),
            };
            let live = LiveCertificates::load(files).unwrap();
            Self { folder, root, live }
        }

        fn with<T>(&self, what: impl FnOnce(&Identities) -> T) -> T {
            what(&self.live.current().identities)
        }

        fn client(&self, domain: &str, beginning: Beginning) -> Arc<ClientConfig> {
            self.with(|own| own.client_config(domain, beginning))
        }

        fn server(&self, beginning: Beginning) -> Arc<ServerConfig> {
            self.with(|own| own.server_config(beginning))
        }
    }

    async fn meet(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
        name: &str,
    ) -> (Client, Server) {
        let (here, there) = duplex(64 * 1024);
        tokio::join!(connect(here, client, name), accept(there, server))
    }

    /// The names of the certificate that a peer presented.
    fn names(secured: &Secured) -> String {
        let chain = secured.chain.clone();
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = Issued { chain, key };
        super::super::names::Names::of(&issued.parsed()).to_string()
    }

    fn key(chain: &Issued, key: &Issued) -> Arc<SingleCertAndKey> {
        let key = PrivateKeyDer::try_from(key.key.serialize_der()).unwrap();
        let key = ring::default_provider()
            .key_provider
            .load_private_key(key)
            .unwrap();
        let pair = CertifiedKey::new(chain.chain.clone(), key);
        Arc::new(SingleCertAndKey::from(pair))
    }

    /// Another client than ours: one version only, and it resumes what it can.
    fn foreign_client(
        version: &'static SupportedProtocolVersion,
        key: Option<Arc<SingleCertAndKey>>,
    ) -> ClientConfig {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unjudged(provider)))
            .with_no_client_auth();
        if let Some(key) = key {
            config.client_auth_cert_resolver = key;
        }
        config
    }

    /// Another server than ours: one version only, and it lets resume.
    fn foreign_server(
        version: &'static SupportedProtocolVersion,
        key: Arc<SingleCertAndKey>,
    ) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Unjudged(Arc::clone(&provider)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(key);
        config.ticketer = ring::Ticketer::new().unwrap();
        config
    }

    async fn exchange(
        client: &mut client::TlsStream<DuplexStream>,
        server: &mut server::TlsStream<DuplexStream>,
    ) {
        let mut heard = [0; 4];
        client.write_all(b"ping").await.unwrap();
        client.flush().await.unwrap();
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
        server.write_all(b"pong").await.unwrap();
        server.flush().await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"pong");
    }

    #[tokio::test]
    async fn both_sides_show_their_certificates() {
        let a = Site::new(&[&[San::Dns("a.example")]]);
        let b = Site::new(&[&[San::Dns("b.example")]]);
        for beginning in [Beginning::Starttls, Beginning::Direct] {
            let (client, server) = meet(
                a.client("a.example", beginning),
                b.server(beginning),
                "b.example",
            )
            .await;
            let ((mut client, of_server), (mut server, of_client)) =
                (client.unwrap(), server.unwrap());
            exchange(&mut client, &mut server).await;
            assert_eq!(names(&of_server), "b.example");
            assert_eq!(names(&of_client), "a.example");
            for secured in [&of_server, &of_client] {
                assert_eq!(secured.version, "TLSv1.3");
                assert_eq!(secured.cipher, "TLS13_AES_256_GCM_SHA384");
            }
            let alpn = (beginning == Beginning::Direct).then_some(ALPN);
            assert_eq!(client.get_ref().1.alpn_protocol(), alpn);
            assert_eq!(server.get_ref().1.alpn_protocol(), alpn);
        }
    }

    #[tokio::test]
    async fn each_version_goes_in_each_direction() {
        let a = Site::new(&[&[San::Dns("a.example")]]);
        let issued = a.root.issue(Leaf::named(&[San::Dns("peer.example")]));
        for (version, name) in VERSIONS {
            let server = Arc::new(foreign_server(version, key(&issued, &issued)));
            let config = a.client("a.example", Beginning::Starttls);
            let (client, server) = meet(config, server, "peer.example").await;
            let ((_, of_server), (_, of_client)) = (client.unwrap(), server.unwrap());
            assert_eq!(
                (of_server.version, &*names(&of_server)),
                (name, "peer.example")
            );
            assert_eq!(names(&of_client), "a.example");

            for own in [None, Some(key(&issued, &issued))] {
                let shows = usize::from(own.is_some());
                let config = Arc::new(foreign_client(version, own));
                let (client, server) =
                    meet(config, a.server(Beginning::Starttls), "a.example").await;
                let ((_, of_server), (_, of_client)) = (client.unwrap(), server.unwrap());
                assert_eq!((of_client.version, of_client.chain.len()), (name, shows));
                assert_eq!(names(&of_server), "a.example");
            }
        }
    }

    #[tokio::test]
    async fn a_chain_without_its_key_is_refused() {
        let a = Site::new(&[&[San::Dns("a.example")]]);
        let stolen = a.root.issue(Leaf::named(&[San::Dns("peer.example")]));
        let own = a.root.issue(Leaf::named(&[San::Dns("own.example")]));
        for (version, _) in VERSIONS {
            let server = Arc::new(foreign_server(version, key(&stolen, &own)));
            let config = a.client("a.example", Beginning::Starttls);
            let (client, _) = meet(config, server, "peer.example").await;
            assert!(matches!(client, Err(HandshakeError::PeerCertificate(_))));

            let config = Arc::new(foreign_client(version, Some(key(&stolen, &own))));
            let (_, server) = meet(config, a.server(Beginning::Starttls), "a.example").await;
            assert!(matches!(server, Err(HandshakeError::PeerCertificate(_))));
        }
    }

    #[tokio::test]
    async fn nothing_is_resumed() {
        let a = Site::new(&[&[San::Dns("a.example")]]);
        let issued = a.root.issue(Leaf::named(&[San::Dns("peer.example")]));
        for (version, _) in VERSIONS {
            let server = Arc::new(foreign_server(version, key(&issued, &issued)));
            let client = Arc::new(foreign_client(version, Some(key(&issued, &issued))));
            let ours = a.client("a.example", Beginning::Starttls);
            for (client, server, name, resumes) in [
                (
                    Arc::clone(&client),
                    Arc::clone(&server),
                    "peer.example",
                    true,
                ),
                (ours, server, "peer.example", false),
                (client, a.server(Beginning::Starttls), "a.example", false),
            ] {
                let mut kinds = Vec::new();
                for _ in 0..3 {
                    let (client, server) =
                        meet(Arc::clone(&client), Arc::clone(&server), name).await;
                    let ((mut client, of_server), (mut server, of_client)) =
                        (client.unwrap(), server.unwrap());
                    // Tickets come after the handshake.
                    exchange(&mut client, &mut server).await;
                    kinds.push(client.get_ref().1.handshake_kind());
                    if name == "a.example" {
                        assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);
                    }
                    if !resumes {
                        assert_eq!((of_server.chain.len(), of_client.chain.len()), (1, 1));
                    }
                }
                // The foreign pair does resume, so that this test can fail.
                let resumed = kinds.contains(&Some(HandshakeKind::Resumed));
                assert_eq!(resumed, resumes, "{kinds:?} with {name}");
            }
        }
    }

    #[tokio::test]
    async fn the_name_asked_for_chooses_the_certificate() {
        let site = Site::new(&[
            &[San::Dns("a.example")],
            &[San::Dns("*.a.example")],
            &[San::Dns("x.a.example")],
            &[San::Dns("xn--bcher-kva.example")],
        ]);
        for (asked, header, presented) in [
            ("a.example", None, "a.example"),
            ("x.a.example", None, "x.a.example"),
            ("y.a.example", None, "*.a.example"),
            ("B\u{fc}cher.example", None, "xn--bcher-kva.example"),
            ("unknown.example", None, "a.example"),
            // Without SNI.
            ("192.0.2.1", None, "a.example"),
            ("[2001:db8::1]", None, "a.example"),
            ("192.0.2.1", Some("x.a.example"), "x.a.example"),
            ("a.example", Some("y.a.example"), "*.a.example"),
            ("x.a.example", Some("unknown.example"), "x.a.example"),
        ] {
            let server = match header {
                None => site.server(Beginning::Starttls),
                Some(to) => site.with(|own| own.server_config_for(to, Beginning::Starttls)),
            };
            let client = site.client("a.example", Beginning::Starttls);
            let (client, _server) = meet(client, server, asked).await;
            let (_, of_server) = client.unwrap();
            assert_eq!(names(&of_server), presented, "{asked} {header:?}");
        }
        let (here, _there) = duplex(1024);
        let client = site.client("a.example", Beginning::Starttls);
        let nobody = connect(here, client, "a b.example").await;
        assert!(matches!(nobody, Err(HandshakeError::Name(_))));
    }

    #[tokio::test]
    async fn we_connect_with_the_certificate_of_the_domain() {
        let site = Site::new(&[&[San::Dns("a.example")], &[San::Dns("b.example")]]);
        for (from, presented) in [
            ("a.example", "a.example"),
            ("b.example", "b.example"),
            ("unknown.example", "a.example"),
        ] {
            let client = site.client(from, Beginning::Direct);
            let (_client, server) = meet(client, site.server(Beginning::Direct), "a.example").await;
            assert_eq!(names(&server.unwrap().1), presented);
        }
    }

    #[tokio::test]
    async fn the_protocol_is_told_by_direct_tls_only() {
        let site = Site::new(&[&[San::Dns("a.example")]]);
        for (offered, beginning, taken) in [
            (vec!["xmpp-server"], Beginning::Direct, true),
            (vec!["xmpp-client", "xmpp-server"], Beginning::Direct, true),
            (vec![], Beginning::Direct, true),
            (vec!["xmpp-client"], Beginning::Direct, false),
            (vec!["xmpp-client"], Beginning::Starttls, true),
        ] {
            let mut client = foreign_client(&TLS13, None);
            client.alpn_protocols = offered
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect();
            let (client, server) =
                meet(Arc::new(client), site.server(beginning), "a.example").await;
            assert_eq!(client.is_ok(), taken, "{offered:?} {beginning:?}");
            assert_eq!(server.is_ok(), taken);
            if !taken {
                assert!(matches!(client, Err(HandshakeError::OtherProtocol)));
                assert!(matches!(server, Err(HandshakeError::OtherProtocol)));
            }
        }
    }

    #[tokio::test]
    async fn a_reload_leaves_streams_alone() {
        let site = Site::new(&[&[San::Dns("a.example")]]);
        let server = || site.server(Beginning::Starttls);
        let client = || site.client("a.example", Beginning::Starttls);
        let (old_client, old_server) = meet(client(), server(), "a.example").await;
        let ((mut old_client, _), (mut old_server, _)) = (old_client.unwrap(), old_server.unwrap());
        let anchors = site.live.current().trust.len();

        let replacement = site
            .root
            .issue(Leaf::named(&[San::Dns("a.example"), San::Dns("b.example")]));
        replacement.store(&site.folder, "0");
        let (before, _server) = meet(client(), server(), "a.example").await;
        assert_eq!(names(&before.unwrap().1), "a.example");
        site.live.reload().unwrap();
        let (after, server_after) = meet(client(), server(), "a.example").await;
        assert_eq!(names(&after.unwrap().1), "a.example, b.example");
        assert_eq!(names(&server_after.unwrap().1), "a.example, b.example");
        exchange(&mut old_client, &mut old_server).await;

        // A key that does not fit, and a list of CAs that is gone.
        let stray = site.root.issue(Leaf::named(&[San::Dns("c.example")]));
        site.folder.write("0.key", &stray.key.serialize_pem());
        let fault = site.live.reload().unwrap_err().to_string();
        assert!(fault.contains("does not belong"), "{fault}");
        replacement.store(&site.folder, "0");
        site.folder.write("ca", "");
        let fault = site.live.reload().unwrap_err().to_string();
        assert!(fault.contains("trusted CAs"), "{fault}");
        let (after, _server) = meet(client(), server(), "a.example").await;
        assert_eq!(names(&after.unwrap().1), "a.example, b.example");
        assert_eq!(site.live.current().trust.len(), anchors);
        exchange(&mut old_client, &mut old_server).await;
    }

    #[tokio::test]
    async fn what_is_no_tls_is_told_so() {
        let site = Site::new(&[&[San::Dns("a.example")]]);
        let client = || site.client("a.example", Beginning::Direct);

        let (here, mut there) = duplex(64 * 1024);
        there
            .write_all(b"<?xml version='1.0'?><stream:stream>")
            .await
            .unwrap();
        let fault = connect(here, client(), "a.example").await;
        assert!(matches!(fault, Err(HandshakeError::NotTls)));

        let (here, mut there) = duplex(64 * 1024);
        there
            .write_all(b"<?xml version='1.0'?><stream:stream>")
            .await
            .unwrap();
        let fault = accept(here, site.server(Beginning::Direct)).await;
        assert!(matches!(fault, Err(HandshakeError::NotTls)));

        let (here, there) = duplex(64 * 1024);
        let hang_up = async {
            let mut there = there;
            let mut hello = [0; 16];
            there.read_exact(&mut hello).await.unwrap();
        };
        let (fault, ()) = tokio::join!(connect(here, client(), "a.example"), hang_up);
        assert!(
            matches!(fault, Err(HandshakeError::Ended | HandshakeError::Io(_))),
            "{:?}",
            fault.err()
        );
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_costs_little() {
        use std::future::poll_fn;
        use std::pin::Pin;
        use std::task::Poll;
        use tokio::io::AsyncWrite as _;

        let site = Site::new(&[&[San::Dns("a.example")]]);
        let client = site.client("a.example", Beginning::Starttls);
        let (here, there) = duplex(8 * 1024);
        let (client, _server) = tokio::join!(
            connect(here, client, "a.example"),
            accept(there, site.server(Beginning::Starttls))
        );
        let (mut client, _) = client.unwrap();
        let mut taken = 0;
        let plenty = [b'x'; 4096];
        poll_fn(|context| {
            while let Poll::Ready(written) = Pin::new(&mut client).poll_write(context, &plenty) {
                taken += written.unwrap();
                assert!(taken < 1024 * 1024, "there is no end");
            }
            Poll::Ready(())
        })
        .await;
        assert!(taken <= 8 * 1024 + BUFFER, "{taken} bytes taken");
    }
}
