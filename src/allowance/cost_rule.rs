//! How much a call costs: what is reserved for it by its request, and how the vendor says what it
//! has used.

use std::fmt;
use std::num::NonZeroU32;

use http::{HeaderMap, HeaderName};

use super::charge::saturated;
use super::json_units::{Pointer, UnitsAt, read_units, units_of};

/// How the units are found that a call takes of an allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostRule {
    /// The sum of these is reserved; without any, the default.
    pub request: Vec<CostPart>,
    /// The least that is reserved where a part of the request does not say what it costs.
    pub default: u32,
    /// Where the vendor says what was used; `None`: what was reserved.
    pub used: Option<UsedAt>,
}

/// A part of what a request costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CostPart {
    /// The number at the first of these places of its body that there is.
    Json(Vec<Pointer>),
    Header(HeaderName),
    /// One unit for so many bytes of its body.
    Bytes(NonZeroU32),
}

/// Where a response says what its attempt used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsedAt {
    Header(HeaderName),
    /// At the first of these places of its body that there is; of an event stream in the last
    /// event that has one.
    Json(Vec<Pointer>),
}

/// When it is known what a call has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settles {
    /// When the head of the response has arrived.
    #[default]
    AtHead,
    /// When its body has ended.
    AtBodyEnd,
}

/// What a request is known to contain.
#[derive(Clone, Copy, Debug)]
pub struct RequestContent<'a> {
    pub headers: &'a HeaderMap,
    /// Its body, if all of it is here and not compressed.
    pub body: Option<&'a [u8]>,
    /// The length of its body, where that is known.
    pub length: Option<u64>,
}

/// What is reserved for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub units: u32,
    /// What the request does not say, if that made it cost the default.
    pub unknown: Option<UnknownCost>,
}

/// Why it is not known what a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCost {
    Missing,
    /// Negative, or no number.
    NotUnits,
    /// The body is too large, compressed, broken off or no JSON.
    BodyUnreadable,
    /// A vendor says that nothing was used. That is not believed: a reserve that is given back for
    /// nothing would be spent a second time.
    Nothing,
}

impl UnknownCost {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "it is not stated",
            Self::NotUnits => "what is stated is negative or no number",
            Self::BodyUnreadable => "the body is too large, compressed, incomplete or not JSON",
            Self::Nothing => "nothing is said to be used",
        }
    }
}

impl CostRule {
    /// The same for every call.
    #[must_use]
    pub const fn fixed(units: u32) -> Self {
        Self { request: Vec::new(), default: units, used: None }
    }

    /// Whether a request's body has to be read before it is sent.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.request.iter().any(|part| match part {
            CostPart::Json(_) | CostPart::Bytes(_) => true,
            CostPart::Header(_) => false,
        })
    }

    #[must_use]
    pub fn settles(&self) -> Settles {
        match &self.used {
            Some(UsedAt::Json(_)) => Settles::AtBodyEnd,
            Some(UsedAt::Header(_)) | None => Settles::AtHead,
        }
    }

    /// What is reserved for a request: the sum of its parts. Where one of them does not say
    /// anything, it is at least the default.
    #[must_use]
    pub fn estimate(&self, content: RequestContent<'_>) -> Estimate {
        if self.request.is_empty() {
            return Estimate { units: self.default, unknown: None };
        }
        let (mut sum, mut unknown) = (0_u64, None);
        for part in &self.request {
            let (units, missing) = part.units(content);
            sum += u64::from(units);
            unknown = unknown.or(missing);
        }
        let least = unknown.map_or(0, |_| u64::from(self.default));
        Estimate { units: saturated(sum.max(least)), unknown }
    }
}

