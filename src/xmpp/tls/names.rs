// SPDX-License-Identifier: GPL-2.0-or-later
//! The XMPP domains that a certificate names (RFC 6120 §13.7.1.2, RFC 6125 §6.4).
//!
//! In: a certificate, and a domain. Out: whether, and how closely, the one names the other. The subject's
//! common name counts for nothing.

use std::fmt;
use std::net::IpAddr;

use x509_parser::asn1_rs::{Any, FromDer as _, Oid, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
const XMPP_ADDRESS: Oid<'_> = oid!(1.3.6.1.5.5.7.8.5);

/// id-on-dnsSRV (RFC 4985 §2).
const SRV_NAME: Oid<'_> = oid!(1.3.6.1.5.5.7.8.7);

/// The service that an SRVName has to be of.
const SERVICE: &str = "_xmpp-server.";

/// How many names an operator is shown.
const SHOWN: usize = 5;

/// The longest name of the domain name system (RFC 1035 §2.3.4).
const LONGEST: usize = 253;

/// The names that a certificate claims, as far as they can be a server's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names(Vec<Name>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// dNSName
    Dns(String),
    /// SRVName of our service, without the service.
    Srv(String),
    /// xmppAddr without localpart and resource.
    Xmpp(String),
}

/// How closely a certificate names a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// As one of all that are below another.
    Wildcard,
    /// By its own name.
    Exact,
}

impl Names {
    /// What stands in the subjectAltName.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let Ok(Some(extension)) = certificate.subject_alternative_name() else {
            return Self::default();
        };
        let names = extension.value.general_names.iter();
        Self(names.filter_map(Name::of).collect())
    }

    /// Only those that every CA is held to by the constraints it is under.
    ///
    /// Constraints on dNSNames bind neither SRVName nor xmppAddr (RFC 4985 §4), and are all that a company's
    /// CA is given.
    pub(super) fn constrained(mut self) -> Self {
        self.0.retain(|name| matches!(name, Name::Dns(_)));
        self
    }

    /// How closely they name a domain in A-labels ([`a_labels`]).
    pub(super) fn fit(&self, domain: &str) -> Option<Fit> {
        self.0.iter().filter_map(|name| name.fit(domain)).max()
    }
}

/// For an operator: not too many, not too long, nothing that could be taken for something else.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no XMPP server");
        }
        for (n, name) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if n > 0 { ", " } else { "" };
            write!(f, "{separator}{name}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Name {
    fn of(name: &GeneralName<'_>) -> Option<Self> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "not our enum, and the rest of it is for others"
        )]
        let name = match name {
            GeneralName::DNSName(name) => Self::Dns(name.to_ascii_lowercase()),
            GeneralName::OtherName(id, value) if *id == SRV_NAME => {
                let name = other_name(value)?.to_ascii_lowercase();
                Self::Srv(name.strip_prefix(SERVICE)?.to_owned())
            }
            GeneralName::OtherName(id, value) if *id == XMPP_ADDRESS => {
                Self::Xmpp(a_labels(other_name(value)?)?)
            }
            _ => return None,
        };
        // What is none is a user's address (a person's), or made to confuse.
        let text = name.text();
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
        (text.len() <= LONGEST && text.chars().all(legal)).then_some(name)
    }

    fn fit(&self, domain: &str) -> Option<Fit> {
        match self {
            Self::Dns(name) | Self::Srv(name) => fit(name, domain),
            Self::Xmpp(name) => (name == domain).then_some(Fit::Exact),
        }
    }

    fn text(&self) -> &str {
        let (Self::Dns(name) | Self::Srv(name) | Self::Xmpp(name)) = self;
        name
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Xmpp(name) => f.write_str(name),
            Self::Srv(name) => write!(f, "{SERVICE}{name}"),
        }
    }
}

/// A domain as certificates have it: A-labels in lower case (RFC 6125 §6.4.2). `None` if it has no such form.
pub(super) fn a_labels(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain)
        .ok()
        .filter(|name| !name.is_empty() && name.len() <= LONGEST)
}

/// The text of an otherName's value, which is an IA5String (SRVName) or a UTF8String (xmppAddr) with a tag
/// of its own.
fn other_name(value: &[u8]) -> Option<&str> {
    let (after, explicit) = Any::from_der(value).ok()?;
    let (more, string) = Any::from_der(explicit.data).ok()?;
    let whole = after.is_empty() && more.is_empty();
    let text = [Tag::Ia5String, Tag::Utf8String].contains(&string.tag());
    if !whole || !text {
        return None;
    }
    std::str::from_utf8(string.data).ok()
}

