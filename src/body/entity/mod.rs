// SPDX-License-Identifier: GPL-2.0-or-later
//! MIME entities, as SIP messages and message/cpim carry them (RFC 3261 §7.4, RFC 2045, RFC 2046).
//!
//! In: header fields and bytes. Out: an [`Entity`], a leaf with its transfer encoding (RFC 2045 §6) and its content
//! encoding (RFC 3261 §20.12) undone, or a multipart with its parts (RFC 2046 §5.1). What would be read differently by others is an error and not
//! guessed at: a multipart whose boundary is not found, a part whose header is none, digits that are not base64.

mod compression;
mod disposition;
mod fields;
mod media_type;
mod multipart;
mod transfer;

pub use compression::ENCODINGS;
pub use disposition::Disposition;
pub use media_type::MediaType;

use fields::Fields;

/// Multiparts inside one another, the outermost included.
const MAX_DEPTH: usize = 4;

/// Parts in all, multiparts among them.
const MAX_PARTS: usize = 32;

/// Bytes of everything that was compressed, together: the default of `max_body`.
const MAX_INFLATED: usize = 65_536;

/// A body or a part of one, and what its header says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Content-Type; without one, text/plain in UTF-8 (RFC 2045 §5.2, RFC 3261 §7.4.1).
    pub media_type: MediaType,
    /// Content-Language: the first 16 that are language tags.
    pub languages: Vec<String>,
    /// Content-Disposition, if there is one that can be read.
    pub disposition: Option<Disposition>,
    /// What it holds.
    pub content: Content,
}

/// What an [`Entity`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Anything but a multipart, its encodings undone.
    Bytes(Vec<u8>),
    /// The parts of a multipart, at least one.
    Parts(Vec<Entity>),
}

/// Why a body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntityError {
    /// Not `type/subtype`.
    #[error("the media type cannot be read")]
    MediaType,
    /// A Content-Encoding other than [`ENCODINGS`], or more than four.
    #[error("the content is encoded in a way that nobody knows")]
    ContentEncoding,
    /// A Content-Transfer-Encoding that nobody knows, or one that a multipart cannot have (RFC 2045 §6.4).
    #[error("the transfer encoding is unknown")]
    TransferEncoding,
    /// Not what its Content-Transfer-Encoding or Content-Encoding says.
    #[error("the encoding cannot be undone")]
    NotEncoded,
    /// Too much once it is no longer compressed.
    #[error("there are more than {MAX_INFLATED} bytes in what is compressed")]
    Inflated,
    /// A multipart without a boundary, or one that does not contain it.
    #[error("the boundary of the parts is missing")]
    Boundary,
    /// A line in the header of a part that is no field.
    #[error("the header of a part cannot be read")]
    Header,
    /// Too many multiparts inside one another.
    #[error("the parts are nested more than {MAX_DEPTH} deep")]
    Depth,
    /// Too many parts in all.
    #[error("there are more than {MAX_PARTS} parts")]
    Parts,
}

impl Entity {
    /// Reads a body. Names of fields are long and of any case; those that say nothing of the content, and all
    /// but the first where there may be only one, are passed over.
    pub fn read<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Result<Self, EntityError> {
        let mut header = Fields::default();
        for (name, value) in fields {
            header.take(name, value);
        }
        let mut room = Room {
            depth: MAX_DEPTH,
            parts: MAX_PARTS,
            inflated: MAX_INFLATED,
        };
        room.entity(header, body)
    }
}

/// How much more may come.
struct Room {
    depth: usize,
    parts: usize,
    inflated: usize,
}

impl Room {
    fn entity(&mut self, header: Fields, body: &[u8]) -> Result<Entity, EntityError> {
        let media_type = match &header.media_type {
            Some(text) => MediaType::parse(text).ok_or(EntityError::MediaType)?,
            None => MediaType::plain(),
        };
        let encoding = header.transfer_encoding.as_deref();
        if media_type.is_multipart() && !transfer::is_identity(encoding) {
            return Err(EntityError::TransferEncoding);
        }
        let bytes = transfer::decode(encoding, body)?;
        let bytes = compression::undo(&header.encodings, bytes, &mut self.inflated)?;
        let content = if media_type.is_multipart() {
            Content::Parts(self.parts(&media_type, &bytes)?)
        } else {
            Content::Bytes(bytes)
        };
        Ok(Entity {
            media_type,
            languages: header.languages,
            disposition: header.disposition.as_deref().and_then(Disposition::parse),
            content,
        })
    }

    fn parts(&mut self, media_type: &MediaType, body: &[u8]) -> Result<Vec<Entity>, EntityError> {
        let boundary = media_type.param("boundary").unwrap_or_default();
        let parts = multipart::split(boundary, body, self.parts)?;
        self.depth = self.depth.checked_sub(1).ok_or(EntityError::Depth)?;
        self.parts = self.parts.saturating_sub(parts.len());
        let mut entities = Vec::with_capacity(parts.len());
        for part in parts {
            let (header, content) = fields::split(part)?;
            entities.push(self.entity(header, content)?);
        }
        self.depth += 1;
        Ok(entities)
    }
}

#[cfg(test)]
mod tests;
