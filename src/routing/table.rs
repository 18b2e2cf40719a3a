//! The table: which targets serve each route, and which share of it the candidate takes.
//!
//! A table has a version that only grows, so that whoever holds two knows which is newer. It is built
//! from the configuration's routes and from what releases say of some of them; a route that no release
//! speaks of is all on stable, and so is one whose release names no candidate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Arm, Settings, Share};
use crate::model::{RouteId, TargetId};

/// What a release says of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The targets of the candidate.
    pub candidate: Vec<TargetId>,
    /// The candidate's share.
    pub share: Share,
    /// Makes each release draw other clients into its first stages: its name and generation.
    pub salt: String,
}

/// Where the requests of a route go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arms {
    /// The targets of stable, at least one.
    pub stable: Vec<TargetId>,
    /// Those of the candidate; empty where nothing is released.
    pub candidate: Vec<TargetId>,
    /// The candidate's share.
    pub share: Share,
    /// Goes into the hash by which clients are assigned.
    pub salt: String,
}

impl Arms {
    /// The targets of an arm.
    pub fn targets(&self, arm: Arm) -> &[TargetId] {
        match arm {
            Arm::Stable => &self.stable,
            Arm::Candidate => &self.candidate,
        }
    }

    /// The arm of a target, where that serves anybody.
    pub fn serving(&self, target: &TargetId) -> Option<Arm> {
        let serves = |arm: &Arm| self.weight(*arm) > 0.0 || *arm == Arm::Stable;
        Arm::ALL.into_iter().filter(serves).find(|arm| self.targets(*arm).contains(target))
    }

    /// The share of an arm.
    pub fn weight(&self, arm: Arm) -> f64 {
        match arm {
            Arm::Stable => 1.0 - self.share.ratio(),
            Arm::Candidate => self.share.ratio(),
        }
    }
}

/// Where all requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    version: u64,
    routes: BTreeMap<RouteId, Arms>,
}

/// Why a text is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is no JSON of the right form.
    #[error("it is not a routing table")]
    Malformed(#[from] serde_json::Error),
    /// A share is more than all.
    #[error("the share of route `{0}` is more than all requests")]
    Share(String),
    /// An arm that takes requests has no target.
    #[error("route `{0}` has an arm without a target")]
    Empty(String),
}

impl Table {
    /// The first table of these routes, all on stable.
    pub fn all_on_stable(settings: &Settings) -> Self {
        Self::default().next(settings, &BTreeMap::new())
    }

    /// The table that follows this one. Splits of routes that are not there are left out.
    pub fn next(&self, settings: &Settings, splits: &BTreeMap<RouteId, Split>) -> Self {
        let routes = settings.routes.iter().map(|route| {
            let split = splits.get(&route.id).filter(|split| !split.candidate.is_empty());
            let split = split.cloned().unwrap_or_default();
            let arms = Arms {
                stable: route.stable.clone(),
                candidate: split.candidate,
                share: split.share,
                salt: split.salt,
            };
            (route.id.clone(), arms)
        });
        Self { version: self.version + 1, routes: routes.collect() }
    }

    /// The table that takes up a stored one: its version goes on, and its splits hold for the routes
    /// that are still there, on the same stable, with candidates that are still known.
    pub fn resumed(settings: &Settings, stored: &Self) -> Self {
        Self { version: stored.version + 1, ..Self::followed(settings, stored) }
    }

    /// Another one's table, as far as it fits these routes: under its version.
    pub fn followed(settings: &Settings, stored: &Self) -> Self {
        let splits = settings.routes.iter().filter_map(|route| {
            let arms = stored.arms(&route.id)?;
            let is_known = |id: &TargetId| settings.targets.contains_key(id);
            let holds = arms.stable == route.stable && arms.candidate.iter().all(is_known);
            let split = Split {
                candidate: arms.candidate.clone(),
                share: arms.share,
                salt: arms.salt.clone(),
            };
            holds.then(|| (route.id.clone(), split))
        });
        Self { version: stored.version, ..stored.next(settings, &splits.collect()) }
    }

