//! The suite: the real program on loopback, seen by clients and by scripted upstreams.
//!
//! It tests the program that ships, by the bytes on the wire. Of the library it uses only the
//! simulated vendors and, in `codec`, the parsers that the fuzz targets drive. `support` starts
//! programs and reads bytes, and has tests of its own.

#[cfg(test)]
mod support;
#[cfg(test)]
#[path = "../fuzz/targets/mod.rs"]
mod targets;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod codec;
#[cfg(test)]
mod connections;
mod costs;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod language;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod levers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod misbehaviour;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod own_usage;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod replay;
mod restart;
#[cfg(test)]
mod sdk_retries;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod spelling;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod transparency;
