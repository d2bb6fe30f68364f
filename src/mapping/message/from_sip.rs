// SPDX-License-Identifier: GPL-2.0-or-later
//! What a MESSAGE says, as a stanza (RFC 7572 §5, §7).
//!
//! | in a MESSAGE | in the stanza |
//! |---|---|
//! | text/plain, any character set | `<body/>` in the language of Content-Language |
//! | text/html | `<body/>` with its text, and XHTML-IM (XEP-0071) |
//! | multipart/alternative | of each language the plain text, and the markup |
//! | any other multipart | the texts of its parts, one below the other |
//! | message/cpim (RFC 3862) | what it holds; Subject, DateTime as delay (XEP-0203), IMDN as requests |
//! | application/vnd.gsma.rcs-ft-http+xml | the link, as text and for XEP-0066 |
//! | application/im-iscomposing+xml (RFC 3994) | chat states (XEP-0085) |
//! | message/imdn+xml (RFC 5438) | receipts (XEP-0184), markers (XEP-0333), an error |
//! | anything else | 415, unless its Content-Disposition says that it may be left out |

use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use xmpp_parsers::message::{Lang, Message, MessageType, Thread};
use xmpp_parsers::ns;

use crate::body::composing::{self, Composing};
use crate::body::cpim::{self, Cpim};
use crate::body::entity::{Content, Entity, EntityError};
use crate::body::file_link::{self, FileLink};
use crate::body::html::{Html, xhtml_im};
use crate::body::imdn::{self, Imdn};
use crate::body::{is_language, is_xml_char, text};
use crate::record::Moment;
use crate::sip::Request;
use crate::stanza::{CHAT_MARKERS, OOB};

use super::super::timestamp;
use super::Asked;
use super::thread::call_id_to_thread;

/// The media types that a MESSAGE may have, for the Accept of a 415.
pub const ACCEPT: &str = "text/plain, text/html, message/cpim, multipart/mixed, multipart/alternative, \
    application/im-iscomposing+xml, message/imdn+xml, application/vnd.gsma.rcs-ft-http+xml";

/// A message that was sent so long before it came is shown as late, in milliseconds.
const LATE_MS: u64 = 10_000;

/// What a MESSAGE says.
#[derive(Debug, Clone, PartialEq)]
pub enum FromSip {
    /// Something to read: a stanza of type `normal`, without addresses and id.
    Text {
        /// The stanza.
        stanza: Box<Message>,
        /// What its sender asked to be told of it.
        asked: Option<Asked>,
    },
    /// Whether its sender is writing.
    Composing(Composing),
    /// What has become of a message.
    Notification(Box<Imdn>),
}

/// Why a MESSAGE says nothing that XMPP could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Its media type is none of [`ACCEPT`], or its character set is unknown.
    MediaType,
    /// It is encoded other than by [`ENCODINGS`](crate::body::entity::ENCODINGS).
    Encoding,
    /// It is too long once it is no longer compressed.
    Length,
    /// It demands what nobody here knows (RFC 3862 §4.8).
    Demands,
    /// It cannot be read as what it says it is.
    Malformed,
}

impl From<EntityError> for Unfit {
    fn from(error: EntityError) -> Self {
        match error {
            EntityError::ContentEncoding | EntityError::TransferEncoding => Self::Encoding,
            EntityError::Inflated => Self::Length,
            EntityError::MediaType
            | EntityError::NotEncoded
            | EntityError::Boundary
            | EntityError::Header
            | EntityError::Depth
            | EntityError::Parts => Self::Malformed,
        }
    }
}

/// Reads a MESSAGE that comes now.
pub fn read_request(now: Moment, request: &Request) -> Result<FromSip, Unfit> {
    let entity = Entity::read(request.headers.iter(), &request.body)?;
    let mut said = Said::default();
    said.take(&entity, true)?;
    // A status beside a text is no reason to keep the text back.
    if said.is_empty() {
        return match (said.composing, said.notification) {
            (_, Some(imdn)) => Ok(FromSip::Notification(imdn.into())),
            (Some(composing), None) => Ok(FromSip::Composing(composing)),
            (None, None) => Err(Unfit::MediaType),
        };
    }
    let asked = said.asked();
    let mut stanza = said.into_stanza(now, request, &entity);
    if let Some(asked) = &asked {
        if asked.delivery {
            stanza.payloads.push(Element::bare("request", ns::RECEIPTS));
        }
        if asked.display {
            stanza
                .payloads
                .push(Element::bare("markable", CHAT_MARKERS));
        }
    }
    Ok(FromSip::Text {
        stanza: Box::new(stanza),
        asked,
    })
}

