//! The embedded store.
//!
//! A sample must be later than its series' last one; the very same sample again is no mistake and
//! changes nothing, another value at the same time is refused. A series that would be one too many
//! is refused, never an old one pushed out for it. Every refusal is counted by its reason.
//!
//! A copy of the store is cheap and stays as it was: a query that takes long reads a copy while the
//! owner writes on. Both share what neither has changed since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::catalog::Catalog;
use super::chunk::{Chunk, OpenChunk};
use super::digest::Wants;
use super::history::{Appended, Held, History, Part};
use super::index::SeriesId;
use super::past::Past;
use super::source::{Look, Seen, Sink, Source};
use super::watch::{self, Watch};
use crate::model::{Labels, Matcher, Sample, Timestamp, is_histogram, is_stale};

/// How many series a selection looks at together: what they take fits in a processor's cache.
const BATCH: usize = 64;

/// How much is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a sample stays.
    pub retention: Duration,
    /// How much room all of it may take, as [`Stats::bytes`] counts it.
    pub size_max_bytes: u64,
    /// How many series there may be at once.
    pub series_max: usize,
}

/// Why a sample is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The series has a later sample.
    #[error("the series has a later sample")]
    OutOfOrder,
    /// The series has another value at that time.
    #[error("the series has another value at that time")]
    DuplicateTimestamp,
    /// It would start one series too many.
    #[error("there are as many series as there may be")]
    TooManySeries,
}

/// How many samples were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// See [`Refused::OutOfOrder`].
    pub out_of_order: u64,
    /// See [`Refused::DuplicateTimestamp`].
    pub duplicate_timestamp: u64,
    /// See [`Refused::TooManySeries`].
    pub too_many_series: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.out_of_order + self.duplicate_timestamp + self.too_many_series
    }

    pub(super) fn count(&mut self, reason: Refused) {
        *match reason {
            Refused::OutOfOrder => &mut self.out_of_order,
            Refused::DuplicateTimestamp => &mut self.duplicate_timestamp,
            Refused::TooManySeries => &mut self.too_many_series,
        } += 1;
    }
}

/// What the store holds, and what it refused since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many series.
    pub series: usize,
    /// How many samples, stale markers among them.
    pub samples: usize,
    /// How many chunks, one open chunk for each series among them.
    pub chunks: usize,
    /// About how many bytes all of it takes in memory: samples, labels and index.
    pub bytes: usize,
    /// What was refused.
    pub refused: Refusals,
}

/// A sample that was stored, for whoever keeps another copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The series' number in this store: never given twice, not even to the same labels.
    pub series: u64,
    /// The series' labels.
    pub labels: Labels,
    /// The sample; stale markers are among them.
    pub sample: Sample,
}

/// Where a series was in a store. A guess that is wrong costs a look and no more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place(Option<SeriesId>);

/// Label sets and their samples.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) settings: Settings,
    pub(super) series: BTreeMap<SeriesId, Arc<History>>,
    pub(super) held: Held,
    pub(super) refused: Refusals,
    catalog: Arc<Catalog>,
    pub(super) watches: Vec<Watch>,
    /// What was stored since somebody took it; `None` where nobody ever will.
    written: Option<Vec<Written>>,
    has_histograms: bool,
}

