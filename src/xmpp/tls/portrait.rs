// SPDX-License-Identifier: GPL-2.0-or-later
//! What a certificate says of itself, for an operator.

use std::fmt;

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::expiry::{Date, days_left, unix};
use super::names::Names;

/// How much of an issuer's name an operator is shown.
pub(super) const LONGEST_ISSUER: usize = 120;

/// Whose a certificate is, who vouches for it, and until when.
#[derive(Debug, Clone)]
pub struct Portrait {
    names: Names,
    issuer: String,
    not_after: UnixTime,
}

impl Portrait {
    /// That of the first certificate of a chain; `None` if it cannot be read.
    #[must_use]
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, own) = X509Certificate::from_der(chain.first()?).ok()?;
        Some(Self {
            names: Names::of(&own),
            issuer: issuer(&own),
            not_after: unix(own.validity().not_after),
        })
    }

    /// Whole days until it ends; negative when it has ended.
    #[must_use]
    pub fn days_left(&self, now: UnixTime) -> i64 {
        days_left(self.not_after, now)
    }
}

impl fmt::Display for Portrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, issuer, end) = (&self.names, &self.issuer, Date(self.not_after));
        write!(f, "names {names}; issued by {issuer}; until {end}")
    }
}

/// The name of a certificate's issuer, not too long, and nothing that could be taken for something else.
pub(super) fn issuer(certificate: &X509Certificate<'_>) -> String {
    let name = certificate.issuer().to_string();
    let mut shown: String = name
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(LONGEST_ISSUER)
        .collect();
    if shown.is_empty() {
        shown.push_str("somebody without a name");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Leaf, NOW, San};

    #[test]
    fn a_certificate_is_told_in_one_line() {
        let names = [San::Dns("a.example"), San::Dns("*.b.example")];
        let issued = Authority::root("The Root").issue(Leaf {
            until: (2027, 2, 1),
            ..Leaf::named(&names)
        });
        let portrait = Portrait::of(&issued.chain).unwrap();
        let words = portrait.to_string();
        assert!(
            words.starts_with("names a.example, *.b.example; issued by "),
            "{words}"
        );
        assert!(
            words.contains("The Root") && words.ends_with("; until 2027-02-01"),
            "{words}"
        );
        assert_eq!(portrait.days_left(NOW), 16);
        assert!(Portrait::of(&[]).is_none());
        assert!(Portrait::of(&[CertificateDer::from(vec![1, 2, 3])]).is_none());
    }
}
