// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules of the house that the compiler does not know.
//!
//! In: the text of every file. Out: one line per broken rule. Each rule is a function over text, and has been
//! seen to fail by a test of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The rooms by ring, as `src/lib.rs` draws them.
const RINGS: [&[&str]; 4] = [
    &[
        "address", "sip", "stanza", "body", "sdp", "jingle", "msrp", "frame", "record", "config",
    ],
    &["mapping", "gateway"],
    &["kamailio", "process", "xmpp", "store"],
    &["runtime"],
];

/// The index in [`RINGS`] from which on rooms are edges and may have a clock, files and sockets.
const EDGES: usize = 2;

/// An edge that may use another.
const EDGE_USES: (&str, &str) = ("kamailio", "process");

/// Rooms with `unsafe` code.
const UNSAFE_ROOMS: [&str; 2] = ["kamailio", "process"];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 10] = [
    "util", "utils", "common", "helper", "helpers", "manager", "types", "misc", "prelude", "shared",
];

/// What a pure room never mentions outside its tests.
const IMPURE: [&str; 9] = [
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "tokio::",
    ".await",
    "static mut",
];

/// RFCs that are implemented or leaned on; another number is a slip of the pen until it is written here.
const RFCS: [&str; 61] = [
    "1035", "2045", "2046", "2069", "2617", "2782", "3066", "3261", "3263", "3264", "3323", "3325",
    "3339", "3428", "3581", "3856", "3859", "3860", "3862", "3863", "3903", "3966", "3986", "3994",
    "4235", "4320", "4475", "4479", "4480", "4482", "4825", "4975", "4985", "5025", "5122", "5280",
    "5393", "5438", "5626", "5627", "5646", "5890", "6120", "6121", "6122", "6125", "6665", "7247",
    "7395", "7468", "7572", "7573", "7590", "7616", "7622", "7702", "8048", "8265", "8305", "8446",
    "8760",
];

/// Written in two halves, so that this file passes.
const PRIVATE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

#[test]
fn the_house_keeps_its_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for place in [
        "build.rs",
        "Makefile",
        ".ci",
        "src",
        "include",
        "kamailio-cfg",
        "tests",
    ] {
        collect(&root.join(place), &mut files);
    }
    let mut broken = Vec::new();
    let mut uses = BTreeMap::new();
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let mut faults = every_file(&name, &text);
        if let Some(place) = name.strip_prefix("src/") {
            faults.extend(source(place, &text));
            if let Some(room) = room(place) {
                uses.entry(room.to_owned())
                    .or_insert_with(Vec::new)
                    .extend(imports(place, &text));
            }
        }
        broken.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(uses.len() > 5, "no rooms found under {}", root.display());
    broken.extend(cycle(&uses));
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Adds every file below `path`, but for what programs leave behind.
fn collect(path: &Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(folder) = fs::read_dir(path) else {
        files.extend(path.exists().then(|| path.to_owned()));
        return;
    };
    let mut inside: Vec<_> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    inside.sort();
    for path in inside {
        let left_behind = ["__pycache__", ".pytest_cache", "target", "corpus"];
        if !left_behind.iter().any(|name| path.ends_with(name)) {
            collect(&path, files);
        }
    }
}

/// Rules for every file of ours.
fn every_file(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let extension = name.rsplit('.').next().unwrap_or_default();
    let ours = ["rs", "c", "h", "sh", "py", "cfg", "js"].contains(&extension)
        || ["Makefile", ".ci/run"].contains(&name);
    if ours
        && !text
            .lines()
            .take(2)
            .any(|line| line.contains("SPDX-License-Identifier: GPL-2.0-or-later"))
    {
        faults.push("no SPDX line at its head".to_owned());
    }
    for path in PRIVATE_PATHS {
        if text.contains(path) {
            faults.push(format!("a path of one machine: {path}"));
        }
    }
    faults
}

