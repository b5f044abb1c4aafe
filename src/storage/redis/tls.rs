//! TLS for connections, by rustls: always with the server's certificate checked.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{RedisOpenError, RedisOptions};

/// Makes encrypted streams for one engine.
#[derive(Clone)]
pub(super) struct Connector(Option<TlsConnector>);

impl Connector {
    /// Reads the certificates that the options ask for; none if nothing is to be encrypted.
    pub(super) fn new(options: &RedisOptions) -> Result<Self, RedisOpenError> {
        if !options.is_encrypted {
            return Ok(Self(None));
        }
        let failed = |problem: String| RedisOpenError::Tls { problem };
        let roots = options.tls_roots.load().map_err(failed)?;
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(TlsConnector::from(Arc::new(config)))))
    }

    /// The stream of a TCP connection to this host, encrypted; `None` if it is not to be.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<Result<TlsStream<TcpStream>, TcpStream>> {
        let Some(connector) = &self.0 else {
            return Ok(Err(stream));
        };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        connector.connect(name, stream).await.map(Ok)
    }
}
