// SPDX-License-Identifier: GPL-2.0-or-later
//! The characters that XML 1.0 can carry.

/// Whether XML 1.0 can carry a character at all: not as itself, nor as a reference, are there control
/// characters other than tab, line feed and carriage return, U+FFFE or U+FFFF.
pub fn is_xml_char(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => c >= ' ',
    }
}
