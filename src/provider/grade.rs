//! What came of an answer, decided once everything has been seen.
//!
//! Exactly one error type, by this precedence: a failure that the caller saw, the HTTP status, an
//! error that the provider reported, a missing end, a flaw of form, a filter or refusal, our own
//! token limit, emptiness, and last what is only a warning. A stream that is complete cannot break
//! any more. A filter, a refusal and the limit come before emptiness because they explain it.

use super::exam::{Ending, Exam, Mode};
use super::fault::DETAIL_CHARS_MAX;
use super::redact::{bound, redact};
use super::{Anomaly, Dialect, ErrorType, LimitKind, RateLimits, StreamPhase, Usage};

/// What came of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// Exactly one.
    pub error_type: ErrorType,
    /// For people, at most 300 characters, without keys, prompts and answers; empty for a success.
    pub detail: String,
    /// Where a stream broke: for every failure inside a streamed 2xx that kept it from ending well.
    pub broke: Option<StreamPhase>,
    /// The answer's text without reasoning, at most 64 KiB of it.
    pub text: String,
    /// Tokens, where the provider gave a final count.
    pub usage: Option<Usage>,
    /// The model that says it answered.
    pub model: Option<String>,
    /// `finish_reason`, `stop_reason`, or what the dialect calls it.
    pub finish_reason: Option<String>,
    /// Oddities, each at most once, in order.
    pub anomalies: Vec<Anomaly>,
    /// What headers (or an error's body) said of our limits.
    pub rate_limits: RateLimits,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The answer's own id, where others may continue it by that.
    pub answer_id: Option<String>,
    /// Whether the provider says that it does not have the response that is to be continued.
    pub lacks_previous: bool,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
}

impl Grade {
    /// Whether the answer ended at a limit on its length.
    pub fn is_cut(&self) -> bool {
        self.finish_reason.as_deref().is_some_and(is_limit)
    }
}

/// Whether a failure kept the answer from ending well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    Broke,
    Ended,
}

/// Grades an exam that has ended.
pub(super) fn grade(mut exam: Exam) -> Grade {
    let (error_type, detail, harm) = verdict(&exam);
    note_ending(&mut exam);
    let is_stream =
        exam.expectation.is_streamed && exam.facts.as_ref().is_some_and(|facts| facts.is_success());
    let phase =
        if exam.has_content() { StreamPhase::AfterContent } else { StreamPhase::BeforeContent };
    let reading = exam.reading;
    let mut rate_limits = exam.facts.as_ref().map(|facts| facts.rate_limits).unwrap_or_default();
    let wait = reading.fault.as_ref().and_then(|fault| fault.wait);
    rate_limits.retry_after = rate_limits.retry_after.or(wait);
    rate_limits.refused_by = match (error_type, &reading.fault) {
        (ErrorType::RateLimited, _) => Some(LimitKind::Rate),
        (ErrorType::Overloaded, _) => Some(LimitKind::Capacity),
        (ErrorType::QuotaExhausted, Some(fault)) if fault.is_periodic => Some(LimitKind::Quota),
        (ErrorType::QuotaExhausted, _) => Some(LimitKind::Credit),
        _ => None,
    };
    let lacks_previous = reading.fault.as_ref().is_some_and(|fault| fault.lacks_previous);
    let named = reading.fault.and_then(|fault| fault.request_id);
    let status = exam.facts.as_ref().map(|facts| facts.status);
    let request_id = exam.facts.and_then(|facts| facts.request_id);
    Grade {
        error_type,
        detail: bound(&detail, DETAIL_CHARS_MAX),
        broke: (is_stream && harm == Harm::Broke).then_some(phase),
        text: reading.text,
        usage: reading.usage.filter(|_| reading.is_usage_final),
        model: reading.model,
        finish_reason: reading.finish,
        anomalies: reading.anomalies,
        rate_limits,
        request_id: request_id
            .or(named)
            .or_else(|| reading.answer_id.clone())
            .map(|id| bound(&id, 128)),
        answer_id: reading.answer_id,
        lacks_previous,
        status,
    }
}

