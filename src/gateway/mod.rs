//! The workshop: the life of a call, one stage after the other.
//!
//! One straight function with a line per stage, not a stack of generic middleware: the stages are
//! fixed, share one call, and read like the glossary. Every decision is asked of `policy`.

mod admit;
mod attempt;
mod body;
mod call;
mod connection;
mod drain;
mod receive;
mod record;
mod respond;
mod settings;
mod timer;
mod unread;
mod upload;
mod watch;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::allowance::{Accounts, UpstreamRules};
use crate::clock::Clock;
use crate::headers::{self, Guarded, Via};
use crate::outcome::Code;
use crate::problem::normalise::Redactor;
use crate::random::Random;
use crate::routing::route::Matcher;
use crate::telemetry::{Access, Ended, Shard};
use crate::time::Moment;
use crate::upstream::Exchange;

use attempt::Finish;
use call::{Arrived, Call, Rejection};

pub use body::{BodyRecord, ClientBodyError, IncomingBody, ReplayPool, RequestBody, ResponseBody};
pub use connection::{ClientConnection, OriginalHeads};
pub use drain::{Drain, DrainStage};
pub use settings::{
    CallPolicy, ClientAddress, Credential, Expose, Inspect, Policies, Redirects, Repeat, Settings,
    Upstream,
};

/// What all workers' gateways share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Clients, routes, upstreams and their policies.
    pub settings: Arc<Settings>,
    /// Allowances, holds and queues.
    pub accounts: Arc<Accounts>,
    /// Removes the credentials we inject from what clients read.
    pub redactor: Arc<Redactor>,
    /// The bytes of all replay buffers.
    pub pool: Arc<ReplayPool>,
    /// Whether the program is stopping.
    pub drain: Drain,
    /// Drawn once per process, so that a loop is recognised.
    pub instance: [u8; 4],
    /// Which calls get a line in the log.
    pub access: Access,
    /// The program's clock.
    pub clock: Clock,
}

impl Shared {
    /// What the gateways of these settings share.
    #[must_use]
    pub fn new(settings: Arc<Settings>, access: Access, drain: Drain, clock: Clock) -> Self {
        let rules = |upstream: &Upstream| UpstreamRules {
            name: Arc::clone(&upstream.name),
            account: upstream.account.clone(),
            allowances: upstream.allowances.clone(),
            queue_max: upstream.queue_max,
        };
        let rules: Vec<_> = settings.upstreams.iter().map(rules).collect();
        let limits = &settings.client_limits;
        let accounts = Accounts::new(&rules, limits, settings.accounts_max, clock);
        let [a, b, c, d, ..] = Random::from_entropy().bytes16();
        Self {
            accounts: Arc::new(accounts),
            redactor: Arc::new(redactor(&settings)),
            pool: Arc::new(ReplayPool::new(settings.replay_bytes_max)),
            settings,
            drain,
            instance: [a, b, c, d],
            access,
            clock,
        }
    }
}

/// What few calls ever do. It is kept apart from the straight path, whose code should stay small
/// enough for the processor to hold: hence the box, and the type that nobody can inline.
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The gateway of one worker.
#[derive(Debug)]
pub struct Gateway<E> {
    settings: Arc<Settings>,
    accounts: Arc<Accounts>,
    exchange: E,
    shard: Arc<Shard>,
    pool: Arc<ReplayPool>,
    drain: Drain,
    via: Via,
    /// By upstream: the headers of its calls that are not a client's to set.
    guarded: Vec<Arc<Guarded>>,
    /// By upstream: the paths that lead elsewhere at the same vendor, were they spelled plainly.
    elsewhere: Vec<Vec<Matcher>>,
    /// Removes the credentials we inject from what the client reads.
    redactor: Arc<Redactor>,
    access: Access,
    random: Random,
    clock: Clock,
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// The gateway of one worker, which counts in `shard` and sends through `exchange`.
    #[must_use]
    pub fn new(shared: &Shared, shard: Arc<Shard>, exchange: E, random: Random) -> Self {
        let Shared { settings, accounts, redactor, pool, drain, instance, access, clock } =
            shared.clone();
        Self {
            via: Via::new(&settings.via, instance),
            guarded: settings.upstreams.iter().map(|it| call::guarded(&settings, it)).collect(),
            elsewhere: (0..settings.upstreams.len())
                .map(|it| call::elsewhere(&settings, it))
                .collect(),
            redactor,
            settings,
            accounts,
            exchange,
            shard,
            pool,
            drain,
            access,
            random,
            clock,
        }
    }

