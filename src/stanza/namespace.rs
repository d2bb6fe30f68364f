// SPDX-License-Identifier: GPL-2.0-or-later
//! Namespaces that `xmpp-parsers` has no element for, or only a part of the elements.

/// XEP-0333: Displayed Markers, in the version with `<markable/>`.
pub const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";

/// XEP-0334: Message Processing Hints.
pub const HINTS: &str = "urn:xmpp:hints";

/// XEP-0066: Out of Band Data.
pub const OOB: &str = "jabber:x:oob";

/// XEP-0444: Message Reactions.
pub const REACTIONS: &str = "urn:xmpp:reactions:0";

/// XEP-0424: Message Retraction.
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
