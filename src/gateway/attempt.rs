//! The attempt loop: the only loop in the program that sends.
//!
//! It has no opinions: exchange, classify, decide, wait, or return. What an outcome means is
//! `dialect`'s and `policy::classify`'s to say, what is done about it `policy::verdict`'s.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};

use crate::allowance::{AttemptEnd, Blind, ConcurrencyPermit, SettleOutcome, Settlement, Slot};
use crate::dialect;
use crate::dialect::classify::{self};
use crate::dialect::hint;
use crate::headers::AnswerSurvey;
use crate::outcome::{
    Answer, Class, Code, Extent, Failure, FailureKind, HoldOrder, Processing, Reach, Reading,
    Remedy, StoppedBy, Trouble,
};
use crate::retry::decision::{Cost, RetryReason, Situation, Verdict, decide};
use crate::telemetry::{self, Attempted, Throttled};
use crate::time::Moment;
use crate::upstream::{Exchange, Progress};

use super::admit::{Again, Ended, Payment, Stop};
use super::body::{Peeked, RequestBody, ResponseBody, Streamed};
use super::call::Call;
use super::record::BY_RATE_HEADERS;
use super::settings::Inspect;
use super::unread::Unread;
use super::upload::UploadWatch;
use super::watch::{Sending, Watch, guarded};
use super::{BoxFuture, ClientConnection, Gateway};

/// What the client gets in the end.
#[derive(Debug)]
pub(super) enum Finish<B> {
    /// The vendor's answer as it is, and what its head has.
    Passed(Response<ResponseBody<B>>, AnswerSurvey),
    /// A problem made of the last outcome.
    Troubled(Box<Troubled>),
    /// A problem of our own.
    Stopped(Stop),
}

/// The last outcome of a call that did not succeed.
#[derive(Debug)]
pub(super) struct Troubled {
    pub(super) trouble: Trouble,
    /// The vendor's head and what was understood of its body, if it answered.
    pub(super) answer: Option<(Parts, Reading)>,
    /// How the last exchange broke, if it did.
    pub(super) failure: Option<Failure>,
    pub(super) stopped_by: StoppedBy,
    pub(super) aftermath: SettleOutcome,
    pub(super) at: Moment,
}

/// What one outcome means for the loop.
enum Concluded<B> {
    Done(Finish<B>),
    Trouble(Box<Met>),
}

/// Trouble, and what it led to.
struct Met {
    trouble: Trouble,
    answer: Option<(Parts, Reading)>,
    aftermath: SettleOutcome,
    reason: RetryReason,
    /// How the exchange broke, if it did.
    failure: Option<Failure>,
    /// Whether the attempt was the probe of a hold.
    probe: Probe,
}

