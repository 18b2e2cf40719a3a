//! Not built yet: app.
