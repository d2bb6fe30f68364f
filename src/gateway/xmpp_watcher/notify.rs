// SPDX-License-Identifier: GPL-2.0-or-later
//! NOTIFYs about SIP contacts (RFC 6665 §4.1.3, §4.4.1; RFC 8048 §5.2.1, §6.3).

use crate::address::Pair;
use crate::body::dialog_info::{self, DialogInfo, DialogInfoError};
use crate::body::pidf::{self, Document, PidfError};
use crate::config::Limit;
use crate::frame::Reply;
use crate::mapping::presence::{Availability, to_xmpp};
use crate::record::{DialogId, Direction, Moment};
use crate::sip::{DeltaSeconds, Package, Request, SubscriptionState, Substate, TerminationReason};

use super::super::SipRequest;
use super::super::desk::{Desk, Refusal};
use super::super::dialog::Dialog;
use super::super::resources::Resources;
use super::super::timers::Timer;
use super::standing::{Approval, Grant, Standing};
use super::subscribe::{FIRST_NOTIFY_MS, schedule};
use super::{Phase, XmppWatchers};

/// The most dialogs one SUBSCRIBE may fork into.
const MAX_FORKS: usize = 8;

/// A NOTIFY that may be acted upon.
struct Accepted {
    id: DialogId,
    state: SubscriptionState,
    body: Body,
}

/// What a NOTIFY carries, by its package.
enum Body {
    Presence(Option<Resources<Availability>>),
    Calls(Option<DialogInfo>),
}

impl XmppWatchers {
    /// A NOTIFY; `local_tag` is its To tag.
    pub(in super::super) fn notify(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        r: &SipRequest,
        local_tag: &str,
    ) {
        match self.accept(desk, now, r, local_tag) {
            Err(refusal) => desk.refuse(r.slot, refusal),
            Ok(accepted) => {
                desk.counters.notifies_received += 1;
                let contact = desk.contact(accepted.id, Some(&r.flow));
                desk.reply(Reply {
                    slot: r.slot,
                    status: 200,
                    reason: "OK".to_owned(),
                    to_tag: None,
                    headers: vec![("Contact".to_owned(), contact)],
                    body: Vec::new(),
                });
                self.take(desk, now, accepted);
            }
        }
    }

    fn accept(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        r: &SipRequest,
        local_tag: &str,
    ) -> Result<Accepted, Refusal> {
        let request = &r.request;
        let gone = || Refusal::new(481);
        let call_id = request
            .call_id()
            .map_err(|_| Refusal::because(400, "Bad Call-ID"))?;
        let from = request
            .from()
            .map_err(|_| Refusal::because(400, "Bad From"))?;
        let from_tag = from
            .tag()
            .ok_or_else(|| Refusal::because(400, "Missing From tag"))?;
        let cseq = request
            .cseq()
            .map_err(|_| Refusal::because(400, "Bad CSeq"))?;
        let of_call = |id: &DialogId| {
            self.subscriptions.get(id).is_some_and(|s| {
                let texts = s.dialog.texts();
                (texts.call_id, texts.local_tag) == (call_id, local_tag)
            })
        };
        let family: Vec<_> = self
            .calls
            .find(call_id, local_tag)
            .filter(of_call)
            .collect();
        let remote_tag = |id: &DialogId| {
            self.subscriptions
                .get(id)
                .and_then(|s| s.dialog.texts().remote_tag)
        };
        let known = family
            .iter()
            .copied()
            .find(|id| remote_tag(id) == Some(from_tag));
        let young = family.iter().copied().find(|id| remote_tag(id).is_none());
        let forking = family.iter().copied().find(|id| {
            self.subscriptions.get(id).is_some_and(|s| {
                now < s.opened.plus_ms(FIRST_NOTIFY_MS)
                    && matches!(s.phase, Phase::Trying | Phase::Open)
            })
        });
        if known.is_none() && young.is_none() && (forking.is_none() || family.len() >= MAX_FORKS) {
            return Err(gone());
        }
        let event = request.headers.event().ok_or_else(|| {
            Refusal::because(489, "Missing Event").with("Allow-Events", "presence")
        })?;
        let package = known
            .or(young)
            .or(forking)
            .and_then(|id| self.package_of(id));
        let package = package
            .filter(|package| event.package == package.as_str())
            .ok_or_else(|| Refusal::new(489).with("Allow-Events", "presence"))?;
        if event.id.is_some() {
            return Err(gone());
        }
        let state = request
            .headers
            .subscription_state()
            .map_err(|_| Refusal::because(400, "Bad Subscription-State"))?;
        if let Some(id) = known
            && let Some(subscription) = self.subscriptions.get(&id)
            && cseq.number <= subscription.dialog.remote_cseq
        {
            return Err(Refusal::because(500, "CSeq Out of Order"));
        }
        let route_set = request
            .headers
            .record_route()
            .map_err(|_| Refusal::because(400, "Bad Record-Route"))?;
        let body = match package {
            Package::Presence => Body::Presence(read_document(desk, request)?),
            Package::Dialog => Body::Calls(read_calls(desk, request)?),
        };
        let id = match (known, young, forking) {
            (Some(id), _, _) | (None, Some(id), _) => id,
            (None, None, Some(first)) => self.fork(desk, now, first).ok_or_else(gone)?,
            (None, None, None) => return Err(gone()),
        };
        let subscription = self.subscriptions.get_mut(&id).ok_or_else(gone)?;
        subscription.dialog.remote_cseq = cseq.number;
        meet(&mut subscription.dialog, request, from_tag, route_set);
        Ok(Accepted { id, state, body })
    }

