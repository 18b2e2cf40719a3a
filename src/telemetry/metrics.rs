//! Every metric there is: name, kind, labels and help. README's table, the dashboards and the rules
//! are tested against this list.
//!
//! Label values come from the configuration or from a closed enum, so the number of series has a
//! bound that can be computed before the start (see [`series_bound`]).

use std::borrow::Borrow;
use std::collections::BTreeSet;

use super::evidence::EvidenceResult;
use crate::probe::{Anomaly, Budget, Detail, LimitKind, SkipReason, Target};
use crate::provider::translate::{Direction, Loss};
use crate::provider::{ErrorType, SloClass, StreamPhase};
use crate::routing::{
    self, Arm, Check, Measure, Pairing, Refusal, Settings, Surface, Uncopied, Verdict,
};

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Classic buckets.
    Histogram,
}

impl Kind {
    /// The word in the exposition's `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Whether a family's series belong to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each series carries [`TARGET_LABELS`] first.
    Target,
    /// The process as a whole.
    Process,
}

/// One metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Whose series these are.
    pub scope: Scope,
    /// Labels beside those of the scope.
    pub labels: &'static [&'static str],
    /// The help text.
    pub help: &'static str,
}

/// The labels of every series that belongs to a target.
pub const TARGET_LABELS: [&str; 5] = ["target", "provider", "model", "api", "stream"];

const fn target(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, scope: Scope::Target, labels, help }
}

