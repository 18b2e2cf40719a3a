//! Releases that are played: streams of outcomes whose truth is known, and what rules make of them.
//!
//! Shared by the bench, which plays many, and by `tests/gates.rs`, which plays few. Every rule of a
//! comparison sees the same stream, drawn from a seed; runs are shared out over the processors and
//! come back in order, so a seed gives the same numbers on every machine.

use std::num::NonZero;

use bellwether::statistics::{Grid, Process, Proportion, Restarts, Test, Tick};

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
    pub fn draw(&mut self) -> f64 {
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
    /// The playbook's own: back as soon as more than 1 % are bad, of at least so many.
    Playbook(u64),
    /// The playbook's own, the other way: on as soon as no more than 1 % are bad.
    PlaybookAdvance,
    /// Evidence for trouble at this chance of an error, with restarts.
    Bad(f64, Restarts),
    /// Evidence for health at this chance of an error.
    Good(f64),
}

/// When a rule spoke: after how many ticks and how many outcomes.
pub type Spoke = Option<(usize, u64)>;

enum Watch {
    Above(u64),
    NotAbove,
    Test(Box<Test>),
}

impl Rule {
    fn watch(self) -> Watch {
        let test = |grid, restarts, alpha| {
            Watch::Test(Box::new(Test::new(Process::new(grid, restarts), number(alpha))))
        };
        match self {
            Self::Playbook(samples_min) => Watch::Above(samples_min),
            Self::PlaybookAdvance => Watch::NotAbove,
            Self::Bad(alpha, restarts) => test(Grid::bad(number(ALLOWED)), restarts, alpha),
            Self::Good(alpha) => test(Grid::good(number(ALLOWED)), Restarts::Never, alpha),
        }
    }
}

impl Watch {
    fn speaks(&mut self, tick: Tick, all: Tick) -> bool {
        let is_above = all.bad() as f64 > ALLOWED * all.finished() as f64;
        match self {
            Self::Above(samples_min) => all.finished() >= *samples_min && is_above,
            Self::NotAbove => !is_above,
            Self::Test(test) => {
                test.observe(tick);
                test.is_latched()
            }
        }
    }
}

/// A chance or a share that is written down here.
pub fn number(p: f64) -> Proportion {
    Proportion::new(p).expect("the bench's own numbers are proportions")
}

/// Plays one stage and tells when each rule spoke first, and what had come by then.
pub fn play(stream: impl Iterator<Item = Tick>, rules: &[Rule]) -> (Vec<Spoke>, Tick) {
    let mut watches: Vec<Watch> = rules.iter().map(|rule| rule.watch()).collect();
    let mut spoke: Vec<Spoke> = vec![None; rules.len()];
    let mut all = Tick::default();
    for (number, tick) in stream.enumerate() {
        all = all.and(tick);
        let silent = watches.iter_mut().zip(&mut spoke).filter(|(_, spoke)| spoke.is_none());
        for (watch, spoke) in silent {
            *spoke = watch.speaks(tick, all).then_some((number + 1, all.finished()));
        }
        if spoke.iter().all(Option::is_some) {
            break;
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

/// Plays `runs` stages from seeds that follow from one, with the same share all along or with a
/// break: `(per tick, before, after)`.
pub fn tallies(
    runs: u64,
    seed: u64,
    (per_tick, before, after): (u64, f64, f64),
    rules: &[Rule],
) -> Vec<Tally> {
    let played = each(runs, seed, |seed| play(Stream::new(seed, per_tick, before, after), rules).0);
    let mut tallies = vec![Tally::default(); rules.len()];
    for spoke in played {
        tallies.iter_mut().zip(spoke).for_each(|(tally, spoke)| tally.spoke.push(spoke));
    }
    tallies
}

/// Plays runs on every processor; what came of them is in their order.
pub fn each<T: Send>(runs: u64, seed: u64, play: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let part = runs.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| {
                let play = &play;
                let some = (thread * part).min(runs)..((thread + 1) * part).min(runs);
                scope.spawn(move || some.map(|run| play(seed_of(seed, run))).collect::<Vec<T>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("no run panics")).collect()
    })
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
