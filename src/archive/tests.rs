//! The archive as a whole, over real files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::frame::{HEADER_LENGTH, Kind, header_of};
use super::open::{End, read_log};
use super::*;
use crate::model::{Labels, Matcher, Sample, Timestamp};
use crate::series::{Settings, Source as _, Store, Wants, Watch, Written};
use crate::telemetry::Telemetry;

const DAY: Duration = Duration::from_secs(24 * 3600);
const SETTINGS: Settings =
    Settings { retention: DAY, size_max_bytes: 1 << 30, series_max: 100_000 };
/// Some time in 2026.
const START: i64 = 1_780_000_000_000;

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-archive-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left by an earlier process of the same number.
        let _was_there = fs::remove_dir_all(&path).is_ok();
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn samples(&self) -> PathBuf {
        self.0.join("samples")
    }

    /// The names of the files, damaged ones without their time.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.samples()) else { return Vec::new() };
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            match name.split_once("damaged-") {
                Some((before, _)) => format!("{before}damaged"),
                None => name,
            }
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    fn open(&self, now: i64) -> (Archive, Store) {
        self.open_with(SETTINGS, now)
    }

    fn open_with(&self, settings: Settings, now: i64) -> (Archive, Store) {
        let now = Timestamp::from_millis(now);
        Archive::open(&self.0, settings, Vec::new(), now, Telemetry::new()).unwrap()
    }

    /// Writes turns in a run of its own, from one time on and a second apart.
    async fn run(&self, start: i64, turns: i64) -> Report {
        self.run_with(SETTINGS, start, turns).await
    }

    async fn run_with(&self, settings: Settings, start: i64, turns: i64) -> Report {
        let (archive, mut store) = self.open_with(settings, start);
        store.note_writes();
        for turn in 0..turns {
            write(&archive, &mut store, start + turn * 1000).await;
        }
        let report = archive.report().clone();
        archive.close(Duration::from_secs(60)).await;
        report
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _cleaned_up = fs::remove_dir_all(&self.0).is_ok();
    }
}

/// One turn: three series, the values of which follow from the time.
fn turn(at: i64) -> Vec<(Labels, f64)> {
    let second = at.div_euclid(1000);
    ["a", "b", "c"]
        .iter()
        .zip([second as f64, (second as f64).sqrt(), 1.0])
        .map(|(name, value)| (Labels::from_pairs([("__name__", *name), ("job", "x")]), value))
        .collect()
}

async fn write(archive: &Archive, store: &mut Store, at: i64) {
    append(store, at);
    archive.batches().send(store.take_written()).await.unwrap();
}

fn append(store: &mut Store, at: i64) {
    let at = Timestamp::from_millis(at);
    for (labels, value) in turn(at.millis()) {
        assert_eq!(store.append(&labels, Sample { at, value }), Ok(()));
    }
}

type Content = BTreeMap<String, Vec<(i64, u64)>>;

fn content(store: &Store) -> Content {
    let mut content = Content::new();
    store.select(&[], Timestamp::MIN, Timestamp::MAX, &mut |labels, samples| {
        let points = samples.iter().map(|s| (s.at.millis(), s.value.to_bits())).collect();
        content.insert(labels.metric().to_owned(), points);
    });
    content
}

/// What [`turn`] gives at some times.
fn expected(times: impl Iterator<Item = i64>) -> Content {
    let mut content = Content::new();
    for at in times {
        for (labels, value) in turn(at) {
            content.entry(labels.metric().to_owned()).or_default().push((at, value.to_bits()));
        }
    }
    content
}

fn seconds(start: i64, turns: i64) -> impl Iterator<Item = i64> {
    (0..turns).map(move |turn| start + turn * 1000)
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let directory = Directory::new();
    assert_eq!(directory.run(START, 10).await, Report::default());
    assert_eq!(directory.names(), ["00000001.log"]);
    // Goes on with the same log, twice.
    directory.run(START + 60_000, 10).await;
    directory.run(START + 120_000, 10).await;
    assert_eq!(directory.names(), ["00000001.log"]);
    let (archive, store) = directory.open(START + 180_000);
    let times = [0, 60_000, 120_000].into_iter().flat_map(|after| seconds(START + after, 10));
    assert_eq!(content(&store), expected(times));
    assert_eq!(*archive.report(), Report { files: 1, ..Report::default() });
}

