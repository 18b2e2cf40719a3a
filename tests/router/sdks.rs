//! The official clients of OpenAI and Anthropic (for Python and for Node, as their users install them)
//! through the built program: to simulated providers, where whatever goes wrong is to come out as the
//! client's own exception for it, and to aimock's, which call tools and think, in every dialect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::process::Process;

/// For each language, the program that runs its script.
const LANGUAGES: [(&str, &str); 2] = [("python3", "sdks.py"), ("node", "sdks.mjs")];

/// A router with a route to each of some providers.
struct Stage {
    directory: PathBuf,
    _provider: Process,
    _router: Process,
    url: String,
}

impl Stage {
    /// `gpt` and `claude`, from a provider of each dialect, both of which play a script.
    fn new(name: &str, script: &str, auth: &str) -> Self {
        let directory = scratch(name);
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
             - {{name: r, dialect: openai_responses, base_url: '{base}', auth: none}}\n\
             probes:\n\
             - {{name: chat, provider: o, model: sim-o, interval: 1h, budget_daily: unlimited}}\n\
             - {{name: claude, provider: a, model: sim-a, interval: 1h, budget_daily: unlimited}}\n\
             - {{name: agent, provider: r, model: sim-r, interval: 1h, budget_daily: unlimited}}\n\
             routes:\n\
             - {{name: gpt, stable: [chat], retries: {{max: 0}}}}\n\
             - {{name: claude, stable: [claude], retries: {{max: 0}}}}\n\
             - {{name: agent, stable: [agent], retries: {{max: 0}}}}\n\
             router: {{auth: {auth}}}\n"
        );
        Self::of(directory, provider, &config)
    }

    /// `DIALECT/MODEL` for each of aimock's dialects and models that call tools or think.
    fn aimock() -> Self {
        let directory = scratch("aimock");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/aimock.mjs");
        let provider =
            Process::start_as(&directory, "aimock", "node", &[script.to_str().unwrap(), "sk-peer"]);
        let base = provider.word_after("listening on ");
        fs::write(directory.join("key"), "sk-peer").unwrap();
        let mut config = "providers:\n".to_owned();
        for (name, dialect) in DIALECTS {
            config.push_str(&format!(
                "- {{name: {name}, dialect: {dialect}, base_url: '{base}', api_key_file: key}}\n"
            ));
        }
        for (section, text) in [("probes", "provider"), ("routes", "stable")] {
            config.push_str(&format!("{section}:\n"));
            for (name, _) in DIALECTS {
                for model in ["mock-tools", "mock-thoughts", "mock-vectors"] {
                    config.push_str(&match text {
                        "provider" => format!(
                            "- {{name: {name}-{model}, provider: {name}, model: {model}, \
                             interval: 1h, budget_daily: unlimited}}\n"
                        ),
                        _ => format!(
                            "- {{name: {name}-{model}, stable: [{name}-{model}], \
                             retries: {{max: 0}}}}\n"
                        ),
                    });
                }
            }
        }
        config.push_str("router: {auth: none}\n");
        Self::of(directory, provider, &config)
    }

    fn of(directory: PathBuf, provider: Process, config: &str) -> Self {
        let path = |name: &str| directory.join(name).display().to_string();
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

    /// What the clients of a language say of each case, by the model that it asks for.
    fn ask(
        &self,
        (program, script): (&str, &str),
        key: &str,
        cases: &[(&str, &str)],
    ) -> Vec<Value> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let cases: Vec<String> =
            cases.iter().map(|(case, model)| format!("{case}={model}")).collect();
        let output = Command::new(program)
            .arg(script)
            .args([self.url.as_str(), key])
            .args(&cases)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{output:?}"));
        let said: Vec<Value> = said.lines().map(read).collect();
        assert_eq!(said.len(), cases.len(), "{output:?}");
        said
    }
}

