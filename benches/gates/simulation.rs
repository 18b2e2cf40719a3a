//! Releases that are played: streams of outcomes whose truth is known, and what rules make of them.
//!
//! Shared by the bench, which plays many, and by `tests/gates.rs`, which plays few. Every rule of a
//! comparison sees the same stream, drawn from a seed.

use std::collections::BTreeMap;

use bellwether::model::Timestamp;
use bellwether::release::gate::{Arms, Block, Gate, Gates, Reading, Ruling, Stakes, Subject, Unit};
use bellwether::statistics::{Grid, Process, Proportion, Restarts, Test, Tick, Totals};

/// 4 hours at 15 s.
pub const TICKS: usize = 960;
/// When the break of a stage comes, where there is one: after 2 hours.
pub const BREAK: usize = 480;
/// The share of bad outcomes that the objective allows.
pub const ALLOWED: f64 = 0.01;
/// The fewest outcomes with which a stage passes on time.
pub const SAMPLES_MIN: u64 = 300;

/// A stream of outcomes with a known share of bad ones.
pub struct Stream {
    state: u64,
    per_tick: u64,
    before: f64,
    after: f64,
    tick: usize,
}

impl Stream {
    /// The share is `before` until the break and `after` from then on.
    pub fn new(seed: u64, per_tick: u64, before: f64, after: f64) -> Self {
        Self { state: seed, per_tick, before, after, tick: 0 }
    }

    /// A number from 0 to 1 (SplitMix64).
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Iterator for Stream {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        if self.tick == TICKS {
            return None;
        }
        let share = if self.tick < BREAK { self.before } else { self.after };
        self.tick += 1;
        let bad = (0..self.per_tick).filter(|_| self.draw() < share).count();
        Tick::new(bad as u64, self.per_tick).ok()
    }
}

/// What looks at a stage after every tick.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// The playbook's own: too bad as soon as more than 1 % are bad, of at least so many.
    Playbook(u64),
    /// Evidence for trouble at this chance of an error, with restarts.
    Bad(f64, Restarts),
    /// Evidence for health at this chance of an error.
    Good(f64),
}

/// When a rule spoke: after how many ticks and how many outcomes.
pub type Spoke = Option<(usize, u64)>;

enum Watch {
    Ratio(u64),
    Test(Box<Test>),
}

impl Rule {
    fn watch(self) -> Watch {
        let number = |p: f64| Proportion::new(p).expect("the bench's own numbers are proportions");
        let test = |grid, restarts, alpha| {
            Watch::Test(Box::new(Test::new(Process::new(grid, restarts), number(alpha))))
        };
        match self {
            Self::Playbook(samples_min) => Watch::Ratio(samples_min),
            Self::Bad(alpha, restarts) => test(Grid::bad(number(ALLOWED)), restarts, alpha),
            Self::Good(alpha) => test(Grid::good(number(ALLOWED)), Restarts::Never, alpha),
        }
    }
}

/// Plays one stage and tells when each rule spoke first.
pub fn play(stream: impl Iterator<Item = Tick>, rules: &[Rule]) -> (Vec<Spoke>, Tick) {
    let mut watches: Vec<Watch> = rules.iter().map(|rule| rule.watch()).collect();
    let mut spoke: Vec<Spoke> = vec![None; rules.len()];
    let mut all = Tick::default();
    for (number, tick) in stream.enumerate() {
        all = all.and(tick);
        for (watch, spoke) in watches.iter_mut().zip(&mut spoke).filter(|(_, said)| said.is_none())
        {
            let speaks = match watch {
                Watch::Ratio(samples_min) => {
                    all.finished() >= *samples_min
                        && all.bad() as f64 > ALLOWED * all.finished() as f64
                }
                Watch::Test(test) => {
                    test.observe(tick);
                    test.is_latched()
                }
            };
            *spoke = speaks.then_some((number + 1, all.finished()));
        }
    }
    (spoke, all)
}

/// What came of many stages under one rule.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    spoke: Vec<Spoke>,
}

impl Tally {
    /// The share of stages in which it spoke.
    pub fn share(&self) -> f64 {
        self.count(|_| true)
    }

    /// The share of stages in which it spoke before the break.
    pub fn share_before_break(&self) -> f64 {
        self.count(|tick| tick <= BREAK)
    }

    fn count(&self, when: impl Fn(usize) -> bool) -> f64 {
        let hits = self.spoke.iter().flatten().filter(|(tick, _)| when(*tick)).count();
        hits as f64 / self.spoke.len().max(1) as f64
    }

    /// The median number of outcomes until it spoke; `None` where it mostly did not.
    pub fn median_outcomes(&self) -> Option<u64> {
        median(self.spoke.iter().map(|spoke| spoke.map(|(_, outcomes)| outcomes)))
    }

    /// The median minutes from the break until it spoke, of the stages where it was silent before.
    pub fn median_delay_minutes(&self) -> Option<f64> {
        let late = self.spoke.iter().filter(|spoke| spoke.is_none_or(|(tick, _)| tick > BREAK));
        let ticks = median(late.map(|spoke| spoke.map(|(tick, _)| (tick - BREAK) as u64)));
        ticks.map(|ticks| ticks as f64 / 4.0)
    }
}

