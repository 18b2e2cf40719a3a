//! Plays a reply's steps as a response body.

use std::convert::Infallible;
use std::time::Duration;
use std::vec::IntoIter;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::Cut;
use super::plan::Step;

/// Silence and keep-alives without end do end, so that a forgotten asker holds no socket forever.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(600);
/// What was sent before a break leaves for the peer in this time.
const FLUSH: Duration = Duration::from_millis(5);

/// The body was broken off on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script cuts the connection")]
pub(super) struct Severed;

/// A response body of any make.
pub(super) type Body = UnsyncBoxBody<Bytes, Severed>;

/// A body that is there at once.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that follows the steps; times count from `started`.
pub(super) fn play(steps: Vec<Step>, started: Instant, cut: Cut) -> Body {
    let play = Play { steps: steps.into_iter(), started, cut, repeat: None };
    StreamBody::new(frames(play)).boxed_unsync()
}

struct Play {
    steps: IntoIter<Step>,
    started: Instant,
    cut: Cut,
    /// What is sent again and again, and when that ends.
    repeat: Option<(Duration, Bytes, Instant)>,
}

fn frames(play: Play) -> impl Stream<Item = Result<Frame<Bytes>, Severed>> {
    unfold(play, |mut play| async move {
        let item = play.next().await?;
        Some((item.map(Frame::data), play))
    })
}

impl Play {
    async fn next(&mut self) -> Option<Result<Bytes, Severed>> {
        if let Some((every, bytes, ends)) = &self.repeat {
            sleep(*every).await;
            return (Instant::now() < *ends).then(|| Ok(bytes.clone()));
        }
        loop {
            match self.steps.next()? {
                Step::Until(at) => sleep_until(self.started + at).await,
                Step::Send(bytes) => return Some(Ok(bytes)),
                Step::Repeat { every, bytes } => {
                    self.repeat = Some((every, bytes.clone(), Instant::now() + SILENCE_MAX));
                    return Some(Ok(bytes));
                }
                Step::Silence => sleep(SILENCE_MAX).await,
                Step::Close => {
                    sleep(FLUSH).await;
                    return Some(Err(Severed));
                }
                Step::Reset => {
                    sleep(FLUSH).await;
                    self.cut.order();
                    return Some(Err(Severed));
                }
            }
        }
    }
}
