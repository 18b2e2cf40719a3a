//! Finds out who calls, asks `access` what that allows, and refuses the rest.
//!
//! Every request passes [`identify`] first. Then it meets [`reading`] or, by [`changing`], a check
//! for what it does; a route that stands behind neither does not exist. A refusal is logged with the
//! address, the user or token where it is known, and the reason; never with what was sent.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{Keys, ways};
use super::passwords::Passwords;
use crate::access::{self, Actor, Call, Identity, Refusal, Scope, Token, Ways};
use crate::downstream::{Door, PeerCertificate};
use crate::telemetry::{CallRefused, Telemetry};

/// What tells who somebody is.
#[derive(Clone)]
pub(super) struct Guard {
    keys: Keys,
    telemetry: Telemetry,
    passwords: Arc<Passwords>,
}

/// What was found out about a caller.
#[derive(Clone)]
struct Standing {
    identity: Identity,
    ways: Ways,
    /// Which known user or token it says it is.
    claims: Option<String>,
    telemetry: Telemetry,
}

/// Who makes a change, from where and why.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) actor: Actor,
    pub(super) peer: SocketAddr,
    /// The header `X-Bellwether-Reason`.
    pub(super) reason: Option<String>,
}

/// What proxies add: behind one, every caller seems to be on loopback.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];
const REASON: &str = "x-bellwether-reason";
/// A sentence or two.
const REASON_LENGTH_MAX: usize = 300;

impl Guard {
    pub(super) fn new(keys: Keys, telemetry: Telemetry) -> Self {
        Self { keys, telemetry, passwords: Arc::new(Passwords::new()) }
    }

    async fn standing(
        &self,
        header: Option<HeaderValue>,
        certificate: Option<PeerCertificate>,
        door: &Door,
    ) -> Standing {
        let tokens = Arc::clone(&self.keys.tokens.borrow());
        let ways = ways(door, &tokens);
        let Some(header) = header else {
            let identity = match certificate.filter(|_| ways.certificates) {
                Some(PeerCertificate(print)) => Identity::Known(Actor::Certificate(print)),
                None => Identity::Nobody,
            };
            let telemetry = self.telemetry.clone();
            return Standing { identity, ways, claims: None, telemetry };
        };
        let text = header.to_str().unwrap_or_default();
        let (scheme, rest) = text.split_once(' ').unwrap_or_default();
        let rest = rest.trim_start();
        let (identity, claims) = if scheme.eq_ignore_ascii_case("bearer") && ways.tokens {
            (bearer(&tokens, rest), None)
        } else if scheme.eq_ignore_ascii_case("basic") && ways.users {
            self.basic(door, rest).await
        } else {
            (Identity::Wrong("credentials of this kind are not known here"), None)
        };
        Standing { identity, ways, claims, telemetry: self.telemetry.clone() }
    }

    async fn basic(&self, door: &Door, encoded: &str) -> (Identity, Option<String>) {
        let users = &door.web().users;
        let pair = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else {
            return (Identity::Wrong("the credentials cannot be read"), None);
        };
        let claims = users.contains_key(user).then(|| user.to_owned());
        let identity = if self.passwords.are_right(users, user, password).await {
            Identity::Known(Actor::User(user.to_owned()))
        } else {
            Identity::Wrong("wrong user or password")
        };
        (identity, claims)
    }
}

fn bearer(tokens: &[Token], text: &str) -> Identity {
    match Token::find(tokens, text) {
        Some(token) => Identity::Known(Actor::Token(token.name.clone(), token.allow.clone())),
        None => Identity::Wrong("the token is not known here"),
    }
}