const fn process(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, scope: Scope::Process, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

macro_rules! families {
    ($($constant:ident = $scope:ident($name:literal, $kind:ident, $labels:expr, $help:literal);)*) => {
        $(#[doc = $help] pub const $constant: Family = $scope($name, $kind, &$labels, $help);)*

        /// Every family of our own, in the order of the documentation.
        pub const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    PROBE_INTERVAL = target("bellwether_probe_interval_seconds", Gauge, [], "The cadence: the configured one, or that of a release that runs.");
    PROBE_DUE = target("bellwether_probe_due_total", Counter, [], "Probes that came due: fired + skipped + missed, exactly.");
    PROBE_FIRED = target("bellwether_probe_fired_total", Counter, [], "Probes that were sent.");
    PROBE_SKIPPED = target("bellwether_probe_skipped_total", Counter, ["reason"], "Due probes that were not sent on purpose, by reason.");
    PROBE_MISSED = target("bellwether_probe_missed_total", Counter, [], "Due times that passed while nobody was there to fire.");
    PROBE_RUNS = target("bellwether_probe_runs_total", Counter, ["error_type", "slo"], "Finished probes by the one thing that came of each, and what it counts as.");
    PROBE_DURATION = target("bellwether_probe_duration_seconds", Histogram, [], "From send to terminal evidence; good probes only.");
    PROBE_TTFT = target("bellwether_probe_time_to_first_token_seconds", Histogram, [], "From send to the first text, reasoning, refusal or tool delta; good streamed probes only.");
    PROBE_TTFO = target("bellwether_probe_time_to_first_output_seconds", Histogram, [], "As time to first token, without reasoning.");
    PROBE_TPOT = target("bellwether_probe_time_per_output_token_seconds", Histogram, [], "(last content - first content) / (output tokens - 1), where the provider reports usage.");
    PROBE_GAP = target("bellwether_probe_inter_chunk_seconds", Histogram, [], "Gaps between pieces of content.");
    PROBE_PHASE = target("bellwether_probe_phase_seconds", Histogram, ["phase"], "How long each part of an exchange took; only parts that happened.");
    PROBE_THRESHOLD = target("bellwether_probe_threshold_seconds", Gauge, ["kind"], "The configured latency objective.");
    PROBE_THRESHOLD_OBSERVED = target("bellwether_probe_threshold_observed_total", Counter, ["kind"], "Probes that were held against a latency objective: good and bad ones, warm and conclusive.");
    PROBE_THRESHOLD_EXCEEDED = target("bellwether_probe_threshold_exceeded_total", Counter, ["kind"], "Those that took longer than the objective, failures included.");
    PROBE_STREAM_FAILURES = target("bellwether_probe_stream_failures_total", Counter, ["error_type", "phase"], "Streams that broke, before or after their first content.");
    PROBE_ANOMALIES = target("bellwether_probe_protocol_anomalies_total", Counter, ["kind"], "Oddities of the protocol that are no failure.");
    PROBE_TOKENS = target("bellwether_probe_tokens_total", Counter, ["type"], "Tokens that probes used, as the provider counted them.");
    PROBE_COST = target("bellwether_probe_cost_usd_total", Counter, [], "What probes cost, by the configured prices.");
    PROBE_UNPRICED = target("bellwether_probe_unpriced_total", Counter, [], "Probes whose cost is unknown: no price, or no usage.");
    PROBE_BUDGET = process("bellwether_probe_budget_usd", Gauge, ["target", "period"], "What the probes of a target may cost in a day or a month (UTC), where there is a limit.");
    PROBE_BUDGET_SPENT = process("bellwether_probe_budget_spent_usd", Gauge, ["target", "period"], "What of that is spent, over restarts; probes under way are not in it.");
    COST = process("bellwether_cost_usd_total", Counter, ["provider", "model", "purpose"], "What asking a model cost, by the prices of the time: for probes, live traffic and shadows.");
    COST_UNPRICED = process("bellwether_cost_unpriced_total", Counter, ["provider", "model", "purpose"], "Requests whose cost is unknown: no price, or no usage.");
    COMPARISON_COST = process("bellwether_comparison_cost_usd_total", Counter, ["comparison", "purpose", "prices"], "What the traffic of a stable side cost (`stable`), and what it would have cost token for token at the prices of its candidate (`candidate`).");
    PROBE_LAG = target("bellwether_probe_schedule_lag_seconds", Histogram, [], "How long after it was due a probe was sent.");
    PROBE_IN_FLIGHT = target("bellwether_probe_in_flight", Gauge, [], "Probes under way.");
    PROBE_LAST_RUN = target("bellwether_probe_last_run_timestamp_seconds", Gauge, [], "When the last probe finished.");
    PROBE_LAST_SUCCESS = target("bellwether_probe_last_success_timestamp_seconds", Gauge, [], "When the last good probe finished.");
    PROBE_RATELIMIT_LIMIT = target("bellwether_probe_ratelimit_limit", Gauge, ["kind"], "The rate limit that the provider last reported.");
    PROBE_RATELIMIT_REMAINING = target("bellwether_probe_ratelimit_remaining", Gauge, ["kind"], "What the provider last reported as left of it.");
    PROBE_REFUSED = target("bellwether_probe_refused_total", Counter, ["kind"], "Answers that a limit refused: rate (wait), quota (comes back with the next day or month), credit (somebody must act), capacity (the provider's own).");
    PROBE_SLOWED = target("bellwether_probe_slowed", Gauge, [], "Whether due probes are skipped because a limit is used up: 1, or 0.");
    PROBE_HTTP_RESPONSES = target("bellwether_probe_http_responses_total", Counter, ["code"], "HTTP answers by status.");
    PROBE_CERTIFICATE = target("bellwether_probe_certificate_expiry_timestamp_seconds", Gauge, [], "When the certificate ends that was shown last; absent where none was.");
    PROBE_INCONCLUSIVE = target("bellwether_probe_inconclusive_total", Counter, [], "Probes that ran while bellwether itself was not well; left out of latency.");
    PROBE_MAINTENANCE = target("bellwether_probe_maintenance", Gauge, [], "Whether the provider is in planned maintenance: 1, or 0.");
    PROBE_MAINTENANCE_RUNS = target("bellwether_probe_maintenance_runs_total", Counter, ["slo"], "Finished probes that overlap planned maintenance, by what they would have counted as; they are in no other counter of results.");
    MODEL_LISTED = process("bellwether_model_listed", Gauge, ["provider_name", "model"], "Whether a configured model is on its provider's list of models: 1, or 0. A list is no evidence of health.");
    MODEL_DEPRECATED = process("bellwether_model_deprecated", Gauge, ["provider_name", "model"], "Whether the list calls a configured model deprecated, or ends it within 90 days: 1, or 0.");
    MODEL_LISTS = process("bellwether_model_lists_total", Counter, ["provider_name", "result"], "Lists of models that were asked for, by whether one came.");
    MODEL_CHANGES = process("bellwether_model_list_changes_total", Counter, ["provider_name", "change"], "Models of any name that appeared on a provider's list or vanished from it.");
    CANARY_HEALTHY = process("bellwether_canary_healthy", Gauge, [], "Whether bellwether itself is well: 1, or 0 while its evidence is inconclusive.");
    CANARY_LATENESS = process("bellwether_canary_lateness_seconds", Histogram, [], "How late the self-canary's own timer was.");
    CANARY_STALLS = process("bellwether_canary_stalls_total", Counter, [], "Times the self-canary turned red.");
    VANTAGE_SUSPECT = process("bellwether_vantage_suspect", Gauge, [], "Whether every target fails together at transport level, so that our own network is suspect.");
    SAMPLES_SERIES = process("bellwether_store_series", Gauge, [], "Series in the embedded store.");
    SAMPLES_BYTES = process("bellwether_store_bytes", Gauge, [], "Bytes of samples in the embedded store.");
    SAMPLES_REFUSED = process("bellwether_store_refused_total", Counter, [], "Samples that the embedded store refused.");
    ARCHIVE_BYTES = process("bellwether_archive_bytes", Gauge, [], "Bytes of samples on disk.");
    ARCHIVE_FAILURES = process("bellwether_archive_failures_total", Counter, [], "Times that samples could not be written to disk; each is tried again.");
    ARCHIVE_LOST = process("bellwether_archive_lost_samples_total", Counter, [], "Samples that are not on disk, as it was not writable or too slow for too long.");
    ARCHIVE_DAMAGED = process("bellwether_archive_damaged_files_total", Counter, [], "Files of samples that the start found torn or damaged.");
    RULE_EVALUATIONS = process("bellwether_rule_evaluations_total", Counter, ["rule_group"], "Evaluations of a rule group.");
    RULE_FAILURES = process("bellwether_rule_evaluation_failures_total", Counter, ["rule_group"], "Rules that failed to evaluate.");
    RULE_FAILING = process("bellwether_rule_group_failing_rules", Gauge, ["rule_group"], "Rules whose last evaluation failed or passed the limit; what they say is stale.");
    RULE_MISSED = process("bellwether_rule_group_iterations_missed_total", Counter, ["rule_group"], "Evaluations that were skipped because the one before took too long.");
    RULE_DURATION = process("bellwether_rule_group_last_duration_seconds", Gauge, ["rule_group"], "How long the last evaluation took.");
    SLO_OBJECTIVE = process("bellwether_slo_objective_ratio", Gauge, ["slo"], "The share that must be good.");
    SLO_BUDGET_REMAINING = process("bellwether_slo_error_budget_remaining_ratio", Gauge, ["slo", "target"], "How much of the error budget is left: 1 is all of it, below 0 it is overspent.");
    SLO_BURN_RATE = process("bellwether_slo_burn_rate", Gauge, ["slo", "target", "window"], "How many times as fast as allowed the error budget burns; at 1 it lasts exactly as long as its window.");
    ROLLBACKS = process("bellwether_rollbacks_total", Counter, ["rollback", "result"], "Decisions about rollbacks, by what was decided.");
    ROLLBACK_SECONDS = process("bellwether_rollback_seconds", Histogram, ["mode"], "How long the plans of rollbacks took, from the first step to the end of the last, by whether they were real or drills.");
    ROLLBACK_UNVERIFIED = process("bellwether_rollback_unverified", Gauge, ["rollback"], "Whether the last rollback by a plan is not known to have moved all traffic to a stable that answers: 1, or 0.");
    DRILL_SUCCESSFUL = process("bellwether_drill_last_successful", Gauge, ["rollback"], "Whether the last drill of a rollback's plan passed: 1, or 0 where it failed or there was none.");
    DRILL_TIME = process("bellwether_drill_last_timestamp_seconds", Gauge, ["rollback"], "When the last drill of a rollback's plan ended; 0 where there was none.");
    DRILL_DURATION = process("bellwether_drill_last_duration_seconds", Gauge, ["rollback"], "How long the last drill of a rollback's plan took.");
    RELEASE_STATE = process("bellwether_release_state", Gauge, ["release", "state"], "Whether a release is in this state: 1, or 0.");
    RELEASE_GENERATION = process("bellwether_release_generation", Gauge, ["release"], "The generation of a release that is under way or was last; that of the configuration before the first.");
    RELEASE_WEIGHT = process("bellwether_release_weight_ratio", Gauge, ["release", "arm"], "The share of the traffic that each arm is to have.");
    RELEASE_STAGE = process("bellwether_release_stage", Gauge, ["release"], "The stage that a release is in, from 1; 0 before the first.");
    RELEASE_STAGE_ENTERED = process("bellwether_release_stage_entered_timestamp_seconds", Gauge, ["release"], "When the stage was entered; 0 before the first.");
    RELEASE_DRILLED = process("bellwether_release_drilled", Gauge, ["release"], "Whether there is a good drill, young and quick enough, of the rollback as it is configured: 1, or 0.");
    RELEASE_GATE_VERDICT = process("bellwether_release_gate_verdict", Gauge, ["release", "gate", "verdict"], "Whether a gate says this in the stage under way: 1, or 0.");
    RELEASE_GATE_OUTCOMES = process("bellwether_release_gate_outcomes", Gauge, ["release", "gate", "result"], "Outcomes of the candidate that a gate has counted in the stage under way: bad ones, and all that finished.");
    RELEASE_GATE_EVIDENCE = process("bellwether_release_gate_evidence_ratio", Gauge, ["release", "gate", "direction"], "The evidence against or for the candidate in the stage under way, as the part of its logarithm that is needed: 1 decides.");
    RELEASE_NOTICE = process("bellwether_release_notice", Gauge, ["release", "event"], "Whether people are told this of a release at present: 1, or 0. What asks nothing of them has no series.");
    RELEASE_PROBE_BUDGET = process("bellwether_release_probe_budget_usd", Gauge, ["release"], "What the probes of a release may cost in a day (UTC), where it pays for them itself.");
    RELEASE_PROBE_BUDGET_SPENT = process("bellwether_release_probe_budget_spent_usd", Gauge, ["release"], "What of that is spent, over restarts; probes under way are not in it.");
    RELEASE_TRANSITIONS = process("bellwether_release_transitions_total", Counter, ["release", "state"], "How often a release came to a state, or to the next stage.");
    ROUTER_REQUESTS = process("bellwether_router_requests_total", Counter, ["route", "arm", "error_type", "slo"], "Requests of clients by the arm that they were meant for, what came of them there, and what that counts as.");
    ROUTER_RESPONSES = process("bellwether_router_responses_total", Counter, ["route", "arm", "api", "code_class"], "What clients were answered, by the arm that answered; `none` where they went away before.");
    ROUTER_DURATION = process("bellwether_router_request_duration_seconds", Histogram, ["route", "arm"], "From send to the end of the answer; good requests only.");
    ROUTER_TTFT = process("bellwether_router_time_to_first_token_seconds", Histogram, ["route", "arm"], "From send to the first content; good streamed requests only.");
    ROUTER_ATTEMPTS = process("bellwether_router_attempts_total", Counter, ["route", "arm", "error_type"], "Attempts at providers by what came of each.");
    ROUTER_RETRIES = process("bellwether_router_retries_total", Counter, ["route", "reason"], "Attempts that were followed by another, fail-overs to stable left out, by the failure before.");
    ROUTER_RETRY_WAIT = process("bellwether_router_retry_wait_seconds", Histogram, ["route", "source"], "How long retries waited, by who said so.");
    ROUTER_FAIL_OVERS = process("bellwether_router_fail_overs_total", Counter, ["route", "result"], "Requests meant for the candidate that went to stable, by what became of them.");
    ROUTER_OVERHEAD = process("bellwether_router_overhead_seconds", Histogram, ["route"], "How long a request was held by the router itself, waits for client and provider left out.");
    ROUTER_IN_FLIGHT = process("bellwether_router_in_flight", Gauge, ["route", "arm"], "Requests under way.");
    ROUTER_CIRCUIT = process("bellwether_router_circuit_open", Gauge, ["route", "arm"], "Whether an arm failed so often in a row that one request at a time tries it: 1, or 0.");
    ROUTER_TARGET_ATTEMPTS = process("bellwether_router_target_attempts_total", Counter, ["target", "slo"], "Attempts at a target by what each counts as.");
    ROUTER_TARGET_EJECTED = process("bellwether_router_target_ejected", Gauge, ["target"], "Whether a target failed so often in a row that others of its arm are asked first: 1, or 0.");
    ROUTER_STREAM_FAILURES = process("bellwether_router_stream_failures_total", Counter, ["route", "arm", "phase"], "Streams that broke, before or after their first content.");
    ROUTER_DISCONNECTS = process("bellwether_router_client_disconnects_total", Counter, ["route"], "Clients that went away before their answer was whole: no fault of an arm.");
    ROUTER_TOKENS = process("bellwether_router_tokens_total", Counter, ["route", "arm", "type"], "Tokens that requests used, as the provider counted them.");
    ROUTER_COST = process("bellwether_router_cost_usd_total", Counter, ["route", "arm"], "What requests cost, by the configured prices.");
    ROUTER_UNPRICED = process("bellwether_router_unpriced_total", Counter, ["route", "arm"], "Requests whose cost is unknown: no price, or no usage.");
    ROUTER_REFUSED = process("bellwether_router_refused_total", Counter, ["reason"], "Requests that the router itself refused or could not pass on.");
    ROUTER_LEFT_OUT = process("bellwether_router_translation_dropped_params_total", Counter, ["direction", "param"], "Requests in which a parameter was left out or changed, as the provider of the other dialect has no words for it.");
    ROUTER_UNTOLD = process("bellwether_router_translation_errors_total", Counter, ["direction"], "Answers that could not be told in the client's words.");
    ROUTER_UNKNOWN = process("bellwether_router_translation_unknown_total", Counter, ["direction", "kind"], "Answers told in the client's words that held something unknown: it was left out, and an unknown reason for the end told as the nearest known one.");
    ROUTER_WEIGHT = process("bellwether_router_weight_ratio", Gauge, ["route", "arm"], "The share of an arm in the requests of its route.");
    ROUTER_TABLE_VERSION = process("bellwether_router_table_version", Gauge, [], "The version of the routing table; it only grows.");
    ROUTER_EVIDENCE_LOST = process("bellwether_router_evidence_lost_total", Counter, [], "Results of requests that nobody had time for; releases do not see them.");
    ROUTER_STORE_FAILURES = process("bellwether_router_table_store_failures_total", Counter, [], "Times that the routing table could not be stored; a restart would find an older one.");
    ROUTER_MIRRORED = process("bellwether_router_mirrored_total", Counter, ["route", "error_type", "slo"], "Copies of stable's requests by what came of each, and what that would count as: nobody met it.");
    ROUTER_MIRROR_DROPPED = process("bellwether_router_mirror_dropped_total", Counter, ["route", "reason"], "Requests that were drawn and not copied, or whose copy was not sent, by reason.");
    ROUTER_MIRROR_PAIRS = process("bellwether_router_mirror_pairs_total", Counter, ["route", "good"], "Copies whose answer was held against stable's, by who answered well.");
    ROUTER_MIRROR_CHECKS = process("bellwether_router_mirror_checks_total", Counter, ["route", "check", "verdict"], "What comparing the copy's answer with stable's said: what came of them, why they stopped, the form of what they said.");
    ROUTER_MIRROR_RATIO = process("bellwether_router_mirror_ratio", Histogram, ["route", "measure"], "The copy's time to first token, whole time and length in parts of stable's, where both answered well; stable's time contains what its client took to read.");
    ROUTER_MIRROR_DURATION = process("bellwether_router_mirror_duration_seconds", Histogram, ["route"], "From send to the end of a copy's answer; good ones only.");
    ROUTER_MIRROR_TTFT = process("bellwether_router_mirror_time_to_first_token_seconds", Histogram, ["route"], "From send to the first content of a copy's answer; good streamed ones only.");
    ROUTER_MIRROR_IN_FLIGHT = process("bellwether_router_mirror_in_flight", Gauge, ["route"], "Copies under way.");
    ROUTER_MIRROR_QUEUED = process("bellwether_router_mirror_queued", Gauge, ["route"], "Copies that wait for their turn.");
    ROUTER_MIRROR_SHARE = process("bellwether_router_mirror_share_ratio", Gauge, ["route"], "The share of stable's requests that is to be copied.");
    ROUTER_MIRROR_TOKENS = process("bellwether_router_mirror_tokens_total", Counter, ["route", "type"], "Tokens that copies used, as the provider counted them.");
    ROUTER_MIRROR_COST = process("bellwether_router_mirror_cost_usd_total", Counter, ["route"], "What copies cost, by the configured prices.");
    ROUTER_MIRROR_UNPRICED = process("bellwether_router_mirror_unpriced_total", Counter, ["route"], "Copies whose cost is unknown: no price, or no usage.");
    ROUTER_EVIDENCE_RECEIVED = process("bellwether_router_evidence_received_total", Counter, ["result"], "Results of requests that routers which follow this one told, by what became of them.");
    ROUTER_EVIDENCE_REPORTED = process("bellwether_router_evidence_reported_total", Counter, ["result"], "Results of requests that were to be told to the bellwether that is followed, by what became of them; only where one is.");
    ROUTER_LEADER_REACHABLE = process("bellwether_router_leader_reachable", Gauge, ["what"], "Whether the bellwether that is followed answered when it was last asked for its table, or last told evidence: 1, or 0; only where one is.");
    WEBHOOK_DELIVERIES = process("bellwether_webhook_deliveries_total", Counter, ["hook", "result"], "Notices by how their delivery ended.");
    WEBHOOK_ATTEMPTS = process("bellwether_webhook_attempts_total", Counter, ["hook", "code_class"], "Attempts at a delivery by class of answer.");
    WEBHOOK_DURATION = process("bellwether_webhook_delivery_duration_seconds", Histogram, ["hook"], "From decision to a 2xx.");
    WEBHOOK_DEPTH = process("bellwether_webhook_queue_depth", Gauge, ["hook"], "Notices that wait.");
    WEBHOOK_OLDEST = process("bellwether_webhook_oldest_pending_seconds", Gauge, ["hook"], "How long the oldest of them has waited.");
    WEBHOOK_CIRCUIT = process("bellwether_webhook_circuit_open", Gauge, ["hook"], "Whether a receiver failed so often that one delivery at a time probes it: 1, or 0.");
    HEARTBEATS = process("bellwether_heartbeats_total", Counter, ["hook", "result"], "Heartbeats by whether they were taken: `sent` or `failed`.");
    HEARTBEAT_LAST_SUCCESS = process("bellwether_heartbeat_last_success_timestamp_seconds", Gauge, ["hook"], "When a heartbeat was last taken; 0 where none was.");
    NOTICE_TEMPLATE_ERRORS = process("bellwether_notice_template_errors_total", Counter, ["hook"], "Templates of notices that could not be filled in, and bodies that were no JSON; the notices went out.");
    NOTICE_GROUPS_MUTED = process("bellwether_notice_groups_muted", Gauge, [], "Groups of alerts of which nobody is told at this time, for the sake of a time interval.");
    HTTP_REFUSED = process("bellwether_http_refused_total", Counter, ["reason"], "Calls of the API that were refused: not known, not allowed, or not to be trusted.");
    HOOK_POSTS = process("bellwether_hook_posts_total", Counter, ["result"], "Posts to /api/v1/hooks/alertmanager by what became of them; refused callers are counted elsewhere.");
    OUTBOX_PENDING = process("bellwether_outbox_pending", Gauge, [], "Notices and rollback calls on record that are not delivered yet.");
    OUTBOX_DEAD = process("bellwether_outbox_dead_letters", Gauge, [], "Notices and rollback calls that were given up and can be sent again.");
    JOURNAL_UNWRITTEN = process("bellwether_journal_unwritten", Gauge, [], "Entries and rows of state that wait in memory for a disk that can be written.");
    JOURNAL_FAILURES = process("bellwether_journal_failures_total", Counter, [], "Times that the journal could not be written; each is tried again.");
    JOURNAL_DAMAGED = process("bellwether_journal_damaged_files_total", Counter, [], "Journals that the start found damaged and set aside.");
    RELOAD_SUCCESSFUL = process("bellwether_config_last_reload_successful", Gauge, [], "Whether the last reload of the configuration succeeded.");
    RELOAD_TIME = process("bellwether_config_last_reload_success_timestamp_seconds", Gauge, [], "When the configuration was last loaded.");
    BUILD_INFO = process("bellwether_build_info", Gauge, ["version"], "1, labeled with the version.");
}

/// Buckets in seconds for whole durations: OpenTelemetry's ladder for generative AI and two more.
pub const DURATION_BUCKETS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68,
];
/// Buckets in seconds for the time to the first token.
pub const TTFT_BUCKETS: &[f64] = &[
    0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.16, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 60.0,
];
/// Buckets in seconds for gaps between pieces of content and for the time of one token.
pub const GAP_BUCKETS: &[f64] = &[
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0,
    10.0,
];
/// Buckets in seconds for parts of an exchange: from a warm loopback connection to a slow model.
pub const PHASE_BUCKETS: &[f64] =
    &[0.0005, 0.002, 0.008, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 8.192, 32.768];
/// Buckets in seconds for lateness: fine where it should be, up to a minute where it hurts.
pub const LAG_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0];

/// Buckets in seconds for what the router adds.
pub const OVERHEAD_BUCKETS: &[f64] =
    &[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// Buckets for how much of one thing another is. No bound at 1: two that are the same are in the middle
/// of a bucket, so that a quantile of nothing else says 1.
pub const RATIO_BUCKETS: &[f64] =
    &[0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

/// Which families of a target a level of detail leaves out.
pub fn left_out(detail: Detail) -> &'static [Family] {
    match detail {
        Detail::Full => &[],
        Detail::Lean => &[PROBE_TTFO, PROBE_GAP, PROBE_PHASE],
        Detail::Minimal => &[
            PROBE_TTFO,
            PROBE_GAP,
            PROBE_PHASE,
            PROBE_TPOT,
            PROBE_LAG,
            PROBE_STREAM_FAILURES,
            PROBE_ANOMALIES,
            PROBE_TOKENS,
            PROBE_RATELIMIT_LIMIT,
            PROBE_RATELIMIT_REMAINING,
            PROBE_REFUSED,
            PROBE_HTTP_RESPONSES,
        ],
    }
}

/// Buckets in seconds for whole durations, beside the thresholds.
pub fn duration_buckets(detail: Detail) -> &'static [f64] {
    match detail {
        Detail::Full | Detail::Lean => DURATION_BUCKETS,
        Detail::Minimal => &[1.28, 10.24],
    }
}

/// Buckets in seconds for the time to the first token, beside the thresholds.
pub fn ttft_buckets(detail: Detail) -> &'static [f64] {
    match detail {
        Detail::Full | Detail::Lean => TTFT_BUCKETS,
        Detail::Minimal => &[0.5, 2.5],
    }
}

