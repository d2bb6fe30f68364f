// SPDX-License-Identifier: GPL-2.0-or-later
//! The presence documents that the gateway emits are valid against the schemas of RFC 3863 §4.4, RFC 4479 §5.1,
//! RFC 4480 §5.1 and RFC 4482 §5.

use std::fs;
use std::path::Path;
use std::process::Command;

use stox::address::Aor;
use stox::mapping::presence::{Availability, to_pidf};
use stox::record::Moment;
use xmpp_parsers::presence::Show;

/// What `xmllint` has against a document; `None` if it is valid.
fn complaint(name: &str, xml: &str) -> Option<String> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/pidf/presence.xsd");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, xml).expect("the target folder is writable");
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .args([&schema, &file])
        .output()
        .expect("PIDF is checked against its schema by xmllint: apt-get install libxml2-utils");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

fn availability(
    available: bool,
    show: Option<Show>,
    priority: i8,
    statuses: &[(&str, &str)],
) -> Availability {
    let statuses = statuses
        .iter()
        .map(|(lang, text)| ((*lang).into(), (*text).into()))
        .collect();
    Availability {
        available,
        show,
        statuses,
        priority,
        since: Some(Moment(1_795_245_301_710)),
        nick: Some("Jule & \u{1}<Co>".into()),
    }
}

#[test]
fn what_is_emitted_is_valid() {
    let texts = [
        ("", "5 < 6 && \"]]>\" \u{1F600}\r\n\t\u{1}\u{fffe}"),
        ("de-CH-1996", "Grüezi"),
        ("no language", "?"),
        ("i-", "?"),
    ];
    let resources = [
        ("", availability(false, None, 0, &texts)),
        (
            "1st phone",
            availability(true, Some(Show::Away), 127, &texts),
        ),
        ("balcony", availability(true, Some(Show::Chat), 0, &[])),
        (
            "a:b/c&<'\"é\u{10330}_x",
            availability(true, Some(Show::Dnd), 1, &[("", "")]),
        ),
        ("-", availability(true, Some(Show::Xa), -1, &[])),
        (&"é".repeat(511), availability(true, None, 126, &[])),
    ];
    let entity = Aor::new("o'malley & söhne", "sip.example").unwrap();
    let document = to_pidf(
        &entity,
        resources.iter().map(|(resource, shown)| (*resource, shown)),
    );
    assert_eq!(complaint("emitted.xml", &document.to_xml()), None);
    for (show, activity) in [
        (Show::Away, "away>"),
        (Show::Xa, "away>"),
        (Show::Dnd, "busy/>"),
    ] {
        let shown = availability(true, Some(show), 0, &texts);
        let xml = to_pidf(&entity, [("r", &shown)]).to_xml();
        assert!(xml.contains(&format!("<rpid:{activity}")), "{xml}");
        assert_eq!(complaint("rich.xml", &xml), None);
    }
    let empty = to_pidf(&entity, []);
    assert_eq!(complaint("empty.xml", &empty.to_xml()), None);
}

#[test]
fn the_schema_can_refuse() {
    let xml = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'>\
               <tuple id='1'><status><basic>away</basic></status></tuple></presence>";
    let said = complaint("refused.xml", xml).unwrap();
    assert!(said.contains("xs:ID") && said.contains("'away'"), "{said}");
    let xml = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'>\
               <person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='p'>\
               <activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><dozing/></activities>\
               <display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'><b/></display-name>\
               <note lang='en'/></person></presence>";
    let said = complaint("refused_person.xml", xml).unwrap();
    for fault in ["dozing", "display-name", "'lang'"] {
        assert!(said.contains(fault), "{said}");
    }
}
