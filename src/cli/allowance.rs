//! `evenkeel allowance`: what is used of allowances, and the levers of operators, as a client of a
//! running gateway's admin API.
//!
//! The token comes from a file or the environment, never from the command line, which other users
//! of the machine can read. Its name in the configuration is logged.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::admin_client::{AdminResponse, ask, connectable};
use super::source::{ConfigSource, report};
use crate::allowance::PAUSE_MAX;
use crate::config::{Environment, admin_address, duration};
use crate::time::seconds_up;

/// The variable that holds the token where no file is named.
const TOKEN_VARIABLE: &str = "EVENKEEL_ADMIN_TOKEN";

#[derive(Args, Clone, Debug)]
pub struct AllowanceArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Prints limits, use, queues, holds and levers as JSON.
    Show(ShowArgs),
    #[command(flatten)]
    Lever(LeverArgs),
}

#[derive(Args, Clone, Debug)]
struct ShowArgs {
    /// One upstream, by its name in the configuration, instead of all.
    upstream: Option<String>,
    /// One account, by the value of its header, instead of all.
    #[arg(long, value_name = "KEY")]
    account: Option<String>,
    /// How many accounts are left out before the first that is shown.
    #[arg(long, value_name = "N")]
    offset: Option<usize>,
    #[command(flatten)]
    gateway: RunningGateway,
}