/// What a result that is not `none` is called where results are told as good, bad and excluded only.
pub const ANY_ERROR: &str = "any";

/// Statuses that have a series of their own; any other is counted as `other`.
pub const STATUSES: [u16; 22] = [
    200, 201, 202, 204, 301, 302, 307, 308, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502,
    503, 504, 529,
];

/// At most how many series a target has, `le` buckets included. What may never appear (most statuses,
/// reported limits) counts in full.
pub fn target_series(targets: &[impl Borrow<Target>], detail: Detail) -> usize {
    let thresholds = || targets.iter().map(|target| target.borrow().thresholds);
    let mut ttft: Vec<_> = thresholds().filter_map(|thresholds| thresholds.ttft).collect();
    let mut total: Vec<_> = thresholds().filter_map(|thresholds| thresholds.total).collect();
    for thresholds in [&mut ttft, &mut total] {
        thresholds.sort_unstable();
        thresholds.dedup();
    }
    let errors = match detail {
        Detail::Full | Detail::Lean => ErrorType::ALL.len() + TIMING_FAILURES.len(),
        // `none` as what it may be configured to count as, and `any` as each.
        Detail::Minimal => 1 + SloClass::ALL.len(),
    };
    let kept = [
        (PROBE_TTFO, ladder(ttft_buckets(detail), ttft.len())),
        (PROBE_TPOT, ladder(GAP_BUCKETS, 0)),
        (PROBE_GAP, ladder(GAP_BUCKETS, 0)),
        (PROBE_PHASE, 6 * ladder(PHASE_BUCKETS, 0)),
        (PROBE_LAG, ladder(LAG_BUCKETS, 0)),
        (PROBE_STREAM_FAILURES, STREAM_FAILURES.len() * StreamPhase::ALL.len()),
        (PROBE_HTTP_RESPONSES, STATUSES.len() + 1),
        (PROBE_ANOMALIES, Anomaly::ALL.len()),
        (PROBE_TOKENS, 5),
        (PROBE_RATELIMIT_LIMIT, 2),
        (PROBE_RATELIMIT_REMAINING, 2),
        (PROBE_REFUSED, LimitKind::ALL.len()),
    ];
    let kept: usize =
        kept.iter().filter(|(family, _)| !left_out(detail).contains(family)).map(|(_, n)| n).sum();
    ladder(duration_buckets(detail), total.len())
        + ladder(ttft_buckets(detail), ttft.len())
        + errors
        + kept
        + SkipReason::ALL.len()
        // thresholds (3 families × 2), planned maintenance (a gauge and a counter of 3), twelve single
        // ones
        + 6 + 4 + 12
        // What was spent on a model by probes; each may be the only one of its model.
        + 2
}

