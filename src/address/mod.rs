// SPDX-License-Identifier: GPL-2.0-or-later
//! Addresses of both worlds, and the way between them (RFC 7247 §6).
//!
//! In: text from a SIP header or a stanza. Out: an [`Aor`], a [`SipUri`] or a [`BareJid`], legal by
//! construction.

mod aor;
mod domain;
mod escape;
mod number;
mod uri;

pub use aor::{Aor, AorError, Pair, Users};
pub(crate) use domain::domain_name;
pub use domain::{AddressError, DomainMap, DomainMapError, DomainPattern};
pub use jid::{BareJid, FullJid, Jid};
pub use number::{NumberPlan, NumberPlanError};
pub use uri::{Scheme, SipUri, UriError};
