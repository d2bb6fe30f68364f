// SPDX-License-Identifier: GPL-2.0-or-later
//! The conformance tables: every sentence of the RFCs below that asks something has a test that is run,
//! or a reason in words.
//!
//! In: `tests/vectors/rfcNNNN/sentences`, the tests' sources, the README. Out: one line for each fault, which
//! says what to mend. Each kind of fault has been seen by a test of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The RFCs that have a table.
const RFCS: [&str; 4] = ["3428", "7247", "7572", "8048"];

/// How often each keyword of RFC 2119 stands in the RFC, its own explanation of them left out. So a sentence that
/// is taken out of the table is missed.
const KEYWORDS: [(&str, &[(&str, usize)]); 4] = [
    (
        "3428",
        &[
            ("MUST", 7),
            ("MUST NOT", 10),
            ("SHALL", 1),
            ("SHOULD", 12),
            ("SHOULD NOT", 2),
            ("MAY", 8),
            ("RECOMMENDED", 1),
        ],
    ),
    (
        "7247",
        &[
            ("MUST", 5),
            ("MUST NOT", 3),
            ("SHOULD", 6),
            ("RECOMMENDED", 4),
            ("NOT RECOMMENDED", 1),
            ("OPTIONAL", 3),
        ],
    ),
    ("7572", &[("MUST", 10), ("SHOULD", 2), ("MAY", 1)]),
    (
        "8048",
        &[
            ("MUST", 9),
            ("MUST NOT", 2),
            ("SHOULD", 8),
            ("RECOMMENDED", 2),
        ],
    ),
];

/// What an entry is that has no keyword.
const OTHER_KINDS: [&str; 4] = ["duty", "row", "note", "step"];

/// One sentence, row or note, and what sees to it.
#[derive(Debug, Default)]
struct Entry {
    number: String,
    kind: String,
    sentence: String,
    tests: Vec<String>,
    departure: Option<String>,
    reason: Option<String>,
    missing: Option<String>,
}

/// How many entries there are, and how they are seen to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    entries: usize,
    tested: usize,
    departures: usize,
    reasons: usize,
    missing: usize,
}

impl Totals {
    fn of(entries: &[Entry]) -> Self {
        let count = |is: fn(&Entry) -> bool| entries.iter().filter(|entry| is(entry)).count();
        Self {
            entries: entries.len(),
            tested: count(|entry| !entry.tests.is_empty()),
            departures: count(|entry| entry.departure.is_some()),
            reasons: count(|entry| entry.reason.is_some()),
            missing: count(|entry| entry.missing.is_some()),
        }
    }

    /// The row that the README has of them.
    fn row(&self, rfc: &str) -> String {
        format!(
            "| RFC {rfc} | {} | {} | {} | {} | {} |",
            self.entries, self.tested, self.departures, self.reasons, self.missing
        )
    }
}

fn text_of(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).ok()
}

