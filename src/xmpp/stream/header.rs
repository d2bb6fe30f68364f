// SPDX-License-Identifier: GPL-2.0-or-later
//! The opening tag of a stream (RFC 6120 §4.7).

use rxml::{AttrMap, Namespace};

/// A stream header, to be sent or as received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The content namespace, declared as the default one (RFC 6120 §4.8.2).
    pub content: String,
    /// Further namespaces to declare, as (prefix, namespace); empty on a received header.
    pub prefixes: Vec<(String, String)>,
    /// `from`
    pub from: Option<String>,
    /// `to`
    pub to: Option<String>,
    /// `id`
    pub id: Option<String>,
    /// `version`
    pub version: Option<String>,
    /// `xml:lang`
    pub lang: Option<String>,
    /// Attributes without namespace that have no place above, as (name, value).
    pub others: Vec<(String, String)>,
}

impl Header {
    /// Sorts the attributes of a stream's opening tag.
    pub(super) fn from_attributes(content: String, attributes: AttrMap) -> Self {
        let mut header = Self {
            content,
            ..Self::default()
        };
        for ((namespace, name), value) in attributes {
            if namespace == *Namespace::xml() && name.as_str() == "lang" {
                header.lang = Some(value);
            } else if namespace.is_none() {
                match name.as_str() {
                    "from" => header.from = Some(value),
                    "to" => header.to = Some(value),
                    "id" => header.id = Some(value),
                    "version" => header.version = Some(value),
                    other => header.others.push((other.to_owned(), value)),
                }
            }
        }
        header
    }

    /// The attributes without namespace, in the order written.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = [
            ("from", &self.from),
            ("to", &self.to),
            ("id", &self.id),
            ("version", &self.version),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        named.chain(self.others.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}
