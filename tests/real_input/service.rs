//! The real binary, with a configuration and a state of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::exposition::Exposition;
use crate::peer::KEY;

/// A running `bellwether run`; ends with this value.
pub struct Service {
    process: Child,
    directory: PathBuf,
    address: String,
    log: Arc<Mutex<String>>,
}

impl Service {
    /// Starts one with a configuration whose keys are `env:RIGHT_KEY` and `env:WRONG_KEY`.
    pub fn start(name: &str, config: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("bellwether.yml"), config).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["run", "--web.listen-address", "127.0.0.1:0"])
            .current_dir(&directory)
            .env("RIGHT_KEY", KEY)
            .env("WRONG_KEY", "sk-wrong")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (said, heard) = mpsc::channel();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let address = line.split_once("listening address=");
                if let Some((_, rest)) = address {
                    let address = rest.split_whitespace().next().unwrap_or_default();
                    let _is_awaited = said.send(address.to_owned()).is_ok();
                }
                let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = heard.recv_timeout(Duration::from_secs(15)).unwrap_or_default();
        let service = Self { process, directory, address, log };
        assert!(!service.address.is_empty(), "bellwether did not start:\n{}", service.log());
        service
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Scrapes `/metrics`.
    pub fn scrape(&self) -> Exposition {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            // 1.0, so that the body comes in one piece and the connection ends with it.
            write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().unwrap_or_else(|error| panic!("no /metrics: {error}\n{}", self.log()));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(head.starts_with("HTTP/1.") && head.contains(" 200 "), "{head}");
        Exposition::read(body)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _was_running = self.process.kill().is_ok();
        let _is_gone = self.process.wait().is_ok();
        let _is_removed = std::fs::remove_dir_all(&self.directory).is_ok();
    }
}
