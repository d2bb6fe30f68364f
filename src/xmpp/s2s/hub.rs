// SPDX-License-Identifier: GPL-2.0-or-later
//! What all streams share: the links, who is connected, what was agreed with the operator, and the way to the
//! core.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minidom::Element;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::config::{Config, Limit, Reached};
use crate::stanza::{Inbound, Stanza, answer, error};
use crate::xmpp::dns::Locator;
use crate::xmpp::handled::Handled;
use crate::xmpp::outbox::SendError;
use crate::xmpp::stream::Limits;
use crate::xmpp::tls::LiveCertificates;
use crate::xmpp::{LinkEvent, Timing};

use super::admission::Admission;
use super::domain::DomainPair;
use super::failure::Failure;
use super::header::read_back;
use super::link::{Bytes, Link, Pushed};
use super::outbound;
use super::pace::Pace;
use super::record::StreamRecord;
use super::site::Site;
use super::validity::Validity;

/// Links that may be connecting at one time.
const CONNECTING: usize = 256;

/// Errors for senders that may wait for the core.
const BOUNCES: usize = 4096;

/// The `id` of our pings begins so.
pub(super) const PING: &str = "stox-alive-";

/// Every link, by its pair.
type Links = BTreeMap<DomainPair, Arc<Link>>;

/// Shared by all streams.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) config: Arc<Config>,
    pub(super) site: Site,
    pub(super) certificates: LiveCertificates,
    pub(super) timing: Timing,
    pub(super) limits: Limits,
    pub(super) connecting: Semaphore,
    pub(super) stopping: watch::Sender<bool>,
    locator: Mutex<Arc<Locator>>,
    events: mpsc::Sender<LinkEvent>,
    bounces: mpsc::Sender<LinkEvent>,
    links: Mutex<Links>,
    streams: Mutex<BTreeMap<u64, Arc<StreamRecord>>>,
    admission: Mutex<Admission>,
    pace: Mutex<Pace>,
    verifying: Mutex<HashMap<String, u32>>,
    tasks: Mutex<JoinSet<()>>,
    next_stream: AtomicU64,
    tally: Mutex<Totals>,
    validity: Mutex<Validity>,
}

/// Counters over all streams there ever were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) stanzas_in: u64,
    pub(super) stanzas_out: u64,
    pub(super) stanzas_refused: u64,
    pub(super) stanzas_returned: u64,
    pub(super) accepted: u64,
    pub(super) reached: Reached,
}

impl Hub {
    pub(super) fn new(
        config: Arc<Config>,
        site: Site,
        certificates: LiveCertificates,
        locator: Locator,
        timing: Timing,
        events: mpsc::Sender<LinkEvent>,
    ) -> Arc<Self> {
        let (bounces, waiting) = mpsc::channel(BOUNCES);
        let hub = Arc::new(Self {
            site,
            certificates,
            timing,
            limits: Limits::of(&config),
            connecting: Semaphore::new(CONNECTING),
            stopping: watch::Sender::new(false),
            locator: Mutex::new(Arc::new(locator)),
            events,
            bounces,
            links: Mutex::default(),
            streams: Mutex::default(),
            admission: Mutex::new(Admission::new(&config, Instant::now())),
            pace: Mutex::new(Pace::new(config.max_domain_stanzas)),
            verifying: Mutex::default(),
            tasks: Mutex::default(),
            next_stream: AtomicU64::new(1),
            tally: Mutex::default(),
            validity: Mutex::default(),
            config,
        });
        hub.spawn(pass_on(Arc::clone(&hub), waiting));
        hub
    }

    // --- stanzas

