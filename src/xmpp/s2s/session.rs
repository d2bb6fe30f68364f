// SPDX-License-Identifier: GPL-2.0-or-later
//! One stream behind TLS, until it ends. Reading and writing wait independently, so that a peer that does not read
//! never keeps us from reading.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use minidom::Element;
use rxml::xml_ncname;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use xmpp_parsers::ns::{self, JABBER_CLIENT};

use crate::xmpp::handled::Handled;
use crate::xmpp::stream::{Condition, Decoder, Reader, Received, Refused, StreamError, Writer};

use super::dialback::{Answer, Dialback, Part, Questions, Says};
use super::domain::DomainPair;
use super::failure::Failure;
use super::header::{NS_SERVER, header};
use super::hub::{Hub, PING};
use super::initiator::Authentication;
use super::link::is_small_talk;
use super::outgoing::Outgoing;
use super::record::{Join, StreamRecord};
use super::responder::{Judge, Responder, Step};
use super::verify;

/// Verified keys that may wait for their stream.
const VERDICTS: usize = 16;

/// A peer waits for an answer as long as we would, we suppose: it gets one within this part of that time.
const PART_OF_PATIENCE: u32 = 3;

/// Our side of a stream.
pub(super) enum Side {
    /// We opened it.
    Initiated(Initiated),
    /// The other server opened it.
    Accepted(Box<Responder>),
}

/// A stream that we opened.
pub(super) struct Initiated {
    /// The pairs that it is authenticated for, that which it was opened for first.
    pub(super) pairs: Vec<DomainPair>,
    /// Stanzas of the pairs come over it too.
    pub(super) bidi: bool,
    /// The id that the other server gave it.
    pub(super) id: String,
    /// Links that wait for the answer to our key.
    pub(super) joining: Vec<Join>,
    pub(super) questions: Questions,
}

/// A key that was verified, or not.
pub(super) struct Verdict {
    pub(super) pair: DomainPair,
    pub(super) id: String,
    pub(super) answer: Answer,
}

type Verdicts = (mpsc::Sender<Verdict>, mpsc::Receiver<Verdict>);

/// The next verdict; none comes before a key was asked about.
async fn next(verdicts: &mut Option<Verdicts>) -> Option<Verdict> {
    match verdicts {
        Some((_, receiver)) => receiver.recv().await,
        None => pending().await,
    }
}

/// A stream being read.
pub(super) struct Session<'a, R> {
    hub: &'a Arc<Hub>,
    record: &'a Arc<StreamRecord>,
    reader: Reader<R>,
    side: Side,
    judge: Judge<'a>,
    /// By when it must be authenticated; `None` once it is.
    deadline: Option<Instant>,
    /// The question whether the peer lives: when it was asked.
    asked: Option<Instant>,
    pings: u64,
    /// Stanzas that came since the peer enabled their acknowledgement (XEP-0198 §4).
    handled: Option<Arc<Handled>>,
    /// When reading went on after the core had taken the last stanza: its slowness is no silence.
    resumed: Instant,
    /// When a stanza came last.
    last: Instant,
    /// Made for the first key, as it takes more memory than all the rest of this.
    verdicts: Option<Verdicts>,
    joining: mpsc::Receiver<Join>,
    /// Pairs whose stanzas may go over a stream of theirs once its header is answered.
    adopting: Vec<DomainPair>,
    /// A new stream is to begin, and its header is not answered.
    restarting: bool,
    /// We have said the end, and hear the other server out.
    closing: bool,
}

impl<'a, R: AsyncRead + Unpin> Session<'a, R> {
    /// A stream that goes on from what was read of it; not authenticated before `deadline`, it ends.
    pub(super) fn new(
        hub: &'a Arc<Hub>,
        record: &'a Arc<StreamRecord>,
        reader: Reader<R>,
        side: Side,
        judge: Judge<'a>,
        joining: mpsc::Receiver<Join>,
        deadline: Option<Instant>,
    ) -> Self {
        let now = Instant::now();
        Self {
            hub,
            record,
            reader,
            side,
            judge,
            deadline,
            asked: None,
            pings: 0,
            handled: None,
            resumed: now,
            last: now,
            verdicts: None,
            joining,
            adopting: Vec::new(),
            restarting: false,
            closing: false,
        }
    }

