// SPDX-License-Identifier: GPL-2.0-or-later
//! What every engine must do, run over each of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use proptest::prelude::*;

use crate::address::{Aor, BareJid, Pair};
use crate::frame::{Flow, Protocol};
use crate::record::{
    AuthorizationRecord, AuthorizationState, Change, DialogId, DialogRecord, Direction, MessageId,
    MessageRecord, MessageRequest, MessageSender, Moment, Snapshot,
};
use crate::sip::Package;

use super::{Memory, Sqlite, Store};

/// A folder that goes away with its test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("stox-store-{}-{n}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join("stox.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How long something took.
#[expect(clippy::disallowed_methods, reason = "a measurement")]
pub(super) fn duration_of(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

pub(super) fn pair(n: u32) -> Pair {
    Pair::new(
        Aor::new(&format!("romeo{n}"), "sip.example").unwrap(),
        BareJid::new(&format!("juliet{n}@xmpp.example")).unwrap(),
    )
}

pub(super) fn authorization(n: u32) -> AuthorizationRecord {
    AuthorizationRecord {
        pair: pair(n),
        direction: if n.is_multiple_of(2) {
            Direction::ToXmpp
        } else {
            Direction::ToSip
        },
        state: match n % 4 {
            0 => AuthorizationState::Pending,
            1 => AuthorizationState::Granted,
            2 => AuthorizationState::Cancelled,
            _ => AuthorizationState::Refused,
        },
        since: Moment(1_800_000_000_000 + u64::from(n)),
        heard: Moment(1_800_000_000_001 + u64::from(n)),
    }
}

pub(super) fn dialog(n: u32) -> DialogRecord {
    DialogRecord {
        id: DialogId(u64::MAX - u64::from(n)),
        pair: pair(n),
        direction: Direction::ToSip,
        call_id: format!("call-{n}@sip.example"),
        local_tag: format!("tag-{n}"),
        remote_tag: (!n.is_multiple_of(3)).then(|| format!("remote-{n}")),
        event_id: n.is_multiple_of(5).then(|| n.to_string()),
        package: if n.is_multiple_of(7) {
            Package::Dialog
        } else {
            Package::Presence
        },
        local_uri: format!("sip:juliet{n}@xmpp.example"),
        remote_uri: format!("sip:romeo{n}@sip.example"),
        remote_target: format!("sip:romeo{n}@192.0.2.1:5062;transport=tcp"),
        route_set: vec!["<sip:192.0.2.7;lr>".to_owned(); usize::from(n.is_multiple_of(2))],
        flow: n.is_multiple_of(2).then(|| Flow {
            protocol: Protocol::Tcp,
            peer: "[2001:db8::1]:5062".parse().unwrap(),
            local: "192.0.2.7:5060".parse().unwrap(),
            connection: n,
        }),
        cseq_reserved: n.saturating_mul(64),
        remote_cseq: n,
        expires_at: Moment(u64::MAX - u64::from(n)),
        active: n.is_multiple_of(2),
        shown: vec!["balcony".to_owned(), "ö/ \u{1F339}".to_owned()],
    }
}

pub(super) fn message(n: u32) -> MessageRecord {
    MessageRecord {
        id: MessageId(u64::from(n)),
        pair: pair(n),
        since: Moment(1_800_000_000_000 + u64::from(n)),
        sender: (!n.is_multiple_of(3)).then(|| MessageSender {
            from: format!("juliet{n}@xmpp.example/ö \u{1F339}"),
            to: format!("romeo{n}@sip.example"),
            id: n.is_multiple_of(2).then(|| format!("id-{n}")),
            receipt: n.is_multiple_of(7),
        }),
        request: MessageRequest {
            to_uri: format!("sip:romeo{n}@sip.example"),
            from_uri: format!("sip:juliet{n}@xmpp.example;gr=x"),
            from_tag: format!("tag-{n}"),
            call_id: format!("thread-{n}"),
            headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
            body: vec![0, 0xff, b'\n'],
        },
        failure: n.is_multiple_of(5).then(|| "<error/>".to_owned()),
    }
}

/// Closes and opens the engine again, if that makes a difference to it.
type Reopen<S> = fn(S, &Folder) -> S;

fn memory(store: Memory, _: &Folder) -> Memory {
    store
}

fn sqlite(store: Sqlite, folder: &Folder) -> Sqlite {
    drop(store);
    Sqlite::open(&folder.database()).unwrap()
}

fn put_authorization(record: AuthorizationRecord) -> Change {
    Change::PutAuthorization(record)
}

fn put_message(record: MessageRecord) -> Change {
    Change::PutMessage(Box::new(record))
}

fn put_dialog(record: DialogRecord) -> Change {
    Change::PutDialog(Box::new(record))
}

fn conforms<S: Store>(mut store: S, reopen: Reopen<S>, folder: &Folder) {
    assert_eq!(
        store.load().unwrap(),
        Snapshot::default(),
        "a new store is empty"
    );
    store.commit(&[]).unwrap();

    // Put, out of order; user10 sorts before user9 as text too, and host before user in neither.
    let put: Vec<_> = [9, 1, 10, 3].into_iter().collect();
    let changes: Vec<_> = put
        .iter()
        .flat_map(|&n| {
            [
                put_authorization(authorization(n)),
                put_dialog(dialog(n)),
                put_message(message(n)),
            ]
        })
        .collect();
    store.commit(&changes).unwrap();
    let both_ways = AuthorizationRecord {
        direction: Direction::ToXmpp,
        ..authorization(1)
    };
    store
        .commit(&[put_authorization(both_ways.clone())])
        .unwrap();
    let mut store = reopen(store, folder);
    let kept = store.load().unwrap();
    assert_eq!(
        kept.authorizations,
        [
            both_ways,
            authorization(1),
            authorization(10),
            authorization(3),
            authorization(9)
        ],
        "in order of pair and direction"
    );
    assert_eq!(
        kept.dialogs,
        [dialog(10), dialog(9), dialog(3), dialog(1)],
        "in order of id"
    );
    assert_eq!(
        kept.messages,
        [message(1), message(3), message(9), message(10)],
        "in order of id"
    );

    // Replace.
    let granted = AuthorizationRecord {
        state: AuthorizationState::Granted,
        ..authorization(3)
    };
    let refreshed = DialogRecord {
        cseq_reserved: 77,
        active: true,
        ..dialog(3)
    };
    let failed = MessageRecord {
        failure: Some("<error type='wait'/>".to_owned()),
        ..message(9)
    };
    store
        .commit(&[
            put_authorization(granted.clone()),
            put_dialog(refreshed.clone()),
            put_message(failed.clone()),
        ])
        .unwrap();
    let mut store = reopen(store, folder);
    let kept = store.load().unwrap();
    assert_eq!((kept.authorizations.len(), kept.dialogs.len()), (5, 4));
    assert_eq!(kept.authorizations[3], granted);
    assert_eq!(kept.dialogs[2], refreshed);
    assert_eq!(kept.messages[2], failed);

    // Remove: what is there, what is not, and what the same set put.
    let remove = |n| {
        let AuthorizationRecord {
            pair, direction, ..
        } = authorization(n);
        Change::RemoveAuthorization { pair, direction }
    };
    store
        .commit(&[
            remove(3),
            remove(77),
            Change::RemoveDialog(dialog(3).id),
            Change::RemoveDialog(DialogId(7)),
            Change::RemoveMessage(MessageId(3)),
            Change::RemoveMessage(MessageId(77)),
            put_authorization(authorization(20)),
            remove(20),
            remove(1),
            put_authorization(authorization(1)),
        ])
        .unwrap();
    let kept = reopen(store, folder).load().unwrap();
    assert_eq!((kept.authorizations.len(), kept.dialogs.len()), (4, 3));
    assert!(
        kept.authorizations.contains(&authorization(1)),
        "in the order given"
    );
    assert!(!kept.authorizations.contains(&authorization(20)));
    assert_eq!(kept.messages, [message(1), failed, message(10)]);
}

#[test]
fn the_engines_conform() {
    let folder = Folder::new();
    conforms(Memory::default(), memory, &folder);
    conforms(Sqlite::open(&folder.database()).unwrap(), sqlite, &folder);
}

/// Addresses and values as odd as they can be.
fn any_change() -> impl Strategy<Value = Change> {
    let users = prop_oneof![
        "[a-c]".prop_map(|user| (user.clone(), user)),
        // SIP allows what a JID does not, and the other way round.
        ("[a-z'\" @%;é]{1,4}", "[a-zé]{1,4}"),
    ];
    let pair = users.prop_map(|(sip, xmpp)| {
        Pair::new(
            Aor::new(&sip, "sip.example").unwrap(),
            BareJid::new(&format!("{xmpp}@xmpp.example")).unwrap(),
        )
    });
    let direction = prop_oneof![Just(Direction::ToXmpp), Just(Direction::ToSip)];
    let number = prop_oneof![0_u64..4, any::<u64>()];
    let id = number.clone().prop_map(DialogId);
    prop_oneof![
        (pair.clone(), direction.clone(), 0_u32..4, any::<u64>()).prop_map(
            |(pair, direction, n, since)| Change::PutAuthorization(AuthorizationRecord {
                pair,
                direction,
                state: authorization(n).state,
                since: Moment(since),
                heard: Moment(since),
            })
        ),
        (pair.clone(), direction.clone())
            .prop_map(|(pair, direction)| Change::RemoveAuthorization { pair, direction }),
        (pair.clone(), any::<u64>()).prop_map(|(pair, at)| Change::Heard {
            pair,
            at: Moment(at),
        }),
        (number.clone(), pair.clone(), any::<u32>(), ".{0,9}").prop_map(|(id, pair, n, text)| {
            Change::PutMessage(Box::new(MessageRecord {
                id: MessageId(id),
                pair,
                failure: Some(text),
                ..message(n)
            }))
        }),
        number.prop_map(|id| Change::RemoveMessage(MessageId(id))),
        (id.clone(), pair, direction, any::<u32>(), ".{0,9}").prop_map(
            |(id, pair, direction, n, text)| Change::PutDialog(Box::new(DialogRecord {
                id,
                pair,
                direction,
                remote_target: text,
                ..dialog(n)
            }))
        ),
        id.prop_map(Change::RemoveDialog),
    ]
}

/// What must be kept, by the plainest means.
#[derive(Default)]
struct Model {
    authorizations: BTreeMap<(Pair, Direction), AuthorizationRecord>,
    dialogs: BTreeMap<DialogId, DialogRecord>,
    messages: BTreeMap<MessageId, MessageRecord>,
}

impl Model {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::PutAuthorization(a) => {
                self.authorizations
                    .insert((a.pair.clone(), a.direction), a.clone());
            }
            Change::RemoveAuthorization { pair, direction } => {
                self.authorizations.remove(&(pair.clone(), *direction));
            }
            Change::Heard { pair, at } => {
                if let Some(a) = self
                    .authorizations
                    .get_mut(&(pair.clone(), Direction::ToSip))
                {
                    a.heard = *at;
                }
            }
            Change::PutDialog(d) => {
                self.dialogs.insert(d.id, (**d).clone());
            }
            Change::RemoveDialog(id) => {
                self.dialogs.remove(id);
            }
            Change::PutMessage(m) => {
                self.messages.insert(m.id, (**m).clone());
            }
            Change::RemoveMessage(id) => {
                self.messages.remove(id);
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            authorizations: self.authorizations.values().cloned().collect(),
            dialogs: self.dialogs.values().cloned().collect(),
            messages: self.messages.values().cloned().collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_changes_are_kept(sets in prop::collection::vec(prop::collection::vec(any_change(), 0..8), 0..8)) {
        let folder = Folder::new();
        let mut model = Model::default();
        let mut memory = Memory::default();
        let mut sqlite = Sqlite::open(&folder.database()).unwrap();
        for set in &sets {
            set.iter().for_each(|change| model.apply(change));
            memory.commit(set).unwrap();
            sqlite.commit(set).unwrap();
        }
        drop(sqlite);
        prop_assert_eq!(memory.load().unwrap(), model.snapshot());
        let mut sqlite = Sqlite::open(&folder.database()).unwrap();
        prop_assert_eq!(sqlite.load().unwrap(), model.snapshot());
    }
}
