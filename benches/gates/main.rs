//! How often gates are wrong and how soon they are right, beside the playbook's own rule.
//!
//! `cargo bench --bench gates -- --runs N --seed S` plays stages of 4 hours, looked at every 15 s,
//! whose truth is known, against an objective that allows 1 % of the outcomes to be bad. The
//! playbook's rule is "back as soon as more than 1 % are bad", and sees the same outcomes. In
//! brackets stands what another program found that was written from the formulae alone. Outcomes are
//! independent, but for the last table: there they come in bursts, and no bound holds.
//!
//! It fails where anything that is asked for is missed; that needs some thousand runs to tell.

mod book;
mod simulation;
mod stages;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bellwether::statistics::Restarts;

use book::{Book, REFERENCE_RUNS};
use simulation::{Rule, Tally, tallies};
use stages::{Ends, Judge, bursts, ends};

/// The playbook's rule, ours without restarts, and ours as stages on probes run it.
const RULES: [(&str, Rule); 4] = [
    ("k/n > 1 %", Rule::Playbook(1)),
    ("k/n > 1 %, n >= 100", Rule::Playbook(100)),
    ("evidence", Rule::Bad(0.01, Restarts::Never)),
    ("evidence, restarts", Rule::Bad(0.01, Restarts::Equal { copies: 16, every: 60 })),
];
/// Its place among them.
const OURS: usize = 3;
/// Stages that the state machine plays: it also says at each step how much is needed, which takes
/// long.
const MACHINE_RUNS: u64 = 1_000;

