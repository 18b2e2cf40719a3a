//! TLS as every outgoing connection uses it: rustls with aws-lc and the system's certificate
//! authorities.
//!
//! No session is resumed: a resumed handshake skips the certificate and half of the work, so two
//! probes over new connections would not measure the same thing.
//!
//! The system's authorities are read once (`SSL_CERT_FILE` stands in for them, as everywhere) and
//! shared by all clients. Where there are none (a container without certificates), a client can
//! still be built, and every certificate is refused.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::ClientError;
use crate::model::TlsSettings;

/// Pays aws-lc's first random number, some 40 ms, at the start and not inside the first probe.
pub fn warm_up() {
    let mut bytes = [0; 32];
    let filled = provider().secure_random.fill(&mut bytes);
    assert!(filled.is_ok(), "the system has random numbers");
}

/// The TLS configuration of one client.
pub(super) fn config(settings: &TlsSettings) -> Result<ClientConfig, ClientError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?;
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate))
    } else {
        builder.with_root_certificates(roots(settings.ca_file.as_deref())?)
    };
    let mut config = match (&settings.cert_file, &settings.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|source| ClientError::ClientCertificate { path: cert.clone(), source })?,
        (Some(path), None) | (None, Some(path)) => {
            return Err(ClientError::HalfCertificate(path.clone()));
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

fn roots(ca_file: Option<&Path>) -> Result<Arc<RootCertStore>, ClientError> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| Arc::new(system_roots()));
    let Some(path) = ca_file else { return Ok(Arc::clone(system)) };
    let mut roots = RootCertStore::clone(system);
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| ClientError::Authority { path: path.to_owned(), source })?;
    }
    Ok(Arc::new(roots))
}

/// An authority that cannot be read is left out, since bundles carry some that no one can.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let unreadable = |error| unreadable(path, error);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(ClientError::NoPem(path.to_owned()));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: pem::Error) -> ClientError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => ClientError::FileUnreadable { path, source },
        // The other variants may quote the file.
        _ => ClientError::NoPem(path),
    }
}

/// `insecure_skip_verify`: takes any certificate, and still checks that the server holds its key.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
