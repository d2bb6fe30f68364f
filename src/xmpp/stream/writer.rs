// SPDX-License-Identifier: GPL-2.0-or-later
//! Elements to bytes of a stream.

use minidom::{Element, Node};
use rxml::parser::XmlVersion;
use rxml::writer::{SimpleNamespaces, TrackNamespace};
use rxml::{Encoder, Item, Namespace, NcName, NcNameStr};
use xmpp_parsers::ns::JABBER_CLIENT;

use super::{Header, NS_STREAMS};

/// The closing tag of every stream (RFC 6120 §4.4).
pub const CLOSE: &[u8] = b"</stream:stream>";

/// An element or header that XML cannot say: an illegal name, or a character that XML forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not expressible in XML: {0}")]
pub struct Unwritable(String);

/// Writes one stream.
pub struct Writer {
    header: Header,
    content: Namespace<'static>,
    encoder: Encoder<SimpleNamespaces>,
}

impl Writer {
    /// Begins a stream: XML declaration and opening tag are added to `out`.
    pub fn open(header: Header, out: &mut Vec<u8>) -> Result<Self, Unwritable> {
        let encoder = encode_header(&header, out)?;
        Ok(Self {
            content: Namespace::from(header.content.clone()),
            header,
            encoder,
        })
    }

    /// Adds one child of the stream to `out`, `jabber:client` replaced by the content namespace. Adds
    /// nothing if it fails.
    pub fn write(&mut self, element: &Element, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let length = out.len();
        self.encode(element, out).inspect_err(|_| {
            out.truncate(length);
            // The encoder stands inside the broken element: it begins again behind the header.
            if let Ok(encoder) = encode_header(&self.header, &mut Vec::new()) {
                self.encoder = encoder;
            }
        })
    }

    fn encode(&mut self, element: &Element, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let mut of_content = self.begin(element, true, out)?;
        let mut open = vec![(element.nodes(), of_content)];
        while let Some((nodes, inherited)) = open.last_mut() {
            of_content = *inherited;
            match nodes.next() {
                Some(Node::Text(text)) => self.encoder.encode(Item::Text(text), out)?,
                Some(Node::Element(child)) => {
                    let of_content = self.begin(child, of_content, out)?;
                    open.push((child.nodes(), of_content));
                }
                None => {
                    self.encoder.encode(Item::ElementFoot, out)?;
                    open.pop();
                }
            }
        }
        Ok(())
    }

