//! The shares of clients in the slots that their waiting calls get.
//!
//! Start-time fair queueing: each slot moves its client's next turn on by the slot's cost over the
//! client's share, on a virtual time line, and the client with the earliest turn goes first. While
//! two clients have calls waiting, what they get is therefore in the proportion of their shares.
//! Deficit round robin gives the same shares, but lets a client with a share of 100 take 100 slots
//! in a row. A client that has not waited for a while starts at the present virtual time: nothing
//! is saved up, and what others left unused costs nothing later. Calls that wait while others pass,
//! because those are more urgent or need other allowances, may make up for a few slots.

use std::collections::BTreeMap;

/// The client of a call and its weight among the clients whose calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientShare {
    /// The client's identity, which a reload does not change.
    pub client: u64,
    pub share: u32,
}

/// A point in virtual time. A share of 1 moves on by this much for each slot: it is finer than a
/// thousandth, so that shares are exact to 0.1 %.
const SLOT: u128 = 1 << 20;

/// How many slots in a row a client gets at most whose waiting calls had to let others pass. It is
/// enough for the few calls of a small client, and too little to be noticed by the others.
const MADE_UP_MAX: u128 = 4;

#[derive(Debug, Default)]
pub(super) struct Shares {
    /// The turn that was taken last.
    now: u128,
    /// The next turns of the clients that took one since a call began to wait.
    next: BTreeMap<u64, u128>,
}

impl ClientShare {
    /// By how much a slot moves the client's next turn on.
    pub(super) fn step(self, units: u32) -> u128 {
        (u128::from(units.max(1)) * SLOT).div_ceil(u128::from(self.share.max(1)))
    }
}

impl Shares {
    /// The client's next turn.
    pub(super) fn next(&self, client: u64) -> u128 {
        self.next.get(&client).copied().unwrap_or(0).max(self.now)
    }

    /// A turn that has been passed over, moved on so that not too much is made up for.
    pub(super) fn made_up(&self, of: ClientShare, units: u32, turn: u128) -> u128 {
        turn.max(self.now.saturating_sub(of.step(units) * MADE_UP_MAX))
    }

    /// A call of the client has been granted a slot at its turn, or out of turn. Returns the next
    /// turn of its waiting calls.
    pub(super) fn charge(&mut self, of: ClientShare, units: u32, turn: Option<u128>) -> u128 {
        let taken = turn.map_or_else(|| self.next(of.client), |turn| self.made_up(of, units, turn));
        let next = taken + of.step(units);
        self.now = self.now.max(turn.unwrap_or(0));
        self.next.insert(of.client, next);
        next
    }

    /// No call waits any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
