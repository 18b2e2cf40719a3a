//! How bad an alert is, in PagerDuty's four words, whatever its label says.
//!
//! PagerDuty refuses an event with any other word, and the page is lost, so a word is mapped and
//! never passed on. One that is not known, or none, counts as `error`, which is Alertmanager's own
//! default and still wakes somebody: an alert that nobody classified must not be a quiet one.

use serde::Serialize;

use super::Alert;

/// From harmless to bad, so that the greatest of several is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nobody needs to do anything.
    Info,
    /// In working hours.
    Warning,
    /// Something does not work.
    Error,
    /// Now.
    Critical,
}

impl Severity {
    /// Reads one of the four words themselves.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "info" => Some(Self::Info),
            "warning" => Some(Self::Warning),
            "error" => Some(Self::Error),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }

    /// What a label's value means: the words that rule files, Alertmanager's users and issue
    /// trackers use.
    pub fn of_label(value: &str) -> Self {
        match value.trim().to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "emergency" | "emerg" | "fatal" | "panic"
            | "disaster" | "blocker" | "p0" | "p1" | "sev0" | "sev1" | "s1" => Self::Critical,
            "warning" | "warn" | "ticket" | "average" | "medium" | "moderate" | "minor" | "p3"
            | "sev3" | "s3" => Self::Warning,
            "info" | "information" | "informational" | "notice" | "none" | "debug" | "low"
            | "ok" | "p4" | "p5" | "sev4" | "sev5" | "s4" => Self::Info,
            _ => Self::Error,
        }
    }

    /// An alert's, by its label `severity`.
    pub(super) fn of(alert: &Alert) -> Self {
        Self::of_label(alert.labels.get("severity").unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_becomes_one_of_the_four_and_an_unknown_one_still_pages() {
        for (severity, words) in [
            (
                Severity::Critical,
                &["critical", "page", "PAGE", " Critical ", "p1", "emergency"][..],
            ),
            (Severity::Error, &["error", "err", "high", "major", "p2", "", "banana", "🚨"]),
            (Severity::Warning, &["warning", "warn", "ticket", "minor", "sev3"]),
            (Severity::Info, &["info", "notice", "none", "low", "p5"]),
        ] {
            for word in words {
                assert_eq!(Severity::of_label(word), severity, "{word}");
            }
        }
        let mut ordered = [Severity::Critical, Severity::Info, Severity::Error, Severity::Warning];
        ordered.sort();
        let written = serde_json::to_string(&ordered).unwrap();
        assert_eq!(written, r#"["info","warning","error","critical"]"#);
        assert_eq!(Severity::parse("page"), None);
    }
}