    /// Reads and writes until the stream ends; says why it ended.
    pub(super) async fn run<W: AsyncWrite + Unpin>(mut self, mut sink: W) -> Failure {
        let (hub, record) = (self.hub, self.record);
        let outgoing = &record.outgoing;
        let mut writing = pin!(outgoing.drain(&mut sink));
        let failure = {
            let mut reading = pin!(self.read());
            tokio::select! {
                failure = &mut reading => failure,
                written = &mut writing => return ended(written),
                () = hub.stopped() => Failure::Stopped,
                () = record.closing.notified() => Failure::Stopped,
            }
        };
        self.closing = true;
        // Boxed, as it comes last and takes as much memory as all that came before.
        let parting = Box::pin(async {
            let fault = failure.fault_of_peer();
            // When we stop the core may be gone; behind an error nothing is said.
            let patience = if matches!(failure, Failure::Stopped) || fault.is_some() {
                Duration::ZERO
            } else {
                hub.timing.parting / 2
            };
            outgoing.finish(fault.as_ref(), patience);
            if matches!(failure, Failure::Stopped | Failure::Idle) {
                // Both go on until the peer has closed its side too.
                let (_, _) = tokio::join!(self.read(), &mut writing);
            } else if failure.leaves_peer_listening() {
                // Nothing more is to be told when this fails.
                let _ = (&mut writing).await;
            }
        });
        // Out of time, the connection is dropped with the rest unsaid.
        let _ = timeout(hub.timing.parting, parting).await;
        failure
    }

