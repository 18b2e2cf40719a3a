//! An HTTP/1.1 exchange that is driven by whoever waits for it.
//!
//! There is no task beside the asker's: each look at the answer moves the connection as far as the
//! socket lets it. That saves a wake-up and a turn of the scheduler for each piece, keeps stamps as
//! close to the socket as they can be, and ties the connection to the exchange: an asker that goes
//! away closes it. When the answer is all there, the connection is taken apart and rests as a socket.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::{TrySendError, http1};

use super::pool::Pool;
use super::way::{Io, Socket};
use crate::model::Timestamp;

type Sent = Request<Full<Bytes>>;

/// The body of an answer, as it comes.
pub struct Arriving {
    way: Way,
    is_new: bool,
    certificate_expires: Option<Timestamp>,
}

enum Way {
    Alone(Box<Exchange>),
    Shared(Incoming),
}

impl Arriving {
    pub(super) fn alone(exchange: Box<Exchange>, is_new: bool) -> Self {
        let certificate_expires = exchange.certificate_expires;
        Self { way: Way::Alone(exchange), is_new, certificate_expires }
    }

    pub(super) fn shared(
        body: Incoming,
        is_new: bool,
        certificate_expires: Option<Timestamp>,
    ) -> Self {
        Self { way: Way::Shared(body), is_new, certificate_expires }
    }

    /// Whether the connection was made for this exchange.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// When the server's own certificate ends; `None` where there was no TLS, or where the certificate
    /// cannot be read. The chain above it is checked in the handshake and renewed by others.
    pub fn certificate_expires(&self) -> Option<Timestamp> {
        self.certificate_expires
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.way {
            Way::Alone(exchange) => exchange.poll_frame(context),
            Way::Shared(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.way {
            Way::Alone(exchange) => exchange.is_end_stream(),
            Way::Shared(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.way {
            Way::Alone(exchange) => exchange.size_hint(),
            Way::Shared(body) => body.size_hint(),
        }
    }
}

/// One request and its answer, with the connection that they go over.
pub(super) struct Exchange {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it is closed, or rests.
    connection: Option<http1::Connection<Box<dyn Io>, Full<Bytes>>>,
    body: Option<Incoming>,
    home: Arc<Pool>,
    certificate_expires: Option<Timestamp>,
}

impl Exchange {
    /// Sets up what speaks HTTP over a socket.
    pub async fn over(socket: Socket, home: Arc<Pool>) -> hyper::Result<Box<Self>> {
        let Socket { io, certificate_expires, .. } = socket;
        let (sender, connection) = http1::Builder::new().handshake(io).await?;
        let connection = Some(connection);
        Ok(Box::new(Self { sender, connection, body: None, home, certificate_expires }))
    }

    /// Sends a request, up to the answer's head. What never left comes back with the error.
    pub async fn ask(
        mut self: Box<Self>,
        request: Sent,
    ) -> Result<(Response<()>, Box<Self>), TrySendError<Sent>> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let response = std::future::poll_fn(|context| {
            drive(connection, context, |context| answer.as_mut().poll(context))
        })
        .await?;
        let (head, body) = response.into_parts();
        self.body = Some(body);
        if self.is_end_stream() {
            self.rest();
        }
        Ok((Response::from_parts(head, ()), self))
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = drive(&mut self.connection, context, |context| {
            Pin::new(&mut *body).poll_frame(context)
        });
        match &polled {
            Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => {}
            Poll::Ready(Some(Ok(_)) | None) => self.rest(),
            // What broke is not used again.
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }

    /// Takes the connection apart, if another request can go over it.
    fn rest(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let mut context = Context::from_waker(Waker::noop());
        // Not to be put off by how much the task has done already: this is but a look.
        let mut look = tokio::task::unconstrained(&mut connection);
        let is_closed = Pin::new(&mut look).poll(&mut context).is_ready();
        // It asks for the next request only when it is done with this one, in both directions.
        if is_closed || !self.sender.is_ready() {
            return;
        }
        let parts = connection.into_parts();
        if parts.read_buf.is_empty() {
            let certificate_expires = self.certificate_expires;
            self.home.put(Socket { io: parts.io, is_http2: false, certificate_expires });
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.body.is_some() && self.is_end_stream() {
            self.rest();
        }
    }
}

/// Polls a part of an exchange, the connection, and the part again. While the connection is polled the
/// part has no waker, since what it does then is seen at once; the last look leaves the task's own.
fn drive<T>(
    connection: &mut Option<http1::Connection<Box<dyn Io>, Full<Bytes>>>,
    context: &mut Context<'_>,
    mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if let Some(open) = connection {
        if let Poll::Ready(ready) = part(&mut Context::from_waker(Waker::noop())) {
            return Poll::Ready(ready);
        }
        if Pin::new(open).poll(context).is_ready() {
            *connection = None;
        }
    }
    part(context)
}