fn verdict(exam: &Exam) -> (ErrorType, String, Harm) {
    let reading = &exam.reading;
    let is_settled = exam.is_complete() || reading.fault.is_some();
    let broke = |error_type, detail| (error_type, detail, Harm::Broke);
    let ended = |error_type, detail: &str| (error_type, detail.to_owned(), Harm::Ended);
    if let Some(Ending::Broken(failure)) = exam.ending
        && !is_settled
    {
        let harm = match failure {
            ErrorType::Cancelled | ErrorType::Internal => Harm::Ended,
            _ => Harm::Broke,
        };
        return (failure, progress(exam, "broke off"), harm);
    }
    if exam.facts.is_none() {
        return ended(ErrorType::Internal, "no answer was seen");
    }
    if let Some(fault) = &reading.fault {
        return broke(fault.error_type, fault.detail.clone());
    }
    if matches!(exam.mode, Mode::Stream(_)) && !exam.is_complete() {
        return broke(ErrorType::TruncatedStream, progress(exam, "ended"));
    }
    if let Some(flaw) = &reading.flaw {
        return broke(flaw.error_type, flaw.detail.clone());
    }
    let finish = reading.finish.as_deref().unwrap_or_default();
    if reading.has_blocked {
        let detail = format!("the question was blocked (`{}`)", redact(finish, 60));
        return (ErrorType::ContentFiltered, detail, Harm::Ended);
    }
    if is_filter(finish) {
        return ended(ErrorType::ContentFiltered, &format!("finished by `{finish}`"));
    }
    if finish == "refusal" {
        return ended(ErrorType::Refusal, "stopped by `refusal`");
    }
    if reading.has_refused {
        return ended(ErrorType::Refusal, "the message is a refusal");
    }
    if is_limit(finish) && reading.output == 0 {
        return ended(ErrorType::MaxTokensReached, "the limit was reached before any output");
    }
    if reading.content == 0 {
        return ended(ErrorType::EmptyContent, "complete, with nothing in it");
    }
    let asked = &exam.expectation.model;
    if let Some(answered) = &reading.model
        && !is_same_model(asked, answered)
    {
        let detail =
            format!("asked for `{}`, `{}` answered", redact(asked, 100), redact(answered, 100));
        return (ErrorType::ModelMismatch, detail, Harm::Ended);
    }
    if exam.expectation.wants_usage && !reading.is_usage_final {
        return ended(ErrorType::UsageMissing, "usage was asked for and none came");
    }
    ended(ErrorType::None, "")
}

/// Whether a reason for the end is a filter's, in any dialect.
fn is_filter(finish: &str) -> bool {
    matches!(
        finish,
        "content_filter"
            | "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
    )
}

/// Whether a reason for the end is a limit on the length, in any dialect.
fn is_limit(finish: &str) -> bool {
    matches!(
        finish,
        "length"
            | "max_tokens"
            | "model_context_window_exceeded"
            | "max_output_tokens"
            | "MAX_TOKENS"
    )
}

/// Notes the oddities that only the ending shows.
fn note_ending(exam: &mut Exam) {
    if !matches!(exam.mode, Mode::Stream(_)) || exam.reading.fault.is_some() {
        return;
    }
    let has_done = match exam.reading.dialect {
        Dialect::OpenaiChat | Dialect::AzureOpenai => true,
        Dialect::OpenaiResponses | Dialect::AnthropicMessages | Dialect::Gemini | Dialect::Http => {
            false
        }
    };
    if has_done && exam.reading.has_finished() && !exam.reading.has_done {
        exam.reading.odd(Anomaly::NoDone);
    }
    let is_timeout = matches!(
        exam.ending,
        Some(Ending::Broken(
            ErrorType::StalledStream | ErrorType::TotalTimeout | ErrorType::TtftTimeout
        ))
    );
    if is_timeout && exam.is_complete() {
        exam.reading.odd(Anomaly::LingeringSocket);
    }
}

