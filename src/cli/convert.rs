//! `bellwether convert`: a request, an answer or an error in the words of the other dialect, by the code
//! that the router tells them with.
//!
//! Standard input is told to standard output, and what does not survive is named on standard error. A
//! streamed answer is told event by event, as it comes.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::clock::Clock;
use crate::provider::translate::{
    self, Direction, Fate, LOSSES, Lost, Names, Stream, Strictness, Translated, Untranslatable,
    Within,
};
use crate::provider::{LimitField, UsageWish};

/// A document that is held whole may be this large; the router's own bound is the route's.
const DOCUMENT_MAX: u64 = 256 << 20;

/// Flags of `convert`.
#[derive(Debug, Args)]
#[command(
    after_help = "A request goes from what clients speak, openai_chat or anthropic_messages, to any other \
                  dialect; a response comes back the same way. The model of a request to Gemini, and \
                  whether it wants a stream, belong into the address and not into the body.\n\n\
                  Exit codes: 0 told, 1 it cannot be told or its stream broke off, 2 wrong usage, \
                  3 could not read or write."
)]
pub(super) struct Arguments {
    /// What standard input is.
    #[arg(value_enum, required_unless_present = "table")]
    document: Option<Document>,
    /// The dialect that it is in.
    #[arg(long, value_enum, value_name = "DIALECT", required_unless_present = "table")]
    from: Option<Dialect>,
    /// The dialect that it is told in.
    #[arg(long, value_enum, value_name = "DIALECT", required_unless_present = "table")]
    to: Option<Dialect>,
    /// Refuse a request with a parameter that has no counterpart, as a route does unless told
    /// otherwise.
    #[arg(long, conflicts_with = "lenient")]
    strict: bool,
    /// Leave such a parameter out, and name it.
    #[arg(long)]
    lenient: bool,
    /// What the model of a request is called on the other side; as in the request where absent.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What limits the answer in chat completions: relays and engines know the old name, reasoning
    /// models insist on the new one.
    #[arg(long, value_enum, value_name = "NAME", default_value = "max_tokens")]
    tokens_field: TokensField,
    /// The status that an error came with.
    #[arg(long, value_name = "CODE", default_value_t = 500)]
    status: u16,
    /// Print, as Markdown, everything that does not survive, and read nothing.
    #[arg(long, exclusive = true)]
    table: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Document {
    /// What a client asks.
    Request,
    /// An answer, whole or as server-sent events, or an error.
    Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// OpenAI's chat completions.
    #[value(name = "openai_chat", alias = "openai")]
    OpenaiChat,
    /// Anthropic's messages.
    #[value(name = "anthropic_messages", alias = "anthropic")]
    AnthropicMessages,
    /// Google's `generateContent`.
    #[value(name = "gemini", alias = "google")]
    Gemini,
    /// OpenAI's responses.
    #[value(name = "openai_responses", alias = "responses")]
    OpenaiResponses,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TokensField {
    #[value(name = "max_tokens")]
    Old,
    #[value(name = "max_completion_tokens")]
    New,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (Some(document), Some(from), Some(to)) = (arguments.document, arguments.from, arguments.to)
    else {
        print!("{}", table());
        return Ok(ExitCode::SUCCESS);
    };
    // Named after who asks and who is asked, so an answer goes against it.
    let (client, provider) = match document {
        Document::Request => (from, to),
        Document::Response => (to, from),
    };
    let Some(direction) = direction(client, provider) else {
        let why = if from == to {
            "`--from` and `--to` are the same dialect"
        } else {
            "clients speak openai_chat or anthropic_messages: a request comes from one of these, and a \
             response goes to one"
        };
        eprintln!("bellwether: {why}");
        return Ok(ExitCode::from(2));
    };
    let now = Clock::start().now().millis() / 1_000;
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    let told = match document {
        Document::Request => request(arguments, direction, input, output),
        Document::Response => response(arguments.status, direction, now, input, output),
    };
    let lost = match told {
        Ok(lost) => lost,
        Err(Failure::Refused(error)) => {
            let is_optional = matches!(error, Untranslatable::Parameter(_));
            let remedy = if is_optional { "; `--lenient` leaves it out" } else { "" };
            eprintln!("bellwether: {error}{remedy}");
            return Ok(ExitCode::FAILURE);
        }
        Err(Failure::Broken(lost, why)) => {
            lost.iter().for_each(name);
            eprintln!("bellwether: {why}");
            return Ok(ExitCode::FAILURE);
        }
        Err(Failure::Io(error)) => return Err(error),
    };
    lost.iter().for_each(name);
    Ok(ExitCode::SUCCESS)
}

/// Who asks and who is asked, where the router tells one in the words of the other.
fn direction(client: Dialect, provider: Dialect) -> Option<Direction> {
    use Dialect::{AnthropicMessages, Gemini, OpenaiChat, OpenaiResponses};
    Some(match (client, provider) {
        (OpenaiChat, AnthropicMessages) => Direction::ChatToMessages,
        (OpenaiChat, Gemini) => Direction::ChatToGemini,
        (OpenaiChat, OpenaiResponses) => Direction::ChatToResponses,
        (AnthropicMessages, OpenaiChat) => Direction::MessagesToChat,
        (AnthropicMessages, Gemini) => Direction::MessagesToGemini,
        (AnthropicMessages, OpenaiResponses) => Direction::MessagesToResponses,
        (OpenaiChat, OpenaiChat)
        | (AnthropicMessages, AnthropicMessages)
        | (Gemini | OpenaiResponses, _) => return None,
    })
}

/// Who asks, for a person.
fn client(direction: Direction) -> &'static str {
    if direction.is_for_messages() { "Anthropic" } else { "OpenAI chat" }
}

/// Whom it asks, for a person.
fn provider(direction: Direction) -> &'static str {
    match direction {
        Direction::ChatToMessages => "Anthropic",
        Direction::MessagesToChat => "OpenAI chat",
        Direction::ChatToGemini | Direction::MessagesToGemini => "Gemini",
        Direction::ChatToResponses | Direction::MessagesToResponses => "OpenAI responses",
    }
}

