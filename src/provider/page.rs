//! `http`: a page of any kind, and what is asked of it.
//!
//! A page is no model: nothing is said word by word, nothing is counted in tokens, and an empty body
//! may be as right as a full one. So the exam keeps what came, and the page says what was due:
//! first the status, then headers; the body is the business of the probe's own check. Redirects are
//! never followed, so a page that moved shows its 3xx. A certificate that ends soon is told last:
//! it is trouble to come, and everything else is trouble that is there.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::reading::{Reading, Step};
use super::redact::redact;
use super::{ErrorType, Grade};
use crate::model::{Timestamp, format_duration};

/// How a request is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `OPTIONS`
    Options,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Options];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Options => "OPTIONS",
        }
    }
}

/// A page and what is due of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// How it is asked for.
    pub method: Method,
    /// Below the provider's base URL; begins with a slash.
    pub path: String,
    /// What is sent along; `{nonce}` in it is replaced.
    pub body: Option<String>,
    /// Statuses that are right, from and to; any 2xx where there are none.
    pub statuses: Vec<(u16, u16)>,
    /// What is due of headers, by lower-case names.
    pub headers: Vec<(String, HeaderRule)>,
    /// How long the certificate must be good for yet.
    pub certificate_min: Option<Duration>,
}

/// What is due of a header.
#[derive(Clone, Debug)]
pub enum HeaderRule {
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    /// It is there and matches.
    Matches(Arc<Regex>),
}

/// Two regular expressions are equal when they are written alike.
impl PartialEq for HeaderRule {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, Self::Present) | (Self::Absent, Self::Absent) => true,
            (Self::Matches(left), Self::Matches(right)) => left.as_str() == right.as_str(),
            (Self::Present | Self::Absent | Self::Matches(_), _) => false,
        }
    }
}

/// What came beside a grade.
pub struct Surroundings<'a> {
    /// The value of a header by its lower-case name.
    pub headers: &'a dyn Fn(&str) -> Option<String>,
    /// When the certificate that was shown ends, where one was.
    pub certificate_expires: Option<Timestamp>,
    /// When the answer came.
    pub now: Timestamp,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Surroundings(at {})", self.now)
    }
}

impl Page {
    /// What is wrong with an answer that came whole, its body left out: status and headers.
    pub fn wrong(&self, grade: &Grade, around: &Surroundings<'_>) -> Option<(ErrorType, String)> {
        let status = grade.status?;
        if !self.takes(status) {
            return Some(match grade.error_type {
                ErrorType::None => {
                    (ErrorType::Other, format!("HTTP {status}, where {} is due", self.due()))
                }
                error_type => (error_type, grade.detail.clone()),
            });
        }
        let wrong = self.headers.iter().find_map(|(name, rule)| {
            let value = (around.headers)(name);
            let why = match (rule, &value) {
                (HeaderRule::Present | HeaderRule::Matches(_), None) => "is missing",
                (HeaderRule::Absent, Some(_)) => "is there",
                (HeaderRule::Matches(regex), Some(value)) if !regex.is_match(value) => {
                    "does not match"
                }
                (HeaderRule::Present | HeaderRule::Absent | HeaderRule::Matches(_), _) => {
                    return None;
                }
            };
            Some(format!("header `{}` {why}", redact(name, 60)))
        });
        wrong.map(|detail| (ErrorType::ContentCheckFailed, detail))
    }

    /// Whether the certificate ends too soon.
    pub fn ends_soon(&self, around: &Surroundings<'_>) -> Option<String> {
        let (min, ends) = (self.certificate_min?, around.certificate_expires?);
        let left = ends.since(around.now);
        (left < min).then(|| {
            // Whole minutes are enough to go by.
            let left = Duration::from_secs(left.as_secs() / 60 * 60);
            let (left, min) = (format_duration(left), format_duration(min));
            format!("the certificate is good for {left} yet, where {min} are due")
        })
    }

    fn takes(&self, status: u16) -> bool {
        if self.statuses.is_empty() {
            return (200..300).contains(&status);
        }
        self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }

    fn due(&self) -> String {
        let range = |(from, to): &(u16, u16)| match from == to {
            true => from.to_string(),
            false => format!("{from} to {to}"),
        };
        let ranges: Vec<String> = self.statuses.iter().map(range).collect();
        if ranges.is_empty() { "200 to 299".to_owned() } else { ranges.join(" or ") }
    }
}