    /// The worker's way to upstreams, to be tidied up now and then.
    pub const fn exchange(&self) -> &E {
        &self.exchange
    }

    /// The program's clock.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Where this worker counts.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Serves one call, from its head to the head of its answer.
    ///
    /// What it needs of the request it takes out of it: a request is large, and who hands it on
    /// copies it.
    pub async fn handle<B: Into<IncomingBody> + Default + Send>(
        &self,
        request: &mut Request<B>,
        heads: &mut OriginalHeads,
        peer: &ClientConnection,
    ) -> Response<ResponseBody<E::Body>> {
        if *request.method() == Method::OPTIONS && headers::is_last_hop(request.headers()) {
            return self.answer_options(request.headers());
        }
        let mut begun = self.begin(Arrived {
            request,
            original_head: heads.request.take(),
            peer,
            at: self.clock.now(),
        });
        // Only borrowed from here on, for the same reason.
        let call = match &mut begun {
            Ok(call) => call,
            Err(turned) => return self.turn_away(turned),
        };
        self.shard.call_began(call.upstream);
        let mut leaving = Leaving::of(self, call);
        self.accounts.call_came(call.upstream, call.arrival);
        let admitted = match self.receive(call).await {
            Ok(()) => self.admit_client(call).await,
            Err(stop) => Err(stop),
        };
        let finish = match admitted {
            Ok(()) => self.attempts(call, peer).await,
            Err(stop) => Finish::Stopped(stop),
        };
        leaving.recorded = true;
        heads.answer = call.story.answer_head.take();
        peer.set_stall_timeout(attempt::pause_max(call, &finish));
        self.respond(call, finish)
    }

    /// Answers a head that the front door refused.
    #[must_use]
    pub fn refuse(
        &self,
        code: Code,
        detail: &'static str,
        headers: Option<&HeaderMap>,
    ) -> Response<ResponseBody<E::Body>> {
        let id = headers.and_then(headers::request_id).cloned();
        let id = id.unwrap_or_else(|| self.fresh_request_id());
        self.turn_away(&Rejection { id, code, detail, upstream: None })
    }
}

impl<E> Gateway<E> {
    fn fresh_request_id(&self) -> HeaderValue {
        let wall = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        headers::fresh_request_id(millis, self.random.bytes10())
    }
}

/// Counts a call whose client left before there was an answer: its future is simply dropped.
struct Leaving<'g> {
    shard: &'g Shard,
    upstream: usize,
    client: usize,
    method: Method,
    clock: Clock,
    arrival: Moment,
    recorded: bool,
}

/// What logs and metrics say of a call whose client left; nobody is sent it.
const CLIENT_LEFT: u16 = 499;

impl<'g> Leaving<'g> {
    fn of<E>(gateway: &'g Gateway<E>, call: &Call<'_>) -> Self {
        Self {
            shard: &gateway.shard,
            upstream: call.upstream,
            client: call.client,
            method: call.request.method.clone(),
            clock: gateway.clock,
            arrival: call.arrival,
            recorded: false,
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.recorded {
            return;
        }
        let status = StatusCode::from_u16(CLIENT_LEFT).unwrap_or(StatusCode::BAD_REQUEST);
        let took = self.clock.now().since(self.arrival);
        let ended = Ended { client: self.client, method: &self.method, status, code: None, took };
        self.shard.call_ended(self.upstream, &ended);
    }
}

fn redactor(settings: &Settings) -> Redactor {
    let credentials = settings.upstreams.iter().filter_map(|upstream| upstream.credential.as_ref());
    Redactor::new(credentials.map(|credential| credential.value.as_bytes()))
}
