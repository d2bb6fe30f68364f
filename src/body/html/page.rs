// SPDX-License-Identifier: GPL-2.0-or-later
//! A page, tag by tag.

use std::convert::Infallible;

use html5gum::emitters::callback::CallbackEvent;
use minidom::Element;
use rxml::{Namespace, xml_ncname};

use super::markup::{Markup, element};
use super::plain::Plain;
use super::tag::{Flow, Kind, Tag};
use super::{Html, MAX_DEPTH, link, style};
use crate::body::{is_language, is_xml_char};

/// Attributes that mean something to us.
const ATTRIBUTES: [&str; 8] = [
    "alt", "color", "face", "href", "lang", "src", "style", "xml:lang",
];

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Page {
    tag: StartTag,
    plain: Plain,
    markup: Markup,
    /// What is open in the markup, from the outside in.
    open: Vec<Open>,
    /// The element that is not to be read, and how many of its name are open.
    hidden: Option<(Vec<u8>, usize)>,
    /// Whether white space says nothing: there is some, or the line has just begun.
    spaced: bool,
    /// Whether a line end that comes next is only there for the looks of the source.
    unwritten: bool,
    lang: Option<String>,
}

/// A start tag whose attributes are being read.
#[derive(Debug, Default)]
struct StartTag {
    name: Vec<u8>,
    attributes: Vec<(&'static str, String)>,
    /// Whether the value to come belongs to the last attribute.
    wanted: bool,
}

impl StartTag {
    fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let (_, value) = attributes.find(|(known, _)| *known == name)?;
        Some(value)
    }
}

/// An element that is open.
#[derive(Debug)]
struct Open {
    kind: &'static Kind,
    /// Where it leads.
    address: Option<String>,
    /// Where its text begins.
    from: usize,
    /// Items so far, of a list.
    items: usize,
}

