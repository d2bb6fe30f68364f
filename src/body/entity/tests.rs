// SPDX-License-Identifier: GPL-2.0-or-later
//! Entities as others send them.

use std::io::Read;

use flate2::Compression;
use flate2::read::{GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

fn read(content_type: &str, body: &[u8]) -> Result<Entity, EntityError> {
    Entity::read([("content-type", content_type)], body)
}

/// The texts of all leaves, in order.
fn leaves(entity: &Entity) -> Vec<String> {
    match &entity.content {
        Content::Bytes(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Content::Parts(parts) => parts.iter().flat_map(leaves).collect(),
    }
}

fn mixed(body: &str) -> Result<Vec<String>, EntityError> {
    read("multipart/mixed; boundary=b", body.as_bytes()).map(|entity| leaves(&entity))
}

fn encoded(encoding: &str, body: &str) -> Result<Vec<String>, EntityError> {
    Entity::read([("Content-Transfer-Encoding", encoding)], body.as_bytes())
        .map(|entity| leaves(&entity))
}

#[test]
fn what_the_header_says_is_kept() {
    let fields = [
        (
            "Content-Type",
            " Text/Plain ; Charset=\"iso-8859-1\"; format=flowed",
        ),
        ("CONTENT-LANGUAGE", "cs, en-US, no language"),
        ("content-language", "de"),
        ("Content-Disposition", "Render;handling=Optional"),
        ("Content-Encoding", "identity"),
        ("Subject", "a"),
    ];
    let entity = Entity::read(fields, b"a").unwrap();
    assert_eq!(entity.media_type.essence, "text/plain");
    assert_eq!(entity.media_type.param("charset"), Some("iso-8859-1"));
    assert_eq!(entity.media_type.param("format"), Some("flowed"));
    assert_eq!(entity.languages, ["cs", "en-US", "de"]);
    let disposition = entity.disposition.unwrap();
    assert_eq!(
        (disposition.kind.as_str(), disposition.optional),
        ("render", true)
    );
    assert_eq!(entity.content, Content::Bytes(b"a".to_vec()));
}

#[test]
fn without_a_header_it_is_text_in_utf_8() {
    let entity = Entity::read([], b"a").unwrap();
    assert_eq!(
        entity.media_type,
        MediaType::parse("text/plain;charset=UTF-8").unwrap()
    );
    assert_eq!(entity.disposition, None);
}

#[test]
fn a_media_type_that_is_none_is_refused() {
    for text in [
        "",
        "text",
        "text/",
        "/plain",
        "text/plain, text/html",
        "te xt/plain",
        "text/pl\u{e9}",
    ] {
        assert_eq!(read(text, b"a"), Err(EntityError::MediaType), "{text}");
    }
}

#[test]
fn transfer_encodings_are_undone() {
    for (encoding, body, expected) in [
        ("7bit", "a=20", "a=20"),
        ("8BIT", "é", "é"),
        ("binary", "a\r\n", "a\r\n"),
        ("base64", "", ""),
        ("Base64", "Y2Fm\r\n w6k=\r\n", "café"),
        ("base64", "Y2Fmw6k", "café"),
        ("quoted-printable", "caf=C3=a9", "café"),
        (
            "quoted-printable",
            "a  =  \r\nb \t\r\nc=20\nd",
            "a  b\r\nc \nd",
        ),
        ("quoted-printable", "1=2, =, =4, =3D=", "1=2, =, =4, ="),
    ] {
        assert_eq!(
            encoded(encoding, body),
            Ok(vec![expected.to_owned()]),
            "{encoding}: {body:?}"
        );
    }
    for (encoding, body, error) in [
        ("base64", "Y2*F", EntityError::NotEncoded),
        ("base64", "Y2Fmw6k=YQ==", EntityError::NotEncoded),
        ("base64", "Y", EntityError::NotEncoded),
        ("x-uuencode", "a", EntityError::TransferEncoding),
        ("", "a", EntityError::TransferEncoding),
    ] {
        assert_eq!(encoded(encoding, body), Err(error), "{encoding}: {body:?}");
    }
    let fields = [
        ("Content-Type", "multipart/mixed;boundary=b"),
        ("Content-Transfer-Encoding", "base64"),
    ];
    assert_eq!(
        Entity::read(fields, b"--b\n\na\n--b--"),
        Err(EntityError::TransferEncoding)
    );
}

#[test]
fn an_unknown_content_encoding_is_refused() {
    for (value, refused) in [
        ("br", true),
        ("identity, br", true),
        ("deflate, deflate, deflate, deflate, deflate", true),
        ("Identity", false),
        ("", false),
    ] {
        let entity = Entity::read([("Content-Encoding", value)], b"a");
        assert_eq!(
            entity == Err(EntityError::ContentEncoding),
            refused,
            "{value}"
        );
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = ZlibEncoder::new(bytes, Compression::best());
    encoder.read_to_end(&mut out).unwrap();
    out
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::best());
    encoder.read_to_end(&mut out).unwrap();
    out
}

fn inflated(encoding: &str, body: &[u8]) -> Result<Content, EntityError> {
    Entity::read([("Content-Encoding", encoding)], body).map(|entity| entity.content)
}

#[test]
fn what_is_compressed_is_read() {
    let content = Ok(Content::Bytes(b"hello".to_vec()));
    assert_eq!(inflated("deflate", &deflated(b"hello")), content);
    assert_eq!(inflated("GZip", &gzipped(b"hello")), content);
    let both = gzipped(&deflated(b"hello"));
    assert_eq!(inflated("deflate, identity, gzip", &both), content);
    let fields = [
        ("Content-Type", "multipart/mixed;boundary=b"),
        ("Content-Encoding", "deflate"),
    ];
    let entity = Entity::read(fields, &deflated(b"--b\n\na\n--b--")).unwrap();
    assert!(matches!(entity.content, Content::Parts(parts) if parts.len() == 1));
}

#[test]
fn what_is_compressed_and_damaged_is_refused() {
    let good = deflated(b"hello, hello, hello");
    for length in 0..good.len() {
        let cut = inflated("deflate", &good[..length]);
        assert_eq!(cut, Err(EntityError::NotEncoded), "{length}");
    }
    assert_eq!(
        inflated("gzip", &good),
        Err(EntityError::NotEncoded),
        "another encoding"
    );
}

#[test]
fn what_is_compressed_may_not_become_too_long() {
    let long = |length| inflated("deflate", &deflated(&vec![b'a'; length]));
    assert!(long(MAX_INFLATED).is_ok());
    for length in [MAX_INFLATED + 1, 10 * MAX_INFLATED, 1000 * MAX_INFLATED] {
        assert_eq!(long(length), Err(EntityError::Inflated));
    }
    // What an encoding within another becomes counts as well, and so do all parts together.
    let twice = deflated(&deflated(&vec![b'a'; MAX_INFLATED]));
    assert_eq!(
        inflated("deflate, deflate", &twice),
        Err(EntityError::Inflated)
    );
    let part = [
        b"--b\nContent-Encoding: deflate\n\n".as_slice(),
        &deflated(&vec![b'a'; MAX_INFLATED / 2 + 1]),
        b"\n",
    ]
    .concat();
    let body = [part.as_slice(), &part, b"--b--"].concat();
    assert_eq!(
        Entity::read([("Content-Type", "multipart/mixed;boundary=b")], &body),
        Err(EntityError::Inflated)
    );
}

/// RFC 2046 §5.1.1: the example, its lines ending with LF and with CRLF.
#[test]
fn the_example_of_rfc_2046_is_read() {
    let body = "This is the preamble.  It is to be ignored, though it\n\
        is a handy place for composition agents to include an\n\
        explanatory note to non-MIME conformant readers.\n\
        \n\
        --simple boundary\n\
        \n\
        This is implicitly typed plain US-ASCII text.\n\
        It does NOT end with a linebreak.\n\
        --simple boundary\n\
        Content-type: text/plain; charset=us-ascii\n\
        \n\
        This is explicitly typed plain US-ASCII text.\n\
        It DOES end with a linebreak.\n\
        \n\
        --simple boundary--\n\
        \n\
        This is the epilogue.  It is also to be ignored.\n";
    for line_end in ["\n", "\r\n"] {
        let body = body.replace('\n', line_end);
        let entity = read(
            "multipart/mixed; boundary=\"simple boundary\"",
            body.as_bytes(),
        );
        let expected = [
            "This is implicitly typed plain US-ASCII text.\nIt does NOT end with a linebreak.",
            "This is explicitly typed plain US-ASCII text.\nIt DOES end with a linebreak.\n",
        ];
        let expected = expected.map(|text| text.replace('\n', line_end));
        assert_eq!(leaves(&entity.unwrap()), expected);
    }
}

#[test]
fn parts_have_headers_of_their_own() {
    let body = b"--b\r\n\
        Content-Type: text/plain;\r\n\tcharset=iso-8859-1\r\n\
        X-Other: a\r\n\
        Content-Language: de\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\
        \r\n\
        gr=FCn\r\n\
        --b\r\n\
        content-type : text/html\r\n\
        \r\n\
        <b>green</b>\r\n\
        --b--";
    let entity = read("multipart/alternative; boundary=\"b\"", body).unwrap();
    let Content::Parts(parts) = entity.content else {
        panic!("no parts");
    };
    let [plain, html] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    assert_eq!(plain.media_type.param("charset"), Some("iso-8859-1"));
    assert_eq!(plain.languages, ["de"]);
    assert_eq!(plain.content, Content::Bytes(b"gr\xfcn".to_vec()));
    assert_eq!(html.media_type.essence, "text/html");
    assert_eq!(html.content, Content::Bytes(b"<b>green</b>".to_vec()));
}

#[test]
fn parts_are_cut_where_the_boundary_is() {
    let texts = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect());
    for (body, expected) in [
        ("--b\n\na\n--b--", texts(&["a"])),
        ("--b \t\r\n\r\na\r\n--b-- \r\nend", texts(&["a"])),
        ("--b\n\na\n--bb\n--b--\n--b\n\nc", texts(&["a\n--bb"])),
        ("--b\n\na\n --b\n--b-\n--b--", texts(&["a\n --b\n--b-"])),
        ("--b\n\na\n--b\n\nc", texts(&["a", "c"])),
        ("--b\n\na\n--b\n", texts(&["a"])),
        ("--b\n--b--", texts(&[""])),
        ("--b\nContent-Type: text/plain\n--b--", texts(&[""])),
        ("--b\nX:y\n\n\na\n\n--b--", texts(&["\na\n"])),
        ("", Err(EntityError::Boundary)),
        ("--b--", Err(EntityError::Boundary)),
        ("a --b\n\nb", Err(EntityError::Boundary)),
        ("--b\nno header\n--b--", Err(EntityError::Header)),
        ("--b\n: a\n\n--b--", Err(EntityError::Header)),
        ("--b\n a: b\n\n--b--", Err(EntityError::Header)),
        ("--b\na b: c\n\n--b--", Err(EntityError::Header)),
        (
            "--b\nContent-Type: text\n\na\n--b--",
            Err(EntityError::MediaType),
        ),
    ] {
        assert_eq!(mixed(body), expected, "{body:?}");
    }
    for content_type in [
        "multipart/mixed",
        "multipart/mixed;boundary=\"\"",
        "multipart/mixed;boundary",
    ] {
        assert_eq!(
            read(content_type, b"--\n\na\n----"),
            Err(EntityError::Boundary)
        );
    }
}

/// So many multiparts around a text.
fn nested(depth: usize) -> Vec<u8> {
    let inner = (1..depth).fold("\nend".to_owned(), |inner, n| {
        format!("Content-Type: multipart/mixed;boundary=b{n}\n\n--b{n}\n{inner}\n--b{n}--")
    });
    format!("--b\n{inner}\n--b--").into_bytes()
}

#[test]
fn depth_and_number_have_their_limits() {
    let depth = |depth| read("multipart/mixed;boundary=b", &nested(depth)).map(|e| leaves(&e));
    assert_eq!(depth(MAX_DEPTH), Ok(vec!["end".to_owned()]));
    assert_eq!(depth(MAX_DEPTH + 1), Err(EntityError::Depth));

    let wide = |count| mixed(&"--b\n\na\n".repeat(count)).map(|texts| texts.len());
    assert_eq!(wide(MAX_PARTS), Ok(MAX_PARTS));
    assert_eq!(wide(MAX_PARTS + 1), Err(EntityError::Parts));
    let inner = "--b\nContent-Type: multipart/mixed;boundary=c\n\n--c\n\na\n--c\n\na\n--c--\n";
    assert_eq!(
        mixed(&inner.repeat(MAX_PARTS / 3)).map(|texts| texts.len()),
        Ok(20)
    );
    assert_eq!(
        mixed(&inner.repeat(MAX_PARTS / 3 + 1)),
        Err(EntityError::Parts)
    );

    // Neighbours are not deeper than each other.
    let deep = String::from_utf8(nested(MAX_DEPTH)).unwrap();
    let twice = deep.replace("\n--b--", "") + "\n" + &deep;
    assert_eq!(mixed(&twice), Ok(vec!["end".to_owned(); 2]));
}

proptest! {
    /// What a sender puts together comes apart the same.
    #[test]
    fn parts_come_out_as_they_went_in(
        texts in proptest::collection::vec("[-a-z\r\n :]{0,20}", 1..5),
        line_end in proptest::sample::select(vec!["\n", "\r\n"]),
    ) {
        let parts: String = texts
            .iter()
            .map(|text| format!("--B0undary{line_end}{line_end}{text}{line_end}"))
            .collect();
        let body = format!("{parts}--B0undary--{line_end}");
        let entity = read("multipart/mixed;boundary=B0undary", body.as_bytes()).unwrap();
        // A CR before an LF belongs to the end of the line.
        let expected: Vec<_> = texts
            .iter()
            .map(|text| match text.strip_suffix('\r') {
                Some(shorter) if line_end == "\n" => shorter,
                _ => text,
            })
            .collect();
        prop_assert_eq!(leaves(&entity), expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), proptest::sample::select(b"-\n\r: =;b/".to_vec())],
            0..300,
        ),
        content_type in "(multipart/mixed;boundary=b|[ -~]{0,30})",
        encoding in proptest::sample::select(vec!["base64", "quoted-printable", "7bit"]),
    ) {
        let fields = [("Content-Type", content_type.as_str()), ("Content-Transfer-Encoding", encoding)];
        let _ = Entity::read(fields, &bytes);
    }
}
