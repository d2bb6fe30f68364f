// SPDX-License-Identifier: GPL-2.0-or-later
//! The certificates in use, and their reload.
//!
//! In: the files an operator named. Out: ours and the trusted CAs as of the last good reading. A stream keeps
//! what it began with.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;

use super::handshake::Handshakes;
use super::identity::Identities;
use super::key_pair::{KeyFiles, KeyPairError};
use super::trust::{Trust, TrustError};

/// Where the certificates are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the CAs to trust; the system's if there is none.
    pub ca_list: Option<PathBuf>,
    /// Ours; the first is for those who ask for no domain of ours.
    pub own: Vec<KeyFiles>,
}

/// What one reading of the files gave.
#[derive(Debug)]
pub struct Certificates {
    /// The CAs we trust.
    pub trust: Trust,
    /// Ours.
    pub identities: Identities,
}

/// The certificates in use.
#[derive(Debug)]
pub struct LiveCertificates {
    files: CertificateFiles,
    current: RwLock<Arc<Certificates>>,
}

/// Why the files are not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No file is named.
    #[error("no certificate is configured, and server-to-server links need one")]
    NoCertificate,
    /// One of ours.
    #[error(transparent)]
    Own(#[from] KeyPairError),
    /// The CAs.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The TLS library has nothing to offer.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Certificates {
    /// Reads the files.
    pub fn load(files: &CertificateFiles) -> Result<Self, LoadError> {
        let handshakes = Handshakes::new(Arc::new(ring::default_provider()))?;
        let identities =
            Identities::load(&files.own, &handshakes)?.ok_or(LoadError::NoCertificate)?;
        let trust = Trust::load(files.ca_list.as_deref())?;
        Ok(Self { trust, identities })
    }
}

impl LiveCertificates {
    /// Reads the files for the first time.
    pub fn load(files: CertificateFiles) -> Result<Self, LoadError> {
        let current = RwLock::new(Arc::new(Certificates::load(&files)?));
        Ok(Self { files, current })
    }

    /// Those of the last good reading.
    #[must_use]
    pub fn current(&self) -> Arc<Certificates> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files anew. If any of them is bad, all stays as it was.
    pub fn reload(&self) -> Result<(), LoadError> {
        let read = Arc::new(Certificates::load(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }
}
