// SPDX-License-Identifier: GPL-2.0-or-later
//! The CAs we trust, and what a peer's chain is worth by them (RFC 6120 §13.7.2, RFC 6125 §6).
//!
//! In: a file of CAs or the system's; a chain, the XMPP domain it shall prove, the time. Out: a verdict.
//! Revocation is not looked at.

use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId,
    KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer as _, X509Version};

use super::distrust::Distrust;
use super::expiry::{Date, unix};
use super::names::{Names, a_labels};
use super::pem::{self, PemError};
use super::portrait::issuer;

/// id-kp-serverAuth and id-kp-clientAuth (RFC 5280 §4.2.1.12), as they are encoded.
const SERVER: KeyPurposeId<'_> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
const CLIENT: KeyPurposeId<'_> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);

/// Whom we believe.
#[derive(Debug, Default)]
pub struct Trust {
    /// CAs, which may vouch for others.
    authorities: Vec<TrustAnchor<'static>>,
    /// All that is on the list: each is itself, if a peer presents it.
    listed: Vec<CertificateDer<'static>>,
}

/// Why there is nothing to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file is no use.
    #[error("the list of trusted CAs: {0}")]
    File(#[from] PemError),
    /// One of the file's certificates is none.
    #[error("certificate {place} of the trusted CAs in {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Which one, counted from 1.
        place: usize,
    },
    /// The system has none, where it was looked for.
    #[error("the system has no trusted CAs; install ca-certificates, or set ca_list")]
    NoneOnSystem,
}

impl Trust {
    /// Reads the CAs of a PEM file, or the system's.
    pub fn load(ca_list: Option<&Path>) -> Result<Self, TrustError> {
        ca_list.map_or_else(Self::of_system, Self::of_file)
    }

    fn of_file(path: &Path) -> Result<Self, TrustError> {
        let mut trust = Self::default();
        for (n, certificate) in pem::certificates(path)?.into_iter().enumerate() {
            trust.add(certificate).map_err(|_| TrustError::Unreadable {
                path: path.to_owned(),
                place: n + 1,
            })?;
        }
        Ok(trust)
    }

    fn of_system() -> Result<Self, TrustError> {
        let mut trust = Self::default();
        for certificate in rustls_native_certs::load_native_certs().certs {
            if let Err(fault) = trust.add(certificate) {
                tracing::debug!(%fault, "one of the system's CAs cannot be read");
            }
        }
        if trust.listed.is_empty() {
            return Err(TrustError::NoneOnSystem);
        }
        Ok(trust)
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), webpki::Error> {
        let anchor = anchor_from_trusted_cert(&certificate)?.to_owned();
        if may_issue(&certificate) {
            self.authorities.push(anchor);
        }
        self.listed.push(certificate);
        Ok(())
    }

    /// How many certificates are trusted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether no certificate is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Whether a chain, the peer's own certificate first, proves an XMPP domain at this time.
    ///
    /// A certificate for TLS servers serves when the peer is the client, too, and the other way round: public
    /// CAs issue for servers only.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        domain: &str,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let (own, above) = chain.split_first().ok_or(Distrust::NonePresented)?;
        let (_, certificate) = X509Certificate::from_der(own).map_err(|_| Distrust::Unreadable)?;
        let mut names = Names::of(&certificate);
        if self.listed.contains(own) {
            in_time(&certificate, now)?;
        } else if self.is_constrained(own, above, &certificate, now)? {
            names = names.constrained();
        }
        if a_labels(domain).is_some_and(|domain| names.fit(&domain).is_some()) {
            return Ok(());
        }
        Err(Distrust::WrongName {
            domain: domain.to_owned(),
            names: names.to_string(),
        })
    }

    /// Whether one of the CAs that vouch for a chain may do so for certain names only.
    fn is_constrained(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        certificate: &X509Certificate<'_>,
        now: UnixTime,
    ) -> Result<bool, Distrust> {
        let end = EndEntityCert::try_from(own).map_err(|_| Distrust::Unreadable)?;
        let path = end
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.authorities,
                above,
                now,
                ServerOrClient,
                None,
                None,
            )
            .map_err(|fault| distrust(&fault, certificate, above))?;
        let anchor = path.anchor().name_constraints.is_some();
        Ok(anchor || path.intermediate_certificates().any(has_constraints))
    }
}

