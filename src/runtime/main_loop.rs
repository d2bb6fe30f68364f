// SPDX-License-Identifier: GPL-2.0-or-later
//! The loop: takes what has come, lets the core decide, carries out what it decided.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};

use crate::address::Aor;
use crate::config::Config;
use crate::frame::{
    Answer, Command, LinkEvent as LinkNews, Outcome, Question, Record, Refusal, RequestId, Send,
    Slot, ToGateway,
};
use crate::gateway::{Counters, Gateway, Input, Output, Unsent};
use crate::process::{Counter, GatewayEnd, Packets, Taken, random};
use crate::record::{Change, Moment, Snapshot};
use crate::store::{Committed, Writer};
use crate::xmpp::{LinkEvent, Receipt, SendError};

use super::StartError;
use super::accounts::Accounts;
use super::backlog::Backlog;
use super::clock::Clock;
use super::late::Late;
use super::limits::Limits;
use super::links::Links;
use super::operator;
use super::outbox::Outbox;
use super::parse;
use super::ports::{Ports, Refused};
use super::questions::{self, Asked};

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(500);

/// Totals that are counted by looking at everything are shown at every such beat.
const TOTALS_EVERY: u32 = 4;

/// Taken from one source before the others have their turn.
const BURST: usize = 32;

/// How long the workers refuse what is new when the gateway is behind, before the queue is looked at again.
const HOLD_OFF: Duration = Duration::from_millis(50);

/// Requests taken and not answered above which no more are read: the socket fills, and the workers answer
/// 503 in time.
const HELD_LIMIT: u64 = 4096;

/// Commands waiting for ports above which nothing new is read from either side.
const WAITING_LIMIT: usize = 256;

/// Outputs waiting for the store above which nothing new is read from either side.
const OUTBOX_LIMIT: usize = 1024;

/// Dialogs or authorisations shown at most: making them all would keep the loop from its work.
const RECORDS_LIMIT: usize = 10_000;

/// How long links may take to close.
const CLOSE: Duration = Duration::from_secs(3);

/// How long the last changes and commands may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything the gateway process holds.
pub(super) struct MainLoop {
    end: Arc<GatewayEnd>,
    requests: AsyncFd<Packets>,
    results: AsyncFd<Packets>,
    ports: Ports,
    links: Links,
    events: mpsc::Receiver<LinkEvent>,
    writer: Writer,
    commits: mpsc::UnboundedReceiver<Committed>,
    questions: mpsc::Receiver<Asked>,
    gateway: Gateway,
    config: Arc<Config>,
    /// Whether there are links between servers.
    federates: bool,
    outbox: Outbox<Leaving>,
    late: Late,
    clock: Clock,
    alarm: Alarm,
    beat: Interval,
    beats: u32,
    terminate: Signal,
    interrupt: Signal,
    /// Requests taken whose reply has not gone out.
    held: u64,
    backlog: Backlog,
    counted: Counters,
    accounts: Accounts,
    limits: Limits,
    buffer: Vec<u8>,
    ending: bool,
}

/// What leaves once the changes decided before it are durable.
enum Leaving {
    Decided(Output),
    /// For the stanza that it was decided upon.
    Receipt(Receipt),
    /// To an operator.
    Answer(Answer, oneshot::Sender<Answer>),
}

/// What ended a wait.
enum Woken {
    Ready,
    Beat,
    Link(Box<LinkEvent>),
    /// `None` when the writer is gone.
    Committed(Option<Committed>),
    Asked(Asked),
    End,
}

/// The core's next deadline as a timer.
struct Alarm {
    due: Option<Moment>,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn set(&mut self, due: Option<Moment>, clock: Clock) {
        if self.due != due {
            self.due = due;
            if let Some(due) = due {
                self.sleep.as_mut().reset(Instant::now() + clock.until(due));
            }
        }
    }
}

