//! A stream in the words of the client, event by event.
//!
//! Each event is told as soon as it has come. The end is told where the provider told it, and nowhere
//! else; after an error nothing follows.

use serde_json::{Value, json};

use super::super::sse::{Decoder, Frame};
use super::answer::{unread_usage_of_chat, unread_usage_of_messages};
use super::ledger::{At, Ledger, Lost};
use super::losses::Within;
use super::of_gemini::OfGemini;
use super::of_responses::OfResponses;
use super::words::{finish_reason, said, stop_reason, usage_of_chat, usage_of_messages};
use super::{Direction, refusal};

/// A streamed answer under way: server-sent events in, those of the client's dialect out.
///
/// Bytes may be cut anywhere; [`Stream::feed`] tells each event as soon as it is whole.
///
/// ```
/// use bellwether::provider::translate::{Direction, Stream};
///
/// let mut stream = Stream::new(Direction::ChatToMessages, false, 0);
/// let told = stream.feed(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
/// assert_eq!(told, b": ping\n\n");
/// assert!(stream.end().is_empty() && !stream.has_ended(), "its end never came");
/// ```
#[derive(Debug)]
pub struct Stream {
    direction: Direction,
    decoder: Decoder,
    teller: Teller,
}

/// Something that a provider said, in the words of chat completions.
#[derive(Debug)]
pub(super) enum Said {
    /// A chunk, or an error.
    Chunk(Value),
    /// The chunk that tells the usage, which not everybody asked for.
    Usage(Value),
    /// The end.
    Done,
}

#[derive(Debug)]
enum Teller {
    Chat(Box<ForChat>),
    Messages(Box<ForMessages>),
    Gemini(Box<OfGemini>, Hearer),
    Responses(Box<OfResponses>, Hearer),
}

/// Who hears what is said in the words of chat completions.
#[derive(Debug)]
enum Hearer {
    Chat { wants_usage: bool },
    Messages(Box<ForMessages>),
}

impl Hearer {
    fn new(direction: Direction, wants_usage: bool) -> Self {
        match direction.is_for_messages() {
            true => Self::Messages(Box::new(ForMessages::new(direction))),
            false => Self::Chat { wants_usage },
        }
    }

    fn hear(&mut self, said: Said, told: &mut Vec<u8>) {
        match (self, said) {
            // Who asked for usage finds the key on every chunk, null until the last.
            (Self::Chat { wants_usage: true }, Said::Chunk(mut chunk))
                if chunk["choices"].is_array() =>
            {
                chunk["usage"] = Value::Null;
                data(&chunk, told);
            }
            (Self::Chat { .. }, Said::Chunk(chunk))
            | (Self::Chat { wants_usage: true }, Said::Usage(chunk)) => data(&chunk, told),
            (Self::Chat { wants_usage: false }, Said::Usage(_)) => {}
            (Self::Chat { .. }, Said::Done) => told.extend_from_slice(b"data: [DONE]\n\n"),
            (Self::Messages(hearer), Said::Chunk(chunk) | Said::Usage(chunk)) => {
                hearer.chunk(&chunk, told);
            }
            (Self::Messages(hearer), Said::Done) => hearer.finish(told),
        }
    }
}

impl Stream {
    /// A stream of which nothing has come. `wants_usage` says whether a client of OpenAI's asked for
    /// usage; `now` is in seconds since 1970.
    pub fn new(direction: Direction, wants_usage: bool, now: i64) -> Self {
        let hearer = Hearer::new(direction, wants_usage);
        let teller = match direction {
            Direction::ChatToMessages => Teller::Chat(Box::new(ForChat {
                id: Value::Null,
                model: Value::Null,
                created: now,
                wants_usage,
                usage: json!({}),
                calls: 0,
                is_call: false,
                is_over: false,
                ledger: Ledger::of_reply(direction, Within::Answer),
            })),
            Direction::MessagesToChat => Teller::Messages(Box::new(ForMessages::new(direction))),
            Direction::ChatToGemini | Direction::MessagesToGemini => {
                Teller::Gemini(Box::new(OfGemini::new(direction, now)), hearer)
            }
            Direction::ChatToResponses | Direction::MessagesToResponses => {
                Teller::Responses(Box::new(OfResponses::new(direction, now)), hearer)
            }
        };
        Self { direction, decoder: Decoder::default(), teller }
    }

