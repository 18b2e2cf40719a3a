//! Who is told of which alerts, and when: grouping, waiting, repeating.
//!
//! A group's first notice waits `group_wait`, so that what breaks together is told together; later
//! ones come every `group_interval` if something changed, and after `repeat_interval` if nothing
//! did. An alert that comes and goes inside the first wait is told to nobody, as in Alertmanager,
//! but is reported to whoever asked, so that it is on record. Rollbacks do not pass through here:
//! they wait for nobody.
//!
//! What was told outlives the process: each step says which groups changed, and is to be written
//! down together with the notices that it decided on. Otherwise a process that dies in between
//! would either tell a thing twice, as two notices, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::group::{Context, Group, Saved};
use super::route::Tree;
use super::{Alert, HookId, Integration, Notice, Receiver, Route};
use crate::model::{Labels, StateRow, StateTable, Timestamp};

/// The most alerts in all groups together; more are refused and counted.
pub const ALERTS_MAX: usize = 50_000;

/// Between two notices of a group, whatever the configuration says: an interval of nothing would
/// never end.
const GROUP_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What one step decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dispatch {
    /// What goes out.
    pub notices: Vec<Notice>,
    /// Groups that would have been looked at, and of which nobody is told for now.
    pub muted: Vec<Muted>,
    /// Alerts that came and went without anybody being told.
    pub unheard: Vec<Alert>,
    /// How many alerts found no room.
    pub refused: usize,
    /// What is to be kept of the groups that changed.
    pub rows: Vec<StateRow>,
}

/// A group of which nobody is told while some time intervals hold, or none does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Muted {
    /// Who would be told.
    pub receiver: String,
    /// The group's key.
    pub group: String,
    /// The intervals for whose sake nobody is.
    pub intervals: Vec<String>,
    /// How many of its alerts fire.
    pub firing: usize,
}

/// All groups and what their receivers were told.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    tree: Tree,
    receivers: BTreeMap<String, Vec<(HookId, Integration)>>,
    external_url: String,
    groups: BTreeMap<(usize, Labels), Group>,
    alerts: usize,
    deadline: Option<Timestamp>,
    /// Groups whose rows are out of date.
    changed: BTreeSet<(usize, Labels)>,
    /// Rows of groups that are no more.
    gone: BTreeSet<String>,
}

