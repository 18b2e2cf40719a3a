//! A server that others wrote, started by its script in `tests/peers`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The key that a peer demands.
pub const KEY: &str = "sk-peer";

/// Making a model and loading it takes a second or two on a quiet machine, and reading all of LiteLLM
/// ten.
const STARTED_WITHIN: Duration = Duration::from_secs(300);

/// A running peer; ends with this value, since its standard input does.
pub struct Peer {
    process: Child,
    pub url: String,
}

impl Peer {
    pub fn start(program: &str, script: &str) -> Self {
        Self::start_with(program, script, &[])
    }

    /// One that takes more than the key.
    pub fn start_with(program: &str, script: &str, more: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let mut process = Command::new(program)
            .arg(path)
            .arg(KEY)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`{program}` cannot be started: {error}"));
        let output = BufReader::new(process.stdout.take().unwrap());
        let (said, heard) = mpsc::channel();
        // Reads to the end, so that the peer never waits for a full pipe.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _is_awaited = said.send(line).is_ok();
            }
        });
        let url = std::iter::from_fn(|| heard.recv_timeout(STARTED_WITHIN).ok())
            .find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        let Some(url) = url else {
            // A failure here is a failure of the test all the same.
            let _was_running = process.kill().is_ok();
            panic!("`{script}` did not start; was `tests/peers/install` run?");
        };
        Self { process, url }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _was_running = self.process.kill().is_ok();
        let _is_gone = self.process.wait().is_ok();
    }
}
