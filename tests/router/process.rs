//! Processes of the built program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a program to start on a machine that is busy with something else.
const START: Duration = Duration::from_secs(60);

/// A process of the program, which ends with its test.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// A process of the built program.
    pub fn start(directory: &Path, name: &str, arguments: &[&str]) -> Self {
        Self::start_as(directory, name, env!("CARGO_BIN_EXE_bellwether"), arguments)
    }

    /// A process of another program.
    pub fn start_as(directory: &Path, name: &str, program: &str, arguments: &[&str]) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            // aimock ends with it; the others never look.
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Whether it has ended, and well.
    pub fn has_ended_well(&mut self) -> Option<bool> {
        self.child.try_wait().unwrap().map(|status| status.success())
    }

    /// The word that follows a mark in what it says.
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    pub fn word_after(&self, mark: &str) -> String {
        let by = Instant::now() + START;
        loop {
            let said = fs::read_to_string(&self.log).unwrap();
            let rest = said.split_once(mark).map(|(_, rest)| rest);
            if let Some((word, _)) = rest.and_then(|rest| rest.split_once(char::is_whitespace)) {
                return word.to_owned();
            }
            assert!(Instant::now() < by, "no `{mark}` in: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be over already.
        let _was_running = self.child.kill().is_ok();
        let _is_reaped = self.child.wait().is_ok();
    }
}
