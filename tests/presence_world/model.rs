// SPDX-License-Identifier: GPL-2.0-or-later
//! Who may be told what, in as few rules as there can be.
//!
//! In: what the people and their servers did, and how the gateway answered. Out: whether something that leaves
//! it may. It knows nothing of how the gateway works, and of time only what came before what.

use std::collections::BTreeSet;

use minidom::Element;
use stox::frame::{Reply, Send};

use crate::wire::{body, header, state};

/// The people, by their places.
pub(crate) const SIP_USERS: [&str; 2] = ["romeo", "mercutio"];
pub(crate) const XMPP_USERS: [&str; 2] = ["juliet", "nurse"];

/// A SIP user and an XMPP user.
pub(crate) type Couple = (usize, usize);

pub(crate) fn sip(user: usize) -> String {
    format!("{}@example.net", SIP_USERS[user])
}

pub(crate) fn xmpp(user: usize) -> String {
    format!("{}@example.com", XMPP_USERS[user])
}

/// Something that only one person may read, as a text that is found again.
pub(crate) fn secret_text(secret: usize) -> String {
    format!("secret-{secret};")
}

fn secrets_in(text: &str) -> Vec<usize> {
    let after = text.split("secret-").skip(1);
    after
        .filter_map(|rest| rest.split(';').next()?.parse().ok())
        .collect()
}

/// What there is between two people.
#[derive(Debug, Default, Clone)]
struct Relation {
    /// The SIP user asked to see the XMPP user; what she said to that.
    asked: bool,
    approved: bool,
    refused: bool,
    /// The XMPP user asked to see the SIP user, or her server did; whether he lets her.
    curious: bool,
    granted: bool,
    /// She has not left since, and he has not ended it.
    wants: bool,
    /// She has said something that wants an answer.
    spoke: bool,
    /// Since when it is as it is, in steps.
    approved_since: usize,
    granted_since: usize,
    /// When she last left, or he ended it.
    parted_at: usize,
    /// What she was shown of him and was not told to be gone.
    shown: BTreeSet<String>,
    /// A departure that is legal only before an `unsubscribed`.
    departing: Option<String>,
}

/// One secret: by whom for whom, and when it was last said.
#[derive(Debug)]
struct Secret {
    couple: Couple,
    for_sip: bool,
    said: usize,
    /// It came with the word that nothing is decided yet.
    undecided: bool,
}

/// A dialog of a SIP watcher's.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) couple: Couple,
    pub(crate) call: String,
    pub(crate) theirs: String,
    /// Our tag, once it is known.
    pub(crate) ours: Option<String>,
    /// The ports on which he may be waiting.
    ports: Vec<u16>,
    /// The last NOTIFY has been sent.
    ended: bool,
    /// It is over for both.
    gone: bool,
}

impl Watch {
    pub(crate) fn last_port(&self) -> u16 {
        self.ports.last().copied().unwrap_or_default()
    }

    /// Whether a NOTIFY goes to where the watcher may be.
    fn is_at(&self, notify: &Send) -> bool {
        self.ports.iter().any(|port| {
            let at = format!("198.51.100.7:{port}");
            notify.request_uri == format!("sip:{}@{at}", SIP_USERS[self.couple.0])
                && notify.next_hop == Some(format!("sip:{at};transport=udp"))
        })
    }
}

/// A subscription of an XMPP watcher's.
#[derive(Debug)]
struct Subscription {
    couple: Couple,
    call: String,
    open: bool,
    /// A notifier has ended it, so that an answer to its SUBSCRIBE may come to nobody.
    ended: bool,
}

/// All that the rules are about.
#[derive(Debug, Default)]
pub(crate) struct Model {
    relations: [[Relation; 2]; 2],
    secrets: Vec<Secret>,
    pub(crate) watches: Vec<Watch>,
    subscriptions: Vec<Subscription>,
    /// How many of them there were at the last restart.
    found: usize,
    pub(crate) step: usize,
}

