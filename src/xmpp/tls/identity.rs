// SPDX-License-Identifier: GPL-2.0-or-later
//! Our certificates, and which of them stands for which domain.
//!
//! In: files, domains. Out: the configuration of a handshake, and what the certificates say of themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::expiry::{days_left, unix};
use super::handshake::{Beginning, Either, Handshakes};
use super::key_pair::{KeyFiles, KeyPairError};
use super::names::{Names, a_labels};

/// All our certificates; at least one.
#[derive(Debug)]
pub struct Identities {
    first: Identity,
    others: Vec<Identity>,
    /// For a client that says by SNI whom it wants.
    by_sni: Either<ServerConfig>,
}

/// One of our certificates, ready to be presented.
#[derive(Debug)]
pub struct Identity {
    certificate: PathBuf,
    names: Names,
    not_after: UnixTime,
    key: Arc<CertifiedKey>,
    connecting: Either<ClientConfig>,
    accepting: Either<ServerConfig>,
}

impl Identities {
    /// Reads the files in their order. `None` if there are none.
    pub(super) fn load(
        files: &[KeyFiles],
        handshakes: &Handshakes,
    ) -> Result<Option<Self>, KeyPairError> {
        let mut identities = files
            .iter()
            .map(|files| Identity::load(files, handshakes))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let Some(first) = identities.next() else {
            return Ok(None);
        };
        let others: Vec<_> = identities.collect();
        let by_sni = BySni {
            first: Arc::clone(&first.key),
            named: std::iter::once(&first)
                .chain(&others)
                .map(|identity| (identity.names.clone(), Arc::clone(&identity.key)))
                .collect(),
        };
        Ok(Some(Self {
            by_sni: handshakes.accepting(Arc::new(by_sni)),
            first,
            others,
        }))
    }

    /// All of them, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The one that names a domain; one that does so by a wildcard only if no other does.
    #[must_use]
    pub fn naming(&self, domain: &str) -> Option<&Identity> {
        let domain = a_labels(domain)?;
        closest(self.iter().map(|own| (&own.names, own)), &domain)
    }

    /// The domains that no certificate names: peers will not accept ours for them.
    #[must_use]
    pub fn unnamed<'a>(&self, domains: &'a [String]) -> Vec<&'a str> {
        let domains = domains.iter().map(String::as_str);
        domains
            .filter(|domain| self.naming(domain).is_none())
            .collect()
    }

    /// For a connection that we open as one of our domains: its certificate, or the first.
    #[must_use]
    pub fn client_config(&self, domain: &str, beginning: Beginning) -> Arc<ClientConfig> {
        let identity = self.naming(domain).unwrap_or(&self.first);
        identity.connecting.of(beginning)
    }

    /// For a connection that comes: SNI chooses the certificate, or it is the first.
    #[must_use]
    pub fn server_config(&self, beginning: Beginning) -> Arc<ServerConfig> {
        self.by_sni.of(beginning)
    }

    /// For a stream whose header has named a domain of ours before TLS, whatever SNI says; without a
    /// certificate for it, SNI chooses.
    #[must_use]
    pub fn server_config_for(&self, domain: &str, beginning: Beginning) -> Arc<ServerConfig> {
        self.naming(domain)
            .map_or(&self.by_sni, |identity| &identity.accepting)
            .of(beginning)
    }
}

impl Identity {
    fn load(files: &KeyFiles, handshakes: &Handshakes) -> Result<Self, KeyPairError> {
        let key = Arc::new(files.load(handshakes.provider())?);
        let unreadable = || KeyPairError::Certificate(files.certificate.clone());
        let own = key.end_entity_cert().map_err(|_| unreadable())?;
        let (_, own) = X509Certificate::from_der(own).map_err(|_| unreadable())?;
        let single = Arc::new(SingleCertAndKey::from(Arc::clone(&key)));
        Ok(Self {
            certificate: files.certificate.clone(),
            names: Names::of(&own),
            not_after: unix(own.validity().not_after),
            connecting: handshakes.connecting(Arc::<SingleCertAndKey>::clone(&single)),
            accepting: handshakes.accepting(single),
            key,
        })
    }

