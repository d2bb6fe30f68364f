// SPDX-License-Identifier: GPL-2.0-or-later
//! What documents say and what is told of them (RFC 8048 §5.2.1, §6).

use std::collections::BTreeMap;

use stox::body::pidf::{Basic, Document};
use stox::frame::Send;

use crate::wire::{APPROVED, body, juliet, notify, subscribe};
use crate::world::World;
use crate::xmpp_watcher::watching;

/// Romeo watches Juliet; the tag of his dialog.
fn watched(parameters: &[(&str, &str)]) -> (World, String) {
    let mut world = World::with(parameters);
    let reply = world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(APPROVED);
    world.notifies();
    world.said();
    (world, reply.to_tag.unwrap())
}

fn leaves(resource: &str) -> String {
    format!(
        "<presence from='juliet@example.com/{resource}' to='romeo@example.net' type='unavailable'/>"
    )
}

/// The tuples of a NOTIFY: id and whether it is open.
fn tuples(notify: &Send) -> Vec<(String, bool)> {
    let document = Document::parse(&notify.body).unwrap();
    let tuples = document.tuples.into_iter();
    tuples
        .map(|tuple| (tuple.id, tuple.basic == Some(Basic::Open)))
        .collect()
}

fn tuple(name: &str, open: bool) -> (String, bool) {
    (format!("ID-{name}"), open)
}

/// A NOTIFY of Romeo's server with a document of this content.
fn telling(send: &Send, cseq: u32, content: &str) -> String {
    let body = format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>\
         {content}</presence>"
    );
    notify(send, cseq, "ffd2", "active;expires=3600", None).replace(
        "Content-Length: 0\n\n",
        &format!(
            "Content-Type: application/pidf+xml\nContent-Length: {}\n\n{body}",
            body.len()
        ),
    )
}

fn romeo(id: &str, basic: &str) -> String {
    format!("<tuple id='ID-{id}'><status><basic>{basic}</basic></status></tuple>")
}

#[test]
fn several_tuples_are_several_resources_and_one_not_named_has_gone() {
    let (mut world, send) = watching();
    let said = |what: &str, resource: &str| {
        format!("{what} romeo@example.net/{resource}>juliet@example.com")
    };
    let (gone, here) = ("unavailable", "available");
    for (cseq, content, expected) in [
        (
            2,
            romeo("orchard", "open") + &romeo("tomb", "closed") + &romeo("cell", "open"),
            vec![said(here, "cell"), said(gone, "tomb")],
        ),
        (
            3,
            romeo("tomb", "open") + &romeo("cell", "closed"),
            vec![
                said(gone, "orchard"),
                said(gone, "cell"),
                said(here, "tomb"),
            ],
        ),
        (
            4,
            romeo("tomb", "open") + "<tuple id='ID-x'><status/></tuple>",
            vec![],
        ),
        (5, String::new(), vec![said(gone, "tomb")]),
        (6, romeo("tomb", "open"), vec![said(here, "tomb")]),
        (
            7,
            "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='p'>\
             <activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><busy/></activities></person>"
                .to_owned(),
            vec![said(gone, "tomb")],
        ),
    ] {
        assert_eq!(world.sip(&telling(&send, cseq, &content)).status, 200);
        assert_eq!(world.said(), expected, "{content}");
    }
}

#[test]
fn a_notify_without_a_body_says_nothing_of_what_is_shown() {
    let (mut world, send) = watching();
    let empty = notify(&send, 2, "ffd2", "active;expires=3600", None);
    assert_eq!(world.sip(&empty).status, 200);
    assert!(world.said().is_empty());
    assert_eq!(world.sip(&telling(&send, 3, "")).status, 200);
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
}

#[test]
fn who_is_on_the_phone_is_busy_until_he_hangs_up() {
    let (mut world, send) = watching();
    let person = "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='p'><activities \
                  xmlns='urn:ietf:params:xml:ns:pidf:rpid'><on-the-phone/></activities></person>";
    let open = romeo("orchard", "open");
    for (cseq, content, show) in [
        (2, open.clone() + person, "dnd"),
        (3, open.clone(), ""),
        (4, person.to_owned() + &open, "dnd"),
    ] {
        world.sip(&telling(&send, cseq, &content));
        assert_eq!(world.stanzas.len(), 1);
        let said = world.stanzas.remove(0);
        let shown = said.children().find(|child| child.name() == "show");
        assert_eq!(shown.map(|show| show.text()).unwrap_or_default(), show);
    }
}

#[test]
fn only_old_news_is_told_as_delayed() {
    let (mut world, send) = watching();
    // The world begins at 2023-11-14T22:13:20Z.
    for (cseq, note, stamp, delayed) in [
        (
            2,
            "a",
            "2023-11-14T20:00:00+01:00",
            Some("2023-11-14T19:00:00Z"),
        ),
        (4, "b", "2023-11-14T22:13:00Z", None),
        (6, "c", "2033-11-14T22:13:00Z", None),
        (8, "d", "lately", None),
    ] {
        let content = |stamp| {
            romeo("orchard", "open").replace(
                "</tuple>",
                &format!("<note>{note}</note><timestamp>{stamp}</timestamp></tuple>"),
            )
        };
        world.sip(&telling(&send, cseq, &content(stamp)));
        assert_eq!(world.stanzas.len(), 1);
        let said = world.stanzas.remove(0);
        let delay = said.children().find(|child| child.name() == "delay");
        assert_eq!(delay.and_then(|delay| delay.attr("stamp")), delayed);
        // The same again with another time is no news.
        world.sip(&telling(&send, cseq + 1, &content("2001-01-01T00:00:00Z")));
        assert!(world.said().is_empty());
    }
}

