//! Plans carried out for real: programs, files and answers, time paused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Executor, Planned, Reach, Refused, command, file};
use crate::clock::Clock;
use crate::model::{HeaderValue, HttpSettings, TargetId, Timestamp, UrlSource};
use crate::notice::{Attempt, Delivery, HookId, Sending, Webhook};
use crate::release::{Effect, LogEntry, OnError, Plan, RunEnd, Step, StepResult, What};
use crate::telemetry::Telemetry;

const SECOND: Duration = Duration::from_secs(1);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _was_there = std::fs::remove_dir_all(&self.0).is_ok();
    }
}

fn step(name: &str, effect: Effect) -> Step {
    Step {
        name: name.to_owned(),
        timeout: effect.timeout_default(),
        effect,
        on_error: OnError::Continue,
        moves_traffic: false,
    }
}

fn webhook(is_rehearsed: bool) -> Effect {
    let webhook = Webhook {
        url: UrlSource::Plain("http://127.0.0.1:1/".to_owned()),
        send_resolved: false,
        alerts_max: 0,
        timeout: 5 * SECOND,
        signing_secrets: Vec::new(),
        http: HttpSettings::default(),
        body: None,
    };
    Effect::Webhook { webhook: Box::new(webhook), is_rehearsed }
}

fn write(path: &Path, content: &str) -> Effect {
    Effect::File { path: path.to_owned(), content: content.to_owned() }
}

/// When it was called, by which key and fence, and the body.
type Told = (Duration, String, String, String);

