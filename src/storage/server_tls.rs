//! What TLS to any server has in common: whom to trust with certificates. It opens no connection.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Whom to trust with certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsRoots {
    /// Whom the operating system trusts.
    System,
    /// The certificates in this file, in PEM.
    File(PathBuf),
}

impl TlsRoots {
    /// Reads the certificates; what is wrong if there are none.
    pub(super) fn load(&self) -> Result<RootCertStore, String> {
        let (certificates, place) = match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let place = "the operating system's certificates".to_owned();
                (found.certs, place)
            }
            Self::File(path) => {
                let place = format!("the certificates in {path:?}");
                let certificates = CertificateDer::pem_file_iter(path)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|error| format!("cannot read {place}: {error}"))?;
                (certificates, place)
            }
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        if store.is_empty() {
            return Err(format!("there are none among {place} that can be trusted"));
        }
        Ok(store)
    }
}