#[test]
fn every_sentence_is_seen_to() {
    let readme = text_of("README.md").unwrap();
    let mut faults = Vec::new();
    for rfc in RFCS {
        let table = text_of(&format!("tests/vectors/rfc{rfc}/sentences")).unwrap();
        let entries = match read(&table) {
            Ok(entries) => entries,
            Err(fault) => {
                faults.push(format!("RFC {rfc}: {fault}"));
                continue;
            }
        };
        faults.extend(misnumbered(rfc, &entries));
        let printed = KEYWORDS.iter().find(|(of, _)| *of == rfc).unwrap().1;
        let uncounted = uncounted(&entries, printed).into_iter();
        faults.extend(uncounted.map(|fault| format!("RFC {rfc}: {fault}")));
        for entry in &entries {
            faults.extend(unseen(entry, text_of));
        }
        let row = Totals::of(&entries).row(rfc);
        if !readme.lines().any(|line| line == row) {
            faults.push(format!(
                "the section Conformance of the README should have: {row}"
            ));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Reads a table; the fault names the line.
fn read(table: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut place = 0;
    for (at, line) in table.lines().enumerate() {
        let at = at + 1;
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            place = 0;
            continue;
        }
        place += 1;
        if place == 1 {
            let (number, kind) = line
                .split_once(' ')
                .ok_or_else(|| format!("line {at}: write `number kind`"))?;
            entries.push(Entry {
                number: number.to_owned(),
                kind: kind.to_owned(),
                ..Entry::default()
            });
            continue;
        }
        let entry = entries
            .last_mut()
            .ok_or_else(|| format!("line {at}: belongs to no entry"))?;
        if place == 2 {
            let sentence = line.strip_prefix('"').and_then(|l| l.strip_suffix('"'));
            sentence
                .ok_or_else(|| format!("line {at}: the sentence is to stand in quotation marks"))?
                .clone_into(&mut entry.sentence);
        } else if let Some((word, why)) = line.split_once(": ") {
            let field = match word {
                "departure" => &mut entry.departure,
                "reason" => &mut entry.reason,
                "missing" => &mut entry.missing,
                _ => {
                    return Err(format!(
                        "line {at}: {word} is none of departure, reason, missing"
                    ));
                }
            };
            *field = Some(why.trim().to_owned());
        } else {
            entry.tests.push(line.to_owned());
        }
    }
    Ok(entries)
}

/// Entries whose number is not the next one of their section.
fn misnumbered(rfc: &str, entries: &[Entry]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut last: (&str, usize) = ("", 0);
    let mut sections = Vec::new();
    for entry in entries {
        let mut parts = entry.number.split('-');
        let (of, section) = (parts.next(), parts.next().unwrap_or_default());
        let place = parts.next().and_then(|place| place.parse::<usize>().ok());
        let expected = if section == last.0 { last.1 + 1 } else { 1 };
        if of != Some(rfc) || place != Some(expected) || parts.next().is_some() {
            faults.push(format!(
                "{}: its number should be {rfc}-{section}-{expected}",
                entry.number
            ));
        }
        if section != last.0 {
            let key: Vec<u32> = section.split('.').filter_map(|n| n.parse().ok()).collect();
            if sections.last().is_some_and(|before| *before >= key) {
                faults.push(format!(
                    "{}: section {section} comes too late",
                    entry.number
                ));
            }
            sections.push(key);
        }
        last = (section, expected);
    }
    faults
}

/// The keywords of RFC 2119 in a sentence, in their order.
fn keywords(sentence: &str) -> Vec<&'static str> {
    let all = [
        "MUST NOT",
        "SHALL NOT",
        "SHOULD NOT",
        "NOT RECOMMENDED",
        "MUST",
        "REQUIRED",
        "SHALL",
        "SHOULD",
        "RECOMMENDED",
        "MAY",
        "OPTIONAL",
    ];
    let mut found = Vec::new();
    let mut rest = sentence;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[at..];
        let word = all.into_iter().find(|word| {
            rest.strip_prefix(word)
                .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        let length = match word {
            Some(word) => word.len(),
            None => rest
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(rest.len()),
        };
        found.extend(word);
        rest = &rest[length..];
    }
    found
}

/// Sentences that are called what they are not, and keywords of the RFC that no sentence has.
fn uncounted(entries: &[Entry], printed: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        let found = keywords(&entry.sentence);
        let kind = found.join(", ");
        let fits = match found.is_empty() {
            true => OTHER_KINDS.contains(&entry.kind.as_str()),
            false => entry.kind == kind,
        };
        if !fits {
            let kind = if found.is_empty() {
                OTHER_KINDS.join(" or ")
            } else {
                kind
            };
            faults.push(format!("{}: it should be called {kind}", entry.number));
        }
        for word in found {
            *counted.entry(word).or_default() += 1;
        }
    }
    let printed: BTreeMap<&str, usize> = printed.iter().copied().collect();
    if counted != printed {
        faults.push(format!(
            "it has the keywords {printed:?}, its table {counted:?}: a sentence is missing or twice there"
        ));
    }
    faults
}

/// What is wrong with how an entry is seen to.
fn unseen(entry: &Entry, text_of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let number = &entry.number;
    let mut faults = Vec::new();
    let words = [&entry.departure, &entry.reason, &entry.missing];
    if words.into_iter().flatten().any(String::is_empty) {
        faults.push(format!("{number}: say why in words"));
    }
    let untested = usize::from(entry.reason.is_some()) + usize::from(entry.missing.is_some());
    if entry.tests.is_empty() && untested == 0 {
        faults.push(format!(
            "{number}: name a test, or `reason:` why there is none, or what is `missing:`"
        ));
    }
    if untested + usize::from(!entry.tests.is_empty()) > 1 {
        faults.push(format!(
            "{number}: either tests, or a reason, or what is missing; beside tests there may be a `departure:`"
        ));
    }
    if entry.departure.is_some() && entry.tests.is_empty() {
        faults.push(format!("{number}: name the test that shows the departure"));
    }
    for test in &entry.tests {
        let fault = match test.split_once("::") {
            None => Some("write it as `file::name`".to_owned()),
            Some((file, name)) => idle(file, name, &text_of),
        };
        faults.extend(fault.map(|fault| format!("{number}: {test}: {fault}")));
    }
    faults
}

/// Why `make test` does not run a test; `None` if it does.
fn idle(file: &str, name: &str, text_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let Some(text) = text_of(file) else {
        return Some("there is no such file".to_owned());
    };
    if let Some(place) = file.strip_prefix("tests/e2e/") {
        if !place.starts_with("test_") || !place.ends_with(".py") || place.contains('/') {
            return Some("pytest looks only into tests/e2e/test_*.py".to_owned());
        }
        return idle_scenario(&text, name);
    }
    if !(file.starts_with("src/") || file.starts_with("tests/")) || !file.ends_with(".rs") {
        return Some("tests are in src/, tests/ and tests/e2e/".to_owned());
    }
    if let Some((program, module)) = file.strip_prefix("tests/").and_then(|f| f.split_once('/')) {
        let main = text_of(&format!("tests/{program}/main.rs")).unwrap_or_default();
        let module = format!("mod {};", module.trim_end_matches(".rs"));
        if ["bench", "fuzz"].contains(&program) || !main.lines().any(|line| line == module) {
            return Some(format!("no test program has it: tests/{program}/main.rs"));
        }
    }
    idle_function(&text, name)
}

/// The lines right above the one that begins with `head`, up to a blank line or the end of what stands before.
fn above<'a>(text: &'a str, head: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(head))?;
    let before = lines[..at].iter().rev();
    Some(
        before
            .take_while(|line| !line.is_empty() && !line.ends_with(['}', '{']))
            .copied()
            .collect(),
    )
}

