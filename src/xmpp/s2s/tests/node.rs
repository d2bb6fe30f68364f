// SPDX-License-Identifier: GPL-2.0-or-later
//! One gateway of a test, and the net that it is in: a name server and a certificate authority.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::address::{DomainPattern, to_u_labels};
use crate::config::{Config, Reached};
use crate::stanza::Stanza;
use crate::xmpp::dns::tests::name_server::NameServer;
use crate::xmpp::s2s::{CheckStep, Federation, StreamView};
use crate::xmpp::tls::authority::{Authority, Folder, Leaf, San};
use crate::xmpp::tls::{CertificateFiles, Certificates, KeyFiles};
use crate::xmpp::{LinkEvent, Receipt, SendError, Timing};

/// Whatever is awaited has come by then.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the gateways of a test are.
pub(super) struct Net {
    dns: NameServer,
    authority: Authority,
    stranger: Authority,
    folder: Folder,
    ca_list: std::path::PathBuf,
}

/// Whose certificate a gateway has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    /// One that the others trust.
    Good,
    /// One of an authority that nobody knows.
    Stranger,
    /// For another domain.
    WrongName,
    /// Of nobody but itself.
    SelfSigned,
    /// Of last year.
    Expired,
    /// For servers only, as public authorities issue them.
    ServerOnly,
}

/// How a gateway is to be.
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) certificate: Certificate,
    pub(super) timing: Timing,
    pub(super) allowed: Vec<&'static str>,
    pub(super) port: u16,
    /// Listens and is published with direct TLS only.
    pub(super) direct: bool,
    /// Is published with direct TLS first, where nothing listens.
    pub(super) dead_direct: bool,
    /// Further domains of it, without a certificate.
    pub(super) also: Vec<&'static str>,
    /// Stands in DNS.
    pub(super) published: bool,
}

/// One gateway.
pub(super) struct Node {
    /// Its name on XMPP.
    domain: String,
    federation: Federation,
    events: mpsc::Receiver<LinkEvent>,
    seen: VecDeque<LinkEvent>,
    address: SocketAddr,
    held: Held,
}

/// Receipts of the stanzas that came, where they are not settled at once.
#[derive(Debug, Default)]
struct Held(Option<VecDeque<Receipt>>);

impl Held {
    fn take(&mut self, event: &mut LinkEvent) {
        let LinkEvent::Stanza { receipt, .. } = event else {
            return;
        };
        match (receipt.take(), &mut self.0) {
            (Some(receipt), Some(held)) => held.push_back(receipt),
            (Some(receipt), None) => receipt.settle(),
            (None, _) => {}
        }
    }
}

impl Net {
    pub(super) async fn new() -> Self {
        let authority = Authority::root("good");
        let folder = Folder::new();
        Self {
            dns: NameServer::start().await,
            ca_list: folder.write("ca.pem", &authority.pem()),
            authority,
            stranger: Authority::root("stranger"),
            folder,
        }
    }

