//! Processes and their files: started on free ports, killed when the test is over.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::web;

/// Long enough for a program to start on a machine that is busy with something else.
const START: Duration = Duration::from_secs(30);
/// A free port can be taken by somebody else before the program that wants it is there.
const ATTEMPTS: usize = 3;

/// A directory that goes away with the test.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-prometheus-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and says where it is.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _is_gone = fs::remove_dir_all(&self.0).is_ok();
    }
}

/// A running program that listens.
pub struct Process {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
}

impl Process {
    /// Starts bellwether, which picks a port by itself and says which.
    pub async fn bellwether(directory: &Directory, name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.args(arguments).args(["--web.listen-address", "127.0.0.1:0"]);
        let (mut child, log) = spawn(command, &directory.path(&format!("{name}.log")));
        let address = web::eventually(&format!("{name} listens"), START, async || {
            assert!(child.try_wait().unwrap().is_none(), "{name} ended: {}", read(&log));
            listening(&read(&log))
        })
        .await;
        Self { child, log, address }
    }

    /// Starts a program that must be told its port, and waits until it says it is ready.
    pub async fn peer(directory: &Directory, name: &str, arguments: &[String]) -> Self {
        // Names its log; the program may stand anywhere.
        let log = name.rsplit('/').next().unwrap_or(name);
        for _ in 0..ATTEMPTS {
            let address = free_address();
            let mut command = Command::new(name);
            command.args(arguments).arg(format!("--web.listen-address={address}"));
            let (child, log) = spawn(command, &directory.path(&format!("{log}.log")));
            let mut process = Self { child, log, address };
            if process.gets_ready(name).await {
                return process;
            }
        }
        panic!("{name} does not start: {}", read(&directory.path(&format!("{log}.log"))));
    }

    /// Starts a program that must be told its port and is not asked whether it is ready.
    pub fn unready_peer(directory: &Directory, name: &str, arguments: &[String]) -> Self {
        let address = free_address();
        let mut command = Command::new(name);
        command.args(arguments).arg(format!("--web.listen-address={address}"));
        let (child, log) = spawn(command, &directory.path(&format!("{name}.log")));
        Self { child, log, address }
    }

    /// Whether it became ready before it ended.
    async fn gets_ready(&mut self, name: &str) -> bool {
        let ready = self.url("/-/ready");
        web::eventually(&format!("{name} is ready"), START, async || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            web::try_get(&ready).await.map(|_| true)
        })
        .await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _was_running = self.child.kill().is_ok();
        let _is_reaped = self.child.wait().is_ok();
    }
}

fn spawn(mut command: Command, log: &Path) -> (Child, PathBuf) {
    let output = File::create(log).unwrap();
    let errors = output.try_clone().unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    (child, log.to_owned())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The address in a log that says it: `listening address=…` of a service, `listening on http://…`
/// of a simulator.
fn listening(log: &str) -> Option<SocketAddr> {
    // The last line may be half written.
    let (lines, _) = log.rsplit_once('\n')?;
    let line = lines.lines().find(|line| line.contains("listening"))?;
    line.split([' ', '=', '/']).find_map(|word| word.parse().ok())
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
