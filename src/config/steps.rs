//! `steps:` of a rollback: what it does, in order, and what each step does in a drill.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::duration;
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::receivers::rollback_webhook;
use super::scalar::{boolean, choice, refuse, text};
use crate::model::{Mistake, format_duration};
use crate::notice::Webhook;
use crate::release::{DEADLINE_DEFAULT, Effect, OnError, Plan, STEPS_MAX, Step};
use crate::yaml::Node;

const KEYS: [&str; 10] = [
    "name",
    "webhook",
    "command",
    "file",
    "verify",
    "rehearsal",
    "environment",
    "timeout",
    "on_error",
    "traffic",
];
const KINDS: [&str; 4] = ["webhook", "command", "file", "verify"];
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);
/// Of a call and a verification: both may take all of their time.
const SHORT: RangeInclusive<Duration> = Duration::from_secs(35)..=Duration::from_secs(600);
const ON_ERROR: [(&str, OnError); 2] = [("continue", OnError::Continue), ("stop", OnError::Stop)];

/// Reads `steps:` and `deadline:`.
pub(super) fn plan(reader: &mut Reader, fields: &Fields<'_>) -> Option<Plan> {
    reader.filled(fields, "steps", "write what it does, such as `- name: move`");
    let nodes = reader.items(fields, "steps");
    let place = fields.get("steps").map_or(fields.place(), |node| &node.place).clone();
    if nodes.last().is_some_and(|last| last.get("verify").is_none()) {
        let message = "the last of `steps` does not verify that stable answers";
        let mistake = Mistake::new(place, prefixed(&fields.what, message));
        reader.report(mistake.remedy("end with `- name: verify` and `verify: true`"));
    }
    let deadline = reader.optional(fields, "deadline", |node| duration(node, TIMEOUT));
    let steps = steps(reader, fields, "steps", &mut Vec::new())?;
    within_deadline(reader, fields, steps, deadline)
}

/// Reads what moves the traffic of a release: steps, none of which asks.
pub(super) fn traffic(reader: &mut Reader, fields: &Fields<'_>) -> Option<Vec<Step>> {
    reader.filled(fields, "traffic", "write steps, such as `- name: weight`, or `manual`");
    let steps = steps(reader, fields, "traffic", &mut Vec::new())?;
    let asks = |step: &&Step| matches!(step.effect, Effect::Verify);
    if let (Some(step), Some(node)) = (steps.iter().find(asks), fields.get("traffic")) {
        let message = format!("step `{}` of `traffic` moves nothing", step.name);
        let mistake = Mistake::new(node.place.clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("verifying is part of every rollback; leave it out here"));
        return None;
    }
    Some(steps)
}

/// Reads what a release does to go back: its traffic first, then `steps:`, if there are any, and at
/// the end it asks stable.
pub(super) fn way_back(
    reader: &mut Reader,
    fields: Option<&Fields<'_>>,
    what: &Fields<'_>,
    traffic: &[Step],
) -> Option<Plan> {
    let back = traffic.iter().map(|step| Step { moves_traffic: true, ..step.clone() });
    let mut all = Plan { steps: back.collect(), deadline: DEADLINE_DEFAULT }.with_share(0).steps;
    let mut names: Vec<String> = all.iter().map(|step| step.name.clone()).collect();
    if let Some(fields) = fields.filter(|fields| fields.has("steps")) {
        all.extend(steps(reader, fields, "steps", &mut names)?);
    }
    if !all.last().is_some_and(|step| matches!(step.effect, Effect::Verify)) {
        let effect = Effect::Verify;
        all.push(Step {
            name: "verify".to_owned(),
            timeout: effect.timeout_default(),
            effect,
            on_error: OnError::Continue,
            moves_traffic: false,
        });
    }
    let deadline = fields
        .and_then(|fields| reader.optional(fields, "deadline", |node| duration(node, TIMEOUT)));
    within_deadline(reader, fields.unwrap_or(what), all, deadline)
}

