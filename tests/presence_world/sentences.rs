// SPDX-License-Identifier: GPL-2.0-or-later
//! Sentences of RFC 8048 and RFC 7247 that no other scenario plays; `tests/vectors/rfc8048/sentences` and that of
//! RFC 7247 say which.

use stox::body::pidf::{Basic, Document};
use stox::frame::Send;
use stox::mapping::presence::priority_to_pidf;
use stox::record::{AuthorizationState, Direction};
use xmpp_parsers::presence::Show;

use crate::sip_watcher::granted_watcher;
use crate::wire::{
    APPROVED, ASKS, DECLINED, LEAVES, PROBES, accepted, body, header, juliet, notify, response,
    state, subscribe,
};
use crate::world::World;
use crate::xmpp_watcher::watching;

const NS: &str = "xmlns='urn:ietf:params:xml:ns:pidf'";

/// A NOTIFY about Romeo with this document.
fn notify_of(send: &Send, cseq: u32, more: &str, tuples: &str) -> String {
    let document = format!("<presence {NS} entity='pres:romeo@example.net'>{tuples}</presence>");
    let text = notify(send, cseq, "ffd2", "active", Some("open"));
    let (head, _) = text.split_once("Content-Length").unwrap();
    format!(
        "{head}{more}Content-Length: {}\n\n{document}",
        document.len()
    )
}

fn document(notify: &Send) -> Document {
    assert_eq!(header(notify, "Content-Type"), "application/pidf+xml");
    Document::parse(&notify.body).unwrap()
}

// --- RFC 8048 §5.1, RFC 7247 §8: the forms of an address

#[test]
fn a_contact_may_be_named_by_a_presence_uri() {
    let mut world = World::new();
    let text = subscribe(1, "", "").replace("SUBSCRIBE sip:", "SUBSCRIBE pres:");
    assert_eq!(world.sip(&text).status, 200);
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn nothing_of_sips_crosses() {
    let good = subscribe(1, "", "");
    for (plain, secured) in [
        (
            "SUBSCRIBE sip:juliet@example.com",
            "SUBSCRIBE sips:juliet@example.com",
        ),
        (
            "To: <sip:juliet@example.com>",
            "To: <sips:juliet@example.com>",
        ),
    ] {
        for expires in ["", "Expires: 0\n"] {
            let text = good.replace("Event: presence\n", &format!("Event: presence\n{expires}"));
            let text = text.replace(plain, secured);
            assert_ne!(text, good);
            let mut world = World::new();
            assert_eq!(world.sip(&text).status, 416, "{text}");
            assert!(world.stanzas.is_empty() && world.sent.is_empty(), "{text}");
        }
    }
}

/// Two gateways that face each other: what one made of a request comes to the other, which serves the first's
/// users as its own.
#[test]
fn what_crossed_once_does_not_cross_back() {
    let mut world = World::new();
    let foreign = subscribe(1, "", "").replace(
        "From: <sip:romeo@example.net>",
        "From: <sip:juliet@example.com>",
    );
    assert_eq!(
        world.sip(&foreign).status,
        403,
        "a watcher of an XMPP domain"
    );
    let back = subscribe(1, "", "").replace(
        "SUBSCRIBE sip:juliet@example.com",
        "SUBSCRIBE sip:romeo@example.net",
    );
    assert_eq!(world.sip(&back).status, 404, "a contact of a SIP domain");
    assert!(world.stanzas.is_empty() && world.sent.is_empty());
    world.xmpp("<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>");
    world.xmpp("<presence from='juliet@example.com' to='tybalt@example.com' type='subscribe'/>");
    assert!(
        world.sent.is_empty(),
        "no stanza of a SIP domain's is taken"
    );
    assert!(
        !world
            .said()
            .iter()
            .any(|said| said.starts_with("subscribe"))
    );
}

// --- RFC 8048 §5.2: an XMPP user watches

#[test]
fn a_2xx_alone_says_nothing() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    assert!(world.said().is_empty());
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Pending)
    );
}

#[test]
fn what_a_pending_notify_carries_is_not_passed_on() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    for (cseq, basic) in [(1, "open"), (2, "closed"), (3, "open")] {
        let text = notify(&send, cseq, "ffd2", "pending;expires=600", Some(basic));
        assert_eq!(world.sip(&text).status, 200);
    }
    assert!(world.said().is_empty());
    world.xmpp(PROBES);
    assert!(world.said().is_empty(), "nor to a probe");
}

#[test]
fn a_first_notify_without_a_body_shows_the_contact_as_gone() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "active", None));
    assert_eq!(
        world.said(),
        [
            "subscribed romeo@example.net>juliet@example.com",
            "unavailable romeo@example.net>juliet@example.com"
        ]
    );
}

