//! Not built yet: demo.
