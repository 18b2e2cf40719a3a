//! A disk that is full, and one that turns read-only while it is used: traffic moves at once all the
//! same, and people are paged.
//!
//! The data directory is a small ext4 in a file, mounted for one process alone, which needs the rights
//! of root and loop devices; the kernel itself then refuses writes, in the middle of use. Where that
//! cannot be had the test says so and ends, unless the feature `peers` promises it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::program::{Program, Scratch};
use super::receiver::{Call, Manner, Receiver};
use super::rollback::{RULES, SECRET, config};
use super::service::{Service, Simulator, client};
use super::wait::until;

const SIGNING: [(&str, &str); 1] = [("SIGNING", SECRET)];
/// The half second that a rollback waits for its record, and a busy machine.
const AT_ONCE: Duration = Duration::from_secs(3);

const PAGE: &str = r#"
  - name: state
    interval: 1s
    rules:
      - alert: StateNotDurable
        expr: increase(bellwether_journal_failures_total[1m]) > 0
"#;

/// Mounts, and becomes the program that follows: `$1` where, `$2` what.
const WITHIN: &str = "mount -o loop,errors=remount-ro \"$2\" \"$1\" && shift 2 && exec \"$@\"";

fn may_mount(scratch: &Scratch) -> bool {
    let (image, place) = (scratch.path("disk"), scratch.path("data"));
    std::fs::create_dir_all(&place).unwrap();
    File::create(&image).unwrap().set_len(24 << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F", &image]).status();
    let tried = ["-m", "sh", "-c", WITHIN, "sh", &place, &image, "true"];
    let is_there = made.is_ok_and(|status| status.success())
        && Command::new("unshare").args(tried).output().is_ok_and(|tried| tried.status.success());
    assert!(is_there || !cfg!(feature = "peers"), "mkfs.ext4, unshare and loop devices are needed");
    if !is_there {
        println!("left out: nothing can be mounted here");
    }
    is_there
}

fn settings(candidate: &Simulator, stable: &Simulator, receiver: &Receiver) -> String {
    format!(
        "{}receivers:\n- {{name: team, webhook_configs: [{{url: '{}'}}]}}\n\
         route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n\
         rollbacks:\n- name: chat\n  matchers: ['severity=\"rollback\"']\n  candidate: [candidate]\n  \
         stable: [stable]\n  cooldown: 0s\n  steps:\n  - name: gateway\n    \
         webhook: {{url: '{}', signing_secret: 'env:SIGNING'}}\n    rehearsal: post\n    traffic: true\n  \
         - {{name: verify, verify: true}}\n",
        config(&candidate.url, &stable.url),
        receiver.url("/notice"),
        receiver.url("/gateway"),
    )
}

/// Takes all room there is; the file may be removed to give it back.
fn fill(path: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

/// The calls that told of an alert that began.
fn pages(receiver: &Receiver, alert: &str) -> usize {
    let is_it = |call: &Call| {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        body["status"] == "firing" && body["groupLabels"]["alertname"] == alert
    };
    receiver.calls("/notice").iter().filter(|call| is_it(call)).count()
}

/// Waits until both alerts were paged for the so-manieth time.
async fn paged(receiver: &Receiver, alert: &str, count: usize) {
    until(async || match pages(receiver, alert) {
        found if found >= count => Ok(()),
        found => Err(format!("{found} of {count} pages of {alert}")),
    })
    .await;
}

/// A rollback by hand: how long until traffic was told to move.
async fn by_hand(service: &Service, receiver: &Receiver) {
    let before = receiver.calls("/gateway").len();
    let asked = Instant::now();
    let (reply, _) = tokio::join!(
        service.post("/api/v1/releases/chat/rollback", ""),
        receiver.wait("/gateway", before + 1)
    );
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn a_full_disk_and_then_a_read_only_one_keep_no_rollback_and_no_page_back() {
    let scratch = Scratch::new("disk");
    if !may_mount(&scratch) {
        return;
    }
    let (candidate, stable) = (Simulator::start().await, Simulator::start().await);
    let receiver = Receiver::start(Manner::Takes).await;
    scratch.write("rules.yml", &format!("{RULES}{PAGE}"));
    let path = scratch.write("bellwether.yml", &settings(&candidate, &stable, &receiver));
    let (image, data) = (scratch.path("disk"), scratch.path("data"));
    let (listen, binary) = ("--web.listen-address=127.0.0.1:0", env!("CARGO_BIN_EXE_bellwether"));
    let run = [binary, "run", "-c", &path, listen, "--storage.path", &data];
    let within = ["-m", "sh", "-c", WITHIN, "sh", &data, &image];
    let program = Program::start_as("unshare", &SIGNING, &[&within[..], &run].concat());
    let address = program.err.word_after("listening address=").await;
    let service = Service { program, url: format!("http://{address}"), client: client() };
    let inside = format!("/proc/{}/root{data}", service.program.id());
    let device = mounted(&service, &data);
    let runs = "bellwether_probe_runs_total";
    let failures = "bellwether_journal_failures_total";
    let ended = "bellwether_rollback_seconds_count";
    for target in ["candidate", "stable"] {
        service.reaches(runs, &[("target", target), ("slo", "good")], 5.0).await;
    }

    // Full.
    fill(&format!("{inside}/fill"));
    candidate.fault("{kind: http, status: 500}").await;
    receiver.wait("/gateway", 1).await;
    service.reaches(ended, &[("mode", "real")], 1.0).await;
    let metrics = service.reaches(failures, &[], 1.0).await;
    assert_eq!(metrics.value("bellwether_rollback_unverified", &[("rollback", "chat")]), Some(0.0));
    paged(&receiver, "CandidateFails", 1).await;
    paged(&receiver, "StateNotDurable", 1).await;
    by_hand(&service, &receiver).await;
    service.reaches(ended, &[("mode", "real")], 2.0).await;

    // There is room again: what was carried out without a record is put on it.
    std::fs::remove_file(format!("{inside}/fill")).unwrap();
    until(async || {
        let log = service.get("/api/v1/releases/chat/log").await.json()["data"]["log"].clone();
        let log = log.as_array().unwrap();
        let ends = log.iter().filter(|entry| entry["end"] == "rolled_back").count();
        if ends == 2 { Ok(()) } else { Err(format!("{log:?}")) }
    })
    .await;
    candidate.play("ttft: 1ms").await;
    until(async || {
        let firing =
            service.query(r#"ALERTS{alertname="CandidateFails",alertstate="firing"}"#).await;
        if firing.is_empty() { Ok(()) } else { Err(format!("{firing:?}")) }
    })
    .await;

    // Read-only, with the files open.
    std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
    let written = std::fs::write(format!("{inside}/written"), "");
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let so_far = service.metrics().await.sum(failures, &[]);
    let calls = receiver.calls("/gateway").len();
    candidate.fault("{kind: truncated}").await;
    receiver.wait("/gateway", calls + 1).await;
    service.reaches(ended, &[("mode", "real")], 3.0).await;
    service.reaches(failures, &[], so_far + 1.0).await;
    paged(&receiver, "CandidateFails", 2).await;
    by_hand(&service, &receiver).await;
    let metrics = service.reaches(ended, &[("mode", "real")], 4.0).await;
    assert_eq!(metrics.value("bellwether_rollback_unverified", &[("rollback", "chat")]), Some(0.0));

    // Without the service, on the same disk, which nobody may write.
    drop(service);
    let before = receiver.calls("/gateway").len();
    let read_only = WITHIN.replace("-o loop,", "-o loop,ro,noload,");
    let offline = [binary, "rollback", "chat", "--offline", "-c", &path, "--storage.path", &data];
    let within = ["-m", "sh", "-c", &read_only, "sh", &data, &image];
    let mut program = Program::start_as("unshare", &SIGNING, &[&within[..], &offline].concat());
    assert_eq!(program.ended().await, 0, "{}", program.err.text());
    assert!(program.out.whole().await.ends_with("rolled_back\n"), "{}", program.out.text());
    assert_eq!(receiver.calls("/gateway").len(), before + 1);
    assert!(receiver.calls("/gateway").iter().all(|call| call.is_signed(SECRET)));
}

/// The name of the device that a process has at a place.
fn mounted(service: &Service, place: &str) -> String {
    let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", service.program.id())).unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(place)).unwrap();
    line.split(' ').next().unwrap().trim_start_matches("/dev/").to_owned()
}