    /// Takes the next bytes; returns what they are in the client's words.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut told = Vec::new();
        let teller = &mut self.teller;
        self.decoder.feed(bytes, &mut |frame| teller.frame(&frame, &mut told));
        told
    }

    /// The provider's stream has ended; returns what is still to be told.
    pub fn end(&mut self) -> Vec<u8> {
        let mut told = Vec::new();
        let teller = &mut self.teller;
        self.decoder.end(&mut |frame| teller.frame(&frame, &mut told));
        match teller {
            // A finish reason is the end, where nobody says `[DONE]`.
            Teller::Messages(teller) => teller.finish(&mut told),
            Teller::Gemini(teller, hearer) => {
                teller.end(&mut |said| hearer.hear(said, &mut told));
            }
            Teller::Chat(_) | Teller::Responses(..) => {}
        }
        told
    }

    /// Whether its end was told, be it by an error. Known for good after [`Stream::end`].
    pub fn has_ended(&self) -> bool {
        match &self.teller {
            Teller::Chat(teller) => teller.is_over,
            Teller::Messages(teller) => teller.is_over,
            Teller::Gemini(teller, _) => teller.is_over(),
            Teller::Responses(teller, _) => teller.is_over(),
        }
    }

    /// Who speaks what.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What was left out or changed so far.
    pub fn lost(&self) -> &[Lost] {
        match &self.teller {
            Teller::Chat(teller) => teller.ledger.lost(),
            Teller::Messages(teller) => teller.ledger.lost(),
            // Named where it was read, by the name that it has there.
            Teller::Gemini(teller, _) => teller.lost(),
            Teller::Responses(teller, _) => teller.lost(),
        }
    }
}

impl Teller {
    fn frame(&mut self, frame: &Frame<'_>, told: &mut Vec<u8>) {
        let data = match frame {
            Frame::Event { data, .. } | Frame::Tail { data, .. } | Frame::Stray(data) => data,
            Frame::Comment => return told.extend_from_slice(b": \n\n"),
            Frame::Oversize => return self.unreadable(told),
        };
        if data.trim() == "[DONE]" {
            if let Self::Messages(teller) = self {
                teller.finish(told);
            }
            return;
        }
        let event = match (serde_json::from_str::<Value>(data), frame) {
            (Ok(event), _) => event,
            // Left out, it would be missing from what seems complete.
            (Err(_), Frame::Event { .. }) if !data.trim().is_empty() => {
                return self.unreadable(told);
            }
            (Err(_), _) => return,
        };
        match self {
            Self::Chat(teller) => teller.event(&event, told),
            Self::Messages(teller) => teller.chunk(&event, told),
            Self::Gemini(teller, hearer) => {
                teller.event(&event, &mut |said| hearer.hear(said, told));
            }
            Self::Responses(teller, hearer) => {
                teller.event(&event, &mut |said| hearer.hear(said, told));
            }
        }
    }
}

impl Teller {
    /// The provider said what cannot be told: the client hears that, and nothing after it.
    fn unreadable(&mut self, told: &mut Vec<u8>) {
        let message = "the provider sent what cannot be read";
        let error = json!({"error": {"message": message, "type": "server_error", "param": null,
            "code": "server_error"}});
        match self {
            Self::Chat(teller) => teller.fail(&error, told),
            Self::Messages(teller) => teller.chunk(&error, told),
            Self::Gemini(teller, hearer) => {
                if !teller.is_over() {
                    teller.close();
                    hearer.hear(Said::Chunk(error), told);
                }
            }
            Self::Responses(teller, hearer) => {
                if !teller.is_over() {
                    teller.close();
                    hearer.hear(Said::Chunk(error), told);
                }
            }
        }
    }
}

