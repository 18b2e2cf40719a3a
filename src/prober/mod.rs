//! Not built yet: prober.
