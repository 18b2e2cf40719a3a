//! The commands that begin and end by themselves.

use super::program::{Program, Scratch};
use super::receiver::{Manner, Receiver};
use super::service::Simulator;

#[tokio::test]
async fn the_demo_ends_as_each_scenario_is_to_end() {
    let errors = Program::run(&[], &["demo", "--once"]);
    let healthy = Program::run(&[], &["demo", "--once", "--scenario", "healthy"]);
    let (errors, healthy) = tokio::join!(errors, healthy);
    let climbs = ["both providers are well", "drill passed", "with 1 % of the traffic", "gets 5 %"];
    let back: &[&str] = &[
        "gets 25 %",
        "cuts half of its streams short",
        "release rolling_back: rolled back by the gate errors: fail",
        "rollback webhook received, signature valid, webhook-id demo:",
        "release rolled_back: stable answers",
        "decision → verified",
        "rolled back: stable answers and has all of the traffic",
    ];
    let through: &[&str] = &["gets 100 %", "release completed", "completed: the candidate"];
    for (demo, ends) in [(errors, back), (healthy, through)] {
        assert_eq!(demo.code, 0, "{}{}", demo.out, demo.err);
        let mut rest = demo.out.as_str();
        for part in climbs.iter().chain(ends) {
            let Some((_, later)) = rest.split_once(part) else {
                panic!("no `{part}` where it is due:\n{}", demo.out)
            };
            rest = later;
        }
        assert!(!demo.out.contains("SIGNATURE WRONG"), "{}", demo.out);
    }
}

#[tokio::test]
async fn fewer_series_than_there_will_be_are_remarked_upon() {
    let scratch = Scratch::new("commands-series");
    let config = |storage: &str| {
        format!(
            "{storage}providers: [{{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:9', \
             auth: none}}]\nprobes: [{{provider: p, model: m, budget_daily: unlimited}}]\n"
        )
    };
    let few = scratch.write("few.yml", &config("storage: {series_max: 100}\n"));
    let checked = Program::run(&[], &["check", "config", &few]).await;
    assert_eq!(checked.code, 0, "{}", checked.err);
    let warning =
        "warning: storage: `series_max` is 100, and the configuration leads to as many as ";
    assert!(checked.err.starts_with(warning), "{}", checked.err);
    let enough = scratch.write("enough.yml", &config(""));
    let checked = Program::run(&[], &["check", "config", &enough]).await;
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
}

