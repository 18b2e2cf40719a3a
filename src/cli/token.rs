//! `bellwether token`.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use crate::access::{Hash, Scope};

/// Flags of `token`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Who gets the token; logs and records name it.
    name: String,
    /// What it may do: read, reload, rollback, hooks, notices; several with commas.
    #[arg(long, value_delimiter = ',', default_value = "hooks", value_parser = scope)]
    allow: Vec<Scope>,
}

/// As many bytes as the hash has.
const BYTES: usize = 32;

fn scope(text: &str) -> Result<Scope, String> {
    let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    let words = Scope::ALL.map(Scope::as_str).join("`, `");
    known.ok_or_else(|| format!("one of `{words}`"))
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let bytes: [u8; BYTES] = rand::random();
    // The beginning tells scanners of repositories and logs what they found.
    let token = format!("bellwether_{}", URL_SAFE_NO_PAD.encode(bytes));
    let allow: Vec<&str> = arguments.allow.iter().map(|scope| scope.as_str()).collect();
    let name = serde_json::Value::String(arguments.name.clone());
    println!("{token}");
    println!();
    println!("# The token stands above and is kept nowhere. Callers send it as");
    println!("#   Authorization: Bearer TOKEN");
    println!("# and bellwether.yml knows it by its hash:");
    println!("web:");
    println!("  tokens:");
    println!("    - name: {name}");
    println!("      hash: '{}'", Hash::of(&token));
    println!("      allow: [{}]", allow.join(", "));
    ExitCode::SUCCESS
}
