// SPDX-License-Identifier: GPL-2.0-or-later
//! What somebody who may do nothing can make the gateway send: no more than he sends himself (RFC 8048 §8.1,
//! RFC 7247 §8).

use minidom::Element;
use stox::frame::{Reply, Send};

use crate::wire::{arriving, subscribe};
use crate::world::World;

/// What the transaction layer puts at the end of a To without a tag.
const TAG: &str = ";tag=b27e1a1d33761e85846fc98f5f3a7e58.3d1e0000";

/// A reply as it leaves: what tm copies from the request, and what the gateway says.
fn reply_bytes(request: &str, reply: &Reply) -> usize {
    let mut text = format!("SIP/2.0 {} {}\n", reply.status, reply.reason);
    for line in request.lines() {
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        if copied.iter().any(|name| line.starts_with(name)) {
            text.push_str(line);
            if line.starts_with("To:") && !line.contains(";tag=") {
                text.push_str(TAG);
            }
            text.push('\n');
        }
    }
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str("Content-Length: 0\n\n");
    text.len() + text.lines().count() + reply.body.len()
}

fn request_bytes(request: &str) -> usize {
    request.len() + request.lines().count()
}

/// A stanza as it goes over a stream, whose namespace it has.
fn stanza_bytes(stanza: &Element) -> usize {
    String::from(stanza).len() - " xmlns='jabber:client'".len()
}

/// The requests that somebody can think of who has no password: subscriptions, and others.
fn requests() -> (Vec<String>, Vec<String>) {
    let good = subscribe(1, "", "Max-Forwards: 70\n");
    let spoilt = [
        ("Event:", "Expires: 0\nEvent:"),
        ("Event:", "Expires: 4294967295\nEvent:"),
        ("Event:", "Require: nothing\nEvent:"),
        ("Event:", "Accept: text/plain\nEvent:"),
        ("Event: presence", "Event: dialog"),
        ("SUBSCRIBE sip:", "SUBSCRIBE sips:"),
        ("sip:juliet@example.com", "sip:juliet@other.test"),
        (
            "juliet@example.com>\nCall",
            "juliet@example.com>;tag=guessed\nCall",
        ),
        (";tag=xfg9", ""),
        ("CSeq: 1 SUBSCRIBE", "CSeq: 1 NOTIFY"),
        ("", ""),
    ];
    let subscribes: Vec<_> = spoilt
        .iter()
        .map(|(good_part, bad)| good.replace(good_part, bad))
        .collect();
    let mut others: Vec<_> = [
        "NOTIFY", "OPTIONS", "MESSAGE", "INVITE", "PUBLISH", "REGISTER", "REFER", "SECRET",
    ]
    .into_iter()
    .map(|method| {
        good.replace("SUBSCRIBE", method)
            .replace("Event: presence\n", "")
    })
    .collect();
    others.push(subscribes[7].replace("SUBSCRIBE", "NOTIFY"));
    others.push(good.replace(
        "SUBSCRIBE sip:juliet@example.com",
        "NOTIFY sip:stox-0000000000000007@192.0.2.9:5060",
    ));
    (subscribes, others)
}

#[test]
fn who_has_no_password_gets_one_answer_that_is_no_longer() {
    let foreign = |request: &String| {
        let from = "From: <sip:romeo@evil.test>";
        request.replace("From: <sip:romeo@example.net>", from)
    };
    let (subscribes, others) = requests();
    // The script let the last ones in, who may watch nobody all the same.
    let strangers = subscribes.iter().chain(&others).map(|r| (r.clone(), false));
    let guests = subscribes.iter().map(|request| (foreign(request), true));
    for (request, authenticated) in strangers.chain(guests) {
        let mut world = World::new();
        let reply = world.request(arriving(&request, authenticated, 1));
        assert!(
            world.sent.is_empty() && world.stanzas.is_empty(),
            "{request}"
        );
        let (sent, got) = (request_bytes(&request), reply_bytes(&request, &reply));
        assert!(
            got <= sent,
            "{got} bytes for {sent}: {reply:?} to\n{request}"
        );
    }
}

