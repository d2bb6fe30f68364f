// SPDX-License-Identifier: GPL-2.0-or-later
//! The fuzz targets without a fuzzer: on every seed, and on what is spliced from two of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use proptest::prelude::*;
use targets::TARGETS;

#[path = "fuzz/src/lib.rs"]
pub mod targets;

/// Documents of others that serve as seeds too.
const VECTORS: [(&str, &str); 8] = [
    ("cpim", "tests/vectors/cpim"),
    ("cpim", "tests/vectors/rfc3862"),
    ("cpim", "tests/vectors/rfc5438"),
    ("message_status", "tests/vectors/rfc3994"),
    ("pidf", "tests/vectors/pidf"),
    ("sequence", "tests/vectors/pidf"),
    ("sip", "tests/vectors/rfc8048"),
    ("stanza", "tests/vectors/rfc8048"),
];

/// The seeds of a target, with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let own = format!("tests/fuzz/seeds/{target}");
    let others = VECTORS
        .iter()
        .filter(|(name, _)| *name == target)
        .map(|(_, folder)| (*folder).to_owned());
    let mut seeds = Vec::new();
    for folder in std::iter::once(own).chain(others) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            seeds.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds for {target}");
    seeds
}

#[test]
fn every_seed_keeps_the_promises() {
    let mut broken = Vec::new();
    for (target, run) in TARGETS {
        for (name, bytes) in seeds(target) {
            if catch_unwind(|| run(&bytes)).is_err() {
                broken.push(name);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The beginning of one seed, the end of another, and a few bytes of any value.
fn spliced(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<_> = seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
    let one = || proptest::sample::select(seeds.clone());
    let place = any::<proptest::sample::Index>;
    let bytes = proptest::collection::vec(any::<u8>(), 0..4);
    (one(), place(), bytes, one(), place()).prop_map(|(first, to, between, last, from)| {
        let (to, from) = (to.index(first.len() + 1), from.index(last.len() + 1));
        [&first[..to], &between, &last[from..]].concat()
    })
}

#[test]
fn spliced_seeds_keep_the_promises() {
    for (target, run) in TARGETS {
        proptest!(|(bytes in spliced(target))| run(&bytes));
    }
}
