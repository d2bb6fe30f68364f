// SPDX-License-Identifier: GPL-2.0-or-later
//! When a stanza that came is acknowledged: a core that settles late, and a server that asks (XEP-0198 §4).

use std::time::Duration;

use crate::xmpp::Receipt;

use super::intruder::{Intruder, Line, Wire, message};
use super::node::{self, Certificate, Net, Node, Plan};

const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const ANSWER: &str = "<a xmlns='urn:xmpp:sm:3' h='";
const END: &str = "</stream:stream>";

/// A gateway whose core settles what it is told to, and another server.
async fn scene(net: &Net, change: impl FnOnce(&mut Plan)) -> (Node, Intruder) {
    let mut node = Node::join(net, "b.example", change).await;
    node.hold();
    let peer = Intruder::new(net, "c.example", Certificate::Good).await;
    (node, peer)
}

async fn say(line: &mut Line<impl Wire>, id: &str) {
    line.say(&message("c.example", "b.example", id)).await;
}

/// The next number acknowledged.
async fn told(line: &mut Line<impl Wire>) -> u32 {
    line.hear(ANSWER).await;
    let number = line.hear("'").await;
    number.trim_end_matches('\'').parse().unwrap()
}

/// Nothing is acknowledged before a stanza that the gateway sends after all that it has read.
async fn expect_no_answer(node: &Node, line: &mut Line<impl Wire>, id: &str) {
    node.send("c.example", node::message("u@b.example", "v@c.example", id));
    let heard = line.hear(&format!("id='{id}'")).await;
    assert!(!heard.contains(ANSWER), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_core_has_not_settled_is_not_acknowledged() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    line.say(ASK).await;
    assert_eq!(told(&mut line).await, 0);
    say(&mut line, "1").await;
    line.say(ASK).await;
    say(&mut line, "2").await;
    b.expect_message("1").await;
    b.expect_message("2").await;
    expect_no_answer(&b, &mut line, "x").await;
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 1);
    b.receipt().settle();
    line.say(ASK).await;
    assert_eq!(told(&mut line).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_stream_of_ours_too() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    b.send(
        "c.example",
        node::message("u@b.example", "v@c.example", "0"),
    );
    let mut line = peer.accept_managed_bidi("b.example").await;
    line.hear("id='0'").await;
    say(&mut line, "1").await;
    line.say(ASK).await;
    say(&mut line, "2").await;
    b.expect_message("1").await;
    b.expect_message("2").await;
    expect_no_answer(&b, &mut line, "x").await;
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_get_to_the_core_counts_in_its_place() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    let unreadable = message("c.example", "b.example", "bad").replace("id=", "type='bad' id=");
    let skipped = message("c.example", "b.example", "big").replace("hi", &"x".repeat(1024 * 1024));
    let answer = "<iq type='result' from='c.example' to='b.example' id='stox-alive-1-1'/>";
    line.say(&unreadable).await;
    say(&mut line, "2").await;
    line.say(answer).await;
    line.say(ASK).await;
    line.say(&skipped).await;
    say(&mut line, "5").await;
    line.say(&unreadable).await;
    line.say(ASK).await;
    say(&mut line, "7").await;
    b.expect_message("2").await;
    b.expect_message("5").await;
    b.expect_message("7").await;
    expect_no_answer(&b, &mut line, "x").await;
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 4);
    expect_no_answer(&b, &mut line, "y").await;
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 6);
    b.receipt().settle();
    line.say(ASK).await;
    assert_eq!(told(&mut line).await, 7);
}

/// While one stream waits for the core, another is answered.
#[tokio::test(flavor = "multi_thread")]
async fn each_stream_has_its_own_count() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut one = peer.managed_bidi(b.address(), "b.example").await;
    let mut other = peer.managed_bidi(b.address(), "b.example").await;
    say(&mut one, "1").await;
    b.expect_message("1").await;
    say(&mut other, "2").await;
    b.expect_message("2").await;
    say(&mut one, "3").await;
    b.expect_message("3").await;
    one.say(ASK).await;
    other.say(ASK).await;
    let (first, second, third) = (b.receipt(), b.receipt(), b.receipt());
    second.settle();
    assert_eq!(told(&mut other).await, 1);
    first.settle();
    third.settle();
    assert_eq!(told(&mut one).await, 2);
}

/// The answer needs nothing of what reads, which may wait for the core for long.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_leaves_while_the_core_takes_nothing_more() {
    const MORE: usize = 500;
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    say(&mut line, "first").await;
    line.say(ASK).await;
    for _ in 0..MORE {
        say(&mut line, "more").await;
    }
    b.expect_message("first").await;
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 1);
    line.say(ASK).await;
    for _ in 0..MORE {
        b.expect_message("more").await;
        b.receipt().settle();
    }
    assert_eq!(told(&mut line).await, u32::try_from(MORE).unwrap() + 1);
}

/// An answer "MUST NOT be withheld for any condition other than a timeout".
#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_long_is_told_how_far_it_is_and_the_rest_later() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |n| n.timing.answer = Duration::from_millis(300)).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    say(&mut line, "1").await;
    say(&mut line, "2").await;
    b.expect_message("1").await;
    b.expect_message("2").await;
    b.receipt().settle();
    line.say(ASK).await;
    assert_eq!(told(&mut line).await, 1);
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 2);
}

/// A stanza that nobody settles any more is the other server's again.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_stanza_that_was_lost_nothing_is_acknowledged() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |n| n.timing.answer = Duration::from_millis(300)).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    for id in ["1", "2", "3"] {
        say(&mut line, id).await;
        b.expect_message(id).await;
    }
    b.receipt().settle();
    drop(b.receipt());
    b.receipt().settle();
    line.say(ASK).await;
    assert_eq!(told(&mut line).await, 1);
}

// --- the end of a stream

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_stream_is_told_what_was_taken_when_it_is_settled() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    say(&mut line, "1").await;
    line.say(END).await;
    b.expect_message("1").await;
    b.receipt().settle();
    assert_eq!(told(&mut line).await, 1);
    line.hear(END).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_stream_before_that_is_not_kept_for_long() {
    let net = Net::new().await;
    let change = |n: &mut Plan| n.timing.parting = Duration::from_millis(300);
    let (mut b, peer) = scene(&net, change).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    say(&mut line, "1").await;
    say(&mut line, "2").await;
    b.expect_message("1").await;
    b.expect_message("2").await;
    b.receipt().settle();
    line.say(END).await;
    assert_eq!(told(&mut line).await, 1);
    line.hear(END).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_tells_what_it_has_settled() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    for id in ["1", "2", "3"] {
        say(&mut line, id).await;
        b.expect_message(id).await;
    }
    let rest: Vec<Receipt> = vec![b.receipt(), b.receipt(), b.receipt()];
    rest.into_iter().take(2).for_each(Receipt::settle);
    let said = async {
        let number = told(&mut line).await;
        line.hear(END).await;
        line.say(END).await;
        number
    };
    let ((), number) = tokio::join!(b.leave(), said);
    assert_eq!(number, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_rules_is_told_before_the_error() {
    let net = Net::new().await;
    let (mut b, peer) = scene(&net, |_| {}).await;
    let mut line = peer.managed_bidi(b.address(), "b.example").await;
    say(&mut line, "1").await;
    b.expect_message("1").await;
    b.receipt().settle();
    line.say(&message("d.example", "b.example", "2")).await;
    let heard = line.end().await;
    let answer = heard.find(&format!("{ANSWER}1'"));
    assert!(
        answer.is_some() && answer < heard.find("<stream:error"),
        "{heard}"
    );
}
