// SPDX-License-Identifier: GPL-2.0-or-later
//! Envelopes as others send them.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::body::composing::{self, Composing, State};
use crate::body::imdn::{Delivery, Display, Disposition, Imdn, Processing};

const CONTENT: &str = "\r\nContent-Type: text/plain\r\n\r\nhello";

fn with_headers(headers: &str) -> Result<Cpim, CpimError> {
    Cpim::parse(format!("{headers}{CONTENT}").as_bytes())
}

fn party(name: &str, uri: &str) -> Party {
    Party {
        name: (!name.is_empty()).then(|| name.to_owned()),
        uri: uri.to_owned(),
    }
}

#[test]
fn the_example_of_rfc_3862() {
    let text = include_str!("../../../../tests/vectors/rfc3862/message.cpim");
    let vital = "MyFeatures.VitalMessageOption";
    assert_eq!(
        Cpim::parse(text.as_bytes()),
        Err(CpimError::Required(vital.to_owned()))
    );
    let subject = |lang: Option<&str>, text: &str| Subject {
        lang: lang.map(str::to_owned),
        text: text.to_owned(),
    };
    let mut expected = Cpim {
        from: Some(party("MR SANDERS", "im:piglet@100akerwood.com")),
        to: vec![party("Depressed Donkey", "im:eeyore@100akerwood.com")],
        datetime: Timestamp::parse("2000-12-13T13:40:00-08:00"),
        subjects: vec![
            subject(None, "the weather will be fine today"),
            subject(Some("fr"), "beau temps prevu pour aujourd'hui"),
        ],
        content: Content {
            content_type: "text/xml; charset=utf-8".into(),
            headers: vec![("Content-ID".into(), "<1234567890@foo.com>".into())],
            bytes: b"<body>\nHere is the text of my message.\n</body>\n".to_vec(),
        },
        ..Cpim::default()
    };
    let text = text.replace(&format!("Require: {vital}\n"), "");
    assert_eq!(Cpim::parse(text.as_bytes()), Ok(expected.clone()));
    assert_eq!(
        expected.content.header("content-id"),
        Some("<1234567890@foo.com>")
    );
    let text = text.replace('\n', "\r\n");
    expected.content.bytes = b"<body>\r\nHere is the text of my message.\r\n</body>\r\n".to_vec();
    assert_eq!(Cpim::parse(text.as_bytes()), Ok(expected));
}

#[test]
fn the_request_of_rfc_5438() {
    let read = Cpim::parse(include_bytes!(
        "../../../../tests/vectors/rfc5438/request.cpim"
    ));
    let expected = Cpim {
        from: Some(party("Alice", "im:alice@example.com")),
        to: vec![party("Bob", "im:bob@example.com")],
        datetime: Timestamp::parse("2006-04-04T12:16:49-05:00"),
        message_id: Some("34jk324j".into()),
        requested: Requested {
            positive_delivery: true,
            negative_delivery: true,
            ..Requested::default()
        },
        content: Content {
            content_type: "text/plain".into(),
            headers: vec![("Content-length".into(), "12".into())],
            bytes: b"Hello World\n".to_vec(),
        },
        ..Cpim::default()
    };
    assert_eq!(read, Ok(expected));
}

