//! Which pair asks what, and which arm is asked first.
//!
//! Prompts come round after round, each round in an order of its own. Of two pairs that follow each
//! other one asks stable first and the other the candidate, by lot: so neither arm is always asked
//! over a path that the other has just warmed, and a run of any length is in balance. The same seed
//! gives the same schedule.

use serde::{Deserialize, Serialize};

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// What serves today.
    Stable,
    /// What may take its place.
    Candidate,
}

impl Arm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Candidate];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Stable => Self::Candidate,
            Self::Candidate => Self::Stable,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
        }
    }
}

/// One pair, before it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which prompt.
    pub prompt: usize,
    /// Who is asked first.
    pub first: Arm,
    /// A drawn number: the nonce is made of it.
    pub draw: u32,
    /// Another, in which order a judge sees the answers.
    pub is_swapped: bool,
}

/// What is drawn for what.
#[derive(Clone, Copy)]
enum Lot {
    Order,
    Prompts,
    Nonce,
    Judge,
}

/// The schedule of so many pairs; empty without prompts.
pub fn schedule(prompts: usize, pairs: usize, seed: u64) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(pairs);
    let mut round: Vec<usize> = Vec::new();
    for number in 0..pairs {
        if prompts == 0 {
            break;
        }
        let within = number % prompts;
        if within == 0 {
            round = (0..prompts).collect();
            // Fisher and Yates.
            for last in (1..prompts).rev() {
                let lot = drawn(seed, Lot::Prompts, (number + last) as u64);
                round.swap(last, (lot % (last as u64 + 1)) as usize);
            }
        }
        let is_turned = drawn(seed, Lot::Order, number as u64 / 2) & 1 == 1;
        turns.push(Turn {
            prompt: round[within],
            first: if is_turned == (number % 2 == 0) { Arm::Stable } else { Arm::Candidate },
            draw: drawn(seed, Lot::Nonce, number as u64) as u32,
            is_swapped: drawn(seed, Lot::Judge, number as u64) & 1 == 1,
        });
    }
    turns
}

/// A number for each seed, purpose and count: SplitMix64's mixing (Steele, Lea, Flood, 2014).
fn drawn(seed: u64, lot: Lot, count: u64) -> u64 {
    let mut mixed = seed ^ (lot as u64 + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    mixed = mixed.wrapping_add(count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arm_is_first_as_often_and_every_prompt_comes_round() {
        for seed in 0..50 {
            let turns = schedule(7, 140, seed);
            let first = turns.iter().filter(|turn| turn.first == Arm::Stable).count();
            assert_eq!(first, 70, "seed {seed}");
            for round in turns.chunks(7) {
                let mut prompts: Vec<usize> = round.iter().map(|turn| turn.prompt).collect();
                prompts.sort_unstable();
                assert_eq!(prompts, [0, 1, 2, 3, 4, 5, 6], "seed {seed}");
            }
            assert_eq!(turns, schedule(7, 140, seed));
        }
        assert_ne!(schedule(7, 140, 1), schedule(7, 140, 2));
        assert_eq!(schedule(0, 10, 1), []);
        // The order is by lot, not by turns.
        let turns = schedule(1, 1000, 3);
        let runs = turns.windows(2).filter(|pair| pair[0].first == pair[1].first).count();
        assert!((150..350).contains(&runs), "{runs} of 999 neighbours are alike; a quarter is due");
    }
}
