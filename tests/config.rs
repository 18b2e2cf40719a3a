//! The configuration as an operator meets it: files in `tests/config/`, each class of mistake with
//! the messages that are expected, which are read in review like prose. To write them anew after a
//! change of wording, run with `BLESS=1` and read the difference.

use std::path::{Path, PathBuf};

use bellwether::access::{self, ClientAuth, PemSource, TlsVersion};
use bellwether::app::{load, load_web};
use bellwether::config::{self, Config};
use bellwether::model::TimeInterval;
use bellwether::model::{Mistake, Money, SecretSource, Timestamp};
use bellwether::price::Service;
use bellwether::probe::{Budget, Check, Connection, Delivery};
use bellwether::provider::translate::Strictness;
use bellwether::provider::{
    Auth, Dialect, ErrorType, HeaderRule, LimitField, Method, SloClass, Terminal, UsageWish,
};
use bellwether::release::gate::{Latency, Subject, Unit};
use bellwether::release::{Does, Effect, Plan, Traffic};
use bellwether::routing::{Admission, Credentials, KeySource, Mirror, Pin, Retries, Tell};
use bellwether::slo::{Scope, Slo};
use proptest::prelude::*;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

fn mistakes(text: &str) -> String {
    match config::parse("bellwether.yml", text) {
        Ok(_) => String::new(),
        Err(mistakes) => listed(&mistakes),
    }
}

fn right(text: &str) -> Config {
    config::parse("bellwether.yml", text).unwrap_or_else(|wrong| panic!("{}", listed(&wrong)))
}

#[test]
fn every_class_of_mistake_is_reported_in_the_words_of_its_file() {
    let mut cases = 0;
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(stem) = name.strip_suffix(".bad.yml") else { continue };
        let said = mistakes(&std::fs::read_to_string(&path).unwrap());
        let expected = directory().join(format!("{stem}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        assert!(!said.is_empty(), "{name} is accepted");
        assert_eq!(said, std::fs::read_to_string(&expected).unwrap(), "{name}");
        cases += 1;
    }
    assert!(cases >= 15, "only {cases} files were found");
}

#[test]
fn every_example_is_right_and_the_readme_names_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut examples = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".yml") {
            continue;
        }
        let config = right(&std::fs::read_to_string(&path).unwrap());
        assert!(!config.releases.is_empty(), "{name} shows no release");
        for release in &config.releases {
            let plan = &release.settings.plan;
            assert!(config.rollbacks.iter().any(|it| it.name == plan.name), "{name}");
            for target in plan.stable.iter().chain(&plan.candidate) {
                assert!(config.targets.iter().any(|it| it.id == *target), "{name}: {target}");
            }
            // Each stage can pass on evidence: one that cannot teaches nothing.
            let stages = &release.forecast.stages;
            assert!(stages.iter().all(|stage| stage.on_evidence.is_some()), "{name}: {stages:?}");
        }
        // Rule files lie where the example says.
        let mut folders = config.rule_files.iter().filter_map(|it| it.text.strip_suffix("/*.yml"));
        assert!(folders.all(|folder| root.join("examples").join(folder).is_dir()), "{name}");
        assert!(readme.contains(&format!("examples/{name}")), "the README does not name {name}");
        examples += 1;
    }
    assert!(examples >= 3, "only {examples} examples were found");
}

#[test]
fn every_mistake_of_a_web_configuration_is_reported_in_the_words_of_its_file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web-config");
    let (mut right, mut wrong) = (0, 0);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".yml") {
            continue;
        }
        let read = config::web_file("web.yml", &std::fs::read_to_string(&path).unwrap());
        let Some(stem) = name.strip_suffix(".bad.yml") else {
            load_web(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            right += 1;
            continue;
        };
        let said = listed(&read.unwrap_err());
        let expected = directory.join(format!("{stem}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        assert_eq!(said, std::fs::read_to_string(&expected).unwrap(), "{name}");
        assert!(!said.contains("hush"), "{said}");
        wrong += 1;
    }
    assert!(right >= 4 && wrong >= 7, "{right} right and {wrong} wrong files were found");
}

#[test]
fn a_full_web_configuration_becomes_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web-config/full.yml");
    let web = config::web_file("dir/web.yml", &std::fs::read_to_string(path).unwrap()).unwrap();
    let users: Vec<(&str, u32)> =
        web.users.iter().map(|(name, hash)| (name.as_str(), hash.cost())).collect();
    assert_eq!(users, [("alice", 10), ("bob", 12)]);
    assert_eq!(web.headers.len(), 5);
    assert!(web.headers.contains(&("X-Frame-Options".to_owned(), "deny".to_owned())));
    let tls = web.tls.unwrap();
    let file = PathBuf::from("dir/../../src/upstream/tests/server.pem");
    assert_eq!(tls.cert.source, PemSource::File(file));
    assert_eq!(tls.client_auth, ClientAuth::VerifyClientCertIfGiven);
    assert_eq!((tls.oldest, tls.newest), (TlsVersion::Tls12, TlsVersion::Tls13));
    assert_eq!(tls.curves, ["X25519", "CurveP256"]);
}

