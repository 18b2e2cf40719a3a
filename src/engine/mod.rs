//! Not built yet: engine.
