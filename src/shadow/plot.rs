//! Plots as inline SVG: nothing to fetch, nothing to run.
//!
//! Colours come from the page's style, so that both of its schemes fit; a dashed line or a hollow dot
//! says the same to whoever sees no colours. Each plot has a title for whoever sees no plots.

use std::fmt::Write as _;

use super::figure;
use super::gate::{Gate, Unit, Word};
use super::page::escape;
use super::report::{Both, Share, Times};
use crate::statistics::Bounded;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// A scale from values to places, logarithmic.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// A scale that holds all samples; `None` without a positive one.
    fn of(samples: impl Iterator<Item = f64>, start: f64, end: f64) -> Option<Self> {
        let (mut from, mut to) = (f64::INFINITY, 0.0_f64);
        for sample in samples.filter(|sample| sample.is_finite() && *sample > 0.0) {
            from = from.min(sample);
            to = to.max(sample);
        }
        if to <= 0.0 {
            return None;
        }
        // Samples that are all alike still need room around them.
        let (from, to) =
            if to / from < 1.2 { (from / 1.3, to * 1.3) } else { (from / 1.05, to * 1.05) };
        Some(Self { from, to, start, end })
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.clamp(self.from, self.to) / self.from).ln() / (self.to / self.from).ln();
        self.start + part * (self.end - self.start)
    }

    /// Round numbers on it, from the finest row that leaves each label its room.
    fn ticks(&self) -> Vec<f64> {
        const ROOM: f64 = 64.0;
        let rows: [&[f64]; 4] =
            [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]];
        let mut best = Vec::new();
        for row in rows {
            let (first, last) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
            let all = (first..=last)
                .flat_map(|power| row.iter().map(move |digit| digit * 10_f64.powi(power)));
            let ticks: Vec<f64> = all.filter(|tick| (self.from..=self.to).contains(tick)).collect();
            let is_roomy =
                ticks.windows(2).all(|pair| (self.at(pair[1]) - self.at(pair[0])).abs() >= ROOM);
            if is_roomy && ticks.len() >= best.len() {
                best = ticks;
            }
        }
        best
    }
}

/// An SVG of the usual size around its inside.
fn svg(title: &str, inside: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>{inside}</svg>",
        escape(title)
    )
}

fn text(at: (f64, f64), anchor: &str, class: &str, text: &str) -> String {
    let (x, y) = at;
    let text = escape(text);
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
    )
}

fn line(from: (f64, f64), to: (f64, f64), class: &str) -> String {
    let ((x1, y1), (x2, y2)) = (from, to);
    format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>")
}

/// Which part of the answers took at most how long.
pub(super) fn curves(times: &Times) -> Option<String> {
    let Both { stable, candidate } = &times.curves;
    // The fastest and the slowest of a hundred would press the others into one line.
    let usual = |samples: &'_ [f64]| samples.get(1..100).unwrap_or_default().to_vec();
    let usual = usual(stable).into_iter().chain(usual(candidate));
    let scale = Scale::of(usual, LEFT, WIDTH - RIGHT)?;
    let y = |percent: f64| HEIGHT - BOTTOM - percent / 100.0 * (HEIGHT - BOTTOM - TOP);
    let mut inside = String::new();
    for percent in [0.0, 25.0, 50.0, 75.0, 90.0, 99.0] {
        let at = y(percent);
        inside += &line((LEFT, at), (WIDTH - RIGHT, at), "grid");
        // 99 stands too near to 100 to be left out and too near to 90 for a larger one.
        inside += &text((LEFT - 6.0, at + 4.0), "end", "tick", &format!("{percent:.0} %"));
    }
    for tick in scale.ticks() {
        let at = scale.at(tick);
        inside += &line((at, TOP), (at, HEIGHT - BOTTOM), "grid");
        inside += &text((at, HEIGHT - BOTTOM + 16.0), "middle", "tick", &short(tick));
    }
    for (class, samples) in [("stable", stable), ("candidate", candidate)] {
        let last = samples.len().saturating_sub(1).max(1) as f64;
        let mut points = String::new();
        for (index, sample) in samples.iter().enumerate() {
            let (x, y) = (scale.at(*sample), y(index as f64 / last * 100.0));
            write!(points, "{x:.1},{y:.1} ").expect("a text takes whatever is written to it");
        }
        inside += &format!("<polyline points=\"{}\" class=\"curve {class}\"/>", points.trim_end());
    }
    Some(svg(
        &format!("Share of answers by {}, stable and candidate", times.metric.title()),
        &inside,
    ))
}