    /// Sends a stanza of ours; never waits. What cannot be delivered comes back as an error from its addressee; one for
    /// which there is no room is an error here, if it is a message or if there is none for that error either.
    pub(super) fn send(
        self: &Arc<Self>,
        pair: &DomainPair,
        stanza: &Element,
    ) -> Result<(), SendError> {
        let mut links = lock(&self.links);
        let Some(link) = self.link_in(&mut links, pair) else {
            drop(links);
            self.reached(Limit::Links);
            return self.bounce(pair, stanza, &DefinedCondition::RemoteServerTimeout);
        };
        let pushed = link.push(stanza);
        drop(links);
        match pushed {
            Ok(Pushed::Waits) => {}
            Ok(Pushed::WantsCarrier) => self.spawn(outbound::keep(Arc::clone(self), link)),
            Ok(Pushed::Undeliverable(condition)) => {
                let down = LinkEvent::Down {
                    link: pair.link(),
                    reason: link.last_error(),
                };
                // If the core is not told of this now, it is of the next stanza.
                let _ = self.tell_soon(down);
                return self.bounce(pair, stanza, &condition);
            }
            Err(SendError::Full) if stanza.name() == "message" => {
                // Who sent it has to know before the answer to a ping behind it, for which there may be room.
                self.reached(Limit::LinkQueue);
                return Err(SendError::Full);
            }
            Err(SendError::Full) => {
                self.reached(Limit::LinkQueue);
                return self.bounce(pair, stanza, &DefinedCondition::RemoteServerTimeout);
            }
            Err(error @ (SendError::Down | SendError::Misaddressed | SendError::Unwritable)) => {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells the senders of stanzas written for a link that they cannot be delivered.
    pub(super) async fn return_all(
        &self,
        pair: &DomainPair,
        stanzas: Vec<Bytes>,
        condition: DefinedCondition,
    ) {
        for bytes in stanzas {
            let error = read_back(pair, &bytes, self.limits)
                .and_then(|stanza| self.returned(pair, &stanza, &condition));
            if let Some(event) = error
                && self.events.send(event).await.is_err()
            {
                return;
            }
        }
    }

    fn bounce(
        &self,
        pair: &DomainPair,
        stanza: &Element,
        condition: &DefinedCondition,
    ) -> Result<(), SendError> {
        match self.returned(pair, stanza, condition) {
            Some(event) => self.tell_soon(event),
            None => Ok(()),
        }
    }

    /// Tells the core something without waiting for it.
    fn tell_soon(&self, event: LinkEvent) -> Result<(), SendError> {
        self.bounces.try_send(event).map_err(|_| {
            tracing::warn!("the core is too busy to be told of an undeliverable stanza");
            SendError::Full
        })
    }

    fn returned(
        &self,
        pair: &DomainPair,
        stanza: &Element,
        condition: &DefinedCondition,
    ) -> Option<LinkEvent> {
        let error = undeliverable(stanza, condition)?;
        lock(&self.tally).stanzas_returned += 1;
        let stanza = Stanza::from_element(error).ok()?;
        let link = pair.link();
        Some(LinkEvent::Stanza {
            inbound: Inbound { link, stanza },
            receipt: None,
        })
    }

    /// Hands a stanza to the core, which says when it is handled if the peer wants to know. False if there is no core
    /// any more.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        pair: &DomainPair,
        stanza: Element,
        handled: Option<&Arc<Handled>>,
    ) -> bool {
        lock(&self.tally).stanzas_in += 1;
        if is_answer_to_ping(&stanza) {
            if let Some(link) = lock(&self.links).get(pair) {
                link.answered();
            }
            return true;
        }
        match Stanza::from_element(stanza) {
            Ok(stanza) => {
                let link = pair.link();
                let event = LinkEvent::Stanza {
                    inbound: Inbound { link, stanza },
                    receipt: handled.map(Handled::give),
                };
                self.events.send(event).await.is_ok()
            }
            Err(unreadable) => {
                tracing::debug!(link = %pair.link(), why = %unreadable.why, "stanza refused");
                self.refuse(pair, unreadable.reply.as_ref());
                true
            }
        }
    }

    /// Counts a stanza that does not get to the core, and answers its sender.
    pub(super) fn refuse(self: &Arc<Self>, pair: &DomainPair, reply: Option<&Element>) {
        lock(&self.tally).stanzas_refused += 1;
        if let Some(reply) = reply {
            // Without an answer only when our own answer cannot be written.
            let _ = self.send(pair, reply);
        }
    }

    // --- links

    /// The link of a pair, made if there is room.
    pub(super) fn link(&self, pair: &DomainPair) -> Option<Arc<Link>> {
        self.link_in(&mut lock(&self.links), pair)
    }

    /// The link of a pair; one that rests makes room for it if there is none.
    fn link_in(&self, links: &mut Links, pair: &DomainPair) -> Option<Arc<Link>> {
        if let Some(link) = links.get(pair) {
            return Some(Arc::clone(link));
        }
        let most = usize::try_from(self.config.max_links).unwrap_or(usize::MAX);
        if links.len() >= most {
            links.retain(|_, link| !link.is_idle());
        }
        if links.len() >= most {
            return None;
        }
        let (capacity, timing) = (self.config.max_link_queue, &self.timing);
        let link = Arc::new(Link::new(pair.clone(), capacity, timing));
        links.insert(pair.clone(), Arc::clone(&link));
        Some(link)
    }

    /// Every link.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        lock(&self.links).values().cloned().collect()
    }

    /// Tells the core that a link is up, or that it may be tried again.
    pub(super) async fn tell_up(&self, link: &Link) {
        if link.tell(true) {
            let link = link.pair.link();
            // When it is gone there is nobody to be told.
            let _ = self.events.send(LinkEvent::Up { link }).await;
        }
    }

    /// Tells the core that a link cannot be made.
    pub(super) async fn tell_down(&self, link: &Link, reason: String) {
        link.tell(false);
        let link = link.pair.link();
        let _ = self.events.send(LinkEvent::Down { link, reason }).await;
    }

    /// The other server has come to us: it is worth while to go to it.
    pub(super) async fn seen(&self, pair: &DomainPair) {
        let link = lock(&self.links).get(pair).cloned();
        if let Some(link) = link.filter(|link| link.recovers()) {
            self.tell_up(&link).await;
        }
    }

    /// The streams of links have ended: what still waits needs a new one.
    pub(super) async fn released(
        self: &Arc<Self>,
        links: Vec<Arc<Link>>,
        failure: &Failure,
        lossy: bool,
    ) {
        let reason = failure.to_string();
        let again = !matches!(failure, Failure::Idle | Failure::Stopped);
        for link in links {
            let needed = link.disconnected(&reason, again);
            if again && (lossy || failure.is_violent()) {
                self.tell_down(&link, reason.clone()).await;
            }
            if needed {
                self.spawn(outbound::keep(Arc::clone(self), link));
            }
        }
    }

    // --- streams

    /// A number for a new stream.
    pub(super) fn number(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    /// A stream is there.
    pub(super) fn opened(&self, record: Arc<StreamRecord>) {
        lock(&self.streams).insert(record.number, record);
    }

    /// A stream is over.
    pub(super) fn ended(&self, record: &StreamRecord) {
        // As in `totals`, the tally is locked first: a stanza is counted in one of the two at any time.
        let mut tally = lock(&self.tally);
        lock(&self.streams).remove(&record.number);
        tally.stanzas_out += record.outgoing.stanzas();
    }

    /// Every stream.
    pub(super) fn streams(&self) -> Vec<Arc<StreamRecord>> {
        lock(&self.streams).values().cloned().collect()
    }

    /// A stream of ours to the same server on which another of our domains may be authenticated.
    pub(super) fn stream_to(&self, remote: &str) -> Option<Arc<StreamRecord>> {
        self.streams().into_iter().find(|stream| {
            let agreed = stream.agreed();
            agreed.multiplex && agreed.pairs.iter().any(|(pair, _)| pair.remote == remote)
        })
    }

    /// Who is connected.
    pub(super) fn admission(&self) -> MutexGuard<'_, Admission> {
        lock(&self.admission)
    }

    /// How long to wait before more is read of a domain whose stanza was taken.
    pub(super) fn pace(&self, domain: &str) -> Option<Duration> {
        let wait = lock(&self.pace).take(domain, Instant::now());
        if wait.is_some() {
            self.reached(Limit::DomainStanzas);
        }
        wait
    }

    /// Takes a place among the verifications for a domain; false if there are too many.
    pub(super) fn begin_verification(&self, domain: &str) -> bool {
        let mut verifying = lock(&self.verifying);
        let under_way = verifying.entry(domain.to_owned()).or_default();
        if *under_way >= self.config.max_dialbacks {
            drop(verifying);
            self.reached(Limit::Dialbacks);
            return false;
        }
        *under_way += 1;
        true
    }

    /// A verification has ended.
    pub(super) fn end_verification(&self, domain: &str) {
        let mut verifying = lock(&self.verifying);
        if let Some(under_way) = verifying.get_mut(domain) {
            *under_way -= 1;
            if *under_way == 0 {
                verifying.remove(domain);
            }
        }
    }

    // --- everything else

    /// The way to DNS.
    pub(super) fn locator(&self) -> Arc<Locator> {
        Arc::clone(&lock(&self.locator))
    }

    /// Another way to DNS, from now on.
    pub(super) fn relocate(&self, locator: Locator) {
        *lock(&self.locator) = Arc::new(locator);
    }

    /// Counts that a limit was reached.
    pub(super) fn reached(&self, limit: Limit) {
        lock(&self.tally).reached.count(limit);
    }

    /// Counts a connection that was taken.
    pub(super) fn accepted(&self) {
        lock(&self.tally).accepted += 1;
    }

    /// What was said of certificates that end.
    pub(super) fn validity(&self) -> MutexGuard<'_, Validity> {
        lock(&self.validity)
    }

