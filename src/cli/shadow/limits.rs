//! What the candidate is held to, as flags.

use clap::Args;

use crate::shadow::{Limits, Metric, RatioLimit};

/// Each limit is off where nothing is written, but for the two that have a default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitFlags {
    /// By how many percentage points the candidate's share of failures may be larger; `off` for none.
    #[arg(long, value_name = "POINTS", default_value = "1", value_parser = points_or_off)]
    max_error_increase: Option<Share>,
    /// By how many percentage points its share of refusals may be larger.
    #[arg(long, value_name = "POINTS", value_parser = points)]
    max_refusal_increase: Option<Share>,
    /// By how many percentage points its share of right answers may be smaller.
    #[arg(long, value_name = "POINTS", value_parser = points)]
    max_check_decrease: Option<Share>,
    /// How many times as long the median of its total time may be.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_p50_ratio: Option<f64>,
    /// The same of the 90th percentile.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_p90_ratio: Option<f64>,
    /// The same of the 99th percentile; `off` for none.
    #[arg(long, value_name = "FACTOR", default_value = "1.5", value_parser = factor_or_off)]
    max_p99_ratio: Option<Factor>,
    /// How many times as long the median of its time to first token may be.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_ttft_p50_ratio: Option<f64>,
    /// The same of the 90th percentile.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_ttft_p90_ratio: Option<f64>,
    /// The same of the 99th percentile.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_ttft_p99_ratio: Option<f64>,
    /// How many times as long the median of its time per output token may be.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_per_token_p50_ratio: Option<f64>,
    /// How many times as dear a request may be.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    max_cost_ratio: Option<f64>,
    /// How many percent of the answers must agree: as the judge says, or word for word without one.
    #[arg(long, value_name = "PERCENT", value_parser = points)]
    min_agreement: Option<Share>,
    /// Let another model answer than the one that was asked; else one such answer fails.
    #[arg(long)]
    allow_model_mismatch: bool,
}

/// A part of one; nothing where it is off.
#[derive(Clone, Copy, Debug)]
struct Share(Option<f64>);

/// A factor; nothing where it is off.
#[derive(Clone, Copy, Debug)]
struct Factor(Option<f64>);

impl LimitFlags {
    pub(super) fn limits(&self) -> Limits {
        let share = |share: Option<Share>| share.and_then(|share| share.0);
        let ratios = [
            (Metric::Total, 50, self.max_p50_ratio),
            (Metric::Total, 90, self.max_p90_ratio),
            (Metric::Total, 99, self.max_p99_ratio.and_then(|factor| factor.0)),
            (Metric::Ttft, 50, self.max_ttft_p50_ratio),
            (Metric::Ttft, 90, self.max_ttft_p90_ratio),
            (Metric::Ttft, 99, self.max_ttft_p99_ratio),
            (Metric::PerToken, 50, self.max_per_token_p50_ratio),
        ];
        let ratio = |(metric, percentile, max): (Metric, u8, Option<f64>)| {
            Some(RatioLimit { metric, percentile, max: max? })
        };
        Limits {
            error_increase: share(self.max_error_increase),
            refusal_increase: share(self.max_refusal_increase),
            check_decrease: share(self.max_check_decrease),
            ratios: ratios.into_iter().filter_map(ratio).collect(),
            cost_ratio: self.max_cost_ratio,
            agreement: share(self.min_agreement),
            allows_model_mismatch: self.allow_model_mismatch,
        }
    }
}

fn points(text: &str) -> Result<Share, &'static str> {
    let percent = text.trim_end_matches('%').trim().parse::<f64>();
    let percent = percent.ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.map(|percent| Share(Some(percent / 100.0))).ok_or("write a number from 0 to 100")
}

fn points_or_off(text: &str) -> Result<Share, &'static str> {
    if text == "off" { Ok(Share(None)) } else { points(text) }
}

fn factor(text: &str) -> Result<f64, &'static str> {
    let factor = text.trim_end_matches(['x', '×']).trim().parse::<f64>();
    let factor = factor.ok().filter(|factor| *factor > 0.0 && *factor <= 1000.0);
    factor.ok_or("write a factor above 0, such as `1.2`")
}

fn factor_or_off(text: &str) -> Result<Factor, &'static str> {
    if text == "off" { Ok(Factor(None)) } else { factor(text).map(|factor| Factor(Some(factor))) }
}
