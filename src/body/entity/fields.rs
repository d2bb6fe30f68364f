// SPDX-License-Identifier: GPL-2.0-or-later
//! The header of an entity: the fields that say something of its content (RFC 2045 §3).

use std::mem::take;

use super::EntityError;
use crate::body::is_language;
use crate::sip::syntax::split_outside;

/// Languages that are kept.
const MAX_LANGUAGES: usize = 16;

/// Content encodings that are kept: one more than are undone.
const MAX_ENCODINGS: usize = super::compression::MOST + 1;

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) media_type: Option<String>,
    pub(super) transfer_encoding: Option<String>,
    pub(super) disposition: Option<String>,
    pub(super) languages: Vec<String>,
    /// Content-Encoding, in the order in which they were applied, without `identity`.
    pub(super) encodings: Vec<String>,
}

impl Fields {
    /// Takes one more field.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        let only = if name.eq_ignore_ascii_case("Content-Type") {
            &mut self.media_type
        } else if name.eq_ignore_ascii_case("Content-Transfer-Encoding") {
            &mut self.transfer_encoding
        } else if name.eq_ignore_ascii_case("Content-Disposition") {
            &mut self.disposition
        } else if name.eq_ignore_ascii_case("Content-Encoding") {
            let encodings = split_outside(value, ',');
            let others = encodings.filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
            let room = MAX_ENCODINGS - self.encodings.len();
            self.encodings.extend(others.take(room).map(str::to_owned));
            return;
        } else {
            if name.eq_ignore_ascii_case("Content-Language") {
                let languages = split_outside(value, ',').filter(|tag| is_language(tag));
                let room = MAX_LANGUAGES - self.languages.len();
                self.languages
                    .extend(languages.take(room).map(str::to_owned));
            }
            return;
        };
        only.get_or_insert_with(|| value.trim().to_owned());
    }
}

/// The header of a part, which may be empty, and what comes behind the empty line.
pub(super) fn split(part: &[u8]) -> Result<(Fields, &[u8]), EntityError> {
    let mut fields = Fields::default();
    let mut rest = part;
    // A field may go on in the next line.
    let mut field = String::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = behind;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) && !field.is_empty() {
            field.push_str(line);
        } else {
            take_field(&mut fields, &take(&mut field))?;
            line.clone_into(&mut field);
        }
    }
    take_field(&mut fields, &field)?;
    Ok((fields, rest))
}

fn take_field(fields: &mut Fields, field: &str) -> Result<(), EntityError> {
    if field.is_empty() {
        return Ok(());
    }
    let (name, value) = field.split_once(':').ok_or(EntityError::Header)?;
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(EntityError::Header);
    }
    fields.take(name, value);
    Ok(())
}