#[tokio::test]
async fn what_init_writes_passes_the_check_and_runs() {
    let simulator = Simulator::start().await;
    simulator.script("key: sk-first-steps").await;
    let scratch = Scratch::new("commands-init");
    for (dialect, header) in [("openai_chat", "authorization"), ("anthropic_messages", "x-api-key")]
    {
        let arguments = ["init", "--url", &simulator.url, "--key-variable", "KEY", "--dialect"];
        let written = Program::run(&[], &[&arguments[..], &[dialect]].concat()).await;
        assert_eq!(written.code, 0, "{}", written.err);
        let file = scratch.write("bellwether.yml", &written.out);
        let checked = Program::run(&[], &["check", "config", &file]).await;
        assert_eq!(checked.code, 0, "{}", checked.err);
        assert!(checked.out.contains(": valid; 1 target"), "{}", checked.out);

        let key = [("KEY", "sk-first-steps")];
        let probed = Program::run(&key, &["probe", "first", "-c", &file]).await;
        let said = format!("{}{}", probed.out, probed.err);
        assert_eq!(probed.code, 0, "{said}");
        for part in [
            &format!("POST {}/v1/", simulator.url),
            &format!("> {header}: ***"),
            "< HTTP 200",
            "request sent",
            "first content came",
            "connect ",
            "time to first token",
            "total ",
            "tokens ",
            "none (good)",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(!said.contains("sk-first-steps"), "{said}");
        let wrong = [("KEY", "sk-wrong-7c1")];
        let refused = Program::run(&wrong, &["probe", "first", "-c", &file]).await;
        let said = format!("{}{}", refused.out, refused.err);
        assert_eq!(refused.code, 1, "{said}");
        assert!(said.contains("http_401 (excluded)") && !said.contains("sk-wrong-7c1"), "{said}");
        let unknown = Program::run(&key, &["probe", "second", "-c", &file]).await;
        assert_eq!(unknown.code, 3);
        assert!(
            unknown.err.contains("`second`") && unknown.err.contains("first"),
            "{}",
            unknown.err
        );
    }
}

#[tokio::test]
async fn every_mistake_in_a_rule_file_is_told_by_either_check() {
    let scratch = Scratch::new("commands-rules");
    let rules = scratch.write(
        "rules.yml",
        "groups:\n- name: g\n  rules:\n  - {record: r, expr: 'up +'}\n  \
         - {alert: A, expr: 'sum('}\n",
    );
    let config = scratch.write(
        "bellwether.yml",
        "rule_files: [rules.yml]\n\
         providers: [{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:9', auth: none}]\n\
         probes: [{provider: p, model: m, budget_daily: unlimited}]\n",
    );
    for arguments in [["check", "rules", &rules], ["check", "config", &config]] {
        let checked = Program::run(&[], &arguments).await;
        assert_eq!(checked.code, 1, "{arguments:?}: {}", checked.err);
        for place in [":4:", ":5:"] {
            let told = format!("{rules}{place}");
            assert!(checked.err.contains(&told), "{arguments:?}: {told} in {}", checked.err);
        }
    }
    let wrong_usage = Program::run(&[], &["check"]).await;
    assert_eq!(wrong_usage.code, 2, "{}", wrong_usage.err);
}

#[tokio::test]
async fn a_receiver_is_tried_with_a_notice_and_its_end() {
    let (takes, refuses) =
        tokio::join!(Receiver::start(Manner::Takes), Receiver::start(Manner::Refuses));
    let scratch = Scratch::new("notify");
    let config = format!(
        "providers:\n- {{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}}\n\
         probes: []\nreceivers:\n\
         - name: good\n  webhook_configs:\n  - {{url: '{}', body: '{{{{ toJson . }}}}'}}\n  \
         pagerduty_configs:\n  - {{url: '{}', routing_key: env:KEY}}\n\
         - name: bad\n  webhook_configs:\n  - {{url: '{}'}}\nroute: {{receiver: good}}\n",
        takes.url("/hook"),
        takes.url("/page"),
        refuses.url("/hush-hush"),
    );
    let path = scratch.write("bellwether.yml", &config);
    let test = |name| {
        let arguments = ["notify", "test", name, "--config.file", path.as_str()];
        let arguments = arguments.map(str::to_owned);
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            Program::run(&[("KEY", "hush-key")], &arguments).await
        }
    };
    let good = test("good").await;
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert_eq!(
        good.out,
        "receiver/good/0  test: delivered with status 200\n\
         pagerduty/good/0  test: delivered with status 200\n\
         receiver/good/0  its end: delivered with status 200\n\
         pagerduty/good/0  its end: delivered with status 200\n"
    );
    let calls = takes.calls("/hook");
    assert!(calls.iter().all(|call| call.body.contains("This is a test of bellwether")));
    assert!(calls[0].body.contains("\"status\":\"firing\""), "{}", calls[0].body);
    assert!(calls[1].body.contains("\"status\":\"resolved\""), "{}", calls[1].body);
    assert_eq!(takes.calls("/page").len(), 2);
    let bad = test("bad").await;
    assert_eq!(bad.code, 1, "{}", bad.out);
    assert!(
        bad.out.contains("receiver/bad/0  test: failed: refused with status 404"),
        "{}",
        bad.out
    );
    for said in [&good.out, &good.err, &bad.out, &bad.err] {
        assert!(!said.contains("hush"), "{said}");
    }
    let none = test("nobody").await;
    assert_eq!(none.code, 3);
    assert!(
        none.err.contains("no receiver is called `nobody`; known: `good`, `bad`"),
        "{}",
        none.err
    );
}
