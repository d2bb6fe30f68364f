// SPDX-License-Identifier: GPL-2.0-or-later
//! What the people of the model send, all of which can be sent once more, and what the model is told of it.
//!
//! In: who sends what. Out: what the gateway did with it, in the world; whether it may, as an error in words.

use stox::frame::{Flow, Protocol, Reply, Send};
use stox::gateway::Input;
use stox::record::Moment;

use crate::model::{Couple, Model, SIP_USERS, ends, secret_text, sip, xmpp};
use crate::wire::{arriving, notify, response, state};
use crate::world::World;

/// As many of the last requests and stanzas are kept, to be sent again.
const KEPT: usize = 8;

/// What is odd about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slip {
    None,
    /// It comes from elsewhere, and names that as its Contact.
    Moved,
    /// Its number has been used before.
    Old,
    /// Its tags are exchanged.
    Swapped,
    /// Its sender's tag is a guess.
    Guessed,
}

/// A request that was sent, so that it can be sent again.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    Initial {
        couple: Couple,
        call: String,
        tag: String,
        expires: u32,
        port: u16,
        text: String,
    },
    Inside {
        dialog: usize,
        port: u16,
        spoilt: bool,
        text: String,
    },
    Notify {
        couple: Couple,
        call: String,
        state: &'static str,
        secret: usize,
        text: String,
    },
}

/// A stanza that was sent, so that it can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    couple: Couple,
    word: &'static str,
    secret: Option<usize>,
    sender: String,
    xml: String,
}
/// The world, the model, and what is needed to do it all again.
pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) model: Model,
    number: u32,
    pub(crate) sent: Vec<Sent>,
    pub(crate) said: Vec<Said>,
    /// Requests of the gateway's without an answer, with the time from which on it may have given them up; and
    /// every first SUBSCRIBE there was.
    pub(crate) unanswered: Vec<(Moment, Send)>,
    pub(crate) subscriptions: Vec<Send>,
    /// Refusals so far: the gateway believes twenty a minute.
    refusals: u32,
    /// Who sent the stanza of this step.
    pub(crate) sender: Option<String>,
}

impl Play {
    pub(crate) fn new(notify_interval: &str) -> Self {
        Self {
            world: World::with(&[
                ("notify_interval", notify_interval),
                ("max_user_subscribes", "0"),
                ("max_domain_subscribes", "0"),
            ]),
            model: Model::default(),
            number: 10,
            sent: vec![],
            said: vec![],
            unanswered: vec![],
            subscriptions: vec![],
            refusals: 0,
            sender: None,
        }
    }

    pub(crate) fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    pub(crate) fn port(&mut self) -> u16 {
        5000 + u16::try_from(self.number()).unwrap()
    }

    // --- what SIP users send

    pub(crate) fn subscribe(
        &mut self,
        couple: Couple,
        call: u8,
        tag: u8,
        expires: u32,
    ) -> Result<(), String> {
        let (call, tag, port) = (format!("call-{call}"), format!("tag-{tag}"), self.port());
        let text = self.text(couple, &call, &tag, None, expires, port);
        self.request(Sent::Initial {
            couple,
            call,
            tag,
            expires,
            port,
            text,
        })
    }

    pub(crate) fn resubscribe(
        &mut self,
        dialog: usize,
        expires: u32,
        slip: Slip,
    ) -> Result<(), String> {
        if self.model.watches.is_empty() {
            return Ok(());
        }
        let watches = self.model.watches.len();
        let dialog = watches - 1 - dialog % watches;
        let watch = &self.model.watches[dialog];
        let Some(ours) = watch.ours.clone() else {
            return Ok(());
        };
        let (couple, call, theirs) = (watch.couple, watch.call.clone(), watch.theirs.clone());
        let port = match slip {
            Slip::Moved | Slip::Old | Slip::Swapped | Slip::Guessed => self.port(),
            Slip::None => watch.last_port(),
        };
        let (from_tag, to_tag) = match slip {
            Slip::None | Slip::Moved | Slip::Old => (theirs.as_str(), &ours),
            Slip::Swapped => (ours.as_str(), &theirs),
            Slip::Guessed => ("guessed", &ours),
        };
        let mut text = self.text(couple, &call, from_tag, Some(to_tag), expires, port);
        if slip == Slip::Old {
            text = text.replace(&format!("CSeq: {}", self.number), "CSeq: 1");
        }
        let spoilt = matches!(slip, Slip::Old | Slip::Swapped | Slip::Guessed);
        self.request(Sent::Inside {
            dialog,
            port,
            spoilt,
            text,
        })
    }