/// What has been found.
#[derive(Debug, Default)]
struct Said {
    /// Texts in the order found, those of one language below each other.
    texts: Vec<(Lang, String)>,
    /// Markup, the first of each language.
    markup: Vec<(Lang, Element)>,
    links: Vec<FileLink>,
    composing: Option<Composing>,
    notification: Option<Imdn>,
    envelope: Option<Cpim>,
}

impl Said {
    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.links.is_empty()
    }

    /// Takes what an entity says; only the `outermost` may be an envelope.
    fn take(&mut self, entity: &Entity, outermost: bool) -> Result<(), Unfit> {
        let bytes = match &entity.content {
            Content::Parts(parts) if entity.media_type.essence == "multipart/alternative" => {
                return self.take_alternatives(parts);
            }
            Content::Parts(parts) => return self.take_all(parts),
            Content::Bytes(bytes) => bytes,
        };
        match entity.media_type.essence.as_str() {
            "text/plain" => {
                let text = decode(entity, bytes)?;
                self.add(language(entity), &text);
            }
            "text/html" => {
                let html = Html::read(&decode(entity, bytes)?);
                // Its sender sees more than its reader would.
                if html.text.trim().is_empty() {
                    return Err(Unfit::Malformed);
                }
                let lang = language(entity);
                self.add(lang.clone(), &html.text);
                self.mark_up(lang, html);
            }
            cpim::MIME if outermost => {
                let cpim = Cpim::parse(bytes).map_err(|error| match error {
                    cpim::CpimError::Required(_) => Unfit::Demands,
                    cpim::CpimError::TooLarge(_)
                    | cpim::CpimError::Malformed
                    | cpim::CpimError::Untyped => Unfit::Malformed,
                })?;
                let fields = cpim.content.headers.iter();
                let fields = fields.map(|(name, value)| (name.as_str(), value.as_str()));
                let typed = [("Content-Type", cpim.content.content_type.as_str())];
                let inner = Entity::read(typed.into_iter().chain(fields), &cpim.content.bytes)?;
                self.take(&inner, false)?;
                self.envelope = Some(cpim);
            }
            composing::MIME => {
                let read = Composing::parse(bytes).map_err(|_| Unfit::Malformed)?;
                self.composing = Some(read);
            }
            imdn::MIME => {
                let read = Imdn::parse(bytes).map_err(|_| Unfit::Malformed)?;
                self.notification = Some(read);
            }
            file_link::MIME => {
                let links = FileLink::parse(bytes).map_err(|_| Unfit::Malformed)?;
                self.links.extend(links);
            }
            _ => return Err(Unfit::MediaType),
        }
        Ok(())
    }

    /// Takes what all parts say.
    fn take_all(&mut self, parts: &[Entity]) -> Result<(), Unfit> {
        for part in parts {
            match self.take(part, false) {
                Err(Unfit::MediaType) if may_be_left_out(part) => {}
                taken => taken?,
            }
        }
        Ok(())
    }

    /// Takes what the parts say that can be read: of each language the plain text, if there is one, and the markup.
    fn take_alternatives(&mut self, parts: &[Entity]) -> Result<(), Unfit> {
        let mut best = Self::default();
        let mut failure = None;
        for part in parts {
            let mut one = Self::default();
            if let Err(unfit) = one.take(part, false) {
                failure.get_or_insert(unfit);
                continue;
            }
            for (lang, text) in one.texts {
                match best.texts.iter_mut().find(|(own, _)| *own == lang) {
                    Some((_, known)) if part.media_type.essence == "text/plain" => *known = text,
                    Some(_) => {}
                    None => best.texts.push((lang, text)),
                }
            }
            best.markup.extend(one.markup);
            best.links.extend(one.links);
        }
        if best.is_empty() {
            return Err(failure.unwrap_or(Unfit::MediaType));
        }
        for (lang, text) in best.texts {
            self.add(lang, &text);
        }
        for (lang, element) in best.markup {
            self.add_markup(lang, element);
        }
        self.links.extend(best.links);
        Ok(())
    }

    fn add(&mut self, lang: Lang, text: &str) {
        match self.texts.iter_mut().find(|(own, _)| *own == lang) {
            Some((_, known)) => {
                known.push_str("\n\n");
                known.push_str(text);
            }
            None => self.texts.push((lang, text.to_owned())),
        }
    }

    fn mark_up(&mut self, lang: Lang, html: Html) {
        if let Some(body) = html.body {
            self.add_markup(lang, body);
        }
    }

    /// XEP-0071 §5: one body for each language.
    fn add_markup(&mut self, lang: Lang, body: Element) {
        if self.markup.iter().all(|(own, _)| *own != lang) {
            self.markup.push((lang, body));
        }
    }

    /// What the sender asked to be told (RFC 5438 §7.1.1.3); without an id it could not be told of anything.
    fn asked(&self) -> Option<Asked> {
        let envelope = self.envelope.as_ref()?;
        let requested = envelope.requested;
        let asked = Asked {
            message_id: envelope.message_id.clone()?,
            sent: self.sent(),
            delivery: requested.positive_delivery,
            failure: requested.negative_delivery,
            display: requested.display,
        };
        (asked.delivery || asked.failure || asked.display).then_some(asked)
    }

    fn sent(&self) -> Option<Moment> {
        let datetime = self.envelope.as_ref()?.datetime.as_ref()?;
        timestamp::read(datetime.as_str())
    }

    fn into_stanza(self, now: Moment, request: &Request, entity: &Entity) -> Message {
        let mut stanza = Message::new_with_type(MessageType::Normal, None);
        let sent = self.sent().filter(|sent| sent.plus_ms(LATE_MS) <= now);
        if let Some(subject) = request.headers.first("Subject") {
            stanza.subjects.insert(language(entity), legal(subject));
        }
        for subject in self.envelope.into_iter().flat_map(|cpim| cpim.subjects) {
            let lang = subject.lang.filter(|lang| is_language(lang));
            let lang = Lang(lang.unwrap_or_default());
            stanza.subjects.insert(lang, legal(&subject.text));
        }
        stanza.subjects.retain(|_, subject| !subject.is_empty());
        // Markup of a part of the text would hide the rest of it.
        let marked = self.markup.len() == self.texts.len();
        stanza.bodies = self.texts.into_iter().collect();
        for link in &self.links {
            let body = stanza.bodies.entry(Lang::new()).or_default();
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(&link.url);
        }
        if marked && self.links.is_empty() && !self.markup.is_empty() {
            let bodies = self.markup.into_iter().map(|(lang, mut body)| {
                if !lang.is_empty() {
                    body.set_attr(
                        Namespace::xml().clone(),
                        xml_ncname!("lang").into(),
                        lang.as_str(),
                    );
                }
                body
            });
            stanza.payloads.push(xhtml_im(bodies));
        }
        for link in self.links {
            let url = Element::builder("url", OOB).append(link.url).build();
            let desc = link
                .name
                .map(|name| Element::builder("desc", OOB).append(name).build());
            stanza.payloads.push(
                Element::builder("x", OOB)
                    .append(url)
                    .append_all(desc)
                    .build(),
            );
        }
        if let Some(stamp) = sent.and_then(timestamp::write) {
            let delay = Element::builder("delay", ns::DELAY)
                .attr(xml_ncname!("stamp").into(), stamp)
                .build();
            stanza.payloads.push(delay);
        }
        stanza.thread = request
            .call_id()
            .ok()
            .and_then(call_id_to_thread)
            .map(|id| Thread { parent: None, id });
        stanza
    }
}

fn decode(entity: &Entity, bytes: &[u8]) -> Result<String, Unfit> {
    text::decode(bytes, entity.media_type.param("charset")).map_err(|_| Unfit::MediaType)
}

/// The first language of a text, which is the one that it says most of.
fn language(entity: &Entity) -> Lang {
    Lang(entity.languages.first().cloned().unwrap_or_default())
}

/// RFC 3261 §20.11: what is to be rendered must be understood, unless its handling is optional.
fn may_be_left_out(part: &Entity) -> bool {
    part.disposition.as_ref().is_some_and(|d| d.optional)
}

/// A text as XML can say it.
fn legal(text: &str) -> String {
    text.chars()
        .map(|c| if is_xml_char(c) { c } else { '\u{fffd}' })
        .collect()
}
