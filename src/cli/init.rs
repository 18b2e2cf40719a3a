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
    /// The wire format: openai_chat or anthropic_messages; guessed from the URL where absent.
    #[arg(long, value_parser = dialect)]
    dialect: Option<Dialect>,
    /// The model to ask; a small one of the dialect's own vendor where absent.
    #[arg(long)]
    model: Option<String>,
}

fn dialect(text: &str) -> Result<Dialect, String> {
    let known = Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == text);
    known.ok_or_else(|| "one of `openai_chat`, `anthropic_messages`".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let guessed = match arguments.url.contains("anthropic") {
        true => Dialect::AnthropicMessages,
        false => Dialect::OpenaiChat,
    };
    let dialect = arguments.dialect.unwrap_or(guessed);
    let small = match dialect {
        Dialect::OpenaiChat => "gpt-4o-mini",
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
