//! Which accounts a changed configuration keeps: an account is whom the vendor counts, whatever the
//! upstream or route is called.

use super::settings::{AccountRule, UpstreamAllowances};

/// For each upstream, the one of the former configuration whose account it continues: that of its
/// name, else one under another name that is gone, with the same URL and rule of accounts.
pub(super) fn predecessors(
    upstreams: &[UpstreamAllowances],
    before: &[&UpstreamAllowances],
) -> Vec<Option<usize>> {
    let of_name = |name: &str| before.iter().position(|it| *it.name == *name);
    let mut found: Vec<_> = upstreams.iter().map(|it| of_name(&it.name)).collect();
    for (number, upstream) in upstreams.iter().enumerate() {
        if found[number].is_some() || upstream.url.is_empty() {
            continue;
        }
        found[number] = (0..before.len()).find(|place| {
            let it = before[*place];
            let same = it.url == upstream.url && it.account == upstream.account;
            same && !found.contains(&Some(*place))
        });
    }
    found
}

/// The upstreams that share accounts, each group in the order of the configuration.
pub(super) fn groups(upstreams: &[UpstreamAllowances]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (number, upstream) in upstreams.iter().enumerate() {
        let shares = |group: &&mut Vec<usize>| match &upstream.account {
            AccountRule::Named(_) => upstreams[group[0]].account == upstream.account,
            AccountRule::Upstream | AccountRule::Header(_) => false,
        };
        match groups.iter_mut().find(shares) {
            Some(group) => group.push(number),
            None => groups.push(vec![number]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::settings::QueueBounds;

    fn upstream(name: &str, url: &str, account: AccountRule) -> UpstreamAllowances {
        let (name, url) = (name.into(), url.into());
        UpstreamAllowances {
            name,
            url,
            account,
            allowances: Vec::new(),
            queue: QueueBounds::of_one_client(1),
        }
    }

    #[test]
    fn an_upstream_is_found_by_its_name_else_by_its_url() {
        let own = || AccountRule::Upstream;
        let before =
            [upstream("a", "u1", own()), upstream("b", "u2", own()), upstream("c", "u3", own())];
        let now = [
            upstream("renamed", "u2", own()),
            upstream("again", "u2", own()),
            upstream("a", "elsewhere", own()),
            upstream("new", "u1", own()),
            upstream("other_rule", "u3", AccountRule::Named("x".into())),
        ];
        let found = predecessors(&now, &before.iter().collect::<Vec<_>>());
        assert_eq!(found, [Some(1), None, Some(0), None, None]);
    }

    #[test]
    fn only_upstreams_of_one_account_name_form_a_group() {
        let named = |name: &str| AccountRule::Named(name.into());
        let all = [
            upstream("a", "u", named("x")),
            upstream("b", "u", AccountRule::Upstream),
            upstream("c", "u", named("x")),
            upstream("d", "u", AccountRule::Upstream),
        ];
        assert_eq!(groups(&all), [vec![0, 2], vec![1], vec![3]]);
    }
}
