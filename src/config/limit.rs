// SPDX-License-Identifier: GPL-2.0-or-later
//! The limits that a peer can run into, each named by the parameter that sets it, and how often each was
//! reached.

use crate::body::Misshapen;
use crate::body::pidf::Excess;

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// `max_address_attempts`
    AddressAttempts,
    /// `max_address_connections`
    AddressConnections,
    /// `max_body`
    Body,
    /// `max_connections`
    Connections,
    /// `max_dialbacks`
    Dialbacks,
    /// `max_dialogs`
    Dialogs,
    /// `max_domain_dialogs`
    DomainDialogs,
    /// `max_domain_messages`
    DomainMessages,
    /// `max_domain_stanzas`
    DomainStanzas,
    /// `max_domain_subscribes`
    DomainSubscribes,
    /// `max_link_queue`
    LinkQueue,
    /// `max_links`
    Links,
    /// `max_pidf`
    Pidf,
    /// `max_pidf_notes`
    PidfNotes,
    /// `max_pidf_tuples`
    PidfTuples,
    /// `max_stanza`
    Stanza,
    /// `max_user_dialogs`
    UserDialogs,
    /// `max_user_messages`
    UserMessages,
    /// `max_user_subscribes`
    UserSubscribes,
    /// `max_xml_attributes`
    XmlAttributes,
    /// `max_xml_depth`
    XmlDepth,
    /// `max_xml_name`
    XmlName,
    /// `max_xml_namespaces`
    XmlNamespaces,
}

impl Limit {
    /// All of them, in the order of their parameters.
    pub const ALL: [Self; 23] = [
        Self::AddressAttempts,
        Self::AddressConnections,
        Self::Body,
        Self::Connections,
        Self::Dialbacks,
        Self::Dialogs,
        Self::DomainDialogs,
        Self::DomainMessages,
        Self::DomainStanzas,
        Self::DomainSubscribes,
        Self::LinkQueue,
        Self::Links,
        Self::Pidf,
        Self::PidfNotes,
        Self::PidfTuples,
        Self::Stanza,
        Self::UserDialogs,
        Self::UserMessages,
        Self::UserSubscribes,
        Self::XmlAttributes,
        Self::XmlDepth,
        Self::XmlName,
        Self::XmlNamespaces,
    ];

    /// The parameter that sets it.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::AddressAttempts => "max_address_attempts",
            Self::AddressConnections => "max_address_connections",
            Self::Body => "max_body",
            Self::Connections => "max_connections",
            Self::Dialbacks => "max_dialbacks",
            Self::Dialogs => "max_dialogs",
            Self::DomainDialogs => "max_domain_dialogs",
            Self::DomainMessages => "max_domain_messages",
            Self::DomainStanzas => "max_domain_stanzas",
            Self::DomainSubscribes => "max_domain_subscribes",
            Self::LinkQueue => "max_link_queue",
            Self::Links => "max_links",
            Self::Pidf => "max_pidf",
            Self::PidfNotes => "max_pidf_notes",
            Self::PidfTuples => "max_pidf_tuples",
            Self::Stanza => "max_stanza",
            Self::UserDialogs => "max_user_dialogs",
            Self::UserMessages => "max_user_messages",
            Self::UserSubscribes => "max_user_subscribes",
            Self::XmlAttributes => "max_xml_attributes",
            Self::XmlDepth => "max_xml_depth",
            Self::XmlName => "max_xml_name",
            Self::XmlNamespaces => "max_xml_namespaces",
        }
    }
}

impl From<Misshapen> for Limit {
    fn from(misshapen: Misshapen) -> Self {
        match misshapen {
            Misshapen::Depth => Self::XmlDepth,
            Misshapen::Attributes => Self::XmlAttributes,
            Misshapen::Namespaces => Self::XmlNamespaces,
            Misshapen::Name => Self::XmlName,
        }
    }
}

impl From<Excess> for Limit {
    fn from(excess: Excess) -> Self {
        match excess {
            Excess::Bytes => Self::Pidf,
            Excess::Tuples => Self::PidfTuples,
            Excess::Notes => Self::PidfNotes,
            Excess::Shape(misshapen) => misshapen.into(),
        }
    }
}

/// How often each limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached([u64; Limit::ALL.len()]);

impl Reached {
    /// Counts one.
    pub fn count(&mut self, limit: Limit) {
        if let Some(times) = self.0.get_mut(limit as usize) {
            *times += 1;
        }
    }

    /// How often that one was reached.
    pub fn times(&self, limit: Limit) -> u64 {
        self.0.get(limit as usize).copied().unwrap_or_default()
    }

    /// The sum of two counts.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (times, more) in self.0.iter_mut().zip(other.0) {
            *times += more;
        }
        self
    }

    /// Takes over what another count has of one limit.
    pub fn catch_up(&mut self, limit: Limit, other: &Self) {
        if let Some(times) = self.0.get_mut(limit as usize) {
            *times = other.times(limit);
        }
    }

    /// What was counted since an earlier look.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (times, before) in self.0.iter_mut().zip(earlier.0) {
            *times = times.saturating_sub(before);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::PARAMETERS;
    use super::*;

    #[test]
    fn every_limit_is_a_parameter_and_is_counted_apart() {
        let mut reached = Reached::default();
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, place);
            let is_parameter = |p: &super::super::Parameter| p.name == limit.parameter();
            assert!(PARAMETERS.iter().any(is_parameter), "{limit:?}");
            let before = reached;
            (0..=place).for_each(|_| reached.count(limit));
            assert_eq!(reached.since(&before).times(limit), place as u64 + 1);
            assert_eq!(before.plus(&reached.since(&before)), reached);
        }
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(reached.times(limit), place as u64 + 1);
        }
    }
}