impl Model {
    fn relation(&mut self, (sip, xmpp): Couple) -> &mut Relation {
        &mut self.relations[sip][xmpp]
    }

    /// A new secret of one of the two for the other.
    pub(crate) fn secret(&mut self, couple: Couple, for_sip: bool, undecided: bool) -> usize {
        self.secrets.push(Secret {
            couple,
            for_sip,
            said: self.step,
            undecided,
        });
        self.secrets.len() - 1
    }

    pub(crate) fn said_again(&mut self, secret: usize) {
        self.secrets[secret].said = self.step;
    }

    // --- a SIP user watches

    /// A SUBSCRIBE that begins a dialog was accepted, or the gateway died over it.
    pub(crate) fn subscribed(&mut self, watch: Watch, expires: u32) {
        self.relation(watch.couple).asked |= expires > 0;
        self.watches.push(watch);
    }

    pub(crate) fn watch(
        couple: Couple,
        call: &str,
        theirs: &str,
        ours: Option<&str>,
        port: u16,
    ) -> Watch {
        Watch {
            couple,
            call: call.to_owned(),
            theirs: theirs.to_owned(),
            ours: ours.map(str::to_owned),
            ports: vec![port],
            ended: false,
            gone: false,
        }
    }

    /// A SUBSCRIBE inside a dialog was answered, or the gateway died over it.
    pub(crate) fn refreshed(
        &mut self,
        at: usize,
        status: Option<u16>,
        port: u16,
    ) -> Result<(), String> {
        let watch = &mut self.watches[at];
        if watch.gone && status == Some(200) {
            return Err(format!("a dialog that is gone was refreshed: {watch:?}"));
        }
        match status {
            Some(200) => watch.ports = vec![port],
            Some(_) => {}
            None => watch.ports.push(port),
        }
        Ok(())
    }

    /// The watcher has taken the last NOTIFY of a dialog, or knows nothing of the dialog.
    pub(crate) fn over(&mut self, notify: &Send) {
        if let Some(at) = self.watch_of(notify) {
            self.watches[at].gone = true;
        }
    }

    /// The process is another one: the last NOTIFY of a dialog may not have left.
    pub(crate) fn restarted(&mut self) {
        for watch in &mut self.watches {
            watch.ended = false;
        }
        self.found = self.subscriptions.len();
        // An older subscription may be taken up for one that nothing has come of yet.
        for subscription in &mut self.subscriptions {
            let (sip, xmpp) = subscription.couple;
            subscription.open |= self.relations[sip][xmpp].wants;
        }
    }

    pub(crate) fn approved(&mut self, couple: Couple) {
        let step = self.step;
        let relation = self.relation(couple);
        if relation.asked && !relation.approved {
            relation.approved = true;
            relation.refused = false;
            relation.approved_since = step;
        }
    }

    pub(crate) fn declined(&mut self, couple: Couple) {
        let relation = self.relation(couple);
        relation.refused |= relation.asked;
        relation.approved = false;
    }

    /// Her server says that there is no such user.
    pub(crate) fn not_found(&mut self, couple: Couple) {
        let relation = self.relation(couple);
        relation.asked &= relation.approved || relation.refused;
    }

    // --- an XMPP user watches

    pub(crate) fn curious(&mut self, couple: Couple) {
        let relation = self.relation(couple);
        relation.curious = true;
        relation.wants = true;
    }

    pub(crate) fn spoke(&mut self, couple: Couple) {
        self.relation(couple).spoke = true;
    }

    /// She leaves, or he has ended it.
    pub(crate) fn parted(&mut self, couple: Couple) {
        let step = self.step;
        let relation = self.relation(couple);
        relation.wants = false;
        relation.granted = false;
        relation.parted_at = step;
        for subscription in &mut self.subscriptions {
            subscription.open &= subscription.couple != couple;
        }
    }

    pub(crate) fn is_open(&self, call: &str) -> bool {
        self.subscriptions.iter().any(|s| s.call == call && s.open)
    }