#[test]
fn a_tuple_says_since_when() {
    let (mut world, _) = watched(&[("notify_interval", "0")]);
    let delayed = "<delay xmlns='urn:xmpp:delay' stamp='2023-11-14T20:00:00Z'/>";
    world.xmpp(&juliet("a", delayed));
    let notify = world.notifies().remove(0);
    assert!(body(&notify).contains("<timestamp>2023-11-14T20:00:00Z</timestamp>"));
    world.xmpp(&juliet("b", ""));
    let notify = world.notifies().remove(0);
    assert!(body(&notify).contains("<timestamp>2023-11-14T20:00:00Z</timestamp>"));
    assert!(body(&notify).contains("<timestamp>2023-11-14T22:13:20Z</timestamp>"));
}

/// A link outage is damped elsewhere; this is a resource that comes and goes.
#[test]
fn a_resource_that_flaps_is_shown_as_it_ends_up() {
    let (mut world, _) = watched(&[]);
    world.xmpp(&juliet("a", ""));
    assert_eq!(tuples(&world.notifies()[0]), [tuple("a", true)]);
    for _ in 0..20 {
        world.xmpp(&leaves("a"));
        world.xmpp(&juliet("a", ""));
    }
    assert!(world.sent.is_empty());
    world.pass(5);
    let told: Vec<_> = world.notifies().iter().map(tuples).collect();
    assert_eq!(told, [[tuple("a", true)]], "once, and available");
    world.xmpp(&leaves("a"));
    world.xmpp(&juliet("a", ""));
    world.xmpp(&leaves("a"));
    world.pass(5);
    let told: Vec<_> = world.notifies().iter().map(tuples).collect();
    assert_eq!(told, [[tuple("a", false)]]);
    world.pass(60);
    assert!(world.notifies().is_empty(), "nothing is told twice");
}

#[test]
fn together_every_notify_has_all_resources() {
    let (mut world, _) = watched(&[("notify_interval", "0")]);
    world.xmpp(&juliet("a", ""));
    world.notifies();
    world.xmpp(&juliet("b", ""));
    let told = tuples(&world.notifies()[0]);
    assert_eq!(told, [tuple("a", true), tuple("b", true)]);
}

#[test]
fn apart_a_notify_has_the_resource_that_changed() {
    let (mut world, tag) = watched(&[("notify_interval", "0"), ("notify_resources", "apart")]);
    for (stanza, told) in [
        (juliet("a", ""), tuple("a", true)),
        (juliet("b", ""), tuple("b", true)),
        (juliet("a", "<show>dnd</show>"), tuple("a", true)),
        (leaves("a"), tuple("a", false)),
    ] {
        world.xmpp(&stanza);
        let notifies = world.notifies();
        assert_eq!(notifies.len(), 1);
        assert_eq!(tuples(&notifies[0]), [told]);
    }
    world.xmpp(&juliet("c", ""));
    world.notifies();
    world.sip(&subscribe(2, &tag, ""));
    let whole = tuples(&world.notifies()[0]);
    assert_eq!(whole, [tuple("b", true), tuple("c", true)]);
}

#[test]
fn apart_what_changes_during_a_notify_is_queued() {
    let (mut world, _) = watched(&[("notify_interval", "0"), ("notify_resources", "apart")]);
    for stanza in [
        juliet("a", ""),
        juliet("b", ""),
        juliet("c", ""),
        leaves("b"),
        juliet("a", "<show>away</show>"),
        juliet("a", "<show>dnd</show>"),
    ] {
        world.xmpp(&stanza);
    }
    assert_eq!(world.sent.len(), 1, "one is under way");
    let notifies = world.notifies();
    let told: Vec<_> = notifies.iter().flat_map(tuples).collect();
    // Nobody has heard of b, who has left again.
    assert_eq!(told, [tuple("a", true), tuple("a", true), tuple("c", true)]);
    assert!(body(&notifies[1]).contains("dnd"), "the newest");
    world.xmpp(&leaves("a"));
    world.xmpp(&leaves("c"));
    let told: BTreeMap<_, _> = world.notifies().iter().flat_map(tuples).collect();
    assert_eq!(told, BTreeMap::from([tuple("a", false), tuple("c", false)]));
}

#[test]
fn apart_each_waits_for_the_interval() {
    let (mut world, _) = watched(&[("notify_resources", "apart")]);
    for resource in ["a", "b", "c"] {
        world.xmpp(&juliet(resource, ""));
    }
    let mut told = vec![];
    for second in 0..20 {
        told.extend(world.notifies().iter().map(|send| (second, tuples(send))));
        world.pass(1);
    }
    let expected = [(0, "a"), (5, "b"), (10, "c")];
    assert_eq!(
        told,
        expected.map(|(at, name)| (at, vec![tuple(name, true)]))
    );
}

/// After a refused NOTIFY the watcher is told everything.
#[test]
fn apart_a_refused_notify_is_made_up_for() {
    let (mut world, _) = watched(&[("notify_interval", "0"), ("notify_resources", "apart")]);
    world.xmpp(&juliet("a", ""));
    world.notifies();
    world.xmpp(&juliet("b", ""));
    let refused = world.sent_one();
    world.result(refused.id, 500, "");
    world.pass(5);
    let told = tuples(&world.notifies()[0]);
    assert_eq!(told, [tuple("a", true), tuple("b", true)]);
}
