// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads and Call-IDs (RFC 7572 §4, §5): what is legal as both is the same in both, so that a reply keeps its thread.

use crate::body::is_xml_char;

use super::opaque::{unwrap, wrap};

/// How the Call-IDs of our dialogs begin. No thread becomes such a one: its messages would seem to be of a dialog.
pub const DIALOG: &str = "d-";

/// The Call-ID of a thread's messages; `None` if there is no text in it.
pub fn thread_to_call_id(thread: &str) -> Option<String> {
    let legal = |text: &str| is_call_id(text) && !text.starts_with(DIALOG);
    (!thread.is_empty()).then(|| wrap(thread, legal))
}

/// The thread of the messages with a Call-ID; `None` for one that XML cannot say.
pub fn call_id_to_thread(call_id: &str) -> Option<String> {
    let thread = unwrap(call_id);
    (!thread.is_empty() && thread.chars().all(is_xml_char)).then_some(thread)
}

/// RFC 3261 §25.1: `word [ "@" word ]`.
fn is_call_id(text: &str) -> bool {
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&b))
    };
    match text.split_once('@') {
        Some((word, host)) => is_word(word) && is_word(host),
        None => is_word(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_legal_as_both_is_the_same() {
        for text in [
            "29377446-0CBB-4296-8958-590D79094C50",
            "9E97FB43-85F4-4A00-8751-1124FD4C7B2E",
            "843817637684230@998sdasdh09",
            "e0ffe42b28561960c6d12b944a092794b9683a38",
        ] {
            assert_eq!(thread_to_call_id(text).as_deref(), Some(text));
            assert_eq!(call_id_to_thread(text).as_deref(), Some(text));
        }
        assert_eq!(thread_to_call_id(""), None);
        assert_eq!(call_id_to_thread("a\u{fffe}"), None);
    }

    proptest! {
        #[test]
        fn a_thread_comes_back_and_is_no_dialog(thread in prop_oneof![".{1,20}", "d-[0-9a-f]{32}", "[a-z@ ]{1,9}"]) {
            let call_id = thread_to_call_id(&thread).unwrap();
            prop_assert!(is_call_id(&call_id), "{}", call_id);
            prop_assert!(!call_id.starts_with(DIALOG));
            let back = call_id_to_thread(&call_id);
            prop_assert_eq!(back, thread.chars().all(is_xml_char).then_some(thread));
        }

        #[test]
        fn a_reply_has_the_call_id_of_what_it_answers(call_id in "[a-zA-Z0-9.!%*_+`'~-]{1,30}(@[a-z0-9.-]{1,20})?") {
            prop_assume!(!call_id.starts_with(DIALOG));
            let thread = call_id_to_thread(&call_id).unwrap();
            prop_assert_eq!(thread_to_call_id(&thread), Some(call_id));
        }
    }
}