/// Why nothing, or not everything, was told.
enum Failure {
    /// There are no words for it.
    Refused(Untranslatable),
    /// A stream came to no good end; what was lost until then, and why.
    Broken(Vec<Lost>, &'static str),
    /// Standard input or output failed.
    Io(anyhow::Error),
}

impl From<Untranslatable> for Failure {
    fn from(error: Untranslatable) -> Self {
        Self::Refused(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Io(error)
    }
}

fn name(lost: &Lost) {
    let what = match lost.loss.fate {
        Fate::Changed => "changed",
        Fate::LeftOut | Fate::Strictness | Fate::Refused => "left out",
    };
    let times = if lost.times > 1 { format!(" ({} times)", lost.times) } else { String::new() };
    let note = lost.loss.note;
    let note = if note.is_empty() { String::new() } else { format!(": {note}") };
    eprintln!("bellwether: {what} `{}`{times}{note}", lost.at);
}

fn request(
    arguments: &Arguments,
    direction: Direction,
    input: impl Read,
    mut output: impl Write,
) -> Result<Vec<Lost>, Failure> {
    let limit = match arguments.tokens_field {
        TokensField::Old => LimitField::MaxTokens,
        TokensField::New => LimitField::MaxCompletionTokens,
    };
    let usage = UsageWish::Asked;
    let names = Names { model: arguments.model.as_deref(), limit, usage };
    // `--strict` says what holds anyway.
    let strictness = if arguments.lenient { Strictness::Lenient } else { Strictness::Strict };
    let body = whole(Vec::new(), input)?;
    let told = translate::request(direction, &body, names, strictness)?;
    write(&mut output, &told)?;
    Ok(told.lost)
}

fn response(
    status: u16,
    direction: Direction,
    now: i64,
    mut input: impl Read,
    mut output: impl Write,
) -> Result<Vec<Lost>, Failure> {
    let mut begun = Vec::new();
    let first = loop {
        let first = begin(&begun);
        if first.is_some() || !more(&mut input, &mut begun)? {
            break first;
        }
    };
    if !matches!(first, Some(b'{' | b'[') | None) {
        return stream(direction, now, begun, input, output);
    }
    let body = whole(begun, input)?;
    let told = if is_error(&body) {
        translate::refusal(direction, status, &body)
    } else {
        translate::answer(direction, &body, now)?
    };
    write(&mut output, &told)?;
    Ok(told.lost)
}

/// The first byte that says something.
fn begin(bytes: &[u8]) -> Option<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether it is an error's body in any dialect.
fn is_error(body: &[u8]) -> bool {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    // Google's comes alone in a list, sometimes.
    let body = body.get(0).unwrap_or(&body);
    body["type"] == "error" || body.get("error").is_some_and(|error| !error.is_null())
}

/// Tells a stream as it comes.
fn stream(
    direction: Direction,
    now: i64,
    begun: Vec<u8>,
    mut input: impl Read,
    mut output: impl Write,
) -> Result<Vec<Lost>, Failure> {
    let mut stream = Stream::new(direction, true, now);
    let mut bytes = begun;
    let mut is_silent = true;
    loop {
        let told = stream.feed(&bytes);
        is_silent &= told.is_empty();
        output.write_all(&told).and_then(|()| output.flush()).context(WRITE)?;
        bytes.clear();
        if !more(&mut input, &mut bytes)? {
            break;
        }
    }
    let told = stream.end();
    is_silent &= told.is_empty();
    output.write_all(&told).and_then(|()| output.flush()).context(WRITE)?;
    let lost = stream.lost().to_vec();
    match (is_silent, stream.has_ended()) {
        (true, _) => Err(Failure::Broken(lost, "this is neither JSON nor a stream of events")),
        (false, false) => Err(Failure::Broken(lost, "the stream ended without its end")),
        (false, true) => Ok(lost),
    }
}

const READ: &str = "cannot read standard input";
const WRITE: &str = "cannot write to standard output";

/// Reads the next piece; whether there was one.
fn more(input: &mut impl Read, bytes: &mut Vec<u8>) -> anyhow::Result<bool> {
    let mut piece = [0; 16 << 10];
    loop {
        match input.read(&mut piece) {
            Ok(size) => {
                bytes.extend_from_slice(&piece[..size]);
                return Ok(size > 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context(READ),
        }
    }
}

fn whole(mut begun: Vec<u8>, input: impl Read) -> anyhow::Result<Vec<u8>> {
    input.take(DOCUMENT_MAX + 1).read_to_end(&mut begun).context(READ)?;
    anyhow::ensure!(begun.len() as u64 <= DOCUMENT_MAX, "standard input is above 256 MiB");
    Ok(begun)
}

fn write(output: &mut impl Write, told: &Translated) -> anyhow::Result<()> {
    output.write_all(&told.body).context(WRITE)?;
    output.write_all(b"\n").and_then(|()| output.flush()).context(WRITE)
}

/// What does not survive, as Markdown.
fn table() -> String {
    let mut text =
        "| in a | from → to | what | becomes | |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for loss in &LOSSES {
        let each = |named: fn(Direction) -> &'static str| {
            let mut names: Vec<&str> = Vec::new();
            for name in loss.directions.iter().map(|direction| named(*direction)) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            names.join(", ")
        };
        let (asks, asked) = (each(client), each(provider));
        let there = match loss.within {
            Within::Request => format!("{asks} → {asked}"),
            Within::Answer | Within::Error => format!("{asked} → {asks}"),
        };
        let (within, fate) = (loss.within.as_str(), loss.fate.as_str());
        let _infallible =
            writeln!(text, "| {within} | {there} | `{}` | {fate} | {} |", loss.name, loss.note);
    }
    text
}
