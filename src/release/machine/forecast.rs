//! What a plan can come to, said before it starts: how long each stage takes, and on what it passes.

use std::fmt;
use std::time::Duration;

use super::plan::{AdvanceOn, Sealed, Stage};
use crate::model::{TargetId, format_duration};
use crate::release::gate::{Standing, Subject, Unit};

/// How many outcomes are expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Probes of the candidate, an hour.
    pub candidate_probes: f64,
    /// Probes of stable, an hour.
    pub stable_probes: f64,
    /// Requests of clients, an hour, to be shared out between the two.
    pub requests: f64,
}

/// What a plan can come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    plan: Sealed,
    /// Each stage, in order.
    pub stages: Vec<StageForecast>,
}

/// What a stage can come to.
#[derive(Clone, Debug, PartialEq)]
pub struct StageForecast {
    /// Its number, from 1.
    pub number: usize,
    /// The stage.
    pub stage: Stage,
    /// Outcomes of the candidate, an hour.
    pub outcomes_hourly: f64,
    /// How many good outcomes prove its health, by the gate that asks for most; `None` where none
    /// counts outcomes against a limit.
    pub needed: Option<u64>,
    /// When it passes on evidence at the soonest, nothing being bad; `None` where that is after the
    /// deadline or not asked for.
    pub on_evidence: Option<Duration>,
    /// When it passes on time; `None` where there are too few outcomes by the deadline, or that is
    /// not asked for.
    pub on_time: Option<Duration>,
    /// How long a candidate that only fails goes unnoticed by its gates.
    pub outage_found: Option<Duration>,
}

impl Rates {
    fn at(self, share: u8) -> (f64, f64) {
        let part = f64::from(share) / 100.0;
        let stable = self.stable_probes + (1.0 - part) * self.requests;
        (self.candidate_probes + part * self.requests, stable)
    }
}

/// What a plan can come to at the expected rates.
pub fn forecast(plan: &Sealed, rates: Rates) -> Forecast {
    let each = (1..).zip(&plan.stages).map(|(number, stage)| of_stage(plan, number, stage, rates));
    Forecast { plan: plan.clone(), stages: each.collect() }
}

fn of_stage(plan: &Sealed, number: usize, stage: &Stage, rates: Rates) -> StageForecast {
    let (candidate, stable) = rates.at(stage.share);
    let standings = plan.gates_of(stage).standings();
    let gates = || plan.gates.iter().map(|gate| &gate.subject).zip(&standings);
    // The gate that waits longest decides; one that waits forever decides too.
    let longest = |waits: Vec<Option<Duration>>| {
        waits.into_iter().collect::<Option<Vec<_>>>().and_then(|waits| waits.into_iter().max())
    };
    let samples = |subject: &Subject| {
        let own = takes(stage.samples_min, candidate);
        match subject {
            Subject::AgainstStable => Some(own?.max(takes(stage.samples_min, stable)?)),
            Subject::Expression { .. } => Some(plan.unit_length),
            Subject::Errors { .. }
            | Subject::Slow { .. }
            | Subject::Content { .. }
            | Subject::Cost { .. } => own,
        }
    };
    let proof = |subject: &Subject, standing: &Standing| match subject {
        Subject::Errors { .. } | Subject::Slow { .. } | Subject::Content { .. } => {
            takes(standing.needed_to_pass?, candidate)
        }
        Subject::Cost { .. } => {
            Some(samples(subject)?.max(blocks(plan, standing.needed_to_pass?)?))
        }
        Subject::AgainstStable | Subject::Expression { .. } => samples(subject),
    };
    let (by_evidence, by_time) = match plan.advance_on {
        AdvanceOn::Either => (true, true),
        AdvanceOn::Evidence => (true, false),
        AdvanceOn::Time => (false, true),
    };
    let proved = longest(gates().map(|(subject, standing)| proof(subject, standing)).collect())
        .map(|wait| wait.max(stage.floor));
    // On time, the gates ask for outcomes enough and for no proof.
    let timed = longest(gates().map(|(subject, _)| samples(subject)).collect())
        .map(|wait| wait.max(stage.floor).max(stage.hold));
    let outages = gates().filter_map(|(subject, gate)| outage(plan, subject, gate, candidate));
    // Costs are proved by blocks, not by outcomes.
    let counted = gates().filter(|(subject, _)| subject.allowed().is_some());
    StageForecast {
        number,
        stage: *stage,
        outcomes_hourly: candidate,
        needed: counted.filter_map(|(_, gate)| gate.needed_to_pass).max(),
        on_evidence: proved.filter(|wait| by_evidence && *wait < stage.deadline),
        on_time: timed.filter(|wait| by_time && *wait < stage.deadline),
        outage_found: outages.min(),
    }
}