    /// A further notifier answers the same SUBSCRIBE: a dialog of its own (RFC 6665 §4.4.1).
    fn fork(&mut self, desk: &mut Desk, now: Moment, first: DialogId) -> Option<DialogId> {
        let first = self.subscriptions.get(&first)?;
        desk.room(Direction::ToSip, &first.dialog.pair).ok()?;
        let (opened, duration) = (first.opened, first.duration);
        let id = desk.identity.dialog();
        let mut dialog = first.dialog.fork(id);
        desk.change(dialog.put());
        let left = dialog.expires_in(now);
        self.add(
            desk,
            dialog,
            Phase::Open,
            Resources::default(),
            opened,
            duration,
        );
        schedule(desk, now, id, left);
        Some(id)
    }

    fn take(&mut self, desk: &mut Desk, now: Moment, accepted: Accepted) {
        let Accepted { id, state, body } = accepted;
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let pair = subscription.dialog.pair.clone();
        desk.timers.stop(&Timer::FirstNotify(id));
        if subscription.phase == Phase::Poll {
            let document = match body {
                Body::Presence(document) => document,
                Body::Calls(_) => None,
            };
            return self.poll_answered(desk, now, id, &state, document);
        }
        if state.substate == Substate::Terminated {
            self.terminated(desk, now, id, &state);
            return;
        }
        match subscription.phase {
            Phase::Poll | Phase::Ended | Phase::ToEnd => return,
            Phase::Trying | Phase::Open => subscription.phase = Phase::Open,
        }
        if let Some(seconds) = state.expires {
            let seconds = seconds.min(desk.config.expires_max);
            subscription.dialog.expires_at = now.plus_secs(u64::from(seconds));
            schedule(desk, now, id, seconds);
        }
        let document = match body {
            Body::Presence(document) => document,
            Body::Calls(_) if state.substate == Substate::Pending => return self.keep(desk, id),
            Body::Calls(document) => return self.calls_told(desk, now, id, document),
        };
        // RFC 8048 §5.2.1: while pending, answer on the SIP side and send nothing to the XMPP user.
        if state.substate == Substate::Pending {
            if self.standing(&pair).authorization().is_none() {
                // A probe of somebody who never asked, or whom the contact has forgotten (RFC 6121 §4.3.2).
                self.cancelled(desk, now, &pair);
            } else {
                self.keep(desk, id);
            }
            return;
        }
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let first = !subscription.dialog.active;
        subscription.dialog.active = true;
        if let Some(document) = document {
            subscription.document = document;
        }
        self.approve(desk, now, &pair);
        self.tell_changes(desk, &pair);
        self.keep_if_changed(desk, id, first);
        self.watch_calls(desk, now, &pair);
    }

    /// The contact lets the watcher see: long-lived from here on.
    fn approve(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        match self.standing(pair) {
            Standing::Pending | Standing::Stranger | Standing::Leaving => {
                self.stand(desk, now, pair, Standing::Granted(Grant::default()));
                self.tell_subscribed(desk, pair);
            }
            Standing::Granted(Grant {
                approval: Approval::InDoubt,
                ..
            }) => self.tell_subscribed(desk, pair),
            Standing::Granted(_) | Standing::Cancelled => {}
        }
    }

