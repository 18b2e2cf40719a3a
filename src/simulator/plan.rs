//! What goes on the wire for one question, and when.
//!
//! Pure: the question, the behavior, the question's number, the time and the drawn numbers in; bytes
//! and waits out. Whoever plays the plan makes no choices.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::answer::{Content, Finish};
use super::draws::Draws;
use super::question::Question;
use super::voice::{Complaint, Facts, Frame, Usage, Voice};
use super::{Behavior, Fault, Injection, chat, messages};
use crate::model::Timestamp;
use crate::provider::Dialect;

const STREAM: &str = "text/event-stream; charset=utf-8";
const JSON: &str = "application/json";
/// A 429 that hints at no wait is a real provider's spend cap, so one is always given.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A reply, ready to be played. Times count from the arrival of the question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    /// When the head goes out; `None` where nothing ever comes.
    pub head_at: Option<Duration>,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// The length that is announced; chunks where none is.
    pub length: Option<usize>,
    pub steps: Vec<Step>,
}

/// One thing that is done to the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing before this time.
    Until(Duration),
    /// These bytes.
    Send(Bytes),
    /// These bytes again and again, without end.
    Repeat { every: Duration, bytes: Bytes },
    /// Nothing, without end.
    Silence,
    /// The connection is reset.
    Reset,
}

/// A reply and how it is counted.
#[derive(Debug)]
pub(super) struct Plan {
    pub reply: Reply,
    pub fault: Option<Fault>,
    pub is_slow: bool,
}

/// Plans the reply to a question.
pub(super) fn plan(
    question: &Question,
    behavior: &Behavior,
    number: u64,
    now: Timestamp,
    mut draws: Draws,
) -> Plan {
    let is_slow = draws.slow < behavior.slow.share.part();
    let injection = struck(&behavior.faults, draws.fault);
    let fault = injection.map(|injection| injection.fault);
    let (content, finish, usage) = said(question, behavior, fault);
    let mut facts = Facts::of(question, number, now);
    match fault {
        Some(Fault::WrongModel) => "another-model".clone_into(&mut facts.model),
        Some(Fault::UsageMissing) => facts.wants_usage = false,
        _ => {}
    }
    let ttft = if is_slow { behavior.slow.ttft } else { behavior.ttft };
    let headers_at = draws.jittered(behavior.headers, behavior.jitter);
    let mut at = draws.jittered(ttft, behavior.jitter).max(headers_at);
    let mut times = vec![at];
    for _ in 1..content.tokens() {
        at += draws.jittered(behavior.gap, behavior.jitter);
        times.push(at);
    }
    let voice = facts.voice(question.dialect);
    let telling = Telling {
        dialect: question.dialect,
        voice: voice.as_ref(),
        number,
        now,
        content,
        finish,
        usage,
        headers_at,
        times,
        keepalive: behavior.keepalive,
        after_tokens: injection.and_then(|injection| injection.after_tokens),
    };
    let reply = match fault {
        Some(Fault::Http { status, retry_after }) => {
            telling.error(status, Complaint::Status(status), retry_after)
        }
        Some(Fault::QuotaExhausted) => {
            let status = if question.dialect == Dialect::OpenaiChat { 429 } else { 402 };
            telling.error(status, Complaint::Quota, None)
        }
        Some(Fault::NoHeaders) => Reply { head_at: None, ..telling.reply(200, JSON) },
        Some(Fault::NeverStarts) => {
            let kind = if question.is_streamed { STREAM } else { JSON };
            Reply { steps: vec![Step::Silence], ..telling.reply(200, kind) }
        }
        Some(Fault::Html200) => {
            telling.body(headers_at, "text/html; charset=utf-8", LOGIN_PAGE.to_owned())
        }
        Some(Fault::JsonOnStream) => telling.whole(None),
        _ if question.is_streamed => telling.stream(fault),
        _ => telling.whole(fault),
    };
    Plan { reply, fault, is_slow }
}

/// The reply to a request that is wrong in itself.
pub(super) fn refuse(
    dialect: Dialect,
    status: u16,
    message: &str,
    number: u64,
    now: Timestamp,
) -> Reply {
    let body = error_json(dialect, Complaint::Status(status), message, number);
    at_once(dialect, status, &body, number, now)
}

/// The reply to who asks which models there are.
pub(super) fn list(dialect: Dialect, models: &[String], number: u64, now: Timestamp) -> Reply {
    let body = match dialect {
        Dialect::OpenaiChat => chat::models(models, now),
        Dialect::AnthropicMessages => messages::models(models, now),
    };
    at_once(dialect, 200, &body, number, now)
}

fn at_once(dialect: Dialect, status: u16, body: &Value, number: u64, now: Timestamp) -> Reply {
    let mut headers = headers(dialect, number, now);
    headers.push(("content-type", JSON.to_owned()));
    let steps = vec![Step::Send(Bytes::from(body.to_string()))];
    sized(Reply { head_at: Some(Duration::ZERO), status, headers, length: None, steps })
}

