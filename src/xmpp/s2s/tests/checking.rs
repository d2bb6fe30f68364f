// SPDX-License-Identifier: GPL-2.0-or-later
//! What a check finds of gateways that are as they should be, and of others.

use super::node::{Certificate, Net, Node};

use crate::config::Dialback;
use crate::xmpp::s2s::Outcome::{Doubtful, Failed, Ok};
use crate::xmpp::s2s::{CheckError, CheckStep, Outcome, Report};

/// The steps of one name.
fn of<'a>(steps: &'a [CheckStep], name: &str) -> Vec<&'a CheckStep> {
    steps.iter().filter(|step| step.step == name).collect()
}

/// The one step of a name, which has this outcome and says this.
fn one<'a>(steps: &'a [CheckStep], name: &str, outcome: Outcome, says: &str) -> &'a CheckStep {
    let [step] = of(steps, name)[..] else {
        panic!("not one {name}: {steps:#?}");
    };
    assert_eq!(step.outcome, outcome, "{steps:#?}");
    assert!(step.detail.contains(says), "{says}: {steps:#?}");
    step
}

/// Whatever is wrong comes with what to do.
fn failures(steps: &[CheckStep]) -> Vec<&'static str> {
    let failed: Vec<_> = steps.iter().filter(|step| step.outcome != Ok).collect();
    for step in &failed {
        assert!(step.step == "result" || !step.mend.is_empty(), "{step:?}");
    }
    failed.into_iter().map(|step| step.step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_with_a_good_peer() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |_| {}).await;
    let mut b = Node::join(&net, "b.example", |n| n.direct = true).await;
    for text in ["b.example", "B.Example", "a.example/b.example"] {
        let steps = a.check(text).await;
        assert_eq!(failures(&steps), [] as [&str; 0], "{steps:#?}");
        let own = one(&steps, "own certificate", Ok, "names a.example; issued by ");
        assert_eq!(own.target, "a.example");
        let tcp = one(&steps, "tcp", Ok, "connected");
        assert!(tcp.target.ends_with(" (direct TLS)"), "{tcp:?}");
        one(&steps, "tls", Ok, "TLSv1.3");
        one(&steps, "certificate", Ok, "names b.example; issued by ");
        one(&steps, "offer", Ok, "EXTERNAL, dialback");
        one(&steps, "authentication", Ok, "for a.example");
        let result = one(&steps, "result", Ok, "authenticated by external");
        assert_eq!(result.target, "a.example/b.example");
    }
    b.settle(|views| views.is_empty()).await;
    b.expect_nothing();
    assert!(a.views().is_empty(), "a check makes no link");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_not_there_is_told() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |_| {}).await;
    let steps = a.check("nobody.example").await;
    assert_eq!(failures(&steps), ["dns", "result"]);
    let dns = of(&steps, "dns");
    assert!(
        dns[0]
            .target
            .starts_with("SRV _xmpps-server._tcp.nobody.example"),
        "{dns:?}"
    );
    assert_eq!(dns.last().unwrap().detail, "there is no such domain in DNS");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_is_tried_and_a_closed_port_is_told() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |_| {}).await;
    let b = Node::join(&net, "b.example", |n| n.dead_direct = true).await;
    let steps = a.check("b.example").await;
    assert_eq!(failures(&steps), ["tcp"]);
    let tcp = of(&steps, "tcp");
    assert_eq!(tcp.len(), 2, "{steps:#?}");
    assert!(
        tcp[0].detail.contains("refused") && tcp[0].mend.contains("firewall"),
        "{tcp:?}"
    );
    one(&steps, "result", Ok, "external");

    b.leave().await;
    let steps = a.check("b.example").await;
    assert_eq!(failures(&steps), ["tcp", "tcp", "result"]);
    one(
        &steps,
        "result",
        Failed,
        "no server of the domain can be reached",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_told_and_what_it_means() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |_| {}).await;
    let strict = Node::join(&net, "strict.example", |n| {
        n.config.dialback = Dialback::Off
    })
    .await;
    for (kind, domain, says) in [
        (
            Certificate::WrongName,
            "b.example",
            "names other.example, not b.example",
        ),
        (Certificate::Expired, "c.example", "expired on 2021-01-01"),
        (Certificate::Stranger, "d.example", "leads to no trusted CA"),
    ] {
        let _other = Node::join(&net, domain, |n| n.certificate = kind).await;
        let steps = a.check(domain).await;
        one(&steps, "certificate", Doubtful, says);
        one(&steps, "result", Ok, "external");
        let steps = strict.check(domain).await;
        one(&steps, "certificate", Failed, says);
        one(&steps, "result", Failed, says);
        assert!(of(&steps, "authentication").is_empty(), "{steps:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_dialback_only_is_told() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |n| n.certificate = Certificate::Stranger).await;
    let _b = Node::join(&net, "b.example", |_| {}).await;
    let _strict = Node::join(&net, "strict.example", |n| {
        n.config.dialback = Dialback::Off
    })
    .await;
    let steps = a.check("b.example").await;
    assert_eq!(failures(&steps), ["own certificate", "offer"]);
    one(
        &steps,
        "own certificate",
        Doubtful,
        "leads to no trusted CA",
    );
    let step = one(&steps, "authentication", Ok, "for a.example");
    assert!(step.target.ends_with("by dialback"), "{step:?}");
    one(&steps, "result", Ok, "dialback");
    let steps = a.check("strict.example").await;
    assert_eq!(failures(&steps).last(), Some(&"result"), "{steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_find_of_us_is_told() {
    let net = Net::new().await;
    let mut lost = Node::join(&net, "lost.example", |n| n.published = false).await;
    let steps = lost.check("lost.example").await;
    assert_eq!(failures(&steps), ["own dns"]);
    let mend = &steps.last().unwrap().mend;
    assert!(
        mend.contains("_xmpp-server._tcp.lost.example. IN SRV"),
        "{mend}"
    );
    lost.expect_nothing();

    let b = Node::join(&net, "b.example", |n| {
        n.certificate = Certificate::WrongName;
        n.dead_direct = true;
        n.allowed = vec!["c.example"];
    })
    .await;
    let steps = b.check("b.example").await;
    assert_eq!(failures(&steps), ["own certificate", "own dns"]);
    let steps = b.check("lost.example").await;
    assert_eq!(
        failures(&steps)[2..],
        ["policy", "dns", "result"],
        "{steps:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_refused() {
    let net = Net::new().await;
    let a = Node::join(&net, "a.example", |_| {}).await;
    let ask = |text: &str| -> Result<Option<Report>, CheckError> { a.federation().check(text) };
    for text in ["", "u@b.example", "a b", "a/b/c", "a.example/"] {
        assert_eq!(ask(text).unwrap_err(), CheckError::NotADomain, "{text:?}");
    }
    let foreign = ask("b.example/c.example").unwrap_err();
    assert_eq!(foreign, CheckError::NotOurs("b.example".to_owned()));
    for n in 0..4 {
        assert!(ask(&format!("n{n}.example")).unwrap().is_none());
    }
    assert_eq!(ask("n4.example").unwrap_err(), CheckError::Busy);
    a.check("n0.example").await;
    assert!(ask("n4.example").unwrap().is_none(), "there is room again");
}
