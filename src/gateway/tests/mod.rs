//! The life of a call under a paused clock, before a scripted upstream.
//!
//! An hour costs nothing here, so `droplink` and `wordbee` use the founding documents' own numbers.
//! | file | what it tests |
//! | --- | --- |
//! | `calls` | calls that succeed, are retried, or fail |
//! | `breaks` | exchanges that end at any byte of request or response |
//! | `uploads` | request bodies that arrive slowly or break off |
//! | `bounds` | idle timeouts, the retry budget, what counts as one call |
//! | `holds` | holds: hints that are short, wrong or broken off, and clients that leave |
//! | `allowances` | what responses change of allowances, holds and outages |
//! | `hold_log` | log lines of holds and broken bodies |
//! | `spelling` | requests whose vendor may read them in another way than they are written |
//! | `droplink`, `wordbee` | the founding documents |
//! | `harness`, `upstream` | the gateway under test, its client and its upstream |

mod allowances;
mod bounds;
mod breaks;
mod calls;
mod costs;
mod droplink;
mod harness;
mod hold_log;
mod holds;
mod spelling;
mod uploads;
mod upstream;
mod wordbee;

use upstream::ExchangeScript;

pub(super) use harness::policy;

/// A patience of an hour, whatever the default is.
const PATIENT: (&str, &str) = ("prefer", "wait=3600");
const NO_WAIT: (&str, &str) = ("prefer", "wait=0");

const OK: ExchangeScript = ExchangeScript::respond(10, 200, &[], "fine");
const MAINTENANCE: ExchangeScript =
    ExchangeScript::respond(10, 503, &[], r#"{"error":"Down for maintenance."}"#);
const DEADLOCK: ExchangeScript = ExchangeScript::respond(
    10,
    400,
    &[],
    r#"{"error":"The request encountered a database deadlock."}"#,
);
