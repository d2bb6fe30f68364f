// SPDX-License-Identifier: GPL-2.0-or-later
//! Namespaces in scope (Namespaces in XML 1.0 §6), and which elements belong to the content namespace by
//! unbroken descent.

use rxml::parser::RawQName;
use rxml::{AttrMap, Error, Namespace, NcName};
use xmpp_parsers::ns::JABBER_CLIENT;

/// The open elements of a stream, the stream element itself first.
#[derive(Debug)]
pub(super) struct Scopes {
    content: String,
    open: Vec<Scope>,
}

#[derive(Debug)]
struct Scope {
    default: Option<String>,
    prefixes: Vec<(NcName, String)>,
    of_content: bool,
}

/// An element's name and attributes, resolved.
pub(super) struct Resolved {
    /// Its namespace, the content namespace already replaced by `jabber:client`.
    pub(super) namespace: String,
    /// Its local name.
    pub(super) name: String,
    /// Its attributes without namespace declarations.
    pub(super) attributes: AttrMap,
    /// Whether it and all above it are of the content namespace.
    pub(super) of_content: bool,
}

impl Scopes {
    pub(super) fn new(content: &str) -> Self {
        Self {
            content: content.to_owned(),
            open: Vec::new(),
        }
    }

    /// Enters an element with its attributes as written.
    pub(super) fn enter(
        &mut self,
        (prefix, name): RawQName,
        written: Vec<(RawQName, String)>,
    ) -> Result<Resolved, Error> {
        let descends = self.open.last().is_none_or(|parent| parent.of_content);
        let mut scope = Scope {
            default: None,
            prefixes: Vec::new(),
            of_content: false,
        };
        let mut plain = Vec::with_capacity(written.len());
        for ((prefix, name), value) in written {
            match prefix {
                None if name.as_str() == "xmlns" => {
                    if scope.default.replace(value).is_some() {
                        return Err(Error::DuplicateAttribute);
                    }
                }
                Some(xmlns) if xmlns.as_str() == "xmlns" => {
                    if scope.prefixes.iter().any(|(known, _)| *known == name) {
                        return Err(Error::DuplicateAttribute);
                    }
                    scope.prefixes.push((name, value));
                }
                prefix => plain.push((prefix, name, value)),
            }
        }
        self.open.push(scope);

        let mut attributes = AttrMap::new();
        for (prefix, name, value) in plain {
            let namespace = match prefix {
                None => Namespace::none().clone(),
                Some(prefix) if prefix.as_str() == "xml" => Namespace::xml().clone(),
                Some(prefix) => Namespace::from(self.prefixed(&prefix)?.to_owned()),
            };
            if attributes.insert(namespace, name, value).is_some() {
                return Err(Error::DuplicateAttribute);
            }
        }
        let namespace = match prefix {
            None => self.default_namespace().to_owned(),
            Some(prefix) => self.prefixed(&prefix)?.to_owned(),
        };
        // The stream element is of another namespace; descent starts with its children.
        let of_content = self.open.len() == 1 || (descends && namespace == self.content);
        if let Some(scope) = self.open.last_mut() {
            scope.of_content = of_content;
        }
        Ok(Resolved {
            namespace: if of_content && self.open.len() > 1 {
                JABBER_CLIENT.to_owned()
            } else {
                namespace
            },
            name: name.as_str().to_owned(),
            attributes,
            of_content,
        })
    }

    /// Leaves elements until `depth` are open.
    pub(super) fn leave_to(&mut self, depth: usize) {
        self.open.truncate(depth);
    }

    /// The namespace of a name without prefix here.
    pub(super) fn default_namespace(&self) -> &str {
        self.open
            .iter()
            .rev()
            .find_map(|scope| scope.default.as_deref())
            .unwrap_or_default()
    }

    fn prefixed(&self, prefix: &NcName) -> Result<&str, Error> {
        if prefix.as_str() == "xml" {
            return Ok(rxml::parser::XMLNS_XML);
        }
        self.open
            .iter()
            .rev()
            .flat_map(|scope| scope.prefixes.iter())
            .find(|(known, _)| known == prefix)
            .map(|(_, namespace)| namespace.as_str())
            .ok_or(Error::UndeclaredNamespacePrefix(None))
    }
}
