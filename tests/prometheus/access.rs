//! The web configuration file beside a real Prometheus and promtool, and a real Alertmanager that
//! posts to our hook.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bellwether::app::load_web;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::run::{Run, Settings, own_rules};
use crate::stage::{Directory, Process};
use crate::web;

/// From a post to the webhook, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);
/// Published with OpenBSD's bcrypt: the hash of `U*U`.
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// FIPS 180-2, appendix B.1: the digest of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn promtool_accepts(path: &Path) -> bool {
    let arguments = ["check", "web-config", path.to_str().unwrap()];
    Command::new("promtool").args(arguments).output().unwrap().status.success()
}

fn certificate(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests").join(name);
    path.display().to_string()
}

/// A file with TLS and further lines below it.
fn tls(further: &str) -> String {
    let (cert, key) = (certificate("server.pem"), certificate("server-key.pem"));
    format!("tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n{further}")
}

#[test]
fn promtool_says_of_a_web_configuration_what_we_say() {
    let directory = Directory::new();
    let authority = certificate("authority.pem");
    let ca = format!("  client_ca_file: {authority}\n");
    let auth = |kind: &str, ca: &str| tls(&format!("  client_auth_type: {kind}\n{ca}"));
    let mut files = vec![
        String::new(),
        format!("basic_auth_users: {{alice: '{HASH}'}}\n"),
        format!("basic_auth_users: {{alice: '{HASH}', alice: '{HASH}'}}\n"),
        "basic_auth_users: {alice: secret}\n".to_owned(),
        "basic_auth_users: {alice: ''}\n".to_owned(),
        format!("basic_auth_users: {{alice: '{}'}}\n", HASH.replace("$05$", "$40$")),
        format!("basic_auth_userz: {{alice: '{HASH}'}}\n"),
        "- a\n".to_owned(),
        tls(""),
        tls("  min_version: TLS12\n  max_version: TLS13\n"),
        tls("  min_version: TLS10\n"),
        tls("  min_version: TLS9\n"),
        tls("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]\n"),
        tls("  cipher_suites: [TLS_NONSENSE]\n"),
        tls("  curve_preferences: [X25519, CurveP256, CurveP384]\n"),
        tls("  curve_preferences: [P999]\n"),
        tls("  prefer_server_cipher_suites: false\n"),
        tls(&ca),
        tls("").replace("server-key", "client-key"),
        tls("").replace("server.pem", "nowhere.pem"),
        format!("tls_server_config: {{cert_file: {}}}\n", certificate("server.pem")),
        format!("tls_server_config: {{key_file: {}}}\n", certificate("server-key.pem")),
        "http_server_config: {http2: true}\n".to_owned(),
        "http_server_config: {headers: {X-Frame-Options: deny}}\n".to_owned(),
        "http_server_config: {headers: {X-Frame-Options: maybe}}\n".to_owned(),
        "http_server_config: {headers: {X-Other: a}}\n".to_owned(),
    ];
    for kind in ["NoClientCert", "require", "Nonsense"] {
        files.push(auth(kind, ""));
        files.push(auth(kind, &ca));
    }
    for kind in ["RequestClientCert", "RequireAnyClientCert", "RequireClientCert"] {
        files.push(auth(kind, ""));
        files.push(auth(kind, &ca));
    }
    for kind in ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] {
        files.push(auth(kind, &ca));
    }
    let (mut right, mut wrong) = (0, 0);
    for text in &files {
        let path = directory.write("web.yml", text);
        let ours = load_web(&path);
        let theirs = promtool_accepts(&path);
        assert_eq!(
            ours.is_ok(),
            theirs,
            "{text}{}",
            ours.err().map_or_else(String::new, |e| e.to_string())
        );
        if theirs { right += 1 } else { wrong += 1 }
    }
    assert!(right >= 15 && wrong >= 15, "{right} {wrong}");
    // What can't be done here is refused, though promtool has nothing against it.
    for text in [
        auth("RequireAndVerifyClientCert", ""),
        tls("  min_version: TLS13\n  max_version: TLS12\n"),
        tls("  max_version: TLS11\n"),
        tls("  curve_preferences: [CurveP521]\n"),
    ] {
        let path = directory.write("web.yml", &text);
        assert!(promtool_accepts(&path) && load_web(&path).is_err(), "{text}");
    }
}

#[test]
fn promtool_accepts_the_files_that_are_right_and_none_that_is_wrong() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web-config");
    let paths: Vec<PathBuf> =
        fs::read_dir(files).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "yml")) {
        let is_right = !path.display().to_string().ends_with(".bad.yml");
        // It would take clients whom any public authority vouches for.
        if path.ends_with("authorities.bad.yml") {
            continue;
        }
        assert_eq!(promtool_accepts(path), is_right, "{}", path.display());
    }
}

