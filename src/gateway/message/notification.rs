// SPDX-License-Identifier: GPL-2.0-or-later
//! What has become of a message, told to its sender on the other side (RFC 5438, XEP-0184, XEP-0333).

use crate::address::{Aor, Jid, Pair};
use crate::body::imdn::{Delivery, Display, Disposition, Imdn};
use crate::mapping::message::{Address, Asked, Receipt, notification, receipt_stanza};
use crate::record::{Direction, MessageRecord, Moment};
use crate::stanza::{Stanza, set_max_forwards};

use super::super::desk::Desk;
use super::Messages;
use super::request::{fits, message_request};

impl Messages {
    /// An XMPP client says what has become of a message from SIP; its sender is told if he asked for that.
    pub(super) fn receipt(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: Pair,
        from_uri: &str,
        receipt: &Receipt,
    ) {
        let Some(asked) = Asked::of(&receipt.id) else {
            return;
        };
        let disposition = match receipt.displayed {
            true if asked.display => Disposition::Display(Display::Displayed),
            false if asked.delivery => Disposition::Delivery(Delivery::Delivered),
            true | false => return,
        };
        self.notify_sip(desk, now, pair, from_uri, &asked, disposition);
    }

    /// An error came for a message from SIP that had been answered already; its sender is told if he asked for that.
    pub(super) fn failed_late(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        (sip, from): (Aor, &Jid),
        id: &str,
    ) {
        let Some(asked) = Asked::of(id).filter(|asked| asked.failure) else {
            return;
        };
        if let Ok(from_uri) = desk.config.gwmap.xmpp_agent_on_sip(from) {
            let pair = Pair::new(sip, from.to_bare());
            let failed = Disposition::Delivery(Delivery::Failed);
            self.notify_sip(desk, now, pair, &from_uri.to_string(), &asked, failed);
        }
    }

    fn notify_sip(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: Pair,
        from_uri: &str,
        asked: &Asked,
        disposition: Disposition,
    ) {
        if !self.to_sip.has_room(&pair) || desk.draw_message(now, Direction::ToSip, &pair).is_err()
        {
            desk.counters.receipts_dropped += 1;
            return;
        }
        let to_uri = pair.sip.to_string();
        let address = Address {
            from: from_uri,
            to: &to_uri,
        };
        let own_id = desk.identity.stanza("imdn");
        let content = notification(now, address, asked, disposition, &own_id);
        let request = message_request(desk, from_uri.to_owned(), to_uri, content);
        // The ids and addresses in it are of others' making, and may be of any length.
        if fits(desk, &request) {
            self.to_sip.put(desk, now, pair, request, None);
        } else {
            desk.counters.receipts_dropped += 1;
        }
    }

    /// SIP says what has become of a message from XMPP.
    pub(super) fn notify_xmpp(desk: &mut Desk, pair: &Pair, imdn: &Imdn, (from, to): (Jid, Jid)) {
        let link = desk.link_of(pair);
        let Some(mut stanza) = receipt_stanza(imdn) else {
            return;
        };
        if !desk.links.is_up(&link) {
            desk.counters.receipts_dropped += 1;
            return;
        }
        stanza.from = Some(from);
        stanza.to = Some(to);
        if let Some(hops) = desk.hops {
            set_max_forwards(&mut stanza.payloads, hops);
        }
        desk.stanza(link, Stanza::Message(stanza));
    }

    /// A message whose sender wanted to know that it has come was taken by an agent that could not be asked to say so:
    /// its 200 does (RFC 3428 §7); a 202 is somebody between.
    pub(super) fn receive(desk: &mut Desk, record: &MessageRecord) {
        let Some(sender) = record.sender.as_ref().filter(|sender| sender.receipt) else {
            return;
        };
        let (Some(id), Ok(from), Ok(to)) =
            (&sender.id, Jid::new(&sender.to), Jid::new(&sender.from))
        else {
            return;
        };
        let imdn = Imdn {
            message_id: id.clone(),
            datetime: None,
            recipient_uri: None,
            original_recipient_uri: None,
            subject: None,
            disposition: Disposition::Delivery(Delivery::Delivered),
        };
        Self::notify_xmpp(desk, &record.pair, &imdn, (from, to));
    }
}
