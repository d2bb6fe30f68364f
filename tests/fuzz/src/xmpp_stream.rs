// SPDX-License-Identifier: GPL-2.0-or-later
//! Streams: whatever the pieces in which the bytes come, the same is said, and what is built can be written.

use stox::stanza::Stanza;
use stox::xmpp::stream::{Decoder, Limits, Received, StreamError};

use super::departing;

const MAX_STANZA: usize = 1000;

/// The first byte says how the rest is cut and whether the peer is trusted from the start.
pub fn run(bytes: &[u8]) {
    let Some((&how, stream)) = bytes.split_first() else {
        return;
    };
    let trusted = how & 1 == 1;
    let whole = read(stream, stream.len().max(1), trusted);
    let pieces = read(stream, usize::from(how >> 1) + 1, trusted);
    assert_eq!(whole, pieces);
    for received in whole.0 {
        match received {
            Received::Content(element) => match Stanza::from_element(element) {
                Ok(stanza) => departing::stanza(&stanza.into_element()),
                Err(unreadable) => unreadable.reply.iter().for_each(departing::stanza),
            },
            Received::Refused(refused) => refused.reply.iter().for_each(departing::stanza),
            Received::Header(_) | Received::Other(_) | Received::Error(_) | Received::Closed => {}
        }
    }
}

/// Everything said until the end, or until the stream is illegal.
fn read(stream: &[u8], piece: usize, trusted: bool) -> (Vec<Received>, Option<StreamError>) {
    let mut decoder = Decoder::new("jabber:component:accept", Limits::with_stanza(MAX_STANZA));
    if trusted {
        decoder.trust();
    }
    let mut said = Vec::new();
    for mut piece in stream.chunks(piece) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(Received::Closed)) => {
                    said.push(Received::Closed);
                    return (said, None);
                }
                Ok(Some(received)) => said.push(received),
                Ok(None) => break,
                Err(error) => return (said, Some(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (said, None)
}
