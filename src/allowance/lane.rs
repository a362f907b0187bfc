//! The calls that need the same set of scopes, in their order: by class, then by the turn of their
//! clients, then by arrival.
//!
//! The calls of one client and class form a flow. Retries form one flow of each class that goes
//! first, because their clients have had their turn already.
//!
//! A flow that has risen above its client's priority goes before calls that were less urgent than
//! it all along, but never before the earlier turn of another client of its priority: otherwise a
//! client with many waiting calls, which grow old, would get more than its share.

use std::collections::{BTreeMap, BTreeSet};

use super::charge::Demand;
use super::rank::CLASSES;
use super::slot_request::SlotRequest;
use crate::routing::client::Priority;
use crate::time::Moment;

/// A place in the queue, numbered by when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

#[derive(Debug)]
pub(super) struct Lane {
    /// The scopes of its first call, by which further calls find it.
    pub(super) scopes: u64,
    /// The scopes that any of its calls needs.
    pub(super) needs: u64,
    classes: [Class; 3],
    /// Slots that waiting calls of each class have been granted.
    pub(super) granted: [u64; 3],
}

#[derive(Debug, Default)]
struct Class {
    flows: BTreeMap<FlowKey, Flow>,
    /// The flows by their turns.
    turns: BTreeSet<(Turn, FlowKey)>,
    calls: usize,
}

/// The calls that a flow holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FlowKey {
    Retries,
    Client(u64),
}

#[derive(Debug)]
struct Flow {
    turn: Turn,
    priority: Priority,
    /// By how much its calls move the next turn on, all together.
    steps: u128,
    demand: Demand,
    calls: BTreeSet<Place>,
}

/// The turn of a flow: of equal ones the first taken goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) at: u128,
    pub(super) number: u64,
}

/// The place of a call in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) arrival: Moment,
    pub(super) ticket: Ticket,
}

/// The place of a call among all of its account; the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    class: Priority,
    turn: Turn,
    place: Place,
}

impl Order {
    pub(super) const fn ticket(&self) -> Ticket {
        self.place.ticket
    }
}

impl Lane {
    pub(super) fn new(scopes: u64) -> Self {
        Self { scopes, needs: scopes, classes: Default::default(), granted: [0; 3] }
    }

    pub(super) fn len(&self) -> usize {
        self.classes.iter().map(|class| class.calls).sum()
    }

    /// How many calls of this or a more urgent class wait.
    pub(super) fn len_from(&self, class: Priority) -> usize {
        self.classes[..=class as usize].iter().map(|class| class.calls).sum()
    }

    /// What the calls of these flows cost that wait in these classes.
    fn demand_of(classes: &[Class], key: FlowKey) -> Demand {
        let flows = classes.iter().filter_map(|class| class.flows.get(&key));
        flows.map(|flow| flow.demand).sum()
    }

    /// Adds a call. Its flow has this turn if the call is its first.
    pub(super) fn insert(
        &mut self,
        class: Priority,
        request: &SlotRequest,
        place: Place,
        turn: Turn,
    ) {
        let key = FlowKey::of(request);
        let class = &mut self.classes[class as usize];
        class.calls += 1;
        let turns = &mut class.turns;
        let flow = class.flows.entry(key).or_insert_with(|| {
            let turn = if key == FlowKey::Retries { Turn::default() } else { turn };
            turns.insert((turn, key));
            let (demand, calls) = (Demand::default(), BTreeSet::new());
            Flow { turn, priority: request.priority, steps: 0, demand, calls }
        });
        if flow.calls.insert(place) {
            flow.demand.add(request.costs);
            flow.steps += request.of.step(request.costs.largest());
        }
    }

    /// Removes a call. Returns the turn of its client, if it is not a retry.
    pub(super) fn remove(
        &mut self,
        class: Priority,
        request: &SlotRequest,
        place: Place,
    ) -> Option<u128> {
        let key = FlowKey::of(request);
        let class = &mut self.classes[class as usize];
        let flow = class.flows.get_mut(&key)?;
        if flow.calls.remove(&place) {
            class.calls -= 1;
            flow.demand.remove(request.costs);
            flow.steps -= request.of.step(request.costs.largest());
        }
        let turn = flow.turn;
        if flow.calls.is_empty() {
            class.flows.remove(&key);
            class.turns.remove(&(turn, key));
        }
        (key != FlowKey::Retries).then_some(turn.at)
    }

