// SPDX-License-Identifier: GPL-2.0-or-later
//! The statistics: what they are called, and what they count.

use crate::config::Limit;

/// Whether a value only grows or shows the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, over all gateway processes since Kamailio's start.
    Total,
    /// The present value; 0 while no gateway process runs.
    Present,
    /// The present value, which is stored as one more than it is; -1 while there is none.
    Left,
}

macro_rules! counters {
    ($($variant:ident $kind:ident $name:literal $description:literal;)+) => {
        /// One statistic of the group `stox`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Counter {
            $(#[doc = $description] $variant,)+
        }

        impl Counter {
            /// All of them, in the order they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name within the group.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it counts, for the operator.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }

            /// Whether it only grows.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }
        }
    };
}

counters! {
    HandedOver Total "handed_over" "Requests handed over to the gateway process.";
    Answered Total "answered" "Handed-over requests answered by the gateway process.";
    AnsweredUnavailable Total "answered_unavailable" "Handed-over requests answered 503 for a dead or hung gateway process.";
    RefusedBusy Total "refused_busy" "Requests answered 503 at once: queue or table full, or no gateway process.";
    StaleCommands Total "stale_commands" "Answers of the gateway process that came too late and were dropped.";
    StaleRequests Total "stale_requests" "Requests answered before the gateway process had read them.";
    BadFrames Total "bad_frames" "Datagrams between the processes that could not be decoded.";
    ResultsLost Total "results_lost" "Results of requests that found the gateway's queue full.";
    SendsFailed Total "sends_failed" "Requests of the gateway that Kamailio could not send.";
    CommandsLost Total "commands_lost" "Commands dropped because a port was too far behind.";
    LogLinesLost Total "log_lines_lost" "Log lines of the gateway process dropped because port 0 was busy.";
    GatewayRestarts Total "gateway_restarts" "Gateway processes started after the first.";
    StanzasIn Total "stanzas_in" "Stanzas received from XMPP.";
    StanzasOut Total "stanzas_out" "Stanzas sent to XMPP.";
    S2sConnections Total "s2s_connections" "Connections of other servers that were taken.";
    S2sReturned Total "s2s_returned" "Stanzas that could not be delivered to another server and came back to their senders.";
    StanzasLost Total "stanzas_lost" "Stanzas dropped because their link was down or full.";
    Subscribes Total "subscribes" "Initial SUBSCRIBE requests accepted.";
    NotifiesSent Total "notifies_sent" "NOTIFY requests sent.";
    NotifiesReceived Total "notifies_received" "NOTIFY requests received for a dialog.";
    RequestsRefused Total "requests_refused" "SIP requests refused with an error.";
    PresenceSent Total "presence_sent" "Presence stanzas sent.";
    PresenceReceived Total "presence_received" "Presence stanzas received.";
    StanzasRefused Total "stanzas_refused" "Stanzas answered with an error.";
    AnswersWithheld Total "answers_withheld" "Answers not sent to XMPP domains that are not served: longer than what they answered.";
    RefusalsHeld Total "refusals_held" "Refusals of granted authorisations that came in a flood and were not believed.";
    MessagesToXmpp Total "messages_to_xmpp" "Messages taken from SIP.";
    MessagesToXmppDelivered Total "messages_to_xmpp_delivered" "Messages from SIP that the XMPP server has taken.";
    MessagesToXmppErrored Total "messages_to_xmpp_errored" "Messages from SIP whose sender was told that they failed.";
    MessagesToSip Total "messages_to_sip" "Messages taken from XMPP.";
    MessagesToSipDelivered Total "messages_to_sip_delivered" "Messages from XMPP that SIP has accepted.";
    MessagesToSipErrored Total "messages_to_sip_errored" "Messages from XMPP whose sender was told that they failed.";
    MessagesFailedLate Total "messages_failed_late" "Errors for messages that had been answered already.";
    ReceiptsDropped Total "receipts_dropped" "Receipts and notifications not passed on: beyond a limit, or without a link.";
    ChangesHeld Total "changes_held" "Changes of presence that waited for notify_interval to pass.";
    OverMaxAddressAttempts Total "over_max_address_attempts" "Connections refused: too many at a time from one address.";
    OverMaxAddressConnections Total "over_max_address_connections" "Connections refused: as many of one address as may be.";
    OverMaxBody Total "over_max_body" "SIP requests refused for their body's size.";
    OverMaxConnections Total "over_max_connections" "Connections refused: as many as may be.";
    OverMaxDialbacks Total "over_max_dialbacks" "Dialback requests refused: as many under way for one domain as may be.";
    OverMaxDialogs Total "over_max_dialogs" "Subscriptions refused or put off: as many dialogs as may be.";
    OverMaxDomainDialogs Total "over_max_domain_dialogs" "Subscriptions refused or put off: as many dialogs with one XMPP domain as may be.";
    OverMaxDomainMessages Total "over_max_domain_messages" "Messages refused: too many at a time with one XMPP domain.";
    OverMaxDomainStanzas Total "over_max_domain_stanzas" "Stanzas held up or refused: too many at a time of one XMPP domain.";
    OverMaxDomainSubscribes Total "over_max_domain_subscribes" "Subscriptions refused or put off: too many at a time with one XMPP domain.";
    OverMaxLinkQueue Total "over_max_link_queue" "Stanzas refused: as many bytes wait in their link as may.";
    OverMaxLinks Total "over_max_links" "Stanzas refused: as many links between servers as may be.";
    OverMaxPidf Total "over_max_pidf" "Presence documents refused for their size.";
    OverMaxPidfNotes Total "over_max_pidf_notes" "Presence documents refused for too many notes.";
    OverMaxPidfTuples Total "over_max_pidf_tuples" "Presence documents refused for too many tuples.";
    OverMaxStanza Total "over_max_stanza" "Stanzas refused for their size.";
    OverMaxUserDialogs Total "over_max_user_dialogs" "Subscriptions refused or put off: as many dialogs of one watcher as may be.";
    OverMaxUserMessages Total "over_max_user_messages" "Messages refused: too many at a time of one sender.";
    OverMaxUserSubscribes Total "over_max_user_subscribes" "Subscriptions refused or put off: too many at a time of one watcher.";
    OverMaxXmlAttributes Total "over_max_xml_attributes" "Stanzas and documents refused for too many attributes.";
    OverMaxXmlDepth Total "over_max_xml_depth" "Stanzas and documents refused for being nested too deeply.";
    OverMaxXmlName Total "over_max_xml_name" "Stanzas and documents refused for too long a name.";
    OverMaxXmlNamespaces Total "over_max_xml_namespaces" "Stanzas and documents refused for too many namespaces.";
    NotifierDialogs Present "notifier_dialogs" "Dialogs of SIP watchers.";
    SubscriberDialogs Present "subscriber_dialogs" "Dialogs of XMPP watchers.";
    MessagesToXmppInFlight Present "messages_to_xmpp_in_flight" "Messages from SIP that are not answered yet.";
    MessagesToSipInFlight Present "messages_to_sip_in_flight" "Messages from XMPP that are neither delivered nor reported yet.";
    RequestsInFlight Present "requests_in_flight" "Requests of the gateway without a result.";
    RequestsHeld Present "requests_held" "Handed-over requests that the gateway process has not answered yet.";
    LinksUp Present "links_up" "Links to the XMPP network that are ready.";
    S2sStreamsOut Present "s2s_streams_out" "Streams to other servers that the gateway opened.";
    S2sStreamsIn Present "s2s_streams_in" "Streams that other servers opened.";
    CertificateDaysLeft Left "certificate_days_left" "Days until the first of the gateway's certificates expires; -1 when one has, or there is none.";
}

