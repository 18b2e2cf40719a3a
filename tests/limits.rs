//! What bounds a query: its length, its nesting, what it holds, what it looks at, and whoever waits.

use std::cell::Cell;
use std::time::Duration;

use bellwether::model::{Labels, Matcher, Sample, Timestamp};
use bellwether::promql::{self, Answer, EvalError, Interrupt, Options};
use bellwether::series::Source;

/// As many series named `x` as asked for, each with a value every second of its first hour.
struct Data {
    series: Vec<(Labels, Vec<Sample>)>,
    visits: Cell<usize>,
}

impl Data {
    fn new(count: usize) -> Self {
        let samples: Vec<Sample> = (0..3600)
            .map(|at| Sample { at: Timestamp::from_millis(at * 1000), value: at as f64 })
            .collect();
        let labels = |number: usize| {
            Labels::from_pairs([("__name__", "x"), ("a", number.to_string().as_str())])
        };
        let series = (0..count).map(|number| (labels(number), samples.clone())).collect();
        Self { series, visits: Cell::new(0) }
    }
}

impl Source for Data {
    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        for (labels, samples) in &self.series {
            let from = samples.partition_point(|sample| sample.at <= after);
            let to = samples.partition_point(|sample| sample.at <= until);
            if from < to && matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                self.visits.set(self.visits.get() + 1);
                visit(labels, &samples[from..to]);
            }
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn instant(text: &str, data: &Data, options: &Options<'_>) -> Result<Answer, EvalError> {
    let expr = promql::parse(text).unwrap_or_else(|error| panic!("{error}"));
    promql::instant(&expr, data, at(3599), options)
}

fn holding(samples_max: usize) -> Options<'static> {
    Options { samples_max, ..Options::default() }
}

fn is_refused(answer: &Result<Answer, EvalError>) -> bool {
    matches!(answer, Err(EvalError::TooManySamples))
}

#[test]
fn samples_are_counted_over_all_parts_that_are_held() {
    let data = Data::new(100);
    // Nested on the right, each operand waits for the next; a chain from the left lets go of its
    // own. Ten operands of 100 series.
    let right = format!("{}x{}", "x or (".repeat(9), ")".repeat(9));
    let left = ["x"; 10].join(" or ");
    assert!(instant(&right, &data, &holding(1_100)).is_ok());
    assert!(is_refused(&instant(&right, &data, &holding(900))));
    assert!(instant(&left, &data, &holding(300)).is_ok());
    // A scalar is a sample at each step, a literal among them.
    let expr = promql::parse(&format!("{}1{}", "1 + (".repeat(9), ")".repeat(9))).unwrap();
    assert!(promql::instant(&expr, &data, at(0), &holding(1)).is_ok(), "it is folded");
    let expr = promql::parse(&format!("{}time(){}", "1 + (".repeat(9), ")".repeat(9))).unwrap();
    let range = |samples_max| {
        let options = holding(samples_max);
        promql::range(&expr, &data, at(0), at(99), Duration::from_secs(1), &options)
    };
    assert!(range(1_200).is_ok());
    assert!(is_refused(&range(900)));
}

#[test]
fn what_would_be_too_much_is_refused_before_it_is_read() {
    let data = Data::new(10);
    for text in [
        // 3 * 10^11 steps each.
        "max_over_time(x[10y:1ms])",
        "max_over_time(vector(1)[10y:1ms])",
        "max_over_time((1 > bool 0 + vector(0))[10y:1ms])",
        "x[10y:1ms]",
        // 63,072,000 steps, and over each of them as many.
        "max_over_time(max_over_time(x[2y:1s])[2y:1s])",
    ] {
        assert!(is_refused(&instant(text, &data, &Options::default())), "{text}");
        assert_eq!(data.visits.get(), 0, "{text}");
    }
    // 11,000 points of each series: the second is one too many.
    let expr = promql::parse("x").unwrap();
    let range =
        promql::range(&expr, &data, at(0), at(10_999), Duration::from_secs(1), &holding(20_000));
    assert!(is_refused(&range));
    assert_eq!(
        EvalError::TooManySamples.to_string(),
        "query processing would load too many samples into memory in query execution"
    );
}

#[test]
fn values_of_count_values_are_counted() {
    // 3,600 values, each a series over 3,600 steps: 12,960,000 samples.
    let data = Data::new(1);
    let expr = promql::parse("count_values(\"v\", x)").unwrap();
    let range = |samples_max| {
        let options = Options { lookback: Duration::from_secs(1), ..holding(samples_max) };
        promql::range(&expr, &data, at(0), at(3599), Duration::from_secs(1), &options)
    };
    assert!(is_refused(&range(1_000_000)));
}

