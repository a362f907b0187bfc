//! What an attempt costs: units of each cost class, reserved before it is sent and settled after.

use std::iter::Sum;

/// How many different costs a call may have: calls, and three of the vendor's own such as input
/// tokens, output tokens and points. Every allowance counts one of them.
pub const COST_CLASSES: usize = 4;

/// What a call costs in each class. The first is the plain count, which is one for every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs([u32; COST_CLASSES]);

impl Costs {
    pub const ONE_EACH: Self = Self([1; COST_CLASSES]);

    /// Costs in the classes beside the plain count.
    #[must_use]
    pub const fn new([first, second, third]: [u32; COST_CLASSES - 1]) -> Self {
        Self([1, first, second, third])
    }

    /// The cost by which calls that wait share what there is.
    pub(super) fn largest(self) -> u32 {
        self.0.into_iter().fold(1, u32::max)
    }

    pub(super) const fn of(self, class: CostClass) -> u32 {
        self.0[class.0 as usize]
    }

    /// The plain count stays one.
    pub fn set(&mut self, class: CostClass, units: u32) {
        if class != CostClass::CALLS {
            self.0[class.0 as usize] = units;
        }
    }
}

/// What several calls cost together, class by class. The first is the number of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand([u64; COST_CLASSES]);

impl Demand {
    pub(super) fn add(&mut self, costs: Costs) {
        for (sum, units) in self.0.iter_mut().zip(costs.0) {
            *sum = sum.saturating_add(u64::from(units));
        }
    }

    pub(super) fn remove(&mut self, costs: Costs) {
        for (sum, units) in self.0.iter_mut().zip(costs.0) {
            *sum = sum.saturating_sub(u64::from(units));
        }
    }

    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|class| self.0[class].saturating_add(other.0[class])))
    }

    /// What so many of the calls cost, on average.
    #[must_use]
    pub(super) fn of_calls(self, calls: u64) -> Self {
        let all = self.calls().max(1);
        Self(self.0.map(|units| units.saturating_mul(calls.min(all)).div_ceil(all)))
    }

    pub(super) const fn calls(self) -> u64 {
        self.0[0]
    }

    pub(super) fn of(self, class: CostClass) -> u32 {
        saturated(self.0[class.0 as usize])
    }
}

impl Sum for Demand {
    fn sum<I: Iterator<Item = Self>>(demands: I) -> Self {
        demands.fold(Self::default(), Self::plus)
    }
}

/// What the vendor says that an attempt used, class by class; `None` where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedCosts([Option<u32>; COST_CLASSES]);

impl UsedCosts {
    pub const UNKNOWN: Self = Self([None; COST_CLASSES]);

    /// The plain count is not for the vendor to correct.
    pub fn note(&mut self, class: CostClass, units: u32) {
        if class != CostClass::CALLS {
            self.0[class.0 as usize] = Some(units);
        }
    }

    pub(super) fn charge(self, class: CostClass, reserved: u32) -> Charge {
        Charge { reserved, used: self.0[class.0 as usize].unwrap_or(reserved) }
    }
}

/// The cost that an allowance counts, as its place in [`Costs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostClass(u8);

impl CostClass {
    /// Every call counts as one.
    pub const CALLS: Self = Self(0);

    /// As a set of one.
    pub(super) const fn bit(self) -> u8 {
        1 << self.0
    }

    /// `None` beyond the last class.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (usize::from(number) < COST_CLASSES).then_some(Self(number))
    }
}

/// What an attempt used, of what was reserved for it. It may have used more: then the ledger is in
/// debt until enough is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) reserved: u32,
    pub(super) used: u32,
}

impl Charge {
    #[cfg(test)]
    pub(super) const ONE: Self = Self::exactly(1);

    /// What was reserved was used.
    pub(super) const fn exactly(units: u32) -> Self {
        Self { reserved: units, used: units }
    }
}

/// More than a limit can be is the same to every limit.
pub(super) fn saturated(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}
