// SPDX-License-Identifier: GPL-2.0-or-later
//! Romeo and Juliet under every name they have (RFC 7247 §6, §8).

use std::collections::VecDeque;
use std::sync::Arc;

use minidom::Element;
use stox::config::Config;
use stox::frame::Send;
use stox::gateway::{Gateway, Input, Output};
use stox::record::{Direction, Snapshot};
use stox::stanza::{Inbound, Stanza};

use crate::wire::{arriving, body, header, state, subscribe};
use crate::world::{START, World};

/// Romeo's SUBSCRIBE from and to other addresses.
fn between(from: &str, to: &str) -> String {
    subscribe(1, "", "")
        .replace("sip:romeo@example.net", from)
        .replace("sip:juliet@example.com", to)
}

fn with_numbers() -> World {
    World::with(&[
        ("notify_interval", "0"),
        ("tel", "+1201=example.net"),
        ("tel", "+1202=example.com"),
    ])
}

#[test]
fn a_telephone_number_is_a_user_however_it_is_written() {
    let spellings = [
        ("tel:+1-201-555-0123", "tel:+1-202-555-0199"),
        (
            "sip:+1(201)5550123@example.net;user=phone",
            "sip:+1.202.5550199@example.com;user=phone",
        ),
        (
            "sip:+12015550123@example.net",
            "sip:+12025550199@example.com",
        ),
    ];
    for (from, to) in spellings {
        let mut world = with_numbers();
        assert_eq!(world.sip(&between(from, to)).status, 200, "{from}");
        world.notifies();
        assert_eq!(
            world.said(),
            ["subscribe +12015550123@example.net>+12025550199@example.com"]
        );
        world.xmpp(
            "<presence from='+12025550199@example.com' to='+12015550123@example.net' \
             type='subscribed'/>",
        );
        let active = world.notifies().remove(0);
        assert!(state(&active).starts_with("active"), "{from}");
        assert_eq!(
            (active.to_uri.as_str(), active.from_uri.as_str()),
            (from, to)
        );
        world.xmpp("<presence from='+12025550199@example.com/b' to='+12015550123@example.net'/>");
        let notify = world.notifies().remove(0);
        assert!(body(&notify).contains("pres:+12025550199@example.com"));
    }
}

#[test]
fn a_number_of_nobody_is_refused_by_what_it_lacks() {
    let from = "tel:+12015550123";
    for (from, to, status) in [
        (from, "tel:+331234", 404),
        (from, "tel:7042", 484),
        (from, "tel:7042;phone-context=+1202", 404),
        (from, "tel:+1201555", 404),
        ("tel:+1202555", "tel:+12025550199", 403),
        ("tel:+331234", "tel:+12025550199", 403),
    ] {
        let mut world = with_numbers();
        assert_eq!(world.sip(&between(from, to)).status, status, "{from} {to}");
        assert!(world.stanzas.is_empty());
    }
    let mut world = World::new();
    let to_number = between("sip:romeo@example.net", "tel:+12025550199");
    assert_eq!(world.sip(&to_number).status, 416, "no plan, no scheme");
    let request = subscribe(1, "", "").replace("SUBSCRIBE sip:juliet@", "SUBSCRIBE http://");
    assert_eq!(world.request(arriving(&request, true, 9)).status, 416);
}

#[test]
fn an_xmpp_user_watches_a_number() {
    let mut world = with_numbers();
    world.xmpp(
        "<presence from='juliet@example.com' to='+12015550123@example.net' type='subscribe'/>",
    );
    let asked = world.sent_one();
    assert_eq!(asked.request_uri, "sip:+12015550123@example.net");
    assert!(world.authorization(Direction::ToSip).is_some());
}

/// Juliet's domain is written in letters on XMPP and in A-labels on SIP, and is one domain.
#[test]
fn a_domain_is_one_in_either_alphabet() {
    let mut world = World::with(&[("notify_interval", "0"), ("xmpp_allow", "bücher.example")]);
    let to = "sip:juliet@XN--bcher-kva.example";
    assert_eq!(world.sip(&between("sip:romeo@example.net", to)).status, 200);
    world.notifies();
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@bücher.example"]
    );
    world.xmpp(
        "<presence from='juliet@xn--bcher-kva.example' to='romeo@example.net' type='subscribed'/>",
    );
    let active = world.notifies().remove(0);
    assert!(state(&active).starts_with("active"));
    world.said();
    for from in ["juliet@bücher.example/b", "juliet@xn--bcher-kva.example/b"] {
        world.xmpp(&format!(
            "<presence from='{from}' to='romeo@example.net'><status>{from}</status></presence>"
        ));
        let notify = world.notifies().remove(0);
        assert_eq!(
            body(&notify).matches("<tuple").count(),
            1,
            "{}",
            body(&notify)
        );
        assert!(body(&notify).contains("pres:juliet@xn--bcher-kva.example"));
    }
    assert_eq!(world.gateway.status().pairs, 1);
    let asks = "<presence from='juliet@bücher.example' to='romeo@example.net' type='subscribe'/>";
    world.xmpp(asks);
    world.xmpp(&asks.replace("bücher", "xn--bcher-kva"));
    let asked = world.sent_one();
    assert_eq!(asked.from_uri, "sip:juliet@xn--bcher-kva.example");
}

