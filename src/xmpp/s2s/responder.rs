// SPDX-License-Identifier: GPL-2.0-or-later
//! The other side of a stream that a server opens to us (RFC 6120 §4.3, §5, §6; XEP-0178 §3; XEP-0220 §2.2;
//! XEP-0288 §2; XEP-0198 §3), without I/O.
//!
//! In: what the server said, and what became of its dialback keys. Out: [`Step`]s. A stanza gets out only
//! for a pair of domains that was proven on this very stream; whatever else is said where it does not belong
//! ends the stream with an error.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::xmpp::stream::{Condition, Header, Received, Refused, StreamError};

use super::dialback::{Answer, Dialback, Part, Says};
use super::domain::{DomainPair, domain};
use super::features::{Features, NS_BIDI};
use super::initiator::Authentication;
use super::site::Site;

/// Refused certificates and keys after which a server may try no more on one stream.
const ATTEMPTS: u32 = 3;

/// Keys of one authenticated stream that are verified at one time.
const VERIFYING: usize = 16;

/// Pairs of domains proven on one stream, at most.
const PAIRS: usize = 1000;

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Answer the stream header.
    Open {
        /// `from`
        from: Option<String>,
        /// `to`
        to: Option<String>,
        /// `id`
        id: String,
    },
    /// Send this.
    Send(Element),
    /// Say `<proceed/>` and begin TLS; [`Responder::secured`] goes on.
    StartTls,
    /// Expect a new stream on the same connection.
    Restart,
    /// Ask the authoritative server of the remote domain about a key; [`Responder::verified`] goes on.
    Verify {
        /// Whose key it is.
        pair: DomainPair,
        /// The id of this stream.
        id: String,
        /// The key.
        key: String,
    },
    /// Stanzas of that pair may come now; the first of a stream makes it trusted.
    Proven {
        /// The pair.
        pair: DomainPair,
        /// By what.
        authentication: Authentication,
        /// Our stanzas may go back over this stream.
        bidi: bool,
    },
    /// A stanza of a proven pair.
    Stanza {
        /// The pair.
        pair: DomainPair,
        /// The stanza.
        stanza: Element,
    },
    /// A stanza of a proven pair that was beyond a limit.
    Refused {
        /// The pair.
        pair: DomainPair,
        /// Why, and what its sender is owed.
        refused: Refused,
    },
    /// An element of stream management (XEP-0198), on an authenticated stream.
    Management(Element),
    /// Close the stream.
    Close,
}

/// Tells whether the peer's certificate is good for a domain, or why not.
pub type Judge<'a> = &'a (dyn Fn(&str) -> Result<(), String> + Send + Sync);

/// A stream that was opened to us.
#[derive(Debug, Clone)]
pub struct Responder {
    site: Site,
    ids: fn() -> String,
    stage: Stage,
    id: String,
    /// The domains of the last stream header.
    ours: Option<String>,
    theirs: Option<String>,
    /// Whether the certificate is good for `theirs`.
    trusted: bool,
    bidi: bool,
    proven: BTreeSet<DomainPair>,
    /// Keys being verified.
    asked: BTreeMap<DomainPair, String>,
    failed: u32,
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header(Level),
    StartTls,
    Tls,
    /// Authentication, and all that comes after it.
    Open,
}

/// How far the stream is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Plain,
    Secure,
    Authenticated,
}

impl Responder {
    /// The other side of a stream just opened without TLS; `ids` makes ids that cannot be guessed
    /// (RFC 6120 §4.7.3).
    pub fn new(site: Site, ids: fn() -> String) -> Self {
        Self {
            site,
            ids,
            stage: Stage::Header(Level::Plain),
            id: String::new(),
            ours: None,
            theirs: None,
            trusted: false,
            bidi: false,
            proven: BTreeSet::new(),
            asked: BTreeMap::new(),
            failed: 0,
        }
    }

    /// TLS is there: what was said before it counts no more (RFC 6120 §5.4.3.3).
    pub fn secured(&mut self) {
        self.stage = Stage::Header(Level::Secure);
        self.ours = None;
        self.theirs = None;
    }

