// SPDX-License-Identifier: GPL-2.0-or-later
//! HTML, as XHTML-IM and as plain text (RFC 7572 §7, XEP-0071).
//!
//! In: a text in HTML, however broken. Out: an [`Html`]. Of the markup nothing is left but the elements,
//! attributes and style properties that XEP-0071 §7.8 recommends; other elements are replaced by their content
//! or by one of those, and whole is left out only what nobody is meant to read, such as scripts. Plain text and
//! markup say the same.
//!
//! Images are not shown but named: by their alternative text, or by a link for lack of one. Who reads does not
//! fetch what the sender chose unless they want to (XEP-0071 §11.1 and §11.3). A link whose text does not show
//! where it leads is followed by its address in the plain text (XEP-0071 §11.2).
//!
//! The work grows with the text and no faster: there is one pass over the tokens, and what is open at once is
//! bounded.

mod link;
mod markup;
mod page;
mod plain;
mod style;
mod tag;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use minidom::Element;
use xmpp_parsers::ns;

use page::Page;

/// Elements inside one another, below `<body/>` and above `<br/>`. What is deeper is flattened.
const MAX_DEPTH: usize = 32;

/// Elements in all, each of which takes a hundred times the room of its tag. A text with more is plain.
const MAX_ELEMENTS: usize = 500;

/// A text that was HTML.
#[derive(Debug, Clone, PartialEq)]
pub struct Html {
    /// The plain text, its lines ending with LF; empty if there is nothing to read.
    pub text: String,
    /// `<body xmlns='http://www.w3.org/1999/xhtml'/>`, unless the text has no markup or too much of it.
    pub body: Option<Element>,
    /// The language that it says it is in.
    pub lang: Option<String>,
}

impl Html {
    /// Reads a text.
    pub fn read(source: &str) -> Self {
        let mut page = Page::default();
        let take = |event: CallbackEvent<'_>, _: Span<()>| page.take(event);
        let mut emitter = CallbackEmitter::new(take);
        emitter.naively_switch_states(true);
        let Ok(()) = Tokenizer::new_with_emitter(source, emitter).finish();
        page.finish()
    }
}

/// `<html xmlns='http://jabber.org/protocol/xhtml-im'/>` around bodies. Several need a language each, all
/// different (XEP-0071 §5).
pub fn xhtml_im(bodies: impl IntoIterator<Item = Element>) -> Element {
    Element::builder("html", ns::XHTML_IM)
        .append_all(bodies)
        .build()
}

#[cfg(test)]
mod tests;
