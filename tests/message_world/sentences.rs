// SPDX-License-Identifier: GPL-2.0-or-later
//! Sentences and rows of RFC 7572 and RFC 3428 that no other scenario shows; `tests/vectors/rfc7572/sentences` and
//! `tests/vectors/rfc3428/sentences` name them.

use minidom::Element;
use rxml::Namespace;
use stox::frame::Send;

use crate::world::{World, header, juliet, romeo};

const TEXT: &str = "Content-Type: text/plain\n";

/// The MESSAGE that a stanza of Juliet's becomes.
fn sent(stanza: &str) -> Send {
    let mut world = World::new();
    world.xmpp(stanza);
    world.sent_one()
}

/// The stanza that a MESSAGE of Romeo's becomes.
fn made(request: &str) -> Element {
    let mut world = World::new();
    world.sip(request);
    world.message()
}

fn inside(stanza: &Element, name: &str) -> Option<String> {
    stanza.get_child(name, "jabber:client").map(Element::text)
}

fn language(stanza: &Element, name: &str) -> String {
    let own = |element: &Element| element.attr_ns(&Namespace::XML, "lang").map(str::to_owned);
    let inside = stanza.get_child(name, "jabber:client").and_then(own);
    inside.or_else(|| own(stanza)).unwrap_or_default()
}

// --- RFC 7572 §4

#[test]
fn a_type_says_nothing_to_sip() {
    let plain = sent(&juliet("a", "<body>hi</body>").replace("type='chat'", ""));
    for name in ["normal", "chat", "headline"] {
        let stanza = juliet("a", "<body>hi</body>").replace("'chat'", &format!("'{name}'"));
        let typed = sent(&stanza);
        let said = |send: &Send| (send.headers.clone(), send.body.clone(), send.to_uri.clone());
        assert_eq!(said(&typed), said(&plain), "{name}");
    }
}

#[test]
fn a_text_is_a_body_whatever_is_in_it() {
    for text in [
        "Art thou not Romeo?",
        "a\nb\n\n c",
        "&lt;&amp;&gt;",
        "\u{e9} \u{1f339}",
    ] {
        let send = sent(&juliet("a", &format!("<body>{text}</body>")));
        let expected = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        let body = String::from_utf8(send.body).unwrap();
        assert_eq!(body.replace("\r\n", "\n"), expected);
    }
}

#[test]
fn a_subject_is_a_subject_in_one_line() {
    let send = sent(&juliet(
        "a",
        "<subject>Love\r\nTo: &lt;sip:x&gt;</subject><body>hi</body>",
    ));
    assert_eq!(header(&send.headers, "Subject"), "Love To: <sip:x>");
    let send = sent(&juliet("a", "<body>hi</body>"));
    assert_eq!(header(&send.headers, "Subject"), "");
}

#[test]
fn a_thread_is_a_call_id_if_it_can_be_one_and_comes_back_in_any_case() {
    for (thread, is_one) in [
        ("29377446-0CBB-4296-8958-590D79094C50", true),
        ("two words", false),
        ("d-0123456789abcdef0123456789abcdef", false),
    ] {
        let mut world = World::new();
        world.xmpp(&juliet(
            "a",
            &format!("<thread>{thread}</thread><body>hi</body>"),
        ));
        let send = world.sent_one();
        assert_eq!(send.call_id == thread, is_one, "{thread}");
        let reply = romeo("1", TEXT, "yes").replace("AA5A8BE5", &send.call_id);
        world.sip(&reply);
        assert_eq!(inside(&world.message(), "thread").as_deref(), Some(thread));
    }
}

#[test]
fn who_has_no_resource_has_no_gruu() {
    let send = sent(&juliet("a", "<body>hi</body>").replace("/balcony", ""));
    assert_eq!(send.from_uri, "sip:juliet@example.com");
}

#[test]
fn an_id_comes_back_with_the_error() {
    for id in ["a1", "\u{e9} &lt;"] {
        let mut world = World::new();
        world.xmpp(&juliet(id, "<body>hi</body>"));
        let send = world.sent_one();
        world.restart();
        world.link(true);
        let again = world.sent_one();
        assert_eq!(
            (&again.call_id, &again.from_tag),
            (&send.call_id, &send.from_tag)
        );
        world.result(&again, 404, "");
        let error = world.message();
        assert_eq!(error.attr("id"), Some(id.replace("&lt;", "<").as_str()));
    }
}

#[test]
fn whom_it_is_for_is_in_request_uri_and_to() {
    let send = sent(&juliet("a", "<body>hi</body>"));
    assert_eq!(
        (send.request_uri.as_str(), send.to_uri.as_str()),
        ("sip:romeo@example.net", "sip:romeo@example.net")
    );
    let to_device = juliet("a", "<body>hi</body>")
        .replace("to='romeo@example.net'", "to='romeo@example.net/desk'");
    let send = sent(&to_device);
    assert!(
        send.request_uri.starts_with("sip:romeo@example.net"),
        "{}",
        send.request_uri
    );
}

#[test]
fn a_language_is_told_to_sip() {
    let of_stanza =
        juliet("a", "<subject>S</subject><body>hi</body>").replace("type=", "xml:lang='cs' type=");
    let of_body = juliet("a", "<body xml:lang='cs'>hi</body>");
    for stanza in [of_stanza, of_body] {
        let send = sent(&stanza);
        assert_eq!(header(&send.headers, "Content-Language"), "cs", "{stanza}");
    }
    let send = sent(&juliet("a", "<body>hi</body>"));
    assert_eq!(header(&send.headers, "Content-Language"), "");
}

