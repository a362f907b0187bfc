//! The request's `Accept` (RFC 9110).

use http::HeaderMap;
use http::header::ACCEPT;

/// The weight of a media type in thousandths, by the most specific range that matches it.
pub(super) fn quality(headers: &HeaderMap, kind: &str, subtype: &str) -> u16 {
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
