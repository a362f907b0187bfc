//! Which valid text a diagnostic suggests for a text in another notation.

use std::time::Duration;

use super::*;

/// What a diagnostic about `text` suggests.
fn suggested(text: &str, format: &dyn AnyFormat) -> Option<String> {
    format.check(text).expect_err(text).remove(0).nearest
}

#[test]
fn limits_in_other_notations_get_a_suggestion() {
    let rows = [
        ("500rpm", "500/m"),
        ("10 per second", "10/s"),
        ("100 req/min", "100/m"),
        ("5rps", "5/s"),
        ("5 RPS", "5/s"),
        ("10k/h", "10000/h"),
        ("1,000 requests per hour", "1000/h"),
        ("1_000/day", "1000/day"),
        ("0.5rps", "1/2s"),
        ("1.5 per second", "3/2s"),
        ("10r/s", "10/s"),
        ("60/60", "60/m"),
        ("5 per 10 seconds", "5/10s"),
        ("1 request every 100ms", "1/100ms"),
        ("12000/year", "1000/31d"),
        ("300 per quarter", "100/31d"),
        ("10/fortnight", "10/14d"),
        ("70/weeks", "70/7d"),
        ("1000 per month", "1000/31d"),
        ("10/Second", "10/s"),
        ("10", "10/s"),
        ("2M/day", "2000000/day"),
        ("10qps", "10/s"),
        ("100@1m", "100/m"),
        ("10hz", "10/s"),
        ("1e3/h", "1000/h"),
    ];
    for (text, meant) in rows {
        assert_eq!(suggested(text, &CallLimit).as_deref(), Some(meant), "{text}");
    }
    for text in ["ten/s", "unlimited", "1/s/s", "10/parsec", "-5/s", ""] {
        assert_eq!(suggested(text, &CallLimit), None, "{text}");
    }
}

#[test]
fn durations_in_other_notations_get_a_suggestion() {
    const ANY: Span = Span { min: Duration::from_millis(1), max: Duration::from_secs(86_400) };
    let rows = [
        ("30 sec", "30s"),
        ("1 hour", "1h"),
        ("1 hour 30 minutes", "1h30m"),
        ("1 minute and 5 seconds", "1m5s"),
        ("1.5h", "1h30m"),
        ("1.5s", "1s500ms"),
        ("PT30S", "30s"),
        ("PT1H30M", "1h30m"),
        ("00:01:30", "1m30s"),
        ("30S", "30s"),
        ("250 MS", "250ms"),
        ("30", "30s"),
        ("30000", "30s"),
        ("30s1m", "1m30s"),
        ("none", "1d"),
        ("never", "1d"),
        ("0", "1d"),
    ];
    for (text, meant) in rows {
        assert_eq!(suggested(text, &ANY).as_deref(), Some(meant), "{text}");
    }
    for text in ["soon", "-3s", "3 parsecs", "2 weeks"] {
        assert_eq!(suggested(text, &ANY), None, "{text}");
    }
    let from_zero = Span { min: Duration::ZERO, max: Duration::from_secs(60) };
    assert_eq!(suggested("off", &from_zero).as_deref(), Some("0s"));
}

#[test]
fn sizes_numbers_and_percentages_in_other_notations_get_a_suggestion() {
    let size = Size { min: 0, max: 1 << 30 };
    let count = Count { min: 1_u32, max: 100 };
    let share = Percent { max: 100 };
    let factor = Factor { min: 1.0, max: 10.0 };
    let rows: [(&str, &dyn AnyFormat, &str); 18] = [
        ("64KB", &size, "64KiB"),
        ("64k", &size, "64KiB"),
        ("1.5 MB", &size, "1536KiB"),
        ("1_048_576", &size, "1MiB"),
        ("65536", &size, "64KiB"),
        ("unlimited", &size, "1GiB"),
        ("off", &size, "0B"),
        ("3x", &count, "3"),
        ("4 times", &count, "4"),
        ("0", &count, "1"),
        ("none", &count, "1"),
        ("unlimited", &count, "100"),
        ("4.0", &count, "4"),
        ("0.1", &share, "10%"),
        ("10", &share, "10%"),
        ("10 percent", &share, "10%"),
        ("off", &share, "0%"),
        ("2x", &factor, "2"),
    ];
    for (text, format, meant) in rows {
        assert_eq!(suggested(text, format).as_deref(), Some(meant), "{text}");
    }
}

