//! Drawn expressions: all of the stable language, nested.
//!
//! Functions in which Go's mathematics and the C library's differ by a last place stand only where
//! nothing after them can make more of it: a comparison or `%` would turn one bit into another
//! answer. For the same reason `topk` stands outermost or under an aggregation to which it does not
//! matter which of two equal values was chosen.

mod leaf;

use std::collections::BTreeSet;

use crate::data::{Edges, LENGTH_MS, START_MS};
use crate::draw::Draw;
use crate::expression::{Expression, Kind, Order};
use crate::query::Times;

pub const WINDOWS: [&str; 19] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "absent_over_time",
];
const MAPS: [&str; 7] = ["abs", "ceil", "floor", "sgn", "sqrt", "deg", "rad"];
const CLOSE_MAPS: [&str; 16] = [
    "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh",
];
const CALENDAR: [&str; 8] = [
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
];
const AGGREGATES: [&str; 8] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const LABELS: [&str; 8] = ["job", "instance", "code", "zone", "le", "version", "kind", "__name__"];

/// What the peer can read.
pub struct Grammar {
    pub edges: Edges,
    pub has_prometheus_3_syntax: bool,
    /// Functions that the peer does not know.
    pub missing: BTreeSet<&'static str>,
    /// What the peer evaluates in a way that later releases have changed.
    pub changed: &'static [&'static str],
    /// Whether the peer checks odd counts of `topk` as we do, even of no series; Prometheus 3.5 does not.
    pub checks_counts: bool,
}

impl Grammar {
    pub fn expression(&self, draw: &mut Draw) -> Expression {
        loop {
            let expression = self.any_expression(draw);
            let text = expression.to_string();
            if !self.changed.iter().any(|changed| text.contains(changed)) {
                return expression;
            }
        }
    }

    fn any_expression(&self, draw: &mut Draw) -> Expression {
        let depth = draw.one(&[1, 2, 2, 3, 3, 4, 5, 6]);
        let mut making = Making { grammar: self, draw, subqueries: 0 };
        match making.draw.below(100) {
            0..12 => making.close(depth),
            12..22 => making.ranked(depth),
            22..26 => making.sorted(depth),
            26..30 => making.scalar(depth),
            30 => Expression::leaf(Kind::Text, "'text'"),
            31..34 => making.matrix(depth),
            _ => making.vector(depth),
        }
    }

    pub fn times(&self, draw: &mut Draw, kind: Kind) -> Times {
        let at = self.time(draw);
        if draw.chance(50) || matches!(kind, Kind::Matrix | Kind::Text) {
            return Times::At(at);
        }
        let step = draw.one(&[1_000, 7_000, 15_000, 15_000, 30_000, 60_000, 60_000, 300_000]);
        Times::Range { start: at, end: at + step * draw.between(0, 25), step }
    }

    fn time(&self, draw: &mut Draw) -> i64 {
        let at = START_MS + draw.between(-120, LENGTH_MS / 1000 + 400) * 1000;
        match (self.edges, draw.below(10)) {
            (_, 0..5) => at / 15_000 * 15_000 + if self.edges == Edges::Met { 0 } else { 500 },
            (Edges::Met, 5..8) => at,
            (Edges::Met, _) => at + draw.between(0, 999),
            (Edges::Avoided, _) => at + 500,
        }
    }
}

struct Making<'a> {
    grammar: &'a Grammar,
    draw: &'a mut Draw,
    /// How many subqueries stand around.
    subqueries: usize,
}

