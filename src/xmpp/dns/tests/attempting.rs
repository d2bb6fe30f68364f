// SPDX-License-Identifier: GPL-2.0-or-later
//! Connections to where the servers are.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::super::attempts::Attempts;
use super::super::endpoint::Security;
use super::super::steps::Steps;
use super::listening::{live, refusing, silent};
use super::name_server::{Fault, NameServer, PATIENCE};

const STARTTLS: &str = "_xmpp-server._tcp.a.example.";
const DIRECT: &str = "_xmpps-server._tcp.a.example.";

/// Longer than what a machine that is busy takes, shorter than what TCP takes to give up.
const SOON: Duration = Duration::from_secs(5);

async fn attempts(dns: &NameServer) -> Attempts {
    let locator = dns.locator();
    let mut steps = Steps::default();
    let endpoints = locator.locate("a.example", &mut steps).await.unwrap();
    Attempts::new(locator, endpoints, steps)
}

/// The next connection: to which port, and for which kind of TLS.
async fn next(attempts: &mut Attempts) -> Option<(u16, Security)> {
    let connected = timeout(SOON, attempts.next()).await.unwrap()?;
    assert_eq!(connected.stream.peer_addr().unwrap(), connected.peer);
    assert!(connected.stream.nodelay().unwrap());
    assert_eq!(connected.peer.port(), connected.endpoint.port);
    Some((connected.endpoint.port, connected.endpoint.security))
}

fn tcp_steps(attempts: &Attempts) -> Vec<String> {
    let steps = attempts.steps().iter().map(ToString::to_string);
    steps.filter(|step| step.starts_with("TCP")).collect()
}

#[tokio::test]
async fn each_endpoint_is_given_once_in_order() {
    let dns = NameServer::start().await;
    let (_first, first) = live("127.0.0.1").await;
    let (_second, second) = live("127.0.0.1").await;
    dns.srv(DIRECT, 1, first, "x.example.").await;
    dns.srv(STARTTLS, 2, second, "y.example.").await;
    dns.srv(STARTTLS, 3, first, "x.example.").await;
    dns.srv(STARTTLS, 4, second, "x.example.").await;
    for host in ["x.example.", "y.example."] {
        dns.host(host, "127.0.0.1").await;
    }
    let mut attempts = attempts(&dns).await;
    assert_eq!(next(&mut attempts).await, Some((first, Security::Direct)));
    assert_eq!(
        next(&mut attempts).await,
        Some((second, Security::StartTls))
    );
    assert_eq!(next(&mut attempts).await, Some((first, Security::StartTls)));
    assert_eq!(next(&mut attempts).await, None);
    assert_eq!(next(&mut attempts).await, None);
    assert_eq!(attempts.steps().failures(), "");
    assert_eq!(tcp_steps(&attempts).len(), 3);
}

#[tokio::test]
async fn after_a_port_that_refuses_the_next_is_tried_at_once() {
    let dns = NameServer::start().await;
    let (_refusing, dead) = refusing("127.0.8.1");
    let (_live, port) = live("127.0.0.1").await;
    dns.srv(DIRECT, 1, dead, "dead.example.").await;
    dns.srv(STARTTLS, 2, port, "x.example.").await;
    for last in 1..=8 {
        dns.host("dead.example.", &format!("127.0.8.{last}")).await;
    }
    dns.host("x.example.", "127.0.0.1").await;
    let mut attempts = attempts(&dns).await;
    let begin = Instant::now();
    assert_eq!(next(&mut attempts).await, Some((port, Security::StartTls)));
    // One after the other they would take two seconds.
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    let steps = tcp_steps(&attempts);
    assert_eq!(steps.len(), 9);
    let refused = format!("TCP 127.0.8.1:{dead} (direct TLS): Connection refused (os error 111)");
    assert!(steps.contains(&refused), "{steps:?}");
    assert_eq!(
        steps[8],
        format!("TCP 127.0.0.1:{port} (STARTTLS): connected")
    );
    assert!(attempts.steps().failures().contains(&refused));
    assert_eq!(next(&mut attempts).await, None);
}

