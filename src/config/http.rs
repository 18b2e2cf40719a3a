//! Prometheus's `http_config` fields: authorization, proxy, TLS, headers.

use ::http::{HeaderName, HeaderValue as Value};

use super::reader::{Fields, Reader};
use super::scalar::{boolean, hook_url, proxy_url, raw, refuse_unseen, text};
use super::secret::{at_most_one, is_source, secret, source};
use crate::model::{
    Authorization, BasicAuth, HeaderValue, HttpSettings, Mistake, OAuth2, SecretSource, TlsSettings,
};
use crate::yaml::{self, Node, Yaml};

/// The keys that [`transport`] reads.
pub(super) const TRANSPORT: [&str; 3] = ["http_headers", "proxy_url", "tls_config"];
/// The keys that [`settings`] reads.
pub(super) const SETTINGS: [&str; 6] =
    ["authorization", "basic_auth", "http_headers", "oauth2", "proxy_url", "tls_config"];

/// Reads a file of its own with these fields, as promtool's `--http.config.file` does. Every mistake
/// is returned, in the order of the file.
pub fn http_file(file: &str, text: &str) -> Result<HttpSettings, Vec<Mistake>> {
    let root = yaml::parse(file, text).map_err(|mistake| vec![mistake])?;
    if root.is_null() {
        return Ok(HttpSettings::default());
    }
    let mut reader = Reader::new(file);
    root.duplicates().into_iter().for_each(|mistake| reader.report(mistake));
    let fields = reader.fields(&root, "", &SETTINGS);
    let found = fields.map(|fields| settings(&mut reader, &fields));
    match (found, reader.finish()) {
        (Some(found), mistakes) if mistakes.is_empty() => Ok(found),
        (_, mistakes) => Err(mistakes),
    }
}

/// How to connect, without authorization.
pub(super) fn transport(reader: &mut Reader, fields: &Fields<'_>) -> HttpSettings {
    HttpSettings {
        authorization: None,
        basic_auth: None,
        oauth2: None,
        proxy_url: reader.optional(fields, "proxy_url", proxy_url),
        tls: tls(reader, fields).unwrap_or_default(),
        headers: headers(reader, fields),
    }
}

/// How to connect, with authorization.
pub(super) fn settings(reader: &mut Reader, fields: &Fields<'_>) -> HttpSettings {
    for (one, other) in
        [("authorization", "basic_auth"), ("authorization", "oauth2"), ("basic_auth", "oauth2")]
    {
        at_most_one(reader, fields, one, other);
    }
    HttpSettings {
        authorization: authorization(reader, fields),
        basic_auth: basic_auth(reader, fields),
        oauth2: oauth2(reader, fields),
        ..transport(reader, fields)
    }
}

fn authorization(reader: &mut Reader, fields: &Fields<'_>) -> Option<Authorization> {
    let node = fields.get("authorization")?;
    let known = ["type", "credentials", "credentials_file"];
    let inner = reader.fields(node, fields.part("authorization"), &known)?;
    let scheme = reader.optional(&inner, "type", |node| {
        let scheme = text(node)?;
        let is_word = scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if is_word && !scheme.eq_ignore_ascii_case("basic") {
            Ok(scheme)
        } else {
            Err(refuse_unseen(node, "is no scheme for `authorization`")
                .remedy("write `Bearer`, or use `basic_auth`"))
        }
    });
    let credentials = secret(reader, &inner, "credentials");
    if !inner.has("credentials") && !inner.has("credentials_file") {
        reader.missing(&inner, "credentials", "write `credentials_file: PATH`");
    }
    let scheme = scheme.unwrap_or_else(|| "Bearer".to_owned());
    Some(Authorization { scheme, credentials: credentials? })
}

fn basic_auth(reader: &mut Reader, fields: &Fields<'_>) -> Option<BasicAuth> {
    let node = fields.get("basic_auth")?;
    let known = ["username", "password", "password_file"];
    let inner = reader.fields(node, fields.part("basic_auth"), &known)?;
    let username = reader.required(&inner, "username", "write the user's name", text);
    let password = secret(reader, &inner, "password");
    if !inner.has("password") && !inner.has("password_file") {
        reader.missing(&inner, "password", "write `password_file: PATH`");
    }
    Some(BasicAuth { username: username?, password: password? })
}

/// A client's credentials, and who gives a token for them.
pub(super) fn oauth2(reader: &mut Reader, fields: &Fields<'_>) -> Option<OAuth2> {
    let node = fields.get("oauth2")?;
    let known = [
        "client_id",
        "client_secret",
        "client_secret_file",
        "scopes",
        "token_url",
        "endpoint_params",
        "proxy_url",
        "tls_config",
    ];
    let inner = reader.fields(node, fields.part("oauth2"), &known)?;
    let client_id = reader.required(&inner, "client_id", "write the client's id", text);
    let client_secret = secret(reader, &inner, "client_secret");
    if !inner.has("client_secret") && !inner.has("client_secret_file") {
        reader.missing(&inner, "client_secret", "write `client_secret_file: PATH`");
    }
    let token_url = reader.required(&inner, "token_url", "write who gives the token", hook_url);
    let scopes = reader.list(&inner, "scopes", text);
    let endpoint_params = parameters(reader, &inner);
    let proxy_url = reader.optional(&inner, "proxy_url", proxy_url);
    let tls = tls(reader, &inner).unwrap_or_default();
    Some(OAuth2 {
        client_id: client_id?,
        client_secret: client_secret?,
        scopes,
        token_url: token_url?,
        endpoint_params,
        proxy_url,
        tls,
    })
}

