//! Memory: at rest, per idle client, and growth while a large body passes. Resident and
//! proportional sizes, since virtual sizes cost nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::contenders::{Contender, Program, Protocols, Running};
use crate::error::MeasureError;
use crate::http1;
use crate::process::{Memory, Process};
use crate::report::{Figures, print_table};
use crate::setup::Setup;

const MIB: f64 = 1024.0 * 1024.0;
const KIB: f64 = 1024.0;
/// A transfer without progress for this long has failed.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
const BUFFER_BYTES: usize = 256 * 1024;

/// In bytes.
struct MemoryUse {
    at_rest: Memory,
    idle_client: f64,
    growth_down: f64,
    growth_up: f64,
}

pub(crate) fn row(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let cells = contenders.iter().filter(|each| each.program != Program::Direct).map(|each| {
        let label = each.program.name();
        let cells = match measure(setup, each) {
            Ok(measured) => cells(label, &measured, figures),
            Err(error) => figures.missing(label, &error),
        };
        (label.to_owned(), cells)
    });
    let body = format!("{} MiB", setup.parameters.large_body_bytes >> 20);
    let (down, up) = (format!("growth, {body} down, MiB"), format!("growth, {body} up, MiB"));
    let idle = format!("per idle client of {}, KiB", setup.parameters.idle_clients);
    let head = ["contender", "at rest, RSS MiB", "at rest, PSS MiB", &idle, &down, &up];
    print_table(&head, cells.collect());
}

fn cells(label: &str, measured: &MemoryUse, figures: &mut Figures) -> Vec<String> {
    figures.set("rest", label, measured.at_rest.resident / MIB);
    figures.set("idle client", label, measured.idle_client / KIB);
    figures.set("growth", label, measured.growth_down.max(measured.growth_up) / MIB);
    let mib = |bytes: f64| format!("{:.1}", bytes / MIB);
    let idle = format!("{:.1}", measured.idle_client / KIB);
    vec![
        mib(measured.at_rest.resident),
        mib(measured.at_rest.proportional),
        idle,
        mib(measured.growth_down),
        mib(measured.growth_up),
    ]
}

/// Idle clients and the large body are measured in processes of their own: memory that the former
/// left unused would hide the growth by the latter.
fn measure(setup: &Setup, contender: &Contender) -> Result<MemoryUse, MeasureError> {
    let running = setup.start(contender, Protocols::HTTP1)?;
    let at_rest = process(&running)?.memory()?;
    let clients = setup.open_idle_clients(running.address)?;
    let with_clients = process(&running)?.memory()?;
    let idle_clients = setup.parameters.idle_clients as f64;
    let idle_client = (with_clients.resident - at_rest.resident) / idle_clients;
    drop((clients, running));
    let running = setup.start(contender, Protocols::HTTP1)?;
    let process = process(&running)?;
    let bytes = setup.parameters.large_body_bytes;
    let growth_down = growth(process, || download(running.address, bytes))?;
    let growth_up = growth(process, || upload(running.address, bytes))?;
    Ok(MemoryUse { at_rest, idle_client, growth_down, growth_up })
}

fn process(running: &Running) -> Result<&Process, MeasureError> {
    running.process.as_ref().ok_or_else(|| MeasureError::new("it has no process of its own"))
}

/// By how much the peak during the transfer exceeds the resident memory before it.
fn growth(
    process: &Process,
    transfer: impl FnOnce() -> Result<(), MeasureError>,
) -> Result<f64, MeasureError> {
    process.reset_peak();
    let before = process.memory()?.resident;
    transfer()?;
    Ok((process.peak()? - before).max(0.0))
}

fn download(address: SocketAddr, bytes: u64) -> Result<(), MeasureError> {
    let mut stream = connect(address)?;
    stream.write_all(&http1::request(address, &format!("/bytes/{bytes}")))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut received = 0;
    while received < bytes {
        match stream.read(&mut buffer)? {
            0 => {
                return Err(MeasureError::new(format!(
                    "the download ended after {received} bytes"
                )));
            }
            read => received += read as u64,
        }
    }
    Ok(())
}

fn upload(address: SocketAddr, bytes: u64) -> Result<(), MeasureError> {
    let mut stream = connect(address)?;
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let buffer = vec![b'x'; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let next = usize::try_from(left).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        stream.write_all(&buffer[..next])?;
        left -= next as u64;
    }
    let status = http1::read_answer(&mut stream)?.status;
    if status == 200 {
        Ok(())
    } else {
        Err(MeasureError::new(format!("the upload was answered with {status}")))
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, MeasureError> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(STALL_TIMEOUT))?;
    stream.set_write_timeout(Some(STALL_TIMEOUT))?;
    Ok(stream)
}
