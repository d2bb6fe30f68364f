// SPDX-License-Identifier: GPL-2.0-or-later
//! Dialogs that have settled, put into the store as the gateway itself would have.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use stox::address::{Aor, BareJid, Pair};
use stox::frame::{Flow, Protocol};
use stox::record::{
    AuthorizationRecord, AuthorizationState, Change, DialogId, DialogRecord, Direction, Moment,
};
use stox::sip::Package;
use stox::store::{Sqlite, Store};

use crate::mark::Mark;

/// The measurement that marks of dialogs from the store name.
pub(crate) const STORED: u64 = 1_000_000;

/// Dialogs in one transaction.
const SET: usize = 10_000;

/// How long a subscription of the gateway's lasts; they are spread over it.
const DURATION: u64 = 3_600_000;

/// Puts so many dialogs into an empty store, half of them of SIP users who watch from `phones`, half of XMPP
/// users.
pub(crate) fn store(
    path: &Path,
    dialogs: usize,
    phones: SocketAddr,
    kamailio: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    let mut store = Sqlite::open(path)?;
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut changes = Vec::new();
    for number in 0..dialogs / 2 {
        for direction in [Direction::ToXmpp, Direction::ToSip] {
            let mark = Mark {
                run: STORED,
                number,
            };
            // The last tenth of a subscription is not reached: it is refreshed before.
            let age = DURATION * 8 / 10 * u64::try_from(number)? / u64::try_from(dialogs)?;
            let expires_at = match direction {
                Direction::ToXmpp => Moment(now + DURATION),
                Direction::ToSip => Moment(now + DURATION - age),
            };
            let record = dialog(mark, direction, expires_at, phones, kamailio)?;
            changes.push(Change::PutAuthorization(AuthorizationRecord {
                pair: record.pair.clone(),
                direction,
                state: AuthorizationState::Granted,
                since: Moment(now),
                heard: Moment(now),
            }));
            changes.push(Change::PutDialog(Box::new(record)));
        }
        if changes.len() >= SET {
            store.commit(&std::mem::take(&mut changes))?;
        }
    }
    store.commit(&changes)?;
    Ok(())
}

/// The id of a dialog of a SIP watcher.
pub(crate) fn watcher_id(mark: Mark) -> DialogId {
    // Spread as if it were random.
    let number = u64::try_from(mark.number).unwrap_or(0);
    DialogId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn dialog(
    mark: Mark,
    direction: Direction,
    expires_at: Moment,
    phones: SocketAddr,
    kamailio: SocketAddr,
) -> Result<DialogRecord, Box<dyn Error>> {
    let sip = format!("sip:romeo{mark}@sip.example");
    let xmpp = format!("sip:juliet{mark}@xmpp.example");
    let pair = Pair::new(
        Aor::parse(&sip)?,
        BareJid::new(&format!("juliet{mark}@xmpp.example"))?,
    );
    let of_sip_watcher = direction == Direction::ToXmpp;
    let flow = Flow {
        protocol: Protocol::Udp,
        peer: phones,
        local: kamailio,
        connection: 0,
    };
    let id = watcher_id(mark);
    Ok(DialogRecord {
        id: if of_sip_watcher { id } else { DialogId(!id.0) },
        pair,
        direction,
        call_id: format!("{mark}@bench"),
        local_tag: format!("{:016x}", id.0.rotate_left(7)),
        remote_tag: Some(format!("f{mark}")),
        event_id: None,
        package: Package::Presence,
        local_uri: xmpp,
        remote_uri: sip,
        remote_target: format!("sip:romeo{mark}@{phones}"),
        route_set: Vec::new(),
        flow: of_sip_watcher.then_some(flow),
        cseq_reserved: 64,
        remote_cseq: 1,
        expires_at,
        active: true,
        shown: if of_sip_watcher {
            Vec::new()
        } else {
            vec!["phone".to_owned()]
        },
    })
}

/// A NOTIFY of a stored pair's SIP contact.
pub(crate) fn notify(
    mark: Mark,
    cseq: u32,
    body: &str,
    phones: SocketAddr,
    kamailio: SocketAddr,
) -> String {
    let id = watcher_id(mark);
    format!(
        "NOTIFY sip:stox-{:016x}@{kamailio} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {phones};branch=z9hG4bKn{mark}-{cseq};rport\r\n\
         From: <sip:romeo{mark}@sip.example>;tag=f{mark}\r\n\
         To: <sip:juliet{mark}@xmpp.example>;tag={:016x}\r\n\
         Call-ID: {mark}@bench\r\nCSeq: {cseq} NOTIFY\r\nMax-Forwards: 70\r\n\
         Contact: <sip:romeo{mark}@{phones}>\r\nEvent: presence\r\n\
         Subscription-State: active;expires=3600\r\nContent-Type: application/pidf+xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        !id.0,
        id.0.rotate_left(7),
        body.len()
    )
}

/// A refresh of the stored dialog of a SIP watcher.
pub(crate) fn refresh(mark: Mark, cseq: u32, phones: SocketAddr, kamailio: SocketAddr) -> String {
    let id = watcher_id(mark);
    format!(
        "SUBSCRIBE sip:stox-{:016x}@{kamailio} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {phones};branch=z9hG4bK{mark}-{cseq};rport\r\n\
         From: <sip:romeo{mark}@sip.example>;tag=f{mark}\r\n\
         To: <sip:juliet{mark}@xmpp.example>;tag={:016x}\r\n\
         Call-ID: {mark}@bench\r\nCSeq: {cseq} SUBSCRIBE\r\nMax-Forwards: 70\r\n\
         Contact: <sip:romeo{mark}@{phones}>\r\nEvent: presence\r\nExpires: 3600\r\n\
         Content-Length: 0\r\n\r\n",
        id.0,
        id.0.rotate_left(7)
    )
}
