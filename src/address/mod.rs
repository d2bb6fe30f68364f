// SPDX-License-Identifier: GPL-2.0-or-later
//! Addresses of both worlds, and the way between them (RFC 7247 §6).
//!
//! In: text from a SIP header or a stanza. Out: an [`Aor`], a [`SipUri`] or a [`BareJid`], legal by
//! construction.

mod aor;
mod domain;
mod escape;
mod idn;
mod number;
mod precis;
mod uri;

pub use aor::{Aor, AorError, Pair, Users};
pub use domain::{AddressError, DomainMap, DomainMapError, DomainPattern};
pub(crate) use domain::{domain_name, resource_of_gr};
pub(crate) use idn::{to_a_labels, to_u_labels};
pub use jid::{BareJid, FullJid, Jid};
pub use number::{NumberPlan, NumberPlanError};
pub(crate) use precis::spelt_for_xmpp;
pub use uri::{Scheme, SipUri, UriError};
