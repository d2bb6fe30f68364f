// SPDX-License-Identifier: GPL-2.0-or-later
//! The parameter `contact`: an address at which this Kamailio takes requests for the gateway's dialogs.

use std::fmt;

use crate::address::SipUri;

use super::parameter::ConfigError;

/// The transport of a SIP URI that names none, when its host is an address (RFC 3263 §4.1).
const DEFAULT_TRANSPORT: &str = "udp";

/// Host, port and transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Name or address, as in a URI.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `udp`, `tcp`, `tls` …, in lower case.
    pub transport: String,
}

impl Contact {
    pub(super) fn parse(value: &str) -> Result<Self, ConfigError> {
        let error = || {
            ConfigError(format!(
                "must be \"HOST:PORT\" or \"HOST:PORT;transport=NAME\", not \"{}\"",
                value.escape_debug()
            ))
        };
        let uri = SipUri::parse(&format!("sip:{}", value.trim())).map_err(|_| error())?;
        let transport = match uri.params.as_slice() {
            [] => DEFAULT_TRANSPORT.to_owned(),
            [(name, Some(transport))] if name == "transport" => transport.to_ascii_lowercase(),
            _ => return Err(error()),
        };
        let legal = ["udp", "tcp", "tls", "sctp", "ws"].contains(&transport.as_str());
        match uri.port {
            Some(port) if port != 0 && legal && uri.user.is_none() && uri.headers.is_none() => {
                Ok(Self {
                    host: uri.host,
                    port,
                    transport,
                })
            }
            Some(_) | None => Err(error()),
        }
    }

    /// `HOST:PORT`
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The one of several for a peer that reached the socket `local` over a transport: that socket's, else one of
    /// that transport, else the first.
    pub fn choose<'a>(contacts: &'a [Self], transport: &str, local: &str) -> Option<&'a Self> {
        let mut fitting = contacts.iter().filter(|c| c.transport == transport);
        let first = fitting.clone().next().or_else(|| contacts.first());
        fitting.find(|c| c.address() == local).or(first)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())?;
        if self.transport != DEFAULT_TRANSPORT {
            write!(f, ";transport={}", self.transport)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_given_the_contact_of_its_socket() {
        let contacts = [
            "192.0.2.1:5060",
            "192.0.2.1:5060;transport=tcp",
            "[2001:db8::1]:5060;transport=TCP",
            "192.0.2.1:5061;transport=tls",
        ]
        .map(|value| Contact::parse(value).unwrap());
        let chosen = |transport, local| {
            Contact::choose(&contacts, transport, local)
                .unwrap()
                .to_string()
        };
        for (transport, local, expected) in [
            ("udp", "192.0.2.1:5060", "192.0.2.1:5060"),
            ("tcp", "192.0.2.1:5060", "192.0.2.1:5060;transport=tcp"),
            (
                "tcp",
                "[2001:db8::1]:5060",
                "[2001:db8::1]:5060;transport=tcp",
            ),
            // Known outside by another address.
            ("tls", "10.0.0.1:5061", "192.0.2.1:5061;transport=tls"),
            ("ws", "192.0.2.1:5060", "192.0.2.1:5060"),
        ] {
            assert_eq!(chosen(transport, local), expected);
        }
        assert_eq!(Contact::choose(&[], "udp", "192.0.2.1:5060"), None);
    }
}
