//! `POST /api/v1/allowances/UPSTREAM/LEVER`: the levers of operators, with what they need in the
//! query.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::query::{decoded, parameters};
use super::response::Refusal;
use crate::allowance::{
    Lever, LeverOrder, LeverOrigin, LeverRefusal, LeverReport, LoweredLimit, PAUSE_MAX,
};
use crate::telemetry::seconds_of;

/// The longest reason that is logged.
const REASON_CHARS_MAX: usize = 200;

/// Reads an order from the path behind `/api/v1/allowances/` and the query.
///
/// # Errors
/// There is no such lever, or its parameters are missing or wrong.
pub(super) fn order(rest: &str, query: Option<&str>, by: &Arc<str>) -> Result<LeverOrder, Refusal> {
    let (upstream, name) = rest.rsplit_once('/').ok_or(Refusal::NotFound)?;
    let given = parameters(query.unwrap_or_default()).map_err(invalid)?;
    let value = |name: &str| {
        let found = given.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    };
    let (lever, own): (Lever, &[&str]) = match name {
        "pause" => (Lever::Pause(value("seconds").map(pause_length).transpose()?), &["seconds"]),
        "lower" => (Lever::Lower(lowered_limit(value("to"))?), &["to"]),
        "resume" => (Lever::Resume, &[]),
        "raise" => (Lever::Raise, &[]),
        "reset" => (Lever::Reset, &[]),
        "forget-spent" => (Lever::ForgetSpent, &[]),
        _ => return Err(Refusal::NotFound),
    };
    let known =
        |name: &str| ["allowance", "account", "reason"].contains(&name) || own.contains(&name);
    if let Some((unknown, _)) = given.iter().find(|(name, _)| !known(name)) {
        return Err(invalid(format!("`{}` is no parameter of this lever.", clean(unknown))));
    }
    let reason = value("reason").map(clean).unwrap_or_default();
    // What ends another lever is explained by that one.
    if reason.is_empty() && !matches!(lever, Lever::Resume | Lever::Raise) {
        return Err(invalid("This lever needs a `reason`, which is logged and shown.".to_owned()));
    }
    Ok(LeverOrder {
        lever,
        upstream: decoded(upstream).map_err(invalid)?.into(),
        account: value("account").map(Arc::from),
        allowance: value("allowance").map(Arc::from),
        origin: LeverOrigin { by: Arc::clone(by), reason: reason.into() },
    })
}

fn pause_length(text: &str) -> Result<Duration, Refusal> {
    let seconds = text.parse().ok().filter(|it| (1..=PAUSE_MAX.as_secs()).contains(it));
    let accepted =
        || invalid("`seconds` is a whole number, from 1 to 2678400 (31 days).".to_owned());
    seconds.map(Duration::from_secs).ok_or_else(accepted)
}

fn lowered_limit(text: Option<&str>) -> Result<LoweredLimit, Refusal> {
    let text = text.unwrap_or_default();
    let lowered = match text.strip_suffix('%') {
        Some(percent) => {
            let percent = percent.parse().ok().filter(|it| (1..100).contains(it));
            percent.map(LoweredLimit::Percent)
        }
        None => text.parse().ok().filter(|units| *units > 0).map(LoweredLimit::Units),
    };
    lowered.ok_or_else(|| {
        let accepted = "`to` is a part of the configured limit (`40%`) or a number of units (`100`); \
                        to let nothing through, pause.";
        invalid(accepted.to_owned())
    })
}

/// The text without what a log line or a terminal could be confused by.
fn clean(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(REASON_CHARS_MAX).collect::<String>().trim().to_owned()
}

const fn invalid(detail: String) -> Refusal {
    Refusal::Invalid(Cow::Owned(detail))
}

/// Writes what a lever did to the log.
pub(super) fn log(order: &LeverOrder, report: &LeverReport) {
    let LeverOrder { lever, upstream, account, allowance, origin } = order;
    let (by, reason) = (&*origin.by, &*origin.reason);
    let seconds = match lever {
        Lever::Pause(length) => length.map(seconds_of),
        Lever::Resume | Lever::Lower(_) | Lever::Raise | Lever::Reset | Lever::ForgetSpent => None,
    };
    let to = match lever {
        Lever::Lower(LoweredLimit::Percent(percent)) => Some(format!("{percent}%")),
        Lever::Lower(LoweredLimit::Units(units)) => Some(units.to_string()),
        Lever::Pause(_) | Lever::Resume | Lever::Raise | Lever::Reset | Lever::ForgetSpent => None,
    };
    let (account, allowance) = (account.as_deref(), allowance.as_deref());
    let (accounts, changed) = (report.accounts, report.changed.join(", "));
    let forgotten = (*lever == Lever::ForgetSpent).then_some(report.forgotten);
    tracing::warn!(
        lever = lever.name(),
        upstream = &**upstream,
        account,
        allowance,
        seconds,
        to,
        by,
        reason,
        accounts,
        changed,
        forgotten,
        "lever pulled by an operator"
    );
}

