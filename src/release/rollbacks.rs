//! Whether a firing alert rolls a candidate back now.
//!
//! An alert that satisfies a rollback's matchers asks for it. It is carried out at most once per
//! incident, not within the cooldown of the one before, and not more often than a day may have.
//! First the stable side is asked: where it is bad too, going back helps nobody, so the rollback is
//! held unless `force` is set. Where nothing is known of stable it fires, and says so: moving back
//! is the safe way. Where what was seen cannot be trusted, it is held; so it is while a provider of
//! either side is in planned maintenance: what fires may be the maintenance, and nobody is moved into
//! one. Whatever is held is asked
//! again at every evaluation while the alert fires, and said again only when the verdict changes.
//!
//! Awkward cases: an alert about a stable target never rolls the candidate back, whatever the
//! matchers say. A rollback without matchers never fires. What was only rehearsed does not keep a
//! live rollback from firing. When several reasons hold it, the first of cooldown, cap,
//! maintenance, doubt, both bad is named.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::stable::{Health, Recent};
use super::{Decision, Doubt, Mode, Record, Report, Rollback, Verdict, message};
use crate::model::{TargetId, Timestamp, format_duration};
use crate::notice::{Alert, Delivery, HookId, Sending};
use crate::probe::Planned;

/// The most incidents that one rollback remembers; it fires a handful of times a day.
pub const INCIDENTS_MAX: usize = 1000;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often a held incident is said anew; a canary that flaps must not fill the journal.
const SAID_MAX: u32 = 20;

/// What a decision may rest on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What is known of every target.
    pub recent: &'a Recent,
    /// Every alert that fires.
    pub firing: &'a [Alert],
    /// The targets whose provider is in planned maintenance.
    pub planned: &'a BTreeMap<TargetId, Planned>,
    /// Why what was seen for this alert cannot be trusted, if so.
    pub doubt: Option<Doubt>,
    /// Who says that it fires, and why, where that is not bellwether.
    pub said_by: Option<&'a str>,
}

/// All rollbacks and what became of them.
#[derive(Clone, Debug, Default)]
pub struct Rollbacks {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    settings: Rollback,
    /// When it fired and how, oldest first.
    fired: VecDeque<(Timestamp, Mode)>,
    incidents: BTreeMap<String, Incident>,
}

#[derive(Clone, Debug)]
struct Incident {
    seen_at: Timestamp,
    said: Option<Verdict>,
    times_said: u32,
    done: Option<Mode>,
}

impl Rollbacks {
    /// Nothing was ever rolled back.
    pub fn new(settings: Vec<Rollback>) -> Self {
        let entry =
            |settings| Entry { settings, fired: VecDeque::new(), incidents: BTreeMap::new() };
        Self { entries: settings.into_iter().map(entry).collect() }
    }

    /// Takes over from before a reload what became of rollbacks that keep their names.
    pub fn adopt(&mut self, old: Self) {
        let mut known: BTreeMap<String, Entry> =
            old.entries.into_iter().map(|entry| (entry.settings.name.clone(), entry)).collect();
        for entry in &mut self.entries {
            if let Some(known) = known.remove(&entry.settings.name) {
                entry.fired = known.fired;
                entry.incidents = known.incidents;
            }
        }
    }

    /// Takes in what the journal holds, oldest first, at the start. A record from the future (the
    /// clock was wrong) counts as from now, so that it can't block for longer than it should.
    pub fn restore(&mut self, now: Timestamp, records: &[Record]) {
        for record in records {
            let mode = match record.verdict {
                Verdict::Fired => Mode::Live,
                Verdict::DryRun => Mode::DryRun,
                Verdict::HeldBothBad
                | Verdict::HeldInconclusive
                | Verdict::HeldMaintenance { .. }
                | Verdict::Cooldown { .. }
                | Verdict::Capped { .. } => continue,
            };
            let named = |entry: &&mut Entry| entry.settings.name == record.rollback;
            if let Some(entry) = self.entries.iter_mut().find(named) {
                entry.carried_out(record.at.min(now), &record.incident, record.verdict, mode);
            }
        }
    }