fn scratch(name: &str) -> PathBuf {
    // Tests run side by side in one process.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(format!("bellwether-{name}-{process}-{count}"));
    fs::create_dir_all(&path).unwrap();
    path
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _is_gone = fs::remove_dir_all(&self.directory).is_ok();
    }
}

const KEY: &str = "sk-anything";
/// Each client, streamed and not, with each of the two providers, and responses with their own.
const COMBINATIONS: [(&str, &str); 10] = [
    ("openai_plain", "gpt"),
    ("openai_plain", "claude"),
    ("openai_stream", "gpt"),
    ("openai_stream", "claude"),
    ("anthropic_plain", "gpt"),
    ("anthropic_plain", "claude"),
    ("anthropic_stream", "gpt"),
    ("anthropic_stream", "claude"),
    ("responses_plain", "agent"),
    ("responses_stream", "agent"),
];
const DIALECTS: [(&str, &str); 5] = [
    ("chat", "openai_chat"),
    ("messages", "anthropic_messages"),
    ("azure", "azure_openai"),
    ("gemini", "gemini"),
    ("responses", "openai_responses"),
];

#[test]
fn official_clients_are_answered_by_providers_of_either_dialect() {
    let stage = Stage::new("sdks", "phases: [{after: 0s, tokens: 6}]\n", "none");
    for language in LANGUAGES {
        let said = stage.ask(language, KEY, &COMBINATIONS);
        for ((case, model), said) in COMBINATIONS.iter().zip(said) {
            let what = format!("{language:?} {case} {model}: {said}");
            assert!(said["text"].as_str().is_some_and(|text| text.starts_with("7f3a")), "{what}");
            let finish = match case.split('_').next() {
                Some("openai") => "stop",
                Some("anthropic") => "end_turn",
                _ => "completed",
            };
            assert_eq!((&said["finish"], &said["tokens"]), (&json!(finish), &json!(6)), "{what}");
            if case.ends_with("plain") {
                assert_eq!(said["arm"], "stable", "{what}");
            }
        }
        let models = [("openai_models", ""), ("anthropic_models", "")];
        for said in stage.ask(language, KEY, &models) {
            assert_eq!(said["ids"], json!(["agent", "claude", "gpt"]));
        }
    }
}

#[test]
fn what_goes_wrong_comes_out_as_the_clients_own_exception() {
    // Of 529 the clients of OpenAI know no more than that it is above 500.
    for (status, openai, anthropic) in [
        (401, "AuthenticationError", "AuthenticationError"),
        (404, "NotFoundError", "NotFoundError"),
        (429, "RateLimitError", "RateLimitError"),
        (500, "InternalServerError", "InternalServerError"),
        (529, "InternalServerError", "OverloadedError"),
    ] {
        let script = format!(
            "phases: [{{after: 0s, faults: [{{kind: http, status: {status}, share: 1}}]}}]\n"
        );
        let stage = Stage::new("errors", &script, "none");
        for language in LANGUAGES {
            let said = stage.ask(language, KEY, &COMBINATIONS);
            for ((case, model), said) in COMBINATIONS.iter().zip(said) {
                let expected = if case.starts_with("anthropic") { anthropic } else { openai };
                assert_eq!(said["error"], expected, "{status} {language:?} {case} {model}: {said}");
            }
        }
    }
}

#[test]
fn a_stream_that_fails_midway_raises() {
    let streams: Vec<(&str, &str)> =
        COMBINATIONS.into_iter().filter(|(case, _)| case.ends_with("stream")).collect();
    // Asked directly, the clients take a truncated stream for a complete one.
    for fault in ["overloaded_mid_stream", "truncated"] {
        let script = format!("phases: [{{after: 0s, faults: [{{kind: {fault}, share: 1}}]}}]\n");
        let stage = Stage::new("midway", &script, "none");
        for language in LANGUAGES {
            let said = stage.ask(language, KEY, &streams);
            for ((case, model), said) in streams.iter().zip(said) {
                let what = format!("{fault} {language:?} {case} {model}: {said}");
                let error = said["error"].as_str().unwrap_or_else(|| panic!("{what}"));
                let known = match (fault, case.starts_with("anthropic")) {
                    ("truncated", _) => continue,
                    // What the clients make of a response that failed is no exception of theirs.
                    _ if case.starts_with("responses") => continue,
                    (_, false) => ["APIError", "APIError", "APIError"],
                    (_, true) => ["APIStatusError", "OverloadedError", "APIError"],
                };
                assert!(known.contains(&error), "{what}");
            }
        }
    }
}

