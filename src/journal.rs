//! Not built yet: journal.
