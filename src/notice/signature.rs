//! Signatures by Standard Webhooks 1.0.0: a receiver can tell that bellwether sent a message, that
//! nobody changed it, and that it is not an old one sent again.
//!
//! What is signed is `id.timestamp.body`, by HMAC-SHA256, so the id must hold no dot. A secret is
//! `whsec_` and 24 to 64 bytes in base64. While a secret is being rotated, several stand in its
//! place with spaces between; a message then carries a signature by each, and the receiver accepts
//! any one of them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::{Secret, Timestamp};

/// How far a message's time may lie from the receiver's, either way.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// More secrets than a rotation needs; bounds the work that one message may cause.
const SECRETS_MAX: usize = 8;

/// Why nothing can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Nothing is there.
    #[error("the signing secret is empty")]
    Empty,
    /// Not base64.
    #[error("the signing secret is not `whsec_` and base64")]
    Malformed,
    /// Fewer than 24 or more than 64 bytes.
    #[error("the signing secret has {0} bytes, not 24 to 64")]
    Length(usize),
    /// More than a rotation needs.
    #[error("there are more than {SECRETS_MAX} signing secrets")]
    TooMany,
    /// The id would make the signed text ambiguous.
    #[error("a message id is empty or holds a dot")]
    Id,
}

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The receiver's own secret is wrong.
    #[error(transparent)]
    Secret(#[from] SigningError),
    /// Not a number of seconds.
    #[error("`webhook-timestamp` is not a number of seconds")]
    Timestamp,
    /// More than five minutes away.
    #[error("`webhook-timestamp` is more than 5m from now")]
    TooFar,
    /// None of the signatures is ours.
    #[error("no signature matches")]
    NoMatch,
}

/// What a message's headers claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: &'a str,
    /// `webhook-signature`
    pub signature: &'a str,
}

/// Signs a message by each of some secrets: the value of `webhook-signature`. One of them may hold
/// several.
pub fn sign(
    secrets: &[Secret],
    id: &str,
    timestamp_secs: i64,
    body: &[u8],
) -> Result<String, SigningError> {
    if id.is_empty() || id.contains('.') {
        return Err(SigningError::Id);
    }
    let timestamp = timestamp_secs.to_string();
    let signatures = keys(secrets)?.into_iter().map(|key| {
        let code = keyed(&key, id, &timestamp, body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(code))
    });
    Ok(signatures.collect::<Vec<_>>().join(" "))
}

/// Checks a message as a receiver does. Codes are compared in constant time; signatures of other
/// versions are passed over.
pub fn verify(
    secret: &Secret,
    signed: Signed<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let seconds: i64 = signed.timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let at = Timestamp::from_millis(seconds.saturating_mul(1000));
    if now.since(at).max(at.since(now)) > TOLERANCE {
        return Err(VerifyError::TooFar);
    }
    let keys = keys(std::slice::from_ref(secret))?;
    let claimed = signed.signature.split_whitespace().take(2 * SECRETS_MAX);
    let codes = claimed.filter_map(|claim| STANDARD.decode(claim.strip_prefix("v1,")?).ok());
    for code in codes {
        for key in &keys {
            if keyed(key, signed.id, signed.timestamp, body).verify_slice(&code).is_ok() {
                return Ok(());
            }
        }
    }
    Err(VerifyError::NoMatch)
}

fn keys(secrets: &[Secret]) -> Result<Vec<Vec<u8>>, SigningError> {
    let mut keys = Vec::new();
    if secrets.iter().any(|secret| secret.expose().trim().is_empty()) {
        return Err(SigningError::Empty);
    }
    for text in secrets.iter().flat_map(|secret| secret.expose().split_whitespace()) {
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        let key = STANDARD.decode(encoded).map_err(|_| SigningError::Malformed)?;
        if !(24..=64).contains(&key.len()) {
            return Err(SigningError::Length(key.len()));
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err(SigningError::Empty),
        1..=SECRETS_MAX => Ok(keys),
        _ => Err(SigningError::TooMany),
    }
}

fn keyed(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        code.update(part);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vector that Standard Webhooks publishes with its reference libraries.
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const AT: i64 = 1_649_367_553;
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn the_published_vector_is_signed_as_published() {
        assert_eq!(sign(&[secret(SECRET)], ID, AT, BODY).as_deref(), Ok(SIGNATURE));
    }

    #[test]
    fn a_message_is_believed_only_as_it_was_sent() {
        let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let both = sign(&[secret(other), secret(SECRET)], ID, AT, BODY).unwrap();
        let in_one = sign(&[secret(&format!("{other} {SECRET}"))], ID, AT, BODY).unwrap();
        assert_eq!(both, in_one);
        assert!(both.ends_with(&format!(" {SIGNATURE}")), "{both}");
        let unknown = format!("v1a,AAAA v2,x {SIGNATURE}");
        let good = Signed { id: ID, timestamp: "1649367553", signature: SIGNATURE };
        let check = |key: &str, signed: Signed<'_>, body: &[u8], after: i64, expected| {
            let now = Timestamp::from_millis((AT + after) * 1000);
            assert_eq!(verify(&secret(key), signed, body, now), expected, "{signed:?} {after}");
        };
        check(SECRET, good, BODY, 0, Ok(()));
        check(SECRET, good, BODY, 300, Ok(()));
        check(SECRET, good, BODY, -300, Ok(()));
        check(SECRET, good, BODY, 301, Err(VerifyError::TooFar));
        check(SECRET, good, BODY, -301, Err(VerifyError::TooFar));
        check(SECRET, good, b"{}", 0, Err(VerifyError::NoMatch));
        check(other, good, BODY, 0, Err(VerifyError::NoMatch));
        check(SECRET, Signed { id: "msg_2", ..good }, BODY, 0, Err(VerifyError::NoMatch));
        check(
            SECRET,
            Signed { timestamp: "1649367554", ..good },
            BODY,
            0,
            Err(VerifyError::NoMatch),
        );
        check(SECRET, Signed { timestamp: "soon", ..good }, BODY, 0, Err(VerifyError::Timestamp));
        check(SECRET, Signed { signature: "", ..good }, BODY, 0, Err(VerifyError::NoMatch));
        check(SECRET, Signed { signature: "v1,", ..good }, BODY, 0, Err(VerifyError::NoMatch));
        check(SECRET, Signed { signature: &unknown, ..good }, BODY, 0, Ok(()));
        // In the middle of a rotation: the sender has both secrets, the receiver either.
        check(SECRET, Signed { signature: &both, ..good }, BODY, 0, Ok(()));
        check(other, Signed { signature: &both, ..good }, BODY, 0, Ok(()));
    }

    #[test]
    fn a_wrong_secret_or_id_is_named_and_never_printed() {
        for (text, expected) in [
            ("", SigningError::Empty),
            ("  \n", SigningError::Empty),
            ("whsec_not base64!", SigningError::Malformed),
            ("whsec_AAAA", SigningError::Length(3)),
            (&"A".repeat(88), SigningError::Length(66)),
            (&format!("{SECRET} ").repeat(9), SigningError::TooMany),
        ] {
            assert_eq!(
                sign(&[secret(SECRET), secret(text)], ID, AT, BODY),
                Err(expected),
                "{text}"
            );
        }
        assert_eq!(sign(&[secret(SECRET)], "a.b", AT, BODY), Err(SigningError::Id));
        assert_eq!(sign(&[secret(SECRET)], "", AT, BODY), Err(SigningError::Id));
    }
}
