//! Not built yet: simulator.