/// `+Inf`, `_sum` and `_count` come to the bounds.
fn ladder(buckets: &[f64], thresholds: usize) -> usize {
    buckets.len() + thresholds + 3
}

/// At most how many series a configuration leads to, what a scrape adds by itself included.
pub fn series_bound(
    (targets, detail): (&[impl Borrow<Target>], Detail),
    hooks: usize,
    rollbacks: usize,
    groups: usize,
) -> usize {
    let per_target = target_series(targets, detail);
    let budgets: usize = targets.iter().map(|target| budget_series(target.borrow())).sum();
    // The canary's lateness, the plans' durations, 19 single ones, the process's own, what a scrape
    // adds, calls and posts by what became of them.
    // The router by itself: refusals, translations, the table's version, lost evidence, failures to store.
    let told = Direction::ALL.map(|direction| {
        Loss::parameters(direction).count() + Loss::unknowns(direction).count() + 1
    });
    let told: usize = told.into_iter().sum();
    let router = Refusal::REASONS.len() + 3 + told + EvidenceResult::ALL.len();
    let process =
        ladder(LAG_BUCKETS, 0) + 2 * ladder(DURATION_BUCKETS, 0) + 19 + 8 + 4 + 3 + 3 + router;
    // Every hook might be a heartbeat, which has three more.
    let per_hook = 3 + 6 + ladder(DURATION_BUCKETS, 0) + 4 + 3;
    targets.len() * per_target + budgets + process + hooks * per_hook + rollbacks * 11 + groups * 5
}

