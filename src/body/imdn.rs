// SPDX-License-Identifier: GPL-2.0-or-later
//! `message/imdn+xml` (RFC 5438 §11): what has become of a message.
//!
//! In: a body. Out: an [`Imdn`], and the body for one. Reading is liberal and bounded; what is written is valid
//! against the schema of RFC 5438 §11.1.9.

use super::xml::{self, Element, Fault, Piece, escape};
use super::{Shape, Timestamp};

/// The media type (RFC 5438 §11.1.8).
pub const MIME: &str = "message/imdn+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// The most bytes that are read.
const MAX_BYTES: usize = 16 * 1024;

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imdn {
    /// The id of the message that it is about; not empty.
    pub message_id: String,
    /// When that message was sent.
    pub datetime: Option<Timestamp>,
    /// Whom it was for in the end.
    pub recipient_uri: Option<String>,
    /// Whom its sender meant.
    pub original_recipient_uri: Option<String>,
    /// One of its subjects.
    pub subject: Option<String>,
    /// What has become of it.
    pub disposition: Disposition,
}

/// What has become of a message (RFC 5438 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// On its way to the receiver.
    Delivery(Delivery),
    /// With somebody between.
    Processing(Processing),
    /// Before the receiver's eyes.
    Display(Display),
}

/// Whether a message has been delivered (RFC 5438 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It has.
    Delivered,
    /// It could not be.
    Failed,
    /// The sender may not know.
    Forbidden,
    /// Nobody knows.
    Error,
}

/// What somebody between did with a message (RFC 5438 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processing {
    /// Their part.
    Processed,
    /// They keep it for later.
    Stored,
    /// The sender may not know.
    Forbidden,
    /// Nobody knows.
    Error,
}

/// Whether a message has been shown (RFC 5438 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// It has.
    Displayed,
    /// The sender may not know.
    Forbidden,
    /// Nobody knows.
    Error,
}

/// Why a body does not say what has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImdnError {
    /// Beyond a limit.
    #[error("the disposition notification is too large")]
    TooLarge,
    /// Not well-formed, or XML that no such document needs (DTD, PI, entity).
    #[error("the body is not acceptable XML")]
    Xml,
    /// Well-formed, but not `<imdn xmlns='urn:ietf:params:xml:ns:imdn'>` that names a message and what has
    /// become of it.
    #[error("the body is not a disposition notification")]
    NotImdn,
}

impl From<Fault> for ImdnError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Bytes | Fault::Shape(_) => Self::TooLarge,
            Fault::Xml => Self::Xml,
        }
    }
}

impl Imdn {
    /// Reads a notification. Total and bounded.
    ///
    /// There may be everything but the id of the message and what has become of it: user agents leave out
    /// even what the schema wants. Of two elements of one name, or of two dispositions, the first counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImdnError> {
        let mut builder = Builder::default();
        xml::read(bytes, MAX_BYTES, Shape::default(), |piece| match piece {
            Piece::Open(element) => builder.open(&element),
            Piece::Text(text) => {
                builder.text(&text);
                Ok(())
            }
            Piece::Close => {
                builder.close();
                Ok(())
            }
        })?;
        builder.finish().ok_or(ImdnError::NotImdn)
    }

    /// The notification as a body.
    ///
    /// The schema has the date always, both URIs or none, and the subject only behind them: a missing URI is
    /// the same as the other one, and what else is missing is written as empty, which reads as missing.
    pub fn to_xml(&self) -> String {
        let mut out =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"{NAMESPACE}\">");
        let datetime = self.datetime.as_ref().map_or("", Timestamp::as_str);
        write(&mut out, "message-id", &self.message_id);
        write(&mut out, "datetime", datetime);
        let recipient = self.recipient_uri.as_ref();
        let original = self.original_recipient_uri.as_ref();
        if recipient.or(original).or(self.subject.as_ref()).is_some() {
            let either = |one: Option<&String>, other| one.or(other).cloned().unwrap_or_default();
            write(&mut out, "recipient-uri", &either(recipient, original));
            write(
                &mut out,
                "original-recipient-uri",
                &either(original, recipient),
            );
        }
        if let Some(subject) = &self.subject {
            write(&mut out, "subject", subject);
        }
        let (kind, status) = self.disposition.names();
        out.push_str(&format!(
            "<{kind}><status><{status}/></status></{kind}></imdn>"
        ));
        out
    }
}

fn write(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("<{name}>"));
    escape(out, text);
    out.push_str(&format!("</{name}>"));
}

impl Disposition {
    /// Every disposition.
    pub const ALL: [Self; 11] = [
        Self::Delivery(Delivery::Delivered),
        Self::Delivery(Delivery::Failed),
        Self::Delivery(Delivery::Forbidden),
        Self::Delivery(Delivery::Error),
        Self::Processing(Processing::Processed),
        Self::Processing(Processing::Stored),
        Self::Processing(Processing::Forbidden),
        Self::Processing(Processing::Error),
        Self::Display(Display::Displayed),
        Self::Display(Display::Forbidden),
        Self::Display(Display::Error),
    ];

