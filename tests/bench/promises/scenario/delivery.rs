//! No POST is delivered twice, although the vendor drops connections: before it reads, after the
//! head, after the body, within its answer, and silently after a complete answer.
//!
//! Every POST has a unique number and no idempotency key. The vendor's log shows how often each
//! number arrived, and is compared with the answers that the clients got.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel::clock::Clock;
use evenkeel::demo::{Action, Command, RequestLog, ScriptRule, VendorHandle, VendorSettings};
use evenkeel::time::Moment;
use tokio::task::JoinSet;

use super::client::{Answer, Client, ClientRequest, on_one_thread};
use super::gateway::Gateway;
use super::report::Report;
use super::windows::start_vendor;

/// One POST in so many has a body that does not fit into one read.
const LARGE_EVERY: u64 = 20;
const LARGE_BYTES: usize = 64 * 1024;
/// One POST in so many may be sent just as the gateway closes the connection; it is then neither
/// delivered nor answered.
const STALE_EVERY: usize = 10_000;
/// How long each of the failure probabilities below applies.
const STEP: Duration = Duration::from_millis(50);
/// Failure probabilities, a fifth on average and low at first. An outage hold would answer most
/// calls here; it begins when half of the calls of the last ten seconds have failed.
const BURSTS: [f64; 16] =
    [0.0, 0.1, 0.0, 0.1, 0.0, 0.2, 0.1, 0.3, 0.0, 0.1, 0.9, 0.0, 0.3, 0.1, 0.1, 0.9];
/// Failure probabilities that start an outage hold.
const STORM: [f64; 4] = [0.9, 1.0, 0.7, 0.9];
/// The share of the POSTs that must have been sent; otherwise holds answered most of them and the
/// result means little.
const SENT_MIN: f64 = 0.9;
/// Short, so that calls rejected by holds do not make the storm last for hours.
const WAIT_SETTING: &str = "wait: { default: 2s }\n";
/// Answers per step after which the vendor closes the connection without announcing it.
const SILENT_CLOSES: u32 = 8;
/// A complete answer without `Connection: close`; the vendor closes the connection after it.
const FINAL_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// POSTs while failures stay below the threshold of an outage.
    pub(crate) posts: u64,
    /// POSTs while nearly all requests fail.
    pub(crate) storm_posts: u64,
    /// Each client has one POST under way at a time.
    pub(crate) clients: usize,
    /// Pause of each client between POSTs in the storm, so that it lasts for several probes.
    pub(crate) storm_pause: Duration,
}

/// The result of a POST as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PostResult {
    Served,
    /// A success whose body broke off.
    CutOff,
    /// An error with `outcome_unknown: true`, or one that does not state it.
    OutcomeUnknown,
    /// An error with `outcome_unknown: false`: the POST was not carried out.
    Refused,
    Unanswered,
}

impl PostResult {
    fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Complete { status: 200..=299, .. } => Self::Served,
            Answer::Complete { .. } => {
                match answer.problem().map(|problem| problem["outcome_unknown"] == true) {
                    Some(false) => Self::Refused,
                    Some(true) | None => Self::OutcomeUnknown,
                }
            }
            Answer::CutOff { .. } => Self::CutOff,
            Answer::Missing => Self::Unanswered,
        }
    }
}

/// By the number of the POST.
type Results = Rc<RefCell<HashMap<u64, PostResult>>>;

pub(crate) fn run(scenario: &Scenario) -> Report {
    let total = scenario.posts + scenario.storm_posts;
    let log_max = usize::try_from(total).unwrap_or(usize::MAX).saturating_mul(2);
    let settings = VendorSettings { log_max, allowances: Vec::new(), ..VendorSettings::wordbee() };
    let vendor = start_vendor(settings);
    let gateway = Gateway::start(&format!("http://{}/api", vendor.address()), WAIT_SETTING);
    let clock = Clock::start();
    let results = Results::default();
    let mut report = Report::default();
    let bulk = Phase { ids: 0..scenario.posts, failures: &BURSTS, pause: Duration::ZERO };
    let storm = Phase { ids: scenario.posts..total, failures: &STORM, pause: scenario.storm_pause };
    for (name, phase) in [("bulk", bulk), ("storm", storm)] {
        on_one_thread(phase.run(scenario.clients, &gateway, &vendor, &results));
        let took = clock.now().since(Moment::START).as_secs_f64();
        report.figure(format!("{name}: {} (at {took:.1} s)", phase.summary(&results.borrow())));
    }
    let sent = vendor.log().last_number() + vendor.unread();
    report.at_least("sends of the bulk", sent as f64, scenario.posts as f64 * SENT_MIN);
    report.figure(format!("{} connections reset unread", vendor.unread()));
    check(&mut report, &results.borrow(), &vendor.log());
    report
}

/// A range of POSTs and the failures during them.
struct Phase {
    ids: Range<u64>,
    /// Probabilities, applied one after the other, again and again.
    failures: &'static [f64],
    pause: Duration,
}

