//! The gateway of a worker as a reload exchanges it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::state::Gateway;

/// The gateway of one worker. A call keeps the one it began with, settings and all, to its end.
///
/// Each worker has one of its own, so that taking the gateway touches no memory that others write.
#[derive(Debug)]
pub struct CurrentGateway<E>(ArcSwap<Gateway<E>>);

impl<E> CurrentGateway<E> {
    #[must_use]
    pub fn new(gateway: Gateway<E>) -> Self {
        Self(ArcSwap::from_pointee(gateway))
    }

    #[must_use]
    pub fn get(&self) -> Arc<Gateway<E>> {
        self.0.load_full()
    }

    /// Serves calls that begin from now on with another gateway.
    pub fn replace(&self, gateway: Gateway<E>) {
        self.0.store(Arc::new(gateway));
    }
}