#[test]
fn one_final_answer_ends_a_message() {
    let mut world = World::new();
    world.xmpp(&juliet("a", "<body>hi</body>"));
    let send = world.sent_one();
    world.result(&send, 200, "");
    world.result(&send, 404, "");
    assert!(world.messages().is_empty());
    assert_eq!(world.counters().messages_to_sip.delivered, 1);
}

// --- RFC 7572 §5

#[test]
fn a_call_id_is_a_thread_and_a_reply_has_it() {
    let mut world = World::new();
    world.sip(&romeo("1", TEXT, "hi"));
    let thread = inside(&world.message(), "thread").unwrap();
    assert_eq!(thread, "AA5A8BE5");
    world.xmpp(&juliet(
        "a",
        &format!("<thread>{thread}</thread><body>yes</body>"),
    ));
    assert_eq!(world.sent_one().call_id, "AA5A8BE5");
}

#[test]
fn a_language_is_told_to_xmpp() {
    let message = made(&romeo(
        "1",
        &format!("{TEXT}Content-Language: cs\nSubject: L\n"),
        "hi",
    ));
    assert_eq!(
        (language(&message, "body"), language(&message, "subject")),
        ("cs".to_owned(), "cs".to_owned())
    );
    assert_eq!(language(&made(&romeo("1", TEXT, "hi")), "body"), "");
}

#[test]
fn a_cseq_says_nothing() {
    let one = made(&romeo("1", TEXT, "hi"));
    let other = made(&romeo("1", TEXT, "hi").replace("CSeq: 1 ", "CSeq: 4711 "));
    assert_eq!(one, other);
}

#[test]
fn a_subject_crosses() {
    let message = made(&romeo("1", &format!("{TEXT}s: Love & war\n"), "hi"));
    assert_eq!(inside(&message, "subject").as_deref(), Some("Love & war"));
    assert_eq!(inside(&made(&romeo("1", TEXT, "hi")), "subject"), None);
}

#[test]
fn the_request_uri_says_whom_it_is_for() {
    let retargeted = romeo("1", TEXT, "hi").replace("To: <sip:juliet@", "To: <im:nurse@");
    assert_eq!(made(&retargeted).attr("to"), Some("juliet@example.com"));
}

#[test]
fn a_body_is_a_text_whatever_is_in_it() {
    for text in ["Neither, fair saint", "<body>&amp;", "\u{e9} \u{1f339}"] {
        assert_eq!(
            inside(&made(&romeo("1", TEXT, text)), "body").as_deref(),
            Some(text)
        );
        assert_eq!(
            inside(&made(&romeo("1", "", text)), "body").as_deref(),
            Some(text)
        );
    }
}

#[test]
fn a_type_is_never_said_to_xmpp() {
    for more in [TEXT, "", "Priority: urgent\nContent-Type: text/plain\n"] {
        let message = made(&romeo("1", more, "hi"));
        assert!([None, Some("normal")].contains(&message.attr("type")));
    }
}

// --- RFC 3428

#[test]
fn who_is_named_by_an_instant_message_uri_is_found() {
    let named = romeo("1", TEXT, "hi").replace("MESSAGE sip:", "MESSAGE im:");
    assert_eq!(made(&named).attr("to"), Some("juliet@example.com"));
}

#[test]
fn a_message_has_no_contact_and_no_dialog() {
    let mut world = World::new();
    world.xmpp(&juliet("a", "<body>hi</body>"));
    let send = world.sent_one();
    assert_eq!(
        (header(&send.headers, "Contact"), send.to_tag.as_ref()),
        ("", None)
    );
    world.result(&send, 200, "Contact: <sip:romeo@198.51.100.7>\r\n");
    assert_eq!(world.gateway.next_deadline(), None, "nothing is kept");
}

#[test]
fn a_2xx_has_neither_contact_nor_body() {
    for answer in ["200", "202"] {
        let mut world = World::with(&[("message_answer", answer)]);
        world.sip(&romeo("1", TEXT, "hi"));
        world.pong();
        let reply = world.reply();
        assert_eq!(reply.status.to_string(), answer);
        assert!(reply.body.is_empty() && header(&reply.headers, "Contact").is_empty());
    }
}

#[test]
fn one_transaction_is_pending_for_a_receiver() {
    let mut world = World::new();
    world.xmpp(&juliet("a", "<body>one</body>"));
    world.xmpp(&juliet("b", "<body>two</body>").replace("balcony", "orchard"));
    let first = world.sent_one();
    world.pass(10_000);
    assert!(world.sent.is_empty());
    world.result(&first, 480, "");
    world.sent_one();
}

#[test]
fn a_message_that_expires_is_passed_on_at_once() {
    let with = |more: &str| romeo("1", &format!("{TEXT}{more}"), "hi");
    let message = made(&with("Expires: 1\nDate: Sat, 13 Nov 2010 23:29:00 GMT\n"));
    assert_eq!(message, made(&with("")));
}

#[test]
fn no_sips_address_crosses() {
    let mut world = World::new();
    world.sip(&romeo("1", TEXT, "hi").replace("To: <sip:", "To: <sips:"));
    assert_eq!(world.reply().status, 416);
    assert!(world.stanzas.is_empty());
}