#[tokio::test]
async fn a_silent_port_is_not_waited_for_alone_and_not_given_up() {
    let dns = NameServer::start().await;
    let (mute, waiting, first) = silent("127.0.0.1").await;
    let (_live, second) = live("127.0.0.1").await;
    dns.srv(STARTTLS, 1, first, "x.example.").await;
    dns.srv(STARTTLS, 2, second, "x.example.").await;
    dns.host("x.example.", "127.0.0.1").await;
    let mut attempts = attempts(&dns).await;
    let begin = Instant::now();
    assert_eq!(
        next(&mut attempts).await,
        Some((second, Security::StartTls))
    );
    assert!(
        begin.elapsed() >= Duration::from_millis(250),
        "{:?}",
        begin.elapsed()
    );

    // The loser of the race has another chance.
    drop(waiting);
    mute.listen(10).unwrap();
    let mute = TcpListener::from_std(std::net::TcpListener::from({
        mute.set_nonblocking(true).unwrap();
        mute
    }))
    .unwrap();
    let accepting = tokio::spawn(async move {
        loop {
            let _ = mute.accept().await;
        }
    });
    assert_eq!(next(&mut attempts).await, Some((first, Security::StartTls)));
    assert_eq!(next(&mut attempts).await, None);
    accepting.abort();
}

#[tokio::test]
async fn ipv6_is_tried_first_and_ipv4_when_it_is_refused() {
    let dns = NameServer::start().await;
    let (_live, port) = live("127.0.0.1").await;
    dns.srv(STARTTLS, 1, port, "x.example.").await;
    dns.host("x.example.", "::1").await;
    dns.host("x.example.", "127.0.0.1").await;
    let mut attempts = attempts(&dns).await;
    assert_eq!(next(&mut attempts).await, Some((port, Security::StartTls)));
    let steps = tcp_steps(&attempts);
    assert!(steps[0].starts_with(&format!("TCP [::1]:{port} (STARTTLS): Connection refused")));
    assert_eq!(
        steps[1],
        format!("TCP 127.0.0.1:{port} (STARTTLS): connected")
    );
    let steps: Vec<_> = attempts.steps().iter().map(ToString::to_string).collect();
    assert!(
        steps.contains(&"A x.example: 127.0.0.1".to_owned()),
        "{steps:?}"
    );
    assert!(
        steps.contains(&"AAAA x.example: ::1".to_owned()),
        "{steps:?}"
    );
}

