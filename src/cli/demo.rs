//! `evenkeel demo`: two simulated vendors and the gateway in front of them, offline.
//!
//! The gateway runs as with `evenkeel run`, on a configuration that the demo generates. With
//! `--tour` a guided tour runs, and the exit code says whether all its checks passed.

use std::io::{self, IsTerminal as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use clap::Args;

use super::reload::Source;
use super::run::{RunningGateway, control_runtime, report_error};
use crate::clock::Clock;
use crate::config::{Diagnostics, Environment, LoadRequest, load};
use crate::demo::{DemoSettings, Vendor, VendorHandle, VendorSettings, config_yaml, tour};
use crate::server::{ShutdownOutcome, StopSignals};

#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Runs the guided tour, prints what the client and the vendor saw, and ends.
    #[arg(long)]
    tour: bool,
    /// The gateway's port; the vendors and the admin listener take the next three. 0 takes any.
    #[arg(long, value_name = "PORT", conflicts_with = "tour")]
    #[arg(value_parser = clap::value_parser!(u16).range(..=65_532))]
    port: Option<u16>,
    /// How many times faster than real time the vendors' time runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=600))]
    scale: u32,
}

enum DemoError {
    Io(io::Error),
    Config(Box<Diagnostics>),
    Tour(tour::TourError),
}

impl From<io::Error> for DemoError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub fn run(args: &DemoArgs, out: &mut (dyn Write + Send), err: &mut dyn Write) -> ExitCode {
    let result = control_runtime().map_err(DemoError::Io).and_then(|runtime| {
        runtime.block_on(async {
            let demo = Demo::start(args).await?;
            if args.tour { demo.tour(out).await } else { demo.serve(out).await }
        })
    });
    match result {
        Ok(code) => code,
        Err(DemoError::Io(error)) => report_error(err, &error, ExitCode::FAILURE),
        Err(DemoError::Tour(error)) => report_error(err, &error, ExitCode::FAILURE),
        Err(DemoError::Config(diagnostics)) => super::source::report(&diagnostics, err),
    }
}

/// The running vendors and gateway.
struct Demo {
    settings: DemoSettings,
    droplink: VendorHandle,
    wordbee: VendorHandle,
    gateway: RunningGateway,
}

impl Demo {
    async fn start(args: &DemoArgs) -> Result<Self, DemoError> {
        let mut settings = DemoSettings { scale: args.scale, ..DemoSettings::default() };
        // The tour needs no fixed ports, since only its own client connects.
        if let Some(port) = args.port.or(args.tour.then_some(0)) {
            settings.set_ports(port);
        }
        let droplink = start_vendor(settings.droplink_settings(), settings.droplink)?;
        let wordbee = start_vendor(settings.wordbee_settings(), settings.wordbee)?;
        (settings.droplink, settings.wordbee) = (droplink.address(), wordbee.address());
        let text = config_yaml(settings.droplink, settings.wordbee, settings.scale);
        let sets = [
            format!("listen.address={}", settings.gateway),
            format!("admin.address={}", settings.admin),
            "telemetry.log.level=warn".to_owned(),
        ];
        let request = LoadRequest { text: Some(text), sets: sets.into(), ..LoadRequest::default() };
        // Environment variables are ignored, so that the demo is the same everywhere.
        let environment = Environment::of([]);
        let loaded = load(&request, &environment).map_err(DemoError::Config)?;
        let source = Source { request, environment, level: None };
        let gateway = RunningGateway::start(loaded, source, Clock::start()).await?;
        (settings.gateway, settings.admin) = (gateway.address(), gateway.admin_address());
        Ok(Self { settings, droplink, wordbee, gateway })
    }

    async fn serve(mut self, out: &mut (dyn Write + Send)) -> Result<ExitCode, DemoError> {
        self.gateway.ready().await;
        writeln!(out, "{}\nPress Ctrl-C to stop.", self.settings.banner())?;
        let mut signals = StopSignals::listen()?;
        match self.gateway.serve_until(&mut signals).await {
            ShutdownOutcome::WorkersFailed => Ok(ExitCode::FAILURE),
            ShutdownOutcome::Drained | ShutdownOutcome::GraceExpired | ShutdownOutcome::Forced => {
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    async fn tour(mut self, out: &mut (dyn Write + Send)) -> Result<ExitCode, DemoError> {
        self.gateway.ready().await;
        let Self { settings, droplink, wordbee, .. } = &self;
        let kind = match io::stdout().is_terminal() {
            true => tour::OutputKind::Terminal,
            false => tour::OutputKind::Plain,
        };
        let output = tour::TourOutput { out, kind };
        let result = tour::tour(settings.gateway, droplink, wordbee, settings.scale, output).await;
        let result = result.map_err(DemoError::Tour)?;
        let program = std::env::args().next().filter(|program| !program.is_empty());
        let program = program.unwrap_or_else(|| "evenkeel".to_owned());
        write!(
            out,
            "\nTo use it with your own vendor:\n  \
             {program} run --upstream https://api.vendor.example --limit 10/s\n"
        )?;
        Ok(if result.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn start_vendor(settings: VendorSettings, address: SocketAddr) -> Result<VendorHandle, DemoError> {
    let with_address =
        |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let listener = TcpListener::bind(address).map_err(with_address)?;
    Ok(Vendor::on_thread(settings, listener)?)
}
