//! Lines with the time since the start.

use std::io::Write as _;

use crate::clock::Clock;
use crate::model::Timestamp;

pub(super) struct Teller {
    clock: Clock,
    start: Timestamp,
}

impl Teller {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, start: clock.now() }
    }

    pub(super) fn tell(&self, line: &str) {
        self.tell_at(self.clock.now(), line);
    }

    pub(super) fn tell_at(&self, at: Timestamp, line: &str) {
        let seconds = at.since(self.start).as_secs_f64();
        self.plain(&format!("{seconds:7.3}s  {line}"));
    }

    pub(super) fn plain(&self, line: &str) {
        // A closed terminal ends the telling, not the demo.
        let _is_written = writeln!(std::io::stdout().lock(), "{line}").is_ok();
    }
}
