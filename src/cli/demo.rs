//! `evenkeel demo`: two simulated vendors and the gateway in front of them, offline.
//!
//! The gateway is the real one, run as `run` runs it, on a configuration that the demo writes.
//! With `--tour` the story plays by itself, and the exit code says whether every claim held.

use std::io::{self, IsTerminal as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use clap::Args;

use super::run::{Running, control_runtime, say};
use crate::clock::Clock;
use crate::config::{Diagnostics, Environment, LoadRequest, Loaded, load};
use crate::demo::{DemoSettings, Handle, Vendor, VendorSettings, config_yaml, tour};
use crate::server::{Ended, StopSignals};

/// Simulated vendors with the gateway in front of them: nothing leaves this machine.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Plays the story by itself, prints what the client and the vendor saw, and ends.
    #[arg(long)]
    tour: bool,
    /// The gateway's port; the vendors and the admin listener take the next three. 0 takes any.
    #[arg(long, value_name = "PORT", conflicts_with = "tour")]
    #[arg(value_parser = clap::value_parser!(u16).range(..=65_532))]
    port: Option<u16>,
    /// How many times faster than the world the vendors' time runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=600))]
    scale: u32,
}

/// Why there is no demo.
enum DemoFault {
    Io(io::Error),
    Config(Box<Diagnostics>),
    Tour(tour::TourFault),
}

impl From<io::Error> for DemoFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs the demo until stopped, or its tour to the end.
pub fn run(args: &DemoArgs, out: &mut (dyn Write + Send), err: &mut dyn Write) -> ExitCode {
    let played = control_runtime().map_err(DemoFault::Io).and_then(|runtime| {
        runtime.block_on(async {
            let stage = Stage::set(args).await?;
            if args.tour { stage.tour(out).await } else { stage.stay(out).await }
        })
    });
    match played {
        Ok(code) => code,
        Err(DemoFault::Io(error)) => say(err, &error, ExitCode::FAILURE),
        Err(DemoFault::Tour(fault)) => say(err, &fault, ExitCode::FAILURE),
        Err(DemoFault::Config(faults)) => super::source::report(&faults, err),
    }
}

/// Vendors and gateway, running.
struct Stage {
    settings: DemoSettings,
    droplink: Handle,
    wordbee: Handle,
    running: Running,
}

impl Stage {
    async fn set(args: &DemoArgs) -> Result<Self, DemoFault> {
        let mut settings = DemoSettings { scale: args.scale, ..DemoSettings::default() };
        // The tour is over in a minute and talks to itself: any free port will do.
        if let Some(port) = args.port.or(args.tour.then_some(0)) {
            settings.move_to(port);
        }
        let droplink = vendor(settings.droplink_settings(), settings.droplink)?;
        let wordbee = vendor(settings.wordbee_settings(), settings.wordbee)?;
        (settings.droplink, settings.wordbee) = (droplink.address(), wordbee.address());
        let loaded = configuration(&settings)?;
        let running = Running::open(loaded, Clock::start()).await?;
        (settings.gateway, settings.admin) = (running.address(), running.operators());
        Ok(Self { settings, droplink, wordbee, running })
    }

    async fn stay(mut self, out: &mut (dyn Write + Send)) -> Result<ExitCode, DemoFault> {
        self.running.ready().await;
        writeln!(out, "{}\nCtrl-C ends it.", self.settings.banner())?;
        let mut signals = StopSignals::listen()?;
        match self.running.serve_until(&mut signals).await {
            Ended::Broken => Ok(ExitCode::FAILURE),
            Ended::Drained | Ended::GraceOver | Ended::AtOnce => Ok(ExitCode::SUCCESS),
        }
    }

    async fn tour(mut self, out: &mut (dyn Write + Send)) -> Result<ExitCode, DemoFault> {
        self.running.ready().await;
        let Self { settings, droplink, wordbee, .. } = &self;
        let kind = match io::stdout().is_terminal() {
            true => tour::ScreenKind::Terminal,
            false => tour::ScreenKind::Plain,
        };
        let screen = tour::Screen { out, kind };
        let played = tour::tour(settings.gateway, droplink, wordbee, settings.scale, screen).await;
        let verdict = played.map_err(DemoFault::Tour)?;
        write!(out, "{}", next_command(&std::env::args().next().unwrap_or_default()))?;
        Ok(if verdict.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What to type after the tour, with the program as it was started.
fn next_command(program: &str) -> String {
    let program = if program.is_empty() { "evenkeel" } else { program };
    format!(
        "\nNext, in front of your own vendor:\n  \
         {program} run --upstream https://api.vendor.example --limit 10/s\n"
    )
}

/// A vendor on a thread of its own: an observer with a clock of its own.
fn vendor(settings: VendorSettings, address: SocketAddr) -> Result<Handle, DemoFault> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let listener = TcpListener::bind(address).map_err(named)?;
    Ok(Vendor::on_thread(settings, listener)?)
}

fn configuration(settings: &DemoSettings) -> Result<Loaded, DemoFault> {
    let DemoSettings { gateway, admin, droplink, wordbee, scale } = settings;
    let text = config_yaml(*droplink, *wordbee, *scale);
    let own = [
        format!("listen.address={gateway}"),
        format!("admin.address={admin}"),
        "telemetry.log.level=warn".to_owned(),
    ];
    let request = LoadRequest { text: Some(text), sets: own.into(), ..LoadRequest::default() };
    // The demo is the same everywhere: what the environment says is for a real gateway.
    load(&request, &Environment::of([])).map_err(DemoFault::Config)
}
