// SPDX-License-Identifier: GPL-2.0-or-later
//! A server beyond Kamailio wants to know who subscribes (RFC 3261 §22.2).

use stox::record::{AuthorizationState, Direction};

use crate::wire::{APPROVED, ASKS, LEAVES, accepted, header, notify, response, state, subscribe};
use crate::world::World;

const CREDENTIAL: (&str, &str) = ("credential", "realm=b.example;user=gateway;password=secret");
const ASKED: &str = "WWW-Authenticate: Digest realm=\"b.example\", nonce=\"n1\", qop=\"auth\"\n";
const PROXY: &str = "Proxy-Authenticate: Basic realm=\"b.example\"\n\
                     Proxy-Authenticate: Digest realm=\"other.example\", nonce=\"n1\"\n\
                     Proxy-Authenticate: Digest realm=\"b.example\", nonce=\"n2\"\n";

#[test]
fn a_challenge_is_answered_once_in_the_same_dialog() {
    for (status, asked, name, nonce) in [
        (401, ASKED, "Authorization", "nonce=\"n1\""),
        (407, PROXY, "Proxy-Authorization", "nonce=\"n2\""),
    ] {
        let mut world = World::with(&[CREDENTIAL]);
        world.xmpp(ASKS);
        let first = world.sent_one();
        assert_eq!(header(&first, name), "");
        let challenge = response(&first, &format!("{status} Who"), "x", asked);
        world.result(first.id, status, &challenge);
        let second = world.sent_one();
        assert_eq!(
            (&second.call_id, &second.from_tag, second.cseq),
            (&first.call_id, &first.from_tag, first.cseq + 1)
        );
        assert_eq!(second.to_tag, None);
        assert_eq!(header(&second, "Expires"), "3600");
        let answer = header(&second, name);
        assert!(answer.contains(nonce), "{answer}");
        assert!(answer.contains("username=\"gateway\"") && !answer.contains("secret"));
        assert!(answer.contains("uri=\"sip:romeo@example.net\""));

        // Refreshes and the end are challenged as well.
        world.result(second.id, 200, &accepted(&second));
        let open = notify(&second, 1, "ffd2", "active;expires=3600", Some("open"));
        assert_eq!(world.sip(&open).status, 200);
        let refresh = world.next_refresh();
        world.result(
            refresh.id,
            status,
            &response(&refresh, &format!("{status} Who"), "ffd2", asked),
        );
        let again = world.sent_one();
        assert!(!header(&again, name).is_empty());
        assert_eq!(again.to_tag.as_deref(), Some("ffd2"));
        world.result(again.id, 200, &accepted(&again));
        world.said();
        world.xmpp(LEAVES);
        let end = world.sent_one();
        world.result(
            end.id,
            status,
            &response(&end, &format!("{status} Who"), "ffd2", asked),
        );
        assert!(
            !world
                .said()
                .contains(&"unsubscribed romeo@example.net>juliet@example.com".into())
        );
        let last = world.sent_one();
        assert_eq!(header(&last, "Expires"), "0");
        world.result(last.id, 200, &accepted(&last));
        assert_eq!(
            world.said(),
            ["unsubscribed romeo@example.net>juliet@example.com"]
        );
    }
}

#[test]
fn a_challenge_that_cannot_be_met_ends_no_authorisation() {
    let wrong = ASKED.replace("b.example", "c.example");
    for (parameters, asked, tries) in [
        (&[][..], ASKED, 0),
        (&[CREDENTIAL][..], ASKED, 1),
        (&[CREDENTIAL][..], wrong.as_str(), 0),
        (&[CREDENTIAL][..], "", 0),
    ] {
        let mut world = World::with(parameters);
        world.xmpp(ASKS);
        let mut send = world.sent_one();
        for _ in 0..tries {
            world.result(send.id, 401, &response(&send, "401 Who", "x", asked));
            send = world.sent_one();
        }
        world.result(send.id, 401, &response(&send, "401 Who", "x", asked));
        assert!(world.sent.is_empty());
        assert!(world.said().is_empty());
        assert_eq!(
            world.authorization(Direction::ToSip),
            Some(AuthorizationState::Pending)
        );
        let later = world.next_sent(60);
        assert_ne!(later.call_id, send.call_id);
    }
}

#[test]
fn a_phone_may_ask_who_notifies() {
    let mut world = World::with(&[CREDENTIAL, ("notify_interval", "0")]);
    world.sip(&subscribe(1, "", ""));
    let first = world.sent_one();
    world.result(first.id, 401, &response(&first, "401 Who", "x", ASKED));
    let second = world.sent_one();
    assert_eq!(
        (second.method.as_str(), second.cseq),
        ("NOTIFY", first.cseq + 1)
    );
    assert_eq!(state(&second), state(&first));
    assert!(header(&second, "Authorization").contains("nonce=\"n1\""));
    world.result(second.id, 200, "");
    world.xmpp(APPROVED);
    let third = world.sent_one();
    assert_eq!(header(&third, "Authorization"), "");
    for _ in 0..2 {
        let send = if world.sent.is_empty() {
            third.clone()
        } else {
            world.sent_one()
        };
        world.result(send.id, 401, &response(&send, "401 Who", "x", ASKED));
    }
    assert!(world.sent.is_empty(), "once for each");
    assert_eq!(
        world.authorization(Direction::ToXmpp),
        Some(AuthorizationState::Granted)
    );
}
