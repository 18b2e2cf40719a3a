//! Not built yet: server.