fn budget_series(target: &Target) -> usize {
    match target.budget {
        Budget::Limited { daily, monthly } => 2 * [daily, monthly].into_iter().flatten().count(),
        Budget::Unlimited => 0,
    }
}

/// At most in how many series is told what was spent on targets other than by probes: dollars, and
/// requests of unknown cost.
pub fn spending_series(targets: usize) -> usize {
    2 * targets
}

/// In how many series comparisons are exported: two prices for each of three purposes.
pub fn comparison_series(comparisons: usize) -> usize {
    6 * comparisons
}

/// How long the ladders of the router are, and how many results it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterSeries {
    /// Bounds for the whole duration.
    pub duration: usize,
    /// Bounds for the time to the first token.
    pub ttft: usize,
    /// Pairs of error type and class.
    pub classes: usize,
}

/// At most how many series the routes lead to.
pub fn router_series(settings: &Settings) -> usize {
    let RouterSeries { duration, ttft, classes } = super::routes::series(settings);
    let per_arm = (duration + 3) + (ttft + 3)
        + classes
        + ErrorType::ALL.len()
        + Surface::ALL.len() * ROUTER_CODES.len()
        + StreamPhase::ALL.len()
        // tokens; in flight, circuit, weight, cost, unpriced
        + 5 + 5;
    let per_route = Arm::ALL.len() * per_arm
        + RETRIED.len()
        + 2 * (DURATION_BUCKETS.len() + 3)
        + (OVERHEAD_BUCKETS.len() + 3)
        // fail-overs, disconnects
        + 3 + 1;
    let copying = settings.routes.iter().filter(|route| route.mirror.is_some()).count();
    // In flight, queued, share, cost, unpriced, and tokens.
    let per_mirror = classes
        + Uncopied::ALL.len()
        + Pairing::ALL.len()
        + Check::ALL.len() * Verdict::ALL.len()
        + Measure::ALL.len() * (RATIO_BUCKETS.len() + 3)
        + (DURATION_BUCKETS.len() + 3)
        + (TTFT_BUCKETS.len() + 3)
        + 5
        + 5;
    let targets = if settings.routes.is_empty() { 0 } else { settings.targets.len() };
    // Ejected, and attempts.
    let per_target = 1 + SloClass::ALL.len();
    settings.routes.len() * per_route + copying * per_mirror + targets * per_target
}

