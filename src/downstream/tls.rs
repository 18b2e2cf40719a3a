//! TLS as listeners speak it: rustls with aws-lc, set up as the web configuration file says.
//!
//! Certificates are read when the file is: at the start, at a reload, and within a second of a
//! change. Connections that are open keep the certificate that they began with.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, NamedGroup, RootCertStore, ServerConfig,
    SignatureScheme, version,
};

use super::Protocols;
use crate::access::{ClientAuth, Pem, PemSource, ServerTls, TlsVersion};
use crate::model::Mistake;

/// Reads certificates and key; everything that is wrong with them comes back.
pub(super) fn config(
    settings: &ServerTls,
    protocols: Protocols,
) -> Result<Arc<ServerConfig>, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut note = |mistake| mistakes.push(mistake);
    let cert = certificates(&settings.cert, "cert").map_err(&mut note).ok();
    let key = private_key(&settings.key).map_err(&mut note).ok();
    let provider = Arc::new(provider(settings));
    let verifier = verifier(settings, &provider).map_err(&mut note).ok();
    let (Some(cert), Some(key), Some(verifier)) = (cert, key, verifier) else {
        return Err(mistakes);
    };
    let versions = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    let spoken: Vec<_> = versions
        .into_iter()
        .filter(|(version, _)| (settings.oldest..=settings.newest).contains(version))
        .map(|(_, version)| version)
        .collect();
    let refuse = |error: rustls::Error| vec![unusable(&settings.cert, &error)];
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&spoken)
        .map_err(refuse)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(cert, key).map_err(refuse)?;
    config.alpn_protocols = match protocols {
        Protocols::Http1 => vec![b"http/1.1".to_vec()],
        Protocols::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

fn unusable(pem: &Pem, error: &rustls::Error) -> Mistake {
    let message = format!("tls_server_config: certificate and key cannot be used: {error}");
    Mistake::new(pem.place.clone(), message).remedy("the key must be the certificate's own")
}

/// The suites and groups that are asked for. A suite of TLS 1.3 is never left out, as in Go.
fn provider(settings: &ServerTls) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !settings.suites.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            suite.tls13().is_some() || settings.suites.contains(&name)
        });
    }
    if !settings.curves.is_empty() {
        let group = |name: &String| match name.as_str() {
            "CurveP256" => Some(NamedGroup::secp256r1),
            "CurveP384" => Some(NamedGroup::secp384r1),
            "X25519" => Some(NamedGroup::X25519),
            "X25519MLKEM768" => Some(NamedGroup::X25519MLKEM768),
            _ => None,
        };
        let known = aws_lc_rs::ALL_KX_GROUPS;
        let groups = settings.curves.iter().filter_map(group);
        provider.kx_groups = groups
            .filter_map(|name| known.iter().copied().find(|group| group.name() == name))
            .collect();
    }
    provider
}

type Verifier = Option<Arc<dyn ClientCertVerifier>>;

fn verifier(settings: &ServerTls, provider: &Arc<CryptoProvider>) -> Result<Verifier, Mistake> {
    let any = |is_mandatory| {
        let provider = Arc::clone(provider);
        Ok(Some(Arc::new(AnyClient { provider, is_mandatory }) as Arc<dyn ClientCertVerifier>))
    };
    match settings.client_auth {
        ClientAuth::NoClientCert => Ok(None),
        ClientAuth::RequestClientCert => any(false),
        ClientAuth::RequireAnyClientCert => any(true),
        ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert => {
            let Some(pem) = &settings.client_ca else { return any(true) };
            let refuse = |error: &dyn std::fmt::Display| {
                let message = format!(
                    "tls_server_config: the authorities of clients cannot be used: {error}"
                );
                Mistake::new(pem.place.clone(), message)
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem, "client_ca")? {
                roots.add(certificate).map_err(|error| refuse(&error))?;
            }
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let builder = match settings.client_auth {
                ClientAuth::VerifyClientCertIfGiven => builder.allow_unauthenticated(),
                _ => builder,
            };
            let verifier = builder.build().map_err(|error| refuse(&error))?;
            Ok(Some(verifier))
        }
    }
}

fn certificates(pem: &Pem, name: &str) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let found: Result<Vec<_>, pem::Error> = match &pem.source {
        PemSource::File(path) => CertificateDer::pem_file_iter(path).and_then(Iterator::collect),
        PemSource::Inline(text) => {
            CertificateDer::pem_slice_iter(text.expose().as_bytes()).collect()
        }
    };
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unreadable(pem, name, "it holds no certificate in PEM form")),
        Err(error) => Err(unreadable(pem, name, &told(error))),
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Mistake> {
    let key = match &pem.source {
        PemSource::File(path) => PrivateKeyDer::from_pem_file(path),
        PemSource::Inline(text) => PrivateKeyDer::from_pem_slice(text.expose().as_bytes()),
    };
    key.map_err(|error| unreadable(pem, "key", &told(error)))
}

/// The other variants may quote the file.
fn told(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        _ => "it holds nothing of the kind in PEM form".to_owned(),
    }
}

fn unreadable(pem: &Pem, name: &str, why: &str) -> Mistake {
    let message = match &pem.source {
        PemSource::File(path) => {
            format!(
                "tls_server_config: `{name}_file` is `{}`, which cannot be read: {why}",
                path.display()
            )
        }
        PemSource::Inline(_) => format!("tls_server_config: `{name}` cannot be read: {why}"),
    };
    Mistake::new(pem.place.clone(), message)
        .remedy("paths are relative to the web configuration file")
}

/// Takes any certificate of a client, and still checks that the client holds its key: what
/// `RequestClientCert` and `RequireAnyClientCert` ask for. It says nothing of who somebody is.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
    is_mandatory: bool,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
