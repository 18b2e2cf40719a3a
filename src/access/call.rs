//! What a call may do.

use std::collections::BTreeSet;
use std::fmt;

use super::Scope;

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody on this machine, where nothing is set up to tell who.
    Loopback,
    /// A user of the web configuration file.
    User(String),
    /// The bearer of a token, and what that may do.
    Token(String, BTreeSet<Scope>),
    /// The holder of a certificate that was verified, by its SHA-256.
    Certificate(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => formatter.write_str("somebody on loopback"),
            Self::User(name) => write!(formatter, "user `{name}`"),
            Self::Token(name, _) => write!(formatter, "token `{name}`"),
            Self::Certificate(print) => write!(formatter, "certificate {print}"),
        }
    }
}

/// What came of the credentials of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// There are none.
    Nobody,
    /// They are wrong, and what is wrong with them: without any of their text.
    Wrong(&'static str),
    /// They are right.
    Known(Actor),
}

/// Which ways there are to be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Users with passwords.
    pub users: bool,
    /// Bearer tokens.
    pub tokens: bool,
    /// Certificates that are verified.
    pub certificates: bool,
}

impl Ways {
    fn is_any(self) -> bool {
        self.users || self.tokens || self.certificates
    }
}

/// What matters of a call that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it does.
    pub scope: Scope,
    /// Whether it comes from this machine.
    pub is_loopback: bool,
    /// Whether a proxy says that it is somebody else's.
    pub is_forwarded: bool,
    /// The header `Host`; `None` where it is missing or no text.
    pub host: Option<&'a str>,
    /// The header `Origin`, empty where it is no text.
    pub origin: Option<&'a str>,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody is known, or wrongly: 401.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// A token is right and not for this: 403.
    #[error("token `{name}` is not allowed to `{}`; its `allow` would have to name it", scope.as_str())]
    NotAllowed {
        /// The token.
        name: String,
        /// What it was used for.
        scope: Scope,
    },
    /// It can't be trusted, whoever it is: 403.
    #[error("{0}")]
    Suspicious(&'static str),
}

/// Whether somebody may look.
pub fn may_read(identity: &Identity, ways: Ways) -> Result<(), Refusal> {
    if !ways.users {
        return Ok(());
    }
    match identity {
        Identity::Known(actor) => is_allowed(actor, Scope::Read),
        Identity::Wrong(why) => Err(Refusal::Unauthenticated(why)),
        Identity::Nobody => Err(Refusal::Unauthenticated("credentials are needed")),
    }
}

/// Who changes something, if they may.
pub fn may_change(call: &Call<'_>, identity: Identity, ways: Ways) -> Result<Actor, Refusal> {
    let host = call.host.ok_or(Refusal::Suspicious("there is no Host header"))?;
    let from = call.origin.map(|origin| origin.split_once("://").unwrap_or_default().1);
    // Another port is another program, and its pages are not ours.
    if from.is_some_and(|from| !from.eq_ignore_ascii_case(host)) {
        return Err(Refusal::Suspicious("the Origin header names another site"));
    }
    match identity {
        Identity::Known(actor) => is_allowed(&actor, call.scope).map(|()| actor),
        Identity::Wrong(why) if ways.is_any() => Err(Refusal::Unauthenticated(why)),
        Identity::Nobody if ways.is_any() => {
            Err(Refusal::Unauthenticated("credentials are needed"))
        }
        Identity::Nobody | Identity::Wrong(_) => vouched_by_place(call, host),
    }
}

fn is_allowed(actor: &Actor, scope: Scope) -> Result<(), Refusal> {
    match actor {
        Actor::Token(name, allow) if !allow.contains(&scope) => {
            Err(Refusal::NotAllowed { name: name.clone(), scope })
        }
        Actor::Loopback | Actor::User(_) | Actor::Token(..) | Actor::Certificate(_) => Ok(()),
    }
}

/// Nothing is set up to tell who somebody is: this machine may, and nobody else.
fn vouched_by_place(call: &Call<'_>, host: &str) -> Result<Actor, Refusal> {
    if !call.is_loopback {
        let why = "calls that change something answer on loopback only; for others, set up \
                   `web: tokens:` or `--web.config.file`";
        return Err(Refusal::Suspicious(why));
    }
    if !is_local(host) {
        return Err(Refusal::Suspicious("the Host header names no loopback host"));
    }
    if call.is_forwarded {
        return Err(Refusal::Suspicious("the call was forwarded for somebody else"));
    }
    Ok(Actor::Loopback)
}

