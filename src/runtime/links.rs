// SPDX-License-Identifier: GPL-2.0-or-later
//! The links to the XMPP network, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::{Config, Reached};
use crate::frame::Record;
use crate::stanza::{LinkName, Stanza};
use crate::xmpp::stream::Limits;
use crate::xmpp::{Link, LinkEvent, SendError, Timing};

/// Events of all links that may wait before the links stop reading.
const EVENTS: usize = 256;

/// All links, and which of them are up.
#[derive(Debug)]
pub(super) struct Links(BTreeMap<LinkName, Entry>);

#[derive(Debug)]
struct Entry {
    link: Link,
    up: bool,
    stanzas_in: u64,
    stanzas_out: u64,
    stanzas_refused: u64,
}

/// Stanzas since they were asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traffic {
    pub(super) stanzas_in: u64,
    pub(super) stanzas_out: u64,
    pub(super) stanzas_refused: u64,
}

impl Links {
    /// Opens what is configured.
    pub(super) fn open(config: &Config) -> (Self, mpsc::Receiver<LinkEvent>) {
        let (sender, events) = mpsc::channel(EVENTS);
        let open = |component: &crate::config::Component| {
            let timing = Timing {
                handshake: Duration::from_secs(u64::from(config.handshake_timeout)),
                ..Timing::default()
            };
            let link = Link::component_with_timing(
                component.clone(),
                Limits::of(config),
                sender.clone(),
                timing,
            );
            (
                link.name(),
                Entry {
                    link,
                    up: false,
                    stanzas_in: 0,
                    stanzas_out: 0,
                    stanzas_refused: 0,
                },
            )
        };
        (Self(config.components.iter().map(open).collect()), events)
    }

    /// Queues a stanza; never waits.
    pub(super) fn send(&self, link: &LinkName, stanza: Stanza) -> Result<(), SendError> {
        self.0.get(link).ok_or(SendError::Down)?.link.send(stanza)
    }

    /// Remembers whether a link is up.
    pub(super) fn set_up(&mut self, link: &LinkName, up: bool) {
        if let Some(entry) = self.0.get_mut(link) {
            entry.up = up;
        }
    }

    /// How many links are up.
    pub(super) fn up(&self) -> u64 {
        self.0.values().map(|entry| u64::from(entry.up)).sum()
    }

    /// What went over all links since the last call.
    pub(super) fn traffic(&mut self) -> Traffic {
        let mut traffic = Traffic::default();
        for entry in self.0.values_mut() {
            let status = entry.link.status();
            traffic.stanzas_in += status.stanzas_in.saturating_sub(entry.stanzas_in);
            traffic.stanzas_out += status.stanzas_out.saturating_sub(entry.stanzas_out);
            traffic.stanzas_refused += status.stanzas_refused.saturating_sub(entry.stanzas_refused);
            entry.stanzas_in = status.stanzas_in;
            entry.stanzas_out = status.stanzas_out;
            entry.stanzas_refused = status.stanzas_refused;
        }
        traffic
    }

    /// How often each limit was reached, over all links.
    pub(super) fn reached(&self) -> Reached {
        self.0.values().fold(Reached::default(), |sum, entry| {
            sum.plus(&entry.link.status().reached)
        })
    }

    /// One record per link for the operator.
    pub(super) fn records(&self) -> Vec<Record> {
        self.0
            .iter()
            .map(|(name, entry)| {
                let status = entry.link.status();
                let peer = status.peer.map(|peer| peer.to_string());
                Record::default()
                    .text("link", name.to_string())
                    .text("kind", name.kind())
                    .text("state", status.state.to_string())
                    .int("since", status.since.elapsed().as_secs())
                    .text("peer", peer.unwrap_or_default())
                    .int(
                        "queued_bytes",
                        u64::try_from(status.queue_bytes).unwrap_or(u64::MAX),
                    )
                    .int("stanzas_in", status.stanzas_in)
                    .int("stanzas_out", status.stanzas_out)
                    .text("last_error", status.last_error.unwrap_or_default())
            })
            .collect()
    }

    /// Closes all links at once, each within that time.
    pub(super) async fn close(self, within: Duration) {
        let mut closing: JoinSet<()> = self
            .0
            .into_values()
            .map(|entry| entry.link.close(within))
            .collect();
        while closing.join_next().await.is_some() {}
    }
}
