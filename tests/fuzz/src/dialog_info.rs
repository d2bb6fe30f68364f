// SPDX-License-Identifier: GPL-2.0-or-later
//! Documents about dialogs, one after the other: what is full stands for itself, what is old changes nothing.

use stox::body::dialog_info::{Calls, DialogInfo, Extent, Taken};

/// Reads the bodies of a subscription, with a form feed between them.
pub fn run(bytes: &[u8]) {
    let mut calls = Calls::default();
    for body in bytes.split(|byte| *byte == b'\x0c') {
        let Ok(document) = DialogInfo::parse(body) else {
            continue;
        };
        let before = calls.clone();
        let taken = calls.take(&document);
        match (taken, document.extent) {
            (Taken::Outdated, _) => assert_eq!(calls, before),
            (Taken::Complete | Taken::Incomplete, Extent::Full) => {
                let mut alone = Calls::default();
                assert_eq!(alone.take(&document), Taken::Complete);
                assert_eq!(calls, alone);
            }
            (Taken::Complete | Taken::Incomplete, Extent::Partial) => {
                let known = calls.clone();
                assert_eq!(calls.take(&document), Taken::Outdated);
                assert_eq!(calls, known);
            }
        }
    }
}
