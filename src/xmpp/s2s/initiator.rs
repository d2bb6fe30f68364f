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
        self.trusted.as_ref().map(|()| ()).map_err(String::as_str)
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
        self.stage = Stage::Enabled;
        vec![Step::Send(Element::bare("enable", ns::SM))]
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
