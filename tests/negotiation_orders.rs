// SPDX-License-Identifier: GPL-2.0-or-later
//! Every order of elements up to a length, on both sides of a negotiation and from each of its stages, against
//! the reference of the fuzz target `dialback`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[path = "fuzz/src/dialback.rs"]
#[allow(dead_code, reason = "the fuzzer uses the rest")]
pub mod dialback;

use std::collections::BTreeMap;

use dialback::{BEGINNINGS, Play};

/// Events after the beginning.
const LENGTH: usize = 4;

/// What it takes at the least for the orders to have been played, and not to have ended at once.
const PLAYED: usize = 100_000;

#[test]
fn in_no_order_is_anything_proven_that_was_not() {
    let mut played = BTreeMap::new();
    for (letter, ..) in BEGINNINGS {
        let count = every_order(&Play::new(letter).unwrap(), LENGTH);
        played.insert(char::from(letter), count);
    }
    println!("orders from each beginning: {played:?}");
    assert!(played.values().sum::<usize>() > PLAYED, "{played:?}");
}

/// Plays all orders of so many events, a stream that is over being over; tells how many.
fn every_order(play: &Play, length: usize) -> usize {
    if length == 0 {
        return 1;
    }
    play.letters()
        .into_iter()
        .map(|letter| {
            let mut play = play.clone();
            if play.event(letter) {
                every_order(&play, length - 1)
            } else {
                1
            }
        })
        .sum()
}