    pub(crate) fn text(
        &mut self,
        (user, contact): Couple,
        call: &str,
        from_tag: &str,
        to_tag: Option<&str>,
        expires: u32,
        port: u16,
    ) -> String {
        let number = self.number();
        let (from, to) = (sip(user), xmpp(contact));
        let to_tag = to_tag.map_or(String::new(), |tag| format!(";tag={tag}"));
        format!(
            "SUBSCRIBE sip:{to} SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7:{port};branch=z9hG4bK{number}\n\
             From: <sip:{from}>;tag={from_tag}\nTo: <sip:{to}>{to_tag}\nCall-ID: {call}\n\
             CSeq: {number} SUBSCRIBE\nContact: <sip:{}@198.51.100.7:{port}>\nEvent: presence\n\
             Expires: {expires}\nContent-Length: 0\n\n",
            SIP_USERS[user]
        )
    }

    pub(crate) fn notify(
        &mut self,
        subscription: usize,
        fork: u8,
        state: &'static str,
        basic: &str,
        slip: Slip,
    ) -> Result<(), String> {
        let Some(send) = chosen(&self.subscriptions, subscription).cloned() else {
            return Ok(());
        };
        let couple = couple_of(&send);
        let secret = self
            .model
            .secret(couple, false, state.starts_with("pending"));
        let cseq = if slip == Slip::Old { 1 } else { self.number() };
        let mut text = notify(&send, cseq, &format!("fork-{fork}"), state, Some(basic));
        if slip == Slip::Moved {
            let port = self.port();
            text = text.replace(
                "romeo@198.51.100.7:5070>",
                &format!("romeo@198.51.100.7:{port}>"),
            );
        }
        if matches!(slip, Slip::Swapped | Slip::Guessed) {
            text = text.replace(&send.from_tag, "guessed");
        }
        let note = format!("<note>{}</note></tuple>", secret_text(secret));
        let text = text.replace("</tuple>", &note);
        let (head, document) = text.split_once("\n\n").unwrap();
        let head = head.split("Content-Length").next().unwrap();
        let text = format!("{head}Content-Length: {}\n\n{document}", document.len());
        self.request(Sent::Notify {
            couple,
            call: send.call_id,
            state,
            secret,
            text,
        })
    }

    /// A request arrives, for the first time or once more.
    pub(crate) fn request(&mut self, sent: Sent) -> Result<(), String> {
        keep(&mut self.sent, sent.clone());
        match sent {
            Sent::Initial {
                couple,
                call,
                tag,
                expires,
                port,
                text,
            } => {
                let reply = self.deliver(&text, port);
                let ours = reply.as_ref().and_then(|reply| reply.to_tag.as_deref());
                if reply.as_ref().is_none_or(|reply| reply.status == 200) {
                    self.model
                        .subscribed(Model::watch(couple, &call, &tag, ours, port), expires);
                }
                Ok(())
            }
            Sent::Inside {
                dialog,
                port,
                spoilt,
                text,
            } => {
                let status = self.deliver(&text, port).map(|reply| reply.status);
                if spoilt && status == Some(200) {
                    return Err(format!("taken: {text}"));
                }
                self.model.refreshed(dialog, status, port)
            }
            Sent::Notify {
                couple,
                call,
                state,
                secret,
                text,
            } => {
                self.model.said_again(secret);
                let counted = self.model.counts(couple, &call);
                let status = self.deliver(&text, 5070).map(|reply| reply.status);
                let taken = status.is_none_or(|status| status == 200) && !text.contains("guessed");
                if taken && state.starts_with("active") {
                    self.model.granted(couple, &call);
                } else if status == Some(200) && state.ends_with("rejected") && counted {
                    self.model.parted(couple);
                }
                if taken && state.starts_with("terminated") {
                    self.model.ended(&call);
                }
                Ok(())
            }
        }
    }