/// How long so many outcomes take; `None` where there are none.
fn takes(outcomes: u64, hourly: f64) -> Option<Duration> {
    Duration::try_from_secs_f64((outcomes as f64 / hourly * 3_600.0).ceil()).ok()
}

fn blocks(plan: &Sealed, blocks: u64) -> Option<Duration> {
    plan.unit_length.checked_mul(u32::try_from(blocks).ok()?)
}

/// How long until a gate fails a candidate that only fails.
fn outage(plan: &Sealed, subject: &Subject, standing: &Standing, hourly: f64) -> Option<Duration> {
    let needed = standing.needed_to_fail?;
    match (subject, plan.unit) {
        (Subject::Errors { .. } | Subject::Slow { .. } | Subject::Content { .. }, unit) => {
            match unit {
                Unit::Probe => takes(needed, hourly),
                Unit::Minute => blocks(plan, needed),
            }
        }
        (Subject::AgainstStable | Subject::Cost { .. } | Subject::Expression { .. }, _) => None,
    }
}

impl Forecast {
    /// The first stage that can pass neither way, so that the plan would never end.
    pub fn dead_end(&self) -> Option<&StageForecast> {
        self.stages.iter().find(|stage| stage.soonest().is_none())
    }

    /// How long the whole of it takes at the soonest; `None` where it can't end.
    pub fn soonest(&self) -> Option<Duration> {
        self.stages.iter().map(StageForecast::soonest).sum()
    }

    /// What the operator should know; sentences without an end.
    pub fn remarks(&self) -> Vec<String> {
        // Where evidence was not asked for, its absence is no surprise.
        if self.plan.advance_on == AdvanceOn::Time {
            return Vec::new();
        }
        let mut remarks: Vec<(Vec<usize>, String)> = Vec::new();
        for stage in self.stages.iter().filter(|stage| stage.passes_only_on_time()) {
            let held = stage.outcomes_hourly * stage.stage.hold.as_secs_f64() / 3_600.0;
            let needed = stage.needed.map_or("more".to_owned(), |needed| needed.to_string());
            let hold = format_duration(stage.stage.hold);
            let why = format!("{needed} good outcomes prove its health, and {hold} have {held:.0}");
            match remarks.iter_mut().find(|(_, same)| *same == why) {
                Some((stages, _)) => stages.push(stage.number),
                None => remarks.push((vec![stage.number], why)),
            }
        }
        let said = |(stages, why): (Vec<usize>, String)| {
            let numbers: Vec<String> = stages.iter().map(usize::to_string).collect();
            let noun = if numbers.len() == 1 { "stage" } else { "stages" };
            let numbers = numbers.join(", ");
            format!("{noun} {numbers} can only pass on time, never on evidence: {why}")
        };
        remarks.into_iter().map(said).collect()
    }
}

impl StageForecast {
    /// When it passes at the soonest.
    pub fn soonest(&self) -> Option<Duration> {
        self.on_evidence.into_iter().chain(self.on_time).min()
    }

    /// Whether its time is over before its evidence can suffice.
    pub fn passes_only_on_time(&self) -> bool {
        self.on_time.is_some_and(|time| self.on_evidence.is_none_or(|evidence| time < evidence))
    }
}

