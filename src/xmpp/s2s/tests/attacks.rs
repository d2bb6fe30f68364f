// SPDX-License-Identifier: GPL-2.0-or-later
//! Somebody who keeps to no rule, against a gateway as it runs.

use std::time::Duration;

use tokio::time::Instant;

use crate::address::DomainPattern;
use crate::config::{Dialback, Limit};
use crate::xmpp::SendError;

use super::intruder::{AUTH, Intruder, Line, Wire, header, message};
use super::node::{self, Certificate, Net, Node, Plan};

/// The gateway under attack, and who attacks it.
async fn scene(net: &Net, change: impl FnOnce(&mut Plan)) -> (Node, Intruder) {
    let node = Node::join(net, "b.example", change).await;
    let intruder = Intruder::new(net, "evil.example", Certificate::Good).await;
    (node, intruder)
}

/// A deadline that a test can wait for.
fn hasty(plan: &mut Plan) {
    plan.timing.handshake = Duration::from_millis(400);
}

/// The stream ends with that error, and nothing has come of what was said.
async fn ends_with(line: Line<impl Wire>, condition: &str, node: &mut Node) {
    let rest = line.end().await;
    assert!(
        rest.contains(&format!("<{condition}")),
        "no {condition}: {rest}"
    );
    node.expect_nothing();
}