fn idle_function(text: &str, name: &str) -> Option<String> {
    let found =
        above(text, &format!("fn {name}(")).or_else(|| above(text, &format!("async fn {name}(")));
    let Some(attributes) = found else {
        return Some("there is no such function".to_owned());
    };
    let has = |start: &str| attributes.iter().any(|line| line.starts_with(start));
    if !has("#[test]") && !has("#[tokio::test") {
        Some("it is no #[test]".to_owned())
    } else if has("#[ignore") {
        Some("it is ignored".to_owned())
    } else {
        None
    }
}

fn idle_scenario(text: &str, name: &str) -> Option<String> {
    let head = format!("def {name}(");
    if !name.starts_with("test_") || !text.lines().any(|line| line.starts_with(&head)) {
        return Some("there is no such scenario".to_owned());
    }
    let decorators = above(text, &head).unwrap_or_default();
    let left_out = ["@pytest.mark.soak", "@pytest.mark.skip"];
    decorators
        .iter()
        .any(|line| left_out.iter().any(|mark| line.starts_with(mark)))
        .then(|| "make test leaves it out".to_owned())
}

const GOOD: &str = "# a table\n\n8048-5.1-1 duty\n\"It does.\"\ntests/a.rs::works\n\n\
                    8048-5.1-2 SHOULD\n\"It SHOULD.\"\nreason: not ours\n";

const GOOD_KEYWORDS: &[(&str, usize)] = &[("SHOULD", 1)];

