//! One client's connection: HTTP/1.1 or HTTP/2, and the rest between requests.
//!
//! hyper keeps its buffers for as long as a connection lives, some twenty kilobytes, and clients keep
//! thousands of connections that do nothing. So an HTTP/1.1 connection that has been idle for a moment
//! is taken apart: what is left is the socket, and the wait for its next byte. When that comes, hyper
//! gets the connection anew, with that byte before the others. The client sees nothing of it.
//!
//! Awkward cases. What hyper had read already of the next request goes to the connection's successor.
//! A connection is taken apart only where hyper ends it at once, so that no body is left half read in
//! front of the next request; whatever else ends it ends the socket. One that has not brought a request
//! since it was put together is left alone, since the limit on the time for a head must not begin anew
//! with each byte.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a client may take for the head of a request, and how long it may keep an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const HEAD_MAX_BYTES: usize = 64 << 10;
/// How many requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 256;
/// A server that hears nothing asks whether the client is there.
const ALIVE: Duration = Duration::from_secs(20);
/// A client that goes on within this time finds its connection as it left it.
const REST_AFTER: Duration = Duration::from_millis(20);
/// What HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection to its end, or until `closed` is ready and what is under way is answered.
pub(super) async fn converse<I, S>(
    mut socket: I,
    peer: SocketAddr,
    service: S,
    closed: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<hyper::Request<Incoming>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    let mut closed = pin!(closed);
    let service = Counted { service, standing: Arc::default() };
    let mut begun = Bytes::new();
    let mut is_known = false;
    loop {
        if begun.is_empty() {
            begun = tokio::select! {
                opening = opening(&mut socket, is_known) => match opening {
                    Some(bytes) => bytes,
                    None => break,
                },
                () = closed.as_mut() => break,
            };
        }
        let io = TokioIo::new(Prefixed { prefix: std::mem::take(&mut begun), socket });
        if !is_known && io.inner().prefix == PREFACE[..] {
            return Box::pin(multiplexed(io, peer, &service, closed)).await;
        }
        is_known = true;
        let (ended, io, rest) = Box::pin(Turn::begin(io, &service).run(closed.as_mut())).await;
        socket = io;
        match ended {
            // What is empty may still hold a buffer.
            Ended::Rests if rest.is_empty() => {}
            Ended::Rests => begun = rest,
            Ended::Over => break,
            // Without a farewell: over TLS it would make a cut answer look whole.
            Ended::Broken(error) => {
                tracing::debug!(%error, %peer, "a connection broke off");
                return;
            }
        }
    }
    // A client that went away does not hear it.
    let _best_effort = socket.shutdown().await.is_ok();
}

/// Serves HTTP/2 to its end.
async fn multiplexed<I, S>(
    io: TokioIo<Prefixed<I>>,
    peer: SocketAddr,
    service: S,
    closed: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<
            hyper::Request<Incoming>,
            Response = hyper::Response<Watched>,
            Error = Infallible,
            Future: Send + 'static,
        >,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).keep_alive_interval(ALIVE);
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection broke off");
    }
}

/// Waits for the first bytes of what comes next; `None` where nothing does. On a new connection as
/// many as tell HTTP/2 from HTTP/1.1.
async fn opening(socket: &mut (impl AsyncRead + Unpin), is_known: bool) -> Option<Bytes> {
    let mut bytes = [0; PREFACE.len()];
    let mut length = 0;
    let reading = async {
        loop {
            match socket.read(&mut bytes[length..]).await {
                Ok(0) | Err(_) => return,
                Ok(read) => length += read,
            }
            let may_be = length < PREFACE.len() && PREFACE.starts_with(&bytes[..length]);
            if is_known || !may_be {
                return;
            }
        }
    };
    let is_there = tokio::time::timeout(HEAD_TIMEOUT, reading).await.is_ok();
    (is_there && length > 0).then(|| Bytes::copy_from_slice(&bytes[..length]))
}

/// How hyper's part of a connection ended.
enum Ended {
    /// It may go on when something comes.
    Rests,
    Over,
    Broken(hyper::Error),
}

type Connection<'a, I, S> = http1::Connection<TokioIo<Prefixed<I>>, &'a Counted<S>>;

/// A connection from a first byte to the next rest.
struct Turn<'a, I, S>
where
    S: Service<hyper::Request<Incoming>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    connection: Connection<'a, I, S>,
    standing: Arc<Standing>,
    /// How many requests had begun before it.
    before: u64,
    /// How many had begun when it was idle, and since when it is.
    idle: Option<(u64, Instant)>,
    is_closing: bool,
}

