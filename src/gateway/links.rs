// SPDX-License-Identifier: GPL-2.0-or-later
//! Which links can be used.
//!
//! A component's link is kept up by its edge, and can be used while it is. One between servers is made when
//! there is something to send: it can be used until it failed, and once it has, whether it is to be tried
//! again is for the core to say, which knows if anybody still needs it.

use std::collections::{BTreeMap, BTreeSet};

use crate::stanza::LinkName;

/// All links.
#[derive(Debug, Default)]
pub(super) struct Links {
    components_up: BTreeSet<LinkName>,
    /// Components' links that went, or could not be made.
    components_lost: BTreeSet<LinkName>,
    /// Whether links between servers can be made.
    federation: bool,
    outages: BTreeMap<LinkName, Outage>,
}

/// What became of a link between servers that was lost or could not be made.
#[derive(Debug, Clone, Copy)]
struct Outage {
    /// Attempts in a row that have failed since.
    failures: u32,
    /// Its pause is over: it is used again, and there is no word yet of what came of it.
    tried: bool,
}

/// What the loss of a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It could be used until now.
    New,
    /// So many attempts have failed since it was lost.
    Again(u32),
}

impl Links {
    /// Whether stanzas can be sent over a link.
    pub(super) fn is_up(&self, link: &LinkName) -> bool {
        match link {
            LinkName::Component(_) => self.components_up.contains(link),
            LinkName::S2s { .. } => {
                let outage = self.outages.get(link);
                self.federation && outage.is_none_or(|outage| outage.tried)
            }
        }
    }

    /// Whether a link is known to be down; of one that is still to come nothing is known.
    pub(super) fn is_lost(&self, link: &LinkName) -> bool {
        match link {
            LinkName::Component(_) => self.components_lost.contains(link),
            LinkName::S2s { .. } => self.federation && !self.is_up(link),
        }
    }

    /// Whether what is sent over a link would be dropped: a component's that is not up. What is sent between servers
    /// comes back.
    pub(super) fn drops(&self, link: &LinkName) -> bool {
        match link {
            LinkName::Component(_) => !self.is_up(link),
            LinkName::S2s { .. } => false,
        }
    }

    /// Whether stanzas can be sent over a link that it has not failed to carry.
    pub(super) fn is_sound(&self, link: &LinkName) -> bool {
        self.is_up(link) && !self.outages.contains_key(link)
    }

    /// Links between servers can be made from now on.
    pub(super) fn federation_came(&mut self) {
        self.federation = true;
    }

    /// A link is ready; `true` if what was sent before may be lost.
    pub(super) fn came(&mut self, link: &LinkName) -> bool {
        match link {
            LinkName::Component(_) => {
                self.components_lost.remove(link);
                self.components_up.insert(link.clone());
                true
            }
            LinkName::S2s { .. } => self.outages.remove(link).is_some(),
        }
    }

    /// A link is lost, or could not be made.
    pub(super) fn went(&mut self, link: &LinkName) -> Loss {
        match link {
            LinkName::Component(_) => {
                self.components_lost.insert(link.clone());
                if self.components_up.remove(link) {
                    Loss::New
                } else {
                    Loss::Again(0)
                }
            }
            LinkName::S2s { .. } => match self.outages.get_mut(link) {
                Some(outage) => {
                    outage.failures = outage.failures.saturating_add(1);
                    outage.tried = false;
                    Loss::Again(outage.failures)
                }
                None => {
                    let outage = Outage {
                        failures: 0,
                        tried: false,
                    };
                    self.outages.insert(link.clone(), outage);
                    Loss::New
                }
            },
        }
    }

    /// The pause after a failure is over: the link is used again, `true`. If it is already and no word of it
    /// came, that it failed is forgotten, `false`.
    pub(super) fn try_again(&mut self, link: &LinkName) -> bool {
        match self.outages.get_mut(link) {
            Some(outage) if !outage.tried => {
                outage.tried = true;
                true
            }
            Some(_) | None => {
                self.outages.remove(link);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_up_once_it_came_and_a_server_until_it_went() {
        let mut links = Links::default();
        let component = LinkName::component("sip.example");
        let s2s = LinkName::s2s("sip.example", "xmpp.example");
        assert!(!links.is_up(&component) && !links.is_up(&s2s));
        assert!(!links.is_lost(&component) && !links.is_lost(&s2s));
        links.federation_came();
        assert!(!links.is_up(&component) && links.is_up(&s2s));
        assert!(links.came(&component), "told whatever was before");
        assert!(!links.came(&s2s), "made when it was needed");
        for link in [&component, &s2s] {
            assert!(links.is_sound(link));
            assert!(!links.is_lost(link));
            assert_eq!(links.went(link), Loss::New);
            assert!(!links.is_up(link) && links.is_lost(link));
        }
        assert_eq!(links.went(&component), Loss::Again(0));
        assert_eq!(links.went(&s2s), Loss::Again(1));
        assert!(links.came(&component) && links.came(&s2s));
        assert!(links.is_sound(&component) && links.is_sound(&s2s));
    }

    #[test]
    fn a_failure_of_which_there_is_no_word_any_more_is_forgotten() {
        let mut links = Links::default();
        links.federation_came();
        let s2s = LinkName::s2s("sip.example", "xmpp.example");
        links.went(&s2s);
        assert!(links.try_again(&s2s));
        assert!(links.is_up(&s2s) && !links.is_sound(&s2s));
        assert_eq!(links.went(&s2s), Loss::Again(1));
        assert!(links.try_again(&s2s));
        assert!(!links.try_again(&s2s));
        assert!(links.is_sound(&s2s) && links.outages.is_empty());
    }
}
