//! The attempt loop: the only loop in the program that sends.
//!
//! It has no opinions: exchange, classify, decide, wait, or return. What an outcome means is
//! `dialect`'s and `policy::classify`'s to say, what is done about it `policy::verdict`'s.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use http::response::Parts;
use http::{Response, StatusCode};

use crate::allowance::{Aftermath, Blind, Fate, Seat, Settlement, Slot};
use crate::dialect;
use crate::policy::classify::{Class, Processing, Trouble};
use crate::policy::headers::AnswerSurvey;
use crate::policy::hint;
use crate::policy::outcome::{Answer, Failure, FailureKind, Reach};
use crate::policy::problem::{Code, StoppedBy};
use crate::policy::reading::Reading;
use crate::policy::time::Moment;
use crate::policy::verdict::{Cost, RetryReason, Situation, Verdict, decide};
use crate::telemetry::{self, Attempted, Throttled};
use crate::upstream::{Exchange, Progress};

use super::admit::Stop;
use super::body::{Peeked, RequestBody, ResponseBody, Streamed, peek};
use super::call::Call;
use super::settings::Inspect;
use super::upload::UploadWatch;
use super::{Gateway, Peer, Rare};

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
    pub(super) reason: RetryReason,
    pub(super) stopped_by: StoppedBy,
    pub(super) aftermath: Aftermath,
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
    aftermath: Aftermath,
    reason: RetryReason,
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Sends until there is an answer to give.
    pub(super) async fn attempts(&self, call: &mut Call<'_>, peer: &Peer) -> Finish<E::Body> {
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
            // The blind retry that was paid for is over.
            call.story.paid = None;
            let met = match concluded {
                Concluded::Done(finish) => return finish,
                Concluded::Trouble(met) => met,
            };
            match self.judge(call, &met) {
                Err(stopped_by) => return self.give_up(call, *met, stopped_by),
                Ok(until) => {
                    if let Err(stop) = self.rest_if_needed(call, until).await {
                        return Finish::Stopped(stop);
                    }
                }
            }
        }
    }

    #[cold]
    fn give_up(&self, call: &Call<'_>, met: Met, stopped_by: StoppedBy) -> Finish<E::Body> {
        self.shard.not_retried(call.upstream, stopped_by);
        let Met { trouble, answer, aftermath, reason } = met;
        let at = self.clock.now();
        let troubled = Troubled { trouble, answer, reason, stopped_by, aftermath, at };
        Finish::Troubled(Box::new(troubled))
    }

    /// One exchange, from its first byte to its answer's head or its failure, under the timeouts
    /// of its phases.
    async fn send(
        &self,
        call: &mut Call<'_>,
        peer: &Peer,
        slot: &mut Slot,
        sent: Moment,
    ) -> Result<Response<E::Body>, Failure> {
        let (upstream, policy) = (call.upstream, call.policy);
        let mut upload = UploadWatch::of(call, sent);
        let (head, body) = call.next_request(|| self.random.bytes8());
        let progress = Progress::begun(sent);
        let mut exchange = pin!(self.exchange.exchange(upstream, head, body, &progress));
        let watch = Watch {
            began: sent,
            guard: slot.guard(),
            attempt_timeout: policy.attempt_timeout,
            idle_timeout: policy.idle_timeout,
        };
        let mut due = upload.first_alarm(watch.first_alarm());
        let mut alarm = None;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = exchange.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                let alarm = alarm.get_or_insert_with(|| peer.alarm.lend(self.clock, due));
                ready!(alarm.poll(due, cx));
                let now = self.clock.now();
                let looked = watch.look_again(&progress, slot, now);
                match looked.and_then(|due| upload.look_again(&progress, due, now)) {
                    Ok(next) => due = next,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        })
        .await
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
        call.story.paid = None;
        self.exchange.reuse(call.upstream, &mut call.request.headers);
        self.count_answer(call, response.status(), &settlement);
        self.pass(call, slot, response, settlement)
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
    ) -> Rare<'a, Concluded<E::Body>> {
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
        slot: Slot,
        failure: &Failure,
        settlement: Settlement<'_>,
    ) -> Concluded<E::Body> {
        let settlement = Settlement { fate: fate(failure), ..settlement };
        if let Some(stop) = blames_client(call, failure) {
            // As when its client left: it counts if it was sent, says nothing about the upstream,
            // and passes a probe's role on.
            match settlement.fate {
                Fate::NotSent => slot.cancel(),
                Fate::Answered | Fate::Unanswered => drop(slot),
            }
            return Concluded::Done(Finish::Stopped(stop));
        }
        let took = settlement.over.since(settlement.sent);
        let (method, failed) = (&call.request.method, Attempted::Failure(failure.kind));
        self.shard.attempted(call.upstream, method, failed, took);
        tracing::debug!(upstream = %call.rules.name, %failure, "an exchange broke");
        let trouble = dialect::for_failure(&call.policy.dialect, failure);
        let reason = RetryReason::Failure(failure.kind);
        let aftermath = self.settle(call, slot, (&trouble, reason), settlement);
        Concluded::Trouble(Box::new(Met { trouble, answer: None, aftermath, reason }))
    }

    /// A success streams through; its headers may lower what we believe of the allowance.
    fn pass(
        &self,
        call: &Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        mut settlement: Settlement<'_>,
    ) -> Finish<E::Body> {
        let survey = AnswerSurvey::of(response.headers());
        if survey.speaks_of_rates()
            && let Some(standing) = hint::standing(response.headers(), || self.clock.wall())
        {
            settlement.learned = standing.limit;
            settlement.exhausted_for = standing.exhausted_for;
        }
        let (aftermath, seat) = slot.settle(&settlement);
        self.tell_operator(call, &aftermath, settlement.over);
        let idle = (self.clock, idle_timeout(call, survey));
        let body = |body| ResponseBody::of_vendor(body, idle, seat);
        Finish::Passed(response.map(body), survey)
    }

    /// An answer that may be an error is looked at, up to a cap and for a moment.
    async fn look(
        &self,
        call: &Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        mut settlement: Settlement<'_>,
    ) -> Concluded<E::Body> {
        let (parts, body) = response.into_parts();
        let peeked = peek(body, self.clock).await;
        let seen = dialect::decode::peek(peeked.bytes(), peeked.extent, &parts.headers);
        let answer = Answer { status: parts.status, headers: &parts.headers, body: &seen };
        let wall = self.clock.wall();
        let (class, reading) = dialect::understand(&call.policy.dialect, &answer, wall);
        if let Some(standing) = hint::standing(&parts.headers, || wall) {
            settlement.learned = standing.limit;
            settlement.exhausted_for = standing.exhausted_for;
        }
        match class {
            Class::Success => {
                let (aftermath, seat) = slot.settle(&settlement);
                self.tell_operator(call, &aftermath, settlement.over);
                Concluded::Done(self.pass_peeked(call, parts, peeked, seat))
            }
            Class::Trouble(trouble) => {
                if !reading.recognised {
                    self.shard.unrecognised(call.upstream);
                }
                let trouble = *trouble;
                let reason = RetryReason::Code(trouble.code);
                let aftermath = self.settle(call, slot, (&trouble, reason), settlement);
                let answer = Some((parts, reading));
                Concluded::Trouble(Box::new(Met { trouble, answer, aftermath, reason }))
            }
        }
    }

    /// A success that was looked at all the same: what was read goes first.
    fn pass_peeked(
        &self,
        call: &Call<'_>,
        parts: Parts,
        peeked: Peeked<E::Body>,
        seat: Seat,
    ) -> Finish<E::Body> {
        let Peeked { chunks, trailers, rest, .. } = peeked;
        let data = chunks.into_iter().map(http_body::Frame::data);
        let trailers = trailers.map(http_body::Frame::trailers);
        let read = data.chain(trailers).collect();
        let survey = AnswerSurvey::of(&parts.headers);
        let body = self.streamed(idle_timeout(call, survey), read, rest, seat);
        Finish::Passed(Response::from_parts(parts, body), survey)
    }

    fn streamed(
        &self,
        idle_timeout: Duration,
        read: VecDeque<http_body::Frame<bytes::Bytes>>,
        rest: E::Body,
        seat: Seat,
    ) -> ResponseBody<E::Body> {
        let idle = (self.clock, idle_timeout);
        ResponseBody::Streamed(Box::new(Streamed::new(read, rest, idle, seat)))
    }

    /// Settles the slot of an attempt that met trouble, with everything the account must know.
    fn settle(
        &self,
        call: &Call<'_>,
        slot: Slot,
        (trouble, reason): (&Trouble, RetryReason),
        settlement: Settlement<'_>,
    ) -> Aftermath {
        let (aftermath, _seat) = slot.settle(&Settlement {
            blind: blind(trouble, reason),
            order: trouble.hold.as_ref(),
            learned: trouble.learned.or(settlement.learned),
            chance: self.random.unit(),
            ..settlement
        });
        self.tell_operator(call, &aftermath, settlement.over);
        if trouble.code == Code::RateLimited {
            let was =
                if aftermath.unexpected { Throttled::Unexpected } else { Throttled::Expected };
            self.shard.throttled(call.upstream, was);
        }
        aftermath
    }

    /// One line when a hold begins, goes on or ends.
    fn tell_operator(&self, call: &Call<'_>, aftermath: &Aftermath, now: Moment) {
        let Some(news) = aftermath.news else { return };
        telemetry::hold(&call.rules.name, &news, now);
    }

    /// Whether the call is sent again, from when, and paid by whom.
    #[cold]
    fn judge(&self, call: &mut Call<'_>, met: &Met) -> Result<Option<Moment>, StoppedBy> {
        let Met { trouble, aftermath, reason, .. } = met;
        let free_again = |until: Moment| aftermath.release.map_or(until, |at| at.max(until));
        let now = self.clock.now();
        let situation = Situation {
            call: call.repeatability(),
            attempts: call.story.attempts,
            attempts_max: call.policy.attempts,
            backoff: call.policy.backoff,
            chance: self.random.unit(),
            now,
            deadline: call.deadline,
            held_until: aftermath.held_until.map(free_again),
        };
        let (at, cost) = match decide(trouble, &situation) {
            Verdict::Stop(why) => return Err(why),
            Verdict::Again { at, cost } => (at, cost),
        };
        if cost == Cost::Blind {
            let paid = self.accounts.pay_retry(call.upstream, now).ok_or(StoppedBy::Budget)?;
            call.story.paid = Some(paid);
        }
        self.shard.retried(call.upstream, *reason);
        call.story.retried_because = Some(*reason);
        // Under a hold the waiting room keeps the call: it wakes its probe, and nobody else.
        Ok((now < at).then_some(at))
    }

    #[cold]
    fn rest_if_needed<'a>(
        &'a self,
        call: &'a mut Call<'_>,
        until: Option<Moment>,
    ) -> Rare<'a, Result<(), Stop>> {
        Box::pin(async move {
            match until {
                Some(until) => self.rest(call, until).await,
                None => Ok(()),
            }
        })
    }
}

