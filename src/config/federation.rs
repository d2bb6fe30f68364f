// SPDX-License-Identifier: GPL-2.0-or-later
//! The parameters of the federation: `listen`, `listen_tls`, `resolver` and `dialback`.

use std::net::{IpAddr, SocketAddr};

use super::ConfigError;

/// The port of a DNS server (RFC 1035 §4.2).
const DNS: u16 = 53;

/// Whether dialback is served and used (XEP-0220).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialback {
    /// Never.
    Off,
    /// On encrypted streams.
    #[default]
    Tls,
}

impl Dialback {
    pub(super) fn parse(value: &str) -> Result<Self, ConfigError> {
        match value.trim() {
            "off" => Ok(Self::Off),
            "tls" => Ok(Self::Tls),
            _ => Err(ConfigError(format!(
                "must be \"off\" or \"tls\", not \"{}\"",
                value.escape_debug(),
            ))),
        }
    }
}

/// `ADDRESS:PORT`
pub(super) fn socket(value: &str) -> Result<SocketAddr, ConfigError> {
    with_port(value.trim()).ok_or_else(|| {
        ConfigError(format!(
            "must be \"ADDRESS:PORT\", an IPv6 address in brackets, not \"{}\"",
            value.escape_debug(),
        ))
    })
}

/// `ADDRESS:PORT` or `ADDRESS`
pub(super) fn resolver(value: &str) -> Result<SocketAddr, ConfigError> {
    let text = value.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let alone = || bare.parse::<IpAddr>().ok().map(|ip| (ip, DNS).into());
    with_port(text).or_else(alone).ok_or_else(|| {
        ConfigError(format!(
            "must be \"ADDRESS\" or \"ADDRESS:PORT\", an IPv6 address with a port in brackets, not \"{}\"",
            value.escape_debug(),
        ))
    })
}

fn with_port(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|at: &SocketAddr| at.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_may_have_a_port() {
        for (value, address) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]", "[2001:db8::53]:53"),
            (" [2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(resolver(value).unwrap().to_string(), address, "{value}");
        }
    }
}
