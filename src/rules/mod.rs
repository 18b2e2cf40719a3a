//! Not built yet: rules.
