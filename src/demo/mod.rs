//! Simulated vendors that behave as the founding documents say.
//!
//! They are the referee of the demo and of the tests: they count what arrives, on their own
//! clock, with their own arithmetic, and know nothing of the gateway's ledger, dialects or
//! parsing. Nothing in here may import those rooms; only time and chance are shared.
//!
//! ```text
//! vendor    accept, share, stop            serve     one request from head to answer
//! arrivals  who came when, what counted    script    what it was told to do to the next ones
//! droplink, wordbee, generic   the pages   answer    what goes back   wire   a failing socket
//! control   /_vendor/…: tell and ask        setup     the demo's addresses and configuration
//! tour      the story, and whether it holds  playbook  as it is printed  visitor   its client
//! ```

mod answer;
mod arrivals;
mod control;
mod droplink;
mod generic;
mod playbook;
mod script;
mod serve;
mod settings;
mod setup;
pub mod tour;
mod vendor;
mod visitor;
mod wire;
mod wordbee;

pub use arrivals::{Arrival, Log};
pub use script::{Act, Canned, Command, Order, Point};
pub use settings::{
    Allowance, CONNECTIONS_MAX, Counting, Credential, Discipline, Kind, LOG_MAX, Latency, Refused,
    Throttling, VendorSettings,
};
pub use setup::{DemoSettings, config_yaml};
pub use vendor::{Handle, Vendor};
pub use wire::End;

/// The hash under which arrivals remember a body: FNV-1a, 64 bits, easily made again elsewhere.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = Fingerprint::default();
    hash.update(bytes);
    hash.value()
}

/// The same hash, fed piece by piece.
#[derive(Clone, Copy, Debug)]
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn fingerprints_are_the_published_ones() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_referee_borrows_only_time_and_chance() {
        let room = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo");
        let ours = concat!("crate", "::");
        let mut files = 0;
        for entry in std::fs::read_dir(room).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let foreign =
                |rest: &str| !rest.starts_with("clock::") && !rest.starts_with("random::");
            assert_eq!(text.split(ours).skip(1).find(|rest| foreign(rest)), None);
            files += 1;
        }
        assert!(files > 10);
    }
}
