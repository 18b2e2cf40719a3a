//! What is set up: the web configuration file and the tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::model::{Place, Secret};

/// Prometheus's web configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Web {
    /// `tls_server_config:`
    pub tls: Option<ServerTls>,
    /// `basic_auth_users:`
    pub users: BTreeMap<String, PasswordHash>,
    /// `http_server_config: headers:`, for every answer.
    pub headers: Vec<(String, String)>,
}

/// `tls_server_config:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The server's certificate and those between it and its authority.
    pub cert: Pem,
    /// Its key.
    pub key: Pem,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Who vouches for clients.
    pub client_ca: Option<Pem>,
    /// The oldest version spoken.
    pub oldest: TlsVersion,
    /// The newest version spoken; not before the oldest.
    pub newest: TlsVersion,
    /// Suites of TLS 1.2 by their registered names; all that are offered where none is named. Those
    /// of 1.3 are not configurable, as in Go.
    pub suites: Vec<String>,
    /// Groups for key exchange in order of preference, by Go's names; the usual ones where empty.
    pub curves: Vec<String>,
}

/// Where something in PEM form stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    /// Where the file says so.
    pub place: Place,
    /// The text or its file.
    pub source: PemSource,
}

/// A text or its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemSource {
    /// In a file of its own.
    File(PathBuf),
    /// In the configuration itself.
    Inline(Secret),
}

/// What is asked of clients, by Go's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    NoClientCert,
    /// A certificate, which may be missing and is not verified.
    RequestClientCert,
    /// A certificate, which is not verified.
    RequireAnyClientCert,
    /// A certificate, which may be missing and otherwise is verified.
    VerifyClientCertIfGiven,
    /// A certificate, which is verified.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Whether a certificate says who somebody is.
    pub fn is_verified(self) -> bool {
        match self {
            Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert => true,
            Self::NoClientCert | Self::RequestClientCert | Self::RequireAnyClientCert => false,
        }
    }

    /// Whether nobody comes in without one that was verified.
    pub fn is_demanded(self) -> bool {
        match self {
            Self::RequireAndVerifyClientCert => true,
            Self::NoClientCert
            | Self::RequestClientCert
            | Self::RequireAnyClientCert
            | Self::VerifyClientCertIfGiven => false,
        }
    }
}

/// A version of TLS that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// A password by bcrypt. Its text is well-formed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Secret,
    cost: u32,
}

/// Why something is no hash by bcrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It looks like nothing that bcrypt wrote.
    #[error("is no bcrypt hash, perhaps a password in plain text; it is not shown here")]
    NotBcrypt,
    /// bcrypt knows no such cost.
    #[error("is a bcrypt hash of cost {0}, where 4 to 31 is due")]
    Cost(u32),
}

impl PasswordHash {
    /// Takes `$2y$10$` and 53 characters of salt and digest; `a`, `b` and `x` for `y` too.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
        let known = ["$2a$", "$2b$", "$2x$", "$2y$"];
        let rest = known.iter().find_map(|prefix| text.strip_prefix(prefix));
        let parts = rest.and_then(|rest| rest.split_once('$'));
        let (cost, digest) = parts.ok_or(HashError::NotBcrypt)?;
        if cost.len() != 2 || digest.len() != 53 || !digest.bytes().all(is_digit) {
            return Err(HashError::NotBcrypt);
        }
        let cost: u32 = cost.parse().map_err(|_| HashError::NotBcrypt)?;
        if !(4..=31).contains(&cost) {
            return Err(HashError::Cost(cost));
        }
        Ok(Self { text: Secret::new(text.to_owned()), cost })
    }

    /// The whole text.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The binary logarithm of the rounds.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "bcrypt of cost {}", self.cost)
    }
}

/// An entry of `web: tokens:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is called in logs and records.
    pub name: String,
    /// What its text hashes to.
    pub hash: Hash,
    /// What it may do.
    pub allow: BTreeSet<Scope>,
}

impl Token {
    /// The token with this text. Every token is looked at, whichever it is, each in constant time.
    pub fn find<'a>(tokens: &'a [Self], text: &str) -> Option<&'a Self> {
        let hash = Hash::of(text);
        tokens.iter().fold(None, |found, token| {
            if bool::from(token.hash.0.ct_eq(&hash.0)) { Some(token) } else { found }
        })
    }
}

/// A token's SHA-256. A token is drawn at random and long, so that no slow hash is needed.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of a token's text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (position, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * position..2 * position + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look at everything, where users are set up and looking needs one.
    Read,
    /// Have the configuration read again.
    Reload,
    /// Act on rollbacks.
    Rollback,
    /// Move releases on.
    Releases,
    /// Say that alerts fire, which may roll back.
    Hooks,
    /// Act on notices.
    Notices,
    /// Say what came of requests that another router carried.
    Evidence,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Reload,
        Self::Rollback,
        Self::Releases,
        Self::Hooks,
        Self::Notices,
        Self::Evidence,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reload => "reload",
            Self::Rollback => "rollback",
            Self::Releases => "releases",
            Self::Hooks => "hooks",
            Self::Notices => "notices",
            Self::Evidence => "evidence",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1: the digest of `abc`.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_token_is_known_by_its_sha_256_and_by_nothing_else() {
        let hash = Hash::parse(ABC).unwrap();
        assert_eq!((Hash::of("abc"), hash.to_string()), (hash.clone(), ABC.to_owned()));
        let upper = ABC.to_uppercase().replace("SHA256", "sha256");
        assert_eq!(Hash::parse(&upper), Some(hash.clone()));
        for wrong in ["abc", "", "sha256:", &ABC[..70], &ABC.replace("ba", "zz"), &ABC[7..]] {
            assert_eq!(Hash::parse(wrong), None, "{wrong}");
        }
        let token = |name: &str, hash| Token { name: name.to_owned(), hash, allow: [].into() };
        let tokens = [token("other", Hash::of("other")), token("abc", hash)];
        assert_eq!(Token::find(&tokens, "abc").map(|token| token.name.as_str()), Some("abc"));
        assert_eq!(Token::find(&tokens, "abd"), None);
        assert_eq!(Token::find(&tokens, ""), None);
    }

    #[test]
    fn a_password_is_taken_as_bcrypt_writes_it_and_never_in_plain_text() {
        let digest = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        for (text, expected) in [
            (format!("$2y$10${digest}"), Ok(10)),
            (format!("$2a$04${digest}"), Ok(4)),
            (format!("$2b$31${digest}"), Ok(31)),
            (format!("$2y$03${digest}"), Err(HashError::Cost(3))),
            (format!("$2y$40${digest}"), Err(HashError::Cost(40))),
            (format!("$2y$10${digest}x"), Err(HashError::NotBcrypt)),
            (format!("$5$10${digest}"), Err(HashError::NotBcrypt)),
            ("hush".to_owned(), Err(HashError::NotBcrypt)),
            (String::new(), Err(HashError::NotBcrypt)),
        ] {
            assert_eq!(PasswordHash::parse(&text).map(|hash| hash.cost()), expected, "{text}");
        }
    }
}