    /// Decides about one firing alert: a decision for each rollback that it asks for and about
    /// which there is something new to say. Asked again at every evaluation while it fires.
    pub fn consider(
        &mut self,
        now: Timestamp,
        alert: &Alert,
        evidence: &Evidence<'_>,
    ) -> Vec<Decision> {
        if alert.is_resolved(now) {
            return Vec::new();
        }
        let asked = self.entries.iter_mut().filter(|entry| entry.is_asked(alert));
        asked.filter_map(|entry| entry.consider(now, alert, evidence)).collect()
    }

    /// Decides about an alert that an early evaluation found: only what is carried out at once.
    /// Whatever would be held is left to the interval evaluation to say, and leaves no trace here:
    /// until then the incident has no lasting name.
    pub fn consider_early(
        &mut self,
        now: Timestamp,
        alert: &Alert,
        evidence: &Evidence<'_>,
    ) -> Vec<Decision> {
        let asked = self.entries.iter_mut().filter(|entry| entry.is_asked(alert));
        asked
            .filter(|entry| entry.is_carried_out_now(now, alert, evidence))
            .filter_map(|entry| entry.consider(now, alert, evidence))
            .collect()
    }

    /// Begins a rollback that is decided on elsewhere, for one incident once; `None` where there is
    /// none of this name.
    pub fn begin(
        &mut self,
        now: Timestamp,
        name: &str,
        alert: &Alert,
        why: &str,
        recent: &Recent,
    ) -> Option<Decision> {
        let entry = self.entries.iter_mut().find(|entry| entry.settings.name == name)?;
        let targets = recent.by_outcomes(now, &entry.settings.stable);
        let stable = Health::of_side(&targets);
        let in_last_day = entry.in_last_day(now);
        let report = Report { why: why.to_owned(), stable, targets, doubt: None, in_last_day };
        let id = message::key(name, &alert.incident);
        let delivery = Some(entry.delivery(now, &id, alert, &report, Sending::Real));
        entry.carried_out(now, &alert.incident, Verdict::Fired, Mode::Live);
        Some(Decision {
            id,
            rollback: name.to_owned(),
            incident: alert.incident.clone(),
            at: now,
            verdict: Verdict::Fired,
            alert: alert.clone(),
            report,
            delivery,
        })
    }

    /// Whether a rollback goes on though stable is bad too.
    pub fn is_forced(&self, name: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.settings.name == name && entry.settings.force)
    }

    /// How many rollbacks of this name there were in the 24 hours before.
    pub fn in_last_day(&self, now: Timestamp, name: &str) -> u32 {
        let entry = self.entries.iter().find(|entry| entry.settings.name == name);
        let count = entry.map_or(0, |entry| entry.in_last_day(now));
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// An incident is over: what was held for it is dropped.
    pub fn resolved(&mut self, incident: &str) {
        for entry in &mut self.entries {
            if entry.incidents.get(incident).is_some_and(|incident| incident.done.is_none()) {
                entry.incidents.remove(incident);
            }
        }
    }

    /// The rollbacks that an alert asks for, and the verdict of each that stands for its incident.
    pub fn said(&self, alert: &Alert) -> Vec<(&str, Option<Verdict>)> {
        let asked = self.entries.iter().filter(|entry| entry.is_asked(alert));
        asked
            .map(|entry| {
                let incident = entry.incidents.get(&alert.incident);
                (entry.settings.name.as_str(), incident.and_then(|incident| incident.said))
            })
            .collect()
    }

    /// The verdict that stands for a rollback and an incident.
    pub fn verdict(&self, rollback: &str, incident: &str) -> Option<Verdict> {
        let entry = self.entries.iter().find(|entry| entry.settings.name == rollback)?;
        entry.incidents.get(incident)?.said
    }

    /// Whether any rollback would listen to an alert.
    pub fn is_asked(&self, alert: &Alert) -> bool {
        self.entries.iter().any(|entry| entry.is_asked(alert))
    }
}