/// The purposes that a server-to-server certificate may have; one without any may be used for all.
struct ServerOrClient;

impl ExtendedKeyUsageValidator for ServerOrClient {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut any = false;
        for purpose in purposes {
            let purpose = purpose?;
            if purpose == SERVER || purpose == CLIENT {
                return Ok(());
            }
            any = true;
        }
        if any {
            return Err(unsuitable());
        }
        Ok(())
    }
}

/// The verdict of webpki about a certificate that is for something else.
fn unsuitable() -> webpki::Error {
    webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
        required: KeyUsage::server_auth(),
        present: Vec::new(),
    })
}

fn has_constraints(authority: &webpki::Cert<'_>) -> bool {
    let der = authority.der();
    let Ok((_, authority)) = X509Certificate::from_der(&der) else {
        return true;
    };
    !matches!(authority.name_constraints(), Ok(None))
}

/// Whether a certificate on the list is a CA's. Version 1 cannot say so (RFC 5280 §4.2.1.9).
fn may_issue(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    certificate.version() == X509Version::V1 || certificate.is_ca()
}

fn in_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Distrust> {
    let validity = certificate.validity();
    let (not_before, not_after) = (unix(validity.not_before), unix(validity.not_after));
    if now < not_before {
        return Err(Distrust::NotYetValid {
            from: Date(not_before).to_string(),
        });
    }
    if now > not_after {
        return Err(Distrust::Expired {
            on: Date(not_after).to_string(),
        });
    }
    Ok(())
}

fn distrust(
    fault: &webpki::Error,
    own: &X509Certificate<'_>,
    above: &[CertificateDer<'_>],
) -> Distrust {
    use webpki::Error;

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "not our enum, and it may grow"
    )]
    match fault {
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => Distrust::Unreadable,
        Error::CertExpired { not_after, .. } => Distrust::Expired {
            on: Date(*not_after).to_string(),
        },
        Error::CertNotValidYet { not_before, .. } => Distrust::NotYetValid {
            from: Date(*not_before).to_string(),
        },
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            Distrust::UnsuitablePurpose
        }
        Error::CaUsedAsEndEntity | Error::UnknownIssuer if is_self_signed(own) => {
            Distrust::SelfSigned
        }
        Error::CaUsedAsEndEntity => Distrust::Authority,
        Error::UnknownIssuer => Distrust::UnknownIssuer {
            issuer: last_issuer(own, above),
        },
        Error::InvalidSignatureForPublicKey => Distrust::Forged,
        Error::EndEntityUsedAsCa => Distrust::NotByAuthority,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Distrust::Unsupported,
        Error::NameConstraintViolation => Distrust::OutsideConstraints,
        other => Distrust::Unacceptable(other.to_string()),
    }
}

fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Who issued the last certificate of the chain that begins with `own`, for an operator.
fn last_issuer(own: &X509Certificate<'_>, above: &[CertificateDer<'_>]) -> String {
    let above: Vec<_> = above
        .iter()
        .filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1))
        .collect();
    let mut last = own;
    // A chain that runs in a circle has no more steps than certificates.
    for _ in 0..above.len() {
        let next = above
            .iter()
            .find(|next| next.subject().as_raw() == last.issuer().as_raw());
        last = next.unwrap_or(last);
    }
    issuer(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Folder, Issued, Leaf, NOW, San};
    use crate::xmpp::tls::portrait::LONGEST_ISSUER;
    use rcgen::ExtendedKeyUsagePurpose as Purpose;
    use std::time::Duration;

    const A: &[San<'_>] = &[San::Dns("a.example")];

    fn trust(authorities: &[&Authority]) -> Trust {
        let folder = Folder::new();
        let list: String = authorities
            .iter()
            .map(|authority| authority.pem())
            .collect();
        Trust::load(Some(&folder.write("ca", &list))).unwrap()
    }

    fn verdict(trusted: &Authority, issued: &Issued) -> Result<(), Distrust> {
        trust(&[trusted]).judge(&issued.chain, "a.example", NOW)
    }

    #[test]
    fn any_of_the_three_kinds_of_names_proves_a_domain() {
        let root = Authority::root("root");
        for name in [
            San::Dns("a.example"),
            San::Srv("_xmpp-server.a.example"),
            San::Xmpp("a.example"),
        ] {
            let issued = root.issue(Leaf::named(&[name]));
            let trust = trust(&[&root]);
            assert_eq!(trust.judge(&issued.chain, "a.example", NOW), Ok(()));
            assert_eq!(trust.judge(&issued.chain, "A.Example", NOW), Ok(()));
            assert!(matches!(
                trust.judge(&issued.chain, "b.example", NOW),
                Err(Distrust::WrongName { .. })
            ));
            assert!(matches!(
                trust.judge(&issued.chain, "", NOW),
                Err(Distrust::WrongName { .. })
            ));
        }
    }

    #[test]
    fn a_wildcard_and_a_foreign_script_prove_a_domain() {
        let root = Authority::root("root");
        let names = [San::Dns("*.a.example"), San::Dns("xn--bcher-kva.example")];
        let chain = root.issue(Leaf::named(&names)).chain;
        let trust = trust(&[&root]);
        for domain in [
            "x.a.example",
            "b\u{fc}cher.example",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(trust.judge(&chain, domain, NOW), Ok(()), "{domain}");
        }
        assert_eq!(
            trust.judge(&chain, "a.example", NOW),
            Err(Distrust::WrongName {
                domain: "a.example".to_owned(),
                names: "*.a.example, xn--bcher-kva.example".to_owned(),
            })
        );
    }

    #[test]
    fn a_certificate_for_servers_serves_clients_too_and_the_other_way_round() {
        let root = Authority::root("root");
        let issued = |purposes: &[Purpose]| {
            root.issue(Leaf {
                purposes,
                ..Leaf::named(A)
            })
        };
        for purposes in [
            &[][..],
            &[Purpose::ServerAuth],
            &[Purpose::ClientAuth],
            &[Purpose::CodeSigning, Purpose::ClientAuth],
        ] {
            assert_eq!(verdict(&root, &issued(purposes)), Ok(()), "{purposes:?}");
        }
        assert_eq!(
            verdict(&root, &issued(&[Purpose::CodeSigning])),
            Err(Distrust::UnsuitablePurpose)
        );
    }

    #[test]
    fn a_certificate_has_its_time() {
        let root = Authority::root("root");
        let expired = root.issue(Leaf {
            from: (2026, 1, 1),
            until: (2027, 1, 14),
            ..Leaf::named(A)
        });
        let early = root.issue(Leaf {
            from: (2027, 1, 16),
            until: (2028, 1, 1),
            ..Leaf::named(A)
        });
        assert_eq!(
            verdict(&root, &expired),
            Err(Distrust::Expired {
                on: "2027-01-14".to_owned()
            })
        );
        assert_eq!(
            verdict(&root, &early),
            Err(Distrust::NotYetValid {
                from: "2027-01-16".to_owned()
            })
        );
    }

    #[test]
    fn nobody_vouches_for_himself() {
        let root = Authority::root("root");
        assert_eq!(
            verdict(&root, &Leaf::named(A).self_signed()),
            Err(Distrust::SelfSigned)
        );
        assert_eq!(
            verdict(&root, &Authority::root("other").itself()),
            Err(Distrust::SelfSigned)
        );
        assert_eq!(
            verdict(&root, &root.intermediate("between").itself()),
            Err(Distrust::Authority)
        );
    }

    #[test]
    fn a_server_on_the_list_is_itself_and_vouches_for_nobody() {
        let listed = |issued: &Issued| {
            let folder = Folder::new();
            Trust::load(Some(&issued.store(&folder, "own").certificate)).unwrap()
        };
        let own = Leaf::named(A).self_signed();
        let by_list = listed(&own);
        assert_eq!(by_list.judge(&own.chain, "a.example", NOW), Ok(()));
        assert!(matches!(
            by_list.judge(&own.chain, "b.example", NOW),
            Err(Distrust::WrongName { .. })
        ));
        let late = UnixTime::since_unix_epoch(Duration::from_secs(NOW.as_secs() + 5_000_000));
        assert!(matches!(
            by_list.judge(&own.chain, "a.example", late),
            Err(Distrust::Expired { .. })
        ));
        let early = UnixTime::since_unix_epoch(Duration::from_secs(NOW.as_secs() - 5_000_000));
        assert!(matches!(
            by_list.judge(&own.chain, "a.example", early),
            Err(Distrust::NotYetValid { .. })
        ));

        let server = Authority::root("root").usurper(&Leaf::named(A));
        let by_list = listed(&server.itself());
        let other = server.issue(Leaf::named(A));
        assert_eq!(
            by_list.judge(&server.itself().chain, "a.example", NOW),
            Ok(())
        );
        assert!(by_list.judge(&other.chain, "a.example", NOW).is_err());
    }

    #[test]
    fn the_right_name_of_a_wrong_authority_proves_nothing() {
        let root = Authority::root("root");
        let other = Authority::root("other");
        assert_eq!(
            verdict(&root, &other.issue(Leaf::named(A))),
            Err(Distrust::UnknownIssuer {
                issuer: "CN=other".to_owned()
            })
        );
        // Another authority that calls itself the same.
        let double = Authority::root("root");
        assert_eq!(
            verdict(&root, &double.issue(Leaf::named(A))),
            Err(Distrust::Forged)
        );
        assert!(
            trust(&[&other, &root])
                .judge(&root.issue(Leaf::named(A)).chain, "a.example", NOW)
                .is_ok()
        );
    }

    #[test]
    fn a_chain_is_presented_whole() {
        let root = Authority::root("root");
        let issued = root
            .intermediate("upper")
            .intermediate("lower")
            .issue(Leaf::named(A));
        assert_eq!(verdict(&root, &issued), Ok(()));

        let trust = trust(&[&root]);
        let [own, lower, upper] = issued.chain.as_slice() else {
            panic!("{} certificates", issued.chain.len());
        };
        for (chain, issuer) in [
            (vec![own.clone()], "CN=lower"),
            (vec![own.clone(), lower.clone()], "CN=upper"),
            (vec![own.clone(), upper.clone()], "CN=lower"),
        ] {
            assert_eq!(
                trust.judge(&chain, "a.example", NOW),
                Err(Distrust::UnknownIssuer {
                    issuer: issuer.to_owned()
                })
            );
        }
        // In any order but for the first, as many servers have it.
        let chain = [own.clone(), upper.clone(), lower.clone()];
        assert_eq!(trust.judge(&chain, "a.example", NOW), Ok(()));
    }

    #[test]
    fn a_server_does_not_issue_certificates() {
        let root = Authority::root("root");
        let server = root.usurper(&Leaf::named(&[San::Dns("b.example")]));
        assert_eq!(
            verdict(&root, &server.issue(Leaf::named(A))),
            Err(Distrust::NotByAuthority)
        );
    }

    #[test]
    fn an_authority_for_some_names_vouches_for_no_others() {
        let root = Authority::root("root");
        let limited = root.constrained("limited", "a.example");
        let issued = |names: &[San<'_>]| limited.issue(Leaf::named(names));
        assert_eq!(verdict(&root, &issued(A)), Ok(()));
        assert_eq!(
            verdict(&root, &issued(&[San::Dns("b.example")])),
            Err(Distrust::OutsideConstraints)
        );
        // What its constraints do not speak of, it may not vouch for either.
        for name in [San::Srv("_xmpp-server.b.example"), San::Xmpp("b.example")] {
            assert_eq!(
                trust(&[&root]).judge(&issued(&[name]).chain, "b.example", NOW),
                Err(Distrust::WrongName {
                    domain: "b.example".to_owned(),
                    names: "no XMPP server".to_owned()
                })
            );
        }
    }

    #[test]
    fn what_is_no_chain_proves_nothing() {
        let root = Authority::root("root");
        let trust = trust(&[&root]);
        assert_eq!(
            trust.judge(&[], "a.example", NOW),
            Err(Distrust::NonePresented)
        );
        let rubbish = CertificateDer::from(b"rubbish".to_vec());
        assert_eq!(
            trust.judge(std::slice::from_ref(&rubbish), "a.example", NOW),
            Err(Distrust::Unreadable)
        );
        let chain = root.issue(Leaf::named(A)).chain;
        let mut with_rubbish = chain.clone();
        with_rubbish.push(rubbish);
        assert_eq!(trust.judge(&with_rubbish, "a.example", NOW), Ok(()));

        // Every byte changed, one at a time.
        for at in 0..chain[0].len() {
            let mut bytes = chain[0].to_vec();
            bytes[at] ^= 0x10;
            let verdict = trust.judge(&[CertificateDer::from(bytes)], "a.example", NOW);
            assert!(verdict.is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_list_of_authorities_that_is_none_is_named() {
        let folder = Folder::new();
        let fault = |text: &str| {
            let path = folder.write("ca.pem", text);
            let fault = Trust::load(Some(&path)).unwrap_err().to_string();
            fault.replace(&*path.to_string_lossy(), "FILE")
        };
        assert_eq!(
            fault(""),
            "the list of trusted CAs: FILE holds no certificate in PEM form"
        );
        assert_eq!(
            fault("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "certificate 1 of the trusted CAs in FILE cannot be read"
        );
        assert!(fault("-----BEGIN CERTIFICATE-----\nAAAA\n").contains("FILE is damaged"));
        let missing = Trust::load(Some(&folder.path("none"))).unwrap_err();
        assert!(missing.to_string().ends_with("none does not exist"));
        let folder_itself = Trust::load(Some(folder.as_ref())).unwrap_err();
        assert!(folder_itself.to_string().contains("cannot be read"));
    }

    #[test]
    fn certificates_of_another_maker_are_read_alike() {
        let vector = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/certificates");
            folder.join(name).with_extension("pem")
        };
        let trust = Trust::load(Some(&vector("ca"))).unwrap();
        for (name, domain, proves) in [
            ("dns", "dns.example", true),
            ("dns", "x.dns.example", true),
            ("dns", "common.example", false),
            ("srv", "srv.example", true),
            ("srv", "common.example", false),
            ("xmpp", "xmpp.example", true),
            ("xmpp", "common.example", false),
            ("all", "all.example", true),
            ("all", "b\u{fc}cher.example", true),
            ("all", "192.0.2.1", false),
            ("all", "common.example", false),
        ] {
            let chain = pem::certificates(&vector(name)).unwrap();
            let verdict = trust.judge(&chain, domain, NOW);
            assert_eq!(verdict.is_ok(), proves, "{name} for {domain}: {verdict:?}");
        }
    }

    #[test]
    fn a_line_for_the_operator_has_no_room_for_tricks() {
        let root = Authority::root("root");
        let long = format!("line\nfeed {}", "x".repeat(500));
        let Err(Distrust::UnknownIssuer { issuer }) =
            verdict(&root, &Authority::root(&long).issue(Leaf::named(A)))
        else {
            panic!("not an unknown issuer");
        };
        assert!(issuer.starts_with("CN=line?feed xxx"), "{issuer}");
        assert_eq!(issuer.chars().count(), LONGEST_ISSUER);
    }
}