#[test]
fn texts_that_double_are_refused() {
    let data = Data::new(1);
    let doubled = |depth: usize, call: &dyn Fn(String) -> String| {
        (0..depth).fold("x".to_owned(), |inner, _| call(inner))
    };
    let replace = |inner| format!("label_replace({inner}, \"a\", \"$1$1\", \"a\", \"((?s:.*))\")");
    let join = |inner| format!("label_join({inner}, \"a\", \"--\", \"a\", \"a\")");
    for call in [&replace as &dyn Fn(String) -> String, &join] {
        // 2^10 bytes are no harm; 2^100 are more than there are atoms in a disk.
        assert!(instant(&doubled(10, call), &data, &holding(100_000)).is_ok());
        assert!(is_refused(&instant(&doubled(100, call), &data, &holding(100_000))));
    }
}

#[test]
fn remarks_are_bounded() {
    let data = Data::new(1);
    let expr = promql::parse("histogram_quantile(scalar(x) + 2, x)").unwrap();
    let range =
        promql::range(&expr, &data, at(0), at(3599), Duration::from_secs(1), &Options::default());
    assert_eq!(range.map(|answer| answer.annotations.len()), Ok(1_000));
}

/// Evaluates until the interrupt was asked `asks` times and says so.
fn interrupted(text: &str, data: &Data, asks: usize) -> (Result<Answer, EvalError>, usize) {
    let asked = Cell::new(0);
    let question = || {
        asked.set(asked.get() + 1);
        if asked.get() >= asks { Err(EvalError::Canceled) } else { Ok(()) }
    };
    let options = Options { interrupt: Interrupt::new(&question), ..Options::default() };
    let answer = instant(text, data, &options);
    (answer, asked.get())
}

#[test]
fn any_kind_of_work_ends_when_it_is_no_longer_wanted() {
    let data = Data::new(300);
    for text in [
        "sum_over_time(x[1h])",
        "x[1h]",
        "quantile_over_time(0.5, x[1h])",
        "max_over_time(x[1h:1s])",
        "max_over_time(rate(x[1m])[1h:10s])",
        "topk(3, x) or max_over_time(topk(3, x)[1h:10s])",
        "max_over_time((x * on (a) group_left () x)[1h:10s])",
        "max_over_time(count_values(\"v\", x)[10m:10s])",
        "max_over_time(quantile by (a) (0.5, x)[1h:10s])",
        "max_over_time(time()[100d:1s])",
        &vec!["x"; 200].join(" + "),
        &vec!["label_replace(x, \"b\", \"$1\", \"a\", \"(.*)\")"; 200].join(" or "),
        &vec!["time()"; 1_000].join(" + "),
    ]
    .into_iter()
    .filter(|text| promql::parse(text).is_ok())
    {
        let (answer, asked) = interrupted(text, &data, 2);
        assert_eq!((answer, asked), (Err(EvalError::Canceled), 2), "{text}");
        let (answer, asked) = interrupted(text, &data, 3);
        assert_eq!((answer, asked), (Err(EvalError::Canceled), 3), "it went on: {text}");
    }
}

#[test]
fn a_small_query_asks_nothing_and_work_is_counted_the_same_each_time() {
    assert_eq!(interrupted("sum by (a) (rate(x[5m]))", &Data::new(10), 1).1, 0);
    // 300 series of 3,600 samples, looked at once to find them and once in their windows.
    let data = Data::new(300);
    let asked = interrupted("sum_over_time(x[1h])", &data, usize::MAX).1;
    let samples = 300 * 3_600;
    assert!((samples..3 * samples).contains(&(asked * Interrupt::PERIOD)), "{asked}");
    assert_eq!(interrupted("sum_over_time(x[1h])", &data, usize::MAX).1, asked);
}

/// A quarter of what threads of the service have; three quarters where nothing is optimized.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 1536 << 10 } else { 512 << 10 };

/// Runs on a stack smaller than any that the service has.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.expect("a thread").join().expect("it does not overflow and does not panic");
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_that_is_let_in_fits_a_small_stack() {
    on_a_small_stack(|| {
        let data = Data::new(2);
        for (open, inner, close) in [
            ("(", "x", ")"),
            ("-", "x", ""),
            ("+", "x", ""),
            ("abs(", "x", ")"),
            ("clamp(", "x", ", 0, 1)"),
            ("sum by (a) (", "x", ")"),
            ("topk(scalar(x), ", "x", ")"),
            ("topk(scalar(", "x", "), x)"),
            ("count_values(\"v\", ", "x", ")"),
            ("quantile without (b) (0.5, ", "x", ")"),
            ("x or (", "x", ")"),
            ("x + on (a) group_left () (", "x", ")"),
            ("x ^ ", "x", ""),
            ("1 - -", "x", ""),
            ("label_replace(", "x", ", \"b\", \"$1\", \"a\", \"(.)\")"),
            ("label_join(", "x", ", \"b\", \"\", \"a\")"),
            ("histogram_quantile(0.5, ", "x", ")"),
            ("absent(", "x", ")"),
            ("vector(scalar(", "x", "))"),
            ("max_over_time(", "x", "[1m:1m])"),
            ("absent_over_time(", "x", "[1m:1m])"),
            ("quantile_over_time(scalar(", "x", "), x[1m])"),
            ("timestamp(", "x", ")"),
            ("sort_desc(", "x", ")"),
            ("hour(", "x", ")"),
        ] {
            let deepest = (1..=128).rev().find_map(|depth| {
                promql::parse(&nested(open, inner, close, depth)).ok().map(|expr| (expr, depth))
            });
            let (expr, depth) = deepest.unwrap_or_else(|| panic!("{open}"));
            assert!(depth >= 42, "{open}: {depth}");
            assert_eq!(
                promql::parse(&expr.to_string()).map(|it| it.to_string()),
                Ok(expr.to_string())
            );
            let options = Options::default();
            // What they answer is no matter; some give the same labels twice.
            let _instant = promql::instant(&expr, &data, at(60), &options);
            let _range =
                promql::range(&expr, &data, at(60), at(120), Duration::from_secs(30), &options);
        }
    });
}