/// The timeouts of one attempt.
#[derive(Clone, Copy, Debug)]
struct Watch {
    began: Moment,
    guard: Option<Duration>,
    attempt_timeout: Duration,
    idle_timeout: Duration,
}

impl Watch {
    /// Nothing can be due earlier.
    fn first_alarm(&self) -> Moment {
        let soonest = self.attempt_timeout.min(self.idle_timeout);
        self.began.plus(self.guard.map_or(soonest, |guard| guard.min(soonest)))
    }

    /// After an alarm: what it was for is done, and when to look again, or which timeout is over.
    #[cold]
    fn look_again(
        &self,
        progress: &Progress,
        slot: &mut Slot,
        now: Moment,
    ) -> Result<Moment, Failure> {
        self.settle_guarded(progress, slot, now);
        self.next_alarm(progress, now)
    }

    /// Once the guard has passed, the vendor has counted the attempt, answer or not.
    fn settle_guarded(&self, progress: &Progress, slot: &mut Slot, now: Moment) {
        if let (Some(sent), Some(guard)) = (progress.sent(), self.guard)
            && sent.plus(guard) <= now
        {
            slot.pass_guard(sent.plus(guard));
        }
    }

    /// When to look again, or which timeout is over.
    fn next_alarm(&self, progress: &Progress, now: Moment) -> Result<Moment, Failure> {
        let Some(sent) = progress.sent() else {
            let idle = progress.last_write().unwrap_or(self.began).plus(self.idle_timeout);
            let stuck = "the upstream does not take the request's body";
            return alarm(idle, now, FailureKind::IdleTimeout, (progress, stuck));
        };
        let guard = self.guard.map(|guard| sent.plus(guard)).filter(|guard| now < *guard);
        let silence = "no answer in time";
        let timeout = sent.plus(self.attempt_timeout);
        let timeout = alarm(timeout, now, FailureKind::Timeout, (progress, silence))?;
        Ok(guard.map_or(timeout, |guard| guard.min(timeout)))
    }
}

