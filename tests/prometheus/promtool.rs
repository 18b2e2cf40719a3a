//! promtool: on what we export, on what we ship, and as a client of our API.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::run::{Run, Settings, own_rules, shipped_rules};
use crate::web;

/// Runs promtool, which must succeed.
pub fn run(arguments: &[&str]) -> Output {
    run_on(arguments, Stdio::null())
}

fn run_on(arguments: &[&str], input: Stdio) -> Output {
    let output = Command::new("promtool").args(arguments).stdin(input).output().unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {output:?}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_no_fault_with_our_metrics_and_reads_our_api() {
    let rules = shipped_rules();
    let run =
        Run::start(Settings { rules, probe_interval: "200ms", sections: String::new() }).await;
    run.has_probed(5).await;

    let metrics =
        run.directory.write("metrics.txt", &web::get(&run.bellwether.url("/metrics")).await);
    let output = run_on(&["check", "metrics"], File::open(&metrics).unwrap().into());
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(said, "", "promtool remarks something about /metrics");

    let server = run.bellwether.url("");
    let said = |arguments: &[&str]| text(&self::run(arguments).stdout);
    let instance = run.bellwether.address;
    let up = said(&["query", "instant", &server, "up"]);
    assert!(up.starts_with(&format!("up{{instance=\"{instance}\", job=\"bellwether\"}} => 1 @[")));
    let fired = said(&["query", "range", "--step=1s", &server, "bellwether_probe_fired_total"]);
    for target in ["stable", "candidate"] {
        assert!(fired.contains(&format!("target=\"{target}\"")), "{fired}");
    }
    let series = said(&[
        "query",
        "series",
        "--match=bellwether_probe_due_total{target=\"stable\"}",
        &server,
    ]);
    assert_eq!(series.lines().count(), 1, "{series}");
    assert!(series.contains("bellwether_probe_due_total") && series.contains("stable"), "{series}");
    assert_eq!(said(&["query", "labels", &server, "target"]), "candidate\nstable\n");
}

#[test]
fn promtool_finds_no_fault_with_the_rules() {
    for file in shipped_rules().into_iter().chain([own_rules("short.yml"), own_rules("pair.yml")]) {
        let output = run(&["check", "rules", file.to_str().unwrap()]);
        assert!(text(&output.stdout).contains("SUCCESS"), "{output:?}");
    }
    let mut scripts: Vec<PathBuf> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/tests"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with("_test.yml"))
            .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for script in scripts {
        let output = run(&["test", "rules", script.to_str().unwrap()]);
        assert!(text(&output.stdout).contains("SUCCESS"), "{output:?}");
    }
}