#[test]
fn nesting_that_is_too_deep_is_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        for (open, inner, close) in [
            ("(", "x", ")"),
            ("((", "", ""),
            ("-+", "x", ""),
            ("x[5m:", "", ""),
            ("abs(", "x", ")"),
            ("sum by (a) (", "x", ")"),
            ("topk(scalar(", "x", "), x)"),
            ("x or (", "x", ")"),
            ("x ^ ", "x", ""),
            ("max_over_time(", "x", "[1m:1m])"),
            ("vector(scalar(", "x", "))"),
        ] {
            let text = nested(open, inner, close, 8_000);
            assert!(text.len() < 256 * 1024);
            let error = promql::parse(&text).err().unwrap_or_else(|| panic!("{open}"));
            let is_depth = error.message.contains("nests deeper than 128 levels");
            assert!(is_depth || open == "x[5m:", "{open}: {error}");
        }
    });
}

#[test]
fn regular_expressions_are_bounded_together() {
    let text = vec!["x{a=~\"\\\\w{40}\"}"; 1_000].join(" or ");
    let error = promql::parse(&text).expect_err("gigabytes");
    assert!(error.message.contains("64 MiB that compiled regular expressions may take"), "{error}");
    // In a call they are an error of the evaluation, as in Prometheus.
    let call = "label_replace(x, \"a\", \"$1\", \"a\", \"\\\\w{40}\")";
    let text = vec![call; 1_000].join(" or ");
    let answer = instant(&text, &Data::new(1), &Options::default());
    assert!(matches!(answer, Err(EvalError::Regex(_))), "{answer:?}");
    assert!(promql::parse(&vec!["x{a=~\".+b|c.*\"}"; 300].join(" or ")).is_ok());
}

/// The longest texts of every kind: that this ends soon is the claim. One that took the square of
/// its length would keep the test busy for minutes.
#[test]
fn the_longest_expressions_are_read_and_evaluated() {
    on_a_small_stack(|| {
        let data = Data::new(2);
        let names: Vec<String> = (0..26_000).map(|number| format!("l{number}")).collect();
        let half = |from: usize| names[from..from + 13_000].join(",");
        let matchers = |op: &str| {
            let matcher = |name: &String| format!("{name}{op}\"\"");
            names[..20_000].iter().map(matcher).collect::<Vec<_>>().join(",")
        };
        for text in [
            vec!["x"; 60_000].join(" - "),
            vec!["x"; 50_000].join(" or "),
            vec!["1"; 60_000].join(" * "),
            vec!["-x"; 50_000].join(" + "),
            vec!["(x)"; 30_000].join(" + "),
            vec!["x ^ x * x"; 15_000].join(" + "),
            format!("x + on ({}) group_left ({}) x", half(0), half(13_000)),
            format!("sum by ({}) (x)", names.join(",")),
            format!("sum without ({}) (x)", names.join(",")),
            format!("absent(x{{{}}})", matchers("=")),
            format!("absent(x{{{}}})", matchers("!=")),
            format!("x{{a=\"{}\"}}", "b".repeat(250_000)),
            format!("x{{a=~\"{}\"}}", "b|".repeat(100_000)),
            format!("label_join(x, \"b\", \",\", \"{}\")", names[..20_000].join("\",\"")),
            format!("x{}", " ".repeat(250_000)),
            format!("x{}", "#\n".repeat(120_000)),
        ] {
            assert!(text.len() <= 256 * 1024, "{}", text.len());
            let expr =
                promql::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", &text[..60]));
            assert_eq!(
                promql::parse(&expr.to_string()).map(|it| it.value_type()),
                Ok(expr.value_type())
            );
            let _instant = promql::instant(&expr, &data, at(60), &Options::default());
        }
    });
}
