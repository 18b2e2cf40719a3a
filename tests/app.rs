//! The service as a whole: what a failing start leaves behind, what a refused reload changes, how
//! long the end takes.
#![expect(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::app::{App, Configuration, FollowOptions, Follower, Options, Succession, Wanted};
use bellwether::clock::Clock;
use bellwether::engine::{Order, What};
use bellwether::simulator::{Behavior, Script, Simulator};
use bellwether::threads::Threads;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A directory of its own, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("bellwether-{name}-{:08x}", rand::random::<u32>()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// One target that nobody listens for, with a rule file of its own.
fn config(name: &str) -> String {
    format!(
        "global: {{probe_interval: 1s}}\n\
         providers:\n- {{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none, \
         models: {{m: {{price: {{input: 1, output: 1}}}}}}}}\n\
         probes:\n- {{name: {name}, provider: p, model: m, budget_daily: unlimited}}\n\
         rule_files: [rules.yml]\n"
    )
}

const RULES: &str = "groups: [{name: g, rules: [{record: x, expr: up}]}]\n";

fn options(config: &Path, listen: &str) -> Options {
    Options {
        configuration: Configuration::File(config.to_owned()),
        router: None,
        web: None,
        router_web: None,
        router_threads: Threads::Own(Threads::available()),
        listen: listen.to_owned(),
        storage: config.with_file_name("data"),
        succession: Succession::Alone,
        clock: Clock::start(),
    }
}

async fn get(app: &App, path: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}{path}", app.address())).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_behind() {
    let scratch = Scratch::new("start");
    scratch.write("rules.yml", RULES);
    let config = scratch.write("bellwether.yml", &config("a"));
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = App::start(options(&config, &address)).await.unwrap_err();
    assert!(format!("{error:#}").contains(&address), "{error:#}");
    // The storage is free again, and so is the port once its holder is gone.
    drop(taken);
    let app = App::start(options(&config, &address)).await.unwrap();
    let second = App::start(options(&config, "127.0.0.1:0")).await.unwrap_err();
    assert!(format!("{second:#}").contains("data"), "one process for one directory: {second:#}");
    app.stop().await;
    App::start(options(&config, "127.0.0.1:0")).await.unwrap().stop().await;
}

// By hand: `a` is one for each target; `of_a` is one, though its file comes first; `never` and the
// alerts are none, nor are the rules of the objective, which are counted apart.
#[test]
fn what_rule_files_record_at_least_is_found_by_evaluating_them() {
    let scratch = Scratch::new("app-recorded");
    let more = "- {name: second, provider: p, model: m, budget_daily: unlimited}\n\
                slos: [{name: s, indicator: availability, objective: 99, targets: [first]}]\n\
                rule_files: [first.yml, second.yml]\n";
    let text = config("first").replace("rule_files: [rules.yml]\n", more);
    let path = scratch.write("bellwether.yml", &text);
    scratch.write("first.yml", "groups: [{name: g, rules: [{record: of_a, expr: sum(a)}]}]\n");
    scratch.write(
        "second.yml",
        "groups:\n- name: g\n  interval: 1h\n  rules:\n  - record: a\n    expr: sum by (target) \
         (increase(bellwether_probe_runs_total[1m]))\n  - {record: never, expr: \
         bellwether_probe_runs_total > 0}\n  - {alert: Idle, expr: bellwether_probe_in_flight == \
         0}\n",
    );
    let loaded = bellwether::app::load(&path).unwrap();
    assert_eq!(loaded.recorded_least(), 3);
}

#[tokio::test]
async fn a_refused_reload_changes_nothing_and_a_good_one_everything() {
    let scratch = Scratch::new("reload");
    let rules = scratch.write("rules.yml", RULES);
    let path = scratch.write("bellwether.yml", &config("before"));
    let mut app = App::start(options(&path, "127.0.0.1:0")).await.unwrap();
    let successful = "bellwether_config_last_reload_successful";
    // The configuration is good and its rule file is not: nothing of either is taken up.
    std::fs::write(&path, config("after")).unwrap();
    std::fs::write(&rules, "groups: [{name: g, rules: [{record: x, expr: 'up{'}]}]\n").unwrap();
    assert!(app.reload().await.is_err());
    let metrics = get(&app, "/metrics").await;
    assert!(metrics.contains(&format!("{successful} 0\n")));
    assert!(metrics.contains("target=\"before\"") && !metrics.contains("target=\"after\""));
    assert!(get(&app, "/api/v1/status/config").await.contains("name: before"));
    std::fs::write(&rules, RULES.replace("record: x", "record: y")).unwrap();
    app.reload().await.unwrap();
    let metrics = get(&app, "/metrics").await;
    assert!(metrics.contains(&format!("{successful} 1\n")));
    assert!(!metrics.contains("target=\"before\"") && metrics.contains("target=\"after\""));
    let group = format!("rule_group=\"{};g\"", rules.display());
    assert!(metrics.contains(&group), "{group}");
    assert!(get(&app, "/api/v1/status/config").await.contains("name: after"));
    let until = Instant::now() + Duration::from_secs(10);
    while !get(&app, "/api/v1/rules").await.contains("\"name\":\"y\"") {
        assert!(Instant::now() < until, "the engine takes up the rules");
        tokio::task::yield_now().await;
    }
    let stopping = Instant::now();
    app.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
}

