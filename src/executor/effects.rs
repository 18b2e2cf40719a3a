//! One try of one step.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use super::{command, file};
use crate::model::{HeaderValue, TargetId, Timestamp};
use crate::notice::{Attempt, Delivery, Endpoint, HookId, Policy, Sending, Webhook};
use crate::release::{Effect, Run, RunMode, Step, TryOutcome, step_body};

/// What a receiver answered, and what it said, without secrets.
pub type Answer = (Attempt, String);
/// Sends a delivery once.
pub type Call = Arc<dyn Fn(Endpoint, Delivery) -> BoxFuture<'static, Answer> + Send + Sync>;
/// Asks a target once; says what was wrong with its answer.
pub type Ask = Arc<dyn Fn(TargetId) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How the world is reached.
#[derive(Clone)]
pub struct Reach {
    /// Webhooks.
    pub call: Call,
    /// Targets.
    pub ask: Ask,
    /// Grows from one process to the next: receivers may refuse a lower one than they have seen.
    pub fence: i64,
}

/// All that one try needs.
pub(super) struct Try {
    pub(super) run: Run,
    pub(super) step: Step,
    /// The rollback's message, to which each step's names are added.
    pub(super) message: Arc<str>,
    pub(super) stable: Vec<TargetId>,
    pub(super) reach: Reach,
    pub(super) limit: Duration,
    /// The candidate's part of the traffic, in percent, as it is to be.
    pub(super) share: u8,
}

impl Try {
    /// Makes the try, for as long as it may take.
    pub(super) async fn make(self, now: Timestamp) -> TryOutcome {
        let limit = self.limit;
        match tokio::time::timeout(limit, self.perform(now)).await {
            Ok(outcome) => outcome,
            Err(_) => bad(format!("no answer within {}", humantime::format_duration(limit))),
        }
    }

    async fn perform(self, now: Timestamp) -> TryOutcome {
        let is_drill = self.run.mode == RunMode::Drill;
        match &self.step.effect {
            Effect::Webhook { webhook, .. } => self.call(webhook, now).await,
            Effect::Command { argv, environment, rehearsal } => {
                let argv = if is_drill { rehearsal.as_ref().unwrap_or(argv) } else { argv };
                self.command(argv, environment).await
            }
            Effect::File { path, content } => {
                let (path, content) = (path.clone(), content.clone());
                let shown = path.display().to_string();
                let replace = if is_drill { file::rehearse } else { file::replace };
                match tokio::task::spawn_blocking(move || replace(&path, &content)).await {
                    Ok(Ok(())) => good(String::new()),
                    Ok(Err(error)) => bad(format!("`{shown}`: {error}")),
                    Err(error) => bad(format!("`{shown}`: {error}")),
                }
            }
            Effect::Verify => self.verify().await,
        }
    }

    async fn call(&self, webhook: &Webhook, now: Timestamp) -> TryOutcome {
        let key = self.run.step_key(&self.step.name);
        let mut webhook = webhook.clone();
        let limit = webhook.timeout.min(self.limit);
        webhook.timeout = if webhook.timeout.is_zero() { self.limit } else { limit };
        for (name, value) in
            [("Idempotency-Key", key.clone()), ("X-Fence", self.reach.fence.to_string())]
        {
            webhook.http.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            webhook.http.headers.push((name.to_owned(), HeaderValue::Plain(value)));
        }
        let hook = HookId::rollback(&self.run.rollback);
        let endpoint = Endpoint::of_webhook(hook.clone(), &webhook, Policy::Rollback);
        let delivery = Delivery {
            hook,
            id: key,
            order: String::new(),
            body: Arc::from(step_body(&self.message, &self.run, &self.step.name)),
            decided_at: now,
            sending: Sending::Real,
        };
        let (attempt, said) = (self.reach.call)(endpoint, delivery).await;
        let (retry_after, is_final) = match attempt {
            Attempt::Status { code: 200..=299, .. } => return good(said),
            Attempt::Status { code, retry_after } => (retry_after, is_final(code)),
            Attempt::Denied { .. } => (None, true),
            Attempt::Transport => (None, false),
        };
        TryOutcome::Bad { output: said, retry_after, is_final }
    }

    async fn command(&self, argv: &[String], names: &[String]) -> TryOutcome {
        let read = |name: &String| Some((name.clone(), std::env::var(name).ok()?));
        let passed: Vec<(String, String)> = names.iter().filter_map(read).collect();
        let mut environment = passed.clone();
        environment.extend(std::env::var("PATH").ok().map(|path| ("PATH".to_owned(), path)));
        for (name, value) in [
            ("BELLWETHER_ROLLBACK", self.run.rollback.clone()),
            ("BELLWETHER_KEY", self.run.step_key(&self.step.name)),
            ("BELLWETHER_FENCE", self.reach.fence.to_string()),
            ("BELLWETHER_MODE", self.run.mode.as_str().to_owned()),
            ("BELLWETHER_SHARE", self.share.to_string()),
        ] {
            environment.push((name.to_owned(), value));
        }
        // A variable may hold a token that the program repeats.
        let hide = |mut output: String| {
            for (_, value) in passed.iter().filter(|(_, value)| value.len() > 3) {
                output = output.replace(value, "***");
            }
            output
        };
        match command::run(argv, &environment).await {
            Ok(output) => good(hide(output)),
            Err(why) => bad(hide(why)),
        }
    }

    async fn verify(&self) -> TryOutcome {
        let asked = self.stable.iter().map(|target| {
            let answer = (self.reach.ask)(target.clone());
            async move { answer.await.err().map(|why| format!("`{target}`: {why}")) }
        });
        let wrong: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
        if wrong.is_empty() { good(String::new()) } else { bad(wrong.join("; ")) }
    }
}

fn good(output: String) -> TryOutcome {
    TryOutcome::Good { output }
}

fn bad(output: String) -> TryOutcome {
    TryOutcome::Bad { output, retry_after: None, is_final: false }
}

/// Whether the same request gets the same answer, whenever it is sent.
fn is_final(code: u16) -> bool {
    matches!(code, 300..=499) && !matches!(code, 408 | 429)
}
