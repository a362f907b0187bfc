//! Scripted behaviour of a simulated vendor, and the commands that set it.
//!
//! A [`Command`] comes from code or, as JSON, from `POST /_vendor/control`. Pure values: moments and
//! random numbers are passed in; `serve` performs what is decided here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::faulty_stream::ConnectionEnd;
use super::request_log::nanos;
use super::settings::{Latency, ThrottleStyle};

/// Rules waiting at once; no test needs more than a few.
const RULES_MAX: usize = 1_000;

/// A command to the vendor. Spans are in the vendor's time, hence divided by its scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Applies a rule to the next requests that match it.
    #[serde(rename = "order")]
    Script(ScriptRule),
    /// The next writes fail with a database deadlock.
    Deadlock { times: u32 },
    /// The next requests are refused as exceeding the limit.
    Throttle {
        times: u32,
        #[serde(default)]
        style: ThrottleStyle,
    },
    /// Starts a maintenance window.
    Maintenance {
        for_ms: u64,
        /// The value of `Retry-After`, in real seconds.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    #[serde(rename = "open")]
    EndMaintenance,
    /// Resets each request's connection with this probability (0 to 1), at a random point.
    #[serde(rename = "die")]
    RandomFaults { probability: f64 },
    /// Delays each response by a random time between these bounds.
    Latency { min_ms: u64, max_ms: u64 },
    /// Invalidates all session tokens.
    ExpireTokens,
    /// Stops accepting a key.
    Revoke { key: String },
    /// Clears all rules, maintenance, random faults and latency set by commands.
    #[serde(rename = "behave")]
    Reset,
}

/// An action for the next few requests that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptRule {
    /// How many requests the rule applies to.
    pub times: u32,
    /// Only these methods; all when empty.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Only this path, or every path with this prefix if it ends in `*`; all when absent.
    #[serde(default)]
    pub path: Option<String>,
    #[serde(rename = "act")]
    pub action: Action,
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Sends exactly this response.
    Answer(ScriptedResponse),
    /// Sends this status with the vendor's own error body.
    Fail(u16),
    /// Sends the vendor's error for a database deadlock.
    Deadlock,
    /// Sends the vendor's error for an exceeded limit.
    Throttle(ThrottleStyle),
    /// Reads the request and never responds.
    Stall,
    /// Performs the request, then ends the connection at this point of the response.
    Break { at: BreakPoint, how: ConnectionEnd },
    /// Performs the request, then sends these bytes in place of the response and closes.
    Garbage(String),
    /// Sends the usual response with so many bytes of the body at a time.
    Drip { bytes: usize, pause_ms: u64 },
    /// Sends the usual response later.
    Delay { ms: u64 },
}

impl Action {
    /// The name of the action in JSON, for the log.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::Fail(_) => "fail",
            Self::Deadlock => "deadlock",
            Self::Throttle(_) => "throttle",
            Self::Stall => "stall",
            Self::Break { .. } => "break",
            Self::Garbage(_) => "garbage",
            Self::Drip { .. } => "drip",
            Self::Delay { .. } => "delay",
        }
    }
}

/// Where in a response the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakPoint {
    /// Before the first byte.
    BeforeAnswer,
    /// Inside the status line.
    InHead,
    /// Between the head and the body.
    AfterHead,
    /// In the middle of the body.
    InBody,
}

/// A response given in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedResponse {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
    /// Whether it is sent before the request's body is read.
    #[serde(default)]
    pub early: bool,
}

impl ScriptedResponse {
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: &str) -> Self {
        let headers = [("content-type".to_owned(), media_type.to_owned())].into();
        Self { status, headers, body: body.to_owned(), early: false }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl ScriptRule {
    /// Applies `action` to the next `times` requests of any method and path.
    #[must_use]
    pub fn next(times: u32, action: Action) -> Self {
        Self { times, methods: Vec::new(), path: None, action }
    }

    /// Restricts the rule to this method and those given before.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.methods.push(method.to_owned());
        self
    }

    /// Restricts the rule to this path, or to every path with this prefix if it ends in `*`.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let method_matches =
            self.methods.is_empty() || self.methods.iter().any(|one| one == method);
        method_matches
            && self.path.as_deref().is_none_or(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => pattern == path,
            })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maintenance {
    until_ns: u64,
    pub(super) retry_after_s: Option<u64>,
}

/// Where a random fault resets the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RandomFault {
    AfterHead,
    AfterBody,
    InResponse,
}

/// The rules and conditions in force.
#[derive(Debug)]
pub(super) struct Script {
    rules: VecDeque<ScriptRule>,
    maintenance: Option<Maintenance>,
    fault_probability: f64,
    default_latency: Latency,
    latency: Latency,
}

impl Script {
    pub(super) fn new(latency: Latency) -> Self {
        Self {
            rules: VecDeque::new(),
            maintenance: None,
            fault_probability: 0.0,
            default_latency: latency,
            latency,
        }
    }

