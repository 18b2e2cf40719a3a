//! Whole stages: how they end by evidence alone, by a gate as a release has it, and by the release's
//! own state machine.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether::model::{TargetId, Timestamp};
use bellwether::release::gate::{Arms, Block, Gate, Gates, Reading, Ruling, Stakes, Subject, Unit};
use bellwether::release::machine::{
    AdvanceOn, Basis, Command, Evidence, Moved, Plan, Stage, State, Trigger,
};
use bellwether::statistics::{Restarts, Tick, Totals};

use super::simulation::{ALLOWED, Bursts, Rule, SAMPLES_MIN, Stream, TICKS, each, number, play};

/// No stage below a quarter of the traffic passes sooner: half an hour.
const FLOOR: usize = 120;

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Rolled back.
    Rollback,
    /// Advanced on evidence.
    Early,
    /// Advanced when the time was over.
    Timed,
    /// Neither.
    Hold,
}

/// Who says how a stage ends.
#[derive(Clone, Copy, Debug)]
pub enum Judge {
    /// Evidence for trouble and for health without restarts and without a floor, as in the
    /// reference: whichever is first, or after 4 hours whether the share is within the limit.
    Evidence,
    /// A gate on probes, with the floor of a small stage.
    Gate,
    /// The state machine with a release of that one stage; it tests the whole release too.
    Machine,
}

impl Judge {
    /// How a stage of so many outcomes a tick and this share of bad ones ends.
    pub fn end(self, seed: u64, per_tick: u64, share: f64) -> End {
        let stream = Stream::new(seed, per_tick, share, share);
        match self {
            Self::Evidence => by_evidence(stream),
            Self::Gate => by_gate(stream),
            Self::Machine => by_machine(stream),
        }
    }
}

/// Shares of stages by how they ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// Rolled back.
    pub rollback: f64,
    /// Advanced on evidence.
    pub early: f64,
    /// Advanced when the time was over.
    pub timed: f64,
    /// Neither.
    pub hold: f64,
}

/// How many stages end in each way.
pub fn ends(judge: Judge, runs: u64, seed: u64, (per_tick, share): (u64, f64)) -> Ends {
    let ends = each(runs, seed, |seed| judge.end(seed, per_tick, share));
    let part = |end: End| {
        ends.iter().filter(|found| **found == end).count() as f64 / ends.len().max(1) as f64
    };
    Ends {
        rollback: part(End::Rollback),
        early: part(End::Early),
        timed: part(End::Timed),
        hold: part(End::Hold),
    }
}

fn by_evidence(stream: Stream) -> End {
    let (spoke, all) = play(stream, &[Rule::Bad(0.01, Restarts::Never), Rule::Good(0.05)]);
    let [bad, good] = [spoke[0], spoke[1]].map(|spoke| spoke.map(|(tick, _)| tick));
    let is_within = all.bad() as f64 <= ALLOWED * all.finished() as f64;
    match (bad, good) {
        (Some(bad), good) if good.is_none_or(|good| bad <= good) => End::Rollback,
        (_, Some(_)) => End::Early,
        _ if is_within && all.finished() >= SAMPLES_MIN => End::Timed,
        _ => End::Hold,
    }
}

fn by_gate(stream: Stream) -> End {
    let mut gates = gates(Unit::Probe, TICKS as u64);
    for (number, tick) in stream.enumerate() {
        gates.observe(&block(number as u64, tick));
        match gates.ruling() {
            Ruling::Fail { .. } | Ruling::CommonCause { .. } => return End::Rollback,
            Ruling::Pass if number + 1 >= FLOOR => return End::Early,
            Ruling::Pass | Ruling::Inconclusive { .. } => {}
        }
    }
    if gates.standings()[0].passes_on_time { End::Timed } else { End::Hold }
}

fn errors() -> Gate {
    Gate {
        name: "errors".to_owned(),
        weight: 1,
        counters: None,
        subject: Subject::Errors { allowed: number(ALLOWED) },
    }
}

