//! `routes: mirror:`: what is copied, where to, and within which bounds.

use std::time::Duration;

use super::amount::money;
use super::probes::{self, Probes, known_name, limited, timeouts};
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{boolean, is_text, name, number, plain, raw, refuse};
use crate::model::{Mistake, Money, TargetId};
use crate::probe::{Budget, Timeouts};
use crate::provider::SharedProvider;
use crate::routing::{Mirror, Share};
use crate::yaml::Node;

const KEYS: [&str; 8] = [
    "to",
    "share",
    "max_in_flight",
    "max_queued",
    "timeouts",
    "budget_daily",
    "budget_monthly",
    "evidence",
];
/// A copy is for nobody: it is given up sooner than what somebody waits for.
const TOTAL_MAX: Duration = Duration::from_secs(120);
const IN_FLIGHT: u32 = 8;
const QUEUED: u32 = 64;

/// What is known of the route around it.
pub(super) struct Around<'a> {
    /// Its stable targets.
    pub(super) stable: &'a [TargetId],
    /// Its timeouts.
    pub(super) timeouts: Timeouts,
    /// Whether a release moves it.
    pub(super) is_released: bool,
}

/// Reads `mirror:` of a route.
pub(super) fn mirror(
    reader: &mut Reader,
    fields: &Fields<'_>,
    around: &Around<'_>,
    probes: &Probes,
) -> Option<Mirror> {
    let usual = around.timeouts;
    let node = fields.get("mirror")?;
    let inner = reader.fields(node, fields.part("mirror"), &KEYS)?;
    let to = reader.optional(&inner, "to", |node| {
        let name = name(node)?;
        known_name(node, &name, &probes.names, "probe")?;
        let id = TargetId::new(&name);
        if around.stable.contains(&id) {
            let remedy = "name another one; copies are held against stable's answers";
            return Err(refuse(node, "which is stable itself").remedy(remedy));
        }
        Ok(id)
    });
    if !inner.has("to") && !around.is_released {
        let message = "`to` is missing, and no release moves this route";
        let mistake = Mistake::new(inner.place().clone(), prefixed(&inner.what, message));
        reader.report(mistake.remedy("name a probe, or write the route into a release"));
    }
    let remedy = "write which part of stable's requests is copied, in percent";
    let share = reader.required(&inner, "share", remedy, percent);
    let many = |node: &Node| number(node, 1..=10_000);
    let in_flight_max = reader.optional(&inner, "max_in_flight", many).unwrap_or(IN_FLIGHT);
    let queued = |node: &Node| number(node, 0..=10_000);
    let queued_max = reader.optional(&inner, "max_queued", queued).unwrap_or(QUEUED);
    let total = usual.total.min(TOTAL_MAX);
    let usual = Timeouts {
        connect: usual.connect.min(total),
        first_token: usual.first_token.min(total),
        idle: usual.idle.min(total),
        total,
    };
    let timeouts = timeouts(reader, &inner, usual);
    let is_evidence = reader.optional(&inner, "evidence", boolean).unwrap_or(false);
    if let (true, Some(node)) = (is_evidence && inner.has("to"), inner.get("evidence")) {
        let message = "copies to a target of their own are no evidence for the release's candidate";
        let mistake = Mistake::new(node.place.clone(), prefixed(&inner.what, message));
        reader.report(mistake.remedy("remove `to`, or `evidence`"));
    }
    let priced = to.as_ref().and_then(|id| probes.right.iter().find(|one| one.id == *id));
    let priced = priced.map(|target| (&target.provider, target.model.as_str()));
    let budget = budget(reader, &inner, priced)?;
    Some(Mirror { to, share: share?, in_flight_max, queued_max, timeouts, budget, is_evidence })
}

/// One of the two must be written, as for probes.
fn budget(
    reader: &mut Reader,
    fields: &Fields<'_>,
    priced: Option<(&SharedProvider, &str)>,
) -> Option<Budget> {
    let monthly = reader.optional(fields, "budget_monthly", |node| limit(node, priced)).flatten();
    if fields.has("budget_monthly") && !fields.has("budget_daily") {
        return Some(limited(None, monthly));
    }
    let remedy = "write what copies may cost a day such as `budget_daily: 5.00`, or \
                  `budget_daily: unlimited`";
    let daily = reader.required(fields, "budget_daily", remedy, |node| limit(node, priced))?;
    Some(limited(daily, monthly))
}

/// Dollars, or no limit.
fn limit(node: &Node, priced: Option<(&SharedProvider, &str)>) -> Result<Option<Money>, Mistake> {
    if money(node).is_ok_and(|dollars| dollars == Money::ZERO) {
        return Err(refuse(node, "which allows no copy at all").remedy("remove the block"));
    }
    probes::limit(node, priced)
}

/// Percent with up to two decimals, more than nothing.
fn percent(node: &Node) -> Result<Share, Mistake> {
    const DUE: &str = "a share in percent such as `5` or `0.25`";
    raw(node, DUE)?;
    let points = plain::<f64>(node).map(|percent| percent * 100.0).filter(|points| {
        (1.0..=10_000.0).contains(points) && (points - points.round()).abs() < 1e-6
    });
    // The range was looked at.
    let share = points.and_then(|points| Share::from_basis_points(points.round() as u32).ok());
    share.ok_or_else(|| {
        let remedy = match is_text(node) {
            true => "remove the quotes",
            false => "write 0.01 to 100; remove the block for none",
        };
        refuse(node, format!("where {DUE} is due")).remedy(remedy)
    })
}
