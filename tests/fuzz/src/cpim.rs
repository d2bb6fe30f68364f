// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages in envelopes: what is read can be written and means the same, in whichever form it came.

use stox::body::cpim::Cpim;

/// Reads one body.
pub fn run(bytes: &[u8]) {
    let Ok(message) = Cpim::parse(bytes) else {
        return;
    };
    let written = message.to_bytes();
    let content = written.len() - message.content.bytes.len();
    let envelope = std::str::from_utf8(&written[..content]).unwrap();
    assert!(envelope.ends_with("\r\n\r\n"));
    for line in envelope.split("\r\n") {
        let whole = |c: char| c == '\t' || !(c.is_control() || "\u{2028}\u{2029}".contains(c));
        assert!(line.chars().all(whole), "{line:?}");
    }
    assert_eq!(Cpim::parse(&written), Ok(message));
}
