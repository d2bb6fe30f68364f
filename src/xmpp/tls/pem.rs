// SPDX-License-Identifier: GPL-2.0-or-later
//! PEM files. In: a path. Out: what stands there, or the fault in words for the operator.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a file is no use.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// The user that the process runs as may not read it.
    #[error("{} may not be read by the user that Kamailio runs as", .0.display())]
    Forbidden(PathBuf),
    /// It is there, but cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What stands in it is no PEM.
    #[error("{} is damaged: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: pem::Error,
    },
    /// No certificate stands in it.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// No private key stands in it.
    #[error("{} holds no private key in PEM form", .0.display())]
    NoKey(PathBuf),
    /// The key cannot be used without a passphrase.
    #[error(
        "the private key in {} is protected by a passphrase; store it without",
        .0.display()
    )]
    Encrypted(PathBuf),
}

/// Every certificate of a file, in its order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|fault| damaged(path, fault))?;
    if certificates.is_empty() {
        return Err(PemError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

/// The first private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = read(path)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if is_encrypted(&text) => {
            Err(PemError::Encrypted(path.to_owned()))
        }
        Err(pem::Error::NoItemsFound) => Err(PemError::NoKey(path.to_owned())),
        Err(fault) => Err(damaged(path, fault)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    std::fs::read(path).map_err(|source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            PemError::Missing(path)
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            PemError::Forbidden(path)
        } else {
            PemError::Unreadable { path, source }
        }
    })
}

fn damaged(path: &Path, fault: pem::Error) -> PemError {
    PemError::Damaged {
        path: path.to_owned(),
        fault,
    }
}

/// Whether a key stands there in a form that needs a passphrase (RFC 7468 §11, and what is older).
fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}
