// SPDX-License-Identifier: GPL-2.0-or-later
//! The README's tables of what messages hold: each row has an example here, which is played, and there is no other.

use std::fs;
use std::path::Path;

use crate::world::{World, juliet, romeo};

/// The rows below a head, without it, as far as their first cell.
fn rows(head: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let mut lines = readme.lines().skip_while(|line| *line != head);
    assert!(lines.next().is_some(), "the README has no table {head}");
    lines
        .skip(1)
        .map_while(|line| line.strip_prefix("| "))
        .map(|row| row.split_once(" | ").unwrap().0.to_owned())
        .collect()
}

/// A MESSAGE of one row.
struct FromSip {
    row: &'static str,
    headers: &'static str,
    body: &'static str,
    /// What the stanza says, or the answer if there is none.
    expected: Result<&'static [&'static str], (u16, &'static str)>,
}

const PARTS: &str =
    "--b\nContent-Type: text/plain\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n";
const OPTIONAL: &str = "--b\nContent-Type: text/plain\n\none\n\
    --b\nContent-Type: image/png\nContent-Disposition: icon;handling=optional\n\nx\n--b--\n";
const ALTERNATIVES: &str = "--b\nContent-Type: text/plain\n\nhello\n\
    --b\nContent-Type: text/html\n\n<i>hello</i>\n--b--\n";
const ENVELOPE: &str =
    "DateTime: 2020-01-02T03:04:05Z\nSubject: Night\n\nContent-Type: text/plain\n\nGood night!";
const ASKING: &str = "NS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: 34jk324j\n\
    imdn.Disposition-Notification: positive-delivery, display\n\nContent-Type: text/plain\n\nhi";
const DEMANDING: &str = "Require: F.V\nNS: F <mid:m@id.foo.com>\n\nContent-Type: text/plain\n\nhi";
const DELIVERED: &str = "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>a1</message-id>\
    <delivery-notification><status><delivered/></status></delivery-notification></imdn>";
const DISPLAYED: &str = "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>a1</message-id>\
    <display-notification><status><displayed/></status></display-notification></imdn>";
const FAILED: &str = "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>a1</message-id>\
    <delivery-notification><status><failed/></status></delivery-notification></imdn>";
const WRITING: &str = "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state></isComposing>";
/// 65,537 times `a`.
const TOO_MUCH: &str = "eNrtwYEAAAAAwyDW+Uv8IFUBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADADTOYBhE=";
const FILE: &str = "<file xmlns='urn:gsma:params:xml:ns:rcs:rcs:fthttp'><file-info type='file'>\
    <data url='https://ft.example/rose' until='2030-01-01T00:00:00Z'/></file-info></file>";

const FROM_SIP: [FromSip; 18] = [
    FromSip {
        row: "`text/plain`, in any character set",
        headers: "Content-Type: text/plain;charset=iso-2022-jp\n",
        body: "\x1b$B$3$s\x1b(B",
        expected: Ok(&["<body>こん</body>"]),
    },
    FromSip {
        row: "`text/html`",
        headers: "Content-Type: text/html\n",
        body: "<p onclick='x()'>Soft! <b>what light</b><img src='http://a.example/' alt='light'></p>",
        expected: Ok(&[
            ">Soft! what lightlight</body>",
            "http://jabber.org/protocol/xhtml-im",
        ]),
    },
    FromSip {
        row: "`multipart/alternative`",
        headers: "Content-Type: multipart/alternative;boundary=b\n",
        body: ALTERNATIVES,
        expected: Ok(&["<body>hello</body>", "http://jabber.org/protocol/xhtml-im"]),
    },
    FromSip {
        row: "`multipart/mixed` and other multiparts",
        headers: "Content-Type: multipart/mixed;boundary=b\n",
        body: PARTS,
        expected: Ok(&["<body>one\n\ntwo</body>"]),
    },
    FromSip {
        row: "a part that cannot be carried",
        headers: "Content-Type: multipart/mixed;boundary=b\n",
        body: OPTIONAL,
        expected: Ok(&["<body>one</body>"]),
    },
    FromSip {
        row: "`message/cpim` (RFC 3862)",
        headers: "Content-Type: message/cpim\n",
        body: ENVELOPE,
        expected: Ok(&[
            "<body>Good night!</body>",
            "<subject>Night</subject>",
            "2020-01-02T03:04:05Z",
        ]),
    },
    FromSip {
        row: "`message/cpim` that asks for IMDN (RFC 5438)",
        headers: "Content-Type: message/cpim\n",
        body: ASKING,
        expected: Ok(&[
            "urn:xmpp:receipts",
            "urn:xmpp:chat-markers:0",
            "<request",
            "<markable",
        ]),
    },
    FromSip {
        row: "`message/imdn+xml` that says delivered",
        headers: "Content-Type: message/imdn+xml\n",
        body: DELIVERED,
        expected: Ok(&["<received", "urn:xmpp:receipts"]),
    },
    FromSip {
        row: "`message/imdn+xml` that says displayed",
        headers: "Content-Type: message/imdn+xml\n",
        body: DISPLAYED,
        expected: Ok(&["<displayed", "urn:xmpp:chat-markers:0"]),
    },
    FromSip {
        row: "`message/imdn+xml` that says failed",
        headers: "Content-Type: message/imdn+xml\n",
        body: FAILED,
        expected: Ok(&["<error", "recipient-unavailable"]),
    },
    FromSip {
        row: "`application/im-iscomposing+xml` (RFC 3994)",
        headers: "Content-Type: application/im-iscomposing+xml\n",
        body: WRITING,
        expected: Ok(&["<composing", "http://jabber.org/protocol/chatstates"]),
    },
    FromSip {
        row: "`application/vnd.gsma.rcs-ft-http+xml` (RCS)",
        headers: "Content-Type: application/vnd.gsma.rcs-ft-http+xml\n",
        body: FILE,
        expected: Ok(&["<body>https://ft.example/rose</body>", "jabber:x:oob"]),
    },
    FromSip {
        row: "another media type or character set",
        headers: "Content-Type: image/png\n",
        body: "x",
        expected: Err((415, "Accept")),
    },
    FromSip {
        row: "Content-Encoding `deflate` or `gzip`",
        headers: "Content-Encoding: deflate\nContent-Transfer-Encoding: base64\n",
        body: "eJzLSM3JyQcABiwCFQ==",
        expected: Ok(&["<body>hello</body>"]),
    },
    FromSip {
        row: "Content-Encoding `deflate` or `gzip` of too much",
        headers: "Content-Encoding: deflate\nContent-Transfer-Encoding: base64\n",
        body: TOO_MUCH,
        expected: Err((413, "")),
    },
    FromSip {
        row: "another Content-Encoding",
        headers: "Content-Encoding: br\n",
        body: "x",
        expected: Err((415, "Accept-Encoding")),
    },
    FromSip {
        row: "`message/cpim` that requires what is not known",
        headers: "Content-Type: message/cpim\n",
        body: DEMANDING,
        expected: Err((488, "")),
    },
    FromSip {
        row: "a body that is not what its type says",
        headers: "Content-Type: multipart/mixed\n",
        body: "x",
        expected: Err((400, "")),
    },
];