/// A table, a line for each stage, and a sum.
impl fmt::Display for Forecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |targets: &[TargetId]| {
            let names: Vec<&str> = targets.iter().map(TargetId::as_str).collect();
            names.join(", ")
        };
        let plan = &self.plan;
        let [stable, candidate] = [&plan.stable, &plan.candidate].map(|arm| names(arm));
        let (name, generation) = (&plan.name, plan.generation);
        writeln!(formatter, "release {name}, generation {generation}: {stable} -> {candidate}")?;
        let shown = |wait: Option<Duration>| wait.map_or("never".to_owned(), format_duration);
        writeln!(
            formatter,
            "{:>5} {:>6} {:>11} {:>8} {:>12} {:>9} {:>9} {:>13}",
            "stage",
            "share",
            "outcomes/h",
            "needed",
            "on evidence",
            "on time",
            "deadline",
            "outage found"
        )?;
        for stage in &self.stages {
            let needed = stage.needed.map_or("-".to_owned(), |needed| needed.to_string());
            writeln!(
                formatter,
                "{:>5} {:>4} % {:>11.0} {needed:>8} {:>12} {:>9} {:>9} {:>13}",
                stage.number,
                stage.stage.share,
                stage.outcomes_hourly,
                shown(stage.on_evidence),
                shown(stage.on_time),
                format_duration(stage.stage.deadline),
                stage.outage_found.map_or("-".to_owned(), format_duration),
            )?;
        }
        let bake = format_duration(plan.bake);
        write!(formatter, "at the soonest {}, then it bakes for {bake}", shown(self.soonest()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::*;
    use crate::release::gate::Gate;
    use crate::statistics::Proportion;

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    fn plan(allowed: f64, advance_on: AdvanceOn, unit: Unit) -> Sealed {
        let stage = |share| Stage {
            share,
            floor: hours(1),
            hold: hours(4),
            deadline: hours(12),
            samples_min: 300,
        };
        let number = |number: f64| Proportion::new(number).unwrap();
        let plan = Plan {
            name: "next".to_owned(),
            generation: 3,
            stable: vec![TargetId::new("old")],
            candidate: vec![TargetId::new("new")],
            stages: vec![stage(1), stage(100)],
            gates: vec![Gate {
                name: "errors".to_owned(),
                weight: 1,
                counters: None,
                subject: Subject::Errors { allowed: number(allowed) },
            }],
            advance_on,
            rollback_alpha: number(0.01),
            advance_alpha: number(0.05),
            unit,
            unit_length: Duration::from_secs(15),
            no_data_after: Duration::from_secs(300),
            bake: hours(24),
            rollback_deadline: Duration::from_secs(60),
            rollbacks_daily_max: 3,
            drill_above: 100,
            approval_above: None,
        };
        plan.seal().unwrap()
    }

    /// One probe in 15 s.
    const PROBES: Rates = Rates { candidate_probes: 240.0, stable_probes: 240.0, requests: 0.0 };

    /// 421 probes in 15 s each are 6315 s.
    #[test]
    fn a_stage_of_probes_passes_after_as_many_as_prove_its_health() {
        let forecast = forecast(&plan(0.01, AdvanceOn::Either, Unit::Probe), PROBES);
        let first = &forecast.stages[0];
        assert_eq!(first.needed, Some(421));
        assert_eq!(first.on_evidence, Some(Duration::from_secs(6_315)));
        assert_eq!(first.on_time, Some(hours(4)));
        assert_eq!(first.outage_found, Some(Duration::from_secs(30)));
        assert!(forecast.remarks().is_empty() && forecast.dead_end().is_none());
    }

    /// By the reference, 99.9 % with one probe in 15 s takes 17.6 hours of perfect probes.
    #[test]
    fn a_strict_objective_with_few_probes_passes_on_time_alone() {
        let either = forecast(&plan(0.001, AdvanceOn::Either, Unit::Probe), PROBES);
        assert_eq!(either.stages[0].on_evidence, None);
        assert_eq!(
            either.remarks(),
            ["stages 1, 2 can only pass on time, never on evidence: 4225 good outcomes prove its \
              health, and 4h have 960"]
        );
        assert!(either.dead_end().is_none());
        let evidence = forecast(&plan(0.001, AdvanceOn::Evidence, Unit::Probe), PROBES);
        assert_eq!(evidence.dead_end().map(|stage| stage.number), Some(1));
        assert_eq!(evidence.soonest(), None);
    }

    #[test]
    fn traffic_is_shared_out_by_the_stage() {
        let rates = Rates { requests: 6_000.0, ..PROBES };
        let forecast = forecast(&plan(0.01, AdvanceOn::Either, Unit::Minute), rates);
        let hourly: Vec<f64> = forecast.stages.iter().map(|stage| stage.outcomes_hourly).collect();
        assert_eq!(hourly, [300.0, 6_240.0]);
        // The floor is longer than what 421 of 6240 an hour take.
        assert_eq!(forecast.stages[1].on_evidence, Some(hours(1)));
    }

    #[test]
    fn a_stage_without_outcomes_never_passes() {
        let none = Rates { candidate_probes: 0.0, ..PROBES };
        let forecast = forecast(&plan(0.01, AdvanceOn::Either, Unit::Probe), none);
        assert_eq!(forecast.dead_end().map(|stage| stage.number), Some(1));
    }

    #[test]
    fn a_forecast_reads_as_a_table() {
        let forecast = forecast(&plan(0.01, AdvanceOn::Either, Unit::Probe), PROBES);
        let expected = "\
release next, generation 3: old -> new
stage  share  outcomes/h   needed  on evidence   on time  deadline  outage found
    1    1 %         240      421     1h45m15s        4h       12h           30s
    2  100 %         240      421     1h45m15s        4h       12h           30s
at the soonest 3h30m30s, then it bakes for 1d";
        assert_eq!(forecast.to_string(), expected);
    }
}