/// What is no user on the other side is said to be none, to whom it concerns.
#[test]
fn an_address_without_counterpart_is_refused_in_words() {
    let condition = |from: &str, to: &str| {
        let mut world = World::new();
        // Who is not served gets no answer that is longer than what he sends.
        let status = "please ".repeat(40);
        world.xmpp(&format!(
            "<presence from='{from}' to='{to}' type='subscribe'><status>{status}</status></presence>"
        ));
        assert!(world.sent.is_empty());
        let error = world.stanzas.remove(0);
        assert_eq!(
            (error.attr("to"), error.attr("from")),
            (Some(from), Some(to))
        );
        let error = error.children().next().unwrap().clone();
        (
            error.attr("type").unwrap().to_owned(),
            error.children().next().unwrap().name().to_owned(),
        )
    };
    for (from, to, type_, name) in [
        (
            r"\20j@example.com",
            "romeo@example.net",
            "modify",
            "jid-malformed",
        ),
        (
            "juliet@example.com",
            r"a\5cb@example.net",
            "modify",
            "jid-malformed",
        ),
        (
            "juliet@example.com",
            "example.net",
            "cancel",
            "item-not-found",
        ),
        (
            "juliet@example.com",
            "romeo@other.test",
            "cancel",
            "item-not-found",
        ),
        ("example.com", "romeo@example.net", "auth", "forbidden"),
        ("x@other.test", "romeo@example.net", "auth", "forbidden"),
    ] {
        let expected = (type_.to_owned(), name.to_owned());
        assert_eq!(condition(from, to), expected, "{from} {to}");
    }
    for (from, to, status) in [
        ("sip:stra%C3%9Fe@example.net", "sip:juliet@example.com", 403),
        ("sip:%20romeo@example.net", "sip:juliet@example.com", 403),
        ("sip:romeo@example.net", "sip:stra%C3%9Fe@example.com", 404),
        ("sip:romeo@example.net", "sip:%ff@example.com", 404),
    ] {
        let mut world = World::new();
        assert_eq!(world.sip(&between(from, to)).status, status, "{from} {to}");
        assert!(world.stanzas.is_empty());
    }
}

/// The relay matrix: SIP users of ours and XMPP users of domains that are allowed reach each other, nobody else reaches
/// anybody.
#[test]
fn nothing_is_relayed_but_between_our_users_and_allowed_ones() {
    let (ours, allowed) = ("sip:romeo@example.net", "sip:juliet@example.com");
    for (from, to, authenticated, status) in [
        (ours, allowed, true, 200),
        (ours, allowed, false, 403),
        (ours, "sip:x@other.test", true, 404),
        (ours, "sip:nurse@example.net", true, 404),
        ("sip:x@other.test", allowed, true, 403),
        ("sip:x@other.test", "sip:y@another.test", true, 403),
        ("sip:juliet@example.com", allowed, true, 403),
    ] {
        let mut world = World::new();
        let reply = world.request(arriving(&between(from, to), authenticated, 1));
        assert_eq!(reply.status, status, "{from} {to} {authenticated}");
        assert_eq!(world.stanzas.is_empty(), status != 200, "{from} {to}");
    }
    for (from, to, passes) in [
        ("juliet@example.com", "romeo@example.net", true),
        ("juliet@example.com", "x@other.test", false),
        ("juliet@example.com", "tybalt@example.com", false),
        ("x@other.test", "romeo@example.net", false),
        ("x@other.test", "y@another.test", false),
        ("nurse@example.net", "romeo@example.net", false),
    ] {
        for type_ in [
            "subscribe",
            "probe",
            "unsubscribe",
            "subscribed",
            "unavailable",
        ] {
            let mut world = World::new();
            world.xmpp(&format!(
                "<presence from='{from}' to='{to}' type='{type_}'/>"
            ));
            let asks = passes && ["subscribe", "probe"].contains(&type_);
            assert_eq!(!world.sent.is_empty(), asks, "{type_} {from} {to}");
        }
    }
}

