//! `bellwether shadow` between simulators whose difference is known.

use serde_json::Value;

use super::program::{Finished, Program, Scratch};
use super::service::Simulator;
use super::wait::until;

/// Prompts that no report may hold. None has a `system`: the simulator counts its tokens in one dialect
/// and not in the other, and costs would differ by more than prices.
const PROMPTS: &str = r#"{"id": "one", "prompt": "canary-prompt: answer with this word: {nonce}"}
{"id": "two", "messages": [{"role": "user", "content": "canary-message: say {nonce}"}], "max_tokens": 64}
"#;

const KEY: (&str, &str) = ("SHADOW_KEY", "sk-canary-key-0123456789");

/// Two targets of one model each; the candidate costs half.
fn config(stable: &Simulator, candidate: &Simulator) -> String {
    let provider = |name: &str, dialect: &str, url: &str, price: &str| {
        format!(
            "  - {{name: {name}, dialect: {dialect}, base_url: '{url}', api_key: 'env:SHADOW_KEY', \
             models: {{m: {{{price}}}}}}}\n"
        )
    };
    format!(
        "providers:\n{}{}{}probes:\n  - {{name: stable, provider: old, model: m, budget_daily: unlimited}}\n  \
         - {{name: candidate, provider: new, model: m, budget_daily: unlimited}}\n  \
         - {{name: unpriced, provider: free, model: m, budget_daily: unlimited}}\n",
        provider("old", "openai_chat", &stable.url, "price: {input: 1, output: 2}"),
        provider("new", "anthropic_messages", &candidate.url, "price: {input: 0.5, output: 1}"),
        provider("free", "openai_chat", &candidate.url, ""),
    )
}

struct Room {
    scratch: Scratch,
    stable: Simulator,
    candidate: Simulator,
    config: String,
    prompts: String,
}

impl Room {
    async fn new(name: &str, stable: &str, candidate: &str) -> Self {
        let simulators = (Simulator::start().await, Simulator::start().await);
        simulators.0.play(stable).await;
        simulators.1.play(candidate).await;
        let scratch = Scratch::new(name);
        let config = scratch.write("bellwether.yml", &config(&simulators.0, &simulators.1));
        let prompts = scratch.write("prompts.jsonl", PROMPTS);
        Self { scratch, stable: simulators.0, candidate: simulators.1, config, prompts }
    }

    fn arguments<'a>(&'a self, further: &[&'a str]) -> Vec<&'a str> {
        let arms = ["shadow", "--stable", "stable", "--candidate", "candidate", "-c", &self.config];
        let asked = ["--prompts", &self.prompts, "--seed", "7", "--output", "json"];
        [&arms[..], &asked, further].concat()
    }

    async fn run(&self, further: &[&str]) -> Finished {
        Program::run(&[KEY], &self.arguments(further)).await
    }
}

fn report(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out)
        .unwrap_or_else(|error| panic!("{error}: {}{}", finished.out, finished.err))
}

fn holds(bounded: &Value, truth: f64) {
    let bound = |name: &str| bounded[name].as_f64().unwrap_or_else(|| panic!("{name}: {bounded}"));
    assert!(bound("lower") <= truth && truth <= bound("upper"), "{truth} is not within {bounded}");
}

fn gate<'a>(report: &'a Value, flag: &str) -> &'a Value {
    let gates = report["verdict"]["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["flag"] == flag).unwrap_or_else(|| panic!("no {flag}: {report}"))
}