    /// The domain of ours that the peer wants, once it has said so.
    pub fn wanted(&self) -> Option<&str> {
        self.ours.as_deref()
    }

    /// The server said something.
    pub fn received(
        &mut self,
        received: Received,
        judge: Judge<'_>,
    ) -> Result<Vec<Step>, StreamError> {
        match received {
            Received::Header(header) => self.header(*header, judge),
            Received::Content(element) => self.stanza(element),
            Received::Other(element) => self.element(element),
            Received::Refused(refused) => self.refused(refused),
            Received::Error(_) | Received::Closed => Ok(vec![Step::Close]),
        }
    }

    fn header(&mut self, header: Header, judge: Judge<'_>) -> Result<Vec<Step>, StreamError> {
        let Stage::Header(level) = self.stage else {
            return Err(misplaced("a stream header"));
        };
        let ours = header.to.as_deref().and_then(domain);
        let theirs = header.from.as_deref().and_then(domain);
        self.id = (self.ids)();
        let mut steps = vec![Step::Open {
            from: ours.clone().or_else(|| self.ours.clone()),
            to: theirs.clone(),
            id: self.id.clone(),
        }];
        if let Err(error) = self.take_header(level, ours, theirs, &header) {
            steps.push(Step::Send(error.to_element()));
            steps.push(Step::Close);
            return Ok(steps);
        }
        self.trusted = level == Level::Secure
            && self
                .theirs
                .as_deref()
                .is_some_and(|theirs| judge(theirs).is_ok());
        let secure = level != Level::Plain;
        let features = Features {
            starttls: !secure,
            external: level == Level::Secure && self.trusted,
            dialback: secure && self.site.dialback,
            bidi: level == Level::Secure,
            management: level == Level::Authenticated || (secure && self.site.dialback),
        };
        steps.push(Step::Send(features.to_element()));
        self.stage = if secure { Stage::Open } else { Stage::StartTls };
        Ok(steps)
    }

    /// Takes the domains of a header, if they are such that the stream can go on (RFC 6120 §4.7.1, §4.9.3).
    fn take_header(
        &mut self,
        level: Level,
        ours: Option<String>,
        theirs: Option<String>,
        header: &Header,
    ) -> Result<(), StreamError> {
        if !header.version.as_ref().is_some_and(|v| v.starts_with("1.")) {
            let text = "XMPP 1.0 is needed";
            return Err(StreamError::new(Condition::UnsupportedVersion, text));
        }
        let ours = ours.ok_or_else(|| {
            StreamError::new(Condition::HostUnknown, "the stream header names no domain")
        })?;
        if !self.site.serves(&ours) {
            let text = "this domain is not served here";
            return Err(StreamError::new(Condition::HostUnknown, text));
        }
        if header.from.is_some() && theirs.is_none() {
            let text = "from is no domain";
            return Err(StreamError::new(Condition::InvalidFrom, text));
        }
        if theirs
            .as_deref()
            .is_some_and(|theirs| !self.site.allows(theirs))
        {
            let text = "this gateway does not serve your domain";
            return Err(StreamError::new(Condition::PolicyViolation, text));
        }
        if level == Level::Authenticated {
            // What SASL proved is proven for this pair and no other.
            let same =
                Some(&ours) == self.ours.as_ref() && (theirs.is_none() || theirs == self.theirs);
            if !same {
                let text = "the domains are not those of the authentication";
                return Err(StreamError::new(Condition::InvalidFrom, text));
            }
            return Ok(());
        }
        self.ours = Some(ours);
        self.theirs = theirs;
        Ok(())
    }

    fn element(&mut self, element: Element) -> Result<Vec<Step>, StreamError> {
        match self.stage {
            Stage::StartTls if element.is("starttls", ns::TLS) => {
                self.stage = Stage::Tls;
                Ok(vec![Step::StartTls])
            }
            Stage::StartTls => {
                let text = "TLS is needed first";
                Err(StreamError::new(Condition::PolicyViolation, text))
            }
            Stage::Open => self.said(element),
            Stage::Header(_) | Stage::Tls => Err(misplaced("an element")),
        }
    }

