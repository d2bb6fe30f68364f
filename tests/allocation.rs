// SPDX-License-Identifier: GPL-2.0-or-later
//! No input makes the gateway allocate more than 16 times its size, or work for longer than in proportion to it. What is
//! compressed may cost what 64 KiB may.
//!
//! In: the seeds of the fuzz targets, and inputs made to cost: many small pieces, long ones, deep ones. Each
//! way in is measured from the bytes to what the core holds, above what was held before.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use flate2::Compression;
use flate2::read::ZlibEncoder;
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use stox::body::entity::Entity;
use stox::body::html::Html;
use stox::body::pidf::Document;
use stox::frame::{Question, ToGateway};
use stox::gateway::Input;
use stox::mapping::presence::to_xmpp;
use stox::sip::Message;
use stox::stanza::{Inbound, LinkName, Stanza};
use stox::xmpp::stream::{Decoder, Limits, Received};
use world::World;

#[path = "presence_world/wire.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod wire;
#[path = "presence_world/world.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod world;

/// The parameters of the links: there is a component.
const LINKS: &[(&str, &str)] = &[];

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Measures only while no other test runs.
static ALONE: Mutex<()> = Mutex::new(());

/// Times its size an input may cost.
const TIMES: usize = 16;

/// Times its size that a stanza nested too deeply may cost: the parser keeps the name of each element that is
/// open, though the stanza is skipped. There the stream ends at 16 MiB.
const TIMES_NESTED: usize = 32;

/// What a message or document of any size may cost: the tables of a SIP message with as many headers, or of a
/// document with as many tuples and notes, as are read.
const FLOOR: usize = 32 * 1024;

/// What a stanza of any size may cost: `FREE` of src/xmpp/stream/weight.rs, and its maps' first nodes.
const STANZA_FLOOR: usize = 256 * 1024 + FLOOR;

/// What an entity of any size may cost if it is compressed: what 64 KiB may, and the window of the decoder.
const INFLATED_FLOOR: usize = TIMES * 64 * 1024 + 64 * 1024 + FLOOR;

/// Bytes of a costly input on every way: a datagram, a document as large as is read, most of a stanza.
const SIZES: [(&str, usize); 6] = [
    ("entity", 64 * 1024),
    ("html", 64 * 1024),
    ("sip", 64 * 1024),
    ("pidf", 32 * 1024),
    ("xmpp_stream", 200_000),
    ("stanza", 200_000),
];

/// The most bytes held at once by `work`, above those held before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    let peak = ALLOCATOR.peak_usage();
    drop(result);
    peak.saturating_sub(before)
}

/// A way in: reads the bytes and keeps all that the gateway would.
type Way = fn(&[u8]) -> Box<dyn std::any::Any>;

const WAYS: [(&str, Way); 7] = [
    ("entity", |bytes| {
        let split = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (header, body) = bytes.split_at(split.map_or(0, |at| at + 2));
        let header = String::from_utf8_lossy(header);
        let fields = header.lines().filter_map(|line| line.split_once(':'));
        Box::new(Entity::read(fields, body))
    }),
    ("html", |bytes| {
        Box::new(Html::read(&String::from_utf8_lossy(bytes)))
    }),
    ("frame", |bytes| {
        Box::new((ToGateway::decode(bytes), Question::decode(bytes)))
    }),
    ("sip", sip),
    ("pidf", |bytes| {
        Box::new(Document::parse(bytes).map(|document| to_xmpp(&document, Some("en"))))
    }),
    ("xmpp_stream", stream),
    ("stanza", core),
];

/// A message with everything read from it that the core reads.
fn sip(bytes: &[u8]) -> Box<dyn std::any::Any> {
    let Ok(message) = Message::parse(bytes) else {
        return Box::new(());
    };
    let headers = match &message {
        Message::Request(request) => &request.headers,
        Message::Response(response) => &response.headers,
    };
    let read = (
        (headers.from(), headers.to(), headers.cseq()),
        (headers.contact(), headers.event(), headers.expires()),
        (headers.record_route(), headers.subscription_state()),
        (
            headers.via_count(),
            headers.accepts("a/b"),
            headers.content_type(),
        ),
    );
    Box::new((read, message))
}

/// All that a stream says, one stanza at a time.
fn stream(bytes: &[u8]) -> Box<dyn std::any::Any> {
    let mut decoder = connected();
    let mut input = bytes;
    while let Ok(Some(received)) = decoder.decode(&mut input) {
        if let Received::Content(element) = received {
            drop(Stanza::from_element(element));
        }
    }
    Box::new(decoder)
}

