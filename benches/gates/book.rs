//! What was found, beside what another program found and what is asked for.

/// Runs of the simulations that the reference's figures come from, where nothing else is said.
pub const REFERENCE_RUNS: u64 = 20_000;

/// Collects figures while tables are printed.
#[derive(Debug, Default)]
pub struct Book {
    runs: u64,
    compared: usize,
    apart: Vec<String>,
    limits: Vec<Limit>,
}

#[derive(Debug)]
struct Limit {
    what: String,
    found: Option<f64>,
    most: f64,
}

impl Book {
    /// Nothing was found yet; so many runs are played.
    pub fn new(runs: u64) -> Self {
        Self { runs, ..Self::default() }
    }

    /// A share of runs as a cell: ours, and the reference's in brackets, which came of so many runs.
    /// They agree where chance alone would set them as far apart once in 10,000 times at most.
    pub fn share(&mut self, what: &str, found: f64, reference: Option<(f64, u64)>) -> String {
        let Some((expected, runs)) = reference else { return format!("{found:.4}") };
        let rare = 1.0 / runs.min(self.runs) as f64;
        let near = f64::midpoint(found, expected).clamp(rare, 1.0 - rare);
        let chance = near * (1.0 - near) * (1.0 / self.runs as f64 + 1.0 / runs as f64);
        // Half of the last digit that the reference prints.
        self.compare(what, found, expected, 4.0 * chance.sqrt() + 0.0005);
        format!("{found:.4} ({expected})")
    }

    /// A median as a cell; it is compared by a tenth, or by one unit of what it is counted in.
    pub fn median(
        &mut self,
        what: &str,
        found: Option<f64>,
        (expected, unit): (Option<f64>, f64),
    ) -> String {
        let shown = found.map_or("-".to_owned(), |found| format!("{found}"));
        let Some(expected) = expected else { return shown };
        self.compare(what, found.unwrap_or(f64::INFINITY), expected, unit.max(expected / 10.0));
        format!("{shown} ({expected})")
    }

    fn compare(&mut self, what: &str, found: f64, expected: f64, room: f64) {
        self.compared += 1;
        if (found - expected).abs() > room {
            self.apart.push(format!("{what}: {found}, and {expected} in the reference"));
        }
    }

    /// Notes a figure that may not be above a limit; none at all is above every limit.
    pub fn limit(&mut self, what: String, found: Option<f64>, most: f64) {
        self.limits.push(Limit { what, found, most });
    }

    /// Prints what is asked for, and whether it was found. Returns whether all of it was.
    pub fn close(&self) -> bool {
        println!("\nwhat is asked for{:>56}{:>12}", "found", "at most");
        for Limit { what, found, most } in &self.limits {
            let shown = found.map_or("never".to_owned(), |found| format!("{found:.4}"));
            let word = if is_met(*found, *most) { "met" } else { "MISSED" };
            println!("{what:<61}{shown:>12}{most:>12}  {word}");
        }
        let agreeing = self.compared - self.apart.len();
        println!("\n{agreeing} of {} figures agree with the reference", self.compared);
        self.apart.iter().for_each(|line| println!("  apart: {line}"));
        self.limits.iter().all(|limit| is_met(limit.found, limit.most))
    }
}

fn is_met(found: Option<f64>, most: f64) -> bool {
    found.is_some_and(|found| found <= most)
}