#[test]
fn what_is_wrong_with_certificates_names_their_place_in_the_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web-config");
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates.yml");
    let certificates = path.join("../../src/upstream/tests");
    let at = |name: &str| certificates.join(name).display().to_string();
    for (cert, key, place, expected) in [
        (at("nowhere.pem"), at("server-key.pem"), ":2:14:", "No such file"),
        (at("server-key.pem"), at("server-key.pem"), ":2:14:", "no certificate in PEM form"),
        (at("server.pem"), at("server.pem"), ":3:13:", "nothing of the kind in PEM form"),
        (at("server.pem"), at("client-key.pem"), ":2:14:", "the key must be the certificate's own"),
    ] {
        let text = format!("tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n");
        std::fs::write(&scratch, text).unwrap();
        let said = load_web(&scratch).unwrap_err().to_string();
        assert!(said.contains(place) && said.contains(expected), "{said}");
    }
    std::fs::remove_file(scratch).unwrap();
}

#[test]
fn six_mistakes_are_reported_as_six() {
    let text = std::fs::read_to_string(directory().join("six.bad.yml")).unwrap();
    let mistakes = config::parse("bellwether.yml", &text).unwrap_err();
    assert_eq!(mistakes.len(), 6, "{}", listed(&mistakes));
    assert!(mistakes.iter().all(|mistake| mistake.remedy.is_some()));
}

#[test]
fn no_message_shows_a_secret() {
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let said = mistakes(&std::fs::read_to_string(&path).unwrap());
            assert!(!said.contains("hush"), "{}: {said}", path.display());
        }
    }
}

/// The long form, written out, is the same.
#[test]
fn a_webhook_that_is_verified_is_a_plan_in_short() {
    let plan = |does: &str| {
        let text = format!(
            "providers: [{{name: a, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}}]\n\
             probes:\n- {{name: new, provider: a, model: m, budget_daily: unlimited}}\n\
             - {{name: old, provider: a, model: m, budget_daily: unlimited}}\n\
             rollbacks:\n- name: chat\n  matchers: ['a=b']\n  candidate: [new]\n  stable: [old]\n  {does}\n"
        );
        match &right(&text).rollbacks[0].does {
            Does::Plan(plan) => Plan::clone(plan),
            Does::Call(_) => panic!("{text} is no plan"),
        }
    };
    let webhook = "{url: 'http://127.0.0.1:1/', signing_secret: 'env:S'}";
    let short = plan(&format!("webhook: {webhook}\n  verify: true\n  rehearsal: post"));
    let long = plan(&format!(
        "steps:\n  - {{name: webhook, webhook: {webhook}, rehearsal: post, traffic: true}}\n  \
         - {{name: verify, verify: true}}"
    ));
    assert_eq!(short, long);
    assert_eq!(short.steps.len(), 2);
}