fn parameters(reader: &mut Reader, fields: &Fields<'_>) -> Vec<(String, String)> {
    let Some(node) = fields.get("endpoint_params") else { return Vec::new() };
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        let wrong = wrong.remedy("write `name: value` below it");
        reader.judge::<()>(&fields.what, "endpoint_params", Err(wrong));
        return Vec::new();
    };
    let what = fields.part("endpoint_params");
    let read = |(key, value): &(Node, Node)| {
        let name = key.text().unwrap_or_default();
        let value = reader.judge(&what, name, text(value));
        value.map(|value| (name.to_owned(), value))
    };
    entries.iter().filter_map(read).collect()
}

fn tls(reader: &mut Reader, fields: &Fields<'_>) -> Option<TlsSettings> {
    let node = fields.get("tls_config")?;
    let known = ["ca_file", "cert_file", "key_file", "insecure_skip_verify"];
    let inner = reader.fields(node, fields.part("tls_config"), &known)?;
    let mut path = |name| {
        let path = reader.optional(&inner, name, text);
        path.map(|path| reader.path(&path))
    };
    let (ca_file, cert_file, key_file) = (path("ca_file"), path("cert_file"), path("key_file"));
    for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if inner.has(one) && !inner.has(other) {
            reader.missing(&inner, other, &format!("`{one}` needs it"));
        }
    }
    let insecure = reader.optional(&inner, "insecure_skip_verify", boolean);
    let insecure_skip_verify = insecure.unwrap_or(false);
    Some(TlsSettings { ca_file, cert_file, key_file, insecure_skip_verify })
}

/// Headers as `Name: value`, or in Prometheus's form with `values`, `secrets` and `files`.
fn headers(reader: &mut Reader, fields: &Fields<'_>) -> Vec<(String, HeaderValue)> {
    let Some(node) = fields.get("http_headers") else { return Vec::new() };
    let what = fields.part("http_headers");
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        reader.judge::<()>(
            &fields.what,
            "http_headers",
            Err(wrong.remedy("write `Name: value` below it")),
        );
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("{what}: `{}` is no header's name", name.escape_debug());
            reader.report(Mistake::new(key.place.clone(), message));
            continue;
        }
        if let Some(why) = reserved(name) {
            let message = format!("{what}: `{name}` {why}");
            reader.report(Mistake::new(key.place.clone(), message).remedy("remove it"));
            continue;
        }
        let values = match &value.value {
            Yaml::Mapping(_) => header_values(reader, &what, name, value),
            Yaml::Null | Yaml::Scalar(_) | Yaml::Sequence(_) => {
                let value = header_value(reader, name, value);
                reader.judge(&what, name, value).into_iter().collect()
            }
        };
        headers.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }
    headers
}

fn header_values(reader: &mut Reader, what: &str, name: &str, node: &Node) -> Vec<HeaderValue> {
    let known = ["values", "secrets", "files"];
    let Some(fields) = reader.fields(node, format!("{what}, {name}"), &known) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in reader.items(&fields, "values") {
        let value = header_value(reader, name, item);
        found.extend(reader.judge(&fields.what, "values", value));
    }
    for item in reader.items(&fields, "secrets") {
        let secret = source(reader, item, Some("files")).map(HeaderValue::Secret);
        found.extend(reader.judge(&fields.what, "secrets", secret));
    }
    let paths = reader.list(&fields, "files", text);
    found.extend(
        paths.iter().map(|path| HeaderValue::Secret(SecretSource::File(reader.path(path)))),
    );
    found
}

fn header_value(reader: &Reader, name: &str, node: &Node) -> Result<HeaderValue, Mistake> {
    let text = raw(node, "a header's value")?;
    if is_source(text) || may_be_secret(name) {
        return source(reader, node, None).map(HeaderValue::Secret);
    }
    if Value::from_str(text).is_err() {
        return Err(refuse_unseen(node, "has characters that no header may have"));
    }
    Ok(HeaderValue::Plain(text.to_owned()))
}

/// Why a header may not be set by hand.
fn reserved(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "accept-encoding" | "connection" | "content-encoding" | "content-length"
        | "content-type" | "host" | "te" | "trailer" | "transfer-encoding" | "upgrade" => {
            Some("follows from the request, and cannot be set")
        }
        "webhook-id" | "webhook-signature" | "webhook-timestamp" => {
            Some("belongs to the signature, and cannot be set")
        }
        _ => None,
    }
}

/// Headers that usually carry a key, whoever the provider is.
fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie")
        || name.ends_with("api-key")
        || ["token", "secret", "password"].iter().any(|word| name.contains(word))
}