#[derive(Clone, Debug, Subcommand)]
enum LeverArgs {
    /// Sends nothing until the pause is over or resumed. Calls wait for it or are answered 503.
    Pause {
        #[command(flatten)]
        target: Target,
        /// How long, like 10m; without it, until it is resumed.
        #[arg(long = "for", value_name = "DURATION", value_parser = pause_length)]
        length: Option<u64>,
        /// Why, for the log and other operators.
        #[arg(long)]
        reason: String,
    },
    /// Ends a pause.
    Resume {
        #[command(flatten)]
        target: Target,
        /// Why, for the log and other operators.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lowers a limit until it is raised again.
    Lower {
        #[command(flatten)]
        target: Target,
        /// A part of the configured limit, like 40%, or a number of units.
        #[arg(long, value_name = "LIMIT")]
        to: String,
        /// Why, for the log and other operators.
        #[arg(long)]
        reason: String,
    },
    /// Gives a lowered limit back, as it is configured.
    Raise {
        #[command(flatten)]
        target: Target,
        /// Why, for the log and other operators.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Forgets limits that the vendor stated, and ends holds and slowed paces.
    Reset {
        #[command(flatten)]
        target: Target,
        /// Why, for the log and other operators.
        #[arg(long)]
        reason: String,
    },
    /// Forgets what was spent. The vendor may count it still, and then limits the rate.
    ForgetSpent {
        #[command(flatten)]
        target: Target,
        /// Confirms that the promise does not hold for what is forgotten.
        #[arg(long, required = true)]
        yes: bool,
        /// Why, for the log and other operators.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args, Clone, Debug)]
struct Target {
    /// The upstream, by its name in the configuration.
    upstream: String,
    /// One allowance, instead of the upstream and all of them.
    #[arg(long, value_name = "NAME")]
    allowance: Option<String>,
    /// One account, by the value of its header, instead of all.
    #[arg(long, value_name = "KEY")]
    account: Option<String>,
    #[command(flatten)]
    gateway: RunningGateway,
}

/// The gateway that is asked.
#[derive(Args, Clone, Debug)]
struct RunningGateway {
    #[command(flatten)]
    source: ConfigSource,
    /// The address of the admin listener, instead of the configured one.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The file that holds the token, instead of the variable EVENKEEL_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A request of the API.
struct Request<'a> {
    gateway: &'a RunningGateway,
    method: &'static str,
    /// Below `/api/v1/allowances`.
    path: String,
    parameters: Vec<(&'static str, String)>,
}

/// Prints what is shown, what the lever did, or why it did nothing.
pub fn run(
    args: &AllowanceArgs,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let request = args.verb.request();
    let gateway = request.gateway;
    let configured = || admin_address(&gateway.source.request(), environment);
    let admin = match gateway.admin.map_or_else(configured, Ok) {
        Ok(admin) => connectable(admin),
        Err(diagnostics) => return report(&diagnostics, err),
    };
    let answered = token(gateway, environment).and_then(|token| {
        ask(admin, request.method, &request.uri(), token.as_deref())
            .map_err(|error| format!("no gateway answers at {admin}: {error}"))
    });
    let told = match answered.and_then(told) {
        Ok(text) => writeln!(out, "{text}").map(|()| ExitCode::SUCCESS),
        Err(text) => writeln!(err, "error: {text}").map(|()| ExitCode::FAILURE),
    };
    told.unwrap_or(ExitCode::FAILURE)
}

impl Verb {
    fn request(&self) -> Request<'_> {
        match self {
            Self::Show(args) => args.request(),
            Self::Lever(args) => args.request(),
        }
    }
}

impl ShowArgs {
    fn request(&self) -> Request<'_> {
        let upstream = self.upstream.as_ref().map(|name| format!("/{}", encoded(name)));
        let account = self.account.clone().map(|key| ("account", key));
        let offset = self.offset.map(|offset| ("offset", offset.to_string()));
        Request {
            gateway: &self.gateway,
            method: "GET",
            path: upstream.unwrap_or_default(),
            parameters: [account, offset].into_iter().flatten().collect(),
        }
    }
}

impl LeverArgs {
    fn request(&self) -> Request<'_> {
        let reason = |reason: &Option<String>| reason.clone().unwrap_or_default();
        let (lever, target, reason, own) = match self {
            Self::Pause { target, length, reason } => {
                let seconds = length.map(|seconds| ("seconds", seconds.to_string()));
                ("pause", target, reason.clone(), seconds)
            }
            Self::Lower { target, to, reason } => {
                ("lower", target, reason.clone(), Some(("to", to.clone())))
            }
            Self::Resume { target, reason: why } => ("resume", target, reason(why), None),
            Self::Raise { target, reason: why } => ("raise", target, reason(why), None),
            Self::Reset { target, reason } => ("reset", target, reason.clone(), None),
            Self::ForgetSpent { target, reason, yes: _ } => {
                ("forget-spent", target, reason.clone(), None)
            }
        };
        let allowance = target.allowance.clone().map(|name| ("allowance", name));
        let account = target.account.clone().map(|key| ("account", key));
        let reason = Some(("reason", reason)).filter(|(_, reason)| !reason.is_empty());
        let parameters = [own, allowance, account, reason].into_iter().flatten().collect();
        let path = format!("/{}/{lever}", encoded(&target.upstream));
        Request { gateway: &target.gateway, method: "POST", path, parameters }
    }
}

impl Request<'_> {
    fn uri(&self) -> String {
        let parts =
            self.parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = parts.collect::<Vec<_>>().join("&");
        let separator = if query.is_empty() { "" } else { "?" };
        format!("/api/v1/allowances{}{separator}{query}", self.path)
    }
}

/// Percent-encoded wherever a URI could read it otherwise.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            byte => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

fn token(gateway: &RunningGateway, environment: &Environment) -> Result<Option<String>, String> {
    let text = match &gateway.token_file {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            Some(text.map_err(|error| format!("{}: {error}", file.display()))?)
        }
        None => {
            let text = environment.value(TOKEN_VARIABLE).map(OsString::from);
            text.map(OsString::into_string)
                .transpose()
                .map_err(|_| format!("the variable {TOKEN_VARIABLE} is not UTF-8"))?
        }
    };
    let token = text.map(|text| text.trim().to_owned());
    let is_text = |token: &String| token.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    match token.filter(|token| !token.is_empty()) {
        Some(token) if !is_text(&token) => {
            Err("the token is not one line of visible characters".to_owned())
        }
        token => Ok(token),
    }
}