#[test]
fn a_full_file_becomes_what_it_says() {
    let config = right(&std::fs::read_to_string(directory().join("full.yml")).unwrap());
    let millis = |duration: std::time::Duration| duration.as_millis();
    assert_eq!(millis(config.global.probe_interval), 30_000);
    assert_eq!(config.global.external_labels.to_string(), r#"{region="eu", team="ml"}"#);
    assert_eq!(config.global.external_url.as_deref(), Some("https://bellwether.example"));
    assert_eq!(config.storage.size_max, 512 << 20);
    assert_eq!(config.storage.series_max, Some(20_000));

    let [openai, claude, local] = &config.providers[..] else { panic!("three providers") };
    assert_eq!(openai.base_url, "https://api.openai.com");
    assert_eq!(openai.auth, Auth::Bearer(SecretSource::Env("OPENAI_API_KEY".to_owned())));
    assert_eq!(openai.upstream_model("fast"), "gpt-4o-mini");
    let price = *openai.price("fast", Timestamp::from_millis(0)).unwrap().base();
    assert_eq!(price.input, Money::from_nanos(150_000_000));
    assert_eq!(price.cache_read, Money::from_nanos(75_000_000));
    assert_eq!(price.cache_write, price.input);
    assert_eq!(claude.dialect, Dialect::AnthropicMessages);
    assert_eq!(claude.auth, Auth::ApiKey(SecretSource::File("keys/claude".into())));
    assert_eq!(claude.http.tls.ca_file.as_deref(), Some(Path::new("ca.pem")));
    assert_eq!((local.system.as_str(), &local.auth), ("llama", &Auth::None));

    let planned = &config.calendar.providers[&openai.id];
    assert_eq!(planned.intervals[0].name, "nights");
    // By hand, from `date -u -d … +%s`.
    let window = planned.windows[0];
    assert_eq!(
        (window.from.millis(), window.until.millis()),
        (1_801_432_800_000, 1_801_441_800_500)
    );
    assert_eq!(config.calendar.providers.len(), 1);

    let [fast, sonnet, llama] = &config.targets[..] else { panic!("three targets") };
    assert_eq!(fast.id.as_str(), "openai/fast");
    let daily = Some(Money::from_nanos(1_500_000_000));
    assert_eq!(fast.budget, Budget::Limited { daily, monthly: None });
    assert_eq!(millis(fast.interval), 30_000);
    assert_eq!(fast.class(ErrorType::RateLimited), SloClass::Bad);
    assert!(matches!(fast.check, Check::Nonce));
    assert_eq!(fast.delivery, Delivery::Streamed);
    assert_eq!(sonnet.delivery, Delivery::Whole);
    assert_eq!(sonnet.connection, Connection::New);
    let Check::Json(schema) = &sonnet.check else { panic!("a schema") };
    assert_eq!(schema["properties"]["n"]["enum"], serde_json::json!([1, "two", null]));
    assert_eq!(millis(llama.timeouts.total), 3_000);
    assert_eq!(millis(llama.timeouts.first_token), 3_000);
    assert_eq!(llama.budget, Budget::Unlimited);

    let route = config.route.as_ref().unwrap();
    assert_eq!(route.routes[0].receiver, "deploys");
    assert_eq!(route.routes[0].group_by, ["alertname", "target"]);
    assert_eq!(millis(route.routes[0].group_wait), 0);
    assert_eq!(millis(route.routes[1].group_wait), 10_000);
    assert_eq!(route.routes[1].receiver, "team");
    let named = |intervals: &[std::sync::Arc<TimeInterval>]| -> Vec<String> {
        intervals.iter().map(|interval| interval.name.clone()).collect()
    };
    assert_eq!(named(&route.routes[1].mute_time_intervals), ["nights"]);
    assert_eq!(named(&route.routes[1].active_time_intervals), ["month-end"]);
    assert_eq!(named(&route.routes[0].mute_time_intervals), [""; 0]);
    let nights = &route.routes[1].mute_time_intervals[0].rules[0];
    assert_eq!((&nights.times, &nights.weekdays), (&vec![1320..1440, 0..420], &vec![1..=5, 6..=6]));
    let end = &route.routes[1].active_time_intervals[0].rules[0];
    assert_eq!((&end.days_of_month, &end.months), (&vec![-3..=-1, 15..=15], &vec![1..=3, 12..=12]));
    assert_eq!(end.years, [2026..=2026, 2027..=2030]);
    let urls: Vec<&str> = config.alertmanagers.iter().map(|one| one.url.as_str()).collect();
    assert_eq!(urls, ["https://am-1:9093/alerts", "https://am-2:9093/alerts"]);
    let [token] = &config.tokens[..] else { panic!("one token") };
    assert_eq!((token.name.as_str(), token.allow.len()), ("alertmanager", 2));
    assert!(token.allow.contains(&access::Scope::Hooks));
    let rollback = &config.rollbacks[0];
    assert_eq!(rollback.candidate[0].as_str(), "sonnet");
    assert_eq!((rollback.daily_max, millis(rollback.cooldown)), (3, 1_800_000));

    let release = &config.releases[0].settings;
    let plan = &release.plan;
    assert_eq!(
        (plan.name.as_str(), plan.generation, plan.rollbacks_daily_max),
        ("sonnet-next", 7, 1)
    );
    let stages: Vec<(u8, u64, u64, u64, u64)> = plan
        .stages
        .iter()
        .map(|one| {
            let [floor, hold, deadline] =
                [one.floor, one.hold, one.deadline].map(|wait| wait.as_secs() / 60);
            (one.share, floor, hold, deadline, one.samples_min)
        })
        .collect();
    let expected = [(5, 30, 120, 720, 300), (50, 120, 180, 360, 500), (100, 60, 120, 720, 300)];
    assert_eq!(stages, expected);
    assert_eq!((plan.unit, millis(plan.unit_length)), (Unit::Minute, 60_000));
    assert_eq!((millis(plan.no_data_after), millis(plan.bake)), (600_000, 43_200_000));
    assert_eq!((plan.rollback_alpha.get(), plan.advance_alpha.get()), (0.02, 0.1));
    assert_eq!(release.freezes[0].name, "nights");
    let probing = (millis(release.probing.interval), release.probing.budget_daily);
    assert_eq!(probing, (20_000, Some(Money::from_nanos(50_000_000_000))));
    assert_eq!((plan.drill_above, plan.approval_above), (5, Some(50)));
    let drill = (millis(release.drill_age_max), millis(release.drill_took_max));
    assert_eq!((release.route.as_deref(), drill), (Some("chat"), (172_800_000, 30_000)));
    let datasource = release.datasource.as_ref().unwrap();
    assert_eq!(
        (datasource.url.as_str(), datasource.timeout.as_secs()),
        ("http://prometheus:9090", 5)
    );
    let stable = plan.gates[0].counters.as_ref().unwrap().stable.as_ref().unwrap();
    assert_eq!(stable.bad, r#"sum(gw_failed_total{arm="old"})"#);
    let Traffic::Steps(moves) = &release.traffic else { panic!("its traffic has steps") };
    let names = |plan: &bellwether::release::Plan| -> Vec<String> {
        plan.steps.iter().map(|step| step.name.clone()).collect()
    };
    assert_eq!(names(moves), ["gateway", "mesh"]);
    let back = config.rollbacks.iter().find(|one| one.name == "sonnet-next").unwrap();
    let Does::Plan(back_plan) = &back.does else { panic!("a release goes back by steps") };
    assert_eq!(names(back_plan), ["gateway", "mesh", "undo", "verify"]);
    let at_once: Vec<bool> = back_plan.steps.iter().map(|step| step.moves_traffic).collect();
    assert_eq!(at_once, [true, true, false, false]);
    let Effect::File { content, .. } = &back_plan.steps[0].effect else { panic!("a file") };
    assert_eq!(content, r#"{"new": 0}"#);
    assert_eq!((back_plan.deadline.as_secs(), plan.rollback_deadline.as_secs()), (45, 50));
    assert_eq!((back.daily_max, back.candidate[0].as_str()), (1, "sonnet"));
    let gates: Vec<(&str, u32)> =
        plan.gates.iter().map(|gate| (gate.name.as_str(), gate.weight)).collect();
    let named = [("errors", 3), ("p95", 1), ("against_stable", 1), ("cost", 1), ("expression", 1)];
    assert_eq!(gates, named);
    let Subject::Slow { latency, threshold, allowed } = &plan.gates[1].subject else {
        panic!("the second gate is on the first token")
    };
    assert_eq!((*latency, millis(*threshold)), (Latency::Ttft, 2_000));
    assert!((allowed.get() - 0.05).abs() < 1e-12);
    // 5 % of 600 a minute, and a probe in 10 s.
    assert_eq!(config.releases[0].forecast.stages[0].outcomes_hourly, 1_800.0 + 360.0);

    let [chat, first_token] = &config.slos[..] else { panic!("two objectives") };
    let named = |slo: &Slo| -> Vec<String> {
        slo.subjects.iter().map(|subject| subject.target.to_string()).collect()
    };
    assert_eq!(chat.title(), "slo `chat-availability`: 99.5% availability over 28d");
    assert_eq!(
        (named(chat), chat.scope),
        (vec!["openai/fast".into(), "sonnet".into()], Scope::Together)
    );
    assert_eq!((chat.events_min, chat.failures_min), (30, 3));
    let page = chat.page.as_ref().unwrap();
    assert_eq!((millis(page.pending), &*page.labels["severity"]), (120_000, "critical"));
    assert_eq!(page.annotations["runbook_url"], "https://runbooks.example/page");
    assert_eq!((chat.ticket.is_none(), &*chat.labels["team"]), (true, "ml"));
    assert_eq!(first_token.title(), "slo `fast-first-token`: 99% ttft over 30d");
    assert_eq!((named(first_token), first_token.scope), (vec!["openai/fast".into()], Scope::Each));
    assert_eq!((first_token.events_min, first_token.failures_min), (10, 2));
    assert!(first_token.page.is_some() && first_token.ticket.is_some());

    let secrets: Vec<String> =
        config::secrets(&config).iter().map(|(what, source)| format!("{what}: {source}")).collect();
    assert_eq!(
        secrets,
        [
            "provider `openai`, api_key: env:OPENAI_API_KEY",
            "provider `claude`, api_key: file:keys/claude",
            "provider `claude`, header `X-Gateway-Token`: env:GATEWAY_TOKEN",
            "receiver `team`, signing_secret: env:WEBHOOK_SECRET",
            "receiver `team`, authorization: file:keys/hook",
            "receiver `team`, routing_key: file:keys/pagerduty",
            "receiver `team`, api_url: file:keys/slack",
            "receiver `deploys`, url: file:keys/hook-url",
            "receiver `deploys`, signing_secret: env:WEBHOOK_SECRET_NEW",
            "receiver `deploys`, signing_secret: env:WEBHOOK_SECRET",
            "alertmanager `https://am-1:9093/alerts`, basic_auth: file:keys/am",
            "alertmanager `https://am-2:9093/alerts`, basic_auth: file:keys/am",
            "rollback `back`, signing_secret: file:keys/rollback",
            "release `sonnet-next`, datasource, authorization: file:/run/secrets/prometheus",
        ]
    );
}

#[test]
fn each_dialect_has_its_key_its_address_and_its_oddities() {
    let config = right(
        r#"
providers:
  - {name: azure, dialect: azure_openai, base_url: "https://r.openai.azure.com/openai/v1/", api_key: env:A}
  - name: dated
    dialect: azure_openai
    base_url: https://r.openai.azure.com
    api_version: 2025-01-01-preview
    auth: bearer
    api_key_file: /var/run/entra/token
    models:
      fast: {name: my-deployment, answers_as: gpt-4o-mini}
  - {name: google, dialect: gemini, base_url: "https://generativelanguage.googleapis.com/v1beta", api_key: env:G,
     models: {flash: {name: gemini-2.5-flash, request: {generationConfig: {thinkingConfig: {thinkingBudget: 0}}}}}}
  - {name: responses, dialect: openai_responses, base_url: "https://api.openai.com/v1", api_key: env:O}
  - name: relay
    dialect: openai_chat
    base_url: https://relay.example/api/v1
    path: /{model}/chat
    auth: api-key
    api_key: env:R
    stream_end: strict
    ask_usage: false
    tokens_field: max_completion_tokens
    model_list: 6h
    model_list_path: /models
    models: {any: {answers_as: "*"}}
probes: []
"#,
    );
    let [azure, dated, google, responses, relay] = &config.providers[..] else {
        panic!("five providers")
    };
    let env = |name: &str| SecretSource::Env(name.to_owned());
    assert_eq!(azure.base_url, "https://r.openai.azure.com");
    assert_eq!(azure.auth, Auth::AzureKey(env("A")));
    assert_eq!(azure.system, "azure.ai.openai");
    // What stands behind a deployment only the configuration can tell.
    assert_eq!(azure.answering_model("my-deployment"), "");
    assert_eq!(dated.wire.api_version.as_deref(), Some("2025-01-01-preview"));
    assert_eq!(dated.auth, Auth::Bearer(SecretSource::File("/var/run/entra/token".into())));
    assert_eq!(dated.answering_model("fast"), "gpt-4o-mini");
    assert_eq!(google.base_url, "https://generativelanguage.googleapis.com");
    assert_eq!(google.auth, Auth::GoogleKey(env("G")));
    let thinking = &google.models["flash"].request["generationConfig"]["thinkingConfig"];
    assert_eq!(thinking["thinkingBudget"], 0);
    assert_eq!(responses.base_url, "https://api.openai.com");
    assert_eq!(responses.auth, Auth::Bearer(env("O")));
    // A path of one's own leaves the base URL as it is.
    assert_eq!(relay.base_url, "https://relay.example/api/v1");
    assert_eq!(relay.wire.path.as_deref(), Some("/{model}/chat"));
    assert_eq!((relay.wire.terminal, relay.wire.usage), (Terminal::Strict, UsageWish::NotAsked));
    assert_eq!(relay.wire.limit, Some(LimitField::MaxCompletionTokens));
    assert_eq!(relay.answering_model("any"), "");
    assert_eq!(relay.wire.models_interval.map(|every| every.as_secs()), Some(6 * 3600));
    assert_eq!(relay.wire.models_path.as_deref(), Some("/models"));
    assert_eq!(azure.wire.models_interval, None);
}

#[test]
fn a_page_is_named_by_its_path_and_asks_for_no_budget() {
    let config = right(
        r#"
providers:
  - {name: site, dialect: http, base_url: "https://site.example/"}
  - {name: inner, dialect: http, base_url: "https://inner.example", api_key: env:TOKEN}
probes:
  - {provider: site, path: /health}
  - name: login
    provider: inner
    path: /login?next=%2F
    body: '{"word": "{nonce}"}'
    status: [4xx, 200]
    headers: {Strict-Transport-Security: "max-age=", Server: false, Date: true}
    certificate_min: 14d
    check: {contains: "{nonce}"}
"#,
    );
    let [site, inner] = &config.providers[..] else { panic!("two providers") };
    assert_eq!((&*site.base_url, &site.auth), ("https://site.example", &Auth::None));
    assert_eq!(inner.auth, Auth::Bearer(SecretSource::Env("TOKEN".to_owned())));
    let [health, login] = &config.targets[..] else { panic!("two targets") };
    assert_eq!((health.id.as_str(), &*health.model), ("site/health", "/health"));
    assert_eq!((health.delivery, health.budget), (Delivery::Whole, Budget::Unlimited));
    assert!(matches!(health.check, Check::Any));
    let page = health.page.as_ref().unwrap();
    assert_eq!((page.method, page.statuses.len(), page.certificate_min), (Method::Get, 0, None));
    let page = login.page.as_ref().unwrap();
    assert_eq!(page.method, Method::Post);
    assert_eq!(page.statuses, [(400, 499), (200, 200)]);
    assert_eq!(page.certificate_min.map(|min| min.as_secs()), Some(14 * 86_400));
    let names: Vec<&str> = page.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["strict-transport-security", "server", "date"]);
    assert!(matches!(page.headers[0].1, HeaderRule::Matches(_)));
    assert!(matches!(page.headers[1].1, HeaderRule::Absent));
    assert!(matches!(page.headers[2].1, HeaderRule::Present));
    let estimate = config::estimate(&config, 1, 0, Timestamp::from_millis(0));
    assert_eq!((estimate.unpriced(), estimate.cost_daily), (0, Money::ZERO));
}

#[test]
fn an_estimate_is_dollars_series_disk_and_memory() {
    let config = right(&std::fs::read_to_string(directory().join("full.yml")).unwrap());
    // By hand: 2,880 probes a day × (40 × $0.15 + 32 × $0.60) / 1,000,000 = $0.072576. The second:
    // its prompt adds 13 tokens; 8,640 × (53 × $3 + 256 × $15) / 1,000,000 = $34.55, which its
    // budget of $2 ends. The release: 4,320 and 8,640 probes, $0.108864 + $34.55136. Samples: 1,000 series × 5,760 a day × 2 bytes.
    let estimate = config::estimate(&config, 900, 100, Timestamp::from_millis(0));
    assert_eq!(estimate.targets[0].cost_daily, Some(Money::from_nanos(72_576_000)));
    assert_eq!(
        estimate.to_string(),
        "probe `openai/fast`: every 30s, 2880 a day, at most $0.07 a day\n\
         probe `sonnet`: every 10s, 8640 a day, $2.00 a day, where its budget ends it\n\
         probe `local/tiny`: every 30s, 2880 a day, no price is known\n\
         release `sonnet-next`: while it runs, `openai/fast` every 20s; its probes cost at most $34.66 a day, from its own budget\n\
         together: at most $2.07 a day, and 1 probe without a price on top\n\
         series: 900 and at least 100 that rule files record; disk: 11.0 MB a day, 22.0 MB kept for 2d; memory: 42.9 MB"
    );
}

#[test]
fn a_first_configuration_is_accepted_whatever_it_is_made_of() {
    for (url, dialect, variable, model) in [
        ("https://api.openai.com/v1", Dialect::OpenaiChat, "OPENAI_API_KEY", "gpt-4o-mini"),
        ("https://api.anthropic.com", Dialect::AnthropicMessages, "KEY", "claude-x"),
        ("http://127.0.0.1:8080", Dialect::OpenaiChat, "", "org/model:7b #1"),
        ("http://[::1]:8080/a", Dialect::OpenaiChat, "K", "true"),
        ("https://api.openai.com/v1", Dialect::OpenaiResponses, "K", "gpt-5-nano"),
        ("https://r.openai.azure.com", Dialect::AzureOpenai, "K", "my-deployment"),
        ("https://generativelanguage.googleapis.com", Dialect::Gemini, "K", "gemini-x"),
    ] {
        let config = right(&config::starter(url, dialect, variable, model));
        assert_eq!(config.targets[0].model, model);
        assert_eq!(config.providers[0].base_url, url.trim_end_matches("/v1"));
    }
}

#[test]
fn the_comments_of_a_first_configuration_are_right_too() {
    let text = config::starter("https://a.example", Dialect::OpenaiChat, "KEY", "m");
    // Prose begins with a capital letter, an example with its key.
    let (head, tail) = text.split_once("# rule_files").unwrap();
    let examples = tail.lines().skip(1).map(|line| line.strip_prefix("# ").unwrap_or(line));
    let examples: Vec<&str> =
        examples.filter(|line| !line.starts_with(|c: char| c.is_uppercase())).collect();
    let uncommented = format!("{head}\n{}", examples.join("\n"))
        .replace("    # models", "    models")
        .replace("    #   m", "      m");
    let said = mistakes(&uncommented);
    // The example's second probe is the reader's to add.
    assert!(said.lines().all(|line| line.contains("`stable` is `second`")), "{said}");
}

/// A directory of its own for a test, with files in it.
fn files(test: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("it is in a directory"))
            .expect("a directory for tests can be made");
        std::fs::write(path, text).expect("a file for tests can be written");
    }
    directory
}

