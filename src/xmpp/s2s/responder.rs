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
const PAIRS: usize = 100;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::DomainPattern;
    use crate::config::{Config, Dialback as Policy};
    use crate::xmpp::s2s::dialback::Secret;
    use crate::xmpp::stream::Excess;
    use std::sync::Arc;

    const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    const AUTH: &str =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
    const AUTH_NAMED: &str =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>dGhlbQ==</auth>";
    const AUTH_OTHER: &str =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>b3RoZXI=</auth>";
    const AUTH_BROKEN: &str =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>?</auth>";
    const PLAIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>";
    const BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";
    const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
    const KEY: &str = "<result xmlns='jabber:server:dialback' from='them' to='us'>key</result>";
    const SECOND: &str = "<result xmlns='jabber:server:dialback' from='them' to='two'>key</result>";
    const DENIED: &str =
        "<result xmlns='jabber:server:dialback' from='denied' to='us'>key</result>";
    const NOBODY: &str =
        "<result xmlns='jabber:server:dialback' from='them' to='nobody'>key</result>";
    const ANSWER: &str =
        "<result xmlns='jabber:server:dialback' from='them' to='us' type='valid'/>";
    const VERIFIED: &str =
        "<verify xmlns='jabber:server:dialback' from='them' to='us' id='id' type='valid'/>";
    const ASKED: &str =
        "<verify xmlns='jabber:server:dialback' from='them' to='us' id='id'>00</verify>";
    const OTHER: &str = "<other xmlns='urn:x'/>";

    fn new(dialback: bool) -> Responder {
        let config = Config {
            sip_domains: vec!["us".to_owned(), "two".to_owned()],
            xmpp_allow: vec![DomainPattern::parse("*").unwrap()],
            xmpp_deny: vec![DomainPattern::parse("denied").unwrap()],
            listen: vec![([127, 0, 0, 1], 5269).into()],
            dialback: if dialback { Policy::Tls } else { Policy::Off },
            ..Config::default()
        };
        let site = Site::new(Arc::new(config), Secret::new(b"of a test"));
        Responder::new(site, || "id".to_owned())
    }

    /// `header FROM TO VERSION`, where `-` is none, a stanza `FROM>TO`, or an element as it is written.
    fn said(text: &str) -> Received {
        let given = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
        if let Some(header) = text.strip_prefix("header ") {
            let mut parts = header.split(' ');
            let mut next = || parts.next().and_then(given);
            return Received::Header(Box::new(Header {
                from: next(),
                to: next(),
                version: next(),
                ..Header::default()
            }));
        }
        let Some((from, to)) = text.split_once('>').filter(|_| !text.starts_with('<')) else {
            return Received::Other(text.parse().unwrap());
        };
        let stanza = format!("<message xmlns='jabber:client' from='{from}' to='{to}'/>");
        Received::Content(stanza.parse().unwrap())
    }

    /// Steps in short.
    fn steps(steps: &[Step]) -> String {
        let step = |step: &Step| match step {
            Step::Open { .. } => "open".to_owned(),
            Step::Send(element) => {
                let inside = |element: &Element| {
                    let all: Vec<_> = element.children().map(Element::name).collect();
                    all.join(",")
                };
                let kind = element.attr("type").unwrap_or_default();
                let more = element.children().next().map(|child| match child.name() {
                    "error" => inside(child),
                    _ => inside(element),
                });
                format!("{}({}{kind})", element.name(), more.unwrap_or_default())
            }
            Step::StartTls => "TLS".to_owned(),
            Step::Restart => "restart".to_owned(),
            Step::Verify { pair, .. } => format!("verify:{}", pair.local),
            Step::Proven {
                pair,
                authentication,
                bidi,
            } => {
                let way = authentication.as_str();
                format!(
                    "proven:{}:{way}{}",
                    pair.local,
                    if *bidi { "+bidi" } else { "" }
                )
            }
            Step::Stanza { pair, .. } => format!("stanza:{}", pair.local),
            Step::Refused { pair, .. } => format!("refused:{}", pair.local),
            Step::Management(element) => element.name().to_owned(),
            Step::Close => "close".to_owned(),
        };
        steps.iter().map(step).collect::<Vec<_>>().join(" ")
    }

    fn outcome(responder: &mut Responder, good: bool, text: &str) -> String {
        let judge = |domain: &str| {
            let good = good && domain == "them";
            good.then_some(()).ok_or_else(|| "bad".to_owned())
        };
        match text {
            "TLS is there" => {
                responder.secured();
                String::new()
            }
            "valid" | "invalid" | "unknown" | "valid for another" => {
                let answer = match text {
                    "invalid" => Answer::Invalid,
                    "unknown" => Answer::Error(DefinedCondition::RemoteServerNotFound),
                    _ => Answer::Valid,
                };
                let id = if text == "valid for another" {
                    "another"
                } else {
                    "id"
                };
                steps(&responder.verified(DomainPair::new("us", "them"), id, answer))
            }
            _ => match responder.received(said(text), &judge) {
                Ok(said) => steps(&said),
                Err(error) => format!("! {}", error.condition.as_str()),
            },
        }
    }

    fn play(dialback: bool, good: bool, script: &[(&str, &str)]) {
        let mut responder = new(dialback);
        for (text, expected) in script {
            assert_eq!(&outcome(&mut responder, good, text), expected, "{text}");
        }
    }

    const HEADER: &str = "header them us 1.0";
    const PLAIN_FEATURES: &str = "open features(starttls)";
    const TRUSTED: &str = "open features(mechanisms,dialback,bidi,sm)";
    const UNTRUSTED: &str = "open features(dialback,bidi,sm)";
    const TLS: (&str, &str) = ("TLS is there", "");

    #[test]
    fn external_is_offered_and_proves_to_a_good_certificate_only() {
        play(
            true,
            true,
            &[
                (HEADER, PLAIN_FEATURES),
                (STARTTLS, "TLS"),
                TLS,
                (HEADER, TRUSTED),
                (BIDI, ""),
                (AUTH_NAMED, "success() restart proven:us:external+bidi"),
                (HEADER, "open features(dialback,sm)"),
                (ENABLE, "enable"),
                ("u@them>v@us", "stanza:us"),
                (SECOND, "verify:two"),
                ("them>two", "! invalid-from"),
            ],
        );
        play(
            false,
            true,
            &[
                TLS,
                (HEADER, "open features(mechanisms,bidi)"),
                (AUTH, "success() restart proven:us:external"),
                (HEADER, "open features(sm)"),
                (BIDI, ""),
                (KEY, "result(not-authorizederror)"),
            ],
        );
        play(
            false,
            false,
            &[
                TLS,
                (HEADER, "open features(bidi)"),
                (AUTH, "failure(not-authorized) close"),
            ],
        );
        // Without a name in the header nobody is meant.
        play(
            true,
            true,
            &[
                TLS,
                ("header - us 1.0", UNTRUSTED),
                (AUTH, "failure(not-authorized)"),
            ],
        );
    }

    #[test]
    fn what_external_refuses_may_go_by_dialback_but_not_for_ever() {
        play(
            true,
            true,
            &[
                TLS,
                (HEADER, TRUSTED),
                (AUTH_OTHER, "failure(invalid-authzid)"),
                (AUTH_BROKEN, "failure(incorrect-encoding)"),
                (PLAIN, "failure(invalid-mechanism) close"),
            ],
        );
        play(
            true,
            false,
            &[
                TLS,
                (HEADER, UNTRUSTED),
                (AUTH, "failure(not-authorized)"),
                (KEY, "verify:us"),
                ("valid for another", ""),
                ("valid", "proven:us:dialback result(valid)"),
                ("valid", ""),
                (KEY, "result(valid)"),
                (AUTH, "! policy-violation"),
            ],
        );
        play(
            true,
            false,
            &[
                TLS,
                (HEADER, UNTRUSTED),
                (KEY, "verify:us"),
                ("unknown", "result(remote-server-not-founderror)"),
                (KEY, "verify:us"),
                ("unknown", "result(remote-server-not-founderror)"),
                (KEY, "verify:us"),
                ("unknown", "result(remote-server-not-founderror) close"),
            ],
        );
        play(
            true,
            false,
            &[
                TLS,
                (HEADER, UNTRUSTED),
                (KEY, "verify:us"),
                ("invalid", "result(invalid) close"),
            ],
        );
    }

    #[test]
    fn a_key_asked_about_before_external_proves_nothing_after_it() {
        play(
            true,
            true,
            &[
                TLS,
                (HEADER, TRUSTED),
                (SECOND, "verify:two"),
                (KEY, "verify:us"),
                (AUTH, "success() restart proven:us:external"),
                ("valid", ""),
                (HEADER, "open features(dialback,sm)"),
                ("valid", ""),
                ("them>two", "! invalid-from"),
            ],
        );
    }

    #[test]
    fn keys_are_for_domains_served_and_allowed_and_one_at_a_time() {
        play(
            true,
            false,
            &[
                TLS,
                (HEADER, UNTRUSTED),
                (NOBODY, "result(item-not-founderror)"),
                (DENIED, "result(policy-violationerror)"),
                (&KEY.replace("them", "two"), "result(policy-violationerror)"),
                (KEY, "verify:us"),
                (KEY, "! policy-violation"),
            ],
        );
        play(
            true,
            false,
            &[
                TLS,
                (HEADER, UNTRUSTED),
                (KEY, "verify:us"),
                (SECOND, "verify:two"),
                (&KEY.replace("them", "other"), "verify:us"),
                (
                    &SECOND.replace("them", "other"),
                    "result(resource-constrainterror)",
                ),
                ("valid", "proven:us:dialback result(valid)"),
                (&SECOND.replace("them", "other"), "verify:two"),
            ],
        );
    }

    #[test]
    fn we_vouch_for_our_own_keys_only() {
        let key = Secret::new(b"of a test").key("them", "us", "id");
        let good = ASKED.replace("00", &key);
        play(
            true,
            false,
            &[
                TLS,
                (HEADER, UNTRUSTED),
                (&good, "verify(valid)"),
                (ASKED, "verify(invalid)"),
                (&good.replace("'id'", "'di'"), "verify(invalid)"),
                (&good.replace("'them'", "'other'"), "verify(invalid)"),
                (&good.replace("'us'", "'two'"), "verify(invalid)"),
                (
                    &good.replace("'us'", "'nobody'"),
                    "verify(item-not-founderror)",
                ),
                ("them>us", "! not-authorized"),
            ],
        );
        play(
            false,
            true,
            &[
                TLS,
                (HEADER, "open features(mechanisms,bidi)"),
                (&good, "verify(not-authorizederror)"),
            ],
        );
    }

    #[test]
    fn a_header_must_be_of_this_version_and_of_domains_that_may_talk() {
        let error = |condition: &str| format!("open error({condition},text) close");
        for (header, condition) in [
            ("header them us 0.9", "unsupported-version"),
            ("header them us -", "unsupported-version"),
            ("header them nobody 1.0", "host-unknown"),
            ("header them - 1.0", "host-unknown"),
            ("header them u@us 1.0", "host-unknown"),
            ("header u@them us 1.0", "invalid-from"),
            ("header denied us 1.0", "policy-violation"),
            ("header den\u{3002}ied us 1.0", "invalid-from"),
            ("header us us 1.0", "policy-violation"),
            ("header two us 1.0", "policy-violation"),
        ] {
            play(true, true, &[(header, &error(condition))]);
            play(true, true, &[TLS, (header, &error(condition))]);
        }
        for (header, condition) in [
            ("header other us 1.0", "invalid-from"),
            ("header them two 1.0", "invalid-from"),
            ("header them us -", "unsupported-version"),
        ] {
            play(
                true,
                true,
                &[
                    TLS,
                    (HEADER, TRUSTED),
                    (AUTH, "success() restart proven:us:external"),
                    (header, &error(condition)),
                ],
            );
        }
    }

    #[test]
    fn in_every_stage_only_what_belongs_there_is_heard() {
        let all = [
            HEADER,
            STARTTLS,
            AUTH,
            BIDI,
            ENABLE,
            KEY,
            ANSWER,
            VERIFIED,
            ASKED,
            OTHER,
            "them>us",
            "other>us",
            "them>two",
            "them>nobody",
        ];
        let misplaced = "! policy-violation";
        let unproven = "! not-authorized";
        let unknown = "! unsupported-stanza-type";
        let success = "success() restart proven:us:external";
        for (stage, expected) in [
            // Before a header the decoder lets nothing through; it would not matter.
            (
                &[][..],
                [
                    PLAIN_FEATURES,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    unproven,
                    unproven,
                    unproven,
                    unproven,
                ],
            ),
            (
                &[HEADER],
                [
                    misplaced, "TLS", misplaced, misplaced, misplaced, misplaced, misplaced,
                    misplaced, misplaced, misplaced, unproven, unproven, unproven, unproven,
                ],
            ),
            (
                &[HEADER, STARTTLS],
                [
                    misplaced, misplaced, misplaced, misplaced, misplaced, misplaced, misplaced,
                    misplaced, misplaced, misplaced, unproven, unproven, unproven, unproven,
                ],
            ),
            (
                &["TLS is there"],
                [
                    TRUSTED, misplaced, misplaced, misplaced, misplaced, misplaced, misplaced,
                    misplaced, misplaced, misplaced, unproven, unproven, unproven, unproven,
                ],
            ),
            (
                &["TLS is there", HEADER],
                [
                    misplaced,
                    unknown,
                    success,
                    "",
                    unproven,
                    "verify:us",
                    misplaced,
                    misplaced,
                    "verify(invalid)",
                    unknown,
                    unproven,
                    unproven,
                    unproven,
                    unproven,
                ],
            ),
            (
                &["TLS is there", HEADER, KEY],
                [
                    misplaced,
                    unknown,
                    success,
                    "",
                    unproven,
                    misplaced,
                    misplaced,
                    misplaced,
                    "verify(invalid)",
                    unknown,
                    unproven,
                    unproven,
                    unproven,
                    unproven,
                ],
            ),
            (
                &["TLS is there", HEADER, AUTH],
                [
                    "open features(dialback,sm)",
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    misplaced,
                    unproven,
                    unproven,
                    unproven,
                    unproven,
                ],
            ),
            (
                &["TLS is there", HEADER, AUTH, HEADER],
                [
                    misplaced,
                    unknown,
                    misplaced,
                    "",
                    "enable",
                    "result(valid)",
                    misplaced,
                    misplaced,
                    "verify(invalid)",
                    unknown,
                    "stanza:us",
                    "! invalid-from",
                    "! invalid-from",
                    "! host-unknown",
                ],
            ),
            (
                &["TLS is there", HEADER, KEY, "valid"],
                [
                    misplaced,
                    unknown,
                    misplaced,
                    "",
                    "enable",
                    "result(valid)",
                    misplaced,
                    misplaced,
                    "verify(invalid)",
                    unknown,
                    "stanza:us",
                    "! invalid-from",
                    "! invalid-from",
                    "! host-unknown",
                ],
            ),
        ] {
            let mut begun = new(true);
            for text in stage {
                outcome(&mut begun, true, text);
            }
            for (text, expected) in all.iter().zip(expected) {
                let heard = outcome(&mut begun.clone(), true, text);
                assert_eq!(heard, expected, "{stage:?} {text}");
            }
        }
    }

    #[test]
    fn a_stanza_skipped_is_of_somebody_proven_too() {
        let mut responder = new(true);
        for text in ["TLS is there", HEADER, AUTH, HEADER] {
            outcome(&mut responder, true, text);
        }
        let mut refused = |reply: Option<&str>| {
            let refused = Refused {
                excess: Excess::Size,
                reply: reply.map(|text| text.parse().unwrap()),
            };
            match responder.received(Received::Refused(refused), &|_| Ok(())) {
                Ok(said) => steps(&said),
                Err(error) => error.condition.as_str().to_owned(),
            }
        };
        let reply = |from: &str, to: &str| {
            format!("<message xmlns='jabber:client' from='{from}' to='{to}' type='error'/>")
        };
        assert_eq!(refused(Some(&reply("us", "them"))), "refused:us");
        assert_eq!(refused(None), "refused:us");
        assert_eq!(refused(Some(&reply("us", "other"))), "invalid-from");
        assert_eq!(refused(Some(&reply("them", "us"))), "invalid-from");
        assert_eq!(refused(Some(&reply("nobody", "them"))), "host-unknown");
    }
}