fn gates(unit: Unit, planned_units: u64) -> Gates {
    let stakes = Stakes {
        rollback: number(0.01),
        advance: number(0.05),
        display: number(0.05),
        unit,
        planned_units: Some(planned_units),
        samples_min: SAMPLES_MIN,
    };
    Gates::new(&[errors()], &stakes).expect("the limit is a proportion")
}

/// A block of the candidate beside a stable that is well.
fn block(number: u64, tick: Tick) -> Block {
    let candidate = Totals { bad: tick.bad(), finished: tick.finished() };
    let stable = Totals { bad: 0, finished: tick.finished() };
    let reading = Reading::Counts(Arms { candidate, stable });
    let end = start() + Duration::from_secs(15 * (number + 1));
    Block { number, end, readings: BTreeMap::from([("errors".to_owned(), reading)]) }
}

fn start() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

fn by_machine(stream: Stream) -> End {
    let plan = plan().seal().expect("the plan can be carried out");
    let command = Some(Command::Start { plan, by: "somebody".to_owned(), force: true });
    let (state, ..) = State::Idle.step(&Evidence { command, ..Evidence::none() }, start());
    let moved = Some(Moved { stage: 1, failure: None });
    let (mut state, ..) = state.step(&Evidence { moved, ..Evidence::none() }, start());
    for (number, tick) in stream.enumerate() {
        let block = block(number as u64, tick);
        let now = block.end;
        let evidence = Evidence { blocks: vec![block], ..Evidence::none() };
        let (next, _, report) = state.step(&evidence, now);
        match (next, report.passed_on) {
            (
                State::RollingBack { trigger: Trigger::Gate(_) | Trigger::WholeRelease(_), .. },
                _,
            ) => {
                return End::Rollback;
            }
            (_, Some(Basis::Evidence)) => return End::Early,
            (_, Some(Basis::Time)) => return End::Timed,
            (next, _) => state = next,
        }
    }
    End::Hold
}

fn plan() -> Plan {
    let hour = Duration::from_secs(3600);
    Plan {
        name: "next".to_owned(),
        generation: 1,
        stable: vec![TargetId::new("old")],
        candidate: vec![TargetId::new("new")],
        stages: vec![Stage {
            share: 1,
            floor: hour / 2,
            hold: hour * 4,
            deadline: hour * 12,
            samples_min: SAMPLES_MIN,
        }],
        gates: vec![errors()],
        advance_on: AdvanceOn::Either,
        rollback_alpha: number(0.01),
        advance_alpha: number(0.05),
        unit: Unit::Probe,
        unit_length: Duration::from_secs(15),
        no_data_after: Duration::from_secs(300),
        bake: hour,
        rollback_deadline: Duration::from_secs(60),
        rollbacks_daily_max: 3,
        drill_above: 100,
        approval_above: None,
    }
}

/// The shares of stages with bursts that are rolled back: by the playbook's rule, by single outcomes
/// as evidence, and by a gate on traffic.
pub fn bursts(runs: u64, seed: u64, length: f64) -> [f64; 3] {
    let rules = [Rule::Playbook(100), Rule::Bad(0.01, Restarts::Never)];
    let played = each(runs, seed, |seed| {
        let (spoke, _) = play(Bursts::new(seed, length), &rules);
        let minutes = fails_by_minutes(Bursts::new(seed, length));
        [spoke[0].is_some(), spoke[1].is_some(), minutes]
    });
    [0, 1, 2].map(|number| {
        played.iter().filter(|back| back[number]).count() as f64 / played.len().max(1) as f64
    })
}

/// Whether a gate on traffic fails the stage; a minute is four ticks.
fn fails_by_minutes(stream: impl Iterator<Item = Tick>) -> bool {
    let mut gates = gates(Unit::Minute, TICKS as u64 / 4);
    let ticks: Vec<Tick> = stream.collect();
    (0..).zip(ticks.chunks(4)).any(|(number, minute)| {
        let all = minute.iter().fold(Tick::default(), |all, tick| all.and(*tick));
        gates.observe(&block(number, all));
        matches!(gates.ruling(), Ruling::Fail { .. })
    })
}
