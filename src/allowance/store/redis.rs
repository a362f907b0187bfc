//! Redis and Valkey as the store that replicas share: one script, which reads or writes on
//! condition.
//!
//! All keys have one hash tag, so that a cluster keeps them together. The script is told nothing of
//! allowances; it also returns which process of the store executes it, which no connection knows
//! behind a cluster or a proxy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, Script};
use tokio::sync::Mutex;

use super::shared::SharedStore;
use crate::allowance::settings::StoreSettings;
use crate::allowance::shared::session::{Condition, Found, Reply, Request};
use crate::clock::Clock;
use crate::time::Moment;

/// `KEYS`: header and account. `ARGV`: the process of the store, the header and the version that
/// are expected (no process: it only reads), then the header, version and value to write (empty:
/// none), and for how long the value is kept, in ms.
const SCRIPT: &str = r"
local header = redis.call('GET', KEYS[1]) or ''
local version = redis.call('HGET', KEYS[2], 'version') or ''
local time = redis.call('TIME')
local instance = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
if instance ~= ARGV[1] or header ~= ARGV[2] or version ~= ARGV[3] then
  local value = redis.call('HGET', KEYS[2], 'value') or ''
  return {0, time[1], time[2], instance, header, version, value}
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[1], ARGV[4])
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], 'version', ARGV[5], 'value', ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return {1, time[1], time[2], instance, '', '', ''}
";

/// How long it may take to connect: name resolution, TLS and login are several round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the first answer is awaited.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What the script returns.
type Raw = (u8, u64, u64, String, String, String, String);

pub struct RedisStore {
    script: Script,
    server: Arc<Server>,
}

/// The server, and the connection to it that all accounts share.
struct Server {
    settings: Arc<StoreSettings>,
    clock: Clock,
    source: Source,
    /// `None` after a failure: the next round trip connects anew.
    connection: Mutex<Option<Connection>>,
}

