//! The life of a call: receive, admit, attempt, respond, record.
//!
//! [`Gateway::handle`] is one straight function with a line per stage, not a stack of generic
//! middleware: the stages are fixed and share one `Call`. The decisions are those of the pure
//! rooms: [`routing`](crate::routing), [`dialect`](crate::dialect), [`retry`](crate::retry),
//! [`headers`](crate::headers), [`problem`](crate::problem).
//!
//! | file | purpose |
//! | --- | --- |
//! | `handle` | the stages in order |
//! | `receive` | a request becomes a call, or is rejected |
//! | `buffering` | a small request body is read before anything is taken for its call |
//! | `admit` | a slot of the vendor's allowance, at once or after waiting |
//! | `attempt` | sends, and sends again |
//! | `timeouts`, `upload`, `timer` | how long an exchange may take |
//! | `classify` | what a response or failure means; reads a response that may be an error |
//! | `settle` | what the account learns from an attempt |
//! | `respond` | the vendor's response, or a problem |
//! | `shape`, `error_response` | in which shape a client gets an error, and the response in it |
//! | `record` | metrics and log lines |
//! | `call`, `result` | the data that the stages share |
//! | `retry_budget` | the retry budget that all workers share |
//! | `body` | request and response bodies on their way through |
//! | `connection`, `drain`, `settings`, `state` | what surrounds a call |
//! | `current` | the gateway of a worker as a reload exchanges it |

mod admit;
mod attempt;
mod body;
mod buffering;
mod call;
mod classify;
mod connection;
mod cost;
mod current;
mod drain;
mod error_response;
mod handle;
mod own_usage;
mod receive;
mod record;
mod respond;
mod result;
mod retry_budget;
mod settings;
mod settle;
mod shape;
mod state;
mod timeouts;
mod timer;
mod upload;

#[cfg(test)]
mod tests;

pub use body::{ClientBodyError, IncomingBody, ReplayPool, RequestBody, ResponseBody};
pub use connection::{ClientConnection, OriginalHeads};
pub use current::CurrentGateway;
pub use drain::{Drain, DrainStage};
pub use settings::{
    AddKey, AllowedShapes, CallPolicy, ClientAddress, Credential, ErrorShape, Expose, Idempotency,
    Inspect, Policies, Redirects, Repeat, Settings, Upstream,
};
pub use shape::{error_shape, grpc_type};
pub use state::{Gateway, Shared, upstream_rules};