/// What an operator reads of the answer.
///
/// # Errors
/// Why nothing has changed.
fn told(response: AdminResponse) -> Result<String, String> {
    let AdminResponse { status, body } = response;
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    if status == 401 {
        return Err(format!(
            "the gateway needs an admin token: set {TOKEN_VARIABLE}, or name a file with \
             --token-file"
        ));
    }
    if status != 200 {
        let detail = text("detail");
        let detail = if detail.is_empty() { "this is not an admin listener" } else { detail };
        return Err(format!("{detail} ({status})"));
    }
    if value["accounts_total"].is_number() {
        return Ok(body);
    }
    let (lever, upstream) = (text("lever"), text("upstream"));
    let changed = value["changed"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let changed = changed.collect::<Vec<_>>().join(", ");
    let accounts = value["accounts"].as_u64().unwrap_or_default();
    let accounts =
        if accounts == 1 { "1 account".to_owned() } else { format!("{accounts} accounts") };
    Ok(match (&*changed, lever) {
        ("", _) => format!("{lever} {upstream}: nothing to change in {accounts}"),
        (changed, "forget-spent") => {
            format!(
                "{lever} {upstream}: {} units of {changed} in {accounts}",
                value["forgotten_units"]
            )
        }
        (changed, _) => format!("{lever} {upstream}: {changed} in {accounts}"),
    })
}

fn pause_length(text: &str) -> Result<u64, String> {
    let length = duration(text, [Duration::from_secs(1), PAUSE_MAX])?;
    Ok(seconds_up(length))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: AllowanceArgs,
    }

    fn uri(line: &str) -> Result<String, clap::Error> {
        let words = std::iter::once("allowance").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.args.verb.request().uri())
    }

    #[test]
    fn a_command_line_becomes_a_request() {
        let rows = [
            (
                "pause stripe --for 10m --reason incident",
                "/stripe/pause?seconds=600&reason=incident",
            ),
            ("pause a&b --reason x", "/a%26b/pause?reason=x"),
            ("resume stripe", "/stripe/resume"),
            ("show", ""),
            ("show stripe --account a --offset 100", "/stripe?account=a&offset=100"),
            (
                "lower v --to 40% --allowance hour --account a/b --reason x",
                "/v/lower?to=40%25&allowance=hour&account=a%2Fb&reason=x",
            ),
            ("raise v --reason over", "/v/raise?reason=over"),
            ("forget-spent v --yes --reason x", "/v/forget-spent?reason=x"),
        ];
        for (line, expected) in rows {
            assert_eq!(uri(line).unwrap(), format!("/api/v1/allowances{expected}"), "{line}");
        }
    }

    #[test]
    fn a_command_line_that_says_too_little_is_rejected() {
        for line in [
            "pause v",
            "pause v --for 10 --reason x",
            "pause v --for 32d --reason x",
            "lower v --reason x",
            "reset v",
            "forget-spent v --reason x",
            "stop v",
        ] {
            assert!(uri(line).is_err(), "{line}");
        }
    }

    #[test]
    fn answers_are_told_in_a_sentence() {
        let answer = |status, body: &str| told(AdminResponse { status, body: body.to_owned() });
        let done = |lever: &str, changed: &str, accounts: u32| {
            format!(
                r#"{{"lever":"{lever}","upstream":"v","by":"a","accounts":{accounts},
                "changed":[{changed}],"forgotten_units":7}}"#
            )
        };
        let rows = [
            (done("pause", "\"v\"", 1), "pause v: v in 1 account"),
            (done("resume", "", 2), "resume v: nothing to change in 2 accounts"),
            (
                done("forget-spent", "\"a\",\"b\"", 1),
                "forget-spent v: 7 units of a, b in 1 account",
            ),
        ];
        for (body, text) in rows {
            assert_eq!(answer(200, &body).unwrap(), text);
        }
        let refused = answer(404, r#"{"detail":"No upstream has this name."}"#).unwrap_err();
        assert_eq!(refused, "No upstream has this name. (404)");
        assert!(answer(401, "").unwrap_err().contains(TOKEN_VARIABLE));
    }
}