#[test]
fn rule_files_are_found_beside_the_configuration_and_each_once() {
    let config = "providers: []\nprobes: []\nrule_files: ['rules/*.yml', rules/b.yml, 'more/*']\n";
    let directory = files(
        "[found]",
        &[
            ("bellwether.yml", config),
            ("rules/a.yml", "groups: [{name: a, rules: []}]\n"),
            ("rules/b.yml", "groups: [{name: b, rules: []}]\n"),
            ("rules/c.txt", "not meant"),
        ],
    );
    let loaded = load(&directory.join("bellwether.yml")).unwrap();
    let groups = loaded.rules.iter().flat_map(|rules| &rules.groups);
    let found: Vec<(&str, &Path)> = groups
        .map(|group| (&*group.name, Path::new(&group.file).strip_prefix(&directory).unwrap()))
        .collect();
    assert_eq!(found, [("a", Path::new("rules/a.yml")), ("b", Path::new("rules/b.yml"))]);
    let warnings = listed(&loaded.warnings);
    assert!(
        warnings.ends_with(
            "bellwether.yml:3:42: `rule_files` names `more/*`, which matches no file \
             (paths are relative to the configuration file)\n"
        ),
        "{warnings}"
    );
}

#[test]
fn a_rule_file_that_is_named_must_be_there_whatever_else_is_wrong() {
    let config = "provider: []\nprobes: []\nrule_files: [gone.yml, 'a[.yml']\n";
    let directory = files("gone", &[("bellwether.yml", config)]);
    let error = load(&directory.join("bellwether.yml")).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "the configuration has 3 mistakes");
    assert!(lines[1].contains("`provider` is not a key here"), "{error}");
    assert!(lines[2].contains("bellwether.yml:3:14: `rule_files` names `"), "{error}");
    assert!(lines[2].contains("gone.yml`, which cannot be read: "), "{error}");
    assert!(lines[3].contains("`a[.yml`, which is no pattern: "), "{error}");
}

