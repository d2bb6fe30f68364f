// SPDX-License-Identifier: GPL-2.0-or-later
//! Message to bytes.

use super::{
    Content, Cpim, IMDN, LINE_ENDS, Party, Requested, Subject, is_language, is_name_char,
    is_uri_char, mime_value,
};

impl Cpim {
    /// The message as a body.
    ///
    /// It reads back equal when its fields are what they say; in any case it reads as the same number of
    /// headers. What has no form in the grammar becomes harmless: an address is percent-encoded, a language
    /// that is none and a MIME header with such a name are left out, and so are an empty name, `Message-ID`
    /// or subject; in a MIME header a control character is a space.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        write_parties(&mut out, "From: ", self.from.iter());
        write_parties(&mut out, "To: ", self.to.iter());
        write_parties(&mut out, "cc: ", self.cc.iter());
        if let Some(datetime) = &self.datetime {
            write_value(&mut out, "DateTime: ", datetime.as_str());
        }
        let said = |subject: &&Subject| !subject.text.is_empty();
        for subject in self.subjects.iter().filter(said) {
            match subject.lang.as_deref().filter(|lang| is_language(lang)) {
                Some(lang) => {
                    write_value(&mut out, &format!("Subject:;lang={lang} "), &subject.text);
                }
                None => write_value(&mut out, "Subject: ", &subject.text),
            }
        }
        let imdn = self.imdn();
        if !imdn.is_empty() {
            out.push_str(&format!("NS: imdn <{IMDN}>\r\n"));
            out.push_str(&imdn);
        }
        out.push_str("\r\n");
        write_mime(&mut out, &self.content);
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(&self.content.bytes);
        bytes
    }

    /// The headers of RFC 5438 §10.
    fn imdn(&self) -> String {
        let mut out = String::new();
        if let Some(id) = self.message_id.as_deref().filter(|id| !id.is_empty()) {
            write_value(&mut out, "imdn.Message-ID: ", id);
        }
        let requested = requests(self.requested);
        if !requested.is_empty() {
            let requested = requested.join(", ");
            write_value(&mut out, "imdn.Disposition-Notification: ", &requested);
        }
        write_parties(&mut out, "imdn.Original-To: ", self.original_to.iter());
        let (recorded, route) = (self.record_route.iter(), self.route.iter());
        write_parties(&mut out, "imdn.IMDN-Record-Route: ", recorded);
        write_parties(&mut out, "imdn.IMDN-Route: ", route);
        out
    }
}

fn requests(requested: Requested) -> Vec<&'static str> {
    [
        (requested.positive_delivery, "positive-delivery"),
        (requested.negative_delivery, "negative-delivery"),
        (requested.processing, "processing"),
        (requested.display, "display"),
    ]
    .into_iter()
    .filter_map(|(wanted, name)| wanted.then_some(name))
    .collect()
}

/// RFC 3862 §4.1, once for each.
fn write_parties<'a>(out: &mut String, start: &str, parties: impl Iterator<Item = &'a Party>) {
    for party in parties {
        out.push_str(start);
        if let Some(name) = party.name.as_deref().filter(|name| !name.is_empty()) {
            write_name(out, name);
        }
        out.push('<');
        write_uri(out, &party.uri);
        out.push_str(">\r\n");
    }
}

/// `Formal-name` (RFC 3862 §3.6) and a space.
fn write_name(out: &mut String, name: &str) {
    let token_char = |c: char| is_name_char(c) || (!c.is_ascii() && !c.is_control());
    let token = |text: &str| !text.is_empty() && text.chars().all(token_char);
    let plain = name.split(' ').all(token) && !name.contains(LINE_ENDS);
    if plain {
        out.push_str(name);
    } else {
        out.push('"');
        for c in name.chars() {
            if c == '"' {
                out.push('\\');
                out.push(c);
            } else {
                escape(out, c);
            }
        }
        out.push('"');
    }
    out.push(' ');
}

