//! How far it has come, on standard error: a bar on a terminal, a line each tenth elsewhere.

use std::io::{self, IsTerminal as _, Write as _};

use crate::replay::Progress;

const WIDTH: usize = 30;

/// Draws and clears itself.
#[derive(Debug)]
pub(super) struct Bar {
    is_terminal: bool,
    is_drawn: bool,
    /// How many tenths were said.
    tenths: u32,
}

impl Bar {
    pub(super) fn start() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), is_drawn: false, tenths: 0 }
    }

    /// Makes room for other lines.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            say("\r\x1b[2K");
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let percent = (progress.done * 100.0) as u32;
        let (at, samples) = (progress.at, progress.samples);
        if self.is_terminal {
            let full = (progress.done * WIDTH as f64) as usize;
            let bar = "#".repeat(full.min(WIDTH)) + &".".repeat(WIDTH.saturating_sub(full));
            say(&format!("[{bar}] {percent:>3}%  {at}  {samples} samples"));
            self.is_drawn = true;
        } else if percent / 10 > self.tenths {
            self.tenths = percent / 10;
            say(&format!("{percent:>3}%  {at}  {samples} samples\n"));
        }
    }
}

/// Whoever closed standard error wants to see nothing.
fn say(text: &str) {
    let mut out = io::stderr().lock();
    let _is_seen = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
}
