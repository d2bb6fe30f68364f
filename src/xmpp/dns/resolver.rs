// SPDX-License-Identifier: GPL-2.0-or-later
//! A stub resolver.
//!
//! In: a question. Out: records that can be used, or why there are none. UDP first, TCP for what is too long
//! for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout;

use super::order::Srv;
use super::question::{Known, Question, Unanswered, host_name};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer is used before the question is asked again, if its own lifetime is longer: what the
/// operator of a domain has mended is to be seen soon.
const LONGEST_USE: Duration = Duration::from_secs(300);
const LONGEST_USE_OF_NOTHING: Duration = Duration::from_secs(60);

/// The most answers kept in that time.
const CACHED_ANSWERS: u64 = 512;

/// The most records used of one answer.
const MOST_RECORDS: usize = 16;

/// The most names that follow each other before the records.
const MOST_ALIASES: usize = 4;

/// The most DNS servers asked, as by the system's own resolver.
const MOST_SERVERS: usize = 3;

/// The resolver cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the system's DNS configuration cannot be used: {0}")]
pub struct ResolverError(NetError);

/// Asks DNS servers, one after the other until one answers. The library (0.26) would take the SERVFAIL of one
/// for the answer of all.
#[derive(Debug)]
pub(super) struct Resolver {
    servers: Vec<TokioResolver>,
    /// The one that answered last is asked first.
    preferred: AtomicUsize,
    patience: Duration,
}

impl Resolver {
    /// Asks `servers`, or those of the system's configuration, read now, if there are none.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        Self::with_patience(servers, PATIENCE)
    }

    /// As [`Self::new`], with another time for each question.
    pub(super) fn with_patience(
        servers: &[SocketAddr],
        patience: Duration,
    ) -> Result<Self, ResolverError> {
        let (servers, mut options) = if servers.is_empty() {
            let (config, options) = read_system_conf().map_err(ResolverError)?;
            (config.name_servers, options)
        } else {
            let mut options = ResolverOpts::default();
            options.use_hosts_file = ResolveHosts::Never;
            (servers.iter().copied().map(name_server).collect(), options)
        };
        let count = servers.len().min(MOST_SERVERS);
        limit(&mut options, patience / u32::try_from(count).unwrap_or(1));
        let servers = servers.into_iter().take(count).map(|server| {
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options.clone())
                .build()
        });
        Ok(Self {
            servers: servers.collect::<Result<_, _>>().map_err(ResolverError)?,
            preferred: AtomicUsize::new(0),
            patience,
        })
    }

    /// The SRV records that answer a question.
    pub(super) async fn services(&self, question: &Question) -> Result<Known<Srv>, Unanswered> {
        let looked = timeout(self.patience, self.follow(question)).await;
        looked.unwrap_or(Err(Unanswered::Timeout))
    }

    /// The addresses that answer a question.
    pub(super) async fn addresses(&self, question: &Question) -> Result<Known<IpAddr>, Unanswered> {
        let looked = self.ask(&question.name, question.record.kind(), |data| {
            data.ip_addr().filter(is_host)
        });
        let looked = timeout(self.patience, looked).await;
        looked.unwrap_or(Err(Unanswered::Timeout))
    }

    /// SRV records behind an alias are not found by the library (0.26): it goes on with the name of the first
    /// record's target.
    async fn follow(&self, question: &Question) -> Result<Known<Srv>, Unanswered> {
        let mut name = question.name.clone();
        for _ in 0..MOST_ALIASES {
            let known = self.ask(&name, RecordType::SRV, service).await?;
            if !matches!(known, Known::NoRecord) {
                return Ok(known);
            }
            let alias = self.ask(&name, RecordType::CNAME, alias).await?;
            let Some(alias) = alias.records().first() else {
                break;
            };
            name = alias.clone();
        }
        Ok(Known::NoRecord)
    }

    async fn ask<T>(
        &self,
        name: &Name,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Known<T>, Unanswered> {
        let lookup = match self.look_up(name, kind).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_nx_domain() => return Ok(Known::NoName),
            Err(error) if error.is_no_records_found() => return Ok(Known::NoRecord),
            Err(error) => return Err(unanswered(error)),
        };
        let data = lookup.answers().iter().map(|record| &record.data);
        let records: Vec<_> = data.filter_map(read).take(MOST_RECORDS).collect();
        Ok(if records.is_empty() {
            Known::NoRecord
        } else {
            Known::Records(records)
        })
    }

    /// What the first server says that says anything; else how the last one fails.
    async fn look_up(&self, name: &Name, kind: RecordType) -> Result<Lookup, NetError> {
        let mut result = Err(NetError::NoConnections);
        let first = self.preferred.load(Ordering::Relaxed);
        let servers = self.servers.iter().enumerate().cycle().skip(first);
        for (n, server) in servers.take(self.servers.len()) {
            result = server.lookup(name.clone(), kind).await;
            let failed = matches!(&result, Err(error) if !error.is_no_records_found());
            if !failed {
                self.preferred.store(n, Ordering::Relaxed);
                break;
            }
        }
        result
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Two attempts in a time.
fn limit(options: &mut ResolverOpts, time: Duration) {
    options.attempts = 1;
    options.timeout = time / 2;
    options.max_active_requests = 256;
    options.cache_size = CACHED_ANSWERS;
    options.positive_max_ttl = Some(LONGEST_USE);
    options.negative_max_ttl = Some(LONGEST_USE_OF_NOTHING);
}

fn unanswered(error: NetError) -> Unanswered {
    if let NetError::Timeout = error {
        return Unanswered::Timeout;
    }
    if let NetError::Dns(DnsError::ResponseCode(code)) = error {
        return Unanswered::Error(code.to_string());
    }
    Unanswered::Unreachable(error.to_string())
}

fn service(data: &RData) -> Option<Srv> {
    let RData::SRV(SRV {
        priority,
        weight,
        port,
        target,
        ..
    }) = data
    else {
        return None;
    };
    Some(Srv {
        priority: *priority,
        weight: *weight,
        place: host_name(target)
            .filter(|_| *port > 0)
            .map(|host| (host, *port)),
    })
}

fn alias(data: &RData) -> Option<Name> {
    let RData::CNAME(alias) = data else {
        return None;
    };
    Some(alias.0.clone())
}

/// Whether one host can have the address.
fn is_host(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}
