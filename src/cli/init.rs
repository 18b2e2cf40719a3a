//! `bellwether init`.

use std::process::ExitCode;

use clap::Args;

use crate::config;
use crate::provider::Dialect;

/// Flags of `init`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The provider's base URL, without `/v1/…`.
    #[arg(long)]
    url: String,
    /// The environment variable that holds the key; without it no key is sent.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    key_variable: String,
    /// The wire format: openai_chat, openai_responses, anthropic_messages, azure_openai or gemini;
    /// guessed from the URL where absent.
    #[arg(long, value_parser = dialect)]
    dialect: Option<Dialect>,
    /// The model to ask; a small one of the dialect's own vendor where absent.
    #[arg(long)]
    model: Option<String>,
}

fn dialect(text: &str) -> Result<Dialect, String> {
    let known = Dialect::MODELS.into_iter().find(|dialect| dialect.as_str() == text);
    known.ok_or_else(|| {
        let names = Dialect::MODELS.map(|dialect| format!("`{}`", dialect.as_str()));
        format!("one of {}", names.join(", "))
    })
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let dialect = arguments.dialect.unwrap_or_else(|| guessed(&arguments.url));
    let small = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AzureOpenai => "gpt-4o-mini",
        Dialect::Gemini => "gemini-2.5-flash-lite",
        Dialect::Http => "",
        Dialect::AnthropicMessages => "claude-haiku-4-5",
    };
    let model = arguments.model.as_deref().unwrap_or(small);
    let text = config::starter(&arguments.url, dialect, &arguments.key_variable, model);
    // A URL or a name that YAML takes for something else is found now and not at the start.
    match config::parse("bellwether.yml", &text) {
        Ok(_) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            ExitCode::FAILURE
        }
    }
}

/// The dialect that a vendor's own address speaks; most others speak OpenAI's.
fn guessed(url: &str) -> Dialect {
    let speaks = |word: &str| url.contains(word);
    if speaks("anthropic") {
        Dialect::AnthropicMessages
    } else if speaks(".openai.azure.com") || speaks(".services.ai.azure.com") {
        Dialect::AzureOpenai
    } else if speaks("generativelanguage.googleapis.com") && !speaks("/openai") {
        Dialect::Gemini
    } else {
        Dialect::OpenaiChat
    }
}