/// A dot for each pair: above the diagonal the candidate took longer.
pub(super) fn pairs(times: &Times) -> Option<String> {
    let all = || times.points.iter().flatten().copied();
    let x = Scale::of(all(), LEFT, WIDTH - RIGHT)?;
    let y = Scale::of(all(), HEIGHT - BOTTOM, TOP)?;
    let mut inside = String::new();
    for tick in x.ticks() {
        let (across, up) = (x.at(tick), y.at(tick));
        inside += &line((across, TOP), (across, HEIGHT - BOTTOM), "grid");
        inside += &line((LEFT, up), (WIDTH - RIGHT, up), "grid");
        inside += &text((across, HEIGHT - BOTTOM + 15.0), "middle", "tick", &short(tick));
        inside += &text((LEFT - 6.0, up + 4.0), "end", "tick", &short(tick));
    }
    inside += &line((LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP), "even");
    for [stable, candidate] in &times.points {
        let (across, up) = (x.at(*stable), y.at(*candidate));
        inside += &format!("<circle cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"2.2\" class=\"dot\"/>");
    }
    inside +=
        &text((WIDTH - RIGHT - 4.0, HEIGHT - BOTTOM - 8.0), "end", "note", "candidate faster");
    inside += &text((LEFT + 6.0, TOP + 14.0), "start", "note", "candidate slower");
    inside += &text((f64::midpoint(LEFT, WIDTH), HEIGHT - 4.0), "middle", "tick", "stable");
    Some(svg(
        &format!("{} of each pair, stable across, candidate up", times.metric.title()),
        &inside,
    ))
}

/// A share of both arms as bars with their bounds.
pub(super) fn shares(title: &str, stable: &Share, candidate: &Share) -> String {
    let of = |share: &Share| (share.share, Some(share.lower), Some(share.upper));
    bars(title, of(stable), of(candidate), figure::percent)
}

/// An amount of both arms as bars with their bounds.
pub(super) fn amounts(title: &str, stable: &Bounded, candidate: &Bounded) -> String {
    let of = |amount: &Bounded| (amount.value, amount.lower, amount.upper);
    bars(title, of(stable), of(candidate), figure::dollars)
}

type Bar = (f64, Option<f64>, Option<f64>);

fn bars(title: &str, stable: Bar, candidate: Bar, write: fn(f64) -> String) -> String {
    const BARS_HEIGHT: f64 = 96.0;
    const START: f64 = 84.0;
    let most = [stable, candidate].iter().map(|bar| bar.2.unwrap_or(bar.0)).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    // The number stands behind the longest whisker.
    let x = |value: f64| START + value.max(0.0) / most * (WIDTH - START - 84.0);
    let mut inside = String::new();
    for (index, (class, (value, lower, upper))) in
        [("stable", stable), ("candidate", candidate)].into_iter().enumerate()
    {
        let top = 12.0 + 42.0 * index as f64;
        let middle = top + 15.0;
        let width = (x(value) - START).max(1.0);
        inside += &text((START - 8.0, middle + 4.5), "end", "label", class);
        inside += &format!(
            "<rect x=\"{START}\" y=\"{top}\" width=\"{width:.1}\" height=\"30\" rx=\"2\" class=\"bar {class}\"/>"
        );
        let (from, to) = (x(lower.unwrap_or(value)), x(upper.unwrap_or(value)));
        if to - from > 1.0 {
            inside += &line((from, middle), (to, middle), "whisker");
            for end in [from, to] {
                inside += &line((end, middle - 5.0), (end, middle + 5.0), "whisker");
            }
        }
        inside += &text((to.max(x(value)) + 8.0, middle + 4.5), "start", "label", &write(value));
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {BARS_HEIGHT}\" role=\"img\"><title>{}</title>{inside}</svg>",
        escape(title)
    )
}

