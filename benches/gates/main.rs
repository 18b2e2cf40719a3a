//! How often gates are wrong and how soon they are right, beside the playbook's own rule.
//!
//! `cargo bench --bench gates -- --runs N --seed S` plays stages of 4 hours, looked at every 15 s,
//! whose truth is known, against an objective that allows 1 % of the outcomes to be bad. The
//! playbook's rule is "back as soon as more than 1 % are bad". Outcomes are independent, but for the
//! last table: there they come in bursts, and no bound holds.

mod simulation;

use anyhow::{Context as _, bail};
use bellwether::statistics::Restarts;

use simulation::{Rule, Tally, bursts, policy, tallies};

/// The playbook's rule, ours without restarts, and ours as stages run it.
const RULES: [(&str, Rule); 4] = [
    ("k/n > 1 %", Rule::Playbook(1)),
    ("k/n > 1 %, n >= 100", Rule::Playbook(100)),
    ("evidence", Rule::Bad(0.01, Restarts::Never)),
    ("evidence, restarts", Rule::Bad(0.01, Restarts::Equal { copies: 16, every: 60 })),
];

fn main() -> anyhow::Result<()> {
    let (mut runs, mut seed) = (1_000, 1);
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
    println!("{runs} runs, seed {seed}");
    rollbacks(runs, seed);
    advances(runs, seed);
    policies(runs, seed);
    breaks(runs, seed);
    dependent(runs, seed);
    Ok(())
}

fn rollbacks(runs: u64, seed: u64) {
    let rules = RULES.map(|(_, rule)| rule);
    for per_tick in [1, 10, 100] {
        println!("\nrollback of a constant share of bad outcomes, {per_tick} a tick");
        println!("{:<22}{:>9}{:>9}{:>9}{:>9}", "", "@0.5 %", "@0.9 %", "@1 %", "6 stages");
        let played = |share| tallies(runs, seed, (per_tick, share, share), &rules);
        let wrong = [0.005, 0.009, 0.01].map(played);
        for (number, (name, _)) in RULES.iter().enumerate() {
            print!("{name:<22}");
            wrong.iter().for_each(|tallies| print!("{:>9.4}", tallies[number].share()));
            println!("{:>9.4}", 1.0 - (1.0 - wrong[0][number].share()).powi(6));
        }
        println!("{:<22}{:>18}{:>18}{:>18}{:>18}", "missed, median", "2 %", "3 %", "10 %", "100 %");
        let right = [0.02, 0.03, 0.1, 1.0].map(played);
        for (number, (name, _)) in RULES.iter().enumerate() {
            print!("{name:<22}");
            for tally in right.iter().map(|tallies| &tallies[number]) {
                print!("{:>9.4}{:>9}", 1.0 - tally.share(), shown(tally.median_outcomes()));
            }
            println!();
        }
    }
}

fn advances(runs: u64, seed: u64) {
    for per_tick in [1, 10] {
        println!("\nearly advance at 5 %, {per_tick} a tick (from 1 % on it is wrong)");
        for share in [0.0, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.03] {
            let tally = &tallies(runs, seed, (per_tick, share, share), &[Rule::Good(0.05)])[0];
            let median = shown(tally.median_outcomes());
            println!("{:>6.2} % {:>9.4}{median:>9}", share * 100.0, tally.share());
        }
    }
}

fn policies(runs: u64, seed: u64) {
    for per_tick in [1, 10] {
        println!("\nthe whole policy of a stage, {per_tick} a tick");
        println!("{:>8}{:>10}{:>9}{:>9}{:>9}", "", "rollback", "early", "timed", "hold");
        for share in [0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05] {
            let ends = policy(runs, seed, per_tick, share);
            print!("{:>6.1} %{:>10.4}{:>9.4}", share * 100.0, ends.rollback, ends.early);
            println!("{:>9.4}{:>9.4}", ends.timed, ends.hold);
        }
    }
}

fn breaks(runs: u64, seed: u64) {
    let rules = RULES.map(|(_, rule)| rule);
    println!("\na break after 2 hours at 0.5 %: wrong before, found after, median minutes");
    for (per_tick, after) in [(10, 0.03), (10, 0.1), (10, 0.5), (1, 0.03), (1, 0.1)] {
        println!("to {:.0} %, {per_tick} a tick", after * 100.0);
        let played: Vec<Tally> = tallies(runs, seed, (per_tick, 0.005, after), &rules);
        for (tally, (name, _)) in played.iter().zip(RULES) {
            let found = tally.share() - tally.share_before_break();
            let delay = tally.median_delay_minutes();
            let delay = delay.map_or("never".to_owned(), |minutes| format!("{minutes:.2}"));
            println!("{name:<22}{:>9.4}{found:>9.4}{delay:>9}", tally.share_before_break());
        }
    }
}

fn dependent(runs: u64, seed: u64) {
    println!("\nrollback where a healthy 0.5 % comes in bursts, 10 a tick");
    println!("{:<22}{:>9}{:>9}{:>9}", "", "15 s", "1 min", "5 min");
    let lengths = [1.0, 4.0, 20.0].map(|length| bursts(runs, seed, length));
    for (number, name) in
        ["k/n > 1 %, n >= 100", "single outcomes", "minutes, as in gates"].into_iter().enumerate()
    {
        print!("{name:<22}");
        lengths.iter().for_each(|shares| print!("{:>9.4}", shares[number]));
        println!();
    }
}

fn shown(median: Option<u64>) -> String {
    median.map_or("-".to_owned(), |median| median.to_string())
}
