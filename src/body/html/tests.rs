// SPDX-License-Identifier: GPL-2.0-or-later
//! Pages as phones and people write them.

use proptest::prelude::*;

use super::*;
use crate::body::is_xml_char;

fn text(source: &str) -> String {
    Html::read(source).text
}

/// What is inside the body, its namespace left out.
fn markup(source: &str) -> String {
    let Some(body) = Html::read(source).body else {
        return String::new();
    };
    let written = String::from(&body).replace(" xmlns='http://www.w3.org/1999/xhtml'", "");
    let written = written.strip_prefix("<body>").unwrap_or(&written);
    written
        .strip_suffix("</body>")
        .unwrap_or(written)
        .to_owned()
}

#[test]
fn pages_are_read_as_text() {
    for (source, expected) in [
        ("", ""),
        (" \n ", ""),
        ("Art thou not Romeo?", "Art thou not Romeo?"),
        ("  a \n\t b  ", "a b"),
        ("<b>a </b> b", "a b"),
        ("<b>a</b> <i> b</i>", "a b"),
        ("a<b>b</b>c", "abc"),
        (
            "a&amp;b &lt;c&gt; &eacute;&#233;&#x1F600;&copy",
            "a&b <c> éé😀©",
        ),
        ("a&nbsp;&nbsp;b", "a  b"),
        ("<p>&nbsp;</p>a&nbsp; &nbsp;<p>&nbsp;</p>", "a"),
        ("a<br>b<br/>c</br>d", "a\nb\ncd"),
        ("a <br> b<br><br>c<br>", "a\nb\n\nc"),
        ("<p>a</p>\n<p>b", "a\n\nb"),
        ("a<p>b<p>c</p>d", "a\n\nb\n\nc\n\nd"),
        ("<div>a</div><div>b</div>c", "a\nb\nc"),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb"),
        ("<div><div><p>a</p></div></div>b", "a\n\nb"),
        ("<h1>a</h1>b", "a\n\nb"),
        ("<ul><li>a</li><li>b<li>c</ul>d", "- a\n- b\n- c\nd"),
        ("<ol><li>a<li><p>b</p><li></ol>", "1. a\n2. b"),
        (
            "<ul><li>a<ol><li>b<li>c</ol><li>d</ul>",
            "- a\n  1. b\n  2. c\n- d",
        ),
        ("<ul><li><ul><li>a</ul></ul>", "  - a"),
        ("<li>a<li>b", "- a\n- b"),
        (
            "a<blockquote>b<br>c<blockquote>d</blockquote></blockquote>e",
            "a\n> b\n> c\n> > d\ne",
        ),
        ("<a href='http://a/'>b</a>.", "b <http://a/>."),
        ("<a href='http://a/'>http://a</a>", "http://a"),
        ("<a href='mailto:a@b'>a@b</a>", "a@b"),
        ("<a href='http://a/'></a>", "http://a/"),
        ("<a href='http://a/'><img src=b></a>", "http://a/"),
        ("<a href='http://a/'><div>b</div></a>c", "b <http://a/>\nc"),
        (
            "<a href='http://a/'>b<a href='http://c/'>d</a>",
            "b <http://a/>d <http://c/>",
        ),
        ("<a href='javascript:x'>b</a>", "b"),
        ("<a name=x>b</a>", "b"),
        (
            "<a href=http://thief>http://bank</a>",
            "http://bank <http://thief>",
        ),
        ("<img src='http://a/b.png' alt='a cat'>", "a cat"),
        ("<img src='http://a/b.png' alt=''>", ""),
        ("<img src='http://a/b.png'>", "http://a/b.png"),
        ("<img src='cid:a'><img src='data:image/png,a'>", ""),
        ("<pre>\n a\n\n  b\n</pre>c", " a\n\n  b\nc"),
        ("<pre>a\tb</pre>", "a  b"),
        ("<textarea>a\nb</textarea>", "a\nb"),
        ("<table><tr><td>a<td>b<tr><td>c</table>d", "a b\nc\nd"),
        ("<q>a</q>", "\"a\""),
        ("<dl><dt>a<dd>b</dl>", "a\nb"),
        ("<unknown>a</unknown>", "a"),
        ("a<!-- b -->c<!DOCTYPE d>", "ac"),
        ("<?php x ?>a", "a"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("<", "<"),
        ("</", "</"),
        ("<a", ""),
        (
            "a\0b\u{1}\u{85}\u{ffff}&#1;&#0;",
            "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
        ),
        (
            "<html><head><title>t</title><style>s</style></head><body>a</body></html>",
            "a",
        ),
        ("<script>a</script>b<script>\"</b>\"</script>", "b"),
        ("<template>a<template>b</template>c</template>d", "d"),
        ("<svg/>a<svg><title>b</title>c</svg>", "a"),
        ("<noscript><img src=http://a></noscript>b", "b"),
        ("<style>a", ""),
    ] {
        assert_eq!(text(source), expected, "{source}");
    }
}

#[test]
fn pages_are_read_as_xhtml_im() {
    for (source, expected) in [
        ("a &amp; b", ""),
        (
            "<b>a</b> <em>b</em>&lt;",
            "<strong>a</strong> <em>b</em>&lt;",
        ),
        (
            "<p style='color:red;position:fixed' onclick='x' class=y id=z>a",
            "<p style='color: red'>a</p>",
        ),
        ("<em style='color:red'>a</em>", "<em>a</em>"),
        (
            "<font color='#f00' face=Arial size=7>a</font>",
            "<span style='color: #f00; font-family: Arial'>a</span>",
        ),
        (
            "<font color='red;background:url(x)'>a</font>",
            "<span style='color: red'>a</span>",
        ),
        (
            "<u>a</u>",
            "<span style='text-decoration: underline'>a</span>",
        ),
        ("<h2>a</h2>", "<p style='font-weight: bold'>a</p>"),
        ("a<br>b", "a<br/>b"),
        ("<p>a<br></p>b<br>", "<p>a</p>b"),
        ("<div>a</div><div><br></div><div>b</div>", "a<br/><br/>b"),
        ("<div>a<p>b</p></div>c<div>d</div>", "a<p>b</p>c<br/>d"),
        (
            "<p>a<ul><li>b<li>c</ul></p>",
            "<p>a</p><ul><li>b</li><li>c</li></ul>",
        ),
        (
            "<p>a<p>b<blockquote><p>c</blockquote>d",
            "<p>a</p><p>b</p><blockquote><p>c</p></blockquote>d",
        ),
        ("<b>a<i>b</b>c</i>d", "<strong>a<em>b</em></strong>cd"),
        ("<b><p>a</b>b</p>c", "<strong><p>ab</p>c</strong>"),
        ("<b></b><p></p>a<i>", ""),
        (
            "<pre>a  b\nc</pre>",
            "<p style='font-family: monospace'>a\u{a0}\u{a0}b<br/>c</p>",
        ),
        (
            "<a href='http://a/?b&c' target=x onmouseover=y>d</a>",
            "<a href='http://a/?b&amp;c'>d</a>",
        ),
        (
            "<a href='http://a/'></a>",
            "<a href='http://a/'>http://a/</a>",
        ),
        (
            "<a href='http://a/'><p>b<a href='http://c/'>d</a></a>",
            "<a href='http://a/'><p>bd</p></a>",
        ),
        ("<A HREF=' JavaScript:x'><B>a</B></A>", "<strong>a</strong>"),
        (
            "<img src='http://a' onerror=x>",
            "<a href='http://a'>http://a</a>",
        ),
        ("<img src='http://a' alt='b'>", ""),
        (
            "<a href='http://a' href='javascript:x' HREF='http://c'>b</a>",
            "<a href='http://a'>b</a>",
        ),
        (
            "<a style=\"color:'&quot;red&quot;'\" href=http://a>b</a>",
            "<a style=\"color: ''red''\" href='http://a'>b</a>",
        ),
        ("<i><script>x</script>a</i>", "<em>a</em>"),
        ("<i>a</i p=\"<b>\">b", "<em>a</em>b"),
    ] {
        // The order of attributes is the library's.
        let (found, expected) = (parsed(&markup(source)), parsed(expected));
        assert_eq!(found, expected, "{source}");
    }
}

fn parsed(markup: &str) -> Element {
    format!("<body xmlns='http://www.w3.org/1999/xhtml'>{markup}</body>")
        .parse()
        .unwrap()
}

#[test]
fn the_language_of_the_page_is_that_of_the_body() {
    let page = Html::read("<html lang='de'><body lang='x y' style='color:red'><b>a</b>");
    assert_eq!(page.lang.as_deref(), Some("de"));
    let html = xhtml_im(page.body);
    let written = String::from(&html);
    let read = roxmltree::Document::parse(&written).unwrap();
    let root = read.root_element();
    assert!(root.has_tag_name(("http://jabber.org/protocol/xhtml-im", "html")));
    let body = root.first_element_child().unwrap();
    assert!(body.has_tag_name((ns::XHTML, "body")));
    assert_eq!(body.attribute((rxml::XMLNS_XML, "lang")), Some("de"));
    assert_eq!(body.attribute("style"), Some("color: red"));
}

#[test]
fn what_is_too_deep_is_flat_and_what_is_too_much_is_plain() {
    let deep = "<span>".repeat(10_000) + "a" + &"</span>".repeat(10_000) + "b";
    assert_eq!(text(&deep), "ab");
    let spans = |markup: &str| markup.matches("<span>").count();
    assert_eq!(spans(&markup(&deep)), MAX_DEPTH);

    let quoted = "<blockquote>".repeat(10_000) + "a";
    assert_eq!(text(&quoted), "> > > > a");

    let many = |count: usize| "<i>a</i>".repeat(count);
    assert!(Html::read(&many(MAX_ELEMENTS)).body.is_some());
    assert_eq!(Html::read(&many(MAX_ELEMENTS + 1)).body, None);
    assert_eq!(text(&many(5000)), "a".repeat(5000));
    assert_eq!(text(&"a<br>".repeat(5000)).lines().count(), 5000);
    assert_eq!(Html::read(&"a<br>".repeat(5000)).body, None);
}

/// Elements and attributes of XEP-0071 §7.8, but for images.
const PROFILE: [(&str, &[&str]); 12] = [
    ("a", &["href", "style"]),
    ("blockquote", &["style"]),
    ("body", &["style", "lang"]),
    ("br", &[]),
    ("cite", &["style"]),
    ("em", &[]),
    ("li", &["style"]),
    ("ol", &["style"]),
    ("p", &["style"]),
    ("span", &["style"]),
    ("strong", &[]),
    ("ul", &["style"]),
];

/// Reads a page and sees to it that nothing is in it that may not be.
fn read_safely(source: &str) -> Result<Html, TestCaseError> {
    let page = Html::read(source);
    prop_assert!(
        page.text
            .chars()
            .all(|c| c == '\n' || !c.is_control() && is_xml_char(c))
    );
    prop_assert_eq!(page.text.trim_end_matches(' '), &page.text);
    if let Some(body) = &page.body {
        let written = String::from(body);
        let read = roxmltree::Document::parse(&written)
            .map_err(|fault| TestCaseError::fail(format!("{fault}: {written}")))?;
        for node in read.descendants().filter(|node| node.is_element()) {
            let name = node.tag_name();
            prop_assert_eq!(name.namespace(), Some(ns::XHTML));
            let known = PROFILE.iter().find(|(known, _)| *known == name.name());
            prop_assert!(known.is_some(), "{:?}", name);
            for attribute in node.attributes() {
                prop_assert!(
                    known.is_some_and(|(_, known)| known.contains(&attribute.name())),
                    "{:?}",
                    attribute
                );
                let value = attribute.value().to_ascii_lowercase();
                prop_assert!(
                    !value.contains("script:") && !value.contains("url("),
                    "{}",
                    value
                );
            }
            prop_assert!(node.ancestors().count() <= MAX_DEPTH + 3);
        }
        let mut text = page.text.chars();
        let shown = read.descendants().filter(|node| node.is_text());
        let letters = shown.filter_map(|node| node.text()).flat_map(str::chars);
        for letter in letters.filter(|c| c.is_alphanumeric()) {
            prop_assert!(
                text.any(|c| c == letter),
                "{:?} says more than {:?}",
                written,
                page.text
            );
        }
    }
    Ok(page)
}

/// What pages are made of, and what breaks them.
const PIECES: [&str; 47] = [
    "<",
    ">",
    "</",
    "/>",
    "=",
    "'",
    "\"",
    "&",
    ";",
    " ",
    "\n",
    "a",
    "é",
    "\0",
    "\u{ffff}",
    "&lt;",
    "&#0;",
    "&#xD800;",
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<i style='color:red;x:url(a)'>",
    "</i>",
    "<div>",
    "</div>",
    "<br>",
    "<ul>",
    "</ul>",
    "<ol>",
    "<li>",
    "</li>",
    "<blockquote>",
    "</blockquote>",
    "<a href='http://a/'>",
    "</a>",
    "<a href='javascript:a'>",
    "<a href=' &#106;avascript:a'>",
    "<pre>",
    "</pre>",
    "<img src=http://a>",
    "<script>",
    "</script>",
    "<template>",
    "</template>",
    "<!--",
    "-->",
];

proptest! {
    #[test]
    fn any_text_is_read_safely(source in any::<String>()) {
        read_safely(&source)?;
    }

    #[test]
    fn any_page_is_read_safely(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        read_safely(&pieces.concat())?;
    }

    /// Text that was escaped is the text that comes out.
    #[test]
    fn escaped_text_comes_out_whole(text in "[!-~é ]{0,60}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
        prop_assert_eq!(read_safely(&escaped)?.text, words.join(" "));
    }
}