fn write_uri(out: &mut String, uri: &str) {
    for c in uri.chars() {
        if is_uri_char(c) {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

/// A header whose value may be any text.
fn write_value(out: &mut String, start: &str, value: &str) {
    out.push_str(start);
    let inner = value.trim_matches(' ');
    let before = value.len() - value.trim_start_matches(' ').len();
    let after = value.len() - before - inner.len();
    // At the ends of a value spaces would be taken for what is around it.
    out.push_str(&"\\u0020".repeat(before));
    inner.chars().for_each(|c| escape(out, c));
    out.push_str(&"\\u0020".repeat(after));
    out.push_str("\r\n");
}

/// RFC 3862 §2.3.1.
fn escape(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        _ if c.is_control() || LINE_ENDS.contains(&c) => {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
        _ => out.push(c),
    }
}

/// The MIME headers and the empty line behind.
fn write_mime(out: &mut String, content: &Content) {
    write_mime_header(out, "Content-Type", &content.content_type);
    for (name, value) in &content.headers {
        let legal = !name.is_empty() && name.chars().all(is_name_char);
        if legal && !name.eq_ignore_ascii_case("Content-Type") {
            write_mime_header(out, name, value);
        }
    }
    out.push_str("\r\n");
}

fn write_mime_header(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("{name}: {}\r\n", mime_value(value)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::body::Timestamp;

    /// Any text, rich in what could end a value.
    fn text() -> impl Strategy<Value = String> {
        let special = prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\\",
            "\\n",
            "\\u000a",
            "\"",
            "'",
            "<",
            ">",
            " ",
            "\t",
            ";lang=en",
            ":",
            "é",
            "😀",
            "\u{85}",
            "\u{2028}",
            "\0",
            "\u{7f}",
            "\u{83}",
            "\r\nTo: <im:evil@b>\r\n",
            "\r\n\r\n",
        ])
        .prop_map(str::to_owned);
        let other = any::<char>().prop_map(String::from);
        prop::collection::vec(prop_oneof![special, other], 0..8).prop_map(|parts| parts.concat())
    }

    fn said() -> impl Strategy<Value = String> {
        text().prop_filter("said", |text| !text.is_empty())
    }

    fn party() -> impl Strategy<Value = Party> {
        let uri = "(sip|im|tel|x-1):[!#-;=?-\\[\\]-~é]{1,20}";
        (prop::option::of(said()), uri).prop_map(|(name, uri)| Party { name, uri })
    }

    fn parties() -> impl Strategy<Value = Vec<Party>> {
        prop::collection::vec(party(), 0..3)
    }

    fn content() -> impl Strategy<Value = Content> {
        let value = || "([!-~é]([ -~é\t]{0,20}[!-~])?)?";
        let header = ("(Content-ID|Content-Language|X)", value());
        let headers = prop::collection::vec(header, 0..3);
        (value(), headers, any::<Vec<u8>>()).prop_map(|(content_type, headers, bytes)| Content {
            content_type,
            headers,
            bytes,
        })
    }

    fn message() -> impl Strategy<Value = Cpim> {
        let datetime =
            prop::sample::select(vec!["2006-04-04T12:16:49-05:00", "2006-04-04T12:16:49.1Z"]);
        let lang = prop::option::of("[a-z]{1,8}(-[a-z0-9]{1,8}){0,2}");
        let subject = (lang, said()).prop_map(|(lang, text)| Subject { lang, text });
        let requested = any::<[bool; 4]>().prop_map(
            |[positive_delivery, negative_delivery, processing, display]| Requested {
                positive_delivery,
                negative_delivery,
                processing,
                display,
            },
        );
        (
            (prop::option::of(party()), parties(), parties()),
            prop::option::of(datetime),
            prop::collection::vec(subject, 0..3),
            (prop::option::of(said()), requested),
            (prop::option::of(party()), parties(), parties()),
            content(),
        )
            .prop_map(
                |((from, to, cc), datetime, subjects, (message_id, requested), route, content)| {
                    let (original_to, record_route, route) = route;
                    Cpim {
                        from,
                        to,
                        cc,
                        datetime: datetime.and_then(Timestamp::parse),
                        subjects,
                        message_id,
                        requested,
                        original_to,
                        record_route,
                        route,
                        content,
                    }
                },
            )
    }

    /// The lines before the content's bytes, whatever a reader takes for the end of a line.
    fn lines(message: &Cpim) -> usize {
        let mut message = message.clone();
        message.content.bytes.clear();
        let text = String::from_utf8(message.to_bytes()).unwrap();
        let ends = [
            '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ];
        text.replace("\r\n", "\n").split(ends).count()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(message in message()) {
            let bytes = message.to_bytes();
            prop_assert_eq!(
                Cpim::parse(&bytes), Ok(message), "{}", String::from_utf8_lossy(&bytes)
            );
        }

        #[test]
        fn no_value_begins_a_header(
            texts in prop::array::uniform7(said()),
            bytes: Vec<u8>,
        ) {
            let [name, uri, lang, subject, id, header, value] = texts;
            let party = |name: &str, uri: &str| Party {
                name: Some(name.to_owned()),
                uri: format!("im:{uri}"),
            };
            let filled = |[name, uri, lang, subject, id, header, value]: [&str; 7]| Cpim {
                from: Some(party(name, uri)),
                to: vec![party(name, uri)],
                cc: vec![party(uri, uri)],
                subjects: vec![Subject { lang: Some(lang.to_owned()), text: subject.to_owned() }],
                message_id: Some(id.to_owned()),
                original_to: Some(party(name, uri)),
                content: Content {
                    content_type: value.to_owned(),
                    headers: vec![
                        (format!("X{}", header.escape_unicode()).replace(['{', '}', '\\'], ""), value.to_owned()),
                        (header.to_owned(), value.to_owned()),
                    ],
                    bytes: bytes.clone(),
                },
                ..Cpim::default()
            };
            let message = filled([&name, &uri, &lang, &subject, &id, &header, &value]);
            let plain = filled(["a", "a@b", "en", "a", "1", "X-A", "1"]);
            let legal = header.chars().all(is_name_char) && !header.eq_ignore_ascii_case("content-type");
            prop_assert_eq!(lines(&message) + usize::from(!legal), lines(&plain));
            let read = Cpim::parse(&message.to_bytes()).unwrap();
            prop_assert_eq!(read.from.map(|from| from.name), Some(Some(name)));
            prop_assert_eq!((read.to.len(), read.cc.len(), read.subjects.len()), (1, 1, 1));
            prop_assert_eq!(&read.subjects[0].text, &subject);
            prop_assert_eq!(read.message_id, Some(id));
            prop_assert!(read.original_to.is_some());
            prop_assert_eq!(read.content.headers.len(), 1 + usize::from(legal));
            prop_assert_eq!(read.content.bytes, bytes);
        }
    }

    #[test]
    fn a_message_as_it_is_written() {
        let message = Cpim {
            from: Some(Party {
                name: Some("Winnie the Pooh".into()),
                uri: "im:pooh@100akerwood.com".into(),
            }),
            to: vec![Party {
                name: Some("Eeyore, \"Donkey\"\\\t\u{b}\u{2028}é".into()),
                uri: "im:eeyore> @100akerwood.com\r\n".into(),
            }],
            datetime: Timestamp::parse("2000-12-13T13:40:00-08:00"),
            subjects: vec![
                Subject {
                    lang: Some("fr".into()),
                    text: " aujourd'hui\\\r\n".into(),
                },
                Subject {
                    lang: Some("no language".into()),
                    text: "  ".into(),
                },
            ],
            message_id: Some("34jk324j".into()),
            requested: Requested {
                positive_delivery: true,
                display: true,
                ..Requested::default()
            },
            content: Content {
                content_type: "text/plain;\r\n charset=utf-8".into(),
                headers: vec![
                    ("Content-Language".into(), "fr\u{85}".into()),
                    ("Content-type".into(), "x/y".into()),
                    ("X: y".into(), "z".into()),
                ],
                bytes: b"\xff\n".to_vec(),
            },
            ..Cpim::default()
        };
        let expected = b"From: Winnie the Pooh <im:pooh@100akerwood.com>\r\n\
            To: \"Eeyore, \\\"Donkey\\\"\\\\\\t\\u000b\\u2028\xc3\xa9\" \
            <im:eeyore%3E%20@100akerwood.com%0D%0A>\r\n\
            DateTime: 2000-12-13T13:40:00-08:00\r\n\
            Subject:;lang=fr \\u0020aujourd'hui\\\\\\r\\n\r\n\
            Subject: \\u0020\\u0020\r\n\
            NS: imdn <urn:ietf:params:imdn>\r\n\
            imdn.Message-ID: 34jk324j\r\n\
            imdn.Disposition-Notification: positive-delivery, display\r\n\
            \r\n\
            Content-Type: text/plain;   charset=utf-8\r\n\
            Content-Language: fr\r\n\
            \r\n\
            \xff\n";
        let written = message.to_bytes();
        assert_eq!(
            written.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
