//! Threads with a runtime of their own, for work that nothing else may delay.
//!
//! What runs on one is never moved to another, so that a task that wakes its neighbour wakes no
//! thread: in a virtual machine that costs more than most of what the neighbour then does.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many threads there are for some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// None: it is done where the caller runs.
    Callers,
    /// So many, which do nothing else.
    Own(NonZeroUsize),
}

impl Threads {
    /// As many as there are cores.
    pub fn available() -> NonZeroUsize {
        std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    }
}

/// A runtime to spawn on. All that runs on a thread ends when nobody holds it any more.
#[derive(Clone, Debug)]
pub struct Thread {
    runtime: Handle,
    _end: Option<Arc<oneshot::Sender<()>>>,
}

impl Thread {
    /// The runtime of whoever asks, which must have one.
    pub fn callers() -> Self {
        Self { runtime: Handle::current(), _end: None }
    }

    /// A new one; the name is what `top -H` shows.
    pub fn start(name: impl Into<String>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            // Nothing is ever sent: it ends when the sender is dropped.
            let _is_told = runtime.block_on(ended).is_ok();
            // A name server that does not answer holds nobody up.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _end: Some(Arc::new(end)) })
    }

    /// Where to spawn.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_on_a_thread_stays_there_and_ends_with_it() {
        let thread = Thread::start("apart").unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        let (begun, has_begun) = oneshot::channel();
        let (left, is_left) = oneshot::channel::<()>();
        let task = thread.runtime().spawn(async move {
            // Whoever asks may have gone away.
            let _is_heard = begun.send(name()).is_ok();
            std::future::pending::<()>().await;
            drop(left);
        });
        assert_eq!(has_begun.await.unwrap().as_deref(), Some("apart"));
        drop(thread);
        assert!(is_left.await.is_err());
        assert!(task.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn the_callers_runtime_outlives_its_handle() {
        let thread = Thread::callers();
        let task = thread.runtime().spawn(std::future::ready(7));
        drop(thread);
        assert_eq!(task.await.unwrap(), 7);
    }
}