#[test]
fn receivers_may_name_what_the_files_of_templates_define() {
    let config = "providers:\n- {name: m, dialect: openai_chat, base_url: 'https://a.example', auth: none}\n\
                  probes: []\ntemplates: ['*.tmpl']\nreceivers:\n- name: r\n  webhook_configs:\n  \
                  - {url: 'https://h.example', body: '{{ template \"mine\" . }}'}\nroute: {receiver: r}\n";
    let load_with = |template: &str| {
        let directory = files("templates", &[("bellwether.yml", config), ("a.tmpl", template)]);
        load(&directory.join("bellwether.yml")).map_err(|error| error.to_string())
    };
    assert!(load_with("{{ define \"mine\" }}{{ toJson .Status }}{{ end }}").is_ok());
    for (template, part) in [
        (
            "{{ define \"mine\" }}\n{{ nope }}{{ end }}",
            "a.tmpl`, which is no file of templates: 2:4: function `nope` is not defined",
        ),
        (
            "{{ define \"mine\" }}{{ template \"x\" . }}{{ end }}",
            "bellwether.yml:4:13: `templates`: the template `mine` calls `x`, which is not defined",
        ),
        ("", "the template `mine` is not defined"),
    ] {
        let error = load_with(template).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn mistakes_in_rule_files_are_reported_beside_the_others() {
    let directory = files(
        "beside",
        &[
            ("bellwether.yml", "probs: []\nproviders: []\nrule_files: [rules.yml]\n"),
            ("rules.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      up ==\n"),
        ],
    );
    let error = load(&directory.join("bellwether.yml")).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "the configuration has 2 mistakes", "{error}");
    assert!(lines[1].contains("bellwether.yml:1:1: `probs` is not a key here"), "{error}");
    assert!(lines[2].contains("rules.yml:6:"), "{error}");
}

#[test]
fn the_shipped_rules_load() {
    let root = env!("CARGO_MANIFEST_DIR");
    let config = format!("providers: []\nprobes: []\nrule_files: ['{root}/rules/*.yml']\n");
    let directory = files("shipped", &[("bellwether.yml", &config)]);
    let loaded = load(&directory.join("bellwether.yml")).unwrap_or_else(|error| panic!("{error}"));
    assert!(loaded.rules.len() >= 3);
}

#[test]
fn a_configuration_that_is_not_there_is_said_to_be_unreadable() {
    let error = load(Path::new("nowhere/bellwether.yml")).unwrap_err();
    assert_eq!(error.to_string(), "`nowhere/bellwether.yml` cannot be read");
}

#[test]
fn secrets_are_looked_for_beside_the_configuration() {
    let text = "providers: [{name: a, dialect: openai_chat, base_url: 'http://a', api_key_file: k}]\n\
                probes: []\n";
    let config = config::parse("/etc/bellwether/bellwether.yml", text).unwrap();
    let expected = SecretSource::File("/etc/bellwether/k".into());
    assert_eq!(config::secrets(&config)[0].1, expected);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        mistakes(&text);
    }

    #[test]
    fn no_value_panics_wherever_it_stands(
        at in 0usize..200,
        value in r#"(|~|-1|1e400|\[\]|\{\}|\[~\]|\{a: ~\}|99999999999999999999s|0\.[0-9]{9,12}|env:|file:|http://|https://\[::|"\u0000"|[ -~]{0,12})"#,
    ) {
        let full = include_str!("config/full.yml");
        let mut lines: Vec<String> = full.lines().map(str::to_owned).collect();
        let index = at % lines.len();
        if let Some((key, _)) = lines[index].split_once(':') {
            lines[index] = format!("{key}: {value}");
        }
        mistakes(&lines.join("\n"));
    }
}

