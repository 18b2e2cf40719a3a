//! Answers of providers, as files: each is graded whole, byte by byte, and cut in two at every byte,
//! and must get the one grade its header asks for.

#[path = "provider/fixture.rs"]
mod fixture;

use std::collections::BTreeMap;

use bellwether::model::Timestamp;
use bellwether::provider::{
    Dialect, ErrorType, Exam, Expectation, Grade, Head, Progress, StreamPhase, Terminal, Usage,
};
use proptest::prelude::*;

use fixture::{Fixture, fixtures};

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// What a caller saw and got.
#[derive(Debug, PartialEq)]
struct Seen {
    grade: Grade,
    content: u32,
    output: u32,
    keepalives: u32,
    last: (bool, bool),
    has_content: bool,
}

impl Fixture {
    fn exam(&self) -> Exam {
        let mut exam = Exam::new(
            self.dialect,
            Expectation {
                is_streamed: self.get("asked") != Some("whole"),
                model: self.get("model").unwrap_or("m").to_owned(),
                terminal: match self.get("terminal") {
                    Some("strict") => Terminal::Strict,
                    _ => Terminal::Lenient,
                },
                wants_usage: self.get("wants-usage") != Some("no"),
            },
        );
        let headers = |name: &str| {
            if name == "content-type" {
                return self.get(name).filter(|value| *value != "-").map(ToOwned::to_owned);
            }
            self.fields
                .iter()
                .filter(|(key, _)| key == "header")
                .filter_map(|(_, value)| value.split_once(':'))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        if let Ok(status) = self.asked("status").parse() {
            exam.head(&Head { status, headers: &headers, now: NOW });
        }
        exam
    }

    fn sit<'c>(&self, chunks: impl IntoIterator<Item = &'c [u8]>, stops: bool) -> Seen {
        let mut exam = self.exam();
        let (mut content, mut output, mut keepalives) = (0, 0, 0);
        let mut last = Progress::default();
        for chunk in chunks {
            last = exam.bytes(chunk);
            content += last.content;
            output += last.output;
            keepalives += last.keepalives;
            if stops && last.is_over {
                break;
            }
        }
        match self.ending() {
            None => exam.end(),
            Some(failure) => exam.broke(failure),
        }
        let has_content = exam.has_content();
        let last = (last.is_over, last.has_finish);
        Seen { content, output, keepalives, last, has_content, grade: exam.finish() }
    }

    /// The block whose end first brings what is waited for.
    fn first_block(&self, is_awaited: impl Fn(Progress) -> bool) -> String {
        let mut exam = self.exam();
        // A line break of two bytes ends the line with its first.
        let line_break = self.line_break();
        let blank = format!("{line_break}{}", &line_break[..1]);
        for (at, byte) in self.body.iter().enumerate() {
            if is_awaited(exam.bytes(&[*byte])) {
                let head = String::from_utf8_lossy(&self.body[..=at]).into_owned();
                return head.matches(&blank).count().to_string();
            }
        }
        "-".to_owned()
    }

    fn check(&self) {
        let name = &self.name;
        let whole = self.sit([&*self.body], false);
        self.check_grade(&whole.grade);
        let ttft = self.first_block(|progress| progress.content > 0);
        assert_eq!(ttft, self.asked("ttft"), "{name}: ttft");
        if let Some(ttfo) = self.get("ttfo") {
            let first = self.first_block(|progress| progress.output > 0);
            assert_eq!(first, ttfo, "{name}: ttfo");
        }
        assert_eq!(self.sit(self.body.chunks(1), false), whole, "{name}: byte by byte");
        for at in 0..=self.body.len() {
            let (left, right) = self.body.split_at(at);
            assert_eq!(self.sit([left, right], false), whole, "{name}: cut at {at}");
        }
        let stopped = self.sit(self.body.chunks(1), true).grade;
        assert_eq!(stopped, whole.grade, "{name}: a caller that stops when it is over");
    }