fn steps(
    reader: &mut Reader,
    fields: &Fields<'_>,
    key: &str,
    names: &mut Vec<String>,
) -> Option<Vec<Step>> {
    let nodes = reader.items(fields, key);
    if nodes.len() > STEPS_MAX {
        let place = fields.get(key).map_or(fields.place(), |node| &node.place).clone();
        let message = format!("`{key}` has {} items, more than {STEPS_MAX}", nodes.len());
        let mistake = Mistake::new(place, prefixed(&fields.what, &message));
        reader.report(mistake.remedy("put what belongs together into one program"));
    }
    let mut steps = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let what = fields.part(&entry_name("step", index, node));
        steps.extend(step(reader, node, what, names));
    }
    (steps.len() == nodes.len() && !steps.is_empty()).then_some(steps)
}

fn within_deadline(
    reader: &mut Reader,
    fields: &Fields<'_>,
    steps: Vec<Step>,
    deadline: Option<Duration>,
) -> Option<Plan> {
    let deadline = deadline.unwrap_or(DEADLINE_DEFAULT);
    let in_order = steps.iter().filter(|step: &&Step| !step.moves_traffic);
    let together: Duration = in_order.map(|step| step.timeout).sum();
    if together > deadline {
        let (together, deadline) = (format_duration(together), format_duration(deadline));
        let message = prefixed(
            &fields.what,
            &format!(
                "its steps may take {together} one after the other, its `deadline` is {deadline}"
            ),
        );
        let remedy = "shorten their `timeout`s, or raise `deadline`";
        let place = fields.get("steps").map_or(fields.place(), |node| &node.place).clone();
        reader.report(Mistake::new(place, message).remedy(remedy));
    }
    Some(Plan { steps, deadline })
}

/// Reads `webhook:` and `rehearsal:` of a rollback that is verified: the call moves the traffic.
pub(super) fn called_and_verified(reader: &mut Reader, fields: &Fields<'_>) -> Option<Plan> {
    let deadline = reader.optional(fields, "deadline", |node| duration(node, SHORT));
    let is_rehearsed = rehearsed(reader, fields, "`post`, or `skip`");
    let webhook = called(reader, fields);
    let call = Effect::Webhook { webhook: Box::new(webhook?), is_rehearsed: is_rehearsed? };
    let step = |name: &str, effect: Effect, moves_traffic: bool| Step {
        name: name.to_owned(),
        timeout: effect.timeout_default(),
        effect,
        on_error: OnError::Continue,
        moves_traffic,
    };
    let steps = vec![step("webhook", call, true), step("verify", Effect::Verify, false)];
    Some(Plan { steps, deadline: deadline.unwrap_or(DEADLINE_DEFAULT) })
}

/// Reads the `webhook:` of a rollback that has no `steps:`.
pub(super) fn called(reader: &mut Reader, fields: &Fields<'_>) -> Option<Webhook> {
    if !fields.has("webhook") {
        let remedy = "write what is called, with `url` below it, or write `steps:`";
        reader.missing(fields, "webhook", remedy);
    }
    rollback_webhook(reader, fields.get("webhook")?, fields.part("webhook"))
}

fn step(reader: &mut Reader, node: &Node, what: String, names: &mut Vec<String>) -> Option<Step> {
    let fields = reader.fields(node, what, &KEYS)?;
    let name = reader.required(&fields, "name", "write a name for the step", |node| {
        unique(node, step_name(node)?, names)
    });
    let effect = effect(reader, &fields);
    let timeout = reader.optional(&fields, "timeout", |node| duration(node, TIMEOUT));
    let on_error = reader.optional(&fields, "on_error", |node| choice(node, &ON_ERROR));
    let moves_traffic = reader.optional(&fields, "traffic", boolean);
    if moves_traffic == Some(true)
        && let Some(node) = fields.get("traffic").filter(|_| fields.has("verify"))
    {
        let message = prefixed(&fields.what, "`traffic` is not moved by asking");
        reader.report(Mistake::new(node.place.clone(), message).remedy("remove it"));
    }
    let effect = effect?;
    Some(Step {
        name: name?,
        timeout: timeout.unwrap_or(effect.timeout_default()),
        effect,
        on_error: on_error.unwrap_or(OnError::Continue),
        moves_traffic: moves_traffic.unwrap_or(false),
    })
}

