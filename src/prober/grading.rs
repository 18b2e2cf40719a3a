//! From a record to an outcome.
//!
//! The exam has graded the answer; here its text is checked, its cost counted, and its class set.
//! A wrong answer is a failure of its own only where nothing worse was found, and an answer that
//! was cut by our own limit is our fault and not the provider's.

use std::time::Duration;

use super::record::Record;
use crate::clock::Clock;
use crate::model::{Money, Timestamp};
use crate::probe::{self, Anomaly, Outcome, Target, verify};
use crate::provider::{ErrorType, Grade, Page, SloClass, Surroundings};

/// What is known of a probe beside its exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub sequence: u64,
    pub due: Timestamp,
    pub lateness: Duration,
    pub is_cold: bool,
}

/// What was said, and by whom; no outcome holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub text: String,
    pub model: Option<String>,
}

/// Grades a finished exchange. Health is judged later, by [`excuse`].
pub(super) fn grade(
    record: Record,
    target: &Target,
    nonce: &str,
    headers: &dyn Fn(&str) -> Option<String>,
    circumstances: Circumstances,
    clock: &Clock,
) -> (Outcome, Heard) {
    let now = tokio::time::Instant::now();
    let phases = record.phases();
    let ended = record.ended.unwrap_or(now);
    let total = ended.saturating_duration_since(record.sent());
    let ttft = record.since_sent(record.first_content);
    let ttfo = record.since_sent(record.first_output);
    let spread = record.last_content.zip(record.first_content).map(|(last, first)| last - first);
    let is_streamed = ttft.is_some();
    let Record { exam, failure, gaps, is_lingering, has_asked_again, certificate_expires, .. } =
        record;
    let mut grade = exam.finish();
    let around = Surroundings { headers, certificate_expires, now: clock.at(now) };
    let (error_type, detail) = match (&target.page, &failure) {
        (Some(page), None) => judge_page(page, &grade, &around, target, nonce),
        (Some(_) | None, _) => judge(&grade, failure, target, nonce),
    };
    let heard =
        Heard { text: std::mem::take(&mut grade.text), model: std::mem::take(&mut grade.model) };
    let usage = grade.usage;
    let finished = clock.at(now);
    let price = target.provider.price(&target.model, finished);
    let mut anomalies = grade.anomalies;
    if is_lingering && !anomalies.contains(&Anomaly::LingeringSocket) {
        anomalies.push(Anomaly::LingeringSocket);
    }
    if has_asked_again {
        anomalies.push(Anomaly::StaleConnection);
    }
    let outcome = Outcome {
        target: target.id.clone(),
        sequence: circumstances.sequence,
        due: circumstances.due,
        finished,
        lateness: circumstances.lateness,
        error_type,
        class: target.class(error_type),
        detail,
        broke: grade.broke,
        phases,
        ttft,
        ttfo,
        time_per_output_token: usage.zip(spread).filter(|_| is_streamed).and_then(
            |(usage, spread)| {
                let later = u32::try_from(usage.output).ok()?.checked_sub(1)?;
                spread.checked_div(later)
            },
        ),
        gaps: if is_streamed { gaps } else { Vec::new() },
        total,
        status: grade.status,
        usage,
        cost: match target.page {
            Some(_) => Some(Money::ZERO),
            None => usage.zip(price).map(|(usage, price)| probe::cost(&usage, price)),
        },
        anomalies,
        rate_limits: grade.rate_limits,
        certificate_expires,
        request_id: grade.request_id,
        is_cold: circumstances.is_cold,
        is_conclusive: true,
        is_planned: false,
    };
    (outcome, heard)
}

/// Takes our own troubles out of an outcome: while bellwether was stalled a timeout proves nothing,
/// and while the vantage is suspect neither does a provider that cannot be reached. What comes of
/// planned maintenance, good or bad, is no evidence at all.
pub(super) fn excuse(outcome: &mut Outcome, was_green: bool, is_vantage_suspect: bool) {
    outcome.is_conclusive = was_green;
    let is_timing = matches!(
        outcome.error_type,
        ErrorType::ConnectTimeout
            | ErrorType::TtftTimeout
            | ErrorType::StalledStream
            | ErrorType::TotalTimeout
    );
    let is_excused = outcome.is_planned
        || (!was_green && is_timing)
        || (is_vantage_suspect && probe::is_unreached(outcome.error_type));
    if is_excused {
        outcome.class = SloClass::Excluded;
    }
}

/// What to book for a probe: nothing where nothing was sent or a refusal came, its cost where that
/// is known, else (`None`) what was reserved.
pub(super) fn booked(outcome: &Outcome, was_sent: bool) -> Option<Money> {
    let is_refused = outcome.status.is_some_and(|status| status >= 300);
    if !was_sent || (is_refused && outcome.usage.is_none()) {
        return Some(Money::ZERO);
    }
    outcome.cost
}