/// Stanzas taken by the core, and what it keeps and sends.
fn core(bytes: &[u8]) -> Box<dyn std::any::Any> {
    let mut decoder = connected();
    let mut world = World::new();
    world.sip(&wire::subscribe(1, "", ""));
    world.notifies();
    world.xmpp(wire::APPROVED);
    world.notifies();
    let mut input = bytes;
    while let Ok(Some(received)) = decoder.decode(&mut input) {
        if let Received::Content(element) = received
            && let Ok(stanza) = Stanza::from_element(element)
        {
            let link = LinkName::component("example.net");
            world.input(Input::Stanza(Box::new(Inbound { link, stanza })));
            // They leave at once.
            world.stanzas.clear();
            world.sent.clear();
        }
    }
    Box::new(world)
}

/// A stream behind its header and one reference. Its parser keeps room for the longest token twice, once for
/// each stream.
fn connected() -> Decoder {
    let mut decoder = Decoder::new(CONTENT, Limits::with_stanza(256 * 1024));
    decoder.trust();
    let header = format!(
        "<stream:stream xmlns='{CONTENT}' xmlns:stream='http://etherx.jabber.org/streams'>"
    );
    decoder.decode(&mut header.as_bytes()).unwrap();
    decoder.decode(&mut &b"<iq a='&lt;'/>"[..]).unwrap();
    decoder
}

const CONTENT: &str = "jabber:component:accept";

/// So many bytes of one piece between a head and a tail.
fn full(size: usize, head: &str, piece: &str, tail: &str) -> Vec<u8> {
    let room = size.saturating_sub(head.len() + tail.len());
    (head.to_owned() + &piece.repeat(room / piece.len()) + tail).into_bytes()
}

