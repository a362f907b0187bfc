//! The suite: the real program on loopback, seen by clients and by scripted upstreams.
//!
//! Refuses to use anything of the library but its simulated vendors: what is tested is what is
//! shipped, and what is asserted is what travels. `support` starts things and reads bytes, and is
//! tested itself.

#[cfg(test)]
mod support;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod misbehaviour;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod spelling;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod transparency;