#[test]
fn what_comes_from_sip_is_what_the_readme_says() {
    let expected: Vec<_> = FROM_SIP.iter().map(|one| one.row.to_owned()).collect();
    assert_eq!(rows("| A MESSAGE with | is a stanza with |"), expected);
    for FromSip {
        row,
        headers,
        body,
        expected,
    } in FROM_SIP
    {
        let mut world = World::new();
        world.sip(&romeo("1", headers, body));
        let messages = world.messages();
        match expected {
            Ok(pieces) => {
                let written = String::from(messages.first().unwrap());
                for piece in pieces {
                    assert!(written.contains(piece), "{row}: {piece}\n{written}");
                }
                world.pong();
                assert_eq!(world.reply().status, 200, "{row}");
            }
            Err((status, header)) => {
                let reply = world.reply();
                assert_eq!((reply.status, messages.len()), (status, 0), "{row}");
                assert!(header.is_empty() || reply.headers.iter().any(|(name, _)| name == header));
            }
        }
    }
}

/// A stanza of one row.
struct FromXmpp {
    row: &'static str,
    type_: &'static str,
    inside: &'static str,
    /// What the MESSAGE says, or the error if there is none; empty if nobody is told anything.
    expected: Result<&'static [&'static str], &'static str>,
}

impl FromXmpp {
    const fn chat(
        row: &'static str,
        inside: &'static str,
        expected: Result<&'static [&'static str], &'static str>,
    ) -> Self {
        Self {
            row,
            type_: "chat",
            inside,
            expected,
        }
    }
}

const PLAIN: &str = "Content-Type: text/plain;charset=UTF-8\n";
const FORWARDED: &str = "<body>He said</body><forwarded xmlns='urn:xmpp:forward:0'>\
    <message xmlns='jabber:client' from='m@example.com/x' to='juliet@example.com'><body>I am hurt</body>\
    </message></forwarded>";