    fn check_grade(&self, grade: &Grade) {
        let name = &self.name;
        assert_eq!(grade.error_type.as_str(), self.asked("expect"), "{name}: {grade:?}");
        assert_eq!(grade.error_type.class().as_str(), self.asked("class"), "{name}: class");
        let phase = grade.broke.map_or("-", |phase| phase.as_str());
        assert_eq!(phase, self.asked("phase"), "{name}: phase");
        assert_eq!(usage(grade.usage), self.asked("usage"), "{name}: usage");
        assert!(grade.detail.chars().count() <= 300, "{name}: detail is long");
        assert_eq!(grade.detail.is_empty(), grade.error_type == ErrorType::None, "{name}: detail");
        assert_eq!(
            grade.status.map(i32::from),
            self.asked("status").parse().ok(),
            "{name}: status"
        );
        let same = |field: &str, value: String| {
            if let Some(expected) = self.get(field) {
                assert_eq!(value, expected, "{name}: {field}");
            }
        };
        same("text", grade.text.clone());
        same("finish", grade.finish_reason.clone().unwrap_or_default());
        same("answered", grade.model.clone().unwrap_or_default());
        same("request-id", grade.request_id.clone().unwrap_or_default());
        let anomalies: Vec<_> = grade.anomalies.iter().map(|anomaly| anomaly.as_str()).collect();
        assert_eq!(anomalies.join(" "), self.get("anomalies").unwrap_or(""), "{name}: anomalies");
        let wait = grade.rate_limits.retry_after;
        let limit = grade.rate_limits.refused_by.map_or("-", |kind| kind.as_str());
        let is_limited = matches!(
            grade.error_type,
            ErrorType::RateLimited | ErrorType::QuotaExhausted | ErrorType::Overloaded
        );
        assert_eq!(is_limited, limit != "-", "{name}: limit");
        same("limit", limit.to_owned());
        same("wait", wait.map_or("-".to_owned(), |wait| wait.as_secs_f64().to_string()));
        if let Some(part) = self.get("detail") {
            assert!(grade.detail.contains(part), "{name}: detail `{}`", grade.detail);
        }
        if let Some(part) = self.get("detail-lacks") {
            assert!(!grade.detail.contains(part), "{name}: detail `{}`", grade.detail);
        }
    }
}

fn usage(usage: Option<Usage>) -> String {
    usage.map_or("-".to_owned(), |usage| {
        let Usage { input, output, cache_read, cache_write, reasoning, .. } = usage;
        format!("{input} {output} {cache_read} {cache_write} {reasoning}")
    })
}

fn check_all(dialect: Dialect) {
    let fixtures = fixtures(dialect);
    assert!(fixtures.len() >= 60, "{} fixtures", fixtures.len());
    for fixture in fixtures {
        fixture.check();
    }
}

#[test]
fn every_openai_answer_gets_its_grade_wherever_it_is_cut() {
    check_all(Dialect::OpenaiChat);
}

#[test]
fn every_response_gets_its_grade_wherever_it_is_cut() {
    check_all(Dialect::OpenaiResponses);
}

#[test]
fn every_anthropic_answer_gets_its_grade_wherever_it_is_cut() {
    check_all(Dialect::AnthropicMessages);
}

#[test]
fn every_azure_answer_gets_its_grade_wherever_it_is_cut() {
    check_all(Dialect::AzureOpenai);
}

#[test]
fn every_gemini_answer_gets_its_grade_wherever_it_is_cut() {
    check_all(Dialect::Gemini);
}

/// The table of the corpus: `cargo test --test provider table -- --nocapture`.
#[test]
fn the_table_of_the_corpus_has_no_miss_and_no_false_alarm() {
    let mut rows: BTreeMap<&str, BTreeMap<Dialect, String>> = BTreeMap::new();
    let mut totals: BTreeMap<&str, BTreeMap<Dialect, usize>> = BTreeMap::new();
    let (mut missed, mut alarms) = (Vec::new(), Vec::new());
    for dialect in Dialect::MODELS {
        for fixture in fixtures(dialect) {
            let grade = fixture.sit([&*fixture.body], false).grade;
            let (found, due) = (grade.error_type.as_str(), fixture.asked("expect"));
            match (found == due, due) {
                (true, _) => {}
                (false, "none") => alarms.push(format!("{}: {found}", fixture.name)),
                (false, _) => missed.push(format!("{}: {found}, not {due}", fixture.name)),
            }
            let (_, stem) = fixture.name.split_once('/').expect("dialect and name");
            let phase = grade.broke.map_or("", |phase| match phase {
                StreamPhase::BeforeContent => " <",
                StreamPhase::AfterContent => " >",
            });
            rows.entry(stem).or_default().insert(dialect, format!("{found}{phase}"));
            *totals.entry(due).or_default().entry(dialect).or_default() += 1;
        }
    }
    let line = |name: &str, cell: &dyn Fn(Dialect) -> String| {
        let cells = Dialect::MODELS.map(|dialect| format!("{:<24}", cell(dialect)));
        println!("{name:<56}{}", cells.concat().trim_end());
    };
    line("", &|dialect| dialect.as_str().to_owned());
    for (stem, cells) in &rows {
        line(stem, &|dialect| cells.get(&dialect).cloned().unwrap_or_default());
    }
    println!("\nby error type (<: broke before content, >: after it)");
    for (due, counts) in &totals {
        line(due, &|dialect| counts.get(&dialect).map(usize::to_string).unwrap_or_default());
    }
    line("together", &|dialect| fixtures(dialect).len().to_string());
    assert_eq!((missed, alarms), (Vec::<String>::new(), Vec::<String>::new()));
}

fn expectation(is_streamed: bool) -> Expectation {
    Expectation {
        is_streamed,
        model: "m".to_owned(),
        terminal: Terminal::Lenient,
        wants_usage: true,
    }
}

