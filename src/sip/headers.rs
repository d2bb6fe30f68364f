// SPDX-License-Identifier: GPL-2.0-or-later
//! The header fields of a message, in order, names in their long form.

use super::syntax::{is_token, param, split_outside, split_params};
use super::{CSeq, DeltaSeconds, Event, ExpiresError, NameAddr, ParseError, SubscriptionState};

/// The most elements of Record-Route taken: no request passes more proxies (RFC 3261 §8.1.1.6).
const MAX_ROUTES: usize = 70;

/// How the branches begin that are unique.
const COOKIE: &str = "z9hG4bK";

/// Header fields in the order received. Names compare without case; compact forms are already expanded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a field at the end.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts one field in the place of all of that name.
    pub fn replace(&mut self, name: &str, value: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.push(name, value);
    }

    /// The first field of that name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// All fields of that name, in order, not split at commas.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// All elements of a comma-separated header, over all its fields, respecting quotes and brackets.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| split_outside(value, ','))
    }

    /// The one field of that name; several are as wrong as none (RFC 3261 §7.3.1).
    fn single(&self, name: &'static str) -> Result<&str, ParseError> {
        let mut fields = self.all(name);
        match (fields.next(), fields.next()) {
            (Some(value), None) => Ok(value),
            (None, _) | (Some(_), Some(_)) => Err(ParseError::Field(name)),
        }
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(self.single("From")?).map_err(|_| ParseError::Field("From"))
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(self.single("To")?).map_err(|_| ParseError::Field("To"))
    }

    /// Call-ID.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        let call_id = self.single("Call-ID")?.trim();
        if call_id.is_empty() || call_id.contains(char::is_whitespace) {
            return Err(ParseError::Field("Call-ID"));
        }
        Ok(call_id)
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        CSeq::parse(self.single("CSeq")?)
    }

    /// The first Contact; `None` when there is none or it is `*`.
    pub fn contact(&self) -> Result<Option<NameAddr>, ParseError> {
        match self.list("Contact").next() {
            None | Some("*") => Ok(None),
            Some(value) => NameAddr::parse(value)
                .map(Some)
                .map_err(|_| ParseError::Field("Contact")),
        }
    }

    /// Event; `None` when the header is missing or malformed (RFC 6665 §8.2.1).
    pub fn event(&self) -> Option<Event> {
        self.first("Event").and_then(Event::parse)
    }

    /// Expires; `Ok(None)` when missing, an error when it is no number below 2^32 (RFC 3261 §20.19).
    pub fn expires(&self) -> Result<Option<DeltaSeconds>, ExpiresError> {
        self.first("Expires").map(DeltaSeconds::parse).transpose()
    }

    /// Max-Forwards (RFC 3261 §20.22); `Ok(None)` when missing.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let Some(value) = self.first("Max-Forwards") else {
            return Ok(None);
        };
        let digits = value.trim();
        let legal = digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse() {
            Ok(hops) if legal => Ok(Some(hops)),
            Ok(_) | Err(_) => Err(ParseError::Field("Max-Forwards")),
        }
    }

    /// Subscription-State (RFC 6665 §8.2.3).
    pub fn subscription_state(&self) -> Result<SubscriptionState, ParseError> {
        SubscriptionState::parse(self.single("Subscription-State")?)
    }

    /// The elements of Record-Route, top first, each a complete `<sip:…;lr>` as on the wire.
    pub fn record_route(&self) -> Result<Vec<String>, ParseError> {
        let mut routes = Vec::new();
        for route in self.list("Record-Route") {
            // Behind what is no address with brackets, the next route would not be read as one.
            let legal = NameAddr::parse(route).is_ok() && route.contains('<');
            if !legal || routes.len() == MAX_ROUTES {
                return Err(ParseError::Field("Record-Route"));
            }
            routes.push(route.to_owned());
        }
        Ok(routes)
    }

    /// The branch of the topmost Via, if it names the transaction by itself (RFC 3261 §8.1.1.7).
    pub fn branch(&self) -> Option<&str> {
        let (_, params) = split_params(self.list("Via").next()?);
        let branch = params.split(';').find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("branch")
                .then(|| value.trim())
        })?;
        (branch.starts_with(COOKIE) && is_token(branch)).then_some(branch)
    }

    /// How many Via elements the message carries: how many hops it took.
    pub fn via_count(&self) -> usize {
        self.list("Via").count()
    }

    /// Whether an Accept header allows a type (`None`: no Accept header at all). Wildcards honoured, q=0 too.
    pub fn accepts(&self, mime: &str) -> Option<bool> {
        self.first("Accept")?;
        let (main, _) = mime.split_once('/')?;
        // The most specific range that covers the type decides.
        let decision = self
            .list("Accept")
            .filter_map(|element| {
                let (range, params) = split_params(element);
                let specificity = match range.split_once('/')? {
                    ("*", "*") => 0,
                    (m, "*") if m.eq_ignore_ascii_case(main) => 1,
                    _ if range.eq_ignore_ascii_case(mime) => 2,
                    _ => return None,
                };
                let refused = param(params, "q").is_some_and(|q| is_zero_quality(&q));
                Some((specificity, !refused))
            })
            .max();
        Some(decision.is_some_and(|(_, allowed)| allowed))
    }

    /// The media type of Content-Type in lower case, without parameters.
    pub fn content_type(&self) -> Option<String> {
        let (media_type, _) = split_params(self.first("Content-Type")?);
        (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase())
    }
}