/// A name that stands in keys and in the addresses of no one else.
fn step_name(node: &Node) -> Result<String, Mistake> {
    let text = text(node)?;
    let is_plain = |each: char| each.is_ascii_alphanumeric() || matches!(each, '-' | '_');
    if text.len() <= 64 && text.chars().all(is_plain) {
        return Ok(text);
    }
    let remedy = "at most 64 letters, digits, `_` and `-`";
    Err(refuse(node, "which cannot be part of a key").remedy(remedy))
}

fn effect(reader: &mut Reader, fields: &Fields<'_>) -> Option<Effect> {
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
    let [kind] = kinds[..] else {
        let message = match kinds[..] {
            [] => "it does nothing".to_owned(),
            _ => format!("it does several things: `{}`", kinds.join("`, `")),
        };
        let mistake = Mistake::new(fields.place().clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("write one of `webhook`, `command`, `file` and `verify`"));
        return None;
    };
    foreign(reader, fields, kind);
    match kind {
        "webhook" => {
            let is_rehearsed = rehearsed(reader, fields, "`post`, or `skip`");
            let node = fields.get("webhook")?;
            let webhook = rollback_webhook(reader, node, fields.part("webhook"));
            Some(Effect::Webhook { webhook: Box::new(webhook?), is_rehearsed: is_rehearsed? })
        }
        "command" => {
            let argv = arguments(reader, fields, "command");
            let rehearsal = match fields.get("rehearsal").is_some_and(|node| node.items().is_some())
            {
                true => Some(Some(arguments(reader, fields, "rehearsal")?)),
                false => {
                    rehearsed(reader, fields, "`[program, …]` that changes nothing, or `skip`")
                        .map(|_| None)
                }
            };
            let environment = reader.list(fields, "environment", variable);
            Some(Effect::Command { argv: argv?, environment, rehearsal: rehearsal? })
        }
        "file" => {
            let node = fields.get("file")?;
            let inner = reader.fields(node, fields.part("file"), &["path", "content"])?;
            let path = reader.required(&inner, "path", "write which file is replaced", text);
            let remedy = "write what it then holds, after `content: |`";
            let content = reader.required(&inner, "content", remedy, text);
            Some(Effect::File { path: reader.path(&path?), content: content? })
        }
        _ => {
            let is_on = reader.optional(fields, "verify", boolean)?;
            if !is_on {
                let node = fields.get("verify")?;
                let mistake = refuse(node, "which is a step that does nothing");
                reader.judge::<()>(&fields.what, "verify", Err(mistake.remedy("write `true`")));
                return None;
            }
            Some(Effect::Verify)
        }
    }
}

/// Keys that another kind of step has.
fn foreign(reader: &mut Reader, fields: &Fields<'_>, kind: &str) {
    let owners: [(&str, &[&str]); 2] =
        [("rehearsal", &["webhook", "command"]), ("environment", &["command"])];
    for (key, kinds) in owners {
        let Some(node) = fields.get(key).filter(|_| !kinds.contains(&kind)) else { continue };
        let message = prefixed(&fields.what, &format!("`{key}` is not a key of a `{kind}` step"));
        reader.report(Mistake::new(node.place.clone(), message).remedy("remove it"));
    }
}

/// Reads `rehearsal: post` or `skip`.
fn rehearsed(reader: &mut Reader, fields: &Fields<'_>, due: &str) -> Option<bool> {
    let words: &[(&str, bool)] =
        if fields.has("webhook") { &[("post", true), ("skip", false)] } else { &[("skip", false)] };
    let remedy = format!("write what it does in a drill: {due}");
    reader.required(fields, "rehearsal", &remedy, |node| choice(node, words))
}

/// A program and its arguments; no shell reads them.
fn arguments(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<Vec<String>> {
    reader.filled(fields, key, "write a list: the program, then each argument");
    let count = reader.items(fields, key).len();
    let words = reader.list(fields, key, |node| {
        let word = text(node)?;
        if word.contains('\0') {
            return Err(refuse(node, "which holds a NUL"));
        }
        Ok(word)
    });
    (words.len() == count && count > 0).then_some(words)
}

fn variable(node: &Node) -> Result<String, Mistake> {
    let name = text(node)?;
    let is_name = name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_');
    if is_name {
        Ok(name)
    } else {
        Err(refuse(node, "which is not a variable's name").remedy("write the name alone"))
    }
}
