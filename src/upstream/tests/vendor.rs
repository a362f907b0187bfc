//! An upstream that follows a script, byte for byte.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listening script.
pub(super) struct Vendor {
    pub(super) port: u16,
    accepted: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    /// Runs `script` on each connection, told its number from zero.
    pub(super) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Peer, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::listen("127.0.0.1:0", script).await
    }

    pub(super) async fn listen<S, F>(address: &str, script: S) -> Self
    where
        S: Fn(Peer, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (count, log) = (Arc::clone(&accepted), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer { stream, read: Vec::new(), heads: Arc::clone(&log) };
                tokio::spawn(script(peer, count.fetch_add(1, SeqCst)));
            }
        });
        Self { port, accepted, heads }
    }

    /// Connections accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    /// The heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// The other end of one connection.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Reads the head of a request; `None` when the connection ended.
    pub(super) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                self.heads.lock().unwrap().push(head.clone());
                return Some(head);
            }
            self.more().await?;
        }
    }

    /// Reads until `count` bytes of body are there.
    pub(super) async fn body(&mut self, count: usize) -> Option<String> {
        while self.read.len() < count {
            self.more().await?;
        }
        Some(String::from_utf8(self.read.drain(..count).collect()).unwrap())
    }

    /// Reads until what was read ends with `end`.
    pub(super) async fn until(&mut self, end: &str) -> Option<String> {
        while !self.read.ends_with(end.as_bytes()) {
            self.more().await?;
        }
        Some(String::from_utf8(std::mem::take(&mut self.read)).unwrap())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Whether the other side ends the connection within two seconds.
    pub(super) async fn ended(&mut self) -> bool {
        let ended = async { while self.more().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(2), ended).await.is_ok()
    }

    pub(super) async fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Answers a request with a small body.
    pub(super) async fn ok(&mut self, body: &str) {
        self.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    }

    /// Answers every request with its number on this connection.
    pub(super) async fn serve(mut self, name: usize) {
        let mut number = 0;
        while self.head().await.is_some() {
            self.ok(&format!("{name}.{number}")).await;
            number += 1;
        }
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Says nothing more, and keeps the connection open.
    pub(super) async fn hang(self) {
        std::future::pending::<()>().await;
        drop(self);
    }
}
