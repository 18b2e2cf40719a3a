//! Not built yet: upstream.