/// What the operator is told.
pub(super) fn answer(order: &LeverOrder, report: &LeverReport) -> Value {
    json!({
        "lever": order.lever.name(),
        "upstream": &*order.upstream,
        "by": &*order.origin.by,
        "accounts": report.accounts,
        "changed": report.changed.iter().map(|name| &**name).collect::<Vec<_>>(),
        "forgotten_units": report.forgotten,
    })
}

/// Why a lever did nothing.
pub(super) fn refusal(refusal: LeverRefusal) -> Refusal {
    let listed = |names: Vec<Arc<str>>| names.join(", ");
    match refusal {
        LeverRefusal::UnknownUpstream(known) => Refusal::unknown_upstream(&known),
        LeverRefusal::UnknownAccount => {
            let detail =
                "No account of this upstream has this key; one is opened by its first call.";
            Refusal::Unknown(detail.to_owned())
        }
        LeverRefusal::UnknownAllowance(known) if known.is_empty() => {
            Refusal::Unknown("This upstream has no allowances.".to_owned())
        }
        LeverRefusal::UnknownAllowance(known) => {
            Refusal::Unknown(format!("No allowance has this name. There are: {}.", listed(known)))
        }
        LeverRefusal::NoAllowances => {
            let detail = "This upstream has no allowances; it can be paused, resumed and reset.";
            invalid(detail.to_owned())
        }
        LeverRefusal::AmbiguousAllowance(known) => {
            let known = listed(known);
            let detail = format!(
                "A number of units means something else for each allowance: name one with \
                 `allowance` ({known}), or use a percentage."
            );
            invalid(detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str, query: &str) -> Result<LeverOrder, Refusal> {
        order(rest, Some(query), &"alice".into())
    }

    #[test]
    fn an_order_is_read_from_path_and_query() {
        let found = read("stripe/pause", "seconds=600&reason=their+incident%2042").unwrap();
        assert_eq!(found.lever, Lever::Pause(Some(Duration::from_secs(600))));
        assert_eq!((&*found.upstream, &*found.origin.reason), ("stripe", "their incident 42"));
        assert_eq!((found.account, found.allowance), (None, None));
        let found = read("my%20vendor/lower", "to=40%25&allowance=hour&account=a%2Fb&reason=x");
        let found = found.unwrap();
        assert_eq!(found.lever, Lever::Lower(LoweredLimit::Percent(40)));
        assert_eq!(&*found.upstream, "my vendor");
        assert_eq!(found.account.as_deref(), Some("a/b"));
        assert_eq!(found.allowance.as_deref(), Some("hour"));
        assert_eq!(read("stripe/resume", "").unwrap().lever, Lever::Resume);
        let long = read("v/reset", &format!("reason=a%0Ab{}", "x".repeat(900))).unwrap();
        assert!(long.origin.reason.starts_with("abx") && long.origin.reason.len() == 200);
    }

    #[test]
    fn a_wrong_parameter_is_named_with_what_is_accepted() {
        let rows = [
            ("v/pause", "seconds=0&reason=x", "`seconds`"),
            ("v/pause", "seconds=10m&reason=x", "`seconds`"),
            ("v/pause", "seconds=9999999&reason=x", "`seconds`"),
            ("v/pause", "seconds=5", "`reason`"),
            ("v/pause", "seconds=5&reason=%20", "`reason`"),
            ("v/pause", "for=5&reason=x", "`for`"),
            ("v/resume", "seconds=5", "`seconds`"),
            ("v/lower", "reason=x", "`to`"),
            ("v/lower", "to=100%25&reason=x", "`to`"),
            ("v/lower", "to=0&reason=x", "`to`"),
            ("v/lower", "to=-1&reason=x", "`to`"),
            ("v/reset", "reason=%f", "percent"),
            ("v/reset", "reason=%ff", "UTF-8"),
            ("v/reset", "reason=a&reason=b", "twice"),
        ];
        for (rest, query, named) in rows {
            let refusal = read(rest, query).unwrap_err();
            let Refusal::Invalid(detail) = refusal else { panic!("{query}: {refusal:?}") };
            assert!(detail.contains(named), "{query}: {detail}");
        }
        for rest in ["v", "v/stop", "v/"] {
            assert_eq!(read(rest, ""), Err(Refusal::NotFound), "{rest}");
        }
    }
}
