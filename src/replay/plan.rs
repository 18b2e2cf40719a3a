//! What must be read so that rules say the same as if they had run all along.
//!
//! Before the time that is asked for, rules are evaluated for as long as an alert may have been
//! waiting (`for` and `keep_firing_for`) and as the rules that read recorded series look back; and
//! samples are read for the longest window more than that. A selector that `@` binds to a moment is
//! not reckoned with, and a rule that reads what it wrote itself counts once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::engine::Settings;
use crate::model::{Labels, MatchOp, Matcher};
use crate::promql::{self, Expr, PartKind};
use crate::rules::{GroupSpec, RuleFile, RuleSpec};
use crate::telemetry::metrics;

/// How far back an instant selector looks.
const LOOKBACK: Duration = Duration::from_secs(300);

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Selectors by their text, each once.
    pub(super) selections: BTreeMap<String, Vec<Matcher>>,
    /// How long before the start rules are evaluated.
    pub(super) warm_up: Duration,
    /// How long before that samples are read.
    pub(super) window: Duration,
}

/// A selector of a rule.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) group: String,
    pub(super) rule: String,
    pub(super) matchers: Vec<Matcher>,
}

impl Plan {
    /// For several sets of rules that are played together.
    pub(super) fn of<'a>(settings: impl IntoIterator<Item = &'a Settings>) -> Self {
        let mut plan = Self::default();
        for settings in settings {
            plan.add(settings);
        }
        plan
    }

    fn add(&mut self, settings: &Settings) {
        let rules = Rules::of(&settings.rules);
        self.warm_up = self.warm_up.max(rules.warm_up());
        for (group, rule) in &rules.0 {
            let offset = group.query_offset.unwrap_or(settings.rule_query_offset);
            for expr in reads(rule) {
                self.window = self.window.max(reach(&expr) + offset);
                expr.selectors().into_iter().for_each(|selector| self.select(selector.matchers));
            }
        }
        if !settings.rollbacks.is_empty() {
            self.select_evidence(settings);
        }
    }

    fn select(&mut self, matchers: Vec<Matcher>) {
        self.selections.insert(written(&matchers), matchers);
    }

    /// What tells how the targets of rollbacks did, and bellwether itself.
    fn select_evidence(&mut self, settings: &Settings) {
        let stable = settings.rollbacks.iter().flat_map(|rollback| &rollback.stable);
        let names: Vec<String> = stable.map(|id| regex::escape(id.as_str())).collect();
        let named = |name: &str| Matcher::new(Labels::NAME, MatchOp::Equal, name);
        let of_stable = Matcher::new("target", MatchOp::Regex, &names.join("|"));
        for matchers in [
            vec![named(metrics::PROBE_RUNS.name), of_stable],
            vec![named(metrics::CANARY_HEALTHY.name)],
            vec![named(metrics::VANTAGE_SUSPECT.name)],
        ] {
            // An equality and escaped names always make matchers.
            if let Ok(matchers) = matchers.into_iter().collect() {
                self.select(matchers);
            }
        }
    }
}

/// Every selector of every rule, for who asks which of them found nothing.
pub(super) fn rule_reads(settings: &Settings) -> Vec<Read> {
    let groups = settings.rules.iter().flat_map(|file| &file.groups);
    let rules = groups.flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let mut found: Vec<Read> = Vec::new();
    for (group, rule) in rules {
        for selector in rule.expr().selectors() {
            let read = Read {
                group: group.name.clone(),
                rule: rule.name().to_owned(),
                matchers: selector.matchers,
            };
            let key = |read: &Read| (read.group.clone(), read.rule.clone(), shown(&read.matchers));
            if !found.iter().any(|other| key(other) == key(&read)) {
                found.push(read);
            }
        }
    }
    found
}

struct Rules<'a>(Vec<(&'a GroupSpec, &'a RuleSpec)>);