impl MainLoop {
    /// Opens everything; to be called within the tokio runtime.
    pub(super) fn new(
        config: Arc<Config>,
        snapshot: Snapshot,
        end: Arc<GatewayEnd>,
        writer: Writer,
        commits: mpsc::UnboundedReceiver<Committed>,
    ) -> Result<Self, StartError> {
        let clock = Clock::start();
        let (links, events) = Links::open(&config)?;
        let federates = config.uses_s2s();
        let gateway = Gateway::new(
            Arc::clone(&config),
            snapshot,
            end.generation,
            random()?,
            clock.now(),
        );
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            requests: end.requests.register(Interest::READABLE)?,
            results: end.results.register(Interest::READABLE)?,
            ports: Ports::new(&end.commands)?,
            links,
            events,
            writer,
            commits,
            questions: questions::listen(&end.questions)?,
            config,
            federates,
            outbox: Outbox::default(),
            late: Late::default(),
            clock,
            alarm: Alarm {
                due: None,
                sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            },
            beat,
            beats: 0,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            held: 0,
            backlog: Backlog::default(),
            counted: Counters::default(),
            accounts: Accounts::take_over(&end, &gateway),
            limits: Limits::default(),
            buffer: vec![0; Packets::BUFFER],
            ending: false,
            gateway,
            end,
        })
    }

    /// Turns until SIGTERM or SIGINT, then closes.
    pub(super) async fn run(mut self) {
        if self.federates {
            self.input(Input::FederationUp);
        }
        self.settle();
        while !self.ending {
            match self.wait().await {
                Woken::Ready => {}
                Woken::Beat => self.beat(),
                Woken::Link(event) => self.link(*event),
                Woken::Committed(committed) => self.committed(committed),
                Woken::Asked(asked) => self.answer(asked),
                Woken::End => self.ending = true,
            }
            if self.turn() {
                // Else the links, on the same thread, would wait until there is nothing left to take.
                tokio::task::yield_now().await;
            }
        }
        self.close().await;
    }

    async fn wait(&mut self) -> Woken {
        let reads_requests = self.reads_requests();
        let keeps_up = self.keeps_up();
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Woken::End,
            _ = self.interrupt.recv() => Woken::End,
            _ = self.beat.tick() => Woken::Beat,
            () = self.alarm.sleep.as_mut(), if self.alarm.due.is_some() && keeps_up => {
                // The timer's own resolution may wake it before the moment has come.
                self.alarm.due = None;
                Woken::Ready
            }
            committed = self.commits.recv() => Woken::Committed(committed),
            _ = self.results.readable() => Woken::Ready,
            _ = self.requests.readable(), if reads_requests => Woken::Ready,
            Some(event) = self.events.recv(), if keeps_up => Woken::Link(Box::new(event)),
            () = self.ports.progress() => Woken::Ready,
            Some(asked) = self.questions.recv() => Woken::Asked(asked),
        }
    }

    fn reads_requests(&self) -> bool {
        self.keeps_up() && self.held < HELD_LIMIT
    }

    /// Whether what is decided leaves; if not, stanzas stay with the links, and deadlines wait.
    fn keeps_up(&self) -> bool {
        self.ports.waiting() < WAITING_LIMIT && self.outbox.len() < OUTBOX_LIMIT
    }

    /// Takes some of everything that has come: deadlines, results, requests, stanzas, commits; true if requests may be
    /// left.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        if self
            .gateway
            .next_deadline()
            .is_some_and(|(due, _)| due <= now && self.keeps_up())
        {
            self.input(Input::Timeout);
        }
        let mut others = 0;
        for _ in 0..BURST {
            let Some(frame) = receive(&self.results, &mut self.buffer) else {
                break;
            };
            others += 1;
            match frame.map(ToGateway::decode) {
                Some(Ok(ToGateway::Result(outcome))) => self.result(outcome),
                Some(Ok(ToGateway::Registered { user })) => {
                    if let Ok(user) = Aor::parse(&user) {
                        self.input(Input::Registered { user });
                    }
                }
                Some(Ok(ToGateway::Request(_)) | Err(_)) => self.end.count(Counter::BadFrames),
                None => self.ending = true,
            }
        }
        for _ in 0..BURST {
            if !self.keeps_up() {
                break;
            }
            let Ok(event) = self.events.try_recv() else {
                break;
            };
            others += 1;
            self.link(event);
        }
        if self.late.due().is_some_and(|due| due <= now) {
            let changes = self.late.take();
            self.write(changes);
        }
        let left = !self.take_requests(Backlog::share(others));
        if self.backlog.turned(now, left) {
            self.end.hold_off(HOLD_OFF);
        }
        while let Ok(committed) = self.commits.try_recv() {
            self.committed(Some(committed));
        }
        self.settle();
        left
    }

    /// Takes so many requests; true if none is left, false if some may be.
    fn take_requests(&mut self, most: usize) -> bool {
        for _ in 0..most {
            if !self.reads_requests() {
                return false;
            }
            let take = |_: &Packets| self.end.take(&mut self.buffer);
            match self.requests.try_io(Interest::READABLE, take) {
                Ok(Taken::Request(handed)) => {
                    self.held += 1;
                    match parse::request(handed) {
                        Ok(request) => self.input(Input::Request(Box::new(request))),
                        Err(reply) => self.outbox.push([Leaving::Decided(Output::Reply(reply))]),
                    }
                }
                Ok(Taken::Nothing) => {}
                Ok(Taken::Closed) => self.ending = true,
                Err(_) => return true,
            }
        }
        false
    }

    fn input(&mut self, input: Input) {
        let now = self.clock.now();
        self.gateway.handle(now, input);
        let batch = self.gateway.drain();
        let changes = self.late.pass(now, batch.changes);
        self.write(changes);
        self.outbox
            .push(batch.outputs.into_iter().map(Leaving::Decided));
    }

    fn write(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            let number = self.outbox.next_number();
            self.writer.submit(number, changes);
        }
    }

    fn result(&mut self, outcome: Outcome) {
        self.input(Input::Result(parse::result(outcome)));
    }

    fn link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { link } => {
                tracing::info!(%link, "link is up");
                if self.links.set_up(&link, true) {
                    self.tell(LinkNews {
                        link: link.to_string(),
                        up: true,
                        reason: String::new(),
                    });
                }
                self.input(Input::LinkUp { link });
            }
            LinkEvent::Down { link, reason } => {
                if self.links.set_up(&link, false) {
                    tracing::warn!(%link, reason, "link is down");
                    self.tell(LinkNews {
                        link: link.to_string(),
                        up: false,
                        reason,
                    });
                }
                self.input(Input::LinkDown { link });
            }
            LinkEvent::Stanza { inbound, receipt } => {
                self.input(Input::Stanza(Box::new(inbound)));
                self.outbox.push(receipt.map(Leaving::Receipt));
            }
        }
    }

    /// Lets the host run its event route.
    fn tell(&mut self, news: LinkNews) {
        if self.ports.send(0, &Command::Event(news)).is_err() {
            self.end.count(Counter::CommandsLost);
        }
    }

    fn committed(&mut self, committed: Option<Committed>) {
        // Going on without the store would mean to promise what may be forgotten.
        match committed {
            Some(Ok(number)) => self.outbox.committed(number),
            Some(Err(error)) => {
                tracing::error!("the gateway process ends: {error}");
                std::process::abort();
            }
            None => {
                tracing::error!("the gateway process ends: its store's writer is gone");
                std::process::abort();
            }
        }
    }

    /// Carries out what may leave, and sets the alarm.
    fn settle(&mut self) {
        while let Some(leaving) = self.outbox.pop() {
            match leaving {
                Leaving::Decided(output) => self.carry_out(output),
                Leaving::Receipt(receipt) => receipt.settle(),
                Leaving::Answer(answer, asked) => {
                    // Who asked may have given up.
                    let _ = asked.send(answer);
                }
            }
        }
        self.accounts.enter(&self.end, &self.gateway);
        let deadline = self.gateway.next_deadline().map(|(due, _)| due);
        let due = deadline.into_iter().chain(self.late.due()).min();
        self.alarm.set(due, self.clock);
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Reply(reply) => {
                self.held = self.held.saturating_sub(1);
                let slot = reply.slot;
                let key = u64::from(slot.index);
                if let Err(why) = self.ports.send(key, &Command::Reply(reply)) {
                    self.reply_instead(slot, &why);
                }
            }
            Output::Send(send) => self.send(*send),
            Output::Stanza { link, stanza } => {
                let unsent = Unsent::of(&stanza);
                if let Err(why) = self.links.send(&link, *stanza) {
                    self.end.count(Counter::StanzasLost);
                    tracing::debug!(%link, "stanza dropped: {why}");
                    // When a link is down the core hears of that, and sends again what may have been lost.
                    if let Some(mut unsent) = unsent.filter(|_| why != SendError::Down) {
                        unsent.may_fit_later = why == SendError::Full;
                        self.input(Input::Unsent(unsent));
                    }
                }
            }
        }
    }

    /// A reply that makes no frame is replaced by one that does.
    fn reply_instead(&mut self, slot: Slot, why: &Refused) {
        tracing::error!("a reply is lost: {why}");
        let reply = parse::refusal(slot, 500, "Server Internal Error");
        if self
            .ports
            .send(u64::from(slot.index), &Command::Reply(reply))
            .is_err()
        {
            self.end.count(Counter::CommandsLost);
        }
    }

    fn send(&mut self, send: Send) {
        let (id, key) = (send.id, send.order_key);
        if let Err(why) = self.ports.send(key, &Command::Send(send)) {
            self.end.count(Counter::CommandsLost);
            tracing::error!("a request is lost: {why}");
            self.failed(id);
        }
    }

    /// A request that did not leave this process ends as if nobody had answered it.
    fn failed(&mut self, id: RequestId) {
        self.result(Outcome {
            id,
            status: 408,
            raw: None,
        });
    }

    fn beat(&mut self) {
        self.end.beat();
        let counters = self.gateway.counters();
        for (counter, now, before) in [
            (
                Counter::Subscribes,
                counters.subscribes,
                self.counted.subscribes,
            ),
            (
                Counter::NotifiesSent,
                counters.notifies_sent,
                self.counted.notifies_sent,
            ),
            (
                Counter::NotifiesReceived,
                counters.notifies_received,
                self.counted.notifies_received,
            ),
            (
                Counter::RequestsRefused,
                counters.requests_refused,
                self.counted.requests_refused,
            ),
            (
                Counter::PresenceSent,
                counters.presence_sent,
                self.counted.presence_sent,
            ),
            (
                Counter::PresenceReceived,
                counters.presence_received,
                self.counted.presence_received,
            ),
            (
                Counter::StanzasRefused,
                counters.stanzas_refused,
                self.counted.stanzas_refused,
            ),
            (
                Counter::AnswersWithheld,
                counters.answers_withheld,
                self.counted.answers_withheld,
            ),
            (
                Counter::RefusalsHeld,
                counters.refusals_held,
                self.counted.refusals_held,
            ),
            (
                Counter::ChangesHeld,
                counters.changes_held,
                self.counted.changes_held,
            ),
            (
                Counter::MessagesFailedLate,
                counters.messages_failed_late,
                self.counted.messages_failed_late,
            ),
            (
                Counter::ReceiptsDropped,
                counters.receipts_dropped,
                self.counted.receipts_dropped,
            ),
        ] {
            self.end.add(counter, now.saturating_sub(before));
        }
        self.counted = counters;
        let traffic = self.links.traffic();
        self.end.add(Counter::StanzasIn, traffic.stanzas_in);
        self.end.add(Counter::StanzasOut, traffic.stanzas_out);
        self.end
            .add(Counter::StanzasRefused, traffic.stanzas_refused);
        self.end.add(Counter::S2sReturned, traffic.stanzas_returned);
        self.end.add(Counter::S2sConnections, traffic.accepted);
        let reached = counters.reached.plus(&self.links.reached());
        self.limits.update(reached, Instant::now(), &self.end);
        self.end.set(Counter::RequestsHeld, self.held);
        self.end.set(Counter::LinksUp, self.links.up());
        if self.beats.is_multiple_of(TOTALS_EVERY) {
            let status = self.gateway.status();
            self.end
                .set(Counter::NotifierDialogs, status.notifier_dialogs);
            self.end
                .set(Counter::SubscriberDialogs, status.subscriber_dialogs);
            self.end
                .set(Counter::RequestsInFlight, status.requests_in_flight);
            let streams = self.links.streams_up();
            self.end.set(Counter::S2sStreamsOut, streams.out);
            self.end.set(Counter::S2sStreamsIn, streams.in_);
            let days = Counter::stored(self.links.certificate_days_left());
            self.end.set(Counter::CertificateDaysLeft, days);
        }
        self.beats = self.beats.wrapping_add(1);
    }

    fn answer(&mut self, asked: Asked) {
        let answer = match asked.question {
            Question::Status => Answer::Records(vec![self.status()]),
            Question::Dialogs { limit } => Answer::Records(self.dialogs(limit)),
            Question::Authorizations { user, limit } => {
                or_refused(self.authorizations(user.as_deref(), limit))
            }
            Question::Revoke {
                sip,
                xmpp,
                direction,
            } => {
                let revoked = self.revoke(&sip, &xmpp, direction.as_deref());
                let answer = Leaving::Answer(or_refused(revoked), asked.answer);
                return self.outbox.push([answer]);
            }
            Question::Links => Answer::Records(self.links.records()),
            Question::CloseLink { link } => self.links.close_link(&link),
            Question::Reload => return self.links.reload(asked.answer),
            Question::Check { domain } => self.links.check(&domain),
        };
        // Who asked may have given up.
        let _ = asked.answer.send(answer);
    }

    fn status(&self) -> Record {
        let status = self.gateway.status();
        let mut record = Record::default()
            .text("version", env!("CARGO_PKG_VERSION"))
            .int("generation", u64::from(self.end.generation))
            .int("uptime", self.clock.uptime().as_secs())
            .int("links_up", self.links.up())
            .int("notifier_dialogs", status.notifier_dialogs)
            .int("subscriber_dialogs", status.subscriber_dialogs)
            .int("requests_in_flight", status.requests_in_flight)
            .int("requests_held", self.held)
            .int("messages_to_xmpp", status.messages_to_xmpp)
            .int("messages_to_sip", status.messages_to_sip)
            .int(
                "commands_waiting",
                u64::try_from(self.ports.waiting()).unwrap_or(u64::MAX),
            );
        for (label, count) in status.authorizations {
            record = record.int(&label, count);
        }
        record
    }

    fn dialogs(&self, limit: u32) -> Vec<Record> {
        let limit = usize::try_from(limit).map_or(RECORDS_LIMIT, |limit| limit.min(RECORDS_LIMIT));
        let dialogs = self.gateway.dialogs(self.clock.now(), limit);
        dialogs
            .into_iter()
            .map(|dialog| {
                Record::default()
                    .text("id", dialog.id)
                    .text("direction", dialog.direction)
                    .text("sip", dialog.sip)
                    .text("xmpp", dialog.xmpp)
                    .text("state", dialog.state)
                    .int("expires_in", dialog.expires_in)
                    .text("call_id", dialog.call_id)
                    .int("local_cseq", u64::from(dialog.local_cseq))
            })
            .collect()
    }

    fn authorizations(&self, user: Option<&str>, limit: u32) -> Result<Vec<Record>, Refusal> {
        let someone = user
            .map(|user| operator::someone(&self.config, user))
            .transpose()?;
        let limit = usize::try_from(limit).map_or(RECORDS_LIMIT, |limit| limit.min(RECORDS_LIMIT));
        let views = self
            .gateway
            .authorizations(self.clock.now(), someone.as_ref(), limit);
        Ok(views.into_iter().map(operator::record).collect())
    }

    /// Ends what there is between two users; the answer is to wait until that is durable.
    fn revoke(
        &mut self,
        sip: &str,
        xmpp: &str,
        direction: Option<&str>,
    ) -> Result<Vec<Record>, Refusal> {
        let pair = operator::pair(&self.config, sip, xmpp)?;
        let direction = direction.map(operator::direction).transpose()?;
        let views = self.gateway.authorizations_of(self.clock.now(), &pair);
        let views = operator::revocable(views, direction)?;
        for view in &views {
            self.input(Input::Revoke {
                pair: pair.clone(),
                direction: view.direction,
            });
        }
        Ok(views.into_iter().map(operator::record).collect())
    }

    /// Lets everything decided so far leave, and closes the streams.
    async fn close(mut self) {
        tracing::info!("gateway process ends");
        let changes = self.late.take();
        self.write(changes);
        let last_words = async {
            while self.outbox.is_pending() {
                let committed = self.commits.recv().await;
                self.committed(committed);
            }
            self.settle();
            while self.ports.waiting() > 0 {
                self.ports.progress().await;
            }
        };
        // What does not make it is what a crash would lose too.
        let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        self.events.close();
        self.links.close(CLOSE).await;
    }
}

fn or_refused(records: Result<Vec<Record>, Refusal>) -> Answer {
    records.map_or_else(Answer::Refused, Answer::Records)
}

/// The next packet: `None` when there is none, `Some(None)` when nobody is left who could send one.
fn receive<'a>(socket: &AsyncFd<Packets>, buffer: &'a mut [u8]) -> Option<Option<&'a [u8]>> {
    let frame = socket
        .try_io(Interest::READABLE, |socket| socket.recv(buffer))
        .ok()?;
    Some(Some(frame).filter(|frame| !frame.is_empty()))
}