/// A receiver that is down for so long, and what it was told.
#[derive(Clone)]
struct Receiver {
    began: Instant,
    down: Duration,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    fn new(down: Duration) -> Self {
        Self { began: Instant::now(), down, told: Arc::default() }
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn reach(&self) -> Reach {
        let receiver = self.clone();
        Reach {
            call: Arc::new(move |endpoint, delivery| {
                let at = receiver.began.elapsed();
                let header = |name: &str| {
                    let mut headers = endpoint.http.headers.iter();
                    match headers.find(|(known, _)| known == name) {
                        Some((_, HeaderValue::Plain(value))) => value.clone(),
                        _ => String::new(),
                    }
                };
                let told =
                    (at, header("Idempotency-Key"), header("X-Fence"), delivery.body.to_string());
                assert_eq!(told.1, delivery.id);
                receiver.told.lock().unwrap().push(told);
                let attempt = if at < receiver.down {
                    Attempt::Transport
                } else {
                    Attempt::Status { code: 204, retry_after: None }
                };
                async move { (attempt, String::new()) }.boxed()
            }),
            ask: Arc::new(|_| async { Ok(()) }.boxed()),
            fence: 42,
        }
    }
}

struct Running {
    executor: Executor,
    entries: mpsc::Receiver<LogEntry>,
    telemetry: Telemetry,
}

fn start(steps: Vec<Step>, reach: Reach, done: BTreeMap<String, BTreeSet<String>>) -> Running {
    start_after(None, Clock::start(), steps, reach, done)
}

/// The same where a drill came before.
fn start_after(
    drilled_at: Option<Timestamp>,
    clock: Clock,
    steps: Vec<Step>,
    reach: Reach,
    done: BTreeMap<String, BTreeSet<String>>,
) -> Running {
    let (entries, written) = mpsc::channel(256);
    let planned = Planned {
        traffic: None,
        rollback: "r".to_owned(),
        plan: Arc::new(Plan { steps, deadline: 60 * SECOND }),
        stable: vec![TargetId::new("stable")],
        drill_message: Arc::from(r#"{"type":"rollback","data":{}}"#),
        drill_interval: Some(24 * 3600 * SECOND),
        drilled_at,
    };
    let telemetry = Telemetry::new();
    telemetry.configure_actions(&[], &["r".to_owned()], &[]);
    let executor = Executor::spawn(vec![planned], done, reach, entries, clock, telemetry.clone());
    Running { executor, entries: written, telemetry }
}

fn delivery() -> Delivery {
    Delivery {
        hook: HookId::rollback("r"),
        id: "i1".to_owned(),
        order: String::new(),
        body: Arc::from(r#"{"type":"rollback","data":{"reason":"why"}}"#),
        decided_at: Timestamp::from_millis(7),
        sending: Sending::Real,
    }
}

impl Running {
    async fn end(&mut self) -> (RunEnd, Vec<(String, StepResult)>) {
        let mut steps = Vec::new();
        loop {
            match self.entries.recv().await.expect("it goes on").what {
                What::StepEnded { step, result, .. } => steps.push((step, result)),
                What::Ended { end, .. } => return (end, steps),
                What::Begun { .. } | What::StepBegun { .. } | What::Tried { .. } => {}
            }
        }
    }

    fn gauge(&self, name: &str) -> f64 {
        self.telemetry.first_of(name).expect("it is there")
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_for_15_s_is_told_in_the_end_by_one_key() {
    let receiver = Receiver::new(15 * SECOND);
    let steps = vec![step("move", webhook(false)), step("ask", Effect::Verify)];
    let mut running = start(steps, receiver.reach(), BTreeMap::new());
    running.executor.send(delivery());
    assert_eq!(running.end().await.0, RunEnd::RolledBack);
    let told = receiver.told();
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|told| (told.1.as_str(), told.2.as_str()) == ("r:7:move", "42")));
    assert!(told[7].0 >= 15 * SECOND && told[7].0 < 16 * SECOND, "{:?}", told[7].0);
    let body: serde_json::Value = serde_json::from_str(&told[7].3).unwrap();
    assert_eq!(body["type"], "rollback");
    assert_eq!(body["data"]["step"], "move");
    assert_eq!(body["data"]["reason"], "why");
}

/// There every status above 202 is an error, so a receiver that answers 204 has refused. Here each
/// success is one, and what is no success is none.
#[tokio::test(start_paused = true)]
async fn flagger_3_no_content_is_an_acknowledgement() {
    for (code, expected, calls) in [
        (200, RunEnd::RolledBack, 1),
        (202, RunEnd::RolledBack, 1),
        (204, RunEnd::RolledBack, 1),
        (299, RunEnd::RolledBack, 1),
        // Redirects are not followed, and asking again changes nothing.
        (304, RunEnd::RollbackUnverified, 1),
        (404, RunEnd::RollbackUnverified, 1),
    ] {
        let told = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&told);
        let reach = Reach {
            call: Arc::new(move |_, _| {
                *counted.lock().unwrap() += 1;
                let attempt = Attempt::Status { code, retry_after: None };
                async move { (attempt, String::new()) }.boxed()
            }),
            ..Receiver::new(Duration::ZERO).reach()
        };
        let steps = vec![step("move", webhook(false)), step("ask", Effect::Verify)];
        let mut running = start(steps, reach, BTreeMap::new());
        running.executor.send(delivery());
        assert_eq!((running.end().await.0, *told.lock().unwrap()), (expected, calls), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_stays_down_leaves_the_rollback_unverified_and_a_later_one_mends_it() {
    let receiver = Receiver::new(100 * SECOND);
    let steps = vec![step("move", webhook(false)), step("ask", Effect::Verify)];
    let mut running = start(steps, receiver.reach(), BTreeMap::new());
    running.executor.send(delivery());
    let (end, results) = running.end().await;
    assert_eq!(end, RunEnd::RollbackUnverified);
    let failed = ("move".to_owned(), StepResult::Failed);
    assert_eq!(results, [failed, ("ask".to_owned(), StepResult::Done)]);
    tokio::time::advance(100 * SECOND).await;
    assert_eq!(running.gauge("bellwether_rollback_unverified"), 1.0);
    let later = Timestamp::from_millis(8);
    running.executor.send(Delivery { id: "i2".to_owned(), decided_at: later, ..delivery() });
    assert_eq!(running.end().await.0, RunEnd::RolledBack);
    running.executor.stop().await;
    assert_eq!(running.gauge("bellwether_rollback_unverified"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_comes_again_is_over_and_a_waiting_one_follows() {
    let receiver = Receiver::new(Duration::ZERO);
    let steps = vec![step("move", webhook(false)), step("ask", Effect::Verify)];
    let mut running = start(steps, receiver.reach(), BTreeMap::new());
    let later = Timestamp::from_millis(8);
    let second = Delivery { id: "i2".to_owned(), decided_at: later, ..delivery() };
    for delivery in [delivery(), delivery(), second, delivery()] {
        running.executor.send(delivery);
    }
    running.end().await;
    running.end().await;
    running.executor.send(delivery());
    // Answered after whatever the order before it began.
    assert_eq!(running.executor.drill("other").await, Err(Refused::Unknown));
    assert_eq!(running.executor.drill("r").await, Ok(RunEnd::DrillPassed));
    let keys: Vec<String> = receiver.told().into_iter().map(|told| told.1).collect();
    assert_eq!(keys, ["r:7:move", "r:8:move"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_off_does_not_bar_the_next() {
    let receiver = Receiver::new(Duration::ZERO);
    let asked = Arc::new(Mutex::new(0));
    let ask = move |_| {
        *asked.lock().unwrap() += 1;
        assert!(*asked.lock().unwrap() > 1, "a bug");
        async { Ok(()) }.boxed()
    };
    let reach = Reach { ask: Arc::new(ask), ..receiver.reach() };
    let steps = vec![step("move", webhook(false)), step("ask", Effect::Verify)];
    let mut running = start(steps, reach, BTreeMap::new());
    let later = Timestamp::from_millis(8);
    running.executor.send(delivery());
    running.executor.send(Delivery { id: "i2".to_owned(), decided_at: later, ..delivery() });
    assert_eq!(running.end().await.0, RunEnd::RolledBack);
    let keys: Vec<String> = receiver.told().into_iter().map(|told| told.1).collect();
    assert_eq!(keys, ["r:7:move", "r:8:move"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_saw_acknowledged_is_not_repeated() {
    let receiver = Receiver::new(Duration::ZERO);
    let steps =
        vec![step("one", webhook(false)), step("two", webhook(false)), step("ask", Effect::Verify)];
    let done = BTreeMap::from([("r:7".to_owned(), BTreeSet::from(["one".to_owned()]))]);
    let mut running = start(steps, receiver.reach(), done);
    running.executor.send(delivery());
    assert_eq!(running.end().await.0, RunEnd::RolledBack);
    let keys: Vec<String> = receiver.told().into_iter().map(|told| told.1).collect();
    assert_eq!(keys, ["r:7:two"]);
}

#[tokio::test(start_paused = true)]
async fn a_drill_says_what_it_is_and_changes_no_file() {
    let folder = Folder::new("drill");
    let path = folder.path("weights.json");
    std::fs::write(&path, "old").unwrap();
    let receiver = Receiver::new(Duration::ZERO);
    let steps = vec![
        step("told", webhook(true)),
        step("untold", webhook(false)),
        step("file", write(&path, "new")),
        step("ask", Effect::Verify),
    ];
    let running = start(steps, receiver.reach(), BTreeMap::new());
    assert_eq!(running.executor.drill("r").await, Ok(RunEnd::DrillPassed));
    assert_eq!(running.executor.drill("other").await, Err(Refused::Unknown));
    let told = receiver.told();
    assert_eq!(told.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&told[0].3).unwrap();
    assert_eq!(body["type"], "rollback.drill");
    assert!(told[0].1.starts_with("drill:r:"), "{}", told[0].1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    assert_eq!(running.gauge("bellwether_drill_last_successful"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_drill_comes_by_itself_on_its_schedule() {
    let began = Instant::now();
    let receiver = Receiver::new(Duration::ZERO);
    let steps = vec![step("ask", Effect::Verify)];
    let mut running = start(steps, receiver.reach(), BTreeMap::new());
    for day in 1..=2 {
        assert_eq!(running.end().await.0, RunEnd::DrillPassed);
        assert_eq!(began.elapsed().as_secs(), day * 24 * 3600);
    }
}

/// A process that starts every hour must not put its daily drill off for ever; one whose drill is
/// overdue does not begin with it.
#[tokio::test(start_paused = true)]
async fn a_restart_puts_no_drill_off() {
    for (hours_ago, due_seconds) in [(23, 3600), (24, 60), (100, 60), (0, 24 * 3600)] {
        let (began, clock) = (Instant::now(), Clock::start());
        let drilled_at = Some(clock.now() - hours_ago * 3600 * SECOND);
        let reach = Receiver::new(Duration::ZERO).reach();
        let steps = vec![step("ask", Effect::Verify)];
        let mut running = start_after(drilled_at, clock, steps, reach, BTreeMap::new());
        assert_eq!(running.end().await.0, RunEnd::DrillPassed);
        assert_eq!(began.elapsed().as_secs(), due_seconds, "{hours_ago} hours ago");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_meant_ends_a_drill() {
    let receiver = Receiver::new(10 * SECOND);
    let steps = vec![step("move", webhook(true)), step("ask", Effect::Verify)];
    let mut running = start(steps, receiver.reach(), BTreeMap::new());
    let executor = running.executor.clone();
    let drill = tokio::spawn(async move { executor.drill("r").await });
    while receiver.told().is_empty() {
        tokio::task::yield_now().await;
    }
    running.executor.send(delivery());
    assert_eq!(drill.await.unwrap(), Err(Refused::Busy));
    assert_eq!(running.end().await.0, RunEnd::RolledBack);
}

/// Nobody reads the record, as where the disk hangs.
#[tokio::test(start_paused = true)]
async fn a_record_that_takes_nothing_keeps_no_step_waiting() {
    let receiver = Receiver::new(Duration::ZERO);
    let steps = (0..16).map(|number| step(&number.to_string(), webhook(false)));
    let mut running = start(steps.collect(), receiver.reach(), BTreeMap::new());
    running.entries.close();
    running.executor.send(delivery());
    while receiver.told().len() < 16 {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.told()[15].0, Duration::ZERO);
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_permissions_and_its_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = Folder::new("file");
    let (path, link) = (folder.path("real"), folder.path("link"));
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    file::replace(&link, "new").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    file::replace(&folder.path("fresh"), "first").unwrap();
    assert_eq!(std::fs::read_to_string(folder.path("fresh")).unwrap(), "first");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3);
    assert!(file::replace(&folder.path("missing/file"), "x").is_err());
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_program_sees_its_environment_only_and_its_output_is_bounded() {
    let given = [("GIVEN".to_owned(), "yes".to_owned())];
    assert_eq!(command::run(&argv(&["/usr/bin/env"]), &given).await, Ok("GIVEN=yes".to_owned()));
    let shell = |script: &str| argv(&["/bin/sh", "-c", script]);
    let script = shell("head -c 100000 /dev/zero | tr '\\0' x; echo end");
    let long = command::run(&script, &path()).await.unwrap();
    assert!(long.len() <= 4096 && long.ends_with("xend"), "{}", long.len());
    let failed = command::run(&shell("echo wrong >&2; exit 3"), &path()).await.unwrap_err();
    assert!(failed.contains("exit status: 3: wrong"), "{failed}");
    let missing = command::run(&argv(&["/no/such/program"]), &[]).await.unwrap_err();
    assert!(missing.contains("`/no/such/program` cannot be run"), "{missing}");
}

fn path() -> [(String, String); 1] {
    [("PATH".to_owned(), "/usr/bin:/bin".to_owned())]
}

/// The program's child would hold the pipe open; dropping the future ends both.
#[tokio::test]
async fn a_program_that_is_given_up_leaves_no_process_behind() {
    let folder = Folder::new("group");
    let pid_file = folder.path("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
    let words = argv(&["/bin/sh", "-c", &script]);
    let environment = path();
    let mut running = Box::pin(command::run(&words, &environment));
    let pid = loop {
        tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            () = tokio::task::yield_now() => {}
        }
        let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
        if let Ok(pid) = text.trim().parse::<u32>() {
            break pid;
        }
    };
    drop(running);
    // What is killed may be a zombie until its new parent reads its status.
    let is_running = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status
            .rsplit(')')
            .next()
            .is_some_and(|rest| matches!(rest.trim().chars().next(), Some('R' | 'S' | 'D')))
    };
    for _ in 0..1_000_000 {
        if !is_running() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("process {pid} runs on");
}
