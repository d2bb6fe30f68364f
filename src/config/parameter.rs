// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of parameters.

/// A parameter as the operator sees it.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether modparam takes a number instead of a string.
    pub integer: bool,
}

/// Every parameter, by name.
pub const PARAMETERS: &[Parameter] = &[
    text("ca_list"),
    text("certificate"),
    text("component"),
    text("contact"),
    text("credential"),
    text("dialback"),
    text("event_callback"),
    number("expires_max"),
    number("expires_min"),
    text("gwmap"),
    number("handshake_timeout"),
    number("link_idle"),
    text("listen"),
    text("listen_tls"),
    number("max_address_attempts"),
    number("max_address_connections"),
    number("max_body"),
    number("max_connections"),
    number("max_dialbacks"),
    number("max_dialogs"),
    number("max_domain_dialogs"),
    number("max_domain_messages"),
    number("max_domain_stanzas"),
    number("max_domain_subscribes"),
    number("max_handshake"),
    number("max_link_queue"),
    number("max_links"),
    number("max_pidf"),
    number("max_pidf_notes"),
    number("max_pidf_tuples"),
    number("max_stanza"),
    number("max_user_dialogs"),
    number("max_user_messages"),
    number("max_user_subscribes"),
    number("max_xml_attributes"),
    number("max_xml_depth"),
    number("max_xml_name"),
    number("max_xml_namespaces"),
    number("message_answer"),
    number("message_max"),
    number("notify_interval"),
    text("notify_resources"),
    text("outbound_proxy"),
    number("pending_max"),
    number("ports"),
    text("private_key"),
    number("probe_timeout"),
    text("resolver"),
    number("restart_backoff"),
    text("sip_domain"),
    text("store"),
    text("tel"),
    number("threads"),
    number("watch_calls"),
    number("watcher_idle"),
    text("xmpp_allow"),
    text("xmpp_deny"),
];

const fn text(name: &'static str) -> Parameter {
    Parameter {
        name,
        integer: false,
    }
}

const fn number(name: &'static str) -> Parameter {
    Parameter {
        name,
        integer: true,
    }
}

/// Why a parameter is refused; reads as a sentence after the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
