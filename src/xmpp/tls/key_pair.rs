// SPDX-License-Identifier: GPL-2.0-or-later
//! One of our certificates with its private key.
//!
//! In: two PEM files. Out: a chain and a key that belong together, or the fault in words for the operator.

use std::path::PathBuf;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::pem::{self, PemError};

/// Where a certificate and its key are. They may be the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// PEM: our own certificate first, then those between it and the CA.
    pub certificate: PathBuf,
    /// PEM: the key of the first.
    pub private_key: PathBuf,
}

/// Why a certificate cannot be presented.
#[derive(Debug, thiserror::Error)]
pub enum KeyPairError {
    /// One of the files is no use.
    #[error(transparent)]
    File(#[from] PemError),
    /// The first certificate of the file is none.
    #[error("the first certificate in {} cannot be read", .0.display())]
    Certificate(PathBuf),
    /// It may be a key, but none that TLS can use here.
    #[error(
        "the private key in {} is damaged or of a kind that is not supported (RSA from 2048 bits, ECDSA P-256 \
         and P-384, and Ed25519 are)",
        .0.display()
    )]
    Key(PathBuf),
    /// Each is fine, but they do not belong together.
    #[error(
        "the private key in {} does not belong to the first certificate in {}",
        .0.private_key.display(),
        .0.certificate.display()
    )]
    Mismatch(KeyFiles),
}

impl KeyFiles {
    /// Reads both.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, KeyPairError> {
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::private_key(&self.private_key)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| KeyPairError::Key(self.private_key.clone()))?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
            Err(Error::InconsistentKeys(_)) => Err(KeyPairError::Mismatch(self.clone())),
            Err(_) => Err(KeyPairError::Certificate(self.certificate.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::tls::authority::{Authority, Folder, Leaf, San};
    use rustls::crypto::ring;
    use std::path::Path;

    /// The fault of a certificate and a key with the given texts, without the folder's name.
    fn fault(folder: &Folder, certificate: &str, key: &str) -> String {
        let files = KeyFiles {
            certificate: folder.write("own.crt", certificate),
            private_key: folder.write("own.key", key),
        };
        words(folder, &files)
    }

    fn words(folder: &Folder, files: &KeyFiles) -> String {
        let place: &Path = folder.as_ref();
        let fault = files.load(&ring::default_provider()).unwrap_err();
        fault.to_string().replace(&*place.to_string_lossy(), "")
    }

    #[test]
    fn a_fault_is_told_with_its_file() {
        let folder = Folder::new();
        let root = Authority::root("root");
        let issued = root.issue(Leaf::named(&[San::Dns("a.example")]));
        let good = issued.store(&folder, "good");
        let certificate = std::fs::read_to_string(&good.certificate).unwrap();
        let key = issued.key.serialize_pem();
        assert!(good.load(&ring::default_provider()).is_ok());

        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let rubbish = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, expected) in [
            (
                "",
                key.as_str(),
                "/own.crt holds no certificate in PEM form",
            ),
            (
                key.as_str(),
                &key,
                "/own.crt holds no certificate in PEM form",
            ),
            (
                certificate.as_str(),
                "",
                "/own.key holds no private key in PEM form",
            ),
            (
                &certificate,
                &certificate,
                "/own.key holds no private key in PEM form",
            ),
            (
                &certificate,
                &other,
                "the private key in /own.key does not belong to the first certificate in /own.crt",
            ),
            (
                &certificate,
                encrypted,
                "the private key in /own.key is protected by a passphrase; store it without",
            ),
            (
                no_certificate,
                &key,
                "the first certificate in /own.crt cannot be read",
            ),
        ] {
            assert_eq!(fault(&folder, certificate, key), expected);
        }
        assert!(fault(&folder, &certificate, rubbish).contains("/own.key is damaged or of a kind"));
        let cut = certificate.split_at(certificate.len() / 2).0;
        assert!(fault(&folder, cut, &key).contains("/own.crt is damaged"));
        let missing = KeyFiles {
            private_key: folder.path("none.key"),
            ..good
        };
        assert_eq!(words(&folder, &missing), "/none.key does not exist");
    }

    #[test]
    fn both_may_be_one_file() {
        let folder = Folder::new();
        let issued = Authority::root("root").issue(Leaf::named(&[San::Dns("a.example")]));
        let apart = issued.store(&folder, "apart");
        let certificate = std::fs::read_to_string(&apart.certificate).unwrap();
        let path = folder.write(
            "both",
            &format!("{}{certificate}", issued.key.serialize_pem()),
        );
        let both = KeyFiles {
            certificate: path.clone(),
            private_key: path,
        };
        assert!(both.load(&ring::default_provider()).is_ok());
    }
}
