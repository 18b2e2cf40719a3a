//! Who calls, and what a caller may do here.
//!
//! Pure: the server finds out who somebody is (passwords, tokens and certificates cost time); here
//! it is decided what that allows. Three ways to be known: a user of the web configuration file with
//! a password, who may do everything; a bearer token, which may do what its `allow` says; a client
//! certificate that was verified, where the file asks for one and names no users. Whoever is on
//! loopback may change things without any of these only as long as none of them is set up.
//!
//! Awkward cases: with users set up, everything needs one of them or a token with `read`, `/metrics`
//! and `/-/healthy` too, as in Prometheus. A page of another site may change nothing, whoever its
//! reader is: a browser sends a password that it remembers along with everything. A call that nobody
//! vouches for must name a loopback host, so that a name that was pointed at 127.0.0.1 is of no use;
//! one with credentials may name any host, since a browser holds none for a name like that.

mod call;
mod settings;

pub use call::{Actor, Call, Identity, Refusal, Ways, may_change, may_read};
pub use settings::{
    ClientAuth, Hash, HashError, PasswordHash, Pem, PemSource, Scope, ServerTls, TlsVersion, Token,
    Web,
};
