//! The places that refused calls leave behind, so that the next ones are told a later moment.
//!
//! If everyone who is refused were told the moment of the next free slot, all would come back then,
//! one would get it, and the others would have asked in vain. So a refused call keeps its place in
//! line until the moment that it was told. A place lengthens only the `Retry-After` of others; it
//! admits and refuses nobody. Between clients the places count in the proportion of their shares,
//! so that one that does not obey lengthens nobody's wait but its own.

use std::collections::BTreeMap;

use super::charge::{Costs, Demand};
use super::settings::QueueBounds;
use super::shares::ClientShare;
use super::slot_request::SlotRequest;
use crate::time::Moment;

#[derive(Debug, Default)]
pub(super) struct RefusedPlaces {
    /// By the moment at which they lapse.
    lapses: BTreeMap<(Moment, u64), RefusedPlace>,
    by_client: BTreeMap<u64, ClientPlaces>,
    numbers: u64,
}

#[derive(Debug)]
struct RefusedPlace {
    client: u64,
    scopes: u64,
    costs: Costs,
}

#[derive(Debug, Default)]
struct ClientPlaces {
    share: u32,
    all: usize,
    /// By the set of scopes that they are for.
    by_scopes: BTreeMap<u64, Demand>,
}

impl RefusedPlaces {
    /// Keeps a place for a call until it comes back, unless there are too many.
    pub(super) fn keep(&mut self, request: &SlotRequest, until: Moment, max: QueueBounds) {
        let ClientShare { client, share } = request.of;
        let own = self.by_client.get(&client).map_or(0, |own| own.all);
        let all = self.lapses.len();
        if max.all <= all || max.client_max(all - own) <= own {
            return;
        }
        self.numbers += 1;
        let (scopes, costs) = (request.scopes, request.costs);
        self.lapses.insert((until, self.numbers), RefusedPlace { client, scopes, costs });
        let own = self.by_client.entry(client).or_default();
        own.share = share;
        own.all += 1;
        own.by_scopes.entry(scopes).or_default().add(costs);
    }

    /// The places that are kept before that of a call refused now, by the scopes they are for.
    pub(super) fn ahead(&mut self, request: &SlotRequest, now: Moment) -> Vec<(u64, Demand)> {
        self.lapse(now);
        let ClientShare { client, share } = request.of;
        let nth = self.by_client.get(&client).map_or(0, |own| own.all) + 1;
        let counted = self.by_client.iter().flat_map(|(other, places)| {
            let due = nth.saturating_mul(places.share as usize) / share.max(1) as usize;
            let most = if *other == client { usize::MAX } else { due.max(1) };
            let mut left = most.min(places.all) as u64;
            places.by_scopes.iter().map(move |(scopes, places)| {
                let counted = places.calls().min(left);
                left -= counted;
                (*scopes, places.of_calls(counted))
            })
        });
        counted.filter(|(scopes, _)| scopes & request.scopes != 0).collect()
    }

    fn lapse(&mut self, now: Moment) {
        while let Some(first) = self.lapses.first_entry() {
            if now < first.key().0 {
                return;
            }
            let RefusedPlace { client, scopes, costs } = first.remove();
            let Some(own) = self.by_client.get_mut(&client) else { continue };
            own.all -= 1;
            if let Some(places) = own.by_scopes.get_mut(&scopes) {
                places.remove(costs);
                if places.calls() == 0 {
                    own.by_scopes.remove(&scopes);
                }
            }
            if own.all == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}