    async fn read(&mut self) -> Failure {
        loop {
            let deadline = self.next_deadline();
            let said = tokio::select! {
                said = timeout_at(deadline, self.reader.next()) => said,
                Some(verdict) = next(&mut self.verdicts) => {
                    if let Err(failure) = self.verified(verdict).await {
                        return failure;
                    }
                    continue;
                }
                Some(join) = self.joining.recv() => {
                    self.ask_for(join);
                    continue;
                }
            };
            let outcome = match said {
                Err(_) => self.quiet(),
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(received)) => self.heard(received).await,
            };
            if let Err(failure) = outcome {
                return failure;
            }
        }
    }

    async fn heard(&mut self, received: Received) -> Result<(), Failure> {
        match &mut self.side {
            Side::Accepted(responder) => {
                let steps = responder
                    .received(received, self.judge)
                    .map_err(Failure::Illegal)?;
                self.perform(steps).await
            }
            Side::Initiated(_) => self.answered(received).await,
        }
    }

    // --- a stream that the other server opened

    async fn verified(&mut self, verdict: Verdict) -> Result<(), Failure> {
        let Side::Accepted(responder) = &mut self.side else {
            return Ok(());
        };
        let steps = responder.verified(verdict.pair, &verdict.id, verdict.answer);
        self.perform(steps).await
    }

    async fn perform(&mut self, steps: Vec<Step>) -> Result<(), Failure> {
        for step in steps {
            match step {
                Step::Open { from, to, id } => {
                    let header = header(from.as_deref(), to.as_deref(), Some(&id));
                    let mut opening = Vec::new();
                    let writer = Writer::open(header, &mut opening).map_err(|_| Failure::Domain)?;
                    self.record.outgoing.restart(writer, &opening);
                    self.restarting = false;
                }
                Step::Send(element) => self.say(&element)?,
                Step::StartTls => return Err(Failure::Unexpected("<starttls>".to_owned())),
                Step::Restart => self.restart(),
                Step::Verify { pair, id, key } => self.verify(pair, id, key),
                Step::Proven {
                    pair,
                    authentication,
                    bidi,
                } => {
                    self.proven(pair, authentication, bidi).await;
                }
                Step::Stanza { pair, stanza } => self.take(&pair, stanza).await?,
                Step::Refused { pair, refused } => self.refused(&pair, &refused),
                Step::Management(element) => self.manage(&element)?,
                Step::Close => return Err(Failure::Closed),
            }
        }
        if !self.restarting {
            for pair in std::mem::take(&mut self.adopting) {
                self.adopt(&pair).await;
            }
        }
        Ok(())
    }

    /// The next stream on this connection begins.
    fn restart(&mut self) {
        let mut decoder = Decoder::new(NS_SERVER, self.hub.limits);
        decoder.trust();
        self.reader.restart(decoder);
        self.restarting = true;
    }

    fn verify(&mut self, pair: DomainPair, id: String, key: String) {
        let verdicts = self.verdicts.get_or_insert_with(|| mpsc::channel(VERDICTS));
        let (hub, verdicts) = (Arc::clone(self.hub), verdicts.0.clone());
        self.hub.spawn(async move {
            let answer = verify::ask(&hub, &pair, &id, &key).await;
            // The stream may have ended meanwhile.
            let _ = verdicts.send(Verdict { pair, id, answer }).await;
        });
    }

    async fn proven(&mut self, pair: DomainPair, authentication: Authentication, bidi: bool) {
        self.reader.trust();
        self.deadline = None;
        tracing::debug!(link = %pair.link(), by = authentication.as_str(), "stream authenticated");
        {
            let mut agreed = self.record.agreed();
            agreed.pairs.push((pair.clone(), authentication));
            agreed.bidi |= bidi;
        }
        if bidi {
            self.adopting.push(pair);
        } else {
            self.hub.seen(&pair).await;
        }
    }

    /// Lets our stanzas of a pair go over this stream, if they have no other.
    async fn adopt(&self, pair: &DomainPair) {
        let Some(link) = self.hub.link(pair) else {
            return;
        };
        if link.adopt(self.record.outgoing.wake()) {
            self.record.outgoing.carry(Arc::clone(&link));
            self.hub.tell_up(&link).await;
        }
    }

    // --- a stream that we opened

    async fn answered(&mut self, received: Received) -> Result<(), Failure> {
        match received {
            Received::Content(stanza) => {
                let said = DomainPair::of(&stanza).map_err(Failure::Illegal)?;
                let pair = self.comes_back(Some(said))?;
                self.take(&pair, stanza).await
            }
            Received::Refused(refused) => {
                let said = refused.reply.as_ref().map(DomainPair::answered_by);
                let said = said.transpose().map_err(Failure::Illegal)?;
                let pair = self.comes_back(said)?;
                self.refused(&pair, &refused);
                Ok(())
            }
            Received::Other(element) if element.has_ns(ns::SM) => self.manage(&element),
            Received::Other(element) => {
                if let Some(dialback) = Dialback::read(&element) {
                    self.dialback(&dialback).await;
                }
                Ok(())
            }
            Received::Header(_) => Err(Failure::Unexpected("a stream header".to_owned())),
            Received::Error(error) => Err(Failure::Error(error)),
            Received::Closed => Err(Failure::Closed),
        }
    }

    /// The pair of a stanza that comes over a stream of ours, which it may where that was agreed on; that of the
    /// stream if the stanza does not say.
    fn comes_back(&self, said: Option<DomainPair>) -> Result<DomainPair, Failure> {
        let Side::Initiated(initiated) = &self.side else {
            return Err(Failure::Unexpected("a stanza".to_owned()));
        };
        if !initiated.bidi {
            let text = "stanzas go one way on this stream";
            let error = StreamError::new(Condition::NotAuthorized, text);
            return Err(Failure::Illegal(error));
        }
        let pair = said.as_ref().or_else(|| initiated.pairs.first());
        match pair.filter(|pair| initiated.pairs.contains(pair)) {
            Some(pair) => Ok(pair.clone()),
            None => {
                let text = "from and to are not of the domains of this stream";
                let error = StreamError::new(Condition::InvalidFrom, text);
                Err(Failure::Illegal(error))
            }
        }
    }

    /// Asks the other server to take another of our domains on this stream (XEP-0220 §2.6.1).
    fn ask_for(&mut self, join: Join) {
        let Side::Initiated(initiated) = &mut self.side else {
            return;
        };
        let pair = &join.link.pair;
        let key = self
            .hub
            .site
            .secret
            .key(&pair.remote, &pair.local, &initiated.id);
        let question = Dialback {
            part: Part::Result,
            from: pair.local.clone(),
            to: pair.remote.clone(),
            says: Says::Key(key),
        };
        initiated.questions.ask(&question);
        initiated.joining.push(join);
        // Unsaid, it is not answered, and the link gets a stream of its own.
        self.record.outgoing.say(&question.to_element());
    }

    /// An answer to [`Self::ask_for`]; what answers no question of ours proves nothing (XEP-0220 §3).
    async fn dialback(&mut self, dialback: &Dialback) {
        let Side::Initiated(initiated) = &mut self.side else {
            return;
        };
        let Some(answer) = initiated.questions.answered(dialback) else {
            tracing::info!(
                stream = self.record.number,
                "dialback that answers nothing is ignored"
            );
            return;
        };
        let pair = DomainPair::new(dialback.to.clone(), dialback.from.clone());
        let Some(at) = initiated
            .joining
            .iter()
            .position(|join| join.link.pair == pair)
        else {
            return;
        };
        let Join { link, taken } = initiated.joining.swap_remove(at);
        let valid = answer == Answer::Valid;
        // Who asked may have lost patience, and connects.
        if taken.send(valid).is_ok() && valid {
            initiated.pairs.push(pair.clone());
            self.record
                .agreed()
                .pairs
                .push((pair, Authentication::Dialback));
            link.connected(self.record.outgoing.wake());
            self.record.outgoing.carry(Arc::clone(&link));
            self.hub.tell_up(&link).await;
        }
    }

    // --- either

    fn say(&self, element: &Element) -> Result<(), Failure> {
        // A peer that asks and does not read what it is told.
        self.outgoing()
            .say(element)
            .then_some(())
            .ok_or(Failure::Silent)
    }

    fn outgoing(&self) -> &'a Outgoing {
        &self.record.outgoing
    }

    async fn take(&mut self, pair: &DomainPair, stanza: Element) -> Result<(), Failure> {
        self.record.count();
        if !is_small_talk(&stanza) {
            self.last = Instant::now();
        }
        let handled = self.handled.as_ref();
        if let Some(handled) = handled {
            handled.came();
        }
        if !self.hub.deliver(pair, stanza, handled).await {
            return Err(Failure::Stopped);
        }
        if let Some(wait) = self.hub.pace(&pair.remote) {
            tokio::time::sleep(wait).await;
        }
        self.resumed = Instant::now();
        Ok(())
    }

    fn refused(&mut self, pair: &DomainPair, refused: &Refused) {
        self.record.count();
        self.last = Instant::now();
        if let Some(handled) = &self.handled {
            handled.came();
        }
        tracing::debug!(link = %pair.link(), why = %refused.excess, "stanza skipped");
        self.hub.reached(refused.excess.into());
        self.hub.refuse(pair, refused.reply.as_ref());
    }

    /// XEP-0198 §3, §4. Resumption is not offered: a link has a new stream instead, and sends again.
    fn manage(&mut self, element: &Element) -> Result<(), Failure> {
        match element.name() {
            "enable" if self.handled.is_none() && self.is_accepted() => {
                self.handled = Some(self.outgoing().acknowledge());
                self.record.agreed().management = true;
                if self.record.agreed().bidi {
                    self.outgoing().manage();
                }
                self.say(&Element::bare("enabled", ns::SM))
            }
            "enable" | "resume" => {
                let failed = Element::builder("failed", ns::SM)
                    .append(Element::bare("unexpected-request", ns::XMPP_STANZAS))
                    .build();
                self.say(&failed)
            }
            "r" => {
                if let Some(handled) = &self.handled {
                    handled.ask(self.hub.timing.answer / PART_OF_PATIENCE);
                }
                Ok(())
            }
            "a" => {
                let h = element.attr("h").and_then(|h| h.parse().ok());
                let acknowledged = h.map(|h| self.outgoing().acknowledged(h));
                match acknowledged {
                    Some(Ok(())) => Ok(()),
                    Some(Err(_)) | None => {
                        let text = "this acknowledges what was not sent";
                        let error = StreamError::new(Condition::UndefinedCondition, text);
                        Err(Failure::Illegal(error))
                    }
                }
            }
            // The answer to a question that was asked before the session began.
            "enabled" if self.handled.is_none() && !self.is_accepted() => {
                self.handled = Some(self.outgoing().acknowledge());
                Ok(())
            }
            "failed" if !self.is_accepted() => {
                self.record.agreed().management = false;
                self.outgoing().unmanage();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Acknowledgement of stanzas was asked for before the session began. On a stream for both directions the answer,
    /// from which on the peer's stanzas are counted, is still to come.
    pub(super) fn managed(&mut self) {
        if !self.comes_both_ways() {
            self.handled = Some(self.outgoing().acknowledge());
        }
        self.outgoing().manage();
    }

    fn comes_both_ways(&self) -> bool {
        matches!(&self.side, Side::Initiated(initiated) if initiated.bidi)
    }

    fn is_accepted(&self) -> bool {
        matches!(self.side, Side::Accepted(_))
    }

    // --- silence

    /// Until when something must be heard or be said.
    fn next_deadline(&mut self) -> Instant {
        if let Some(deadline) = self.deadline {
            return deadline;
        }
        if self.closing {
            return Instant::now() + self.hub.timing.answer;
        }
        let timing = &self.hub.timing;
        let heard = self.last_heard();
        if self.asked.is_some_and(|asked| heard > asked) {
            self.asked = None;
        }
        let alive = match self.asked {
            Some(asked) => asked.max(self.resumed) + timing.answer,
            None => heard.max(self.resumed) + timing.silence,
        };
        let limits = [self.idle_from(), self.unacknowledged_until()];
        limits.into_iter().flatten().fold(alive, Instant::min)
    }

    /// By when the peer must have acknowledged one stanza more: one that only talks takes none.
    fn unacknowledged_until(&self) -> Option<Instant> {
        let timing = &self.hub.timing;
        let since = self.outgoing().unacknowledged_since()?;
        Some(since + timing.silence + timing.answer)
    }

    fn last_heard(&self) -> Instant {
        let answered = match &self.side {
            Side::Initiated(_) => self
                .outgoing()
                .links()
                .iter()
                .filter_map(|link| link.answered_at())
                .max(),
            Side::Accepted(_) => None,
        };
        let heard = self.reader.heard();
        answered.map_or(heard, |answered| answered.max(heard))
    }

    /// From when on the stream counts as unused; a stream that the other server uses is its own to close, at first.
    fn idle_from(&self) -> Option<Instant> {
        let idle = self.hub.idle()?;
        let patience = if self.is_accepted() { 2 * idle } else { idle };
        let sent = self
            .outgoing()
            .links()
            .iter()
            .filter_map(|link| link.used_at())
            .max();
        Some(sent.map_or(self.last, |sent| sent.max(self.last)) + patience)
    }

    /// Nothing was heard in time.
    fn quiet(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(Failure::Slow);
        }
        if self.next_deadline() > now {
            return Ok(());
        }
        if self.idle_from().is_some_and(|idle| now >= idle) && self.outgoing().is_settled() {
            return Err(Failure::Idle);
        }
        let overdue = self
            .unacknowledged_until()
            .is_some_and(|until| now >= until);
        if self.asked.is_some() || overdue {
            return Err(Failure::Silent);
        }
        self.ask_for_life(now);
        Ok(())
    }

    fn ask_for_life(&mut self, now: Instant) {
        match &self.side {
            Side::Initiated(initiated) => {
                self.asked = Some(now);
                if let Some(pair) = initiated.pairs.first()
                    && !self.outgoing().ask()
                    && self.outgoing().asked().is_none()
                {
                    self.pings += 1;
                    let ping = ping(pair, self.record.number, self.pings);
                    // When the queue is full the peer has not read for long: no answer will come, as is right.
                    let _ = self.hub.send(pair, &ping);
                }
            }
            Side::Accepted(_) if self.outgoing().ask() || self.outgoing().asked().is_some() => {
                self.asked = Some(now);
            }
            // Who opened the stream asks; the kernel tells when nobody takes our bytes any more.
            Side::Accepted(_) => {
                self.outgoing().breathe();
                self.resumed = now;
            }
        }
    }
}

fn ended(written: std::io::Result<()>) -> Failure {
    match written {
        Ok(()) => Failure::Stopped,
        Err(error) => error.into(),
    }
}

fn ping(pair: &DomainPair, stream: u64, number: u64) -> Element {
    Element::builder("iq", JABBER_CLIENT)
        .attr(xml_ncname!("type").into(), "get")
        .attr(xml_ncname!("from").into(), pair.local.as_str())
        .attr(xml_ncname!("to").into(), pair.remote.as_str())
        .attr(xml_ncname!("id").into(), format!("{PING}{stream}-{number}"))
        .append(Element::bare("ping", ns::PING))
        .build()
}
