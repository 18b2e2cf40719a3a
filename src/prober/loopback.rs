//! An exchange with ourselves, to see how long the machine takes.
//!
//! One connection from this process to itself, opened once; the listener is closed at once, so that
//! nobody else can knock.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::probe::Sign;

/// Far above what turns the canary red.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Loopback {
    near: TcpStream,
    echo: tokio::task::JoinHandle<()>,
}

impl Loopback {
    /// Opens the connection; `None` where there is no loopback interface.
    pub async fn open() -> Option<Self> {
        let addresses: [SocketAddr; 2] =
            [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
        for address in addresses {
            if let Ok(loopback) = Self::connect(address).await {
                return Some(loopback);
            }
        }
        None
    }

    async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let near = TcpStream::connect(listener.local_addr()?).await?;
        let own = near.local_addr()?;
        // Somebody else may have been faster to knock.
        let far = loop {
            let (far, peer) = listener.accept().await?;
            if peer == own {
                break far;
            }
        };
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        Ok(Self { near, echo: tokio::spawn(answer(far)) })
    }

    /// Sends a byte and waits for it. A connection that broke is opened anew for the next time.
    pub async fn exchange(&mut self) -> Sign {
        let start = Instant::now();
        let mut byte = [b'?'];
        let exchange = async {
            self.near.write_all(&byte).await?;
            self.near.read_exact(&mut byte).await
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(_)) => Sign::Loopback(start.elapsed()),
            Ok(Err(_)) | Err(_) => {
                if let Some(fresh) = Self::open().await {
                    *self = fresh;
                }
                Sign::LoopbackFailed
            }
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.echo.abort();
    }
}

async fn answer(mut far: TcpStream) {
    let mut byte = [0];
    while far.read_exact(&mut byte).await.is_ok() {
        if far.write_all(&byte).await.is_err() {
            return;
        }
    }
}
