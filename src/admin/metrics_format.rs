//! Chooses the text format of metrics by the request's `Accept`.
//!
//! Without a preference it is OpenMetrics, also if neither format is accepted: scrapers go by the
//! media type of the response.

use http::HeaderMap;

use super::accept::quality;

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

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

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
