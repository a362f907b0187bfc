//! Simulated vendors that behave as the documentation of two real ones says, and the demo tour.
//!
//! The demo and the tests judge the gateway by what these vendors log. They count arrivals on their
//! own clock with their own arithmetic and share no ledger, dialect or parser with the gateway: of
//! the other rooms only `clock` and `random` are imported.
//!
//! | file | purpose |
//! | --- | --- |
//! | `vendor` | starts a vendor and accepts connections |
//! | `serve` | one request, from head to response |
//! | `droplink`, `wordbee`, `test_endpoints` | the endpoints |
//! | `request_log` | logged requests, rate limit windows |
//! | `script` | scripted responses and faults |
//! | `faulty_stream`, `measured_body`, `message` | connections, request bodies, responses |
//! | `control` | the control API, `/_vendor/…` |
//! | `setup` | addresses and configuration of the demo |
//! | `tour`, `report`, `client` | the guided tour, its output, its HTTP client |

mod client;
mod control;
mod droplink;
mod faulty_stream;
mod fingerprint;
mod measured_body;
mod message;
mod report;
mod request_log;
mod script;
mod serve;
mod settings;
mod setup;
mod shared;
mod test_endpoints;
pub mod tour;
mod vendor;
mod wordbee;

pub use faulty_stream::ConnectionEnd;
pub use fingerprint::fingerprint;
pub use request_log::{RequestLog, RequestRecord};
pub use script::{Action, BreakPoint, Command, ScriptRule, ScriptedResponse};
pub use settings::{
    Allowance, CONNECTIONS_MAX, Counting, Credential, LOG_MAX, Latency, RefusedRequests,
    ThrottleStyle, VendorKind, VendorSettings, WindowKind,
};
pub use setup::{DemoSettings, config_yaml};
pub use vendor::{Vendor, VendorHandle};

#[cfg(test)]
mod tests {
    #[test]
    fn the_simulated_vendors_import_only_clock_and_random() {
        let room = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo");
        let path_start = concat!("crate", "::");
        let mut files = 0;
        for entry in std::fs::read_dir(room).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let forbidden =
                |rest: &str| !rest.starts_with("clock::") && !rest.starts_with("random::");
            assert_eq!(text.split(path_start).skip(1).find(|rest| forbidden(rest)), None);
            files += 1;
        }
        assert!(files > 10);
    }
}
