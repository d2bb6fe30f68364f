// SPDX-License-Identifier: GPL-2.0-or-later
//! What a MESSAGE may hold, and what it is in a stanza (RFC 7572 §5, §7).

use minidom::Element;
use minidom::rxml::Namespace;

use crate::world::{World, romeo};

const CLIENT: &str = "jabber:client";

fn lang(element: &Element) -> &str {
    element
        .attr_ns(Namespace::xml(), "lang")
        .unwrap_or_default()
}

/// The texts of a stanza by language.
fn bodies(message: &Element) -> Vec<(&str, String)> {
    let bodies = message.children().filter(|child| child.is("body", CLIENT));
    bodies.map(|body| (lang(body), body.text())).collect()
}

fn carried(more: &str, body: &str) -> Element {
    let mut world = World::new();
    world.sip(&romeo("1", more, body));
    let message = world.message();
    world.pong();
    assert_eq!(world.reply().status, 200);
    message
}

fn refused(more: &str, body: &str) -> stox::frame::Reply {
    let mut world = World::new();
    world.sip(&romeo("1", more, body));
    assert!(world.messages().is_empty());
    world.reply()
}

#[test]
fn languages_are_tagged() {
    let message = carried(
        "Content-Language: cs\nSubject: Ach\n",
        "Nic z obého, má děvo spanilá",
    );
    assert_eq!(
        bodies(&message),
        [("cs", "Nic z obého, má děvo spanilá".to_owned())]
    );
    let subject = message.get_child("subject", CLIENT).unwrap();
    assert_eq!((lang(subject), subject.text().as_str()), ("cs", "Ach"));
}

#[test]
fn a_thread_is_the_call() {
    let message = carried("", "hi");
    assert_eq!(
        message.get_child("thread", CLIENT).unwrap().text(),
        "AA5A8BE5"
    );
}

#[test]
fn html_is_xhtml_im_and_text() {
    let message = carried(
        "Content-Type: text/html; charset=UTF-8\n",
        "<html><body onload='x()'><p>Soft! <b>what light</b></p><script>alert(1)</script></body></html>",
    );
    assert_eq!(bodies(&message), [("", "Soft! what light".to_owned())]);
    let html = message
        .get_child("html", "http://jabber.org/protocol/xhtml-im")
        .unwrap();
    let markup = String::from(html);
    assert!(markup.contains("what light"));
    assert!(
        !markup.contains("script") && !markup.contains("onload"),
        "{markup}"
    );
}

#[test]
fn alternatives_are_one_text_in_each_language() {
    let message = carried(
        "Content-Type: multipart/alternative;boundary=b\n",
        "--b\nContent-Type: text/plain\nContent-Language: en\n\nhello\n\
         --b\nContent-Type: text/html\nContent-Language: en\n\n<i>hello</i>\n\
         --b\nContent-Type: text/plain\nContent-Language: de\n\nhallo\n\
         --b\nContent-Type: application/x-unknown\n\nwhat\n--b--\n",
    );
    assert_eq!(
        bodies(&message),
        [("de", "hallo".to_owned()), ("en", "hello".to_owned())]
    );
}

#[test]
fn the_markup_of_all_languages_goes_with_them() {
    let message = carried(
        "Content-Type: multipart/alternative;boundary=b\n",
        "--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: text/html\n\n<i>hello</i>\n--b--\n",
    );
    assert_eq!(bodies(&message), [("", "hello".to_owned())]);
    assert!(message.has_child("html", "http://jabber.org/protocol/xhtml-im"));
}

#[test]
fn mixed_parts_are_all_said_or_none() {
    let parts = |header: &str| {
        format!(
            "--b\nContent-Type: text/plain\n\none\n--b\nContent-Type: text/plain\n\ntwo\n\
             --b\nContent-Type: image/png\n{header}\n\nbytes\n--b--\n"
        )
    };
    let mixed = "Content-Type: multipart/mixed;boundary=b\n";
    assert_eq!(refused(mixed, &parts("X: y")).status, 415);
    let message = carried(mixed, &parts("Content-Disposition: icon;handling=optional"));
    assert_eq!(bodies(&message), [("", "one\n\ntwo".to_owned())]);
}