fn following(config: &Path, leader: &str, router: &str, storage: &str) -> FollowOptions {
    FollowOptions {
        configuration: config.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        router: router.to_owned(),
        router_web: None,
        router_threads: Threads::Own(Threads::available()),
        leader: leader.to_owned(),
        token: None,
        storage: config.with_file_name(storage),
        succession: Succession::Alone,
        clock: Clock::start(),
    }
}

/// The version of the table that a follower obeys.
async fn version(follower: &Follower) -> u64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/metrics", follower.address());
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("bellwether_router_table_version ").map(str::to_owned));
    line.unwrap().parse::<f64>().unwrap() as u64
}

async fn models(address: std::net::SocketAddr) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{address}/v1/models")).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Waits until a follower obeys a table of this version.
async fn obeys(follower: &Follower, expected: u64) {
    let by = Instant::now() + Duration::from_secs(30);
    while version(follower).await != expected {
        assert!(Instant::now() < by, "{} is not {expected}", version(follower).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_router_follows_another_ones_table_and_outlives_it() {
    let scratch = Scratch::new("follow");
    scratch.write("rules.yml", RULES);
    let text = config("a") + "routes: [{name: chat, stable: [a]}]\n";
    let path = scratch.write("bellwether.yml", &text);
    let started =
        Options { router: Some("127.0.0.1:0".to_owned()), ..options(&path, "127.0.0.1:0") };
    let mut leader = App::start(started).await.unwrap();
    assert!(models(leader.router_address().unwrap()).await.contains("chat"));
    // A reload makes the second table.
    leader.reload().await.unwrap();
    let table = get(&leader, "/api/v1/routing/table").await;
    assert!(table.contains("\"version\": 2"), "{table}");
    let url = format!("http://{}", leader.address());
    let follower = Follower::start(following(&path, &url, "127.0.0.1:0", "f1")).await.unwrap();
    obeys(&follower, 2).await;
    leader.reload().await.unwrap();
    obeys(&follower, 3).await;
    leader.stop().await;
    let address = follower.router_address();
    assert!(models(address).await.contains("chat"), "the last table holds");
    // The next one shares the address, and starts from the stored table of the one before it.
    let storage = "f1";
    let next = Follower::start(following(&path, &url, &address.to_string(), storage));
    let next = next.await.unwrap();
    assert_eq!(next.router_address(), address);
    obeys(&next, 4).await;
    follower.stop().await;
    assert!(models(address).await.contains("chat"));
    next.stop().await;
}

/// The value of a series of a process, by the start of its line; nothing where it is not there.
async fn read(address: std::net::SocketAddr, series: &str) -> Option<f64> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{address}/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

async fn reaches(address: std::net::SocketAddr, series: &str, least: f64) {
    let by = Instant::now() + Duration::from_secs(60);
    while read(address, series).await.is_none_or(|value| value < least) {
        assert!(Instant::now() < by, "{series}: {:?} < {least}", read(address, series).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn asked(router: std::net::SocketAddr, arm: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"say exactly 7f3a"}]}"#;
    let request = client.post(format!("http://{router}/v1/chat/completions")).body(body);
    request.header("x-bellwether-arm", arm).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn what_followers_carry_is_the_leaders_evidence() {
    let scratch = Scratch::new("evidence");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::spawn(listener, Script::always(Behavior::default()), 7).await;
    let text = format!(
        "providers:\n- {{name: p, dialect: openai_chat, base_url: '{}', auth: none, models: {{m: \
         {{price: {{input: 1, output: 1}}}}, n: {{price: {{input: 2, output: 2}}}}}}}}\n\
         probes:\n- {{name: old, provider: p, model: m, interval: 1s, budget_daily: unlimited}}\n\
         - {{name: new, provider: p, model: n, interval: 1s, budget_daily: unlimited}}\n\
         routes: [{{name: chat, stable: [old], mirror: {{share: 100, budget_daily: unlimited}}}}]\n\
         releases:\n- name: r\n  route: chat\n  stable: [old]\n  candidate: [new]\n  \
         stages: [10]\n  gates: [{{indicator: errors, objective: 99}}]\n  \
         rollback: {{matchers: ['severity=\"never\"']}}\n",
        simulator.base_url()
    );
    let path = scratch.write("bellwether.yml", &text);
    let router = Some("127.0.0.1:0".to_owned());
    let leader = App::start(Options { router, ..options(&path, "127.0.0.1:0") }).await.unwrap();
    let url = format!("http://{}", leader.address());
    let follower = Follower::start(following(&path, &url, "127.0.0.1:0", "f1")).await.unwrap();
    obeys(&follower, version_of(&leader).await).await;
    let by = "a test".to_owned();
    let what = What::Start { force: true };
    leader.order(Order { release: "r".to_owned(), what, by }).await.unwrap();
    let finished =
        "bellwether_release_gate_outcomes{gate=\"errors\",release=\"r\",result=\"finished\"}";
    reaches(leader.address(), finished, 1.0).await;
    // One outcome a second is the candidate's probe; the rest can only be the follower's.
    for _ in 0..200 {
        assert_eq!(asked(follower.router_address(), "candidate").await, 200);
    }
    let told = "bellwether_router_evidence_reported_total{result=\"taken\"}";
    reaches(follower.address(), told, 200.0).await;
    assert_eq!(read(follower.address(), told).await, Some(200.0));
    reaches(leader.address(), finished, 200.0).await;
    let taken = "bellwether_router_evidence_received_total{result=\"taken\"}";
    assert_eq!(read(leader.address(), taken).await, Some(200.0));
    // What each router carries costs where it is carried.
    let live = "bellwether_cost_usd_total{model=\"n\",provider=\"openai\",purpose=\"live\"}";
    assert!(read(follower.address(), live).await > Some(0.0));
    assert_eq!(read(leader.address(), live).await, Some(0.0));
    assert_eq!(asked(leader.router_address().unwrap(), "stable").await, 200);
    let shadow = "bellwether_cost_usd_total{model=\"n\",provider=\"openai\",purpose=\"shadow\"}";
    reaches(leader.address(), shadow, 1e-9).await;
    let page = get(&leader, "/").await;
    for part in ["openai · m</th><td>live</td>", "openai · n</th><td>shadow</td>"] {
        assert!(page.contains(part), "{part}");
    }
    let dearer = "<strong>r</strong>: the live traffic of stable cost";
    assert!(page.contains(dearer) && page.contains("100.0 % more"), "{page}");
    leader.stop().await;
    assert_eq!(asked(follower.router_address(), "stable").await, 200);
    let reachable = "bellwether_router_leader_reachable{what=\"evidence\"}";
    let by = Instant::now() + Duration::from_secs(30);
    while read(follower.address(), reachable).await != Some(0.0) {
        assert!(Instant::now() < by, "the leader seems to be there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(asked(follower.router_address(), "stable").await, 200);
    follower.stop().await;
}

async fn version_of(leader: &App) -> u64 {
    let table: serde_json::Value =
        serde_json::from_str(&get(leader, "/api/v1/routing/table").await).unwrap();
    table["version"].as_u64().unwrap()
}

#[tokio::test]
async fn the_next_version_takes_over_from_a_router_and_from_the_whole() {
    let scratch = Scratch::new("take-over");
    scratch.write("rules.yml", RULES);
    let text = config("a") + "routes: [{name: chat, stable: [a]}]\n";
    let path = scratch.write("bellwether.yml", &text);
    let with_router = |listen: &str, succession| Options {
        router: Some(listen.to_owned()),
        succession,
        ..options(&path, "127.0.0.1:0")
    };
    // Where nobody runs, there is nothing to take over.
    let mut first = App::start(with_router("127.0.0.1:0", Succession::TakeOver)).await.unwrap();
    let url = format!("http://{}", first.address());
    let follower = Follower::start(following(&path, &url, "127.0.0.1:0", "f1")).await.unwrap();
    let address = follower.router_address();
    let heir = following(&path, &url, &address.to_string(), "f1");
    let heir = Follower::start(FollowOptions { succession: Succession::TakeOver, ..heir }).await;
    let heir = heir.unwrap();
    follower.succeeded().await;
    follower.stop().await;
    assert_eq!(heir.router_address(), address);
    assert!(models(address).await.contains("chat"));
    heir.stop().await;

    let address = first.router_address().unwrap();
    let next = App::start(with_router(&address.to_string(), Succession::TakeOver));
    let before = async {
        assert_eq!(first.wanted().await.unwrap(), Wanted::Succession);
        // The storage is still the first one's; requests are answered by either.
        assert!(models(address).await.contains("chat"));
        first.stop().await;
    };
    let (next, ()) = tokio::join!(next, before);
    let next = next.unwrap();
    assert_eq!(next.router_address(), Some(address));
    assert!(models(address).await.contains("chat"));
    assert!(get(&next, "/api/v1/routing/table").await.contains("\"chat\""));
    next.stop().await;
}

#[tokio::test]
async fn a_router_that_would_spend_keys_for_anybody_does_not_start() {
    let scratch = Scratch::new("open");
    scratch.write("rules.yml", RULES);
    let text = config("a") + "routes: [{name: chat, stable: [a]}]\n";
    let path = scratch.write("bellwether.yml", &text);
    let start = async |listen: &str| {
        let router = Some(listen.to_owned());
        App::start(Options { router, ..options(&path, "127.0.0.1:0") }).await
    };
    let error = start("0.0.0.0:0").await.unwrap_err();
    assert!(format!("{error:#}").contains("`router: {auth: none}`"), "{error:#}");
    scratch.write("bellwether.yml", &format!("{text}router: {{auth: none}}\n"));
    start("0.0.0.0:0").await.unwrap().stop().await;
    scratch.write("bellwether.yml", &config("a"));
    let error = start("127.0.0.1:0").await.unwrap_err();
    assert!(format!("{error:#}").contains("no `routes`"), "{error:#}");
}
