// SPDX-License-Identifier: GPL-2.0-or-later
//! Bodies that SIP and MSRP carry, one format a room.

pub mod composing;
pub mod cpim;
pub mod dialog_info;
pub mod entity;
pub mod file_link;
pub mod html;
pub mod imdn;
mod language;
pub mod pidf;
mod shape;
pub mod text;
mod timestamp;
mod xml;

pub use language::is_language;
pub use shape::{Misshapen, Shape};
pub use timestamp::Timestamp;
pub use xml::is_xml_char;
