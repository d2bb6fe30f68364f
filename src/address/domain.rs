// SPDX-License-Identifier: GPL-2.0-or-later
//! Which domain is which, and how a user of one world is called in the other.

use std::borrow::Cow;

use jid::{DomainPart, NodePart, ResourcePart};

use super::escape::{jid_escape, jid_escapes, jid_unescape, percent_decode, write_encoded};
use super::idn::{to_a_labels, to_u_labels};
use super::precis::{is_same_localpart, resourcepart};
use super::uri::is_unreserved;
use super::{Aor, BareJid, Jid, SipUri};

/// One-to-one domain names per direction (`gwmap`), and the user part mapping of RFC 7247 §6.4, §6.5.
///
/// A SIP domain without an alias keeps its name on XMPP, an XMPP domain without one keeps its name on SIP. Names on
/// SIP have A-labels, those on XMPP U-labels; either is understood.
#[derive(Debug, Clone, Default)]
pub struct DomainMap {
    /// (SIP domain, its name on XMPP)
    sip_on_xmpp: Vec<(String, String)>,
    /// (XMPP domain, its name on SIP)
    xmpp_on_sip: Vec<(String, String)>,
}

/// Why a `gwmap` line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainMapError {
    /// Not of the form `sip:NAME=NAME` or `xmpp:NAME=NAME`.
    #[error("expected \"sip:DOMAIN=NAME-ON-XMPP\" or \"xmpp:DOMAIN=NAME-ON-SIP\"")]
    Form,
    /// One of the names is already mapped.
    #[error("\"{0}\" is mapped twice")]
    Twice(String),
}

/// Why an address has no counterpart in the other world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No legal localpart, or no legal user part, comes out.
    #[error("the address has no counterpart in the other protocol")]
    Unmappable,
    /// The name of the domain means another domain in the other world (`gwmap`).
    #[error("the domain has no counterpart in the other protocol")]
    NoDomain,
    /// The JID has no localpart: a domain is not a user.
    #[error("the address names a domain, not a user")]
    NoUser,
}

impl DomainMap {
    /// Adds one `gwmap` line: `sip:sip.example=phones.example` or `xmpp:xmpp.example=chat.example`.
    pub fn add(&mut self, line: &str) -> Result<(), DomainMapError> {
        let (world, names) = line.trim().split_once(':').ok_or(DomainMapError::Form)?;
        let (domain, alias) = names.split_once('=').ok_or(DomainMapError::Form)?;
        let domain = domain_name(domain.trim()).ok_or(DomainMapError::Form)?;
        let alias = domain_name(alias.trim()).ok_or(DomainMapError::Form)?;
        let on_xmpp = |name: String| to_u_labels(&name).into_owned();
        let (table, domain, alias) = match world.trim() {
            "sip" => (&mut self.sip_on_xmpp, domain, on_xmpp(alias)),
            "xmpp" => (&mut self.xmpp_on_sip, on_xmpp(domain), alias),
            _ => return Err(DomainMapError::Form),
        };
        if table.iter().any(|(known, _)| *known == domain) {
            return Err(DomainMapError::Twice(domain));
        }
        if table.iter().any(|(_, known)| *known == alias) {
            return Err(DomainMapError::Twice(alias));
        }
        table.push((domain, alias));
        Ok(())
    }

    /// The XMPP address of a SIP user (RFC 7247 §6.4).
    pub fn sip_user_on_xmpp(&self, aor: &Aor) -> Result<BareJid, AddressError> {
        let domain = self.sip_domain_on_xmpp(aor.host());
        if self.sip_domain_from_xmpp(&domain) != aor.host() {
            return Err(AddressError::NoDomain);
        }
        user_to_xmpp(aor.user(), &domain)
    }

    /// The SIP user whom an XMPP-side address of ours names; the reverse of [`Self::sip_user_on_xmpp`].
    pub fn sip_user_from_xmpp(&self, jid: &BareJid) -> Result<Aor, AddressError> {
        let domain = self.sip_domain_from_xmpp(jid.domain().as_str());
        if self.sip_domain_on_xmpp(&domain) != to_u_labels(jid.domain().as_str()) {
            return Err(AddressError::NoDomain);
        }
        user_to_sip(jid, &domain)
    }

