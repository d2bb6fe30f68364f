// SPDX-License-Identifier: GPL-2.0-or-later
//! Who we are on the federation, as far as a negotiation must know.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::{Config, Dialback};

use super::dialback::Secret;

/// The domains served, the domains allowed, and the secret of our dialback keys.
#[derive(Debug, Clone)]
pub struct Site {
    config: Arc<Config>,
    domains: Arc<BTreeSet<String>>,
    /// Whether dialback is used.
    pub(super) dialback: bool,
    /// The secret of our dialback keys.
    pub(super) secret: Secret,
}

impl Site {
    /// The site of a configuration.
    pub fn new(config: Arc<Config>, secret: Secret) -> Self {
        let domains = config.s2s_domains().map(Cow::into_owned).collect();
        Self {
            domains: Arc::new(domains),
            dialback: config.dialback == Dialback::Tls,
            secret,
            config,
        }
    }

    /// Whether a domain is ours.
    pub(super) fn serves(&self, domain: &str) -> bool {
        self.domains.contains(domain)
    }

    /// Whether the operator lets us talk with a domain.
    pub(super) fn allows(&self, domain: &str) -> bool {
        self.config.serves_xmpp_domain(domain)
    }
}

#[cfg(test)]
mod tests {
    use crate::address::DomainPattern;

    use super::*;

    #[test]
    fn a_domain_is_denied_in_either_form() {
        let pattern = |text: &str| DomainPattern::parse(text).unwrap();
        let config = Config {
            xmpp_allow: vec![pattern("*")],
            xmpp_deny: vec![pattern("xn--bcher-kva.example")],
            ..Config::default()
        };
        let site = Site::new(Arc::new(config), Secret::new(b"of a test"));
        assert!(site.allows("b.example") && site.allows("ü.example"));
        assert!(!site.allows("xn--bcher-kva.example") && !site.allows("bücher.example"));
    }
}
