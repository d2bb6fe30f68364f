// SPDX-License-Identifier: GPL-2.0-or-later
//! The negotiation of a stream that we open (RFC 6120 §4.3, §5, §6; XEP-0178 §3; XEP-0220 §2.1; XEP-0288 §2;
//! XEP-0198 §3), without I/O.
//!
//! In: what the server said. Out: [`Step`]s, the last of them [`Step::Ready`] or [`Step::Verified`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minidom::Element;
use rxml::xml_ncname;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::xmpp::stream::{Header, Received};

use super::dialback::{Answer, Dialback, Part, Questions, Says, Secret};
use super::domain::DomainPair;
use super::failure::Failure;
use super::features::{Features, NS_BIDI};

/// What a stream is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// To send stanzas, authenticated as our domain.
    Stanzas,
    /// To ask the authoritative server about a key that came with the stream `id` (XEP-0220 §2.1.2).
    Verify {
        /// The stream's id.
        id: String,
        /// The key.
        key: String,
    },
}

/// What may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// SASL EXTERNAL, where it is offered.
    pub external: bool,
    /// Dialback.
    pub dialback: bool,
    /// One stream for both directions, where it is offered and the server's certificate is good.
    pub bidi: bool,
}

/// How a stream was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// SASL EXTERNAL.
    External,
    /// Dialback over TLS.
    Dialback,
}

impl Authentication {
    /// As the operator reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Dialback => "dialback",
        }
    }
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How we proved who we are.
    pub authentication: Authentication,
    /// The server sends its stanzas over this stream too.
    pub bidi: bool,
    /// Stanzas are acknowledged (XEP-0198).
    pub management: bool,
    /// More of our domains may be authenticated on this stream (XEP-0220 §2.6).
    pub multiplex: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Open a stream; the first one, or a new one on the same connection.
    Open,
    /// Send this.
    Send(Element),
    /// Begin TLS; [`Initiator::secured`] goes on.
    StartTls,
    /// Stanzas may go.
    Ready(Terms),
    /// The authoritative server has answered.
    Verified(Answer),
}

/// A stream on its way.
#[derive(Debug, Clone)]
pub struct Initiator {
    pair: DomainPair,
    goal: Goal,
    means: Means,
    secret: Secret,
    stage: Stage,
    id: Option<String>,
    /// Whether the server's certificate is good for its domain; else why not.
    trusted: Result<(), String>,
    questions: Questions,
    terms: Terms,
    offered: Option<Features>,
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header(Level),
    Features(Level),
    Proceed,
    Tls,
    Success,
    Enabled,
    Answer,
    Done,
}

/// How far the stream is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Plain,
    Secure,
    Authenticated,
}

impl Initiator {
    /// A stream of that pair.
    pub fn new(pair: DomainPair, goal: Goal, means: Means, secret: Secret) -> Self {
        Self {
            pair,
            goal,
            means,
            secret,
            stage: Stage::Done,
            id: None,
            trusted: Err("no TLS".to_owned()),
            questions: Questions::default(),
            terms: Terms {
                authentication: Authentication::External,
                bidi: false,
                management: false,
                multiplex: false,
            },
            offered: None,
        }
    }

    /// Begins on a connection without TLS.
    pub fn start(&mut self) -> Step {
        self.stage = Stage::Header(Level::Plain);
        Step::Open
    }

    /// TLS is there; `trusted` says whether the server's certificate is good for its domain, or why not.
    pub fn secured(&mut self, trusted: Result<(), String>) -> Result<Step, Failure> {
        if let Err(why) = &trusted
            && !self.means.dialback
        {
            return Err(Failure::Untrusted(why.clone()));
        }
        self.trusted = trusted;
        self.stage = Stage::Header(Level::Secure);
        Ok(Step::Open)
    }

    /// The stream's id, once the server has given one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether the server's certificate is good, or why not.
    pub fn trusted(&self) -> Result<(), &str> {
        self.trusted.as_ref().copied().map_err(String::as_str)
    }

    /// What the server offered behind TLS, if it got so far.
    pub(super) fn offered(&self) -> Option<Features> {
        self.offered
    }

