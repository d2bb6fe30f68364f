// SPDX-License-Identifier: GPL-2.0-or-later
//! Bodies of messages: what is read of a MIME entity is bounded, and its texts are what XML can carry.

use stox::body::entity::{Content, Entity};
use stox::body::is_xml_char;
use stox::body::text::decode;

/// What is compressed becomes no more than that, in all.
const INFLATED: usize = 65_536;

/// Reads a header, an empty line and a body.
pub fn run(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (header, body) = bytes.split_at(end.map_or(0, |end| end + 2));
    let header = String::from_utf8_lossy(header);
    let fields = header.lines().filter_map(|line| line.split_once(':'));
    if let Ok(entity) = Entity::read(fields, body) {
        let (parts, size) = measure(&entity, 4);
        let most = body.len() + INFLATED;
        assert!(parts <= 33 && size <= most, "{parts} {size}");
    }
}

/// How many entities there are, and the bytes of their contents.
fn measure(entity: &Entity, depth: usize) -> (usize, usize) {
    match &entity.content {
        Content::Bytes(bytes) => {
            if let Ok(text) = decode(bytes, entity.media_type.param("charset")) {
                assert!(text.chars().all(|c| is_xml_char(c) && c != '\r'));
            }
            (1, bytes.len())
        }
        Content::Parts(parts) => {
            assert!(depth > 0 && !parts.is_empty());
            let measures = parts.iter().map(|part| measure(part, depth - 1));
            measures.fold((1, 0), |(count, size), (more, larger)| {
                (count + more, size + larger)
            })
        }
    }
}