impl Phase {
    async fn run(
        &self,
        clients: usize,
        gateway: &Gateway,
        vendor: &VendorHandle,
        results: &Results,
    ) {
        let clock = Clock::start();
        let next = Rc::new(RefCell::new(self.ids.clone()));
        let local = tokio::task::LocalSet::new();
        let mut posters = JoinSet::new();
        for _ in 0..clients {
            let poster = Poster {
                client: Client::new(gateway.address),
                next: Rc::clone(&next),
                results: Rc::clone(results),
                pause: self.pause,
                clock,
            };
            posters.spawn_local_on(poster.run(), &local);
        }
        tokio::select! {
            () = local => {}
            () = fail_in_steps(self.failures, vendor, clock) => {}
        }
        vendor.control(&Command::Reset);
    }

    fn summary(&self, results: &HashMap<u64, PostResult>) -> String {
        let count = |wanted: PostResult| {
            let of_phase = results.iter().filter(|(id, _)| self.ids.contains(id));
            of_phase.filter(|(_, result)| **result == wanted).count()
        };
        format!(
            "{} POSTs: {} served, {} cut off, {} outcome_unknown, {} refused, {} unanswered",
            self.ids.end - self.ids.start,
            count(PostResult::Served),
            count(PostResult::CutOff),
            count(PostResult::OutcomeUnknown),
            count(PostResult::Refused),
            count(PostResult::Unanswered),
        )
    }
}

/// Sets the vendor's failure probabilities, without end.
async fn fail_in_steps(probabilities: &[f64], vendor: &VendorHandle, clock: Clock) {
    for probability in probabilities.iter().cycle() {
        vendor.control(&Command::RandomFaults { probability: *probability });
        let close = Action::Garbage(FINAL_ANSWER.to_owned());
        vendor.control(&Command::Script(ScriptRule::next(SILENT_CLOSES, close).method("POST")));
        clock.sleep_until(clock.now().plus(STEP)).await;
    }
}

struct Poster {
    client: Client,
    /// The numbers not yet sent, shared by all posters.
    next: Rc<RefCell<Range<u64>>>,
    results: Results,
    pause: Duration,
    clock: Clock,
}

impl Poster {
    async fn run(mut self) {
        loop {
            let Some(id) = self.next.borrow_mut().next() else { return };
            let body = if id.is_multiple_of(LARGE_EVERY) {
                Bytes::from(vec![b'x'; LARGE_BYTES])
            } else {
                Bytes::from(format!("{{\"id\":{id}}}"))
            };
            let request = ClientRequest::post(&format!("/v/echo?id={id}"), body);
            let result = PostResult::of(&self.client.call(request).await);
            self.results.borrow_mut().insert(id, result);
            if !self.pause.is_zero() {
                self.clock.sleep_until(self.clock.now().plus(self.pause)).await;
            }
        }
    }
}

/// Compares what clients were told with what arrived at the vendor.
fn check(report: &mut Report, results: &HashMap<u64, PostResult>, log: &RequestLog) {
    let (mut arrived, mut delivered) = (HashMap::new(), HashMap::new());
    for arrival in &log.arrivals {
        let id = arrival.target.rsplit('=').next().and_then(|id| id.parse::<u64>().ok());
        let Some(id) = id else { continue };
        *arrived.entry(id).or_insert(0_u32) += 1;
        *delivered.entry(id).or_insert(0_u32) += u32::from(arrival.delivered);
    }
    let twice = |counts: &HashMap<u64, u32>| counts.values().filter(|count| **count > 1).count();
    let ids_with = |wanted: PostResult| {
        results.iter().filter(move |(_, result)| **result == wanted).map(|(id, _)| id)
    };
    let refused_but_arrived =
        ids_with(PostResult::Refused).filter(|id| arrived.contains_key(*id)).count();
    let served_but_lost =
        ids_with(PostResult::Served).filter(|id| delivered.get(*id) != Some(&1)).count();
    report.figure(format!(
        "vendor: {} arrivals, {} delivered, {} delivered twice, {} begun twice",
        log.arrivals.len(),
        delivered.values().filter(|count| **count > 0).count(),
        twice(&delivered),
        twice(&arrived),
    ));
    report.figure(format!(
        "refused but arrived {refused_but_arrived}, served but not delivered {served_but_lost}"
    ));
    report.at_most("arrivals missing from the vendor's log", log.dropped, 0);
    report.at_most("POSTs delivered twice", twice(&delivered), 0);
    report.at_most("POSTs that arrived twice", twice(&arrived), 0);
    report.at_most("POSTs refused although they arrived", refused_but_arrived, 0);
    report.at_most("POSTs served although they were not delivered", served_but_lost, 0);
    let unanswered: Vec<u64> = ids_with(PostResult::Unanswered).copied().collect();
    let unanswered_arrived = unanswered.iter().filter(|id| arrived.contains_key(*id)).count();
    report.figure(format!(
        "without any answer {} ({unanswered_arrived} arrived): {unanswered:?}",
        unanswered.len()
    ));
    report.at_most("POSTs that arrived and got no answer", unanswered_arrived, 0);
    let stale_max = 1 + results.len() / STALE_EVERY;
    report.at_most("POSTs without any answer", unanswered.len(), stale_max);
    let unclear =
        ids_with(PostResult::OutcomeUnknown).count() + ids_with(PostResult::CutOff).count();
    report.at_least("failures that clients noticed", unclear, results.len() / 20);
}