    /// Counters.
    pub(super) fn totals(&self) -> Totals {
        let tally = lock(&self.tally);
        let streams = self.streams();
        let sent: u64 = streams.iter().map(|stream| stream.outgoing.stanzas()).sum();
        Totals {
            stanzas_out: tally.stanzas_out + sent,
            ..*tally
        }
    }

    /// Runs a task until it ends or the gateway does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// All tasks, to be waited for.
    pub(super) fn tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut lock(&self.tasks))
    }

    /// After what time a stream without stanzas is closed; `None` is never.
    pub(super) fn idle(&self) -> Option<Duration> {
        let seconds = u64::from(self.config.link_idle);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Waits until the gateway ends.
    pub(super) async fn stopped(&self) {
        // It fails only when the sender is gone, which is part of this.
        let _ = self.stopping.subscribe().wait_for(|stop| *stop).await;
    }
}

/// Errors on their way to the core.
async fn pass_on(hub: Arc<Hub>, mut waiting: mpsc::Receiver<LinkEvent>) {
    loop {
        let event = tokio::select! {
            event = waiting.recv() => event,
            () = hub.stopped() => return,
        };
        if let Some(event) = event
            && hub.events.send(event).await.is_err()
        {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain values: whole between any two statements that could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_answer_to_ping(stanza: &Element) -> bool {
    stanza.name() == "iq"
        && matches!(stanza.attr("type"), Some("result" | "error"))
        && stanza.attr("id").is_some_and(|id| id.starts_with(PING))
}

/// The error that the sender of an undeliverable stanza gets, as if its addressee had sent it (RFC 6120 §10.4);
/// none answers a ping of our own.
fn undeliverable(stanza: &Element, condition: &DefinedCondition) -> Option<Element> {
    let is_ping = stanza.name() == "iq" && stanza.attr("id").is_some_and(|id| id.starts_with(PING));
    let answers = !is_ping && stanza.attr("to").is_some();
    answers
        .then(|| answer(stanza, error(condition.clone())))
        .flatten()
}