impl Making<'_> {
    fn leaf(&self, kind: Kind, text: impl Into<String>) -> Expression {
        Expression::leaf(kind, text)
    }

    fn close(&mut self, depth: usize) -> Expression {
        let vector = self.vector(depth - 1);
        let inner = match self.draw.below(10) {
            0..6 => {
                let map = self.draw.one(&CLOSE_MAPS);
                Expression::node(Kind::Vector, &format!("{map}({{}})"), vec![vector])
            }
            6 => {
                let exponent = self.draw.one(&["0.3", "3", "-2", "1.5", "NaN", "-Inf"]);
                Expression::node(Kind::Vector, &format!("({{}}) ^ {exponent}"), vec![vector])
            }
            7 => {
                let base = self.draw.one(&["2", "0.9", "-1", "Inf"]);
                Expression::node(Kind::Vector, &format!("{base} ^ ({{}})"), vec![vector])
            }
            _ => {
                let scalar = self.scalar(1);
                Expression::node(Kind::Vector, "({}) atan2 ({})", vec![vector, scalar])
            }
        };
        let inner = inner.close();
        match self.draw.below(5) {
            0 => Expression::node(Kind::Vector, "abs({})", vec![inner]),
            1 => Expression::node(Kind::Vector, "-({})", vec![inner]),
            2 => {
                let grouping = self.grouping();
                let template = format!("max{grouping}({{}})");
                Expression::node(Kind::Vector, &template, vec![inner])
            }
            _ => inner,
        }
    }

    fn ranked(&mut self, depth: usize) -> Expression {
        let operator = self.draw.one(&["topk", "bottomk"]);
        let grouping = self.grouping();
        let count = self.count();
        let vector = self.vector(depth - 1);
        let count = steady(count, &vector);
        let template = format!("{operator}{grouping}({{}}, {{}})");
        let order = if grouping.is_empty() { Order::Ranked } else { Order::RankedByGroup };
        Expression::node(Kind::Vector, &template, vec![count, vector]).ordered(order)
    }

    fn sorted(&mut self, depth: usize) -> Expression {
        let function = self.draw.one(&["sort", "sort_desc"]);
        let vector = self.vector(depth - 1);
        let template = format!("{function}({{}})");
        Expression::node(Kind::Vector, &template, vec![vector]).ordered(Order::Sorted)
    }

    fn vector(&mut self, depth: usize) -> Expression {
        if depth == 0 {
            return self.selector();
        }
        let depth = depth - 1;
        match self.draw.below(100) {
            0..6 => self.selector(),
            6..24 => self.aggregate(depth),
            24..44 => self.window(depth),
            44..50 => self.map(depth),
            50..53 => self.calendar(depth),
            53..57 => self.relabel(depth),
            57..62 => self.histogram(depth),
            62..65 => {
                let inner = self.vector(depth);
                Expression::node(Kind::Vector, "absent({})", vec![inner])
            }
            65..75 => self.with_scalar(depth),
            75..88 => self.matched(depth),
            88..92 => self.set(depth),
            92..94 => {
                let inner = self.vector(depth);
                Expression::node(Kind::Vector, "-{}", vec![inner])
            }
            94..96 => {
                let inner = self.scalar(depth);
                Expression::node(Kind::Vector, "vector({})", vec![inner])
            }
            96..98 => {
                let inner = self.timed(depth);
                Expression::node(Kind::Vector, "timestamp({})", vec![inner])
            }
            _ => self.of_ranked(depth),
        }
    }

    /// What `timestamp` is asked of: mostly a selector, of which it tells the sample's own time. Of one
    /// with `@` and `offset` Prometheus forgets the offset.
    fn timed(&mut self, depth: usize) -> Expression {
        let vector = self.vector(depth.min(1));
        let text = vector.to_string();
        let is_forgotten = text.contains(" @ ") && text.contains(" offset ");
        if is_forgotten { self.leaf(Kind::Vector, "up") } else { vector }
    }

    fn aggregate(&mut self, depth: usize) -> Expression {
        let grouping = self.grouping();
        match self.draw.below(10) {
            0 => {
                let quantile = self.quantile();
                let vector = self.vector(depth);
                let quantile = steady(quantile, &vector);
                let template = format!("quantile{grouping}({{}}, {{}})");
                Expression::node(Kind::Vector, &template, vec![quantile, vector])
            }
            1 => {
                let label = self.draw.one(&["value", "job", "code", "le", ""]);
                let vector = self.vector(depth);
                let template = format!("count_values{grouping}(\"{label}\", {{}})");
                Expression::node(Kind::Vector, &template, vec![vector])
            }
            _ => {
                let operator = self.draw.one(&AGGREGATES);
                let vector = self.vector(depth);
                let template = if self.draw.chance(30) && !grouping.is_empty() {
                    format!("{operator}({{}}){grouping}")
                } else {
                    format!("{operator}{grouping}({{}})")
                };
                Expression::node(Kind::Vector, &template, vec![vector])
            }
        }
    }

    fn of_ranked(&mut self, depth: usize) -> Expression {
        let over = self.draw.one(&["count", "min", "max", "sum"]);
        let operator = self.draw.one(&["topk", "bottomk"]);
        let count = self.count();
        let vector = self.vector(depth);
        let count = steady(count, &vector);
        let template = format!("{over}({operator}({{}}, {{}}))");
        Expression::node(Kind::Vector, &template, vec![count, vector])
    }

    fn grouping(&mut self) -> String {
        let word = match self.draw.below(10) {
            0..3 => return String::new(),
            3..8 => "by",
            _ => "without",
        };
        format!(" {word} ({}) ", self.labels(30))
    }

    fn labels(&mut self, percent: usize) -> String {
        self.draw.some(&LABELS, percent).join(", ")
    }

    fn window(&mut self, depth: usize) -> Expression {
        match self.draw.below(12) {
            // Prometheus 2 counts from the end of the window, not from the evaluation.
            0 if self.grammar.has_prometheus_3_syntax => {
                let seconds = self.scalar(depth.min(1));
                let matrix = self.matrix(depth);
                let children = vec![matrix, seconds];
                Expression::node(Kind::Vector, "predict_linear({}, {})", children)
            }
            1 => {
                let quantile = self.quantile();
                let matrix = self.matrix(depth);
                let children = vec![quantile, matrix];
                Expression::node(Kind::Vector, "quantile_over_time({}, {})", children)
            }
            2..6 => {
                let function = self.draw.one(&["rate", "increase"]);
                let matrix = self.matrix(depth);
                Expression::node(Kind::Vector, &format!("{function}({{}})"), vec![matrix])
            }
            _ => {
                let known: Vec<&str> = WINDOWS
                    .into_iter()
                    .filter(|name| !self.grammar.missing.contains(name))
                    .collect();
                let function = self.draw.one(&known);
                let matrix = self.matrix(depth);
                Expression::node(Kind::Vector, &format!("{function}({{}})"), vec![matrix])
            }
        }
    }

    fn map(&mut self, depth: usize) -> Expression {
        let vector = self.vector(depth);
        match self.draw.below(6) {
            0 => {
                let to = self.scalar(0);
                Expression::node(Kind::Vector, "round({}, {})", vec![vector, to])
            }
            1 => Expression::node(Kind::Vector, "round({})", vec![vector]),
            2 => {
                let (low, high) = (self.scalar(0), self.scalar(0));
                Expression::node(Kind::Vector, "clamp({}, {}, {})", vec![vector, low, high])
            }
            3 => {
                let function = self.draw.one(&["clamp_min", "clamp_max"]);
                let bound = self.scalar(depth.min(1));
                let template = format!("{function}({{}}, {{}})");
                Expression::node(Kind::Vector, &template, vec![vector, bound])
            }
            _ => {
                let map = self.draw.one(&MAPS);
                Expression::node(Kind::Vector, &format!("{map}({{}})"), vec![vector])
            }
        }
    }

    fn calendar(&mut self, depth: usize) -> Expression {
        let function = self.draw.one(&CALENDAR);
        match self.draw.below(4) {
            0 => self.leaf(Kind::Vector, format!("{function}()")),
            // Go's time of NaN or of an age without end is no date, but what a processor makes of it.
            1 => {
                let vector = self.vector(depth);
                let template = format!("{function}(({{}}) > -1e12 < 1e12)");
                Expression::node(Kind::Vector, &template, vec![vector])
            }
            _ => {
                let vector = self.timed(0);
                let factor = self.draw.one(&["1", "400", "-3", "0.5"]);
                let template = format!("{function}(timestamp({{}}) * {factor})");
                Expression::node(Kind::Vector, &template, vec![vector])
            }
        }
    }

    fn relabel(&mut self, depth: usize) -> Expression {
        let vector = self.vector(depth);
        let target = self.draw.one(&["job", "new", "le", "instance", "__name__"]);
        let source = self.draw.one(&["job", "instance", "code", "text", "nothing"]);
        let template = if self.draw.chance(70) {
            let regex = self.draw.one(&[
                "(.*)",
                "(a|b|c).*",
                "(?P<first>.)(.*)",
                "",
                ".+",
                "([a-z]+):([0-9]+)",
                "two.lines",
                "(",
            ]);
            let replacement =
                self.draw.one(&["$1", "${1}-x", "$1x", "fixed", "", "$first", "$2$1", "$$1"]);
            format!("label_replace({{}}, '{target}', '{replacement}', '{source}', '{regex}')")
        } else {
            let other = self.draw.one(&["zone", "version", "__name__"]);
            let separator = self.draw.one(&["", "-", ", "]);
            format!("label_join({{}}, '{target}', '{separator}', '{source}', '{other}')")
        };
        Expression::node(Kind::Vector, &template, vec![vector])
    }

    fn histogram(&mut self, depth: usize) -> Expression {
        let metric = self.draw.one(&["latency_seconds_bucket", "broken_bucket"]);
        let buckets = match self.draw.below(6) {
            0 => self.vector(depth),
            1 => self.selector_of(metric),
            2..5 => {
                let range = self.range();
                let selector = self.selector_of(metric);
                let grouping = self.draw.one(&["le", "le, job", "job, le, instance"]);
                let template = format!("sum by ({grouping}) (rate({{}}[{range}]))");
                let selector = strip_shift(selector);
                Expression::node(Kind::Vector, &template, vec![selector])
            }
            _ => {
                let matrix = self.matrix(depth.min(1));
                Expression::node(Kind::Vector, "increase({})", vec![matrix])
            }
        };
        if self.draw.chance(20) && !self.grammar.missing.contains("histogram_fraction") {
            let (lower, upper) = (self.scalar(0), self.scalar(0));
            let children = vec![lower, upper, buckets];
            return Expression::node(Kind::Vector, "histogram_fraction({}, {}, {})", children);
        }
        let quantile = self.quantile();
        Expression::node(Kind::Vector, "histogram_quantile({}, {})", vec![quantile, buckets])
    }

    fn with_scalar(&mut self, depth: usize) -> Expression {
        let (vector, scalar) = (self.vector(depth), self.scalar(depth.min(2)));
        let operator = self.operator();
        let children =
            if self.draw.chance(50) { vec![vector, scalar] } else { vec![scalar, vector] };
        let template = if self.draw.chance(60) { "({}) OP ({})" } else { "{} OP {}" };
        Expression::node(Kind::Vector, &template.replace("OP", operator), children)
    }

    fn operator(&mut self) -> &'static str {
        self.draw.one(&[
            "+", "-", "*", "/", "%", "+", "-", "*", "/", "==", "!=", ">", "<", ">=", "<=",
            "== bool", "!= bool", "> bool", "< bool", ">= bool", "<= bool",
        ])
    }

    fn matched(&mut self, depth: usize) -> Expression {
        let operator = self.operator();
        let (left, right, matching) = match self.draw.below(10) {
            // Both grouped alike: one to one.
            0..4 => {
                let labels = self.labels(30);
                let side = |making: &mut Self| {
                    let aggregate = making.draw.one(&AGGREGATES);
                    let inner = making.vector(depth);
                    let template = format!("{aggregate} by ({labels}) ({{}})");
                    Expression::node(Kind::Vector, &template, vec![inner])
                };
                (side(self), side(self), String::new())
            }
            // Information joined to a metric.
            4..6 => {
                let (many, one) = (self.vector(depth), self.selector_of("build_info"));
                let include = self.draw.one(&["", "version", "version, zone", "__name__"]);
                let matching = format!(" on (job, instance) group_left ({include})");
                (many, one, matching)
            }
            6..8 => {
                let vector = self.vector(depth);
                (vector.clone(), vector, String::new())
            }
            _ => {
                let word = self.draw.one(&["on", "ignoring"]);
                let mut matching = format!(" {word} ({})", self.labels(40));
                match self.draw.below(4) {
                    0 => matching += &format!(" group_left ({})", self.labels(10)),
                    1 => matching += &format!(" group_right ({})", self.labels(10)),
                    _ => {}
                }
                (self.vector(depth), self.vector(depth), matching)
            }
        };
        let template = if self.draw.chance(60) { "({}) OP ({})" } else { "{} OP {}" };
        let template = template.replace("OP", &format!("{operator}{matching}"));
        Expression::node(Kind::Vector, &template, vec![left, right])
    }

    fn set(&mut self, depth: usize) -> Expression {
        let operator = self.draw.one(&["and", "or", "unless"]);
        let matching = match self.draw.below(4) {
            0 => format!(" on ({})", self.labels(30)),
            1 => format!(" ignoring ({})", self.labels(30)),
            _ => String::new(),
        };
        let (left, right) = (self.vector(depth), self.vector(depth));
        let template = if self.draw.chance(60) { "({}) OP ({})" } else { "{} OP {}" };
        let template = template.replace("OP", &format!("{operator}{matching}"));
        Expression::node(Kind::Vector, &template, vec![left, right])
    }
}

/// A selector alone, for a range to follow.
fn strip_shift(selector: Expression) -> Expression {
    let text = selector.to_string();
    let end = text.rfind('}').map_or(text.len(), |at| at + 1);
    Expression::leaf(Kind::Vector, &text[..end])
}

/// A parameter for an aggregation: Prometheus 3.5 takes that of the first step for all of them where
/// the vector is fixed by `@`.
fn steady(parameter: Expression, vector: &Expression) -> Expression {
    let is_fixed = vector.to_string().contains(" @ ");
    let text = parameter.to_string();
    let is_literal = text.parse::<f64>().is_ok();
    if is_fixed && !is_literal { Expression::leaf(Kind::Scalar, "1") } else { parameter }
}
