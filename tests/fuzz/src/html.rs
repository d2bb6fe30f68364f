// SPDX-License-Identifier: GPL-2.0-or-later
//! Pages: what is left of them is harmless, well-formed, and in proportion.

use minidom::Element;
use stox::body::html::{Html, xhtml_im};
use stox::body::is_xml_char;

use super::departing;

/// Elements of XHTML-IM, and whether they have a style.
const ELEMENTS: [(&str, bool); 12] = [
    ("a", true),
    ("blockquote", true),
    ("body", true),
    ("br", false),
    ("cite", true),
    ("em", false),
    ("li", true),
    ("ol", true),
    ("p", true),
    ("span", true),
    ("strong", false),
    ("ul", true),
];

/// Reads one page.
pub fn run(bytes: &[u8]) {
    let source = String::from_utf8_lossy(bytes);
    let page = Html::read(&source);
    let text = &page.text;
    assert!(
        text.chars()
            .all(|c| c == '\n' || (!c.is_control() && is_xml_char(c)))
    );
    assert!(text.len() <= 16 * source.len(), "{}", text.len());
    if let Some(body) = page.body {
        // The body, what may be open in it, and a `<br/>`.
        check(&body, 34);
        let message = Element::builder("message", "jabber:client").append(xhtml_im([body]));
        departing::stanza(&message.build());
    }
}

fn check(element: &Element, depth: usize) {
    assert!(depth > 0);
    let name = element.name();
    let has_style = ELEMENTS.iter().find(|(known, _)| *known == name).unwrap().1;
    for ((_, attribute), value) in element.attrs() {
        let value = value.to_ascii_lowercase();
        match (name, attribute.as_str()) {
            ("a", "href") => assert!(
                !value.contains("script:") || value.find(':') < value.find("script:"),
                "{value}"
            ),
            ("body", "lang") => {}
            (_, "style") => assert!(
                has_style && !value.contains("url(") && !value.contains("expression("),
                "{value}"
            ),
            other => panic!("{other:?}"),
        }
    }
    for child in element.children() {
        check(child, depth - 1);
    }
}