/// What an error type can count as for a request, whichever target an arm names.
pub(super) fn router_classes(settings: &Settings) -> BTreeSet<(ErrorType, SloClass)> {
    let targets = settings.targets.values();
    targets
        .flat_map(|target| {
            ErrorType::ALL.into_iter().map(|error| (error, routing::class(target, error)))
        })
        .collect()
}

/// Classes of statuses that clients were answered with.
pub const ROUTER_CODES: [&str; 6] = ["2xx", "3xx", "429", "4xx", "5xx", "none"];

/// Failures that may be followed by another attempt, fail-overs left out. A response that is continued and
/// was made elsewhere is a 400.
pub const RETRIED: [ErrorType; 20] = [
    ErrorType::Http400,
    ErrorType::Dns,
    ErrorType::Connect,
    ErrorType::ConnectTimeout,
    ErrorType::Tls,
    ErrorType::ConnectionReset,
    ErrorType::TtftTimeout,
    ErrorType::StalledStream,
    ErrorType::TruncatedStream,
    ErrorType::StreamError,
    ErrorType::Http401,
    ErrorType::Http403,
    ErrorType::Http404,
    ErrorType::RateLimited,
    ErrorType::QuotaExhausted,
    ErrorType::Overloaded,
    ErrorType::ServerError,
    ErrorType::WrongContentType,
    ErrorType::MalformedJson,
    ErrorType::SchemaMismatch,
];