    /// The client had a turn: its calls here wait for the next one.
    pub(super) fn postpone(&mut self, client: u64, next: Turn) {
        let key = FlowKey::Client(client);
        for class in &mut self.classes {
            if let Some(flow) = class.flows.get_mut(&key) {
                class.turns.remove(&(flow.turn, key));
                flow.turn = next.max(flow.turn);
                class.turns.insert((flow.turn, key));
            }
        }
    }

    /// Its first call.
    pub(super) fn head(&self) -> Option<Order> {
        let (class, first) =
            CLASSES.into_iter().zip(&self.classes).find_map(|(at, it)| Some((at, it.first()?)))?;
        let below = &self.classes[class as usize..=(first.priority as usize).max(class as usize)];
        // The lower classes of its client's priority have none but risen and ordinary flows.
        let flow = below.iter().filter_map(Class::first).min_by_key(|flow| flow.turn)?;
        Some(Order { class, turn: flow.turn, place: *flow.calls.first()? })
    }

    /// All its calls, one client after the other.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        let flows = self
            .classes
            .iter()
            .flat_map(|class| class.turns.iter().filter_map(|(_, key)| class.flows.get(key)));
        flows.flat_map(|flow| flow.calls.iter().map(|place| place.ticket))
    }

    /// All its calls with the order in which they would go if no other call came.
    pub(super) fn orders(&self) -> impl Iterator<Item = Order> {
        self.classes.iter().enumerate().flat_map(move |(number, class)| {
            class.flows.iter().flat_map(move |(key, flow)| {
                let step = if *key == FlowKey::Retries { 0 } else { flow.step() };
                let before = u128::from(Self::demand_of(&self.classes[..number], *key).calls());
                flow.calls.iter().zip(before..).map(move |(place, nth)| {
                    let turn = Turn { at: flow.turn.at + nth * step, ..flow.turn };
                    Order { class: flow.priority, turn, place: *place }
                })
            })
        })
    }

    /// By how much the waiting calls of a client move its next turn on.
    pub(super) fn steps_of(&self, client: u64) -> u128 {
        let key = FlowKey::Client(client);
        self.classes.iter().filter_map(|class| class.flows.get(&key)).map(|flow| flow.steps).sum()
    }

    /// What the calls cost that go before a new one, from when it has reached this class, if its
    /// turn is `turn`. Flows of a more urgent priority than the class go first; beside those of its
    /// own priority, and those whose priority it has reached, it goes by turns.
    pub(super) fn ahead(&self, request: &SlotRequest, class: Priority, turn: u128) -> Demand {
        let own = FlowKey::of(request);
        let before = |(number, of_class): (usize, &Class)| {
            let flows = of_class.flows.iter().map(|(key, flow)| {
                let passed = request.priority < flow.priority && number > class as usize;
                let counted = Self::demand_of(&self.classes[..number], *key).calls() > 0;
                if *key == FlowKey::Retries {
                    return if passed { Demand::default() } else { flow.demand };
                }
                if own == FlowKey::Retries || passed || counted {
                    return Demand::default();
                }
                let all = Self::demand_of(&self.classes[number..], *key);
                if *key == own || flow.priority < class {
                    return all;
                }
                let Some(lead) = turn.checked_sub(flow.turn.at) else { return Demand::default() };
                let calls = u64::try_from(lead / flow.step()).unwrap_or(u64::MAX);
                all.of_calls(calls.saturating_add(1))
            });
            flows.sum::<Demand>()
        };
        self.classes.iter().enumerate().map(before).sum()
    }
}

impl Flow {
    /// By how much one of its calls moves the next turn on, on average.
    fn step(&self) -> u128 {
        (self.steps / self.calls.len().max(1) as u128).max(1)
    }
}

impl Class {
    fn first(&self) -> Option<&Flow> {
        self.turns.first().and_then(|(_, key)| self.flows.get(key))
    }
}

impl FlowKey {
    pub(super) const fn of(request: &SlotRequest) -> Self {
        if request.is_retry { Self::Retries } else { Self::Client(request.of.client) }
    }
}
