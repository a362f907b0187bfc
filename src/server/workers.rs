//! The workers: one thread each, with its own runtime, listener and handler.
//!
//! They share the address, the connection limit and the drain, and nothing else; a connection stays
//! on the thread that accepted it.

use std::convert::Infallible;
use std::io::{
    self,
    ErrorKind::{
        ConnectionAborted as Aborted, ConnectionRefused as Refused, ConnectionReset as Reset,
        Interrupted,
    },
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::call::Worker;
use super::connection::serve;
use super::handler::Handler;
use super::head::HeadLimits;
use super::listener::Listeners;
use super::settings::Settings;
use super::{batch, h2};
use crate::clock::Clock;
use crate::gateway::Drain;
use crate::telemetry;

/// Pause after accept failed for want of file descriptors or memory; retrying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct WorkerConfig {
    pub settings: Settings,
    pub clock: Clock,
    pub drain: Drain,
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    started: usize,
    /// Receives a message from each worker that is ready. Each worker's thread owns a sender, so
    /// the channel closes when all workers have ended.
    ready: mpsc::Receiver<()>,
}

/// Starts a worker for each listener; `factory` builds its handler on the worker's thread.
///
/// # Errors
/// A runtime or thread could not be created.
pub fn start<H, F>(listeners: Listeners, config: &WorkerConfig, factory: F) -> io::Result<Workers>
where
    H: Handler,
    F: Fn(usize) -> H + Send + Sync + 'static,
{
    let started = listeners.sockets.len();
    let (report_ready, ready) = mpsc::channel(started);
    let factory = Arc::new(factory);
    let permits = Arc::new(Semaphore::new(config.settings.connections_max));
    for (index, socket) in listeners.sockets.into_iter().enumerate() {
        let (config, permits) = (config.clone(), Arc::clone(&permits));
        let (factory, report_ready) = (Arc::clone(&factory), report_ready.clone());
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().event_interval(batch::POLLS_PER_TICK).build()?;
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            runtime.block_on(async {
                let listener = match TcpListener::from_std(socket) {
                    Ok(listener) => listener,
                    Err(error) => {
                        tracing::error!(%error, "a worker could not register its listener");
                        return;
                    }
                };
                let WorkerConfig { settings, clock, drain } = config;
                let limits = HeadLimits {
                    head_bytes_max: settings.head_bytes_max,
                    headers_max: settings.headers_max,
                    target_bytes_max: settings.target_bytes_max,
                };
                let (handler, http2) = (factory(index), h2::builder(&settings, clock));
                let worker = Worker { handler, clock, drain, settings, limits, http2 };
                // Fails only when the program is already ending.
                let _ = report_ready.send(()).await;
                work(&Arc::new(worker), listener, permits).await;
            });
        })?;
    }
    Ok(Workers { started, ready })
}

impl Workers {
    /// Ends when every worker accepts connections, or one has failed to.
    pub async fn ready(&mut self) {
        for _ in 0..self.started {
            if self.ready.recv().await.is_none() {
                return;
            }
        }
    }

    /// Ends when every worker has ended: after a drain, or after a failure.
    pub async fn ended(&mut self) {
        while self.ready.recv().await.is_some() {}
    }
}

/// Accepts connections until the drain begins, then waits for those that are open.
async fn work<H: Handler>(worker: &Arc<Worker<H>>, listener: TcpListener, permits: Arc<Semaphore>) {
    let clock = worker.clock;
    // Each connection holds a clone of `open`; when all are dropped, all connections are closed.
    let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
    let spawn = |socket: TcpStream, address: SocketAddr, permit: OwnedSemaphorePermit| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a client disconnected before it was served");
            return;
        }
        let (worker, open) = (Arc::clone(worker), open.clone());
        tokio::spawn(async move {
            serve(worker, socket, address).await;
            drop((permit, open));
        });
    };
    // At the connection limit, new connections wait in the kernel's backlog, behind at most one per
    // worker that is accepted and waits here.
    let accept_all = async {
        loop {
            match listener.accept().await {
                Ok((socket, address)) => {
                    let permit = Arc::clone(&permits).acquire_owned().await;
                    spawn(socket, address, permit.expect("the semaphore is never closed"));
                }
                // Only the client being accepted is affected.
                Err(error) if [Aborted, Reset, Refused, Interrupted].contains(&error.kind()) => {}
                Err(error) => {
                    telemetry::log_resource_shortage(&error, clock.now());
                    clock.sleep_until(clock.now().plus(ACCEPT_PAUSE)).await;
                }
            }
        }
    };
    let ticks = tokio::spawn(tick(Arc::clone(worker)));
    tokio::select! {
        biased;
        () = worker.drain.begun() => {}
        () = accept_all => {}
    }
    // The connections that the kernel has already completed are served; they close after one call.
    let mut cx = Context::from_waker(Waker::noop());
    while let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
        let Poll::Ready(Ok((socket, address))) = listener.poll_accept(&mut cx) else { break };
        spawn(socket, address, permit);
    }
    drop((open, listener));
    tokio::select! {
        _ = all_closed.recv() => {}
        () = worker.drain.over() => {}
    }
    ticks.abort();
}

async fn tick<H: Handler>(worker: Arc<Worker<H>>) {
    loop {
        worker.clock.sleep_until(worker.clock.now().plus(TICK)).await;
        worker.handler.tick();
    }
}