impl Counter {
    /// The one that counts what was beyond a limit.
    pub fn over(limit: Limit) -> Self {
        match limit {
            Limit::AddressAttempts => Self::OverMaxAddressAttempts,
            Limit::AddressConnections => Self::OverMaxAddressConnections,
            Limit::Body => Self::OverMaxBody,
            Limit::Connections => Self::OverMaxConnections,
            Limit::Dialbacks => Self::OverMaxDialbacks,
            Limit::Dialogs => Self::OverMaxDialogs,
            Limit::DomainDialogs => Self::OverMaxDomainDialogs,
            Limit::DomainMessages => Self::OverMaxDomainMessages,
            Limit::DomainStanzas => Self::OverMaxDomainStanzas,
            Limit::DomainSubscribes => Self::OverMaxDomainSubscribes,
            Limit::LinkQueue => Self::OverMaxLinkQueue,
            Limit::Links => Self::OverMaxLinks,
            Limit::Pidf => Self::OverMaxPidf,
            Limit::PidfNotes => Self::OverMaxPidfNotes,
            Limit::PidfTuples => Self::OverMaxPidfTuples,
            Limit::Stanza => Self::OverMaxStanza,
            Limit::UserDialogs => Self::OverMaxUserDialogs,
            Limit::UserMessages => Self::OverMaxUserMessages,
            Limit::UserSubscribes => Self::OverMaxUserSubscribes,
            Limit::XmlAttributes => Self::OverMaxXmlAttributes,
            Limit::XmlDepth => Self::OverMaxXmlDepth,
            Limit::XmlName => Self::OverMaxXmlName,
            Limit::XmlNamespaces => Self::OverMaxXmlNamespaces,
        }
    }

    /// What is shown for a stored value.
    pub fn shown(self, stored: u64) -> i64 {
        let stored = i64::try_from(stored).unwrap_or(i64::MAX);
        match self.kind() {
            Kind::Total | Kind::Present => stored,
            Kind::Left => stored - 1,
        }
    }

    /// What is stored to show a value of [`Kind::Left`].
    pub fn stored(left: Option<i64>) -> u64 {
        left.and_then(|left| u64::try_from(left.saturating_add(1)).ok())
            .unwrap_or(0)
    }

    /// Its place in the shared memory.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_places_follow_the_table() {
        let names: BTreeSet<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
        assert_eq!(names.len(), Counter::ALL.len());
        for (place, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter.index(), place);
        }
    }

    #[test]
    fn what_is_left_may_be_nothing() {
        let days = Counter::CertificateDaysLeft;
        for (left, shown) in [
            (None, -1),
            (Some(-9), -1),
            (Some(-1), -1),
            (Some(0), 0),
            (Some(90), 90),
        ] {
            assert_eq!(days.shown(Counter::stored(left)), shown, "{left:?}");
        }
        assert_eq!(days.shown(0), -1);
        assert_eq!(Counter::LinksUp.shown(0), 0);
    }

    #[test]
    fn every_limit_has_a_counter_of_its_name() {
        for limit in Limit::ALL {
            let name = format!("over_{}", limit.parameter());
            assert_eq!(Counter::over(limit).name(), name);
        }
    }
}