    /// How the server is to believe us, as far as it was tried.
    pub(super) fn tries(&self) -> Authentication {
        self.terms.authentication
    }

    /// The server said something.
    pub fn received(&mut self, received: Received) -> Result<Vec<Step>, Failure> {
        match received {
            Received::Header(header) => self.header(&header),
            Received::Other(element) => self.element(&element),
            Received::Content(element) => Err(unexpected(&element)),
            Received::Refused(_) => Err(Failure::Unexpected("a stanza".to_owned())),
            Received::Error(error) => Err(Failure::Error(error)),
            Received::Closed => Err(Failure::Closed),
        }
    }

    fn header(&mut self, header: &Header) -> Result<Vec<Step>, Failure> {
        let Stage::Header(level) = self.stage else {
            return Err(Failure::Unexpected("a stream header".to_owned()));
        };
        let is_modern = |version: &String| version.starts_with("1.");
        if !header.version.as_ref().is_some_and(is_modern) {
            return Err(Failure::Version);
        }
        self.id.clone_from(&header.id);
        self.stage = Stage::Features(level);
        Ok(Vec::new())
    }

    fn element(&mut self, element: &Element) -> Result<Vec<Step>, Failure> {
        match self.stage {
            Stage::Features(level) => {
                let features = Features::read(element).ok_or_else(|| unexpected(element))?;
                match level {
                    Level::Plain => self.secure(features),
                    Level::Secure => self.authenticate(features),
                    Level::Authenticated => Ok(self.manage(features)),
                }
            }
            Stage::Proceed if element.is("proceed", ns::TLS) => {
                self.stage = Stage::Tls;
                Ok(vec![Step::StartTls])
            }
            Stage::Proceed if element.is("failure", ns::TLS) => Err(Failure::TlsRefused),
            Stage::Success if element.is("success", ns::SASL) => {
                self.stage = Stage::Header(Level::Authenticated);
                Ok(vec![Step::Open])
            }
            Stage::Success if element.is("failure", ns::SASL) => {
                Err(Failure::ExternalRefused(reason(element)))
            }
            Stage::Enabled if element.is("enabled", ns::SM) => {
                self.terms.management = true;
                Ok(self.ready())
            }
            Stage::Enabled if element.is("failed", ns::SM) => Ok(self.ready()),
            Stage::Answer => self.answer(element),
            Stage::Proceed
            | Stage::Success
            | Stage::Enabled
            | Stage::Header(_)
            | Stage::Tls
            | Stage::Done => Err(unexpected(element)),
        }
    }

    /// Nothing goes without TLS (RFC 7590 §3.1).
    fn secure(&mut self, features: Features) -> Result<Vec<Step>, Failure> {
        if !features.starttls {
            return Err(Failure::NoTls);
        }
        self.stage = Stage::Proceed;
        Ok(vec![Step::Send(Element::bare("starttls", ns::TLS))])
    }

    fn authenticate(&mut self, features: Features) -> Result<Vec<Step>, Failure> {
        self.offered = Some(features);
        if let Goal::Verify { id, key } = &self.goal {
            let question = self.question(Part::Verify { id: id.clone() }, key.clone());
            return Ok(self.ask(question));
        }
        let mut steps = Vec::new();
        self.terms.multiplex = features.dialback && self.means.dialback;
        if features.bidi && self.means.bidi && self.trusted.is_ok() {
            self.terms.bidi = true;
            steps.push(Step::Send(Element::bare("bidi", NS_BIDI)));
        }
        if features.external && self.means.external {
            self.stage = Stage::Success;
            let name = BASE64.encode(&self.pair.local);
            let auth = Element::builder("auth", ns::SASL)
                .attr(xml_ncname!("mechanism").into(), "EXTERNAL")
                .append(name)
                .build();
            steps.push(Step::Send(auth));
        } else if self.means.dialback {
            let id = self.id.clone().ok_or(Failure::NoId)?;
            let key = self.secret.key(&self.pair.remote, &self.pair.local, &id);
            self.terms.authentication = Authentication::Dialback;
            self.terms.management = features.management;
            steps.extend(self.ask(self.question(Part::Result, key)));
        } else {
            return Err(Failure::NoExternal);
        }
        Ok(steps)
    }

