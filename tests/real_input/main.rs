//! The real binary against servers that others wrote: aimock, llama.cpp and LiteLLM's proxy.
//!
//! Our own simulator was written by those who wrote the decoders, and may share their mistakes.
//! What these servers do was seen on the wire first (see the scripts in `tests/peers`), and each
//! probe below must come out as that, and as nothing else. One run per server holds all of them:
//! both dialects, streamed and whole, healthy, with a wrong key, a wrong model and what else the
//! server can be made to do, and warm connections that rest longer than the server keeps them.

#![cfg(feature = "peers")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

mod aimock;
mod exposition;
mod litellm;
mod llama;
mod peer;
mod probes;
mod service;
