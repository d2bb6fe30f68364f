// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames of every kind: what can be read can be written, and reads back as the same.

use std::fmt::Debug;

use stox::frame::{Answer, Command, FrameError, Question, ToGateway};

/// Reads one datagram as each kind of frame.
pub fn run(bytes: &[u8]) {
    returns(bytes, ToGateway::decode, ToGateway::encode);
    returns(bytes, Command::decode, Command::encode);
    returns(bytes, Question::decode, Question::encode);
    returns(bytes, Answer::decode, Answer::encode);
}

fn returns<T: Debug + PartialEq>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, FrameError>,
    encode: fn(&T) -> Result<Vec<u8>, FrameError>,
) {
    let Ok(value) = decode(bytes) else {
        return;
    };
    let frame = encode(&value).unwrap();
    // Numbers may have been written longer than need be.
    assert!(frame.len() <= bytes.len());
    assert_eq!(decode(&frame), Ok(value));
}