fn progress(exam: &Exam, what: &str) -> String {
    let reading = &exam.reading;
    if exam.facts.is_none() {
        return format!("{what} before an answer began");
    }
    let content = match (&exam.mode, reading.content) {
        (Mode::Waiting | Mode::Body { .. }, _) => "inside the body".to_owned(),
        (Mode::Stream(_), 0) => "before any content".to_owned(),
        (Mode::Stream(_), 1) => "after 1 event with content".to_owned(),
        (Mode::Stream(_), count) => format!("after {count} events with content"),
    };
    let flaw = reading.flaw.as_ref().map(|flaw| format!("; {}", flaw.detail)).unwrap_or_default();
    format!("{what} {content}{flaw}")
}

/// Whether a name that answered is the one that was asked for.
///
/// Compared without letter case, without the path of a marketplace (`openai/gpt-4o`), without a
/// variant (`:free`), and without `-latest` or a version (`-2024-08-06`, `-20241022`, `@20240620`,
/// `-0613`, `-001`) where only one of them has it: two versions must be the same. So `gpt-4o` may be
/// answered by `gpt-4o-2024-08-06`, never by `gpt-4o-mini`.
pub(super) fn is_same_model(asked: &str, answered: &str) -> bool {
    if asked.is_empty() || answered.is_empty() || asked.eq_ignore_ascii_case(answered) {
        return true;
    }
    let (asked, asked_version) = split_version(asked);
    let (answered, answered_version) = split_version(answered);
    let is_version_same = asked_version.is_empty()
        || answered_version.is_empty()
        || asked_version == answered_version;
    asked.eq_ignore_ascii_case(answered) && is_version_same
}

/// A model's bare name and its version, which is empty where it has none.
pub(super) fn split_version(name: &str) -> (&str, &str) {
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name);
    let bare = name.strip_suffix("-latest").unwrap_or(name);
    if bare.len() < name.len() {
        return (bare, "");
    }
    // Longest form first: the last group of a date alone would pass for a version too.
    for groups in [3, 2, 1] {
        let Some((at, _)) = name.rmatch_indices(['-', '@']).nth(groups - 1) else { continue };
        if is_version(&name[at + 1..]) {
            return (&name[..at], &name[at + 1..]);
        }
    }
    (name, "")
}

/// A date, a month and day, or a number of four digits or more (of three if the first is zero).
fn is_version(text: &str) -> bool {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return false;
    }
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    match lengths[..] {
        [4, 2, 2] | [2, 2] => true,
        [length] => length >= 4 || (length == 3 && text.starts_with('0')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_answer_with_its_version_and_no_other_model_may() {
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o", "GPT-4o"),
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4", "gpt-4-0613"),
            ("gemini-1.5-pro", "gemini-1.5-pro-001"),
            ("gemini-2.5-pro-preview", "gemini-2.5-pro-preview-05-06"),
            ("claude-3-5-sonnet", "claude-3-5-sonnet-20241022"),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
            ("claude-3-5-sonnet", "claude-3-5-sonnet@20240620"),
            ("openai/gpt-4o:free", "gpt-4o"),
            ("", "anything"),
            ("anything", ""),
        ] {
            assert!(is_same_model(asked, answered), "{asked} by {answered}");
        }
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o-mini"),
            ("gpt-4o", "gpt-4"),
            ("gpt-4", "gpt-4-1"),
            ("claude-3", "claude-3-5-sonnet-20241022"),
            ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13"),
            ("gpt-4o", "gpt-4o-mini-2024-07-18"),
            ("a", "b"),
        ] {
            assert!(!is_same_model(asked, answered), "{asked} by {answered}");
        }
    }
}
