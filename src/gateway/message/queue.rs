// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages on their way to SIP: those of a pair one at a time and in order (RFC 3428 §8), each stored until it has ended.

use std::collections::{BTreeMap, VecDeque};

use indexmap::IndexMap;

use crate::address::Pair;
use crate::record::{Change, MessageId, MessageRecord, MessageRequest, MessageSender, Moment};

use super::super::desk::{Desk, Purpose};
use super::super::timers::Timer;
use super::request::{order_key, send_of};

/// Messages of one pair that may wait for SIP's answer to the one before.
const MOST_OF_PAIR: usize = 32;

/// Messages that may wait in all.
pub(super) const MOST: usize = 10_000;

/// As many pairs begin in one round after a start.
const ROUND: usize = 100;

/// Between two such rounds.
const PAUSE_MS: u64 = 50;

/// Messages that SIP has not answered, or whose sender's server has not taken the error.
#[derive(Debug, Default)]
pub(super) struct Queues {
    last: u64,
    count: u64,
    pub(super) queues: IndexMap<Pair, Queue>,
    /// Failed: the sender is to be told.
    pub(super) failed: BTreeMap<MessageId, Failed>,
    /// Pairs whose messages wait since before the start.
    idle: VecDeque<Pair>,
}

/// A message whose sender is to be told that it failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) record: Box<MessageRecord>,
    /// The error has been sent.
    pub(super) told: bool,
}

/// The messages of a pair, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) messages: VecDeque<Box<MessageRecord>>,
    /// The first is with SIP, or something else that it has to wait for.
    pub(super) under_way: bool,
    /// A challenge to the first has been answered.
    pub(super) answered: bool,
}

impl Queues {
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// How many wait for SIP's answer.
    fn waiting(&self) -> usize {
        usize::try_from(self.count)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.failed.len())
    }

    /// A message of an earlier process.
    pub(super) fn restore(&mut self, record: MessageRecord) {
        self.last = self.last.max(record.id.0);
        self.count += 1;
        if record.failure.is_some() {
            let failed = Failed {
                record: Box::new(record),
                told: false,
            };
            self.failed.insert(failed.record.id, failed);
            return;
        }
        let queue = self.queues.entry(record.pair.clone()).or_default();
        if queue.messages.is_empty() {
            self.idle.push_back(record.pair.clone());
        }
        queue.messages.push_back(Box::new(record));
    }

    /// Lets some of the pairs begin whose messages wait since before the start.
    pub(super) fn resume(&mut self, desk: &mut Desk, now: Moment) {
        for _ in 0..ROUND {
            match self.idle.pop_front() {
                Some(pair) => self.send_first(desk, now, &pair, None),
                None => return,
            }
        }
        desk.timers
            .set(Timer::ResumeMessages, now.plus_ms(PAUSE_MS));
    }

    /// The error for a message may have been lost.
    pub(super) fn untold(&mut self, id: MessageId) {
        if let Some(failed) = self.failed.get_mut(&id) {
            failed.told = false;
        }
    }

    /// An error that has this id and was for this JID was not sent. Its sender may have used the id more than once: better
    /// he is told twice.
    pub(super) fn unsent(&mut self, id: Option<&str>, to: &str) {
        for failed in self.failed.values_mut() {
            let sender = failed.record.sender.as_ref();
            if sender.is_some_and(|sender| sender.id.as_deref() == id && sender.from == to) {
                failed.told = false;
            }
        }
    }

    /// Whether the error for a message has been sent.
    pub(super) fn is_told(&self, id: MessageId) -> bool {
        self.failed.get(&id).is_none_or(|failed| failed.told)
    }

    /// Whether one more message of a pair may wait.
    pub(super) fn has_room(&self, pair: &Pair) -> bool {
        let queued = self
            .queues
            .get(pair)
            .map_or(0, |queue| queue.messages.len());
        queued < MOST_OF_PAIR && self.waiting() < MOST
    }

    /// Whether nothing waits for the SIP user of a pair, or is with him.
    pub(super) fn is_idle(&self, pair: &Pair) -> bool {
        !self.queues.contains_key(pair)
    }

    /// Something that is no message is with the SIP user of a pair: RFC 3428 §8 wants one request at a time.
    pub(super) fn occupy(&mut self, pair: &Pair) {
        self.queues.entry(pair.clone()).or_default().under_way = true;
    }

    /// It has its answer.
    pub(super) fn release(&mut self, pair: &Pair) {
        if let Some(queue) = self.queues.get_mut(pair) {
            queue.under_way = false;
            if queue.messages.is_empty() {
                self.queues.swap_remove(pair);
            }
        }
    }

    /// Takes a message, to be sent in its turn.
    pub(super) fn put(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: Pair,
        request: MessageRequest,
        sender: Option<MessageSender>,
    ) {
        desk.counters.messages_to_sip.taken += 1;
        self.count += 1;
        self.last += 1;
        let record = MessageRecord {
            id: MessageId(self.last),
            pair: pair.clone(),
            since: now,
            sender,
            request,
            failure: None,
        };
        desk.change(Change::PutMessage(Box::new(record.clone())));
        let queue = self.queues.entry(pair.clone()).or_default();
        queue.messages.push_back(Box::new(record));
        self.send_first(desk, now, &pair, None);
    }

    /// Sends the first message of a pair, unless something is under way.
    pub(super) fn send_first(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        proof: Option<(String, String)>,
    ) {
        let Some(queue) = self.queues.get_mut(pair) else {
            return;
        };
        let Some(record) = queue.messages.front().filter(|_| !queue.under_way) else {
            return;
        };
        queue.under_way = true;
        queue.answered = proof.is_some();
        let mut send = send_of(desk, &record.request, order_key(pair));
        // RFC 3261 §22.2: the next CSeq of the same call.
        send.cseq += u32::from(proof.is_some());
        send.headers.extend(proof);
        desk.send(now, Purpose::Message(pair.clone()), send);
    }

    /// The first message of a pair has its answer; gives it.
    pub(super) fn take_first(&mut self, pair: &Pair) -> Option<Box<MessageRecord>> {
        let queue = self.queues.get_mut(pair)?;
        let record = queue.messages.pop_front();
        queue.under_way = false;
        queue.answered = false;
        if queue.messages.is_empty() {
            self.queues.swap_remove(pair);
        }
        record
    }

    /// Nothing more is owed of a message.
    pub(super) fn done(&mut self, desk: &mut Desk, id: MessageId) {
        self.count = self.count.saturating_sub(1);
        desk.change(Change::RemoveMessage(id));
    }
}