    /// Writes an opening tag; says whether the element is of the content namespace by unbroken descent.
    fn begin(
        &mut self,
        element: &Element,
        descends: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, Unwritable> {
        let of_content = descends && element.has_ns(JABBER_CLIENT);
        let namespace = if of_content {
            self.content.clone()
        } else {
            Namespace::from(element.ns())
        };
        let name = <&NcNameStr>::try_from(element.name()).map_err(rxml::Error::from)?;
        self.encoder
            .encode(Item::ElementHeadStart(namespace, name), out)?;
        for ((namespace, name), value) in element.attrs() {
            self.encoder
                .encode(Item::Attribute(namespace.clone(), name, value), out)?;
        }
        if element.nodes().next().is_some() {
            self.encoder.encode(Item::ElementHeadEnd, out)?;
        }
        Ok(of_content)
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl From<rxml::Error> for Unwritable {
    fn from(error: rxml::Error) -> Self {
        Self(error.to_string())
    }
}

fn encode_header(
    header: &Header,
    out: &mut Vec<u8>,
) -> Result<Encoder<SimpleNamespaces>, Unwritable> {
    let name = |text: &str| NcName::try_from(text).map_err(rxml::Error::from);
    let mut encoder = Encoder::new();
    encoder.encode(Item::XmlDeclaration(XmlVersion::V1_0), out)?;
    let namespaces = encoder.ns_tracker_mut();
    namespaces.declare_fixed(None, Namespace::from(header.content.clone()));
    namespaces.declare_fixed(
        Some(&name("stream")?),
        Namespace::from(NS_STREAMS).into_static(),
    );
    for (prefix, namespace) in &header.prefixes {
        namespaces.declare_fixed(Some(&name(prefix)?), Namespace::from(namespace.clone()));
    }
    encoder.encode(
        Item::ElementHeadStart(Namespace::from(NS_STREAMS), &name("stream")?),
        out,
    )?;
    for (attribute, value) in header.attributes() {
        let item = Item::Attribute(Namespace::none().clone(), &name(attribute)?, value);
        encoder.encode(item, out)?;
    }
    if let Some(lang) = &header.lang {
        encoder.encode(
            Item::Attribute(Namespace::xml().clone(), &name("lang")?, lang),
            out,
        )?;
    }
    encoder.encode(Item::ElementHeadEnd, out)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::stream::{Decoder, Limits, Received};

    const CONTENT: &str = "jabber:component:accept";

    fn open() -> (Writer, Vec<u8>) {
        let mut out = Vec::new();
        let header = Header {
            content: CONTENT.to_owned(),
            prefixes: vec![("db".to_owned(), "jabber:server:dialback".to_owned())],
            to: Some("a.example".to_owned()),
            lang: Some("en".to_owned()),
            others: vec![("allowMultiple".to_owned(), "1".to_owned())],
            ..Header::default()
        };
        let writer = Writer::open(header, &mut out).unwrap();
        (writer, out)
    }

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        let element: Element = text.parse().unwrap();
        open().0.write(&element, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_unbroken_descent_is_written_in_the_content_namespace() {
        assert_eq!(
            written(
                "<message xmlns='jabber:client' to='b'><body>x &amp; y</body><x xmlns='urn:x'>\
                 <message xmlns='jabber:client'><body/></message></x></message>"
            ),
            "<message to='b'><body>x &amp; y</body><x xmlns='urn:x'>\
             <message xmlns='jabber:client'><body/></message></x></message>"
        );
    }

    #[test]
    fn prefixes_of_the_header_are_used_literally() {
        assert_eq!(
            written("<result xmlns='jabber:server:dialback' from='a'>key</result>"),
            "<db:result from='a'>key</db:result>"
        );
    }

    #[test]
    fn prefixes_of_an_element_that_clash_with_the_header_do_no_harm() {
        assert_eq!(
            written("<stream:a xmlns:stream='urn:x' xmlns:db='urn:y'/>"),
            "<a xmlns='urn:x'/>"
        );
    }

    #[test]
    fn what_xml_cannot_say_leaves_the_stream_whole() {
        let (mut writer, mut out) = open();
        let bad = Element::builder("iq", JABBER_CLIENT)
            .append(Element::builder("a", "urn:a").append("\u{1}"))
            .build();
        let length = out.len();
        assert!(writer.write(&bad, &mut out).is_err());
        assert_eq!(out.len(), length);
        let good: Element = "<iq xmlns='jabber:client'><a xmlns='urn:a'/></iq>"
            .parse()
            .unwrap();
        writer.write(&good, &mut out).unwrap();
        out.extend_from_slice(CLOSE);

        let mut decoder = Decoder::new(CONTENT, Limits::with_stanza(1000));
        let mut input = &out[..];
        let Some(Received::Header(header)) = decoder.decode(&mut input).unwrap() else {
            panic!("no header");
        };
        assert_eq!(header.to.as_deref(), Some("a.example"));
        assert_eq!(header.lang.as_deref(), Some("en"));
        assert_eq!(
            header.others,
            [("allowMultiple".to_owned(), "1".to_owned())]
        );
        assert_eq!(
            decoder.decode(&mut input),
            Ok(Some(Received::Content(good)))
        );
        assert_eq!(decoder.decode(&mut input), Ok(Some(Received::Closed)));
    }
}
