//! The headers that the configuration asks for.

use base64::Engine as _;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::{SecretError, read_secret};
use crate::model::{HeaderValue as Configured, HttpSettings, Secret, SecretSource};
use crate::provider::Provider;

/// Reads the secrets of the settings and builds their headers. Values that are secrets are marked
/// sensitive, so that `Debug` prints none of them.
pub fn headers(settings: &HttpSettings) -> Result<HeaderMap, SecretError> {
    let mut headers = HeaderMap::new();
    if let Some(authorization) = &settings.authorization {
        let source = &authorization.credentials;
        let scheme = format!("{} ", authorization.scheme);
        headers.insert(AUTHORIZATION, header_value(&scheme, &read_secret(source)?, source)?);
    } else if let Some(basic) = &settings.basic_auth {
        let password = read_secret(&basic.password)?;
        let pair = format!("{}:{}", basic.username, password.expose());
        let encoded = Secret::new(base64::engine::general_purpose::STANDARD.encode(pair));
        headers.insert(AUTHORIZATION, header_value("Basic ", &encoded, &basic.password)?);
    }
    for (name, value) in &settings.headers {
        let bad = || SecretError::BadHeader(name.clone());
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = match value {
            Configured::Plain(text) => HeaderValue::from_str(text).map_err(|_| bad())?,
            Configured::Secret(source) => header_value("", &read_secret(source)?, source)?,
        };
        headers.append(header, value);
    }
    Ok(headers)
}

/// Reads a provider's key, as the header in which it travels; nothing where none is sent.
pub fn provider_key(provider: &Provider) -> Result<Option<(HeaderName, HeaderValue)>, SecretError> {
    let Some((name, before, source)) = provider.auth.header() else { return Ok(None) };
    let value = header_value(before, &read_secret(source)?, source)?;
    Ok(Some((HeaderName::from_static(name), value)))
}

/// A secret as a sensitive header's value behind a prefix such as `Bearer `.
pub fn header_value(
    prefix: &str,
    secret: &Secret,
    source: &SecretSource,
) -> Result<HeaderValue, SecretError> {
    let mut value = HeaderValue::from_str(&format!("{prefix}{}", secret.expose()))
        .map_err(|_| SecretError::NotAHeader(source.clone()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Headers for a person to look at: sensitive values, and those that servers set for sessions, are
/// `***`; long ones are cut.
pub fn redacted(headers: &HeaderMap) -> Vec<(String, String)> {
    const PRIVATE: [&str; 6] =
        ["api-key", "authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"];
    const LENGTH_MAX: usize = 200;
    headers
        .iter()
        .map(|(name, value)| {
            let hidden = value.is_sensitive() || PRIVATE.contains(&name.as_str());
            let text = if hidden {
                "***".to_owned()
            } else {
                String::from_utf8_lossy(value.as_bytes()).chars().take(LENGTH_MAX).collect()
            };
            (name.as_str().to_owned(), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Authorization, BasicAuth};

    // `PATH` stands for a secret: a variable that is set wherever a test runs.
    fn secret() -> (SecretSource, String) {
        (SecretSource::Env("PATH".to_owned()), std::env::var("PATH").unwrap())
    }

    #[test]
    fn secrets_are_sent_and_never_printed() {
        let (source, text) = secret();
        let settings = HttpSettings {
            authorization: Some(Authorization {
                scheme: "Bearer".to_owned(),
                credentials: source.clone(),
            }),
            headers: vec![
                ("X-Tenant".to_owned(), Configured::Plain("blue".to_owned())),
                ("X-Token".to_owned(), Configured::Secret(source)),
            ],
            ..HttpSettings::default()
        };
        let headers = headers(&settings).unwrap();
        assert_eq!(headers["authorization"], format!("Bearer {text}"));
        assert_eq!(headers["x-token"], text);
        assert!(!format!("{headers:?}").contains(&text));
        let shown = redacted(&headers);
        assert!(shown.contains(&("x-tenant".to_owned(), "blue".to_owned())));
        assert!(shown.contains(&("authorization".to_owned(), "***".to_owned())));
        assert!(shown.contains(&("x-token".to_owned(), "***".to_owned())));
    }

    // RFC 7617, section 2: user `Aladdin`, password `open sesame`.
    #[test]
    fn basic_auth_is_encoded_as_the_rfc_says() {
        let path = std::env::temp_dir().join(format!("bellwether-basic-{}", std::process::id()));
        std::fs::write(&path, "open sesame\n").unwrap();
        let settings = HttpSettings {
            basic_auth: Some(BasicAuth {
                username: "Aladdin".to_owned(),
                password: SecretSource::File(path.clone()),
            }),
            ..HttpSettings::default()
        };
        let headers = headers(&settings).unwrap();
        assert_eq!(headers["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_a_header_cannot_carry_is_refused_by_name() {
        let settings = HttpSettings {
            headers: vec![("X Y".to_owned(), Configured::Plain("z".to_owned()))],
            ..HttpSettings::default()
        };
        assert!(matches!(headers(&settings), Err(SecretError::BadHeader(name)) if name == "X Y"));
        let (source, _) = secret();
        let broken = Secret::new("a\nb".to_owned());
        assert!(matches!(
            header_value("Bearer ", &broken, &source),
            Err(SecretError::NotAHeader(_))
        ));
    }
}