/// The status of a look at `/-/ready` with a user, or none.
async fn status(client: &reqwest::Client, url: &str, password: Option<&str>) -> Option<u16> {
    let request = client.get(url);
    let request = match password {
        Some(password) => request.basic_auth("alice", Some(password)),
        None => request,
    };
    Some(request.send().await.ok()?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_web_configuration_does_the_same_in_prometheus_and_here() {
    let directory = Directory::new();
    let text = format!(
        "{}basic_auth_users: {{alice: '{HASH}'}}\n\
         http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n",
        tls("  min_version: TLS12\n")
    );
    let file = directory.write("web.yml", &text);
    let web_file = format!("--web.config.file={}", file.display());
    let scrape = directory.write("prometheus.yml", "scrape_configs: []\n");
    let prometheus = Process::unready_peer(
        &directory,
        "prometheus",
        &[
            format!("--config.file={}", scrape.display()),
            format!("--storage.tsdb.path={}", directory.path("tsdb").display()),
            web_file.clone(),
        ],
    );
    let config = directory.write(
        "bellwether.yml",
        "providers: [{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}]\n\
         probes: [{name: t, provider: p, model: m, interval: 1h, budget_daily: unlimited}]\n",
    );
    let storage = directory.path("state");
    let arguments = [
        "run",
        "--config.file",
        config.to_str().unwrap(),
        "--storage.path",
        storage.to_str().unwrap(),
        &web_file,
    ];
    let bellwether = Process::bellwether(&directory, "bellwether", &arguments).await;
    let root = fs::read(certificate("authority.pem")).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&root).unwrap()])
        .build()
        .unwrap();
    for process in [&prometheus, &bellwether] {
        let base = format!("https://localhost:{}", process.address.port());
        let ready = format!("{base}/-/ready");
        web::eventually("it is ready", PATIENCE, async || {
            (status(&client, &ready, Some("U*U")).await == Some(200)).then_some(())
        })
        .await;
        for path in ["/-/ready", "/-/healthy", "/metrics", "/api/v1/query?query=1", "/nowhere"] {
            let url = format!("{base}{path}");
            assert_eq!(status(&client, &url, None).await, Some(401), "{url}");
            assert_eq!(status(&client, &url, Some("x")).await, Some(401), "{url}");
            let right = status(&client, &url, Some("U*U")).await;
            assert_eq!(right, Some(if path == "/nowhere" { 404 } else { 200 }), "{url}");
        }
        let answer = client.get(&ready).send().await.unwrap();
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        assert_eq!(answer.headers()["x-frame-options"], "deny");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_alertmanager_posts_to_the_hook_and_a_rollback_comes_of_it() {
    let directory = Directory::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = format!("http://{}/", listener.local_addr().unwrap());
    let (came, mut calls) = mpsc::channel(16);
    let take = move |body: String| async move { came.try_send(body).unwrap() };
    let routes = Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let secret = directory.write("secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n");
    let sections = format!(
        "
rollbacks:
  - name: relay
    matchers: ['severity=\"rollback\"']
    candidate: [candidate]
    stable: [stable]
    cooldown: 0s
    webhook: {{url: \"{receiver}\", signing_secret_file: \"{}\"}}
web:
  tokens: [{{name: alertmanager, hash: 'sha256:{ABC}', allow: [hooks]}}]
",
        secret.display()
    );
    let rules = vec![own_rules("pair.yml")];
    let run = Run::start(Settings { rules, probe_interval: "200ms", sections }).await;
    run.has_probed(3).await;
    let hook = run.bellwether.url("/api/v1/hooks/alertmanager");
    let config = format!(
        "
receivers:
  - name: rollbacks
    webhook_configs:
      - url: \"{hook}\"
        http_config: {{authorization: {{credentials: abc}}}}
route: {{receiver: rollbacks, group_wait: 0s, group_interval: 1s, repeat_interval: 2s}}
"
    );
    let config = directory.write("alertmanager.yml", &config);
    let alertmanager = Process::peer(
        &directory,
        "prometheus-alertmanager",
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", directory.path("alertmanager").display()),
            "--cluster.listen-address=".to_owned(),
        ],
    )
    .await;
    let labels = json!({"alertname": "UserErrors", "severity": "rollback", "target": "candidate"});
    let alerts = json!([{"labels": labels, "annotations": {"summary": "users see errors"}}]);
    let url = alertmanager.url("/api/v2/alerts");
    web::send_json(Method::POST, &url, &alerts).await;
    let body = tokio::time::timeout(PATIENCE, calls.recv()).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["rollback"], "relay");
    assert_eq!(body["data"]["alert"]["labels"], labels);
    assert_eq!(body["data"]["alert"]["annotations"]["summary"], "users see errors");
    // It says it again every two seconds, and nothing more comes of it.
    web::eventually("it was said three times", PATIENCE, async || {
        (run.bellwether.log().matches("alerts from outside").count() >= 3).then_some(())
    })
    .await;
    let log = run.bellwether.log();
    assert!(
        log.contains("token `alertmanager` at 127.0.0.1 by way of receiver `rollbacks`"),
        "{log}"
    );
    assert_eq!(log.matches("rollback decided").count(), 1, "{log}");
    assert!(calls.try_recv().is_err(), "it was called again");
    assert!(!log.contains("call refused"), "{log}");
    assert!(!alertmanager.log().contains("level=error"), "{}", alertmanager.log());
}
