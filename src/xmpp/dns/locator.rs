// SPDX-License-Identifier: GPL-2.0-or-later
//! Finds where the servers of a domain are.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

use super::endpoint::{Endpoint, Security};
use super::memory::Memory;
use super::order::{Order, Srv, order};
use super::question::{
    Answer, Family, Known, NotADomain, Question, Unanswered, domain_name, host_name,
};
use super::resolver::{Resolver, ResolverError};
use super::steps::{Deed, Fault, Steps};

/// The port of a server whose domain has no SRV records (RFC 6120 §14.7).
const DEFAULT_PORT: u16 = 5269;

/// Why no server of a domain is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocateError {
    /// It cannot be asked for.
    #[error("this is not a domain name")]
    NotADomain,
    /// It has neither a name nor an address in DNS.
    #[error("there is no such domain in DNS")]
    NoDomain,
    /// It has neither SRV records nor an address.
    #[error("the domain has neither SRV records for XMPP servers nor an address")]
    NoServer,
    /// Its SRV records say that it has no server.
    #[error("the SRV records of the domain say that it has no XMPP server")]
    NotAvailable,
    /// DNS fails, and was not asked within the last hour.
    #[error("{0}")]
    Unanswered(Unanswered),
}

impl LocateError {
    /// Whether it may be otherwise soon: DNS has not said that there is no server.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::NotADomain | Self::NoDomain | Self::NoServer | Self::NotAvailable => false,
        }
    }
}

impl From<NotADomain> for LocateError {
    fn from(_: NotADomain) -> Self {
        Self::NotADomain
    }
}

/// Asks DNS, and remembers for an hour what it said, for when it fails.
#[derive(Debug)]
pub(crate) struct Locator {
    resolver: Resolver,
    services: Mutex<Memory<Srv>>,
    addresses: Mutex<Memory<IpAddr>>,
}

impl Locator {
    /// Asks `servers`, or those of the system's configuration, read now, if there are none.
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        Resolver::new(servers).map(Self::with_resolver)
    }

    pub(super) fn with_resolver(resolver: Resolver) -> Self {
        Self {
            resolver,
            services: Mutex::default(),
            addresses: Mutex::default(),
        }
    }

    /// The servers of a domain, the first to try first; at most 20. Takes ten seconds at most.
    pub(crate) async fn locate(
        &self,
        domain: &str,
        steps: &mut Steps,
    ) -> Result<Vec<Endpoint>, LocateError> {
        let name = domain_name(domain)?;
        let direct = Question::services(&name, Security::Direct)?;
        let start_tls = Question::services(&name, Security::StartTls)?;
        let (with_direct, with_start_tls) =
            tokio::join!(self.services(&direct), self.services(&start_tls));
        steps.answered(&direct, &with_direct);
        steps.answered(&start_tls, &with_start_tls);
        let unanswered = with_direct
            .unanswered()
            .or_else(|| with_start_tls.unanswered());
        match order(with_direct.records(), with_start_tls.records(), random) {
            Order::Endpoints(endpoints) => Ok(endpoints),
            Order::Unavailable => Err(match unanswered {
                None => LocateError::NotAvailable,
                Some(why) => LocateError::Unanswered(why.clone()),
            }),
            Order::Unpublished => self.fall_back(&name, unanswered, steps).await,
        }
    }

    /// The domain itself as the only server, if it has an address (RFC 6120 §3.2.2); also when its `services`
    /// were not told (RFC 6120 §3.2.1).
    async fn fall_back(
        &self,
        domain: &Name,
        services: Option<&Unanswered>,
        steps: &mut Steps,
    ) -> Result<Vec<Endpoint>, LocateError> {
        let v6 = Question::addresses(domain, Family::V6);
        let v4 = Question::addresses(domain, Family::V4);
        let (with_v6, with_v4) = tokio::join!(self.addresses(&v6), self.addresses(&v4));
        steps.answered(&v6, &with_v6);
        steps.answered(&v4, &with_v4);
        if !with_v6.records().is_empty() || !with_v4.records().is_empty() {
            let endpoint = Endpoint {
                host: host_name(domain).ok_or(LocateError::NotADomain)?,
                port: DEFAULT_PORT,
                security: Security::StartTls,
            };
            return Ok(vec![endpoint]);
        }
        let addresses = || with_v6.unanswered().or_else(|| with_v4.unanswered());
        Err(match services.or_else(addresses) {
            Some(why) => LocateError::Unanswered(why.clone()),
            None if with_v4.says_no_name() => LocateError::NoDomain,
            None => LocateError::NoServer,
        })
    }

    /// Where an endpoint is.
    pub(crate) async fn resolve(&self, endpoint: &Endpoint, steps: &mut Steps) -> Vec<SocketAddr> {
        let Ok(host) = Name::from_ascii(format!("{}.", endpoint.host)) else {
            steps.push(Deed::LookUp, endpoint, Err(Fault::NotAHost));
            return Vec::new();
        };
        let v6 = Question::addresses(&host, Family::V6);
        let v4 = Question::addresses(&host, Family::V4);
        let (with_v6, with_v4) = tokio::join!(self.addresses(&v6), self.addresses(&v4));
        steps.answered(&v6, &with_v6);
        steps.answered(&v4, &with_v4);
        let addresses = with_v6.records().iter().chain(with_v4.records());
        addresses
            .map(|address| SocketAddr::new(*address, endpoint.port))
            .collect()
    }

    async fn services(&self, question: &Question) -> Answer<Srv> {
        let asked = self.resolver.services(question).await;
        settle(&self.services, question, asked)
    }

    /// What answers a question for addresses.
    pub(super) async fn addresses(&self, question: &Question) -> Answer<IpAddr> {
        let asked = self.resolver.addresses(question).await;
        settle(&self.addresses, question, asked)
    }
}

/// Remembers an answer, or remembers the last one where there is none.
fn settle<T: Clone + Display>(
    memory: &Mutex<Memory<T>>,
    question: &Question,
    asked: Result<Known<T>, Unanswered>,
) -> Answer<T> {
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    match asked {
        Ok(known) => {
            memory.remember(question.clone(), known.clone(), now);
            Answer::Fresh(known)
        }
        Err(why) => match memory.recall(question, now) {
            Some(known) => Answer::Remembered(known, why),
            None => Answer::Missing(why),
        },
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