    fn question(&self, part: Part, key: String) -> Dialback {
        Dialback {
            part,
            from: self.pair.local.clone(),
            to: self.pair.remote.clone(),
            says: Says::Key(key),
        }
    }

    fn ask(&mut self, question: Dialback) -> Vec<Step> {
        self.questions.ask(&question);
        self.stage = Stage::Answer;
        vec![Step::Send(question.to_element())]
    }

    fn answer(&mut self, element: &Element) -> Result<Vec<Step>, Failure> {
        let answer = Dialback::read(element)
            .and_then(|answer| self.questions.answered(&answer))
            .ok_or_else(|| unexpected(element))?;
        if let Goal::Verify { .. } = self.goal {
            self.stage = Stage::Done;
            return Ok(vec![Step::Verified(answer)]);
        }
        match answer {
            Answer::Valid if self.terms.management => {
                self.terms.management = false;
                Ok(self.enable())
            }
            Answer::Valid => Ok(self.ready()),
            Answer::Invalid => Err(Failure::KeyInvalid(self.pair.local.clone())),
            Answer::Error(condition) => Err(Failure::KeyError(words(&condition))),
        }
    }

    fn manage(&mut self, features: Features) -> Vec<Step> {
        if features.management {
            self.enable()
        } else {
            self.ready()
        }
    }

    fn enable(&mut self) -> Vec<Step> {
        let mut steps = vec![Step::Send(Element::bare("enable", ns::SM))];
        if self.terms.bidi {
            // The server may send stanzas before it answers.
            self.terms.management = true;
            steps.extend(self.ready());
        } else {
            self.stage = Stage::Enabled;
        }
        steps
    }

    fn ready(&mut self) -> Vec<Step> {
        self.stage = Stage::Done;
        vec![Step::Ready(self.terms)]
    }
}

fn unexpected(element: &Element) -> Failure {
    Failure::Unexpected(format!("<{}>", element.name().escape_debug()))
}

