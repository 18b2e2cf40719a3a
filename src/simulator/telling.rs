//! One reply in the making: frames, bodies and errors with their times.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::answer::{Content, Finish};
use super::plan::{JSON, Reply, Step, error_json, headers, sized};
use super::voice::{Complaint, Frame, Usage, Voice};
use super::{Fault, gemini};
use crate::model::Timestamp;
use crate::provider::Dialect;

pub(super) const STREAM: &str = "text/event-stream; charset=utf-8";
/// A 429 that hints at no wait is a real provider's spend cap, so one is always given.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Everything that one reply is made of.
pub(super) struct Telling<'a> {
    pub dialect: Dialect,
    pub voice: &'a dyn Voice,
    pub number: u64,
    pub now: Timestamp,
    pub content: Content,
    pub finish: Finish,
    pub usage: Usage,
    pub headers_at: Duration,
    /// When each token goes out; never empty.
    pub times: Vec<Duration>,
    pub keepalive: Duration,
    pub after_tokens: Option<u32>,
}

impl Telling<'_> {
    pub fn stream(&self, fault: Option<Fault>) -> Reply {
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
        if fault != Some(Fault::NoDone) || self.dialect == Dialect::AnthropicMessages {
            steps.extend(self.voice.end().map(send));
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
            Some(Fault::OverloadedMidStream) => (self.voice.failure(&error()), true),
            Some(Fault::UnprefixedError) => (format!("{:#}\n", error()), true),
            Some(Fault::MalformedJson) => (malformed(&self.voice.piece("")), false),
            Some(Fault::SchemaMismatch) => (self.voice.misshapen().render("\n"), false),
            Some(Fault::EarlyFinish) => match self.voice.early_finish() {
                Some(frame) => (frame.render("\n"), false),
                None => return false,
            },
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

    pub fn whole(&self, fault: Option<Fault>) -> Reply {
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
            Some(Fault::Truncated) => Reply { steps: vec![half, Step::Close], ..reply },
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

    pub fn error(&self, status: u16, complaint: Complaint, retry_after: Option<Duration>) -> Reply {
        let mut error = self.error_json(complaint);
        let hint = retry_after.or((complaint == Complaint::Status(429)).then_some(RETRY_AFTER));
        let mut headers = Vec::new();
        if let Some(wait) = hint {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let seconds = ("retry-after", seconds.to_string());
            match self.dialect {
                Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AzureOpenai => {
                    headers.push(seconds);
                    headers.push(("retry-after-ms", wait.as_millis().to_string()));
                }
                Dialect::AnthropicMessages | Dialect::Http => headers.push(seconds),
                Dialect::Gemini => gemini::hint(&mut error, wait),
            }
        }
        let mut reply = self.body(self.headers_at, JSON, error.to_string());
        reply.status = status;
        reply.headers.append(&mut headers);
        reply
    }

    fn error_json(&self, complaint: Complaint) -> Value {
        let message = match complaint {
            Complaint::Quota => "simulated: the credit is used up".to_owned(),
            Complaint::Status(529) => "simulated: overloaded".to_owned(),
            Complaint::Status(status) => format!("simulated: status {status}"),
            Complaint::PreviousNotFound => "simulated: no such response".to_owned(),
        };
        error_json(self.dialect, complaint, &message, self.number)
    }

    pub fn body(&self, at: Duration, kind: &str, body: String) -> Reply {
        let steps = vec![Step::Send(Bytes::from(body))];
        sized(Reply { head_at: Some(at), steps, ..self.reply(200, kind) })
    }

    pub fn reply(&self, status: u16, kind: &str) -> Reply {
        let mut headers = headers(self.dialect, self.number, self.now);
        headers.push(("content-type", kind.to_owned()));
        Reply { head_at: Some(self.headers_at), status, headers, length: None, steps: Vec::new() }
    }
}

/// A frame whose JSON breaks off.
fn malformed(frame: &Frame) -> String {
    let text = frame.render("\n");
    let text = text.trim_end();
    format!("{}\n\n", &text[..text.floor_char_boundary(text.len().saturating_sub(5))])
}