/// Tells Anthropic's events as chunks of OpenAI's.
#[derive(Debug)]
struct ForChat {
    id: Value,
    model: Value,
    created: i64,
    wants_usage: bool,
    usage: Value,
    /// How many tools were called so far.
    calls: u64,
    /// Whether the block that is being told is the call of a tool of the client's.
    is_call: bool,
    is_over: bool,
    ledger: Ledger,
}

impl ForChat {
    fn event(&mut self, event: &Value, told: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                let message = &event["message"];
                (self.id, self.model) = (message["id"].clone(), message["model"].clone());
                const TOLD: [&str; 7] =
                    ["id", "type", "role", "model", "content", "stop_reason", "usage"];
                self.ledger.unread(message, &TOLD, &At::Top.field("message"));
                self.merge(&message["usage"]);
                self.tell(&json!({"role": "assistant", "content": ""}), &Value::Null, told);
            }
            "content_block_start" => self.block(&event["content_block"], told),
            "content_block_delta" => self.delta(&event["delta"], told),
            "content_block_stop" => self.is_call = false,
            "message_delta" => {
                self.merge(&event["usage"]);
                let delta = At::Top.field("delta");
                let reason = finish_reason(event["delta"]["stop_reason"].as_str());
                if let Some(row) = reason.and_then(|reason| reason.lost("stop_reason")) {
                    self.ledger.lose(row, &delta.field("stop_reason"));
                }
                self.ledger.unread(&event["delta"], &["stop_reason"], &delta);
                self.tell(&json!({}), &said(reason), told);
            }
            "message_stop" => {
                if self.wants_usage {
                    let mut chunk = self.around(json!([]));
                    chunk["usage"] = usage_of_chat(&self.usage);
                    data(&chunk, told);
                }
                told.extend_from_slice(b"data: [DONE]\n\n");
                self.is_over = true;
            }
            "error" => self.fail(&refusal::of_messages(&event["error"]), told),
            "ping" => told.extend_from_slice(b": ping\n\n"),
            other => self.ledger.lose("other_fields", &At::Top.field(other)),
        }
    }

    /// A block begins.
    fn block(&mut self, block: &Value, told: &mut Vec<u8>) {
        let at = At::Top.field("content_block");
        self.is_call = block["type"] == "tool_use";
        let some = |name: &str| block[name].as_str().filter(|text| !text.is_empty());
        match block["type"].as_str() {
            Some("tool_use") => {
                let call = json!({
                    "index": self.calls,
                    "id": block["id"],
                    "type": "function",
                    "function": {"name": block["name"], "arguments": ""},
                });
                self.calls += 1;
                self.ledger.unread(block, &["type", "id", "name", "input"], &at);
                self.tell(&json!({"tool_calls": [call]}), &Value::Null, told);
            }
            Some("text") => {
                self.ledger.unread(block, &["type", "text"], &at);
                if let Some(text) = some("text") {
                    self.tell(&json!({"content": text}), &Value::Null, told);
                }
            }
            Some("thinking") => {
                self.ledger.unread(block, &["type", "thinking"], &at);
                if let Some(text) = some("thinking") {
                    self.tell(&json!({"reasoning_content": text}), &Value::Null, told);
                }
            }
            Some("redacted_thinking") => self.ledger.lose("redacted_thinking", &at),
            _ => self.ledger.lose("other_blocks", &at),
        }
    }

    fn fail(&mut self, error: &Value, told: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_over, true) {
            data(error, told);
        }
    }

    fn delta(&mut self, delta: &Value, told: &mut Vec<u8>) {
        let translated = match delta["type"].as_str() {
            Some("text_delta") => json!({"content": delta["text"]}),
            Some("thinking_delta") => json!({"reasoning_content": delta["thinking"]}),
            // What Anthropic's own tools are asked is nobody's call.
            Some("input_json_delta") if self.is_call => {
                let function = json!({"arguments": delta["partial_json"]});
                let index = self.calls.saturating_sub(1);
                json!({"tool_calls": [{"index": index, "function": function}]})
            }
            Some("input_json_delta") => return,
            Some("signature_delta") => {
                return self.ledger.lose("signature", &At::Top.field("delta"));
            }
            Some("citations_delta") => {
                return self.ledger.lose("citations", &At::Top.field("delta"));
            }
            _ => return self.ledger.lose("other_fields", &At::Top.field("delta")),
        };
        self.tell(&translated, &Value::Null, told);
    }

    /// Later counts stand for earlier ones: they are cumulative.
    fn merge(&mut self, usage: &Value) {
        unread_usage_of_messages(usage, &At::Top.field("usage"), &mut self.ledger);
        for (name, count) in usage.as_object().into_iter().flatten() {
            if !count.is_null() {
                self.usage[name] = count.clone();
            }
        }
    }

    fn tell(&self, delta: &Value, finish: &Value, told: &mut Vec<u8>) {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let mut chunk = self.around(json!([choice]));
        if self.wants_usage {
            chunk["usage"] = Value::Null;
        }
        data(&chunk, told);
    }

    fn around(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

/// Tells OpenAI's chunks as events of Anthropic's.
#[derive(Debug)]
struct ForMessages {
    has_begun: bool,
    /// Blocks that were begun.
    blocks: u64,
    open: Option<Open>,
    finish: Option<String>,
    usage: Value,
    is_over: bool,
    ledger: Ledger,
}

/// The block that is being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Call(u64),
}