/// Rules for the file at `place` below `src/`.
fn source(place: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for part in place.trim_end_matches(".rs").split('/') {
        if EMPTY_NAMES.contains(&part) {
            faults.push(format!("a name that says nothing: {part}"));
        }
    }
    if !text
        .lines()
        .nth(1)
        .is_some_and(|line| line.starts_with("//!"))
    {
        faults.push("no //! head below the SPDX line".to_owned());
    }
    let (code, comments) = split(text);
    faults.extend(citations(&comments));
    let Some(room) = room(place) else {
        return faults;
    };
    let Some(ring) = ring(room) else {
        faults.push(format!("{room} is a room of no ring"));
        return faults;
    };
    if !UNSAFE_ROOMS.contains(&room) && tokens(&code).contains(&"unsafe") {
        faults.push("unsafe outside kamailio/ and process/".to_owned());
    }
    if ring < EDGES && !place.ends_with("tests.rs") && !place.contains("/tests/") {
        let before_tests = code.split("#[cfg(test)]").next().unwrap_or_default();
        for word in IMPURE {
            if before_tests.contains(word) {
                faults.push(format!("{word} in a pure room"));
            }
        }
    }
    for used in imports(place, text) {
        faults.extend(import(room, &used));
    }
    faults
}

/// The room a file below `src/` belongs to; none for the crate's own files.
fn room(place: &str) -> Option<&str> {
    let first = match place.split_once('/') {
        Some((folder, _)) => folder,
        None => place.strip_suffix(".rs")?,
    };
    (!["lib", "main", "bin"].contains(&first)).then_some(first)
}

fn ring(room: &str) -> Option<usize> {
    RINGS.iter().position(|rooms| rooms.contains(&room))
}

/// Whether one room may use another. Within rings 1 and 2 it may, as long as no circle closes ([`cycle`]).
fn import(room: &str, used: &str) -> Option<String> {
    let (Some(own), Some(other)) = (ring(room), ring(used)) else {
        return None;
    };
    if room == used || other < own || (other == own && own < EDGES) || (room, used) == EDGE_USES {
        return None;
    }
    Some(format!(
        "{room} (ring {}) uses {used} (ring {})",
        own + 1,
        other + 1
    ))
}

/// A circle of rooms that use each other, if there is one.
fn cycle(uses: &BTreeMap<String, Vec<String>>) -> Option<String> {
    // Rooms that use only rooms already taken away go away; what stays is in a circle or above one.
    let mut left: BTreeMap<&str, Vec<&str>> = uses
        .iter()
        .map(|(room, used)| {
            let others = used
                .iter()
                .map(String::as_str)
                .filter(|other| other != room);
            (room.as_str(), others.collect())
        })
        .collect();
    loop {
        let free: Vec<_> = left
            .iter()
            .filter(|(_, used)| !used.iter().any(|other| left.contains_key(other)))
            .map(|(room, _)| *room)
            .collect();
        if free.is_empty() {
            break;
        }
        for room in free {
            left.remove(room);
        }
    }
    (!left.is_empty()).then(|| format!("rooms use each other in a circle: {:?}", left.keys()))
}

/// Every top-level room that the file names by `crate::` or by climbing with `super::`.
fn imports(place: &str, text: &str) -> Vec<String> {
    let depth = place
        .trim_end_matches("/mod.rs")
        .trim_end_matches(".rs")
        .split('/')
        .count();
    let code = split(text).0;
    let mut found = Vec::new();
    for item in items(&code) {
        // The body of `mod tests { … }` lies one level deeper.
        let inline = usize::from(opens_module(item));
        let tokens = tokens(item);
        let mut at = 0;
        while at < tokens.len() {
            let mut ups = 0;
            let mut next = at + 1;
            if tokens[at] == "super" {
                ups = 1;
                while tokens.get(next) == Some(&"::") && tokens.get(next + 1) == Some(&"super") {
                    ups += 1;
                    next += 2;
                }
            }
            let at_root = tokens[at] == "crate" || (ups > 0 && ups == depth + inline);
            if at_root && tokens.get(next) == Some(&"::") {
                found.extend(heads(&tokens[next + 1..]));
            }
            at = next;
        }
    }
    found.sort();
    found.dedup();
    found.retain(|name| ring(name).is_some());
    found
}

/// The first names of `name…` or of `{name…, name…}`.
fn heads(tokens: &[&str]) -> Vec<String> {
    if tokens.first() != Some(&"{") {
        return tokens
            .first()
            .map(|name| (*name).to_owned())
            .into_iter()
            .collect();
    }
    let mut heads = Vec::new();
    let mut depth = 0;
    for pair in tokens.windows(2) {
        match pair[0] {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && ["{", ","].contains(&pair[0]) {
            heads.push(pair[1].to_owned());
        }
    }
    heads
}

/// Top-level pieces of formatted code: a piece ends where a line begins with `}`.
fn items(code: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        if opens_module(line) {
            items.push(&code[start..at]);
            start = at;
        }
        at += line.len();
        if line.starts_with('}') {
            items.push(&code[start..at]);
            start = at;
        }
    }
    items.push(&code[start..]);
    items
}