    /// Whether what is said in a subscription counts for sure: it is open and the newest of its couple. Of several
    /// that a restart found, any may be the one that goes on.
    pub(crate) fn counts(&self, couple: Couple, call: &str) -> bool {
        let open = |s: &&Subscription| s.couple == couple && s.open;
        let newest = self.subscriptions.iter().rposition(|s| open(&s));
        newest.is_some_and(|at| {
            let alone = self.subscriptions.iter().filter(open).count() == 1;
            let newest = &self.subscriptions[at];
            newest.call == call && !newest.ended && (alone || at >= self.found)
        })
    }

    /// A NOTIFY that ends a subscription was taken.
    pub(crate) fn ended(&mut self, call: &str) {
        for subscription in &mut self.subscriptions {
            subscription.ended |= subscription.call == call;
        }
    }

    /// A NOTIFY that shows him was taken; it counts if its subscription still does.
    pub(crate) fn granted(&mut self, couple: Couple, call: &str) {
        let (step, open) = (self.step, self.is_open(call));
        let relation = self.relation(couple);
        if open && !relation.granted {
            relation.granted = true;
            relation.granted_since = step;
        }
    }

    // --- what leaves

    /// The dialog of a NOTIFY. One whose SUBSCRIBE killed the process is known by its user and his port.
    fn watch_of(&self, notify: &Send) -> Option<usize> {
        let call = |watch: &Watch| {
            watch.call == notify.call_id && Some(&watch.theirs) == notify.to_tag.as_ref()
        };
        let known = |watch: &Watch| call(watch) && watch.ours.as_ref() == Some(&notify.from_tag);
        let unknown = |watch: &Watch| {
            let user = notify.to_uri == format!("sip:{}", sip(watch.couple.0));
            call(watch) && watch.ours.is_none() && user && watch.is_at(notify)
        };
        let known = self.watches.iter().position(known);
        known.or_else(|| self.watches.iter().position(unknown))
    }

    /// Whether a request may leave.
    pub(crate) fn check_request(&mut self, send: &Send) -> Result<(), String> {
        if send.method == "NOTIFY" {
            return self.check_notify(send);
        }
        let couple = couple_of(&send.to_uri, &send.from_uri)
            .ok_or_else(|| format!("a SUBSCRIBE between strangers: {send:?}"))?;
        if !self.relation(couple).curious {
            return Err(format!(
                "{} is watched by {}, who never asked",
                send.to_uri, send.from_uri
            ));
        }
        let known = self
            .subscriptions
            .iter()
            .any(|s| s.call == send.call_id && s.couple == couple);
        if send.to_tag.is_none() && !known {
            self.subscriptions.push(Subscription {
                couple,
                call: send.call_id.clone(),
                open: true,
                ended: false,
            });
        } else if !known {
            return Err(format!("a SUBSCRIBE in a dialog of others: {send:?}"));
        }
        Ok(())
    }

    fn check_notify(&mut self, send: &Send) -> Result<(), String> {
        let at = self
            .watch_of(send)
            .ok_or_else(|| format!("a NOTIFY in no dialog: {send:?}"))?;
        let relation = {
            let (sip, xmpp) = self.watches[at].couple;
            self.relations[sip][xmpp].clone()
        };
        let watch = &mut self.watches[at];
        watch.ours = Some(send.from_tag.clone());
        let (user, contact) = (sip(watch.couple.0), xmpp(watch.couple.1));
        if couple_of(&send.to_uri, &send.from_uri) != Some(watch.couple) {
            return Err(format!("a NOTIFY about another or to another: {send:?}"));
        }
        let secrets = secrets_in(&body(send));
        let last = state(send).starts_with("terminated");
        if watch.gone || (watch.ended && !(last && secrets.is_empty())) {
            return Err(format!("a NOTIFY after the end of {watch:?}: {send:?}"));
        }
        watch.ended |= last;
        if !watch.is_at(send) {
            let ports = &watch.ports;
            return Err(format!(
                "a NOTIFY to where {user} is not ({ports:?}): {send:?}"
            ));
        }
        if state(send).starts_with("active") && !relation.approved {
            return Err(format!(
                "{user} is told that {contact} approved, who did not"
            ));
        }
        if body(send).contains(">open<") && !relation.approved {
            return Err(format!("{user} is shown {contact}, who did not approve"));
        }
        let couple = watch.couple;
        self.check_secrets(&secrets, couple, true, relation.approved_since)
    }