    /// Gives a request to the gateway; none is its reply if it dies over it.
    pub(crate) fn deliver(&mut self, text: &str, port: u16) -> Option<Reply> {
        let slot = self.number();
        let mut request = arriving(text, true, slot);
        request.flow = Flow {
            protocol: Protocol::Udp,
            peer: ([198, 51, 100, 7], port).into(),
            ..request.flow
        };
        self.world.input(Input::Request(Box::new(request)));
        self.world.replies.last().cloned()
    }

    /// The gateway's own request ends, unless it was given up before.
    pub(crate) fn answer(&mut self, due: Moment, send: &Send, status: u16) {
        let text = response(send, &format!("{status} X"), "fork-0", "Expires: 600\n");
        let last = state(send).starts_with("terminated");
        let counts = self.world.now < due && send.id.generation() == self.world.generation;
        if counts && send.method == "NOTIFY" && (last || matches!(status, 408 | 481)) {
            self.model.over(send);
        }
        if counts && send.method == "SUBSCRIBE" && status == 403 && !ends(send) {
            self.refusals += 1;
            let couple = couple_of(send);
            if self.refusals <= 20 && self.model.counts(couple, &send.call_id) {
                self.model.parted(couple);
            }
        }
        self.world.result(send.id, status, &text);
    }

    // --- what XMPP users send

    pub(crate) fn presence(&mut self, couple: Couple, resource: u8, available: bool) {
        let secret = self.model.secret(couple, true, false);
        let (word, type_) = if available {
            ("available", "")
        } else {
            ("unavailable", "type='unavailable'")
        };
        let sender = format!("{}/r{resource}", xmpp(couple.1));
        let xml = format!(
            "<presence from='{sender}' to='{}' {type_}><status>{}</status></presence>",
            sip(couple.0),
            secret_text(secret)
        );
        self.stanza(Said {
            couple,
            word,
            secret: Some(secret),
            sender,
            xml,
        });
    }

    pub(crate) fn word(&mut self, couple: Couple, word: &'static str, inside: &str) {
        let sender = if word == "probe" {
            format!("{}/r9", xmpp(couple.1))
        } else {
            xmpp(couple.1)
        };
        let to = sip(couple.0);
        let id = format!("subscribe-{}", self.number());
        let xml = format!(
            "<presence from='{sender}' to='{to}' id='{id}' type='{word}'>{inside}</presence>"
        );
        self.stanza(Said {
            couple,
            word,
            secret: None,
            sender,
            xml,
        });
    }

    pub(crate) fn not_found(&mut self, couple: Couple, wait: bool) {
        let (type_, word) = if wait {
            ("wait", "remote-server-timeout")
        } else {
            ("cancel", "item-not-found")
        };
        let error = format!(
            "<error type='{type_}'><{word} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        self.word(couple, "error", &error);
    }

    /// A stanza arrives, for the first time or once more.
    pub(crate) fn stanza(&mut self, said: Said) {
        if !self.world.link_up {
            return;
        }
        keep(&mut self.said, said.clone());
        self.model.spoke(said.couple);
        match said.word {
            "subscribe" | "probe" => self.model.curious(said.couple),
            "unsubscribe" => self.model.parted(said.couple),
            "subscribed" => self.model.approved(said.couple),
            "unsubscribed" => self.model.declined(said.couple),
            "error" if said.xml.contains("item-not-found") => self.model.not_found(said.couple),
            _ => {}
        }
        if let Some(secret) = said.secret {
            self.model.said_again(secret);
        }
        self.sender = Some(said.sender);
        self.world.xmpp(&said.xml);
    }
}

fn keep<T>(all: &mut Vec<T>, new: T) {
    if all.len() == KEPT {
        all.remove(0);
    }
    all.push(new);
}

/// One of the last; so what is chosen stays the same when proptest leaves earlier steps out.
pub(crate) fn chosen<T>(all: &[T], n: usize) -> Option<&T> {
    all.get(all.len().checked_sub(1 + n % all.len().max(1))?)
}

/// The couple of a SUBSCRIBE of the gateway's.
fn couple_of(send: &Send) -> Couple {
    let place =
        |uri: &str, of: fn(usize) -> String| (0..2).find(|n| uri == format!("sip:{}", of(*n)));
    (
        place(&send.to_uri, sip).unwrap(),
        place(&send.from_uri, xmpp).unwrap(),
    )
}