impl Entry {
    fn is_asked(&self, alert: &Alert) -> bool {
        let is_candidate =
            |name: &str| self.settings.candidate.iter().any(|id| id.as_str() == name);
        let is_stable = |name: &str| self.settings.stable.iter().any(|id| id.as_str() == name);
        let is_stables_own =
            alert.labels.get("target").is_some_and(|name| is_stable(name) && !is_candidate(name));
        !self.settings.matchers.is_empty()
            && !is_stables_own
            && self.settings.matchers.iter().all(|matcher| matcher.matches_labels(&alert.labels))
    }

    fn consider(
        &mut self,
        now: Timestamp,
        alert: &Alert,
        evidence: &Evidence<'_>,
    ) -> Option<Decision> {
        let mode = self.settings.mode;
        if let Some(incident) = self.incidents.get_mut(&alert.incident) {
            incident.seen_at = now;
            if incident.done == Some(Mode::Live) || incident.done == Some(mode) {
                return None;
            }
        }
        let targets = evidence.recent.health(now, &self.settings.stable, alert, evidence.firing);
        let stable = Health::of_side(&targets);
        let (verdict, in_last_day) = self.judge(now, stable, evidence);
        if !self.is_news(now, &alert.incident, verdict) {
            return None;
        }
        let mut why = self.why(verdict, stable, evidence, alert);
        if let Some(said_by) = evidence.said_by {
            why = format!("{why}; said by {said_by}");
        }
        let report = Report { why, stable, targets, doubt: evidence.doubt, in_last_day };
        let id = message::key(&self.settings.name, &alert.incident);
        let delivery = match verdict {
            Verdict::Fired => Some(self.delivery(now, &id, alert, &report, Sending::Real)),
            Verdict::DryRun => Some(self.delivery(now, &id, alert, &report, Sending::Rehearsal)),
            Verdict::HeldBothBad
            | Verdict::HeldInconclusive
            | Verdict::HeldMaintenance { .. }
            | Verdict::Cooldown { .. }
            | Verdict::Capped { .. } => None,
        };
        if delivery.is_some() {
            self.carried_out(now, &alert.incident, verdict, mode);
        }
        Some(Decision {
            id,
            rollback: self.settings.name.clone(),
            incident: alert.incident.clone(),
            at: now,
            verdict,
            alert: alert.clone(),
            report,
            delivery,
        })
    }

    fn is_carried_out_now(&self, now: Timestamp, alert: &Alert, evidence: &Evidence<'_>) -> bool {
        let targets = evidence.recent.health(now, &self.settings.stable, alert, evidence.firing);
        let (verdict, _) = self.judge(now, Health::of_side(&targets), evidence);
        matches!(verdict, Verdict::Fired | Verdict::DryRun)
    }

    fn in_last_day(&self, now: Timestamp) -> usize {
        let fired = self.fired.iter().filter(|(_, mode)| *mode == Mode::Live);
        fired.filter(|(at, _)| now.since(*at) < DAY).count()
    }