#[tokio::test]
async fn a_log_of_half_an_hour_is_packed() {
    let directory = Directory::new();
    directory.run(START, 4000).await;
    assert_eq!(directory.names(), ["00000001.chunks", "00000002.chunks", "00000003.log"]);
    let (_archive, store) = directory.open(START + 4_000_000);
    assert_eq!(content(&store), expected(seconds(START, 4000)));
    // Three series of 1 800 samples each: a count, a root and a constant.
    let size = fs::metadata(directory.samples().join("00000001.chunks")).unwrap().len();
    assert!(size < 3 * 1800 * 4, "{size}");
}

/// A log of some turns and where each of its records ends, its header first.
async fn log(directory: &Directory, turns: i64) -> (PathBuf, Vec<u8>, Vec<usize>) {
    directory.run(START, turns).await;
    let path = directory.samples().join("00000001.log");
    let file = fs::read(&path).unwrap();
    let mut ends = vec![HEADER_LENGTH];
    while let Some((_, end)) = super::frame::frame_at(&file, *ends.last().unwrap()) {
        ends.push(end);
    }
    assert_eq!(ends.len(), turns as usize + 1);
    (path, file, ends)
}

#[tokio::test]
async fn a_log_that_ends_anywhere_gives_all_records_before_and_is_no_fault() {
    let directory = Directory::new();
    let (_, file, ends) = log(&directory, 8).await;
    for length in 0..=file.len() {
        let read = read_log(&file[..length]);
        let whole = ends.iter().filter(|end| **end <= length).count();
        let is_end = length == 0 || ends.contains(&length);
        assert_eq!(read.end, if is_end { End::Clean } else { End::Torn }, "{length}");
        assert_eq!(read.length, if whole == 0 { 0 } else { ends[whole - 1] });
        let samples: usize = read
            .packed
            .iter()
            .flat_map(|(_, chunks)| chunks)
            .map(|chunk| usize::from(chunk.count()))
            .sum();
        assert_eq!(samples, 3 * whole.saturating_sub(1), "{length}");
        // Zeros behind the end are room that was never written to.
        if length >= HEADER_LENGTH && is_end {
            let padded = [&file[..length], &[0; 100]].concat();
            assert_eq!(read_log(&padded).end, End::Torn);
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_and_what_stands_before_it_is_kept() {
    let directory = Directory::new();
    let (_, file, ends) = log(&directory, 5).await;
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let read = read_log(&flipped);
        let whole = ends.iter().filter(|end| **end <= bit / 8).count();
        assert_eq!(read.length, if whole == 0 { 0 } else { ends[whole - 1] }, "{bit}");
        assert_ne!(read.end, End::Clean, "{bit}");
        // Only a length that became too great in the very last record looks like a torn end.
        if bit / 8 < ends[4] {
            assert_eq!(read.end, End::Damaged, "{bit}");
        }
    }
}

#[tokio::test]
async fn a_torn_log_is_cut_and_gone_on_with() {
    let directory = Directory::new();
    let (path, file, ends) = log(&directory, 10).await;
    fs::write(&path, &file[..ends[9] + 7]).unwrap();
    let report = directory.run(START + 60_000, 3).await;
    assert_eq!(report, Report { files: 1, torn: vec![(path, 7)], ..Report::default() });
    let (archive, store) = directory.open(START + 100_000);
    assert_eq!(*archive.report(), Report { files: 1, ..Report::default() });
    let times = seconds(START, 9).chain(seconds(START + 60_000, 3));
    assert_eq!(content(&store), expected(times));
    assert_eq!(directory.names(), ["00000001.log"]);
}

#[tokio::test]
async fn a_damaged_log_is_set_aside_and_what_stands_before_is_kept() {
    let directory = Directory::new();
    let (path, mut file, ends) = log(&directory, 10).await;
    file[ends[6] + 9] ^= 1;
    fs::write(&path, &file).unwrap();
    let report = directory.run(START + 60_000, 3).await;
    assert_eq!((report.files, report.torn.len(), report.failed), (1, 0, 0));
    assert_eq!(fs::read(&report.set_aside[0]).unwrap(), file);
    let names = ["00000001.chunks", "00000001.log.damaged", "00000002.log"];
    assert_eq!(directory.names(), names);
    let (_archive, store) = directory.open(START + 100_000);
    assert_eq!(content(&store), expected(seconds(START, 6).chain(seconds(START + 60_000, 3))));
}

#[tokio::test]
async fn damaged_chunks_are_set_aside_and_the_rest_is_read() {
    let directory = Directory::new();
    directory.run(START, 4000).await;
    let path = directory.samples().join("00000001.chunks");
    let mut file = fs::read(&path).unwrap();
    let middle = file.len() / 2;
    file[middle] ^= 0x10;
    fs::write(&path, &file).unwrap();
    let (archive, store) = directory.open(START + 4_000_000);
    assert_eq!(fs::read(&archive.report().set_aside[0]).unwrap(), file);
    assert_eq!(content(&store), expected(seconds(START + 1_800_000, 2200)));
    archive.close(Duration::from_secs(60)).await;
    let names = ["00000001.chunks.damaged", "00000002.chunks", "00000003.log"];
    assert_eq!(directory.names(), names);
}

#[tokio::test]
async fn only_the_last_damaged_files_are_kept() {
    let directory = Directory::new();
    for run in 0..7 {
        let start = START + run * 10_000;
        directory.run(start, 2).await;
        for entry in fs::read_dir(directory.samples()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                fs::write(path, b"sixteen bytes or more of something else").unwrap();
            }
        }
    }
    directory.run(START + 100_000, 1).await;
    let damaged = directory.names().into_iter().filter(|name| name.ends_with("damaged"));
    assert_eq!(
        damaged.collect::<Vec<_>>(),
        (4..8).map(|n| format!("0000000{n}.log.damaged")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_process_that_ended_while_it_packed_leaves_no_sample_twice() {
    let directory = Directory::new();
    directory.run(START, 1790).await;
    let log = directory.samples().join("00000001.log");
    let kept = fs::read(&log).unwrap();
    directory.run(START + 1_800_000, 5).await;
    assert_eq!(directory.names(), ["00000001.chunks", "00000002.log"]);
    // Ended before the log was removed, and while the next file was written.
    fs::write(&log, &kept).unwrap();
    fs::write(directory.samples().join("00000002.chunks.unfinished"), b"half").unwrap();
    let (archive, store) = directory.open(START + 1_900_000);
    let times = seconds(START, 1790).chain(seconds(START + 1_800_000, 5));
    assert_eq!(content(&store), expected(times));
    assert_eq!(archive.report().left_out, 0);
    archive.close(Duration::from_secs(60)).await;
    assert_eq!(directory.names(), ["00000001.chunks", "00000002.log"]);
    // Ended after the chunks were written and damaged by the same crash: the log still has all.
    fs::write(&log, &kept).unwrap();
    fs::write(directory.samples().join("00000001.chunks"), b"bwchunks, and then?").unwrap();
    let (_archive, store) = directory.open(START + 1_900_000);
    assert_eq!(content(&store)["a"].len(), 1795);
}

#[tokio::test]
async fn a_later_programs_file_is_refused_and_nothing_is_touched() {
    let directory = Directory::new();
    let (path, file, ends) = log(&directory, 3).await;
    fs::write(&path, &file[..ends[2] + 3]).unwrap();
    let newer = directory.samples().join("00000009.chunks");
    fs::write(&newer, [&header_of(Kind::Chunks, 2), b"who knows".as_slice()].concat()).unwrap();
    let now = Timestamp::from_millis(START + 10_000);
    let error =
        Archive::open(&directory.0, SETTINGS, Vec::new(), now, Telemetry::new()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("have version `2`, but this bellwether knows up to `1`"), "{error}");
    assert_eq!(fs::read(&path).unwrap().len(), ends[2] + 3);
    assert_eq!(directory.names(), ["00000001.log", "00000009.chunks"]);
}

#[tokio::test]
async fn samples_older_than_the_retention_leave_the_disk() {
    let directory = Directory::new();
    let settings = Settings { retention: Duration::from_secs(3600), ..SETTINGS };
    directory.run_with(settings.clone(), START, 2000).await;
    assert_eq!(directory.names(), ["00000001.chunks", "00000002.log"]);
    // The first ended after 1799 s, the second after 1999 s.
    directory.run_with(settings.clone(), START + 5_399_000, 1).await;
    assert_eq!(directory.names(), ["00000001.chunks", "00000002.chunks", "00000003.log"]);
    directory.run_with(settings, START + 5_400_000, 1).await;
    assert_eq!(directory.names(), ["00000002.chunks", "00000003.log"]);
}

#[tokio::test]
async fn a_retention_that_a_reload_brings_holds_from_then_on() {
    let directory = Directory::new();
    directory.run(START, 2000).await;
    let now = START + 5_400_000;
    let (archive, mut store) = directory.open(now);
    store.note_writes();
    write(&archive, &mut store, now).await;
    let settings = Settings { retention: Duration::from_secs(3600), ..SETTINGS };
    archive.keep(settings, Vec::new());
    // The next tidying is half an hour on.
    write(&archive, &mut store, now + 1_900_000).await;
    archive.close(Duration::from_secs(60)).await;
    let names = directory.names();
    assert!(!names.contains(&"00000001.chunks".to_owned()), "{names:?}");
}

#[tokio::test]
async fn the_oldest_samples_leave_when_room_is_short() {
    let directory = Directory::new();
    let settings = Settings { size_max_bytes: 60_000, ..SETTINGS };
    fs::create_dir_all(directory.samples()).unwrap();
    fs::write(directory.samples().join("00000001.log.damaged-7"), [1; 50_000]).unwrap();
    directory.run_with(settings, START, 10_000).await;
    let names = directory.names();
    assert!(!names.contains(&"00000001.log.damaged".to_owned()), "{names:?}");
    assert!(!names.contains(&"00000001.chunks".to_owned()), "{names:?}");
    let size: u64 = fs::read_dir(directory.samples())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!((20_000..60_000 + 15_000).contains(&size), "{size}");
    let (_archive, store) = directory.open(START + 10_000_000);
    let kept = content(&store)["a"].len();
    assert!(kept > 1000);
    assert_eq!(content(&store), expected(seconds(START, 10_000).skip(10_000 - kept)));
}

#[tokio::test]
async fn samples_wait_for_a_disk_that_can_be_written() {
    let directory = Directory::new();
    // A file where the directory should be: nothing can be made there.
    fs::write(directory.samples(), b"in the way").unwrap();
    let telemetry = Telemetry::new();
    let now = Timestamp::from_millis(START);
    let (archive, mut store) =
        Archive::open(&directory.0, SETTINGS, Vec::new(), now, telemetry.clone()).unwrap();
    store.note_writes();
    for at in seconds(START, 10) {
        write(&archive, &mut store, at).await;
    }
    let failures = || telemetry.first_of("bellwether_archive_failures_total").unwrap_or_default();
    while failures() < 11.0 {
        tokio::task::yield_now().await;
    }
    fs::remove_file(directory.samples()).unwrap();
    write(&archive, &mut store, START + 10_000).await;
    archive.close(Duration::from_secs(60)).await;
    let (_archive, store) = directory.open(START + 20_000);
    assert_eq!(content(&store), expected(seconds(START, 11)));
}

#[tokio::test]
async fn a_log_that_somebody_removed_is_begun_anew() {
    let directory = Directory::new();
    directory.run(START, 5).await;
    let (archive, mut store) = directory.open(START + 5000);
    store.note_writes();
    fs::remove_file(directory.samples().join("00000001.log")).unwrap();
    // The first finds out, and is lost; the next is written.
    write(&archive, &mut store, START + 5000).await;
    write(&archive, &mut store, START + 6000).await;
    archive.close(Duration::from_secs(60)).await;
    let (_archive, store) = directory.open(START + 7000);
    assert_eq!(content(&store), expected(seconds(START + 6000, 1)));
}

#[tokio::test]
async fn a_clock_that_was_set_back_silences_nothing() {
    let directory = Directory::new();
    directory.run(START + 3_600_000, 5).await;
    let report = directory.run(START, 5).await;
    assert_eq!((report.from_future, report.left_out), (15, 0));
    let report = directory.run(START + 60_000, 5).await;
    assert_eq!(report.failed, 0);
    let (_archive, store) = directory.open(START + 70_000);
    assert_eq!(content(&store), expected(seconds(START, 5).chain(seconds(START + 60_000, 5))));
    // What the wrong clock wrote does not come back when its time has come.
    let (archive, store) = directory.open(START + 7_200_000);
    assert_eq!(content(&store), expected(seconds(START, 5).chain(seconds(START + 60_000, 5))));
    assert_eq!(archive.report().left_out, 15);
}

#[tokio::test]
async fn the_end_waits_for_what_is_queued() {
    let directory = Directory::new();
    let (archive, _store) = directory.open(START);
    let labels = Labels::from_pairs([("__name__", "a")]);
    for at in seconds(START, 500) {
        let sample = Sample { at: Timestamp::from_millis(at), value: 1.0 };
        let written = Written { series: 1, labels: labels.clone(), sample };
        archive.batches().try_send(vec![written]).unwrap();
    }
    archive.close(Duration::from_secs(60)).await;
    let (_archive, store) = directory.open(START + 500_000);
    assert_eq!(content(&store)["a"].len(), 500);
    assert!(Path::new(&directory.0).exists());
}

/// How many samples of a series a window over everything tells of.
fn counted(store: &Store, name: &str) -> u64 {
    let matchers = [Matcher::parse(&format!("__name__={name}")).unwrap()];
    let mut count = 0;
    store.look(&matchers, Timestamp::MIN, Timestamp::MAX, &mut |_, series| {
        let seen = series.window(Timestamp::MIN, Timestamp::MAX, Wants::Growth);
        count += seen.middle.map_or(0, |middle| u64::from(middle.count));
        count += (seen.head.len() + seen.tail.len()) as u64;
    });
    count
}

/// A turn every 15 s for 30 hours, of which one hour is kept and one series is watched.
#[tokio::test]
async fn what_leaves_is_still_told_of_where_it_is_watched() {
    let directory = Directory::new();
    let (hour, day) = (3_600_000, 86_400_000);
    let settings = Settings { retention: Duration::from_secs(3600), ..SETTINGS };
    let watches =
        vec![Watch { matchers: vec![Matcher::parse("__name__=a").unwrap()], reach: 10 * DAY }];
    let open = |now: i64| {
        let (now, telemetry) = (Timestamp::from_millis(now), Telemetry::new());
        Archive::open(&directory.0, settings.clone(), watches.clone(), now, telemetry).unwrap()
    };
    let (archive, mut store) = open(START);
    store.note_writes();
    for turn in 0..7200 {
        append(&mut store, START + turn * 15_000);
        // Each batch costs a sync of the disk.
        if turn % 20 == 19 {
            archive.batches().send(store.take_written()).await.unwrap();
        }
    }
    archive.close(Duration::from_secs(60)).await;
    let of_kind = |kind: &str| directory.names().iter().filter(|name| name.ends_with(kind)).count();
    // Every half hour leaves a file, and the 49th makes one of all.
    assert!((2..20).contains(&of_kind(".digests")), "{:?}", directory.names());
    assert!((2..5).contains(&of_kind(".chunks")), "{:?}", directory.names());

    let (archive, store) = open(START + 30 * hour);
    assert_eq!(counted(&store, "a"), 7200);
    assert!((240..=500).contains(&counted(&store, "b")), "{}", counted(&store, "b"));
    archive.close(Duration::from_secs(60)).await;

    // The process ended after many files were joined and before they were removed.
    let digests = directory.names().into_iter().find(|name| name.ends_with(".digests")).unwrap();
    let copy = directory.samples().join("00000002.digests");
    fs::copy(directory.samples().join(digests), copy).unwrap();
    // Whoever was down for two days goes on with what there was.
    let (archive, mut store) = open(START + 2 * day);
    assert_eq!((counted(&store, "a"), counted(&store, "b")), (7200, 0));
    store.expire(Timestamp::from_millis(START + 12 * day));
    assert_eq!(store.stats().series, 0);
    archive.close(Duration::from_secs(60)).await;
    let (archive, store) = directory.open_with(settings.clone(), START + 2 * day);
    assert_eq!(store.stats().series, 0, "nobody watches any more");
    archive.close(Duration::from_secs(60)).await;
}
