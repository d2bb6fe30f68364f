// SPDX-License-Identifier: GPL-2.0-or-later
//! Resourceparts as tuple ids and back (RFC 8048 §6.2 Table 1 note 2).
//!
//! `ID-` and the resourcepart, in which a character other than ASCII letters, digits, `-`, `.` and `_` is
//! written `_xH_`, `H` its code point in hexadecimal; so is a `_` that stands before an `x`. That is an
//! xs:ID under every edition of XML, differs for different resourceparts, and leaves plain ones readable:
//! `balcony` is `ID-balcony`, `my phone` is `ID-my_x20_phone`, the bare JID is `ID-`.

use jid::ResourcePart;

const PREFIX: &str = "ID-";
/// The longest resourcepart in bytes (RFC 7622 §3.4).
const MAX_RESOURCE: usize = 1023;

/// The id of the tuple for a resourcepart (`""`: the bare JID).
pub(super) fn from_resource(resource: &str) -> String {
    let mut id = String::with_capacity(PREFIX.len() + resource.len());
    id.push_str(PREFIX);
    let mut rest = resource.chars().peekable();
    while let Some(c) = rest.next() {
        let plain = match c {
            '_' => rest.peek() != Some(&'x'),
            _ => c.is_ascii_alphanumeric() || c == '-' || c == '.',
        };
        if plain {
            id.push(c);
        } else {
            id.push_str(&format!("_x{:x}_", u32::from(c)));
        }
    }
    id
}

/// The resourcepart for a tuple id: the inverse of [`from_resource`]; an id that others made is one
/// itself, without a leading `ID-`. Where that is no legal resourcepart (RFC 7622 §3.4), what is not
/// ASCII becomes `_` and what is too long is cut off.
pub(super) fn to_resource(id: &str) -> String {
    let text = id
        .strip_prefix(PREFIX)
        .map_or_else(|| id.to_owned(), unescape);
    if text.is_empty() {
        return text;
    }
    match ResourcePart::new(&text) {
        Ok(resource) => resource.as_str().to_owned(),
        Err(_) => {
            let ascii = text
                .chars()
                .map(|c| if c.is_ascii_graphic() { c } else { '_' });
            ascii.take(MAX_RESOURCE).collect()
        }
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        rest = match escape(from) {
            Some((c, after)) => {
                out.push(c);
                after
            }
            None => {
                out.push('_');
                from.strip_prefix('_').unwrap_or(from)
            }
        };
    }
    out.push_str(rest);
    out
}

/// The character that an escape at the start of `text` stands for, and what follows.
fn escape(text: &str) -> Option<(char, &str)> {
    let (digits, after) = text.strip_prefix("_x")?.split_once('_')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((c, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_resources_stay_readable() {
        for (resource, id) in [
            ("", "ID-"),
            ("balcony", "ID-balcony"),
            ("yn0cl4bnw0yr3vym", "ID-yn0cl4bnw0yr3vym"),
            ("7", "ID-7"),
            ("my phone", "ID-my_x20_phone"),
            ("a_x20_b", "ID-a_x5f_x20_b"),
            ("a__b_", "ID-a__b_"),
            ("ID-a", "ID-ID-a"),
            ("büro:𐌰", "ID-b_xfc_ro_x3a__x10330_"),
        ] {
            assert_eq!(from_resource(resource), id);
            assert_eq!(to_resource(id), resource);
        }
    }

    #[test]
    fn ids_of_others_become_resources() {
        let long = "é".repeat(2000);
        let cut = "_".repeat(MAX_RESOURCE);
        for (id, resource) in [
            ("a1b2", "a1b2"),
            ("sg89ae", "sg89ae"),
            ("ID-dr4hcr0st3lup4c", "dr4hcr0st3lup4c"),
            ("my_x20_phone", "my_x20_phone"),
            ("ID-_x", "_x"),
            ("ID-_x_", "_x_"),
            ("ID-_x+41_", "_x+41_"),
            ("ID-_xd800_", "_xd800_"),
            ("ID-_x0_", "_"),
            ("a\u{7}b", "a_b"),
            ("", ""),
            (&long, &cut),
        ] {
            assert_eq!(to_resource(id), resource, "{id}");
        }
    }

    proptest! {
        #[test]
        fn resources_come_back(text: String) {
            if let Ok(resource) = ResourcePart::new(&text) {
                let id = from_resource(resource.as_str());
                prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
                prop_assert_eq!(to_resource(&id), resource.as_str());
            }
        }

        #[test]
        fn escapes_come_back(text in "[_x0-9a-f ]{0,12}") {
            prop_assert_eq!(unescape(&from_resource(&text)[PREFIX.len()..]), text);
        }

        #[test]
        fn any_id_gives_a_legal_resource(id: String) {
            let resource = to_resource(&id);
            prop_assert!(resource.is_empty() || ResourcePart::new(&resource).is_ok());
        }
    }
}
