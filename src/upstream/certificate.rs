//! Until when the certificate is good that a server showed.

use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::model::Timestamp;

/// When a certificate ends; `None` where it cannot be read.
pub(super) fn expires(der: &[u8]) -> Option<Timestamp> {
    let certificate = Certificate::from_der(der).ok()?;
    let ends = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Some(Timestamp::from_millis(i64::try_from(ends.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_and_nonsense_is_not() {
        let pem = include_bytes!("tests/server.pem");
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        assert_eq!(expires(&der), Some(Timestamp::from_millis(SERVER_PEM_ENDS)));
        assert_eq!(expires(b""), None);
        assert_eq!(expires(&der[..der.len() - 1]), None);
    }
    // `openssl x509 -enddate -noout -in server.pem`, by `date -u -d … +%s`.
    const SERVER_PEM_ENDS: i64 = 4_733_510_400_000;
}