#[test]
fn a_subscription_is_refreshed_before_it_ends() {
    for granted in [60, 600, 3600] {
        let mut world = World::new();
        world.xmpp(ASKS);
        let send = world.sent_one();
        let expires = format!("Expires: {granted}\n");
        world.result(send.id, 200, &response(&send, "200 OK", "ffd2", &expires));
        world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
        world.said();
        let left = world.now.plus_secs(granted);
        let refresh = world.next_sent(granted);
        assert!(
            world.now.plus_secs(granted / 20) < left,
            "{granted}: too late"
        );
        assert!(
            world.now.plus_secs(granted / 2) > left,
            "{granted}: too soon"
        );
        assert_eq!(
            (refresh.call_id, refresh.to_tag.as_deref()),
            (send.call_id, Some("ffd2"))
        );
        let asked = refresh.headers.iter().find(|(name, _)| name == "Expires");
        assert_eq!(asked.map(|(_, value)| value.as_str()), Some("3600"));
        assert!(world.said().iter().all(|said| said.starts_with("probe")));
    }
}

#[test]
fn a_refresh_answered_423_or_481_keeps_the_authorisation() {
    for (status, more) in [(423, "Min-Expires: 7200\n"), (481, "")] {
        let (mut world, _) = watching();
        let refresh = world.next_sent(3600);
        let text = response(&refresh, &format!("{status} No"), "ffd2", more);
        world.result(refresh.id, status, &text);
        let again = world.next_sent(61);
        let new_dialog = again.call_id != refresh.call_id;
        assert_eq!(new_dialog, status == 481, "{status}");
        let expires = if status == 423 { "7200" } else { "3600" };
        assert_eq!(header(&again, "Expires"), expires, "{status}");
        world.result(again.id, 200, &accepted(&again));
        world.sip(&notify(&again, 9, "ffd2", "active", Some("open")));
        let told = world.said();
        assert!(
            !told.iter().any(|s| s.starts_with("unsubscribed")),
            "{told:?}"
        );
        assert_eq!(
            world.authorization(Direction::ToSip),
            Some(AuthorizationState::Granted)
        );
    }
}

// --- RFC 8048 §5.3: a SIP user watches

#[test]
fn approval_and_refusal_are_told_without_a_body() {
    for (decision, expected) in [
        (APPROVED, "active;expires=3600"),
        (DECLINED, "terminated;reason=rejected"),
    ] {
        let mut world = World::new();
        world.sip(&subscribe(1, "", ""));
        world.notifies();
        world.xmpp(decision);
        let told = world.sent_one();
        assert_eq!(state(&told), expected);
        assert!(told.body.is_empty() && header(&told, "Content-Type").is_empty());
    }
}

#[test]
fn a_refresh_is_answered_with_what_is_known_or_without_a_body() {
    let (mut world, tag) = granted_watcher();
    world.sip(&subscribe(2, &tag, ""));
    let unknown = world.notifies().remove(0);
    assert!(state(&unknown).starts_with("active") && unknown.body.is_empty());
    assert_eq!(world.said(), ["probe romeo@example.net>juliet@example.com"]);
    world.xmpp(&juliet("b", "<show>xa</show>"));
    world.notifies();
    world.sip(&subscribe(3, &tag, ""));
    let known = document(&world.notifies().remove(0));
    assert_eq!(known.tuples[0].show, Some(Show::Xa));
    assert!(world.said().is_empty(), "nothing to ask");
}