    /// Executes a command. Those about tokens and keys change no script; [`super::shared`] has them.
    pub(super) fn execute(&mut self, command: &Command, now: u64, scale: u32) {
        let scaled = |ms: u64| Duration::from_millis(ms) / scale.max(1);
        match command {
            Command::Script(rule) => self.add(rule.clone()),
            Command::Deadlock { times } => {
                let methods = ["POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec();
                self.add(ScriptRule { methods, ..ScriptRule::next(*times, Action::Deadlock) });
            }
            Command::Throttle { times, style } => {
                self.add(ScriptRule::next(*times, Action::Throttle(*style)));
            }
            Command::Maintenance { for_ms, retry_after_s } => {
                let until_ns = now.saturating_add(nanos(scaled(*for_ms)));
                self.maintenance = Some(Maintenance { until_ns, retry_after_s: *retry_after_s });
            }
            Command::EndMaintenance => self.maintenance = None,
            Command::RandomFaults { probability } => self.fault_probability = *probability,
            Command::Latency { min_ms, max_ms } => {
                let (min, max) = (Duration::from_millis(*min_ms), Duration::from_millis(*max_ms));
                self.latency = Latency { min, max };
            }
            Command::Reset => *self = Self::new(self.default_latency),
            Command::ExpireTokens | Command::Revoke { .. } => {}
        }
    }

    /// The action of the first rule that matches, which is used up once more.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Action> {
        let index = self.rules.iter().position(|rule| rule.matches(method, path))?;
        let rule = self.rules.get_mut(index)?;
        let action = rule.action.clone();
        rule.times = rule.times.saturating_sub(1);
        if rule.times == 0 {
            self.rules.remove(index);
        }
        Some(action)
    }

    pub(super) fn maintenance(&self, now: u64) -> Option<Maintenance> {
        self.maintenance.filter(|window| now < window.until_ns)
    }

    pub(super) fn latency(&self) -> Latency {
        self.latency
    }

    /// The random fault of this request, if any; `draw` is in 0..1. A quarter of the probability
    /// is left for requests that are never read, see [`resets_unread`](Self::resets_unread).
    pub(super) fn random_fault(&self, draw: f64) -> Option<RandomFault> {
        let quarter = self.fault_probability / 4.0;
        [RandomFault::AfterHead, RandomFault::AfterBody, RandomFault::InResponse]
            .into_iter()
            .zip([quarter, quarter * 2.0, quarter * 3.0])
            .find_map(|(fault, below)| (draw < below).then_some(fault))
    }

    /// Whether the connection is reset instead of reading its next request.
    pub(super) fn resets_unread(&self, draw: f64) -> bool {
        draw < self.fault_probability / 4.0
    }

    fn add(&mut self, rule: ScriptRule) {
        if rule.times > 0 && self.rules.len() < RULES_MAX {
            self.rules.push_back(rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(commands: &[Command]) -> Script {
        let mut script = Script::new(Latency::default());
        commands.iter().for_each(|command| script.execute(command, 1_000, 10));
        script
    }

    #[test]
    fn rules_are_used_up_by_the_requests_they_match() {
        let creates = ScriptRule::next(2, Action::Stall).method("POST").path("/api/*");
        let mut script = script(&[Command::Deadlock { times: 1 }, Command::Script(creates)]);
        assert_eq!(script.take("GET", "/api/x"), None);
        assert_eq!(script.take("PUT", "/api/x"), Some(Action::Deadlock));
        assert_eq!(script.take("POST", "/other"), None);
        assert_eq!(script.take("POST", "/api/x"), Some(Action::Stall));
        assert_eq!(script.take("POST", "/api/"), Some(Action::Stall));
        assert_eq!(script.take("POST", "/api/x"), None);
    }

    #[test]
    fn maintenance_lasts_for_the_scaled_time() {
        let window = Command::Maintenance { for_ms: 1, retry_after_s: Some(7) };
        let script = script(&[window]);
        assert_eq!(script.maintenance(1_000).and_then(|window| window.retry_after_s), Some(7));
        assert!(script.maintenance(100_999).is_some());
        assert!(script.maintenance(101_000).is_none());
    }

    #[test]
    fn random_faults_share_the_probability_in_quarters() {
        let script = script(&[Command::RandomFaults { probability: 0.4 }]);
        for (draw, fault) in [
            (0.0, Some(RandomFault::AfterHead)),
            (0.15, Some(RandomFault::AfterBody)),
            (0.25, Some(RandomFault::InResponse)),
            (0.31, None),
        ] {
            assert_eq!(script.random_fault(draw), fault, "{draw}");
        }
        assert!(script.resets_unread(0.09) && !script.resets_unread(0.11));
    }

    #[test]
    fn documented_commands_are_parsed() {
        for (text, command) in [
            (r#"{"deadlock":{"times":2}}"#, Command::Deadlock { times: 2 }),
            (r#""open""#, Command::EndMaintenance),
            (
                r#"{"throttle":{"times":1}}"#,
                Command::Throttle { times: 1, style: ThrottleStyle::Plain },
            ),
            (
                r#"{"order":{"times":1,"methods":["GET"],"path":"/x","act":{"break":{"at":"in_body","how":"reset"}}}}"#,
                Command::Script(
                    ScriptRule::next(
                        1,
                        Action::Break { at: BreakPoint::InBody, how: ConnectionEnd::Reset },
                    )
                    .method("GET")
                    .path("/x"),
                ),
            ),
            (
                r#"{"order":{"times":1,"act":{"answer":{"status":418}}}}"#,
                Command::Script(ScriptRule::next(
                    1,
                    Action::Answer(ScriptedResponse { status: 418, ..ScriptedResponse::default() }),
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

    #[test]
    fn an_action_is_logged_under_its_json_name() {
        let actions = [
            Action::Answer(ScriptedResponse::default()),
            Action::Fail(500),
            Action::Throttle(ThrottleStyle::Plain),
            Action::Break { at: BreakPoint::InBody, how: ConnectionEnd::Reset },
            Action::Garbage(String::new()),
            Action::Drip { bytes: 1, pause_ms: 1 },
            Action::Delay { ms: 1 },
        ];
        for action in actions {
            let json = serde_json::to_value(&action).unwrap();
            assert!(json.get(action.name()).is_some(), "{json}");
        }
        for action in [Action::Deadlock, Action::Stall] {
            assert_eq!(serde_json::to_value(&action).unwrap(), action.name());
        }
    }
}
