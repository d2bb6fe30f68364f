// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the servers of a domain are said to be.

use hickory_server::proto::rr::RecordType;
use tokio::time::Instant;

use super::super::locator::{LocateError, Locator};
use super::super::question::Unanswered;
use super::super::steps::Steps;
use super::name_server::{Fault, NameServer, PATIENCE};

/// The endpoints in words, or the error.
async fn located(locator: &Locator, domain: &str) -> Result<Vec<String>, LocateError> {
    located_in_steps(locator, domain).await.0
}

async fn located_in_steps(
    locator: &Locator,
    domain: &str,
) -> (Result<Vec<String>, LocateError>, Vec<String>) {
    let mut steps = Steps::default();
    let endpoints = locator.locate(domain, &mut steps).await;
    let words = endpoints.map(|found| found.iter().map(ToString::to_string).collect());
    (words, steps.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn both_kinds_of_servers_are_found_in_one_order() {
    let dns = NameServer::start().await;
    dns.srv("_xmpp-server._tcp.a.example.", 10, 5269, "x1.example.")
        .await;
    dns.srv("_xmpp-server._tcp.a.example.", 30, 5269, "X3.Example.")
        .await;
    dns.srv("_xmpps-server._tcp.a.example.", 20, 5270, "x2.example.")
        .await;
    let (endpoints, steps) = located_in_steps(&dns.locator(), "A.Example").await;
    assert_eq!(
        endpoints.unwrap(),
        [
            "x1.example:5269 (STARTTLS)",
            "x2.example:5270 (direct TLS)",
            "x3.example:5269 (STARTTLS)"
        ]
    );
    assert_eq!(
        steps[0],
        "SRV _xmpps-server._tcp.a.example: x2.example:5270 (priority 20, weight 0)"
    );
    let both = "SRV _xmpp-server._tcp.a.example: x1.example:5269 (priority 10, weight 0), ";
    assert!(steps[1].starts_with(both), "{steps:?}");
    assert_eq!(steps.len(), 2);
}

#[tokio::test]
async fn an_internationalised_domain_is_asked_for_in_a_labels() {
    let dns = NameServer::start().await;
    let service = "_xmpp-server._tcp.xn--bcher-kva.example.";
    dns.srv(service, 1, 5269, "x.example.").await;
    let endpoints = located(&dns.locator(), "Bücher.example").await.unwrap();
    assert_eq!(endpoints, ["x.example:5269 (STARTTLS)"]);
}

#[tokio::test]
async fn records_behind_an_alias_are_found() {
    let dns = NameServer::start().await;
    dns.alias(
        "_xmpp-server._tcp.a.example.",
        "_xmpp-server._tcp.b.example.",
    )
    .await;
    dns.alias(
        "_xmpp-server._tcp.b.example.",
        "_xmpp-server._tcp.c.example.",
    )
    .await;
    dns.srv("_xmpp-server._tcp.c.example.", 1, 5269, "x.example.")
        .await;
    dns.host("x.example.", "127.0.0.1").await;
    let endpoints = located(&dns.locator(), "a.example").await.unwrap();
    assert_eq!(endpoints, ["x.example:5269 (STARTTLS)"]);
}

#[tokio::test]
async fn aliases_in_a_circle_end() {
    let dns = NameServer::start().await;
    dns.alias(
        "_xmpp-server._tcp.a.example.",
        "_xmpp-server._tcp.b.example.",
    )
    .await;
    dns.alias(
        "_xmpp-server._tcp.b.example.",
        "_xmpp-server._tcp.a.example.",
    )
    .await;
    let found = located(&dns.locator(), "a.example").await;
    assert!(found.is_err(), "{found:?}");
}

#[tokio::test]
async fn a_domain_without_records_is_its_own_server() {
    let dns = NameServer::start().await;
    dns.host("four.example.", "127.0.0.1").await;
    dns.host("six.example.", "::1").await;
    let locator = dns.locator();
    for domain in ["four.example", "six.example"] {
        let expected = format!("{domain}:5269 (STARTTLS)");
        assert_eq!(located(&locator, domain).await.unwrap(), [expected]);
    }
}

#[tokio::test]
async fn a_service_that_is_not_available_is_not_looked_for_elsewhere() {
    let dns = NameServer::start().await;
    for (service, domain) in [
        ("_xmpp-server", "a"),
        ("_xmpps-server", "b"),
        ("_xmpp-server", "c"),
        ("_xmpps-server", "c"),
    ] {
        let owner = format!("{service}._tcp.{domain}.example.");
        dns.srv(&owner, 0, 0, ".").await;
    }
    let locator = dns.locator();
    for domain in ["a", "b", "c"] {
        dns.host(&format!("{domain}.example."), "127.0.0.1").await;
        let (found, steps) = located_in_steps(&locator, &format!("{domain}.example")).await;
        assert_eq!(found, Err(LocateError::NotAvailable), "{domain}");
        assert!(steps.iter().any(|step| step.ends_with(": not available")));
    }

    let other = "_xmpp-server._tcp.b.example.";
    dns.srv(other, 1, 5269, "x.example.").await;
    let found = located(&dns.locator(), "b.example").await;
    assert_eq!(found.unwrap(), ["x.example:5269 (STARTTLS)"]);
}

#[tokio::test]
async fn records_that_no_connection_can_be_made_to_are_no_servers() {
    let dns = NameServer::start().await;
    dns.srv("_xmpp-server._tcp.a.example.", 1, 0, "x.example.")
        .await;
    let found = located(&dns.locator(), "a.example").await;
    assert_eq!(found, Err(LocateError::NotAvailable));
}

#[tokio::test]
async fn no_name_and_no_server_are_told_apart_and_final() {
    let dns = NameServer::start().await;
    dns.alias("www.some.example.", "elsewhere.example.").await;
    let locator = dns.locator();
    for (domain, expected) in [
        ("none.example", LocateError::NoDomain),
        ("some.example", LocateError::NoServer),
        ("192.0.2.1", LocateError::NotADomain),
        ("::1", LocateError::NotADomain),
    ] {
        let found = located(&locator, domain).await;
        assert_eq!(found, Err(expected.clone()), "{domain}");
        assert!(!expected.is_temporary());
    }
}

#[tokio::test]
async fn failing_dns_is_temporary_and_says_how_it_fails() {
    for (fault, why) in [
        (
            Fault::ServFail,
            Unanswered::Error("Server Failure".to_owned()),
        ),
        (Fault::Silence, Unanswered::Timeout),
    ] {
        let dns = NameServer::start().await;
        dns.fail(fault);
        let begin = Instant::now();
        let (found, steps) = located_in_steps(&dns.locator(), "a.example").await;
        let error = found.unwrap_err();
        assert_eq!(error, LocateError::Unanswered(why.clone()), "{fault:?}");
        assert!(error.is_temporary());
        assert_eq!(steps.len(), 4, "{steps:?}");
        assert!(steps.iter().all(|step| step.ends_with(&format!(": {why}"))));
        // Both questions of a pair at once.
        assert!(begin.elapsed() < PATIENCE * 3, "{:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn one_of_several_dns_servers_is_enough() {
    for fault in [Fault::ServFail, Fault::Silence] {
        for failing in [0, 1] {
            let servers = [NameServer::start().await, NameServer::start().await];
            let good = &servers[1 - failing];
            good.srv("_xmpp-server._tcp.a.example.", 1, 5269, "x.example.")
                .await;
            servers[failing].fail(fault);
            let locator = NameServer::locator_of(&[&servers[0], &servers[1]]);
            for round in 0..5 {
                let found = located(&locator, "a.example").await;
                assert!(found.is_ok(), "{fault:?} {failing} {round}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_listens_where_dns_should_be() {
    let dns = NameServer::start().await;
    let locator = dns.locator();
    drop(dns);
    let error = located(&locator, "a.example").await.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
}

#[tokio::test]
async fn the_last_good_answer_stands_in_for_failing_dns() {
    for fault in [Fault::ServFail, Fault::Silence] {
        let dns = NameServer::start().await;
        dns.srv("_xmpp-server._tcp.a.example.", 1, 5269, "x.example.")
            .await;
        let locator = dns.locator();
        let before = located(&locator, "a.example").await;
        assert!(before.is_ok());
        dns.fail(fault);
        let (after, steps) = located_in_steps(&locator, "a.example").await;
        assert_eq!(after, before, "{fault:?}");
        assert!(steps[0].contains("(remembered: "), "{steps:?}");
        assert!(steps[1].contains("(remembered: "), "{steps:?}");
        // Another domain, which was not asked for before, gains nothing.
        let other = located(&locator, "b.example").await.unwrap_err();
        assert!(other.is_temporary());
    }
}

#[tokio::test]
async fn a_domain_that_went_is_not_remembered() {
    let dns = NameServer::start().await;
    dns.host("a.example.", "127.0.0.1").await;
    let locator = dns.locator();
    assert!(located(&locator, "a.example").await.is_ok());
    dns.forget("a.example.", RecordType::A).await;
    let found = located(&locator, "a.example").await;
    assert_eq!(found, Err(LocateError::NoDomain));
}

#[tokio::test]
async fn the_addresses_are_tried_where_dns_fails_for_srv_alone() {
    let dns = NameServer::start().await;
    dns.host("a.example.", "127.0.0.1").await;
    dns.fail_for("SRV", Fault::ServFail);
    let locator = dns.locator();
    let found = located(&locator, "a.example").await;
    assert_eq!(found.unwrap(), ["a.example:5269 (STARTTLS)"]);
    let error = located(&locator, "none.example").await.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
}

#[tokio::test]
async fn one_kind_of_records_is_enough_but_does_not_speak_for_the_other() {
    let dns = NameServer::start().await;
    dns.srv("_xmpp-server._tcp.a.example.", 1, 5269, "x.example.")
        .await;
    dns.srv("_xmpp-server._tcp.b.example.", 0, 0, ".").await;
    dns.fail_for("SRV _xmpps-server", Fault::ServFail);
    let locator = dns.locator();
    let found = located(&locator, "a.example").await;
    assert_eq!(found.unwrap(), ["x.example:5269 (STARTTLS)"]);
    let error = located(&locator, "b.example").await.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
}

#[tokio::test]
async fn an_answer_too_long_for_udp_comes_over_tcp() {
    let dns = NameServer::start().await;
    let long = "l".repeat(60);
    for n in 0..60 {
        let target = format!("{long}.{long}.x{n}.example.");
        dns.srv("_xmpp-server._tcp.a.example.", n, 5269, &target)
            .await;
    }
    let endpoints = located(&dns.locator(), "a.example").await.unwrap();
    assert!(endpoints.len() >= 16, "{}", endpoints.len());
    assert_eq!(dns.over_tcp(), 1);
}

#[tokio::test]
async fn the_system_configuration_makes_a_locator() {
    let located = Locator::new(&[]);
    assert!(located.is_ok(), "{:?}", located.err());
}
