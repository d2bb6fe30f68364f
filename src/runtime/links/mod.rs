// SPDX-License-Identifier: GPL-2.0-or-later
//! The links to the XMPP network, by name: those of components, and those between servers.

mod operator;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::{Component, Config, Reached};
use crate::frame::Record;
use crate::stanza::{LinkName, Stanza};
use crate::xmpp::s2s::{Federation, FederationError, FederationTotals, StreamView, StreamsUp};
use crate::xmpp::stream::Limits;
use crate::xmpp::{Link, LinkEvent, SendError, Timing};

/// Events of all links that may wait before the links stop reading.
const EVENTS: usize = 256;

/// Links between servers that are remembered as down; beyond that an outage may be told twice.
const REMEMBERED: usize = 10_000;

/// All links, and which of them are up.
#[derive(Debug)]
pub(super) struct Links {
    components: BTreeMap<LinkName, Entry>,
    federation: Option<Federation>,
    counted: FederationTotals,
    /// Links between servers of which it was told that they are down.
    down: BTreeSet<LinkName>,
}

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
    /// Stanzas that came back from links between servers.
    pub(super) stanzas_returned: u64,
    /// Connections of other servers.
    pub(super) accepted: u64,
}

impl Links {
    /// Opens what is configured.
    pub(super) fn open(
        config: &Arc<Config>,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>), FederationError> {
        let (sender, events) = mpsc::channel(EVENTS);
        let timing = Timing {
            handshake: Duration::from_secs(u64::from(config.handshake_timeout)),
            ..Timing::default()
        };
        let federation = if config.uses_s2s() {
            let (config, timing) = (Arc::clone(config), timing.clone());
            Some(Federation::join(config, timing, sender.clone())?)
        } else {
            None
        };
        let open = |component: &Component| {
            let limits = Limits::of(config);
            let link = Link::component_with_timing(
                component.clone(),
                limits,
                sender.clone(),
                timing.clone(),
            );
            (link.name(), Entry::new(link))
        };
        let links = Self {
            components: config.components.iter().map(open).collect(),
            federation,
            counted: FederationTotals::default(),
            down: BTreeSet::new(),
        };
        Ok((links, events))
    }

    /// Queues a stanza; never waits.
    pub(super) fn send(&self, link: &LinkName, stanza: Stanza) -> Result<(), SendError> {
        match (link, &self.federation) {
            (LinkName::S2s { local, remote }, Some(federation)) => {
                federation.send(local, remote, stanza)
            }
            (LinkName::S2s { .. }, None) => Err(SendError::Down),
            (LinkName::Component(_), _) => {
                let entry = self.components.get(link).ok_or(SendError::Down)?;
                entry.link.send(stanza)
            }
        }
    }

    /// Remembers whether a link is up; `true` if that is news for the operator.
    pub(super) fn set_up(&mut self, link: &LinkName, up: bool) -> bool {
        match link {
            LinkName::Component(_) => {
                if let Some(entry) = self.components.get_mut(link) {
                    entry.up = up;
                }
                true
            }
            LinkName::S2s { .. } if up => {
                self.down.remove(link);
                true
            }
            LinkName::S2s { .. } => {
                if self.down.len() >= REMEMBERED {
                    self.down.clear();
                }
                self.down.insert(link.clone())
            }
        }
    }

    /// How many links are up.
    pub(super) fn up(&self) -> u64 {
        let components = self.components.values();
        let components: u64 = components.map(|entry| u64::from(entry.up)).sum();
        let streams = self.federation.as_ref().map_or(0, Federation::links_up);
        components + streams
    }

    /// How many streams between servers are up.
    pub(super) fn streams_up(&self) -> StreamsUp {
        let federation = self.federation.as_ref();
        federation.map_or_else(StreamsUp::default, Federation::streams_up)
    }

    /// The days that the first of our certificates to end has left; `None` if there are none.
    pub(super) fn certificate_days_left(&self) -> Option<i64> {
        let federation = self.federation.as_ref()?;
        let days = federation.certificates().into_iter();
        days.map(|certificate| certificate.days_left).min()
    }