#[test]
fn words_paths_and_urls_in_other_notations_get_a_suggestion() {
    let protocol = Word(&[("auto", 0), ("http1", 1), ("http2", 2)]);
    let mode = Word(&[("enforce", 0), ("observe", 1)]);
    let status = Word(&[("map", 0), ("keep", 1)]);
    let rows: [(&str, &dyn AnyFormat, &str); 33] = [
        ("h2", &protocol, "http2"),
        ("HTTP/1.1", &protocol, "http1"),
        ("HTTP2", &protocol, "http2"),
        ("shadow", &mode, "observe"),
        ("dry-run", &mode, "observe"),
        ("Enforce", &mode, "enforce"),
        ("passthrough", &status, "keep"),
        ("kep", &status, "keep"),
        ("TRUE!", &Flag, ""),
        ("Yes", &Flag, "true"),
        ("tRue", &Flag, "true"),
        ("disabled", &Flag, "false"),
        ("WARNING", &LogLevel, "warn"),
        ("INFO", &LogLevel, "info"),
        ("get", &HttpMethod, "GET"),
        ("PSOT", &HttpMethod, "POST"),
        ("orders", &PathPattern, "/orders"),
        ("^/orders/.*$", &PathPattern, "/orders/**"),
        ("/orders*", &PathPattern, "/orders/**"),
        ("/a/**/b", &PathPattern, "/a/**"),
        ("https://a.example/orders?x=1", &PathPattern, "/orders"),
        ("/vendor/*", &Prefix, "/vendor"),
        ("http://api.local:80/x", &Host, "api.local"),
        ("api.local:8080", &Host, "api.local"),
        ("localhost:3000", &UpstreamUrl, "http://localhost:3000"),
        ("htps://a.example/v1", &UpstreamUrl, "https://a.example/v1"),
        ("8080", &Address, "127.0.0.1:8080"),
        ("*:8080", &Address, "0.0.0.0:8080"),
        ("http://127.0.0.1:8080", &Address, "127.0.0.1:8080"),
        ("::1:8080", &Address, "[::1]:8080"),
        ("X-Account:", &HeaderField::ANY, "X-Account"),
        ("X Account", &HeaderField::ANY, "X-Account"),
        ("v1", &Version, "1"),
    ];
    for (text, format, meant) in rows {
        let meant = Some(meant).filter(|meant| !meant.is_empty());
        assert_eq!(suggested(text, format).as_deref(), meant, "{text}");
    }
}

proptest::proptest! {
    /// Whatever the text: no panic, and every suggestion fits.
    #[test]
    fn every_suggestion_is_valid(text in "[ -~äµ]{0,20}") {
        let all: [&dyn AnyFormat; 15] = [
            &CallLimit, &Flag, &LogLevel, &HeaderField::ANY, &HttpMethod, &Address,
            &Host, &Prefix, &PathPattern, &UpstreamUrl, &Size { min: 1, max: 1 << 20 },
            &Count { min: 1_u32, max: 9 },
            &Percent { max: 100 }, &Word(&[("map", 0), ("keep", 1)]),
            &Span { min: Duration::from_millis(1), max: Duration::from_secs(60) },
        ];
        for format in all {
            let mismatches = format.check(&text).err().unwrap_or_default();
            for nearest in mismatches.into_iter().filter_map(|mismatch| mismatch.nearest) {
                proptest::prop_assert!(format.check(&nearest).is_ok(), "{text} → {nearest}");
            }
        }
    }
}
