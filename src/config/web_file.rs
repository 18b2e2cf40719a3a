//! Prometheus's web configuration file: TLS, users and headers of the HTTP server.
//!
//! The format is that of the exporter toolkit, which Prometheus, Alertmanager and the exporters
//! share; `bellwether check web-config` says of a file what `promtool check web-config` says. Where
//! the two differ, this one refuses: what can't be done here (TLS before 1.2, suites and curves that
//! rustls lacks, client authorities that nobody names, limits of rate and names of clients) is not
//! passed over in silence.

use std::collections::BTreeMap;

use ::http::HeaderValue;

use super::reader::{Fields, Reader};
use super::scalar::{boolean, choice, raw, refuse, refuse_unseen, text};
use super::secret::at_most_one;
use crate::access::{
    ClientAuth, HashError, PasswordHash, Pem, PemSource, ServerTls, TlsVersion, Web,
};
use crate::model::{Mistake, Secret};
use crate::yaml::{self, Node};

const SECTIONS: [&str; 3] = ["tls_server_config", "http_server_config", "basic_auth_users"];
const TLS: [&str; 13] = [
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_auth_type",
    "client_ca",
    "client_ca_file",
    "min_version",
    "max_version",
    "cipher_suites",
    "curve_preferences",
    "prefer_server_cipher_suites",
    "client_allowed_sans",
];
/// What rustls offers.
const SUITES: [&str; 9] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];
const CURVES: [&str; 4] = ["CurveP256", "CurveP384", "X25519", "X25519MLKEM768"];
/// The headers that the toolkit lets one set, and the values where not any will do.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// Reads a web configuration file; an empty one asks for nothing. Every mistake is returned, in the
/// order of the file. Certificates are not read here.
pub fn web_file(file: &str, text: &str) -> Result<Web, Vec<Mistake>> {
    file_of(file, text, &SECTIONS)
}

/// Reads a file of the same format for the router: TLS alone. Its clients have keys of their own
/// (`router: auth:`), and its answers are those of providers.
pub fn router_file(file: &str, text: &str) -> Result<Web, Vec<Mistake>> {
    file_of(file, text, &SECTIONS[..1])
}

fn file_of(file: &str, text: &str, sections: &[&str]) -> Result<Web, Vec<Mistake>> {
    let root = yaml::parse(file, text).map_err(|mistake| vec![mistake])?;
    if root.is_null() {
        return Ok(Web::default());
    }
    let mut reader = Reader::new(file);
    root.duplicates().into_iter().for_each(|mistake| reader.report(mistake));
    let web = reader.fields(&root, "", sections).map(|fields| Web {
        tls: tls(&mut reader, &fields),
        users: users(&mut reader, &fields),
        headers: http(&mut reader, &fields),
    });
    match (web, reader.finish()) {
        (Some(web), mistakes) if mistakes.is_empty() => Ok(web),
        (_, mistakes) => Err(mistakes),
    }
}

fn users(reader: &mut Reader, root: &Fields<'_>) -> BTreeMap<String, PasswordHash> {
    let what = "basic_auth_users";
    let mut users = BTreeMap::new();
    let Some(node) = root.get(what) else { return users };
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        reader.judge::<()>("", what, Err(wrong.remedy("write `NAME: HASH` below it")));
        return users;
    };
    for (key, value) in entries {
        let name = reader.judge("", what, user(key));
        let shown = key.text().unwrap_or_default();
        let hash = reader.judge(what, shown, password(value));
        users.extend(name.zip(hash));
    }
    users
}

/// What stands before the first colon of `user:password`.
fn user(node: &Node) -> Result<String, Mistake> {
    let name = raw(node, "a user's name")?;
    if name.contains(':') || name.chars().any(char::is_control) {
        return Err(refuse(node, "and no user's name holds a `:` or a control character"));
    }
    Ok(name.to_owned())
}

fn password(node: &Node) -> Result<PasswordHash, Mistake> {
    let text = raw(node, "a bcrypt hash")?;
    PasswordHash::parse(text).map_err(|error| {
        let remedy = match error {
            HashError::NotBcrypt => {
                "`htpasswd -nBC 10 NAME` asks for a password and prints its hash"
            }
            HashError::Cost(_) => "`htpasswd -nBC 10 NAME` writes one of cost 10",
        };
        refuse_unseen(node, error.to_string()).remedy(remedy)
    })
}

fn http(reader: &mut Reader, root: &Fields<'_>) -> Vec<(String, String)> {
    let Some(node) = root.get("http_server_config") else { return Vec::new() };
    let what = "http_server_config";
    let Some(fields) = reader.fields(node, what, &["http2", "headers"]) else { return Vec::new() };
    // HTTP/1.1 is spoken whatever it says: a client that would rather have HTTP/2 takes it too.
    reader.optional(&fields, "http2", boolean);
    let Some(node) = fields.get("headers") else { return Vec::new() };
    let Some(headers) = reader.fields(node, fields.part("headers"), &HEADERS.map(|(name, _)| name))
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, values) in HEADERS {
        let value = reader.optional(&headers, name, |node| header(node, values));
        found.extend(value.map(|value| (name.to_owned(), value)));
    }
    found
}

