// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator sets, read and checked parameter by parameter.
//!
//! In: name and value of a modparam (or of an argument of the plain program). Out: a [`Config`] whose values
//! are legal; [`Config::finish`] checks what only the whole can tell.

mod component;
mod contact;
mod credential;
mod federation;
mod limit;
mod parameter;
mod resources;
mod value;

pub use component::Component;
pub use contact::Contact;
pub use credential::Credential;
pub use federation::Dialback;
pub use limit::{Limit, Reached};
pub use parameter::{ConfigError, PARAMETERS, Parameter};
pub use resources::NotifyResources;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::address::{DomainMap, DomainPattern, NumberPlan, to_a_labels, to_u_labels};
use crate::body::{Shape, pidf};
use crate::stanza::LinkName;

use value::{domain, file, function, message_answer, number, pattern, sip_uri, store};

/// The configuration of the gateway.
#[derive(Debug, Clone)]
pub struct Config {
    /// `sip_domain`, repeatable: domains whose users are SIP users. A-labels, lower case.
    pub sip_domains: Vec<String>,
    /// `gwmap`, repeatable.
    pub gwmap: DomainMap,
    /// `tel`, repeatable: whose users telephone numbers are.
    pub numbers: NumberPlan,
    /// `xmpp_allow`, repeatable: XMPP domains the gateway serves; empty serves none.
    pub xmpp_allow: Vec<DomainPattern>,
    /// `xmpp_deny`, repeatable: exceptions from `xmpp_allow`.
    pub xmpp_deny: Vec<DomainPattern>,
    /// `component`, repeatable: `domain=…;host=…;port=…;secret=…`.
    pub components: Vec<Component>,
    /// `listen`, repeatable: where other servers connect and then start TLS (RFC 6120 §5).
    pub listen: Vec<SocketAddr>,
    /// `listen_tls`, repeatable: where other servers connect with TLS at once (XEP-0368).
    pub listen_tls: Vec<SocketAddr>,
    /// `certificate`, repeatable: PEM files, each a certificate and its chain.
    pub certificates: Vec<PathBuf>,
    /// `private_key`, repeatable: PEM files; the n-th key belongs to the n-th certificate.
    pub private_keys: Vec<PathBuf>,
    /// `ca_list`: PEM file of trusted CAs; without it the system's.
    pub ca_list: Option<PathBuf>,
    /// `dialback`: whether a server that cannot prove itself by its certificate may do so by dialback.
    pub dialback: Dialback,
    /// `resolver`, repeatable: DNS servers; none: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// `contact`, repeatable: what the gateway's Contacts say; must lead back to this Kamailio.
    pub contacts: Vec<Contact>,
    /// `credential`, repeatable: answers challenges of servers beyond this Kamailio, one for each realm.
    pub credentials: Vec<Credential>,
    /// `event_callback`: the function for events in a script that is not in Kamailio's own language.
    pub event_callback: Option<String>,
    /// `outbound_proxy`: SIP URI where the gateway's own initial requests go.
    pub outbound_proxy: Option<String>,
    /// `store`: path of the SQLite database (`sqlite:/path`).
    pub store: PathBuf,
    /// `ports`: number of port processes, 1 to 16.
    pub ports: u32,
    /// `threads`: tokio threads of the gateway process, 1 to 16.
    pub threads: u32,
    /// `restart_backoff`: 0 restarts a dead gateway at once, always (for fault tests); 1 backs off.
    pub restart_backoff: bool,
    /// `expires_min`: shortest subscription granted, seconds.
    pub expires_min: u32,
    /// `expires_max`: longest subscription granted, and the length of our own, seconds.
    pub expires_max: u32,
    /// `notify_interval`: shortest time between two NOTIFYs of one dialog about presence, seconds; 0 is none.
    pub notify_interval: u32,
    /// `notify_resources`: whether a change of one resource is told with all the others.
    pub notify_resources: NotifyResources,
    /// `max_dialogs`: dialogs kept; more are refused.
    pub max_dialogs: u32,
    /// `max_user_dialogs`: dialogs of one watcher; 0 is no limit.
    pub max_user_dialogs: u32,
    /// `max_domain_dialogs`: dialogs with one XMPP domain, in each direction; 0 is no limit.
    pub max_domain_dialogs: u32,
    /// `max_user_subscribes`: new subscriptions of one watcher per minute; 0 is no limit.
    pub max_user_subscribes: u32,
    /// `max_domain_subscribes`: new subscriptions with one XMPP domain per second, in each direction; 0 is no
    /// limit.
    pub max_domain_subscribes: u32,
    /// `max_stanza`: largest stanza accepted, bytes.
    pub max_stanza: usize,
    /// `max_handshake`: most bytes of a peer before it accepts the component, or is authenticated.
    pub max_handshake: usize,
    /// `handshake_timeout`: longest time until a peer accepts the component, or is authenticated, seconds.
    pub handshake_timeout: u32,
    /// `max_links`: links between servers, at most.
    pub max_links: u32,
    /// `max_connections`: accepted connections, at most.
    pub max_connections: u32,
    /// `max_address_connections`: accepted connections of one address; 0 is no limit.
    pub max_address_connections: u32,
    /// `max_address_attempts`: new connections from one address per minute; 0 is no limit.
    pub max_address_attempts: u32,
    /// `max_dialbacks`: dialback verifications under way for one domain.
    pub max_dialbacks: u32,
    /// `max_link_queue`: bytes that wait in one link between servers.
    pub max_link_queue: usize,
    /// `link_idle`: a stream between servers on which no stanza went for so long is closed, seconds; 0 is
    /// never.
    pub link_idle: u32,
    /// `max_domain_stanzas`: stanzas of one XMPP domain per second, between servers; 0 is no limit.
    pub max_domain_stanzas: u32,
    /// `max_user_messages`: messages of one sender per minute; 0 is no limit.
    pub max_user_messages: u32,
    /// `max_domain_messages`: messages with one XMPP domain per second, in each direction; 0 is no limit.
    pub max_domain_messages: u32,
    /// `message_answer`: the status that answers a MESSAGE which the XMPP server has taken, 200 (RFC 7572 §5) or 202
    /// (RFC 3428 §7).
    pub message_answer: u16,
    /// `message_max`: largest MESSAGE sent, bytes; above 1300 the whole path must be safe from congestion
    /// (RFC 3428 §8).
    pub message_max: u32,
    /// `max_body`: largest body of a SIP request accepted, bytes.
    pub max_body: usize,
    /// `max_pidf`, `max_pidf_tuples`, `max_pidf_notes`: the largest presence document accepted.
    pub pidf: pidf::Limits,
    /// `max_xml_depth`, `max_xml_attributes`, `max_xml_namespaces`, `max_xml_name`: of stanzas and documents.
    pub xml: Shape,
    /// `pending_max`: how long an XMPP contact is waited for who does not answer, seconds.
    pub pending_max: u32,
    /// `probe_timeout`: how long a one-shot SUBSCRIBE, or a refresh, waits for a probe's answer, seconds.
    pub probe_timeout: u32,
    /// `watch_calls`: whether calls of SIP contacts are shown to XMPP watchers (RFC 4235).
    pub watch_calls: bool,
    /// `watcher_idle`: an XMPP watcher who was not heard of for so long has no subscription, seconds; 0 is
    /// never.
    pub watcher_idle: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sip_domains: Vec::new(),
            gwmap: DomainMap::default(),
            numbers: NumberPlan::default(),
            xmpp_allow: Vec::new(),
            xmpp_deny: Vec::new(),
            components: Vec::new(),
            listen: Vec::new(),
            listen_tls: Vec::new(),
            certificates: Vec::new(),
            private_keys: Vec::new(),
            ca_list: None,
            dialback: Dialback::default(),
            resolvers: Vec::new(),
            contacts: Vec::new(),
            credentials: Vec::new(),
            event_callback: None,
            outbound_proxy: None,
            store: PathBuf::from("/var/lib/stox/stox.db"),
            ports: 1,
            threads: 1,
            restart_backoff: true,
            expires_min: 60,
            expires_max: 3600,
            notify_interval: 5,
            notify_resources: NotifyResources::default(),
            max_dialogs: 1_000_000,
            max_user_dialogs: 1000,
            max_domain_dialogs: 50_000,
            max_user_subscribes: 30,
            max_domain_subscribes: 100,
            max_user_messages: 120,
            max_domain_messages: 500,
            message_answer: 200,
            message_max: 1300,
            max_stanza: 512 * 1024,
            max_handshake: 10_000,
            handshake_timeout: 30,
            max_links: 4096,
            max_connections: 4096,
            max_address_connections: 16,
            max_address_attempts: 60,
            max_dialbacks: 64,
            max_link_queue: 1024 * 1024,
            link_idle: 600,
            max_domain_stanzas: 200,
            max_body: 64 * 1024,
            pidf: pidf::Limits::default(),
            xml: Shape::default(),
            pending_max: 604_800,
            probe_timeout: 5,
            watch_calls: false,
            watcher_idle: 604_800,
        }
    }
}