#[test]
fn the_notifications_of_rfc_5438() {
    let processing = include_bytes!("../../../../tests/vectors/rfc5438/processing.cpim");
    let whole = Cpim::parse(processing).unwrap().content;
    assert_eq!(whole.content_type, "Message/CPIM");
    for (bytes, id, disposition) in [
        (
            &include_bytes!("../../../../tests/vectors/rfc5438/delivery.cpim")[..],
            Some("d834jied93rf"),
            Disposition::Delivery(Delivery::Delivered),
        ),
        (
            include_bytes!("../../../../tests/vectors/rfc5438/display.cpim"),
            Some("dfjkleriou432333"),
            Disposition::Display(Display::Displayed),
        ),
        (
            &whole.bytes,
            None,
            Disposition::Processing(Processing::Processed),
        ),
    ] {
        let read = Cpim::parse(bytes).unwrap();
        assert_eq!(read.message_id.as_deref(), id);
        assert_eq!(read.content.content_type, "message/imdn+xml");
        assert_eq!(
            read.content.header("Content-Disposition"),
            Some("notification")
        );
        let expected = Imdn {
            message_id: "34jk324j".into(),
            datetime: Timestamp::parse("2008-04-04T12:16:49-05:00"),
            recipient_uri: Some("im:bob@example.com".into()),
            original_recipient_uri: Some("im:bob@example.com".into()),
            subject: None,
            disposition,
        };
        assert_eq!(Imdn::parse(&read.content.bytes), Ok(expected));
    }
    let several = include_bytes!("../../../../tests/vectors/rfc5438/aggregate.cpim");
    assert_eq!(
        Cpim::parse(several).unwrap().content.content_type,
        "multipart/mixed; boundary=\"imdn-boundary\""
    );
}

#[test]
fn messages_of_a_real_user_agent() {
    let text = include_bytes!("../../../../tests/vectors/cpim/linphone_text.cpim");
    let text = Cpim::parse(text).unwrap();
    assert_eq!(text.from, Some(party("", "sip:alice@sip.example")));
    assert_eq!(text.to, [party("", "sip:bob@sip.example")]);
    assert!(text.datetime.is_some() && text.message_id.is_some());
    let requested = Requested {
        positive_delivery: true,
        negative_delivery: true,
        processing: false,
        display: true,
    };
    assert_eq!(text.requested, requested);
    assert_eq!(text.content.content_type, "text/plain");
    assert_eq!(text.content.bytes, "hello é \"x\" \\".as_bytes());
    let composing = include_bytes!("../../../../tests/vectors/cpim/linphone_composing.cpim");
    let content = Cpim::parse(composing).unwrap().content;
    assert_eq!(content.content_type, composing::MIME);
    let read = Composing::parse(&content.bytes).unwrap();
    assert_eq!(read.state, State::Active);
    assert_eq!(read.refresh.map(NonZeroU32::get), Some(60));
}

