//! The body of an answer on its way to the client.
//!
//! Each piece goes on as it came, when it came; the next is asked for when the client has room for it.
//! Three things end it that no byte says. A stream whose content stops coming is given up, and cut. A
//! body that breaks off, or a stream that ends without its end, is cut too, so that the client sees a
//! broken answer and not a short one. And one whose end was told, but whose socket stays open, is
//! ended in good order, since clients would wait for it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::account::Account;
use super::attempt::{Answer, Retold, Watch};
use super::crew::Hall;
use super::observe::{Observed, Observer};
use crate::probe::Timeouts;
use crate::provider::ErrorType;
use crate::provider::translate::Stream;
use crate::upstream::{Arriving, Stage, classify};

/// Why an answer is cut. Nobody reads it: the connection ends in the middle of a body.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Cut {
    /// The provider's answer broke off.
    #[error("the provider's answer broke off")]
    Broken,
    /// It ended without saying so.
    #[error("the provider's answer ended without its end")]
    Truncated,
    /// Nothing came for too long.
    #[error("the provider's answer stopped coming")]
    Stalled,
}

/// A body that is watched while it passes.
pub(super) struct Passing {
    first: VecDeque<Bytes>,
    rest: Option<Arriving>,
    watch: Option<Watch>,
    account: Option<Account>,
    timeouts: Timeouts,
    sent: Instant,
    began: Instant,
    timer: Pin<Box<Sleep>>,
    length: SizeHint,
    /// Why it is cut at the next look.
    cut: Option<Cut>,
    /// Tells the answer in the client's words, where these are others.
    told: Option<Telling>,
}

/// Tells an answer, and in the end what was lost of it.
struct Telling {
    stream: Box<Stream>,
    hall: Arc<Hall>,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.hall.telemetry.answer_lost(self.stream.direction(), self.stream.lost());
    }
}

impl Passing {
    pub fn new(answer: Answer, account: Account) -> (http::response::Parts, Self) {
        let Answer { head, mut first, rest, watch, told } = answer;
        let told = match told {
            None => None,
            Some(Retold::Stream(stream)) => {
                Some(Telling { stream, hall: Arc::clone(&account.hall) })
            }
            Some(Retold::Whole(direction, lost)) => {
                account.hall.telemetry.answer_lost(direction, &lost);
                None
            }
        };
        first.retain(|bytes| !bytes.is_empty());
        let now = Instant::now();
        let (timeouts, sent) = (account.desk.route.timeouts, account.sent);
        let length = match &rest {
            Some(rest) => {
                let held: u64 = first.iter().map(|bytes| bytes.len() as u64).sum();
                let mut length = SizeHint::default();
                if let Some(exact) = rest.size_hint().exact().filter(|_| told.is_none()) {
                    length.set_exact(held + exact);
                }
                length
            }
            None => SizeHint::with_exact(first.iter().map(|bytes| bytes.len() as u64).sum()),
        };
        let mut passing = Self {
            first,
            rest,
            watch: Some(watch),
            account: Some(account),
            timeouts,
            sent,
            began: now,
            timer: Box::pin(sleep_until(now + timeouts.idle)),
            length,
            cut: None,
            told,
        };
        passing.settle_if_graded();
        passing.note_maker();
        (head, passing)
    }

    /// What is known need not wait for the client to read it. Its attempt was counted already where
    /// it failed.
    fn settle_if_graded(&mut self) {
        if let Some(Watch::Graded(_)) = &self.watch
            && let (Some(Watch::Graded(observed)), Some(account)) =
                (self.watch.take(), self.account.take())
        {
            if observed.error_type == ErrorType::None {
                account.settle(&observed);
            } else {
                let status = observed.status.unwrap_or_default();
                account.give_up(&observed, status);
            }
        }
    }

    fn observer(&mut self) -> Option<&mut Observer> {
        match &mut self.watch {
            Some(Watch::Watching(observer)) => Some(observer),
            Some(Watch::Graded(_)) | None => None,
        }
    }

    /// When to stop waiting for the next piece.
    fn deadline(&self) -> Instant {
        match &self.watch {
            Some(Watch::Watching(observer)) => observer.deadline(&self.timeouts, self.began),
            Some(Watch::Graded(_)) | None => self.sent + self.timeouts.total,
        }
    }

    /// The body is over; tells what came of it.
    fn finish(&mut self) {
        self.rest = None;
        let (Some(Watch::Watching(observer)), Some(account)) =
            (self.watch.take(), self.account.take())
        else {
            return;
        };
        let observed: Observed = observer.finish();
        account.settle(&observed);
    }

