//! Not built yet: config.
