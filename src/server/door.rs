//! What the server lets in by: TLS, users and headers of the web configuration file, as one value
//! that is replaced as a whole.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::tls;
use crate::access::{Token, Ways, Web};
use crate::model::Mistake;

/// The web configuration file with its certificates read.
#[derive(Clone, Debug, Default)]
pub struct Door {
    pub(super) web: Web,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// Reads the certificates, which blocks.
    pub fn open(web: Web) -> Result<Self, Vec<Mistake>> {
        let tls = web.tls.as_ref().map(tls::config).transpose()?;
        Ok(Self { web, tls })
    }

    /// What the file says.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// The ways to be known here.
    pub(super) fn ways(&self, tokens: &[Token]) -> Ways {
        let users = !self.web.users.is_empty();
        let verifies = self.web.tls.as_ref().is_some_and(|tls| tls.client_auth.is_verified());
        Ways { users, tokens: !tokens.is_empty(), certificates: verifies && !users }
    }
}

/// The latest of what tells who somebody is.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The web configuration file.
    pub door: watch::Receiver<Arc<Door>>,
    /// `web: tokens:`
    pub tokens: watch::Receiver<Arc<[Token]>>,
}