impl Dispatcher {
    /// Nothing was told yet. Without a route nobody ever is.
    pub fn new(root: Option<Route>, receivers: &[Receiver], external_url: &str) -> Self {
        let receivers =
            receivers.iter().map(|receiver| (receiver.name.clone(), receiver.hooks())).collect();
        Self {
            tree: Tree::new(root),
            receivers,
            external_url: external_url.to_owned(),
            groups: BTreeMap::new(),
            alerts: 0,
            deadline: None,
            changed: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Takes over from before a reload: every alert is routed anew, and a group that is still the
    /// same keeps its times and what its receiver was told.
    pub fn adopt(&mut self, now: Timestamp, old: Self) {
        let receiver = |route: usize| old.tree.node(route).receiver.as_str();
        let groups = old.groups.iter();
        let saved: Vec<Saved> =
            groups.map(|((route, _), group)| group.saved(receiver(*route))).collect();
        self.gone = old.gone;
        self.gone.extend(saved.iter().map(|saved| row_key(&saved.receiver, &saved.key)));
        self.take_up(now, saved);
    }

    /// Goes on after a restart with the rows of an earlier run. What fired then is held to fire on
    /// until a time, or until somebody says otherwise: while nobody was there to assert it, its end
    /// came nearer for nothing. Rows that can't be read are named and left out.
    pub fn restore(
        &mut self,
        now: Timestamp,
        valid_until: Timestamp,
        rows: &[StateRow],
    ) -> Vec<String> {
        let mut unreadable = Vec::new();
        let mut saved = Vec::new();
        for row in rows.iter().filter(|row| row.table == StateTable::NoticeGroup) {
            let text = row.value.as_deref().unwrap_or_default();
            match serde_json::from_str::<Saved>(text) {
                Ok(group) => saved.push(group),
                Err(_) => unreadable.push(row.key.clone()),
            }
            self.gone.insert(row.key.clone());
        }
        let alerts = saved.iter_mut().flat_map(|saved| &mut saved.alerts);
        for alert in alerts.filter(|alert| alert.is_firing) {
            alert.ends_at = alert.ends_at.map(|ends_at| ends_at.max(valid_until));
        }
        self.take_up(now, saved);
        unreadable
    }

    fn take_up(&mut self, now: Timestamp, saved: Vec<Saved>) {
        for alert in saved.iter().flat_map(|saved| &saved.alerts) {
            // A resolve that nobody was told of yet finds its place as the alert that it ends.
            self.put(now, &Alert { is_firing: true, ends_at: None, ..alert.clone() });
            self.put(now, alert);
        }
        let mut known: BTreeMap<(String, String), Saved> = BTreeMap::new();
        for saved in saved {
            known.insert((saved.receiver.clone(), saved.key.clone()), saved);
        }
        for ((route, _), group) in &mut self.groups {
            let receiver = self.tree.node(*route).receiver.clone();
            if let Some(known) = known.get(&(receiver, group.key.clone())) {
                group.next_flush = known.next_flush;
                group.has_flushed = known.has_flushed;
                if !known.incident.is_empty() {
                    group.incident.clone_from(&known.incident);
                }
                group.told.clone_from(&known.told);
            }
        }
        self.deadline = self.groups.values().map(|group| group.next_flush).min();
    }

    /// Takes the alerts that changed (saying more than that does no harm) and decides who is told
    /// of what by now.
    pub fn step(&mut self, now: Timestamp, alerts: &[Alert]) -> Dispatch {
        let mut dispatch = Dispatch::default();
        for alert in alerts {
            dispatch.refused += self.put(now, alert);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.flush(now, &mut dispatch);
        }
        dispatch.rows = self.take_rows();
        dispatch
    }

    /// Groups of which nobody was told when they were due last, since time intervals held or none
    /// did: what fires in them waits.
    pub fn muted(&self, now: Timestamp) -> Vec<Muted> {
        let muted = self.groups.iter().filter(|(_, group)| !group.muted_by.is_empty());
        muted
            .map(|((route, _), group)| group.muted(now, &self.tree.node(*route).receiver))
            .collect()
    }

    /// When the next step is due though nothing changes.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Returns in how many groups the alert found no room.
    fn put(&mut self, now: Timestamp, alert: &Alert) -> usize {
        let mut refused = 0;
        for route in self.tree.matching(&alert.labels) {
            let node = self.tree.node(route);
            let labels = node.group(&alert.labels);
            let slot = (route, labels);
            let is_known = self
                .groups
                .get(&slot)
                .is_some_and(|group| group.alerts.contains_key(&alert.labels));
            if !is_known && alert.is_resolved(now) {
                continue;
            }
            if !is_known && self.alerts >= ALERTS_MAX {
                refused += 1;
                continue;
            }
            self.alerts += usize::from(!is_known);
            let group = self.groups.entry(slot.clone()).or_insert_with_key(|(_, labels)| Group {
                labels: labels.clone(),
                key: node.group_key(labels),
                incident: alert.incident.clone(),
                alerts: BTreeMap::new(),
                next_flush: now + node.group_wait,
                has_flushed: false,
                muted_by: Vec::new(),
                told: BTreeMap::new(),
            });
            let is_news = group.put(now, node.group_wait, alert);
            let next = group.next_flush;
            if is_news {
                self.changed.insert(slot);
            }
            self.deadline = Some(self.deadline.map_or(next, |deadline| deadline.min(next)));
        }
        refused
    }

    fn flush(&mut self, now: Timestamp, dispatch: &mut Dispatch) {
        for (slot, group) in &mut self.groups {
            if group.next_flush > now {
                continue;
            }
            let route = slot.0;
            let node = self.tree.node(route);
            let hooks = self.receivers.get(&node.receiver).map_or(&[][..], Vec::as_slice);
            let external_url = self.external_url.as_str();
            let context = Context { now, route, node, hooks, external_url };
            group.muted_by = node.muted_by(now).into_iter().map(str::to_owned).collect();
            let (notices, unheard) = if group.muted_by.is_empty() {
                group.flush(&context)
            } else {
                dispatch.muted.push(group.muted(now, &node.receiver));
                (Vec::new(), group.settle_muted(&context))
            };
            group.next_flush = now + node.group_interval.max(GROUP_INTERVAL_MIN);
            dispatch.notices.extend(notices);
            dispatch.unheard.extend(unheard);
            self.changed.insert(slot.clone());
        }
        let (tree, gone) = (&self.tree, &mut self.gone);
        self.groups.retain(|(route, _), group| {
            let is_over = group.alerts.is_empty();
            if is_over {
                gone.insert(row_key(&tree.node(*route).receiver, &group.key));
            }
            !is_over
        });
        self.alerts = self.groups.values().map(|group| group.alerts.len()).sum();
        self.deadline = self.groups.values().map(|group| group.next_flush).min();
    }

    fn take_rows(&mut self) -> Vec<StateRow> {
        let mut rows: BTreeMap<String, Option<String>> =
            std::mem::take(&mut self.gone).into_iter().map(|key| (key, None)).collect();
        for slot in std::mem::take(&mut self.changed) {
            let Some(group) = self.groups.get(&slot) else { continue };
            let receiver = &self.tree.node(slot.0).receiver;
            let value = serde_json::to_string(&group.saved(receiver));
            let value = value.expect("texts and numbers always serialize");
            rows.insert(row_key(receiver, &group.key), Some(value));
        }
        let table = StateTable::NoticeGroup;
        rows.into_iter().map(|(key, value)| StateRow { table, key, value }).collect()
    }
}

/// Routes that tell the same receiver of the same group share a row, since they tell the same.
fn row_key(receiver: &str, group: &str) -> String {
    // The length keeps `ab`, `c` and `a`, `bc` apart.
    format!("{}:{receiver}{group}", receiver.len())
}

#[cfg(test)]
mod tests {
    use super::super::Webhook;
    use super::super::alert::tests::{firing, resolved};
    use super::super::route::tests::route;
    use super::*;
    use crate::template::{Library, parse_notice};
    use std::sync::Arc;

    use crate::model::{HttpSettings, TimeInterval, TimeRule, UrlSource};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn webhook() -> Webhook {
        Webhook {
            url: UrlSource::Plain("http://127.0.0.1/".to_owned()),
            send_resolved: true,
            alerts_max: 0,
            body: None,
            timeout: Duration::from_secs(10),
            signing_secrets: Vec::new(),
            http: HttpSettings::default(),
        }
    }

    fn dispatcher(webhooks: Vec<Webhook>) -> Dispatcher {
        let integrations = webhooks.into_iter().map(Integration::Webhook).collect();
        let receiver = Receiver { name: "all".to_owned(), integrations };
        Dispatcher::new(Some(route("all", &[], vec![])), &[receiver], "http://b")
    }

    fn a(model: &str, starts_at: i64) -> Alert {
        firing(&[("alertname", "A"), ("model", model)], starts_at)
    }

    /// Feeds alerts at their times, wakes at every deadline in between, and expects notices, each
    /// as `seconds: reason, firing/resolved`.
    fn check(dispatcher: &mut Dispatcher, fed: &[(i64, Alert)], until: i64, expected: &[&str]) {
        let mut seen = Vec::new();
        let mut fed = fed.iter().peekable();
        let mut now = at(0);
        while now <= at(until) {
            let mut alerts = Vec::new();
            while let Some((_, alert)) = fed.next_if(|(due, _)| at(*due) <= now) {
                alerts.push(alert.clone());
            }
            let dispatch = dispatcher.step(now, &alerts);
            let seconds = now.seconds();
            seen.extend(dispatch.notices.iter().map(|notice| {
                format!(
                    "{seconds}: {}, {}/{}",
                    notice.reason,
                    notice.firing.len(),
                    notice.resolved.len()
                )
            }));
            seen.extend(dispatch.unheard.iter().map(|_| format!("{seconds}: unheard")));
            let next_fed = fed.peek().map(|(due, _)| at(*due));
            let next = [next_fed, dispatcher.next_deadline()].into_iter().flatten().min();
            now = next.unwrap_or(at(until + 1));
        }
        assert_eq!(seen, expected);
    }

    // Worked by hand from alertmanager's dispatch.go and notify.go: wait 30 s, interval 5 m,
    // repeat 4 h.
    #[test]
    fn what_breaks_together_is_told_together_and_later_changes_at_the_interval() {
        let fed = [
            (0, a("x", 0)),
            (20, a("y", 20)),
            (40, a("z", 40)),
            (400, resolved(&a("x", 0), 400)),
            (700, resolved(&a("y", 20), 700)),
            (700, resolved(&a("z", 40), 700)),
        ];
        check(
            &mut dispatcher(vec![webhook()]),
            &fed,
            10_000,
            &[
                "30: first notification, 2/0",
                "330: new alerts added, 3/0",
                "630: some alerts resolved, 2/1",
                "930: all alerts resolved, 0/2",
            ],
        );
    }

    #[test]
    fn an_unchanged_group_is_repeated_only_after_the_repeat_interval() {
        // Exactly 4 h after the notice before: Alertmanager, whose own delays count, often misses
        // that flush and repeats 5 m later.
        check(
            &mut dispatcher(vec![webhook()]),
            &[(0, a("x", 0)), (5000, a("x", 0))],
            29_000,
            &[
                "30: first notification, 1/0",
                "14430: repeat interval elapsed, 1/0",
                "28830: repeat interval elapsed, 1/0",
            ],
        );
    }

    #[test]
    fn an_alert_that_comes_and_goes_inside_the_wait_is_only_on_record() {
        let fed = [(0, a("x", 0)), (10, resolved(&a("x", 0), 10)), (60, resolved(&a("x", 0), 10))];
        check(&mut dispatcher(vec![webhook()]), &fed, 1000, &["30: unheard"]);
    }

    #[test]
    fn a_webhook_that_wants_no_resolves_gets_none() {
        let quiet = Webhook { send_resolved: false, ..webhook() };
        let fed = [
            (0, a("x", 0)),
            (0, a("y", 0)),
            (40, resolved(&a("x", 0), 40)),
            (400, resolved(&a("y", 0), 400)),
            (640, a("x", 640)),
        ];
        check(
            &mut dispatcher(vec![quiet]),
            &fed,
            2000,
            &["30: first notification, 2/0", "670: first notification, 1/0"],
        );
    }

    #[test]
    fn an_alert_that_fired_before_the_wait_began_is_told_at_once() {
        check(
            &mut dispatcher(vec![webhook()]),
            &[(100, a("x", 0))],
            200,
            &["100: first notification, 1/0"],
        );
    }

    #[test]
    fn an_alert_that_nobody_asserts_again_is_resolved() {
        let mut alert = a("x", 0);
        alert.ends_at = Some(at(200));
        check(
            &mut dispatcher(vec![webhook()]),
            &[(0, alert)],
            1000,
            &["30: first notification, 1/0", "330: all alerts resolved, 0/1"],
        );
    }

    #[test]
    fn each_webhook_of_a_receiver_is_told_under_its_own_name() {
        let short = Webhook { alerts_max: 1, ..webhook() };
        let mut dispatcher = dispatcher(vec![webhook(), short]);
        dispatcher.step(at(0), &[a("x", 0), a("y", 0)]);
        let notices = dispatcher.step(at(30), &[]).notices;
        let told: Vec<_> = notices
            .iter()
            .map(|notice| (notice.delivery.hook.as_str(), notice.firing.len(), notice.truncated))
            .collect();
        assert_eq!(told, [("receiver/all/0", 2, 0), ("receiver/all/1", 1, 1)]);
        assert_ne!(notices[0].delivery.id, notices[1].delivery.id);
        assert_eq!(notices[0].delivery.order, r#"{}:{alertname="A"}"#);
    }

    #[test]
    fn a_reload_neither_repeats_a_notice_nor_loses_a_resolve() {
        let mut old = dispatcher(vec![webhook()]);
        old.step(at(0), &[a("x", 0), a("y", 0)]);
        assert_eq!(old.step(at(30), &[]).notices.len(), 1);
        old.step(at(100), &[resolved(&a("x", 0), 100)]);
        let mut new = dispatcher(vec![webhook()]);
        new.adopt(at(110), old);
        assert_eq!(new.next_deadline(), Some(at(330)));
        let notices = new.step(at(330), &[]).notices;
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].reason, super::super::Reason::SomeResolved);
    }

    /// The rows that are on disk after those of some steps.
    fn disk(steps: &[Dispatch]) -> Vec<StateRow> {
        let mut disk: BTreeMap<String, StateRow> = BTreeMap::new();
        for row in steps.iter().flat_map(|dispatch| &dispatch.rows) {
            disk.insert(row.key.clone(), row.clone());
        }
        disk.into_values().filter(|row| row.value.is_some()).collect()
    }

    #[test]
    fn a_restart_neither_repeats_a_notice_nor_loses_a_resolve() {
        let mut old = dispatcher(vec![webhook(), webhook()]);
        let mut steps = vec![old.step(at(0), &[a("x", 0), a("y", 0)]), old.step(at(30), &[])];
        assert_eq!(steps[1].notices.len(), 2);
        steps.push(old.step(at(100), &[resolved(&a("x", 0), 100)]));
        let rows = disk(&steps);
        assert_eq!(rows.len(), 1);
        // Back after the flush at 330 s was due, with what fires said again as at any evaluation.
        let mut new = dispatcher(vec![webhook(), webhook()]);
        assert_eq!(new.restore(at(400), at(640), &rows), [""; 0]);
        assert_eq!(new.next_deadline(), Some(at(330)));
        let notices = new.step(at(400), &[a("y", 0)]).notices;
        let told: Vec<_> =
            notices.iter().map(|n| (n.reason, n.firing.len(), n.resolved.len())).collect();
        assert_eq!(told, [(super::super::Reason::SomeResolved, 1, 1); 2]);
        // Nothing else until the repeat interval of 4 h is over, counted from what was told last.
        let mut quiet = new.step(at(700), &[a("y", 0)]).notices;
        quiet.extend(new.step(at(14_799), &[a("y", 0)]).notices);
        assert_eq!(quiet, []);
        let mut y = a("y", 0);
        y.ends_at = None;
        assert_eq!(new.step(at(14_800), &[y.clone()]).notices.len(), 0, "the flush is at 15,000 s");
        assert_eq!(new.step(at(15_099), &[y]).notices.len(), 2);
    }

    #[test]
    fn what_nobody_asserts_after_a_restart_is_resolved_and_not_before_somebody_could() {
        let mut old = dispatcher(vec![webhook()]);
        let mut alert = a("x", 0);
        alert.ends_at = Some(at(240));
        let steps = [old.step(at(0), &[alert]), old.step(at(30), &[])];
        let mut new = dispatcher(vec![webhook()]);
        new.restore(at(1000), at(1240), &disk(&steps));
        assert_eq!(new.step(at(1000), &[]).notices, []);
        let notices = new.step(at(1300), &[]).notices;
        assert_eq!(notices[0].reason, super::super::Reason::AllResolved);
    }

    #[test]
    fn a_group_that_is_over_leaves_no_row() {
        let mut dispatcher = dispatcher(vec![webhook()]);
        let steps = [
            dispatcher.step(at(0), &[a("x", 0)]),
            dispatcher.step(at(30), &[]),
            dispatcher.step(at(100), &[resolved(&a("x", 0), 100)]),
            dispatcher.step(at(330), &[]),
        ];
        assert_eq!(disk(&steps[..3]).len(), 1);
        assert_eq!(disk(&steps), []);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named_and_hurts_no_other() {
        let mut old = dispatcher(vec![webhook()]);
        let mut rows = disk(&[old.step(at(0), &[a("x", 0)]), old.step(at(30), &[])]);
        let table = StateTable::NoticeGroup;
        let (key, value) = ("3:all?".to_owned(), Some("{".to_owned()));
        rows.push(StateRow { table, key, value });
        let mut new = dispatcher(vec![webhook()]);
        assert_eq!(new.restore(at(40), at(100), &rows), ["3:all?"]);
        assert_eq!(new.step(at(60), &[a("x", 0)]).notices, []);
    }

    /// A dispatcher that is muted from one second to another of the first day of 1970, in minutes.
    fn muted(minutes: std::ops::Range<u16>) -> Dispatcher {
        let rule = TimeRule {
            times: vec![minutes],
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let quiet = TimeInterval { name: "quiet".to_owned(), rules: vec![rule] };
        let child = Route {
            mute_time_intervals: vec![Arc::new(quiet)],
            ..route("all", &["alertname=A"], vec![])
        };
        let integrations = vec![Integration::Webhook(webhook())];
        let receiver = Receiver { name: "all".to_owned(), integrations };
        Dispatcher::new(Some(route("all", &[], vec![child])), &[receiver], "http://b")
    }

    #[test]
    fn a_body_of_ones_own_is_sent_and_gives_way_where_it_is_no_json() {
        let body = |text: &str| {
            let body = parse_notice(text, &Library::standard()).unwrap();
            let mut dispatcher = dispatcher(vec![Webhook { body: Some(body), ..webhook() }]);
            dispatcher.step(at(0), &[a("x\"y", 0)]);
            let mut notices = dispatcher.step(at(30), &[]).notices;
            let notice = notices.remove(0);
            (notice.delivery.body.to_string(), notice.template_errors)
        };
        let own = r#"{"model": {{ toJson .CommonLabels.model }}, "n": {{ len .Alerts }}}"#;
        assert_eq!(body(own), (r#"{"model": "x\"y", "n": 1}"#.to_owned(), vec![]));
        for (text, part) in [
            (
                r#"{"model": "{{ .CommonLabels.model }}"}"#,
                "body: what the template makes is no JSON",
            ),
            ("{{ .Nope }}", "body: a template.Data has no field `Nope`"),
        ] {
            let (sent, errors) = body(text);
            assert!(sent.starts_with(r#"{"receiver":"all","status":"firing""#), "{sent}");
            assert_eq!(errors.len(), 1);
            assert!(errors[0].starts_with(part), "{errors:?}");
        }
    }

    // By hand: flushes at 30 s and every 300 s after it; muted from minute 0 to 10, or 5 to 15.
    #[test]
    fn what_fires_in_a_muted_time_is_told_at_the_first_flush_after_it() {
        check(
            &mut muted(0..10),
            &[(0, a("x", 0)), (40, a("y", 40))],
            2000,
            &["630: first notification, 2/0"],
        );
        let mut dispatcher = muted(0..10);
        dispatcher.step(at(0), &[a("x", 0)]);
        let dispatch = dispatcher.step(at(30), &[]);
        let [muted] = &dispatch.muted[..] else { panic!("{dispatch:?}") };
        assert_eq!((muted.receiver.as_str(), muted.firing), ("all", 1));
        assert_eq!(muted.intervals, ["quiet"]);
        assert_eq!(dispatcher.muted(at(31)), dispatch.muted, "it is seen until somebody is told");
        dispatcher.step(at(630), &[]);
        assert_eq!(dispatcher.muted(at(631)), []);
        assert_eq!(muted.group, r#"{}/{alertname="A"}:{alertname="A"}"#);
    }

    // Alertmanager forgets such an end (prometheus/alertmanager#226), and a page stays open.
    #[test]
    fn an_end_in_a_muted_time_is_told_after_it_if_the_beginning_was() {
        check(
            &mut muted(5..15),
            &[(0, a("x", 0)), (400, resolved(&a("x", 0), 400))],
            2000,
            &["30: first notification, 1/0", "930: all alerts resolved, 0/1"],
        );
        // What came and went is on record only.
        check(
            &mut muted(0..10),
            &[(0, a("x", 0)), (100, resolved(&a("x", 0), 100))],
            2000,
            &["330: unheard"],
        );
        // One that is back before anybody could be told was never away.
        check(
            &mut muted(5..15),
            &[(0, a("x", 0)), (400, resolved(&a("x", 0), 400)), (800, a("x", 800))],
            2000,
            &["30: first notification, 1/0"],
        );
    }

    #[test]
    fn an_alert_without_a_route_or_a_receiver_is_told_to_nobody() {
        let mut nowhere = Dispatcher::new(None, &[], "");
        assert_eq!(nowhere.step(at(0), &[a("x", 0)]), Dispatch::default());
        assert_eq!(nowhere.next_deadline(), None);
        check(&mut dispatcher(vec![]), &[(0, a("x", 0)), (5, resolved(&a("x", 0), 5))], 400, &[]);
    }
}