// The difference that is played: 2 % of the answers fail, the first token takes 30 % longer, a token
// costs half. Times vary by 30 %, as real ones do; the simulators draw from a fixed seed. What a busy
// machine adds to both arms makes no ratio, so times are long beside it.
#[tokio::test]
async fn a_known_difference_is_stated_within_its_intervals() {
    let stable = "ttft: 400ms, gap: 2ms, tokens: 8, jitter: 0.3";
    let candidate = "ttft: 520ms, gap: 2ms, tokens: 8, jitter: 0.3, \
                     faults: [{kind: http, status: 500, share: 0.02}]";
    let room = Room::new("shadow-known", stable, candidate).await;
    let html = room.scratch.path("report.html");
    let markdown = room.scratch.path("report.md");
    let limits =
        ["--max-error-increase", "0.5", "--max-ttft-p50-ratio", "1.1", "--max-cost-ratio", "0.6"];
    let files = ["--html", &html, "--markdown", &markdown, "--monthly-requests", "1000000"];
    let size = ["--pairs", "480", "--concurrency", "24", "--confidence", "99"];
    let finished = room.run(&[&limits[..], &files, &size].concat()).await;
    assert_eq!(finished.code, 1, "{}", finished.err);
    let report = report(&finished);

    assert_eq!(report["run"]["pairs_counted"], 480, "{}", report["run"]);
    holds(&report["failures"]["candidate"], 0.02);
    holds(&report["failures"]["difference"], 0.02);
    assert_eq!(report["failures"]["stable"]["count"], 0);
    let ttft = &report["times"][0];
    assert_eq!(ttft["metric"], "ttft");
    holds(&ttft["ratio"]["p50"], 1.3);
    holds(&ttft["paired_ratio"], 1.3);
    holds(&report["cost"]["ratio"], 0.5);
    assert_eq!(report["agreement"]["exact"]["share"], 1.0, "the nonce is the same for both arms");
    assert_eq!(report["wrong"]["candidate"]["count"], 0);

    assert_eq!(report["verdict"]["word"], "failed");
    assert_eq!(gate(&report, "--max-ttft-p50-ratio")["word"], "failed");
    assert_eq!(gate(&report, "--max-cost-ratio")["word"], "pass");
    // 9 and more of 480 are beyond half a point whatever was drawn; fewer would not tell.
    let errors = gate(&report, "--max-error-increase");
    let failures = report["failures"]["candidate"]["count"].as_u64().unwrap();
    assert!(errors["word"] != "pass" && (2..=20).contains(&failures), "{errors}");

    let [html, markdown] = [html, markdown].map(|path| std::fs::read_to_string(path).unwrap());
    for written in [&html, &markdown, &finished.out, &finished.err] {
        assert!(!written.contains("canary"), "{written}");
    }
    assert!(html.contains("Content-Security-Policy") && html.contains("<svg"), "{html}");
    for foreign in ["http:", "https:", "<script", "@import", "url(", " style=", "unsafe"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(markdown.starts_with("# ❌ failed: `candidate` against `stable`"), "{markdown}");
}

#[tokio::test]
async fn the_exit_code_says_pass_or_insufficient() {
    let room =
        Room::new("shadow-alike", "ttft: 60ms, jitter: 0.2", "ttft: 60ms, jitter: 0.2").await;
    let wide = ["--max-error-increase", "3", "--max-p99-ratio", "off"];
    let few = ["--pairs", "20", "--concurrency", "8"];
    let finished = room.run(&[&wide[..], &few].concat()).await;
    assert_eq!(finished.code, 4, "{}", finished.err);
    let small = report(&finished);
    assert_eq!(small["verdict"]["word"], "insufficient");
    // Without a failure the bound is z²/(n + z²): by hand 125 pairs for 3 % at 1.96.
    let needed = gate(&small, "--max-error-increase")["pairs_needed"].as_u64().unwrap();
    assert!((124..=132).contains(&needed), "{needed}");

    let enough = ["--pairs", "140", "--concurrency", "8"];
    let finished = room.run(&[&wide[..], &enough].concat()).await;
    assert_eq!(finished.code, 0, "{}{}", finished.out, finished.err);
    let first = report(&finished)["failures"]["pairs"].clone();
    assert_eq!(first, 140);
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_and_a_used_up_quota_ends_it() {
    let limited = "faults: [{kind: http, status: 429, retry_after: 50ms, share: 0.05}]";
    let room = Room::new("shadow-limited", "ttft: 1ms", limited).await;
    let size = ["--pairs", "40", "--concurrency", "2", "--warm-up", "0", "--retries", "20"];
    let finished = room.run(&size).await;
    let asked = report(&finished);
    assert_eq!(asked["run"]["pairs_counted"], 40, "{}", asked["run"]);
    assert!(asked["run"]["repeats"].as_u64().unwrap() > 0, "{}", asked["run"]);
    assert!(asked["refused_by"]["candidate"]["rate"].as_u64().unwrap() > 0, "{asked}");
    assert_eq!(asked["failures"]["candidate"]["count"], 0, "a limit of ours is no failure");

    room.candidate.play("faults: [{kind: quota_exhausted, share: 1}]").await;
    let finished = room.run(&size).await;
    assert_eq!(finished.code, 3, "{}", finished.err);
    assert!(
        finished.err.contains("candidate cannot be asked: quota_exhausted"),
        "{}",
        finished.err
    );
    assert_eq!(report(&finished)["run"]["ended"], "refused");

    // A provider without capacity would have failed a user too.
    room.candidate.play("faults: [{kind: http, status: 529, share: 1}]").await;
    let finished = room.run(&["--pairs", "40", "--max-error-increase", "5"]).await;
    assert_eq!(finished.code, 1, "{}", finished.err);
    assert_eq!(report(&finished)["failures"]["candidate"]["count"], 40);
}

#[tokio::test]
async fn nothing_is_asked_without_a_price_or_beyond_the_budget() {
    let room = Room::new("shadow-budget", "ttft: 1ms", "ttft: 1ms").await;
    for (further, expected) in [
        (&["--max-cost", "0.0001"][..], "above `--max-cost 0.0001`"),
        (&["--judge", "unpriced"], "no price is known of judge `unpriced`"),
        (&["--judge", "stabel"], "no target is called `stabel` (`stable`?)"),
        (&["--rate", "0"], "write how many pairs a second"),
    ] {
        let finished = room.run(further).await;
        assert_eq!(finished.code, 2, "{}", finished.err);
        assert!(finished.err.contains(expected), "{}", finished.err);
    }
    let dry = room.run(&["--dry-run"]).await;
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(dry.err.contains("may cost up to $"), "{}", dry.err);
    assert_eq!(room.stable.requests().await + room.candidate.requests().await, 0.0);

    let judged = room.run(&["--pairs", "10", "--judge", "unpriced", "--allow-unpriced"]).await;
    // Equal answers need no judge.
    assert_eq!(report(&judged)["agreement"]["judged"]["same"], 10, "{}", judged.err);
}

#[tokio::test]
async fn an_interrupt_reports_what_there_is() {
    let room = Room::new("shadow-interrupted", "ttft: 20ms", "ttft: 20ms").await;
    let capture = r#"{"url": "/v1/chat/completions", "body": {"user": "canary-user", "messages": [{"role": "user", "content": "sk-canary-000000000001 hello"}]}}"#;
    let capture = room.scratch.write("capture.jsonl", capture);
    let arms = ["shadow", "--stable", "stable", "--candidate", "candidate", "-c", &room.config];
    let asked =
        ["--capture", &capture, "--pairs", "100000", "--max-cost", "1000", "--include-text"];
    let mut program = Program::start(&[KEY], &[&arms[..], &asked].concat());
    until(async || {
        let requests = room.candidate.requests().await;
        if requests > 20.0 { Ok(()) } else { Err(format!("{requests} requests")) }
    })
    .await;
    program.signal("INT");
    assert_eq!(program.ended().await, 4);
    let written = program.out.whole().await;
    assert!(written.contains("insufficient: candidate against stable"), "{written}");
    assert!(written.contains("somebody stopped it"), "{written}");
    assert!(!written.contains("canary"), "{written}");
    assert!(written.contains("keys replaced"), "{written}");
}