    /// The verdict, and how many rollbacks the last day had.
    fn judge(&self, now: Timestamp, stable: Health, evidence: &Evidence<'_>) -> (Verdict, usize) {
        let mode = self.settings.mode;
        let counts = |of: Mode| mode == Mode::DryRun || of == Mode::Live;
        let fired = || self.fired.iter().filter(|(_, of)| counts(*of)).map(|(at, _)| *at);
        let last_day: Vec<Timestamp> = fired().filter(|at| now.since(*at) < DAY).collect();
        let daily_max = self.settings.daily_max as usize;
        let free_again = match last_day.len().checked_sub(daily_max) {
            // With a cap of nothing there is never room.
            Some(over) => last_day.get(over).map(|at| *at + DAY).or(Some(Timestamp::MAX)),
            None => None,
        };
        let cool_again = fired().next_back().map(|at| at + self.settings.cooldown);
        let planned = self.planned(evidence).map(|(_, planned)| planned);
        let verdict = match (cool_again, free_again, planned) {
            (Some(until), _, _) if until > now => Verdict::Cooldown { until },
            (_, Some(until), _) => Verdict::Capped { until },
            (_, _, Some(Planned { until })) => Verdict::HeldMaintenance { until },
            _ if evidence.doubt.is_some() => Verdict::HeldInconclusive,
            _ if stable == Health::Bad && !self.settings.force => Verdict::HeldBothBad,
            _ => match mode {
                Mode::Live => Verdict::Fired,
                Mode::DryRun => Verdict::DryRun,
            },
        };
        (verdict, last_day.len())
    }