#[tokio::test]
async fn families_take_turns() {
    let dns = NameServer::start().await;
    let (_refusing, port) = refusing("::1");
    dns.srv(STARTTLS, 1, port, "x.example.").await;
    for address in [
        "::1",
        "::ffff:127.0.9.2",
        "::ffff:127.0.9.3",
        "127.0.9.4",
        "127.0.9.5",
        "127.0.9.6",
    ] {
        dns.host("x.example.", address).await;
    }
    let mut attempts = attempts(&dns).await;
    assert_eq!(next(&mut attempts).await, None);
    let tried: Vec<SocketAddr> = tcp_steps(&attempts)
        .iter()
        .map(|step| step.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(tried.len(), 6);
    assert!(
        tried
            .chunks(2)
            .all(|pair| pair[0].is_ipv6() && pair[1].is_ipv4()),
        "{tried:?}"
    );
}

#[tokio::test]
async fn a_server_with_ipv6_only_is_reached() {
    let dns = NameServer::start().await;
    let (_live, port) = live("::1").await;
    dns.srv(DIRECT, 1, port, "x.example.").await;
    dns.host("x.example.", "::1").await;
    let mut attempts = attempts(&dns).await;
    assert_eq!(next(&mut attempts).await, Some((port, Security::Direct)));
}

#[tokio::test]
async fn ipv4_does_not_wait_long_for_an_answer_about_ipv6() {
    let dns = NameServer::start().await;
    let (_live, port) = live("127.0.0.1").await;
    dns.srv(STARTTLS, 1, port, "x.example.").await;
    dns.host("x.example.", "127.0.0.1").await;
    dns.fail_for("AAAA", Fault::Silence);
    let mut attempts = attempts(&dns).await;
    let begin = Instant::now();
    assert!(next(&mut attempts).await.is_some());
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    assert_eq!(next(&mut attempts).await, None);
}

#[tokio::test]
async fn hosts_without_addresses_are_passed_over_and_told() {
    let dns = NameServer::start().await;
    let (_live, port) = live("127.0.0.1").await;
    dns.srv(STARTTLS, 1, port, "gone.example.").await;
    dns.srv(STARTTLS, 2, port, "anywhere.example.").await;
    dns.srv(STARTTLS, 3, port, "x.example.").await;
    dns.host("anywhere.example.", "0.0.0.0").await;
    dns.host("anywhere.example.", "ff02::1").await;
    dns.host("x.example.", "127.0.0.1").await;
    let mut attempts = attempts(&dns).await;
    assert!(next(&mut attempts).await.is_some());
    assert_eq!(next(&mut attempts).await, None);
    let failures = attempts.steps().failures();
    for host in ["gone", "anywhere"] {
        let told = format!("{host}.example:{port} (STARTTLS): the host has no address");
        assert!(failures.contains(&told), "{failures}");
    }
}

#[tokio::test]
async fn remembered_addresses_serve_when_dns_fails() {
    let dns = NameServer::start().await;
    let (_live, port) = live("127.0.0.1").await;
    dns.srv(STARTTLS, 1, port, "x.example.").await;
    dns.host("x.example.", "127.0.0.1").await;
    let locator = dns.locator();
    for fault in [None, Some(Fault::ServFail), Some(Fault::Silence)] {
        if let Some(fault) = fault {
            dns.fail(fault);
        }
        let mut steps = Steps::default();
        let endpoints = locator.locate("a.example", &mut steps).await.unwrap();
        let mut attempts = Attempts::new(locator.clone(), endpoints, steps);
        assert!(next(&mut attempts).await.is_some(), "{fault:?}");
        // So that all answers have come.
        assert_eq!(next(&mut attempts).await, None);
    }
}

#[tokio::test]
async fn no_more_attempts_are_made_than_is_reasonable() {
    let dns = NameServer::start().await;
    let (_refusing, port) = refusing("127.0.0.1");
    for n in 1..=16 {
        let host = format!("x{n}.example.");
        dns.srv(STARTTLS, n, port, &host).await;
        for last in 1..=4 {
            dns.host(&host, &format!("127.0.{n}.{last}")).await;
        }
    }
    let mut attempts = attempts(&dns).await;
    assert_eq!(next(&mut attempts).await, None);
    assert_eq!(tcp_steps(&attempts).len(), 32);
}

#[tokio::test]
async fn a_call_that_was_given_up_loses_nothing() {
    let dns = NameServer::start().await;
    let (_live, port) = live("127.0.0.1").await;
    dns.srv(STARTTLS, 1, port, "x.example.").await;
    dns.host("x.example.", "127.0.0.1").await;
    let mut attempts = attempts(&dns).await;
    while timeout(Duration::from_micros(50), attempts.next())
        .await
        .is_err()
    {}
    assert_eq!(
        tcp_steps(&attempts),
        [format!("TCP 127.0.0.1:{port} (STARTTLS): connected")]
    );
}

#[tokio::test]
async fn dropping_them_ends_the_attempts() {
    let dns = NameServer::start().await;
    let (mute, waiting, port) = silent("127.0.0.1").await;
    dns.srv(STARTTLS, 1, port, "x.example.").await;
    dns.host("x.example.", "127.0.0.1").await;
    let mut attempts = attempts(&dns).await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    assert!(
        timeout(Duration::from_millis(100), attempts.next())
            .await
            .is_err()
    );
    assert!(tasks() > before);
    drop(attempts);
    let ended = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, ended).await.unwrap();
    drop((mute, waiting));
}
