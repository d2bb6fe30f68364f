// SPDX-License-Identifier: GPL-2.0-or-later
//! Stanzas from the wire into the core: an iq that asks is answered once, unless its domain is not served and the
//! answer is longer, other stanzas at most once, errors never, and what they make the gateway send is legal.

use stox::gateway::Input;
use stox::stanza::{Inbound, LinkName, Stanza};
use stox::xmpp::stream::{Decoder, Limits, Received};
use xmpp_parsers::iq::Iq;

use super::departing;
use super::wire::{APPROVED, ASKS, accepted, notify, subscribe};
use super::world::World;

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' id='i' from='example.net'>";

/// The children of a stream whose peer is trusted.
pub fn run(bytes: &[u8]) {
    let mut world = watching();
    let mut decoder = Decoder::new("jabber:component:accept", Limits::with_stanza(10_000));
    decoder.trust();
    decoder.decode(&mut &*HEADER).unwrap();
    let mut input = bytes;
    while let Ok(Some(received)) = decoder.decode(&mut input) {
        match received {
            Received::Content(element) => match Stanza::from_element(element) {
                Ok(stanza) => take(&mut world, stanza),
                Err(unreadable) => unreadable.reply.iter().for_each(departing::stanza),
            },
            Received::Refused(refused) => refused.reply.iter().for_each(departing::stanza),
            Received::Header(_) | Received::Other(_) | Received::Error(_) => {}
            Received::Closed => break,
        }
    }
}

fn take(world: &mut World, stanza: Stanza) {
    let owed = match &stanza {
        Stanza::Iq(Iq::Get { .. } | Iq::Set { .. }) => Some(1),
        Stanza::Iq(Iq::Result { .. } | Iq::Error { .. }) => Some(0),
        Stanza::Presence(_) | Stanza::Message(_) => None,
    };
    let inbound = Inbound {
        link: LinkName::component("example.net"),
        stanza,
    };
    let before = world.gateway.counters().answers_withheld;
    world.input(Input::Stanza(Box::new(inbound)));
    let withheld = usize::try_from(world.gateway.counters().answers_withheld - before).unwrap();
    let answers = world.stanzas.len() + withheld;
    assert!(
        owed.is_none_or(|owed| owed == answers),
        "{:?}",
        world.stanzas
    );
    for send in std::mem::take(&mut world.sent) {
        departing::request(&send);
        world.result(send.id, 200, "");
    }
    departing::all(world);
}

/// Romeo and Juliet watch each other.
fn watching() -> World {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(APPROVED);
    world.notifies();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
    departing::all(&mut world);
    world
}