/// Finds out who calls, and adds the configured headers to whatever is answered.
pub(super) async fn identify(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let door = Arc::clone(&guard.keys.door.borrow());
    let header = request.headers().get(header::AUTHORIZATION).cloned();
    let certificate = request.extensions().get::<PeerCertificate>().cloned();
    let standing = guard.standing(header, certificate, &door).await;
    request.extensions_mut().insert(standing);
    let mut response = next.run(request).await;
    for (name, value) in &door.web().headers {
        // Both were checked when the file was read.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Lets those pass who may look.
pub(super) async fn reading(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let standing = standing_of(&request);
    match access::may_read(&standing.identity, standing.ways) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refuse(&refusal, standing, peer, request.uri().path()),
    }
}

/// Puts routes behind the check for what they do.
pub(super) fn changing(routes: Router, scope: Scope) -> Router {
    routes.layer(axum::middleware::from_fn(
        move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next| {
            change(scope, peer, request, next)
        },
    ))
}

async fn change(scope: Scope, peer: SocketAddr, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str());
    let call = Call {
        scope,
        is_loopback: peer.ip().to_canonical().is_loopback(),
        is_forwarded: FORWARDED.iter().any(|name| headers.contains_key(*name)),
        host: text(header::HOST).and_then(Result::ok),
        origin: text(header::ORIGIN).map(Result::unwrap_or_default),
    };
    let standing = standing_of(&request);
    match access::may_change(&call, standing.identity.clone(), standing.ways) {
        Ok(actor) => {
            let reason = reason(headers);
            request.extensions_mut().insert(Caller { actor, peer, reason });
            next.run(request).await
        }
        Err(refusal) => refuse(&refusal, standing, peer, request.uri().path()),
    }
}

fn standing_of(request: &Request) -> &Standing {
    let standing = request.extensions().get::<Standing>();
    standing.expect("`identify` is the outermost layer of the application")
}

/// Why somebody does something, as one line.
pub(super) fn one_line(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.trim().chars().take(REASON_LENGTH_MAX).map(plain).collect();
    (!text.is_empty()).then_some(text)
}

fn reason(headers: &HeaderMap) -> Option<String> {
    one_line(&String::from_utf8_lossy(headers.get(REASON)?.as_bytes()))
}

fn refuse(refusal: &Refusal, standing: &Standing, peer: SocketAddr, path: &str) -> Response {
    let who = match &standing.identity {
        Identity::Known(actor) => actor.to_string(),
        Identity::Nobody | Identity::Wrong(_) => match &standing.claims {
            Some(name) => format!("somebody as user `{name}`"),
            None => "somebody".to_owned(),
        },
    };
    tracing::warn!(peer = %peer.ip(), path, who, reason = %refusal, "call refused");
    let (status, refused) = match refusal {
        Refusal::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, CallRefused::Unauthenticated),
        Refusal::NotAllowed { .. } => (StatusCode::FORBIDDEN, CallRefused::NotAllowed),
        Refusal::Suspicious(_) => (StatusCode::FORBIDDEN, CallRefused::Suspicious),
    };
    standing.telemetry.call_refused(refused);
    let mut response = (status, format!("{refusal}\n")).into_response();
    for challenge in challenges(refusal, standing) {
        let value = HeaderValue::from_static(challenge);
        response.headers_mut().append(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// What would be taken (RFC 9110, 11.6.1; RFC 6750, 3).
fn challenges(refusal: &Refusal, standing: &Standing) -> Vec<&'static str> {
    let ways = standing.ways;
    match refusal {
        Refusal::Unauthenticated(_) => {
            let basic = ways.users.then_some("Basic realm=\"bellwether\", charset=\"UTF-8\"");
            // A client that has only a certificate to show learns that a 401 asks for credentials.
            let bearer = (ways.tokens || !ways.users).then_some("Bearer realm=\"bellwether\"");
            basic.into_iter().chain(bearer).collect()
        }
        Refusal::NotAllowed { .. } => {
            vec!["Bearer realm=\"bellwether\", error=\"insufficient_scope\""]
        }
        Refusal::Suspicious(_) => Vec::new(),
    }
}
