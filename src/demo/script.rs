//! What a simulated vendor has been told to do to the next requests, and the words for telling it.
//!
//! The same [`Command`] comes from code and, as JSON, over `POST /_vendor/control`. Pure values:
//! moments and chance are passed in. Refuses to act: `vendor.rs` does.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arrivals::nanos;
use super::settings::{Latency, Throttling};
use super::wire::End;

/// Orders waiting at once: a test that needs more has lost count.
const ORDERS_MAX: usize = 1_000;

/// Something the vendor is told. Spans are the vendor's time, hence divided by its scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Do this to the next requests that match.
    Order(Order),
    /// The next writes meet a database deadlock.
    Deadlock {
        /// How many.
        times: u32,
    },
    /// The next requests are told they are too many.
    Throttle {
        /// How many.
        times: u32,
        /// In which words.
        #[serde(default)]
        style: Throttling,
    },
    /// Be down for maintenance from now on.
    Maintenance {
        /// For so long.
        for_ms: u64,
        /// Sent as it stands, in the world's seconds.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// End the maintenance.
    Open,
    /// Die with this probability at each request, at a random point of its life.
    Die {
        /// 0 to 1.
        probability: f64,
    },
    /// Draw the delay before each answer between these bounds.
    Latency {
        /// Never sooner.
        min_ms: u64,
        /// Never later.
        max_ms: u64,
    },
    /// All session tokens die.
    ExpireTokens,
    /// This key is no longer accepted.
    Revoke {
        /// The key.
        key: String,
    },
    /// Forget all orders, maintenance, deaths and latency commanded so far.
    Behave,
}

/// Something to do to the next few requests that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// How many requests.
    pub times: u32,
    /// Only these methods; all when empty.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Only this path; a `*` at its end stands for any rest. All when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// What to do.
    pub act: Act,
}

/// What is done to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Answer exactly this.
    Answer(Canned),
    /// Answer this status in the vendor's own words.
    Fail(u16),
    /// Say that a database deadlock was met.
    Deadlock,
    /// Say that they are too many.
    Throttle(Throttling),
    /// Read everything, answer never.
    Stall,
    /// Carry it out, then break the connection at this point of the answer.
    Break {
        /// Where.
        at: Point,
        /// How.
        how: End,
    },
    /// Carry it out, then send these bytes in place of the answer and close.
    Garbage(String),
    /// Answer as usual, so many bytes of the body at a time.
    Drip {
        /// Bytes at a time.
        bytes: usize,
        /// Pause after each.
        pause_ms: u64,
    },
    /// Answer as usual, so much later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
}

/// Where in an answer the connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before its first byte.
    BeforeAnswer,
    /// Inside the status line.
    InHead,
    /// After the head, before the body's first byte.
    AfterHead,
    /// Half-way through the body.
    InBody,
}

/// An answer given word for word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    /// The status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// Whether it goes out before the request's body is read.
    #[serde(default)]
    pub early: bool,
}

impl Canned {
    /// An answer of this status, media type and body.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: &str) -> Self {
        let headers = [("content-type".to_owned(), media_type.to_owned())].into();
        Self { status, headers, body: body.to_owned(), early: false }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Order {
    /// Do `act` to the next `times` requests, whatever they are.
    #[must_use]
    pub fn next(times: u32, act: Act) -> Self {
        Self { times, methods: Vec::new(), path: None, act }
    }

    /// Only requests of this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.methods.push(method.to_owned());
        self
    }

    /// Only requests to this path; a `*` at its end stands for any rest.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|one| one == method);
        method_fits && self.path.as_deref().is_none_or(|wanted| path_fits(wanted, path))
    }
}

fn path_fits(wanted: &str, path: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => wanted == path,
    }
}

/// The vendor is down for maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maintenance {
    until_ns: u64,
    pub(super) retry_after_s: Option<u64>,
}

/// Where chance kills a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    AfterHead,
    AfterBody,
    InAnswer,
}

/// Everything commanded and not yet used up.
#[derive(Debug)]
pub(super) struct Script {
    orders: VecDeque<Order>,
    maintenance: Option<Maintenance>,
    death_probability: f64,
    usual_latency: Latency,
    latency: Latency,
}

impl Script {
    pub(super) fn new(latency: Latency) -> Self {
        Self {
            orders: VecDeque::new(),
            maintenance: None,
            death_probability: 0.0,
            usual_latency: latency,
            latency,
        }
    }

    /// Takes an order in. What concerns accounts is none of the script's business.
    pub(super) fn obey(&mut self, command: &Command, now: u64, scale: u32) {
        let scaled = |ms: u64| Duration::from_millis(ms) / scale.max(1);
        match command {
            Command::Order(order) => self.enqueue(order.clone()),
            Command::Deadlock { times } => self.enqueue(deadlock(*times)),
            Command::Throttle { times, style } => {
                self.enqueue(Order::next(*times, Act::Throttle(*style)));
            }
            Command::Maintenance { for_ms, retry_after_s } => {
                let until_ns = now.saturating_add(nanos(scaled(*for_ms)));
                self.maintenance = Some(Maintenance { until_ns, retry_after_s: *retry_after_s });
            }
            Command::Open => self.maintenance = None,
            Command::Die { probability } => self.death_probability = *probability,
            Command::Latency { min_ms, max_ms } => {
                let (min, max) = (Duration::from_millis(*min_ms), Duration::from_millis(*max_ms));
                self.latency = Latency { min, max };
            }
            Command::Behave => *self = Self::new(self.usual_latency),
            Command::ExpireTokens | Command::Revoke { .. } => {}
        }
    }

