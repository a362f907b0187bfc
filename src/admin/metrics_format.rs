//! Chooses the text format of metrics by the request's `Accept`.
//!
//! Without a preference it is OpenMetrics, also if neither format is accepted: scrapers go by the
//! media type of the response.

use http::HeaderMap;
use http::header::ACCEPT;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricsFormat {
    /// Version 1.0.
    OpenMetrics,
    /// Prometheus' older text format, 0.0.4.
    Classic,
}

impl MetricsFormat {
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let open_metrics = quality(headers, "application", "openmetrics-text");
        let classic = quality(headers, "text", "plain");
        if classic > open_metrics { Self::Classic } else { Self::OpenMetrics }
    }
}

/// The weight of a media type in thousandths, by the most specific range that matches it.
fn quality(headers: &HeaderMap, kind: &str, subtype: &str) -> u16 {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    let matching = ranges.filter_map(|range| {
        let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
        let (range_kind, range_subtype) = media.trim().split_once('/')?;
        let specific = match (range_kind, range_subtype) {
            ("*", "*") => 0,
            (_, "*") if range_kind.eq_ignore_ascii_case(kind) => 1,
            _ if range_kind.eq_ignore_ascii_case(kind)
                && range_subtype.eq_ignore_ascii_case(subtype) =>
            {
                2
            }
            _ => return None,
        };
        Some((specific, weight(parameters)))
    });
    matching.max().map_or(0, |(_, weight)| weight)
}

/// The `q` of a range in thousandths; 0 if it is not a number from 0 to 1.
fn weight(parameters: &str) -> u16 {
    let pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
    let weight = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let Some((_, weight)) = weight else { return 1000 };
    let (whole, part) = weight.trim().split_once('.').unwrap_or((weight.trim(), ""));
    let digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{part:0<3}").parse::<u16>().ok().filter(|_| digits);
    match (whole, thousandths) {
        ("0", Some(thousandths)) => thousandths,
        ("1", Some(0)) => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_decides_the_format() {
        const OLD_PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        const NEW_PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;\
            escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1";
        const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3";
        let rows = [
            (&[][..], MetricsFormat::OpenMetrics),
            (&["*/*"], MetricsFormat::OpenMetrics),
            (&["text/plain"], MetricsFormat::Classic),
            (&["Text/Plain; Version=0.0.4"], MetricsFormat::Classic),
            (&["text/*"], MetricsFormat::Classic),
            (&["text/html, text/plain;q=0.1"], MetricsFormat::Classic),
            (&["text/plain", "application/openmetrics-text"], MetricsFormat::OpenMetrics),
            (&["text/plain;q=0.5, application/openmetrics-text;q=0.25"], MetricsFormat::Classic),
            (&["text/plain;q=0.5", "*/*;q=0.1"], MetricsFormat::Classic),
            (&["application/openmetrics-text;q=0, */*"], MetricsFormat::Classic),
            (&["text/plain;q=0"], MetricsFormat::OpenMetrics),
            (&["text/plain;q=2, text/plain;q=x, */*;q=0.001"], MetricsFormat::OpenMetrics),
            (&["application/json"], MetricsFormat::OpenMetrics),
            (&[OLD_PROMETHEUS], MetricsFormat::OpenMetrics),
            (&[NEW_PROMETHEUS], MetricsFormat::OpenMetrics),
            (&[PROTOBUF], MetricsFormat::Classic),
            (&["", ",;,/,q=1"], MetricsFormat::OpenMetrics),
        ];
        for (accept, expected) in rows {
            let mut headers = HeaderMap::new();
            accept.iter().for_each(|accept| {
                headers.append(ACCEPT, accept.parse().unwrap());
            });
            assert_eq!(MetricsFormat::preferred(&headers), expected, "{accept:?}");
        }
    }
}