fn main() -> anyhow::Result<ExitCode> {
    let (mut runs, mut seed) = (REFERENCE_RUNS, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> anyhow::Result<u64> {
            let text = arguments.next().with_context(|| format!("{argument} takes a number"))?;
            Ok(text.parse()?)
        };
        match argument.as_str() {
            "--runs" => runs = number()?.max(1),
            "--seed" => seed = number()?,
            // Cargo says it to every bench.
            "--bench" => {}
            other => bail!("`{other}` is not known here; `--runs N` and `--seed N` are"),
        }
    }
    println!("{runs} runs, seed {seed}; in brackets the reference");
    let mut book = Book::new(runs);
    for per_tick in [1, 10, 100] {
        rollbacks(&mut book, (runs, seed), per_tick);
    }
    advances(&mut book, (runs, seed));
    policies(&mut book, (runs, seed));
    breaks(&mut book, (runs, seed));
    dependent(&mut book, (runs, seed));
    Ok(if book.close() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the reference has of rollbacks at a rate, by rule: wrong ones at 0.5, 0.9 and 1 %; the share
/// missed and the median of outcomes at 2, 3, 10 and 100 %.
type Known = [([Option<f64>; 3], [(Option<f64>, Option<f64>); 4]); 4];

fn known(per_tick: u64) -> Known {
    let none = [(None, None); 4];
    let all = |shares: [f64; 3]| shares.map(Some);
    match per_tick {
        1 => [
            (
                all([0.496, 0.818, 0.869]),
                [
                    (Some(0.001), None),
                    (Some(0.0), Some(23.0)),
                    (None, Some(7.0)),
                    (None, Some(1.0)),
                ],
            ),
            (
                all([0.343, 0.749, 0.819]),
                [
                    (Some(0.002), None),
                    (Some(0.0), Some(100.0)),
                    (None, Some(100.0)),
                    (None, Some(100.0)),
                ],
            ),
            (
                all([0.0001, 0.0026, 0.0040]),
                [
                    (Some(0.596), None),
                    (Some(0.053), Some(337.0)),
                    (None, Some(44.0)),
                    (None, Some(2.0)),
                ],
            ),
            ([None; 3], [(None, None), (Some(0.059), Some(382.0)), (None, None), (None, None)]),
        ],
        10 => [
            (all([0.472, 0.883, 0.955]), none),
            ([None; 3], none),
            (
                all([0.0001, 0.0022, 0.0052]),
                [(Some(0.0), Some(1240.0)), (Some(0.0), Some(360.0)), (None, None), (None, None)],
            ),
            ([None; 3], none),
        ],
        _ => [
            (all([0.175, 0.751, 0.967]), none),
            ([None; 3], none),
            (
                all([0.0001, 0.0013, 0.0033]),
                [(None, Some(1400.0)), (None, Some(400.0)), (None, None), (None, None)],
            ),
            ([None; 3], none),
        ],
    }
}

fn rollbacks(book: &mut Book, (runs, seed): (u64, u64), per_tick: u64) {
    let (rules, known) = (RULES.map(|(_, rule)| rule), known(per_tick));
    let rate = format!("{per_tick} a tick");
    let played = |share| tallies(runs, seed, (per_tick, share, share), &rules);
    println!("\nrollback of a constant share of bad outcomes, {rate}");
    println!("{:<22}{:>18}{:>18}{:>18}{:>10}", "", "@0.5 %", "@0.9 %", "@1 %", "6 stages");
    let wrong = [0.005, 0.009, 0.01].map(played);
    for (number, (name, _)) in RULES.iter().enumerate() {
        print!("{name:<22}");
        for (tallies, (known, at)) in wrong.iter().zip(known[number].0.iter().zip([0.5, 0.9, 1.0]))
        {
            let what = format!("{rate}, {name}: rolled back at {at} %");
            let reference = known.map(|known| (known, REFERENCE_RUNS));
            print!("{:>18}", book.share(&what, tallies[number].share(), reference));
        }
        println!("{:>10.4}", 1.0 - (1.0 - wrong[0][number].share()).powi(6));
    }
    println!("{:<22}{:>28}{:>28}{:>28}{:>20}", "missed, median", "2 %", "3 %", "10 %", "100 %");
    let right = [0.02, 0.03, 0.1, 1.0].map(played);
    for (number, (name, _)) in RULES.iter().enumerate() {
        print!("{name:<22}");
        for (position, (missed, median)) in known[number].1.into_iter().enumerate() {
            let (tally, at) = (&right[position][number], [2, 3, 10, 100][position]);
            let what = format!("{rate}, {name}: at {at} %");
            let missed = missed.map(|missed| (missed, REFERENCE_RUNS));
            let missed = book.share(&format!("{what}, missed"), 1.0 - tally.share(), missed);
            let found = tally.median_outcomes().map(|median| median as f64);
            let median = book.median(&format!("{what}, median"), found, (median, per_tick as f64));
            print!(
                "{:>width$}",
                format!("{missed}, {median}"),
                width = if at == 100 { 20 } else { 28 }
            );
        }
        println!();
    }
    let ours = |tallies: &Vec<Tally>| tallies[OURS].share();
    book.limit(format!("{rate}: rolled back at 1 %, the objective"), Some(ours(&wrong[2])), 0.01);
    book.limit(format!("{rate}: rolled back at 0.5 %"), Some(ours(&wrong[0])), 0.001);
    match per_tick {
        1 => book.limit(format!("{rate}: missed at 3 %"), Some(1.0 - ours(&right[1])), 0.08),
        _ => book.limit(format!("{rate}: missed at 3 %"), Some(1.0 - ours(&right[1])), 0.001),
    }
}

fn advances(book: &mut Book, (runs, seed): (u64, u64)) {
    const SHARES: [f64; 7] = [0.0, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.03];
    /// That table of the reference comes of so many runs.
    const RUNS: u64 = 4_000;
    let playbook = [1.0, 1.0, 1.0, 1.0, 0.997, 0.990, 0.974];
    let evidence = [
        (1, [1.0, 0.955, 0.695, 0.277, 0.022, 0.003, 0.0], [Some(421.0), Some(421.0), Some(647.0)]),
        (10, [1.0, 1.0, 1.0, 0.999, 0.044, 0.003, 0.0], [Some(430.0), Some(430.0), Some(650.0)]),
    ];
    for (per_tick, shares, medians) in evidence {
        println!("\nearly advance at 5 %, {per_tick} a tick (from 1 % on it is wrong)");
        println!("{:<9}{:>20}{:>16}{:>20}", "", "evidence", "median", "k/n <= 1 %");
        for (position, share) in SHARES.into_iter().enumerate() {
            let rules = [Rule::Good(0.05), Rule::PlaybookAdvance];
            let tallies = tallies(runs, seed, (per_tick, share, share), &rules);
            let what = format!("{per_tick} a tick, advanced at {} %", share * 100.0);
            let known = Some((shares[position], RUNS));
            let cell = book.share(&what, tallies[0].share(), known);
            let median = tallies[0].median_outcomes().map(|median| median as f64);
            let known = (medians.get(position).copied().flatten(), per_tick as f64);
            let median = book.median(&format!("{what}, median"), median, known);
            let known = (per_tick == 1).then_some((playbook[position], RUNS));
            let other = book.share(&format!("{what} by the playbook"), tallies[1].share(), known);
            println!("{:>7.2} %{cell:>20}{median:>16}{other:>20}", share * 100.0);
            if share == 0.01 {
                let what = format!("{per_tick} a tick: advanced early at 1 %, the objective");
                book.limit(what, Some(tallies[0].share()), 0.05);
            }
        }
    }
}

fn policies(book: &mut Book, (runs, seed): (u64, u64)) {
    const SHARES: [f64; 7] = [0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05];
    let known = [
        (
            1,
            [
                [0.0, 0.956, 0.044, 0.0],
                [0.0001, 0.272, 0.703, 0.026],
                [0.005, 0.025, 0.486, 0.484],
                [0.087, 0.002, 0.092, 0.820],
                [0.406, 0.0, 0.006, 0.587],
                [0.950, 0.0, 0.0, 0.050],
                [1.0, 0.0, 0.0, 0.0],
            ],
        ),
        (
            10,
            [
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.999, 0.001, 0.0],
                [0.005, 0.045, 0.488, 0.462],
                [0.836, 0.002, 0.0, 0.162],
                [1.0, 0.0001, 0.0, 0.0],
                [1.0, 0.0, 0.0, 0.0],
                [1.0, 0.0, 0.0, 0.0],
            ],
        ),
    ];
    for (per_tick, rows) in known {
        println!("\nhow a stage ends, {per_tick} a tick: as in the reference, then by a gate");
        print!("{:<8}", "");
        println!("{:>18}{:>18}{:>18}{:>18}", "rollback", "early", "timed", "hold");
        for (share, known) in SHARES.into_iter().zip(rows) {
            let percent = share * 100.0;
            let found = ends(Judge::Evidence, runs, seed, (per_tick, share));
            print!("{percent:>6.1} %");
            let words = ["rolled back", "early", "timed", "held"];
            for ((word, found), known) in words.into_iter().zip(parts(found)).zip(known) {
                let what = format!("{per_tick} a tick, stages at {percent} %: {word}");
                print!("{:>18}", book.share(&what, found, Some((known, REFERENCE_RUNS))));
            }
            let gate = ends(Judge::Gate, runs, seed, (per_tick, share));
            print!("\n{:>8}", "gate");
            parts(gate).iter().for_each(|part| print!("{part:>18.4}"));
            println!();
            if share == 0.01 {
                let what = format!("{per_tick} a tick: a gate passes early at 1 %");
                book.limit(what, Some(gate.early), 0.05);
                let what = format!("{per_tick} a tick: a gate rolls back at 1 %");
                book.limit(what, Some(gate.rollback), 0.01);
            }
        }
    }
    machines((runs, seed));
}

/// The state machine at the objective itself and at half of it: what the test over the whole release,
/// which has a chance of an error of its own, adds to that of the stage.
fn machines((runs, seed): (u64, u64)) {
    let runs = runs.min(MACHINE_RUNS);
    println!("\nhow a release of one stage ends, 1 a tick, {runs} runs");
    for share in [0.005, 0.01, 0.03] {
        print!("{:>6.1} %", share * 100.0);
        let found = ends(Judge::Machine, runs, seed, (1, share));
        parts(found).iter().for_each(|part| print!("{part:>18.4}"));
        println!();
    }
}

fn parts(ends: Ends) -> [f64; 4] {
    [ends.rollback, ends.early, ends.timed, ends.hold]
}

fn breaks(book: &mut Book, (runs, seed): (u64, u64)) {
    let rules = RULES.map(|(_, rule)| rule);
    println!("\na break after 2 hours at 0.5 %: wrong before, found after, median minutes");
    // The reference's delays: with at least 100 outcomes, without restarts, and with 16 copies. There
    // each copy has the same part of the stake; here the first has half, which finds what is there
    // from the beginning sooner and a late break a little later.
    let known = [
        (10, 0.03, [Some(31.0), Some(74.0), Some(14.5)]),
        (10, 0.1, [Some(7.0), Some(15.0), Some(1.8)]),
        (10, 0.5, [Some(1.5), Some(2.8), Some(0.25)]),
        (1, 0.03, [None; 3]),
        (1, 0.1, [Some(9.8), Some(33.0), Some(15.8)]),
    ];
    for (per_tick, after, delays) in known {
        println!("to {:.0} %, {per_tick} a tick", after * 100.0);
        let played = tallies(runs, seed, (per_tick, 0.005, after), &rules);
        let delays = [None].into_iter().chain(delays);
        for ((tally, (name, _)), known) in played.iter().zip(RULES).zip(delays) {
            let before = tally.share_before_break();
            let found = tally.share() - before;
            let what = format!("{per_tick} a tick, {name}: found a break to {after} after");
            let delay = tally.median_delay_minutes();
            let shown = book.median(&what, delay, (known, 0.25));
            println!("{name:<22}{before:>9.4}{found:>9.4}{shown:>18}");
        }
        let ours = &played[OURS];
        if per_tick == 10 && after == 0.1 {
            let what = "10 a tick: minutes until a break to 10 % is found".to_owned();
            book.limit(what, ours.median_delay_minutes(), 3.0);
        }
        if per_tick == 1 && after == 0.03 {
            let found = |number: usize| played[number].share();
            // With equal parts the reference has 0.54; with half for the first, the formulae give this
            // to yet another program (3,000 runs).
            for (number, known) in [(2, 0.13), (OURS, 0.489)] {
                let what = format!("1 a tick, {}: found a break to 3 %", RULES[number].0);
                book.share(&what, found(number), Some((known, 3_000)));
            }
        }
    }
}

fn dependent(book: &mut Book, (runs, seed): (u64, u64)) {
    println!("\nrollback where a healthy 0.5 % comes in bursts, 10 a tick");
    println!("{:<22}{:>18}{:>18}{:>18}", "", "15 s", "1 min", "5 min");
    let lengths = [1.0, 4.0, 20.0].map(|length| bursts(runs, seed, length));
    let known = [
        ("k/n > 1 %, n >= 100", [0.50, 0.46, 0.28]),
        ("single outcomes", [0.101, 0.258, 0.227]),
        ("minutes, as in gates", [0.0, 0.035, 0.175]),
    ];
    for (number, (name, known)) in known.into_iter().enumerate() {
        print!("{name:<22}");
        for (shares, known) in lengths.iter().zip(known) {
            let what = format!("bursts, {name}");
            print!("{:>18}", book.share(&what, shares[number], Some((known, 4_000))));
        }
        println!();
    }
}