    /// The act for this request, taken off the list.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Act> {
        let place = self.orders.iter().position(|order| order.matches(method, path))?;
        let order = self.orders.get_mut(place)?;
        let act = order.act.clone();
        order.times = order.times.saturating_sub(1);
        if order.times == 0 {
            self.orders.remove(place);
        }
        Some(act)
    }

    pub(super) fn maintenance(&self, now: u64) -> Option<Maintenance> {
        self.maintenance.filter(|window| now < window.until_ns)
    }

    pub(super) fn latency(&self) -> Latency {
        self.latency
    }

    /// Whether and where this request dies; `draw` is in 0..1. A quarter of the probability
    /// belongs to requests that are never read, see [`dies_unread`](Self::dies_unread).
    pub(super) fn death(&self, draw: f64) -> Option<Death> {
        let quarter = self.death_probability / 4.0;
        [Death::AfterHead, Death::AfterBody, Death::InAnswer]
            .into_iter()
            .zip([quarter, quarter * 2.0, quarter * 3.0])
            .find_map(|(death, below)| (draw < below).then_some(death))
    }

    /// Whether the next request on a connection is not even read.
    pub(super) fn dies_unread(&self, draw: f64) -> bool {
        draw < self.death_probability / 4.0
    }

    fn enqueue(&mut self, order: Order) {
        if order.times > 0 && self.orders.len() < ORDERS_MAX {
            self.orders.push_back(order);
        }
    }
}

fn deadlock(times: u32) -> Order {
    let writes = ["POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec();
    Order { times, methods: writes, path: None, act: Act::Deadlock }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(commands: &[Command]) -> Script {
        let mut script = Script::new(Latency::default());
        commands.iter().for_each(|command| script.obey(command, 1_000, 10));
        script
    }

    #[test]
    fn orders_are_used_up_by_the_requests_they_match() {
        let creates = Order::next(2, Act::Stall).method("POST").path("/api/*");
        let mut script = script(&[Command::Deadlock { times: 1 }, Command::Order(creates)]);
        assert_eq!(script.take("GET", "/api/x"), None);
        assert_eq!(script.take("PUT", "/api/x"), Some(Act::Deadlock));
        assert_eq!(script.take("POST", "/other"), None);
        assert_eq!(script.take("POST", "/api/x"), Some(Act::Stall));
        assert_eq!(script.take("POST", "/api/"), Some(Act::Stall));
        assert_eq!(script.take("POST", "/api/x"), None);
    }

    #[test]
    fn maintenance_lasts_its_scaled_time() {
        let window = Command::Maintenance { for_ms: 1, retry_after_s: Some(7) };
        let script = script(&[window]);
        assert_eq!(script.maintenance(1_000).and_then(|window| window.retry_after_s), Some(7));
        assert!(script.maintenance(100_999).is_some());
        assert!(script.maintenance(101_000).is_none());
    }

    #[test]
    fn deaths_share_the_probability_in_quarters() {
        let script = script(&[Command::Die { probability: 0.4 }]);
        for (draw, death) in [
            (0.0, Some(Death::AfterHead)),
            (0.15, Some(Death::AfterBody)),
            (0.25, Some(Death::InAnswer)),
            (0.31, None),
        ] {
            assert_eq!(script.death(draw), death, "{draw}");
        }
        assert!(script.dies_unread(0.09) && !script.dies_unread(0.11));
    }

    #[test]
    fn commands_read_as_they_are_documented() {
        for (text, command) in [
            (r#"{"deadlock":{"times":2}}"#, Command::Deadlock { times: 2 }),
            (r#""open""#, Command::Open),
            (
                r#"{"throttle":{"times":1}}"#,
                Command::Throttle { times: 1, style: Throttling::Plain },
            ),
            (
                r#"{"order":{"times":1,"methods":["GET"],"path":"/x","act":{"break":{"at":"in_body","how":"reset"}}}}"#,
                Command::Order(
                    Order::next(1, Act::Break { at: Point::InBody, how: End::Reset })
                        .method("GET")
                        .path("/x"),
                ),
            ),
            (
                r#"{"order":{"times":1,"act":{"answer":{"status":418}}}}"#,
                Command::Order(Order::next(
                    1,
                    Act::Answer(Canned { status: 418, ..Canned::default() }),
                )),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), command);
        }
        for documented in [
            r#"{"throttle":{"times":2,"style":"retry_after"}}"#,
            r#"{"maintenance":{"for_ms":300000}}"#,
            r#""expire_tokens""#,
            r#""behave""#,
            r#"{"die":{"probability":0.01}}"#,
            r#"{"latency":{"min_ms":0,"max_ms":200}}"#,
            r#"{"order":{"times":1,"methods":["POST"],"path":"/api/*","act":{"fail":500}}}"#,
        ] {
            assert!(serde_json::from_str::<Command>(documented).is_ok(), "{documented}");
        }
        assert!(serde_json::from_str::<Command>(r#"{"dedlock":{"times":2}}"#).is_err());
    }
}
