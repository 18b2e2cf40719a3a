//! What is there after `kill -9`: the binary itself, probing its own simulator once a second.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running process and what it writes; it is killed when this is dropped.
struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        for name in ["RUST_LOG", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        let command = command.args(arguments).stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run and stopped");
        let (sender, lines) = mpsc::channel();
        let out: Box<dyn std::io::Read + Send> =
            Box::new(child.stdout.take().expect("the program can be run and stopped"));
        let err: Box<dyn std::io::Read + Send> =
            Box::new(child.stderr.take().expect("the program can be run and stopped"));
        for stream in [out, err] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Who has read enough no longer listens.
                    let _is_heard = sender.send(line).is_ok();
                }
            });
        }
        Self { child, lines }
    }

    /// Reads until a line has a mark. Returns that line and those before it.
    fn line_with(&self, mark: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(mark) => return (line, before),
                Ok(line) => before.push(line),
                Err(_) => panic!("no `{mark}` in:\n{}", before.join("\n")),
            }
        }
    }
}

impl Drop for Program {
    /// SIGKILL: nothing is flushed, nothing is said.
    fn drop(&mut self) {
        self.child.kill().expect("the program can be run and stopped");
        self.child.wait().expect("the program can be run and stopped");
    }
}

struct Stage {
    directory: PathBuf,
    _simulator: Program,
}

