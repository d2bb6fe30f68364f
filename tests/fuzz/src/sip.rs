// SPDX-License-Identifier: GPL-2.0-or-later
//! SIP messages as a worker or a tm callback hands them over: each request is answered once, each result is
//! taken, and what they make the gateway send is legal.

use stox::frame::{Flow, HandedOver, Outcome, Protocol, Send, Slot};
use stox::gateway::Input;
use stox::runtime::parse;
use stox::sip::Status;

use super::departing;
use super::wire::{ASKS, PROBES};
use super::world::World;

/// The message, first as a request, then as the response to a SUBSCRIBE of the gateway's.
pub fn run(bytes: &[u8]) {
    status(bytes);
    answer(bytes);
}

/// The status that the message gets as a request to a gateway that subscribes to Romeo for Juliet; `$CALL`
/// and `$TAG` in it stand for the Call-ID and the tag of that subscription.
pub fn status(bytes: &[u8]) -> u16 {
    let (mut world, subscribe) = asking();
    let handed = HandedOver {
        slot: Slot {
            index: 1,
            counter: 1,
        },
        raw: fill(bytes, &subscribe),
        request_uri: None,
        contact: None,
        flow: Flow {
            protocol: Protocol::Udp,
            peer: "198.51.100.7:5070".parse().unwrap(),
            local: "192.0.2.9:5060".parse().unwrap(),
            connection: 0,
        },
        authenticated: true,
    };
    match parse::request(handed) {
        Err(refusal) => {
            departing::reply(&refusal);
            refusal.status
        }
        Ok(request) => {
            let status = world.request(request).status;
            go_on(&mut world);
            status
        }
    }
}

/// The message comes back for the gateway's own SUBSCRIBE, whatever it is.
fn answer(bytes: &[u8]) {
    let (mut world, subscribe) = asking();
    let mut result = parse::result(Outcome {
        id: subscribe.id,
        status: 408,
        raw: Some(fill(bytes, &subscribe)),
    });
    if let Some(response) = &result.response {
        result.status = response.status;
    }
    result.status = Status(result.status.0.max(200));
    world.input(Input::Result(result));
    go_on(&mut world);
}

fn asking() -> (World, Send) {
    let mut world = World::new();
    world.xmpp(ASKS);
    let subscribe = world.sent_one();
    (world, subscribe)
}

/// What the message has led to becomes visible when Juliet logs in and time passes.
fn go_on(world: &mut World) {
    departing::all(world);
    world.pass(61);
    world.xmpp(PROBES);
    departing::all(world);
    world.pass(4000);
    departing::all(world);
}

fn fill(bytes: &[u8], subscribe: &Send) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"$CALL") {
            out.extend_from_slice(subscribe.call_id.as_bytes());
            rest = after;
        } else if let Some(after) = rest.strip_prefix(b"$TAG") {
            out.extend_from_slice(subscribe.from_tag.as_bytes());
            rest = after;
        } else {
            out.push(first);
            rest = after;
        }
    }
    out
}
