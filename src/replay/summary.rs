//! What it all came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::course::{Course, Failure, Incident, RuleName};
use super::entry::{alert, object};
use super::plan::shown;
use super::run::Run;
use crate::model::{Labels, Timestamp, format_duration};
use crate::rules::RuleSpec;

/// An alert that fires again within this time has flapped. So long does Prometheus remember one
/// that resolved.
const FLAP: Duration = Duration::from_secs(15 * 60);

/// The whole time that was asked for.
#[derive(Clone, Debug)]
pub struct Summary {
    from: Timestamp,
    to: Timestamp,
    alerts: Vec<Row>,
    notices: BTreeMap<String, u64>,
    posts: u64,
    rollbacks: BTreeMap<(String, &'static str), u64>,
    failures: BTreeMap<RuleName, Failure>,
    silent: Vec<RuleName>,
    /// Rules and selectors of theirs that found no series.
    unmatched: Vec<(RuleName, String)>,
    remarks: Vec<String>,
}

/// What became of one alert.
#[derive(Clone, Debug)]
struct Row {
    labels: Labels,
    pending: usize,
    firing: usize,
    resolved: usize,
    time: Duration,
    flaps: usize,
    is_firing: bool,
}

impl Summary {
    pub(super) fn of(run: &Run, from: Timestamp, to: Timestamp, remarks: Vec<String>) -> Self {
        let course = &run.course;
        let alerts = course.alerts.iter();
        let mut rollbacks = BTreeMap::new();
        for decided in &course.decisions {
            *rollbacks.entry((decided.rollback.clone(), decided.verdict)).or_default() += 1;
        }
        let unmatched = run.unmatched.iter();
        Self {
            from,
            to,
            alerts: alerts.map(|(labels, all)| Row::of(labels, all, from, to)).collect(),
            notices: course.notices.clone(),
            posts: course.posts,
            rollbacks,
            failures: course.failures.clone(),
            silent: silent(run, course),
            unmatched: unmatched
                .map(|read| ((read.group.clone(), read.rule.clone()), shown(&read.matchers)))
                .collect(),
            remarks,
        }
    }

    /// One object with the kind `summary`.
    pub fn to_json(&self) -> Value {
        let alerts = self.alerts.iter().map(Row::to_json);
        let rollbacks = self.rollbacks.iter().map(|((name, verdict), count)| {
            json!({"rollback": name, "verdict": verdict, "count": count})
        });
        let failures = self.failures.iter().map(|((group, rule), failure)| {
            let (count, error) = (failure.count, &failure.error);
            json!({"group": group, "rule": rule, "count": count, "error": error})
        });
        let silent = self.silent.iter();
        let silent = silent.map(|(group, rule)| json!({"group": group, "rule": rule}));
        let unmatched = self.unmatched.iter().map(
            |((group, rule), selector)| json!({"group": group, "rule": rule, "selector": selector}),
        );
        json!({
            "kind": "summary",
            "from": self.from.rfc3339(),
            "to": self.to.rfc3339(),
            "alerts": alerts.collect::<Vec<_>>(),
            "notices": self.notices,
            "alertmanager_posts": self.posts,
            "rollbacks": rollbacks.collect::<Vec<_>>(),
            "failures": failures.collect::<Vec<_>>(),
            "never_fired": silent.collect::<Vec<_>>(),
            "without_series": unmatched.collect::<Vec<_>>(),
            "remarks": self.remarks,
        })
    }
}

/// The alerting rules that no alert fired of.
fn silent(run: &Run, course: &Course) -> Vec<RuleName> {
    let groups = run.settings.rules.iter().flat_map(|file| &file.groups);
    let rules = groups.flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let alerting = rules.filter(|(_, rule)| matches!(rule, RuleSpec::Alerting(_)));
    let names = alerting.map(|(group, rule)| {
        let key = (format!("{};{}", group.file, group.name), rule.name().to_owned());
        (key, (group.name.clone(), rule.name().to_owned()))
    });
    names.filter(|(key, _)| !course.fired_rules.contains(key)).map(|(_, name)| name).collect()
}

impl Row {
    fn of(labels: &Labels, incidents: &[Incident], from: Timestamp, to: Timestamp) -> Self {
        let is_within = |time: Timestamp| from <= time && time <= to;
        let fired: Vec<(Timestamp, Option<Timestamp>)> = incidents
            .iter()
            .filter_map(|incident| Some((incident.fired?, incident.ended)))
            .collect();
        let time = fired.iter().map(|(since, until)| until.unwrap_or(to).since((*since).max(from)));
        let flaps = fired.windows(2).filter(|pair| match pair {
            [(_, Some(ended)), (again, _)] => again.since(*ended) < FLAP,
            _ => false,
        });
        Self {
            labels: labels.clone(),
            pending: incidents.iter().filter(|incident| is_within(incident.began)).count(),
            firing: fired.iter().filter(|(since, _)| is_within(*since)).count(),
            resolved: fired.iter().filter(|(_, until)| until.is_some()).count(),
            time: time.sum(),
            flaps: flaps.count(),
            is_firing: fired.iter().any(|(_, until)| until.is_none()),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "labels": object(&self.labels),
            "pending": self.pending,
            "firing": self.firing,
            "resolved": self.resolved,
            "firing_seconds": self.time.as_secs_f64(),
            "flaps": self.flaps,
            "is_firing": self.is_firing,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}  pending {}, firing {}, resolved {}; fired for {}",
            alert(&self.labels),
            self.pending,
            self.firing,
            self.resolved,
            format_duration(self.time)
        )?;
        if self.flaps > 0 {
            write!(formatter, "; flapped {} times", self.flaps)?;
        }
        formatter.write_str(if self.is_firing { "; fires still" } else { "" })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = format_duration(self.to.since(self.from));
        writeln!(formatter, "{} to {} ({length}); nothing was sent", self.from, self.to)?;
        section(formatter, "alerts", self.alerts.iter().map(Row::to_string))?;
        let notices = self.notices.iter();
        let notices = notices.map(|(receiver, count)| format!("{receiver}  {count}"));
        section(formatter, "notices by receiver", notices)?;
        let posts = (self.posts > 0).then(|| self.posts.to_string());
        section(formatter, "posts to Alertmanagers", posts.into_iter())?;
        let rollbacks = self.rollbacks.iter();
        let rollbacks =
            rollbacks.map(|((name, verdict), count)| format!("{name}  {verdict}  {count}"));
        section(formatter, "rollbacks", rollbacks)?;
        let failures = self.failures.iter().map(|((group, rule), failure)| {
            format!("{group}/{rule}  {} times, at last: {}", failure.count, failure.error)
        });
        section(formatter, "rules that failed", failures)?;
        let silent = self.silent.iter().map(|(group, rule)| format!("{group}/{rule}"));
        section(formatter, "rules that never fired", silent)?;
        let unmatched = self.unmatched.iter();
        let unmatched =
            unmatched.map(|((group, rule), selector)| format!("{group}/{rule}  {selector}"));
        section(formatter, "selectors that found no series", unmatched)?;
        section(formatter, "remarks", self.remarks.iter().cloned())
    }
}

/// A heading and its lines; nothing where there are none.
fn section(
    formatter: &mut fmt::Formatter<'_>,
    heading: &str,
    lines: impl Iterator<Item = String>,
) -> fmt::Result {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        writeln!(formatter, "{heading}:")?;
    }
    lines.try_for_each(|line| writeln!(formatter, "  {line}"))
}
