//! `web:`: bearer tokens by their hashes.

use std::collections::BTreeSet;

use super::providers::unique;
use super::reader::{Fields, Reader, entry_name};
use super::scalar::{choice, name, raw, refuse_unseen};
use crate::access::{Hash, Scope, Token};
use crate::model::Mistake;
use crate::yaml::Node;

/// Reads `web:`.
pub(super) fn tokens(reader: &mut Reader, root: &Fields<'_>) -> Vec<Token> {
    let Some(node) = root.get("web") else { return Vec::new() };
    let Some(fields) = reader.fields(node, "web", &["tokens"]) else { return Vec::new() };
    let mut names = Vec::new();
    let mut found = Vec::new();
    for (index, node) in reader.items(&fields, "tokens").into_iter().enumerate() {
        let what = entry_name("token", index, node);
        found.extend(token(reader, node, &what, &mut names));
    }
    found
}

fn token(reader: &mut Reader, node: &Node, what: &str, names: &mut Vec<String>) -> Option<Token> {
    let fields = reader.fields(node, what, &["name", "hash", "allow"])?;
    let remedy = "write who has the token; logs and records name it";
    let name = reader.required(&fields, "name", remedy, |node| unique(node, name(node)?, names));
    let hash = reader.required(&fields, "hash", HASH_REMEDY, hash);
    reader.filled(&fields, "allow", "write what it may do, such as `allow: [hooks]`");
    let words = Scope::ALL.map(|scope| (scope.as_str(), scope));
    let allow: BTreeSet<Scope> =
        reader.list(&fields, "allow", |node| choice(node, &words)).into_iter().collect();
    Some(Token { name: name?, hash: hash?, allow })
}

pub(super) const HASH_REMEDY: &str = "`bellwether token` prints a new token and its hash";

pub(super) fn hash(node: &Node) -> Result<Hash, Mistake> {
    let text = raw(node, "`sha256:` and 64 hexadecimal digits")?;
    Hash::parse(text).ok_or_else(|| {
        let why = "is not `sha256:` and 64 hexadecimal digits, perhaps a token in plain text; it \
                   is not shown here";
        refuse_unseen(node, why).remedy(HASH_REMEDY)
    })
}