impl Stage {
    fn new() -> Self {
        let name = format!("bellwether-restart-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("the scratch directory and the simulator work");
        let simulator = Program::start(&["simulate", "--web.listen-address", "127.0.0.1:0"]);
        let (line, _) = simulator.line_with("listening on ");
        let base_url = line
            .split_whitespace()
            .last()
            .expect("the scratch directory and the simulator work")
            .to_owned();
        let config = format!(
            "global: {{sample_interval: 1s, rollback_sample_interval: 1s, evaluation_interval: 1s, \
             instance: here}}\n\
             rule_files: [rules.yml]\n\
             providers:\n- {{name: fake, dialect: openai_chat, base_url: '{base_url}', auth: none, \
             models: {{m: {{}}}}}}\n\
             probes:\n- {{provider: fake, model: m, interval: 1s, budget_daily: unlimited}}\n"
        );
        let rules = "groups: [{name: g, rules: [{record: 'up:sum', expr: sum(up)}, \
                     {alert: Waiting, expr: up == 1, for: 1h}, {alert: Burning, expr: up == 1}]}]\n";
        std::fs::write(directory.join("bellwether.yml"), config)
            .expect("the scratch directory and the simulator work");
        std::fs::write(directory.join("rules.yml"), rules)
            .expect("the scratch directory and the simulator work");
        Self { directory, _simulator: simulator }
    }

    /// Starts bellwether. Returns it, its address and what it said on the way.
    fn run(&self) -> (Program, String, Vec<String>) {
        let file = self.directory.join("bellwether.yml");
        let storage = self.directory.join("data");
        let [file, storage] = [&file, &storage]
            .map(|path| path.to_str().expect("the scratch directory and the simulator work"));
        let program = Program::start(&[
            "run",
            "--config.file",
            file,
            "--storage.path",
            storage,
            "--web.listen-address",
            "127.0.0.1:0",
        ]);
        let (line, before) = program.line_with("listening");
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.unwrap_or_else(|| panic!("no address in {line}"));
        (program, format!("http://{}", address.trim_matches('"')), before)
    }

    fn log(&self) -> PathBuf {
        self.directory.join("data/samples/00000001.log")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _is_cleaned_up = std::fs::remove_dir_all(&self.directory).is_ok();
    }
}

/// The result of an instant query: each series' labels and points, in milliseconds.
async fn query(url: &str, expr: &str) -> BTreeMap<String, Vec<(i64, f64)>> {
    let url = format!("{url}/api/v1/query");
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("query", expr).finish();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("bellwether answers as Prometheus does");
    let request = client.post(&url).header("content-type", "application/x-www-form-urlencoded");
    let body = request
        .body(form)
        .send()
        .await
        .expect("bellwether answers as Prometheus does")
        .text()
        .await
        .expect("bellwether answers as Prometheus does");
    let answer: Value = serde_json::from_str(&body).expect("bellwether answers as Prometheus does");
    assert_eq!(answer["status"], "success", "{expr}: {body}");
    let point = |point: &Value| {
        let at = (point[0].as_f64().expect("bellwether answers as Prometheus does") * 1000.0)
            .round() as i64;
        (
            at,
            point[1]
                .as_str()
                .expect("bellwether answers as Prometheus does")
                .parse()
                .expect("bellwether answers as Prometheus does"),
        )
    };
    let series =
        answer["data"]["result"].as_array().expect("bellwether answers as Prometheus does").iter();
    series
        .map(|series| {
            let points = match series["values"].as_array() {
                Some(values) => values.iter().map(point).collect(),
                None => vec![point(&series["value"])],
            };
            (series["metric"].to_string(), points)
        })
        .collect()
}

/// The points of the only series that an expression yields; none where there is no series.
async fn points(url: &str, expr: &str) -> Vec<(i64, f64)> {
    let mut result = query(url, expr).await;
    assert!(result.len() <= 1, "{expr}: {result:?}");
    result.pop_first().map(|(_, points)| points).unwrap_or_default()
}

/// Waits until `up` has this many samples after a time.
async fn until_sampled(url: &str, count: usize, after: i64) -> Vec<(i64, f64)> {
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    let sampled = async {
        loop {
            let found = points(url, "up[5m]").await;
            if found.iter().filter(|(at, _)| *at > after).count() >= count {
                return found;
            }
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, sampled).await.expect("`up` is sampled once a second")
}

fn times(points: &[(i64, f64)]) -> Vec<i64> {
    points.iter().map(|(at, _)| *at).collect()
}

#[tokio::test]
async fn windows_and_waiting_alerts_go_on_after_kill_9() {
    let stage = Stage::new();
    let (first, url, _) = stage.run();
    let seen = until_sampled(&url, 6, 0).await;
    let waiting = points(&url, "ALERTS_FOR_STATE{alertname=\"Waiting\"}").await;
    let burning = points(&url, "ALERTS_FOR_STATE{alertname=\"Burning\"}").await;
    let recorded = points(&url, "up:sum[5m]").await;
    drop(first);

    let (second, url, said) = stage.run();
    let died = seen.last().unwrap().0;
    let now = until_sampled(&url, 4, died + 2000).await;
    // All that was seen is there, but perhaps the tick during which the process was killed.
    let kept: Vec<i64> = times(&now).into_iter().filter(|at| *at <= died).collect();
    let before = times(&seen);
    assert!(kept == before || kept == before[..before.len() - 1], "{kept:?} of {before:?}");
    assert!(!said.iter().any(|line| line.contains("ERROR")), "{}", said.join("\n"));

    // One window over the gap.
    let count = points(&url, "count_over_time(up[5m])").await[0].1 as usize;
    assert!(count >= kept.len() + 4, "{count}");
    let fired = points(&url, "bellwether_probe_fired_total[5m]").await;
    let (old, new): (Vec<&(i64, f64)>, Vec<_>) = fired.iter().partition(|point| point.0 <= died);
    assert!(old.len() >= 5 && new.len() >= 4, "{fired:?}");
    let rate = points(&url, "rate(bellwether_probe_fired_total[5m])").await[0].1;
    // From the points themselves: what each run added, the counter having begun anew in between.
    let risen = |run: &[&(i64, f64)]| run[run.len() - 1].1 - run[0].1;
    let seconds = (new[new.len() - 1].0 - old[0].0) as f64 / 1000.0;
    let least = (risen(&old) + risen(&new)) / (seconds + 300.0);
    assert!(rate > least && rate < 2.0, "{rate} of {fired:?}");
    let recorded_now = times(&points(&url, "up:sum[5m]").await);
    assert!(times(&recorded)[..recorded.len() - 1].iter().all(|at| recorded_now.contains(at)));

    // What fired goes on as it was; what waited has not waited during the gap.
    let state = |name: &str| format!("ALERTS_FOR_STATE{{alertname=\"{name}\"}}");
    assert_eq!(points(&url, &state("Burning")).await[0].1, burning[0].1);
    let since = points(&url, &state("Waiting")).await[0].1 - waiting[0].1;
    let gap = (new[0].0 - old[old.len() - 1].0) as f64 / 1000.0;
    assert!(since >= 0.0 && since <= gap + 3.0, "{since} of a gap of {gap} s");
    drop(second);

    // A tail that is torn on top of that is cut off, said, and no hindrance.
    let file = std::fs::read(stage.log()).unwrap();
    std::fs::write(stage.log(), &file[..file.len() - 3]).unwrap();
    let died = now.last().unwrap().0;
    let (_third, url, said) = stage.run();
    assert!(said.iter().any(|line| line.contains("it was cut off")), "{}", said.join("\n"));
    let later = times(&until_sampled(&url, 2, died + 2000).await);
    assert!(times(&now)[..now.len() - 1].iter().all(|at| later.contains(at)));
    assert!(is_cut(&stage.log(), &file));
}

/// Whether a log goes on otherwise than it did, after all but its last record.
fn is_cut(log: &Path, before: &[u8]) -> bool {
    let after = std::fs::read(log).expect("the log is there");
    let same = after.iter().zip(before).take_while(|(left, right)| left == right).count();
    same < before.len() && same * 2 > before.len()
}