    fn said(&mut self, element: Element) -> Result<Vec<Step>, StreamError> {
        if element.is("auth", ns::SASL) {
            return self.external(&element);
        }
        if element.is("bidi", NS_BIDI) {
            // Too late once something is proven (XEP-0288 §2.2).
            self.bidi |= self.proven.is_empty();
            return Ok(Vec::new());
        }
        if element.has_ns(ns::SM) {
            if self.proven.is_empty() {
                return Err(unauthenticated());
            }
            return Ok(vec![Step::Management(element)]);
        }
        if let Some(dialback) = Dialback::read(&element) {
            return self.dialback(dialback);
        }
        let text = "unknown element";
        Err(StreamError::new(Condition::UnsupportedStanzaType, text))
    }

    /// SASL EXTERNAL (XEP-0178 §3 steps 9 to 11).
    fn external(&mut self, auth: &Element) -> Result<Vec<Step>, StreamError> {
        let (Some(local), Some(remote)) = (self.ours.clone(), self.theirs.clone()) else {
            return self.sasl_failure("not-authorized");
        };
        if !self.proven.is_empty() {
            return Err(misplaced("authentication"));
        }
        if auth.attr("mechanism") != Some("EXTERNAL") {
            return self.sasl_failure("invalid-mechanism");
        }
        let name = match auth.text().trim() {
            "" | "=" => remote.clone(),
            text => {
                let name = BASE64
                    .decode(text)
                    .ok()
                    .and_then(|name| String::from_utf8(name).ok());
                match name.as_deref().and_then(domain) {
                    Some(name) => name,
                    None => return self.sasl_failure("incorrect-encoding"),
                }
            }
        };
        if name != remote {
            return self.sasl_failure("invalid-authzid");
        }
        if !self.trusted {
            return self.sasl_failure("not-authorized");
        }
        let mut steps = vec![
            Step::Send(Element::bare("success", ns::SASL)),
            Step::Restart,
        ];
        steps.push(self.prove(DomainPair::new(local, remote), Authentication::External));
        // What was asked for the stream that ends here proves nothing on the next one (RFC 6120 §4.3.3).
        self.asked.clear();
        self.stage = Stage::Header(Level::Authenticated);
        Ok(steps)
    }

    fn sasl_failure(&mut self, condition: &str) -> Result<Vec<Step>, StreamError> {
        self.failed += 1;
        let failure = Element::builder("failure", ns::SASL)
            .append(Element::bare(condition, ns::SASL))
            .build();
        let mut steps = vec![Step::Send(failure)];
        // With dialback there is another way on the same stream.
        if !self.site.dialback || self.failed >= ATTEMPTS {
            steps.push(Step::Close);
        }
        Ok(steps)
    }

    fn dialback(&mut self, dialback: Dialback) -> Result<Vec<Step>, StreamError> {
        let answer = |answer| Ok(vec![Step::Send(dialback.answer(answer).to_element())]);
        let Says::Key(key) = &dialback.says else {
            // We ask nothing on a stream that was opened to us: this answers no question (XEP-0220 §3).
            return Err(misplaced("an answer of dialback"));
        };
        if !self.site.dialback {
            return answer(Answer::Error(DefinedCondition::NotAuthorized));
        }
        if !self.site.serves(&dialback.to) {
            return answer(Answer::Error(DefinedCondition::ItemNotFound));
        }
        match &dialback.part {
            Part::Verify { id } => {
                // We are the authoritative server: our key has us as its sender.
                let secret = &self.site.secret;
                if secret.made(key, &dialback.from, &dialback.to, id) {
                    answer(Answer::Valid)
                } else {
                    answer(Answer::Invalid)
                }
            }
            Part::Result => {
                let pair = DomainPair::new(dialback.to.clone(), dialback.from.clone());
                if !self.site.allows(&pair.remote) {
                    return answer(Answer::Error(DefinedCondition::PolicyViolation));
                }
                if self.proven.contains(&pair) {
                    return answer(Answer::Valid);
                }
                if self.asked.contains_key(&pair) {
                    return Err(misplaced("a second key"));
                }
                if self.has_asked_enough() {
                    return answer(Answer::Error(DefinedCondition::ResourceConstraint));
                }
                self.asked.insert(pair.clone(), self.id.clone());
                Ok(vec![Step::Verify {
                    pair,
                    id: self.id.clone(),
                    key: key.clone(),
                }])
            }
        }
    }

