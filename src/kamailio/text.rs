// SPDX-License-Identifier: GPL-2.0-or-later
//! Texts on the border: Kamailio's `str` and the hooks' `stox_text`, from and to slices.

use std::ffi::c_char;
use std::ptr;

use super::sys;

/// The bytes of a `str`; none for a null one.
///
/// # Safety
///
/// K3 holds for `text`, and the bytes live as long as the caller lets `'a` be.
pub(super) unsafe fn bytes<'a>(text: sys::str_) -> &'a [u8] {
    match usize::try_from(text.len) {
        // SAFETY: by this function's contract these are that many bytes.
        Ok(length) if !text.s.is_null() => unsafe {
            std::slice::from_raw_parts(text.s.cast::<u8>(), length)
        },
        _ => &[],
    }
}

/// A `str` that borrows; for the length of one call of Kamailio, which takes it as mutable but only reads.
pub(super) fn kamailio(text: &[u8]) -> sys::str_ {
    sys::str_ {
        s: text.as_ptr().cast::<c_char>().cast_mut(),
        // What does not fit is longer than any message Kamailio sends.
        len: i32::try_from(text.len()).unwrap_or(0),
    }
}

/// A `stox_text` that borrows; for the length of one call.
pub(super) fn hook(text: &[u8]) -> sys::stox_text {
    sys::stox_text {
        at: text.as_ptr().cast(),
        length: text.len(),
    }
}

/// An absent `stox_text` or one that borrows.
pub(super) fn hook_option(text: Option<&str>) -> sys::stox_text {
    text.map_or(ABSENT, |text| hook(text.as_bytes()))
}

/// The text that is not there.
pub(super) const ABSENT: sys::stox_text = sys::stox_text {
    at: ptr::null(),
    length: 0,
};

/// The bytes of a `stox_text`, if it is there.
///
/// # Safety
///
/// H1 holds for `text`, and the bytes live as long as the caller lets `'a` be.
pub(super) unsafe fn hook_bytes<'a>(text: sys::stox_text) -> Option<&'a [u8]> {
    if text.at.is_null() {
        return None;
    }
    // SAFETY: by this function's contract these are that many bytes.
    Some(unsafe { std::slice::from_raw_parts(text.at.cast(), text.length) })
}

/// Header fields as they stand in a message; `None` if a name or value would break out of its line.
pub(super) fn header_lines<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Option<Vec<u8>> {
    let mut lines = Vec::with_capacity(256);
    for (name, value) in fields {
        if name.is_empty() || !is_one_line(name) || !is_one_line(value) || name.contains(&b':') {
            return None;
        }
        lines.extend_from_slice(name);
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value);
        lines.extend_from_slice(b"\r\n");
    }
    Some(lines)
}

/// Whether a text can stand in a start line or header without breaking it.
pub(super) fn is_one_line(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_line_break_makes_no_header() {
        let fields: &[(&[u8], &[u8])] = &[(b"Expires", b"60"), (b"Contact", b"<sip:a@b>")];
        let lines = header_lines(fields.iter().copied()).unwrap();
        assert_eq!(lines, b"Expires: 60\r\nContact: <sip:a@b>\r\n");
        assert_eq!(
            header_lines([(&b"A"[..], &b"b\r\nRoute: c"[..])].into_iter()),
            None
        );
        assert_eq!(header_lines([(&b"A: b"[..], &b"c"[..])].into_iter()), None);
    }

    #[test]
    fn null_and_negative_texts_are_empty() {
        let null = sys::str_ {
            s: ptr::null_mut(),
            len: 5,
        };
        let mut letter = b'a';
        let negative = sys::str_ {
            s: (&raw mut letter).cast(),
            len: -1,
        };
        // SAFETY: neither is read from.
        let (null, negative) = (unsafe { bytes(null) }, unsafe { bytes(negative) });
        assert!(null.is_empty() && negative.is_empty());
    }
}
