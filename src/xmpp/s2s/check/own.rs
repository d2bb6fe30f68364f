// SPDX-License-Identifier: GPL-2.0-or-later
//! What other servers find when they look for one of our domains: its certificate, and the way to us by DNS, which
//! they need for their own links and for dialback.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use rustls::pki_types::UnixTime;

use crate::config::Config;
use crate::xmpp::dns::{Locator, Security, Steps};
use crate::xmpp::s2s::hub::Hub;
use crate::xmpp::tls::Portrait;

use super::report::Report;
use super::walk::look_ups;

/// So many days before its end a certificate is worth a word.
const SOON: i64 = 21;

/// Looks at our side.
pub(super) async fn examine(hub: &Hub, locator: &Locator, local: &str, report: &mut Report) {
    certificate(hub, local, report);
    way(hub, locator, local, report).await;
}

fn certificate(hub: &Hub, local: &str, report: &mut Report) {
    const STEP: &str = "own certificate";
    let certificates = hub.certificates.current();
    let Some(identity) = certificates.identities.naming(local) else {
        let mend = format!(
            "Get a certificate that names {local}, set certificate and private_key, and restart Kamailio."
        );
        report.failed(STEP, local, "none of the certificates names it", mend);
        return;
    };
    let now = UnixTime::now();
    let days = identity.days_left(now);
    let file = identity.certificate().display();
    let words = Portrait::of(identity.chain()).map_or_else(String::new, |p| p.to_string());
    let detail = format!("{file}: {words} ({days} days left)");
    let renew = "Renew it, and call stox.reload.";
    if days < 0 {
        report.failed(STEP, local, detail, renew);
    } else if let Err(distrust) = certificates.trust.judge(identity.chain(), local, now) {
        let detail = format!("{detail}; who trusts the same CAs as this gateway finds: {distrust}");
        let mend = format!(
            "Unless other servers trust another CA: put the certificates between it and its CA into {file} below it, and \
             call stox.reload."
        );
        report.doubtful(STEP, local, detail, mend);
    } else if days <= SOON {
        report.doubtful(STEP, local, detail, renew);
    } else {
        report.ok(STEP, local, detail);
    }
}

async fn way(hub: &Hub, locator: &Locator, local: &str, report: &mut Report) {
    const STEP: &str = "own dns";
    let mut steps = Steps::default();
    let located = locator.locate(local, &mut steps).await;
    look_ups(STEP, &steps, 0, report);
    let endpoints = match located {
        Ok(endpoints) => endpoints,
        Err(error) => {
            let mend = format!(
                "Other servers do not find this gateway. Publish {}, with an address for HOST.",
                wanted(&hub.config, local)
            );
            report.failed(STEP, local, error.to_string(), mend);
            return;
        }
    };
    for endpoint in endpoints {
        let mut steps = Steps::default();
        let places = locator.resolve(&endpoint, &mut steps).await;
        let target = endpoint.to_string();
        if places.is_empty() {
            look_ups(STEP, &steps, 0, report);
            let mend = format!("Publish an address of {}.", endpoint.host);
            report.failed(STEP, &target, "the host has no address", mend);
        }
        for place in places {
            lead(&hub.config, place, endpoint.security, &target, report);
        }
    }
}

/// Whether one published place is where we listen.
fn lead(config: &Config, place: SocketAddr, security: Security, target: &str, report: &mut Report) {
    const STEP: &str = "own dns";
    let listens = match security {
        Security::StartTls => &config.listen,
        Security::Direct => &config.listen_tls,
    };
    let at = |own: &SocketAddr| {
        own.port() == place.port() && (own.ip() == place.ip() || own.ip().is_unspecified())
    };
    let here = is_here(place.ip());
    if here && listens.iter().any(at) {
        report.ok(STEP, target, format!("{place}: this gateway listens there"));
    } else if here {
        let mend = format!(
            "Listen there (parameter {}), or publish where the gateway listens.",
            match security {
                Security::StartTls => "listen",
                Security::Direct => "listen_tls",
            }
        );
        let detail = format!("{place}: the gateway does not listen there with {security}");
        report.failed(STEP, target, detail, mend);
    } else {
        let listens: Vec<_> = listens.iter().map(ToString::to_string).collect();
        let mend = format!(
            "If it is not forwarded to this gateway ({} with {security}), correct DNS.",
            if listens.is_empty() {
                "which does not listen".to_owned()
            } else {
                listens.join(", ")
            }
        );
        report.doubtful(
            STEP,
            target,
            format!("{place} is no address of this machine"),
            mend,
        );
    }
}

/// Whether an address is one of this machine: it can be bound to.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The record that leads to us.
fn wanted(config: &Config, local: &str) -> String {
    let (service, port) = match (config.listen.first(), config.listen_tls.first()) {
        (None, Some(direct)) => ("_xmpps-server", direct.port()),
        (Some(own), _) => ("_xmpp-server", own.port()),
        (None, None) => ("_xmpp-server", 5269),
    };
    format!("{service}._tcp.{local}. IN SRV 0 0 {port} HOST.")
}
