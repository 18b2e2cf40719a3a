//! The official clients of OpenAI and Anthropic (Python, as their users install them) through the
//! built program to simulated providers: whatever goes wrong is to come out as the client's own
//! exception for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::process::Process;

/// A router with a route to a provider of each dialect, both of which play a script.
struct Stage {
    directory: PathBuf,
    _provider: Process,
    _router: Process,
    url: String,
}

impl Stage {
    fn new(name: &str, script: &str, auth: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        fs::write(path("script.yml"), script).unwrap();
        let script = path("script.yml");
        let arguments =
            ["simulate", "--script.file", &script, "--web.listen-address", "127.0.0.1:0"];
        let provider = Process::start(&directory, "simulate", &arguments);
        let base = provider.word_after("listening on ");
        let config = format!(
            "providers:\n\
             - {{name: o, dialect: openai_chat, base_url: '{base}', auth: none}}\n\
             - {{name: a, dialect: anthropic_messages, base_url: '{base}', auth: none}}\n\
             probes:\n\
             - {{name: chat, provider: o, model: sim-o, interval: 1h, budget_daily: unlimited}}\n\
             - {{name: claude, provider: a, model: sim-a, interval: 1h, budget_daily: unlimited}}\n\
             routes:\n\
             - {{name: gpt, stable: [chat], retries: {{max: 0}}}}\n\
             - {{name: claude, stable: [claude], retries: {{max: 0}}}}\n\
             router: {{auth: {auth}}}\n"
        );
        fs::write(path("bellwether.yml"), config).unwrap();
        let (config, data) = (path("bellwether.yml"), path("data"));
        let arguments = [
            "run",
            "--config.file",
            &config,
            "--storage.path",
            &data,
            "--web.listen-address",
            "127.0.0.1:0",
            "--router.listen-address",
            "127.0.0.1:0",
        ];
        let router = Process::start(&directory, "run", &arguments);
        let url = format!("http://{}", router.word_after("routing address="));
        Self { directory, _provider: provider, _router: router, url }
    }

    fn ask(&self, case: &str, key: &str) -> Value {
        self.ask_for(case, key, if case.starts_with("openai") { "gpt" } else { "claude" })
    }

    fn ask_for(&self, case: &str, key: &str, model: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/sdks.py");
        let output = Command::new("python3")
            .arg(script)
            .args([&self.url, case, key, model])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{case}: {error}: {said} {output:?}"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _is_gone = fs::remove_dir_all(&self.directory).is_ok();
    }
}

const KEY: &str = "sk-anything";

#[test]
fn official_clients_are_answered() {
    let stage = Stage::new("sdks", "phases: [{after: 0s, tokens: 6}]\n", "none");
    for (case, finish) in [("openai_plain", "stop"), ("anthropic_plain", "end_turn")] {
        let said = stage.ask(case, KEY);
        assert!(said["text"].as_str().is_some_and(|text| text.starts_with("7f3a")), "{said}");
        assert_eq!((&said["finish"], &said["arm"]), (&json!(finish), &json!("stable")), "{said}");
        assert_eq!(said["tokens"], 6, "{said}");
    }
    for (case, finish) in [("openai_stream", "stop"), ("anthropic_stream", "end_turn")] {
        let said = stage.ask(case, KEY);
        assert!(said["text"].as_str().is_some_and(|text| text.starts_with("7f3a")), "{said}");
        assert_eq!((&said["finish"], &said["tokens"]), (&json!(finish), &json!(6)), "{said}");
    }
    for case in ["openai_models", "anthropic_models"] {
        assert_eq!(stage.ask(case, KEY)["ids"], json!(["claude", "gpt"]));
    }
}

/// The route of the other dialect's provider, for each client.
#[test]
fn official_clients_are_answered_by_providers_of_the_other_dialect() {
    let stage = Stage::new("crossed", "phases: [{after: 0s, tokens: 6}]\n", "none");
    for (case, model, finish) in [
        ("openai_plain", "claude", "stop"),
        ("openai_stream", "claude", "stop"),
        ("anthropic_plain", "gpt", "end_turn"),
        ("anthropic_stream", "gpt", "end_turn"),
    ] {
        let said = stage.ask_for(case, KEY, model);
        assert!(said["text"].as_str().is_some_and(|text| text.starts_with("7f3a")), "{said}");
        assert_eq!((&said["finish"], &said["tokens"]), (&json!(finish), &json!(6)), "{said}");
    }
    for (fault, openai, anthropic) in [
        ("{kind: http, status: 401, share: 1}", "AuthenticationError", "AuthenticationError"),
        ("{kind: http, status: 429, share: 1}", "RateLimitError", "RateLimitError"),
    ] {
        let script = format!("phases: [{{after: 0s, faults: [{fault}]}}]\n");
        let stage = Stage::new("crossed-errors", &script, "none");
        assert_eq!(stage.ask_for("openai_plain", KEY, "claude")["error"], openai);
        assert_eq!(stage.ask_for("anthropic_stream", KEY, "gpt")["error"], anthropic);
    }
}

#[test]
fn what_goes_wrong_comes_out_as_the_clients_own_exception() {
    for (fault, openai, anthropic) in [
        ("{kind: http, status: 401, share: 1}", "AuthenticationError", "AuthenticationError"),
        ("{kind: http, status: 404, share: 1}", "NotFoundError", "NotFoundError"),
        ("{kind: http, status: 429, share: 1}", "RateLimitError", "RateLimitError"),
        ("{kind: http, status: 500, share: 1}", "InternalServerError", "InternalServerError"),
        ("{kind: http, status: 529, share: 1}", "InternalServerError", "OverloadedError"),
    ] {
        let script = format!("phases: [{{after: 0s, faults: [{fault}]}}]\n");
        let stage = Stage::new("errors", &script, "none");
        for (case, expected) in [
            ("openai_plain", openai),
            ("openai_stream", openai),
            ("anthropic_plain", anthropic),
            ("anthropic_stream", anthropic),
        ] {
            let said = stage.ask(case, KEY);
            assert_eq!(said["error"], expected, "{fault} {case}: {said}");
        }
    }
}

#[test]
fn a_stream_that_fails_midway_raises() {
    let script = "phases: [{after: 0s, faults: [{kind: overloaded_mid_stream, share: 1}]}]\n";
    let stage = Stage::new("overload", script, "none");
    let said = stage.ask("openai_stream", KEY);
    assert_eq!(said["error"], "APIError", "{said}");
    let said = stage.ask("anthropic_stream", KEY);
    let error = said["error"].as_str().unwrap();
    assert!(["APIStatusError", "OverloadedError"].contains(&error), "{said}");
    // Asked directly, both clients take a truncated stream for a complete one.
    let script = "phases: [{after: 0s, faults: [{kind: truncated, share: 1}]}]\n";
    let stage = Stage::new("truncated", script, "none");
    for case in ["openai_stream", "anthropic_stream"] {
        let said = stage.ask(case, KEY);
        assert!(said["error"].is_string(), "{case}: {said}");
    }
}

#[test]
fn a_clients_key_is_known_by_its_hash() {
    // sha256 of `abc`: FIPS 180-2, appendix B.1.
    let auth = "[{name: team, hash: \
                'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'}]";
    let stage = Stage::new("keys", "phases: [{after: 0s, tokens: 6}]\n", auth);
    for case in ["openai_plain", "anthropic_plain"] {
        assert_eq!(stage.ask(case, KEY)["error"], "AuthenticationError");
        assert_eq!(stage.ask(case, "abc")["tokens"], 6);
    }
}
