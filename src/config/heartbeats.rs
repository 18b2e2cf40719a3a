//! `heartbeats:`, whom to tell that rules are judged.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::duration;
use super::reader::{Fields, Reader};
use super::receivers::{ATTEMPT, ATTEMPT_DEFAULT, http_config};
use super::scalar::choice;
use super::secret::url;
use crate::notice::{BeatMethod, Heartbeat};

/// More often than rules are evaluated there is nothing to tell.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(86_400);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

const METHODS: [(&str, BeatMethod); 2] = [("POST", BeatMethod::Post), ("GET", BeatMethod::Get)];

/// Reads them.
pub(super) fn heartbeats(reader: &mut Reader, root: &Fields<'_>) -> Vec<Heartbeat> {
    let mut found = Vec::new();
    for (index, node) in reader.items(root, "heartbeats").into_iter().enumerate() {
        let known = ["url", "url_file", "method", "interval", "timeout", "http_config"];
        let what = format!("heartbeat {}", index + 1);
        let Some(fields) = reader.fields(node, what, &known) else { continue };
        let url = url(reader, &fields);
        let interval = reader.optional(&fields, "interval", |node| duration(node, INTERVAL));
        let timeout = reader.optional(&fields, "timeout", |node| duration(node, ATTEMPT));
        let method = reader.optional(&fields, "method", |node| choice(node, &METHODS));
        let http = http_config(reader, &fields);
        found.extend(url.map(|url| Heartbeat {
            url,
            interval: interval.unwrap_or(INTERVAL_DEFAULT),
            timeout: timeout.unwrap_or(ATTEMPT_DEFAULT),
            method: method.unwrap_or_default(),
            http,
        }));
    }
    found
}