/// Where a gate's interval lies between "no difference" and its limit, on a scale of its own on which
/// worse is always to the right.
pub(super) fn strip(gate: &Gate) -> Option<String> {
    const STRIP_WIDTH: f64 = 200.0;
    const EDGE: f64 = 8.0;
    const MIDDLE: f64 = 14.0;
    let found = gate.found?;
    let (even, worse) = match gate.unit {
        Unit::Points => (0.0, 1.0),
        Unit::Ratio => (1.0, 1.0),
        Unit::Share => (1.0, -1.0),
        Unit::Answers => return None,
    };
    let by = |value: f64| worse * (value - even);
    let (limit, value) = (by(gate.limit), by(found.value));
    // Worse is larger here, so that a share's bounds change places.
    let (mut lower, mut upper) = (found.lower.map(by), found.upper.map(by));
    if worse < 0.0 {
        std::mem::swap(&mut lower, &mut upper);
    }
    let shown = [Some(0.0), Some(limit), Some(value), lower, upper];
    let (mut from, mut to) = (0.0_f64, 0.0_f64);
    for number in shown.into_iter().flatten().filter(|number| number.is_finite()) {
        from = from.min(number);
        to = to.max(number);
    }
    // What lies very far away must not press the limit and all else into one line.
    let reach = 6.0 * limit.abs().max((to - from) / 60.0);
    let (from, to) = (from.max(-reach), to.min(reach).max(from + 1e-9));
    let x = |number: f64| {
        EDGE + (number.clamp(from, to) - from) / (to - from) * (STRIP_WIDTH - 2.0 * EDGE)
    };
    let class = match gate.word {
        Word::Pass => "good",
        Word::Insufficient => "warning",
        Word::Failed => "bad",
    };
    let mut inside = format!(
        "<rect x=\"{:.1}\" y=\"2\" width=\"{:.1}\" height=\"24\" class=\"beyond\"/>",
        x(limit),
        STRIP_WIDTH - x(limit)
    );
    inside += &line((x(0.0), 2.0), (x(0.0), 26.0), "even");
    inside += &line((x(limit), 2.0), (x(limit), 26.0), "limit");
    let start = lower.map_or(0.0, x);
    let end = upper.map_or(STRIP_WIDTH, x).max(start + 1.0);
    inside += &line((start, MIDDLE), (end, MIDDLE), &format!("interval {class}"));
    for bound in [lower, upper].into_iter().flatten().filter(|at| (from..=to).contains(at)) {
        let at = x(bound);
        let ends = ((at, MIDDLE - 5.0), (at, MIDDLE + 5.0));
        inside += &line(ends.0, ends.1, &format!("interval {class}"));
    }
    let at = x(value);
    inside += &format!("<circle cx=\"{at:.1}\" cy=\"{MIDDLE}\" r=\"4\" class=\"point {class}\"/>");
    Some(format!(
        "<svg viewBox=\"0 0 {STRIP_WIDTH} 28\" role=\"img\" class=\"strip\"><title>{}: {} \
         ({})</title>{inside}</svg>",
        escape(&gate.name),
        escape(&figure::gate(gate).0),
        gate.word.as_str()
    ))
}

/// A tick's time without needless digits.
fn short(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 0.000_999_5 => (s * 1e6, "µs"),
        s if s < 0.999_5 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let number = format!("{number:.2}");
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}