impl CostPart {
    /// The units that it states, and why these may not be all.
    fn units(&self, content: RequestContent<'_>) -> (u32, Option<UnknownCost>) {
        match self {
            Self::Header(name) => match units_in(content.headers, name) {
                Ok(units) => (units, None),
                Err(unknown) => (0, Some(unknown)),
            },
            Self::Bytes(each) => match content.length {
                Some(length) => (saturated(length.div_ceil(u64::from(each.get()))), None),
                None => (0, Some(UnknownCost::BodyUnreadable)),
            },
            Self::Json(pointers) => {
                let Some(body) = content.body else {
                    return (0, Some(UnknownCost::BodyUnreadable));
                };
                let all: Vec<_> = pointers.iter().collect();
                let (found, is_whole) = read_units(body, &all);
                let UnitsAt { units, unusable } = first(&found);
                let unknown = match (is_whole, units, unusable) {
                    (false, ..) => Some(UnknownCost::BodyUnreadable),
                    (true, _, true) => Some(UnknownCost::NotUnits),
                    (true, None, false) => Some(UnknownCost::Missing),
                    (true, Some(_), false) => None,
                };
                (units.unwrap_or(0), unknown)
            }
        }
    }
}

/// What stands at the first pointer that resolves.
fn first(found: &[UnitsAt]) -> UnitsAt {
    found.iter().copied().find(|it| !it.is_absent()).unwrap_or_default()
}

/// The units that a header states: of several the most.
fn units_in(headers: &HeaderMap, name: &HeaderName) -> Result<u32, UnknownCost> {
    let read = |value: &http::HeaderValue| {
        let units = value.to_str().ok().and_then(units_of);
        units.ok_or(UnknownCost::NotUnits)
    };
    let values: Result<Vec<_>, _> = headers.get_all(name).iter().map(read).collect();
    values?.into_iter().max().ok_or(UnknownCost::Missing)
}

/// The units that the head of a response says were used.
///
/// # Errors
/// It does not say it, or says that there were none.
pub fn used_in_head(headers: &HeaderMap, name: &HeaderName) -> Result<u32, UnknownCost> {
    believed(units_in(headers, name)?)
}

/// The units that a text of JSON says were used.
///
/// # Errors
/// It does not say it, or says that there were none.
pub fn used_in_json(text: &[u8], pointers: &[Pointer]) -> Result<u32, UnknownCost> {
    let all: Vec<_> = pointers.iter().collect();
    let (found, is_whole) = read_units(text, &all);
    match first(&found) {
        UnitsAt { units: Some(units), .. } if is_whole => believed(units),
        _ if !is_whole => Err(UnknownCost::BodyUnreadable),
        UnitsAt { unusable: true, .. } => Err(UnknownCost::NotUnits),
        UnitsAt { .. } => Err(UnknownCost::Missing),
    }
}

const fn believed(units: u32) -> Result<u32, UnknownCost> {
    if units == 0 { Err(UnknownCost::Nothing) } else { Ok(units) }
}

impl fmt::Display for CostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.default)?;
        for part in &self.request {
            match part {
                CostPart::Json(pointers) => write!(f, " json{}", listed(pointers))?,
                CostPart::Header(name) => write!(f, " header {name}")?,
                CostPart::Bytes(each) => write!(f, " bytes {each}")?,
            }
        }
        match &self.used {
            Some(UsedAt::Json(pointers)) => write!(f, " used json{}", listed(pointers)),
            Some(UsedAt::Header(name)) => write!(f, " used header {name}"),
            None => Ok(()),
        }
    }
}

