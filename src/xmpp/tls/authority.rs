// SPDX-License-Identifier: GPL-2.0-or-later
//! A CA for tests, the certificates it issues, and a folder to put them in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, NameConstraints, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::key_pair::KeyFiles;

/// 15 January 2027.
pub(in crate::xmpp) const NOW: UnixTime =
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));

/// The day of a [`Leaf`].
pub(in crate::xmpp) type Day = (i32, u8, u8);

/// Somebody who issues certificates.
pub(in crate::xmpp) struct Authority {
    params: CertificateParams,
    certificate: Certificate,
    key: KeyPair,
    /// Those between this one and the root.
    above: Vec<CertificateDer<'static>>,
}

/// What shall stand in a certificate.
#[derive(Clone)]
pub(in crate::xmpp) struct Leaf<'a> {
    pub(in crate::xmpp) common_name: &'a str,
    pub(in crate::xmpp) names: &'a [San<'a>],
    pub(in crate::xmpp) from: Day,
    pub(in crate::xmpp) until: Day,
    pub(in crate::xmpp) purposes: &'a [ExtendedKeyUsagePurpose],
}

/// An entry of the subjectAltName.
#[derive(Debug, Clone, Copy)]
pub(in crate::xmpp) enum San<'a> {
    Dns(&'a str),
    Srv(&'a str),
    Xmpp(&'a str),
}

/// A certificate with its key and those above it, but for the root.
pub(in crate::xmpp) struct Issued {
    pub(in crate::xmpp) chain: Vec<CertificateDer<'static>>,
    pub(in crate::xmpp) key: KeyPair,
}

/// A folder of files, gone in the end.
pub(in crate::xmpp) struct Folder(PathBuf);

impl Authority {
    pub(in crate::xmpp) fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        Self {
            certificate: params.self_signed(&key).unwrap(),
            params,
            key,
            above: Vec::new(),
        }
    }

    pub(in crate::xmpp) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_of(authority(name))
    }

    /// One that may issue for names below `domain` only.
    pub(in crate::xmpp) fn constrained(&self, name: &str, domain: &str) -> Self {
        let mut params = authority(name);
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())],
            excluded_subtrees: Vec::new(),
        });
        self.intermediate_of(params)
    }

    /// A server that issues certificates as if it were an authority.
    pub(in crate::xmpp) fn usurper(&self, leaf: &Leaf<'_>) -> Self {
        self.intermediate_of(leaf.params())
    }

    fn intermediate_of(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        let mut above = vec![certificate.der().clone()];
        above.extend(self.above.iter().cloned());
        Self {
            params,
            certificate,
            key,
            above,
        }
    }

    pub(in crate::xmpp) fn issue(&self, leaf: Leaf<'_>) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.params().signed_by(&key, &self.issuer()).unwrap();
        let mut chain = vec![certificate.der().clone()];
        chain.extend(self.above.iter().cloned());
        Issued { chain, key }
    }

    /// The certificate of the authority itself.
    pub(in crate::xmpp) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The authority's own certificate and key, presented as if they were a server's.
    pub(in crate::xmpp) fn itself(&self) -> Issued {
        Issued {
            chain: vec![self.certificate.der().clone()],
            key: KeyPair::from_pem(&self.key.serialize_pem()).unwrap(),
        }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

impl<'a> Leaf<'a> {
    /// Good for anything, now.
    pub(in crate::xmpp) fn named(names: &'a [San<'a>]) -> Self {
        Self {
            common_name: "leaf",
            names,
            from: (2027, 1, 1),
            until: (2027, 2, 1),
            purposes: &[],
        }
    }

    pub(in crate::xmpp) fn self_signed(self) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params().self_signed(&key).unwrap();
        Issued {
            chain: vec![certificate.der().clone()],
            key,
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(self.common_name);
        params.not_before = date_time_ymd(self.from.0, self.from.1, self.from.2);
        params.not_after = date_time_ymd(self.until.0, self.until.1, self.until.2);
        params.extended_key_usages = self.purposes.to_vec();
        // rcgen writes no SRVName: the extension is written here.
        if !self.names.is_empty() {
            let names: Vec<u8> = self.names.iter().flat_map(San::encoded).collect();
            let content = encoded(0x30, &names);
            let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
            params.custom_extensions.push(extension);
        }
        params
    }
}

impl San<'_> {
    fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Dns(name) => encoded(0x82, name.as_bytes()),
            Self::Srv(name) => other(7, &encoded(0x16, name.as_bytes())),
            Self::Xmpp(name) => other(5, &encoded(0x0c, name.as_bytes())),
        }
    }
}

/// An otherName of the arc id-on.
fn other(id: u8, value: &[u8]) -> Vec<u8> {
    let mut content = encoded(0x06, &[0x2b, 6, 1, 5, 5, 7, 8, id]);
    content.extend(encoded(0xa0, value));
    encoded(0xa0, &content)
}

/// Tag, length and content of DER.
fn encoded(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(length) if length < 0x80 => der.push(length),
        Ok(length) => der.extend([0x81, length]),
        Err(_) => {
            der.push(0x82);
            der.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    der.extend(content);
    der
}

impl Issued {
    pub(in crate::xmpp) fn parsed(&self) -> X509Certificate<'_> {
        X509Certificate::from_der(&self.chain[0]).unwrap().1
    }

    /// Writes both files.
    pub(in crate::xmpp) fn store(&self, folder: &Folder, name: &str) -> KeyFiles {
        let chain: String = self.chain.iter().map(|der| pem(der)).collect();
        KeyFiles {
            certificate: folder.write(&format!("{name}.crt"), &chain),
            private_key: folder.write(&format!("{name}.key"), &self.key.serialize_pem()),
        }
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;

    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

impl Folder {
    pub(in crate::xmpp) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let n = LAST.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("stox-tls-{}-{n}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(in crate::xmpp) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(in crate::xmpp) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
