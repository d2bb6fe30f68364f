// SPDX-License-Identifier: GPL-2.0-or-later
//! The link of one pair of domains: what waits to be sent, bounded in bytes, and who carries it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minidom::Element;
use tokio::sync::Notify;
use tokio::time::Instant;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::xmpp::Timing;
use crate::xmpp::backoff::Backoff;
use crate::xmpp::outbox::SendError;
use crate::xmpp::stream::Writer;

use super::domain::DomainPair;
use super::header::writer;

/// A stanza as it is written to a stream.
pub(super) type Bytes = Vec<u8>;

/// Everything known of a link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) pair: DomainPair,
    capacity: usize,
    state: Mutex<State>,
    /// The operator wants it closed.
    pub(super) closing: Notify,
}

/// What changes.
#[derive(Debug)]
struct State {
    writer: Option<Writer>,
    queue: VecDeque<Bytes>,
    /// Bytes in `queue` and of stanzas that are under way.
    bytes: usize,
    carrier: Carrier,
    backoff: Backoff,
    tally: Tally,
    /// Whether the core was told that the link is up, and nothing else since.
    told_up: bool,
}

/// Who sees to it that stanzas leave.
#[derive(Debug)]
enum Carrier {
    /// Nobody: the next stanza needs somebody.
    Nobody,
    /// A task that connects.
    Connecting,
    /// A stream; it is told that something waits.
    Stream(Arc<Notify>),
    /// A task that waits before the link may be tried again; what comes meanwhile cannot be delivered.
    Waiting(DefinedCondition),
}

/// What an operator may know of a link.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) since: Option<Instant>,
    pub(super) stanzas_out: u64,
    pub(super) stanzas_dropped: u64,
    pub(super) stanzas_returned: u64,
    pub(super) times_up: u64,
    pub(super) last_error: Option<String>,
    /// When an answer to a ping over this link came.
    pub(super) answered: Option<Instant>,
    /// When anything but pings and answers was sent.
    pub(super) used: Option<Instant>,
}

/// What became of a stanza.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pushed {
    /// It waits; somebody sees to it.
    Waits,
    /// It waits, and the caller must see to it that somebody connects.
    WantsCarrier,
    /// It cannot be delivered, and its sender is to be told this.
    Undeliverable(DefinedCondition),
}

