// SPDX-License-Identifier: GPL-2.0-or-later
//! Anything that can happen to the core, in any order, against a small reference of who may see whom.
//!
//! In: a play, one step a letter with its operands (`seeds/sequence/` has readable ones); what is no step is
//! skipped. A play that begins with `f` has links between servers. Two SIP users and two XMPP users watch each other. Promised, after every step: nobody is shown
//! presence of somebody who did not let him, or that was not so; a request has one answer; no CSeq of a
//! dialog goes back. And after the play: when nobody wants or answers anything any more, nothing stays open.

use std::collections::{BTreeMap, BTreeSet};

use minidom::Element;
use stox::frame::{RequestId, Send};
use stox::gateway::Input;
use stox::sip::Message;

use super::departing;
use super::wire::{arriving, body, header, notify, response, state, subscribe};
use super::world::World;

/// Letters of the SIP and of the XMPP user.
const PAIRS: [(&str, &str); 4] = [
    ("romeo", "juliet"),
    ("romeo", "nurse"),
    ("mercutio", "juliet"),
    ("mercutio", "nurse"),
];

/// Steps of one play; more tell nothing new, and take long.
const MAX_STEPS: usize = 400;

/// Deadlines that may come within one step, a step being little more than an hour.
const MAX_TIMEOUTS: usize = 20_000;

/// Plays, lets everybody go, and looks for what is left.
pub fn run(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut stage = Stage::new(script.begins_with(b'f'));
    let mut steps = 0;
    while steps < MAX_STEPS
        && let Some(step) = script.next()
    {
        steps += usize::from(stage.step(step, &mut script));
    }
    stage.end();
}

/// The rest of the play.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn begins_with(&self, letter: u8) -> bool {
        self.0.first() == Some(&letter)
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// One of several, by a digit.
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let digit = self.next().unwrap_or(b'0').wrapping_sub(b'0');
        of[usize::from(digit) % of.len()].clone()
    }

    fn number(&mut self, below: usize) -> usize {
        usize::from(self.next().unwrap_or(b'0').wrapping_sub(b'0')) % below.max(1)
    }

    /// Header lines, up to the end of the line; `\` stands for a line break.
    fn headers(&mut self) -> String {
        let end = self
            .0
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest;
        let text = String::from_utf8_lossy(line).replace('\\', "\n");
        if text.is_empty() {
            text
        } else {
            format!("{text}\n")
        }
    }
}

/// The parameters of links between servers.
const BETWEEN_SERVERS: [(&str, &str); 3] = [
    ("listen", "192.0.2.9:5269"),
    ("certificate", "/etc/stox/example.net.pem"),
    ("private_key", "/etc/stox/example.net.key"),
];

/// No request of ours has this number.
const NO_REQUEST: RequestId = RequestId(u64::MAX);

/// What the reference knows of a SIP user and an XMPP user.
#[derive(Default)]
struct Relation {
    /// The SIP user watches: the XMPP user was asked, has approved, and is there with these resources.
    asked: bool,
    approved: bool,
    online: BTreeSet<String>,
    /// The XMPP user watches: he has asked, the SIP user lets him, and said this in each dialog.
    wanted: bool,
    allowed: bool,
    said: BTreeMap<(String, String), BTreeSet<String>>,
    /// All that the SIP user ever said in those dialogs: after a restart the gateway may go by an older word.
    ever: BTreeMap<(String, String), BTreeSet<String>>,
}

struct Stage {
    world: World,
    relations: [Relation; 4],
    /// Dialogs of the phones: pair, Call-ID, our tag.
    phones: Vec<(usize, String, String)>,
    /// The pair of each Call-ID, whoever made it.
    calls: BTreeMap<String, usize>,
    /// Our SUBSCRIBEs that begin a dialog.
    subscribes: Vec<Send>,
    unanswered: Vec<Send>,
    answered: Vec<RequestId>,
    highest: BTreeMap<(String, String, Option<String>), u32>,
    number: u32,
    restarts: u32,
}

impl Stage {
    fn new(federates: bool) -> Self {
        let mut parameters = vec![("notify_interval", "0")];
        if federates {
            parameters.extend(BETWEEN_SERVERS);
        }
        Self {
            world: World::with(&parameters),
            relations: Default::default(),
            phones: Vec::new(),
            calls: BTreeMap::new(),
            subscribes: Vec::new(),
            unanswered: Vec::new(),
            answered: Vec::new(),
            highest: BTreeMap::new(),
            number: 10,
            restarts: 0,
        }
    }