fn median(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let mut values: Vec<u64> = values.map(|value| value.unwrap_or(u64::MAX)).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().filter(|median| *median < u64::MAX)
}

/// Plays `runs` stages from seeds that follow from one.
pub fn tallies(
    runs: u64,
    seed: u64,
    (per_tick, before, after): (u64, f64, f64),
    rules: &[Rule],
) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); rules.len()];
    for run in 0..runs {
        let stream = Stream::new(seed_of(seed, run), per_tick, before, after);
        let (spoke, _) = play(stream, rules);
        tallies.iter_mut().zip(spoke).for_each(|(tally, spoke)| tally.spoke.push(spoke));
    }
    tallies
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

/// The whole policy of a stage: rolled back or advanced by whichever evidence is first, or after 4
/// hours advanced if the share is within the limit and there were outcomes enough, or held.
pub fn policy(runs: u64, seed: u64, per_tick: u64, share: f64) -> Ends {
    let rules = [Rule::Bad(0.01, Restarts::Never), Rule::Good(0.05)];
    let mut ends = Ends::default();
    let part = 1.0 / runs as f64;
    for run in 0..runs {
        let stream = Stream::new(seed_of(seed, run), per_tick, share, share);
        let (spoke, all) = play(stream, &rules);
        let [bad, good] = [spoke[0], spoke[1]].map(|spoke| spoke.map(|(tick, _)| tick));
        let is_within = all.bad() as f64 <= ALLOWED * all.finished() as f64;
        let end = match (bad, good) {
            (Some(bad), good) if good.is_none_or(|good| bad <= good) => &mut ends.rollback,
            (_, Some(_)) => &mut ends.early,
            _ if is_within && all.finished() >= SAMPLES_MIN => &mut ends.timed,
            _ => &mut ends.hold,
        };
        *end += part;
    }
    ends
}

/// Seeds far from each other.
fn seed_of(seed: u64, run: u64) -> u64 {
    (seed ^ run.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_mul(0xa076_1d64_78bd_642f)
}

/// A stream of 10 outcomes a tick of which 0.5 % are bad in the long run, all of them in bursts: one
/// tick of a hundred is in one, and half of its outcomes are bad.
pub struct Bursts {
    draws: Stream,
    /// How many ticks a burst lasts on average.
    length: f64,
    is_burst: bool,
    left: usize,
}

impl Bursts {
    /// Bursts of an average length in ticks.
    pub fn new(seed: u64, length: f64) -> Self {
        Self { draws: Stream::new(seed, 10, 0.0, 0.0), length, is_burst: false, left: TICKS }
    }
}

impl Iterator for Bursts {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        self.left = self.left.checked_sub(1)?;
        // In the long run 99 ticks are outside for each one inside.
        let turns = if self.is_burst { 1.0 / self.length } else { 1.0 / (99.0 * self.length) };
        self.is_burst ^= self.draws.draw() < turns;
        let share = if self.is_burst { 0.5 } else { 0.0 };
        let bad = (0..10).filter(|_| self.draws.draw() < share).count();
        Tick::new(bad as u64, 10).ok()
    }
}

/// The shares of stages with bursts that are rolled back: by the playbook's rule, by single outcomes
/// as evidence, and by a gate on traffic.
pub fn bursts(runs: u64, seed: u64, length: f64) -> [f64; 3] {
    let mut back = [0.0; 3];
    let rules = [Rule::Playbook(100), Rule::Bad(0.01, Restarts::Never)];
    for run in 0..runs {
        let stream = || Bursts::new(seed_of(seed, run), length);
        let (spoke, _) = play(stream(), &rules);
        let is_back = [spoke[0].is_some(), spoke[1].is_some(), fails_by_minutes(stream())];
        back.iter_mut().zip(is_back).for_each(|(back, is)| *back += f64::from(u8::from(is)));
    }
    back.map(|back| back / runs as f64)
}

/// Whether a gate on traffic fails the stage; a minute is four ticks.
fn fails_by_minutes(stream: impl Iterator<Item = Tick>) -> bool {
    let number = |p: f64| Proportion::new(p).expect("the bench's own numbers are proportions");
    let errors = Gate {
        name: "errors".to_owned(),
        weight: 1,
        subject: Subject::Errors { allowed: number(ALLOWED) },
    };
    let stakes = Stakes {
        rollback: number(0.01),
        advance: number(0.05),
        display: number(0.05),
        unit: Unit::Minute,
        planned_units: Some(TICKS as u64 / 4),
        samples_min: SAMPLES_MIN,
    };
    let mut gates = Gates::new(&[errors], &stakes).expect("the limit is a proportion");
    let ticks: Vec<Tick> = stream.collect();
    (0..).zip(ticks.chunks(4)).any(|(number, minute)| {
        let all = minute.iter().fold(Tick::default(), |all, tick| all.and(*tick));
        let candidate = Totals { bad: all.bad(), finished: all.finished() };
        let stable = Totals { bad: 0, finished: all.finished() };
        let reading = Reading::Counts(Arms { candidate, stable });
        let readings = BTreeMap::from([("errors".to_owned(), reading)]);
        let end = Timestamp::from_millis(60_000 * number as i64);
        gates.observe(&Block { number, end, readings });
        matches!(gates.ruling(), Ruling::Fail { .. })
    })
}