enum Source {
    Single(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster(Box<redis::cluster::ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why the store cannot be used. Never contains its URL, which may hold a password.
#[derive(Debug)]
pub enum StoreError {
    /// No answer within the timeout.
    TimedOut(Duration),
    Failed(RedisError),
    /// It may forget values before they are out of date.
    Evicts(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(timeout) => write!(f, "no answer within {timeout:?}"),
            Self::Failed(error) if is_unauthenticated(error) => {
                f.write_str("it rejects the user or password of `store.redis.url`, or wants one")
            }
            Self::Failed(error) => error.fmt(f),
            Self::Evicts(policy) => write!(
                f,
                "its `maxmemory-policy` is `{policy}`, by which it may forget what was granted: set \
                 it to `noeviction`"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

fn is_unauthenticated(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

impl RedisStore {
    /// # Errors
    /// The URL is not one of a Redis server.
    pub fn new(settings: Arc<StoreSettings>, clock: Clock) -> Result<Self, StoreError> {
        let url = &*settings.url;
        let source = match &settings.sentinel_master {
            Some(master) => {
                let nodes: Vec<_> = url.split(',').collect();
                let master = master.to_string();
                let client = SentinelClient::build(nodes, master, None, SentinelServerType::Master);
                Source::Sentinel(Box::new(Mutex::new(client?)))
            }
            None if settings.is_cluster => {
                let nodes = ClusterClientBuilder::new(url.split(','));
                let nodes = nodes.connection_timeout(CONNECT_TIMEOUT);
                Source::Cluster(Box::new(nodes.response_timeout(settings.timeout).build()?))
            }
            None => Source::Single(Box::new(Client::open(url)?)),
        };
        let server = Server { settings, clock, source, connection: Mutex::new(None) };
        Ok(Self { script: Script::new(SCRIPT), server: Arc::new(server) })
    }

    async fn connection(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.server.connection.try_lock().ok().and_then(|it| it.clone()) {
            return Ok(connection);
        }
        // Goes on when this round trip has timed out: to connect may take several.
        let server = Arc::clone(&self.server);
        let opening = tokio::spawn(async move { server.connection().await });
        opening.await.unwrap_or(Err(StoreError::TimedOut(CONNECT_TIMEOUT)))
    }

    fn invocation(&self, account: &str, request: &Request) -> redis::ScriptInvocation<'_> {
        let prefix = &self.server.settings.prefix;
        let mut invocation = self.script.prepare_invoke();
        invocation.key(format!("{{{prefix}}}:header")).key(format!("{{{prefix}}}:{account}"));
        let mut expect = |it: &Condition| {
            invocation.arg(&*it.instance).arg(&it.header).arg(&it.version);
        };
        match request {
            Request::Read => invocation.arg(""),
            Request::Begin { condition, header } => {
                expect(condition);
                invocation.arg(header).arg("")
            }
            Request::Write { condition, version, value, kept } => {
                expect(condition);
                let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
                invocation.arg("").arg(version).arg(value).arg(kept)
            }
        };
        invocation
    }
}

impl Server {
    async fn connection(&self) -> Result<Connection, StoreError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let opening = self.clock.within(CONNECT_TIMEOUT, self.connect()).await;
        let connection = opening.ok_or(StoreError::TimedOut(CONNECT_TIMEOUT))??;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        let timeout = Some(self.settings.timeout);
        let config = AsyncConnectionConfig::new();
        let connect_timeout = Some(CONNECT_TIMEOUT);
        let config = config.set_connection_timeout(connect_timeout).set_response_timeout(timeout);
        Ok(match &self.source {
            Source::Single(client) => Connection::Single(
                client.get_multiplexed_async_connection_with_config(&config).await?,
            ),
            Source::Sentinel(client) => {
                let mut client = client.lock().await;
                Connection::Single(client.get_async_connection_with_config(&config).await?)
            }
            Source::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

impl SharedStore for RedisStore {
    type Error = StoreError;

    async fn check(&self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let asked = command.query_async::<String>(&mut connection);
        let info = self.server.clock.within(CHECK_TIMEOUT, asked).await;
        let info = match info.ok_or(StoreError::TimedOut(CHECK_TIMEOUT))? {
            Ok(info) => info,
            // Each of its nodes answers for itself, which is not checked.
            Err(_) if self.server.settings.is_cluster => String::new(),
            Err(error) => return Err(error.into()),
        };
        let of = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        let bounded = of("maxmemory:").is_some_and(|bytes| bytes.trim() != "0");
        match of("maxmemory_policy:").map(str::trim) {
            Some(policy) if bounded && policy != "noeviction" => {
                Err(StoreError::Evicts(policy.to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_final(error: &StoreError) -> bool {
        match error {
            StoreError::Evicts(_) => true,
            StoreError::Failed(error) => is_unauthenticated(error),
            StoreError::TimedOut(_) => false,
        }
    }

    async fn ask(&self, account: &str, request: &Request) -> Result<Reply, StoreError> {
        let timeout = self.server.settings.timeout;
        let round_trip = async {
            let mut connection = self.connection().await?;
            let invocation = self.invocation(account, request);
            Ok(invocation.invoke_async::<Raw>(&mut connection).await?)
        };
        let result = self.server.clock.within(timeout, round_trip).await;
        match result.unwrap_or(Err(StoreError::TimedOut(timeout))) {
            Ok(raw) => Ok(reply(raw)),
            Err(error) => {
                // What it is connected to may be a server that has become a replica.
                *self.server.connection.lock().await = None;
                Err(error)
            }
        }
    }
}

fn reply((is_written, seconds, micros, instance, header, version, value): Raw) -> Reply {
    let shown = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
    let found = (is_written == 0).then_some(Found { header, version, value });
    Reply { found, shown: Moment::START.plus(shown), instance: instance.into() }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(
        &'a mut self,
        command: &'a redis::Cmd,
    ) -> redis::RedisFuture<'a, redis::Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> redis::RedisFuture<'a, Vec<redis::Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("settings", &self.server.settings)
            .finish_non_exhaustive()
    }
}
