// SPDX-License-Identifier: GPL-2.0-or-later
//! The net that the servers of the benchmark are in: a name server and a certificate authority.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{SOA, SRV};
use hickory_server::proto::rr::{LowerName, Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tokio::net::{TcpListener as TokioListener, UdpSocket};
use tokio::runtime::Runtime;

/// How long a record may be remembered, in seconds.
const TTL: u32 = 3600;

/// The n-th of many domains that one server serves with one certificate.
pub(crate) fn many(number: u32) -> String {
    format!("d{number}.many.example")
}

/// Where all servers are, and who vouches for them.
pub(crate) struct Net {
    /// Files of all servers.
    pub(crate) folder: PathBuf,
    /// The address of all servers.
    pub(crate) ip: Ipv4Addr,
    /// The name server's.
    pub(crate) resolver: SocketAddr,
    authority: (CertificateParams, KeyPair),
    zone: Arc<InMemoryZoneHandler>,
    runtime: Runtime,
    _server: Server<Catalog>,
}

impl Net {
    /// A net without servers, with an empty folder.
    pub(crate) fn new(folder: PathBuf, ip: Ipv4Addr) -> Result<Self, Box<dyn Error>> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (zone, server, resolver) = runtime.block_on(name_server(ip))?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "stox benchmark authority");
        let key = KeyPair::generate()?;
        let root = authority.self_signed(&key)?;
        fs::write(folder.join("authority.pem"), root.pem())?;
        Ok(Self {
            folder,
            ip,
            resolver,
            authority: (authority, key),
            zone,
            runtime,
            _server: server,
        })
    }

    /// The certificate of whoever vouches for all.
    pub(crate) fn ca_list(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Files with a chain and a key for these names, P-256.
    pub(crate) fn certificate(&self, names: &[&str]) -> Result<(PathBuf, PathBuf), Box<dyn Error>> {
        let (above, above_key) = &self.authority;
        let key = KeyPair::generate()?;
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let first = names.first().cloned().unwrap_or_default().replace('*', "_");
        let mut own = CertificateParams::new(names)?;
        own.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let own = own.signed_by(&key, &Issuer::from_params(above, above_key))?;
        let file = |end: &str| self.folder.join(format!("{first}.{end}"));
        let chain = own.pem() + &fs::read_to_string(self.ca_list())?;
        fs::write(file("crt"), chain)?;
        fs::write(file("key"), key.serialize_pem())?;
        Ok((file("crt"), file("key")))
    }

    /// Says where the server of a domain is: STARTTLS only.
    pub(crate) fn publish(&self, domain: &str, port: u16) -> Result<(), Box<dyn Error>> {
        let host = name("host.example.")?;
        let srv = SRV::new(0, 0, port, host.clone());
        let owner = name(&format!("_xmpp-server._tcp.{domain}."))?;
        let address = RData::A(self.ip.into());
        self.runtime.block_on(async {
            self.zone
                .upsert(Record::from_rdata(owner, TTL, RData::SRV(srv)), 1)
                .await;
            self.zone
                .upsert(Record::from_rdata(host, TTL, address), 1)
                .await;
        });
        Ok(())
    }

    /// A port where nobody listens yet.
    pub(crate) fn free_port(&self) -> io::Result<u16> {
        Ok(TcpListener::bind((self.ip, 0))?.local_addr()?.port())
    }

    /// What every node must be told of the net, and what opens it for many of one address.
    pub(crate) fn parameters(&self, files: &(PathBuf, PathBuf)) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        vec![
            ("xmpp_allow", "*".to_owned()),
            ("certificate", path(&files.0)),
            ("private_key", path(&files.1)),
            ("ca_list", path(&self.ca_list())),
            ("resolver", self.resolver.to_string()),
            ("dialback", "off".to_owned()),
            ("max_address_connections", "0".to_owned()),
            ("max_address_attempts", "0".to_owned()),
            ("max_domain_stanzas", "0".to_owned()),
        ]
    }
}

async fn name_server(
    ip: Ipv4Addr,
) -> Result<(Arc<InMemoryZoneHandler>, Server<Catalog>, SocketAddr), Box<dyn Error>> {
    let origin = name("example.")?;
    let zone = Arc::new(InMemoryZoneHandler::empty(
        origin.clone(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
    ));
    let soa = SOA::new(name("ns.example.")?, name("x.example.")?, 1, 60, 60, 60, 60);
    zone.upsert(Record::from_rdata(origin.clone(), TTL, RData::SOA(soa)), 1)
        .await;
    let mut catalog = Catalog::new();
    catalog.upsert(LowerName::new(&origin), vec![Arc::clone(&zone) as _]);
    let udp = UdpSocket::bind((IpAddr::V4(ip), 0)).await?;
    let address = udp.local_addr()?;
    let tcp = TokioListener::bind(address).await?;
    let mut server = Server::new(catalog);
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(5), 64);
    Ok((zone, server, address))
}

fn name(text: &str) -> Result<Name, Box<dyn Error>> {
    Ok(Name::from_ascii(text)?)
}