#[test]
fn prices_hold_from_their_day_and_become_dollars() {
    let config = right(
        "prices: {currencies: {EUR: 1.0837}}
providers:
  - name: main
    dialect: anthropic_messages
    base_url: https://a.example
    auth: none
    models:
      m:
        price:
          - {input: 3, output: 15}
          - from: 2026-12-01
            currency: EUR
            input: 2.50
            output: 10
            cache_read: 0.25
            request: 0.001
            tiers: [{above: 200000, input: 5, output: 20}]
            batch: {input: 1, output: 4}
probes:
  - {name: both, provider: main, model: m, budget_daily: 1, budget_monthly: 20}
  - {name: month, provider: main, model: m, budget_monthly: 20}
  - {name: free, provider: main, model: m, budget_daily: unlimited, budget_monthly: unlimited}
global: {probe_budget_monthly: 100}
",
    );
    // By `date -u -d 2026-12-01 +%s`.
    let december = 1_796_083_200_000;
    let price = |millis| config.providers[0].price("m", Timestamp::from_millis(millis)).unwrap();
    assert_eq!(price(december - 1).base().input, Money::from_nanos(3_000_000_000));
    let price = price(december);
    // By hand: 2.50, 10, 0.25, 0.001, 5 and 4 times 1.0837.
    let rates = price.base();
    assert_eq!(rates.input.nanos(), 2_709_250_000);
    assert_eq!(rates.output.nanos(), 10_837_000_000);
    assert_eq!(rates.cache_read.nanos(), 270_925_000);
    assert_eq!((rates.cache_write, rates.reasoning), (rates.input, rates.output));
    assert_eq!(price.request().nanos(), 1_083_700);
    assert_eq!(price.rates(Service::Standard, 200_001).input.nanos(), 5_418_500_000);
    assert_eq!(price.rates(Service::Batch, 1).output.nanos(), 4_334_800_000);

    let dollars = |dollars: u64| Some(Money::from_nanos(dollars * 1_000_000_000));
    let budgets: Vec<Budget> = config.targets.iter().map(|target| target.budget).collect();
    assert_eq!(budgets[0], Budget::Limited { daily: dollars(1), monthly: dollars(20) });
    assert_eq!(budgets[1], Budget::Limited { daily: None, monthly: dollars(20) });
    assert_eq!(budgets[2], Budget::Unlimited);
    let together = Budget::Limited { daily: None, monthly: dollars(100) };
    assert_eq!(config.global.probe_budget, together);
}

