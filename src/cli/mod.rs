//! Not built yet: cli.