#[test]
fn what_must_be_secure_all_the_way_does_not_cross() {
    let good = subscribe(1, "", "");
    for (text, status) in [
        (good.replace("SUBSCRIBE sip:", "SUBSCRIBE sips:"), 416),
        (good.replace("To: <sip:", "To: <sips:"), 416),
        (good.replace("To: <sip:", "To: <SIPS:"), 416),
        (
            subscribe(2, "x", "").replace("To: <sip:", "To: <sips:"),
            416,
        ),
        // RFC 7247 §8 speaks of the way there only.
        (good.replace("From: <sip:", "From: <sips:"), 200),
        (good.replace("Contact: <sip:", "Contact: <sips:"), 200),
    ] {
        let mut world = World::new();
        assert_eq!(world.sip(&text).status, status, "{text}");
        assert_eq!(world.stanzas.is_empty(), status != 200, "{text}");
    }
}

fn hops_of(stanza: &Element) -> Option<u8> {
    let headers = stanza.children().find(|child| child.name() == "headers")?;
    headers.children().next()?.text().parse().ok()
}

#[test]
fn hops_are_counted_across_both_worlds() {
    for (hops, status, said) in [
        ("", 200, None),
        ("Max-Forwards: 70\n", 200, Some(69)),
        ("Max-Forwards: 255\n", 200, Some(69)),
        ("Max-Forwards: 1\n", 200, Some(0)),
        ("Max-Forwards: 0\n", 483, None),
        ("Max-Forwards: -1\n", 400, None),
    ] {
        let mut world = World::new();
        assert_eq!(world.sip(&subscribe(1, "", hops)).status, status, "{hops}");
        assert_eq!(world.stanzas.first().and_then(hops_of), said, "{hops}");
        for notify in world.notifies() {
            assert_eq!(
                header(&notify, "Max-Forwards"),
                "70",
                "it goes back, not on"
            );
        }
    }
    for (hops, sent) in [(None, "70"), (Some(70), "69"), (Some(1), "0")] {
        for type_ in ["subscribe", "probe"] {
            let mut world = World::new();
            world.xmpp(&asking(type_, hops));
            assert_eq!(header(&world.sent_one(), "Max-Forwards"), sent, "{type_}");
        }
    }
    let mut world = World::new();
    world.xmpp(&asking("subscribe", Some(0)));
    assert!(world.sent.is_empty());
    let error = world.stanzas.remove(0).children().next().unwrap().clone();
    assert_eq!(error.children().next().unwrap().name(), "not-acceptable");
}

fn asking(type_: &str, hops: Option<u8>) -> String {
    let headers = hops.map_or(String::new(), |hops| {
        format!(
            "<headers xmlns='http://jabber.org/protocol/shim'><header name='Max-Forwards'>{hops}</header></headers>"
        )
    });
    format!(
        "<presence from='juliet@example.com/r' to='romeo@example.net' type='{type_}'>{headers}</presence>"
    )
}

/// Two gateways that take each other's users for those of the other world.
struct Ring {
    configs: [Arc<Config>; 2],
    gateways: [Gateway; 2],
    remembers: bool,
    /// Requests and stanzas that crossed.
    crossed: Vec<(String, Option<u8>)>,
}

impl Ring {
    fn new(remembers: bool) -> Self {
        let config = |sip, xmpp| {
            let mut config = Config::default();
            for (name, value) in [
                ("sip_domain", sip),
                ("xmpp_allow", xmpp),
                ("contact", "192.0.2.9:5060"),
            ] {
                config.set(name, value).unwrap();
            }
            Arc::new(config)
        };
        let configs = [
            config("example.net", "example.com"),
            config("example.com", "example.net"),
        ];
        Self {
            gateways: configs.clone().map(Self::gateway),
            configs,
            remembers,
            crossed: vec![],
        }
    }

    fn gateway(config: Arc<Config>) -> Gateway {
        let domain = config.sip_domains[0].clone();
        let other = if domain == "example.net" {
            "example.com"
        } else {
            "example.net"
        };
        let link = config.link(&domain, other);
        let mut gateway = Gateway::new(config, Snapshot::default(), 1, [7; 32], START);
        gateway.handle(START, Input::LinkUp { link });
        gateway.drain();
        gateway
    }

    /// Passes on everything that asks the other gateway for something, until there is nothing more.
    fn run(&mut self, first: &str) {
        let first = Input::Request(Box::new(arriving(first, true, 1)));
        let mut waiting = VecDeque::from([(0, first)]);
        while let Some((at, input)) = waiting.pop_front() {
            if !self.remembers {
                self.gateways[at] = Self::gateway(self.configs[at].clone());
            }
            self.gateways[at].handle(START, input);
            for output in self.gateways[at].drain().outputs {
                if let Some(input) = self.crosses(1 - at, output) {
                    waiting.push_back((1 - at, input));
                }
            }
            assert!(self.crossed.len() < 1000, "they never end");
        }
    }

