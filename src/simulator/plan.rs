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
use super::telling::{STREAM, Telling};
use super::voice::{Complaint, Facts, Usage};
use super::{Behavior, Fault, Injection, azure, chat, gemini, messages, page, responses};
use crate::model::Timestamp;
use crate::provider::Dialect;

pub(super) const JSON: &str = "application/json";

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
    /// The connection ends in good order, whatever was announced.
    Close,
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
    home: u16,
    number: u64,
    now: Timestamp,
    mut draws: Draws,
) -> Plan {
    let is_slow = draws.slow < behavior.slow.share.part();
    let injection = struck(&behavior.faults, draws.fault);
    let fault = injection.map(|injection| injection.fault);
    let (content, finish, usage) = said(question, behavior, fault);
    let mut facts = Facts::of(question, home, number, now);
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
            let status = match question.dialect {
                Dialect::OpenaiChat
                | Dialect::OpenaiResponses
                | Dialect::AzureOpenai
                | Dialect::Gemini => 429,
                Dialect::AnthropicMessages | Dialect::Http => 402,
            };
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
    (status, complaint): (u16, Complaint),
    message: &str,
    number: u64,
    now: Timestamp,
) -> Reply {
    let body = error_json(dialect, complaint, message, number);
    at_once(dialect, status, &body, number, now)
}

/// The reply to who asks which models there are.
pub(super) fn list(dialect: Dialect, models: &[String], number: u64, now: Timestamp) -> Reply {
    let body = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AzureOpenai => {
            chat::models(models, now)
        }
        Dialect::AnthropicMessages => messages::models(models, now),
        Dialect::Gemini => gemini::models(models),
        Dialect::Http => page::models(models),
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

/// The reply with the length of what it sends announced.
pub(super) fn sized(reply: Reply) -> Reply {
    let length = reply.steps.iter().map(|step| match step {
        Step::Send(bytes) => bytes.len(),
        Step::Until(_) | Step::Repeat { .. } | Step::Silence | Step::Close | Step::Reset => 0,
    });
    Reply { length: Some(length.sum()), ..reply }
}

pub(super) fn error_json(
    dialect: Dialect,
    complaint: Complaint,
    message: &str,
    number: u64,
) -> Value {
    match dialect {
        Dialect::OpenaiChat | Dialect::AzureOpenai => chat::error(complaint, message),
        Dialect::OpenaiResponses => responses::error(complaint, message),
        Dialect::Gemini => gemini::error(complaint, message),
        Dialect::Http => page::error(message),
        Dialect::AnthropicMessages => messages::error(complaint, message, number),
    }
}

pub(super) fn headers(
    dialect: Dialect,
    number: u64,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => chat::headers(number),
        Dialect::AzureOpenai => azure::headers(number),
        Dialect::Gemini => gemini::headers(),
        Dialect::Http => Vec::new(),
        Dialect::AnthropicMessages => messages::headers(number, now),
    }
}