    /// Whether a stanza may leave; the sender is who sent the one that came before it.
    pub(crate) fn check_stanza(
        &mut self,
        stanza: &Element,
        sender: Option<&str>,
    ) -> Result<(), String> {
        let text = String::from(stanza);
        let (from, to) = (
            stanza.attr("from").unwrap_or(""),
            stanza.attr("to").unwrap_or(""),
        );
        let bare = to.split('/').next().unwrap_or("");
        if to != bare && sender != Some(to) {
            return Err(format!("to a client that did not ask: {text}"));
        }
        let couple = couple_of(&format!("sip:{from}"), &format!("sip:{to}"))
            .ok_or_else(|| format!("between strangers: {text}"))?;
        let step = self.step;
        let relation = self.relation(couple);
        let legal = match stanza.attr("type") {
            Some("subscribe") => relation.asked,
            Some("probe") => true,
            Some("subscribed") => relation.granted,
            Some("unsubscribed") => {
                relation.departing = None;
                relation.spoke
            }
            Some("unavailable") => {
                let was_shown = !relation.shown.is_empty();
                if from.contains('/') {
                    relation.shown.remove(from);
                } else {
                    relation.shown.clear();
                }
                let parts = relation.parted_at == step;
                if !(was_shown || relation.granted || relation.approved || parts) {
                    relation.departing = Some(text.clone());
                }
                true
            }
            None => {
                relation.shown.insert(from.to_owned());
                relation.granted
            }
            Some(_) => false,
        };
        if !legal {
            return Err(format!("{text}, with {relation:?}"));
        }
        let since = relation.granted_since;
        self.check_secrets(&secrets_in(&text), couple, false, since)
    }

    fn check_secrets(
        &self,
        secrets: &[usize],
        couple: Couple,
        for_sip: bool,
        since: usize,
    ) -> Result<(), String> {
        for secret in secrets {
            let known = &self.secrets[*secret];
            let may = known.couple == couple && known.for_sip == for_sip;
            if !may || known.undecided || known.said < since {
                return Err(format!(
                    "{couple:?} is told secret {secret}: {known:?}, since {since}"
                ));
            }
        }
        Ok(())
    }

    /// Whether a step may end like this.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        let departing = self
            .relations
            .iter()
            .flatten()
            .find_map(|r| r.departing.as_ref());
        departing.map_or(Ok(()), |text| {
            Err(format!("{text} without an unsubscribed"))
        })
    }

    /// Whether a reply may leave.
    pub(crate) fn check_reply(reply: &Reply) -> Result<(), String> {
        let text = format!("{reply:?}");
        if secrets_in(&text).is_empty() {
            Ok(())
        } else {
            Err(format!("a reply that tells: {text}"))
        }
    }
}

/// Whose addresses these are; none if they are not a SIP user's and an XMPP user's.
fn couple_of(sip_uri: &str, xmpp_uri: &str) -> Option<Couple> {
    let user = |uri: &str| {
        let rest = uri.strip_prefix("sip:")?;
        Some(rest.split('/').next()?.to_owned())
    };
    let (one, other) = (user(sip_uri)?, user(xmpp_uri)?);
    let sip = (0..SIP_USERS.len()).find(|n| sip(*n) == one)?;
    let xmpp = (0..XMPP_USERS.len()).find(|n| xmpp(*n) == other)?;
    Some((sip, xmpp))
}

/// The Expires of a request of the gateway's.
pub(crate) fn ends(send: &Send) -> bool {
    header(send, "Expires") == "0"
}