    fn crosses(&mut self, to: usize, output: Output) -> Option<Input> {
        match output {
            Output::Send(send) if send.method == "SUBSCRIBE" => {
                let hops = header(&send, "Max-Forwards").parse().ok();
                self.crossed.push((send.method.clone(), hops));
                Some(Input::Request(Box::new(arriving(
                    &on_the_wire(&send),
                    true,
                    1,
                ))))
            }
            Output::Stanza { stanza, .. } => {
                let element = stanza.into_element();
                let kind = element.attr("type").unwrap_or_default().to_owned();
                if !["subscribe", "probe"].contains(&kind.as_str()) {
                    return None;
                }
                self.crossed.push((kind, hops_of(&element)));
                let config = &self.configs[to];
                let other = &self.configs[1 - to].sip_domains[0];
                let link = config.link(&config.sip_domains[0], other);
                let stanza = Stanza::from_element(element).unwrap();
                Some(Input::Stanza(Box::new(Inbound { link, stanza })))
            }
            Output::Send(_) | Output::Reply(_) => None,
        }
    }
}

fn on_the_wire(send: &Send) -> String {
    format!(
        "SUBSCRIBE {} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKr\nFrom: <{}>;tag={}\nTo: <{}>\n\
         Call-ID: {}\nCSeq: {} SUBSCRIBE\nContact: {}\nEvent: presence\nExpires: 3600\nMax-Forwards: {}\n\
         Content-Length: 0\n\n",
        send.request_uri,
        send.from_uri,
        send.from_tag,
        send.to_uri,
        send.call_id,
        send.cseq,
        header(send, "Contact"),
        header(send, "Max-Forwards"),
    )
}

#[test]
fn two_gateways_in_a_circle_come_to_an_end() {
    let mut ring = Ring::new(true);
    ring.run(&subscribe(1, "", "Max-Forwards: 70\n"));
    let crossed: Vec<_> = ring.crossed.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        crossed,
        ["subscribe", "SUBSCRIBE"],
        "one question for a pair"
    );
    // Were nothing remembered, the hops would end it.
    let mut ring = Ring::new(false);
    ring.run(&subscribe(1, "", "Max-Forwards: 70\n"));
    let hops: Vec<_> = ring.crossed.iter().map(|(_, hops)| hops.unwrap()).collect();
    assert_eq!(hops, (0..70).rev().collect::<Vec<_>>());
}

/// One domain has users in both worlds, and each world a name for those of the other.
#[test]
fn a_domain_may_have_users_in_both_worlds() {
    let mut config = Config::default();
    for (name, value) in [
        ("sip_domain", "example.net"),
        ("xmpp_allow", "example.net"),
        ("gwmap", "sip:example.net=phones.example.net"),
        ("gwmap", "xmpp:example.net=chat.example.net"),
        ("contact", "192.0.2.9:5060"),
    ] {
        config.set(name, value).unwrap();
    }
    config.finish().unwrap();
    let config = Arc::new(config);
    let link = config.link("phones.example.net", "example.net");
    let mut gateway = Gateway::new(config, Snapshot::default(), 1, [7; 32], START);
    gateway.handle(START, Input::LinkUp { link: link.clone() });
    let text = between("sip:romeo@example.net", "sip:romeo@chat.example.net");
    gateway.handle(START, Input::Request(Box::new(arriving(&text, true, 1))));
    let outputs = gateway.drain().outputs;
    let asked = outputs.iter().find_map(|output| match output {
        Output::Stanza { stanza, link } => Some((stanza.clone().into_element(), link.clone())),
        Output::Send(_) | Output::Reply(_) => None,
    });
    let (asked, over) = asked.unwrap();
    assert_eq!(over, link);
    assert_eq!(asked.attr("from"), Some("romeo@phones.example.net"));
    assert_eq!(asked.attr("to"), Some("romeo@example.net"));
    let asks = "<presence xmlns='jabber:client' from='romeo@example.net' \
        to='romeo@phones.example.net' type='subscribe'/>";
    let stanza = Stanza::from_element(asks.parse().unwrap()).unwrap();
    gateway.handle(START, Input::Stanza(Box::new(Inbound { link, stanza })));
    let outputs = gateway.drain().outputs;
    let asked = outputs.iter().find_map(|output| match output {
        Output::Send(send) if send.method == "SUBSCRIBE" => Some(send),
        Output::Send(_) | Output::Reply(_) | Output::Stanza { .. } => None,
    });
    let asked = asked.unwrap();
    assert_eq!(asked.request_uri, "sip:romeo@example.net");
    assert_eq!(asked.from_uri, "sip:romeo@chat.example.net");
}
