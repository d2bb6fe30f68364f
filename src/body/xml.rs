// SPDX-License-Identifier: GPL-2.0-or-later
//! XML documents as SIP carries them, piece by piece.
//!
//! In: bytes and limits. Out: each [`Piece`] in order. A DTD, a processing instruction or an undefined entity
//! is a fault, and so is everything that is not well-formed or is of a shape that is not accepted. The other
//! way: text as a document carries it.

use std::borrow::Cow;
use std::str;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceError, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use super::{Misshapen, Shape};

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Whether XML 1.0 can carry a character at all: not as itself, nor as a reference, are there control
/// characters other than tab, line feed and carriage return, U+FFFE or U+FFFF.
pub fn is_xml_char(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => c >= ' ',
    }
}

/// Adds text to a document. Characters that XML cannot carry are left out.
pub(super) fn escape(out: &mut String, text: &str) {
    text.chars().for_each(|c| escape_char(out, c));
}

/// Adds a character to a document, if XML can carry it.
pub(super) fn escape_char(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '\'' => out.push_str("&apos;"),
        // As itself it would read back as a line feed.
        '\r' => out.push_str("&#13;"),
        _ if is_xml_char(c) => out.push(c),
        _ => {}
    }
}

/// Why a document is not read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Too many bytes.
    Bytes,
    /// XML of a shape that is not accepted.
    Shape(Misshapen),
    /// Not well-formed, or XML that no document needs.
    Xml,
}

/// What a document consists of.
pub(super) enum Piece<'a> {
    /// The start of an element.
    Open(Element<'a>),
    /// Text inside the innermost element; neighbours belong together.
    Text(Cow<'a, str>),
    /// The end of the innermost element.
    Close,
}

/// The start of an element.
pub(super) struct Element<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    attributes: Vec<Attribute<'a>>,
}

struct Attribute<'a> {
    namespace: &'a str,
    name: &'a str,
    value: String,
}

impl Element<'_> {
    /// The value of an attribute without a namespace.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.find("", name)
    }

    /// `xml:lang`.
    pub(super) fn lang(&self) -> Option<&str> {
        self.find(XML, "lang")
    }

    fn find(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|a| (a.namespace, a.name) == (namespace, name))
            .map(|a| a.value.as_str())
    }
}

