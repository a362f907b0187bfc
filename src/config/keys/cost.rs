//! The settings of what a call costs.

use super::declare::*;
use crate::config::format::{Count, HeaderField, JsonPlace};

/// What a call costs.
pub(crate) static COST_KEYS: Groups = &[COST_SETTINGS];
pub(crate) static COST_PART_KEYS: Groups = &[COST_PART_SETTINGS];
pub(crate) static SETTLE_KEYS: Groups = &[SETTLE_SETTINGS];

/// More than any limit can grant.
const UNITS_MAX: u32 = 100_000_000;

group! {
    COST_SETTINGS:

    COST_DEFAULT: Optional<Count<u32>> = optional("default", Count { min: 1, max: UNITS_MAX },
        Absent::Required,
        "Units reserved where `request` is absent; the least where a part of it says nothing.");

    COST_REQUEST: Maps = Declared::new("request", MapList::up_to(8, COST_PART_KEYS).or_bare(),
        Absent::Means("every call costs the default"),
        "What the request says about its cost; the parts are summed.");

    COST_SETTLE: Section = Declared::new("settle", Map::of(SETTLE_KEYS),
        Absent::Means("what was reserved counts"),
        "Where the vendor says how many units were used.");
}

group! {
    COST_PART_SETTINGS:

    COST_JSON: List<JsonPlace> = Declared::new("json",
        Values { format: JsonPlace, min: 1, max: 8, bare: Bare::ListOfOne },
        Absent::Means("given unless `header` or `bytes` is"),
        "Places of a number in the request's body; the first that exists counts.");

    COST_HEADER: Optional<HeaderField> = optional("header", HeaderField::ANY,
        Absent::Means("given unless `json` or `bytes` is"), "A request header with a number.");

    COST_BYTES: Optional<Count<u32>> = optional("bytes", Count { min: 1, max: 1 << 30 },
        Absent::Means("given unless `json` or `header` is"),
        "One unit for so many bytes of the request's body, rounded up.");
}

group! {
    SETTLE_SETTINGS:

    SETTLE_HEADER: Optional<HeaderField> = optional("header", HeaderField::ANY,
        Absent::Means("given unless `json` is"), "A header of the answer with a number.");

    SETTLE_JSON: List<JsonPlace> = Declared::new("json",
        Values { format: JsonPlace, min: 1, max: 8, bare: Bare::ListOfOne },
        Absent::Means("given unless `header` is"),
        "Places of a number in the answer's body; the first that exists counts, of an event \
         stream in the last event that has one.");
}