/// A source tree of two files.
fn sources(file: &str) -> Option<String> {
    match file {
        "tests/a.rs" => Some(
            "    #[test]\n    fn works() {\n    }\n\n    #[test]\n    #[ignore = \"slow\"]\n    fn sleeps() {\n    }\n\
             \nfn helps() {\n}\n"
                .to_owned(),
        ),
        "tests/e2e/test_a.py" => Some(
            "def test_works(scene):\n    pass\n\n\n@pytest.mark.soak\n\
             @pytest.mark.parametrize(\"n\", [1])\ndef test_sleeps(scene, n):\n    pass\n"
                .to_owned(),
        ),
        _ => None,
    }
}

#[test]
fn a_good_table_has_no_fault() {
    let entries = read(GOOD).unwrap();
    assert_eq!(misnumbered("8048", &entries), Vec::<String>::new());
    assert_eq!(uncounted(&entries, GOOD_KEYWORDS), Vec::<String>::new());
    for entry in &entries {
        assert_eq!(unseen(entry, sources), Vec::<String>::new());
    }
    let totals = Totals {
        entries: 2,
        tested: 1,
        reasons: 1,
        ..Totals::default()
    };
    assert_eq!(Totals::of(&entries), totals);
    assert_eq!(totals.row("8048"), "| RFC 8048 | 2 | 1 | 0 | 1 | 0 |");
}

#[test]
fn each_fault_is_told() {
    for (good, bad, fault) in [
        ("reason: not ours\n", "", "8048-5.1-2: name a test"),
        ("reason: not ours", "because: x", "because is none of"),
        ("reason: not ours", "departure: x", "shows the departure"),
        ("reason: not ours", "reason: x\nmissing: y", "either tests"),
        ("works", "works\nreason: x", "either tests"),
        (
            "works",
            "sleeps",
            "8048-5.1-1: tests/a.rs::sleeps: it is ignored",
        ),
        ("works", "helps", "no #[test]"),
        ("works", "work", "no such function"),
        ("tests/a.rs::works", "tests/b.rs::works", "no such file"),
        ("tests/a.rs::works", "works", "`file::name`"),
        (
            "tests/a.rs::works",
            "tests/e2e/test_a.py::test_sleeps",
            "leaves it out",
        ),
        (
            "tests/a.rs::works",
            "tests/e2e/test_a.py::test_is_not",
            "no such scenario",
        ),
        ("5.1-2", "5.1-3", "should be 8048-5.1-2"),
        ("5.1-2", "5.1-1", "should be 8048-5.1-2"),
        ("8048-5.1-2", "7247-5.1-2", "should be 8048-5.1-2"),
        ("5.1-2", "4-1", "section 4 comes too late"),
        (" SHOULD\n", " MUST\n", "should be called SHOULD"),
        (" duty", " SHOULD", "should be called duty or row"),
        ("\"It SHOULD.\"", "It SHOULD.", "quotation marks"),
        (
            "It SHOULD.",
            "It MUST NOT.",
            "a sentence is missing or twice",
        ),
    ] {
        let table = GOOD.replace(good, bad);
        assert_ne!(table, GOOD, "{good}");
        let faults = match read(&table) {
            Err(fault) => vec![fault],
            Ok(entries) => {
                let mut faults = misnumbered("8048", &entries);
                faults.extend(uncounted(&entries, GOOD_KEYWORDS));
                for entry in &entries {
                    faults.extend(unseen(entry, sources));
                }
                faults
            }
        };
        assert!(
            faults.iter().any(|told| told.contains(fault)),
            "{bad}: {faults:?}"
        );
    }
}

#[test]
fn keywords_are_whole_words_in_capitals() {
    for (sentence, found) in [
        ("It MUST, and MUST NOT; it must.", &["MUST", "MUST NOT"][..]),
        (
            "is NOT RECOMMENDED (OPTIONAL).",
            &["NOT RECOMMENDED", "OPTIONAL"],
        ),
        ("a MUSTARD that MAYBE is", &[]),
        ("\"MAY\" SHOULD", &["MAY", "SHOULD"]),
    ] {
        assert_eq!(keywords(sentence), found, "{sentence}");
    }
}
