//! Sets of the scopes of an account, as the bits of a number: a request's needs take no allocation.

use super::settings::SCOPES_MAX;

pub(super) fn members(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (lowest < SCOPES_MAX).then_some(lowest)
    })
}

pub(super) fn set_of(numbers: impl Iterator<Item = usize>) -> u64 {
    numbers.fold(0, |set, number| set | 1 << number)
}