    /// A piece came.
    fn take(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let (Some(bytes), Some(observer)) = (frame.data_ref(), self.observer()) {
            observer.bytes(bytes, Instant::now());
        }
        self.note_maker();
        if self.is_all_there() {
            self.end();
        }
        frame
    }

    /// Before the client can have read the id, and ask for more by it.
    fn note_maker(&mut self) {
        if let (Some(Watch::Watching(observer)), Some(account)) = (&self.watch, &mut self.account) {
            account.made(observer.answer_id());
        }
    }

    /// A body of known length is not asked for its end once it is there.
    fn is_all_there(&self) -> bool {
        self.length.exact().is_some()
            && self.first.is_empty()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    /// A piece in the client's words; `None` where it says nothing there.
    fn tell(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let Some(told) = &mut self.told else { return Some(frame) };
        let bytes = told.stream.feed(frame.data_ref()?);
        (!bytes.is_empty()).then(|| Frame::data(Bytes::from(bytes)))
    }

    /// What is still to be told once the provider has said everything.
    fn last_words(&mut self) -> Option<Result<Frame<Bytes>, Cut>> {
        let bytes = self.told.take()?.stream.end();
        (!bytes.is_empty()).then(|| Ok(Frame::data(Bytes::from(bytes))))
    }

    /// Nothing more comes. Whether that is as it should be.
    fn end(&mut self) -> bool {
        let is_whole = self.observer().is_none_or(|observer| observer.end(Instant::now()));
        self.finish();
        is_whole
    }

    /// It came to nothing.
    fn break_off(&mut self, failure: ErrorType) {
        if let Some(observer) = self.observer() {
            observer.broke(failure, Instant::now());
        }
        self.finish();
    }

    /// Nothing came for too long. `None` where that is no failure.
    fn give_up(&mut self) -> Option<Cut> {
        if self.observer().is_some_and(|observer| observer.is_complete()) {
            self.end();
            return None;
        }
        let is_total = Instant::now() >= self.sent + self.timeouts.total;
        let has_content = self.observer().is_some_and(|observer| observer.has_content());
        let failure = match (is_total, has_content) {
            (true, _) => ErrorType::TotalTimeout,
            // It began, with nothing but signs of life.
            (false, _) => ErrorType::StalledStream,
        };
        self.break_off(failure);
        Some(Cut::Stalled)
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        if let Some(cut) = this.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        if let Some(bytes) = this.first.pop_front() {
            if this.is_all_there() {
                this.end();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        loop {
            let Some(rest) = &mut this.rest else {
                this.end();
                return Poll::Ready(None);
            };
            match Pin::new(rest).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let frame = this.take(frame);
                    if let Some(frame) = this.tell(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    // The end was told: what the socket did after harms nobody.
                    if this.observer().is_some_and(|observer| observer.is_complete()) {
                        this.end();
                        return Poll::Ready(this.last_words());
                    }
                    this.break_off(classify(&error, Stage::Reading));
                    return this.cut_next(Cut::Broken, context);
                }
                Poll::Ready(None) => {
                    return match this.end() {
                        true => Poll::Ready(this.last_words()),
                        false => this.cut_next(Cut::Truncated, context),
                    };
                }
                Poll::Pending => return this.poll_timer(context),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.is_none() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
    }
}

impl Passing {
    /// Cuts the answer, but not in the same breath as its last piece: what the server holds goes out
    /// when it is told to wait, and is dropped when it is told of a failure.
    fn cut_next(
        &mut self,
        cut: Cut,
        context: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.cut = Some(cut);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The timer is moved when it fires and not with each piece: most never fire.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let by = self.deadline();
        if self.timer.deadline() > by {
            self.timer.as_mut().reset(by);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let by = self.deadline();
            if Instant::now() >= by || self.observer().is_some_and(|seen| seen.is_over()) {
                let cut = self.give_up().map(Err);
                return Poll::Ready(cut.or_else(|| self.last_words()));
            }
            self.timer.as_mut().reset(by);
        }
        Poll::Pending
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let (Some(Watch::Watching(mut observer)), Some(account)) =
            (self.watch.take(), self.account.take())
        else {
            return;
        };
        // The client went away; if the answer was complete, it had what it wanted.
        observer.broke(ErrorType::Cancelled, Instant::now());
        let observed = observer.finish();
        if observed.error_type == ErrorType::Cancelled {
            account.hall.telemetry.client_disconnected(&account.desk.route.id);
        }
        account.settle(&observed);
    }
}

/// The body as the server sends it.
pub(super) fn boxed(passing: Passing) -> axum::body::Body {
    axum::body::Body::new(passing.map_err(axum::Error::new))
}
