// SPDX-License-Identifier: GPL-2.0-or-later
//! What a message stanza may hold, and how a MESSAGE says it (RFC 7572 §4).

use crate::world::{World, header, juliet};

fn said(inside: &str) -> (String, stox::frame::Send) {
    let mut world = World::new();
    world.xmpp(&juliet("a1", inside));
    let send = world.sent_one();
    (String::from_utf8(send.body.clone()).unwrap(), send)
}

#[test]
fn every_extension_is_said_in_words() {
    for (inside, text) in [
        (
            "<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/>",
            "hi",
        ),
        ("<subject>Tonight</subject>", "Tonight"),
        (
            "<body>hi</body><replace xmlns='urn:xmpp:message-correct:0' id='a0'/>",
            "Correction: hi",
        ),
        (
            "<reactions xmlns='urn:xmpp:reactions:0' id='a0'><reaction>👋</reaction><reaction>🐢</reaction></reactions>",
            "Reaction: 👋 🐢",
        ),
        (
            "<retract xmlns='urn:xmpp:message-retract:1' id='a0'/>",
            "Retracted a message",
        ),
        (
            "<retract xmlns='urn:xmpp:message-retract:1' id='a0'/><body>/me retracted</body>",
            "/me retracted",
        ),
        (
            "<body>&gt; Anna wrote:\n&gt; Hi\nGreat</body><reply xmlns='urn:xmpp:reply:0' to='a@b' id='m'/>",
            "> Anna wrote:\n> Hi\nGreat",
        ),
        ("<body>*strong* ```code```</body>", "*strong* ```code```"),
        (
            "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
             <p>only <b>markup</b></p></body></html>",
            "only markup",
        ),
        (
            "<body>https://up.example/f</body><x xmlns='jabber:x:oob'><url>https://up.example/f</url></x>",
            "https://up.example/f",
        ),
        (
            "<body>look</body><x xmlns='jabber:x:oob'><url>https://up.example/f</url></x>",
            "look\nhttps://up.example/f",
        ),
        (
            "<body>He said</body><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' \
             from='m@example.com/x' to='juliet@example.com'><body>I am hurt</body></message></forwarded>",
            "He said\n\nForwarded from m@example.com/x:\nI am hurt",
        ),
        (
            "<body>hi</body><store xmlns='urn:xmpp:hints'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/>",
            "hi",
        ),
    ] {
        assert_eq!(said(inside).0, text, "{inside}");
    }
}

#[test]
fn several_languages_are_all_said() {
    let (text, send) = said(
        "<body xml:lang='cs'>ahoj</body><body xml:lang='en'>hello</body><body xml:lang='de'>hello</body>",
    );
    assert_eq!(text, "ahoj\n\nhello");
    assert_eq!(header(&send.headers, "Content-Language"), "cs, de, en");
}

#[test]
fn subject_thread_and_time_are_headers() {
    let (text, send) = said(
        "<subject>one\r\nVia: two</subject><thread>a thread</thread><body>hi</body>\
         <delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>",
    );
    assert_eq!(text, "hi");
    assert_eq!(header(&send.headers, "Subject"), "one Via: two");
    assert_eq!(
        header(&send.headers, "Date"),
        "Tue, 10 Sep 2002 23:08:25 GMT"
    );
    assert_eq!(send.call_id, "stox64.YSB0aHJlYWQ");
    // And back.
    let mut world = World::new();
    world.sip(&crate::world::romeo("1", "", "yes").replace("AA5A8BE5", &send.call_id));
    let thread = world.message();
    assert_eq!(
        thread.get_child("thread", "jabber:client").unwrap().text(),
        "a thread"
    );
}

#[test]
fn encryption_is_an_error_and_no_noise() {
    for payload in [
        "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
        "<encrypted xmlns='urn:xmpp:omemo:2'/>",
        "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>",
        "<x xmlns='jabber:x:encrypted'>x</x>",
        "<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>",
        "<body>?OTRv3?</body>",
    ] {
        let mut world = World::new();
        let inside = format!("<body>I sent you an encrypted message</body>{payload}");
        let inside = if payload.starts_with("<body") {
            payload.to_owned()
        } else {
            inside
        };
        world.xmpp(&juliet("a1", &inside));
        assert!(world.sent.is_empty(), "{payload}");
        let error = String::from(&world.message());
        assert!(
            error.contains("not-acceptable") && error.contains("unencrypted"),
            "{error}"
        );
    }
}

#[test]
fn what_says_nothing_is_not_answered_and_what_is_not_known_is() {
    for (inside, answered) in [
        ("<no-copy xmlns='urn:xmpp:hints'/>", false),
        ("", false),
        ("<reactions xmlns='urn:xmpp:reactions:0' id='a0'/>", true),
        ("<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>", true),
        (
            "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>\
             <body>forged</body></message></forwarded></sent>",
            true,
        ),
        (
            "<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'/></result>",
            true,
        ),
    ] {
        let mut world = World::new();
        world.xmpp(&juliet("a1", inside));
        assert!(world.sent.is_empty(), "{inside}");
        assert_eq!(world.messages().len(), usize::from(answered), "{inside}");
    }
    let mut world = World::new();
    world.xmpp(&juliet("a1", "<body>hi</body>").replace("'chat'", "'groupchat'"));
    assert!(world.sent.is_empty());
    assert!(String::from(&world.message()).contains("feature-not-implemented"));
}