impl Link {
    /// A link on which nothing waits yet.
    pub(super) fn new(pair: DomainPair, capacity: usize, timing: &Timing) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                writer: writer(&pair).ok(),
                queue: VecDeque::new(),
                bytes: 0,
                carrier: Carrier::Nobody,
                backoff: Backoff::new(timing.retry_floor, timing.retry_ceiling),
                tally: Tally::default(),
                told_up: false,
            }),
            pair,
            closing: Notify::new(),
        }
    }

    /// Queues a stanza.
    pub(super) fn push(&self, stanza: &Element) -> Result<Pushed, SendError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Carrier::Waiting(condition) = &state.carrier {
            return Ok(Pushed::Undeliverable(condition.clone()));
        }
        let mut bytes = Bytes::new();
        let writer = state.writer.as_mut().ok_or(SendError::Unwritable)?;
        writer.write(stanza, &mut bytes).map_err(|_| {
            state.tally.stanzas_dropped += 1;
            SendError::Unwritable
        })?;
        if state.bytes + bytes.len() > self.capacity {
            state.tally.stanzas_dropped += 1;
            return Err(SendError::Full);
        }
        state.bytes += bytes.len();
        state.tally.stanzas_out += 1;
        if !is_small_talk(stanza) {
            state.tally.used = Some(Instant::now());
        }
        state.queue.push_back(bytes);
        match &state.carrier {
            Carrier::Stream(wake) => wake.notify_one(),
            Carrier::Connecting | Carrier::Waiting(_) => {}
            Carrier::Nobody => {
                state.carrier = Carrier::Connecting;
                return Ok(Pushed::WantsCarrier);
            }
        }
        Ok(Pushed::Waits)
    }

    /// The next stanzas of up to about `most` bytes, at least one if any waits. They count until
    /// [`Self::gone`] or [`Self::give_back`].
    pub(super) fn take(&self, most: usize) -> Vec<Bytes> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        let mut length = 0;
        while length < most {
            let Some(bytes) = state.queue.pop_front() else {
                break;
            };
            length += bytes.len();
            taken.push(bytes);
        }
        taken
    }

    /// So many bytes of stanzas have reached the other server, as far as that can be known.
    pub(super) fn gone(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Stanzas taken whose stream ended before they were known to have arrived; they go first.
    pub(super) fn give_back(&self, stanzas: Vec<Bytes>) {
        let mut state = self.lock();
        for bytes in stanzas.into_iter().rev() {
            state.queue.push_front(bytes);
        }
    }

    /// A stream carries the link from now on. False if there is a stream already, or a task connects.
    pub(super) fn adopt(&self, wake: &Arc<Notify>) -> bool {
        let mut state = self.lock();
        match state.carrier {
            Carrier::Nobody | Carrier::Waiting(_) => {}
            Carrier::Connecting | Carrier::Stream(_) => return false,
        }
        state.up(wake);
        true
    }

    /// The stream that the connecting task made carries the link.
    pub(super) fn connected(&self, wake: &Arc<Notify>) {
        self.lock().up(wake);
    }

    /// An attempt failed, and there is to be another at once.
    pub(super) fn stumbled(&self, why: &str) {
        self.lock().tally.last_error = Some(why.to_owned());
    }

    /// A stream lasted: the next pause is short again.
    pub(super) fn lasted(&self) {
        self.lock().backoff.reset();
    }

    /// How long to wait after a failure.
    pub(super) fn pause(&self, random: u64) -> Duration {
        self.lock().backoff.next(random)
    }

    /// The task connects, instead of waiting. False if a stream carries the link meanwhile.
    pub(super) fn reconnect(&self) -> bool {
        let mut state = self.lock();
        if matches!(state.carrier, Carrier::Stream(_)) {
            return false;
        }
        state.carrier = Carrier::Connecting;
        true
    }

    /// A stream that carried the link has ended. True if the caller must see to another: something waits, or it is
    /// wanted `again`; else the link rests.
    pub(super) fn disconnected(&self, why: &str, again: bool) -> bool {
        let mut state = self.lock();
        state.tally.last_error = Some(why.to_owned());
        state.tally.since = Some(Instant::now());
        let needed = again || !state.queue.is_empty();
        state.carrier = if needed {
            Carrier::Connecting
        } else {
            Carrier::Nobody
        };
        needed
    }

    /// No connection came about: what waits is returned to be reported to its senders, and what comes is refused
    /// until [`Self::rest_after_pause`] or [`Self::adopt`]. `None` if a stream carries the link meanwhile.
    pub(super) fn failed(&self, why: &str, condition: DefinedCondition) -> Option<Vec<Bytes>> {
        let mut state = self.lock();
        if matches!(state.carrier, Carrier::Stream(_)) {
            return None;
        }
        state.tally.last_error = Some(why.to_owned());
        state.tally.since = Some(Instant::now());
        state.carrier = Carrier::Waiting(condition);
        Some(state.empty())
    }

    /// The task that connects gives up: the next stanza makes somebody connect. What waits is returned to be reported to
    /// its senders; nothing, if a stream carries the link meanwhile.
    pub(super) fn give_up(&self) -> Vec<Bytes> {
        let mut state = self.lock();
        if matches!(state.carrier, Carrier::Stream(_)) {
            return Vec::new();
        }
        state.carrier = Carrier::Nobody;
        state.empty()
    }

    /// The pause after a failure is over: the next stanza makes somebody connect.
    pub(super) fn rest_after_pause(&self) {
        let mut state = self.lock();
        if matches!(state.carrier, Carrier::Waiting(_)) {
            state.carrier = Carrier::Nobody;
        }
    }

    /// Whether the peer was out of reach a moment ago; then the link may be tried again from now on.
    pub(super) fn recovers(&self) -> bool {
        let mut state = self.lock();
        let waiting = matches!(state.carrier, Carrier::Waiting(_));
        if waiting {
            state.carrier = Carrier::Nobody;
            state.backoff.reset();
        }
        waiting
    }

    /// Why the last stream ended, or none came about.
    pub(super) fn last_error(&self) -> String {
        self.lock().tally.last_error.clone().unwrap_or_default()
    }

    /// Notes that the core is told that the link is up, or not; `true` if that is news.
    pub(super) fn tell(&self, up: bool) -> bool {
        std::mem::replace(&mut self.lock().told_up, up) != up
    }

    /// Whether nothing waits and nobody is busy with it.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.queue.is_empty() && matches!(state.carrier, Carrier::Nobody)
    }

    /// The other server answered a ping.
    pub(super) fn answered(&self) {
        self.lock().tally.answered = Some(Instant::now());
    }

    /// When an answer to a ping came last.
    pub(super) fn answered_at(&self) -> Option<Instant> {
        self.lock().tally.answered
    }

    /// When anything but pings and answers was sent last.
    pub(super) fn used_at(&self) -> Option<Instant> {
        self.lock().tally.used
    }

    /// Its state in words.
    pub(super) fn state(&self) -> &'static str {
        match self.lock().carrier {
            Carrier::Nobody => "idle",
            Carrier::Connecting => "connecting",
            Carrier::Stream(_) => "up",
            Carrier::Waiting(_) => "waiting to reconnect",
        }
    }

    /// Bytes that wait or are under way.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Counters.
    pub(super) fn tally(&self) -> Tally {
        self.lock().tally.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn up(&mut self, wake: &Arc<Notify>) {
        self.carrier = Carrier::Stream(Arc::clone(wake));
        self.tally.times_up += 1;
        self.tally.since = Some(Instant::now());
        wake.notify_one();
    }

    fn empty(&mut self) -> Vec<Bytes> {
        let stanzas: Vec<_> = std::mem::take(&mut self.queue).into();
        let length: usize = stanzas.iter().map(Vec::len).sum();
        self.bytes = self.bytes.saturating_sub(length);
        self.tally.stanzas_returned += stanzas.len() as u64;
        stanzas
    }
}