/// How many series the lists of models lead to, by the providers that are asked and the models that
/// are to be on them.
pub fn catalog_series(providers: usize, models: usize) -> usize {
    providers * 4 + models * 2
}

/// At most how many series an objective is exported in, by its budgets and the windows of each.
pub fn slo_series(budgets: usize, windows: usize) -> usize {
    1 + budgets * (1 + windows)
}

/// At most how many series a release is exported in, by its gates: 7 states twice, 2 arms, 11 notices,
/// 4 single ones, 2 of its probes' budget, and for each gate 3 verdicts, 2 counts and 2 directions of evidence.
pub fn release_series(gates: usize) -> usize {
    7 * 2 + 2 + 11 + 4 + 2 + gates * 7
}

/// Failures that are only a matter of time, and so are excluded while bellwether itself is stalled.
pub const TIMING_FAILURES: [ErrorType; 4] = [
    ErrorType::ConnectTimeout,
    ErrorType::TtftTimeout,
    ErrorType::StalledStream,
    ErrorType::TotalTimeout,
];

/// Failures that can happen inside a stream: those of the connection and of form, and whatever an
/// error inside a 200 can name.
pub const STREAM_FAILURES: [ErrorType; 20] = [
    ErrorType::ConnectionReset,
    ErrorType::TtftTimeout,
    ErrorType::TotalTimeout,
    ErrorType::StalledStream,
    ErrorType::TruncatedStream,
    ErrorType::StreamError,
    ErrorType::Http400,
    ErrorType::Http401,
    ErrorType::Http403,
    ErrorType::Http404,
    ErrorType::Http413,
    ErrorType::RateLimited,
    ErrorType::QuotaExhausted,
    ErrorType::Overloaded,
    ErrorType::ServerError,
    ErrorType::WrongContentType,
    ErrorType::MalformedJson,
    ErrorType::SchemaMismatch,
    ErrorType::ContentFiltered,
    ErrorType::Other,
];