/// Whether `host[:port]` is this machine by a name that nobody else can take.
fn is_local(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    if !port.is_empty() && !is_port(port) {
        return false;
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'static> = Call {
        scope: Scope::Reload,
        is_loopback: true,
        is_forwarded: false,
        host: Some("127.0.0.1:9779"),
        origin: None,
    };
    const NONE: Ways = Ways { users: false, tokens: false, certificates: false };
    const TOKENS: Ways = Ways { tokens: true, ..NONE };
    const USERS: Ways = Ways { users: true, ..NONE };

    fn user() -> Identity {
        Identity::Known(Actor::User("alice".to_owned()))
    }

    fn token(allow: &[Scope]) -> Identity {
        Identity::Known(Actor::Token("ci".to_owned(), allow.iter().copied().collect()))
    }

    /// 200, 401 or 403.
    fn status(call: Call<'_>, identity: Identity, ways: Ways) -> u16 {
        match may_change(&call, identity, ways) {
            Ok(_) => 200,
            Err(Refusal::Unauthenticated(_)) => 401,
            Err(Refusal::NotAllowed { .. } | Refusal::Suspicious(_)) => 403,
        }
    }

    #[test]
    fn only_a_local_host_and_origin_pass_without_credentials() {
        for (host, origin, expected) in [
            (Some("127.0.0.1:9779"), None, 200),
            (Some("localhost:9779"), Some("http://localhost:9779"), 200),
            (Some("[::1]:9779"), Some("http://[::1]:9779"), 200),
            (None, None, 403),
            (Some("rebound.example:9779"), None, 403),
            (Some("127.0.0.1.example:9779"), None, 403),
            (Some("127.0.0.1:9779"), Some("https://example.com"), 403),
            (Some("127.0.0.1:9779"), Some("null"), 403),
            (Some("localhost:9779"), Some("http://localhost:3000"), 403),
            (Some("localhost:9779@example.com"), None, 403),
            (Some("[::1].example:9779"), None, 403),
            (Some("rebound.example"), Some("http://rebound.example"), 403),
            (Some("LOCALHOST"), Some("http://localhost"), 200),
        ] {
            let call = Call { host, origin, ..CALL };
            assert_eq!(status(call, Identity::Nobody, NONE), expected, "{host:?} {origin:?}");
        }
        let forwarded = Call { is_forwarded: true, ..CALL };
        assert_eq!(status(forwarded, Identity::Nobody, NONE), 403);
    }

    #[test]
    fn off_loopback_nobody_changes_anything_without_credentials() {
        let away = Call { is_loopback: false, host: Some("bellwether:9779"), ..CALL };
        for (identity, ways, expected) in [
            (Identity::Nobody, NONE, 403),
            (Identity::Wrong("w"), NONE, 403),
            (Identity::Nobody, TOKENS, 401),
            (Identity::Wrong("w"), TOKENS, 401),
            (token(&[Scope::Reload]), TOKENS, 200),
            (token(&[Scope::Hooks]), TOKENS, 403),
            (user(), USERS, 200),
        ] {
            assert_eq!(status(away, identity.clone(), ways), expected, "{identity:?} {ways:?}");
        }
    }

    #[test]
    fn loopback_needs_credentials_as_soon_as_there_are_any() {
        for ways in [TOKENS, USERS, Ways { certificates: true, ..NONE }] {
            assert_eq!(status(CALL, Identity::Nobody, ways), 401, "{ways:?}");
            assert_eq!(status(CALL, Identity::Wrong("w"), ways), 401, "{ways:?}");
            assert_eq!(status(CALL, user(), ways), 200, "{ways:?}");
        }
    }

    #[test]
    fn a_page_of_another_site_changes_nothing_whoever_reads_it() {
        let call = Call { origin: Some("https://evil.example"), ..CALL };
        assert_eq!(status(call, user(), USERS), 403);
        let own = Call { host: Some("b.example"), origin: Some("https://b.example"), ..CALL };
        assert_eq!(status(own, user(), USERS), 200);
        assert_eq!(status(Call { host: None, ..CALL }, user(), USERS), 403);
    }

    #[test]
    fn looking_is_free_until_there_are_users() {
        let status = |identity, ways| match may_read(&identity, ways) {
            Ok(()) => 200,
            Err(Refusal::Unauthenticated(_)) => 401,
            Err(Refusal::NotAllowed { .. } | Refusal::Suspicious(_)) => 403,
        };
        for (identity, ways, expected) in [
            (Identity::Nobody, NONE, 200),
            (Identity::Nobody, TOKENS, 200),
            (Identity::Wrong("w"), TOKENS, 200),
            (Identity::Nobody, USERS, 401),
            (Identity::Wrong("w"), USERS, 401),
            (user(), USERS, 200),
            (token(&[Scope::Read]), USERS, 200),
            (token(&[Scope::Reload]), USERS, 403),
        ] {
            assert_eq!(status(identity.clone(), ways), expected, "{identity:?} {ways:?}");
        }
    }
}
