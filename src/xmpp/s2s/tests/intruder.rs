// SPDX-License-Identifier: GPL-2.0-or-later
//! Somebody who speaks raw bytes: to a gateway, or as the server that a gateway comes to.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::xmpp::tls::{self, Beginning, Certificates};

use super::node::{Certificate, Net};

/// Whatever is awaited has come by then.
const LIMIT: Duration = Duration::from_secs(30);

/// Who speaks.
pub(super) struct Intruder {
    domain: &'static str,
    certificates: Certificates,
    listener: TcpListener,
}

/// What a connection is made of, TCP or TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire for S {}

/// A connection, and what came over it.
pub(super) struct Line<S> {
    stream: S,
    heard: String,
}

impl Intruder {
    /// With a certificate, and an address to which DNS leads for its domain.
    pub(super) async fn new(net: &Net, domain: &'static str, kind: Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        net.lead(domain, listener.local_addr().unwrap()).await;
        Self {
            domain,
            certificates: net.certificates(domain, kind),
            listener,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// A stream header from this domain.
    pub(super) fn header(&self, to: &str) -> String {
        header(self.domain, to)
    }

    /// A connection on which TLS is there, and nothing was said since.
    pub(super) async fn secured(&self, to: SocketAddr, domain: &str) -> Line<impl Wire + use<>> {
        let mut line = Line::connect(to).await;
        line.say(&self.header(domain)).await;
        line.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        line.hear("<proceed").await;
        let identities = &self.certificates.identities;
        let config = identities.client_config(self.domain, Beginning::Starttls);
        let (stream, _) = tls::connect(line.stream, config, domain).await.unwrap();
        Line::new(stream)
    }

    /// A connection on which the features of a secure stream were heard.
    pub(super) async fn opened(&self, to: SocketAddr, domain: &str) -> Line<impl Wire + use<>> {
        let mut line = self.secured(to, domain).await;
        line.say(&self.header(domain)).await;
        line.hear("</stream:features>").await;
        line
    }

    /// A connection authenticated by EXTERNAL.
    pub(super) async fn authenticated(
        &self,
        to: SocketAddr,
        domain: &str,
    ) -> Line<impl Wire + use<>> {
        self.authenticated_with("", to, domain).await
    }

    /// A connection authenticated by EXTERNAL, over which stanzas go both ways and are acknowledged.
    pub(super) async fn managed_bidi(
        &self,
        to: SocketAddr,
        domain: &str,
    ) -> Line<impl Wire + use<>> {
        let bidi = "<bidi xmlns='urn:xmpp:bidi'/>";
        let mut line = self.authenticated_with(bidi, to, domain).await;
        line.say("<enable xmlns='urn:xmpp:sm:3'/>").await;
        line.hear("<enabled").await;
        line
    }

    async fn authenticated_with(
        &self,
        more: &str,
        to: SocketAddr,
        domain: &str,
    ) -> Line<impl Wire + use<>> {
        let mut line = self.opened(to, domain).await;
        line.say(more).await;
        line.say(AUTH).await;
        line.hear("<success").await;
        line.say(&self.header(domain)).await;
        line.hear("</stream:features>").await;
        line
    }

    /// The next connection of somebody, as TCP.
    pub(super) async fn accept(&self) -> Line<TcpStream> {
        let accepted = timeout(LIMIT, self.listener.accept()).await;
        Line::new(accepted.unwrap().unwrap().0)
    }

    /// The next connection of somebody, behind TLS and with a header read.
    pub(super) async fn accept_secured(&self, of: &str) -> Line<impl Wire + use<>> {
        let mut line = self.accept().await;
        line.hear_header().await;
        line.say(&self.answer(of)).await;
        line.say("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")
            .await;
        line.hear("<starttls").await;
        line.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        let config = self
            .certificates
            .identities
            .server_config(Beginning::Starttls);
        let (stream, _) = tls::accept(line.stream, config).await.unwrap();
        let mut line = Line::new(stream);
        line.hear_header().await;
        line.say(&self.answer(of)).await;
        line
    }

    /// The next connection of somebody, who may send stanzas.
    pub(super) async fn accept_authenticated(&self, of: &str) -> Line<impl Wire + use<>> {
        self.accept_offering(of, "").await
    }

    /// The next connection of somebody, who may send stanzas and is to hear some.
    pub(super) async fn accept_bidi(&self, of: &str) -> Line<impl Wire + use<>> {
        self.accept_offering(of, BIDI).await
    }

    /// The next connection of somebody, to whom stanzas are said to be acknowledged.
    pub(super) async fn accept_managed(&self, of: &str) -> Line<impl Wire + use<>> {
        self.accept_managed_offering(of, "").await
    }

    /// The next connection of somebody, over which stanzas go both ways and are acknowledged.
    pub(super) async fn accept_managed_bidi(&self, of: &str) -> Line<impl Wire + use<>> {
        self.accept_managed_offering(of, BIDI).await
    }

    async fn accept_managed_offering(&self, of: &str, more: &str) -> Line<impl Wire + use<>> {
        let mut line = self.accept_external(of, more).await;
        line.say("<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>")
            .await;
        line.hear("<enable").await;
        line.say("<enabled xmlns='urn:xmpp:sm:3'/>").await;
        line
    }

    async fn accept_offering(&self, of: &str, more: &str) -> Line<impl Wire + use<>> {
        let mut line = self.accept_external(of, more).await;
        line.say("<stream:features/>").await;
        line
    }

    async fn accept_external(&self, of: &str, more: &str) -> Line<impl Wire + use<>> {
        let mut line = self.accept_secured(of).await;
        line.say(&format!(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>EXTERNAL</mechanism></mechanisms>{more}</stream:features>",
        ))
        .await;
        line.hear("</auth>").await;
        line.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            .await;
        line.hear_header().await;
        line.say(&self.answer(of)).await;
        line
    }

    fn answer(&self, of: &str) -> String {
        self.header(of).replace(" to='", " id='i1' to='")
    }
}

/// SASL EXTERNAL as the domain of the header.
pub(super) const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

/// That stanzas may go both ways.
const BIDI: &str = "<bidi xmlns='urn:xmpp:features:bidi'/>";

/// A stream header.
pub(super) fn header(from: &str, to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' from='{from}' to='{to}' version='1.0'>"
    )
}

/// A message as it is written below a stream header.
pub(super) fn message(from: &str, to: &str, id: &str) -> String {
    format!("<message from='u@{from}' to='v@{to}' id='{id}'><body>hi</body></message>")
}

impl Line<TcpStream> {
    pub(super) async fn connect(to: SocketAddr) -> Self {
        Self::new(TcpStream::connect(to).await.unwrap())
    }
}

impl<S: Wire> Line<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            heard: String::new(),
        }
    }

    /// Says something; whether anybody hears it shows later.
    pub(super) async fn say(&mut self, text: &str) {
        let said = timeout(LIMIT, self.stream.write_all(text.as_bytes())).await;
        if said.unwrap().is_ok() {
            // The other side may have hung up.
            let _ = self.stream.flush().await;
        }
    }

    /// Says something byte by byte, until that is impossible or all is said; whether all is said.
    pub(super) async fn drip(&mut self, text: &str, pause: Duration) -> bool {
        for byte in text.as_bytes() {
            tokio::time::sleep(pause).await;
            let mut rest = [0; 4096];
            if self.stream.write_all(&[*byte]).await.is_err() {
                return false;
            }
            let _ = self.stream.flush().await;
            let read = timeout(Duration::ZERO, self.stream.read(&mut rest)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                return false;
            }
        }
        true
    }

    /// Waits until that was said, and forgets everything up to there, which it returns.
    pub(super) async fn hear(&mut self, text: &str) -> String {
        let heard = timeout(LIMIT, async {
            while !self.heard.contains(text) {
                assert!(self.more().await, "ended without {text}: {}", self.heard);
            }
        });
        if heard.await.is_err() {
            panic!("no {text} in {}", self.heard);
        }
        let end = self.heard.find(text).unwrap() + text.len();
        self.heard.drain(..end).collect()
    }

    /// Waits for a stream header.
    pub(super) async fn hear_header(&mut self) {
        self.hear("<stream:stream").await;
        self.hear(">").await;
    }

    /// Everything until the other side ends the connection.
    pub(super) async fn end(mut self) -> String {
        let ended = timeout(LIMIT, async { while self.more().await {} });
        assert!(ended.await.is_ok(), "not ended: {}", self.heard);
        self.heard
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 4096];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.heard
                    .push_str(&String::from_utf8_lossy(&buffer[..length]));
                true
            }
        }
    }
}