const LOGIN_PAGE: &str = "<!doctype html>\n<html><head><title>Sign in</title></head>\
<body><h1>Sign in to continue</h1></body></html>\n";

/// The fault that the drawn number falls on, where the shares are laid end to end.
fn struck(injections: &[Injection], draw: f64) -> Option<&Injection> {
    let mut end = 0.0;
    injections.iter().find(|injection| {
        end += injection.share.part();
        draw < end
    })
}

/// What is said, how it ends, and where usage stands.
fn said(
    question: &Question,
    behavior: &Behavior,
    fault: Option<Fault>,
) -> (Content, Finish, Usage) {
    let tokens = behavior.tokens.min(question.tokens_max);
    let truth = Content::echo(&question.nonce, tokens);
    match fault {
        Some(Fault::EmptyContent) => (Content::Nothing, Finish::Stop, Usage::Reported),
        Some(Fault::WrongAnswer) => (Content::wrong(tokens), Finish::Stop, Usage::Reported),
        Some(Fault::Refusal) => {
            let words = "I will not answer that.".to_owned();
            (Content::Refusal(words), Finish::Refused, Usage::Reported)
        }
        Some(Fault::ContentFilter) => (truth.cut_short(), Finish::Filtered, Usage::Reported),
        Some(Fault::MaxTokens) => (truth.cut_short(), Finish::Length, Usage::Reported),
        Some(Fault::UsageMissing) => (truth, Finish::Stop, Usage::Missing),
        Some(Fault::UsageWithChoices) => (truth, Finish::Stop, Usage::WithChoices),
        _ => (truth, Finish::Stop, Usage::Reported),
    }
}

/// Everything that one reply is made of.
struct Telling<'a> {
    dialect: Dialect,
    voice: &'a dyn Voice,
    number: u64,
    now: Timestamp,
    content: Content,
    finish: Finish,
    usage: Usage,
    headers_at: Duration,
    /// When each token goes out; never empty.
    times: Vec<Duration>,
    keepalive: Duration,
    after_tokens: Option<u32>,
}