/// Takes a whole body, of a page that is right or not.
pub(super) fn whole(reading: &mut Reading, body: &str) -> Step {
    reading.push_text(body);
    Step { has_content: true, has_output: true, is_keepalive: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Dialect, Exam, Expectation, Head, Terminal};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn grade(status: u16, body: &str) -> Grade {
        let expectation = Expectation {
            is_streamed: false,
            model: String::new(),
            terminal: Terminal::Lenient,
            wants_usage: false,
        };
        let mut exam = Exam::new(Dialect::Http, expectation);
        exam.head(&Head { status, headers: &|_| None, now: NOW });
        exam.bytes(body.as_bytes());
        exam.end();
        exam.finish()
    }

    fn wrong(page: &Page, status: u16, headers: &[(&str, &str)]) -> Option<(ErrorType, String)> {
        let get = |name: &str| {
            headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let around = Surroundings { headers: &get, certificate_expires: None, now: NOW };
        page.wrong(&grade(status, "x"), &around)
    }

    #[test]
    fn a_page_is_right_with_any_body_and_any_2xx_unless_it_says_otherwise() {
        for (status, body) in [(200, ""), (204, ""), (200, "<html></html>"), (202, "{}")] {
            let grade = grade(status, body);
            assert_eq!((grade.error_type, &*grade.text), (ErrorType::None, body), "{status}");
        }
        let page = Page::default();
        assert_eq!(wrong(&page, 200, &[]), None);
        let type_of = |status| wrong(&page, status, &[]).map(|(error_type, _)| error_type);
        for (status, error_type) in [
            (301, ErrorType::Other),
            (401, ErrorType::Http401),
            (404, ErrorType::Http404),
            (429, ErrorType::RateLimited),
            (503, ErrorType::ServerError),
        ] {
            assert_eq!(type_of(status), Some(error_type), "{status}");
        }
    }

    #[test]
    fn a_status_that_is_due_is_right_and_another_is_not() {
        let page = Page { statuses: vec![(401, 401), (500, 599)], ..Page::default() };
        assert_eq!(wrong(&page, 401, &[]), None);
        assert_eq!(wrong(&page, 503, &[]), None);
        let detail = "HTTP 200, where 401 or 500 to 599 is due".to_owned();
        assert_eq!(wrong(&page, 200, &[]), Some((ErrorType::Other, detail)));
        // Of a refusal too the body is there to be checked.
        assert_eq!(grade(401, "who are you").text, "who are you");
    }

    #[test]
    fn headers_are_held_against_their_rules() {
        let rule = |rule| Page { headers: vec![("x-a".to_owned(), rule)], ..Page::default() };
        let found = |page: &Page, headers: &[(&str, &str)]| {
            wrong(page, 200, headers).map(|(_, detail)| detail)
        };
        let is = |text: &str| Some(format!("header `x-a` {text}"));
        let there = [("x-a", "max-age=31536000")];
        assert_eq!(found(&rule(HeaderRule::Present), &there), None);
        assert_eq!(found(&rule(HeaderRule::Present), &[]), is("is missing"));
        assert_eq!(found(&rule(HeaderRule::Absent), &there), is("is there"));
        let matches = rule(HeaderRule::Matches(Arc::new(Regex::new("^max-age=[1-9]").unwrap())));
        assert_eq!(found(&matches, &there), None);
        assert_eq!(found(&matches, &[("x-a", "no")]), is("does not match"));
        assert_eq!(found(&matches, &[]), is("is missing"));
    }

    #[test]
    fn a_certificate_that_ends_within_the_time_is_told_with_what_is_left() {
        let page = Page { certificate_min: Some(14 * DAY), ..Page::default() };
        let told = |expires: Option<Timestamp>| {
            let around =
                Surroundings { headers: &|_| None, certificate_expires: expires, now: NOW };
            page.ends_soon(&around)
        };
        assert_eq!(told(None), None);
        assert_eq!(told(Some(NOW + 14 * DAY)), None);
        let soon = told(Some(NOW + 5 * DAY + Duration::from_secs(59)));
        let expected = "the certificate is good for 5d yet, where 2w are due";
        assert_eq!(soon.as_deref(), Some(expected));
    }
}