/// Whether a stanza shows no use of a link: pings, and answers to any question.
pub(super) fn is_small_talk(stanza: &Element) -> bool {
    stanza.name() == "iq"
        && (stanza.attr("type") != Some("get") && stanza.attr("type") != Some("set")
            || stanza.has_child("ping", xmpp_parsers::ns::PING))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza() -> Element {
        "<message xmlns='jabber:client' from='us' to='them'/>"
            .parse()
            .unwrap()
    }

    fn link(capacity: usize) -> Link {
        let pair = DomainPair::new("us", "them");
        Link::new(pair, capacity, &Timing::default())
    }

    #[test]
    fn a_queue_takes_what_fits_and_counts_what_is_under_way() {
        let one = link(1000);
        one.push(&stanza()).unwrap();
        let length = one.bytes();
        let link = link(3 * length);
        assert_eq!(link.push(&stanza()), Ok(Pushed::WantsCarrier));
        assert_eq!(link.push(&stanza()), Ok(Pushed::Waits));
        assert_eq!(link.push(&stanza()), Ok(Pushed::Waits));
        for _ in 0..30 {
            assert_eq!(link.push(&stanza()), Err(SendError::Full));
        }
        let taken = link.take(1);
        assert_eq!(taken.len(), 1);
        assert_eq!(link.push(&stanza()), Err(SendError::Full));
        link.gone(length);
        assert_eq!(link.push(&stanza()), Ok(Pushed::Waits));
        assert_eq!(link.bytes(), 3 * length);
        let tally = link.tally();
        assert_eq!((tally.stanzas_out, tally.stanzas_dropped), (4, 31));
    }

    #[test]
    fn while_a_link_waits_to_be_tried_again_nothing_is_queued() {
        let link = link(1000);
        link.push(&stanza()).unwrap();
        let condition = DefinedCondition::RemoteServerNotFound;
        let returned = link.failed("no such domain", condition.clone());
        assert_eq!(returned.map(|stanzas| stanzas.len()), Some(1));
        assert_eq!(link.push(&stanza()), Ok(Pushed::Undeliverable(condition)));
        assert_eq!(link.bytes(), 0);
        link.rest_after_pause();
        assert_eq!(link.push(&stanza()), Ok(Pushed::WantsCarrier));
    }

    #[test]
    fn one_carries_a_link_at_a_time() {
        let link = link(1000);
        let wake = Arc::new(Notify::new());
        link.push(&stanza()).unwrap();
        assert!(!link.adopt(&wake), "somebody connects");
        link.connected(&wake);
        assert!(!link.adopt(&wake), "a stream carries it");
        assert_eq!(
            link.failed("late", DefinedCondition::RemoteServerTimeout),
            None
        );
        assert!(!link.reconnect());
        assert!(link.disconnected("over", false), "something waits");
        link.take(1000);
        assert!(!link.disconnected("over", false));
        assert!(link.adopt(&wake));
    }
}