// --- plaintext

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_behind_starttls_without_tls_ends_the_connection() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    for behind in [
        message("evil.example", "b.example", "1"),
        evil.header("b.example") + AUTH,
        "\n".to_owned(),
    ] {
        let mut line = Line::connect(b.address()).await;
        let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        line.say(&(evil.header("b.example") + starttls + &behind))
            .await;
        let rest = line.end().await;
        assert!(
            rest.ends_with("</proceed>") || rest.ends_with("/>"),
            "{rest}"
        );
        b.expect_nothing();
        b.settle(<[_]>::is_empty).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_behind_proceed_without_tls_ends_the_connection() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    b.send(
        "evil.example",
        node::message("u@b.example", "v@evil.example", "1"),
    );
    let mut line = evil.accept().await;
    line.hear_header().await;
    line.say(&header("evil.example", "b.example").replace(" to='", " id='i' to='"))
        .await;
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    line.say(&format!("<stream:features>{starttls}</stream:features>"))
        .await;
    line.hear("<starttls").await;
    let injected = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";
    line.say(&format!(
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{injected}"
    ))
    .await;
    b.expect_error("1", "remote-server-timeout").await;
    let reason = b.expect_down().await;
    assert!(
        reason.contains("unencrypted data behind <proceed/>"),
        "{reason}"
    );
    // Neither a handshake nor a name.
    assert_eq!(
        line.end().await.replace(['"', '\''], ""),
        " xmlns=urn:ietf:params:xml:ns:xmpp-tls/>"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_nothing_but_starttls_is_heard() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    let key = "<db:result from='evil.example' to='b.example'>key</db:result>".to_owned();
    for (said, condition) in [
        (message("evil.example", "b.example", "1"), "not-authorized"),
        (AUTH.to_owned(), "policy-violation"),
        (key, "policy-violation"),
        (
            "<bidi xmlns='urn:xmpp:bidi'/>".to_owned(),
            "policy-violation",
        ),
    ] {
        let mut line = Line::connect(b.address()).await;
        line.say(&(evil.header("b.example") + &said)).await;
        ends_with(line, condition, &mut b).await;
    }
}

// --- authentication

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_heard_before_authentication() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    let stanza = message("evil.example", "b.example", "1");
    for (said, condition) in [
        (stanza.as_str(), "not-authorized"),
        ("<enable xmlns='urn:xmpp:sm:3'/>", "not-authorized"),
        ("<r xmlns='urn:xmpp:sm:3'/>", "not-authorized"),
        (
            "<db:result from='evil.example' to='b.example' type='valid'/>",
            "policy-violation",
        ),
        (
            "<db:verify from='evil.example' to='b.example' id='1' type='valid'/>",
            "policy-violation",
        ),
        ("<x xmlns='urn:x'/>", "unsupported-stanza-type"),
        ("text<", "bad-format"),
    ] {
        let mut line = evil.opened(b.address(), "b.example").await;
        line.say(said).await;
        ends_with(line, condition, &mut b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_authenticated_speaks_for_himself_to_us_alone() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    for (from, to, condition) in [
        ("c.example", "b.example", "invalid-from"),
        ("b.example", "evil.example", "invalid-from"),
        ("b.example", "b.example", "invalid-from"),
        ("sub.evil.example", "b.example", "invalid-from"),
        ("evil.example", "c.example", "host-unknown"),
        ("evil.example", "evil.example", "host-unknown"),
    ] {
        let mut line = evil.authenticated(b.address(), "b.example").await;
        line.say(&message(from, to, "1")).await;
        ends_with(line, condition, &mut b).await;
    }
    for stanza in [
        "<message to='v@b.example'/>",
        "<message from='u@evil.example'/>",
        "<message/>",
    ] {
        let mut line = evil.authenticated(b.address(), "b.example").await;
        line.say(stanza).await;
        ends_with(line, "improper-addressing", &mut b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_changes_after_authentication_ends_the_stream() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    for (from, to, condition) in [
        ("c.example", "b.example", "invalid-from"),
        ("evil.example", "evil.example", "host-unknown"),
    ] {
        let mut line = evil.opened(b.address(), "b.example").await;
        line.say(AUTH).await;
        line.hear("<success").await;
        line.say(&(header(from, to) + &message("evil.example", "b.example", "1")))
            .await;
        ends_with(line, condition, &mut b).await;
    }
    // A header within the stream is an element like any other.
    let mut line = evil.authenticated(b.address(), "b.example").await;
    line.say(&header("c.example", "b.example").replace("<?xml version='1.0'?>", ""))
        .await;
    line.say("</stream:stream>").await;
    ends_with(line, "unsupported-stanza-type", &mut b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_believed_by_external_if_good_and_by_dialback_at_most_otherwise() {
    use Certificate::{Expired, Good, SelfSigned, Stranger, WrongName};
    let net = Net::new().await;
    let domains = [
        "a0.example",
        "a1.example",
        "a2.example",
        "a3.example",
        "a4.example",
    ];
    let kinds = [Good, WrongName, Expired, SelfSigned, Stranger];
    let mut b = Node::join(&net, "b.example", |n| n.config.dialback = Dialback::Off).await;
    let mut c = Node::join(&net, "c.example", |_| {}).await;
    for (domain, kind) in domains.into_iter().zip(kinds) {
        let is_good = kind == Good;
        let mut a = Node::join(&net, domain, |n| n.certificate = kind).await;
        let (from, own) = (format!("u@{domain}"), format!("v@{domain}"));
        // Without dialback: neither in nor out.
        a.send("b.example", node::message(&from, "v@b.example", "1"));
        b.send(domain, node::message("u@b.example", &own, "2"));
        if is_good {
            b.expect_message("1").await;
            a.expect_message("2").await;
        } else {
            a.expect_error("1", "remote-server-timeout").await;
            b.expect_error("2", "remote-server-timeout").await;
            b.expect_nothing();
            let reason = b.expect_down().await;
            assert!(
                reason.contains("certificate is refused"),
                "{kind:?}: {reason}"
            );
        }
        // With it: by dialback, and never by the certificate.
        a.send("c.example", node::message(&from, "v@c.example", "3"));
        c.expect_message("3").await;
        c.send(domain, node::message("u@c.example", &own, "4"));
        a.expect_message("4").await;
        let of = |view: &crate::xmpp::s2s::StreamView| view.link.contains(domain);
        let views: Vec<_> = c.views().into_iter().filter(of).collect();
        let way = if is_good { "external" } else { "dialback" };
        let inbound = |v: &&crate::xmpp::s2s::StreamView| v.direction != "out";
        for view in views.iter().filter(inbound) {
            assert_eq!(view.authentication, way, "{kind:?}: {view:?}");
        }
        assert!(
            views.iter().all(|v| v.distrust.is_empty() == is_good),
            "{kind:?}: {views:?}"
        );
        a.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_is_denied_under_every_spelling() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |n| {
        let denied = DomainPattern::parse("evil.example").unwrap();
        n.config.xmpp_deny = vec![denied];
    })
    .await;
    // A good certificate for evil.example is one for each of these, as IDNA has it.
    for (from, condition) in [
        ("evil.example", "policy-violation"),
        ("EVIL.example.", "policy-violation"),
        ("\u{ff45}vil.example", "policy-violation"),
        ("evil\u{3002}example", "invalid-from"),
        ("evil\u{ff61}example", "invalid-from"),
    ] {
        let mut line = Line::connect(b.address()).await;
        line.say(&header(from, "b.example")).await;
        ends_with(line, condition, &mut b).await;
    }
    drop(evil);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_asked_for_proves_nothing_on_our_own_stream() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    b.send(
        "evil.example",
        node::message("u@b.example", "v@evil.example", "1"),
    );
    let mut line = evil.accept_authenticated("b.example").await;
    line.hear("</message>").await;
    line.say("<db:result from='evil.example' to='b.example' type='valid'/>")
        .await;
    line.say("<db:verify from='evil.example' to='b.example' id='i1' type='valid'/>")
        .await;
    line.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
    line.say(&message("evil.example", "b.example", "2")).await;
    ends_with(line, "not-authorized", &mut b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_speaks_for_itself_alone_on_our_own_stream_for_both_directions() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    let big = "x".repeat(1024 * 1024);
    for (from, to, body) in [
        ("c.example", "b.example", "hi"),
        ("evil.example", "c.example", "hi"),
        ("c.example", "b.example", big.as_str()),
        ("evil.example", "c.example", &big),
    ] {
        b.send(
            "evil.example",
            node::message("u@b.example", "v@evil.example", "1"),
        );
        let mut line = evil.accept_bidi("b.example").await;
        line.hear("</message>").await;
        line.say(&message("evil.example", "b.example", "2")).await;
        b.expect_message("2").await;
        line.say(&message(from, to, "3").replace("hi", body)).await;
        ends_with(line, "invalid-from", &mut b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_of_what_was_never_sent_ends_the_stream() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    for said in [
        "<a xmlns='urn:xmpp:sm:3' h='1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
        "<a xmlns='urn:xmpp:sm:3'/>",
    ] {
        let mut line = evil.authenticated(b.address(), "b.example").await;
        line.say("<enable xmlns='urn:xmpp:sm:3'/>").await;
        line.hear("<enabled").await;
        line.say(said).await;
        ends_with(line, "undefined-condition", &mut b).await;
    }
}

// --- XML

#[tokio::test(flavor = "multi_thread")]
async fn xml_that_streams_forbid_ends_the_stream_before_and_after_authentication() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |n| n.config.max_address_attempts = 0).await;
    for said in [
        "<!DOCTYPE x [<!ENTITY e 'e'>]>",
        "<message from='u@evil.example' to='v@b.example'><body>&e;</body></message>",
        "<message from='&e;@evil.example' to='v@b.example'/>",
        "<?php x?>",
        "<!-- x -->",
        "<message from='u@evil.example' to='v@b.example'><!-- x --></message>",
        "<message from='u@evil.example' to='v@b.example'><![CDATA[<]]></message><!DOCTYPE y>",
        "<message from='u@evil.example' to='v@b.example'></presence>",
        "<message from='u@evil.example' from='u@c.example' to='v@b.example'/>",
        "<x:message xmlns:y='urn:y'/>",
        "<message from='u@evil.example' to='v@b.example'>\u{1}</message>",
    ] {
        let is_delivered = said.contains("CDATA");
        for authenticated in [false, true] {
            let line = if authenticated {
                let mut line = evil.authenticated(b.address(), "b.example").await;
                line.say(said).await;
                line.end().await
            } else {
                let mut line = evil.opened(b.address(), "b.example").await;
                line.say(said).await;
                line.end().await
            };
            assert!(line.contains("<stream:error"), "{said}: {line}");
            if !is_delivered {
                b.expect_nothing();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stanzas_beyond_all_bounds_are_skipped_and_the_stream_goes_on() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    let mut line = evil.authenticated(b.address(), "b.example").await;
    let big = "x".repeat(20 * 1024 * 1024);
    let many: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
    let deep = "<x>".repeat(10_000) + &"</x>".repeat(10_000);
    for (inside, limit) in [(big.as_str(), Limit::Stanza), (&deep, Limit::XmlDepth)] {
        let before = b.reached().times(limit);
        line.say(&format!(
            "<message from='u@evil.example' to='v@b.example'>{inside}</message>"
        ))
        .await;
        line.say(&message("evil.example", "b.example", "1")).await;
        b.expect_message("1").await;
        assert_eq!(b.reached().times(limit), before + 1);
    }
    line.say(&format!(
        "<message from='u@evil.example' to='v@b.example'{many}/>"
    ))
    .await;
    line.say(&message("evil.example", "b.example", "2")).await;
    b.expect_message("2").await;
    let reached = b.reached();
    assert_eq!(
        reached.times(Limit::Stanza) + reached.times(Limit::XmlAttributes),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stanza_skipped_is_of_a_proven_pair_too() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    let big = "x".repeat(1024 * 1024);
    let mut line = evil.authenticated(b.address(), "b.example").await;
    line.say(&format!(
        "<message from='u@c.example' to='v@b.example'>{big}</message>"
    ))
    .await;
    ends_with(line, "invalid-from", &mut b).await;
    let mut line = evil.opened(b.address(), "b.example").await;
    line.say(&format!(
        "<message from='u@evil.example' to='v@b.example'>{big}</message>"
    ))
    .await;
    ends_with(line, "policy-violation", &mut b).await;
}

// --- time

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_is_out_at_the_deadline() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, hasty).await;
    let pause = Duration::from_millis(10);
    let begin = Instant::now();
    let long = evil.header("b.example") + &" ".repeat(2000);
    // Nothing at all; a header byte by byte; a TLS handshake byte by byte; and behind TLS.
    let silent = Line::connect(b.address()).await;
    let mut header = Line::connect(b.address()).await;
    let mut hello = Line::connect(b.address()).await;
    hello
        .say(&(evil.header("b.example") + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))
        .await;
    hello.hear("<proceed").await;
    hello.hear(">").await;
    // The beginning of a record that is never whole.
    let record = String::from_utf8([vec![0x16, 3, 1, 0x10, 0], vec![1; 4000]].concat()).unwrap();
    let mut secure = evil.secured(b.address(), "b.example").await;
    let mut opened = evil.opened(b.address(), "b.example").await;
    let (rest, header, hello, secure, opened) = tokio::join!(
        silent.end(),
        header.drip(&long, pause),
        hello.drip(&record, pause),
        secure.drip(&long, pause),
        opened.drip(&long, pause)
    );
    assert_eq!(
        (header, hello, secure, opened),
        (false, false, false, false)
    );
    assert!(!rest.contains("features"));
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(10),
        "{took:?}"
    );
    b.settle(<[_]>::is_empty).await;
    b.expect_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_too_long_is_given_up_at_the_deadline() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, hasty).await;
    b.send(
        "evil.example",
        node::message("u@b.example", "v@evil.example", "1"),
    );
    let mut line = evil.accept().await;
    let pause = Duration::from_millis(10);
    let all_said = line.drip(&header("evil.example", "b.example"), pause).await;
    assert!(!all_said);
    b.expect_error("1", "remote-server-timeout").await;
    let reason = b.expect_down().await;
    assert!(reason.contains("too long"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_reads_costs_a_bounded_queue_and_nobody_else_anything() {
    const QUEUE: usize = 64 * 1024;
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |n| {
        n.config.max_link_queue = QUEUE;
        n.timing.silence = Duration::from_secs(1);
        n.timing.answer = Duration::from_secs(1);
    })
    .await;
    let mut c = Node::join(&net, "c.example", |_| {}).await;
    b.send(
        "evil.example",
        node::message("u@b.example", "v@evil.example", "0"),
    );
    let mut line = evil.accept_authenticated("b.example").await;
    line.hear("</message>").await;
    // What the kernel takes is not in the queue: this goes on until nothing more is taken.
    let mut sent = 0;
    let text = "x".repeat(30 * 1024);
    loop {
        let long = node::message_of("u@b.example", "v@evil.example", "long", &text);
        if let Err(why) = b.try_send("evil.example", long) {
            assert_eq!(why, SendError::Full);
            break;
        }
        tokio::task::yield_now().await;
        sent += 1;
        assert!(sent < 10_000, "no end");
        let views = b.views();
        assert!(views.iter().all(|v| v.queue_bytes <= QUEUE), "{views:?}");
    }
    assert_eq!(b.reached().times(Limit::LinkQueue), 1);
    // A question comes back as an error, as soon as one finds no room.
    while b.reached().times(Limit::LinkQueue) == 1 {
        let question = node::question_of("u@b.example", "v@evil.example", "asked", &text);
        b.send("evil.example", question);
        tokio::task::yield_now().await;
    }
    b.expect_error("asked", "remote-server-timeout").await;
    b.send(
        "c.example",
        node::message("u@b.example", "v@c.example", "1"),
    );
    c.expect_message("1").await;
    // Nothing is heard either: it is found out, and everything is reported or sent again.
    let next = evil.accept().await;
    drop((line, next));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_and_acknowledges_nothing_is_given_up() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |n| {
        n.timing.silence = Duration::from_millis(400);
        n.timing.answer = Duration::from_millis(400);
    })
    .await;
    b.send(
        "evil.example",
        node::message("u@b.example", "v@evil.example", "1"),
    );
    let mut line = evil.accept_managed("b.example").await;
    line.hear("</message>").await;
    let all_said = line
        .drip(&" ".repeat(1000), Duration::from_millis(20))
        .await;
    assert!(!all_said);
    // What it may not have taken comes again.
    let mut line = evil.accept_managed("b.example").await;
    line.hear("id='1'").await;
    b.expect_no_error();
}

// --- caps

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_a_cap_are_closed_at_once_and_counted() {
    const MOST: u32 = 3;
    let net = Net::new().await;
    for (limit, domain) in [
        (Limit::Connections, "b0.example"),
        (Limit::AddressConnections, "b1.example"),
        (Limit::AddressAttempts, "b2.example"),
    ] {
        let mut b = Node::join(&net, domain, |n| {
            n.config.max_connections = if limit == Limit::Connections {
                MOST
            } else {
                1000
            };
            n.config.max_address_connections = if limit == Limit::AddressConnections {
                MOST
            } else {
                0
            };
            n.config.max_address_attempts = if limit == Limit::AddressAttempts {
                MOST
            } else {
                0
            };
        })
        .await;
        let mut taken = Vec::new();
        for n in 0..10 * MOST {
            let mut line = Line::connect(b.address()).await;
            line.say(&header("evil.example", domain)).await;
            if n < MOST {
                line.hear("</stream:features>").await;
                taken.push(line);
            } else {
                assert_eq!(line.end().await, "", "{limit:?} {n}");
            }
        }
        assert_eq!(b.reached().times(limit), u64::from(9 * MOST));
        // Who leaves makes room, but for a count of attempts.
        if let Some(line) = taken.pop()
            && limit != Limit::AddressAttempts
        {
            drop(line);
            loop {
                let mut line = Line::connect(b.address()).await;
                line.say(&header("evil.example", domain)).await;
                line.say("</stream:stream>").await;
                if !line.end().await.is_empty() {
                    break;
                }
            }
        }
        b.expect_nothing();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_beyond_the_cap_of_a_domain_are_not_verified() {
    const MOST: u32 = 2;
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |n| {
        n.config.max_dialbacks = MOST;
        n.config.max_address_connections = 0;
    })
    .await;
    let key = "<db:result from='evil.example' to='b.example'>key</db:result>";
    let mut asking = Vec::new();
    let mut asked = Vec::new();
    for _ in 0..MOST {
        let mut line = evil.opened(b.address(), "b.example").await;
        line.say(key).await;
        asking.push(line);
        // It is asked, and does not answer.
        asked.push(evil.accept().await);
    }
    for n in 0..9 * u64::from(MOST) {
        let mut line = evil.opened(b.address(), "b.example").await;
        line.say(key).await;
        line.hear("type=").await;
        line.hear("<resource-constraint").await;
        assert_eq!(b.reached().times(Limit::Dialbacks), n + 1);
    }
    // Another domain is not its business.
    let other = Intruder::new(&net, "other.example", Certificate::Good).await;
    let mut line = other.opened(b.address(), "b.example").await;
    line.say("<db:result from='other.example' to='b.example'>key</db:result>")
        .await;
    other.accept().await.hear_header().await;
    b.expect_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_without_proof_makes_us_ask_about_three_keys_at_most() {
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |_| {}).await;
    let mut line = evil.opened(b.address(), "b.example").await;
    for n in 0..3 {
        net.lead(&format!("{n}.evil.example"), evil.address()).await;
        line.say(&format!(
            "<db:result from='{n}.evil.example' to='b.example'>key</db:result>"
        ))
        .await;
    }
    let _asked = [
        evil.accept().await,
        evil.accept().await,
        evil.accept().await,
    ];
    for n in 3..20 {
        line.say(&format!(
            "<db:result from='{n}.evil.example' to='b.example'>key</db:result>"
        ))
        .await;
        line.hear("<resource-constraint").await;
    }
    b.expect_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_their_queues_are_as_many_and_as_long_as_configured() {
    const MOST: u32 = 3;
    let net = Net::new().await;
    let (mut b, evil) = scene(&net, |n| {
        n.config.max_links = MOST;
        n.config.max_link_queue = 2000;
    })
    .await;
    let mut connecting = Vec::new();
    for n in 0..10 * MOST {
        let domain = format!("{n}.evil.example");
        net.lead(&domain, evil.address()).await;
        let id = n.to_string();
        b.send(
            &domain,
            node::message("u@b.example", &format!("v@{domain}"), &id),
        );
        if n < MOST {
            connecting.push(evil.accept().await);
        } else {
            b.expect_error(&id, "remote-server-timeout").await;
        }
    }
    assert_eq!(b.reached().times(Limit::Links), u64::from(9 * MOST));
    // One link's queue, filled to the last byte that fits.
    let mut refused = 0;
    while refused < 10 {
        let more = node::message("u@b.example", "v@0.evil.example", "more");
        if b.try_send("0.evil.example", more) == Err(SendError::Full) {
            refused += 1;
        }
        assert_eq!(b.reached().times(Limit::LinkQueue), refused);
        let views = b.views();
        assert!(
            views.iter().all(|view| view.queue_bytes <= 2000),
            "{views:?}"
        );
    }
    let views = b.views();
    let full = views.iter().filter(|view| view.queue_bytes > 1800).count();
    assert_eq!(full, 1, "{views:?}");
}
