//! A vendor that notes when each call arrives, and the demand that saturates it.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::gateway::Gateway;
use super::script::{Script, ok};
use super::time;

/// A vendor that notes when each call arrives.
pub(crate) struct Clocked {
    script: Script,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Clocked {
    pub(crate) fn start() -> Self {
        let arrivals: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let log = Arc::clone(&arrivals);
        let script = Script::answering(move |_| {
            log.lock().expect("no thread panicked").push(time::now());
            ok("ok")
        });
        Self { script, arrivals }
    }

    pub(crate) fn url(&self) -> String {
        self.script.url()
    }

    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        self.arrivals.lock().unwrap().clone()
    }
}

/// The most arrivals in any interval of this length.
pub(crate) fn worst(arrivals: &[Instant], window: Duration) -> usize {
    let within = |first: &Instant| {
        let inside = |it: &&Instant| first <= *it && **it < *first + window;
        arrivals.iter().filter(inside).count()
    };
    arrivals.iter().map(within).max().unwrap_or(0)
}

/// Asks from several threads for so long, whatever is answered.
pub(crate) fn demand(gateway: &Gateway, span: Duration) {
    let until = time::now() + span;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while time::now() < until {
                    gateway.get("/v/a");
                }
            });
        }
    });
}
