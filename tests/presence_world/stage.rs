// SPDX-License-Identifier: GPL-2.0-or-later
//! The world with both users and their servers in it.

use std::collections::BTreeSet;

use minidom::Element;
use stox::frame::{Reply, Send};
use stox::gateway::Input;

use crate::wire::{APPROVED, DECLINED, arriving, body, header, notify, response, state, subscribe};
use crate::world::World;

/// What Juliet decided about Romeo's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Unasked,
    Undecided,
    Approved,
    Declined,
}

/// Juliet's roster entry for Romeo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roster {
    None,
    Asked,
    To,
}

/// What Romeo's presence server does with Juliet's subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Pending,
    Allow,
    Reject,
}

/// Both users and their servers, which do what the standards ask of them.
pub(crate) struct Stage {
    pub(crate) world: World,
    /// Juliet: what she decided, where she is online, whether she watches, and what she sees of Romeo.
    pub(crate) decision: Decision,
    pub(crate) resources: Vec<u8>,
    pub(crate) roster: Roster,
    pub(crate) seen: BTreeSet<String>,
    /// Romeo watches: the dialog of his phone (Call-ID, our tag), and what its last NOTIFY said.
    phone: Option<(String, String)>,
    pub(crate) told: Option<(String, usize)>,
    /// Romeo is watched: policy, presence, and the subscriptions his server keeps.
    pub(crate) policy: Policy,
    pub(crate) open: bool,
    pub(crate) kept: Vec<Send>,
    pub(crate) number: u32,
}

impl Stage {
    pub(crate) fn in_world(world: World) -> Self {
        Self {
            world,
            decision: Decision::Unasked,
            resources: vec![],
            roster: Roster::None,
            seen: BTreeSet::new(),
            phone: None,
            told: None,
            policy: Policy::Pending,
            open: false,
            kept: vec![],
            number: 10,
        }
    }

    pub(crate) fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    pub(crate) fn link(&mut self, up: bool) {
        if up != self.world.link_up {
            if !up {
                self.world.stanzas.clear();
            }
            self.world.link(up);
        }
    }

    /// A stanza of Juliet's server; over a dead link it is lost.
    pub(crate) fn xmpp(&mut self, xml: &str) {
        if self.world.link_up {
            self.world.xmpp(xml);
        }
    }

    pub(crate) fn juliet_is(&mut self, resource: u8, online: bool) {
        let type_ = if online { "" } else { "type='unavailable'" };
        self.xmpp(&format!(
            "<presence from='juliet@example.com/r{resource}' to='romeo@example.net' {type_}/>"
        ));
    }

    pub(crate) fn answer_probe(&mut self) {
        if self.decision != Decision::Approved {
            return self.xmpp(DECLINED);
        }
        for resource in self.resources.clone() {
            self.juliet_is(resource, true);
        }
        if self.resources.is_empty() {
            self.xmpp(
                "<presence from='juliet@example.com' to='romeo@example.net' type='unavailable'/>",
            );
        }
    }

    /// A request to the gateway; `None` when the process died before it answered.
    fn sip(&mut self, text: &str) -> Option<Reply> {
        let slot = self.number();
        self.world.next_slot = slot;
        let before = self.world.replies.len();
        let request = arriving(text, true, slot);
        self.world.input(Input::Request(Box::new(request)));
        self.world.replies.get(before).cloned()
    }

    /// Whether Romeo's phone has had no answer, or one that no NOTIFY followed.
    pub(crate) fn phone_lacks_notify(&self) -> bool {
        self.told.is_none()
    }

    /// Romeo's phone begins anew.
    pub(crate) fn phone_forgets(&mut self) {
        self.phone = None;
        self.told = None;
    }

    pub(crate) fn phone_subscribes(&mut self, expires: u32) {
        let number = self.number();
        let expires = format!("Expires: {expires}\n");
        if let Some((call, tag)) = self.phone.clone() {
            let text = subscribe(number, &tag, &expires).replace("AA5A8BE5", &call);
            if self.sip(&text).is_some_and(|r| r.status == 481) {
                self.phone = None;
            }
            return;
        }
        let call = format!("call-{number}");
        let text = subscribe(number, "", &expires).replace("AA5A8BE5", &call);
        if let Some(reply) = self.sip(&text).filter(|r| r.status == 200) {
            self.phone = Some((call, reply.to_tag.unwrap()));
            self.told = None;
        }
    }

