// SPDX-License-Identifier: GPL-2.0-or-later
//! How XML from outside may be shaped, in documents and in stanzas alike.

/// The limits of XML beside its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Levels, the outermost element included.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Bytes of the name of an element or attribute, its prefix included.
    pub name: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            depth: 64,
            attributes: 64,
            namespaces: 32,
            name: 256,
        }
    }
}

/// Which limit of a [`Shape`] was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misshapen {
    /// Too many levels.
    Depth,
    /// Too many attributes in one element.
    Attributes,
    /// Too many namespace declarations in one element.
    Namespaces,
    /// Too long a name.
    Name,
}
