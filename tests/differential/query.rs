//! One question, the same for both engines, and what came of it.

use std::fmt;
use std::time::Duration;

use bellwether::model::Timestamp;
use bellwether::promql::{self, Options, Value};
use bellwether::series::{Settings, Store};

use crate::data::{self, Data};

#[derive(Clone, Copy, Debug)]
pub enum Times {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(formatter, "at {at} ms"),
            Self::Range { start, end, step } => {
                write!(formatter, "from {start} to {end} step {step} ms")
            }
        }
    }
}

/// What an engine says.
#[derive(Clone, Debug)]
pub enum Said {
    Value {
        value: Value,
        remarks: Vec<String>,
    },
    Failure(String),
    /// We say by name that it is not supported.
    Refused,
}

/// Our own store with these samples, appended in the order in which the peer gets them.
pub fn store(data: &Data) -> Store {
    let settings =
        Settings { retention: Duration::MAX, size_max_bytes: u64::MAX, series_max: 1_000_000 };
    let mut store = Store::new(settings);
    for slice in data::slices(data) {
        for (labels, samples) in &slice {
            for sample in samples {
                store.append(labels, *sample).expect("drawn samples are in order");
            }
        }
    }
    store
}

/// What our engine says.
pub fn ours(store: &Store, query: &str, times: Times) -> Said {
    let expr = match promql::parse(query) {
        Ok(expr) => expr,
        Err(error) if error.message.contains("not supported") => {
            return Said::Refused;
        }
        Err(error) => return Said::Failure(error.to_string()),
    };
    let options = Options::default();
    let at = Timestamp::from_millis;
    let answer = match times {
        Times::At(instant) => promql::instant(&expr, store, at(instant), &options),
        Times::Range { start, end, step } => {
            let step = Duration::from_millis(step.unsigned_abs());
            promql::range(&expr, store, at(start), at(end), step, &options)
        }
    };
    match answer {
        Ok(answer) => Said::Value {
            value: answer.value,
            remarks: answer.annotations.iter().map(ToString::to_string).collect(),
        },
        Err(error) => Said::Failure(error.to_string()),
    }
}
