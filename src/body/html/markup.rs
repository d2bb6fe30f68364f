// SPDX-License-Identifier: GPL-2.0-or-later
//! The XHTML-IM of a page, as it grows.

use std::mem::take;

use minidom::Element;
use xmpp_parsers::ns;

use super::MAX_ELEMENTS;

/// A body, the elements that are open in it, and what stands between them and the text to come.
#[derive(Debug)]
pub(super) struct Markup {
    body: Element,
    open: Vec<Element>,
    /// Text that is not yet in the innermost element.
    run: String,
    /// `<br/>` to come.
    breaks: usize,
    /// Whether the next text stands at the beginning of a line in any case.
    fresh: bool,
    /// Elements made so far.
    count: usize,
}

impl Default for Markup {
    fn default() -> Self {
        Self {
            body: element("body"),
            open: Vec::new(),
            run: String::new(),
            breaks: 0,
            fresh: true,
            count: 0,
        }
    }
}

/// An element of XHTML.
pub(super) fn element(name: &str) -> Element {
    Element::bare(name, ns::XHTML)
}

impl Markup {
    pub(super) fn body_mut(&mut self) -> &mut Element {
        &mut self.body
    }

    pub(super) fn open(&mut self, element: Element, is_block: bool) {
        self.settle();
        if is_block {
            self.start_line();
        }
        self.count += 1;
        self.open.push(element);
    }

    /// Closes the innermost element. One without content is as good as none.
    pub(super) fn close(&mut self, is_block: bool) {
        self.settle();
        if let Some(element) = self.open.pop()
            && element.nodes().next().is_some()
        {
            self.append(element);
        }
        if is_block {
            self.start_line();
        }
    }

    /// What comes next begins a line.
    pub(super) fn part(&mut self) {
        if !self.fresh {
            self.breaks = self.breaks.max(1);
        }
    }

    pub(super) fn line_end(&mut self) {
        self.breaks += 1;
    }

    pub(super) fn push(&mut self, c: char) {
        if self.breaks > 0 {
            self.settle();
            for _ in 0..take(&mut self.breaks) {
                self.count += 1;
                self.append(element("br"));
            }
        }
        self.fresh = false;
        self.run.push(c);
    }

    /// The body, unless it has no markup or too much of it.
    pub(super) fn finish(mut self) -> Option<Element> {
        self.settle();
        let marked = self.body.children().next().is_some();
        (marked && !self.is_full()).then_some(self.body)
    }

    /// The end of a line needs no `<br/>` where an element ends it.
    fn start_line(&mut self) {
        self.breaks = 0;
        self.fresh = true;
    }

    fn is_full(&self) -> bool {
        self.count > MAX_ELEMENTS
    }

    fn settle(&mut self) {
        let run = take(&mut self.run);
        if !run.is_empty() && !self.is_full() {
            self.innermost().append_text(run);
        }
    }

    fn append(&mut self, element: Element) {
        if !self.is_full() {
            self.innermost().append_child(element);
        }
    }

    fn innermost(&mut self) -> &mut Element {
        self.open.last_mut().unwrap_or(&mut self.body)
    }
}
