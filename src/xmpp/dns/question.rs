// SPDX-License-Identifier: GPL-2.0-or-later
//! A question to DNS and what comes of it.
//!
//! Questions are absolute: no search list is applied. Names are A-labels in lower case.

use std::fmt;
use std::net::IpAddr;

use hickory_resolver::proto::rr::{Name, RecordType};

use super::endpoint::Security;

/// What is asked about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Record {
    /// Where the servers for one kind of TLS are.
    Srv(Security),
    /// Addresses.
    Address(Family),
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V6,
    V4,
}

/// A question to DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) record: Record,
}

/// Why a text is no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a domain name")]
pub(super) struct NotADomain;

/// What DNS knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known<T> {
    /// Records, at least one.
    Records(Vec<T>),
    /// The name has no such record.
    NoRecord,
    /// There is no such name.
    NoName,
}

/// DNS could not be asked; whether there are records is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Silence.
    #[error("no answer from DNS in time")]
    Timeout,
    /// An answer that says that there is none, as SERVFAIL.
    #[error("the DNS server answers: {0}")]
    Error(String),
    /// Everything else.
    #[error("DNS cannot be asked: {0}")]
    Unreachable(String),
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// DNS said so just now.
    Fresh(Known<T>),
    /// DNS said so earlier, and could not be asked now.
    Remembered(Known<T>, Unanswered),
    /// Nothing.
    Missing(Unanswered),
}

impl Question {
    /// Where the servers of a domain are (RFC 6120 §3.2.1, XEP-0368 §3).
    pub(super) fn services(domain: &Name, security: Security) -> Result<Self, NotADomain> {
        let service = match security {
            Security::Direct => "_xmpps-server._tcp",
            Security::StartTls => "_xmpp-server._tcp",
        };
        let name = Name::from_ascii(service)
            .and_then(|service| service.append_domain(domain))
            .map_err(|_| NotADomain)?;
        Ok(Self {
            name,
            record: Record::Srv(security),
        })
    }

    /// The addresses of a host.
    pub(super) fn addresses(host: &Name, family: Family) -> Self {
        Self {
            name: host.clone(),
            record: Record::Address(family),
        }
    }
}

impl Record {
    /// The record's number in DNS.
    pub(super) fn kind(self) -> RecordType {
        match self {
            Self::Srv(_) => RecordType::SRV,
            Self::Address(Family::V4) => RecordType::A,
            Self::Address(Family::V6) => RecordType::AAAA,
        }
    }
}

impl Family {
    /// The family of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

/// The absolute name of a domain, of U-labels or A-labels. An IP address has none.
pub(super) fn domain_name(domain: &str) -> Result<Name, NotADomain> {
    let unbracketed = domain.trim_matches(['[', ']']);
    if unbracketed.parse::<IpAddr>().is_ok() {
        return Err(NotADomain);
    }
    // Of the two only this one knows underscores.
    let name = if domain.is_ascii() {
        Name::from_ascii(domain)
    } else {
        Name::from_utf8(domain)
    };
    let mut name = name.map_err(|_| NotADomain)?;
    name.set_fqdn(true);
    host_name(&name).ok_or(NotADomain)?;
    Ok(name.to_lowercase())
}

/// The name as text in lower case without a final dot, if it can be a host's: letters, digits, hyphens; an
/// underscore does no harm.
pub(super) fn host_name(name: &Name) -> Option<String> {
    let legal = |c: &u8| c.is_ascii_alphanumeric() || [b'-', b'_'].contains(c);
    if name.is_root() || !name.iter().flatten().all(legal) {
        return None;
    }
    let mut text = name.to_lowercase().to_ascii();
    if text.ends_with('.') {
        text.pop();
    }
    Some(text)
}

impl<T> Known<T> {
    /// The records, none if there are none.
    pub(super) fn records(&self) -> &[T] {
        match self {
            Self::Records(records) => records,
            Self::NoRecord | Self::NoName => &[],
        }
    }
}

impl<T> Answer<T> {
    /// The records, none if there are none or none are known.
    pub(super) fn records(&self) -> &[T] {
        match self {
            Self::Fresh(known) | Self::Remembered(known, _) => known.records(),
            Self::Missing(_) => &[],
        }
    }

    /// Whether the name itself does not exist.
    pub(super) fn says_no_name(&self) -> bool {
        matches!(
            self,
            Self::Fresh(Known::NoName) | Self::Remembered(Known::NoName, _)
        )
    }

    /// Why nothing is known, if that is so.
    pub(super) fn unanswered(&self) -> Option<&Unanswered> {
        match self {
            Self::Fresh(_) | Self::Remembered(..) => None,
            Self::Missing(why) => Some(why),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.to_ascii();
        write!(f, "{} {}", self.record.kind(), name.trim_end_matches('.'))
    }
}

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(records) => {
                for (n, record) in records.iter().enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}{record}")?;
                }
                Ok(())
            }
            Self::NoRecord => f.write_str("none"),
            Self::NoName => f.write_str("none, there is no such name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_asked_for_in_a_labels_and_lower_case() {
        for (domain, asked) in [
            ("example.com", "example.com"),
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("xn--BCHER-kva.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("a_b.example", "a_b.example"),
        ] {
            let name = domain_name(domain).unwrap();
            assert_eq!(host_name(&name).unwrap(), asked, "{domain}");
            let question = Question::services(&name, Security::StartTls).unwrap();
            assert!(question.name.is_fqdn());
            assert_eq!(
                question.to_string(),
                format!("SRV _xmpp-server._tcp.{asked}")
            );
        }
    }

    #[test]
    fn what_is_no_domain_name_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "127.0.0.1",
            "::1",
            "[::1]",
            "[127.0.0.1]",
            "*.example.com",
            "a b.example",
            "a\\.b.example",
            "a\\046b.example",
            "a/b",
            "a@b",
            "a\0b",
            "a\nb",
            &long,
            &"a.".repeat(200),
        ] {
            assert_eq!(domain_name(text), Err(NotADomain), "{text:?}");
        }
    }

    #[test]
    fn a_domain_too_long_for_the_name_of_its_service_is_refused() {
        let name = domain_name(&"a.".repeat(125)).unwrap();
        let question = Question::services(&name, Security::Direct);
        assert_eq!(question, Err(NotADomain));
    }
}
