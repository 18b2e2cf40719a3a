//! Reads the text format of `/metrics`.

use std::collections::BTreeMap;

/// A series' labels.
pub type Labels = BTreeMap<String, String>;

/// All samples of one look, by name, then by labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition(BTreeMap<String, BTreeMap<Labels, f64>>);

impl Exposition {
    /// Reads a page; panics where a line is none.
    pub fn read(text: &str) -> Self {
        let mut samples: BTreeMap<String, BTreeMap<Labels, f64>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value = match value {
                "+Inf" => f64::INFINITY,
                "-Inf" => f64::NEG_INFINITY,
                number => number.parse().unwrap(),
            };
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap())),
                None => (series, Labels::new()),
            };
            let twice = samples.entry(name.to_owned()).or_default().insert(labels, value);
            assert_eq!(twice, None, "twice: {line}");
        }
        Self(samples)
    }

    /// The sum of the series of a name that carry these labels; `None` where there is no such.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let series = self.0.get(name)?;
        let carries = |own: &Labels| {
            labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
        };
        let found: Vec<f64> =
            series.iter().filter(|(own, _)| carries(own)).map(|(_, value)| *value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// As [`Exposition::value`], where nothing counts as zero.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.value(name, labels).unwrap_or_default()
    }

    /// Every series of a name.
    pub fn series(&self, name: &str) -> BTreeMap<Labels, f64> {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Every series there is, by name and labels.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Labels)> {
        let named = |(name, series)| {
            let (name, series): (&String, &BTreeMap<Labels, f64>) = (name, series);
            series.keys().map(|labels| (name.as_str(), labels))
        };
        self.0.iter().flat_map(named)
    }
}

/// Reads `a="b",c="d"`.
fn labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = after.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => {}
                },
                other => value.push(other),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &after[end..];
    }
    labels
}

#[test]
fn escaped_labels_are_read() {
    let read = Exposition::read("# HELP a b\na{x=\"1,\\\"}\\n\",y=\"\\\\\"} 2\nb 1e3\n");
    assert_eq!(read.value("a", &[("x", "1,\"}\n"), ("y", "\\")]), Some(2.0));
    assert_eq!(read.value("b", &[]), Some(1000.0));
    assert_eq!(read.value("c", &[]), None);
}
