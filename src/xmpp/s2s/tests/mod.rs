// SPDX-License-Identifier: GPL-2.0-or-later
//! Two gateways that federate with each other over loopback, with real DNS, real TLS and certificates of their own.

mod acknowledging;
mod attacks;
mod checking;
mod intruder;
mod node;

use node::{Certificate, Net, Node, message};

use crate::config::Dialback;

#[tokio::test(flavor = "multi_thread")]
async fn stanzas_go_both_ways_by_external() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |_| {}).await;
    let mut b = Node::join(&net, "b.example", |_| {}).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    b.expect_message("1").await;
    b.send("a.example", message("v@b.example", "u@a.example", "2"));
    a.expect_message("2").await;
    let views = a.views();
    assert!(
        views
            .iter()
            .all(|v| v.authentication == "external" && v.tls == "TLSv1.3"),
        "{views:?}"
    );
    assert!(views.iter().any(|v| v.direction == "both"), "{views:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stanzas_go_both_ways_by_dialback() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |n| n.certificate = Certificate::Stranger).await;
    let mut b = Node::join(&net, "b.example", |n| n.certificate = Certificate::Stranger).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    b.expect_message("1").await;
    b.send("a.example", message("v@b.example", "u@a.example", "2"));
    a.expect_message("2").await;
    let views = a.views();
    assert!(
        views.iter().all(|v| v.authentication == "dialback"),
        "{views:?}"
    );
    assert!(
        views
            .iter()
            .any(|v| v.direction == "out" && v.distrust.contains("issued by")),
        "{views:?}"
    );
}

/// DNS and certificates have the A-labels of a domain, streams and stanzas its letters; it is one domain on one stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_of_another_script_is_one_domain() {
    for kind in [Certificate::Good, Certificate::Stranger] {
        let net = Net::new().await;
        let mut a = Node::join(&net, "xn--bro-hoa.example", |n| n.certificate = kind).await;
        let mut b = Node::join(&net, "xn--bcher-kva.example", |n| n.certificate = kind).await;
        a.send(
            "bücher.example",
            message("u@büro.example", "v@bücher.example", "1"),
        );
        b.expect_message("1").await;
        b.send(
            "büro.example",
            message("v@bücher.example", "u@büro.example", "2"),
        );
        a.expect_message("2").await;
        let spelt = message("v@xn--bcher-kva.example", "u@xn--bro-hoa.example", "3");
        b.send("büro.example", spelt);
        a.expect_message("3").await;
        for view in a.views() {
            assert_eq!(view.link, "büro.example/bücher.example");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dialback_a_bad_certificate_is_refused_and_the_sender_is_told() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |n| n.config.dialback = Dialback::Off).await;
    let _b = Node::join(&net, "b.example", |n| n.certificate = Certificate::Stranger).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    a.expect_error("1", "remote-server-timeout").await;
    let reason = a.expect_down().await;
    assert!(reason.contains("dialback is off"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dialback_a_bad_client_certificate_gets_nowhere() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |n| n.certificate = Certificate::Stranger).await;
    let mut b = Node::join(&net, "b.example", |n| n.config.dialback = Dialback::Off).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    a.expect_error("1", "remote-server-timeout").await;
    b.expect_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_not_there_is_not_found() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |_| {}).await;
    a.send(
        "nobody.example",
        message("u@a.example", "v@nobody.example", "1"),
    );
    a.expect_error("1", "remote-server-not-found").await;
    let reason = a.expect_down().await;
    assert!(reason.contains("DNS"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_while_the_other_is_away_arrives_when_it_is_back() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |_| {}).await;
    let b = Node::join(&net, "b.example", |_| {}).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    let b = b.expecting("1").await;
    let port = b.port();
    b.leave().await;
    a.settle(|views| views.iter().all(|v| v.state != "up"))
        .await;
    a.send("b.example", message("u@a.example", "v@b.example", "2"));
    let mut b = Node::join(&net, "b.example", |n| n.port = port).await;
    b.expect_message("2").await;
    a.expect_no_error();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_stream_is_closed_and_made_again() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |n| n.config.link_idle = 1).await;
    let mut b = Node::join(&net, "b.example", |_| {}).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    b.expect_message("1").await;
    a.settle(|views| views.iter().all(|v| v.state == "idle"))
        .await;
    a.send("b.example", message("u@a.example", "v@b.example", "2"));
    b.expect_message("2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_tls_is_used_where_it_is_published_and_left_where_nothing_listens() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |_| {}).await;
    let mut b = Node::join(&net, "b.example", |n| n.direct = true).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    b.expect_message("1").await;
    let mut c = Node::join(&net, "c.example", |n| n.dead_direct = true).await;
    a.send("c.example", message("u@a.example", "v@c.example", "2"));
    c.expect_message("2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_the_operator_did_not_allow_is_refused() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |_| {}).await;
    let mut b = Node::join(&net, "b.example", |n| n.allowed = vec!["c.example"]).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    a.expect_error("1", "remote-server-timeout").await;
    let reason = a.expect_down().await;
    assert!(reason.contains("policy-violation"), "{reason}");
    b.expect_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_without_a_certificate_of_its_own_goes_along_on_a_stream_that_is_there() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |n| n.also = vec!["also.example"]).await;
    let mut b = Node::join(&net, "b.example", |_| {}).await;
    a.send("b.example", message("u@a.example", "v@b.example", "1"));
    b.expect_message("1").await;
    a.send_as(
        "also.example",
        "b.example",
        message("u@also.example", "v@b.example", "2"),
    );
    b.expect_message("2").await;
    let views = a.views();
    let both = views
        .iter()
        .filter(|v| v.link == "a.example/b.example also.example/b.example");
    assert_eq!(both.clone().count(), 1, "{views:?}");
    assert!(
        both.clone()
            .all(|v| v.authentication == "external dialback"),
        "{views:?}"
    );
    b.send(
        "also.example",
        message("v@b.example", "u@also.example", "3"),
    );
    a.expect_message("3").await;
    a.send_as(
        "also.example",
        "b.example",
        message("u@also.example", "v@b.example", "4"),
    );
    b.expect_message("4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_as_soon_as_the_other_server_has_come_goes_over_its_stream() {
    let net = Net::new().await;
    let mut a = Node::join(&net, "a.example", |_| {}).await;
    a.send("b.example", message("u@a.example", "v@b.example", "0"));
    a.expect_error("0", "remote-server-not-found").await;
    let mut b = Node::join(&net, "b.example", |_| {}).await;
    b.send("a.example", message("v@b.example", "u@a.example", "1"));
    a.expect_up().await;
    a.send("b.example", message("u@a.example", "v@b.example", "2"));
    b.expect_message("2").await;
    a.expect_message("1").await;
    let views = a.views();
    assert!(views.iter().all(|v| v.direction == "both"), "{views:?}");
    assert_eq!(views.len(), 1, "{views:?}");
}