impl Page {
    /// Takes one more token.
    pub(super) fn take(&mut self, event: CallbackEvent<'_>) -> Option<Infallible> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = StartTag {
                    name: name.to_vec(),
                    ..StartTag::default()
                }
            }
            CallbackEvent::AttributeName { name } => self.attribute_name(name),
            CallbackEvent::AttributeValue { value } => self.attribute_value(value),
            CallbackEvent::CloseStartTag { self_closing } => {
                let tag = std::mem::take(&mut self.tag);
                self.start_tag(&tag, self_closing);
            }
            CallbackEvent::EndTag { name } => self.end_tag(name),
            CallbackEvent::String { value } if self.hidden.is_none() => {
                self.text(&String::from_utf8_lossy(value));
            }
            CallbackEvent::String { .. }
            | CallbackEvent::Comment { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
        None
    }

    pub(super) fn finish(mut self) -> Html {
        self.close_down_to(0);
        Html {
            text: self.plain.finish(),
            body: self.markup.finish(),
            lang: self.lang,
        }
    }

    /// Of attributes of one name the first counts.
    fn attribute_name(&mut self, name: &[u8]) {
        let known = ATTRIBUTES.iter().find(|known| known.as_bytes() == name);
        let new = known.filter(|known| self.tag.attribute(known).is_none());
        self.tag.wanted = new.is_some();
        self.tag
            .attributes
            .extend(new.map(|name| (*name, String::new())));
    }

    fn attribute_value(&mut self, value: &[u8]) {
        if self.tag.wanted
            && let Some((_, known)) = self.tag.attributes.last_mut()
        {
            known.push_str(&String::from_utf8_lossy(value));
        }
    }

    fn start_tag(&mut self, tag: &StartTag, self_closing: bool) {
        if let Some((name, depth)) = &mut self.hidden {
            *depth += usize::from(*name == tag.name && !self_closing);
            return;
        }
        match Tag::of(&tag.name) {
            Tag::Hidden if self_closing && tag.name == b"svg" => {}
            Tag::Hidden => self.hidden = Some((tag.name.clone(), 1)),
            Tag::Root => self.root(tag),
            Tag::Break => self.line_end(),
            Tag::Image => self.image(tag),
            Tag::Quotation => self.text("\""),
            Tag::Cell => self.cell(),
            Tag::Line => self.line(),
            Tag::Element(kind) => self.start(kind, tag),
            Tag::Other => {}
        }
    }

    fn end_tag(&mut self, name: &[u8]) {
        if let Some((hidden, depth)) = &mut self.hidden {
            *depth -= usize::from(hidden == name);
            if *depth == 0 {
                self.hidden = None;
            }
            return;
        }
        match Tag::of(name) {
            Tag::Quotation => self.text("\""),
            Tag::Cell => self.cell(),
            Tag::Line => self.line(),
            Tag::Element(kind) => self.end(kind),
            Tag::Hidden | Tag::Root | Tag::Break | Tag::Image | Tag::Other => {}
        }
    }

    fn text(&mut self, text: &str) {
        let unwritten = std::mem::take(&mut self.unwritten);
        let text = text
            .strip_prefix('\n')
            .filter(|_| unwritten)
            .unwrap_or(text);
        let preformatted = self.is_preformatted();
        for c in text.chars() {
            match c {
                '\n' if preformatted => self.line_end(),
                ' ' if preformatted => self.wide_space(),
                '\t' if preformatted => (0..2).for_each(|_| self.wide_space()),
                ' ' | '\t' | '\n' | '\r' | '\x0c' => self.space(),
                c if c.is_control() || !is_xml_char(c) => self.push(char::REPLACEMENT_CHARACTER),
                c => self.push(c),
            }
        }
    }

    fn push(&mut self, c: char) {
        // In text, too, the next line may begin there.
        self.plain.push(if c == '\u{a0}' { ' ' } else { c });
        self.markup.push(c);
        self.spaced = false;
    }

    fn space(&mut self) {
        if !self.spaced && self.plain.len() > 0 {
            self.plain.push(' ');
            self.markup.push(' ');
            self.spaced = true;
        }
    }

    /// A space that counts (XEP-0071 §8, rule 9).
    fn wide_space(&mut self) {
        self.plain.push(' ');
        self.markup.push('\u{a0}');
        self.spaced = false;
    }

    fn line_end(&mut self) {
        self.plain.line_end();
        self.markup.line_end();
        self.spaced = true;
    }

    /// The beginning or end of something that has lines of its own, but is no element of ours.
    fn line(&mut self) {
        self.close_paragraph();
        self.plain.part(1);
        self.markup.part();
        self.spaced = true;
    }

    fn cell(&mut self) {
        self.close_paragraph();
        self.space();
    }

    fn root(&mut self, tag: &StartTag) {
        let lang = tag.attribute("xml:lang").or_else(|| tag.attribute("lang"));
        if let Some(lang) = lang.filter(|lang| is_language(lang)) {
            self.lang = Some(lang.to_owned());
            let name = xml_ncname!("lang").into();
            self.markup.body_mut().set_attr(Namespace::XML, name, lang);
        }
        set_style(self.markup.body_mut(), &styles("", tag));
    }

    fn image(&mut self, tag: &StartTag) {
        let source = tag.attribute("src").and_then(link::address);
        match (tag.attribute("alt"), source) {
            (Some(alt), _) => self.text(alt),
            (None, Some(address)) if address.starts_with("http") && !self.is_linked() => {
                self.open(Tag::anchor(), element("a"), Some(address));
                self.close();
            }
            (None, _) => {}
        }
    }

    fn start(&mut self, kind: &'static Kind, tag: &StartTag) {
        if let Some(line_ends) = kind.flow.line_ends() {
            self.close_paragraph();
            self.plain.part(line_ends);
            self.spaced = true;
        }
        let address = tag.attribute("href").and_then(link::address);
        match kind.name {
            "li" => self.item(),
            "a" => {
                self.end(kind);
                if address.is_none() || self.is_linked() {
                    return;
                }
            }
            _ => {}
        }
        let mut element = element(kind.name);
        if kind.has_style() {
            set_style(&mut element, &styles(kind.style, tag));
        }
        self.open(kind, element, address.filter(|_| kind.name == "a"));
        self.unwritten = kind.flow == Flow::Preformatted;
    }

    /// Closes the item before and begins one.
    fn item(&mut self) {
        let list = self.open.iter().rposition(|open| open.kind.is_list());
        let inside = list.map_or(0, |list| list + 1);
        let before = self.open.iter().skip(inside);
        let before = before.into_iter().position(|open| open.kind.name == "li");
        if let Some(before) = before {
            self.close_down_to(inside + before);
        }
        let depth = self.open.iter().filter(|open| open.kind.is_list()).count();
        let list = list.and_then(|list| self.open.get_mut(list));
        let number = list.and_then(|list| {
            list.items += 1;
            (list.kind.name == "ol").then_some(list.items)
        });
        self.plain.item(number, depth);
    }

    fn open(&mut self, kind: &'static Kind, mut element: Element, address: Option<String>) {
        if self.open.len() == MAX_DEPTH {
            return;
        }
        if let Some(address) = &address {
            let name = xml_ncname!("href").into();
            element.set_attr(Namespace::NONE, name, address.as_str());
        }
        self.plain.quotations += usize::from(kind.name == "blockquote");
        self.markup.open(element, kind.flow != Flow::Inline);
        self.open.push(Open {
            kind,
            address,
            from: self.plain.len(),
            items: 0,
        });
    }

    /// Ends what an end tag ends. The end of something in a line does not end the block around the line, nor that
    /// of an item the list around it.
    fn end(&mut self, kind: &Kind) {
        for (at, open) in self.open.iter().enumerate().rev() {
            if open.kind.source == kind.source {
                return self.close_down_to(at);
            }
            let inline = kind.flow == Flow::Inline && open.kind.flow != Flow::Inline;
            if inline || (kind.name == "li" && open.kind.is_list()) {
                return;
            }
        }
    }

    /// No block stands in a paragraph.
    fn close_paragraph(&mut self) {
        let block = self
            .open
            .iter()
            .rposition(|open| open.kind.flow != Flow::Inline);
        if let Some(at) = block
            && self.open.get(at).is_some_and(|open| open.kind.name == "p")
        {
            self.close_down_to(at);
        }
    }

    fn close_down_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            self.close();
        }
    }

    /// Closes the innermost element.
    fn close(&mut self) {
        if let Some(open) = self.open.last()
            && let Some(address) = open.address.clone()
        {
            self.show(&address, open.from);
        }
        let Some(open) = self.open.pop() else {
            return;
        };
        self.markup.close(open.kind.flow != Flow::Inline);
        self.plain.quotations -= usize::from(open.kind.name == "blockquote");
        if let Some(line_ends) = open.kind.flow.line_ends() {
            if open.kind.name == "li" {
                self.plain.item_end();
            }
            self.plain.part(line_ends);
            self.spaced = true;
        }
    }

    /// Tells where a link leads, unless its text tells it.
    fn show(&mut self, address: &str, from: usize) {
        let text = self.plain.since(from).trim();
        if text.is_empty() {
            self.text(address);
        } else if !link::shows(text, address) {
            self.plain.append(&format!(" <{address}>"));
            self.spaced = false;
        }
    }

    fn is_preformatted(&self) -> bool {
        let mut open = self.open.iter();
        open.any(|open| open.kind.flow == Flow::Preformatted)
    }

    fn is_linked(&self) -> bool {
        self.open.iter().any(|open| open.address.is_some())
    }
}

/// The style that an element stands for, and that of its attributes.
fn styles(own: &str, tag: &StartTag) -> String {
    let mut all = own.to_owned();
    for (property, attribute) in [("color:", "color"), ("font-family:", "face"), ("", "style")] {
        if let Some(value) = tag.attribute(attribute) {
            all.push(';');
            all.push_str(property);
            all.push_str(value);
        }
    }
    style::filter(&all)
}

fn set_style(element: &mut Element, style: &str) {
    if !style.is_empty() {
        element.set_attr(Namespace::NONE, xml_ncname!("style").into(), style);
    }
}
