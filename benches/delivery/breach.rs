//! From the answer that crosses the line to the webhook, here and in Prometheus with Alertmanager.
//!
//! A provider of our own answers every probe with 404, which speaks against nobody, and once in a
//! while, at seeded moments, with a 500, which breaks the rule. Both sides judge the same rule file
//! over bellwether's metrics: bellwether in process, Prometheus by scraping and evaluating once a
//! second, with an Alertmanager that waits for nothing.

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::distribution;
use super::receiver::{Call, Manner, Receiver};

const TARGETS: u64 = 10;
const RULES: &str = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: Broken\n    \
    expr: sum by (target) (increase(bellwether_probe_runs_total{error_type=\"server_error\"}[3s])) > 0\n    \
    labels: {severity: rollback}\n";

/// The provider: which targets fail next, and when each last did.
#[derive(Clone, Default)]
struct Provider {
    armed: Arc<Mutex<BTreeMap<String, Option<Instant>>>>,
}

/// A program that ends with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _was_running = self.0.kill().is_ok();
        let _is_reaped = self.0.wait().is_ok();
    }
}

pub async fn run(faults: u64, seed: u64) -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("bellwether-breach-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let provider = Provider::default();
    let base_url = provider.clone().serve().await?;
    let (ours, theirs) =
        (Receiver::start(Manner::Takes).await?, Receiver::start(Manner::Takes).await?);
    let own_port = free_port()?;
    let _bellwether = bellwether(&directory, &base_url, &ours, own_port)?;
    let _peers = peers(&directory, &theirs, own_port)?;
    // Everybody is up, every target was asked, and Prometheus has scraped some times.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mut state = seed;
    let mut breaches: Vec<(String, Instant)> = Vec::new();
    for number in 0..faults {
        let target = format!("t{}", number % TARGETS);
        let pause = 600 + drawn(&mut state, 400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        breaches.push((target.clone(), provider.fail(&target).await));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("breach to webhook, {faults} faults, seed {seed}, one probe a second and target");
    report("bellwether", &breaches, &ours.calls(), |body| {
        body["data"]["alert"]["labels"]["target"].as_str().map(str::to_owned)
    });
    report("Prometheus and Alertmanager, 1 s / 1 s / 0 s", &breaches, &theirs.calls(), |body| {
        let is_firing = body["status"] == "firing";
        body["groupLabels"]["target"].as_str().filter(|_| is_firing).map(str::to_owned)
    });
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// For each breach the first webhook about its target that came after it and before its next one.
fn report(
    who: &str,
    breaches: &[(String, Instant)],
    calls: &[Call],
    target_of: impl Fn(&Value) -> Option<String>,
) {
    let told: Vec<(String, Instant)> = calls
        .iter()
        .filter_map(|call| Some((target_of(&serde_json::from_str(&call.body).ok()?)?, call.at)))
        .collect();
    let mut times = Vec::new();
    for (position, (target, at)) in breaches.iter().enumerate() {
        let next = breaches[position + 1..].iter().find(|(other, _)| other == target);
        let is_its = |(other, told): &&(String, Instant)| {
            other == target && told > at && next.is_none_or(|(_, next)| told < next)
        };
        times.extend(told.iter().find(is_its).map(|(_, told)| *told - *at));
    }
    let missing = breaches.len() - times.len();
    println!("{who:<46} {}  without one {missing}", distribution(times));
}

impl Provider {
    async fn serve(self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(url)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<Instant>>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a target's next probe fail and waits until it has. Returns when the failure was sent.
    async fn fail(&self, target: &str) -> Instant {
        self.lock().insert(target.to_owned(), None);
        loop {
            let failed = self.lock().get(target).copied().flatten();
            if let Some(at) = failed {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn answer(State(provider): State<Provider>, body: String) -> StatusCode {
    let question: Value = serde_json::from_str(&body).unwrap_or_default();
    let target = question["model"].as_str().unwrap_or_default();
    match provider.lock().get_mut(target) {
        Some(armed @ None) => {
            *armed = Some(Instant::now());
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::NOT_FOUND,
    }
}

fn bellwether(
    directory: &Path,
    base_url: &str,
    receiver: &Receiver,
    port: u16,
) -> anyhow::Result<Process> {
    let names: Vec<String> = (0..TARGETS).map(|number| format!("t{number}")).collect();
    let probes: String = names
        .iter()
        .map(|name| {
            format!("- {{name: {name}, provider: p, model: {name}, budget_daily: unlimited}}\n")
        })
        .collect();
    let config = format!(
        "global: {{probe_interval: 1s, evaluation_interval: 1s, sample_interval: 1s}}\n\
         rule_files: [rules.yml]\n\
         providers:\n- {{name: p, dialect: openai_chat, base_url: '{base_url}', auth: none}}\n\
         probes:\n{probes}- {{name: s, provider: p, model: s, budget_daily: unlimited}}\n\
         rollbacks:\n- {{name: back, matchers: ['severity=\"rollback\"'], candidate: [{}], \
         stable: [s], force: true, cooldown: 0s, max_per_day: 1000, webhook: {{url: '{}', \
         signing_secret: 'env:SIGNING'}}}}\n",
        names.join(", "),
        receiver.url
    );
    std::fs::write(directory.join("rules.yml"), RULES)?;
    std::fs::write(directory.join("bellwether.yml"), config)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.env("SIGNING", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").args([
        "run",
        "-c",
        &directory.join("bellwether.yml").display().to_string(),
        "--storage.path",
        &directory.join("data").display().to_string(),
        "--web.listen-address",
        &format!("127.0.0.1:{port}"),
    ]);
    start(command, &directory.join("bellwether.log"))
}

fn peers(
    directory: &Path,
    receiver: &Receiver,
    bellwether: u16,
) -> anyhow::Result<(Process, Process)> {
    let (prometheus, alertmanager) = (free_port()?, free_port()?);
    let am_config = format!(
        "route: {{receiver: r, group_by: [target], group_wait: 0s, group_interval: 1s, \
         repeat_interval: 1h}}\nreceivers: [{{name: r, webhook_configs: [{{url: '{}'}}]}}]\n",
        receiver.url
    );
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         rule_files: [rules.yml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n\
         scrape_configs: [{{job_name: bellwether, static_configs: [{{targets: \
         ['127.0.0.1:{bellwether}']}}]}}]\n"
    );
    std::fs::write(directory.join("alertmanager.yml"), am_config)?;
    std::fs::write(directory.join("prometheus.yml"), config)?;
    let program = |variable: &str, name: &str| std::env::var(variable).unwrap_or(name.to_owned());
    let path = |name: &str| -> PathBuf { directory.join(name) };
    let mut command = Command::new(program("ALERTMANAGER", "prometheus-alertmanager"));
    command
        .arg(format!("--config.file={}", path("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", path("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{alertmanager}"))
        .arg("--cluster.listen-address=");
    let alertmanager = start(command, &path("alertmanager.log"))?;
    let mut command = Command::new(program("PROMETHEUS", "prometheus"));
    command
        .arg(format!("--config.file={}", path("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", path("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{prometheus}"));
    Ok((start(command, &path("prometheus.log"))?, alertmanager))
}

fn start(mut command: Command, log: &Path) -> anyhow::Result<Process> {
    let out = std::fs::File::create(log)?;
    let err = out.try_clone()?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(Process(command.spawn().with_context(|| format!("cannot run `{name}`"))?))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(StdListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Uniform below a bound; the splitmix64 generator, whose state is the seed.
fn drawn(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}