fn header(node: &Node, values: &[&str]) -> Result<String, Mistake> {
    let value = text(node)?;
    if !values.is_empty() {
        let words: Vec<(&str, ())> = values.iter().map(|word| (*word, ())).collect();
        choice(node, &words)?;
    }
    match HeaderValue::from_str(&value) {
        Ok(_) => Ok(value),
        Err(_) => Err(refuse(node, "with characters that no header may have")),
    }
}

fn tls(reader: &mut Reader, root: &Fields<'_>) -> Option<ServerTls> {
    let fields = reader.fields(root.get("tls_server_config")?, "tls_server_config", &TLS)?;
    let cert = pem(reader, &fields, "cert");
    let key = pem(reader, &fields, "key");
    for name in ["cert", "key"] {
        if !fields.has(name) && !fields.has(&format!("{name}_file")) {
            reader.missing(&fields, &format!("{name}_file"), "TLS needs a certificate and its key");
        }
    }
    let client_ca = pem(reader, &fields, "client_ca");
    let client_auth = client_auth(reader, &fields, client_ca.is_some());
    let oldest = reader.optional(&fields, "min_version", min_version);
    let newest = reader.optional(&fields, "max_version", max_version);
    let (oldest, newest) =
        (oldest.unwrap_or(TlsVersion::Tls12), newest.unwrap_or(TlsVersion::Tls13));
    if oldest > newest {
        let wrong: fn(&Node) -> Result<(), Mistake> =
            |node| Err(refuse(node, "which is older than `min_version`"));
        reader.optional(&fields, "max_version", wrong);
    }
    let suites = reader.list(&fields, "cipher_suites", |node| known(node, &SUITES));
    let curves = reader.list(&fields, "curve_preferences", |node| known(node, &CURVES));
    // Go ignores it as well.
    reader.optional(&fields, "prefer_server_cipher_suites", boolean);
    let unsupported: fn(&Node) -> Result<(), Mistake> = |node| {
        Err(Mistake::new(node.place.clone(), "is not supported here")
            .remedy("let an authority of its own in `client_ca_file` vouch for these clients"))
    };
    reader.optional(&fields, "client_allowed_sans", unsupported);
    Some(ServerTls {
        cert: cert?,
        key: key?,
        client_auth,
        client_ca,
        oldest,
        newest,
        suites,
        curves,
    })
}

/// Reads `NAME` with a text in PEM form or `NAME_file`, at most one of them.
fn pem(reader: &mut Reader, fields: &Fields<'_>, name: &str) -> Option<Pem> {
    let file_name = format!("{name}_file");
    if at_most_one(reader, fields, name, &file_name) {
        return None;
    }
    if let Some(node) = fields.get(&file_name) {
        let path = reader.optional(fields, &file_name, text)?;
        let source = PemSource::File(reader.path(&path));
        return Some(Pem { place: node.place.clone(), source });
    }
    let node = fields.get(name)?;
    let inline = |node: &Node| Ok(Secret::new(raw(node, "a text in PEM form")?.to_owned()));
    let source = PemSource::Inline(reader.optional(fields, name, inline)?);
    Some(Pem { place: node.place.clone(), source })
}

fn client_auth(reader: &mut Reader, fields: &Fields<'_>, has_ca: bool) -> ClientAuth {
    let words = [
        ("NoClientCert", ClientAuth::NoClientCert),
        ("RequestClientCert", ClientAuth::RequestClientCert),
        ("RequireAnyClientCert", ClientAuth::RequireAnyClientCert),
        ("RequireClientCert", ClientAuth::RequireAnyClientCert),
        ("VerifyClientCertIfGiven", ClientAuth::VerifyClientCertIfGiven),
        ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerifyClientCert),
    ];
    let asked = reader.optional(fields, "client_auth_type", |node| choice(node, &words));
    let is_right = asked.is_some() || !fields.has("client_auth_type");
    let asked = asked.unwrap_or(ClientAuth::NoClientCert);
    if is_right && has_ca && asked == ClientAuth::NoClientCert {
        let message = "tls_server_config: clients' authorities are named, but no certificate is \
                       asked of clients";
        reader.report(
            Mistake::new(fields.place().clone(), message)
                .remedy("write `client_auth_type: RequireAndVerifyClientCert`"),
        );
    }
    if asked.is_verified() && !has_ca && !fields.has("client_ca_file") && !fields.has("client_ca") {
        let remedy = "write who vouches for clients; with none, every public authority would";
        reader.missing(fields, "client_ca_file", remedy);
    }
    asked
}

fn min_version(node: &Node) -> Result<TlsVersion, Mistake> {
    let words = [
        // Nothing so old is spoken here, and a later one is what such a file settles for.
        ("TLS10", TlsVersion::Tls12),
        ("TLS11", TlsVersion::Tls12),
        ("TLS12", TlsVersion::Tls12),
        ("TLS13", TlsVersion::Tls13),
    ];
    choice(node, &words)
}

fn max_version(node: &Node) -> Result<TlsVersion, Mistake> {
    choice(node, &[("TLS12", TlsVersion::Tls12), ("TLS13", TlsVersion::Tls13)])
        .map_err(|mistake| mistake.remedy("nothing older than TLS 1.2 is spoken here"))
}

fn known(node: &Node, names: &[&str]) -> Result<String, Mistake> {
    let words: Vec<(&str, String)> = names.iter().map(|name| (*name, (*name).to_owned())).collect();
    choice(node, &words)
}