impl Telling<'_> {
    fn stream(&self, fault: Option<Fault>) -> Reply {
        let line_end = if fault == Some(Fault::Crlf) { "\r\n" } else { "\n" };
        let send = |frame: Frame| Step::Send(Bytes::from(frame.render(line_end)));
        let mut steps: Vec<Step> =
            self.voice.opening(&self.content).into_iter().map(send).collect();
        let first_at = self.times.first().copied().unwrap_or_default();
        match fault {
            Some(Fault::PingsOnly) => {
                let bytes = Bytes::from(self.voice.keepalive().render(line_end));
                steps.push(Step::Repeat { every: self.keepalive, bytes });
                return Reply { steps, ..self.reply(200, STREAM) };
            }
            Some(Fault::Comments) => {
                for part in 1..=3 {
                    let waited = first_at.saturating_sub(self.headers_at) * part / 4;
                    steps.push(Step::Until(self.headers_at + waited));
                    steps.push(send(Frame::Comment("PROCESSING")));
                    steps.push(send(self.voice.keepalive()));
                }
            }
            _ => {}
        }
        let pieces = match &self.content {
            Content::Text(pieces) => pieces.as_slice(),
            Content::Refusal(_) | Content::Nothing => &[],
        };
        let strikes_at = self.strikes_at(pieces.len());
        for position in 0..=pieces.len() {
            let at = self.times.get(position).or(self.times.last()).copied();
            steps.push(Step::Until(at.unwrap_or_default()));
            if position == strikes_at && self.strike(fault, &mut steps) {
                return Reply { steps, ..self.reply(200, STREAM) };
            }
            if let Some(piece) = pieces.get(position) {
                steps.push(send(self.voice.piece(piece)));
            }
        }
        if let Content::Refusal(words) = &self.content {
            steps.extend(self.voice.refusal(words).map(send));
        }
        let closing = self.voice.closing(&self.content, self.finish, self.usage);
        steps.extend(closing.into_iter().map(send));
        if fault != Some(Fault::NoDone) || self.dialect != Dialect::OpenaiChat {
            steps.push(send(self.voice.end()));
        }
        if fault == Some(Fault::LingeringSocket) {
            steps.push(Step::Silence);
        }
        Reply { steps, ..self.reply(200, STREAM) }
    }

    /// After how many tokens the fault strikes.
    fn strikes_at(&self, tokens: usize) -> usize {
        match self.after_tokens {
            Some(after) => (after as usize).min(tokens),
            None => (tokens / 2).max(1).min(tokens),
        }
    }

    /// Puts the fault into a stream; whether the stream is over.
    fn strike(&self, fault: Option<Fault>, steps: &mut Vec<Step>) -> bool {
        let error = || self.error_json(Complaint::Status(529));
        let (text, is_over) = match fault {
            Some(Fault::OverloadedMidStream) => {
                let name = (self.dialect == Dialect::AnthropicMessages).then_some("error");
                (Frame::Json(name, error()).render("\n"), true)
            }
            Some(Fault::UnprefixedError) => (format!("{:#}\n", error()), true),
            Some(Fault::MalformedJson) => (malformed(&self.voice.piece("")), false),
            Some(Fault::SchemaMismatch) => (self.voice.misshapen().render("\n"), false),
            Some(Fault::EarlyFinish) => (self.voice.early_finish().render("\n"), false),
            Some(Fault::Truncated) => return true,
            Some(Fault::Reset) => {
                steps.push(Step::Reset);
                return true;
            }
            Some(Fault::Stall) => {
                steps.push(Step::Silence);
                return true;
            }
            _ => return false,
        };
        steps.push(Step::Send(Bytes::from(text)));
        is_over
    }

    fn whole(&self, fault: Option<Fault>) -> Reply {
        let at = self.times.last().copied().unwrap_or_default();
        let body = match fault {
            Some(Fault::SchemaMismatch) => self.voice.misshapen_whole(),
            Some(Fault::OverloadedMidStream | Fault::UnprefixedError) => {
                self.error_json(Complaint::Status(529))
            }
            _ => self.voice.whole(&self.content, self.finish, self.usage),
        };
        let body = body.to_string();
        let half = body[..body.floor_char_boundary(body.len() / 2)].to_owned();
        if fault == Some(Fault::MalformedJson) {
            return self.body(at, JSON, half);
        }
        let reply = self.body(at, JSON, body);
        let half = Step::Send(Bytes::from(half));
        match fault {
            Some(Fault::Truncated) => Reply { steps: vec![half], ..reply },
            Some(Fault::Reset) => Reply { steps: vec![half, Step::Reset], ..reply },
            Some(Fault::Stall) => Reply { steps: vec![half, Step::Silence], ..reply },
            Some(Fault::PingsOnly) => {
                let blank =
                    Step::Repeat { every: self.keepalive, bytes: Bytes::from_static(b"\n") };
                Reply { steps: vec![blank], ..self.reply(200, JSON) }
            }
            _ => reply,
        }
    }

    fn error(&self, status: u16, complaint: Complaint, retry_after: Option<Duration>) -> Reply {
        let mut reply = self.body(self.headers_at, JSON, self.error_json(complaint).to_string());
        reply.status = status;
        let hint = retry_after.or((complaint == Complaint::Status(429)).then_some(RETRY_AFTER));
        if let Some(wait) = hint {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            reply.headers.push(("retry-after", seconds.to_string()));
            if self.dialect == Dialect::OpenaiChat {
                reply.headers.push(("retry-after-ms", wait.as_millis().to_string()));
            }
        }
        reply
    }

    fn error_json(&self, complaint: Complaint) -> Value {
        let message = match complaint {
            Complaint::Quota => "simulated: the credit is used up".to_owned(),
            Complaint::Status(529) => "simulated: overloaded".to_owned(),
            Complaint::Status(status) => format!("simulated: status {status}"),
        };
        error_json(self.dialect, complaint, &message, self.number)
    }

    fn body(&self, at: Duration, kind: &str, body: String) -> Reply {
        let steps = vec![Step::Send(Bytes::from(body))];
        sized(Reply { head_at: Some(at), steps, ..self.reply(200, kind) })
    }

    fn reply(&self, status: u16, kind: &str) -> Reply {
        let mut headers = headers(self.dialect, self.number, self.now);
        headers.push(("content-type", kind.to_owned()));
        Reply { head_at: Some(self.headers_at), status, headers, length: None, steps: Vec::new() }
    }
}

/// The reply with the length of what it sends announced.
fn sized(reply: Reply) -> Reply {
    let length = reply.steps.iter().map(|step| match step {
        Step::Send(bytes) => bytes.len(),
        Step::Until(_) | Step::Repeat { .. } | Step::Silence | Step::Reset => 0,
    });
    Reply { length: Some(length.sum()), ..reply }
}

/// A frame whose JSON breaks off.
fn malformed(frame: &Frame) -> String {
    let text = frame.render("\n");
    let text = text.trim_end();
    format!("{}\n\n", &text[..text.floor_char_boundary(text.len() - 5)])
}

fn error_json(dialect: Dialect, complaint: Complaint, message: &str, number: u64) -> Value {
    match dialect {
        Dialect::OpenaiChat => chat::error(complaint, message),
        Dialect::AnthropicMessages => messages::error(complaint, message, number),
    }
}

fn headers(dialect: Dialect, number: u64, now: Timestamp) -> Vec<(&'static str, String)> {
    match dialect {
        Dialect::OpenaiChat => chat::headers(number),
        Dialect::AnthropicMessages => messages::headers(number, now),
    }
}
