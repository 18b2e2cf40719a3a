//! Cadence, accounts, reload and stop.