    /// The names of its two elements.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Delivery(status) => ("delivery-notification", status.name()),
            Self::Processing(status) => ("processing-notification", status.name()),
            Self::Display(status) => ("display-notification", status.name()),
        }
    }
}

impl Delivery {
    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Forbidden => "forbidden",
            Self::Error => "error",
        }
    }
}

impl Processing {
    fn name(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Stored => "stored",
            Self::Forbidden => "forbidden",
            Self::Error => "error",
        }
    }
}

impl Display {
    fn name(self) -> &'static str {
        match self {
            Self::Displayed => "displayed",
            Self::Forbidden => "forbidden",
            Self::Error => "error",
        }
    }
}

/// Which element is open. What has no meaning here is `Ignored`, and so is all that it holds.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Document,
    MessageId,
    DateTime,
    RecipientUri,
    OriginalRecipientUri,
    Subject,
    /// The element of a kind of dispositions, by its name.
    Notification(&'static str),
    /// What is in one of those.
    Status(&'static str),
    Ignored,
}

/// A notification that grows with each piece.
#[derive(Default)]
struct Builder {
    open: Vec<Place>,
    /// Of the innermost element that has a meaning.
    text: String,
    message_id: Option<String>,
    datetime: Option<Timestamp>,
    recipient_uri: Option<String>,
    original_recipient_uri: Option<String>,
    subject: Option<String>,
    disposition: Option<Disposition>,
}

impl Builder {
    fn open(&mut self, element: &Element<'_>) -> Result<(), ImdnError> {
        let place = match (self.open.last().copied(), element.namespace) {
            (None, NAMESPACE) if element.name == "imdn" => Place::Document,
            (None, _) => return Err(ImdnError::NotImdn),
            (Some(Place::Document), NAMESPACE) => part(element.name),
            (Some(Place::Notification(kind)), NAMESPACE) if element.name == "status" => {
                Place::Status(kind)
            }
            (Some(Place::Status(kind)), NAMESPACE) => {
                let named = |d: &Disposition| d.names() == (kind, element.name);
                let disposition = Disposition::ALL.into_iter().find(named);
                self.disposition = self.disposition.or(disposition);
                Place::Ignored
            }
            (Some(_), _) => Place::Ignored,
        };
        if place != Place::Ignored {
            self.text.clear();
        }
        self.open.push(place);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.open.last() != Some(&Place::Ignored) {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) {
        let text = self.text.trim_ascii();
        let part = match self.open.pop() {
            Some(Place::DateTime) => {
                let first = self.datetime.take();
                self.datetime = first.or_else(|| Timestamp::parse(text));
                return;
            }
            Some(Place::MessageId) => &mut self.message_id,
            Some(Place::RecipientUri) => &mut self.recipient_uri,
            Some(Place::OriginalRecipientUri) => &mut self.original_recipient_uri,
            Some(Place::Subject) => &mut self.subject,
            Some(Place::Document | Place::Notification(_) | Place::Status(_) | Place::Ignored)
            | None => return,
        };
        if !text.is_empty() {
            part.get_or_insert_with(|| text.to_owned());
        }
    }

    fn finish(self) -> Option<Imdn> {
        Some(Imdn {
            message_id: self.message_id?,
            datetime: self.datetime,
            recipient_uri: self.recipient_uri,
            original_recipient_uri: self.original_recipient_uri,
            subject: self.subject,
            disposition: self.disposition?,
        })
    }
}

fn part(name: &str) -> Place {
    match name {
        "message-id" => Place::MessageId,
        "datetime" => Place::DateTime,
        "recipient-uri" => Place::RecipientUri,
        "original-recipient-uri" => Place::OriginalRecipientUri,
        "subject" => Place::Subject,
        _ => {
            let mut kinds = Disposition::ALL.iter().map(|d| d.names().0);
            kinds
                .find(|kind| *kind == name)
                .map_or(Place::Ignored, Place::Notification)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_content(content: &str) -> Result<Imdn, ImdnError> {
        Imdn::parse(format!("<imdn xmlns='{NAMESPACE}'>{content}</imdn>").as_bytes())
    }

    fn about(id: &str, disposition: Disposition) -> Imdn {
        Imdn {
            message_id: id.into(),
            datetime: None,
            recipient_uri: None,
            original_recipient_uri: None,
            subject: None,
            disposition,
        }
    }

    #[test]
    fn every_disposition_has_names_of_its_own() {
        for disposition in Disposition::ALL {
            let same = |other: &&Disposition| other.names() == disposition.names();
            assert_eq!(Disposition::ALL.iter().filter(same).count(), 1);
            let notification = about("1", disposition);
            let read = Imdn::parse(notification.to_xml().as_bytes());
            assert_eq!(read, Ok(notification));
        }
    }

    #[test]
    fn a_status_is_one_of_its_kind() {
        let status = |kind: &str, status: &str| {
            with_content(&format!(
                "<message-id>1</message-id><{kind}-notification><status>{status}</status>\
                 </{kind}-notification>"
            ))
        };
        let failed = about("1", Disposition::Delivery(Delivery::Failed));
        let extended = "<reason xmlns='x'>415<delivered xmlns='{NAMESPACE}'/></reason><failed><x/></failed>\
                        <delivered/>";
        assert_eq!(status("delivery", extended), Ok(failed));
        for (kind, name) in [
            ("delivery", "<displayed/>"),
            ("processing", "<failed/>"),
            ("display", "<stored/>"),
            ("display", "<displayed xmlns='x'/>"),
            ("display", "displayed"),
            ("payment", "<error/>"),
        ] {
            assert_eq!(status(kind, name), Err(ImdnError::NotImdn), "{kind} {name}");
        }
    }

    #[test]
    fn what_user_agents_leave_out() {
        let delivered =
            "<delivery-notification><status><delivered/></status></delivery-notification>";
        let read = with_content(&format!(
            "<x><message-id>0</message-id></x><message-id> </message-id><message-id>\n a&amp;b </message-id>\
             <message-id>2</message-id><datetime>today</datetime><subject/>{delivered}"
        ));
        let expected = about("a&b", Disposition::Delivery(Delivery::Delivered));
        assert_eq!(read, Ok(expected));
        assert_eq!(with_content(delivered), Err(ImdnError::NotImdn));
    }

    #[test]
    fn what_is_no_notification() {
        let content = "<message-id>1</message-id><display-notification><status><displayed/></status>\
                       </display-notification>";
        assert!(with_content(content).is_ok());
        let padded = " ".repeat(MAX_BYTES) + content;
        let deep = content.to_owned() + &"<x>".repeat(64);
        for (text, expected) in [
            (String::new(), ImdnError::Xml),
            (
                format!("<!DOCTYPE x><imdn xmlns='{NAMESPACE}'>{content}</imdn>"),
                ImdnError::Xml,
            ),
            (format!("<imdn>{content}</imdn>"), ImdnError::NotImdn),
            (
                format!("<mdn xmlns='{NAMESPACE}'>{content}</mdn>"),
                ImdnError::NotImdn,
            ),
            (format!("<imdn xmlns='{NAMESPACE}'/>"), ImdnError::NotImdn),
            (
                format!("<imdn xmlns='{NAMESPACE}'>{padded}</imdn>"),
                ImdnError::TooLarge,
            ),
            (
                format!("<imdn xmlns='{NAMESPACE}'>{deep}</imdn>"),
                ImdnError::TooLarge,
            ),
        ] {
            assert_eq!(Imdn::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn what_the_schema_wants_is_there() {
        let mut notification = about("1", Disposition::Display(Display::Displayed));
        let open = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"{NAMESPACE}\"><message-id>1</message-id>\
             <datetime></datetime>"
        );
        let close =
            "<display-notification><status><displayed/></status></display-notification></imdn>";
        assert_eq!(notification.to_xml(), format!("{open}{close}"));
        notification.subject = Some("a<b".into());
        let uris =
            "<recipient-uri></recipient-uri><original-recipient-uri></original-recipient-uri>";
        let subject = "<subject>a&lt;b</subject>";
        assert_eq!(
            notification.to_xml(),
            format!("{open}{uris}{subject}{close}")
        );
        notification.original_recipient_uri = Some("im:bob@example.com".into());
        let read = Imdn::parse(notification.to_xml().as_bytes()).unwrap();
        assert_eq!(read.recipient_uri, notification.original_recipient_uri);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            message_id in "[!-~é]([ -~é]{0,20}[!-~])?",
            datetime in prop::option::of(prop::sample::select(vec![
                "2006-04-04T12:16:49-05:00", "2006-04-04T12:16:49.1Z",
            ])),
            uris in prop::option::of(prop::array::uniform2("[!-~]{1,20}")),
            subject in prop::option::of("[!-~é]([ -~\r\n\té]{0,20}[!-~])?"),
            disposition in prop::sample::select(Disposition::ALL.to_vec()),
        ) {
            let [recipient_uri, original_recipient_uri] = uris.map_or([None, None], |u| u.map(Some));
            let written = Imdn {
                message_id,
                datetime: datetime.and_then(Timestamp::parse),
                recipient_uri,
                original_recipient_uri,
                subject,
                disposition,
            };
            let xml = written.to_xml();
            prop_assert_eq!(Imdn::parse(xml.as_bytes()), Ok(written), "{}", xml);
        }

        #[test]
        fn any_markup_is_read_without_panic(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<imdn xmlns='urn:ietf:params:xml:ns:imdn'>", "</imdn>", "<message-id>", "</message-id>",
                    "<delivery-notification>", "</delivery-notification>", "<status>", "</status>",
                    "<failed/>", "x", "&amp;", "<", "é",
                ]),
                0..20,
            ),
        ) {
            let _ = Imdn::parse(parts.concat().as_bytes());
        }
    }
}