fn alarm(
    due: Moment,
    now: Moment,
    kind: FailureKind,
    (progress, detail): (&Progress, &'static str),
) -> Result<Moment, Failure> {
    if now < due { Ok(due) } else { Err(Failure::new(kind, progress.reach(), detail)) }
}

/// How long a stream of events may be silent: they come when something happens.
const EVENT_STREAM_IDLE: Duration = Duration::from_secs(5 * 60);

/// How long the body of an answer may be silent.
fn idle_timeout(call: &Call<'_>, survey: AnswerSurvey) -> Duration {
    let own = call.policy.idle_timeout;
    if survey.is_event_stream() { own.max(EVENT_STREAM_IDLE) } else { own }
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

const fn fate(failure: &Failure) -> Fate {
    match failure.reach {
        Reach::Nothing => Fate::NotSent,
        Reach::Refused | Reach::Maybe => Fate::Unanswered,
    }
}

/// What counts towards an outage: nobody answered, or nobody knows what happened. Our own limit
/// of connections says nothing about the upstream.
fn blind(trouble: &Trouble, reason: RetryReason) -> Blind {
    let ours = reason == RetryReason::Failure(FailureKind::ConnectionLimit);
    match trouble.processing {
        Processing::Unknown | Processing::NotSent if !ours => Blind::Yes,
        Processing::Unknown
        | Processing::NotSent
        | Processing::NotProcessed
        | Processing::Processed => Blind::No,
    }
}