    /// The SIP address of an XMPP user (RFC 7247 §6.5).
    pub fn xmpp_user_on_sip(&self, jid: &BareJid) -> Result<Aor, AddressError> {
        let domain = self.xmpp_domain_on_sip(jid.domain().as_str());
        if self.xmpp_domain_from_sip(&domain) != to_u_labels(jid.domain().as_str()) {
            return Err(AddressError::NoDomain);
        }
        user_to_sip(jid, &domain)
    }

    /// The XMPP user whom a SIP-side address names; the reverse of [`Self::xmpp_user_on_sip`].
    pub fn xmpp_user_from_sip(&self, aor: &Aor) -> Result<BareJid, AddressError> {
        let domain = self.xmpp_domain_from_sip(aor.host());
        if self.xmpp_domain_on_sip(&domain) != aor.host() {
            return Err(AddressError::NoDomain);
        }
        user_to_xmpp(aor.user(), &domain)
    }

    /// The XMPP address of a SIP user or, if the URI has a `gr` parameter, of that user agent
    /// (RFC 7247 §6.3, §6.4).
    pub fn sip_agent_on_xmpp(&self, uri: &SipUri) -> Result<Jid, AddressError> {
        with_device(self.sip_user_on_xmpp(&user_of(uri)?)?, uri)
    }

    /// The SIP user agent whom an XMPP-side address of ours names; the reverse of [`Self::sip_agent_on_xmpp`].
    pub fn sip_agent_from_xmpp(&self, jid: &Jid) -> Result<SipUri, AddressError> {
        with_gr(&self.sip_user_from_xmpp(&jid.to_bare())?, jid)
    }

    /// The SIP address of an XMPP user, with his client's resource as `gr` (RFC 7247 §6.3, §6.5).
    pub fn xmpp_agent_on_sip(&self, jid: &Jid) -> Result<SipUri, AddressError> {
        with_gr(&self.xmpp_user_on_sip(&jid.to_bare())?, jid)
    }

    /// The XMPP client whom a SIP-side address names; the reverse of [`Self::xmpp_agent_on_sip`].
    pub fn xmpp_agent_from_sip(&self, uri: &SipUri) -> Result<Jid, AddressError> {
        with_device(self.xmpp_user_from_sip(&user_of(uri)?)?, uri)
    }

    /// A SIP domain's name on XMPP.
    pub fn sip_domain_on_xmpp<'a>(&'a self, domain: &'a str) -> Cow<'a, str> {
        alias_of(&self.sip_on_xmpp, &on_sip(domain)).map_or_else(|| to_u_labels(domain), Cow::from)
    }

    /// The SIP domain behind a name as XMPP sees it.
    pub fn sip_domain_from_xmpp<'a>(&'a self, domain: &'a str) -> Cow<'a, str> {
        domain_behind(&self.sip_on_xmpp, &to_u_labels(domain))
            .map_or_else(|| on_sip(domain), Cow::from)
    }

    /// An XMPP domain's name as SIP sees it.
    pub fn xmpp_domain_on_sip<'a>(&'a self, domain: &'a str) -> Cow<'a, str> {
        alias_of(&self.xmpp_on_sip, &to_u_labels(domain)).map_or_else(|| on_sip(domain), Cow::from)
    }

    /// The XMPP domain behind a name as SIP sees it.
    pub fn xmpp_domain_from_sip<'a>(&'a self, domain: &'a str) -> Cow<'a, str> {
        domain_behind(&self.xmpp_on_sip, &on_sip(domain))
            .map_or_else(|| to_u_labels(domain), Cow::from)
    }

    /// The SIP domains that have an alias, with it, in the order added.
    pub fn sip_aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sip_on_xmpp
            .iter()
            .map(|(domain, alias)| (domain.as_str(), alias.as_str()))
    }

    /// The XMPP domains that have an alias, with it, in the order added.
    pub fn xmpp_aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.xmpp_on_sip
            .iter()
            .map(|(domain, alias)| (domain.as_str(), alias.as_str()))
    }
}