impl<'a, I, S> Turn<'a, I, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<hyper::Request<Incoming>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    /// In a box of its own, so that a resting connection does not keep its room.
    fn begin(io: TokioIo<Prefixed<I>>, service: &'a Counted<S>) -> Box<Self> {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_MAX_BYTES);
        let connection = builder.serve_connection(io, service);
        let standing = Arc::clone(&service.standing);
        let before = standing.begun();
        Box::new(Self { connection, standing, before, idle: None, is_closing: false })
    }

    /// Returns how it ended, the socket, and what was read of the next request.
    async fn run(
        mut self: Box<Self>,
        mut closed: Pin<&mut impl Future<Output = ()>>,
    ) -> (Ended, I, Bytes) {
        let mut timer = pin!(tokio::time::sleep(REST_AFTER));
        let ended = std::future::poll_fn(|context| {
            if !self.is_closing && closed.as_mut().poll(context).is_ready() {
                self.is_closing = true;
                Pin::new(&mut self.connection).graceful_shutdown();
            }
            if let Poll::Ready(ended) = self.connection.poll_without_shutdown(context) {
                return Poll::Ready(match ended {
                    Ok(()) => Ended::Over,
                    Err(error) => Ended::Broken(error),
                });
            }
            if self.is_closing || !self.is_tired(timer.as_mut(), context) {
                return Poll::Pending;
            }
            Pin::new(&mut self.connection).graceful_shutdown();
            match self.connection.poll_without_shutdown(context) {
                Poll::Ready(Ok(())) => Poll::Ready(Ended::Rests),
                Poll::Ready(Err(error)) => Poll::Ready(Ended::Broken(error)),
                // It was not idle after all, and ends with what it does.
                Poll::Pending => {
                    self.is_closing = true;
                    Poll::Pending
                }
            }
        })
        .await;
        let parts = self.connection.into_parts();
        let Prefixed { prefix, socket } = parts.io.into_inner();
        debug_assert!(prefix.is_empty(), "hyper reads before it parses");
        (ended, socket, parts.read_buf)
    }

    /// Whether it has been idle for long enough. The timer is moved when it fires and not with each
    /// request.
    fn is_tired(&mut self, mut timer: Pin<&mut Sleep>, context: &mut Context<'_>) -> bool {
        let begun = self.standing.begun();
        if begun == self.before || !self.standing.is_idle() {
            return false;
        }
        let since = match self.idle {
            Some((seen, since)) if seen == begun => since,
            _ => {
                let now = Instant::now();
                self.idle = Some((begun, now));
                now
            }
        };
        while timer.as_mut().poll(context).is_ready() {
            let by = since + REST_AFTER;
            if Instant::now() >= by {
                return true;
            }
            timer.as_mut().reset(by);
        }
        false
    }
}

/// How many requests of a connection have begun, and how many have ended.
#[derive(Debug, Default)]
struct Standing {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Standing {
    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.begun() == self.ended.load(Ordering::Relaxed)
    }
}

/// A request that is under way until this is dropped.
struct UnderWay(Arc<Standing>);

impl UnderWay {
    fn begin(standing: &Arc<Standing>) -> Self {
        standing.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(standing))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A service that knows what is under way.
struct Counted<S> {
    service: S,
    standing: Arc<Standing>,
}

impl<S> Service<hyper::Request<Incoming>> for Counted<S>
where
    S: Service<hyper::Request<Incoming>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = hyper::Response<Watched>;
    type Error = Infallible;
    // hyper keeps the room of a future with its connection: an idle one shall need none.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let under_way = UnderWay::begin(&self.standing);
        let answer = self.service.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| Watched { body, _under_way: under_way }))
        })
    }
}

/// The body of an answer, which is under way as long as there is one.
struct Watched {
    body: Body,
    _under_way: UnderWay,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        hyper::body::Body::size_hint(&self.body)
    }
}

/// A socket of which some was read already.
struct Prefixed<I> {
    prefix: Bytes,
    socket: I,
}

