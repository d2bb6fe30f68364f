// SPDX-License-Identifier: GPL-2.0-or-later
//! A multipart cut at its boundary (RFC 2046 §5.1.1).

use super::EntityError;

/// The parts in order, at most `room` of them. What stands before the first delimiter and behind the last is
/// no content. Lines end with CRLF or LF; the end of the line before a delimiter belongs to the delimiter. The
/// closing delimiter may be missing: some forget it, and the length of the body is known without it.
pub(super) fn split<'a>(
    boundary: &str,
    body: &'a [u8],
    room: usize,
) -> Result<Vec<&'a [u8]>, EntityError> {
    if boundary.is_empty() {
        return Err(EntityError::Boundary);
    }
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let delimiter = delimiter(line, boundary);
        if delimiter.is_some() {
            parts.extend(start.map(|start| without_line_end(&body[start..at])));
            start = Some(at + line.len());
        }
        if parts.len() > room {
            return Err(EntityError::Parts);
        }
        at += line.len();
        if delimiter == Some(Delimiter::Closing) {
            start = None;
            break;
        }
    }
    let unclosed = start.map(|start| &body[start..]);
    parts.extend(unclosed.filter(|part| !part.is_empty()));
    match parts.len() {
        0 => Err(EntityError::Boundary),
        count if count > room => Err(EntityError::Parts),
        _ => Ok(parts),
    }
}

#[derive(PartialEq, Eq)]
enum Delimiter {
    Opening,
    Closing,
}

fn delimiter(line: &[u8], boundary: &str) -> Option<Delimiter> {
    let rest = line
        .strip_prefix(b"--")?
        .strip_prefix(boundary.as_bytes())?;
    match rest.trim_ascii() {
        b"" => Some(Delimiter::Opening),
        b"--" if rest.starts_with(b"--") => Some(Delimiter::Closing),
        _ => None,
    }
}

fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}
