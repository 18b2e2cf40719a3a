//! A rollback, and a release, as the configuration describes them.

use std::sync::Arc;
use std::time::Duration;

use super::machine::Sealed;
use super::{Effect, Plan};
use crate::model::{
    HttpSettings, Matcher, Money, TargetId, TimeInterval, Timestamp, format_duration,
};
use crate::notice::Webhook;

/// An entry of `rollbacks:`: which alerts fire it, and what it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Its name.
    pub name: String,
    /// A firing alert that satisfies all of them triggers it.
    pub matchers: Vec<Matcher>,
    /// The targets that traffic is taken from.
    pub candidate: Vec<TargetId>,
    /// The targets that traffic goes back to; they are asked first.
    pub stable: Vec<TargetId>,
    /// What it does.
    pub does: Does,
    /// The least time between two rollbacks; 30 m by default.
    pub cooldown: Duration,
    /// At most this many in 24 hours; 3 by default.
    pub daily_max: u32,
    /// How often its plan is rehearsed by itself, if at all.
    pub drill_interval: Option<Duration>,
    /// Whether it really calls.
    pub mode: Mode,
    /// Whether it fires even where stable is bad too.
    pub force: bool,
}

/// What a rollback does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// It calls a webhook, and goes by its answer alone.
    Call(Box<Webhook>),
    /// It goes through the steps of a plan.
    Plan(Arc<Plan>),
}

/// Whether a rollback really calls its webhook or takes its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It calls.
    Live,
    /// It records and logs what it would have called.
    DryRun,
}

/// An entry of `releases:`. Its rollback is an entry of its own, of the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// What is done, stage by stage.
    pub plan: Sealed,
    /// The router's route whose traffic it moves, if it is the router's.
    pub route: Option<String>,
    /// How closely its targets are watched while it runs.
    pub probing: Probing,
    /// How traffic is moved that somebody else carries.
    pub traffic: Traffic,
    /// Whose samples its expressions and counters are; our own where none is named.
    pub datasource: Option<Datasource>,
    /// When no stage passes.
    pub freezes: Vec<Arc<TimeInterval>>,
    /// A drill counts for this long.
    pub drill_age_max: Duration,
    /// A drill that took longer does not count.
    pub drill_took_max: Duration,
    /// Names what its rollback does: a drill of something else does not count.
    pub rollback_mark: String,
}

/// How closely the targets of a release are watched while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// The longest time between two probes of a target; 15 s by default.
    pub interval: Duration,
    /// What all of them may cost in a day (UTC), in place of the targets' own budgets.
    pub budget_daily: Option<Money>,
}

/// Somebody who answers Prometheus's query API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datasource {
    /// What stands before `/api/v1`.
    pub url: String,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How to connect.
    pub http: HttpSettings,
}

/// What a datasource is asked at the end of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The release.
    pub release: String,
    /// Its block.
    pub block: u64,
    /// At which time the expressions are evaluated.
    pub at: Timestamp,
    /// The expressions, in order.
    pub exprs: Vec<String>,
}

/// How traffic is moved that the router does not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// People do, as they are told of each stage; or the router carries all of it.
    Unattended,
    /// By steps, in which [`SHARE`] stands for the share.
    Steps(Arc<Plan>),
}

/// What stands for the candidate's share, in percent, in commands and files.
pub const SHARE: &str = "{{share}}";

impl Plan {
    /// The plan with a share in place of [`SHARE`].
    pub fn with_share(&self, share: u8) -> Self {
        let mut plan = self.clone();
        let share = share.to_string();
        let fill = |text: &mut String| *text = text.replace(SHARE, &share);
        for step in &mut plan.steps {
            match &mut step.effect {
                Effect::Command { argv, rehearsal, .. } => {
                    argv.iter_mut().chain(rehearsal.iter_mut().flatten()).for_each(fill);
                }
                Effect::File { content, .. } => fill(content),
                Effect::Webhook { .. } | Effect::Verify => {}
            }
        }
        plan
    }
}

/// The last rehearsal of a rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drilled {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Whether all of it went well.
    pub is_good: bool,
    /// What was rehearsed; see [`Release::rollback_mark`].
    pub mark: String,
}

impl Release {
    /// Why its rollback can't be relied on, given its last rehearsal.
    pub fn undrilled(&self, last: Option<&Drilled>, now: Timestamp) -> Option<String> {
        let name = &self.plan.name;
        let why = match last {
            None => "its rollback was never rehearsed".to_owned(),
            Some(last) if last.mark != self.rollback_mark => {
                "its rollback was changed since it was rehearsed".to_owned()
            }
            Some(last) if !last.is_good => {
                format!("the last drill, at {}, failed", last.at.rfc3339())
            }
            Some(last) if last.took > self.drill_took_max => format!(
                "the last drill took {:.1} s, more than {}",
                last.took.as_secs_f64(),
                format_duration(self.drill_took_max)
            ),
            Some(last) if now.since(last.at) > self.drill_age_max => format!(
                "the last good drill, at {}, is older than {}",
                last.at.rfc3339(),
                format_duration(self.drill_age_max)
            ),
            Some(_) => return None,
        };
        Some(format!("{why}; run `bellwether release drill {name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{OnError, Step};

    fn step(effect: Effect) -> Step {
        let name = "s".to_owned();
        let timeout = Duration::from_secs(5);
        Step { name, effect, timeout, on_error: OnError::Continue, moves_traffic: true }
    }

    #[test]
    fn a_share_stands_wherever_it_was_asked_for() {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let command = |argv: &[&str], rehearsal: &[&str]| {
            step(Effect::Command {
                argv: words(argv),
                environment: Vec::new(),
                rehearsal: Some(words(rehearsal)),
            })
        };
        let file =
            |content: &str| step(Effect::File { path: "/w".into(), content: content.to_owned() });
        let deadline = Duration::from_secs(60);
        let plan = Plan {
            steps: vec![
                command(&["set", "new={{share}}", "{{share}}%"], &["check", "{{share}}"]),
                file("weight {{share}}\nrest {share}\n"),
                step(Effect::Verify),
            ],
            deadline,
        };
        let expected = Plan {
            steps: vec![
                command(&["set", "new=25", "25%"], &["check", "25"]),
                file("weight 25\nrest {share}\n"),
                step(Effect::Verify),
            ],
            deadline,
        };
        assert_eq!(plan.with_share(25), expected);
    }
}
