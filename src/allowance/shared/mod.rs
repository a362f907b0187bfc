//! Allowances that several replicas share through a store.
//!
//! The store holds one value for each account: how many units are used, and how many each replica
//! has leased. A replica reads it, decides with [`SharedAccount`](state::SharedAccount) how many
//! units it may lease, and writes it back on condition that it has not changed meanwhile. So the
//! decision is ours and pure, and all that a store has to know is its time and one conditional
//! write.
//!
//! A unit counts as used from the moment it is leased. A lease ends: no attempt starts after its
//! `start_by`, and units of a replica that is never heard of again count as settled once every
//! attempt that began by then must have ended.
//!
//! `used` counts, `state` grants, `session` reads, writes and notices that the store has forgotten,
//! `store_time` compares clocks, `lease` is what a replica has of an allowance, and `asks` is what
//! an account wants.

mod asks;
pub(super) mod lease;
mod rules;
pub(super) mod session;
pub(super) mod state;
pub(super) mod store_time;
pub(super) mod used;

#[cfg(test)]
mod tests;
