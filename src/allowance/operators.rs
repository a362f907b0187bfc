//! What operators see of all accounts, and what they do to them.

use std::sync::Arc;

use super::account::Account;
use super::accounts::Accounts;
use super::lever::{LeverOrder, LeverRefusal, LeverReport};
use super::view::{AccountPage, AccountView, PageOfAccounts};

impl Accounts {
    /// Reopens the scopes that the hold of this id closes; returns whether there is one.
    #[must_use]
    pub fn release_hold(&self, id: u64) -> bool {
        self.all().iter().any(|(_, account)| account.release_hold(id))
    }

    /// Pulls a lever of one account or of all accounts of an upstream.
    ///
    /// # Errors
    /// The order names something that does not exist, or does not say enough.
    pub fn pull_lever(&self, order: &LeverOrder) -> Result<LeverReport, LeverRefusal> {
        let names = || self.upstreams.iter().map(|it| Arc::clone(&it.rules.name)).collect();
        let upstream = self.upstreams.iter().find(|it| it.rules.name == order.upstream);
        let upstream = upstream.ok_or_else(|| LeverRefusal::UnknownUpstream(names()))?;
        order.check(upstream.rules.allowances.iter().map(|it| Arc::clone(&it.name)).collect())?;
        let named = |account: &Arc<Account>| {
            order.account.as_deref().is_none_or(|key| key == account.key())
        };
        let mut report = LeverReport::default();
        // Accounts that are opened meanwhile inherit from the overflow account, so it comes first.
        let overflow = upstream.by_header.iter().map(|table| Arc::clone(table.overflow()));
        let overflow: Vec<_> = overflow.collect();
        let first = overflow.iter().filter(|it| named(it)).map(|it| it.pull(order));
        first.for_each(|it| report.add(it));
        let others = upstream.all();
        let others = others
            .iter()
            .filter(|it| named(it) && overflow.iter().all(|other| !Arc::ptr_eq(it, other)));
        others.map(|it| it.pull(order)).for_each(|it| report.add(it));
        if report.accounts == 0 { Err(LeverRefusal::UnknownAccount) } else { Ok(report) }
    }

    /// What the status, the metrics and the live page show.
    #[must_use]
    pub fn view(&self) -> Vec<AccountView> {
        self.all().into_iter().map(|found| self.view_of(found)).collect()
    }

    /// Some of the accounts, in the order of upstreams and keys.
    #[must_use]
    pub fn page(&self, page: &AccountPage) -> PageOfAccounts {
        let of_upstream = |upstreams: &[usize]| {
            page.upstream.is_none_or(|upstream| upstreams.contains(&upstream))
        };
        let named = |account: &Account| page.key.as_ref().is_none_or(|key| **key == *account.key());
        let mut found = self.all();
        found.retain(|(upstreams, account)| of_upstream(upstreams) && named(account));
        found.sort_by(|(one, first), (other, second)| {
            (one, first.key()).cmp(&(other, second.key()))
        });
        let total = found.len();
        let shown = found.into_iter().skip(page.offset).take(page.most);
        PageOfAccounts { total, accounts: shown.map(|found| self.view_of(found)).collect() }
    }

    fn view_of(&self, (upstreams, account): (Vec<usize>, Arc<Account>)) -> AccountView {
        let tables = self.upstreams.iter().filter_map(|upstream| upstream.by_header.as_ref());
        let overflow_calls = tables.filter_map(|it| it.overflow_calls(&account)).next();
        account.view(upstreams, overflow_calls, &self.client_names)
    }

    /// Every upstream's accounts with the numbers of the upstreams that use them.
    pub(super) fn all(&self) -> Vec<(Vec<usize>, Arc<Account>)> {
        let mut all: Vec<(Vec<usize>, Arc<Account>)> = Vec::new();
        for (number, upstream) in self.upstreams.iter().enumerate() {
            match all.iter_mut().find(|(_, known)| Arc::ptr_eq(known, &upstream.sole)) {
                Some((upstreams, _)) => upstreams.push(number),
                None => all.push((vec![number], Arc::clone(&upstream.sole))),
            }
            let by_header = upstream.by_header.iter().flat_map(|table| table.all());
            all.extend(by_header.map(|account| (vec![number], account)));
        }
        all
    }
}