/// Whether an attempt was the probe of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Yes,
    No,
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Sends until there is an answer to give.
    pub(super) async fn attempts(
        &self,
        call: &mut Call<'_>,
        peer: &ClientConnection,
    ) -> Finish<E::Body> {
        loop {
            let mut slot = match self.admit(call).await {
                Ok(slot) => slot,
                Err(stop) => return Finish::Stopped(stop),
            };
            let sent = self.moment_of(call);
            let result = self.send(call, peer, &mut slot, sent).await;
            let settlement = self.exchanged(call, sent);
            let concluding = match result {
                Ok(response) if passes(call, &response) => {
                    return self.pass_at_once(call, slot, response, settlement);
                }
                result => self.conclude(call, slot, result, settlement),
            };
            // Awaited out here, where the result is gone: the future need not keep a place for it.
            let concluded = concluding.await;
            let met = match concluded {
                Concluded::Done(finish) => return finish,
                Concluded::Trouble(met) => met,
            };
            let again = match self.judge(call, &met) {
                Ok(again) => again,
                Err(stopped_by) => return self.give_up(call, *met, stopped_by),
            };
            match self.prepare(call, again).await {
                Ok(()) => {}
                Err(Ended::Stopped(stop)) => return Finish::Stopped(stop),
                Err(Ended::Unpaid) => return self.give_up(call, *met, StoppedBy::Budget),
            }
        }
    }

    #[cold]
    fn give_up(&self, call: &Call<'_>, met: Met, stopped_by: StoppedBy) -> Finish<E::Body> {
        self.shard.not_retried(call.upstream, stopped_by);
        let Met { trouble, answer, aftermath, reason, failure, .. } = met;
        let at = self.clock.now();
        let blind = blind(&trouble, reason);
        if blind != Blind::No {
            let outage = call.account.call_failed(&call.want, blind, self.random.unit());
            self.tell_operator(call, &outage, (None, at));
        }
        let troubled = Troubled { trouble, answer, failure, stopped_by, aftermath, at };
        Finish::Troubled(Box::new(troubled))
    }

    /// One exchange, from its first byte to its answer's head or its failure, under the timeouts
    /// of its phases.
    async fn send(
        &self,
        call: &mut Call<'_>,
        peer: &ClientConnection,
        slot: &mut Slot,
        sent: Moment,
    ) -> Result<Response<E::Body>, Failure> {
        let mut upload = UploadWatch::of(call, sent);
        let body = call.next_attempt(|| self.random.bytes8());
        let policy = call.policy;
        let progress = Progress::begun(sent);
        let exchange = self.exchange.exchange(call.upstream, &call.request, body, &progress);
        let mut exchange = pin!(exchange);
        let watch = Watch {
            began: sent,
            guard: slot.guard(),
            attempt_timeout: policy.attempt_timeout,
            idle_timeout: policy.idle_timeout,
        };
        let mut sending = Sending { gateway: self, call, slot, progress: &progress, over: false };
        let mut due = upload.first_alarm(watch.first_alarm());
        let mut alarm = None;
        let result = poll_fn(|cx| {
            loop {
                let polled = exchange.as_mut().poll(cx);
                let interim = progress.take_interim();
                if !interim.is_empty() {
                    self.pass_interim(call, peer, interim);
                }
                if polled.is_ready() {
                    return polled;
                }
                due = guarded(due, sending.slot, &progress);
                let alarm = alarm.get_or_insert_with(|| peer.timer.take(self.clock, due));
                ready!(alarm.poll(due, cx));
                let now = self.clock.now();
                let looked = watch.look_again(&progress, sending.slot, now);
                match looked.and_then(|due| upload.look_again(&progress, due, now)) {
                    Ok(next) => due = next,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        })
        .await;
        sending.over = true;
        drop(sending);
        call.story.answer_head = progress.take_head();
        result
    }

    /// An exchange that began at `sent` is over now.
    fn exchanged(&self, call: &mut Call<'_>, sent: Moment) -> Settlement<'static> {
        let over = self.clock.now();
        call.story.upstream_time += over.since(sent);
        call.story.answered = Some(over);
        Settlement::plain(sent, over)
    }

    /// Most answers are neither errors nor looked at: they pass without any further stage.
    fn pass_at_once(
        &self,
        call: &mut Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        settlement: Settlement<'_>,
    ) -> Finish<E::Body> {
        self.accounts.answered(call.upstream);
        self.remember_if_noteworthy(call, settlement.over);
        self.count_answer(call, response.status(), &settlement);
        let finish = self.pass(call, slot, response, settlement);
        self.exchange.reuse(call.upstream, &mut call.request.headers);
        finish
    }

    fn count_answer(&self, call: &Call<'_>, status: StatusCode, settlement: &Settlement<'_>) {
        let took = settlement.over.since(settlement.sent);
        let method = &call.request.method;
        self.shard.attempted(call.upstream, method, Attempted::Status(status), took);
    }

    /// What an exchange's outcome means: for the account at once, for the call in return.
    #[cold]
    fn conclude<'a>(
        &'a self,
        call: &'a Call<'_>,
        slot: Slot,
        result: Result<Response<E::Body>, Failure>,
        settlement: Settlement<'a>,
    ) -> BoxFuture<'a, Concluded<E::Body>> {
        Box::pin(async move {
            match result {
                Ok(response) => {
                    self.count_answer(call, response.status(), &settlement);
                    self.look(call, slot, response, settlement).await
                }
                Err(failure) => self.conclude_failure(call, slot, &failure, settlement),
            }
        })
    }

    fn conclude_failure(
        &self,
        call: &Call<'_>,
        mut slot: Slot,
        failure: &Failure,
        settlement: Settlement<'_>,
    ) -> Concluded<E::Body> {
        let settlement = Settlement { fate: fate(failure), ..settlement };
        let probe = role(&slot);
        if let Some(stop) = blames_client(call, failure) {
            // As when its client left: it counts if it was sent, and then a probe has failed;
            // unsent, it passes a probe's role on.
            match settlement.fate {
                AttemptEnd::NotSent => slot.cancel(),
                AttemptEnd::Answered | AttemptEnd::Unanswered | AttemptEnd::Refused => {
                    self.abandon(call, &mut slot)
                }
            }
            return Concluded::Done(Finish::Stopped(stop));
        }
        let took = settlement.over.since(settlement.sent);
        let (method, failed) = (&call.request.method, Attempted::Failure(failure.kind));
        self.shard.attempted(call.upstream, method, failed, took);
        tracing::debug!(upstream = %call.rules.name, %failure, "an exchange broke");
        if failure.kind == FailureKind::LocalResources {
            telemetry::shortage(failure, settlement.over);
        }
        let trouble = dialect::for_failure(&call.policy.dialect, failure);
        let reason = RetryReason::Failure(failure.kind);
        let (aftermath, _given_up) = self.settle(call, slot, (&trouble, reason), settlement);
        let failure = Some(failure.clone());
        let met = Met { trouble, answer: None, aftermath, reason, failure, probe };
        Concluded::Trouble(Box::new(met))
    }

    /// A success streams through; its headers may lower what we believe of the allowance, and ask
    /// for a pause.
    fn pass(
        &self,
        call: &Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        settlement: Settlement<'_>,
    ) -> Finish<E::Body> {
        let survey = AnswerSurvey::of(response.headers());
        let pause = match survey.speaks_of_rates() {
            true => self.pause(response.status(), response.headers()),
            false => None,
        };
        let said = survey.speaks_of_rates();
        let said = said.then(|| hint::standing(response.headers(), || self.clock.wall())).flatten();
        let settlement = Settlement { order: pause.as_ref(), said: said.as_ref(), ..settlement };
        let (aftermath, seat) = slot.settle(&settlement);
        self.tell_operator(call, &aftermath, (Some(BY_RATE_HEADERS), settlement.over));
        let idle = (self.clock, idle_timeout(call, survey));
        let record = self.body_record(call, response.status());
        let body = |body| ResponseBody::of_vendor(body, idle, seat, record);
        Finish::Passed(response.map(body), survey)
    }

    /// The hold that a vendor asks for while it still serves.
    pub(super) fn pause(&self, status: StatusCode, headers: &HeaderMap) -> Option<HoldOrder> {
        hint::pause(status, headers, self.clock.wall()).map(classify::pause)
    }

    /// An answer that may be an error is looked at, up to a cap and for a moment.
    async fn look(
        &self,
        call: &Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        settlement: Settlement<'_>,
    ) -> Concluded<E::Body> {
        let (parts, body) = response.into_parts();
        let (probe, status) = (role(&slot), parts.status);
        let mut unread = Unread { gateway: self, call, open: Some((slot, parts)), settlement };
        let peeked = unread.read(body, status).await;
        let (slot, parts) = unread.open.take().expect("it is taken once, here");
        let seen = dialect::decode::peek(peeked.bytes(), peeked.extent, &parts.headers);
        let answer = Answer { status: parts.status, headers: &parts.headers, body: &seen };
        let wall = self.clock.wall();
        let (class, reading) = dialect::understand(&call.policy.dialect, &answer, wall);
        let said = hint::standing(&parts.headers, || wall);
        let settlement = Settlement { said: said.as_ref(), ..settlement };
        match class {
            Class::Success => {
                let seat = self.settle_success(call, slot, &parts, settlement);
                Concluded::Done(self.pass_peeked(call, parts, peeked, seat))
            }
            Class::Trouble(trouble) => {
                if !reading.recognised {
                    self.shard.unrecognised(call.upstream);
                }
                let trouble = *trouble;
                let reason = RetryReason::Code(trouble.code);
                let (aftermath, mut seat) = self.settle(call, slot, (&trouble, reason), settlement);
                if peeked.extent == Extent::Whole {
                    seat.end();
                }
                let answer = Some((parts, reading));
                let failure = None;
                let met = Met { trouble, answer, aftermath, reason, failure, probe };
                Concluded::Trouble(Box::new(met))
            }
        }
    }

    /// A success that was looked at all the same: what was read goes first.
    fn pass_peeked(
        &self,
        call: &Call<'_>,
        parts: Parts,
        peeked: Peeked<E::Body>,
        seat: ConcurrencyPermit,
    ) -> Finish<E::Body> {
        let Peeked { chunks, trailers, rest, .. } = peeked;
        let data = chunks.into_iter().map(http_body::Frame::data);
        let trailers = trailers.map(http_body::Frame::trailers);
        let read = data.chain(trailers).collect();
        let survey = AnswerSurvey::of(&parts.headers);
        let idle = (self.clock, idle_timeout(call, survey));
        let record = self.body_record(call, parts.status)();
        let body = Box::new(Streamed::new((read, rest), idle, seat, record));
        Finish::Passed(Response::from_parts(parts, ResponseBody::Streamed(body)), survey)
    }

    /// Settles the slot of an attempt that met trouble, with everything the account must know.
    pub(super) fn settle(
        &self,
        call: &Call<'_>,
        slot: Slot,
        (trouble, reason): (&Trouble, RetryReason),
        settlement: Settlement<'_>,
    ) -> (SettleOutcome, ConcurrencyPermit) {
        let blind = blind(trouble, reason);
        self.note_for_budget(call, trouble, blind);
        let (aftermath, seat) = slot.settle(&Settlement {
            blind,
            order: trouble.hold.as_ref(),
            learned: trouble.learned,
            chance: self.random.unit(),
            ..settlement
        });
        self.tell_operator(call, &aftermath, (Some(&trouble.rule), settlement.over));
        if trouble.code == Code::RateLimited {
            let was =
                if aftermath.unexpected { Throttled::Unexpected } else { Throttled::Expected };
            self.shard.throttled(call.upstream, was);
        }
        (aftermath, seat)
    }

    /// What an outcome means for the retry budget: a call that failed, or an upstream that lives.
    fn note_for_budget(&self, call: &Call<'_>, trouble: &Trouble, blind: Blind) {
        let failed = blind != Blind::No || trouble.remedy != Remedy::Final;
        match (failed, &trouble.hold) {
            (true, None) if call.story.attempts == 1 => {
                self.accounts.call_failed(call.upstream, self.clock.now());
            }
            (false, None) => self.accounts.answered(call.upstream),
            (true, None) | (_, Some(_)) => {}
        }
    }

    /// Whether the call is sent again, from when, and paid by whom.
    #[cold]
    fn judge(&self, call: &mut Call<'_>, met: &Met) -> Result<Again, StoppedBy> {
        let Met { trouble, aftermath, reason, probe, .. } = met;
        let free_again = |until: Moment| aftermath.release.map_or(until, |at| at.max(until));
        let now = self.clock.now();
        let situation = Situation {
            call: call.repeatability(),
            attempts: call.story.attempts,
            attempts_max: call.attempts_max,
            backoff: call.policy.backoff,
            chance: self.random.unit(),
            now,
            deadline: call.deadline,
            held_until: aftermath.held_until.map(free_again),
            hold_retries: if *probe == Probe::Yes { 0 } else { call.story.hold_retries },
        };
        let (at, cost) = match decide(trouble, &situation) {
            Verdict::Stop(why) => return Err(why),
            Verdict::Again { at, cost } => (at, cost),
        };
        let payment = match (cost, trouble.remedy) {
            (Cost::Bounded, _) if *probe == Probe::Yes => Payment::Settled,
            (Cost::Bounded, _) => self.pay_after_hold(call, now),
            (Cost::Blind, Remedy::Backoff) => Payment::Due,
            (Cost::Blind, _) if self.pay(call, now) => Payment::Settled,
            (Cost::Blind, _) => return Err(StoppedBy::Budget),
        };
        let waits = trouble.hold.is_some() && *probe == Probe::No;
        call.story.hold_retries += u32::from(waits);
        call.story.failure = met.failure.clone().map(Box::new);
        // Under a hold the waiting room keeps the call: it wakes its probe, and nobody else.
        Ok(Again { at: (now < at).then_some(at), payment, reason: *reason })
    }
}