    /// Takes one step; `false` if the letter is none.
    fn step(&mut self, letter: u8, script: &mut Script<'_>) -> bool {
        match letter {
            b's' => self.phone_subscribes(script),
            b'r' => self.phone_refreshes(script),
            b'x' => self.xmpp_user_says(script),
            b'p' => self.xmpp_user_is(script),
            b'a' => self.answer(script),
            b'n' => self.notify(script),
            b'u' => self.unknown_result(script),
            b'l' => {
                let up = script.one(&[true, false]);
                self.world.link(up);
                self.look();
            }
            b't' => {
                let seconds = script.one(&[1, 6, 33, 61, 4000]);
                self.pass(seconds);
            }
            b'b' => self.restart(),
            b'd' => self.world.dying = true,
            _ => return false,
        }
        true
    }

    fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    // --- what happens

    fn phone_subscribes(&mut self, script: &mut Script<'_>) {
        let pair = script.number(PAIRS.len());
        let number = self.number();
        let call = format!("call-{number}");
        self.calls.insert(call.clone(), pair);
        let more = expires(script) + &script.headers();
        let text = subscribe(number, "", &more).replace("AA5A8BE5", &call);
        let tag = self
            .request(&named(pair, &text))
            .and_then(|(status, tag)| tag.filter(|_| status == 200));
        if let Some(tag) = tag {
            self.phones.push((pair, call, tag));
        }
        self.look();
    }

    fn phone_refreshes(&mut self, script: &mut Script<'_>) {
        let which = script.number(self.phones.len());
        let more = expires(script) + &script.headers();
        let Some((pair, call, tag)) = self.phones.get(which).cloned() else {
            return;
        };
        let number = self.number();
        let text = subscribe(number, &tag, &more).replace("AA5A8BE5", &call);
        self.request(&named(pair, &text));
        self.look();
    }

    fn xmpp_user_says(&mut self, script: &mut Script<'_>) {
        let pair = script.number(PAIRS.len());
        let type_ = script.one(&[
            "subscribed",
            "unsubscribed",
            "subscribe",
            "unsubscribe",
            "probe",
            "error",
        ]);
        // Nothing comes over a link that is down.
        if !self.world.link_up {
            return;
        }
        let relation = &mut self.relations[pair];
        let mut id = "";
        let mut inside = String::new();
        match type_ {
            "subscribed" => relation.approved |= relation.asked,
            "unsubscribed" => {
                relation.approved = false;
                relation.online.clear();
            }
            "subscribe" | "probe" => relation.wanted = true,
            "unsubscribe" => relation.forget_watcher(),
            _ => {
                id = script.one(&["subscribe-1", "probe-1", "x"]);
                let (class, condition) = script.one(&[
                    ("cancel", "item-not-found"),
                    ("wait", "remote-server-timeout"),
                    ("auth", "forbidden"),
                ]);
                inside = format!(
                    "<error type='{class}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
                );
            }
        }
        let stanza = format!(
            "<presence from='juliet@example.com' to='romeo@example.net' type='{type_}' id='{id}'>{inside}</presence>"
        );
        self.xmpp(&named(pair, &stanza));
    }

    fn xmpp_user_is(&mut self, script: &mut Script<'_>) {
        let pair = script.number(PAIRS.len());
        let resource = script.one(&["", "balcony", "my phone"]);
        let available = script.one(&[true, false]);
        if !self.world.link_up {
            return;
        }
        let relation = &mut self.relations[pair];
        if !available && resource.is_empty() {
            relation.online.clear();
        } else if !available {
            relation.online.remove(&tuple_id(resource));
        } else if relation.approved {
            relation.online.insert(tuple_id(resource));
        }
        let type_ = if available { "" } else { "type='unavailable'" };
        let slash = if resource.is_empty() { "" } else { "/" };
        let stanza = format!(
            "<presence from='juliet@example.com{slash}{resource}' to='romeo@example.net' {type_}/>"
        );
        self.xmpp(&named(pair, &stanza));
    }

    fn xmpp(&mut self, stanza: &str) {
        let before = self.world.replies.len();
        self.world.xmpp(stanza);
        assert_eq!(
            self.world.replies.len(),
            before,
            "a reply without a request"
        );
        self.look();
    }

    /// A request of ours has its result.
    fn answer(&mut self, script: &mut Script<'_>) {
        let which = script.number(self.unanswered.len());
        let status: u16 = script.one(&[200, 408, 403, 481, 489, 500, 503, 603, 423, 401]);
        let tag = script.one(&["t0", "t1"]);
        let more = script.headers();
        if which >= self.unanswered.len() {
            return;
        }
        let send = self.unanswered.remove(which);
        self.answered.push(send.id);
        let text = response(&send, &format!("{status} X"), tag, &more);
        self.world.result(send.id, status, &text);
        self.look();
    }