fn alias_of<'a>(table: &'a [(String, String)], domain: &str) -> Option<&'a str> {
    let (_, alias) = table.iter().find(|(known, _)| known == domain)?;
    Some(alias)
}

fn domain_behind<'a>(table: &'a [(String, String)], alias: &str) -> Option<&'a str> {
    let (domain, _) = table.iter().find(|(_, known)| known == alias)?;
    Some(domain)
}

/// The name in A-labels; one that has none is no name of SIP, and stays as it is.
fn on_sip(domain: &str) -> Cow<'_, str> {
    to_a_labels(domain).unwrap_or(Cow::Borrowed(domain))
}

fn user_of(uri: &SipUri) -> Result<Aor, AddressError> {
    Aor::from_uri(uri).map_err(|_| AddressError::Unmappable)
}

/// The resource that a `gr` parameter names; `Ok(None)` without one, or with an empty one: that marks a temporary
/// GRUU, which is not mapped (RFC 7247 §6.3).
pub(crate) fn resource_of_gr(gr: Option<&str>) -> Result<Option<ResourcePart>, AddressError> {
    let Some(gr) = gr.filter(|gr| !gr.is_empty()) else {
        return Ok(None);
    };
    let gr = percent_decode(gr).ok_or(AddressError::Unmappable)?;
    let resource = resourcepart(&gr).ok_or(AddressError::Unmappable)?;
    Ok(Some(resource.into_owned()))
}

fn with_device(user: BareJid, uri: &SipUri) -> Result<Jid, AddressError> {
    Ok(match resource_of_gr(uri.param("gr"))? {
        Some(resource) => user.with_resource(&resource).into(),
        None => user.into(),
    })
}

fn with_gr(aor: &Aor, jid: &Jid) -> Result<SipUri, AddressError> {
    let mut uri = SipUri::parse(&aor.to_string()).map_err(|_| AddressError::Unmappable)?;
    if let Some(resource) = jid.resource() {
        resourcepart(resource.as_str()).ok_or(AddressError::Unmappable)?;
        let mut gr = String::new();
        write_encoded(&mut gr, resource.as_str(), is_unreserved)
            .map_err(|_| AddressError::Unmappable)?;
        uri.params.push(("gr".to_owned(), Some(gr)));
    }
    Ok(uri)
}

/// Makes the JID of a user part at a domain, or refuses if another user part would come back.
fn user_to_xmpp(user: &str, domain: &str) -> Result<BareJid, AddressError> {
    let escaped = jid_escape(user);
    let node = NodePart::new(&escaped).map_err(|_| AddressError::Unmappable)?;
    let domain = DomainPart::new(domain).map_err(|_| AddressError::Unmappable)?;
    // Nodeprep folds look-alikes of the backslash and of digits: that must not forge an escape.
    if jid_escapes(&escaped) != jid_escapes(node.as_str())
        || !is_canonical(node.as_str())
        || !is_same_localpart(&escaped, node.as_str())
    {
        return Err(AddressError::Unmappable);
    }
    Ok(BareJid::from_parts(Some(&node), &domain))
}

fn user_to_sip(jid: &BareJid, domain: &str) -> Result<Aor, AddressError> {
    let localpart = jid.node().ok_or(AddressError::NoUser)?.as_str();
    // The root's dot would not come back; a server strips it before it routes (RFC 7622 §3.2).
    if !is_canonical(localpart) || domain.ends_with('.') {
        return Err(AddressError::Unmappable);
    }
    Aor::new(&jid_unescape(localpart), domain).map_err(|_| AddressError::Unmappable)
}

/// Whether the localpart is the one escape of what it stands for, so that the way back leads to it, with
/// no space at either end (XEP-0106 §4.1).
///
/// Nodeprep is not always stable (`🄐` becomes `(A)`, and that `(a)`): such addresses, which the next
/// server would read as another user's, are not canonical either.
fn is_canonical(localpart: &str) -> bool {
    let user = jid_unescape(localpart);
    !user.starts_with(' ')
        && !user.ends_with(' ')
        && jid_escape(&user) == localpart
        && NodePart::new(localpart).is_ok_and(|node| node.as_str() == localpart)
        && is_same_localpart(localpart, localpart)
}