    fn certificate(&self, domain: &str, kind: Certificate) -> KeyFiles {
        let name = match kind {
            Certificate::WrongName => "other.example",
            Certificate::Good
            | Certificate::Stranger
            | Certificate::SelfSigned
            | Certificate::Expired
            | Certificate::ServerOnly => domain,
        };
        let purposes = [rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let names = [San::Dns(name)];
        let leaf = Leaf {
            from: (2020, 1, 1),
            until: if kind == Certificate::Expired {
                (2021, 1, 1)
            } else {
                (2096, 1, 1)
            },
            purposes: if kind == Certificate::ServerOnly {
                &purposes
            } else {
                &[]
            },
            ..Leaf::named(&names)
        };
        let authority = if kind == Certificate::Stranger {
            &self.stranger
        } else {
            &self.authority
        };
        if kind == Certificate::SelfSigned {
            return leaf.self_signed().store(&self.folder, domain);
        }
        authority.issue(leaf).store(&self.folder, domain)
    }

    /// The certificate of somebody who is no [`Node`].
    pub(super) fn certificates(&self, domain: &str, kind: Certificate) -> Certificates {
        let files = CertificateFiles {
            ca_list: Some(self.ca_list.clone()),
            own: vec![self.certificate(domain, kind)],
        };
        Certificates::load(&files).unwrap()
    }

    /// Lets a domain lead to somebody who is no [`Node`].
    pub(super) async fn lead(&self, domain: &str, address: SocketAddr) {
        let host = format!("server.{domain}.");
        self.dns.host(&host, &address.ip().to_string()).await;
        let owner = format!("_xmpp-server._tcp.{domain}.");
        self.dns.srv(&owner, 0, address.port(), &host).await;
    }

    async fn publish(&self, domain: &str, address: SocketAddr, plan: &Plan) {
        let host = format!("server.{domain}.");
        self.dns.host(&host, &address.ip().to_string()).await;
        if plan.direct {
            self.dns
                .srv(
                    &format!("_xmpps-server._tcp.{domain}."),
                    0,
                    address.port(),
                    &host,
                )
                .await;
            return;
        }
        if plan.dead_direct {
            let dead = TcpListener::bind("127.0.0.1:0")
                .await
                .unwrap()
                .local_addr()
                .unwrap();
            self.dns
                .srv(
                    &format!("_xmpps-server._tcp.{domain}."),
                    0,
                    dead.port(),
                    &host,
                )
                .await;
        }
        self.dns
            .srv(
                &format!("_xmpp-server._tcp.{domain}."),
                1,
                address.port(),
                &host,
            )
            .await;
    }
}

impl Node {
    pub(super) async fn join(
        net: &Net,
        domain: &'static str,
        change: impl FnOnce(&mut Plan),
    ) -> Self {
        let mut plan = Plan {
            config: Config::default(),
            certificate: Certificate::Good,
            timing: Timing {
                retry_floor: Duration::from_millis(20),
                ..Timing::default()
            },
            allowed: vec!["*"],
            port: 0,
            direct: false,
            dead_direct: false,
            also: Vec::new(),
            published: true,
        };
        change(&mut plan);
        let again = plan.port != 0;
        let address = match plan.port {
            0 => TcpListener::bind("127.0.0.1:0")
                .await
                .unwrap()
                .local_addr()
                .unwrap(),
            port => SocketAddr::from(([127, 0, 0, 1], port)),
        };
        if !again && plan.published {
            for domain in plan.also.iter().copied().chain([domain]) {
                net.publish(domain, address, &plan).await;
            }
        }
        let files = net.certificate(domain, plan.certificate);
        let mut config = plan.config;
        config.sip_domains = vec![domain.to_owned()];
        config
            .sip_domains
            .extend(plan.also.iter().map(|domain| (*domain).to_owned()));
        config.xmpp_allow = plan
            .allowed
            .iter()
            .map(|p| DomainPattern::parse(p).unwrap())
            .collect();
        if plan.direct {
            config.listen_tls = vec![address];
        } else {
            config.listen = vec![address];
        }
        config.certificates = vec![files.certificate];
        config.private_keys = vec![files.private_key];
        config.ca_list = Some(net.ca_list.clone());
        config.resolvers = vec![net.dns.address];
        let (sender, events) = mpsc::channel(64);
        Self {
            domain: to_u_labels(domain).into_owned(),
            federation: Federation::join(Arc::new(config), plan.timing, sender).unwrap(),
            events,
            seen: VecDeque::new(),
            held: Held::default(),
            address,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn reached(&self) -> Reached {
        self.federation.totals().reached
    }

    pub(super) async fn leave(self) {
        self.federation.close(LIMIT).await;
    }

    pub(super) fn send(&self, remote: &str, stanza: Stanza) {
        self.federation.send(&self.domain, remote, stanza).unwrap();
    }

    /// The same, of what may find the queue full.
    pub(super) fn try_send(&self, remote: &str, stanza: Stanza) -> Result<(), SendError> {
        self.federation.send(&self.domain, remote, stanza)
    }

    pub(super) fn send_as(&self, local: &str, remote: &str, stanza: Stanza) {
        self.federation.send(local, remote, stanza).unwrap();
    }

    pub(super) fn federation(&self) -> &Federation {
        &self.federation
    }

    /// Everything a check finds.
    pub(super) async fn check(&self, text: &str) -> Vec<CheckStep> {
        let report = timeout(LIMIT, async {
            loop {
                if let Some(report) = self.federation.check(text).unwrap() {
                    return report;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        report.await.unwrap().steps().to_vec()
    }

    /// Settles stanzas only when it is told to, from now on.
    pub(super) fn hold(&mut self) {
        self.held.0 = Some(VecDeque::new());
    }

    /// The receipt of the stanza that came first of those held.
    pub(super) fn receipt(&mut self) -> Receipt {
        self.held.0.as_mut().unwrap().pop_front().unwrap()
    }

    pub(super) fn views(&self) -> Vec<StreamView> {
        self.federation.view()
    }

    /// Waits until the links are as they should be.
    pub(super) async fn settle(&self, good: impl Fn(&[StreamView]) -> bool) {
        let settled = timeout(LIMIT, async {
            while !good(&self.federation.view()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(settled.await.is_ok(), "{:?}", self.federation.view());
    }

    async fn find<T>(&mut self, what: &str, wanted: impl Fn(&LinkEvent) -> Option<T>) -> T {
        if let Some((at, found)) = self
            .seen
            .iter()
            .enumerate()
            .find_map(|(at, e)| Some((at, wanted(e)?)))
        {
            self.seen.remove(at);
            return found;
        }
        let found = timeout(LIMIT, async {
            loop {
                let mut event = self.events.recv().await.unwrap();
                self.held.take(&mut event);
                if let Some(found) = wanted(&event) {
                    return found;
                }
                self.seen.push_back(event);
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!(
                "{} has no {what}: {:?} {:?}",
                self.domain,
                self.seen,
                self.federation.view()
            ),
        }
    }

    pub(super) async fn expect_message(&mut self, id: &str) {
        let wanted = |event: &LinkEvent| {
            let LinkEvent::Stanza { inbound, .. } = event else {
                return None;
            };
            let Stanza::Message(message) = &inbound.stanza else {
                return None;
            };
            (message.id.as_ref()?.0 == id && !message.bodies.is_empty()).then_some(())
        };
        self.find(&format!("message {id}"), wanted).await;
    }

    pub(super) async fn expecting(mut self, id: &str) -> Self {
        self.expect_message(id).await;
        self
    }

    pub(super) async fn expect_error(&mut self, id: &str, condition: &str) {
        let wanted = |event: &LinkEvent| {
            let LinkEvent::Stanza { inbound, .. } = event else {
                return None;
            };
            let stanza = inbound.stanza.clone().into_element();
            let error = stanza.get_child("error", "jabber:client")?;
            let condition = error.children().next()?.name().to_owned();
            (stanza.attr("id") == Some(id)).then_some(condition)
        };
        assert_eq!(
            self.find(&format!("error for {id}"), wanted).await,
            condition
        );
    }

    pub(super) async fn expect_up(&mut self) {
        let wanted = |event: &LinkEvent| matches!(event, LinkEvent::Up { .. }).then_some(());
        self.find("link that is up", wanted).await;
    }

    pub(super) async fn expect_down(&mut self) -> String {
        let wanted = |event: &LinkEvent| match event {
            LinkEvent::Down { reason, .. } => Some(reason.clone()),
            LinkEvent::Up { .. } | LinkEvent::Stanza { .. } => None,
        };
        self.find("link that is down", wanted).await
    }

    /// No stanza has come.
    pub(super) fn expect_nothing(&mut self) {
        while let Ok(mut event) = self.events.try_recv() {
            self.held.take(&mut event);
            self.seen.push_back(event);
        }
        assert!(
            !self
                .seen
                .iter()
                .any(|e| matches!(e, LinkEvent::Stanza { .. })),
            "{:?}",
            self.seen
        );
    }

    /// No error has come.
    pub(super) fn expect_no_error(&mut self) {
        self.expect_nothing();
    }
}

/// A message with a body.
pub(super) fn message(from: &str, to: &str, id: &str) -> Stanza {
    message_of(from, to, id, "hi")
}

/// A question of that much text.
pub(super) fn question_of(from: &str, to: &str, id: &str, text: &str) -> Stanza {
    let text = format!(
        "<iq xmlns='jabber:client' type='get' from='{from}' to='{to}' id='{id}'><q xmlns='urn:q'>{text}</q></iq>"
    );
    Stanza::from_element(text.parse().unwrap()).unwrap()
}

/// A message with that body.
pub(super) fn message_of(from: &str, to: &str, id: &str, body: &str) -> Stanza {
    let text = format!(
        "<message xmlns='jabber:client' from='{from}' to='{to}' id='{id}'><body>{body}</body></message>"
    );
    Stanza::from_element(text.parse().unwrap()).unwrap()
}