    /// The first target of either side that is in planned maintenance.
    fn planned<'a>(&'a self, evidence: &Evidence<'_>) -> Option<(&'a TargetId, Planned)> {
        let mut targets = self.settings.candidate.iter().chain(&self.settings.stable);
        targets.find_map(|target| Some((target, *evidence.planned.get(target)?)))
    }

    /// Whether the verdict is to be said, and remembers that it is.
    fn is_news(&mut self, now: Timestamp, incident: &str, verdict: Verdict) -> bool {
        let incident = self.incident(now, incident);
        if incident.said == Some(verdict) {
            return false;
        }
        incident.said = Some(verdict);
        incident.times_said = incident.times_said.saturating_add(1);
        matches!(verdict, Verdict::Fired | Verdict::DryRun) || incident.times_said <= SAID_MAX
    }

    fn carried_out(&mut self, at: Timestamp, incident: &str, verdict: Verdict, mode: Mode) {
        let incident = self.incident(at, incident);
        incident.said = Some(verdict);
        // A rehearsal on record takes nothing from a rollback that was real.
        if incident.done != Some(Mode::Live) {
            incident.done = Some(mode);
        }
        self.fired.push_back((at, mode));
        let kept = DAY.max(self.settings.cooldown);
        while self.fired.front().is_some_and(|(first, _)| at.since(*first) > kept)
            || self.fired.len() > INCIDENTS_MAX
        {
            self.fired.pop_front();
        }
    }

    fn incident(&mut self, now: Timestamp, id: &str) -> &mut Incident {
        if self.incidents.len() >= INCIDENTS_MAX && !self.incidents.contains_key(id) {
            let oldest = self
                .incidents
                .iter()
                .min_by_key(|(_, incident)| (incident.done.is_some(), incident.seen_at))
                .map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                self.incidents.remove(&oldest);
            }
        }
        self.incidents.entry(id.to_owned()).or_insert(Incident {
            seen_at: now,
            said: None,
            times_said: 0,
            done: None,
        })
    }

    fn delivery(
        &self,
        now: Timestamp,
        id: &str,
        alert: &Alert,
        report: &Report,
        sending: Sending,
    ) -> Delivery {
        Delivery {
            hook: HookId::rollback(&self.settings.name),
            id: id.to_owned(),
            order: alert.incident.clone(),
            body: Arc::from(message::body(now, &self.settings, alert, report)),
            decided_at: now,
            sending,
        }
    }

    fn why(
        &self,
        verdict: Verdict,
        stable: Health,
        evidence: &Evidence<'_>,
        alert: &Alert,
    ) -> String {
        let name = alert.name();
        match (verdict, stable) {
            (Verdict::Fired | Verdict::DryRun, Health::Good) => {
                format!("`{name}` fires and stable is good")
            }
            (Verdict::Fired | Verdict::DryRun, Health::Unknown) => {
                format!(
                    "`{name}` fires; nothing is known of stable, and moving back is the safe way"
                )
            }
            (Verdict::Fired | Verdict::DryRun, Health::Bad) => {
                format!("`{name}` fires; stable is bad too, but `force` is set")
            }
            (Verdict::HeldBothBad, _) => {
                format!("`{name}` fires, but stable is bad too: going back would help nobody")
            }
            (Verdict::HeldInconclusive, _) => match evidence.doubt {
                Some(Doubt::VantageSuspect) => {
                    format!("`{name}` fires, but everything fails from here at once")
                }
                Some(Doubt::CanaryRed) | None => {
                    format!("`{name}` fires, but bellwether itself was stalled")
                }
            },
            (Verdict::HeldMaintenance { until }, _) => {
                let target = self.planned(evidence).map_or("a target", |(id, _)| id.as_str());
                let end = until.map_or(String::new(), |until| format!(" until {until}"));
                format!("`{name}` fires, but `{target}` is in planned maintenance{end}")
            }
            (Verdict::Cooldown { until }, _) => format!(
                "`{name}` fires, but the last rollback was less than {} ago; the next may come at {until}",
                format_duration(self.settings.cooldown)
            ),
            (Verdict::Capped { .. }, _) if self.settings.daily_max == 0 => {
                format!("`{name}` fires, but `max_per_day` is 0: there is never a rollback")
            }
            (Verdict::Capped { until }, _) => format!(
                "`{name}` fires, but there were {} rollbacks in 24h; the next may come at {until}",
                self.settings.daily_max
            ),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{HttpSettings, Labels, Matcher, TargetId, UrlSource};
    use crate::notice::Webhook;
    use crate::provider::SloClass;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    /// A live rollback from `candidate` to `stable` on `ErrorRatio`, with the default limits.
    pub(crate) fn rollback() -> Rollback {
        Rollback {
            name: "gpt-next".to_owned(),
            matchers: vec![Matcher::parse("alertname=ErrorRatio").unwrap()],
            candidate: vec![TargetId::new("candidate")],
            stable: vec![TargetId::new("stable")],
            does: super::super::Does::Call(Box::new(Webhook {
                url: UrlSource::Plain("http://127.0.0.1/".to_owned()),
                send_resolved: false,
                alerts_max: 0,
                body: None,
                timeout: Duration::from_secs(5),
                signing_secrets: Vec::new(),
                http: HttpSettings::default(),
            })),
            cooldown: Duration::from_secs(30 * 60),
            daily_max: 3,
            drill_interval: None,
            mode: Mode::Live,
            force: false,
        }
    }

    /// `ErrorRatio` on the candidate.
    pub(crate) fn alert(incident: &str) -> Alert {
        Alert {
            labels: Labels::from_pairs([("alertname", "ErrorRatio"), ("target", "candidate")]),
            annotations: Labels::from_pairs([("summary", "too many errors")]),
            is_firing: true,
            starts_at: at(1),
            ends_at: None,
            value: 0.25,
            generator_url: "http://b/graph".to_owned(),
            incident: incident.to_owned(),
        }
    }

    #[derive(Clone, Copy)]
    enum World {
        StableGood,
        StableBad,
        StableUnknown,
        Stalled,
    }
    use World::{StableBad, StableGood, StableUnknown, Stalled};

    fn consider(rollbacks: &mut Rollbacks, now: i64, alert: &Alert, world: World) -> Vec<Decision> {
        let stable = TargetId::new("stable");
        let mut recent = Recent::new([(stable.clone(), Duration::from_secs(1))]);
        let class = match world {
            StableGood | Stalled => Some(SloClass::Good),
            StableBad => Some(SloClass::Bad),
            StableUnknown => None,
        };
        for class in class.into_iter().cycle().take(3) {
            recent.observe(at(now), &stable, class, true);
        }
        let doubt = matches!(world, Stalled).then_some(Doubt::CanaryRed);
        rollbacks.consider(
            at(now),
            alert,
            &Evidence {
                recent: &recent,
                firing: &[],
                planned: &BTreeMap::new(),
                doubt,
                said_by: None,
            },
        )
    }

    /// Asks at each time about an incident in a world, and expects a verdict or silence.
    fn check(settings: Rollback, asked: &[(i64, &str, World, Option<&str>)]) {
        let mut rollbacks = Rollbacks::new(vec![settings]);
        for (now, incident, world, expected) in asked {
            let decisions = consider(&mut rollbacks, *now, &alert(incident), *world);
            let verdicts: Vec<&str> =
                decisions.iter().map(|decision| decision.verdict.as_str()).collect();
            assert_eq!(verdicts.first().copied(), *expected, "{incident} at {now}");
            assert!(verdicts.len() <= 1);
        }
    }

    #[test]
    fn an_incident_rolls_back_once() {
        check(
            rollback(),
            &[
                (0, "i1", StableGood, Some("fired")),
                (1, "i1", StableGood, None),
                (5 * HOUR, "i1", StableGood, None),
            ],
        );
    }

    #[test]
    fn both_bad_holds_until_stable_recovers() {
        check(
            rollback(),
            &[
                (0, "i1", StableBad, Some("held_both_bad")),
                (1, "i1", StableBad, None),
                (2, "i1", StableGood, Some("fired")),
                (3, "i1", StableBad, None),
            ],
        );
    }

    #[test]
    fn force_rolls_back_though_both_are_bad() {
        check(Rollback { force: true, ..rollback() }, &[(0, "i1", StableBad, Some("fired"))]);
    }

    #[test]
    fn nothing_known_of_stable_rolls_back_and_says_so() {
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        let decisions = consider(&mut rollbacks, 0, &alert("i1"), StableUnknown);
        assert_eq!(decisions[0].verdict, Verdict::Fired);
        assert!(decisions[0].report.why.contains("nothing is known of stable"));
    }

    #[test]
    fn evidence_from_while_bellwether_was_stalled_holds_even_by_force() {
        check(
            Rollback { force: true, ..rollback() },
            &[
                (0, "i1", Stalled, Some("held_inconclusive")),
                (1, "i1", Stalled, None),
                (2, "i1", StableGood, Some("fired")),
            ],
        );
    }

    #[test]
    fn a_second_incident_waits_for_the_cooldown() {
        check(
            rollback(),
            &[
                (0, "i1", StableGood, Some("fired")),
                (10, "i2", StableGood, Some("cooldown")),
                (11, "i2", StableGood, None),
                (30 * MINUTE - 1, "i2", StableBad, None),
                (30 * MINUTE, "i2", StableGood, Some("fired")),
            ],
        );
    }

    #[test]
    fn a_day_has_only_so_many_rollbacks() {
        check(
            rollback(),
            &[
                (0, "i1", StableGood, Some("fired")),
                (HOUR, "i2", StableGood, Some("fired")),
                (2 * HOUR, "i3", StableGood, Some("fired")),
                (3 * HOUR, "i4", StableGood, Some("capped")),
                (4 * HOUR, "i4", StableGood, None),
                (24 * HOUR, "i4", StableGood, Some("fired")),
                (24 * HOUR + 40 * MINUTE, "i5", StableGood, Some("capped")),
            ],
        );
        check(
            Rollback { daily_max: 0, ..rollback() },
            &[(0, "i1", StableGood, Some("capped")), (90 * HOUR, "i1", StableGood, None)],
        );
    }

    #[test]
    fn a_rehearsal_is_recorded_and_leaves_the_real_thing_free() {
        let rehearsal = Rollback { mode: Mode::DryRun, ..rollback() };
        let mut rollbacks = Rollbacks::new(vec![rehearsal]);
        let decision = consider(&mut rollbacks, 0, &alert("i1"), StableGood).remove(0);
        assert_eq!(decision.verdict, Verdict::DryRun);
        let delivery = decision.delivery.unwrap();
        assert_eq!(delivery.sending, Sending::Rehearsal);
        assert!(delivery.body.contains(r#""dry_run":true"#));
        assert!(consider(&mut rollbacks, 1, &alert("i1"), StableGood).is_empty());
        let mut live = Rollbacks::new(vec![rollback()]);
        live.adopt(rollbacks);
        assert_eq!(consider(&mut live, 2, &alert("i1"), StableGood)[0].verdict, Verdict::Fired);
    }

    #[test]
    fn only_alerts_that_match_and_are_not_about_stable_are_heard() {
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        let mut other = alert("i1");
        other.labels = other.labels.with("alertname", "Other");
        let mut stables = alert("i2");
        stables.labels = stables.labels.with("target", "stable");
        let mut over = alert("i3");
        over.is_firing = false;
        for alert in [other, stables, over] {
            assert!(consider(&mut rollbacks, 0, &alert, StableGood).is_empty(), "{alert:?}");
        }
        let mut deaf = Rollbacks::new(vec![Rollback { matchers: vec![], ..rollback() }]);
        assert!(consider(&mut deaf, 0, &alert("i4"), StableGood).is_empty());
        let mut whole = alert("i5");
        whole.labels = whole.labels.with("target", "");
        assert_eq!(consider(&mut rollbacks, 0, &whole, StableGood).len(), 1);
    }

    #[test]
    fn a_restart_neither_repeats_a_rollback_nor_forgets_the_cooldown() {
        let record = Record {
            id: "rollback_gpt-next_0".to_owned(),
            rollback: "gpt-next".to_owned(),
            incident: "i1".to_owned(),
            at: at(100),
            verdict: Verdict::Fired,
            report: String::new(),
        };
        let held =
            Record { verdict: Verdict::HeldBothBad, incident: "i2".into(), ..record.clone() };
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        rollbacks.restore(at(200), &[record.clone(), held]);
        assert!(consider(&mut rollbacks, 210, &alert("i1"), StableGood).is_empty());
        let second = consider(&mut rollbacks, 210, &alert("i2"), StableGood).remove(0);
        assert_eq!(second.verdict, Verdict::Cooldown { until: at(100 + 30 * MINUTE) });
        // From a clock that ran ahead by a year.
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        rollbacks.restore(at(200), &[Record { at: at(365 * 24 * HOUR), ..record }]);
        let third = consider(&mut rollbacks, 200 + 30 * MINUTE, &alert("i2"), StableGood);
        assert_eq!(third[0].verdict, Verdict::Fired);
    }

    #[test]
    fn a_verdict_that_flaps_is_said_so_often_and_then_fires_all_the_same() {
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        let said: usize = (0..200)
            .map(|second| {
                let world = if second % 2 == 0 { StableBad } else { Stalled };
                consider(&mut rollbacks, second, &alert("i1"), world).len()
            })
            .sum();
        assert_eq!(said, 20);
        let decisions = consider(&mut rollbacks, 200, &alert("i1"), StableGood);
        assert_eq!(decisions[0].verdict, Verdict::Fired);
    }

    #[test]
    fn what_was_held_for_a_resolved_incident_is_forgotten_and_what_was_done_is_not() {
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        consider(&mut rollbacks, 0, &alert("i1"), StableBad);
        rollbacks.resolved("i1");
        assert_eq!(consider(&mut rollbacks, 1, &alert("i1"), StableBad).len(), 1);
        consider(&mut rollbacks, 2, &alert("i1"), StableGood);
        rollbacks.resolved("i1");
        assert!(consider(&mut rollbacks, 3, &alert("i1"), StableGood).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_was_done_outlives_what_was_held() {
        let mut rollbacks = Rollbacks::new(vec![rollback()]);
        assert_eq!(consider(&mut rollbacks, 0, &alert("done"), StableGood).len(), 1);
        for number in 0..2 * INCIDENTS_MAX {
            consider(&mut rollbacks, 1, &alert(&number.to_string()), StableGood);
        }
        assert_eq!(rollbacks.entries[0].incidents.len(), INCIDENTS_MAX);
        assert!(consider(&mut rollbacks, 2 * HOUR, &alert("done"), StableGood).is_empty());
    }
}
