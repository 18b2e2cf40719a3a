//! A release under load, from outside: 1, 5 and 25 % to the candidate and back to nothing, while the
//! program is replaced by a new process in the middle and its configuration read again. Each request is
//! answered whole, whoever is in stays in, and shares are what was asked for.
//!
//! `ROUTER_REQUESTS` (8,000) says how many requests; the run on record has 20,000.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::process::Process;

const CLIENTS: usize = 32;
const USERS: usize = 2_000;
/// Begun with the old process, and told to their end by it while the new one serves.
const LONG_STREAMS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the run is: even while nothing changes, odd while the share does.
static PHASE: AtomicUsize = AtomicUsize::new(0);
/// The candidate's share in each even phase, in percent.
const SHARES: [f64; 5] = [0.0, 1.0, 5.0, 25.0, 0.0];

/// One answer that came whole.
struct Answer {
    user: usize,
    before: usize,
    after: usize,
    is_candidate: bool,
}

struct House {
    directory: PathBuf,
    config: String,
    _providers: [Process; 2],
    client: reqwest::Client,
}

impl House {
    fn new() -> Self {
        let directory =
            std::env::temp_dir().join(format!("bellwether-long-run-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        let provider = |name: &str, behavior: &str| {
            let script = path(&format!("{name}.yml"));
            fs::write(&script, format!("phases: [{{after: 0s, {behavior}}}]\n")).unwrap();
            let listen = "--web.listen-address=127.0.0.1:0";
            Process::start(&directory, name, &["simulate", "--script.file", &script, listen])
        };
        let providers =
            [provider("quick", "tokens: 2"), provider("slow", "tokens: 40, gap: 250ms")];
        let [quick, slow] = [0, 1].map(|at: usize| providers[at].word_after("listening on "));
        let config = path("bellwether.yml");
        let text = format!(
            "providers:\n\
             - {{name: quick, dialect: openai_chat, base_url: '{quick}', auth: none}}\n\
             - {{name: slow, dialect: openai_chat, base_url: '{slow}', auth: none}}\n\
             probes:\n\
             - {{name: old, provider: quick, model: m-1, interval: 1h, budget_daily: unlimited}}\n\
             - {{name: new, provider: quick, model: m-2, interval: 1h, budget_daily: unlimited}}\n\
             - {{name: long, provider: slow, model: m-3, interval: 1h, budget_daily: unlimited}}\n\
             routes:\n\
             - {{name: chat, stable: [old], key: [user], retries: {{max: 0}}}}\n\
             - {{name: long, stable: [long], retries: {{max: 0}}}}\n\
             router: {{auth: none}}\n\
             releases:\n\
             - name: chat\n  \
               route: chat\n  \
               stable: [old]\n  \
               candidate: [new]\n  \
               stages: [1, 5, 25, 100]\n  \
               floor: 6h\n  \
               requests_per_minute: 6000\n  \
               gates: [{{indicator: errors, objective: 90}}]\n"
        );
        fs::write(&config, text).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { directory, config, _providers: providers, client }
    }

    fn run(&self, name: &str, router: &str, further: &[&str]) -> Process {
        let data = self.directory.join("data").display().to_string();
        let arguments = [
            "run",
            "--config.file",
            &self.config,
            "--storage.path",
            &data,
            "--web.listen-address=127.0.0.1:0",
            "--router.listen-address",
            router,
        ];
        Process::start(&self.directory, name, &[&arguments, further].concat())
    }

    /// Has the release do something, and waits until the router obeys.
    async fn order(&self, service: &Process, order: &str, points: u64) {
        PHASE.fetch_add(1, Ordering::SeqCst);
        let url = format!("http://{}", service.word_after("listening address="));
        let order = format!("{url}/api/v1/releases/chat/{order}");
        let answer = self.client.post(&order).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{order}: {body}");
        level(async || {
            let asked = self.client.get(format!("{url}/api/v1/routing/table"));
            let text = asked.send().await.unwrap().text().await.unwrap();
            let table: Value = serde_json::from_str(&text).unwrap();
            let share = &table["routes"]["chat"]["share_basis_points"];
            if *share == points { Ok(()) } else { Err(table.to_string()) }
        })
        .await;
        PHASE.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _is_gone = fs::remove_dir_all(&self.directory).is_ok();
    }
}

/// Waits for a level, and fails with what was missing last.
async fn level(mut look: impl AsyncFnMut() -> Result<(), String>) {
    let by = Instant::now() + PATIENCE;
    while let Err(missing) = look().await {
        assert!(Instant::now() < by, "{missing}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The whole answer to a request, or why there is none.
async fn ask(client: &reqwest::Client, url: &str, body: &Value) -> Result<bool, String> {
    let is_streamed = body["stream"] == true;
    let request = client.post(url).body(body.to_string());
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.map_err(|error| format!("cut: {error:?}"))?;
    if status != 200 {
        return Err(format!("{status}: {text}"));
    }
    let is_whole =
        if is_streamed { text.ends_with("data: [DONE]\n\n") } else { text.ends_with('}') };
    if !is_whole {
        return Err(format!("not whole: {text}"));
    }
    Ok(headers["x-bellwether-arm"] == "candidate")
}

fn question(model: &str, user: usize, is_streamed: bool) -> Value {
    let messages = json!([{"role": "user", "content": "say exactly 7f3a"}]);
    json!({"model": model, "messages": messages, "user": format!("user-{user}"), "stream": is_streamed})
}

/// Asks until there is nothing left to ask: every other client by HTTP/2, every tenth a stream.
async fn carry_on(
    client: usize,
    url: String,
    next: Arc<AtomicUsize>,
    requests: usize,
) -> Result<Vec<Answer>, String> {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = if client.is_multiple_of(2) { builder } else { builder.http2_prior_knowledge() };
    let http = builder.build().unwrap();
    let mut answers = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= requests {
            return Ok(answers);
        }
        // Every user comes back: 7919 is prime and so goes round all of them.
        let user = number * 7_919 % USERS;
        let before = PHASE.load(Ordering::SeqCst);
        let asked = ask(&http, &url, &question("chat", user, number.is_multiple_of(10))).await;
        let is_candidate = asked.map_err(|error| format!("request {number}: {error}"))?;
        let after = PHASE.load(Ordering::SeqCst);
        answers.push(Answer { user, before, after, is_candidate });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_the_program_is_replaced() {
    let requests = std::env::var("ROUTER_REQUESTS").map_or(8_000, |text| text.parse().unwrap());
    let house = House::new();
    let mut old = house.run("old", "127.0.0.1:0", &[]);
    let router = old.word_after("routing address=");
    old.word_after("listening address=");
    let url = format!("http://{router}/v1/chat/completions");
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(carry_on(client, url.clone(), Arc::clone(&next), requests)))
        .collect();
    let tenths = async |tenths: usize| {
        level(async || {
            let count = next.load(Ordering::SeqCst);
            if count >= requests * tenths / 10 { Ok(()) } else { Err(format!("{count} asked")) }
        })
        .await;
    };

    tenths(1).await;
    house.order(&old, "start?force=true", 100).await;
    tenths(3).await;
    house.order(&old, "advance?force=true", 500).await;
    tenths(4).await;
    let long: Vec<_> = (0..LONG_STREAMS)
        .map(|number| {
            let (url, client) = (url.clone(), house.client.clone());
            tokio::spawn(async move { ask(&client, &url, &question("long", number, true)).await })
        })
        .collect();
    tenths(5).await;
    let mut new = house.run("new", &router, &["--take-over"]);
    new.word_after("listening address=");
    let handed_over = next.load(Ordering::SeqCst);
    tenths(6).await;
    house.order(&new, "advance?force=true", 2_500).await;
    tenths(7).await;
    new.signal("HUP");
    assert_eq!(new.word_after(" configuration "), "reloaded");
    tenths(9).await;
    house.order(&new, "rollback", 0).await;

    let mut answers = Vec::new();
    for client in clients {
        answers.extend(client.await.unwrap().unwrap_or_else(|lost| {
            panic!("{lost}\nold: {}\nnew: {}", old.log(), new.log());
        }));
    }
    let took = began.elapsed();
    assert_eq!(answers.len(), requests, "each was answered whole");
    for stream in long {
        assert_eq!(stream.await.unwrap(), Ok(false), "no stream is cut: {}", old.log());
    }
    level(async || match old.has_ended_well() {
        Some(true) => Ok(()),
        other => Err(format!("{other:?}: {}", old.log())),
    })
    .await;
    assert!(old.log().contains("another bellwether has taken over"), "{}", old.log());
    assert!(handed_over < requests, "the new process had some left to answer");
    let said = judge(&answers);
    println!(
        "{requests} requests in {took:.1?}, handed over by {handed_over}, 0 lost, 0 cut: {said}"
    );
    new.signal("TERM");
    level(async || new.has_ended_well().map(|_| ()).ok_or_else(|| new.log())).await;
}

/// Shares, stickiness and monotony, of those that were answered while nothing changed.
fn judge(answers: &[Answer]) -> String {
    let mut phases: BTreeMap<usize, BTreeMap<usize, BTreeSet<bool>>> = BTreeMap::new();
    for answer in answers {
        if answer.before == answer.after && answer.before.is_multiple_of(2) {
            let users = phases.entry(answer.before / 2).or_default();
            users.entry(answer.user).or_default().insert(answer.is_candidate);
        }
    }
    assert_eq!(phases.len(), SHARES.len(), "every share was seen");
    let mut inside = BTreeSet::new();
    let mut said = Vec::new();
    for (phase, users) in phases {
        let torn: Vec<_> = users.iter().filter(|(_, arms)| arms.len() > 1).collect();
        assert!(torn.is_empty(), "phase {phase}: {torn:?} were moved");
        let candidates: BTreeSet<usize> =
            users.iter().filter(|(_, arms)| arms.contains(&true)).map(|(user, _)| *user).collect();
        let (count, share) = (users.len() as f64, SHARES[phase] / 100.0);
        // Six deviations of a binomial draw.
        let room = 6.0 * (count * share * (1.0 - share)).sqrt();
        let found = candidates.len() as f64;
        assert!((found - count * share).abs() <= room, "phase {phase}: {found} of {count}");
        if share > 0.0 {
            let left: Vec<_> =
                inside.difference(&candidates).filter(|user| users.contains_key(user)).collect();
            assert!(left.is_empty(), "phase {phase}: {left:?} were in and are not");
            inside.extend(candidates.iter().copied());
        }
        said.push(format!("{} of {} users at {} %", candidates.len(), users.len(), SHARES[phase]));
    }
    said.join(", ")
}