    /// What went over all links since the last call.
    pub(super) fn traffic(&mut self) -> Traffic {
        let mut traffic = Traffic::default();
        for entry in self.components.values_mut() {
            entry.count(&mut traffic);
        }
        if let Some(federation) = &self.federation {
            let totals = federation.totals();
            traffic.stanzas_in += totals.stanzas_in - self.counted.stanzas_in;
            traffic.stanzas_out += totals.stanzas_out - self.counted.stanzas_out;
            traffic.stanzas_refused += totals.stanzas_refused - self.counted.stanzas_refused;
            traffic.stanzas_returned = totals.stanzas_returned - self.counted.stanzas_returned;
            traffic.accepted = totals.accepted - self.counted.accepted;
            self.counted = totals;
        }
        traffic
    }

    /// How often each limit was reached, over all links.
    pub(super) fn reached(&self) -> Reached {
        let federation = self.federation.as_ref().map(Federation::totals);
        let federation = federation.map_or_else(Reached::default, |totals| totals.reached);
        self.components.values().fold(federation, |sum, entry| {
            sum.plus(&entry.link.status().reached)
        })
    }

    /// One record per link for the operator, and one per stream between servers.
    pub(super) fn records(&self) -> Vec<Record> {
        let components = self.components.iter();
        let components = components.map(|(name, entry)| entry.record(name));
        let streams = self.federation.iter().flat_map(Federation::view);
        components.chain(streams.map(stream)).collect()
    }

    /// Closes all links at once, each within that time.
    pub(super) async fn close(self, within: Duration) {
        let mut closing: JoinSet<()> = self
            .components
            .into_values()
            .map(|entry| entry.link.close(within))
            .collect();
        if let Some(federation) = self.federation {
            closing.spawn(federation.close(within));
        }
        while closing.join_next().await.is_some() {}
    }
}

impl Entry {
    fn new(link: Link) -> Self {
        Self {
            link,
            up: false,
            stanzas_in: 0,
            stanzas_out: 0,
            stanzas_refused: 0,
        }
    }

    fn count(&mut self, traffic: &mut Traffic) {
        let status = self.link.status();
        traffic.stanzas_in += status.stanzas_in.saturating_sub(self.stanzas_in);
        traffic.stanzas_out += status.stanzas_out.saturating_sub(self.stanzas_out);
        traffic.stanzas_refused += status.stanzas_refused.saturating_sub(self.stanzas_refused);
        self.stanzas_in = status.stanzas_in;
        self.stanzas_out = status.stanzas_out;
        self.stanzas_refused = status.stanzas_refused;
    }

    fn record(&self, name: &LinkName) -> Record {
        let status = self.link.status();
        let peer = status.peer.map(|peer| peer.to_string());
        Record::default()
            .text("link", name.to_string())
            .text("kind", name.kind())
            .text("state", status.state.to_string())
            .int("since", status.since.elapsed().as_secs())
            .text("peer", peer.unwrap_or_default())
            .int("queued_bytes", count(status.queue_bytes))
            .int("stanzas_in", status.stanzas_in)
            .int("stanzas_out", status.stanzas_out)
            .text("last_error", status.last_error.unwrap_or_default())
    }
}

fn stream(view: StreamView) -> Record {
    let peer = view.peer.map(|peer| peer.to_string());
    let since = view.since.map_or(0, |since| since.elapsed().as_secs());
    let certificate = match (view.peer, view.distrust.is_empty()) {
        (None, _) => String::new(),
        (Some(_), true) => "trusted".to_owned(),
        (Some(_), false) => view.distrust,
    };
    Record::default()
        .text("link", view.link)
        .text("kind", "s2s")
        .text("direction", view.direction)
        .text("state", view.state)
        .int("since", since)
        .text("peer", peer.unwrap_or_default())
        .text("tls", view.tls)
        .text("authentication", view.authentication)
        .text("certificate", certificate)
        .text("acknowledged", if view.acknowledged { "yes" } else { "no" })
        .int("queued_bytes", count(view.queue_bytes))
        .int("stanzas_in", view.stanzas_in)
        .int("stanzas_out", view.stanzas_out)
        .text("last_error", view.last_error)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
