// SPDX-License-Identifier: GPL-2.0-or-later
//! The bodies about messages that the gateway emits are valid against the schemas of RFC 3994 §6.1 and
//! RFC 5438 §11.1.9.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;

use stox::body::Timestamp;
use stox::body::composing::{Composing, State};
use stox::body::imdn::{Disposition, Imdn};

const COMPOSING: [&str; 2] = ["--schema", "rfc3994/iscomposing.xsd"];
const IMDN: [&str; 2] = ["--relaxng", "rfc5438/imdn.rng"];

/// What `xmllint` has against a document; `None` if it is valid.
fn complaint([kind, schema]: [&str; 2], name: &str, xml: &str) -> Option<String> {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, xml).expect("the target folder is writable");
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", kind])
        .args([&schemas.join(schema), &file])
        .output()
        .expect(
            "bodies are checked against their schemas by xmllint: apt-get install libxml2-utils",
        );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

#[test]
fn what_is_said_of_writing_is_valid() {
    let full = Composing {
        state: State::Active,
        last_active: Timestamp::parse("2003-01-27t10:43:00.5z"),
        content_type: Some("text/plain; x=\"<&>\"".into()),
        refresh: NonZeroU32::new(u32::MAX),
    };
    let bare = Composing {
        state: State::Idle,
        last_active: None,
        content_type: None,
        refresh: None,
    };
    for said in [full, bare] {
        let xml = said.to_xml();
        assert_eq!(complaint(COMPOSING, "composing.xml", &xml), None, "{xml}");
    }
    let zero = "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state>\
                <refresh>0</refresh></isComposing>";
    let said = complaint(COMPOSING, "composing_refused.xml", zero).unwrap();
    assert!(said.contains("positiveInteger"), "{said}");
}

#[test]
fn notifications_are_valid() {
    let uri = || Some("sip:bob@sip.example;gr=urn:uuid:1".to_owned());
    for disposition in Disposition::ALL {
        for (given, xml) in [
            (uri(), uri(), Some("a < b \u{1}\r\n")),
            (uri(), None, None),
            (None, uri(), None),
            (None, None, Some("a")),
            (None, None, None),
        ]
        .map(|(recipient_uri, original_recipient_uri, subject)| Imdn {
            message_id: "34jk<324j".into(),
            datetime: Timestamp::parse("2006-04-04T12:16:49-05:00").filter(|_| subject.is_some()),
            recipient_uri,
            original_recipient_uri,
            subject: subject.map(str::to_owned),
            disposition,
        })
        .map(|given| (given.clone(), given.to_xml()))
        {
            assert_eq!(complaint(IMDN, "imdn.xml", &xml), None, "{given:?}");
        }
    }
    let nothing = "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>1</message-id></imdn>";
    let said = complaint(IMDN, "imdn_refused.xml", nothing).unwrap();
    assert!(said.contains("imdn"), "{said}");
}