/// Inputs of which every byte costs as much as it can: the way, what they are made of, and the bytes. `share`
/// divides the size.
fn costly(share: usize) -> Vec<(&'static str, String, Vec<u8>)> {
    let size = |way: &str| SIZES.iter().find(|(known, _)| *known == way).unwrap().1 / share;
    let mut all = Vec::new();
    const SIP: &str = "NOTIFY sip:a@b SIP/2.0\nCall-ID: a\nCSeq: 1 NOTIFY\n";
    for (head, piece) in [
        ("", "a:\n"),
        ("", "a: b\n"),
        ("a: b\n", " c\n"),
        ("", "Via: a\n"),
        ("", "v:,\n"),
        ("Via: ", ","),
        ("Via: ", "a,"),
        ("Record-Route: ", ","),
        ("Record-Route: ", "<sip:a>,"),
        ("Contact: ", ","),
        ("Contact: ", "<sip:a>,"),
        ("Contact: <sip:a>", ";a"),
        ("Contact: <sip:a", ";a"),
        ("Contact: <sip:a", ";a=b"),
        ("From: <sip:a>", ";"),
        ("From: <sip:a>", ";a"),
        ("From: <sip:a>;a=\"", "\\\""),
        ("From: \"", "\\a"),
        ("From: <sip:", "%41"),
        ("To: ", "\""),
        ("Accept: ", "a/b,"),
        ("Accept: a/b", ";a"),
        ("Event: presence", ";a"),
        ("Subscription-State: active", ";a"),
        ("Content-Type: a/b", ";a"),
        ("Call-ID: ", "a"),
        ("\n", "a"),
    ] {
        let name = format!("{head}{piece}…");
        all.push((
            "sip",
            name,
            full(size("sip"), &format!("{SIP}{head}"), piece, ""),
        ));
    }
    const MIXED: &str = "Content-Type: multipart/mixed;boundary=b\n\n";
    for (head, piece) in [
        ("Content-Type: a/b", ";a=b"),
        ("Content-Type: a/b", ";"),
        ("Content-Language: a", ",a"),
        ("Content-Encoding: a", ",a"),
        ("Content-Encoding: deflate", ",deflate"),
        ("Content-Transfer-Encoding: base64\n\n", "AAAA"),
        ("Content-Transfer-Encoding: quoted-printable\n\n", "=41"),
        ("Content-Transfer-Encoding: quoted-printable\n\n", " "),
        ("Content-Transfer-Encoding: quoted-printable\n\n", "=\n"),
        (MIXED, "--b\n\n"),
        (MIXED, "--b"),
        (MIXED, "--b \n"),
        (&format!("{MIXED}--b\n"), "a:\n"),
        (&format!("{MIXED}--b\na:"), "\n "),
        (&format!("{MIXED}--b\n\n"), "\n"),
    ] {
        let text = full(size("entity"), head, piece, "\n\n");
        all.push(("entity", format!("{head}{piece}…"), text));
    }
    for (head, piece, length) in [
        ("", "a", size("entity")),
        ("", "a", 64 * size("entity")),
        (
            "Content-Type: multipart/mixed;boundary=b\n",
            "--b\n\n",
            size("entity"),
        ),
        (
            "Content-Type: multipart/mixed;boundary=b\n",
            "--b\na:\n",
            size("entity"),
        ),
    ] {
        let long = full(length, "", piece, "");
        let mut text = format!("{head}Content-Encoding: deflate\n\n").into_bytes();
        ZlibEncoder::new(long.as_slice(), Compression::fast())
            .read_to_end(&mut text)
            .unwrap();
        all.push(("entity", format!("{head}{piece}… compressed"), text));
    }
    for (head, piece) in [
        ("", "<p>"),
        ("", "<p>a"),
        ("", "<b>"),
        ("", "<b>a"),
        ("", "<b><i>a</b>"),
        ("", "<div>"),
        ("", "a<div>"),
        ("", "</p>"),
        ("", "<br>"),
        ("", "<br>a"),
        ("", "<li>a"),
        ("", "<ul><li>a"),
        ("", "<td>a"),
        ("", "<u>a</u>"),
        ("", "<h1>a"),
        ("", "<a href=tel:1>a"),
        ("", "<a href=tel:1>"),
        ("<a href=tel:1>", "a "),
        ("<blockquote><blockquote><blockquote><blockquote>", "a<br>"),
        ("", "<template>"),
        ("", "<script>"),
        ("", "<!---->"),
        ("", "<!"),
        ("", "<"),
        ("", "&"),
        ("", "&lt"),
        ("", "&nGt;"),
        ("", "&nbsp;"),
        ("<pre>", "\t"),
        ("<pre>", "\n"),
        ("", " "),
        ("<p ", "a "),
        ("<p ", "a=b "),
        ("<p ", "style=b "),
        ("<p style='", "color:a;'"),
        ("<p style='", ";'"),
        ("<a href='http:", "<"),
        ("<", "a"),
    ] {
        let text = full(size("html"), head, piece, "");
        all.push(("html", format!("{head}{piece}…"), text));
    }
    const PIDF: &str = "<presence xmlns='urn:ietf:params:xml:ns:pidf'>";
    for (head, piece, tail) in [
        ("", "<a/>", ""),
        ("", "<a b=''/>", ""),
        ("", "<a xmlns='b'/>", ""),
        ("", "<!---->", ""),
        ("", "<note/>", ""),
        ("", "<tuple/>", ""),
        ("<tuple>", "<note/>", "</tuple>"),
        ("<tuple>", "<contact/>", "</tuple>"),
        ("<note>", "&lt;", "</note>"),
        ("<note>", "&#9;", "</note>"),
        ("<note>", "<![CDATA[]]>", "</note>"),
        ("<note>", "a", "</note>"),
        ("", "<a>", ""),
        ("<a ", "b=''", "/>"),
        ("<a ", "xmlns:b='' ", "/>"),
        ("<tuple id='ID-", "_x41_", "'/>"),
    ] {
        let name = format!("{head}{piece}…");
        let body = full(
            32 * 1024,
            &format!("{PIDF}{head}"),
            piece,
            &format!("{tail}</presence>"),
        );
        all.push(("pidf", name, body));
    }
    let notes: String = (0..15)
        .map(|n| format!("<note xml:lang='a{}'/>", char::from(b'a' + n)))
        .collect();
    let tuples: String = (0..16)
        .map(|n| format!("<tuple id='{n}'><status><basic>open</basic></status>{notes}</tuple>"))
        .collect();
    all.push((
        "pidf",
        "all notes".to_owned(),
        format!("{PIDF}{tuples}</presence>").into_bytes(),
    ));
    const FROM: &str = "from='juliet@example.com/balcony' to='romeo@example.net'";
    for (head, piece, tail) in [
        ("<message FROM>", "<a/>", "</message>"),
        ("<message FROM>", "<a b=''/>", "</message>"),
        ("<message FROM>", "<a b='' c='' d='' e=''/>", "</message>"),
        ("<message FROM>", "<a xmlns='b'/>", "</message>"),
        ("<message FROM>", "<a>b</a>", "</message>"),
        ("<message FROM>", "<a><b/></a>", "</message>"),
        ("<message FROM><body>", "a", "</body></message>"),
        ("<message FROM><body>", "&lt;", "</body></message>"),
        ("<message FROM><body>", "<![CDATA[]]>", "</body></message>"),
        ("<message FROM><body>", "a<a/>", "</body></message>"),
        ("<message FROM a='", "a", "'/>"),
        ("<message FROM a='", "&lt;", "'/>"),
        (
            "<iq FROM type='get' id='1'><q xmlns='r'>",
            "<a/>",
            "</q></iq>",
        ),
        (
            "<iq FROM type='get' id='1'><q xmlns='r'>",
            "<a b=''/>",
            "</q></iq>",
        ),
        (
            "<iq FROM type='get' id='1'><q xmlns='http://jabber.org/protocol/disco#items'>",
            "<item jid='a@b'/>",
            "</q></iq>",
        ),
        ("<presence FROM>", "<a/>", "</presence>"),
        (
            "<presence FROM>",
            "<status xml:lang='LANG'/>",
            "</presence>",
        ),
        ("<presence FROM><status>", "a", "</status></presence>"),
        ("<presence FROM><status>", "\"", "</status></presence>"),
        ("<presence FROM type='error'>", "<error/>", "</presence>"),
        ("", "<iq/>", ""),
        ("", "<iq FROM type='get' id='1'><q xmlns='r'/></iq>", ""),
        ("", "<presence FROM/>", ""),
        ("", " ", ""),
        ("<message>", "<a>", ""),
        (
            "<iq FROM>",
            "<a xmlns:b='c' xmlns:d='e' xmlns:f='g'/>",
            "</iq>",
        ),
    ] {
        let fill = |text: &str| text.replace("FROM", FROM);
        let name = format!("{head}{piece}…");
        let bytes = full(size("stanza"), &fill(head), &fill(piece), tail);
        all.push(("xmpp_stream", name.clone(), bytes.clone()));
        all.push(("stanza", name, bytes));
    }
    // Each language its own.
    let statuses: String = (0..size("stanza") / 30)
        .map(|n| format!("<status xml:lang='a{n:06}'/>"))
        .collect();
    let presence = format!("<presence {FROM}>{statuses}</presence>");
    all.push(("stanza", "statuses".to_owned(), presence.into_bytes()));
    all
}

fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    for (way, _) in WAYS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fuzz/seeds")
            .join(way);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            all.push((way, path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

fn way(name: &str) -> Way {
    WAYS.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn no_input_costs_more_than_sixteen_times_its_size() {
    let _alone = ALONE.lock();
    let mut broken = Vec::new();
    for (name, what, bytes) in seeds().into_iter().chain(costly(1)) {
        let run = way(name);
        let empty = peak(|| run(b""));
        let cost = peak(|| run(&bytes)).saturating_sub(empty);
        let compressed =
            |encoding: &[u8]| bytes.windows(encoding.len()).any(|part| part == encoding);
        let floor = match name {
            "xmpp_stream" | "stanza" => STANZA_FLOOR,
            "entity" if compressed(b"deflate") || compressed(b"gzip") => INFLATED_FLOOR,
            _ => FLOOR,
        };
        let times = if what == "<message><a>…" {
            TIMES_NESTED
        } else {
            TIMES
        };
        if cost > floor + times * bytes.len() {
            broken.push(format!("{name} {what}: {cost} bytes for {}", bytes.len()));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// CPU time, the shortest of three.
fn time(run: Way, bytes: &[u8]) -> Duration {
    let clock = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let measure = || {
        let start = clock();
        run(bytes);
        clock() - start
    };
    (0..3).map(|_| measure()).min().unwrap()
}

/// Eight times the size takes eight times as long, and 64 times with the square of the size: what lies well below
/// that passes on a busy machine, and what is over in the wink of an eye does not count.
#[test]
fn work_grows_in_proportion_to_the_size() {
    let _alone = ALONE.lock();
    let mut broken = Vec::new();
    for ((name, what, whole), (_, _, eighth)) in costly(1).into_iter().zip(costly(8)) {
        let run = way(name);
        let (long, short) = (time(run, &whole), time(run, &eighth));
        if long > short * 48 + Duration::from_millis(10) {
            broken.push(format!("{name} {what}: {short:?} and {long:?}"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
