//! What routers that only follow tell the one that decides: what came of the requests that they
//! carried.
//!
//! Outcomes are told one by one, since each gate holds them against a threshold of its own; told are the
//! few numbers that gates count by, and no name of a client, no key, no text. They go in numbered
//! batches, one at a time and in order, so that one number for each sender says what was counted: a
//! batch that is told again, as its answer was lost, counts once.
//!
//! Clocks of two machines differ, so an outcome is told with its age, and gets its time where it
//! arrives. One counts in the block of evidence in which it arrives, as one of our own does. What is
//! older than [`AGE_MAX`], or than the process that would count it, belongs to blocks that are closed:
//! it counts for nothing, like any outcome that was lost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Arm, Served};
use crate::model::{Money, RouteId, TargetId, Timestamp};
use crate::provider::{ErrorType, SloClass, StreamPhase, Usage};

/// The age at which an outcome counts no more: several attempts to tell it, and a part of a block of a
/// minute.
pub const AGE_MAX: Duration = Duration::from_secs(15);
/// How many outcomes a batch may hold: a second of a busy router.
pub const BATCH_MAX: usize = 4_096;

/// Some outcomes of one sender.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Who tells it: a name that each process draws anew.
    pub sender: String,
    /// Its number; the sender's next one is larger.
    pub number: u64,
    /// What came of requests, in the order in which that stood.
    pub outcomes: Vec<Told>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Receipt {
    /// Outcomes that were taken.
    pub taken: u64,
    /// Those that were too old.
    pub late: u64,
    /// Those of routes or targets, or of kinds, that are not known where they arrived.
    pub unknown: u64,
    /// Whether the whole batch had been taken before.
    pub is_repeated: bool,
}

/// One outcome, by what gates count.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Told {
    route: String,
    arm: String,
    target: String,
    /// How long ago it stood when the batch was sent.
    age_ms: u64,
    error_type: String,
    class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broke: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttft_us: Option<u64>,
    total_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_nanos: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    is_fail_over: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Told {
    /// Tells an outcome at a time.
    pub fn of(served: &Served, now: Timestamp) -> Self {
        let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self {
            route: served.route.as_str().to_owned(),
            arm: served.arm.as_str().to_owned(),
            target: served.target.as_str().to_owned(),
            age_ms: u64::try_from(now.since(served.finished).as_millis()).unwrap_or(u64::MAX),
            error_type: served.error_type.as_str().to_owned(),
            class: served.class.as_str().to_owned(),
            broke: served.broke.map(|phase| phase.as_str().to_owned()),
            status: served.status,
            ttft_us: served.ttft.map(micros),
            total_us: micros(served.total),
            output_tokens: served.usage.map(|usage| usage.output),
            cost_nanos: served.cost.map(Money::nanos),
            is_fail_over: served.is_fail_over,
        }
    }

    /// How long ago it stood when it was told.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.age_ms)
    }

    /// The outcome, told at a time; `None` where a word is not known here.
    pub fn read(&self, now: Timestamp) -> Option<Served> {
        fn word<T: Copy>(all: &[T], as_str: impl Fn(T) -> &'static str, text: &str) -> Option<T> {
            all.iter().copied().find(|one| as_str(*one) == text)
        }
        let broke = match &self.broke {
            None => None,
            Some(text) => Some(word(&StreamPhase::ALL, StreamPhase::as_str, text)?),
        };
        let usage = |output| Usage { output, ..Usage::default() };
        Some(Served {
            route: RouteId::new(&self.route),
            arm: word(&Arm::ALL, Arm::as_str, &self.arm)?,
            target: TargetId::new(&self.target),
            finished: now - self.age(),
            error_type: word(&ErrorType::ALL, ErrorType::as_str, &self.error_type)?,
            class: word(&SloClass::ALL, SloClass::as_str, &self.class)?,
            broke,
            status: self.status,
            ttft: self.ttft_us.map(Duration::from_micros),
            total: Duration::from_micros(self.total_us),
            usage: self.output_tokens.map(usage),
            cost: self.cost_nanos.map(Money::from_nanos),
            attempts: 1,
            is_fail_over: self.is_fail_over,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    fn served() -> Served {
        Served {
            route: RouteId::new("chat"),
            arm: Arm::Candidate,
            target: TargetId::new("new"),
            finished: at(0),
            error_type: ErrorType::TruncatedStream,
            class: SloClass::Bad,
            broke: Some(StreamPhase::AfterContent),
            status: Some(200),
            ttft: Some(Duration::from_micros(150_250)),
            total: Duration::from_millis(900),
            usage: Some(Usage { output: 12, ..Usage::default() }),
            cost: Some(Money::from_nanos(32_500)),
            attempts: 1,
            is_fail_over: false,
        }
    }

    #[test]
    fn an_outcome_gets_its_time_where_it_arrives() {
        let told = Told::of(&served(), at(1_200));
        // Its sender's clock is an hour behind.
        let read = told.read(at(3_600_000)).unwrap();
        assert_eq!(read, Served { finished: at(3_598_800), ..served() });
        let plain = Served {
            broke: None,
            status: None,
            ttft: None,
            usage: None,
            cost: None,
            error_type: ErrorType::Connect,
            is_fail_over: true,
            ..served()
        };
        let told = Told::of(&plain, at(0));
        let text = serde_json::to_string(&told).unwrap();
        let read: Told = serde_json::from_str(&text).unwrap();
        assert_eq!(read.read(at(0)), Some(plain));
    }

    #[test]
    fn what_another_version_might_tell_is_read_or_left_out() {
        // By hand: what another program would write.
        let text = r#"{"route":"chat","arm":"candidate","target":"new","age_ms":1200,
            "error_type":"truncated_stream","class":"bad","broke":"after_content","status":200,
            "ttft_us":150250,"total_us":900000,"output_tokens":12,"cost_nanos":32500}"#;
        let told: Told = serde_json::from_str(text).unwrap();
        assert_eq!(told.read(at(1_200)), Some(served()));
        for (word, other) in
            [("candidate", "third"), ("truncated_stream", "odd"), ("\"bad\"", "\"x\"")]
        {
            let told: Told = serde_json::from_str(&text.replace(word, other)).unwrap();
            assert_eq!(told.read(at(0)), None, "{word}");
        }
        assert!(serde_json::from_str::<Told>("{}").is_err());
    }
}