    /// Every key makes us look up a domain and connect to its server: who has proven nothing gets as many tries as
    /// may fail.
    fn has_asked_enough(&self) -> bool {
        if self.proven.is_empty() {
            self.failed as usize + self.asked.len() >= ATTEMPTS as usize
        } else {
            self.asked.len() >= VERIFYING || self.proven.len() + self.asked.len() >= PAIRS
        }
    }

    /// The authoritative server has answered about a key that came for that pair, or could not be asked.
    pub fn verified(&mut self, pair: DomainPair, id: &str, answer: Answer) -> Vec<Step> {
        if self.asked.get(&pair).is_none_or(|asked| asked != id) {
            return Vec::new();
        }
        self.asked.remove(&pair);
        let result = Dialback {
            part: Part::Result,
            from: pair.local.clone(),
            to: pair.remote.clone(),
            says: Says::Answer(answer.clone()),
        };
        let mut steps = vec![Step::Send(result.to_element())];
        match answer {
            Answer::Valid => {
                let proven = self.prove(pair, Authentication::Dialback);
                // First what may come, then the word that it may.
                steps.insert(0, proven);
            }
            Answer::Invalid if self.proven.is_empty() => steps.push(Step::Close),
            Answer::Invalid | Answer::Error(_) => {
                self.failed += 1;
                if self.failed >= ATTEMPTS && self.proven.is_empty() {
                    steps.push(Step::Close);
                }
            }
        }
        steps
    }

    fn prove(&mut self, pair: DomainPair, authentication: Authentication) -> Step {
        self.proven.insert(pair.clone());
        Step::Proven {
            pair,
            authentication,
            bidi: self.bidi,
        }
    }

    fn stanza(&self, stanza: Element) -> Result<Vec<Step>, StreamError> {
        self.stanzas_may_come()?;
        let pair = self.pair_of(&stanza)?;
        Ok(vec![Step::Stanza { pair, stanza }])
    }

    fn refused(&self, refused: Refused) -> Result<Vec<Step>, StreamError> {
        self.stanzas_may_come()?;
        let pair = match &refused.reply {
            Some(reply) => self.proven_pair(DomainPair::answered_by(reply)?)?,
            None => match self.proven.first() {
                Some(pair) => pair.clone(),
                None => return Err(unauthenticated()),
            },
        };
        Ok(vec![Step::Refused { pair, refused }])
    }

    fn stanzas_may_come(&self) -> Result<(), StreamError> {
        if self.stage == Stage::Open && !self.proven.is_empty() {
            Ok(())
        } else {
            Err(unauthenticated())
        }
    }

    fn pair_of(&self, stanza: &Element) -> Result<DomainPair, StreamError> {
        self.proven_pair(DomainPair::of(stanza)?)
    }

    /// RFC 6120 §8.1.2.2, §4.9.3.9: only what was proven on this stream; §4.9.3.6: only to whom we serve.
    fn proven_pair(&self, pair: DomainPair) -> Result<DomainPair, StreamError> {
        if self.proven.contains(&pair) {
            return Ok(pair);
        }
        if self
            .proven
            .iter()
            .any(|proven| proven.remote == pair.remote)
            && !self.site.serves(&pair.local)
        {
            let text = "to is at no domain that is served here";
            return Err(StreamError::new(Condition::HostUnknown, text));
        }
        let text = "from and to are of no pair of domains that was authenticated on this stream";
        Err(StreamError::new(Condition::InvalidFrom, text))
    }
}

fn misplaced(what: &str) -> StreamError {
    StreamError::new(
        Condition::PolicyViolation,
        format!("{what} does not belong here"),
    )
}

fn unauthenticated() -> StreamError {
    StreamError::new(Condition::NotAuthorized, "authenticate first")
}
