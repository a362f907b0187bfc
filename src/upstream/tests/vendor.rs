//! An HTTP/1.1 upstream that runs a script on each connection.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Vendor {
    pub(super) port: u16,
    accepted: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    /// Runs `script` on each connection, with the number of the connection from zero.
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

    /// The heads of all requests read so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// The upstream's end of one connection.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Reads the head of a request; `None` if the connection was closed.
    pub(super) async fn read_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                self.heads.lock().unwrap().push(head.clone());
                return Some(head);
            }
            self.read_more().await?;
        }
    }

    /// Reads `count` bytes of a body.
    pub(super) async fn read_body(&mut self, count: usize) -> Option<String> {
        while self.read.len() < count {
            self.read_more().await?;
        }
        Some(String::from_utf8(self.read.drain(..count).collect()).unwrap())
    }

    /// Reads until the bytes end with `end`.
    pub(super) async fn read_until(&mut self, end: &str) -> Option<String> {
        while !self.read.ends_with(end.as_bytes()) {
            self.read_more().await?;
        }
        Some(String::from_utf8(std::mem::take(&mut self.read)).unwrap())
    }

    async fn read_more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Whether the gateway closes the connection within two seconds.
    pub(super) async fn is_closed(&mut self) -> bool {
        let closed = async { while self.read_more().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(2), closed).await.is_ok()
    }

    pub(super) async fn write(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Responds 200 with this body.
    pub(super) async fn respond(&mut self, body: &str) {
        self.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
            .await;
    }

    /// Responds to every request with `connection` and the number of the request on it.
    pub(super) async fn serve(mut self, connection: usize) {
        let mut number = 0;
        while self.read_head().await.is_some() {
            self.respond(&format!("{connection}.{number}")).await;
            number += 1;
        }
    }

    /// Resets the connection.
    pub(super) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends nothing more and keeps the connection open.
    pub(super) async fn hang(self) {
        std::future::pending::<()>().await;
        drop(self);
    }
}