    /// A request that came back before, or one that never was.
    fn unknown_result(&mut self, script: &mut Script<'_>) {
        let which = script.number(self.answered.len());
        let id = self.answered.get(which).copied().unwrap_or(NO_REQUEST);
        let before = (self.world.generation, self.world.gateway.status());
        self.world.result(id, 200, "");
        let after = (self.world.generation, self.world.gateway.status());
        // A process that dies forgets what was on its way.
        if after.0 == before.0 {
            assert_eq!(after, before, "a result that came before");
        }
        self.look();
    }

    /// A SIP user says how he is, in a dialog or fork of one of our SUBSCRIBEs.
    fn notify(&mut self, script: &mut Script<'_>) {
        let which = script.number(self.subscribes.len());
        let tag = script.one(&["t0", "t1", "t2"]);
        let state = script.one(&[
            "active;expires=600",
            "pending",
            "terminated;reason=rejected",
            "terminated;reason=deactivated",
            "terminated;reason=probation;retry-after=30",
            "terminated",
            "x-held",
            "active;expires=0",
        ]);
        let basic = script.one(&[Some("open"), Some("closed"), None]);
        let resource = script.one(&["orchard", "my phone"]);
        let more = script.headers();
        let Some(send) = self.subscribes.get(which).cloned() else {
            return;
        };
        let pair = self.calls[&send.call_id];
        let number = self.number();
        let text = notify(&send, number, tag, state, basic)
            .replace("'ID-orchard'", &format!("'{}'", tuple_id(resource)));
        let length = text.split_once("\n\n").map_or(0, |(_, body)| body.len());
        let text: String = text
            .split_inclusive('\n')
            .map(|line| match line.strip_prefix("Content-Length") {
                Some(_) => format!("{more}Content-Length: {length}\n"),
                None => line.to_owned(),
            })
            .collect();

        // A process that dies may have taken it before.
        let taken = self.request(&text).is_none_or(|(status, _)| status == 200);
        let dialog = (send.call_id.clone(), tag.to_owned());
        let relation = &mut self.relations[pair];
        if taken && state.starts_with("terminated") {
            relation.said.remove(&dialog);
        } else if taken && state != "pending" && relation.wanted {
            relation.allowed = true;
            if let Some(basic) = basic {
                let open = (basic == "open").then(|| resource.to_owned());
                relation
                    .ever
                    .entry(dialog.clone())
                    .or_default()
                    .extend(open.clone());
                relation.said.insert(dialog, open.into_iter().collect());
            }
        }
        self.look();
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.world.now.plus_secs(seconds);
        for _ in 0..MAX_TIMEOUTS {
            let Some((at, _)) = self
                .world
                .gateway
                .next_deadline()
                .filter(|(at, _)| *at <= end)
            else {
                self.world.now = end;
                return;
            };
            self.world.now = at.max(self.world.now);
            let before = self.world.replies.len();
            self.world.input(Input::Timeout);
            assert_eq!(
                self.world.replies.len(),
                before,
                "a reply without a request"
            );
            self.look();
        }
        panic!(
            "the gateway keeps itself busy: {:?}",
            self.world.gateway.next_deadline()
        );
    }

    fn restart(&mut self) {
        // The seed of each generation is made of a byte.
        if self.restarts < 100 {
            self.restarts += 1;
            self.world.dying = false;
            self.world.restart();
            self.restarted();
            self.look();
        }
    }

    fn restarted(&mut self) {
        self.unanswered.clear();
        for relation in &mut self.relations {
            relation.said.clone_from(&relation.ever);
        }
    }

    /// Sends a request; its status and To tag, unless the process died with it.
    fn request(&mut self, text: &str) -> Option<(u16, Option<String>)> {
        let number = self.number();
        let readable = Message::parse(text.replace('\n', "\r\n").as_bytes());
        if !matches!(readable, Ok(Message::Request(_))) {
            // Refused before it reaches the core.
            return Some((400, None));
        }
        let dies = self.world.dying;
        let before = self.world.replies.len();
        let request = arriving(text, true, number);
        self.world.input(Input::Request(Box::new(request)));
        let new = &self.world.replies[before..];
        if dies {
            assert!(new.is_empty());
            return None;
        }
        let [reply] = new else {
            panic!("a request has one answer: {new:?}");
        };
        assert_eq!(reply.slot.index, number);
        departing::reply(reply);
        Some((reply.status, reply.to_tag.clone()))
    }

    // --- what must be true of what comes out

    fn look(&mut self) {
        if self.world.generation > self.restarts + 1 {
            self.restarts = self.world.generation - 1;
            self.restarted();
        }
        // A NOTIFY shows what was said before it, and so does a stanza.
        for send in std::mem::take(&mut self.world.sent) {
            self.look_at_request(send);
        }
        for said in std::mem::take(&mut self.world.stanzas) {
            self.look_at_stanza(&said);
        }
    }