#[test]
fn a_file_of_prices_fills_in_what_is_not_written() {
    let directory = std::env::temp_dir().join(format!("bellwether-prices-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write(
        "prices.json",
        r#"{"gpt-x": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
            "azure/gpt-x": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.2e-05}}"#,
    );
    write(
        "bellwether.yml",
        "prices: {files: [prices.json]}
providers:
  - name: main
    dialect: openai_chat
    base_url: https://a.example
    auth: none
    models:
      plain: {name: gpt-x}
      as: {price_as: azure/gpt-x}
      own: {name: gpt-x, price: {input: 7, output: 8}}
      none: {}
probes:
  - {provider: main, model: plain, budget_daily: 1}
",
    );
    let loaded = load(&directory.join("bellwether.yml")).unwrap();
    let input = |model| {
        let price = loaded.config.providers[0].price(model, Timestamp::from_millis(0))?;
        Some(price.base().input.nanos())
    };
    assert_eq!(input("plain"), Some(2_500_000_000));
    assert_eq!(input("as"), Some(3_000_000_000));
    assert_eq!(input("own"), Some(7_000_000_000));
    assert_eq!(input("none"), None);
    write("prices.json", "[]");
    let error = load(&directory.join("bellwether.yml")).unwrap_err().to_string();
    assert!(error.contains("no table of prices as LiteLLM publishes them"), "{error}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn routes_become_what_they_say() {
    use std::time::Duration;
    let config = right(&std::fs::read_to_string(directory().join("full.yml")).unwrap());
    let [chat, sonnet] = &config.routes[..] else { panic!("{:?}", config.routes) };
    assert_eq!(
        (chat.id.as_str(), &chat.models[..]),
        ("chat", &["chat".into(), "gpt-4o".into()][..])
    );
    assert_eq!(chat.stable[0].as_str(), "openai/fast");
    let keys = [
        KeySource::Header("x-conversation".to_owned()),
        KeySource::MetadataUserId,
        KeySource::User,
        KeySource::ApiKey,
        KeySource::Conversation,
    ];
    assert_eq!(chat.keys, keys);
    let header = |name: &str, value: Option<&str>| Pin::Header {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    let pins = [
        Pin::Client("bank".to_owned()),
        header("x-tier", Some("gold")),
        header("x-safe", None),
        Pin::Key("tenant-7".to_owned()),
    ];
    assert_eq!(chat.pins, pins);
    assert!(chat.testers.contains("qa"));
    let ms = Duration::from_millis;
    let retries = Retries { max: 1, pause: ms(100), pause_max: ms(2_000), budget_percent: 10 };
    assert_eq!(chat.retries, retries);
    // What is not written keeps within what is: five seconds to connect, a minute of silence.
    let timeouts = [chat.timeouts.connect, chat.timeouts.first_token, chat.timeouts.idle];
    assert_eq!(timeouts.map(|wait| wait.as_secs()), [5, 20, 60]);
    assert_eq!(chat.timeouts.total, Duration::from_secs(300));
    assert_eq!((chat.body_bytes_max, sonnet.body_bytes_max), (8 << 20, 32 << 20));
    assert_eq!((chat.in_flight_max, sonnet.in_flight_max), (Some(64), None));
    assert_eq!(chat.tells, [Tell::Arm, Tell::Target].into());
    // A route without `models` is asked for by its name.
    assert_eq!((&sonnet.models[0][..], sonnet.tells.len()), ("claude-sonnet", 0));
    assert_eq!(sonnet.credentials, Credentials::Ours);
    let strictness = (chat.strictness, sonnet.strictness);
    assert_eq!(strictness, (Strictness::Strict, Strictness::Lenient));
    let usual = [KeySource::MetadataUserId, KeySource::User];
    assert_eq!(sonnet.keys, usual);
    let (copied, all) = (sonnet.mirror.as_ref().unwrap(), chat.mirror.as_ref().unwrap());
    assert_eq!(copied.to.as_ref().map(|to| to.as_str()), Some("openai/fast"));
    assert_eq!((copied.share.basis_points(), all.share.basis_points()), (250, 10_000));
    let bounds = |mirror: &Mirror| (mirror.in_flight_max, mirror.queued_max);
    assert_eq!((bounds(copied), bounds(all)), ((4, 0), (8, 64)));
    // Those of the route, as far as they fit into what is written.
    let timeouts = [copied.timeouts.connect, copied.timeouts.first_token, copied.timeouts.idle];
    assert_eq!(timeouts.map(|wait| wait.as_secs()), [5, 30, 30]);
    assert_eq!([copied, all].map(|mirror| mirror.timeouts.total.as_secs()), [30, 120]);
    let dollars = |dollars: u64| Some(Money::from_nanos(dollars * 1_000_000_000));
    assert_eq!(copied.budget, Budget::Limited { daily: dollars(5), monthly: dollars(50) });
    assert_eq!((all.budget, all.to.as_ref()), (Budget::Unlimited, None));
    assert_eq!((copied.is_evidence, all.is_evidence), (false, true));

    let admission = &config.admission;
    assert!(admission.may_face_others() && !admission.is_open);
    assert_eq!(admission.keys.as_ref().map(Vec::len), Some(2));
    assert_eq!((admission.in_flight_max, admission.held_bytes_max), (500, 128 << 20));
    assert!(!Admission::default().may_face_others());
    let open = right("providers: []\nprobes: []\nrouter: {auth: none}\n").admission;
    assert!(open.is_open && open.keys.is_none() && open.may_face_others());
}
