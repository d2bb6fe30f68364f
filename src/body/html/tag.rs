// SPDX-License-Identifier: GPL-2.0-or-later
//! What each tag of HTML becomes.

/// What a tag means to us.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tag {
    /// Nothing inside is meant to be read.
    Hidden,
    /// `<html/>` or `<body/>`.
    Root,
    /// The end of a line.
    Break,
    /// An image.
    Image,
    /// Quotation marks.
    Quotation,
    /// Something set apart by white space.
    Cell,
    /// Something on lines of its own.
    Line,
    /// An element of XHTML-IM.
    Element(&'static Kind),
    /// Its content counts.
    Other,
}

/// An element that becomes one of XHTML-IM.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its name in HTML.
    pub(super) source: &'static str,
    /// Its name in XHTML-IM.
    pub(super) name: &'static str,
    /// The style that it stands for.
    pub(super) style: &'static str,
    pub(super) flow: Flow,
}

/// How an element stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// In a line.
    Inline,
    /// On lines of its own, so many line ends from its neighbours.
    Block(usize),
    /// A block with white space as written.
    Preformatted,
}

impl Flow {
    /// Line ends between it and its neighbours, if it has lines of its own.
    pub(super) fn line_ends(self) -> Option<usize> {
        match self {
            Self::Inline => None,
            Self::Block(count) => Some(count),
            Self::Preformatted => Some(1),
        }
    }
}

impl Kind {
    const fn new(
        source: &'static str,
        name: &'static str,
        style: &'static str,
        flow: Flow,
    ) -> Self {
        Self {
            source,
            name,
            style,
            flow,
        }
    }

    /// `<ol/>`, `<ul/>` and what becomes one.
    pub(super) fn is_list(&self) -> bool {
        ["ol", "ul"].contains(&self.name)
    }

    /// Whether XEP-0071 §7.8 gives it a `style`.
    pub(super) fn has_style(&self) -> bool {
        !["em", "strong"].contains(&self.name)
    }
}

const UNDERLINED: &str = "text-decoration: underline";
const STRUCK: &str = "text-decoration: line-through";
const MONOSPACE: &str = "font-family: monospace";
const BOLD: &str = "font-weight: bold";

const ELEMENTS: [Kind; 37] = [
    Kind::new("a", "a", "", Flow::Inline),
    Kind::new("b", "strong", "", Flow::Inline),
    Kind::new("blockquote", "blockquote", "", Flow::Block(1)),
    Kind::new("cite", "cite", "", Flow::Inline),
    Kind::new("code", "span", MONOSPACE, Flow::Inline),
    Kind::new("del", "span", STRUCK, Flow::Inline),
    Kind::new("dfn", "em", "", Flow::Inline),
    Kind::new("dir", "ul", "", Flow::Block(1)),
    Kind::new("em", "em", "", Flow::Inline),
    Kind::new("font", "span", "", Flow::Inline),
    Kind::new("h1", "p", BOLD, Flow::Block(2)),
    Kind::new("h2", "p", BOLD, Flow::Block(2)),
    Kind::new("h3", "p", BOLD, Flow::Block(2)),
    Kind::new("h4", "p", BOLD, Flow::Block(2)),
    Kind::new("h5", "p", BOLD, Flow::Block(2)),
    Kind::new("h6", "p", BOLD, Flow::Block(2)),
    Kind::new("i", "em", "", Flow::Inline),
    Kind::new("ins", "span", UNDERLINED, Flow::Inline),
    Kind::new("kbd", "span", MONOSPACE, Flow::Inline),
    Kind::new("li", "li", "", Flow::Block(1)),
    Kind::new("listing", "p", MONOSPACE, Flow::Preformatted),
    Kind::new("menu", "ul", "", Flow::Block(1)),
    Kind::new("ol", "ol", "", Flow::Block(1)),
    Kind::new("p", "p", "", Flow::Block(2)),
    Kind::new("plaintext", "p", MONOSPACE, Flow::Preformatted),
    Kind::new("pre", "p", MONOSPACE, Flow::Preformatted),
    Kind::new("s", "span", STRUCK, Flow::Inline),
    Kind::new("samp", "span", MONOSPACE, Flow::Inline),
    Kind::new("span", "span", "", Flow::Inline),
    Kind::new("strike", "span", STRUCK, Flow::Inline),
    Kind::new("strong", "strong", "", Flow::Inline),
    Kind::new("textarea", "p", MONOSPACE, Flow::Preformatted),
    Kind::new("tt", "span", MONOSPACE, Flow::Inline),
    Kind::new("u", "span", UNDERLINED, Flow::Inline),
    Kind::new("ul", "ul", "", Flow::Block(1)),
    Kind::new("var", "em", "", Flow::Inline),
    Kind::new("xmp", "p", MONOSPACE, Flow::Preformatted),
];

const HIDDEN: [&str; 9] = [
    "datalist", "iframe", "noembed", "noscript", "script", "style", "svg", "template", "title",
];

const LINES: [&str; 30] = [
    "address",
    "article",
    "aside",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "legend",
    "main",
    "nav",
    "optgroup",
    "option",
    "search",
    "section",
    "select",
    "summary",
    "table",
    "tr",
];

impl Tag {
    pub(super) fn of(name: &[u8]) -> Self {
        let Ok(name) = str::from_utf8(name) else {
            return Self::Other;
        };
        if let Some(kind) = ELEMENTS.iter().find(|kind| kind.source == name) {
            return Self::Element(kind);
        }
        match name {
            "body" | "html" => Self::Root,
            "br" => Self::Break,
            "img" | "image" => Self::Image,
            "q" => Self::Quotation,
            "td" | "th" => Self::Cell,
            _ if HIDDEN.contains(&name) => Self::Hidden,
            _ if LINES.contains(&name) => Self::Line,
            _ => Self::Other,
        }
    }

    /// `<a/>`.
    pub(super) fn anchor() -> &'static Kind {
        &ELEMENTS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_and_in_order() {
        let sources = ELEMENTS.map(|kind| kind.source);
        assert!(sources.is_sorted_by(|a, b| a < b));
        assert!(HIDDEN.is_sorted_by(|a, b| a < b));
        assert!(LINES.is_sorted_by(|a, b| a < b));
        assert_eq!(Tag::anchor().name, "a");
    }
}