    fn keep(&mut self, desk: &mut Desk, id: DialogId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            desk.change(subscription.dialog.put());
        }
    }

    /// Stores the dialog when what a restart needs of it has changed. A resource that has gone stays in the
    /// record until the next refresh: the word of it may be lost with the process.
    fn keep_if_changed(&mut self, desk: &mut Desk, id: DialogId, force: bool) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let shown = subscription.available();
        let kept = subscription.dialog.texts().shown;
        if force
            || !shown
                .iter()
                .all(|resource| kept.contains(&resource.as_str()))
        {
            subscription.dialog.rewrite(|record| {
                record.shown.retain(|resource| !shown.contains(resource));
                record.shown.truncate(pidf::MAX_SHOWN);
                record.shown.splice(0..0, shown);
            });
            desk.change(subscription.dialog.put());
        }
    }

    /// The notifier ended the subscription (RFC 6665 §4.1.3); only `rejected` ends the authorisation.
    fn terminated(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        id: DialogId,
        state: &SubscriptionState,
    ) {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return;
        };
        let pair = subscription.dialog.pair.clone();
        if matches!(subscription.phase, Phase::Ended | Phase::ToEnd) {
            let answered = subscription.dialog.in_flight.is_none();
            if answered && subscription.phase == Phase::Ended {
                self.remove(desk, id);
            }
            return;
        }
        if subscription.dialog.package == Package::Dialog {
            return self.calls_ended(desk, now, id, state);
        }
        self.remove(desk, id);
        let others = !self.live(&pair).is_empty();
        let wait = state.retry_after.map(DeltaSeconds);
        match &state.reason {
            Some(TerminationReason::Rejected) => self.cancelled(desk, now, &pair),
            _ if others => self.tell_changes(desk, &pair),
            Some(TerminationReason::Deactivated | TerminationReason::Timeout) => {
                self.again_soon(desk, now, &pair);
            }
            Some(
                TerminationReason::Probation
                | TerminationReason::Giveup
                | TerminationReason::Noresource
                | TerminationReason::Invariant
                | TerminationReason::Other(_),
            )
            | None => {
                self.unreachable(desk, now, &pair, wait);
            }
        }
    }
}

/// Takes over what a NOTIFY tells of the dialog: it creates it (RFC 6665 §4.4.1) and moves its target.
fn meet(dialog: &mut Dialog, request: &Request, from_tag: &str, route_set: Vec<String>) {
    let is_new = dialog.texts().remote_tag.is_none();
    let contact = request.headers.contact().ok().flatten();
    let target = contact
        .map(|contact| contact.uri_text)
        .filter(|target| target != dialog.texts().remote_target);
    if !is_new && target.is_none() {
        return;
    }
    dialog.rewrite(|record| {
        if is_new {
            record.remote_tag = Some(from_tag.to_owned());
            record.route_set = route_set;
        }
        if let Some(target) = target {
            record.remote_target = target;
        }
    });
}

fn read_calls(desk: &mut Desk, request: &Request) -> Result<Option<DialogInfo>, Refusal> {
    if request.body.is_empty() {
        return Ok(None);
    }
    if request.headers.content_type().as_deref() != Some(dialog_info::MIME) {
        return Err(Refusal::new(415).with("Accept", dialog_info::MIME));
    }
    let limits = dialog_info::Limits {
        bytes: desk.config.pidf.bytes,
        ..dialog_info::Limits::default()
    };
    match DialogInfo::parse_within(&request.body, limits, desk.config.xml) {
        Ok(document) => Ok(Some(document)),
        Err(DialogInfoError::TooLarge(excess)) => {
            desk.counters.reached.count(match excess {
                dialog_info::Excess::Bytes | dialog_info::Excess::Dialogs => Limit::Pidf,
                dialog_info::Excess::Shape(misshapen) => misshapen.into(),
            });
            Err(Refusal::new(413))
        }
        Err(DialogInfoError::Xml | DialogInfoError::NotDialogInfo) => {
            Err(Refusal::because(400, "Bad Document About Dialogs"))
        }
    }
}

fn read_document(
    desk: &mut Desk,
    request: &Request,
) -> Result<Option<Resources<Availability>>, Refusal> {
    if request.body.is_empty() {
        return Ok(None);
    }
    if request.headers.content_type().as_deref() != Some(pidf::MIME) {
        return Err(Refusal::new(415).with("Accept", pidf::MIME));
    }
    let (limits, shape) = (desk.config.pidf, desk.config.xml);
    match Document::parse_within(&request.body, limits, shape) {
        Ok(document) => {
            let language = request.headers.first("Content-Language");
            Ok(Some(to_xmpp(&document, language).into_iter().collect()))
        }
        Err(PidfError::TooLarge(excess)) => {
            desk.counters.reached.count(excess.into());
            Err(Refusal::new(413))
        }
        Err(PidfError::Xml | PidfError::NotPidf) => {
            Err(Refusal::because(400, "Bad Presence Document"))
        }
    }
}
