//! How far a comparison has come, on standard error: a bar on a terminal, a line each tenth elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use crate::shadow::{Answer, Arm, Pair, Standing, standing};

const WIDTH: usize = 24;
/// A terminal that is drawn more often shows nothing more.
const REDRAW: Duration = Duration::from_millis(100);

/// Draws and clears itself.
#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    is_drawn: bool,
    drawn: Option<Instant>,
    began: Instant,
    planned: usize,
    asked: usize,
    /// How many tenths were said.
    tenths: usize,
    failed: [u64; 2],
    /// The sum of the first halves' times to something, and how many.
    seconds: [(f64, u32); 2],
}

impl Progress {
    pub(super) fn start(planned: usize) -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            is_drawn: false,
            drawn: None,
            began: Instant::now(),
            planned,
            asked: 0,
            tenths: 0,
            failed: [0; 2],
            seconds: [(0.0, 0); 2],
        }
    }

    /// Makes room for other lines.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            say("\r\x1b[2K");
        }
    }

    pub(super) fn pair(&mut self, pair: &Pair) {
        self.asked += 1;
        for (index, answer) in [&pair.stable, &pair.candidate].into_iter().enumerate() {
            self.half(index, answer);
        }
        self.show();
    }

    fn half(&mut self, index: usize, answer: &Answer) {
        let outcome = &answer.outcome;
        match standing(outcome.error_type) {
            Standing::Failed => self.failed[index] += 1,
            Standing::Answered => {
                let (sum, count) = &mut self.seconds[index];
                *sum += outcome.ttft.unwrap_or(outcome.total).as_secs_f64();
                *count += 1;
            }
            Standing::Declined | Standing::Void => {}
        }
    }

    pub(super) fn refused(&mut self, arm: Arm, limit: &str, wait: Duration) {
        self.clear();
        say(&format!("{} refuses by its {limit} limit; left alone for {wait:.1?}\n", arm.as_str()));
    }

    fn show(&mut self) {
        let planned = self.planned.max(1);
        let tenths = self.asked * 10 / planned;
        if self.is_terminal {
            let is_last = self.asked >= planned;
            if self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) && !is_last {
                return;
            }
            self.clear();
            let full = (self.asked * WIDTH / planned).min(WIDTH);
            let bar = "#".repeat(full) + &".".repeat(WIDTH - full);
            say(&format!("[{bar}] {}", self.line()));
            self.is_drawn = true;
            self.drawn = Some(Instant::now());
        } else if tenths > self.tenths {
            self.tenths = tenths;
            say(&format!("{}\n", self.line()));
        }
    }

    fn line(&self) -> String {
        let arm = |index: usize| {
            let (sum, count) = self.seconds[index];
            let mean = if count == 0 { 0.0 } else { sum / f64::from(count) * 1000.0 };
            format!("{} failed, {mean:.0} ms", self.failed[index])
        };
        let left = self.planned.saturating_sub(self.asked) as f64;
        let left = self.began.elapsed().as_secs_f64() / self.asked.max(1) as f64 * left;
        format!(
            "{} of {} pairs  stable {}  candidate {}  {left:.0} s left",
            self.asked,
            self.planned,
            arm(0),
            arm(1)
        )
    }
}

/// Whoever closed standard error wants to see nothing.
fn say(text: &str) {
    let mut out = io::stderr().lock();
    let _is_seen = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
}