impl<'a> Rules<'a> {
    fn of(files: &'a [RuleFile]) -> Self {
        let groups = files.iter().flat_map(|file| &file.groups);
        Self(groups.flat_map(|g| g.rules.iter().map(move |rule| (g, rule))).collect())
    }

    fn warm_up(&self) -> Duration {
        let mut path = Vec::new();
        (0..self.0.len()).map(|rule| self.needed(rule, &mut path)).max().unwrap_or_default()
    }

    /// How long a rule must have run: its own waiting, and what it looks back at of other rules'.
    fn needed(&self, position: usize, path: &mut Vec<usize>) -> Duration {
        let Some((_, rule)) = self.0.get(position).filter(|_| !path.contains(&position)) else {
            return Duration::ZERO;
        };
        let own = match rule {
            RuleSpec::Recording(_) => Duration::ZERO,
            RuleSpec::Alerting(rule) => rule.holds.pending + rule.holds.firing,
        };
        path.push(position);
        let writers = (0..self.0.len()).filter(|writer| self.feeds(*writer, rule));
        let before = writers.map(|writer| reach(rule.expr()) + self.needed(writer, path)).max();
        path.pop();
        own + before.unwrap_or_default()
    }

    fn feeds(&self, writer: usize, reader: &RuleSpec) -> bool {
        let Some((_, RuleSpec::Recording(writer))) = self.0.get(writer) else { return false };
        reader.expr().selectors().iter().any(|selector| {
            let mut names = selector.matchers.iter().filter(|m| m.name() == Labels::NAME);
            names.all(|matcher| matcher.matches(&writer.record))
        })
    }
}

/// Everything that a rule asks: its expression, and the queries of its texts.
fn reads(rule: &RuleSpec) -> Vec<Expr> {
    let mut exprs = vec![rule.expr().clone()];
    if let RuleSpec::Alerting(rule) = rule {
        let templates = rule.labels.values().chain(rule.annotations.values());
        exprs.extend(templates.flat_map(|template| template.texts()).filter_map(query));
    }
    exprs
}

/// A literal of a template as the query that it may be. A verb of `printf` stands for anything, so
/// a condition with one in it is left out, and more is read than is asked for.
fn query(text: &str) -> Option<Expr> {
    let expr = promql::parse(&text.replace("%q", "\"%q\"")).ok()?;
    let mut widened: Vec<String> = Vec::new();
    for selector in expr.selectors() {
        let fixed = selector.matchers.into_iter().filter(|m| !m.value().contains('%'));
        let mut text = written(&fixed.collect::<Vec<_>>());
        if text == "{}" {
            return None;
        }
        if let Some(range) = selector.range {
            let _infallible = write!(text, "[{}ms]", range.as_millis());
            text = format!("last_over_time({text})");
        }
        widened.push(text);
    }
    promql::parse(&widened.join(" or ")).ok()
}

/// How far before its time an expression reads.
fn reach(expr: &Expr) -> Duration {
    let parts = expr.parts();
    // What subqueries around a part add. A part stands after what it is made of.
    let mut around = vec![0_i64; parts.len()];
    let mut reach = 0;
    for (position, part) in parts.iter().enumerate().rev() {
        let before = around[position];
        let (inner, more): (Vec<usize>, i64) = match &part.kind {
            PartKind::Constant => continue,
            PartKind::Selection { range, offset_millis, .. } => {
                let own = millis(range.unwrap_or(LOOKBACK)).saturating_add(*offset_millis);
                reach = reach.max(before.saturating_add(own));
                continue;
            }
            PartKind::Subquery { inner, range, offset_millis } => {
                (vec![*inner], millis(*range).saturating_add(*offset_millis))
            }
            PartKind::Around(inner) => (vec![*inner], 0),
            PartKind::Call { arguments, .. } => (arguments.clone(), 0),
            PartKind::Aggregate { operand, parameter, .. } => {
                (std::iter::once(*operand).chain(*parameter).collect(), 0)
            }
            PartKind::Binary { left, right, .. } => (vec![*left, *right], 0),
        };
        for position in inner {
            if let Some(slot) = around.get_mut(position) {
                *slot = before.saturating_add(more);
            }
        }
    }
    Duration::from_millis(reach.max(0).unsigned_abs())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A selector as any Prometheus reads it.
pub(super) fn written(matchers: &[Matcher]) -> String {
    let conditions: Vec<String> = matchers.iter().map(condition).collect();
    format!("{{{}}}", conditions.join(","))
}

/// A selector as people write it, with the name in front.
pub(super) fn shown(matchers: &[Matcher]) -> String {
    let is_name = |m: &&Matcher| m.name() == Labels::NAME && m.op() == MatchOp::Equal;
    let name = matchers.iter().find(is_name).map_or("", Matcher::value);
    let rest = matchers.iter().filter(|matcher| !is_name(matcher)).map(condition);
    let rest: Vec<String> = rest.collect();
    match rest.is_empty() && !name.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", rest.join(",")),
    }
}

