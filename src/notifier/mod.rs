//! Not built yet: notifier.