/// Whether the text begins with the first line of `mod tests {`.
fn opens_module(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    (line.starts_with("mod ") || line.starts_with("pub mod ")) && line.trim_end().ends_with('{')
}

/// Names, `::`, and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Code without comments and without what stands in quotes; and the text of the comments.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let quoted = quoted(rest);
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            comments.push_str(rest[..end].trim_start_matches(['/', '!']).trim());
            comments.push(' ');
            rest = &rest[end..];
        } else if quoted > 0 {
            code.push_str("\"\"");
            rest = &rest[quoted..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            // The rest of a name, so that its last letter is not taken for the `r` of a raw string.
            if first.is_alphanumeric() || first == '_' {
                let end = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                code.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    (code, comments)
}

/// The length of the string or character literal that `text` begins with; 0 if it begins with none.
fn quoted(text: &str) -> usize {
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    if prefix > 1 {
        return 0;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = &raw[hashes + 1..];
            let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return prefix + 1 + hashes + 1 + length;
        }
        return 0;
    }
    let Some(quote) = body.chars().next().filter(|c| ['"', '\''].contains(c)) else {
        return 0;
    };
    let mut escaped = false;
    for (n, (at, c)) in body.char_indices().enumerate().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return prefix + at + 1,
            // A lifetime: a character literal has one character, or an escape.
            _ if quote == '\'' && n > 1 && !body[1..].starts_with('\\') => return 0,
            _ => {}
        }
    }
    if quote == '"' { text.len() } else { 0 }
}

/// Citations in another form than `RFC 8048 §5.3.1` or `XEP-0114 §3`, and of RFCs nobody knows here.
fn citations(comments: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, _) in comments
        .match_indices("RFC")
        .chain(comments.match_indices("XEP"))
    {
        let before = comments[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let shown: String = comments[at..].chars().take(24).collect();
        let (kind, after) = comments[at..].split_at(3);
        if !after
            .trim_start_matches([' ', '-'])
            .starts_with(|c: char| c.is_ascii_digit())
        {
            continue;
        }
        let separator = if kind == "RFC" { ' ' } else { '-' };
        let number: String = after
            .chars()
            .skip(1)
            .take_while(char::is_ascii_digit)
            .collect();
        if !after.starts_with(separator) || number.len() != 4 {
            faults.push(format!(
                "cite as `RFC 8048 §5.3.1` or `XEP-0114 §3`: {shown}"
            ));
            continue;
        }
        if kind == "RFC" && !RFCS.contains(&number.as_str()) {
            faults.push(format!("RFC {number} is not in the list of this test"));
        }
        let rest = &after[1 + number.len()..];
        let section = rest.trim_start_matches([' ', ',']);
        let legal = match section.strip_prefix('§') {
            Some(digits) => {
                rest.starts_with(" §") && digits.starts_with(|c: char| c.is_ascii_alphanumeric())
            }
            None => !["section", "sec.", "sect.", "clause", "chapter"]
                .iter()
                .any(|word| section.to_ascii_lowercase().starts_with(word)),
        };
        if !legal {
            faults.push(format!(
                "cite as `RFC 8048 §5.3.1` or `XEP-0114 §3`: {shown}"
            ));
        }
    }
    faults
}

#[test]
fn a_room_uses_only_what_lies_below() {
    for (room, used, allowed) in [
        ("gateway", "mapping", true),
        ("gateway", "sip", true),
        ("record", "address", true),
        ("runtime", "kamailio", true),
        ("kamailio", "process", true),
        ("process", "kamailio", false),
        ("xmpp", "store", false),
        ("store", "process", false),
        ("sip", "gateway", false),
        ("mapping", "xmpp", false),
        ("kamailio", "runtime", false),
    ] {
        assert_eq!(import(room, used).is_none(), allowed, "{room} uses {used}");
    }
}