fn is_zero_quality(value: &str) -> bool {
    value.starts_with('0') && value.bytes().all(|b| b == b'0' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_a_number_below_256() {
        let hops = |value: &str| {
            let mut headers = Headers::default();
            headers.push("Max-Forwards", value);
            headers.max_forwards().ok()
        };
        assert_eq!(Headers::default().max_forwards(), Ok(None));
        for (value, expected) in [
            (" 70", Some(Some(70))),
            ("0", Some(Some(0))),
            ("256", None),
            ("+1", None),
            ("", None),
            ("7 0", None),
        ] {
            assert_eq!(hops(value), expected, "{value:?}");
        }
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        fields
            .iter()
            .for_each(|(name, value)| headers.push(name, value));
        headers
    }

    #[test]
    fn lists_run_over_all_fields() {
        let headers = headers(&[
            ("Record-Route", "<sip:a;lr;x=1,2>, \"q,\" <sip:b;lr>"),
            ("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/TCP b"),
            ("record-route", "<sip:c>"),
            ("via", "SIP/2.0/UDP c"),
        ]);
        assert_eq!(
            headers.record_route().unwrap(),
            ["<sip:a;lr;x=1,2>", "\"q,\" <sip:b;lr>", "<sip:c>"],
        );
        assert_eq!(headers.via_count(), 3);
    }

    #[test]
    fn a_route_that_would_swallow_the_next_is_refused() {
        for value in ["<sip:a>, \"x", "\"x, <sip:a>", "sip:a", "<sip:a", "x"] {
            assert_eq!(
                headers(&[("Record-Route", value)]).record_route(),
                Err(ParseError::Field("Record-Route")),
                "{value}"
            );
        }
    }

    #[test]
    fn routes_are_bounded() {
        let routes = |n: usize| {
            let value = "<sip:a;lr>,".repeat(n);
            headers(&[("Record-Route", &value)]).record_route().ok()
        };
        assert_eq!(routes(MAX_ROUTES).map(|r| r.len()), Some(MAX_ROUTES));
        assert_eq!(routes(MAX_ROUTES + 1), None);
    }

    #[test]
    fn single_headers_must_be_single() {
        let headers = headers(&[
            ("From", "<sip:a@b>"),
            ("from", "<sip:c@d>"),
            ("Call-ID", "a b"),
        ]);
        assert_eq!(headers.from(), Err(ParseError::Field("From")));
        assert_eq!(headers.to(), Err(ParseError::Field("To")));
        assert_eq!(headers.call_id(), Err(ParseError::Field("Call-ID")));
        assert_eq!(
            headers.subscription_state(),
            Err(ParseError::Field("Subscription-State"))
        );
    }

    #[test]
    fn contact_may_be_a_star_or_missing() {
        assert_eq!(headers(&[]).contact(), Ok(None));
        assert_eq!(headers(&[("Contact", "*")]).contact(), Ok(None));
        let error = Err(ParseError::Field("Contact"));
        assert_eq!(headers(&[("Contact", "sip:")]).contact(), error);
        let contact = headers(&[("Contact", "sip:a@b;x=1, <sip:c@d>")])
            .contact()
            .unwrap()
            .unwrap();
        assert_eq!(contact.uri_text, "sip:a@b");
    }

    #[test]
    fn accept_honours_wildcards_and_refusals() {
        let accepts = |value: &str| headers(&[("Accept", value)]).accepts("application/pidf+xml");
        for (value, allowed) in [
            ("application/PIDF+xml;q=0.5", true),
            ("text/plain, application/*", true),
            ("*/*", true),
            ("", false),
            ("text/plain", false),
            ("application/pidf+xml;q=0.0", false),
            ("*/*, application/pidf+xml;q=0", false),
            ("*/*;q=0, application/*", true),
        ] {
            assert_eq!(accepts(value), Some(allowed), "{value}");
        }
        assert_eq!(headers(&[]).accepts("application/pidf+xml"), None);
    }

    #[test]
    fn simple_values() {
        let fields = [
            ("Content-Type", "Application/PIDF+XML ;charset=x"),
            ("Expires", "x"),
        ];
        assert_eq!(
            headers(&fields).content_type().as_deref(),
            Some("application/pidf+xml")
        );
        assert_eq!(headers(&fields).expires(), Err(ExpiresError));
        assert_eq!(headers(&[]).expires(), Ok(None));
        assert_eq!(headers(&[]).event(), None);
    }
}
