//! The latest of what tells who somebody is.

use std::sync::Arc;

use tokio::sync::watch;

use crate::access::{Token, Ways};
use crate::downstream::Door;

/// What tells who somebody is.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The web configuration file.
    pub door: watch::Receiver<Arc<Door>>,
    /// `web: tokens:`
    pub tokens: watch::Receiver<Arc<[Token]>>,
}

/// The ways to be known here.
pub(super) fn ways(door: &Door, tokens: &[Token]) -> Ways {
    let users = !door.web().users.is_empty();
    let verifies = door.web().tls.as_ref().is_some_and(|tls| tls.client_auth.is_verified());
    Ways { users, tokens: !tokens.is_empty(), certificates: verifies && !users }
}