    /// Grows with every table.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the requests of a route go.
    pub fn arms(&self, route: &RouteId) -> Option<&Arms> {
        self.routes.get(route)
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = (&RouteId, &Arms)> {
        self.routes.iter()
    }

    /// The table as text, to be stored or followed.
    pub fn to_json(&self) -> String {
        let names = |ids: &[TargetId]| ids.iter().map(|id| id.as_str().to_owned()).collect();
        let routes = self.routes.iter().map(|(route, arms)| {
            let written = WrittenArms {
                stable: names(&arms.stable),
                candidate: names(&arms.candidate),
                share_basis_points: arms.share.basis_points().into(),
                salt: arms.salt.clone(),
            };
            (route.as_str().to_owned(), written)
        });
        let written = Written { version: self.version, routes: routes.collect() };
        serde_json::to_string_pretty(&written).expect("names and numbers always have a JSON form")
    }

    /// Reads a table that [`Table::to_json`] wrote.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let written: Written = serde_json::from_str(text)?;
        let ids = |names: &[String]| names.iter().map(|name| TargetId::new(name)).collect();
        let routes = written.routes.iter().map(|(route, arms)| {
            let share = Share::from_basis_points(arms.share_basis_points)
                .map_err(|_| TableError::Share(route.clone()))?;
            if arms.stable.is_empty() || (share > Share::NONE && arms.candidate.is_empty()) {
                return Err(TableError::Empty(route.clone()));
            }
            let arms = Arms {
                stable: ids(&arms.stable),
                candidate: ids(&arms.candidate),
                share,
                salt: arms.salt.clone(),
            };
            Ok((RouteId::new(route), arms))
        });
        Ok(Self { version: written.version, routes: routes.collect::<Result<_, _>>()? })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    routes: BTreeMap<String, WrittenArms>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenArms {
    stable: Vec<String>,
    candidate: Vec<String>,
    share_basis_points: u32,
    salt: String,
}

#[cfg(test)]
mod tests {
    use super::super::assign::tests::route;
    use super::*;

    fn settings(names: &[&str]) -> Settings {
        let routes = names.iter().map(|name| route(name).into()).collect();
        Settings { routes, ..Settings::default() }
    }

    fn split(percent: u8) -> Split {
        let share = Share::from_percent(percent).unwrap();
        Split { candidate: vec![TargetId::new("new")], share, salt: "r 1".to_owned() }
    }

    #[test]
    fn a_route_without_a_release_is_all_on_stable() {
        let table = Table::all_on_stable(&settings(&["chat"]));
        let arms = table.arms(&RouteId::new("chat")).unwrap();
        assert_eq!((arms.weight(Arm::Stable), arms.weight(Arm::Candidate)), (1.0, 0.0));
        assert_eq!(arms.targets(Arm::Stable), [TargetId::new("old")]);
        assert!(arms.targets(Arm::Candidate).is_empty());
        assert_eq!(table.version(), 1);
    }

    #[test]
    fn the_version_grows_whatever_changes() {
        let settings = settings(&["chat", "code"]);
        let first = Table::all_on_stable(&settings);
        let splits = [(RouteId::new("chat"), split(5)), (RouteId::new("gone"), split(50))];
        let second = first.next(&settings, &splits.into());
        assert_eq!(second.version(), 2);
        assert_eq!(second.routes().count(), 2);
        assert_eq!(second.arms(&RouteId::new("chat")).unwrap().share.basis_points(), 500);
        assert_eq!(second.arms(&RouteId::new("code")).unwrap().share, Share::NONE);
        assert_eq!(second.next(&settings, &BTreeMap::new()).version(), 3);
    }

    #[test]
    fn a_candidate_without_targets_takes_nothing() {
        let settings = settings(&["chat"]);
        let empty = Split { candidate: Vec::new(), ..split(100) };
        let table = Table::default().next(&settings, &[(RouteId::new("chat"), empty)].into());
        assert_eq!(table.arms(&RouteId::new("chat")).unwrap().share, Share::NONE);
    }

    #[test]
    fn what_was_stored_is_read_back() {
        let settings = settings(&["chat"]);
        let table = Table::default().next(&settings, &[(RouteId::new("chat"), split(25))].into());
        let text = table.to_json();
        assert_eq!(Table::parse(&text).unwrap(), table);
        // By hand: what another program would write.
        let by_hand = r#"{"version":1,"routes":{"chat":{"stable":["old"],"candidate":["new"],
            "share_basis_points":2500,"salt":"r 1"}}}"#;
        assert_eq!(Table::parse(by_hand).unwrap(), table);
    }

    #[test]
    fn no_text_makes_a_table_that_could_serve_nobody() {
        let with = |stable: &str, candidate: &str, share: u32| {
            format!(
                r#"{{"version":1,"routes":{{"chat":{{"stable":[{stable}],"candidate":[{candidate}],
                "share_basis_points":{share},"salt":""}}}}}}"#
            )
        };
        assert!(Table::parse(&with(r#""a""#, "", 0)).is_ok());
        for text in [
            with("", "", 0),
            with(r#""a""#, "", 1),
            with(r#""a""#, r#""b""#, 10_001),
            "{}".to_owned(),
            "[".to_owned(),
            String::new(),
        ] {
            assert!(Table::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_stored_split_holds_only_for_what_is_still_there() {
        let mut now = settings(&["chat"]);
        let stored = Table::default().next(&now, &[(RouteId::new("chat"), split(25))].into());
        let share = |settings: &Settings| {
            let table = Table::resumed(settings, &stored);
            assert_eq!(table.version(), stored.version() + 1);
            table.arms(&RouteId::new("chat")).map(|arms| arms.share.basis_points())
        };
        assert_eq!(share(&now), Some(0), "the candidate is not known any more");
        now.targets.insert(TargetId::new("new"), super::super::served::tests::target().into());
        assert_eq!(share(&now), Some(2500));
        let mut moved = route("chat");
        moved.stable = vec![TargetId::new("other")];
        now.routes = vec![moved.into()];
        assert_eq!(share(&now), Some(0), "stable is another");
        assert_eq!(share(&settings(&["code"])), None);
    }
}
