//! Secrets are asked for where they are needed and shown nowhere; mistakes are told all at once.

use std::path::{Path, PathBuf};

use super::program::{Program, Scratch};
use super::receiver::{Manner, Receiver};
use super::rollback::SECRET;
use super::service::{Service, Simulator};

#[tokio::test]
async fn six_mistakes_are_told_with_their_places_and_remedies() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/six.bad.yml");
    let expected = std::fs::read_to_string(path.replace(".bad.yml", ".txt")).unwrap();
    assert_eq!(expected.lines().count(), 6);
    let checked = Program::run(&[], &["check", "config", path]).await;
    assert_eq!(checked.code, 1, "{}", checked.err);
    for line in expected.lines() {
        let line = line.replacen("bellwether.yml", path, 1);
        assert!(checked.err.lines().any(|told| told == line), "{line}\nin\n{}", checked.err);
    }
    assert!(checked.err.contains(" 6 mistakes"), "{}", checked.err);
    assert!(!(checked.err + &checked.out).contains("sk-hush-hush"));
}

#[tokio::test]
async fn a_missing_secret_stops_a_start_and_no_check_that_does_not_ask_for_it() {
    let scratch = Scratch::new("secrets-missing");
    let file = scratch.write(
        "bellwether.yml",
        "providers:\n\
         - {name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:9', api_key: 'env:NO_KEY'}\n\
         probes: [{provider: p, model: m, budget_daily: unlimited}]\n",
    );
    let (key, data) = ("sk-only-for-a-test-7d0c", scratch.path("data"));
    let check: &[&str] = &["check", "config", &file];
    let check_all = [check, &["--with-secrets"]].concat();
    let run = ["run", "-c", &file, "--web.listen-address=127.0.0.1:0", "--storage.path", &data];
    for (variables, arguments, code) in [
        (&[][..], check, 0),
        (&[], &check_all, 1),
        (&[], &run, 3),
        (&[("NO_KEY", key)], &check_all, 0),
    ] {
        let ended = Program::run(variables, arguments).await;
        let said = ended.err + &ended.out;
        assert_eq!(ended.code, code, "{arguments:?}: {said}");
        assert_eq!(said.contains("NO_KEY"), code != 0, "{arguments:?}: {said}");
        assert!(!said.contains(key), "{said}");
    }
}

/// What is planted, and must be nowhere but where it is sent.
const KEY: &str = "sk-planted-1f0e7c52d9";
const TOKEN: &str = "gateway-planted-83b1";
const CREDENTIALS: &str = "hook-planted-4e6a";
const URL_TOKEN: &str = "url-planted-90cd";

#[tokio::test]
async fn no_secret_is_written_anywhere_even_at_the_finest_log_level() {
    let simulator = Simulator::start().await;
    simulator.script(&format!("key: {KEY}")).await;
    let receiver = Receiver::start(Manner::Takes).await;
    let path = format!("/alerts?token={URL_TOKEN}");
    let scratch = Scratch::new("secrets-planted");
    scratch.write("hook-url", &format!("{}\n", receiver.url(&path)));
    scratch.write(
        "rules.yml",
        "groups:\n- name: always\n  interval: 1s\n  rules:\n  - {alert: Always, expr: up == 1, \
         labels: {severity: rollback, target: chat}}\n",
    );
    let url = &simulator.url;
    let config = format!(
        "global: {{probe_interval: 100ms, sample_interval: 1s}}\n\
         rule_files: [rules.yml]\n\
         providers:\n\
         - name: chat\n  dialect: openai_chat\n  base_url: '{url}'\n  api_key: env:KEY\n  \
             http_headers: {{X-Gateway-Token: env:TOKEN}}\n\
         - {{name: messages, dialect: anthropic_messages, base_url: '{url}', api_key: 'env:KEY'}}\n\
         probes:\n\
         - {{name: chat, provider: chat, model: m, budget_daily: unlimited}}\n\
         - {{name: messages, provider: messages, model: m, budget_daily: unlimited}}\n\
         receivers:\n\
         - name: team\n  webhook_configs:\n  - url_file: hook-url\n    \
             signing_secret: env:SIGNING\n    \
             http_config: {{authorization: {{credentials: 'env:CREDENTIALS'}}}}\n\
         route: {{receiver: team, group_wait: 0s}}\n\
         rollbacks:\n\
         - name: rehearsed\n  matchers: ['severity=\"rollback\"']\n  candidate: [chat]\n  \
             stable: [messages]\n  dry_run: true\n  \
             webhook: {{url_file: hook-url, signing_secret: 'env:SIGNING'}}\n"
    );
    let variables =
        [("KEY", KEY), ("TOKEN", TOKEN), ("SIGNING", SECRET), ("CREDENTIALS", CREDENTIALS)];
    let finest = ["--log.level", "trace"];
    let mut service = Service::start_with(&scratch, &config, &variables, &finest).await;
    let runs = "bellwether_probe_runs_total";
    for target in ["chat", "messages"] {
        // Good only with the key.
        service.reaches(runs, &[("target", target), ("error_type", "none")], 2.0).await;
    }
    let calls = receiver.wait(&path, 1).await;
    assert_eq!(calls[0].header("authorization"), format!("Bearer {CREDENTIALS}"));
    assert!(calls[0].is_signed(SECRET));
    let rehearsed = [("rollback", "rehearsed"), ("result", "dry_run")];
    service.reaches("bellwether_rollbacks_total", &rehearsed, 1.0).await;
    // Failures are told at more length than successes.
    simulator.script("key: sk-another").await;
    for target in ["chat", "messages"] {
        service.reaches(runs, &[("target", target), ("error_type", "http_401")], 2.0).await;
    }
    assert_eq!(service.post("/-/reload", "").await.status, 200);
    let mut written = Vec::new();
    for path in [
        "/",
        "/metrics",
        "/api/v1/status/config",
        "/api/v1/targets",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D",
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        written.push((path, format!("{:?} {}", reply.headers, reply.body)));
    }
    for call in receiver.calls(&path) {
        written.push(("a webhook's body", call.body));
    }
    service.program.signal("TERM");
    assert_eq!(service.program.ended().await, 0);
    written.push(("stdout", service.program.out.whole().await));
    written.push(("stderr", service.program.err.whole().await));
    let signing = SECRET.strip_prefix("whsec_").unwrap();
    for (place, text) in written {
        for secret in [KEY, TOKEN, CREDENTIALS, URL_TOKEN, signing] {
            assert!(!text.contains(secret), "{secret} in {place}: {text}");
        }
    }
    // The journal keeps what a rehearsal would have sent, without what guards it.
    for path in files(Path::new(&scratch.path("data"))) {
        let bytes = std::fs::read(&path).unwrap();
        for secret in [KEY, TOKEN, CREDENTIALS, URL_TOKEN, signing] {
            let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{secret} in {}", path.display());
        }
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