    fn look_at_request(&mut self, send: Send) {
        departing::request(&send);
        let key = (
            send.call_id.clone(),
            send.from_tag.clone(),
            send.to_tag.clone(),
        );
        let last = self.highest.insert(key, send.cseq).unwrap_or(0);
        assert!(send.cseq > last, "CSeq {} after {last}", send.cseq);
        if send.method == "NOTIFY" {
            let pair = self.calls[&send.call_id];
            self.relations[pair].look_at_notify(pair, &send);
        } else {
            let pair = pair_of(&send.to_uri, &send.from_uri);
            self.calls.insert(send.call_id.clone(), pair);
            if send.to_tag.is_none() && header(&send, "Expires") != "0" {
                assert!(self.relations[pair].wanted, "subscribed for nobody");
                self.subscribes.push(send.clone());
            }
        }
        self.unanswered.push(send);
    }

    fn look_at_stanza(&mut self, said: &Element) {
        departing::stanza(said);
        let (from, to) = (said.attr("from").unwrap(), said.attr("to").unwrap());
        let (bare, resource) = from.split_once('/').unwrap_or((from, ""));
        let pair = pair_of(&format!("sip:{bare}"), &format!("sip:{to}"));
        let relation = &mut self.relations[pair];
        match said.attr("type") {
            Some("subscribe") => relation.asked = true,
            Some("unsubscribed") => relation.forget_watcher(),
            None => {
                assert!(
                    relation.allowed,
                    "{from} is shown to {to} without having said so"
                );
                let open = relation.said.values().any(|open| open.contains(resource));
                assert!(open, "{from} is shown to {to}, who was never told so");
            }
            Some(_) => {}
        }
    }

    // --- the end

    /// Everybody leaves and nobody answers: what was open ends by itself.
    fn end(&mut self) {
        if std::mem::take(&mut self.world.dying) {
            self.restart();
        }
        self.world.link(true);
        self.look();
        self.world.check_totals();
        for (pair, relation) in self.relations.iter_mut().enumerate() {
            relation.forget_watcher();
            let leaves =
                "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>";
            self.world.xmpp(&named(pair, leaves));
        }
        self.look();
        for _ in 0..3 {
            self.pass(4000);
        }
        // A question that nobody answers is given up.
        self.pass(604_800);
        self.world.check_totals();
        let status = self.world.gateway.status();
        assert_eq!(
            (
                status.requests_in_flight,
                status.notifier_dialogs,
                status.subscriber_dialogs,
                status.deadlines
            ),
            (0, 0, 0, 0),
            "next: {:?}",
            self.world.gateway.next_deadline()
        );
    }
}

impl Relation {
    fn forget_watcher(&mut self) {
        self.wanted = false;
        self.allowed = false;
        self.said.clear();
        self.ever.clear();
    }

    fn look_at_notify(&self, pair: usize, send: &Send) {
        let (sip, xmpp) = PAIRS[pair];
        assert_eq!(send.to_uri, format!("sip:{sip}@example.net"));
        assert_eq!(send.from_uri, format!("sip:{xmpp}@example.com"));
        assert!(
            self.approved || !state(send).starts_with("active"),
            "active without approval"
        );
        let body = body(send);
        if body.is_empty() {
            return;
        }
        assert!(self.approved, "{xmpp} is shown to {sip} without approval");
        let entity = format!("entity='pres:{xmpp}@example.com'");
        assert!(body.contains(&entity), "{body}");
        for tuple in body.split("<tuple ").skip(1) {
            let id = tuple.split('\'').nth(1).unwrap();
            let open = tuple.contains("<basic>open</basic>");
            assert!(
                !open || self.online.contains(id),
                "{xmpp} is not there with {id}"
            );
        }
    }
}

fn expires(script: &mut Script<'_>) -> String {
    script
        .one(&[Some(3600), Some(60), Some(0), Some(59), None])
        .map_or(String::new(), |seconds| format!("Expires: {seconds}\n"))
}

/// A text of Romeo and Juliet with the names of a pair.
fn named(pair: usize, text: &str) -> String {
    let (sip, xmpp) = PAIRS[pair];
    text.replace("romeo", sip).replace("juliet", xmpp)
}

fn pair_of(sip: &str, xmpp: &str) -> usize {
    let user = |uri: &str| {
        uri.trim_start_matches("sip:")
            .split('@')
            .next()
            .map(str::to_owned)
    };
    let users = (user(sip).unwrap(), user(xmpp).unwrap());
    PAIRS
        .iter()
        .position(|(sip, xmpp)| users == ((*sip).to_owned(), (*xmpp).to_owned()))
        .unwrap()
}

fn tuple_id(resource: &str) -> String {
    format!("ID-{}", resource.replace(' ', "_x20_"))
}