#[test]
fn circles_are_found() {
    let uses = |pairs: &[(&str, &[&str])]| {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        pairs
            .iter()
            .map(|(room, used)| ((*room).to_owned(), owned(used)))
            .collect()
    };
    assert_eq!(
        cycle(&uses(&[
            ("sip", &["frame", "sip"]),
            ("frame", &[]),
            ("gateway", &["sip"])
        ])),
        None
    );
    let found = cycle(&uses(&[
        ("sip", &["frame"]),
        ("frame", &["record"]),
        ("record", &["sip"]),
    ]));
    assert!(found.is_some());
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    for (place, text, expected) in [
        ("sip/cseq.rs", "use crate::gateway::Input;", vec!["gateway"]),
        (
            "sip/cseq.rs",
            "use crate::{\n    address::{Aor, xmpp},\n    store,\n};",
            vec!["address", "store"],
        ),
        (
            "sip/cseq.rs",
            "fn f() -> crate::record::Moment { x }",
            vec!["record"],
        ),
        ("sip/cseq.rs", "use super::super::xmpp::Link;", vec!["xmpp"]),
        (
            "sip/mod.rs",
            "use super::{xmpp, store};",
            vec!["store", "xmpp"],
        ),
        ("sip/cseq.rs", "use super::gateway;", vec![]),
        ("sip/a/b.rs", "use super::super::gateway;", vec![]),
        (
            "sip/cseq.rs",
            "mod tests {\n    use super::super::xmpp;\n}\n",
            vec![],
        ),
        (
            "sip/cseq.rs",
            "mod tests {\n    use super::super::super::xmpp;\n}\n",
            vec!["xmpp"],
        ),
        (
            "sip/cseq.rs",
            "// crate::gateway\n/// [`crate::xmpp`]\nlet s = \"crate::store\";",
            vec![],
        ),
        (
            "sip/cseq.rs",
            "let s = r#\"a\" crate::store\"#; crate::xmpp::f('\"', 'a');",
            vec!["xmpp"],
        ),
        (
            "sip/cseq.rs",
            "fn f<'a>(x: &'a str) { crate::xmpp::f(x, '\\'') }",
            vec!["xmpp"],
        ),
    ] {
        assert_eq!(imports(place, text), expected, "{place}: {text}");
    }
}

#[test]
fn each_rule_can_be_broken() {
    let head = "// SPDX-License-Identifier: GPL-2.0-or-later\n//! Head.\n";
    for (place, body, fault) in [
        ("sip/util.rs", "", "says nothing"),
        ("sip/common/mod.rs", "", "says nothing"),
        ("kitchen/mod.rs", "", "no ring"),
        (
            "sip/a.rs",
            "use crate::xmpp::Link;",
            "sip (ring 1) uses xmpp (ring 3)",
        ),
        ("store/a.rs", "fn f() { unsafe { g() } }", "unsafe outside"),
        (
            "gateway/a.rs",
            "let t = std::time::Instant::now();",
            "Instant::now in a pure room",
        ),
        ("mapping/a.rs", "x.await", ".await in a pure room"),
        ("sip/a.rs", "/// RFC3261 §7", "cite as"),
        ("sip/a.rs", "/// RFC 3261, section 7", "cite as"),
        ("sip/a.rs", "/// RFC 3261 §\n/// 7", "cite as"),
        ("sip/a.rs", "/// as RFC\n/// 3261 Section 7", "cite as"),
        ("sip/a.rs", "/// XEP 0114", "cite as"),
        ("sip/a.rs", "/// XEP-114 §3", "cite as"),
        ("sip/a.rs", "/// RFC 3621 §7", "not in the list"),
    ] {
        let faults = source(place, &format!("{head}{body}\n"));
        assert!(
            faults.len() == 1 && faults[0].contains(fault),
            "{place}: {body}: {faults:?}"
        );
    }
    assert_eq!(source("sip/a.rs", "// SPDX\n\n//! Late.").len(), 1);
    for legal in [
        "/// RFC 8048 §5.3.1, RFCs, (RFC 3261), XEP-0114 §3; RFC 4479's; an RFC 6121\n/// §3 stanza",
        "fn rfc8048_example() { unsafe_code(); \"RFC3261\"; }",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
    ] {
        assert_eq!(
            source("sip/a.rs", &format!("{head}{legal}\n")),
            Vec::<String>::new()
        );
    }
    assert!(source("process/a.rs", &format!("{head}unsafe {{ }}\n")).is_empty());

    assert_eq!(
        every_file("include/a.sh", "#!/bin/sh\n# no licence\n").len(),
        1
    );
    assert_eq!(
        every_file("include/a.txt", &format!("see {}notes", PRIVATE_PATHS[0])).len(),
        1
    );
    assert!(every_file("src/a.rs", head).is_empty());
}