/// A DNS name in A-labels and lower case, written in either alphabet; `None` if the text is none.
pub(crate) fn domain_name(text: &str) -> Option<String> {
    let text = to_a_labels(text)?;
    let legal = text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    legal.then(|| text.into_owned())
}

/// A pattern of `xmpp_allow` or `xmpp_deny`: a name, `*.name` (any depth below), or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainPattern(String);

impl DomainPattern {
    /// Reads a pattern; `None` if it is none of the three forms.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self(text.to_owned()));
        }
        match text.strip_prefix("*.") {
            Some(parent) => domain_name(parent).map(|parent| Self(format!("*.{parent}"))),
            None => domain_name(text).map(Self),
        }
    }

    /// Whether a domain name (in A-labels, any case) falls under this pattern.
    pub fn matches(&self, domain: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some("") => true,
            // `.name` at the end, and something before it.
            Some(suffix) => domain.len().checked_sub(suffix.len()).is_some_and(|at| {
                at > 0
                    && domain
                        .get(at..)
                        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }),
            None => self.0.eq_ignore_ascii_case(domain),
        }
    }

    /// The one domain this pattern names; `None` if it has a `*`.
    pub fn as_name(&self) -> Option<&str> {
        (!self.0.starts_with('*')).then_some(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(lines: &[&str]) -> DomainMap {
        let mut map = DomainMap::default();
        lines.iter().for_each(|line| map.add(line).unwrap());
        map
    }

    #[test]
    fn examples_of_rfc_7247() {
        let map = DomainMap::default();
        for (sip, xmpp) in [
            ("sip:f%C3%BC@sip.example", "fü@sip.example"),
            ("sip:o'malley@sip.example", r"o\27malley@sip.example"),
            ("sip:foo@sip.example;gr=bar", "foo@sip.example/bar"),
        ] {
            let jid = map.sip_agent_on_xmpp(&SipUri::parse(sip).unwrap()).unwrap();
            assert_eq!(jid.as_str(), xmpp);
        }
        for (xmpp, sip) in [
            (r"m\26m@xmpp.example", "sip:m&m@xmpp.example"),
            ("tschüss@xmpp.example", "sip:tsch%C3%BCss@xmpp.example"),
            ("baz@xmpp.example/qux", "sip:baz@xmpp.example;gr=qux"),
        ] {
            let uri = map.xmpp_agent_on_sip(&Jid::new(xmpp).unwrap()).unwrap();
            assert_eq!(uri.to_string(), sip);
        }
    }

    #[test]
    fn aliases_apply_in_their_direction_only() {
        let map = map(&[
            "sip:Sip.Example=phones.example",
            "xmpp:xmpp.example=chat.example",
        ]);
        let romeo = Aor::new("romeo", "sip.example").unwrap();
        let juliet = BareJid::new("juliet@xmpp.example").unwrap();
        let romeo_on_xmpp = map.sip_user_on_xmpp(&romeo).unwrap();
        let juliet_on_sip = map.xmpp_user_on_sip(&juliet).unwrap();
        assert_eq!(romeo_on_xmpp.as_str(), "romeo@phones.example");
        assert_eq!(juliet_on_sip.to_string(), "sip:juliet@chat.example");
        assert_eq!(map.sip_user_from_xmpp(&romeo_on_xmpp).unwrap(), romeo);
        assert_eq!(map.xmpp_user_from_sip(&juliet_on_sip).unwrap(), juliet);
        // Hidden behind another domain's alias, these users could not be answered.
        let hidden = BareJid::new("eve@chat.example").unwrap();
        assert_eq!(map.xmpp_user_on_sip(&hidden), Err(AddressError::NoDomain));
        let hidden = Aor::new("eve", "phones.example").unwrap();
        assert_eq!(map.sip_user_on_xmpp(&hidden), Err(AddressError::NoDomain));
        // The own name of a domain with an alias is another's in the other world.
        let other = BareJid::new("romeo@sip.example").unwrap();
        assert_eq!(map.sip_user_from_xmpp(&other), Err(AddressError::NoDomain));
        let other = Aor::new("juliet", "xmpp.example").unwrap();
        assert_eq!(map.xmpp_user_from_sip(&other), Err(AddressError::NoDomain));
    }

    #[test]
    fn a_domain_has_the_alphabet_of_its_world() {
        let map = map(&[
            "sip:Büro.example=telefon.büro.example",
            "xmpp:xn--bcher-kva.example=xn--chat-5qa.example",
        ]);
        for (sip, xmpp) in [
            ("sip:a@xn--bro-hoa.example", "a@telefon.büro.example"),
            ("sip:a@xn--wgv71a.example", "a@日本.example"),
        ] {
            let aor = Aor::parse(sip).unwrap();
            let jid = map.sip_user_on_xmpp(&aor).unwrap();
            assert_eq!(jid.as_str(), xmpp);
            assert_eq!(map.sip_user_from_xmpp(&jid), Ok(aor));
        }
        for (xmpp, sip) in [
            ("a@bücher.example", "sip:a@xn--chat-5qa.example"),
            ("a@日本.example", "sip:a@xn--wgv71a.example"),
        ] {
            let jid = BareJid::new(xmpp).unwrap();
            let aor = map.xmpp_user_on_sip(&jid).unwrap();
            assert_eq!(aor.to_string(), sip);
            assert_eq!(map.xmpp_user_from_sip(&aor), Ok(jid));
        }
        let spelt_otherwise = BareJid::new("a@xn--bcher-kva.example").unwrap();
        let aor = map.xmpp_user_on_sip(&spelt_otherwise).unwrap();
        assert_eq!(aor.host(), "xn--chat-5qa.example");
    }

    #[test]
    fn faulty_aliases_are_refused() {
        let mut map = map(&["sip:a.example=b.example"]);
        for line in [
            "",
            "sip:a",
            "sip:=b",
            "sip:a=b c",
            "xyz:a=b",
            "sip:a=b=c",
            "sip:xn--=b",
        ] {
            assert_eq!(map.add(line), Err(DomainMapError::Form), "{line}");
        }
        let twice = |name: &str| Err(DomainMapError::Twice(name.to_owned()));
        assert_eq!(map.add("sip:A.example=c.example"), twice("a.example"));
        assert_eq!(map.add("sip:c.example=B.example"), twice("b.example"));
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        let map = DomainMap::default();
        for user in [
            " a",
            "a ",
            "\u{ff3c}27",
            "🄐",
            // One user by RFC 6122, another by RFC 7622.
            "straße",
            "i♥you",
            "\\\u{ff12}7",
            &"x".repeat(1024),
        ] {
            let aor = Aor::new(user, "sip.example").unwrap();
            assert_eq!(
                map.sip_user_on_xmpp(&aor),
                Err(AddressError::Unmappable),
                "{user}"
            );
        }
        for jid in [r"\20a@x.example", r"a\5cb@x.example", "i♥you@x.example"] {
            let jid = BareJid::new(jid).unwrap();
            assert_eq!(
                map.xmpp_user_on_sip(&jid),
                Err(AddressError::Unmappable),
                "{jid}"
            );
        }
        let domain = BareJid::new("x.example").unwrap();
        assert_eq!(map.xmpp_user_on_sip(&domain), Err(AddressError::NoUser));
    }

    #[test]
    fn a_device_is_a_device_in_both_worlds() {
        let map = map(&[
            "sip:sip.example=phones.example",
            "xmpp:xmpp.example=chat.example",
        ]);
        for (uri, jid) in [
            (
                "sip:a@sip.example;gr=urn%3Auuid%3A1",
                "a@phones.example/urn:uuid:1",
            ),
            (
                "sip:a@sip.example;gr=b%C3%BCro%20%2F",
                "a@phones.example/büro /",
            ),
            ("sip:a@sip.example;transport=tcp;gr", "a@phones.example"),
            ("sip:a@sip.example;gr=", "a@phones.example"),
        ] {
            let uri = SipUri::parse(uri).unwrap();
            let agent = map.sip_agent_on_xmpp(&uri).unwrap();
            assert_eq!(agent.as_str(), jid);
            let back = map.sip_agent_from_xmpp(&agent).unwrap();
            let gr = uri.param("gr").filter(|gr| !gr.is_empty());
            assert_eq!(back.param("gr"), gr, "{uri}");
            assert_eq!(map.sip_agent_on_xmpp(&back), Ok(agent));
        }
        let juliet = Jid::new("juliet@xmpp.example/balcony").unwrap();
        let uri = map.xmpp_agent_on_sip(&juliet).unwrap();
        assert_eq!(uri.to_string(), "sip:juliet@chat.example;gr=balcony");
        assert_eq!(map.xmpp_agent_from_sip(&uri), Ok(juliet));
        for gr in ["%FF", "%07", "%E2%84%A2", "%F0%9F%90%92"] {
            let uri = SipUri::parse(&format!("sip:a@sip.example;gr={gr}")).unwrap();
            assert_eq!(
                map.sip_agent_on_xmpp(&uri),
                Err(AddressError::Unmappable),
                "{gr}"
            );
        }
    }

    #[test]
    fn patterns_match_whole_labels() {
        let below = DomainPattern::parse("*.Example.com").unwrap();
        assert!(below.matches("a.b.EXAMPLE.com"));
        assert!(!below.matches("example.com") && !below.matches("badexample.com"));
        assert!(!below.matches(".example.com"));
        assert!(DomainPattern::parse("*").unwrap().matches("anything"));
        assert!(DomainPattern::parse("a.b").unwrap().matches("A.b"));
        for text in ["", "**", "a.*", "*a.b", "*.", "a b", "-a", "a..b"] {
            assert_eq!(DomainPattern::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_maps_to_xmpp_maps_back(
            user in prop_oneof![r#"([a-fA-F0-57\\ "&'/:<>@]|[üß\u{ff3c}\u{ff12}])+"#, any::<String>()],
        ) {
            let map = map(&["sip:sip.example=phones.example"]);
            let Ok(aor) = Aor::new(&user, "sip.example") else { return Ok(()) };
            if let Ok(jid) = map.sip_user_on_xmpp(&aor) {
                let back = map.sip_user_from_xmpp(&jid).unwrap();
                prop_assert_eq!(map.sip_user_on_xmpp(&back), Ok(jid));
                if user.is_ascii() {
                    prop_assert_eq!(back.user(), user.to_ascii_lowercase());
                }
            }
        }

        #[test]
        fn a_device_that_maps_maps_back(resource in r"([a-f/@;=%?&]|[ü \u{2122}ﬁ]|\PC)+") {
            let map = DomainMap::default();
            let Ok(jid) = Jid::new(&format!("a@xmpp.example/{resource}")) else { return Ok(()) };
            let Ok(uri) = map.xmpp_agent_on_sip(&jid) else { return Ok(()) };
            let read = SipUri::parse(&uri.to_string()).unwrap();
            prop_assert_eq!(&read, &uri);
            prop_assert_eq!(map.xmpp_agent_from_sip(&read), Ok(jid));
        }

        #[test]
        fn what_maps_to_sip_maps_back(localpart in r"([a-f0-57\\.ü]|\PC)+") {
            let map = map(&["xmpp:xmpp.example=chat.example"]);
            let Ok(node) = NodePart::new(&localpart) else { return Ok(()) };
            let jid = BareJid::from_parts(Some(&node), &DomainPart::new("xmpp.example").unwrap());
            if let Ok(aor) = map.xmpp_user_on_sip(&jid) {
                prop_assert_eq!(Aor::parse(&aor.to_string()), Ok(aor.clone()));
                prop_assert_eq!(map.xmpp_user_from_sip(&aor), Ok(jid));
            }
        }
    }
}