impl<I: AsyncRead + Unpin> AsyncRead for Prefixed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let length = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(&self.prefix[..length]);
        self.prefix.advance(length);
        // What has come behind it is read with it. Nothing, an end and an error wait for the next read.
        if buffer.remaining() > 0 {
            let _is_more = Pin::new(&mut self.socket).poll_read(context, buffer).is_ready();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Prefixed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http_body_util::{BodyExt as _, Empty};
    use hyper::service::service_fn;
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;

    const REQUEST: &str = "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi";

    /// A socket that notes how much room it was last read into.
    struct Noted {
        socket: DuplexStream,
        room: Arc<Mutex<usize>>,
    }

    impl AsyncRead for Noted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            *self.room.lock().unwrap() = buffer.remaining();
            Pin::new(&mut self.socket).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Noted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.socket).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.socket).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.socket).poll_shutdown(context)
        }
    }

    /// A connection to a service that answers with path and body; `/slow` after a second, `/deaf`
    /// without looking at the body.
    struct Stage {
        client: DuplexStream,
        room: Arc<Mutex<usize>>,
        close: Option<tokio::sync::oneshot::Sender<()>>,
        served: JoinHandle<()>,
    }

    impl Stage {
        fn new() -> Self {
            let (client, socket) = tokio::io::duplex(1 << 20);
            let room = Arc::default();
            let socket = Noted { socket, room: Arc::clone(&room) };
            let (close, closed) = tokio::sync::oneshot::channel::<()>();
            let service = service_fn(async |request: hyper::Request<Incoming>| {
                let path = request.uri().path().to_owned();
                if path == "/deaf" {
                    return Ok(Response::new(Body::from(path)));
                }
                let body = request.into_body().collect().await.unwrap().to_bytes();
                if path == "/slow" {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                let said = format!("{path} {}", String::from_utf8_lossy(&body));
                Ok::<_, Infallible>(Response::new(Body::from(said)))
            });
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let closed = async { drop(closed.await) };
            let served = tokio::spawn(converse(socket, peer, service, closed));
            Self { client, room, close: Some(close), served }
        }

        async fn send(&mut self, text: &str) {
            self.client.write_all(text.as_bytes()).await.unwrap();
        }

        /// Reads until so many answers have come whole, each of which ends with a word.
        async fn hear(&mut self, word: &str, count: usize) -> String {
            let mut heard = String::new();
            let mut bytes = [0; 4096];
            while heard.matches(word).count() < count {
                let length = self.client.read(&mut bytes).await.unwrap();
                assert!(length > 0, "the connection ended after: {heard}");
                heard.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
            }
            heard
        }

        fn rests(&self) -> bool {
            *self.room.lock().unwrap() == PREFACE.len()
        }

        async fn has_ended(&mut self) -> bool {
            matches!(self.client.read(&mut [0; 64]).await, Ok(0))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_without_buffers_and_goes_on() {
        let mut stage = Stage::new();
        for _ in 0..3 {
            stage.send(REQUEST).await;
            assert!(stage.hear("/a hi", 1).await.starts_with("HTTP/1.1 200"));
            assert!(!stage.rests());
            tokio::time::sleep(2 * REST_AFTER).await;
            assert!(stage.rests());
        }
        // Pieces that are cut anywhere, with rests between the requests.
        for at in [1, 3, 23, 24, 25, REQUEST.len() - 1] {
            stage.send(&REQUEST[..at]).await;
            tokio::time::sleep(3 * REST_AFTER).await;
            stage.send(&REQUEST[at..]).await;
            stage.hear("/a hi", 1).await;
            tokio::time::sleep(3 * REST_AFTER).await;
        }
        // Two at once, and the beginning of a third.
        stage.send(&[REQUEST, REQUEST, &REQUEST[..9]].concat()).await;
        stage.hear("/a hi", 2).await;
        tokio::time::sleep(3 * REST_AFTER).await;
        stage.send(&REQUEST[9..]).await;
        stage.hear("/a hi", 1).await;
    }

    #[tokio::test]
    async fn a_connection_needs_little_room_between_requests() {
        let (_client, socket) = tokio::io::duplex(64);
        let service = service_fn(async |_: hyper::Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let resting = converse(socket, peer, service, std::future::pending());
        // The opening of a next request, a timer, and what is asked to end it.
        let room = size_of_val(&resting);
        assert!(room <= 512, "{room} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_no_rest() {
        let mut stage = Stage::new();
        stage.send("GET /slow HTTP/1.1\r\nhost: h\r\n\r\n").await;
        tokio::time::sleep(5 * REST_AFTER).await;
        assert!(!stage.rests());
        stage.hear("/slow", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_follows_a_body_that_nobody_read() {
        let mut stage = Stage::new();
        let head = "POST /deaf HTTP/1.1\r\nhost: h\r\ncontent-length: 500000\r\n\r\n";
        stage.send(head).await;
        stage.hear("/deaf", 1).await;
        tokio::time::sleep(5 * REST_AFTER).await;
        // It must not be taken for a request.
        let _may_be_refused = stage.client.write_all(REQUEST.as_bytes()).await.is_ok();
        assert!(stage.has_ended().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_more_is_left() {
        for beginning in ["", "P", &REQUEST[..20]] {
            let mut stage = Stage::new();
            stage.send(REQUEST).await;
            stage.hear("/a hi", 1).await;
            tokio::time::sleep(2 * REST_AFTER).await;
            stage.send(beginning).await;
            let began = Instant::now();
            assert!(stage.has_ended().await, "{beginning}");
            assert!(began.elapsed() <= 2 * HEAD_TIMEOUT, "{beginning}: {:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_connection_ends_when_the_listener_does() {
        let mut stage = Stage::new();
        stage.send(REQUEST).await;
        stage.hear("/a hi", 1).await;
        tokio::time::sleep(2 * REST_AFTER).await;
        drop(stage.close.take());
        let began = Instant::now();
        assert!(stage.has_ended().await && began.elapsed() < Duration::from_secs(1));
        stage.served.await.unwrap();
    }

    #[tokio::test]
    async fn http_2_is_known_by_its_preface() {
        let stage = Stage::new();
        let io = TokioIo::new(stage.client);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get("http://h/b").body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.version(), hyper::Version::HTTP_2);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "/b ");
    }
}
