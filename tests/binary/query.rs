//! `bellwether query` as somebody on the shell sees it.

use serde_json::Value;

use super::program::{Finished, Program, Scratch};
use super::receiver::{Manner, Receiver};
use super::service::{Service, Simulator};
use super::wait::until;

struct Shell {
    service: Service,
    _simulator: Simulator,
    _scratch: Scratch,
}

impl Shell {
    async fn start(name: &str) -> Self {
        let simulator = Simulator::start().await;
        let config = format!(
            "global: {{probe_interval: 200ms, sample_interval: 1s}}\n\
             providers: [{{name: sim, dialect: openai_chat, base_url: '{}', auth: none}}]\n\
             probes:\n\
             - {{name: one, provider: sim, model: m, budget_daily: unlimited}}\n\
             - {{name: two, provider: sim, model: m, budget_daily: unlimited}}\n",
            simulator.url
        );
        let scratch = Scratch::new(name);
        let service = Service::start(&scratch, &config).await;
        until(async || match service.query("count_over_time(up[1m]) > 2").await.len() {
            0 => Err("too few samples".to_owned()),
            count => Ok(count),
        })
        .await;
        Self { service, _simulator: simulator, _scratch: scratch }
    }

    async fn query(&self, arguments: &[&str]) -> Finished {
        Program::run(&[], &[&["query", "--url", &self.service.url], arguments].concat()).await
    }

    fn instance(&self) -> &str {
        self.service.url.trim_start_matches("http://")
    }
}

// Expected: laid out by hand.
#[tokio::test]
async fn a_result_is_a_table_for_people_and_json_for_programs() {
    let shell = Shell::start("query-table").await;
    let instance = shell.instance();
    let asked = shell.query(&["up"]).await;
    let expected = format!("up{{instance=\"{instance}\", job=\"bellwether\"}}  1\n");
    assert_eq!((asked.code, asked.out.as_str(), asked.err.as_str()), (0, expected.as_str(), ""));
    for (expr, expected) in [("1 + 1", "2\n"), ("'text'", "text\n"), ("nosuch", "no series\n")] {
        let asked = shell.query(&[expr]).await;
        assert_eq!((asked.code, asked.out.as_str()), (0, expected), "{expr}: {}", asked.err);
    }
    let asked = shell.query(&["--time", "1700000000.5", "time()"]).await;
    assert_eq!(asked.out, "1700000000.5\n", "{}", asked.err);

    let asked = shell.query(&["vector(3) or label_replace(vector(4.5), 'b', 'x', '', '')"]).await;
    assert_eq!(asked.out, "{}         3\n{b=\"x\"}  4.5\n", "{}", asked.err);
    // What all rows share is said once.
    let labelled = "label_replace(vector(1), 'a', 'x', '', '')";
    let expr = format!("{labelled} or label_replace({labelled} + 1, 'b', 'y', '', '')");
    let asked = shell.query(&[&expr]).await;
    assert_eq!(asked.out, "{a=\"x\"}\n{}       1\n{b=\"y\"}  2\n", "{}", asked.err);

    // Seven values from 0 to 12, a gap, and a row of its own scale.
    let range = ["--start", "1700000000", "--range", "12s", "--step", "2s"];
    let expr = "label_replace(vector(time() - 1700000000) != 6, 'a', 'x', '', '') \
                or label_replace(vector(-2.5), 'a', 'y', '', '')";
    let asked = shell.query(&[&range[..], &[expr]].concat()).await;
    let expected = "2023-11-14T22:13:20Z to 2023-11-14T22:13:32Z, a value each 2s\n\
                    \u{20}                  min   max  last\n\
                    {a=\"x\"}  _.- +*#     0    12    12\n\
                    {a=\"y\"}  ~~~~~~~  -2.5  -2.5  -2.5\n";
    assert_eq!((asked.code, asked.out.as_str()), (0, expected), "{}", asked.err);

    let asked = shell.query(&[&range[..], &["--output", "json", "time()"]].concat()).await;
    let answer: Value = serde_json::from_str(&asked.out).unwrap();
    assert_eq!(answer["data"]["result"][0]["values"].as_array().unwrap().len(), 7, "{answer}");
    let live = shell.query(&["--range", "1m", "bellwether_probe_due_total"]).await;
    assert!(live.out.starts_with("bellwether_probe_due_total{"), "{}", live.out);
    assert!(live.out.contains("\n{target=\"one\"}  "), "{}", live.out);
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_place() {
    let shell = Shell::start("query-refused").await;
    let asked = shell.query(&["sum(up{job=bellwether})"]).await;
    let (reason, marked) = asked.err.split_once('\n').unwrap();
    assert!(reason.starts_with("bellwether: invalid parameter \"query\": 1:12: parse error: "));
    assert_eq!(marked, "  sum(up{job=bellwether})\n             ^\n");
    assert_eq!((asked.code, asked.out.as_str()), (1, ""));
    let asked = shell.query(&["--output=json", "up{"]).await;
    let answer: Value = serde_json::from_str(&asked.out).unwrap();
    assert_eq!((asked.code, &answer["errorType"]), (1, &Value::from("bad_data")));
    let asked =
        shell.query(&["bellwether_probe_due_total * on (job) bellwether_probe_due_total"]).await;
    assert_eq!((asked.code, asked.out.as_str()), (1, ""));
    assert!(asked.err.contains("many-to-many matching not allowed"), "{}", asked.err);

    // Remarks stand beside the answer and in nobody's way.
    let asked = shell.query(&["quantile(2, up) or rate(up[1m])"]).await;
    assert_eq!(asked.code, 0, "{}", asked.err);
    assert!(asked.err.contains("bellwether: PromQL warning: quantile value"), "{}", asked.err);
    assert!(asked.err.contains("bellwether: PromQL info: metric might not be"), "{}", asked.err);
    assert!(!asked.out.contains("PromQL"), "{}", asked.out);

    let nobody = Program::run(&[], &["query", "up", "--url", "http://a:hidden@127.0.0.1:1"]).await;
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
    assert!(
        nobody.err.contains("does not answer") && !nobody.err.contains("hidden"),
        "{}",
        nobody.err
    );
    let usage = shell.query(&["--range", "5m", "--start", "1", "--end", "2", "up"]).await;
    assert_eq!(usage.code, 2, "{}", usage.err);
}

#[tokio::test]
async fn who_asks_can_sign_in() {
    let receiver = Receiver::start(Manner::Takes).await;
    let url = receiver.url("/base/").replacen("http://", "http://name:pass%3Aword@", 1);
    let arguments = ["query", "up", "--url", &url, "--header", "X-Scope-OrgID: 7"];
    let asked = Program::run(&[], &arguments).await;
    let calls = receiver.calls("/base/api/v1/query");
    assert_eq!(calls[0].body, "query=up");
    // `printf name:pass:word | base64`
    assert_eq!(calls[0].header("authorization"), "Basic bmFtZTpwYXNzOndvcmQ=");
    assert_eq!(calls[0].header("x-scope-orgid"), "7");
    assert_eq!(asked.code, 1, "it is no Prometheus");
    assert!(asked.err.contains("does not answer as a Prometheus does"), "{}", asked.err);
    assert!(!asked.err.contains("pass"), "{}", asked.err);
}
