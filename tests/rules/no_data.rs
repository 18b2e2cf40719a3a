//! What becomes of alerts while there is nothing to judge by. Worked by hand from the policy's words;
//! `ok` is what the same rules do in promtool (states_test.yml).

use std::time::Duration;

use bellwether::model::{Labels, STALE_BITS, Sample, Timestamp};
use bellwether::rules::{self, Context, Defaults, Group};
use bellwether::series::Sink;

use super::memory::Memory;

/// Evaluates once a minute. In `samples`, `1` and `0` are values of `m`, `.` is a minute without a
/// sample, `x` is the series' end. The answer has a letter for each evaluation: `-` no alert, `p`
/// pending, `f` firing, `r` resolved; then how many alerts there are at the end.
fn check(policy: &str, rule: &str, samples: &str, expected: &str) {
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: A\n{rule}\n    \
         annotations: {{text: 'is {{{{ $value }}}}'{policy}}}\n"
    );
    let spec = rules::parse("r.yml", &text).unwrap().groups.remove(0);
    let interval = Duration::from_secs(60);
    let mut group = Group::new(spec, &Defaults { interval, query_offset: Duration::ZERO });
    let context = Context {
        external_labels: Labels::empty(),
        external_url: String::new(),
        resend_delay: interval,
    };
    let mut memory = Memory::default();
    let labels = Labels::from_pairs([("__name__", "m"), ("target", "t")]);
    let mut seen = String::new();
    for (minute, sample) in (0..).zip(samples.chars()) {
        let at = Timestamp::from_millis(minute * 60_000);
        let value = match sample {
            '.' => None,
            'x' => Some(f64::from_bits(STALE_BITS)),
            digit => digit.to_digit(10).map(f64::from),
        };
        if let Some(value) = value {
            memory.append(&labels, Sample { at, value });
        }
        assert_eq!(group.evaluate(at, &mut memory, &context).failures, []);
        let gravest = group.rules()[0].alerts.iter().map(|alert| alert.state).max();
        let shown = gravest.map_or("-", rules::AlertState::as_str);
        seen.push(if shown == "inactive" { 'r' } else { shown.chars().next().unwrap() });
    }
    let active = group.alerts().into_iter().filter(|alert| alert.resolved_at.is_none()).count();
    assert_eq!(format!("{seen} {active}"), expected, "{policy} {samples}");
}

const NOW: &str = "    expr: m > 0";
const LATER: &str = "    expr: m > 0\n    for: 2m";
const WINDOW: &str = "    expr: sum_over_time(m[2m]) > 0";
const KEEP: &str = ", bellwether_no_data: keep";
const FIRING: &str = ", bellwether_no_data: firing";
const OK: &str = ", bellwether_no_data: ok";

#[test]
fn without_a_policy_and_with_ok_no_data_is_no_alert() {
    for policy in ["", OK] {
        check(policy, NOW, "11x..", "ffrrr 0");
        check(policy, LATER, "11x11", "pp-pp 1");
        check(policy, NOW, "...", "--- 0");
    }
}

#[test]
fn keep_holds_every_alert_as_it_is() {
    check(KEEP, NOW, "11x..0", "fffffr 0");
    check(KEEP, NOW, "x...", "---- 0");
    // What is pending neither fires nor ends, and the time counts.
    check(KEEP, LATER, "1x..1", "ppppf 1");
    check(KEEP, LATER, "1x..0", "pppp- 0");
    // What was over stays over.
    check(KEEP, NOW, "10x..", "frrrr 0");
}

#[test]
fn firing_takes_silence_for_the_condition() {
    check(FIRING, NOW, "00x..0", "--fffr 0");
    check(FIRING, LATER, "00x...0", "--ppffr 0");
    // Alerts that there are go on, and no other begins beside them.
    check(FIRING, LATER, "11x..", "ppfff 1");
    check(FIRING, NOW, "...", "fff 1");
}

#[test]
fn a_series_that_says_nothing_new_is_data_until_its_window_ends() {
    // Within the lookback of five minutes the last sample stands.
    check(FIRING, NOW, "0.....", "-----f 1");
    // A window of two minutes, open on the left.
    check(FIRING, WINDOW, "0...", "--ff 1");
    check(KEEP, WINDOW, "1....", "fffff 1");
    // An ended series within a window still has samples in it.
    check(FIRING, WINDOW, "0x..", "--ff 1");
}

#[test]
fn a_policy_that_nobody_knows_is_refused() {
    let parse = |annotation: &str| {
        let text = format!(
            "groups: [{{name: g, rules: [{{alert: A, expr: m, annotations: {{{annotation}}}}}]}}]"
        );
        rules::parse("r.yml", &text).map(drop).map_err(|mistakes| mistakes[0].to_string())
    };
    assert_eq!(parse("bellwether_no_data: keep"), Ok(()));
    assert_eq!(
        parse("bellwether_no_data: hold"),
        Err("r.yml:1:82: `bellwether_no_data` is `hold` (write `ok`, `keep` or `firing`)"
            .to_owned())
    );
    assert_eq!(
        parse("bellwether_nodata: keep"),
        Err("r.yml:1:81: bellwether knows no annotation `bellwether_nodata` (did you mean \
             `bellwether_no_data`?)"
            .to_owned())
    );
    assert_eq!(parse("bellwether_runbook: x"), Ok(()));
}
