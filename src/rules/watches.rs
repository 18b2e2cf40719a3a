//! The series that long windows of rules are asked of.

use std::time::Duration;

use super::spec::RuleFile;
use crate::series::Watch;

/// From this length on a window is worth digests: two chunks of samples at 15 s.
const LONG: Duration = Duration::from_secs(30 * 60);
/// How much later than its slot a group may be evaluated and still find its whole window.
const LATENESS: Duration = Duration::from_secs(10 * 60);

/// What a store must watch, so that these rules read no long window sample by sample.
pub fn watches(files: &[RuleFile]) -> Vec<Watch> {
    let mut watches: Vec<Watch> = Vec::new();
    for group in files.iter().flat_map(|file| &file.groups) {
        let before = group.query_offset.unwrap_or_default() + LATENESS;
        for selector in group.rules.iter().flat_map(|rule| rule.expr().selectors()) {
            let Some(range) = selector.range.filter(|range| *range >= LONG) else { continue };
            let offset = Duration::from_millis(selector.offset_millis.max(0).unsigned_abs());
            let reach = range.saturating_add(offset).saturating_add(before);
            let watch = Watch { matchers: selector.matchers, reach };
            if !watches.contains(&watch) {
                watches.push(watch);
            }
        }
    }
    watches
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    #[test]
    fn long_windows_are_watched_each_once_with_their_offset() {
        let text = r#"
groups:
- name: g
  query_offset: 1m
  rules:
  - {record: a, expr: 'rate(x[5m])'}
  - {record: b, expr: 'rate(x{a="b"}[30m]) / rate(x{a="b"}[30m])'}
  - {alert: C, expr: 'max_over_time(y[1d] offset 2h) > rate(x[29m])'}
"#;
        let found: Vec<String> = watches(&[parse("r.yml", text).unwrap()])
            .iter()
            .map(|watch| {
                let matchers: Vec<String> =
                    watch.matchers.iter().map(|matcher| matcher.value().to_owned()).collect();
                format!("{} {}m", matchers.join(","), watch.reach.as_secs() / 60)
            })
            .collect();
        assert_eq!(found, ["b,x 41m", "y 1571m"]);
    }
}