const FROM_XMPP: [FromXmpp; 22] = [
    FromXmpp::chat(
        "`<body/>`",
        "<body>h\u{e9}</body>",
        Ok(&[PLAIN, "\n\nh\u{e9}"]),
    ),
    FromXmpp::chat(
        "`<body/>` in several languages",
        "<body xml:lang='cs'>ahoj</body><body xml:lang='en'>hello</body>",
        Ok(&["Content-Language: cs, en\n", "\n\nahoj\n\nhello"]),
    ),
    FromXmpp::chat(
        "`<subject/>` alone",
        "<subject>Tonight</subject>",
        Ok(&["\n\nTonight"]),
    ),
    FromXmpp::chat(
        "XHTML-IM (XEP-0071)",
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
         <p>only <b>markup</b></p></body></html>",
        Ok(&[PLAIN, "\n\nonly markup"]),
    ),
    FromXmpp::chat(
        "styling (XEP-0393)",
        "<body>*strong*</body>",
        Ok(&["\n\n*strong*"]),
    ),
    FromXmpp::chat(
        "a correction (XEP-0308)",
        "<body>hi</body><replace xmlns='urn:xmpp:message-correct:0' id='a0'/>",
        Ok(&["\n\nCorrection: hi"]),
    ),
    FromXmpp::chat(
        "a reaction (XEP-0444)",
        "<reactions xmlns='urn:xmpp:reactions:0' id='a0'><reaction>\u{1f44b}</reaction></reactions>",
        Ok(&["\n\nReaction: \u{1f44b}"]),
    ),
    FromXmpp::chat(
        "a retraction (XEP-0424)",
        "<retract xmlns='urn:xmpp:message-retract:1' id='a0'/>",
        Ok(&["\n\nRetracted a message"]),
    ),
    FromXmpp::chat(
        "a reply (XEP-0461)",
        "<body>&gt; Hi\nGreat</body><reply xmlns='urn:xmpp:reply:0' to='a@b' id='m'/>",
        Ok(&["\n\n> Hi\nGreat"]),
    ),
    FromXmpp::chat(
        "a link or a file (XEP-0066, XEP-0363)",
        "<body>look</body><x xmlns='jabber:x:oob'><url>https://up.example/f</url></x>",
        Ok(&["\n\nlook\nhttps://up.example/f"]),
    ),
    FromXmpp::chat(
        "a forwarded message (XEP-0297)",
        FORWARDED,
        Ok(&["\n\nHe said\n\nForwarded from m@example.com/x:\nI am hurt"]),
    ),
    FromXmpp::chat(
        "a delay (XEP-0203)",
        "<body>hi</body><delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>",
        Ok(&["Date: Tue, 10 Sep 2002 23:08:25 GMT\n"]),
    ),
    FromXmpp::chat(
        "a request for a receipt (XEP-0184) or a marker (XEP-0333)",
        "<body>hi</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>",
        Ok(&[
            "Content-Type: message/cpim\n",
            "positive-delivery",
            "display",
        ]),
    ),
    FromXmpp::chat(
        "a receipt (XEP-0184) of a message that asked for it",
        "<received xmlns='urn:xmpp:receipts' id='ASKED'/>",
        Ok(&["message/imdn+xml", "34jk324j", "delivered"]),
    ),
    FromXmpp::chat(
        "a marker (XEP-0333) of a message that asked for it",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='ASKED'/>",
        Ok(&["message/imdn+xml", "34jk324j", "displayed"]),
    ),
    FromXmpp::chat(
        "a chat state (XEP-0085)",
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
        Ok(&["Content-Type: application/im-iscomposing+xml\n", ">active<"]),
    ),
    FromXmpp::chat(
        "hints (XEP-0334), ids (XEP-0359) beside a text",
        "<body>hi</body><store xmlns='urn:xmpp:hints'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/>",
        Ok(&[PLAIN, "\n\nhi"]),
    ),
    FromXmpp::chat(
        "hints, or nothing at all",
        "<store xmlns='urn:xmpp:hints'/>",
        Err(""),
    ),
    FromXmpp::chat(
        "an encrypted text (OMEMO, OpenPGP, OTR)",
        "<body>You cannot read this</body><encrypted xmlns='urn:xmpp:omemo:2'/>",
        Err("not-acceptable"),
    ),
    FromXmpp::chat(
        "a carbon (XEP-0280) or a message of an archive (XEP-0313)",
        "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></sent>",
        Err("feature-not-implemented"),
    ),
    FromXmpp {
        row: "type `groupchat`",
        type_: "groupchat",
        inside: "<body>hi</body>",
        expected: Err("feature-not-implemented"),
    },
    FromXmpp::chat(
        "anything else without a text",
        "<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>",
        Err("feature-not-implemented"),
    ),
];

#[test]
fn what_comes_from_xmpp_is_what_the_readme_says() {
    let expected: Vec<_> = FROM_XMPP.iter().map(|one| one.row.to_owned()).collect();
    assert_eq!(rows("| A stanza with | is a MESSAGE with |"), expected);
    for FromXmpp {
        row,
        type_,
        inside,
        expected,
    } in FROM_XMPP
    {
        let mut world = World::new();
        world.sip(&romeo("1", "Content-Type: message/cpim\n", ASKING));
        let asked = world.message();
        world.pong();
        let inside = inside.replace("ASKED", asked.attr("id").unwrap());
        world.xmpp(&juliet("a1", &inside).replace("'chat'", &format!("'{type_}'")));
        let told: Vec<_> = world.messages().iter().map(String::from).collect();
        match expected {
            Ok(pieces) => {
                let send = world.sent_one();
                let headers: String = send
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\n"))
                    .collect();
                let written = format!("{headers}\n{}", String::from_utf8(send.body).unwrap());
                for piece in pieces {
                    assert!(written.contains(piece), "{row}: {piece}\n{written}");
                }
                assert_eq!(told, Vec::<String>::new(), "{row}");
            }
            Err(condition) => {
                assert!(world.sent.is_empty(), "{row}");
                assert_eq!(told.len(), usize::from(!condition.is_empty()), "{row}");
                assert!(told.iter().all(|error| error.contains(condition)), "{row}");
            }
        }
    }
}
