// SPDX-License-Identifier: GPL-2.0-or-later
//! Content encodings (RFC 3261 §20.12).

use std::io::Read;

use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::EntityError;

/// What is understood, as Accept-Encoding says it (RFC 3261 §20.2).
pub const ENCODINGS: &str = "deflate, gzip, identity";

/// Encodings one upon the other that are undone.
pub(super) const MOST: usize = 4;

/// Undoes encodings, the last one first, by the HTTP formats of these names; `room` is how many bytes may come of that, and becomes how many more may.
pub(super) fn undo(
    encodings: &[String],
    mut bytes: Vec<u8>,
    room: &mut usize,
) -> Result<Vec<u8>, EntityError> {
    if encodings.len() > MOST {
        return Err(EntityError::ContentEncoding);
    }
    for encoding in encodings.iter().rev() {
        bytes = match encoding.to_ascii_lowercase().as_str() {
            "deflate" => read(ZlibDecoder::new(bytes.as_slice()), room)?,
            "gzip" | "x-gzip" => read(GzDecoder::new(bytes.as_slice()), room)?,
            _ => return Err(EntityError::ContentEncoding),
        };
    }
    Ok(bytes)
}

fn read(decoder: impl Read, room: &mut usize) -> Result<Vec<u8>, EntityError> {
    let most = u64::try_from(*room).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One more, to see whether there are more.
    decoder
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|_| EntityError::NotEncoded)?;
    *room = room.checked_sub(bytes.len()).ok_or(EntityError::Inflated)?;
    Ok(bytes)
}
