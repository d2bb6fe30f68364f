// SPDX-License-Identifier: GPL-2.0-or-later
//! The name of one operation, carried through SIP and XMPP so that whatever comes back is known again.

use std::fmt;

/// Which operation of which measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The measurement.
    pub(crate) run: u64,
    /// The operation in it.
    pub(crate) number: usize,
}

impl Mark {
    /// The first mark in a text.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let mut from = 0;
        while let Some(at) = text[from..].find("mark-") {
            from += at + "mark-".len();
            if let Some(mark) = Self::read(&text[from..]) {
                return Some(mark);
            }
        }
        None
    }

    fn read(text: &str) -> Option<Self> {
        let (run, rest) = text.split_once('-')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        Some(Self {
            run: run.parse().ok()?,
            number: rest[..digits].parse().ok()?,
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mark-{}-{}", self.run, self.number)
    }
}
