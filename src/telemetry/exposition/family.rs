//! Writes the time series of one metric through prometheus-client's encoder, which escapes label
//! values.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::super::counters::{BOUNDS_SECONDS, BUCKETS, Totals};
use super::super::table::{Metric, MetricKind};

pub(super) struct Family<'a>(prometheus_client::encoding::MetricEncoder<'a>);

impl<'a> Family<'a> {
    pub(super) fn open(
        out: &'a mut DescriptorEncoder<'_>,
        metric: Metric,
    ) -> Result<Self, fmt::Error> {
        let (name, kind) = match metric.kind {
            // The encoder appends `_total` itself.
            MetricKind::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
            MetricKind::Gauge => (metric.name, MetricType::Gauge),
            MetricKind::Histogram => (metric.name, MetricType::Histogram),
        };
        out.encode_descriptor(name, metric.help, None, kind).map(Self)
    }

    pub(super) fn counter(&mut self, labels: &[(&str, &str)], count: u64) -> fmt::Result {
        if labels.is_empty() {
            return self.0.encode_counter::<NoLabelSet, _, f64>(&count, None);
        }
        let labels = Labels(labels);
        let mut series = self.0.encode_family(&labels)?;
        series.encode_counter::<NoLabelSet, _, f64>(&count, None)
    }

    pub(super) fn seconds_counter(&mut self, seconds: f64) -> fmt::Result {
        self.0.encode_counter::<NoLabelSet, _, f64>(&seconds, None)
    }

    pub(super) fn counter_unless_zero(
        &mut self,
        labels: &[(&str, &str)],
        count: u64,
    ) -> fmt::Result {
        if count == 0 { Ok(()) } else { self.counter(labels, count) }
    }

    pub(super) fn gauge(&mut self, labels: &[(&str, &str)], value: f64) -> fmt::Result {
        if labels.is_empty() {
            return self.0.encode_gauge(&value);
        }
        self.0.encode_family(&Labels(labels))?.encode_gauge(&value)
    }

    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], totals: &Totals) -> fmt::Result {
        let bound = |place: usize| BOUNDS_SECONDS.get(place).copied().unwrap_or(f64::INFINITY);
        let buckets: [_; BUCKETS] = std::array::from_fn(|n| (bound(n), totals.buckets[n]));
        let labels = Labels(labels);
        let mut series = self.0.encode_family(&labels)?;
        let (sum, count) = (totals.seconds(), totals.count());
        series.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    pub(super) fn histogram_unless_empty(
        &mut self,
        labels: &[(&str, &str)],
        totals: &Totals,
    ) -> fmt::Result {
        if totals.count() == 0 { Ok(()) } else { self.histogram(labels, totals) }
    }
}

/// Labels of one series; empty ones are omitted.
#[derive(Debug)]
struct Labels<'a>(&'a [(&'a str, &'a str)]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> fmt::Result {
        let present: Vec<_> =
            self.0.iter().filter(|(_, value)| !value.is_empty()).copied().collect();
        present.as_slice().encode(encoder)
    }
}
