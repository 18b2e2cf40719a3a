//! What an expression ends in: numbers, selectors and their windows.

use super::Making;
use crate::data::{CODES, Edges, INSTANCES, JOBS, ZONES};
use crate::expression::{Expression, Kind};

const METRICS: [&str; 13] = [
    "requests_total",
    "requests_total",
    "errors_total",
    "temperature",
    "queue_length",
    "build_info",
    "up",
    "latency_seconds_bucket",
    "latency_seconds_sum",
    "latency_seconds_count",
    "weird",
    "texts",
    "broken_bucket",
];

impl Making<'_> {
    pub(super) fn scalar(&mut self, depth: usize) -> Expression {
        match self.draw.below(if depth == 0 { 6 } else { 10 }) {
            0..4 => {
                let number = self.number();
                self.leaf(Kind::Scalar, number)
            }
            4 => self.leaf(Kind::Scalar, "time()"),
            5 => self.leaf(Kind::Scalar, "pi()"),
            6 | 7 => {
                let vector = self.vector(depth - 1);
                Expression::node(Kind::Scalar, "scalar({})", vec![vector])
            }
            8 => {
                let inner = self.scalar(depth - 1);
                Expression::node(Kind::Scalar, "-{}", vec![inner])
            }
            _ => {
                let operator = self.draw.one(&["+", "-", "*", "/", "%", "> bool", "== bool"]);
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                let template = format!("({{}} {operator} {{}})");
                Expression::node(Kind::Scalar, &template, vec![left, right])
            }
        }
    }

    fn number(&mut self) -> &'static str {
        const NUMBERS: [&str; 17] = [
            "0", "1", "2", "-1", "0.5", ".25", "100", "1e3", "-0", "NaN", "Inf", "-Inf", "0x1f",
            "300", "0.1", "1e-9", "3.7",
        ];
        if self.grammar.has_prometheus_3_syntax && self.draw.chance(10) {
            return self.draw.one(&["5m", "1_000", "1h30m", "250ms", "010"]);
        }
        self.draw.one(&NUMBERS)
    }

    pub(super) fn count(&mut self) -> Expression {
        if self.draw.chance(10) && self.grammar.checks_counts {
            return self.scalar(1);
        }
        let count = self.draw.one(&["1", "2", "3", "5", "0", "-1", "2.9", "1000", "-1e9"]);
        self.leaf(Kind::Scalar, count)
    }

    pub(super) fn quantile(&mut self) -> Expression {
        if self.draw.chance(10) {
            return self.scalar(1);
        }
        let quantile =
            self.draw.one(&["0.5", "0.9", "0.99", "0", "1", "-0.1", "1.1", "NaN", "0.333"]);
        self.leaf(Kind::Scalar, quantile)
    }

    pub(super) fn matrix(&mut self, depth: usize) -> Expression {
        if self.subqueries < 2 && depth > 0 && self.draw.chance(35) {
            self.subqueries += 1;
            let inner = self.vector(depth - 1);
            self.subqueries -= 1;
            let step = self.draw.one(&["", "10s", "15s", "30s", "1m", "7s", "90s"]);
            let range = match step {
                "7s" | "10s" | "15s" => self.draw.one(&["10s", "1m", "2m", "5m"]),
                _ => self.draw.one(&["1m", "2m", "5m", "10m", "30m"]),
            };
            let quarter = if self.grammar.edges == Edges::Avoided { "250ms" } else { "" };
            let shift = self.shift();
            let template = format!("({{}})[{range}{quarter}:{step}]{shift}");
            return Expression::node(Kind::Matrix, &template, vec![inner]);
        }
        let (selector, shift) = (self.bare_selector(), self.shift());
        let range = self.range();
        self.leaf(Kind::Matrix, format!("{selector}[{range}]{shift}"))
    }

    pub(super) fn range(&mut self) -> String {
        const RANGES: [&str; 12] =
            ["1s", "15s", "30s", "45s", "1m", "90s", "2m", "5m", "5m", "10m", "1h", "1h5m"];
        if self.grammar.edges == Edges::Avoided {
            return format!("{}250ms", self.draw.one(&RANGES));
        }
        if self.grammar.has_prometheus_3_syntax && self.draw.chance(5) {
            return self.draw.one(&["300", "60.5", "0x10"]).to_owned();
        }
        self.draw.one(&RANGES).to_owned()
    }

    pub(super) fn selector(&mut self) -> Expression {
        let (selector, shift) = (self.bare_selector(), self.shift());
        self.leaf(Kind::Vector, selector + &shift)
    }

    pub(super) fn selector_of(&mut self, metric: &str) -> Expression {
        let matchers = self.matchers();
        let shift = self.shift();
        self.leaf(Kind::Vector, format!("{metric}{{{matchers}}}{shift}"))
    }

    fn bare_selector(&mut self) -> String {
        let matchers = self.matchers();
        if self.grammar.has_prometheus_3_syntax && self.draw.chance(4) {
            let condition = self.draw.one(&["", ", \"a.b\"=\"x y\"", ", \"a.b\"!=\"\""]);
            return format!("{{\"http.wait\"{condition}}}");
        }
        if self.draw.chance(5) {
            let names =
                self.draw.one(&["requests.*|errors.*", "up", ".+_total", "temp.*|queue.*", "none"]);
            let comma = if matchers.is_empty() { "" } else { ", " };
            return format!("{{__name__=~\"{names}\"{comma}{matchers}}}");
        }
        let metric = self.draw.one(&METRICS);
        if matchers.is_empty() { metric.to_owned() } else { format!("{metric}{{{matchers}}}") }
    }

    fn matchers(&mut self) -> String {
        let mut matchers = Vec::new();
        while self.draw.chance(22) {
            let (label, values): (&str, &[&str]) = match self.draw.below(6) {
                0 | 1 => ("job", &JOBS),
                2 => ("instance", &INSTANCES),
                3 => ("code", &CODES),
                4 => ("zone", &ZONES),
                _ => ("nothing", &["", "x"]),
            };
            let value = self.draw.one(values);
            matchers.push(match self.draw.below(8) {
                0..3 => format!("{label}=\"{value}\""),
                3 | 4 => format!("{label}!='{value}'"),
                5 => format!("{label}=~\"{}\"", self.regex(value)),
                6 => format!("{label}!~`{}`", self.regex(value)),
                _ => format!("{label}=\"\""),
            });
        }
        // Prometheus's storage moves equality to the front, which `absent` can see.
        matchers.sort_by_key(|matcher| !matcher.contains("=\"") || matcher.ends_with("\"\""));
        matchers.join(self.draw.one(&[",", ", "]))
    }

    fn regex(&mut self, value: &str) -> String {
        match self.draw.below(6) {
            0 => format!("{value}|x.*"),
            1 => ".+".to_owned(),
            2 => ".*".to_owned(),
            3 => format!("(?i){}", value.to_uppercase()),
            4 => "[a-c].*".to_owned(),
            _ => format!("{}.*", value.get(..1).unwrap_or_default()),
        }
    }

    fn shift(&mut self) -> String {
        let offset = match self.draw.below(100) {
            0..80 => "",
            80..92 => self.draw.one(&[" offset 15s", " offset 1m", " offset 5m", " offset 7s"]),
            _ => self.draw.one(&[" offset -30s", " offset -5m"]),
        };
        let at = match self.draw.below(100) {
            0..92 => String::new(),
            92..94 => " @ start()".to_owned(),
            94..96 => " @ end()".to_owned(),
            _ => {
                let at = self.grammar.time(self.draw);
                format!(" @ {}.{:03}", at / 1000, at % 1000)
            }
        };
        if self.draw.chance(50) { format!("{offset}{at}") } else { format!("{at}{offset}") }
    }
}
