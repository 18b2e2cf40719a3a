//! The functions: names, arguments, and what carries each out.

use super::ValueType;
use super::ValueType::{Matrix, Scalar, String as Text, Vector};

#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    /// The types of its arguments; the last one is repeated where `count_max` allows more.
    pub arguments: &'static [ValueType],
    pub count_min: usize,
    pub count_max: usize,
    pub returns: ValueType,
    pub routine: Routine,
}

/// What carries a function out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Routine {
    /// Each value by itself.
    Map(Map),
    /// Each window of samples by itself.
    Window(Window),
    Calendar(Calendar),
    Absent,
    AbsentOverTime,
    HistogramFraction,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    Pi,
    Scalar,
    Sort,
    SortDesc,
    Time,
    Timestamp,
    Vector,
}

/// Functions of a value, the last four with further scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Ceil,
    Cos,
    Cosh,
    Deg,
    Exp,
    Floor,
    Ln,
    Log10,
    Log2,
    Rad,
    Sgn,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    Clamp,
    ClampMax,
    ClampMin,
    Round,
}

/// Functions of a window of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
}

/// Functions of a time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calendar {
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Hour,
    Minute,
    Month,
    Year,
}

const fn function(
    name: &'static str,
    arguments: &'static [ValueType],
    returns: ValueType,
    routine: Routine,
) -> Function {
    let count = arguments.len();
    Function { name, arguments, count_min: count, count_max: count, returns, routine }
}

const fn map(name: &'static str, map: Map) -> Function {
    function(name, &[Vector], Vector, Routine::Map(map))
}

const fn window(name: &'static str, window: Window) -> Function {
    function(name, &[Matrix], Vector, Routine::Window(window))
}

const fn calendar(name: &'static str, calendar: Calendar) -> Function {
    let mut calendar = function(name, &[Vector], Vector, Routine::Calendar(calendar));
    calendar.count_min = 0;
    calendar
}

/// Sorted by name.
static FUNCTIONS: [Function; 68] = [
    map("abs", Map::Abs),
    function("absent", &[Vector], Vector, Routine::Absent),
    function("absent_over_time", &[Matrix], Vector, Routine::AbsentOverTime),
    map("acos", Map::Acos),
    map("acosh", Map::Acosh),
    map("asin", Map::Asin),
    map("asinh", Map::Asinh),
    map("atan", Map::Atan),
    map("atanh", Map::Atanh),
    window("avg_over_time", Window::Avg),
    map("ceil", Map::Ceil),
    window("changes", Window::Changes),
    function("clamp", &[Vector, Scalar, Scalar], Vector, Routine::Map(Map::Clamp)),
    function("clamp_max", &[Vector, Scalar], Vector, Routine::Map(Map::ClampMax)),
    function("clamp_min", &[Vector, Scalar], Vector, Routine::Map(Map::ClampMin)),
    map("cos", Map::Cos),
    map("cosh", Map::Cosh),
    window("count_over_time", Window::Count),
    calendar("day_of_month", Calendar::DayOfMonth),
    calendar("day_of_week", Calendar::DayOfWeek),
    calendar("day_of_year", Calendar::DayOfYear),
    calendar("days_in_month", Calendar::DaysInMonth),
    map("deg", Map::Deg),
    window("delta", Window::Delta),
    window("deriv", Window::Deriv),
    map("exp", Map::Exp),
    window("first_over_time", Window::First),
    map("floor", Map::Floor),
    function("histogram_fraction", &[Scalar, Scalar, Vector], Vector, Routine::HistogramFraction),
    function("histogram_quantile", &[Scalar, Vector], Vector, Routine::HistogramQuantile),
    calendar("hour", Calendar::Hour),
    window("idelta", Window::Idelta),
    window("increase", Window::Increase),
    window("irate", Window::Irate),
    Function {
        name: "label_join",
        arguments: &[Vector, Text, Text, Text],
        count_min: 3,
        count_max: usize::MAX,
        returns: Vector,
        routine: Routine::LabelJoin,
    },
    function("label_replace", &[Vector, Text, Text, Text, Text], Vector, Routine::LabelReplace),
    window("last_over_time", Window::Last),
    map("ln", Map::Ln),
    map("log10", Map::Log10),
    map("log2", Map::Log2),
    window("max_over_time", Window::Max),
    window("min_over_time", Window::Min),
    calendar("minute", Calendar::Minute),
    calendar("month", Calendar::Month),
    function("pi", &[], Scalar, Routine::Pi),
    function("predict_linear", &[Matrix, Scalar], Vector, Routine::Window(Window::PredictLinear)),
    window("present_over_time", Window::Present),
    function("quantile_over_time", &[Scalar, Matrix], Vector, Routine::Window(Window::Quantile)),
    map("rad", Map::Rad),
    window("rate", Window::Rate),
    window("resets", Window::Resets),
    Function {
        name: "round",
        arguments: &[Vector, Scalar],
        count_min: 1,
        count_max: 2,
        returns: Vector,
        routine: Routine::Map(Map::Round),
    },
    function("scalar", &[Vector], Scalar, Routine::Scalar),
    map("sgn", Map::Sgn),
    map("sin", Map::Sin),
    map("sinh", Map::Sinh),
    function("sort", &[Vector], Vector, Routine::Sort),
    function("sort_desc", &[Vector], Vector, Routine::SortDesc),
    map("sqrt", Map::Sqrt),
    window("stddev_over_time", Window::Stddev),
    window("stdvar_over_time", Window::Stdvar),
    window("sum_over_time", Window::Sum),
    map("tan", Map::Tan),
    map("tanh", Map::Tanh),
    function("time", &[], Scalar, Routine::Time),
    function("timestamp", &[Vector], Vector, Routine::Timestamp),
    function("vector", &[Scalar], Vector, Routine::Vector),
    calendar("year", Calendar::Year),
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

const EXPERIMENTAL: [&str; 20] = [
    "double_exponential_smoothing",
    "end",
    "histogram_quantiles",
    "holt_winters",
    "info",
    "limit_ratio",
    "limitk",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "start_timestamp",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

const NATIVE: [&str; 5] =
    ["histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum"];

/// Why a name that Prometheus knows is refused here.
pub(super) fn refusal(name: &str) -> Option<String> {
    if EXPERIMENTAL.contains(&name) {
        Some(format!("`{name}` is experimental in Prometheus and is not supported"))
    } else if NATIVE.contains(&name) {
        Some(format!("`{name}` reads native histograms, which is not supported"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_name() {
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
        assert_eq!(find("rate").map(|function| function.name), Some("rate"));
        assert!(find("rates").is_none());
    }
}