fn answer(dialect: Dialect, is_streamed: bool, body: &[u8], size: usize) -> Grade {
    let mut exam = Exam::new(dialect, expectation(is_streamed));
    let media = if is_streamed { "text/event-stream" } else { "application/json" };
    let headers = |name: &str| (name == "content-type").then(|| media.to_owned());
    exam.head(&Head { status: 200, headers: &headers, now: NOW });
    for chunk in body.chunks(size) {
        exam.bytes(chunk);
    }
    exam.end();
    exam.finish()
}

#[test]
fn what_is_too_long_is_malformed_and_the_text_that_is_kept_is_bounded() {
    let megabyte = "x".repeat(1 << 20);
    let event = format!("data: {{\"choices\":[],\"id\":\"{megabyte}\"}}\n\ndata: [DONE]\n\n");
    let grade = answer(Dialect::OpenaiChat, true, event.as_bytes(), 4096);
    assert_eq!(grade.error_type, ErrorType::MalformedJson);
    assert_eq!(grade.detail, "an event is over 1 MiB");

    let body = format!("{{\"choices\":[],\"id\":\"{}\"}}", megabyte.repeat(8));
    let grade = answer(Dialect::OpenaiChat, false, body.as_bytes(), 65_536);
    assert_eq!(grade.error_type, ErrorType::MalformedJson);
    assert_eq!(grade.detail, "the body is over 8 MiB");

    let piece = "é".repeat(1000);
    let chunk = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n");
    let stream = format!("{}data: [DONE]\n\n", chunk.repeat(100));
    let grade = answer(Dialect::OpenaiChat, true, stream.as_bytes(), 1000);
    assert_eq!(grade.error_type, ErrorType::UsageMissing);
    assert_eq!(grade.text.len(), 65_536);

    let deep = format!("data: {}\n\ndata: [DONE]\n\n", "[".repeat(100_000));
    let grade = answer(Dialect::OpenaiChat, true, deep.as_bytes(), 4096);
    assert_ne!(grade.error_type, ErrorType::None);
    let deep = format!("data: {{\"error\":{}\n\n", "[".repeat(100_000));
    let grade = answer(Dialect::OpenaiChat, true, deep.as_bytes(), 4096);
    assert_eq!(grade.error_type, ErrorType::TruncatedStream);
}

#[test]
fn an_exam_without_a_head_is_our_own_fault_unless_the_caller_saw_a_failure() {
    let exam = Exam::new(Dialect::OpenaiChat, expectation(true));
    assert_eq!(exam.finish().error_type, ErrorType::Internal);
    for failure in [ErrorType::Dns, ErrorType::ConnectTimeout, ErrorType::Cancelled] {
        let mut exam = Exam::new(Dialect::AnthropicMessages, expectation(true));
        exam.bytes(b"ignored");
        exam.broke(failure);
        let grade = exam.finish();
        assert_eq!(grade.error_type, failure);
        assert_eq!((grade.status, grade.broke), (None, None));
    }
}

#[test]
fn a_caller_learns_when_an_answer_is_nearly_and_when_it_is_wholly_over() {
    let mut exam = Exam::new(Dialect::OpenaiChat, expectation(true));
    let headers = |_: &str| Some("text/event-stream; charset=utf-8".to_owned());
    exam.head(&Head { status: 200, headers: &headers, now: NOW });
    let mut say = |bytes: &[u8]| {
        let progress = exam.bytes(bytes);
        (progress.content, progress.keepalives, progress.has_finish, progress.is_over)
    };
    assert_eq!(say(b": hello\n\n"), (0, 1, false, false));
    assert_eq!(
        say(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"),
        (1, 0, false, false)
    );
    let finish = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(say(finish), (0, 0, true, false));
    assert_eq!(say(b"data: [DONE]\n\n"), (0, 0, false, true));
    assert_eq!(say(b"data: {\"error\":1}\n\n: late\n\n"), (0, 0, false, true));
}

proptest! {
    #[test]
    fn bytes_of_any_kind_get_one_grade_and_never_a_panic(
        body in proptest::collection::vec(any::<u8>(), 0..600),
        is_streamed: bool,
        size in 1_usize..40,
    ) {
        for dialect in Dialect::MODELS {
            let whole = answer(dialect, is_streamed, &body, usize::MAX);
            prop_assert_eq!(answer(dialect, is_streamed, &body, size), whole);
        }
    }

    #[test]
    fn damaged_answers_get_one_grade_and_never_a_panic(
        pick: prop::sample::Index,
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        size in 1_usize..40,
    ) {
        for dialect in Dialect::MODELS {
            let all = fixtures(dialect);
            let mut fixture = all[pick.index(all.len())].clone();
            for (at, byte) in &damages {
                if !fixture.body.is_empty() {
                    let at = at.index(fixture.body.len());
                    fixture.body[at] = *byte;
                }
            }
            let whole = fixture.sit([&*fixture.body], false);
            prop_assert_eq!(fixture.sit(fixture.body.chunks(size), false), whole);
        }
    }
}