fn listed(pointers: &[Pointer]) -> String {
    pointers.iter().map(|pointer| format!(" {pointer}")).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn rule() -> CostRule {
        let json = CostPart::Json(pointers(&["/max_completion_tokens", "/max_tokens"]));
        let header = CostPart::Header(HeaderName::from_static("x-units"));
        let bytes = CostPart::Bytes(NonZeroU32::new(4).unwrap());
        CostRule { request: vec![json, header, bytes], default: 1_000, used: None }
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let name = || HeaderName::from_static("x-units");
        values.iter().map(|value| (name(), HeaderValue::from_static(value))).collect()
    }

    fn estimate(body: Option<&str>, units: &[&'static str]) -> (u32, Option<UnknownCost>) {
        let content = RequestContent {
            headers: &headers(units),
            body: body.map(str::as_bytes),
            length: body.map(|body| body.len() as u64),
        };
        let Estimate { units, unknown } = rule().estimate(content);
        (units, unknown)
    }

    #[test]
    fn the_parts_of_a_request_are_summed() {
        let rows = [
            (r#"{"max_tokens":500}"#, "7", 500 + 7 + 5),
            (r#"{"max_tokens":500,"max_completion_tokens":90}"#, "0", 90 + 12),
            (r#"{"max_tokens":500,"max_completion_tokens":null}"#, "0", 500 + 12),
            (r#"{"max_tokens":500,"max_tokens":2000}"#, "0", 2_000 + 9),
        ];
        for (body, units, expected) in rows {
            assert_eq!(estimate(Some(body), &[units]), (expected, None), "{body}");
        }
        assert_eq!(estimate(Some(r#"{"max_tokens":1}"#), &["3", "9"]), (1 + 9 + 4, None));
    }

    #[test]
    fn what_does_not_say_its_cost_takes_at_least_the_default() {
        use UnknownCost::{BodyUnreadable, Missing, NotUnits};
        let rows = [
            (None, &["7"][..], 1_000, BodyUnreadable),
            (None, &["7000"], 7_000, BodyUnreadable),
            (Some(r#"{"max_tokens":1}"#), &[], 1_000, Missing),
            (Some(r#"{"max_tokens":5000}"#), &[], 5_005, Missing),
            (Some(r#"{"max_tokens":-1}"#), &["7"], 1_000, NotUnits),
            (Some(r#"{"max_tokens":"few","max_tokens":3000}"#), &["0"], 3_000 + 10, NotUnits),
            (Some(r#"{"max_tokens":1}"#), &["-5"], 1_000, NotUnits),
            (Some(r#"{"max_tokens":1}"#), &["5", "x"], 1_000, NotUnits),
            (Some("{}"), &["7"], 1_000, Missing),
            (Some("max_tokens=7"), &["7"], 1_000, BodyUnreadable),
        ];
        for (body, units, expected, unknown) in rows {
            assert_eq!(estimate(body, units), (expected, Some(unknown)), "{body:?} {units:?}");
        }
    }

    #[test]
    fn a_fixed_cost_reads_nothing() {
        let content = RequestContent { headers: &HeaderMap::new(), body: None, length: None };
        assert_eq!(CostRule::fixed(5).estimate(content), Estimate { units: 5, unknown: None });
        assert!(!CostRule::fixed(5).reads_body() && rule().reads_body());
    }

    #[test]
    fn a_vendor_that_says_nothing_or_says_zero_is_not_believed() {
        let places = pointers(&["/usage/total_tokens", "/tokens"]);
        let rows = [
            (r#"{"usage":{"total_tokens":7}}"#, Ok(7)),
            (r#"{"usage":null,"tokens":"8"}"#, Ok(8)),
            (r#"{"usage":{"total_tokens":0}}"#, Err(UnknownCost::Nothing)),
            (r#"{"usage":{"total_tokens":-7}}"#, Err(UnknownCost::NotUnits)),
            (r#"{"usage":{}}"#, Err(UnknownCost::Missing)),
            (r#"{"usage":{"total_tokens":7}"#, Err(UnknownCost::BodyUnreadable)),
            ("<usage>7</usage>", Err(UnknownCost::BodyUnreadable)),
        ];
        for (text, expected) in rows {
            assert_eq!(used_in_json(text.as_bytes(), &places), expected, "{text}");
        }
        let name = HeaderName::from_static("x-units");
        let used = |values| used_in_head(&headers(values), &name);
        assert_eq!(used(&["12"]), Ok(12));
        assert_eq!(used(&["12", "20"]), Ok(20));
        assert_eq!(used(&["0"]), Err(UnknownCost::Nothing));
        assert_eq!(used(&["none"]), Err(UnknownCost::NotUnits));
        assert_eq!(used(&[]), Err(UnknownCost::Missing));
    }
}