impl Config {
    /// Takes one parameter. The error names the fault in words for the operator.
    ///
    /// A repeatable parameter adds to what is there, any other replaces it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        match name {
            "sip_domain" => {
                let domain = domain(value)?;
                if !self.sip_domains.contains(&domain) {
                    self.sip_domains.push(domain);
                }
            }
            "gwmap" => self
                .gwmap
                .add(value)
                .map_err(|e| ConfigError(format!("is refused: {e}")))?,
            "tel" => self
                .numbers
                .add(value)
                .map_err(|e| ConfigError(format!("is refused: {e}")))?,
            "xmpp_allow" => self.xmpp_allow.push(pattern(value)?),
            "xmpp_deny" => self.xmpp_deny.push(pattern(value)?),
            "component" => self.components.push(Component::parse(value)?),
            "listen" => self.listen.push(federation::socket(value)?),
            "listen_tls" => self.listen_tls.push(federation::socket(value)?),
            "certificate" => self.certificates.push(file(value)?),
            "private_key" => self.private_keys.push(file(value)?),
            "ca_list" => self.ca_list = Some(file(value)?),
            "dialback" => self.dialback = Dialback::parse(value)?,
            "resolver" => self.resolvers.push(federation::resolver(value)?),
            "contact" => self.contacts.push(Contact::parse(value)?),
            "credential" => {
                let credential = Credential::parse(value)?;
                if self.credentials.iter().any(|c| c.realm == credential.realm) {
                    return Err(ConfigError::new("is set twice for one realm"));
                }
                self.credentials.push(credential);
            }
            "event_callback" => self.event_callback = Some(function(value)?),
            "outbound_proxy" => self.outbound_proxy = Some(sip_uri(value)?),
            "store" => self.store = store(value)?,
            "ports" => self.ports = number(value, 1..=16)?,
            "threads" => self.threads = number(value, 1..=16)?,
            "restart_backoff" => self.restart_backoff = number(value, 0..=1)? == 1,
            "expires_min" => self.expires_min = number(value, 1..=86_400)?,
            "expires_max" => self.expires_max = number(value, 1..=604_800)?,
            "max_dialogs" => self.max_dialogs = number(value, 1..=10_000_000)?,
            "max_user_dialogs" => self.max_user_dialogs = number(value, 0..=10_000_000)?,
            "max_domain_dialogs" => self.max_domain_dialogs = number(value, 0..=10_000_000)?,
            "max_user_subscribes" => self.max_user_subscribes = number(value, 0..=100_000)?,
            "max_domain_subscribes" => self.max_domain_subscribes = number(value, 0..=100_000)?,
            "notify_interval" => self.notify_interval = number(value, 0..=300)?,
            "notify_resources" => self.notify_resources = NotifyResources::parse(value)?,
            "max_user_messages" => self.max_user_messages = number(value, 0..=100_000)?,
            "max_domain_messages" => self.max_domain_messages = number(value, 0..=100_000)?,
            "message_answer" => self.message_answer = message_answer(value)?,
            "message_max" => self.message_max = number(value, 1300..=60_000)?,
            "max_body" => self.max_body = number(value, 512..=65_536)?,
            "max_pidf" => self.pidf.bytes = number(value, 512..=65_536)?,
            "max_pidf_tuples" => self.pidf.tuples = number(value, 1..=256)?,
            "max_pidf_notes" => self.pidf.notes = number(value, 0..=256)?,
            "max_xml_depth" => self.xml.depth = number(value, 8..=256)?,
            "max_xml_attributes" => self.xml.attributes = number(value, 8..=1024)?,
            "max_xml_namespaces" => self.xml.namespaces = number(value, 4..=128)?,
            "max_xml_name" => self.xml.name = number(value, 64..=4096)?,
            "max_handshake" => self.max_handshake = number(value, 1024..=65_536)?,
            "handshake_timeout" => self.handshake_timeout = number(value, 1..=300)?,
            "max_links" => self.max_links = number(value, 1..=100_000)?,
            "max_connections" => self.max_connections = number(value, 1..=100_000)?,
            "max_address_connections" => self.max_address_connections = number(value, 0..=100_000)?,
            "max_address_attempts" => self.max_address_attempts = number(value, 0..=100_000)?,
            "max_dialbacks" => self.max_dialbacks = number(value, 1..=10_000)?,
            "max_link_queue" => self.max_link_queue = number(value, 65_536..=1_073_741_824)?,
            "link_idle" => self.link_idle = number(value, 0..=86_400)?,
            "max_domain_stanzas" => self.max_domain_stanzas = number(value, 0..=100_000)?,
            // RFC 6120 §13.12 wants at least 10000 bytes.
            "max_stanza" => self.max_stanza = number(value, 10_000..=16_777_216)?,
            "pending_max" => self.pending_max = number(value, 60..=31_536_000)?,
            "probe_timeout" => self.probe_timeout = number(value, 1..=30)?,
            "watch_calls" => self.watch_calls = number(value, 0..=1)? == 1,
            "watcher_idle" => self.watcher_idle = number(value, 0..=31_536_000)?,
            _ => return Err(ConfigError::new("is not a parameter of stox")),
        }
        Ok(())
    }

    /// Checks what concerns several parameters: at least one `sip_domain`, no domain that is both SIP and
    /// XMPP without an alias, component domains that are names of SIP domains on XMPP, a key for each
    /// certificate and a certificate for servers that connect, `expires_min` not above `expires_max`.
    pub fn finish(&self) -> Result<(), ConfigError> {
        if self.sip_domains.is_empty() {
            return Err(ConfigError::new(
                "no sip_domain is set: name at least one domain whose users are SIP users",
            ));
        }
        self.check_names()?;
        self.check_numbers()?;
        self.check_components()?;
        self.check_federation()?;
        if self.expires_min > self.expires_max {
            return Err(ConfigError(format!(
                "expires_min ({}) is above expires_max ({})",
                self.expires_min, self.expires_max,
            )));
        }
        Ok(())
    }

    /// No name may mean two domains, neither on SIP nor on XMPP.
    fn check_names(&self) -> Result<(), ConfigError> {
        for (domain, _) in self.gwmap.sip_aliases() {
            if !self.is_sip_domain(domain) {
                return Err(ConfigError(format!(
                    "gwmap renames \"{domain}\" on XMPP, but it is no sip_domain",
                )));
            }
        }
        for domain in &self.sip_domains {
            let name = self.gwmap.sip_domain_on_xmpp(domain);
            if self.gwmap.sip_domain_from_xmpp(&name) != *domain {
                return Err(ConfigError(format!(
                    "\"{name}\" is a sip_domain and the gwmap name of another one on XMPP",
                )));
            }
            if self.names_xmpp_domain(&name) {
                return Err(ConfigError(format!(
                    "\"{name}\" names a sip_domain on XMPP and is in xmpp_allow: give the SIP domain \
                     another name with gwmap \"sip:{domain}=NAME-ON-XMPP\"",
                )));
            }
        }
        let named = self.xmpp_allow.iter().filter_map(DomainPattern::as_name);
        let renamed = self.gwmap.xmpp_aliases().map(|(domain, _)| domain);
        for domain in named.chain(renamed) {
            let name = self.gwmap.xmpp_domain_on_sip(domain);
            if self.gwmap.xmpp_domain_from_sip(&name) != to_u_labels(domain) {
                return Err(ConfigError(format!(
                    "\"{name}\" is in xmpp_allow and the gwmap name of another XMPP domain on SIP",
                )));
            }
            if self.is_sip_domain(&name) {
                return Err(ConfigError(format!(
                    "\"{name}\" names an XMPP domain on SIP and is a sip_domain: give the XMPP domain \
                     another name with gwmap \"xmpp:{domain}=NAME-ON-SIP\"",
                )));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        let nobodys =
            |domain: &&str| !self.is_sip_domain(domain) && !self.serves_name_on_sip(domain);
        match self.numbers.domains().find(nobodys) {
            Some(domain) => Err(ConfigError(format!(
                "tel gives numbers to \"{domain}\", which is no sip_domain and no XMPP domain that is served",
            ))),
            None => Ok(()),
        }
    }

    fn check_components(&self) -> Result<(), ConfigError> {
        for (at, component) in self.components.iter().enumerate() {
            let domain = &component.domain;
            if !self.serves_sip_name(domain) {
                return Err(ConfigError(format!(
                    "component \"{domain}\" is not the name of a sip_domain on XMPP",
                )));
            }
            if self.components[..at]
                .iter()
                .any(|earlier| earlier.domain == *domain)
            {
                return Err(ConfigError(format!("component \"{domain}\" is set twice")));
            }
        }
        Ok(())
    }

    fn check_federation(&self) -> Result<(), ConfigError> {
        let (certificates, keys) = (self.certificates.len(), self.private_keys.len());
        if certificates != keys {
            return Err(ConfigError(format!(
                "certificate is set {certificates} times and private_key {keys} times: each certificate \
                 needs its key, in the same order",
            )));
        }
        if self.uses_s2s() && certificates == 0 {
            return Err(ConfigError::new(
                "listen and listen_tls need a certificate and its private_key: other servers take no \
                 stanza without TLS",
            ));
        }
        let sockets: Vec<_> = self.listen.iter().chain(&self.listen_tls).collect();
        for (at, socket) in sockets.iter().enumerate() {
            if sockets[..at].contains(socket) {
                return Err(ConfigError(format!(
                    "\"{socket}\" is set twice in listen and listen_tls",
                )));
            }
        }
        Ok(())
    }

    /// Whether there are links between servers.
    pub fn uses_s2s(&self) -> bool {
        !self.listen.is_empty() || !self.listen_tls.is_empty()
    }

    /// The names of the SIP domains on XMPP.
    pub fn local_domains(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.sip_domains
            .iter()
            .map(|domain| self.gwmap.sip_domain_on_xmpp(domain))
    }

    /// Those among them that are reached from server to server.
    pub fn s2s_domains(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.local_domains().filter(|domain| self.goes_s2s(domain))
    }

    fn goes_s2s(&self, local: &str) -> bool {
        self.uses_s2s() && !self.components.iter().any(|c| c.domain == local)
    }

    /// The link that stanzas between a domain of ours and an XMPP domain go over: that of the component, if
    /// there is one or nothing else.
    pub fn link(&self, local: &str, remote: &str) -> LinkName {
        if self.goes_s2s(local) {
            LinkName::s2s(local, remote)
        } else {
            LinkName::component(local)
        }
    }

    /// Whether a name on XMPP (in either alphabet) is that of one of our SIP domains.
    pub fn serves_sip_name(&self, name: &str) -> bool {
        let name = to_u_labels(name);
        self.local_domains().any(|domain| domain == name)
    }

    /// Whether `xmpp_allow` has that name in full.
    fn names_xmpp_domain(&self, name: &str) -> bool {
        let name = to_a_labels(name);
        let named = |pattern: &DomainPattern| pattern.as_name() == name.as_deref();
        name.is_some() && self.xmpp_allow.iter().any(named)
    }

    /// Whether users of that domain (as written in SIP: A-labels, any case) are ours on the SIP side.
    pub fn is_sip_domain(&self, domain: &str) -> bool {
        self.sip_domains
            .iter()
            .any(|d| d.eq_ignore_ascii_case(domain))
    }

    /// Whether a host as SIP names it is an XMPP domain that the gateway serves.
    pub fn serves_name_on_sip(&self, host: &str) -> bool {
        !self.is_sip_domain(host) && self.serves_xmpp_domain(&self.gwmap.xmpp_domain_from_sip(host))
    }

    /// Whether the gateway serves that XMPP domain (its XMPP name, in either alphabet).
    pub fn serves_xmpp_domain(&self, domain: &str) -> bool {
        // Patterns are in A-labels, and mean a domain in either alphabet.
        let Some(name) = to_a_labels(domain) else {
            return false;
        };
        !self.serves_sip_name(domain)
            && !self.is_sip_domain(&self.gwmap.xmpp_domain_on_sip(domain))
            && self.xmpp_allow.iter().any(|p| allows(p, &name))
            && !self.xmpp_deny.iter().any(|p| p.matches(&name))
    }
}

/// Whether a pattern of `xmpp_allow` lets a domain in. A pattern means names only: were addresses among them, `*`
/// would mean the Contact of every phone.
fn allows(pattern: &DomainPattern, domain: &str) -> bool {
    let is_address = || domain.starts_with('[') || domain.parse::<IpAddr>().is_ok();
    pattern.matches(domain) && (pattern.as_name().is_some() || !is_address())
}

#[cfg(test)]
mod tests;
