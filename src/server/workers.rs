//! The workers: one thread each, with a runtime, a listener and a handler of its own.
//!
//! They share the address, the number of places and the drain, and nothing else; a connection
//! lives and dies on the thread that accepted it. Refuses to know what is answered.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc};

use super::connection::{Worker, serve};
use super::door::Door;
use super::handler::Handler;
use super::settings::Settings;
use super::turn;
use crate::clock::Clock;
use crate::gateway::Drain;
use crate::telemetry;

/// After accept failed for want of file descriptors or memory: asking at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a handler may tidy up.
const TICK: Duration = Duration::from_secs(1);

/// What workers are told.
#[derive(Clone, Debug)]
pub struct House {
    /// The bounds of the front door.
    pub settings: Settings,
    /// The program's clock.
    pub clock: Clock,
    /// Whether the program is stopping.
    pub drain: Drain,
}

/// The workers of a door, running.
#[derive(Debug)]
pub struct Workers {
    started: usize,
    news: mpsc::Receiver<()>,
}

/// Starts a worker for each listener of `door`; `factory` builds its handler on its own thread.
///
/// # Errors
/// The system gives no runtime or no thread.
pub fn start<H, F>(door: Door, house: &House, factory: F) -> io::Result<Workers>
where
    H: Handler,
    F: Fn(usize) -> H + Send + Sync + 'static,
{
    let started = door.listeners.len();
    let (report, news) = mpsc::channel(started);
    let factory = Arc::new(factory);
    let places = Arc::new(Semaphore::new(house.settings.connections_max));
    for (index, listener) in door.listeners.into_iter().enumerate() {
        let post = Post { listener, places: Arc::clone(&places), report: report.clone() };
        let (house, factory) = (house.clone(), Arc::clone(&factory));
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().event_interval(turn::POLLS_MAX).build()?;
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || work(&runtime, post, &house, || factory(index)))?;
    }
    Ok(Workers { started, news })
}

impl Workers {
    /// Ends when every worker accepts connections, or one could not.
    pub async fn ready(&mut self) {
        for _ in 0..self.started {
            if self.news.recv().await.is_none() {
                return;
            }
        }
    }

    /// Ends when every worker has ended: after a drain, or because something broke.
    pub async fn ended(&mut self) {
        while self.news.recv().await.is_some() {}
    }
}

/// Where one worker stands.
struct Post {
    listener: std::net::TcpListener,
    places: Arc<Semaphore>,
    /// Says that it is ready, and by its end that the worker is gone.
    report: mpsc::Sender<()>,
}

fn work<H: Handler>(runtime: &Runtime, post: Post, house: &House, build: impl FnOnce() -> H) {
    runtime.block_on(async move {
        let listener = match TcpListener::from_std(post.listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "a worker could not use its listener");
                return;
            }
        };
        let House { settings, clock, drain } = house;
        let worker = Arc::new(Worker::new(build(), settings, *clock, drain.clone()));
        // Nobody may be listening for the news any more; then the program is ending.
        let _ = post.report.send(()).await;
        attend(&worker, listener, post.places).await;
    });
}

/// Accepts until the drain begins, then waits for the connections to end.
async fn attend<H: Handler>(
    worker: &Arc<Worker<H>>,
    listener: TcpListener,
    places: Arc<Semaphore>,
) {
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    let ticks = tokio::spawn(tick(Arc::clone(worker)));
    let hall = Hall { worker, listener, places, alive };
    tokio::select! {
        biased;
        () = worker.drain.begun() => {}
        never = hall.accept_all() => match never {},
    }
    hall.accept_rest();
    drop(hall);
    tokio::select! {
        _ = all_gone.recv() => {}
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

/// Where connections come in.
struct Hall<'a, H> {
    worker: &'a Arc<Worker<H>>,
    listener: TcpListener,
    places: Arc<Semaphore>,
    /// Each connection holds a copy: when all are gone, so are the connections.
    alive: mpsc::Sender<Infallible>,
}

impl<H: Handler> Hall<'_, H> {
    /// Without a free place nobody is accepted: newcomers wait in the system's backlog, behind
    /// at most one connection per worker that was accepted and waits.
    async fn accept_all(&self) -> Infallible {
        loop {
            match self.listener.accept().await {
                Ok((socket, address)) => {
                    let place = Arc::clone(&self.places).acquire_owned().await;
                    let place = place.expect("the places are never closed");
                    self.admit(socket, address, place);
                }
                Err(error) => self.recover(&error).await,
            }
        }
    }

    /// What the system has completed already is served, without being kept alive.
    fn accept_rest(&self) {
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            match self.listener.poll_accept(&mut cx) {
                std::task::Poll::Ready(Ok((socket, address))) => self.admit(socket, address, place),
                std::task::Poll::Ready(Err(_)) | std::task::Poll::Pending => return,
            }
        }
    }

    fn admit(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        place: tokio::sync::OwnedSemaphorePermit,
    ) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a client left before it was served");
            return;
        }
        let (worker, alive) = (Arc::clone(self.worker), self.alive.clone());
        tokio::spawn(async move {
            serve(worker, socket, address).await;
            drop((place, alive));
        });
    }

    /// One client's failure is its own; a lack of resources is waited out.
    async fn recover(&self, error: &io::Error) {
        let own = [
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::Interrupted,
        ];
        if own.contains(&error.kind()) {
            return;
        }
        let clock = self.worker.clock;
        telemetry::log_resource_shortage(error, clock.now());
        clock.sleep_until(clock.now().plus(ACCEPT_PAUSE)).await;
    }
}