#[test]
fn a_contact_who_is_shown_the_watcher_is_not_told_that_he_is_gone() {
    // Juliet watches Romeo too.
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
    let tag = world.sip(&subscribe(1, "", "")).to_tag.unwrap();
    world.notifies();
    world.xmpp(APPROVED);
    world.notifies();
    world.said();
    world.sip(&subscribe(2, &tag, "Expires: 0\n"));
    assert!(state(&world.notifies()[0]).starts_with("terminated"));
    assert!(world.said().is_empty());
    // Once she is shown him no more, he is gone when he leaves.
    let closed = notify(&send, 2, "ffd2", "active", Some("closed"));
    world.sip(&closed);
    world.sip(&subscribe(3, "", "").replace("AA5A8BE5", "AGAIN"));
    let tag = world.notifies().remove(0).from_tag;
    world.said();
    world.sip(&subscribe(4, &tag, "Expires: 0\n").replace("AA5A8BE5", "AGAIN"));
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn what_one_direction_ends_the_other_keeps() {
    let both = || {
        let mut world = World::new();
        world.sip(&subscribe(1, "", ""));
        world.notifies();
        world.xmpp(APPROVED);
        world.notifies();
        world.xmpp(ASKS);
        let send = world.sent_one();
        world.result(send.id, 200, &accepted(&send));
        world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
        world.said();
        (world, send)
    };
    // Juliet leaves: Romeo still sees her.
    let (mut world, _) = both();
    world.xmpp(LEAVES);
    let end = world.sent_one();
    world.result(end.id, 200, &response(&end, "200 OK", "ffd2", ""));
    world.xmpp(&juliet("b", ""));
    assert_eq!(
        document(&world.sent_one()).tuples[0].basic,
        Some(Basic::Open)
    );
    assert_eq!(
        world.authorization(Direction::ToXmpp),
        Some(AuthorizationState::Granted)
    );
    // Romeo is refused: Juliet still sees him.
    let (mut world, send) = both();
    world.xmpp(DECLINED);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
    world.sip(&notify(&send, 2, "ffd2", "active", Some("closed")));
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
}

// --- RFC 8048 §6.2, Table 1

#[test]
fn a_notification_to_sip_is_table_1() {
    let (mut world, _) = granted_watcher();
    world.xmpp(
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='not-mapped' xml:lang='en'>\
         <show>away</show><priority>127</priority><status>wooing</status>\
         <status xml:lang='de'>verliebt</status></presence>",
    );
    let open = world.notifies().remove(0);
    assert_eq!(header(&open, "Event"), "presence");
    assert_eq!(open.from_uri, "sip:juliet@example.com");
    assert_eq!(open.to_uri, "sip:romeo@example.net");
    assert_eq!(open.request_uri, "sip:romeo@198.51.100.7:5070");
    assert!(!format!("{open:?}").contains("not-mapped"));
    let shown = document(&open);
    let tuple = &shown.tuples[0];
    assert_eq!(
        (shown.entity.as_str(), tuple.id.as_str(), tuple.basic),
        ("pres:juliet@example.com", "ID-balcony", Some(Basic::Open))
    );
    assert_eq!(tuple.show, Some(Show::Away));
    let contact = tuple.contact.as_ref().unwrap();
    assert_eq!(contact.priority, priority_to_pidf(127));
    let notes: Vec<_> = tuple
        .notes
        .iter()
        .map(|note| (note.lang.as_deref(), note.text.as_str()))
        .collect();
    assert_eq!(notes, [(Some("de"), "verliebt"), (Some("en"), "wooing")]);

    world.xmpp(
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'/>",
    );
    let closed = document(&world.notifies().remove(0));
    let tuples: Vec<_> = closed
        .tuples
        .iter()
        .map(|t| (t.id.as_str(), t.basic))
        .collect();
    assert_eq!(tuples, [("ID-balcony", Some(Basic::Closed))]);
}

#[test]
fn a_stanza_that_notifies_of_nothing_leads_to_no_document() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.notifies();
    for type_ in [
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
        "error",
    ] {
        world.xmpp(&format!(
            "<presence from='juliet@example.com/b' to='romeo@example.net' type='{type_}'>\
             <status>a secret</status></presence>"
        ));
        for send in std::mem::take(&mut world.sent) {
            assert!(!body(&send).contains("secret"), "{type_}");
        }
    }
}

#[test]
fn each_resource_is_a_tuple_of_every_document() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("balcony", ""));
    world.notifies();
    world.xmpp(&juliet("chamber", "<show>dnd</show>"));
    let shown = document(&world.notifies().remove(0));
    let tuples: Vec<_> = shown
        .tuples
        .iter()
        .map(|t| (t.id.as_str(), &t.show))
        .collect();
    assert_eq!(
        tuples,
        [("ID-balcony", &None), ("ID-chamber", &Some(Show::Dnd))]
    );
}

// --- RFC 8048 §6.3, Table 2

#[test]
fn a_notification_to_xmpp_is_table_2() {
    let (mut world, send) = watching();
    let open = "<tuple id='ID-orchard'><status><basic>open</basic><show xmlns='jabber:client'>dnd</show></status>\
                <contact priority='1'>sip:romeo@example.net</contact><note>wooing</note>\
                <note xml:lang='de'>verliebt</note></tuple>";
    world.sip(&notify_of(&send, 2, "Content-Language: en\n", open));
    let shown = world.stanzas.remove(0);
    assert_eq!(
        (shown.attr("from"), shown.attr("to"), shown.attr("type")),
        (
            Some("romeo@example.net/orchard"),
            Some("juliet@example.com"),
            None
        )
    );
    let ns = "jabber:client";
    let text = |name| shown.get_child(name, ns).map(minidom::Element::text);
    assert_eq!(text("show").as_deref(), Some("dnd"));
    assert_eq!(text("priority").as_deref(), Some("127"));
    let mut statuses: Vec<_> = shown
        .children()
        .filter(|child| child.name() == "status")
        .map(|status| {
            (
                status.attr_ns("http://www.w3.org/XML/1998/namespace", "lang"),
                status.text(),
            )
        })
        .collect();
    statuses.sort_unstable();
    let expected = [("de", "verliebt"), ("en", "wooing")];
    assert_eq!(
        statuses,
        expected.map(|(lang, text)| (Some(lang), text.to_owned()))
    );

    let closed = "<tuple id='ID-orchard'><status><basic>closed</basic></status></tuple>";
    world.sip(&notify_of(&send, 3, "", closed));
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
}

// --- RFC 8048 §7.2

#[test]
fn a_one_shot_subscribe_is_answered_from_what_is_known() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", "<show>away</show>"));
    world.notifies();
    world.sip(&subscribe(1, "", "Expires: 0\n").replace("AA5A8BE5", "FETCH"));
    let answer = world.notifies().remove(0);
    assert_eq!(state(&answer), "terminated;reason=timeout");
    assert_eq!(document(&answer).tuples[0].show, Some(Show::Away));
    assert!(world.said().is_empty(), "no probe");
}