fn judge(
    grade: &Grade,
    failure: Option<String>,
    target: &Target,
    nonce: &str,
) -> (ErrorType, String) {
    let may_check = matches!(
        grade.error_type,
        ErrorType::None | ErrorType::ModelMismatch | ErrorType::UsageMissing
    );
    if may_check && let Err(shortfall) = verify(&target.check, nonce, &grade.text) {
        let error_type = if grade.is_cut() {
            ErrorType::MaxTokensReached
        } else {
            ErrorType::ContentCheckFailed
        };
        return (error_type, shortfall.to_string());
    }
    let detail = failure.unwrap_or_else(|| grade.detail.clone());
    (grade.error_type, detail)
}

/// A page has its own say on status, headers and certificate; its body is checked as an answer is.
fn judge_page(
    page: &Page,
    grade: &Grade,
    around: &Surroundings<'_>,
    target: &Target,
    nonce: &str,
) -> (ErrorType, String) {
    if grade.status.is_none() {
        return (grade.error_type, grade.detail.clone());
    }
    if let Some(wrong) = page.wrong(grade, around) {
        return wrong;
    }
    if let Err(shortfall) = verify(&target.check, nonce, &grade.text) {
        return (ErrorType::ContentCheckFailed, shortfall.to_string());
    }
    match page.ends_soon(around) {
        Some(detail) => (ErrorType::Tls, detail),
        None => (ErrorType::None, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetId;
    use crate::probe::{Phases, RateLimits};
    use crate::provider::Usage;

    fn outcome(error_type: ErrorType) -> Outcome {
        Outcome {
            target: TargetId::new("t"),
            sequence: 0,
            due: Timestamp::from_millis(0),
            finished: Timestamp::from_millis(0),
            lateness: Duration::ZERO,
            error_type,
            class: error_type.class(),
            detail: String::new(),
            broke: None,
            phases: Phases::default(),
            ttft: None,
            ttfo: None,
            time_per_output_token: None,
            gaps: Vec::new(),
            total: Duration::ZERO,
            status: None,
            usage: None,
            cost: None,
            anomalies: Vec::new(),
            rate_limits: RateLimits::default(),
            certificate_expires: None,
            request_id: None,
            is_cold: false,
            is_conclusive: true,
            is_planned: false,
        }
    }

    #[test]
    fn our_own_troubles_excuse_only_what_they_can_cause() {
        use ErrorType::{
            Connect, ConnectTimeout, Dns, None, ServerError, StalledStream, Tls, TotalTimeout,
            TtftTimeout,
        };
        let check = |error_type: ErrorType, was_green, is_vantage_suspect, excluded| {
            let mut judged = outcome(error_type);
            excuse(&mut judged, was_green, is_vantage_suspect);
            let expected = if excluded { SloClass::Excluded } else { error_type.class() };
            assert_eq!(judged.class, expected, "{error_type:?}");
            assert_eq!(judged.is_conclusive, was_green);
        };
        for timing in [ConnectTimeout, TtftTimeout, StalledStream, TotalTimeout] {
            check(timing, false, false, true);
            check(timing, true, false, false);
        }
        for unreached in [Dns, Connect, ConnectTimeout] {
            check(unreached, true, true, true);
        }
        for other in [None, ServerError, Tls] {
            check(other, false, true, false);
        }
    }

    #[test]
    fn nothing_that_comes_of_planned_maintenance_is_evidence() {
        for error_type in [ErrorType::None, ErrorType::ServerError] {
            let mut judged = Outcome { is_planned: true, ..outcome(error_type) };
            excuse(&mut judged, true, false);
            assert_eq!(judged.class, SloClass::Excluded);
            assert_eq!(judged.error_type, error_type, "what came of it is said all the same");
        }
    }

    #[test]
    fn only_what_may_have_been_billed_is_booked() {
        let estimate = Option::None;
        let cost = Some(Money::from_nanos(7));
        let check = |status, usage: Option<Usage>, was_sent, expected| {
            let cost = usage.and(cost);
            let outcome = Outcome { status, usage, cost, ..outcome(ErrorType::None) };
            assert_eq!(booked(&outcome, was_sent), expected, "{status:?} {usage:?} {was_sent}");
        };
        let usage = Some(Usage::default());
        check(Some(200), usage, true, cost);
        // It broke before the usage came: nobody knows.
        check(Some(200), None, true, estimate);
        check(None, None, true, estimate);
        check(None, None, false, Some(Money::ZERO));
        check(Some(429), None, true, Some(Money::ZERO));
    }
}
