//! When each alert was in which state, as two programs tell it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// `inactive` is the absence of an alert.
const INACTIVE: &str = "inactive";

/// An alert's labels, `alertname` among them.
pub type Labels = BTreeMap<String, String>;

/// From when on an alert was in a state, by ascending time in seconds.
pub type Course = Vec<(String, f64)>;

/// The course of every alert that was seen.
#[derive(Debug, Default)]
pub struct Timeline(BTreeMap<Labels, Course>);

impl Timeline {
    /// Takes in what was active at a time; what is not among it is inactive.
    pub fn see<'a>(&mut self, at: f64, active: impl IntoIterator<Item = (Labels, &'a str)>) {
        let mut gone: BTreeSet<Labels> = self.0.keys().cloned().collect();
        for (labels, state) in active {
            gone.remove(&labels);
            note(self.0.entry(labels).or_default(), state, at);
        }
        for labels in gone {
            note(self.0.entry(labels).or_default(), INACTIVE, at);
        }
    }

    /// Reads the series `ALERTS`: a matrix whose timestamps are those of the evaluations. An alert
    /// is over where no sample follows for longer than `gap`, which is given for each alert.
    pub fn of_alerts(matrix: &Value, gap: impl Fn(&Labels) -> f64, until: f64) -> Self {
        let mut samples: BTreeMap<Labels, Vec<(f64, String)>> = BTreeMap::new();
        for series in matrix["result"].as_array().unwrap() {
            let mut labels = labels(&series["metric"]);
            labels.remove("__name__");
            let state = labels.remove("alertstate").unwrap();
            let values = series["values"].as_array().unwrap().iter();
            let times = values.map(|sample| (sample[0].as_f64().unwrap(), state.clone()));
            samples.entry(labels).or_default().extend(times);
        }
        let course = |(labels, mut samples): (Labels, Vec<(f64, String)>)| {
            samples.sort_by(|left, right| left.0.total_cmp(&right.0));
            let gap = gap(&labels);
            let mut course = Course::new();
            let mut last = f64::NEG_INFINITY;
            for (at, state) in samples {
                if last + gap < at {
                    note(&mut course, INACTIVE, last);
                }
                note(&mut course, &state, at);
                last = at;
            }
            if last + gap < until {
                note(&mut course, INACTIVE, last);
            }
            (labels, course)
        };
        Self(samples.into_iter().map(course).collect())
    }

    pub fn states(&self, labels: &Labels) -> Vec<&str> {
        self.0.get(labels).into_iter().flatten().map(|(state, _)| state.as_str()).collect()
    }

    pub fn alerts(&self) -> impl Iterator<Item = &Labels> {
        self.0.keys()
    }

    /// Where two courses differ by more than the tolerance, which is given for each alert. What
    /// changed so shortly before `until` that the other may still be about to change is left out.
    pub fn differences(
        &self,
        other: &Self,
        from: f64,
        until: f64,
        tolerance: impl Fn(&Labels) -> f64,
    ) -> Vec<String> {
        let all: BTreeSet<&Labels> = self.0.keys().chain(other.0.keys()).collect();
        let mut differences = Vec::new();
        for labels in all {
            let tolerance = tolerance(labels);
            let course = |timeline: &Self| since(timeline.0.get(labels), from);
            let (left, right) = (course(self), course(other));
            let is_settled = |course: &Course, position: usize| {
                course.get(position).is_some_and(|(_, at)| at + tolerance < until)
            };
            for position in 0..left.len().max(right.len()) {
                if !is_settled(&left, position) && !is_settled(&right, position) {
                    break;
                }
                let agree = match (left.get(position), right.get(position)) {
                    (Some(left), Some(right)) => {
                        left.0 == right.0 && (left.1 - right.1).abs() <= tolerance
                    }
                    _ => false,
                };
                if !agree {
                    let shown = |course: &Course| {
                        let shift =
                            |(state, at): &(String, f64)| format!("{state}@{:.2}", at - from);
                        course.iter().map(shift).collect::<Vec<_>>().join(" ")
                    };
                    differences.push(format!(
                        "{labels:?}: [{}] is not [{}] within {tolerance:.2} s",
                        shown(&left),
                        shown(&right)
                    ));
                    break;
                }
            }
        }
        differences
    }
}

/// The course from a time on, beginning with the state that held then.
fn since(course: Option<&Course>, from: f64) -> Course {
    let course = course.into_iter().flatten();
    let mut since = vec![(INACTIVE.to_owned(), from)];
    for (state, at) in course {
        if *at <= from {
            since = vec![(state.clone(), from)];
        } else {
            note(&mut since, state, *at);
        }
    }
    since
}

fn note(course: &mut Course, state: &str, at: f64) {
    let is_news = match course.last() {
        Some((last, _)) => last != state,
        None => state != INACTIVE,
    };
    if is_news {
        course.push((state.to_owned(), at));
    }
}

/// A JSON object of texts.
pub fn labels(object: &Value) -> Labels {
    let none = Map::new();
    let pairs = object.as_object().unwrap_or(&none);
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_course_that_differs_in_state_or_by_more_than_the_tolerance_is_found() {
    let labels = Labels::from([("alertname".to_owned(), "A".to_owned())]);
    let timeline = |course: &[(&str, f64)]| {
        let course = course.iter().map(|(state, at)| ((*state).to_owned(), *at)).collect();
        Timeline(BTreeMap::from([(labels.clone(), course)]))
    };
    let left = timeline(&[("pending", 10.0), ("firing", 13.0), ("inactive", 30.0)]);
    for (right, differ) in [
        (timeline(&[("pending", 11.5), ("firing", 14.5), ("inactive", 28.5)]), false),
        (timeline(&[("pending", 12.5), ("firing", 14.5), ("inactive", 28.5)]), true),
        (timeline(&[("firing", 13.0), ("inactive", 30.0)]), true),
        (timeline(&[("pending", 10.0), ("firing", 13.0)]), true),
        (Timeline::default(), true),
        // The last change came so late that it settles nothing.
        (
            timeline(&[("pending", 10.0), ("firing", 13.0), ("inactive", 30.0), ("firing", 39.0)]),
            false,
        ),
    ] {
        let found = left.differences(&right, 0.0, 40.0, |_| 2.0);
        assert_eq!(!found.is_empty(), differ, "{right:?}: {found:?}");
    }
}
