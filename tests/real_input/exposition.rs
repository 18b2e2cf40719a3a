//! What `/metrics` says, read by other code than bellwether's own.

/// One scrape.
pub struct Exposition(Vec<Sample>);

struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Exposition {
    /// Reads the text format as far as it goes here: no label value has a quote in it.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(Sample::read).collect())
    }

    /// The sum over all series of a name that carry these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.0.iter().filter(|sample| sample.is(name, labels));
        found.map(|sample| sample.value).sum()
    }

    /// What some labels say, with spaces between, on each series above zero that carries others.
    pub fn above_zero(&self, name: &str, labels: &[(&str, &str)], shown: &[&str]) -> Vec<String> {
        let found = self.0.iter().filter(|sample| sample.value > 0.0 && sample.is(name, labels));
        found.map(|sample| sample.shown(shown)).collect()
    }
}

impl Sample {
    fn read(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}')?.split("\",").filter_map(|pair| {
            let (name, value) = pair.split_once("=\"")?;
            Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
        });
        Some(Self { name: name.to_owned(), labels: labels.collect(), value: value.parse().ok()? })
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name && labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }

    fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    fn shown(&self, names: &[&str]) -> String {
        let values: Vec<&str> = names.iter().filter_map(|name| self.label(name)).collect();
        values.join(" ")
    }
}
