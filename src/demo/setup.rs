//! The setup of the demo: addresses, the vendors' rate limits, and the gateway's configuration as a
//! user would write it.
//!
//! One factor divides all times, those of the vendors and those of the configuration: at 60, the
//! five minutes of a vendor's documentation are five seconds.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::settings::{Allowance, Counting, Latency, VendorSettings};

const SCALE: u32 = 60;
/// Droplink's documentation states no rate limit (D39). This one is small, so that a burst exceeds it.
const DROPLINK_LIMIT: usize = 10;
const DROPLINK_WINDOW: Duration = Duration::from_secs(60);
/// Wordbee's documented limit of 1000 per hour.
const WORDBEE_LIMIT: usize = 1000;
const WORDBEE_WINDOW: Duration = Duration::from_secs(3600);
/// Long and varied enough that a gateway which counts sends instead of arrivals exceeds the limit.
const LATENCY: Latency =
    Latency { min: Duration::from_millis(600), max: Duration::from_millis(6000) };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoSettings {
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub droplink: SocketAddr,
    pub wordbee: SocketAddr,
    /// How many times faster than real time the vendors' time runs. The tour needs at least 2, or
    /// its maintenance would last longer than the longest patience.
    pub scale: u32,
}

impl Default for DemoSettings {
    fn default() -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            gateway: at(8080),
            admin: at(9900),
            droplink: at(8081),
            wordbee: at(8082),
            scale: SCALE,
        }
    }
}

impl DemoSettings {
    /// Uses four consecutive ports from this one on, or any free ones for 0.
    pub fn set_ports(&mut self, port: u16) {
        let all = [&mut self.gateway, &mut self.droplink, &mut self.wordbee, &mut self.admin];
        for (address, next) in all.into_iter().zip(0..) {
            address.set_port(if port == 0 { 0 } else { port + next });
        }
    }

    #[must_use]
    pub fn droplink_settings(&self) -> VendorSettings {
        let allowances = vec![Allowance::new(DROPLINK_LIMIT, DROPLINK_WINDOW)];
        VendorSettings { allowances, ..self.adjusted(VendorSettings::droplink()) }
    }

    #[must_use]
    pub fn wordbee_settings(&self) -> VendorSettings {
        let allowances = vec![Allowance::new(WORDBEE_LIMIT, WORDBEE_WINDOW)];
        VendorSettings { allowances, ..self.adjusted(VendorSettings::wordbee()) }
    }

    fn adjusted(&self, settings: VendorSettings) -> VendorSettings {
        let (scale, counting) = (self.scale, Counting::Late);
        VendorSettings { scale, latency: LATENCY, counting, ..settings }
    }