    /// Romeo's server tells one subscription, or ends it; a 481 makes it forget.
    fn romeo_notifies(&mut self, at: usize) {
        let send = self.kept[at].clone();
        let number = self.number();
        let basic = if self.open { "open" } else { "closed" };
        let (state, basic) = match self.policy {
            Policy::Pending => ("pending;expires=3600", None),
            Policy::Allow => ("active;expires=3600", Some(basic)),
            Policy::Reject => ("terminated;reason=rejected", None),
        };
        let text = notify(&send, number, &send.call_id[..4], state, basic);
        let reply = self.sip(&text);
        if self.policy == Policy::Reject || reply.is_some_and(|r| r.status == 481) {
            self.kept.retain(|k| k.call_id != send.call_id);
        }
    }

    pub(crate) fn romeo_tells_all(&mut self) {
        for call in self
            .kept
            .iter()
            .map(|k| k.call_id.clone())
            .collect::<Vec<_>>()
        {
            if let Some(at) = self.kept.iter().position(|k| k.call_id == call) {
                self.romeo_notifies(at);
            }
        }
    }

    pub(crate) fn takes_request(&mut self, send: &Send) {
        if send.method == "NOTIFY" {
            let ours = (send.call_id.clone(), send.from_tag.clone());
            if self.phone.as_ref() != Some(&ours) {
                return self.world.result(send.id, 481, "");
            }
            self.told = Some((
                state(send).split(';').next().unwrap().to_owned(),
                body(send).matches("<basic>open").count(),
            ));
            if state(send).starts_with("terminated") {
                self.phone = None;
            }
            return self.world.result(send.id, 200, "");
        }
        let known = self.kept.iter().position(|k| k.call_id == send.call_id);
        let tag = send.call_id[..4].to_owned();
        let (status, more) = match (known, header(send, "Expires")) {
            (None, _) if send.to_tag.is_some() => (481, String::new()),
            (None, _) if self.policy == Policy::Reject => (403, String::new()),
            (_, expires) => (200, format!("Expires: {expires}\n")),
        };
        let text = response(send, &format!("{status} X"), &tag, &more);
        self.world.result(send.id, status, &text);
        if status != 200 {
            return;
        }
        if header(send, "Expires") == "0" {
            self.kept.retain(|k| k.call_id != send.call_id);
            return;
        }
        let at = known.unwrap_or_else(|| {
            self.kept.push(send.clone());
            self.kept.len() - 1
        });
        self.romeo_notifies(at);
    }

    pub(crate) fn takes_stanza(&mut self, said: &Element) {
        let from = said.attr("from").unwrap_or("").to_owned();
        match said.attr("type") {
            Some("subscribe") => match self.decision {
                Decision::Approved => {
                    self.xmpp(APPROVED);
                    self.answer_probe();
                }
                Decision::Unasked | Decision::Undecided | Decision::Declined => {
                    self.decision = Decision::Undecided;
                }
            },
            Some("unsubscribe") if self.decision != Decision::Unasked => {
                // RFC 6121 §3.3.3: answered where it ends anything.
                self.decision = Decision::Unasked;
                self.xmpp(DECLINED);
            }
            Some("probe") => self.answer_probe(),
            Some("subscribed") if self.roster == Roster::Asked => self.roster = Roster::To,
            Some("unsubscribed") => {
                self.roster = Roster::None;
                self.seen.clear();
            }
            Some("unavailable") if from == "romeo@example.net" => self.seen.clear(),
            Some("unavailable") => {
                self.seen.remove(&from);
            }
            None if self.roster == Roster::To => {
                self.seen.insert(from);
            }
            _ => {}
        }
    }

    /// Everybody answers until nobody has anything to say; or so many requests and stanzas are taken.
    pub(crate) fn settle(&mut self, most: usize) {
        for _ in 0..most {
            if !self.world.stanzas.is_empty() {
                let said = self.world.stanzas.remove(0);
                self.takes_stanza(&said);
            } else if !self.world.sent.is_empty() {
                let send = self.world.sent.remove(0);
                self.takes_request(&send);
            } else {
                return;
            }
        }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.world.now.plus_secs(seconds);
        while let Some((at, _)) = self.world.gateway.next_deadline().filter(|d| d.0 <= end) {
            self.world.now = at.max(self.world.now);
            self.world.input(Input::Timeout);
            self.settle(10_000);
        }
        self.world.now = end;
    }
}