#[test]
fn an_envelope_is_opened() {
    let message = carried(
        "Content-Type: message/cpim\n",
        "From: <sip:romeo@example.net>\nTo: <sip:juliet@example.com>\nDateTime: 2020-01-02T03:04:05Z\n\
         Subject: Night\nSubject:;lang=fr Nuit\nNS: imdn <urn:ietf:params:imdn>\n\
         imdn.Message-ID: 34jk324j\n\
         imdn.Disposition-Notification: positive-delivery, display\n\nContent-Type: text/plain; charset=utf-8\n\
         Content-Language: en\n\nA thousand times good night!",
    );
    assert_eq!(
        bodies(&message),
        [("en", "A thousand times good night!".to_owned())]
    );
    let subjects: Vec<_> = message
        .children()
        .filter(|child| child.is("subject", CLIENT))
        .map(|subject| (lang(subject), subject.text()))
        .collect();
    assert_eq!(
        subjects,
        [("", "Night".to_owned()), ("fr", "Nuit".to_owned())]
    );
    assert!(message.has_child("request", "urn:xmpp:receipts"));
    assert!(message.has_child("markable", "urn:xmpp:chat-markers:0"));
    let delay = message.get_child("delay", "urn:xmpp:delay").unwrap();
    assert_eq!(delay.attr("stamp"), Some("2020-01-02T03:04:05Z"));
}

#[test]
fn what_was_sent_now_is_not_late() {
    let message = carried(
        "Content-Type: message/cpim\n",
        "DateTime: 2023-11-14T22:13:19Z\n\nContent-Type: text/plain\n\nnow",
    );
    assert!(!message.has_child("delay", "urn:xmpp:delay"));
}

#[test]
fn a_file_is_a_link() {
    let message = carried(
        "Content-Type: application/vnd.gsma.rcs-ft-http+xml\n",
        "<file xmlns='urn:gsma:params:xml:ns:rcs:rcs:fthttp'><file-info type='file'>\
         <file-name>rose.jpg</file-name><data url='https://ft.example/rose' until='2030-01-01T00:00:00Z'/>\
         </file-info></file>",
    );
    assert_eq!(
        bodies(&message),
        [("", "https://ft.example/rose".to_owned())]
    );
    let link = message.get_child("x", "jabber:x:oob").unwrap();
    assert_eq!(
        link.get_child("url", "jabber:x:oob").unwrap().text(),
        "https://ft.example/rose"
    );
}

#[test]
fn what_cannot_be_said_is_refused_with_what_can() {
    for (more, body, status) in [
        ("Content-Type: image/png\n", "x", 415),
        ("Content-Type: text/plain;charset=x-unknown\n", "x", 415),
        ("Content-Encoding: br\n", "x", 415),
        ("Content-Encoding: gzip\n", "x", 400),
        ("Content-Type: nonsense\n", "x", 400),
        ("Content-Type: text/html\n", "<title>all of it", 400),
        ("Content-Type: multipart/mixed\n", "x", 400),
        ("Content-Type: message/cpim\n", "x", 400),
        (
            "Content-Type: application/im-iscomposing+xml\n",
            "<x/>",
            400,
        ),
        ("Content-Type: message/imdn+xml\n", "<x/>", 400),
        (
            "Content-Type: message/cpim\n",
            "Require: MyFeatures.VitalMessageOption\nNS: MyFeatures <mid:m@id.foo.com>\n\n\
             Content-Type: text/plain\n\nx",
            488,
        ),
        (
            "Content-Type: message/cpim\n",
            "From: <sip:a@b>\n\nContent-Type: message/cpim\n\nFrom: <sip:a@b>\n\nContent-Type: text/plain\n\nx",
            415,
        ),
    ] {
        let reply = refused(more, body);
        assert_eq!(reply.status, status, "{more}{body}");
        let has = |name: &str| reply.headers.iter().any(|(n, _)| n == name);
        if status == 415 {
            assert!(has("Accept") || has("Accept-Encoding"), "{more}");
        }
    }
}

#[test]
fn a_text_beside_a_status_is_not_kept_back() {
    let message = carried(
        "Content-Type: multipart/mixed;boundary=b\n",
        "--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: application/im-iscomposing+xml\n\n\
         <isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>idle</state></isComposing>\n--b--\n",
    );
    assert_eq!(bodies(&message), [("", "hello".to_owned())]);
}
