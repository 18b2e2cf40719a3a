//! A directory with a recording, and the program that replays it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bellwether::archive::Archive;
use bellwether::model::{Labels, Timestamp};
use bellwether::series::{Scrape, Settings};
use bellwether::telemetry::Telemetry;
use serde_json::Value;

use crate::incident::{END, RULES, STEP, Series, T0, scrape, written};

pub struct Stage(PathBuf);

/// What a replay said.
pub struct Replayed {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Stage {
    pub fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-replay-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With rules and a recording that nobody writes to.
    pub async fn recorded() -> Self {
        let stage = Self::empty();
        stage.write("rules.yml", RULES);
        stage.record().await.close(Duration::from_secs(60)).await;
        stage
    }

    /// Records the incident into `store` by the archive's own writer, which goes on.
    pub async fn record(&self) -> Archive {
        let settings = Settings {
            retention: Duration::from_secs(24 * 3600),
            size_max_bytes: 1 << 30,
            series_max: 1000,
        };
        let start = Timestamp::from_millis(T0);
        let (archive, mut store) =
            Archive::open(&self.path("store"), settings, Vec::new(), start, Telemetry::new())
                .unwrap();
        store.note_writes();
        let (mut scraped, mut by_rules) = (Scrape::default(), Scrape::default());
        for second in (0..=END).step_by(STEP as usize) {
            let at = Timestamp::from_millis(T0 + second * 1000);
            store.scrape(&mut scraped, at, &labelled(scrape(second)));
            store.scrape(&mut by_rules, at, &labelled(written()));
            archive.batches().send(store.take_written()).await.unwrap();
        }
        // All of it is on disk when there is nothing left to take.
        while archive.batches().capacity() < archive.batches().max_capacity() {
            tokio::task::yield_now().await;
        }
        archive
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program in this directory, with lines for programs.
    pub fn replay(&self, arguments: &[&str]) -> Replayed {
        self.text(&[arguments, &["--output", "json"]].concat())
    }

    /// The same with lines for people.
    pub fn text(&self, arguments: &[&str]) -> Replayed {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        for name in ["RUST_LOG", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        let output = command.arg("replay").args(arguments).current_dir(&self.0).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Replayed { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Every file below a directory, with its content.
    pub fn bytes(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        gather(&self.path(name), &mut files);
        files
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _is_gone = fs::remove_dir_all(&self.0).is_ok();
    }
}

fn gather(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => gather(&path, files),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
}

fn labelled(samples: Vec<(Series, f64)>) -> Vec<(Labels, f64)> {
    samples.into_iter().map(|(series, value)| (Labels::from_pairs(series), value)).collect()
}

impl Replayed {
    fn objects(&self) -> Vec<Value> {
        assert!(self.code < 2, "{}", self.err);
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn lines(&self, kind: &str) -> Vec<Value> {
        self.objects().into_iter().filter(|line| line["kind"] == kind).collect()
    }

    pub fn summary(&self) -> Value {
        self.lines("summary").remove(0)
    }

    /// Each line in short, with its time in seconds from the first sample.
    pub fn timeline(&self) -> Vec<String> {
        let lines = self.objects().into_iter().filter(|line| line["at"].is_string());
        lines.map(|line| short(&line)).collect()
    }
}

fn short(line: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let second = |value: &Value| {
        let at: jiff::Timestamp = text(value).parse().unwrap();
        (at.as_millisecond() - T0) as f64 / 1000.0
    };
    let kind = text(&line["kind"]);
    let name = text(&line["labels"]["alertname"]);
    let rest = match kind.as_str() {
        "already" => {
            let or_earlier = if line["or_earlier"] == true { " or earlier" } else { "" };
            format!("{name} {} since {}{or_earlier}", text(&line["state"]), second(&line["since"]))
        }
        "notice" => format!("{} {}", text(&line["receiver"]), text(&line["reason"])),
        "rollback" => format!("{} {} {name}", text(&line["rollback"]), text(&line["verdict"])),
        _ => name,
    };
    format!("{} {kind} {rest}", second(&line["at"]))
}
