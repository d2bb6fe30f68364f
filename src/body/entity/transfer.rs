// SPDX-License-Identifier: GPL-2.0-or-later
//! Transfer encodings (RFC 2045 §6).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::EntityError;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether an encoding leaves the bytes as they are.
pub(super) fn is_identity(encoding: Option<&str>) -> bool {
    ["7bit", "8bit", "binary"]
        .iter()
        .any(|known| encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case(known)))
}

/// Undoes an encoding.
pub(super) fn decode(encoding: Option<&str>, bytes: &[u8]) -> Result<Vec<u8>, EntityError> {
    if is_identity(encoding) {
        return Ok(bytes.to_vec());
    }
    match encoding.unwrap_or_default().to_ascii_lowercase().as_str() {
        "base64" => base64(bytes),
        "quoted-printable" => Ok(quoted_printable(bytes)),
        _ => Err(EntityError::TransferEncoding),
    }
}

/// Other characters than white space between the digits speak of damage (RFC 2045 §6.8).
fn base64(bytes: &[u8]) -> Result<Vec<u8>, EntityError> {
    let digits: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    BASE64.decode(digits).map_err(|_| EntityError::NotEncoded)
}

/// What is no escape stays as it is, as RFC 2045 §6.7 advises.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // White space at the end of a line came in on the way.
        let written = line.trim_ascii_end();
        let line_end = match line {
            [.., b'\r', b'\n'] => b"\r\n".as_slice(),
            [.., b'\n'] => b"\n",
            _ => b"",
        };
        if let Some(goes_on) = written.strip_suffix(b"=") {
            unescape(goes_on, &mut out);
        } else {
            unescape(written, &mut out);
            out.extend_from_slice(line_end);
        }
    }
    out
}

fn unescape(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'=', [high, low, after @ ..]) if let Some(byte) = hex(*high, *low) => {
                out.push(byte);
                rest = after;
            }
            _ => out.push(*first),
        }
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