fn condition(matcher: &Matcher) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = match matcher.name().chars().all(is_plain) {
        true => matcher.name().to_owned(),
        false => quoted(matcher.name()),
    };
    format!("{name}{}{}", matcher.op().as_str(), quoted(matcher.value()))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand: what stands furthest inside looks back from where the subqueries around it begin.
    #[test]
    fn an_expression_reaches_as_far_as_its_deepest_window() {
        for (text, seconds) in [
            ("x", 300),
            ("rate(x[5m]) / rate(y[1h] offset 1d)", 90_000),
            ("max_over_time(rate(x[5m])[30m:1m]) > 1", 2100),
            ("sum by (a) (max_over_time((x offset 1m)[10m:] offset 1h))", 4560),
            ("x offset -10m", 0),
            ("vector(1)", 0),
        ] {
            let expr = promql::parse(text).unwrap();
            assert_eq!(reach(&expr), Duration::from_secs(seconds), "{text}");
        }
    }

    // By hand: `A` waits 5m; `B` waits 1m and is kept for 2m, and looks back 10m at what looks back
    // 30m at another recording; what reads itself counts once.
    #[test]
    fn rules_run_as_long_as_waiting_and_recorded_series_need() {
        for (rules, minutes) in [
            ("{alert: A, expr: x > 0, for: 5m}", 5),
            ("{record: r, expr: 'rate(x[1h])'}", 0),
            (
                "{record: r, expr: 'rate(x[1h])'}, {record: s, expr: 'max_over_time(r[30m])'}, \
                 {alert: B, expr: 'min_over_time(s[10m]) > 0', for: 1m, keep_firing_for: 2m}",
                43,
            ),
            ("{record: r, expr: 'x or max_over_time(r[7m])'}", 7),
        ] {
            let text = format!("groups: [{{name: g, rules: [{rules}]}}]");
            let files = [crate::rules::parse("r.yml", &text).unwrap()];
            let needed = Rules::of(&files).warm_up();
            assert_eq!(needed, Duration::from_secs(60 * minutes), "{rules}");
        }
    }

    #[test]
    fn a_query_of_a_template_is_widened_where_it_is_filled_in_later() {
        for (text, expected) in [
            ("up", Some("{__name__=\"up\"}")),
            ("rate(x{a=\"b\",job=%q}[5m])", Some("{a=\"b\",__name__=\"x\"}")),
            ("{job=\"%s\"}", None),
            ("humanize this", None),
        ] {
            let found = query(text).map(|expr| written(&expr.selectors()[0].matchers));
            let sorted = |text: &str| {
                let inner = text.trim_matches(['{', '}']).to_owned();
                let mut parts: Vec<String> = inner.split(',').map(str::to_owned).collect();
                parts.sort();
                parts
            };
            assert_eq!(found.as_deref().map(sorted), expected.map(sorted), "{text}");
        }
    }
}