/// The stanzas that a user of some domain can think of.
fn stanzas(from: &str) -> Vec<String> {
    let to = "romeo@example.net";
    let mut all = Vec::new();
    for type_ in [
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
        "unavailable",
        "error",
    ] {
        all.push(format!(
            "<presence from='{from}' to='{to}' type='{type_}'/>"
        ));
        all.push(format!(
            "<presence from='{from}' to='juliet@elsewhere.test' type='{type_}'/>"
        ));
        all.push(format!(
            "<presence from='{from}' to='{to}' type='{type_}' id='a-rather-long-one-to-make-it-worthwhile'>\
             <status>{}</status></presence>",
            "x".repeat(300)
        ));
    }
    all.push(format!("<presence from='{from}' to='{to}'/>"));
    for type_ in ["chat", "normal", "headline", "error"] {
        all.push(format!(
            "<message from='{from}' to='{to}' type='{type_}'><body>a</body></message>"
        ));
        all.push(format!(
            "<message from='{from}' to='{to}' type='{type_}'><body>{}</body></message>",
            "x".repeat(300)
        ));
    }
    for payload in [
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        "<query xmlns='jabber:iq:version'/>",
        "<ping xmlns='urn:xmpp:ping'/>",
        "<x xmlns='y'/>",
    ] {
        for type_ in ["get", "set"] {
            for to in [to, "example.net"] {
                all.push(format!(
                    "<iq from='{from}' to='{to}' type='{type_}' id='1'>{payload}</iq>"
                ));
            }
        }
    }
    all
}

#[test]
fn who_is_not_served_gets_no_more_than_he_sends() {
    let (mut answered, mut silent) = (0, 0);
    for stanza in stanzas("x@other.test/r") {
        let mut world = World::new();
        world.xmpp(&stanza);
        assert!(world.sent.is_empty(), "{stanza}");
        let got: usize = world.stanzas.iter().map(stanza_bytes).sum();
        assert!(got <= stanza.len(), "{got} for {}: {stanza}", stanza.len());
        let withheld = world.gateway.counters().answers_withheld;
        assert!(world.stanzas.is_empty() || withheld == 0);
        answered += world.stanzas.len();
        silent += usize::try_from(withheld).unwrap();
    }
    assert!(
        answered > 5 && silent > 5,
        "{answered} answered, {silent} not"
    );
}

/// The same of a domain that is served: whoever asks is told, however little he sent.
#[test]
fn who_is_served_is_told() {
    let mut world = World::new();
    for stanza in stanzas("tybalt@example.com/r") {
        world.xmpp(&stanza);
    }
    assert_eq!(world.gateway.counters().answers_withheld, 0);
}

fn sent_bytes(send: &Send) -> usize {
    // Each header as it is, and what every request has: Via, CSeq, Max-Forwards, Content-Length, the token.
    let headers = send.headers.iter().map(|(n, v)| n.len() + v.len() + 4);
    let addresses = [
        &send.request_uri,
        &send.from_uri,
        &send.to_uri,
        &send.from_tag,
        &send.call_id,
    ];
    300 + send.body.len()
        + headers.sum::<usize>()
        + addresses.map(String::len).iter().sum::<usize>()
}

#[test]
fn a_stranger_who_asks_everybody_is_bounded() {
    const CONTACTS: usize = 2000;
    for type_ in ["subscribe", "probe", "unsubscribe"] {
        let mut world = World::new();
        let (mut stanzas_out, mut requests, mut bytes_in, mut bytes_out) = (0, 0, 0, 0);
        for n in 0..CONTACTS {
            let stanza = format!(
                "<presence from='mallory@example.com' to='user{n}@example.net' type='{type_}'/>"
            );
            bytes_in += stanza.len();
            world.xmpp(&stanza);
            for send in std::mem::take(&mut world.sent) {
                requests += 1;
                bytes_out += sent_bytes(&send);
                world.result(send.id, 404, "");
            }
            for said in std::mem::take(&mut world.stanzas) {
                stanzas_out += 1;
                bytes_out += stanza_bytes(&said);
            }
        }
        // Half an hour later: what was put off has been tried again by back-off.
        for _ in 0..30 {
            world.pass(60);
            for send in std::mem::take(&mut world.sent) {
                requests += 1;
                bytes_out += sent_bytes(&send);
                world.result(send.id, 404, "");
            }
        }
        println!(
            "{type_}: {requests} requests, {stanzas_out} stanzas, {bytes_out} bytes out for {bytes_in}"
        );
        let most = if type_ == "unsubscribe" { 0 } else { 30 * 6 };
        assert!(requests <= most, "{type_}: {requests} requests");
        assert!(stanzas_out <= CONTACTS, "{type_}: {stanzas_out} stanzas");
        assert!(
            bytes_out <= 3 * bytes_in,
            "{type_}: {bytes_out} bytes for {bytes_in}"
        );
        assert!(
            world.gateway.status().pairs <= 30,
            "{type_}: little is remembered"
        );
    }
}