impl Store {
    /// An empty store.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            series: BTreeMap::new(),
            held: Held::default(),
            refused: Refusals::default(),
            catalog: Arc::default(),
            watches: Vec::new(),
            written: None,
            has_histograms: false,
        }
    }

    /// From now on, notes what is stored for [`Store::take_written`], which must be asked often: the
    /// notes have no bound of their own.
    pub fn note_writes(&mut self) {
        self.written.get_or_insert_default();
    }

    /// What was stored since the last call, in order, whoever wrote it.
    pub fn take_written(&mut self) -> Vec<Written> {
        self.written.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Appends a sample to the series with these labels, starting it where there is none.
    pub fn append(&mut self, labels: &Labels, sample: Sample) -> Result<(), Refused> {
        self.write(None, labels, sample).inspect_err(|reason| self.refused.count(*reason)).map(drop)
    }

    /// The same for somebody who appends to one series again and again, and remembers its place.
    pub fn append_at(
        &mut self,
        place: &mut Place,
        labels: &Labels,
        sample: Sample,
    ) -> Result<(), Refused> {
        let written = self.write(place.0, labels, sample);
        let (id, _) = written.inspect_err(|reason| self.refused.count(*reason))?;
        place.0 = Some(id);
        Ok(())
    }

    /// The label sets that satisfy all matchers and have a sample with `after < at <= until`,
    /// sorted.
    pub fn matching(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> Vec<Labels> {
        let mut found: Vec<Labels> =
            self.present(matchers, after, until).map(|history| history.labels().clone()).collect();
        found.sort_unstable();
        found
    }

    /// The label names of the series that [`Store::matching`] finds.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> BTreeSet<String> {
        let found = self.present(matchers, after, until);
        let names: BTreeSet<&str> =
            found.flat_map(History::labels).map(|label| &*label.name).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The values of one label among the series that [`Store::matching`] finds.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> BTreeSet<String> {
        let found = self.present(matchers, after, until);
        let values: BTreeSet<&str> =
            found.filter_map(|history| history.labels().get(name)).collect();
        values.into_iter().map(str::to_owned).collect()
    }

    /// The label sets whose last sample is not a stale marker, in the order in which they started.
    pub fn live(&self) -> impl Iterator<Item = &Labels> {
        let live = self.series.values().filter(|history| !is_stale(history.last().value));
        live.map(|history| history.labels())
    }

    /// All samples of one series; none where there is no such series.
    pub fn samples(&self, labels: &Labels) -> Vec<Sample> {
        let mut samples = Vec::new();
        if let Some(history) = self.id(labels).and_then(|id| self.series.get(&id)) {
            history.read(Timestamp::MIN, Timestamp::MAX, &mut samples);
        }
        samples
    }

    /// What the store holds.
    pub fn stats(&self) -> Stats {
        Stats {
            series: self.series.len(),
            samples: self.held.samples,
            chunks: self.held.chunks,
            bytes: self.bytes(),
            refused: self.refused,
        }
    }

    /// From now on keeps so much. What is there already goes as it ages.
    pub fn limit(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// From now on there may be so many series beside those that are there.
    pub fn make_room_for(&mut self, series: usize) {
        self.settings.series_max = self.series.len().saturating_add(series);
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.bytes() as u64 > self.settings.size_max_bytes
    }

    /// Where a label set is.
    pub(super) fn id(&self, labels: &Labels) -> Option<SeriesId> {
        self.catalog.id(labels)
    }

    /// The series that satisfy all matchers.
    pub(super) fn select_ids(
        &self,
        matchers: &[Matcher],
    ) -> impl Iterator<Item = (SeriesId, &History)> {
        let ids = self.catalog.select(matchers).into_iter();
        ids.filter_map(|id| self.series.get(&id).map(|history| (id, &**history)))
    }

    /// Appends without counting a refusal. `guess` is where the series was last time, if the
    /// caller remembers: labels are compared with what is there before anything is hashed.
    pub(super) fn write(
        &mut self,
        guess: Option<SeriesId>,
        labels: &Labels,
        sample: Sample,
    ) -> Result<(SeriesId, Appended), Refused> {
        self.has_histograms |= is_histogram(sample.value);
        let known = guess.filter(|id| self.has(*id, labels)).or_else(|| self.id(labels));
        if let Some((id, history)) = known.and_then(|id| Some((id, self.series.get_mut(&id)?))) {
            let appended = Arc::make_mut(history).append(sample, &mut self.held)?;
            if let (Appended::Added, Some(written)) = (appended, &mut self.written) {
                let labels = history.labels().clone();
                written.push(Written { series: id.0, labels, sample });
            }
            return Ok((id, appended));
        }
        if self.series.len() >= self.settings.series_max {
            return Err(Refused::TooManySeries);
        }
        let (id, labels) = Arc::make_mut(&mut self.catalog).add(labels);
        if let Some(written) = &mut self.written {
            written.push(Written { series: id.0, labels: labels.clone(), sample });
        }
        let mut history = History::new(labels, sample, &mut self.held);
        let reach = watch::watched_reach(&self.watches, history.labels());
        if !reach.is_zero() {
            history.watch(reach, &mut self.held);
        }
        self.series.insert(id, Arc::new(history));
        Ok((id, Appended::Added))
    }

    /// Appends to a series that is there. False where it was forgotten.
    pub(super) fn write_known(&mut self, id: SeriesId, sample: Sample) -> bool {
        let Some(labels) = self.series.get(&id).map(|history| history.labels().clone()) else {
            return false;
        };
        let _not_a_refusal = self.write(Some(id), &labels, sample);
        true
    }

    /// Puts in a series that is not there yet.
    pub(super) fn insert(
        &mut self,
        labels: &Labels,
        full: VecDeque<Chunk>,
        open: OpenChunk,
        past: Past,
    ) {
        let (id, labels) = Arc::make_mut(&mut self.catalog).add(labels);
        let reach = watch::watched_reach(&self.watches, &labels);
        let past = (!reach.is_zero()).then_some((past, reach));
        let history = History::restored(labels, full, open, past, &mut self.held);
        self.series.insert(id, Arc::new(history));
    }

    /// Forgets series that have nothing left.
    pub(super) fn forget(&mut self, gone: BTreeSet<SeriesId>) {
        let gone: BTreeMap<SeriesId, Labels> = gone
            .into_iter()
            .filter_map(|id| Some((id, self.series.remove(&id)?.labels().clone())))
            .collect();
        if !gone.is_empty() {
            Arc::make_mut(&mut self.catalog).remove(gone);
        }
    }

    fn has(&self, id: SeriesId, labels: &Labels) -> bool {
        self.series.get(&id).is_some_and(|history| history.labels() == labels)
    }

    fn bytes(&self) -> usize {
        self.held.bytes + self.catalog.text_bytes()
    }

    fn present(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &History> {
        let chosen = self.select_ids(matchers).map(|(_, history)| history);
        chosen.filter(move |history| history.has_samples(after, until))
    }
}

impl Store {
    /// Visits the series that satisfy all matchers. Series lie all over memory, which costs more
    /// than decoding them: a round of short looks lets the processor wait for many at a time.
    fn visit(&self, matchers: &[Matcher], mut visit: impl FnMut(&History)) {
        let mut batch: Vec<&History> = Vec::with_capacity(BATCH);
        let mut chosen = self.select_ids(matchers).map(|(_, history)| history);
        loop {
            batch.clear();
            batch.extend(chosen.by_ref().take(BATCH));
            if batch.is_empty() {
                return;
            }
            for history in &batch {
                std::hint::black_box(history.glance());
            }
            batch.iter().for_each(|history| visit(history));
        }
    }
}

impl Source for Store {
    fn has_histograms(&self) -> bool {
        self.has_histograms
    }

    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        let mut samples = Vec::new();
        self.visit(matchers, |history| {
            samples.clear();
            history.read(after, until, &mut samples);
            if !samples.is_empty() {
                visit(history.labels(), &samples);
            }
        });
    }

    fn look(
        &self,
        matchers: &[Matcher],
        _after: Timestamp,
        _until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &mut dyn Look),
    ) {
        let mut part = Part::default();
        self.visit(matchers, |history| {
            visit(history.labels(), &mut Windows { history, part: &mut part });
        });
    }
}

/// A series' windows.
struct Windows<'a> {
    history: &'a History,
    part: &'a mut Part,
}

