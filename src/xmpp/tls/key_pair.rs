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
