//! Who may look and who may change something: passwords, tokens, certificates, and nobody.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use reqwest::{Method, RequestBuilder};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::program::{Program, Scratch};
use super::service::{Service, client, exchange};
use super::wait::until;

const CONFIG: &str = "
providers:
- {name: sim, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}
probes:
- {name: t, provider: sim, model: m, interval: 1h, budget_daily: unlimited}
";
/// Published with OpenBSD's bcrypt: the hashes of `U*U` and of `U*U*`, of cost 5.
const FIRST: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const SECOND: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK";
/// FIPS 180-2, appendix B.1 and B.2: the digests of `abc` and of a longer text.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const LONG: &str = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
const LONG_TEXT: &str = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

fn config() -> String {
    format!(
        "{CONFIG}web:\n  tokens:\n  - {{name: ci, hash: 'sha256:{ABC}', allow: [reload]}}\n  \
         - {{name: grafana, hash: 'sha256:{LONG}', allow: [read]}}\n"
    )
}

/// Credentials of one call.
#[derive(Clone, Copy, Debug)]
enum As {
    Nobody,
    User(&'static str, &'static str),
    Bearer(&'static str),
}

impl As {
    fn on(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nobody => request,
            Self::User(name, password) => request.basic_auth(name, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

const ALICE: As = As::User("alice", "U*U");

#[tokio::test]
async fn with_users_everything_needs_one_or_a_token_that_allows_it() {
    let scratch = Scratch::new("access-users");
    let web = scratch.write(
        "web.yml",
        &format!(
            "basic_auth_users: {{alice: '{FIRST}'}}\n\
             http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
        ),
    );
    let further = ["--web.config.file", &web];
    let service = Service::start_with(&scratch, &config(), &[], &further).await;
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, who, status) in [
        (&get, "/metrics", As::Nobody, 401),
        (&get, "/-/healthy", As::Nobody, 401),
        (&get, "/-/ready", As::Nobody, 401),
        (&get, "/nowhere", As::Nobody, 401),
        (&get, "/", ALICE, 200),
        (&get, "/metrics", ALICE, 200),
        (&get, "/-/healthy", ALICE, 200),
        (&get, "/nowhere", ALICE, 404),
        (&get, "/metrics", As::User("alice", "U*U*"), 401),
        (&get, "/metrics", As::User("bob", "U*U"), 401),
        (&get, "/metrics", As::Bearer(LONG_TEXT), 200),
        (&get, "/metrics", As::Bearer("abc"), 403),
        (&get, "/metrics", As::Bearer("abd"), 401),
        (&post, "/-/reload", As::Nobody, 401),
        (&post, "/-/reload", As::Bearer(LONG_TEXT), 403),
        (&post, "/-/reload", As::Bearer("abc"), 200),
        (&post, "/-/reload", As::User("alice", "nonsense"), 401),
        (&post, "/-/reload", ALICE, 200),
        (&post, "/api/v1/hooks/alertmanager", As::Bearer("abc"), 403),
        (&post, "/api/v1/hooks/alertmanager", As::Nobody, 401),
        (&post, "/api/v1/releases/x/rollback", As::Nobody, 401),
        (&post, "/api/v1/releases/x/rollback", As::Bearer(LONG_TEXT), 403),
        (&post, "/api/v1/releases/x/rollback", ALICE, 400),
        (&post, "/api/v1/releases/x/drill", As::Bearer("abc"), 403),
        (&get, "/api/v1/releases", As::Nobody, 401),
        (&get, "/api/v1/releases", As::Bearer(LONG_TEXT), 200),
    ] {
        let request = service.client.request(method.clone(), format!("{}{path}", service.url));
        let reply = exchange(who.on(request).header("X-Bellwether-Reason", "a new key")).await;
        assert_eq!(reply.status, status, "{method} {path} {who:?}: {}", reply.body);
        assert_eq!(reply.headers["x-frame-options"], "deny");
        let challenges: Vec<&str> = reply
            .headers
            .get_all("www-authenticate")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        if status == 401 {
            assert!(challenges.iter().any(|one| one.starts_with("Basic realm=")), "{path}");
            assert!(challenges.iter().any(|one| one.starts_with("Bearer realm=")), "{path}");
        }
    }

    // A page of another site that a user has open.
    let request = service.client.post(format!("{}/-/reload", service.url));
    let reply = exchange(ALICE.on(request).header("origin", "https://evil.example")).await;
    assert_eq!(reply.status, 403, "{}", reply.body);

    // Commands bring credentials along, and show none.
    let file =
        scratch.write("http.yml", "basic_auth: {username: alice, password_file: password}\n");
    scratch.write("password", "U*U\n");
    let arguments = ["healthcheck", "--url", &service.url, "--http.config.file", &file];
    let asked = Program::run(&[], &arguments).await;
    assert_eq!(asked.code, 0, "{}", asked.err);
    let arguments = ["notices", "list", "--url", &service.url, "--http.config.file", &file];
    let asked = Program::run(&[], &arguments).await;
    assert_eq!(asked.code, 0, "{}", asked.err);
    assert!(asked.err.contains("nothing is in the outbox"), "{}", asked.err);
    let with_user = service.url.replace("http://", "http://alice:U*U@");
    let asked = Program::run(&[], &["query", "--url", &with_user, "1+1"]).await;
    assert_eq!((asked.code, asked.out.trim()), (0, "2"), "{}", asked.err);
    let wrong = service.url.replace("http://", "http://alice:hush@");
    let asked = Program::run(&[], &["query", "--url", &wrong, "1+1"]).await;
    assert!(asked.code != 0 && asked.err.contains("401"), "{}", asked.err);
    assert!(!asked.err.contains("hush"), "{}", asked.err);
    let asked = Program::run(&[], &["notices", "list", "--url", &wrong]).await;
    assert!(asked.code != 0 && asked.err.contains("401"), "{}", asked.err);
    assert!(!asked.err.contains("hush"), "{}", asked.err);

    // Another password counts soon, and the old one no longer.
    scratch.write("web.yml", &format!("basic_auth_users: {{alice: '{SECOND}'}}\n"));
    let status = async |who: As| {
        exchange(who.on(service.client.get(format!("{}/metrics", service.url)))).await.status
    };
    until(async || match status(As::User("alice", "U*U*")).await {
        200 => Ok(()),
        other => Err(format!("{other}")),
    })
    .await;
    assert_eq!(status(ALICE).await, 401);
    // A file that is broken changes nothing.
    scratch.write("web.yml", "basic_auth_users: {alice: hush}\n");
    service.program.err.word_after("web configuration not taken up, the old one ").await;
    assert_eq!(status(As::User("alice", "U*U*")).await, 200);
    let reload = service.client.post(format!("{}/-/reload", service.url));
    let reply = exchange(As::Bearer("abc").on(reload)).await;
    assert_eq!(reply.status, 500, "{}", reply.body);
    assert!(reply.body.contains("web.yml:1:27: basic_auth_users: `alice`"), "{}", reply.body);

    let log = service.program.err.text();
    for line in [
        "a reload was asked for who=token `ci` peer=127.0.0.1 reason=\"a new key\"",
        "a reload was asked for who=user `alice`",
        "call refused peer=127.0.0.1 path=\"/-/reload\" who=\"somebody as user `alice`\" \
         reason=wrong user or password",
        "who=\"token `grafana`\" reason=token `grafana` is not allowed to `reload`",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    for secret in ["U*U", "nonsense", "abd", "hush", LONG_TEXT] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn with_tokens_looking_is_free_and_a_change_needs_one_on_loopback_too() {
    let scratch = Scratch::new("access-tokens");
    let service = Service::start(&scratch, &config()).await;
    assert_eq!(service.get("/metrics").await.status, 200);
    for (who, status) in
        [(As::Nobody, 401), (ALICE, 401), (As::Bearer("x"), 401), (As::Bearer("abc"), 200)]
    {
        let request = service.client.post(format!("{}/-/reload", service.url));
        let reply = exchange(who.on(request)).await;
        assert_eq!(reply.status, status, "{who:?}: {}", reply.body);
    }
    // A token that is taken out of the file counts no longer.
    let only = config().replace("name: ci", "name: other").replace(ABC, LONG);
    let only = only.rsplit_once("  - ").unwrap().0;
    scratch.write("bellwether.yml", only);
    for status in [200, 401] {
        let request = service.client.post(format!("{}/-/reload", service.url));
        assert_eq!(exchange(As::Bearer("abc").on(request)).await.status, status);
    }
}

#[tokio::test]
async fn off_loopback_nothing_changes_without_credentials() {
    let scratch = Scratch::new("access-away");
    let path = scratch.write("bellwether.yml", CONFIG);
    let data = scratch.path("data");
    let listen = "--web.listen-address=0.0.0.0:0";
    let arguments = ["run", "-c", &path, listen, "--storage.path", &data];
    let program = Program::start(&[], &arguments);
    let address = program.err.word_after("listening address=").await;
    let port = address.rsplit_once(':').unwrap().1;
    let reload =
        async |host: &str| exchange(client().post(format!("http://{host}:{port}/-/reload"))).await;
    assert_eq!(reload("127.0.0.1").await.status, 200);
    // Which of its addresses this machine would call others from; nothing is sent. A machine
    // without one has nobody to refuse.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(()) = socket.connect("192.0.2.1:9") else { return };
    let own = socket.local_addr().unwrap().ip().to_string();
    let reply = reload(&own).await;
    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("`web: tokens:`"), "{}", reply.body);
    let rollback = format!("http://{own}:{port}/api/v1/releases/x/rollback");
    assert_eq!(exchange(client().post(rollback)).await.status, 403);
    let metrics = exchange(client().get(format!("http://{own}:{port}/metrics"))).await;
    assert_eq!(metrics.status, 200);
}

/// A network of its own, in which the machine has an address that is not its loopback: whoever calls
/// from there has come from elsewhere.
const ELSEWHERE: &str = "192.0.2.1";
const NETWORK: &str = "ip link set lo up && ip address add 192.0.2.1/32 dev lo && exec \"$@\"";

#[tokio::test]
async fn a_rollback_by_nobody_from_elsewhere_is_refused_and_logged_without_secrets() {
    let tried = ["-rn", "sh", "-c", NETWORK, "sh", "curl", "--version"];
    let tried = Command::new("unshare").args(tried).output();
    let may_try = tried.is_ok_and(|tried| tried.status.success());
    assert!(may_try || !cfg!(feature = "peers"), "unshare, ip and curl are needed");
    if !may_try {
        println!("left out: no network of its own can be had here");
        return;
    }
    let scratch = Scratch::new("access-elsewhere");
    let file = scratch.path("weights");
    let rollback = format!(
        "- {{name: old, provider: sim, model: m, interval: 1h, budget_daily: unlimited}}\n\
         rollbacks:\n- name: chat\n  matchers: ['a=b']\n  candidate: [t]\n  stable: [old]\n  \
         steps:\n  - {{name: weights, file: {{path: '{file}', content: moved}}}}\n  \
         - {{name: verify, verify: true}}\n"
    );
    let path = scratch.write("bellwether.yml", &format!("{CONFIG}{rollback}"));
    let data = scratch.path("data");
    let (binary, listen) = (env!("CARGO_BIN_EXE_bellwether"), "--web.listen-address=0.0.0.0:0");
    let run = [binary, "run", "-c", &path, listen, "--storage.path", &data];
    let within = ["-rn", "sh", "-c", NETWORK, "sh"];
    let program = Program::start_as("unshare", &[], &[&within[..], &run].concat());
    let address = program.err.word_after("listening address=").await;
    let port = address.rsplit_once(':').unwrap().1;
    let process = program.id().to_string();
    let enter = ["-t", &process, "-U", "-n", "--preserve-credentials"];
    let ask = async |words: &[&str]| {
        let mut asking = Program::start_as("nsenter", &[], &[&enter[..], words].concat());
        let code = asking.ended().await;
        (code, asking.out.whole().await, asking.err.whole().await)
    };
    let url = |at: &str| format!("http://{at}:{port}");
    let elsewhere = url(ELSEWHERE);
    for who in ["", "alice:hush@"] {
        let url = elsewhere.replace("http://", &format!("http://{who}"));
        let (code, _, said) = ask(&[binary, "rollback", "chat", "--url", &url]).await;
        assert_ne!(code, 0, "{said}");
        assert!(said.contains("403") && !said.contains("hush"), "{said}");
    }
    // Headers, and an address, that want to be somebody.
    let target = format!("{elsewhere}/api/v1/releases/chat/rollback?token=hush");
    for header in [
        "Authorization: Bearer hush",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "Host: localhost",
    ] {
        let words =
            ["curl", "-s", "-o", "-", "-w", " %{http_code}", "-X", "POST", "-H", header, &target];
        let (code, answer, said) = ask(&words).await;
        assert_eq!(code, 0, "{said}");
        assert!(answer.ends_with(" 403"), "{header}: {answer}");
    }
    // Nothing has begun, though anybody may look.
    let (code, log, said) = ask(&[binary, "release", "log", "chat", "--url", &elsewhere]).await;
    assert_eq!((code, log.as_str()), (0, ""), "{said}");
    assert!(!Path::new(&file).exists());
    let log = program.err.text();
    let refused = "call refused peer=192.0.2.1 path=\"/api/v1/releases/chat/rollback\"";
    assert_eq!(log.matches(refused).count(), 6, "{log}");
    assert!(!log.contains("hush"), "{log}");

    // The same call by loopback, in the same network, begins.
    let (code, begun, said) = ask(&[binary, "rollback", "chat", "--url", &url("127.0.0.1")]).await;
    assert_eq!(code, 0, "{said}");
    assert!(begun.starts_with("under way as rollback_by_hand_"), "{begun}");
    until(async || match std::fs::read_to_string(&file) {
        Ok(content) if content == "moved" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// A client that trusts the tests' authority, with or without a certificate of its own.
fn tls_client(directory: &Path, has_certificate: bool) -> reqwest::Client {
    let certificate = |name: &str| CertificateDer::from_pem_file(directory.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate("authority.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = if has_certificate {
        let key = PrivateKeyDer::from_pem_file(directory.join("client-key.pem")).unwrap();
        builder.with_client_auth_cert(vec![certificate("client.pem")], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap()
}

#[tokio::test]
async fn over_tls_a_password_or_a_verified_certificate_lets_somebody_in() {
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests");
    let scratch = Scratch::new("access-tls");
    let file = |name: &str| certificates.join(name).display().to_string();
    let tls = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
         client_auth_type: VerifyClientCertIfGiven\n  min_version: TLS13\n",
        file("server.pem"),
        file("server-key.pem"),
        file("authority.pem"),
    );
    let web = scratch.write("web.yml", &tls);
    let further = ["--web.config.file", &web];
    let service = Service::start_with(&scratch, CONFIG, &[], &further).await;
    let base = service.url.replace("http://127.0.0.1", "https://localhost");
    let (plain, known) = (tls_client(&certificates, false), tls_client(&certificates, true));
    let ask = async |client: &reqwest::Client, method: Method, path: &str, who: As| {
        exchange(who.on(client.request(method, format!("{base}{path}")))).await.status
    };
    // Nobody speaks in the clear.
    assert!(service.client.get(format!("{}/metrics", service.url)).send().await.is_err());
    assert_eq!(ask(&plain, Method::GET, "/metrics", As::Nobody).await, 200);
    assert_eq!(ask(&plain, Method::POST, "/-/reload", As::Nobody).await, 401);
    assert_eq!(ask(&known, Method::POST, "/-/reload", As::Nobody).await, 200);
    let log = service.program.err.text();
    assert!(log.contains("a reload was asked for who=certificate sha256:"), "{log}");

    // With users, a certificate is not enough, as in Prometheus.
    scratch.write("web.yml", &format!("{tls}basic_auth_users: {{alice: '{FIRST}'}}\n"));
    until(async || match ask(&known, Method::GET, "/metrics", As::Nobody).await {
        401 => Ok(()),
        other => Err(format!("{other}")),
    })
    .await;
    assert_eq!(ask(&known, Method::POST, "/-/reload", As::Nobody).await, 401);
    assert_eq!(ask(&plain, Method::POST, "/-/reload", ALICE).await, 200);
    scratch.write("password", "U*U\n");
    let http = scratch.write(
        "http.yml",
        &format!(
            "tls_config: {{ca_file: '{}'}}\n\
             basic_auth: {{username: alice, password_file: password}}\n",
            file("authority.pem")
        ),
    );
    let arguments = ["query", "--url", &base, "--http.config.file", &http, "1+1"];
    let asked = Program::run(&[], &arguments).await;
    assert_eq!((asked.code, asked.out.trim()), (0, "2"), "{}", asked.err);
}

/// Off loopback, a certificate that is demanded is authentication enough; one that may be missing is not.
#[tokio::test]
async fn clients_of_the_router_may_be_known_by_their_certificates() {
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests");
    let scratch = Scratch::new("access-router");
    let file = |name: &str| certificates.join(name).display().to_string();
    let authority = std::fs::read_to_string(certificates.join("authority.pem")).unwrap();
    scratch.write("clients.pem", &authority);
    let tls = |asks: &str| {
        format!(
            "tls_server_config: {{cert_file: '{}', key_file: '{}', client_ca_file: clients.pem, \
             client_auth_type: {asks}}}\n",
            file("server.pem"),
            file("server-key.pem"),
        )
    };
    let config = format!("{CONFIG}routes: [{{name: chat, stable: [t]}}]\n");
    let path = scratch.path("router.yml");
    let further = ["--router.listen-address", "0.0.0.0:0", "--router.config.file", &path];
    for (text, said) in [
        (tls("VerifyClientCertIfGiven"), "demand certificates"),
        (
            format!("{}basic_auth_users: {{}}\n", tls("RequireAndVerifyClientCert")),
            "basic_auth_users",
        ),
    ] {
        scratch.write("router.yml", &text);
        let mut program = Service::launch(&scratch, &config, &[], &further);
        assert_ne!(program.ended().await, 0);
        let log = program.err.whole().await;
        assert!(log.contains(said), "{log}");
    }

    scratch.write("router.yml", &tls("RequireAndVerifyClientCert"));
    let service = Service::start_with(&scratch, &config, &[], &further).await;
    let address = service.program.err.word_after("routing address=").await;
    let (_, port) = address.rsplit_once(':').unwrap();
    let url = format!("https://localhost:{port}/v1/models");
    let known = tls_client(&certificates, true).get(&url).send().await.unwrap();
    assert_eq!((known.status().as_u16(), known.version()), (200, reqwest::Version::HTTP_2));
    assert!(tls_client(&certificates, false).get(&url).send().await.is_err());
    let plain = url.replace("https", "http");
    assert!(service.client.get(plain).send().await.is_err(), "nobody speaks in the clear");

    // Another authority holds within a second of its file; it vouches for nobody here.
    let other = std::fs::read_to_string(certificates.join("server.pem")).unwrap();
    scratch.write("clients.pem", &other);
    let ask = async || tls_client(&certificates, true).get(&url).send().await;
    until(async || match ask().await {
        Err(_) => Ok(()),
        Ok(answer) => Err(format!("{answer:?}")),
    })
    .await;
    // A file that would let everybody in is not taken up.
    scratch.write("router.yml", &tls("NoClientCert").replace("client_ca_file: clients.pem, ", ""));
    let refusal = "demands no certificates any more, ";
    service.program.err.word_after(refusal).await;
    assert!(tls_client(&certificates, false).get(&url).send().await.is_err());
    scratch.write("clients.pem", &authority);
    scratch.write("router.yml", &tls("RequireAndVerifyClientCert"));
    until(async || ask().await.map(|_| ()).map_err(|error| format!("{error:?}"))).await;
}

#[tokio::test]
async fn a_new_token_is_known_by_the_entry_that_comes_with_it() {
    let made = Program::run(&[], &["token", "alertmanager", "--allow", "reload,hooks"]).await;
    let (token, entry) = made.out.split_once("\n\n").unwrap();
    assert!(token.len() > 50 && !entry.contains(token), "{}", made.out);
    let scratch = Scratch::new("access-token");
    let service = Service::start(&scratch, &format!("{CONFIG}{entry}")).await;
    let request = service.client.post(format!("{}/-/reload", service.url));
    assert_eq!(exchange(request.bearer_auth(token)).await.status, 200);
    assert_eq!(service.post("/-/reload", "").await.status, 401);
}