/// Reads a document and hands over each piece of it, until one is refused.
pub(super) fn read<E: From<Fault>>(
    bytes: &[u8],
    limit: usize,
    shape: Shape,
    mut take: impl FnMut(Piece<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = NsReader::from_str(text(bytes, limit)?);
    reader.config_mut().check_comments = true;
    let mut nesting = Nesting::default();
    let mut first = true;
    loop {
        match reader.read_event().map_err(unreadable)? {
            Event::Start(start) => {
                let element = element(&reader, &start, nesting, shape)?;
                nesting.open();
                take(Piece::Open(element))?;
            }
            Event::Empty(start) => {
                let element = element(&reader, &start, nesting, shape)?;
                nesting.rooted = true;
                take(Piece::Open(element))?;
                take(Piece::Close)?;
            }
            Event::End(_) => {
                nesting.close()?;
                take(Piece::Close)?;
            }
            Event::Text(text) => {
                let text = text.xml10_content();
                if text.contains("]]>") {
                    return Err(Fault::Xml.into());
                }
                if nesting.depth > 0 {
                    take(Piece::Text(text))?;
                } else if !text.trim_ascii().is_empty() {
                    return Err(Fault::Xml.into());
                }
            }
            Event::CData(text) if nesting.depth > 0 => take(Piece::Text(text.xml10_content()))?,
            Event::GeneralRef(reference) if nesting.depth > 0 => {
                take(Piece::Text(resolve(&reference)?))?;
            }
            Event::Decl(declaration) if first => check_declaration(&declaration)?,
            Event::Comment(_) => {}
            Event::Eof if nesting.rooted && nesting.depth == 0 => return Ok(()),
            Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::Eof => return Err(Fault::Xml.into()),
        }
        first = false;
    }
}

/// Where in the document the reader is.
#[derive(Debug, Default, Clone, Copy)]
struct Nesting {
    depth: usize,
    /// The outermost element has begun, maybe ended.
    rooted: bool,
}

impl Nesting {
    fn open(&mut self) {
        self.depth += 1;
        self.rooted = true;
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.depth = self.depth.checked_sub(1).ok_or(Fault::Xml)?;
        Ok(())
    }
}

fn text(bytes: &[u8], limit: usize) -> Result<&str, Fault> {
    if bytes.len() > limit {
        return Err(Fault::Bytes);
    }
    let text = str::from_utf8(bytes).map_err(|_| Fault::Xml)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.chars().all(is_xml_char) {
        Ok(text)
    } else {
        Err(Fault::Xml)
    }
}

/// The reader has a limit of its own for the namespaces in scope.
fn unreadable(error: quick_xml::Error) -> Fault {
    if let quick_xml::Error::Namespace(NamespaceError::TooManyBindings(_)) = error {
        Fault::Shape(Misshapen::Namespaces)
    } else {
        Fault::Xml
    }
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), Fault> {
    let version = declaration.version().map_err(|_| Fault::Xml)?;
    let utf8 = match declaration.encoding() {
        None => true,
        Some(Ok(encoding)) => encoding.eq_ignore_ascii_case("UTF-8"),
        Some(Err(_)) => false,
    };
    if version == "1.0" && utf8 {
        Ok(())
    } else {
        Err(Fault::Xml)
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, Fault> {
    match reference.resolve_char_ref() {
        Ok(Some(c)) if is_xml_char(c) => Ok(Cow::Owned(c.to_string())),
        Ok(None) => {
            let text = resolve_predefined_entity(reference).ok_or(Fault::Xml)?;
            Ok(Cow::Borrowed(text))
        }
        Ok(Some(_)) | Err(_) => Err(Fault::Xml),
    }
}

fn element<'a>(
    reader: &'a NsReader<&[u8]>,
    start: &'a BytesStart<'_>,
    nesting: Nesting,
    shape: Shape,
) -> Result<Element<'a>, Fault> {
    let (namespace, name) = reader.resolver().resolve_element(start.name());
    let namespace = match namespace {
        ResolveResult::Bound(Namespace(namespace)) => namespace,
        ResolveResult::Unbound => "",
        ResolveResult::Unknown(_) => return Err(Fault::Xml),
    };
    if nesting.depth == shape.depth {
        return Err(Fault::Shape(Misshapen::Depth));
    }
    if start.name().as_ref().len() > shape.name {
        return Err(Fault::Shape(Misshapen::Name));
    }
    let attributes = attributes(reader, start, shape)?;
    if nesting.depth == 0 && nesting.rooted {
        return Err(Fault::Xml);
    }
    Ok(Element {
        namespace,
        name: name.into_inner(),
        attributes,
    })
}

fn attributes<'a>(
    reader: &'a NsReader<&[u8]>,
    start: &'a BytesStart<'_>,
    shape: Shape,
) -> Result<Vec<Attribute<'a>>, Fault> {
    let mut attributes = Vec::new();
    let mut namespaces = 0;
    for (count, attribute) in start.attributes().enumerate() {
        if count == shape.attributes {
            return Err(Fault::Shape(Misshapen::Attributes));
        }
        let attribute = attribute.map_err(|_| Fault::Xml)?;
        if attribute.key.as_ref().len() > shape.name {
            return Err(Fault::Shape(Misshapen::Name));
        }
        let declares = attribute.key.as_namespace_binding().is_some();
        namespaces += usize::from(declares);
        if namespaces > shape.namespaces {
            return Err(Fault::Shape(Misshapen::Namespaces));
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| Fault::Xml)?;
        if attribute.value.contains('<') || !value.chars().all(is_xml_char) {
            return Err(Fault::Xml);
        }
        let (namespace, name) = match reader.resolver().resolve_attribute(attribute.key) {
            (ResolveResult::Unbound, name) => ("", name),
            (ResolveResult::Bound(Namespace(namespace)), name) => (namespace, name),
            (ResolveResult::Unknown(_), _) => return Err(Fault::Xml),
        };
        if !declares {
            attributes.push(Attribute {
                namespace,
                name: name.into_inner(),
                value: value.into_owned(),
            });
        }
    }
    Ok(attributes)
}