    /// The text that the demo prints at its start: addresses, and commands to try.
    #[must_use]
    pub fn banner(&self) -> String {
        let Self { gateway, droplink, wordbee, scale, .. } = self;
        let hour = scaled_text(WORDBEE_WINDOW, *scale);
        let drop_limit = limit(DROPLINK_LIMIT, DROPLINK_WINDOW, *scale);
        let bee_limit = limit(WORDBEE_LIMIT, WORDBEE_WINDOW, *scale);
        format!(
            "Two simulated vendors and the gateway in front of them; nothing leaves this machine.
Time runs {scale} times faster for the vendors: their hour passes in {hour} of yours.

  gateway    http://{gateway}   /droplink and /wordbee
  Droplink   http://{droplink}   allows {drop_limit}
  Wordbee    http://{wordbee}   allows {bee_limit}

Try
  post() {{ curl -s -H 'x-api-key: demo-key' -d '{{\"title\":\"a\",\"content\":\"b\"}}' \"$@\" \\
    http://{gateway}/droplink/drop/create; }}
  control() {{ curl -s -d \"$1\" http://{droplink}/_vendor/control; }}

  # 40 calls at once: all succeed, and none exceeds Droplink's rate limit.
  for n in $(seq 40); do post -o /dev/null -w '%{{http_code}} ' & done; wait
  # The next write fails with a database deadlock. The gateway retries it; the client gets a 200.
  control '{{\"deadlock\":{{\"times\":1}}}}'; post -i
  # Maintenance for five minutes of the vendor's time: the call waits until a probe succeeds.
  control '{{\"maintenance\":{{\"for_ms\":300000}}}}'; post -i -H 'prefer: wait=600'
  # A vendor error as a problem document, and the vendor's statistics of all these calls.
  curl -s -i -H 'x-api-key: demo-key' http://{gateway}/droplink/nowhere
  curl -s http://{droplink}/_vendor/stats
"
        )
    }
}

/// The gateway's configuration for the demo: upstreams, allowances and dialects with scaled times.
/// Listen addresses are not part of it.
#[must_use]
pub fn config_yaml(droplink: SocketAddr, wordbee: SocketAddr, scale: u32) -> String {
    let drop_limit = limit(DROPLINK_LIMIT, DROPLINK_WINDOW, scale);
    let bee_limit = limit(WORDBEE_LIMIT, WORDBEE_WINDOW, scale);
    let mut text = format!(
        "version: 1
upstreams:
  droplink:
    url: http://{droplink}/api/v1
    route: /droplink
    dialect: droplink
    allowances:
      all: {{ limit: {drop_limit} }}
  wordbee:
    url: http://{wordbee}/api
    route: /wordbee
    dialect: wordbee
    account: {{ header: x-auth-accountid }}
    allowances:
      account: {{ limit: {bee_limit}, burst: 20, exempt: [{{ path: /auth/token }}] }}
dialects:
"
    );
    text += &scale_spans(DROPLINK_DIALECT, scale);
    text += &scale_spans(WORDBEE_DIALECT, scale);
    text
}

/// Droplink's documentation as rules. In `@300s` the span is still to be divided by the scale.
const DROPLINK_DIALECT: &str = r"  droplink:
    support: { contact: admin@droplink.cc, when: exhausted }
    timeouts: { attempt: @60s }
    extract:
      message: [/error]
    rules:
      - name: deadlock
        when: { status: 400, text: '(?i)\bdeadlock' }
        code: transient_conflict
        replay: any_method
        retry: { after: @1s }
      - name: disguised_rate_limit
        when: { status: 400, text: '(?i)(exceed\w*|over) the (request|rate) limit|too many requests' }
        code: rate_limited
        hold: { scope: allowance, for: @10s, slow: 50% }
      - name: throttled
        when: { status: 429 }
        code: rate_limited
        hold: { scope: allowance, for: @10s, slow: 50% }
      - name: maintenance
        when: { status: 503 }
        code: upstream_maintenance
        hold: { scope: upstream, for: @300s }
      - name: silence
        when: { failure: timeout }
        code: upstream_timeout
        retry: { after: @300s }
      - { name: bad_key,      when: { status: 403 }, code: credential_rejected }
      - { name: no_header,    when: { status: 401 }, code: unauthenticated }
      - { name: job_running,  when: { status: 409 }, code: conflict }
      - { name: bad_endpoint, when: { status: 404 }, code: endpoint_not_found }
      - { name: malfunction,  when: { status: 500 }, code: upstream_error, retry: {} }
";

const WORDBEE_DIALECT: &str = r"  wordbee:
    extract:
      message: [/error/title, /error/message, /reason]
    rules:
      - name: throttled
        when: { status: 429 }
        code: rate_limited
        hold: { scope: allowance, for: @10s, at_least: @10s, slow: 50% }
      - name: bad_token
        when: { status: 400, text: '(?i)token invalid or expired' }
        code: unauthenticated
      - name: bad_key
        when: { status: 400, text: '(?i)invalid private key' }
        code: credential_rejected
      - name: missing_file
        when: { status: 400, text: '(?i)file does not exist' }
        code: not_found
      - { name: bad_endpoint, when: { status: 404 }, code: endpoint_not_found }
      - { name: malfunction,  when: { status: 500 }, code: upstream_error, retry: {} }
";

/// Divides every `@<seconds>s` in `text` by `scale`; any other `@` stays.
fn scale_spans(text: &str, scale: u32) -> String {
    let mut parts = text.split('@');
    let mut scaled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        let seconds = number.parse().ok().map(Duration::from_secs).zip(rest.strip_prefix('s'));
        scaled += &match seconds {
            Some((seconds, rest)) => format!("{}{rest}", scaled_text(seconds, scale)),
            None => format!("@{part}"),
        };
    }
    scaled
}

fn limit(number: usize, window: Duration, scale: u32) -> String {
    format!("{number}/{}", scaled_text(window, scale))
}

/// A span divided by `scale`, in whole seconds if possible, else in milliseconds. It is rounded up,
/// because most spans are minimum waits.
fn scaled_text(span: Duration, scale: u32) -> String {
    let real = span / scale.max(1);
    if real.subsec_nanos() == 0 && !real.is_zero() {
        return format!("{}s", real.as_secs());
    }
    format!("{}ms", real.as_nanos().div_ceil(1_000_000).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(scale: u32) -> serde_json::Value {
        let settings = DemoSettings::default();
        let text = config_yaml(settings.droplink, settings.wordbee, scale);
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn every_time_in_the_configuration_is_scaled() {
        let config = parsed(60);
        for (pointer, value) in [
            ("/upstreams/droplink/url", "http://127.0.0.1:8081/api/v1"),
            ("/upstreams/droplink/allowances/all/limit", "10/1s"),
            ("/upstreams/wordbee/allowances/account/limit", "1000/60s"),
            ("/dialects/droplink/support/contact", "admin@droplink.cc"),
            ("/dialects/droplink/timeouts/attempt", "1s"),
            ("/dialects/droplink/rules/0/retry/after", "17ms"),
            ("/dialects/droplink/rules/3/hold/for", "5s"),
            ("/dialects/wordbee/rules/0/hold/at_least", "167ms"),
        ] {
            assert_eq!(config.pointer(pointer).unwrap(), value, "{pointer}");
        }
        assert_eq!(parsed(1)["dialects"]["droplink"]["rules"][3]["hold"]["for"], "300s");
    }

    #[test]
    fn the_vendors_have_the_limits_of_the_configuration() {
        let settings = DemoSettings::default();
        let allowance = settings.droplink_settings().allowances[0].scaled(settings.scale);
        assert_eq!((allowance.limit, allowance.window), (10, Duration::from_secs(1)));
        let allowance = settings.wordbee_settings().allowances[0].scaled(settings.scale);
        assert_eq!((allowance.limit, allowance.window), (1000, Duration::from_secs(60)));
    }

    #[test]
    fn the_banner_names_every_address_within_100_columns() {
        let settings = DemoSettings::default();
        let banner = settings.banner();
        for address in [settings.gateway, settings.droplink, settings.wordbee] {
            assert!(banner.contains(&address.to_string()), "{address}");
        }
        let widest = banner.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?}");
    }
}
