//! A process of the binary, and what it writes.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::wait::{PATIENCE, until};

/// Settings of the machine that would change what the binary does.
const FOREIGN: [&str; 7] = [
    "RUST_LOG",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A running process; it is killed when this is dropped.
pub struct Program {
    child: Child,
    pub out: Transcript,
    pub err: Transcript,
}

/// What a process has written so far.
pub struct Transcript(watch::Receiver<String>);

/// A process that ended.
pub struct Finished {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    /// Starts the binary with variables and arguments.
    pub fn start(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::start_as(env!("CARGO_BIN_EXE_bellwether"), variables, arguments)
    }

    /// The same by a program that becomes the binary.
    pub fn start_as(program: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        FOREIGN.iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut child = command
            .envs(variables.iter().copied())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, out: Transcript::of(out), err: Transcript::of(err) }
    }

    /// Runs the binary to its end.
    pub async fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
        let mut program = Self::start(variables, arguments);
        let code = program.ended().await;
        Finished { code, out: program.out.whole().await, err: program.err.whole().await }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: `TERM`, `HUP`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Ends it at once, as `kill -9` does, without a program in between.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for the end; the exit code, -1 after a signal.
    pub async fn ended(&mut self) -> i32 {
        let status = until(async || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err("the process goes on".to_owned()),
        });
        status.await.code().unwrap_or(-1)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be over already.
        let _was_running = self.child.kill().is_ok();
        let _is_reaped = self.child.wait().is_ok();
    }
}

impl Transcript {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(String::new());
        std::thread::spawn(move || {
            let (mut lines, mut line) = (BufReader::new(stream), Vec::new());
            while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        Self(receiver)
    }

    pub fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// Everything, once the process has ended.
    pub async fn whole(&self) -> String {
        let mut receiver = self.0.clone();
        while receiver.changed().await.is_ok() {}
        self.text()
    }

    /// Waits for the words that follow a mark, up to the next white space.
    pub async fn word_after(&self, mark: &str) -> String {
        let mut receiver = self.0.clone();
        let word = |text: &str| {
            let (_, rest) = text.split_once(mark)?;
            rest.split_once(char::is_whitespace).map(|(word, _)| word.to_owned())
        };
        let came = timeout(PATIENCE, receiver.wait_for(|text| word(text).is_some())).await;
        let is_there = matches!(came, Ok(Ok(_)));
        drop(came);
        assert!(is_there, "no `{mark}` in: {}", self.text());
        word(&self.text()).unwrap()
    }
}

/// A directory of a test's own, removed with everything in it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _is_gone = std::fs::remove_dir_all(&self.0).is_ok();
    }
}

/// How long a moment is where nothing can be waited for: the time that a process shall be stopped.
pub async fn let_pass(time: Duration) {
    tokio::time::sleep(time).await;
}
