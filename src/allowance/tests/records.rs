//! Accounts over several processes that share a state directory.

use http::{HeaderName, HeaderValue};
use tempfile::TempDir;

use super::*;
use crate::allowance::settings::{FirstStart, StateSettings};
use crate::allowance::store::Recorder;

/// A process, which is killed when it is dropped.
struct Process {
    recorder: Recorder,
    accounts: Accounts,
    clock: Clock,
}

fn rules(name: &str, account: AccountRule, allowances: &[Allowance]) -> UpstreamAllowances {
    UpstreamAllowances {
        name: name.into(),
        url: "http://vendor".into(),
        account,
        allowances: allowances.to_vec(),
        queue: QueueBounds::of_one_client(1_000),
    }
}

fn by_header(allowances: &[Allowance]) -> UpstreamAllowances {
    rules("vendor", AccountRule::Header(HeaderName::from_static("x-account")), allowances)
}

fn hour(limit: u32) -> Allowance {
    window(limit, 60 * MINUTE, Spread::None)
}

impl Process {
    async fn start(dir: &TempDir, upstream: &UpstreamAllowances, accounts_max: usize) -> Self {
        Self::start_with(dir, upstream, accounts_max, Some(FirstStart::Unused)).await
    }

    async fn start_with(
        dir: &TempDir,
        upstream: &UpstreamAllowances,
        accounts_max: usize,
        first_start: Option<FirstStart>,
    ) -> Self {
        let clock = Clock::start_with_past();
        let settings = StateSettings { dir: dir.path().to_owned(), first_start, shortest: MINUTE };
        let upstreams = std::slice::from_ref(upstream);
        let mut recorder = Recorder::open(&settings, upstreams, clock).unwrap();
        let records = Some(AccountStore::Journal(recorder.records()));
        let accounts = Accounts::with_store(upstreams, &[], accounts_max, clock, records);
        recorder.begin(&accounts).await.unwrap();
        Self { recorder, accounts, clock }
    }

    async fn reload(&mut self, upstream: &UpstreamAllowances) {
        self.accounts = self.accounts.renewed(std::slice::from_ref(upstream), &[], 10).unwrap();
        self.recorder.begin(&self.accounts).await.unwrap();
    }

    /// Calls that are sent one after the other and answered, until one has to wait.
    async fn spend(&mut self, key: &str, most: usize) -> usize {
        let mut headers = HeaderMap::new();
        if !key.is_empty() {
            headers.insert("x-account", HeaderValue::from_str(key).unwrap());
        }
        let mut spent = 0;
        // A unit that is not set aside yet is, after a record.
        for _ in 0..2 * most {
            let now = self.clock.now();
            let account = self.accounts.account(0, &headers);
            let request = self.accounts.slot_request(
                0,
                (&Method::GET, CallPath::new("/")),
                scheduling(now, Duration::ZERO),
            );
            if let Admission::Granted(slot) = account.acquire(request, now) {
                slot.settle(&plain(self.clock));
                spent += 1;
            }
            self.recorder.begin(&self.accounts).await.unwrap();
            if spent == most {
                break;
            }
        }
        spent
    }
}

#[tokio::test]
async fn accounts_told_apart_by_a_header_keep_what_they_spent() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = by_header(&[hour(10)]);
    let mut first = Process::start(&dir, &upstream, 10).await;
    for (key, spent) in [("a", 6), ("b", 3), ("", 2)] {
        assert_eq!(first.spend(key, spent).await, spent);
    }
    drop(first);
    let mut second = Process::start(&dir, &upstream, 10).await;
    // What was set aside for the next calls is lost with the process.
    for (key, spent) in [("a", 6), ("b", 3), ("", 2)] {
        let left = second.spend(key, 10).await;
        assert!((8 - spent..=10 - spent).contains(&left), "{key}: {left}");
    }
    drop(second);
    let mut third = Process::start(&dir, &upstream, 10).await;
    for key in ["a", "b", ""] {
        assert_eq!(third.spend(key, 1).await, 0, "{key}");
    }
    assert_eq!(third.spend("c", 10).await, 10, "it has never been used");
}

#[tokio::test]
async fn a_key_is_never_taken_for_the_account_that_others_share() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = by_header(&[hour(10)]);
    let mut first = Process::start(&dir, &upstream, 1).await;
    assert_eq!(first.spend("(overflow)", 2).await, 2);
    assert_eq!(first.spend("further", 10).await, 10);
    assert_eq!(first.spend("(overflow)", 1).await, 1, "the last record is that of the key");
    drop(first);
    let mut second = Process::start(&dir, &upstream, 1).await;
    assert_eq!(second.spend("further", 1).await, 0, "it may be the key that spent them");
}

#[tokio::test]
async fn a_renamed_upstream_keeps_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after) = ("vendor", "renamed");
    let rules = |name| rules(name, AccountRule::Upstream, &[hour(10)]);
    let mut first = Process::start(&dir, &rules(before), 10).await;
    assert_eq!(first.spend("", 4).await, 4);
    first.reload(&rules(after)).await;
    assert_eq!(first.spend("", 1).await, 1);
    drop(first);
    let mut second = Process::start(&dir, &rules(after), 10).await;
    assert_eq!(second.spend("", 10).await, 4);
}

#[tokio::test]
async fn an_allowance_added_by_a_reload_does_not_know_of_the_former_process() {
    let dir = tempfile::tempdir().unwrap();
    let rules = |allowances: &[Allowance]| rules("vendor", AccountRule::Upstream, allowances);
    let mut first = Process::start(&dir, &rules(&[hour(10)]), 10).await;
    assert_eq!(first.spend("", 4).await, 4);
    drop(first);
    let day = Allowance { name: "day".into(), ..window(20, 24 * 60 * MINUTE, Spread::None) };
    for (first_start, left) in [(None, 0), (Some(FirstStart::Unused), 1)] {
        let rules = [rules(&[hour(10)]), rules(&[hour(10), day.clone()])];
        let mut second = Process::start_with(&dir, &rules[0], 10, first_start).await;
        second.reload(&rules[1]).await;
        assert_eq!(second.spend("", 1).await, left, "{first_start:?}");
    }
}