#[test]
fn parties_in_every_form() {
    for (text, expected) in [
        ("<im:a@b>", Some(party("", "im:a@b"))),
        (
            "<sip:anonymous@anonymous.invalid>",
            Some(party("", "sip:anonymous@anonymous.invalid")),
        ),
        (
            "Winnie the Pooh <im:a@b>",
            Some(party("Winnie the Pooh", "im:a@b")),
        ),
        (
            "\"Juliet\" <sip:a@b>;gr=1",
            Some(party("Juliet", "sip:a@b")),
        ),
        ("\"\"<im:a@b>", Some(party("", "im:a@b"))),
        (
            r#""a <x:y>, \"b\\" <im:a@b>"#,
            Some(party(r#"a <x:y>, "b\"#, "im:a@b")),
        ),
        (
            r"O\'Hara \u00e9\ud83d\ude00 <im:a@b>",
            Some(party("O'Hara é😀", "im:a@b")),
        ),
        (
            "é <sip:é@b?Subject=%0d>",
            Some(party("é", "sip:é@b?Subject=%0d")),
        ),
        ("tel:+15551234", Some(party("", "tel:+15551234"))),
        ("< im:a@b >", Some(party("", "im:a@b"))),
        ("", None),
        ("Bob", None),
        ("<>", None),
        ("<im:>", None),
        ("<alice@example.com>", None),
        ("<im:a@b", None),
        ("\"Bob <im:a@b>", None),
        ("<im:a b>", None),
        ("<im:a\u{a0}b>", None),
        ("<im:a\\b>", None),
        ("<im:a\"b>", None),
    ] {
        let read = with_headers(&format!("From: {text}\r\n")).unwrap();
        assert_eq!(read.from, expected, "{text}");
    }
}

#[test]
fn escapes_mean_characters() {
    for (text, expected) in [
        (r#"\\ \" \' \b\t\n\r"#, "\\ \" ' \u{8}\t\n\r"),
        (r"\u0000\u000A\u007f\u2028", "\0\n\u{7f}\u{2028}"),
        (r"\ud83d\ude00 \ud83d \ude00", "😀 \u{fffd} \u{fffd}"),
        (r"\u12 \u+123 \uzzzz \x \é", "u12 u+123 uzzzz x é"),
        (r"a\", "a"),
        (r"\u0020a\u0020", " a "),
        ("  a\tb \t", "a\tb"),
    ] {
        let read = with_headers(&format!("Subject: {text}\r\n")).unwrap();
        assert_eq!(read.subjects[0].text, expected, "{text}");
    }
}

#[test]
fn subjects_have_languages() {
    for (header, lang, text) in [
        ("Subject:;lang=fr beau temps", Some("fr"), "beau temps"),
        (
            "Subject:;lang=de-CH-1996 Grüezi",
            Some("de-CH-1996"),
            "Grüezi",
        ),
        (
            "Subject:;x=\"; lang=en \";lang=fr;lang=de a;lang=en",
            Some("fr"),
            "a;lang=en",
        ),
        ("Subject:;LANG=\"fr\" a", Some("fr"), "a"),
        ("Subject:;lang=f_r a", None, "a"),
        ("Subject:;lang=123456789 a", None, "a"),
        ("Subject:;lang= a", None, "a"),
        ("Subject: ;lang=fr a", None, ";lang=fr a"),
        ("Subject:a", None, "a"),
        ("subject: a", None, "a"),
    ] {
        let read = with_headers(&format!("{header}\r\n")).unwrap();
        let expected = Subject {
            lang: lang.map(str::to_owned),
            text: text.to_owned(),
        };
        assert_eq!(read.subjects, [expected], "{header}");
    }
    assert_eq!(with_headers("Subject:;lang=fr \r\n").unwrap().subjects, []);
}

#[test]
fn names_mean_what_their_namespace_says() {
    for (headers, id) in [
        (
            "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 1\r\n",
            Some("1"),
        ),
        (
            "NS: x<urn:ietf:params:imdn>\r\nx.Message-ID: 1\r\n",
            Some("1"),
        ),
        ("imdn.Message-ID: 1\r\n", Some("1")),
        ("imdn.message-id: 1\r\nimdn.Message-ID: 2\r\n", Some("1")),
        ("NS: <urn:ietf:params:imdn>\r\nMessage-ID: 1\r\n", Some("1")),
        (
            "NS: imdn <urn:example:acme>\r\nimdn.Message-ID: 1\r\n",
            None,
        ),
        (
            "NS: a <urn:example:acme>\r\nNS: a <urn:ietf:params:imdn>\r\na.Message-ID: 1\r\n",
            Some("1"),
        ),
        ("Message-ID: 1\r\n", None),
        ("x.Message-ID: 1\r\nNS: x <urn:ietf:params:imdn>\r\n", None),
        ("NS: x urn:ietf:params:imdn\r\nx.Message-ID: 1\r\n", None),
        ("imdn.Message-ID: \r\n", None),
    ] {
        let headers = headers.to_owned() + "To: <im:a@b>\r\n";
        let read = with_headers(&headers).unwrap();
        assert_eq!(read.message_id.as_deref(), id, "{headers}");
        assert_eq!(read.to, [party("", "im:a@b")], "{headers}");
    }
    for (headers, known) in [
        ("NS: <urn:example:acme>\r\nFrom: <im:a@b>\r\n", false),
        (
            "NS: c <urn:ietf:params:cpim-headers:>\r\nNS: <urn:example:acme>\r\nc.From: <im:a@b>\r\n",
            true,
        ),
        ("imdn.From: <im:a@b>\r\n", false),
    ] {
        let read = with_headers(headers).unwrap();
        assert_eq!(read.from.is_some(), known, "{headers}");
    }
}

#[test]
fn what_is_required_must_be_known() {
    for (value, unknown) in [
        ("", None),
        ("From,Subject", None),
        ("imdn.Message-ID, imdn.Disposition-Notification", None),
        ("x.Original-To", None),
        ("Subject, MyFeatures.Vital, Other", Some("MyFeatures.Vital")),
        ("Message-ID", Some("Message-ID")),
        ("From.", Some("From.")),
        ("a b", Some("a b")),
    ] {
        let read = with_headers(&format!(
            "NS: x <urn:ietf:params:imdn>\r\nRequire: {value}\r\n"
        ));
        let expected = unknown.map(|name| CpimError::Required(name.to_owned()));
        assert_eq!(read.err(), expected, "{value}");
    }
}

#[test]
fn notifications_are_asked_for() {
    let read = with_headers(
        "imdn.Disposition-Notification: Positive-Delivery;x=1 , display,reading\r\n\
         imdn.Disposition-Notification:\r\nimdn.Disposition-Notification: processing\r\n\
         imdn.Original-To: List <sip:list@b>\r\nimdn.IMDN-Record-Route: <im:1@b>\r\n\
         imdn.IMDN-Record-Route: <im:2@b>\r\nimdn.IMDN-Route: <im:3@b>\r\n",
    )
    .unwrap();
    let requested = Requested {
        positive_delivery: true,
        negative_delivery: false,
        processing: true,
        display: true,
    };
    assert_eq!(read.requested, requested);
    assert_eq!(read.original_to, Some(party("List", "sip:list@b")));
    assert_eq!(
        read.record_route,
        [party("", "im:1@b"), party("", "im:2@b")]
    );
    assert_eq!(read.route, [party("", "im:3@b")]);
}

#[test]
fn of_what_there_is_once_the_first_counts() {
    let twice = |header: &str, values: [&str; 2]| {
        let header = |value| format!("{header}: {value}\r\n");
        values.map(header).concat()
    };
    let read = with_headers(
        &[
            twice("From", ["<im:a@b>", "<im:c@d>"]),
            twice("DateTime", ["2006-04-04T12:16:49Z", "2007-04-04T12:16:49Z"]),
            twice("imdn.Message-ID", ["1", "2"]),
            twice("imdn.Original-To", ["<im:a@b>", "<im:c@d>"]),
            twice("X-Unknown", ["1", "2"]),
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(read.from, Some(party("", "im:a@b")));
    assert_eq!(read.datetime, Timestamp::parse("2006-04-04T12:16:49Z"));
    assert_eq!(read.message_id.as_deref(), Some("1"));
    assert_eq!(read.original_to, Some(party("", "im:a@b")));
}

#[test]
fn where_the_content_begins() {
    for (text, bytes) in [
        (
            "From: <im:a@b>\r\n\r\nContent-Type: x/y\r\n\r\nhello\r\n",
            "hello\r\n",
        ),
        ("From: <im:a@b>\n\nContent-Type: x/y\n\nhello\n", "hello\n"),
        ("From: <im:a@b>\r\ncontent-type: x/y\r\n\r\nhello", "hello"),
        (
            "From: <im:a@b>\r\n\r\n\r\n\r\nContent-Type: x/y\r\n\r\n\r\nhello",
            "\r\nhello",
        ),
        (
            "From: <im:a@b>\r\nMIME-Version: 1.0\r\nContent-Type:x/y\r\n\r\na: b",
            "a: b",
        ),
        ("\r\nContent-Type: x/y\r\n\r\nhello", "hello"),
        (
            "Content-Type: x/y\r\nContent-Length: 1\r\n\r\nhello",
            "hello",
        ),
        (
            "\r\nContent-Type: x/y\r\nContent-Type: z/z\r\n\r\nhello",
            "hello",
        ),
        ("\r\nContent-Type: x/y\r\n\r\n", ""),
        ("\r\nContent-Type: x/y\r\n", ""),
        ("\r\nContent-Type:\r\n\tx/y", ""),
    ] {
        let content = Cpim::parse(text.as_bytes()).unwrap().content;
        assert_eq!(content.content_type, "x/y", "{text}");
        assert_eq!(content.bytes, bytes.as_bytes(), "{text}");
        assert_eq!(content.header("Content-Type"), None);
    }
}

#[test]
fn what_is_no_message() {
    for (text, expected) in [
        (&b""[..], CpimError::Untyped),
        (b"From: <im:a@b>\r\n", CpimError::Untyped),
        (b"From: <im:a@b>\r\n\r\n", CpimError::Untyped),
        (
            b"From: <im:a@b>\r\n\r\nContent-ID: <1@b>\r\n\r\nhello",
            CpimError::Untyped,
        ),
        (b"From: <im:a@b>\r\n\r\nhello", CpimError::Malformed),
        (b"hello", CpimError::Malformed),
        (
            b": a\r\n\r\nContent-Type: x/y\r\n\r\n",
            CpimError::Malformed,
        ),
        (
            b"From : <im:a@b>\r\n\r\nContent-Type: x/y\r\n\r\n",
            CpimError::Malformed,
        ),
        (
            b"Subject: a\r\n b\r\n\r\nContent-Type: x/y\r\n\r\n",
            CpimError::Malformed,
        ),
        (
            b"Subject: a\rFrom: <im:a@b>\r\n\r\nContent-Type: x/y\r\n\r\n",
            CpimError::Malformed,
        ),
        (
            b"Subject: \x7f\r\n\r\nContent-Type: x/y\r\n\r\n",
            CpimError::Malformed,
        ),
        (
            b"Subject: \xff\r\n\r\nContent-Type: x/y\r\n\r\n",
            CpimError::Malformed,
        ),
        (b"\r\nContent-Type: x/y\0\r\n\r\n", CpimError::Malformed),
        (
            b"\r\nContent-Type: x/y\r\nhello\r\n\r\n",
            CpimError::Malformed,
        ),
        (b"\r\n Content-Type: x/y\r\n\r\n", CpimError::Malformed),
    ] {
        assert_eq!(Cpim::parse(text), Err(expected), "{}", text.escape_ascii());
    }
}

#[test]
fn each_limit_takes_n_and_refuses_more() {
    let parties = [
        "To: <im:a@b>\n",
        "cc: <im:a@b>\n",
        "imdn.IMDN-Route: <im:a@b>\n",
    ];
    let parties = |n| -> String { parties.iter().cycle().take(n).copied().collect() };
    // One more is that of the content.
    let headers = |n| "From: <im:a@b>\n".repeat(n - 1);
    type Case<'a> = (&'a dyn Fn(usize) -> String, usize, Excess);
    let cases: [Case<'_>; 2] = [
        (&parties, MAX_PARTIES, Excess::Parties),
        (&headers, MAX_HEADERS, Excess::Headers),
    ];
    for (text, limit, excess) in cases {
        assert!(with_headers(&text(limit)).is_ok(), "{excess:?}");
        let refused = with_headers(&text(limit + 1));
        assert_eq!(refused, Err(CpimError::TooLarge(excess)));
    }
}

proptest! {
    #[test]
    fn any_lines_are_read_without_panic_and_write_back(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "From: ", "To: ", "<im:a@b>", "\"", "\\", "\\u00", "\\ud83d", "Subject:;lang=", "fr ", "\r\n",
                "\n", "\t", " ", ";", "NS: ", "x <urn:ietf:params:imdn>", "x.Message-ID: ", "1", "é",
                "\r\nContent-Type: text/plain", "\r\n\r\n", "\u{85}", "DateTime: 2006-04-04T12:16:49Z",
            ]),
            0..30,
        ),
    ) {
        let text = lines.concat() + CONTENT;
        if let Ok(message) = Cpim::parse(text.as_bytes()) {
            prop_assert_eq!(Cpim::parse(&message.to_bytes()), Ok(message), "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = Cpim::parse(&bytes);
    }
}