/// A star stands for one whole left-most label (RFC 6120 §13.7.1.2.1), below a name of two labels or more.
fn fit(name: &str, domain: &str) -> Option<Fit> {
    if domain.parse::<IpAddr>().is_ok() {
        return None;
    }
    if name == domain {
        return Some(Fit::Exact);
    }
    let parent = name.strip_prefix("*.")?;
    let (label, rest) = domain.split_once('.')?;
    (!label.is_empty() && rest == parent && parent.contains('.')).then_some(Fit::Wildcard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Leaf, San};

    fn names(sans: &[San<'_>]) -> Names {
        let issued = Authority::root("root").issue(Leaf::named(sans));
        Names::of(&issued.parsed())
    }

    #[test]
    fn a_certificate_names_what_its_names_say() {
        use San::{Dns, Srv, Xmpp};

        for (name, domain, fit) in [
            (Dns("a.example"), "a.example", Some(Fit::Exact)),
            (Dns("A.Example"), "a.example", Some(Fit::Exact)),
            (Dns("a.example"), "b.example", None),
            (Dns("a.example"), "x.a.example", None),
            (Dns("a.example."), "a.example", None),
            (Dns("*.a.example"), "x.a.example", Some(Fit::Wildcard)),
            (Dns("*.a.example"), "a.example", None),
            (Dns("*.a.example"), "y.x.a.example", None),
            (Dns("*.a.example"), ".a.example", None),
            (Dns("x*.a.example"), "xy.a.example", None),
            (Dns("*x.a.example"), "yx.a.example", None),
            (Dns("x.*.example"), "x.a.example", None),
            (Dns("*.*.example"), "x.a.example", None),
            (Dns("*.example"), "a.example", None),
            (Dns("*"), "example", None),
            (Dns("*."), "a.", None),
            (
                Dns("xn--bcher-kva.example"),
                "b\u{fc}cher.example",
                Some(Fit::Exact),
            ),
            (
                Dns("xn--bcher-kva.example"),
                "B\u{dc}CHER.example",
                Some(Fit::Exact),
            ),
            (
                Dns("xn--bcher-kva.example"),
                "xn--bcher-kva.example",
                Some(Fit::Exact),
            ),
            (
                Dns("*.a.example"),
                "b\u{fc}cher.a.example",
                Some(Fit::Wildcard),
            ),
            (Dns("xn--*.a.example"), "b\u{fc}cher.a.example", None),
            (Dns("192.0.2.1"), "192.0.2.1", None),
            (Dns("*.0.2.1"), "192.0.2.1", None),
            (Dns("a.example\0.b.example"), "a.example", None),
            (Srv("_xmpp-server.a.example"), "a.example", Some(Fit::Exact)),
            (Srv("_XMPP-Server.a.example"), "a.example", Some(Fit::Exact)),
            (
                Srv("_xmpp-server.*.a.example"),
                "x.a.example",
                Some(Fit::Wildcard),
            ),
            (Srv("_xmpp-client.a.example"), "a.example", None),
            (Srv("a.example"), "a.example", None),
            (
                Srv("_xmpp-server.xn--bcher-kva.example"),
                "b\u{fc}cher.example",
                Some(Fit::Exact),
            ),
            (Xmpp("a.example"), "a.example", Some(Fit::Exact)),
            (
                Xmpp("b\u{fc}cher.example"),
                "xn--bcher-kva.example",
                Some(Fit::Exact),
            ),
            (Xmpp("juliet@a.example"), "a.example", None),
            (Xmpp("a.example/resource"), "a.example", None),
            (Xmpp("*.a.example"), "x.a.example", None),
        ] {
            let domain = a_labels(domain).unwrap();
            assert_eq!(names(&[name]).fit(&domain), fit, "{name:?} for {domain}");
        }
    }

    #[test]
    fn the_closest_name_counts() {
        let names = names(&[San::Dns("*.a.example"), San::Dns("x.a.example")]);
        assert_eq!(names.fit("x.a.example"), Some(Fit::Exact));
        assert_eq!(names.fit("y.a.example"), Some(Fit::Wildcard));
    }

    #[test]
    fn an_operator_sees_few_names_and_no_persons() {
        let many: Vec<_> = (0..7).map(|n| format!("{n}.example")).collect();
        let mut sans: Vec<_> = many.iter().map(|name| San::Dns(name)).collect();
        sans.push(San::Xmpp("juliet@a.example"));
        sans.push(San::Dns("line\nfeed.example"));
        assert_eq!(
            names(&sans).to_string(),
            "0.example, 1.example, 2.example, 3.example, 4.example and 2 more"
        );
        assert_eq!(names(&[]).to_string(), "no XMPP server");
        assert_eq!(
            names(&[San::Srv("_xmpp-server.a.example")]).to_string(),
            "_xmpp-server.a.example"
        );
    }

    #[test]
    fn the_common_name_counts_for_nothing() {
        let issued = Authority::root("root").issue(Leaf {
            common_name: "a.example",
            ..Leaf::named(&[])
        });
        assert_eq!(Names::of(&issued.parsed()).fit("a.example"), None);
    }

    #[test]
    fn what_is_no_domain_has_no_a_labels() {
        assert_eq!(a_labels(""), None);
        assert_eq!(a_labels(&format!("{}.example", "a".repeat(250))), None);
        assert_eq!(a_labels("xn--\u{fc}.example"), None);
    }
}