impl Look for Windows<'_> {
    fn window(&mut self, after: Timestamp, until: Timestamp, wants: Wants) -> Seen<'_> {
        self.history.part(after, until, wants, self.part);
        self.part.seen()
    }
}

impl Sink for Store {
    fn append(&mut self, labels: &Labels, sample: Sample) {
        // A refusal was counted; whoever writes through this port can do nothing more about it.
        let _counted = Store::append(self, labels, sample);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scrape::Scrape;
    use super::*;
    use crate::model::stale_marker;

    const FOREVER: Settings =
        Settings { retention: Duration::MAX, size_max_bytes: u64::MAX, series_max: 1_000_000 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn sample(millis: i64, value: f64) -> Sample {
        Sample { at: at(millis), value }
    }

    fn series(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    /// What a selection visits, as text, sorted.
    fn selected(source: &dyn Source, matchers: &[&str], after: i64, until: i64) -> Vec<String> {
        let matchers: Vec<_> =
            matchers.iter().map(|matcher| Matcher::parse(matcher).unwrap()).collect();
        let mut visited = Vec::new();
        source.select(&matchers, at(after), at(until), &mut |labels, samples| {
            let points: Vec<_> = samples
                .iter()
                .map(|sample| format!("{}@{}", sample.value, sample.at.millis()))
                .collect();
            visited.push(format!("{labels} {}", points.join(" ")));
        });
        visited.sort();
        visited
    }

    #[test]
    fn samples_are_refused_by_reason_and_counted() {
        let mut store = Store::new(Settings { series_max: 2, ..FOREVER });
        let [a, b, c] = ["a", "b", "c"].map(|name| series(&[("__name__", name)]));
        for (labels, sample, expected) in [
            (&a, sample(10, 1.0), Ok(())),
            (&a, sample(20, 0.0), Ok(())),
            (&a, sample(20, 0.0), Ok(())),
            (&a, sample(20, -0.0), Err(Refused::DuplicateTimestamp)),
            (&a, sample(20, 7.0), Err(Refused::DuplicateTimestamp)),
            (&a, sample(15, 7.0), Err(Refused::OutOfOrder)),
            (&a, sample(10, 1.0), Err(Refused::OutOfOrder)),
            (&b, sample(5, f64::NAN), Ok(())),
            (&b, sample(5, f64::NAN), Ok(())),
            (&b, sample(5, stale_marker()), Err(Refused::DuplicateTimestamp)),
            (&c, sample(30, 1.0), Err(Refused::TooManySeries)),
            (&c, sample(31, 1.0), Err(Refused::TooManySeries)),
            (&a, sample(30, 1.0), Ok(())),
        ] {
            assert_eq!(store.append(labels, sample), expected, "{labels} {sample:?}");
        }
        let port: &mut dyn Sink = &mut store;
        port.append(&a, sample(1, 1.0));
        let stats = store.stats();
        assert_eq!((stats.series, stats.samples, stats.chunks), (2, 4, 2));
        let expected = Refusals { out_of_order: 3, duplicate_timestamp: 3, too_many_series: 2 };
        assert_eq!(stats.refused, expected);
        assert_eq!(expected.total(), 8);
        assert_eq!(selected(&store, &["__name__=a"], 0, 99), ["a 1@10 0@20 1@30"]);
    }

    #[test]
    fn a_selection_visits_each_series_with_samples_in_the_window_once() {
        let mut store = Store::new(FOREVER);
        for (name, job, times) in
            [("up", "x", [10, 20, 30]), ("up", "y", [11, 21, 31]), ("down", "x", [12, 22, 32])]
        {
            let labels = series(&[("__name__", name), ("job", job)]);
            for time in times {
                assert_eq!(store.append(&labels, sample(time, 1.0)), Ok(()));
            }
        }
        for (matchers, after, until, expected) in [
            (&[] as &[&str], 20, 22, &[r#"down{job="x"} 1@22"#, r#"up{job="y"} 1@21"#] as &[&str]),
            (&["__name__=up"], 10, 20, &[r#"up{job="x"} 1@20"#, r#"up{job="y"} 1@11"#]),
            (&["job!=y", "__name__=~u.*"], 0, 99, &[r#"up{job="x"} 1@10 1@20 1@30"#]),
            (&["job!~x|z"], 0, 11, &[r#"up{job="y"} 1@11"#]),
            (&["env="], 31, 99, &[r#"down{job="x"} 1@32"#]),
            (&["env!="], 0, 99, &[]),
            (&[], 32, 99, &[]),
            (&[], 99, 0, &[]),
        ] {
            assert_eq!(selected(&store, matchers, after, until), expected, "{matchers:?}");
        }
    }

    #[test]
    fn names_and_values_are_those_of_series_with_samples_in_the_window() {
        let mut store = Store::new(FOREVER);
        let old = series(&[("__name__", "old"), ("zone", "b")]);
        let new = series(&[("__name__", "new"), ("job", "x")]);
        for (labels, time) in [(&old, 10), (&old, 20), (&new, 20), (&new, 40)] {
            assert_eq!(store.append(labels, sample(time, 1.0)), Ok(()));
        }
        assert_eq!(store.matching(&[], at(0), at(99)), [new.clone(), old.clone()]);
        assert_eq!(store.matching(&[], at(20), at(99)), std::slice::from_ref(&new));
        // Between two samples of one chunk there is nothing.
        assert_eq!(store.matching(&[], at(20), at(39)), Vec::<Labels>::new());
        let zoned = [Matcher::parse("zone!=").unwrap()];
        assert_eq!(store.matching(&zoned, at(0), at(99)), [old]);
        let texts = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>();
        assert_eq!(texts(store.label_names(&[], at(0), at(99))), ["__name__", "job", "zone"]);
        assert_eq!(texts(store.label_names(&[], at(20), at(99))), ["__name__", "job"]);
        assert_eq!(texts(store.label_names(&zoned, at(0), at(99))), ["__name__", "zone"]);
        assert_eq!(texts(store.label_values("__name__", &[], at(0), at(99))), ["new", "old"]);
        assert_eq!(texts(store.label_values("zone", &[], at(20), at(99))), [""; 0]);
        assert_eq!(texts(store.label_values("none", &[], at(0), at(99))), [""; 0]);
    }

    #[test]
    fn what_is_stored_is_noted_and_what_is_refused_is_not() {
        let mut store = Store::new(FOREVER);
        let [a, b] = ["a", "b"].map(|name| series(&[("__name__", name)]));
        assert_eq!(store.append(&a, sample(10, 1.0)), Ok(()));
        store.note_writes();
        assert_eq!(store.take_written(), []);
        assert_eq!(store.append(&a, sample(10, 1.0)), Ok(()));
        assert!(store.append(&a, sample(5, 1.0)).is_err());
        let mut scrape = Scrape::default();
        store.scrape(&mut scrape, at(20), &[(a.clone(), 2.0), (b.clone(), 3.0)]);
        store.scrape(&mut scrape, at(30), &[(b.clone(), 4.0)]);
        assert_eq!(store.live().collect::<Vec<_>>(), [&b]);
        let written: Vec<_> = store
            .take_written()
            .into_iter()
            .map(|w| (w.series, w.labels, w.sample.at.millis(), w.sample.value.to_bits()))
            .collect();
        let expected = [
            (0, a.clone(), 20, 2.0_f64.to_bits()),
            (1, b.clone(), 20, 3.0_f64.to_bits()),
            (1, b, 30, 4.0_f64.to_bits()),
            (0, a, 30, stale_marker().to_bits()),
        ];
        assert_eq!(written, expected);
        assert_eq!(store.take_written(), []);
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let second = Duration::from_secs(1);
        let mut store = Store::new(Settings { retention: second, ..FOREVER });
        let [a, b] = ["a", "b"].map(|name| series(&[("__name__", name)]));
        for time in 0..=200 {
            assert_eq!(store.append(&a, sample(time, 1.0)), Ok(()));
        }
        let copy = store.clone();
        let before = (copy.stats(), selected(&copy, &[], -1, 9999));
        for time in 201..=999 {
            assert_eq!(store.append(&a, sample(time, 2.0)), Ok(()));
        }
        assert_eq!(store.append(&b, sample(999, 2.0)), Ok(()));
        assert_eq!((copy.stats(), selected(&copy, &[], -1, 9999)), before);
        // Drops the chunks up to 479, then everything.
        store.expire(at(1_500));
        assert_eq!(selected(&store, &[], -1, 481), ["a 2@480 2@481"]);
        store.expire(at(9_999));
        assert_eq!(store.stats().series, 0);
        assert_eq!((copy.stats(), selected(&copy, &[], -1, 9999)), before);
        assert_eq!(before.0.samples, 201);
    }

    /// A fixed sequence of numbers below a bound (Knuth's MMIX generator).
    fn draws(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |bound| {
            let (factor, term) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
            state = state.wrapping_mul(factor).wrapping_add(term);
            (state >> 33) % bound
        }
    }

    /// Bytes for each sample with everything counted, after a day's scrapes every 15 s of `count`
    /// series with a probe's usual labels.
    fn bytes_per_sample(count: usize, mut value: impl FnMut(usize) -> f64) -> f64 {
        let mut store = Store::new(FOREVER);
        let mut scrape = Scrape::default();
        let mut samples: Vec<(Labels, f64)> = (0..count)
            .map(|number| {
                let (target, le) = (format!("target-{}", number / 17), (number % 17).to_string());
                let labels = series(&[
                    ("__name__", "bellwether_probe_duration_seconds_bucket"),
                    ("instance", "localhost:9099"),
                    ("job", "bellwether"),
                    ("le", &le),
                    ("target", &target),
                ]);
                (labels, 0.0)
            })
            .collect();
        for round in 0..5760 {
            for (number, (_, sample)) in samples.iter_mut().enumerate() {
                *sample = value(number);
            }
            store.scrape(&mut scrape, at(1_700_000_000_000 + round * 15_000), &samples);
        }
        let stats = store.stats();
        assert_eq!((stats.samples, stats.series), (5760 * count, count));
        stats.bytes as f64 / stats.samples as f64
    }

    #[test]
    fn a_regular_scrape_costs_at_most_two_bytes_a_sample() {
        let mut draw = draws(7);
        let mut counters = [0.0; 34];
        let quiet = bytes_per_sample(34, |number| number as f64);
        let steady = bytes_per_sample(34, |number| {
            counters[number] += 1.0;
            counters[number]
        });
        let busy = bytes_per_sample(34, |number| {
            counters[number] += draw(30) as f64;
            counters[number]
        });
        // Two histograms of 15 buckets, a sum and a count, a probe every second.
        let mut histogram = [0.0; 34];
        let mixed = bytes_per_sample(34, |number| {
            let (bucket, first) = (number % 17, number / 17 * 17);
            if bucket == 0 {
                for _ in 0..15 {
                    let duration_ms = 150 + draw(40) * draw(40);
                    let bound = duration_ms * 15 / 1800;
                    for slot in bound..15 {
                        histogram[first + slot as usize] += 1.0;
                    }
                    histogram[first + 15] += duration_ms as f64 / 1000.0;
                    histogram[first + 16] += 1.0;
                }
            }
            histogram[number]
        });
        println!("quiet {quiet:.2}, steady {steady:.2}, busy {busy:.2}, histograms {mixed:.2}");
        assert!(quiet <= 0.8, "{quiet}");
        for (name, cost) in [("steady", steady), ("busy", busy), ("histograms", mixed)] {
            assert!(cost <= 2.0, "{name}: {cost}");
        }
    }

    proptest! {
        #[test]
        fn what_the_retention_covers_is_all_there(
            steps in prop::collection::vec((0_usize..4, 0_i64..40, 0_u8..4), 0..900),
            expire_every in 1_usize..200,
        ) {
            let retention = Duration::from_secs(2);
            let mut store = Store::new(Settings { retention, ..FOREVER });
            let names = ["a", "b", "c", "d"];
            let sets = names.map(|name| series(&[("__name__", name)]));
            let mut plain: [Vec<Sample>; 4] = Default::default();
            let mut now = 0;
            for (number, (which, wait, value)) in steps.into_iter().enumerate() {
                now += wait;
                let sample = sample(now, f64::from(value));
                if store.append(&sets[which], sample).is_ok() && plain[which].last() != Some(&sample) {
                    plain[which].push(sample);
                }
                if number % expire_every == 0 {
                    store.expire(at(now));
                }
            }
            store.expire(at(now));
            // A chunk that ends within the retention may reach back beyond it.
            let kept_from = at(now) - retention - Duration::from_millis(1);
            let mut found: [Vec<Sample>; 4] = Default::default();
            store.select(&[], kept_from, Timestamp::MAX, &mut |labels, samples| {
                let which = names.iter().position(|name| labels.metric() == *name).unwrap();
                found[which] = samples.to_vec();
            });
            for samples in &mut plain {
                samples.retain(|sample| sample.at > kept_from);
            }
            prop_assert_eq!(&found, &plain);
            let mut total = 0;
            store.select(&[], Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
                total += samples.len();
            });
            prop_assert_eq!(store.stats().samples, total);
            prop_assert_eq!(store.stats().series, plain.iter().filter(|all| !all.is_empty()).count());
        }
    }
}