/// The condition of a SASL failure and its text, bounded.
fn reason(failure: &Element) -> String {
    let condition = failure
        .children()
        .find(|child| child.name() != "text")
        .map_or("", Element::name);
    let text = failure
        .get_child("text", ns::SASL)
        .map(Element::text)
        .unwrap_or_default();
    let words = if text.is_empty() {
        condition.to_owned()
    } else {
        format!("{condition} ({text})")
    };
    words
        .chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The name of a condition's element.
pub(super) fn words(condition: &DefinedCondition) -> String {
    Element::from(condition.clone()).name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::stream::{Condition, Excess, Refused, StreamError};

    const ALL: Means = Means {
        external: true,
        dialback: true,
        bidi: true,
    };

    const NO_DIALBACK: Means = Means {
        dialback: false,
        ..ALL
    };

    const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    const REFUSED: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>\
        <text>who are\n you</text></failure>";
    const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    const NO_TLS: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3'/>";
    const FAILED: &str = "<failed xmlns='urn:xmpp:sm:3'/>";
    const VALID: &str = "<result xmlns='jabber:server:dialback' from='them' to='us' type='valid'/>";
    const INVALID: &str =
        "<result xmlns='jabber:server:dialback' from='them' to='us' type='invalid'/>";
    const ERROR: &str = "<result xmlns='jabber:server:dialback' from='them' to='us' type='error'>\
        <error xmlns='jabber:client'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
        </error></result>";
    const OTHERS: &str =
        "<result xmlns='jabber:server:dialback' from='other' to='us' type='valid'/>";
    const VERIFIED: &str =
        "<verify xmlns='jabber:server:dialback' from='them' to='us' id='theirs' type='valid'/>";
    const VERIFIED_OTHER: &str =
        "<verify xmlns='jabber:server:dialback' from='them' to='us' id='i' type='valid'/>";
    const KEY: &str = "<result xmlns='jabber:server:dialback' from='them' to='us'>key</result>";

    fn new(means: Means, goal: Goal) -> Initiator {
        let pair = DomainPair::new("us", "them");
        Initiator::new(pair, goal, means, Secret::new(b"of a test"))
    }

    fn verify() -> Goal {
        Goal::Verify {
            id: "theirs".to_owned(),
            key: "key".to_owned(),
        }
    }

    /// A header with an id or without one, features by their names, or an element as it is written.
    fn heard(text: &str) -> Received {
        let header = |id: Option<&str>, version: Option<&str>| {
            Received::Header(Box::new(Header {
                id: id.map(str::to_owned),
                version: version.map(str::to_owned),
                ..Header::default()
            }))
        };
        match text.split_once(' ').unwrap_or((text, "")) {
            ("header", "") => header(Some("i"), Some("1.0")),
            ("header", "without id") => header(None, Some("1.0")),
            ("header", "of 0.9") => header(Some("i"), None),
            ("features", names) => {
                let has = |name| names.split(' ').any(|n| n == name);
                let features = Features {
                    starttls: has("starttls"),
                    external: has("external"),
                    dialback: has("dialback"),
                    bidi: has("bidi"),
                    management: has("sm"),
                };
                Received::Other(features.to_element())
            }
            _ => Received::Other(text.parse().unwrap()),
        }
    }

    /// Steps in short.
    fn steps(steps: &[Step]) -> String {
        let step = |step: &Step| match step {
            Step::Open => "open".to_owned(),
            Step::Send(element) => element.name().to_owned(),
            Step::StartTls => "TLS".to_owned(),
            Step::Ready(terms) => {
                let with = |yes: bool, what: &str| {
                    if yes {
                        format!("+{what}")
                    } else {
                        String::new()
                    }
                };
                let way = terms.authentication.as_str();
                let more = with(terms.bidi, "bidi")
                    + &with(terms.management, "sm")
                    + &with(terms.multiplex, "multiplex");
                format!("ready:{way}{more}")
            }
            Step::Verified(answer) => format!("verified:{answer:?}"),
        };
        steps.iter().map(step).collect::<Vec<_>>().join(" ")
    }

    /// What follows from each thing heard; the last may be a failure, in words.
    fn play(initiator: &mut Initiator, script: &[(&str, &str)]) {
        for (text, expected) in script {
            let outcome = match initiator.received(heard(text)) {
                Ok(said) => steps(&said),
                Err(failure) => failure.to_string(),
            };
            assert_eq!(&outcome, expected, "{text}");
        }
    }

    fn secured(means: Means, goal: Goal, trusted: bool) -> Initiator {
        let mut initiator = new(means, goal);
        let trusted = trusted.then_some(()).ok_or_else(|| "bad".to_owned());
        assert_eq!(initiator.secured(trusted).unwrap(), Step::Open);
        initiator
    }

    #[test]
    fn tls_comes_first() {
        let mut initiator = new(ALL, Goal::Stanzas);
        assert_eq!(initiator.start(), Step::Open);
        let offered = "features starttls external dialback bidi sm";
        play(
            &mut initiator,
            &[("header", ""), (offered, "starttls"), (PROCEED, "TLS")],
        );
        let mut refused = new(ALL, Goal::Stanzas);
        refused.start();
        let script = [
            ("header", ""),
            (offered, "starttls"),
            (NO_TLS, "the server refused TLS"),
        ];
        play(&mut refused, &script);
        let mut none = new(ALL, Goal::Stanzas);
        none.start();
        let without = "features external dialback bidi sm";
        play(
            &mut none,
            &[("header", ""), (without, "the server offers no TLS")],
        );
    }

    #[test]
    fn what_a_server_offers_decides_the_way() {
        let external = "header";
        for (trusted, means, offered, script) in [
            (
                true,
                ALL,
                "external bidi dialback",
                &[
                    ("", "bidi auth"),
                    (SUCCESS, "open"),
                    (external, ""),
                    ("features sm", "enable ready:external+bidi+sm+multiplex"),
                ][..],
            ),
            (
                true,
                ALL,
                "external",
                &[
                    ("", "auth"),
                    (SUCCESS, "open"),
                    (external, ""),
                    ("features", "ready:external"),
                ],
            ),
            (
                true,
                ALL,
                "external",
                &[
                    ("", "auth"),
                    (SUCCESS, "open"),
                    (external, ""),
                    ("features sm", "enable"),
                    (FAILED, "ready:external"),
                ],
            ),
            (
                true,
                NO_DIALBACK,
                "external dialback",
                &[
                    ("", "auth"),
                    (SUCCESS, "open"),
                    (external, ""),
                    ("features", "ready:external"),
                ],
            ),
            // A server with a bad certificate may take ours, and is told nothing that it could not have by dialback.
            (
                false,
                ALL,
                "external bidi",
                &[
                    ("", "auth"),
                    (SUCCESS, "open"),
                    (external, ""),
                    ("features bidi", "ready:external"),
                ],
            ),
            (
                true,
                ALL,
                "external",
                &[
                    ("", "auth"),
                    (
                        REFUSED,
                        "the server refused our certificate (EXTERNAL): not-authorized (who are  you)",
                    ),
                ],
            ),
            (true, ALL, "", &[("", "result"), (VALID, "ready:dialback")]),
            (
                false,
                ALL,
                "dialback sm",
                &[
                    ("", "result"),
                    (VALID, "enable"),
                    (ENABLED, "ready:dialback+sm+multiplex"),
                ],
            ),
            (
                true,
                ALL,
                "dialback bidi sm",
                &[
                    ("", "bidi result"),
                    (VALID, "enable ready:dialback+bidi+sm+multiplex"),
                ],
            ),
            (
                true,
                ALL,
                "",
                &[
                    ("", "result"),
                    (
                        INVALID,
                        "dialback failed: the server found our key invalid; does DNS for us lead to this gateway?",
                    ),
                ],
            ),
            (
                true,
                ALL,
                "",
                &[
                    ("", "result"),
                    (ERROR, "dialback failed: the server answered item-not-found"),
                ],
            ),
            (
                true,
                Means {
                    external: false,
                    ..ALL
                },
                "external",
                &[("", "result"), (VALID, "ready:dialback")],
            ),
            (
                true,
                NO_DIALBACK,
                "dialback",
                &[(
                    "",
                    "the server does not offer EXTERNAL, so it does not accept our certificate; dialback is off",
                )],
            ),
        ] {
            let mut initiator = secured(means, Goal::Stanzas, trusted);
            let features = format!("features {offered}");
            let script: Vec<_> = script
                .iter()
                .map(|(heard, follows)| {
                    (
                        if heard.is_empty() {
                            features.as_str()
                        } else {
                            heard
                        },
                        *follows,
                    )
                })
                .collect();
            play(&mut initiator, &[("header", "")]);
            play(&mut initiator, &script);
        }
    }

    #[test]
    fn the_name_and_the_key_are_those_of_the_stream() {
        let mut initiator = secured(ALL, Goal::Stanzas, true);
        play(&mut initiator, &[("header", "")]);
        let steps = initiator.received(heard("features external")).unwrap();
        let auth: Element =
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>dXM=</auth>"
                .parse()
                .unwrap();
        assert_eq!(steps, [Step::Send(auth)]);
        let mut initiator = secured(ALL, Goal::Stanzas, true);
        play(&mut initiator, &[("header", "")]);
        let steps = initiator.received(heard("features")).unwrap();
        let key = Secret::new(b"of a test").key("them", "us", "i");
        let result: Element =
            format!("<result xmlns='jabber:server:dialback' from='us' to='them'>{key}</result>")
                .parse()
                .unwrap();
        assert_eq!(steps, [Step::Send(result)]);
    }

    #[test]
    fn a_key_is_verified_by_the_answer_to_this_very_question() {
        for trusted in [true, false] {
            let answers = [
                (VERIFIED, "verified:Valid"),
                (
                    VERIFIED_OTHER,
                    "the server sent <verify> where it does not belong",
                ),
                (VALID, "the server sent <result> where it does not belong"),
                (KEY, "the server sent <result> where it does not belong"),
            ];
            for answer in answers {
                let mut initiator = secured(ALL, verify(), trusted);
                let offered = ("features external dialback bidi sm", "verify");
                play(
                    &mut initiator,
                    &[("header without id", ""), offered, answer],
                );
            }
        }
    }

    #[test]
    fn a_bad_certificate_needs_dialback() {
        let refused = new(NO_DIALBACK, Goal::Stanzas).secured(Err("expired".to_owned()));
        let words = "the server's certificate is refused: expired; dialback is off";
        assert_eq!(refused.unwrap_err().to_string(), words);
    }

    #[test]
    fn an_old_server_or_a_stream_without_an_id_gets_no_further() {
        let mut old = secured(ALL, Goal::Stanzas, true);
        play(
            &mut old,
            &[("header of 0.9", "the server does not speak XMPP 1.0")],
        );
        let mut without = secured(ALL, Goal::Stanzas, true);
        let no_id = ("features dialback", "the server's stream has no id");
        play(&mut without, &[("header without id", ""), no_id]);
    }

    /// A stream in each stage, and what belongs there.
    fn stages() -> Vec<(Initiator, Vec<&'static str>)> {
        let in_stage = |script: &[&str]| {
            let mut initiator = secured(ALL, Goal::Stanzas, true);
            for text in script {
                initiator.received(heard(text)).unwrap();
            }
            initiator
        };
        let mut plain = new(ALL, Goal::Stanzas);
        plain.start();
        let mut proceed = plain.clone();
        proceed.received(heard("header")).unwrap();
        let features = proceed.clone();
        proceed.received(heard("features starttls")).unwrap();
        let mut tls = proceed.clone();
        tls.received(heard(PROCEED)).unwrap();
        let external = ["header", "features external"];
        vec![
            (new(ALL, Goal::Stanzas), vec![]),
            (plain, vec!["header", "header without id"]),
            (features, vec!["features starttls"]),
            (proceed, vec![PROCEED]),
            (tls, vec![]),
            (in_stage(&[]), vec!["header", "header without id"]),
            (
                in_stage(&["header"]),
                vec!["features", "features external", "features starttls"],
            ),
            (in_stage(&external), vec![SUCCESS]),
            (
                in_stage(&[external[0], external[1], SUCCESS]),
                vec!["header", "header without id"],
            ),
            (
                in_stage(&[external[0], external[1], SUCCESS, "header", "features sm"]),
                vec![ENABLED, FAILED],
            ),
            (in_stage(&["header", "features"]), vec![VALID]),
            (in_stage(&["header", "features", VALID]), vec![]),
            (
                in_stage(&["header", "features sm", VALID]),
                vec![ENABLED, FAILED],
            ),
        ]
    }

    #[test]
    fn in_every_stage_nothing_goes_on_but_by_what_belongs_there() {
        let all = [
            "header",
            "header without id",
            "header of 0.9",
            "features",
            "features external",
            "features starttls",
            SUCCESS,
            REFUSED,
            PROCEED,
            NO_TLS,
            ENABLED,
            FAILED,
            VALID,
            INVALID,
            ERROR,
            OTHERS,
            VERIFIED,
            VERIFIED_OTHER,
            KEY,
            "<bidi xmlns='urn:xmpp:bidi'/>",
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>",
        ];
        for (number, (stage, belongs)) in stages().into_iter().enumerate() {
            for text in all {
                let goes_on = stage.clone().received(heard(text)).is_ok();
                assert_eq!(goes_on, belongs.contains(&text), "{number} {text}");
            }
            let message: Element = "<message xmlns='jabber:client' from='them' to='us'/>"
                .parse()
                .unwrap();
            let refused = Refused {
                excess: Excess::Size,
                reply: None,
            };
            for received in [
                Received::Content(message),
                Received::Refused(refused),
                Received::Error(StreamError::new(Condition::Reset, "")),
                Received::Closed,
            ] {
                assert!(stage.clone().received(received).is_err(), "{number}");
            }
        }
    }
}