fn role(slot: &Slot) -> Probe {
    if slot.is_probe() { Probe::Yes } else { Probe::No }
}

/// How long a stream of events may be silent: they come when something happens.
const EVENT_STREAM_IDLE: Duration = Duration::from_secs(5 * 60);

/// How long the body of an answer may be silent.
fn idle_timeout(call: &Call<'_>, survey: AnswerSurvey) -> Duration {
    let own = call.policy.idle_timeout;
    if survey.is_event_stream() { own.max(EVENT_STREAM_IDLE) } else { own }
}

/// For how long the client may take nothing of what it gets.
pub(super) fn pause_max<B>(call: &Call<'_>, finish: &Finish<B>) -> Duration {
    match finish {
        Finish::Passed(_, survey) => idle_timeout(call, *survey),
        Finish::Troubled(_) | Finish::Stopped(_) => call.policy.idle_timeout,
    }
}

/// Whether nobody needs to know what an answer says.
fn passes<B>(call: &Call<'_>, response: &Response<B>) -> bool {
    response.status().as_u16() < 400 && call.policy.inspect == Inspect::Errors
}

/// Whether an exchange broke on the client's side: nobody but the client is to blame for that.
fn blames_client(call: &Call<'_>, failure: &Failure) -> Option<Stop> {
    if call.body.client_broke() {
        return Some(Stop::ClientLeft);
    }
    let stalled = failure.kind == FailureKind::IdleTimeout && call.body.keeps_waiting();
    stalled.then_some(Stop::ClientStalled)
}

const fn fate(failure: &Failure) -> AttemptEnd {
    match failure.reach {
        Reach::Nothing => AttemptEnd::NotSent,
        Reach::Refused => AttemptEnd::Refused,
        Reach::Maybe => AttemptEnd::Unanswered,
    }
}

/// What counts towards an outage: nobody answered, or nobody knows what happened. Limits on
/// our own side say nothing about the upstream.
fn blind(trouble: &Trouble, reason: RetryReason) -> Blind {
    if matches!(reason, RetryReason::Failure(kind) if kind.is_ours()) {
        return Blind::No;
    }
    match trouble.processing {
        Processing::Unknown => Blind::OnPath,
        Processing::NotSent => Blind::OnConnection,
        Processing::NotProcessed | Processing::Processed => Blind::No,
    }
}
