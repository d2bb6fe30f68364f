// SPDX-License-Identifier: GPL-2.0-or-later
//! Values to datagrams and back.

use serde::{Deserialize, Serialize};

use super::{Command, ToGateway};

/// The first byte of every frame. Both ends come from one file, so another version is a programming error
/// that must be seen, not interpreted.
pub const VERSION: u8 = 1;

/// The largest frame, in bytes: a message and what is said about it.
pub const MAX_FRAME: usize = 128 * 1024;

/// The largest SIP message that a frame is made for, in bytes: a body of 64 KiB and its headers.
pub const MAX_MESSAGE: usize = 80 * 1024;

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than its kind may be.
    #[error("frame of {0} bytes is too large")]
    TooLarge(usize),
    /// Another version, or none.
    #[error("frame version {0:?} is not known")]
    Version(Option<u8>),
    /// Not a value of the expected type, or bytes left over.
    #[error("frame cannot be decoded")]
    Malformed,
}

pub(super) fn encode<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>, FrameError> {
    let frame = postcard::to_extend(value, vec![VERSION]).map_err(|_| FrameError::Malformed)?;
    if frame.len() > limit {
        return Err(FrameError::TooLarge(frame.len()));
    }
    Ok(frame)
}

pub(super) fn decode<'a, T: Deserialize<'a>>(
    frame: &'a [u8],
    limit: usize,
) -> Result<T, FrameError> {
    if frame.len() > limit {
        return Err(FrameError::TooLarge(frame.len()));
    }
    let (&version, rest) = frame.split_first().ok_or(FrameError::Version(None))?;
    if version != VERSION {
        return Err(FrameError::Version(Some(version)));
    }
    let (value, rest) = postcard::take_from_bytes(rest).map_err(|_| FrameError::Malformed)?;
    if !rest.is_empty() {
        return Err(FrameError::Malformed);
    }
    Ok(value)
}

impl ToGateway {
    /// To one datagram.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        encode(self, MAX_FRAME)
    }

    /// From one datagram.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        decode(frame, MAX_FRAME)
    }
}

impl Command {
    /// To one datagram.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        encode(self, MAX_FRAME)
    }

    /// From one datagram.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        decode(frame, MAX_FRAME)
    }
}

/// Byte strings as one run of bytes instead of a sequence of numbers.
pub(super) mod bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Reply, Slot};
    use super::*;

    fn reply() -> Command {
        Command::Reply(Reply {
            slot: Slot {
                index: 3,
                counter: 9,
            },
            status: 200,
            reason: "OK".into(),
            to_tag: Some("ur93".into()),
            headers: vec![("Expires".into(), "3600".into())],
            body: vec![0, 1, 255],
        })
    }

    #[test]
    fn a_command_survives_the_trip() {
        let frame = reply().encode().unwrap();
        assert_eq!(Command::decode(&frame), Ok(reply()));
    }

    #[test]
    fn another_version_and_trailing_bytes_are_refused() {
        let mut frame = reply().encode().unwrap();
        frame.push(0);
        assert_eq!(Command::decode(&frame), Err(FrameError::Malformed));
        frame.pop();
        frame[0] = VERSION + 1;
        assert_eq!(
            Command::decode(&frame),
            Err(FrameError::Version(Some(VERSION + 1)))
        );
        assert_eq!(Command::decode(&[]), Err(FrameError::Version(None)));
    }

    #[test]
    fn a_frame_that_is_too_large_is_not_made() {
        let Command::Reply(mut large) = reply() else {
            unreachable!()
        };
        large.body = vec![0; MAX_FRAME];
        assert!(matches!(
            Command::Reply(large).encode(),
            Err(FrameError::TooLarge(_))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut frame = vec![VERSION];
            frame.extend(bytes);
            let _ = Command::decode(&frame);
            let _ = ToGateway::decode(&frame);
        }
    }
}
