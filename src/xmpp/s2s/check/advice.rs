// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator can do about a failure.

use std::io;

use crate::xmpp::dns::{Fault, LocateError};
use crate::xmpp::s2s::domain::DomainPair;
use crate::xmpp::s2s::failure::Failure;
use crate::xmpp::tls::{Distrust, HandshakeError};

/// No server of a domain is known.
pub(super) fn locate(error: &LocateError) -> &'static str {
    match error {
        LocateError::NotADomain => "Correct the domain.",
        LocateError::NoDomain => "Correct the domain, or ask its operator to publish it.",
        LocateError::NoServer => {
            "Ask the domain's operator to publish an SRV record _xmpp-server._tcp, or an address."
        }
        LocateError::NotAvailable => "The domain's operator does not want servers to connect.",
        LocateError::Unanswered(_) => UNANSWERED,
    }
}

const UNANSWERED: &str =
    "See whether the DNS servers answer: those of the parameter resolver, or the system's.";

/// A step towards a server failed.
pub(super) fn fault(fault: &Fault) -> &'static str {
    match fault {
        Fault::Unanswered(_) => UNANSWERED,
        Fault::NotAHost | Fault::NoAddress => {
            "Ask the domain's operator to correct the SRV record, or to publish an address of its host."
        }
        Fault::NotConnected { kind, .. } => connection(*kind),
    }
}

fn connection(kind: io::ErrorKind) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "not our enum, and it may grow"
    )]
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "No server listens there: it is down, DNS names another port, or a firewall rejects."
        }
        io::ErrorKind::TimedOut => {
            "Nobody answers there: a firewall drops, here or there, or the address is wrong."
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "This machine has no way there: without IPv6 that is to be expected of IPv6 addresses."
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "Something behind the port hangs up: see the server's log, and firewalls between."
        }
        _ => "See whether another program of this machine can connect there.",
    }
}

/// A certificate proves nothing.
pub(super) fn distrust(distrust: &Distrust) -> &'static str {
    match distrust {
        Distrust::Expired { .. } => "Ask the domain's operator to renew the certificate.",
        Distrust::NotYetValid { .. } => "See whether the clocks of both machines are right.",
        Distrust::SelfSigned => {
            "If it is to be trusted, put it into ca_list, and call stox.reload; or the operator gets one of a CA."
        }
        Distrust::UnknownIssuer { .. } => {
            "Put the CA into ca_list and call stox.reload; or the operator adds the intermediate certificates."
        }
        Distrust::WrongName { .. } => {
            "Ask the domain's operator for a certificate that names the XMPP domain, not only its host."
        }
        Distrust::NonePresented
        | Distrust::Unreadable
        | Distrust::Forged
        | Distrust::UnsuitablePurpose
        | Distrust::Authority
        | Distrust::NotByAuthority
        | Distrust::Unsupported
        | Distrust::OutsideConstraints
        | Distrust::Unacceptable(_) => "Ask the domain's operator for another certificate.",
    }
}

/// No stream came about.
pub(super) fn failure(failure: &Failure, pair: &DomainPair) -> String {
    let words = match failure {
        Failure::Tls(error) => return handshake(error, pair),
        Failure::Io(error) => connection(error.kind()),
        Failure::NoTls | Failure::TlsRefused => {
            "Ask the server's operator to enable TLS between servers; without it nothing is sent."
        }
        Failure::Untrusted(_) => "Set dialback to \"tls\", or mend the certificate.",
        Failure::NoExternal => {
            "Set dialback to \"tls\", or see why the server does not accept this gateway's certificate."
        }
        Failure::ExternalRefused(_) => {
            "See the steps \"own certificate\" and the server's log for why it refuses the certificate."
        }
        Failure::KeyInvalid(_) | Failure::KeyError(_) => {
            return format!(
                "The server asks this gateway whether it is {}: see the steps \"own dns\", and whether a firewall lets \
                 the server in.",
                pair.local
            );
        }
        Failure::Error(_) | Failure::Closed => {
            "See the server's log for why it refuses this gateway; it may serve other domains only."
        }
        Failure::Ended => "The server hung up without a word: see its log, and firewalls between.",
        Failure::Slow | Failure::Silent => {
            "The server takes too long: see its log. With dialback it waits for its own way to this gateway."
        }
        Failure::NoId | Failure::Version | Failure::Unexpected(_) | Failure::Illegal(_) => {
            "What answers there is no XMPP server for servers: see whether DNS names the right port."
        }
        Failure::NoServer(_)
        | Failure::Unreachable(_)
        | Failure::Idle
        | Failure::Domain
        | Failure::Crowded
        | Failure::Stopped => "",
    };
    words.to_owned()
}

fn handshake(error: &HandshakeError, pair: &DomainPair) -> String {
    let words = match error {
        HandshakeError::UnknownName => {
            return format!(
                "Ask the server's operator for a certificate of {}.",
                pair.remote
            );
        }
        HandshakeError::NotTls => {
            "DNS names a port for direct TLS where none is spoken, or something stands between that changes what is sent."
        }
        HandshakeError::OtherProtocol => {
            "DNS names a port where something else is served, such as for clients: it is to be corrected there."
        }
        HandshakeError::NothingInCommon(_) => {
            "The server is to offer TLS 1.2 or 1.3 with ciphers that are safe today."
        }
        HandshakeError::CertificateRefused(_) => {
            "See the step \"own certificate\", and the server's log for why it refuses the certificate."
        }
        HandshakeError::Io(error) => connection(error.kind()),
        HandshakeError::Ended
        | HandshakeError::PeerCertificate(_)
        | HandshakeError::Failed(_)
        | HandshakeError::Name(_) => "See the server's log.",
    };
    words.to_owned()
}
