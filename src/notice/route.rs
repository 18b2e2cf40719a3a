//! Which receivers an alert goes to: Alertmanager's routing tree.
//!
//! An alert that satisfies a route goes to its children first, in order; the first child that
//! takes it ends the search unless it says `continue`. Where no child takes it, the route itself
//! does. The root takes everything.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::Route;
use crate::model::{Labels, Matcher, TimeInterval, Timestamp};

/// The tree laid flat; a node is named by its position.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// One route, without its children.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) receiver: String,
    /// The path of matchers from the root, as Alertmanager begins a group key.
    pub(super) key: String,
    pub(super) group_wait: Duration,
    pub(super) group_interval: Duration,
    pub(super) repeat_interval: Duration,
    mute: Vec<Arc<TimeInterval>>,
    active: Vec<Arc<TimeInterval>>,
    group_by: Vec<String>,
    matchers: Vec<Matcher>,
    goes_on: bool,
    children: Vec<usize>,
}

impl Tree {
    /// Lays a tree flat; without one, no alert goes anywhere.
    pub(super) fn new(root: Option<Route>) -> Self {
        let mut tree = Self::default();
        if let Some(root) = root {
            tree.add(root, "");
        }
        tree
    }

    /// The node at a position that [`Tree::matching`] gave.
    pub(super) fn node(&self, position: usize) -> &Node {
        &self.nodes[position]
    }

    /// The routes that take an alert.
    pub(super) fn matching(&self, labels: &Labels) -> Vec<usize> {
        let mut taken = Vec::new();
        if !self.nodes.is_empty() {
            self.search(0, labels, &mut taken);
        }
        taken
    }

    fn search(&self, position: usize, labels: &Labels, taken: &mut Vec<usize>) -> bool {
        let node = &self.nodes[position];
        if !node.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
            return false;
        }
        let before = taken.len();
        for child in &node.children {
            if self.search(*child, labels, taken) && !self.nodes[*child].goes_on {
                break;
            }
        }
        if taken.len() == before {
            taken.push(position);
        }
        true
    }

    fn add(&mut self, mut route: Route, parent: &str) -> usize {
        // In the order Alertmanager writes them in, so that keys agree.
        route.matchers.sort_by(|left, right| {
            let key = |matcher: &Matcher| (matcher.name().to_owned(), matcher.value().to_owned());
            key(left).cmp(&key(right)).then((left.op() as u8).cmp(&(right.op() as u8)))
        });
        let matchers: Vec<String> = route.matchers.iter().map(written).collect();
        let key = format!("{parent}{{{}}}", matchers.join(","));
        let position = self.nodes.len();
        self.nodes.push(Node {
            receiver: route.receiver,
            key: key.clone(),
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            mute: route.mute_time_intervals,
            active: route.active_time_intervals,
            group_by: route.group_by,
            matchers: route.matchers,
            goes_on: route.goes_on,
            children: Vec::new(),
        });
        let prefix = format!("{key}/");
        let children = route.routes.into_iter().map(|child| self.add(child, &prefix)).collect();
        self.nodes[position].children = children;
        position
    }
}

impl Node {
    /// The names of the intervals for whose sake nobody is told at a time: those that mute, or
    /// those of which one would have to hold.
    pub(super) fn muted_by(&self, now: Timestamp) -> Vec<&str> {
        let mute = self.mute.iter().filter(|interval| interval.holds(now));
        let mute: Vec<&str> = mute.map(|interval| interval.name.as_str()).collect();
        let is_active = self.active.is_empty() || self.active.iter().any(|one| one.holds(now));
        if !mute.is_empty() || is_active {
            return mute;
        }
        self.active.iter().map(|interval| interval.name.as_str()).collect()
    }

    /// The labels that name an alert's group.
    pub(super) fn group(&self, labels: &Labels) -> Labels {
        if self.group_by.iter().any(|name| name == "...") {
            return labels.clone();
        }
        let names: Vec<&str> = self.group_by.iter().map(String::as_str).collect();
        labels.keep(&names)
    }

    /// The group's key in Alertmanager's own form.
    pub(super) fn group_key(&self, group: &Labels) -> String {
        let mut key = format!("{}:{{", self.key);
        for (position, label) in group.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let _infallible = write!(key, "{comma}{}={}", label.name, quoted(&label.value));
        }
        key.push('}');
        key
    }
}

fn written(matcher: &Matcher) -> String {
    format!("{}{}{}", matcher.name(), matcher.op().as_str(), quoted(matcher.value()))
}

fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A route with a receiver, matchers and children, and Alertmanager's default times.
    pub(crate) fn route(receiver: &str, matchers: &[&str], routes: Vec<Route>) -> Route {
        Route {
            receiver: receiver.to_owned(),
            matchers: matchers.iter().map(|text| Matcher::parse(text).unwrap()).collect(),
            goes_on: false,
            group_by: vec!["alertname".to_owned()],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            routes,
        }
    }

    fn tree() -> Tree {
        let audit = Route { goes_on: true, ..route("audit", &[r#"severity=~".+""#], vec![]) };
        let night = route("night", &["shift=night", "day=sunday"], vec![]);
        let pages = route("pages", &["severity=critical"], vec![night]);
        Tree::new(Some(route("all", &[], vec![audit, pages, route("models", &["team=m"], vec![])])))
    }

    #[test]
    fn the_first_child_that_takes_an_alert_ends_the_search_unless_it_goes_on() {
        let tree = tree();
        for (labels, expected) in [
            (&[][..], &["all"][..]),
            (&[("team", "m")], &["models"]),
            (&[("severity", "info")], &["audit"]),
            (&[("severity", "info"), ("team", "m")], &["audit", "models"]),
            (&[("severity", "critical"), ("team", "m")], &["audit", "pages"]),
            (
                &[("severity", "critical"), ("shift", "night"), ("day", "sunday")],
                &["audit", "night"],
            ),
        ] {
            let taken = tree.matching(&Labels::from_pairs(labels.iter().copied()));
            let receivers: Vec<&str> =
                taken.iter().map(|position| tree.node(*position).receiver.as_str()).collect();
            assert_eq!(receivers, expected, "{labels:?}");
        }
        assert!(Tree::new(None).matching(&Labels::empty()).is_empty());
    }

    // The form `{path}:{labels}` of dispatch.go and route.go in Alertmanager 0.25.
    #[test]
    fn a_group_key_is_the_path_of_matchers_and_the_labels() {
        let tree = tree();
        let labels = Labels::from_pairs([
            ("alertname", "a\"b"),
            ("severity", "critical"),
            ("shift", "night"),
            ("day", "sunday"),
        ]);
        let night = tree.node(tree.matching(&labels)[1]);
        assert_eq!(
            night.group_key(&night.group(&labels)),
            r#"{}/{severity="critical"}/{day="sunday",shift="night"}:{alertname="a\"b"}"#
        );
    }

    #[test]
    fn three_dots_group_by_every_label() {
        let mut root = route("all", &[], vec![]);
        root.group_by = vec!["...".to_owned()];
        let tree = Tree::new(Some(root));
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
        assert_eq!(tree.node(0).group(&labels), labels);
        assert_eq!(tree.node(0).group_key(&labels), r#"{}:{a="1", b="2"}"#);
    }
}