#[test]
fn tools_pictures_and_system_prompts_pass_in_every_dialect() {
    let stage = Stage::aimock();
    let mut cases = Vec::new();
    for (name, _) in DIALECTS {
        for case in
            ["openai_tools", "openai_tools_stream", "anthropic_tools", "anthropic_tools_stream"]
        {
            cases.push((case, format!("{name}-mock-tools")));
        }
    }
    let asked: Vec<(&str, &str)> =
        cases.iter().map(|(case, model)| (*case, model.as_str())).collect();
    for language in LANGUAGES {
        for ((case, model), said) in cases.iter().zip(stage.ask(language, KEY, &asked)) {
            let what = format!("{language:?} {case} {model}: {said}");
            let (call, end) = match case.starts_with("openai") {
                true => ("tool_calls", "stop"),
                false => ("tool_use", "end_turn"),
            };
            assert_eq!(said["call"], json!(["weather", {"city": "Ulm"}, call]), "{what}");
            // Google gets what a tool said as a value with a name.
            let result = match model.starts_with("gemini") {
                true => "be brief: {\"output\":\"rain\"}",
                false => "be brief: rain",
            };
            assert_eq!(said["last"], json!([result, end]), "{what}");
        }
    }
}

#[test]
fn embeddings_pass() {
    let stage = Stage::aimock();
    let cases =
        [("openai_embeddings", "chat-mock-vectors"), ("openai_embeddings", "gemini-mock-vectors")];
    for language in LANGUAGES {
        let said = stage.ask(language, KEY, &cases);
        let sizes = said[0]["sizes"].as_array().unwrap_or_else(|| panic!("{said:?}"));
        assert!(sizes.len() == 2 && sizes[0].as_u64().is_some_and(|size| size > 100), "{said:?}");
        // There are no words for them.
        assert_eq!(said[1]["error"], "NotFoundError", "{said:?}");
    }
}

#[test]
fn thoughts_pass_in_every_dialect() {
    let stage = Stage::aimock();
    let mut cases = Vec::new();
    for (name, _) in DIALECTS {
        for case in [
            "openai_thoughts",
            "openai_thoughts_stream",
            "anthropic_thoughts",
            "anthropic_thoughts_stream",
        ] {
            cases.push((case, format!("{name}-mock-thoughts")));
        }
    }
    let asked: Vec<(&str, &str)> =
        cases.iter().map(|(case, model)| (*case, model.as_str())).collect();
    for language in LANGUAGES {
        for ((case, model), said) in cases.iter().zip(stage.ask(language, KEY, &asked)) {
            let what = format!("{language:?} {case} {model}: {said}");
            assert_eq!((&said["thought"], &said["text"]), (&json!("hm"), &json!("7f3a")), "{what}");
        }
    }
}

#[test]
fn a_clients_key_is_known_by_its_hash() {
    // sha256 of `abc`: FIPS 180-2, appendix B.1.
    let auth = "[{name: team, hash: \
                'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'}]";
    let stage = Stage::new("keys", "phases: [{after: 0s, tokens: 6}]\n", auth);
    let cases = [("openai_plain", "gpt"), ("anthropic_plain", "claude")];
    for language in LANGUAGES {
        for said in stage.ask(language, KEY, &cases) {
            assert_eq!(said["error"], "AuthenticationError", "{said}");
        }
        for said in stage.ask(language, "abc", &cases) {
            assert_eq!(said["tokens"], 6, "{said}");
        }
    }
}
