// SPDX-License-Identifier: GPL-2.0-or-later
//! One `component` parameter.

use std::fmt;
use std::net::Ipv6Addr;

use super::ConfigError;
use crate::address::{domain_name, to_u_labels};

/// A connection to an XMPP server as its component (XEP-0114).
#[derive(Clone, PartialEq, Eq)]
pub struct Component {
    /// The domain served: a SIP domain's name on XMPP.
    pub domain: String,
    /// The server's host name or address.
    pub host: String,
    /// Its component port.
    pub port: u16,
    /// The shared secret; never printed.
    pub secret: String,
}

impl Component {
    /// Reads `domain=…;host=…;port=…;secret=…`, in any order. The error quotes nothing that may be a
    /// secret or a piece of one.
    pub(super) fn parse(value: &str) -> Result<Self, ConfigError> {
        let (mut domain, mut host, mut port, mut secret) = (None, None, None, None);
        for part in value.split(';').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                ConfigError::new(
                    "must be \"domain=...;host=...;port=...;secret=...\" (no \";\" in the secret)",
                )
            })?;
            let slot = match key.trim() {
                "domain" => &mut domain,
                "host" => &mut host,
                "port" => &mut port,
                "secret" => &mut secret,
                _ if secret.is_some() => {
                    return Err(ConfigError::new(
                        "has an unknown key after \"secret\" (a secret must not hold \";\")",
                    ));
                }
                other => return Err(ConfigError(format!("has an unknown key \"{other}\""))),
            };
            if slot.replace(value).is_some() {
                return Err(ConfigError(format!("has two keys \"{}\"", key.trim())));
            }
        }
        let domain = required("domain", domain)?;
        let host = required("host", host)?;
        let port = required("port", port)?;
        let secret = required("secret", secret)?;
        Ok(Self {
            domain: domain_name(domain.trim())
                .map(|name| to_u_labels(&name).into_owned())
                .ok_or_else(|| ConfigError::new("needs a domain name after \"domain=\""))?,
            host: host_name(host.trim())
                .ok_or_else(|| ConfigError::new("needs a host name or address after \"host=\""))?,
            port: port_number(port.trim()).ok_or_else(|| {
                ConfigError::new("needs a number from 1 to 65535 after \"port=\"")
            })?,
            secret: secret.to_owned(),
        })
    }
}

fn required<'a>(key: &str, value: Option<&'a str>) -> Result<&'a str, ConfigError> {
    value
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| ConfigError(format!("lacks \"{key}=...\"")))
}

/// A name or address as a resolver takes it: IPv6 without brackets.
fn host_name(text: &str) -> Option<String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse::<Ipv6Addr>() {
        Ok(address) => Some(address.to_string()),
        Err(_) => domain_name(text),
    }
}

/// A port that can be connected to.
pub(super) fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("domain", &self.domain)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_read() {
        let value = "host=[::1]; domain = Sip.Example ;port=5347;secret= a=b= ;";
        let component = Component::parse(value).unwrap();
        assert_eq!(
            (component.domain.as_str(), component.host.as_str()),
            ("sip.example", "::1")
        );
        assert_eq!(
            (component.port, component.secret.as_str()),
            (5347, " a=b= ")
        );
        assert!(!format!("{component:?}").contains("a=b"));
        for domain in ["xn--bro-hoa.example", "büro.example"] {
            let value = format!("domain={domain};host=h;port=1;secret=s");
            assert_eq!(Component::parse(&value).unwrap().domain, "büro.example");
        }
    }

    #[test]
    fn faults_are_named_and_the_secret_is_not() {
        for (value, fault) in [
            ("", "lacks \"domain=...\""),
            ("domain=a;host=b;secret=hidden", "lacks \"port=...\""),
            ("domain=a;host=b;port=1;secret=", "lacks \"secret=...\""),
            ("domain=a;host=b;port=0;secret=hidden", "from 1 to 65535"),
            ("domain=a;host=b;port=+1;secret=hidden", "from 1 to 65535"),
            (
                "domain=a b;host=b;port=1;secret=hidden",
                "needs a domain name",
            ),
            (
                "domain=a;host=b/c;port=1;secret=hidden",
                "needs a host name",
            ),
            ("domian=a;secret=hidden", "unknown key \"domian\""),
            ("secret=x;hidden=y", "unknown key after \"secret\""),
            ("secret=x;hidden", "no \";\" in the secret"),
            ("secret=hidden;secret=hidden", "two keys \"secret\""),
        ] {
            let error = Component::parse(value).unwrap_err().to_string();
            assert!(
                error.contains(fault) && !error.contains("hidden"),
                "{value}: {error}"
            );
        }
    }
}