impl ForMessages {
    fn new(direction: Direction) -> Self {
        Self {
            has_begun: false,
            blocks: 0,
            open: None,
            finish: None,
            usage: Value::Null,
            is_over: false,
            ledger: Ledger::of_reply(direction, Within::Answer),
        }
    }

    fn chunk(&mut self, chunk: &Value, told: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        let error = &chunk["error"];
        if !error.is_null() {
            let status = error["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let translated = refusal::of_chat(status.unwrap_or(500), error, &Value::Null);
            let error = json!({"type": "error", "error": translated["error"]});
            event("error", &error, told);
            self.is_over = true;
            return;
        }
        // Azure begins with what its filters say, without choices, id or model.
        if !self.has_begun && chunk["choices"].get(0).is_some() {
            self.begin(chunk, told);
        }
        if !chunk["usage"].is_null() {
            self.usage = chunk["usage"].clone();
            unread_usage_of_chat(&self.usage, &At::Top.field("usage"), &mut self.ledger);
        }
        const TOLD: [&str; 6] = ["id", "object", "model", "choices", "usage", "obfuscation"];
        self.ledger.unread(chunk, &TOLD, &At::Top);
        // One choice is all that this side has words for.
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            match choice["index"].as_u64() {
                None | Some(0) => self.choice(choice, told),
                Some(_) => self.ledger.lose("choices", &At::Top.field("choices").item(1)),
            }
        }
    }

