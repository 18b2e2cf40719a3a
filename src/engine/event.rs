//! What the engine is told and what it answers.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Timestamp};
use crate::notice::{Alert, Delivery, Muted};
use crate::probe::{Health, Outcome};
use crate::release::gate::Answer;
use crate::release::{Decision, Question, RunEnd, RunMode, Shift, Split, Tick};
use crate::routing::Served;
use crate::rules::Transition;

use super::aside::Done;
use super::{Post, Settings};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A probe's result stands.
    Finished(Box<Outcome>),
    /// Requests of clients were served.
    Served(Vec<Served>),
    /// Bellwether's own health was looked at.
    Health(Health),
    /// The whole registry, as a scrape would have read it.
    Scraped(Vec<(Labels, f64)>),
    /// Samples that somebody recorded, all of this time. Only a stale marker among them ends a
    /// series: what is missing may have another time of its own.
    Recorded(Vec<(Labels, f64)>),
    /// The series that rollback rules select, between two scrapes.
    Sampled(Vec<(Labels, f64)>),
    /// The same series the moment an outcome changed them. They are looked at and not stored, unless
    /// they start a rollback: then the next interval evaluation must see what it was started for.
    /// Groups that are due come first.
    Live(Vec<(Labels, f64)>),
    /// A rule group is due; see [`super::Engine::due`].
    Evaluate(usize),
    /// A group was evaluated aside; see [`super::Engine::set_aside`].
    Evaluated(Box<Done>),
    /// Alerts that were judged elsewhere; [`super::Engine::rulings`] says what is decided about them.
    Inbound(Box<Post>),
    /// An operator says what a release is to do; [`super::Engine::answer_to`] says what came of it.
    Ordered(Box<Order>),
    /// A plan that was carried out has ended.
    PlanEnded(Box<Ended>),
    /// A datasource was asked, and this is what it said to each expression.
    Answered(Box<(Question, Vec<Answer>)>),
    /// Groups of notices may be due, and blocks of releases over.
    Tick,
    /// A new configuration.
    Reload(Box<Settings>),
}

/// Something to carry out. It says everything needed: whoever does it makes no choices.
#[derive(Clone, Debug)]
pub enum Action {
    /// Put on record, durably, before the delivery that follows it.
    Record(Arc<Decision>),
    /// Send at once: a rollback, which is on record with its decision; a post to an Alertmanager,
    /// which is said again soon anyway.
    Deliver(Delivery),
    /// Put into the outbox, durably, then send.
    Enqueue(Delivery),
    /// Put on record, durably, before a share that follows it.
    Note(Arc<Tick>),
    /// Ask the release's datasource.
    Ask(Question),
    /// Tell the router: at once where the candidate's share is nothing, otherwise once all that came
    /// with it is on record.
    Split(Split),
    /// Have whoever carries the traffic give the candidate a share, if all that came with it is on
    /// record.
    Shift(Shift),
    /// Tell whoever watches; nothing depends on it.
    Tell(Happening),
}

/// Something worth telling.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A probe's result stands.
    Finished(Arc<Outcome>),
    /// An alert changed its state.
    Transition(Transition),
    /// A rollback was decided on, or held.
    Decided {
        /// The decision.
        decision: Arc<Decision>,
        /// When the alert's expression became true: the finish of the first result that no look had
        /// seen before, or the interval evaluation that found it so.
        breach: Timestamp,
    },
    /// A release moved, or is held for another reason.
    Released {
        /// Which.
        release: String,
        /// Its state.
        state: &'static str,
        /// Whether it came to another state or stage.
        is_move: bool,
        /// The candidate's part of the traffic, in percent, as it is to be.
        share: u8,
        /// Why, in words.
        why: String,
    },
    /// A plan that was carried out has ended.
    PlanEnded(Ended),
    /// Bellwether turned ill or well.
    Health(Health),
    /// A rule failed to evaluate.
    RuleFailed {
        /// The rule's group.
        group: String,
        /// The rule.
        rule: String,
        /// Why.
        error: String,
    },
    /// A notice was grouped, and why it is sent.
    Noticed {
        /// The receiver.
        receiver: String,
        /// Why now.
        reason: &'static str,
        /// The labels of the alerts that it names as firing.
        firing: Vec<Labels>,
        /// Of those that it names as resolved.
        resolved: Vec<Labels>,
    },
    /// Templates of a notice could not be filled in; it goes out all the same.
    TemplatesFailed {
        /// The hook.
        hook: String,
        /// What went wrong, each with the field.
        errors: Vec<String>,
    },
    /// Nobody is told of a group for the sake of time intervals.
    Muted(Muted),
    /// An alert came and went before anybody was due to be told.
    Unheard(Alert),
    /// The grouping of notices has no room for more alerts.
    Refused {
        /// How many found none.
        alerts: usize,
    },
    /// A delivery ended.
    Delivered {
        /// The hook.
        hook: String,
        /// The idempotency key.
        id: String,
        /// When it ended.
        at: Timestamp,
        /// Nothing, or why it was given up.
        failure: Option<String>,
    },
}

/// What an operator wants of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which.
    pub release: String,
    /// What.
    pub what: What,
    /// Who says so, and why.
    pub by: String,
}

/// What a release is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Begin with the plan of the configuration.
    Start {
        /// Without a good drill too.
        force: bool,
    },
    /// Go to the next stage at once.
    Advance {
        /// Without a good drill, and without a second person.
        force: bool,
    },
    /// The next stage may begin, as far as people are concerned.
    Approve,
    /// Stay.
    Pause,
    /// Go on.
    Resume,
    /// Go back.
    RollBack,
}

/// How a plan that was carried out ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The rollback's name, which is its release's.
    pub rollback: String,
    /// Whether it was meant, rehearsed, or moved a share.
    pub mode: RunMode,
    /// The id of its delivery, or of its share.
    pub id: String,
    /// How.
    pub end: RunEnd,
    /// How long it took.
    pub took: Duration,
    /// What is not done, and why.
    pub why: String,
    /// Names the plan.
    pub mark: String,
}