    /// The file.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// What it names, in words.
    #[must_use]
    pub fn names(&self) -> String {
        self.names.to_string()
    }

    /// The chain that peers are shown, our own certificate first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// When it ends.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Whole days until it ends; negative when it has ended.
    #[must_use]
    pub fn days_left(&self, now: UnixTime) -> i64 {
        days_left(self.not_after, now)
    }

    /// Those of the domains that it names.
    #[must_use]
    pub fn covered<'a>(&self, domains: &'a [String]) -> Vec<&'a str> {
        let names = |domain: &str| self.names.fit(&a_labels(domain)?);
        let domains = domains.iter().map(String::as_str);
        domains.filter(|domain| names(domain).is_some()).collect()
    }
}

/// Chooses by the name that a client asks for.
#[derive(Debug)]
struct BySni {
    first: Arc<CertifiedKey>,
    named: Vec<(Names, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let domain = client.server_name().and_then(a_labels);
        let named = domain.and_then(|domain| {
            let named = self.named.iter().map(|(names, key)| (names, key));
            closest(named, &domain)
        });
        Some(Arc::clone(named.unwrap_or(&self.first)))
    }
}

/// The first of those that name a domain most closely.
fn closest<'a, T>(all: impl Iterator<Item = (&'a Names, T)>, domain: &str) -> Option<T> {
    let mut closest = None;
    for (names, value) in all {
        let fit = names.fit(domain);
        if fit > closest.as_ref().and_then(|(fit, _)| *fit) {
            closest = Some((fit, value));
        }
    }
    Some(closest?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Folder, Leaf, NOW, San};
    use crate::xmpp::tls::{CertificateFiles, Certificates};

    /// One certificate for each list of names.
    fn identities(each: &[&[San<'_>]]) -> Identities {
        let folder = Folder::new();
        let root = Authority::root("root");
        let own = each.iter().enumerate();
        let files = CertificateFiles {
            ca_list: Some(folder.write("ca", &root.pem())),
            own: own
                .map(|(n, names)| {
                    let issued = root.issue(Leaf::named(names));
                    issued.store(&folder, &n.to_string())
                })
                .collect(),
        };
        Certificates::load(&files).unwrap().identities
    }

    fn file(identity: Option<&Identity>) -> Option<String> {
        let name = identity?.certificate().file_stem()?;
        Some(name.to_string_lossy().into_owned())
    }

    #[test]
    fn the_closest_certificate_stands_for_a_domain() {
        let own = identities(&[
            &[San::Dns("a.example"), San::Srv("_xmpp-server.s.example")],
            &[San::Dns("*.a.example"), San::Dns("a.example")],
            &[San::Dns("x.a.example"), San::Dns("xn--bcher-kva.example")],
        ]);
        for (domain, expected) in [
            ("a.example", Some("0")),
            ("A.EXAMPLE", Some("0")),
            ("s.example", Some("0")),
            ("x.a.example", Some("2")),
            ("y.a.example", Some("1")),
            ("b\u{fc}cher.example", Some("2")),
            ("b.example", None),
            ("", None),
        ] {
            assert_eq!(file(own.naming(domain)).as_deref(), expected, "{domain}");
        }
    }

    #[test]
    fn domains_without_a_certificate_are_known() {
        let own = identities(&[
            &[San::Dns("a.example")],
            &[San::Dns("*.b.example"), San::Dns("a.example")],
        ]);
        let domains = ["a.example", "b.example", "x.b.example"].map(str::to_owned);
        assert_eq!(own.unnamed(&domains), ["b.example"]);
        let covered: Vec<_> = own.iter().map(|own| own.covered(&domains)).collect();
        assert_eq!(
            covered,
            [vec!["a.example"], vec!["a.example", "x.b.example"]]
        );
    }

    #[test]
    fn a_certificate_tells_its_end() {
        let own = identities(&[&[San::Dns("a.example")]]);
        // The first of February, seen in the morning of the fifteenth of January.
        assert_eq!(own.first.days_left(NOW), 16);
        assert_eq!(own.first.names(), "a.example");
        assert_eq!(own.first.not_after().as_secs(), 1_801_440_000);
    }
}