    fn choice(&mut self, choice: &Value, told: &mut Vec<u8>) {
        let delta = &choice["delta"];
        let (choices, inside) = (At::Top.field("choices"), At::Field(&At::Top, "delta"));
        self.ledger.unread(choice, &["index", "delta", "finish_reason"], &choices.item(0));
        const TOLD: [&str; 5] = ["role", "content", "refusal", "reasoning_content", "tool_calls"];
        self.ledger.unread(delta, &TOLD, &inside);
        let said = |name: &str| delta[name].as_str().filter(|text| !text.is_empty());
        if let Some(text) = said("reasoning_content") {
            self.open(Open::Thinking, &json!({"type": "thinking", "thinking": ""}), told);
            self.tell(&json!({"type": "thinking_delta", "thinking": text}), told);
        }
        for text in [said("content"), said("refusal")].into_iter().flatten() {
            self.open(Open::Text, &json!({"type": "text", "text": ""}), told);
            self.tell(&json!({"type": "text_delta", "text": text}), told);
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call, told);
        }
        if said("refusal").is_some() {
            self.finish = Some("content_filter".to_owned());
        } else if let Some(reason) = choice["finish_reason"].as_str()
            && self.finish.is_none()
        {
            self.finish = Some(reason.to_owned());
        }
    }

    fn begin(&mut self, chunk: &Value, told: &mut Vec<u8>) {
        self.has_begun = true;
        let message = json!({
            "id": chunk["id"],
            "type": "message",
            "role": "assistant",
            "model": chunk["model"],
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            // What it really was is told at the end.
            "usage": {"input_tokens": 0, "output_tokens": 0},
        });
        event("message_start", &json!({"type": "message_start", "message": message}), told);
    }

    fn call(&mut self, call: &Value, told: &mut Vec<u8>) {
        let index = call["index"].as_u64().unwrap_or_default();
        let function = &call["function"];
        if call["id"].is_string() {
            let (id, name) = (&call["id"], &function["name"]);
            let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
            self.open(Open::Call(index), &block, told);
        }
        let arguments = function["arguments"].as_str().filter(|text| !text.is_empty());
        if let Some(arguments) = arguments {
            if self.open != Some(Open::Call(index)) {
                // Blocks are told one after the other; what belongs to an earlier one is lost.
                let message = "the provider mixed the arguments of two tools";
                let error = json!({"type": "api_error", "message": message});
                event("error", &json!({"type": "error", "error": error}), told);
                self.is_over = true;
                return;
            }
            self.tell(&json!({"type": "input_json_delta", "partial_json": arguments}), told);
        }
    }

    /// Begins a block, unless it is the one that is being told.
    fn open(&mut self, open: Open, block: &Value, told: &mut Vec<u8>) {
        if self.open == Some(open) {
            return;
        }
        self.close(told);
        let start =
            json!({"type": "content_block_start", "index": self.blocks, "content_block": block});
        event("content_block_start", &start, told);
        self.blocks += 1;
        self.open = Some(open);
    }

    fn close(&mut self, told: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let stop = json!({"type": "content_block_stop", "index": self.blocks - 1});
            event("content_block_stop", &stop, told);
        }
    }

    fn tell(&self, delta: &Value, told: &mut Vec<u8>) {
        let index = self.blocks.saturating_sub(1);
        let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
        event("content_block_delta", &delta, told);
    }

    /// The end, if there was one: without a finish reason the provider told none.
    fn finish(&mut self, told: &mut Vec<u8>) {
        let Some(reason) = self.finish.take().filter(|_| !self.is_over) else { return };
        self.close(told);
        let stop = stop_reason(Some(&reason));
        if let Some(row) = stop.and_then(|stop| stop.lost("finish_reason")) {
            self.ledger.lose(row, &At::Top.field("finish_reason"));
        }
        let delta = json!({"stop_reason": said(stop), "stop_sequence": null});
        let usage = usage_of_messages(&self.usage);
        let end = json!({"type": "message_delta", "delta": delta, "usage": usage});
        event("message_delta", &end, told);
        event("message_stop", &json!({"type": "message_stop"}), told);
        self.is_over = true;
    }
}

fn data(value: &Value, told: &mut Vec<u8>) {
    told.extend_from_slice(format!("data: {value}\n\n").as_bytes());
}

fn event(name: &str, value: &Value, told: &mut Vec<u8>) {
    told.extend_from_slice(format!("event: {name}\ndata: {value}\n\n").as_bytes());
}
