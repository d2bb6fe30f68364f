// SPDX-License-Identifier: GPL-2.0-or-later
//! Certificates of ours that end, or do not name what they should, said in the log in time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;

use crate::xmpp::tls::{Identities, Notice, due};

use super::hub::Hub;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// What was said of each certificate last: a new one in the same file is another.
#[derive(Debug, Default)]
pub(super) struct Validity(BTreeMap<(PathBuf, u64), Notice>);

impl Validity {
    /// What is to be said of certificates: the file, and the days that it has left.
    fn due(&mut self, identities: &Identities, now: UnixTime) -> Vec<(PathBuf, i64)> {
        let mut lines = Vec::new();
        let mut said = BTreeMap::new();
        for identity in identities.iter() {
            let file = identity.certificate().to_owned();
            let key = (file.clone(), identity.not_after().as_secs());
            let before = self.0.get(&key).copied();
            let notice = due(identity.not_after(), now, before);
            if notice.is_some() {
                lines.push((file, identity.days_left(now)));
            }
            said.extend(notice.or(before).map(|notice| (key, notice)));
        }
        self.0 = said;
        lines
    }
}

/// Looks at once and every hour until the gateway ends.
pub(super) async fn watch(hub: Arc<Hub>) {
    loop {
        look(&hub, UnixTime::now());
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = hub.stopped() => return,
        }
    }
}

/// Says what is to be said; at start and after a reload what is missing, too.
pub(super) fn look(hub: &Hub, now: UnixTime) {
    let certificates = hub.certificates.current();
    let lines = hub.validity().due(&certificates.identities, now);
    for (file, days) in lines {
        let file = file.display();
        if days < 0 {
            tracing::warn!("the certificate {file} has expired: other servers refuse it");
        } else {
            tracing::warn!(
                days,
                "the certificate {file} expires soon: renew it and call stox.reload"
            );
        }
    }
}

/// Says which of our domains no certificate names.
pub(super) fn name_the_unnamed(hub: &Hub) {
    let domains: Vec<_> = hub.config.s2s_domains().map(Cow::into_owned).collect();
    let certificates = hub.certificates.current();
    for domain in certificates.identities.unnamed(&domains) {
        tracing::warn!(
            domain,
            "no certificate names this domain: other servers take it by dialback at most"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Day, Folder, Leaf, NOW, San};
    use crate::xmpp::tls::{CertificateFiles, LiveCertificates};

    fn issue(folder: &Folder, root: &Authority, until: Day) -> CertificateFiles {
        let names = [San::Dns("a.example")];
        let leaf = Leaf {
            until,
            ..Leaf::named(&names)
        };
        CertificateFiles {
            ca_list: Some(folder.write("ca", &root.pem())),
            own: vec![root.issue(leaf).store(folder, "own")],
        }
    }

    #[test]
    fn each_certificate_is_warned_of_once_and_a_new_one_anew() {
        let folder = Folder::new();
        let root = Authority::root("root");
        // NOW is 15 January 2027.
        let live = LiveCertificates::load(issue(&folder, &root, (2027, 1, 20))).unwrap();
        let mut validity = Validity::default();
        let days = |validity: &mut Validity, later: u64| -> Vec<i64> {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW.as_secs() + later));
            let lines = validity.due(&live.current().identities, now);
            lines.into_iter().map(|(_, days)| days).collect()
        };
        assert_eq!(days(&mut validity, 0), [4]);
        assert_eq!(days(&mut validity, 3600), [] as [i64; 0]);
        assert_eq!(days(&mut validity, 4 * 86_400), [0]);
        assert_eq!(days(&mut validity, 6 * 86_400), [-2]);
        assert_eq!(days(&mut validity, 7 * 86_400), [] as [i64; 0]);

        issue(&folder, &root, (2027, 1, 30));
        live.reload().unwrap();
        assert_eq!(days(&mut validity, 0), [14]);
        issue(&folder, &root, (2028, 1, 30));
        live.reload().unwrap();
        assert_eq!(days(&mut validity, 0), [] as [i64; 0]);
    }
}
