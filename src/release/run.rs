//! One execution of a plan: its names, and what is written down of it.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Characters of a program's or a receiver's output that are kept of one try.
pub const OUTPUT_MAX: usize = 4096;

/// Whether an execution is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// It moves traffic.
    Real,
    /// It rehearses.
    Drill,
    /// It gives the candidate the share of a stage.
    Shift,
}

impl RunMode {
    /// The word for it, as a label value too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Drill => "drill",
            Self::Shift => "shift",
        }
    }
}

/// One execution of a plan. Its keys are the same after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The rollback's name.
    pub rollback: String,
    /// Grows from one execution of a rollback to its next: when it was decided, in milliseconds, so
    /// that no store must be asked for it.
    pub generation: i64,
    /// Whether it is meant.
    pub mode: RunMode,
    /// Its delivery in the outbox; the same for one rollback and one incident.
    pub id: String,
}

impl Run {
    /// The release and the generation, in the alphabet of a header: `gpt-next:1795000000000`.
    pub fn key(&self) -> String {
        let mode = match self.mode {
            RunMode::Real => "",
            RunMode::Drill => "drill:",
            RunMode::Shift => "shift:",
        };
        format!("{mode}{}:{}", escaped(&self.rollback), self.generation)
    }

    /// The idempotency key of one step.
    pub fn step_key(&self, step: &str) -> String {
        format!("{}:{}", self.key(), escaped(step))
    }
}

/// Without colons or dots, and no two names become one.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It is acknowledged.
    Done,
    /// It is not, or nobody knows.
    Failed,
    /// It never began.
    Skipped,
    /// It has no form for a drill.
    NotRehearsed,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Every step is acknowledged and stable answers.
    RolledBack,
    /// Something is not: a person must look.
    RollbackUnverified,
    /// All that is rehearsed went well.
    DrillPassed,
    /// Some of it did not.
    DrillFailed,
    /// The candidate has the share, as far as whoever sets it says.
    Shifted,
    /// Nobody knows.
    NotShifted,
}

impl RunEnd {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled_back",
            Self::RollbackUnverified => "rollback_unverified",
            Self::DrillPassed => "drill_passed",
            Self::DrillFailed => "drill_failed",
            Self::Shifted => "shifted",
            Self::NotShifted => "not_shifted",
        }
    }

    /// Whether it went as it should.
    pub fn is_good(self) -> bool {
        match self {
            Self::RolledBack | Self::DrillPassed | Self::Shifted => true,
            Self::RollbackUnverified | Self::DrillFailed | Self::NotShifted => false,
        }
    }
}

/// A line of an execution's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// [`Run::key`].
    pub run: String,
    /// [`Run::id`].
    pub id: String,
    /// The rollback's name.
    pub rollback: String,
    /// Whether it is meant.
    pub mode: RunMode,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

impl LogEntry {
    /// When.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }
}

/// What happened. Outputs are cut to [`OUTPUT_MAX`] and hold no secret of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// It began, or went on after a restart.
    Begun {
        /// Steps that are acknowledged already.
        done: Vec<String>,
    },
    /// A step began.
    StepBegun {
        /// Which.
        step: String,
    },
    /// One try of a step ended.
    Tried {
        /// Which step.
        step: String,
        /// Counted from 1.
        attempt: u32,
        /// Whether it went well.
        is_good: bool,
        /// What came back.
        output: String,
    },
    /// A step ended.
    StepEnded {
        /// Which.
        step: String,
        /// How.
        result: StepResult,
        /// How many tries there were.
        attempts: u32,
        /// Why.
        why: String,
    },
    /// All of it ended.
    Ended {
        /// How.
        end: RunEnd,
        /// Milliseconds from its beginning.
        took_ms: u64,
        /// The steps that are not done, and why.
        why: String,
        /// Names the plan; see [`super::Plan::mark`].
        #[serde(default)]
        mark: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_release_generation_and_step_without_ambiguity() {
        let run = |rollback: &str, mode| Run {
            rollback: rollback.to_owned(),
            generation: 7,
            mode,
            id: String::new(),
        };
        assert_eq!(run("gpt-next", RunMode::Real).step_key("move"), "gpt-next:7:move");
        assert_eq!(run("a:b.ü", RunMode::Real).key(), "a%3Ab%2E%C3%BC:7");
        assert_eq!(run("a", RunMode::Drill).step_key("s"), "drill:a:7:s");
    }

    #[test]
    fn a_log_entry_is_read_as_it_was_written() {
        let entry = LogEntry {
            run: "a:7".to_owned(),
            id: "i".to_owned(),
            rollback: "a".to_owned(),
            mode: RunMode::Real,
            at_ms: 7,
            what: What::Ended {
                end: RunEnd::RolledBack,
                took_ms: 3,
                why: String::new(),
                mark: "m".to_owned(),
            },
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            text,
            r#"{"run":"a:7","id":"i","rollback":"a","mode":"real","at_ms":7,"what":"ended","end":"rolled_back","took_ms":3,"why":"","mark":"m"}"#
        );
        assert_eq!(serde_json::from_str::<LogEntry>(&text).unwrap(), entry);
    }
}
