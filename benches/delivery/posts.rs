//! The outbox and the queues by themselves: a hung receiver, a 429, a thousand signed webhooks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether::clock::Clock;
use bellwether::journal::{Batch, DeliveryRecord, Journal};
use bellwether::model::{HttpSettings, SecretSource, UrlSource};
use bellwether::notice::{Delivery, Endpoint, HookId, Policy, Protocol, Sending};
use bellwether::notifier::{Notifier, Report};
use bellwether::telemetry::Telemetry;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::distribution;
use super::receiver::{Manner, Receiver};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn endpoint(position: usize, receiver: &Receiver, secret: Option<PathBuf>) -> Endpoint {
    Endpoint {
        hook: HookId::webhook("r", position),
        url: UrlSource::Plain(receiver.url.clone()),
        timeout: Duration::from_secs(10),
        protocol: Protocol::Webhook {
            signing_secrets: secret.map(SecretSource::File).into_iter().collect(),
        },
        http: HttpSettings::default(),
        policy: Policy::Notice,
        guard: None,
    }
}

fn notice(position: usize, id: &str, clock: Clock) -> Delivery {
    Delivery {
        hook: HookId::webhook("r", position),
        id: id.to_owned(),
        order: id.to_owned(),
        // As long as a notice of one alert.
        body: Arc::from(format!("{{\"id\":\"{id}\",\"alerts\":\"{}\"}}", "x".repeat(900))),
        decided_at: clock.now(),
        sending: Sending::Real,
    }
}

/// Takes reports away, so that nobody waits.
fn drain(mut reports: mpsc::Receiver<Report>) {
    tokio::spawn(async move { while reports.recv().await.is_some() {} });
}

/// How long a healthy receiver waits for each of 300 notices, alone and beside one that hangs.
pub async fn hung() -> anyhow::Result<()> {
    for is_beside in [false, true] {
        let clock = Clock::start();
        let (healthy, hung) =
            (Receiver::start(Manner::Takes).await?, Receiver::start(Manner::Hangs).await?);
        let endpoints = vec![endpoint(0, &healthy, None), endpoint(1, &hung, None)];
        let (notifier, reports) = Notifier::spawn(endpoints, clock, Telemetry::new());
        drain(reports);
        let mut sent = Vec::new();
        for number in 0..300 {
            if is_beside {
                notifier.send(notice(1, &format!("h{number}"), clock));
            }
            sent.push(Instant::now());
            notifier.send(notice(0, &format!("{number}"), clock));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        until(|| healthy.count() == 300).await;
        let took = healthy.calls().into_iter().filter_map(|call| {
            let number: usize = call.id.parse().ok()?;
            Some(call.at - sent[number])
        });
        let what = if is_beside { "beside a hung receiver" } else { "alone" };
        println!("healthy receiver {what:<24} {}", distribution(took.collect()));
        notifier.stop(Duration::ZERO).await;
    }
    Ok(())
}

/// When 40 receivers that ask for three seconds are asked again.
pub async fn retry() -> anyhow::Result<()> {
    let clock = Clock::start();
    let mut receivers = Vec::new();
    for _ in 0..40 {
        receivers.push(Receiver::start(Manner::AsksForThreeSeconds).await?);
    }
    let endpoints =
        receivers.iter().enumerate().map(|(at, receiver)| endpoint(at, receiver, None)).collect();
    let (notifier, reports) = Notifier::spawn(endpoints, clock, Telemetry::new());
    drain(reports);
    for at in 0..receivers.len() {
        notifier.send(notice(at, &format!("m{at}"), clock));
    }
    until(|| receivers.iter().all(|receiver| receiver.count() == 2)).await;
    let gaps = receivers.iter().map(|receiver| {
        let calls = receiver.calls();
        calls[1].at - calls[0].at
    });
    let gaps: Vec<Duration> = gaps.collect();
    let least = gaps.iter().min().copied().unwrap_or_default();
    println!(
        "429, Retry-After: 3  min {:>8.1} ms  {}",
        least.as_secs_f64() * 1000.0,
        distribution(gaps)
    );
    notifier.stop(Duration::ZERO).await;
    Ok(())
}

/// A thousand notices of a thousand groups, from the decision to the end of each on disk.
pub async fn thousand() -> anyhow::Result<()> {
    for _ in 0..5 {
        let clock = Clock::start();
        let name = format!("bellwether-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory)?;
        let secret = directory.join("secret");
        std::fs::write(&secret, SECRET)?;
        let journal = Journal::open(&directory, clock).await?;
        let receiver = Receiver::start(Manner::Takes).await?;
        let endpoints = vec![endpoint(0, &receiver, Some(secret))];
        let (notifier, mut reports) = Notifier::spawn(endpoints, clock, Telemetry::new());
        let notices: Vec<Delivery> =
            (0..1000).map(|number| notice(0, &format!("m{number}"), clock)).collect();
        let cpu = cpu();
        let start = Instant::now();
        journal.write(Batch { notices: notices.clone(), ..Batch::default() }).await?;
        let durable = start.elapsed();
        notices.into_iter().for_each(|notice| notifier.send(notice));
        let mut some = Vec::new();
        let mut ended = 0;
        let mut received = Duration::ZERO;
        while ended < 1000 {
            ended += reports.recv_many(&mut some, 256).await;
            let endings = some.drain(..).map(record).collect();
            let written = journal.write(Batch { endings, ..Batch::default() });
            if ended == 1000 {
                received = start.elapsed();
                written.await?;
            }
        }
        println!(
            "1,000 signed webhooks  on disk {:.3} s  delivered {:.3} s  ends on disk {:.3} s  \
             CPU {:.3} s with the receiver's",
            durable.as_secs_f64(),
            received.as_secs_f64(),
            start.elapsed().as_secs_f64(),
            (cpu_since(cpu)).as_secs_f64(),
        );
        notifier.stop(Duration::ZERO).await;
        journal.close().await;
        std::fs::remove_dir_all(&directory)?;
    }
    Ok(())
}

fn record(report: Report) -> DeliveryRecord {
    DeliveryRecord {
        hook: report.hook,
        id: report.id,
        at: report.at,
        attempts: report.attempts,
        result: report.ending.as_str().to_owned(),
        detail: report.ending.to_string(),
    }
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// CPU time of this process so far, in ticks of 10 ms; nothing where the system does not say.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn cpu_since(before: u64) -> Duration {
    Duration::from_millis(10 * cpu().saturating_sub(before))
}
