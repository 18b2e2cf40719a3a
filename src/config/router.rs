//! `router:`: who may have their requests carried, and how many at once.

use super::amount::size;
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name};
use super::scalar::{name, number};
use super::web::{HASH_REMEDY, hash};
use crate::access::Token;
use crate::model::Mistake;
use crate::routing::Admission;
use crate::yaml::Node;

/// Reads `router:`.
pub(super) fn router(reader: &mut Reader, root: &Fields<'_>) -> Admission {
    let mut admission = Admission::default();
    let Some(node) = root.get("router") else { return admission };
    let known = ["auth", "max_in_flight", "max_held_bytes"];
    let Some(fields) = reader.fields(node, "router", &known) else { return admission };
    if let Some(node) = fields.get("auth") {
        match node.text() {
            Some("none") => admission.is_open = true,
            _ => admission.keys = Some(keys(reader, &fields, node)),
        }
    }
    let many = |node: &Node| number(node, 1..=1_000_000);
    if let Some(most) = reader.optional(&fields, "max_in_flight", many) {
        admission.in_flight_max = most;
    }
    if let Some(most) = reader.optional(&fields, "max_held_bytes", size) {
        admission.held_bytes_max = most;
    }
    admission
}

fn keys(reader: &mut Reader, fields: &Fields<'_>, node: &Node) -> Vec<Token> {
    const DUE: &str = "list keys by their hashes, or write `none`";
    if node.items().is_none() {
        let message = format!("router: `auth` is {}, where a list is due", node.kind());
        reader.report(Mistake::new(node.place.clone(), message).remedy(DUE));
        return Vec::new();
    }
    reader.filled(fields, "auth", DUE);
    let mut names = Vec::new();
    let mut found = Vec::new();
    for (index, node) in reader.items(fields, "auth").into_iter().enumerate() {
        let what = format!("router, {}", entry_name("key", index, node));
        let Some(fields) = reader.fields(node, what, &["name", "hash"]) else { continue };
        let remedy = "write who has the key; logs, pins and overrides name it";
        let name =
            reader.required(&fields, "name", remedy, |node| unique(node, name(node)?, &mut names));
        let hash = reader.required(&fields, "hash", HASH_REMEDY, hash);
        if let (Some(name), Some(hash)) = (name, hash) {
            found.push(Token { name, hash, allow: [].into() });
        }
    }
    found
}
