// SPDX-License-Identifier: GPL-2.0-or-later
//! An authoritative name server on the loopback interface that can be made to fail.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::{CNAME, SOA, SRV};
use hickory_server::proto::rr::{LowerName, Name, RData, Record, RecordType, RrKey};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, MessageResponseBuilder, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use super::super::locator::Locator;
use super::super::resolver::Resolver;

/// How long the resolver of a test waits for an answer.
pub(in crate::xmpp) const PATIENCE: Duration = Duration::from_millis(600);

/// How a question is treated.
#[derive(Debug, Clone, Copy)]
pub(in crate::xmpp) enum Fault {
    ServFail,
    Silence,
}

/// A name server for `example.`; its records live for no time, so that nobody keeps them.
pub(in crate::xmpp) struct NameServer {
    pub(in crate::xmpp) address: SocketAddr,
    shared: Arc<Shared>,
    zone: Arc<InMemoryZoneHandler>,
    _server: Server<Handler>,
}

struct Shared {
    catalog: Catalog,
    faults: Mutex<Vec<(String, Fault)>>,
    over_tcp: AtomicUsize,
}

struct Handler(Arc<Shared>);

impl NameServer {
    pub(in crate::xmpp) async fn start() -> Self {
        let origin = name("example.");
        let zone = Arc::new(InMemoryZoneHandler::empty(
            origin.clone(),
            ZoneType::Primary,
            AxfrPolicy::Deny,
        ));
        let soa = SOA::new(name("ns.example."), name("x.example."), 1, 60, 60, 60, 0);
        zone.upsert(Record::from_rdata(origin.clone(), 0, RData::SOA(soa)), 1)
            .await;
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::new(&origin), vec![Arc::clone(&zone) as _]);
        let shared = Arc::new(Shared {
            catalog,
            faults: Mutex::default(),
            over_tcp: AtomicUsize::new(0),
        });
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let mut server = Server::new(Handler(Arc::clone(&shared)));
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 64);
        Self {
            address,
            shared,
            zone,
            _server: server,
        }
    }

    /// A locator that asks this server and soon loses patience.
    pub(in crate::xmpp) fn locator(&self) -> Arc<Locator> {
        Self::locator_of(&[self])
    }

    /// A locator that asks these servers.
    pub(in crate::xmpp) fn locator_of(servers: &[&Self]) -> Arc<Locator> {
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let resolver = Resolver::with_patience(&addresses, PATIENCE).unwrap();
        Arc::new(Locator::with_resolver(resolver))
    }

    pub(in crate::xmpp) async fn srv(&self, owner: &str, priority: u16, port: u16, target: &str) {
        let srv = SRV::new(priority, 0, port, name(target));
        self.add(owner, RData::SRV(srv)).await;
    }

    pub(in crate::xmpp) async fn host(&self, owner: &str, address: &str) {
        let data = match address.parse().unwrap() {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        self.add(owner, data).await;
    }

    pub(in crate::xmpp) async fn alias(&self, owner: &str, target: &str) {
        self.add(owner, RData::CNAME(CNAME(name(target)))).await;
    }

    async fn add(&self, owner: &str, data: RData) {
        let record = Record::from_rdata(name(owner), 0, data);
        assert!(self.zone.upsert(record, 1).await, "{owner} was there");
    }

    /// Takes the records of a type away.
    pub(in crate::xmpp) async fn forget(&self, owner: &str, kind: RecordType) {
        let key = RrKey::new(LowerName::new(&name(owner)), kind);
        assert!(self.zone.records_mut().await.remove(&key).is_some());
    }

    /// Fails all questions from now on.
    pub(in crate::xmpp) fn fail(&self, fault: Fault) {
        self.fail_for("", fault);
    }

    /// Fails the questions that begin like this from now on, as `SRV _xmpp-server`.
    pub(in crate::xmpp) fn fail_for(&self, beginning: &str, fault: Fault) {
        let mut faults = self.shared.faults.lock().unwrap();
        faults.push((beginning.to_owned(), fault));
    }

    /// How many questions came over TCP.
    pub(in crate::xmpp) fn over_tcp(&self) -> usize {
        self.shared.over_tcp.load(Ordering::SeqCst)
    }
}

/// A UDP and a TCP socket on the same port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = udp.local_addr().unwrap();
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

impl Handler {
    fn fault(&self, request: &Request) -> Option<Fault> {
        let query = request.request_info().ok()?.query;
        let question = format!("{} {}", query.query_type(), query.name());
        let faults = self.0.faults.lock().unwrap();
        let fault = faults
            .iter()
            .find(|(beginning, _)| question.starts_with(beginning));
        fault.map(|(_, fault)| *fault)
    }

    async fn handle<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        if request.protocol() == Protocol::Tcp {
            self.0.over_tcp.fetch_add(1, Ordering::SeqCst);
        }
        match self.fault(request) {
            None => {
                self.0
                    .catalog
                    .handle_request::<R, T>(request, response)
                    .await
            }
            Some(Fault::ServFail) => {
                let builder = MessageResponseBuilder::from_message_request(request);
                let failed = builder.error_msg(&request.metadata, ResponseCode::ServFail);
                response.send_response(failed).await.unwrap()
            }
            Some(Fault::Silence) => ResponseInfo::from(Header {
                metadata: Metadata::response_from_request(&request.metadata),
                counts: HeaderCounts::default(),
            }),
        }
    }
}

/// As `async_trait` writes it.
impl RequestHandler for Handler {
    fn handle_request<'handler, 'request, 'future, R, T>(
        &'handler self,
        request: &'request Request,
        response: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'future>>
    where
        'handler: 'future,
        'request: 'future,
        R: ResponseHandler + 'future,
        T: Time + 'future,
        Self: 'future,
    {
        Box::pin(self.handle::<R, T>(request, response))
    }
}
