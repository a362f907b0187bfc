//! State that all connections of one simulated vendor share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::droplink::Droplink;
use super::faulty_stream::FaultControl;
use super::message::VendorTime;
use super::request_log::{RequestLog, RequestRecorder};
use super::script::{Command, Script};
use super::settings::{Allowance, Credential, VendorSettings};
use super::wordbee::Wordbee;
use crate::clock::Clock;
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: VendorSettings,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// The allowances of the settings with their windows divided by the time scale.
    pub(super) allowances: Vec<Allowance>,
    recorder: Mutex<RequestRecorder>,
    script: Mutex<Script>,
    state: Mutex<VendorState>,
    unread: AtomicU64,
}

/// What the vendors' endpoints store, and the credentials they accept.
#[derive(Debug)]
pub(super) struct VendorState {
    pub(super) droplink: Droplink,
    pub(super) wordbee: Wordbee,
    pub(super) credentials: Vec<Credential>,
}

impl Shared {
    pub(super) fn new(settings: VendorSettings) -> Self {
        let state = VendorState {
            droplink: Droplink::default(),
            wordbee: Wordbee::default(),
            credentials: settings.credentials.clone(),
        };
        Self {
            clock: Clock::start(),
            random: settings.seed.map_or_else(Random::from_entropy, Random::from_seed),
            allowances: settings.allowances.iter().map(|one| one.scaled(settings.scale)).collect(),
            recorder: Mutex::new(RequestRecorder::new(settings.log_max)),
            script: Mutex::new(Script::new(settings.latency)),
            state: Mutex::new(state),
            unread: AtomicU64::new(0),
            settings,
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    pub(super) fn now(&self) -> VendorTime {
        VendorTime { ns: self.now_ns(), scale: self.settings.scale.max(1) }
    }

    pub(super) fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }

    pub(super) fn log(&self) -> RequestLog {
        self.recorder().log()
    }

    pub(super) fn recorder(&self) -> MutexGuard<'_, RequestRecorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, VendorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn execute(&self, command: &Command) {
        self.script().execute(command, self.now_ns(), self.settings.scale);
        if *command == Command::ExpireTokens {
            self.state().wordbee.expire_tokens();
        }
        if let Command::Revoke { key } = command {
            self.state().credentials.retain(|one| one.key != *key);
        }
    }

    /// Clears the log, the counts and the script; documents, jobs and tokens stay.
    pub(super) fn reset(&self) {
        *self.recorder() = RequestRecorder::new(self.settings.log_max);
        *self.script() = Script::new(self.settings.latency);
    }

    /// With the scripted probability, resets the connection when its next request arrives.
    pub(super) fn maybe_reset_unread(&self, fault: &FaultControl) {
        if self.script().resets_unread(self.random.unit()) {
            fault.reset_unread();
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A whole number below `bound`, uniformly but for a bias of less than 2⁻⁶⁴ × `bound`.
    pub(super) fn random_below(&self, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.random.bytes16();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % bound.max(1)
    }
}
