//! A listening socket that one process hands to the next.
//!
//! Both then hold the same socket with the same queue, so that nobody who connects in between is lost:
//! a second socket on the same address would have a queue of its own, and who stands in the first one's
//! when it closes is turned away. The socket goes over a Unix socket in a directory that both use. The
//! heir says when it serves; until then the one before goes on, whatever becomes of the heir.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const NAME: &str = "router.sock";
/// How long an heir may take from the socket to serving: it only has to start a router.
const PATIENCE: Duration = Duration::from_secs(30);
/// Comes with the socket, since nothing can come with no byte at all.
const HERE: [u8; 1] = *b"S";
/// Says that the heir serves.
const TAKEN: [u8; 1] = *b"T";

/// A socket that is offered until somebody takes it.
#[derive(Debug)]
pub struct Offer {
    path: PathBuf,
    taken: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Offer {
    /// Offers a listening socket to whoever claims it by the directory.
    pub fn new(directory: &Path, socket: OwnedFd) -> io::Result<Self> {
        let path = directory.join(NAME);
        // Of a process that was killed, or that has an heir already.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        let (sender, taken) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handed = tokio::time::timeout(PATIENCE, hand(stream, &socket)).await;
                match handed {
                    Ok(Ok(())) => {
                        sender.send_replace(true);
                        return;
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "the router was not taken over"),
                    Err(_) => tracing::warn!("who wanted to take the router over did not"),
                }
            }
        });
        Ok(Self { path, taken, task })
    }

    /// Becomes true once an heir serves.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.taken.clone()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.task.abort();
        if !*self.taken.borrow() {
            // Where it is gone already, nobody will look for it.
            let _is_gone = std::fs::remove_file(&self.path).is_ok();
        }
    }
}

async fn hand(mut stream: UnixStream, socket: &OwnedFd) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is another user's process",
        ));
    }
    stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let rights = [socket.as_fd()];
            let has_room = ancillary.push(SendAncillaryMessage::ScmRights(&rights));
            assert!(has_room, "the space is as large as one descriptor needs");
            let bytes = [IoSlice::new(&HERE)];
            Ok(sendmsg(&stream, &bytes, &mut ancillary, SendFlags::empty())?)
        })
        .await?;
    let mut said = [0];
    stream.read_exact(&mut said).await?;
    if said == TAKEN { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A socket that was handed over; whoever had it goes on until [`Claim::take`].
#[derive(Debug)]
pub struct Claim {
    stream: UnixStream,
}

impl Claim {
    /// Says that the heir serves, so that the one before may stop.
    pub async fn take(mut self) -> io::Result<()> {
        self.stream.write_all(&TAKEN).await
    }
}

/// Claims the socket that is offered by the directory; `None` where nobody offers one.
pub async fn claim(directory: &Path) -> io::Result<Option<(TcpListener, Claim)>> {
    let stream = match UnixStream::connect(directory.join(NAME)).await {
        Ok(stream) => stream,
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                .contains(&error.kind()) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let received = stream.async_io(Interest::READABLE, || receive(&stream));
    let socket = tokio::time::timeout(PATIENCE, received).await??;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(Some((TcpListener::from_std(listener)?, Claim { stream })))
}

fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    recvmsg(stream, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    socket.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it hands no socket over"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("bw-{name}-{:08x}", rand::random::<u32>()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn who_connects_in_between_is_served_by_the_heir() {
        let directory = directory("heir");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = listener.as_fd().try_clone_to_owned().unwrap();
        let offer = Offer::new(&directory, socket).unwrap();
        // In the queue of the one before, which never looks.
        let early = TcpStream::connect(address).await.unwrap();
        let (inherited, taken) = claim(&directory).await.unwrap().unwrap();
        assert_eq!(inherited.local_addr().unwrap(), address);
        let mut watched = offer.watch();
        assert!(!*watched.borrow());
        taken.take().await.unwrap();
        watched.wait_for(|taken| *taken).await.unwrap();
        drop((listener, offer));
        let (_, peer) = inherited.accept().await.unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
        assert!(directory.join(NAME).exists(), "it is the heir's to replace");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn an_heir_that_fails_changes_nothing() {
        let directory = directory("fails");
        assert!(claim(&directory).await.unwrap().is_none());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = listener.as_fd().try_clone_to_owned().unwrap();
        let offer = Offer::new(&directory, socket).unwrap();
        drop(claim(&directory).await.unwrap().unwrap());
        // The next one is heard.
        let (_, taken) = claim(&directory).await.unwrap().unwrap();
        assert!(!*offer.watch().borrow());
        taken.take().await.unwrap();
        offer.watch().wait_for(|taken| *taken).await.unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
