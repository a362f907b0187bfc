//! Memory: at rest, per idle client connection, and growth while a large body passes.
//!
//! Refuses virtual sizes; resident and proportional sizes are what a machine runs out of.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::contender::{ClientWire, Contender, Program, Running, Wire};
use crate::http1;
use crate::process::{Memory, Process};
use crate::report::{Figures, print_table};
use crate::stage::Stage;
use crate::unmeasured::Unmeasured;

const WIRES: (Wire, ClientWire) = (Wire::Http1, ClientWire::Http1);
const MIB: f64 = 1024.0 * 1024.0;
const KIB: f64 = 1024.0;
/// A transfer that stands still this long has failed.
const STALL: Duration = Duration::from_secs(30);
const PART_BYTES: usize = 256 * 1024;

/// What one contender held, in bytes.
struct Held {
    rest_resident: f64,
    rest_proportional: f64,
    idle_client: f64,
    growth_down: f64,
    growth_up: f64,
}

pub(crate) fn row(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    let cells = contenders.iter().filter(|each| each.program != Program::Direct).map(|each| {
        let label = each.program.name();
        let cells = match held(stage, each) {
            Ok(held) => cells(label, &held, figures),
            Err(why) => figures.missing(label, &why),
        };
        (label.to_owned(), cells)
    });
    let body = format!("{} MiB", stage.effort.large_body_bytes >> 20);
    let (down, up) = (format!("growth, {body} down, MiB"), format!("growth, {body} up, MiB"));
    let idle = format!("per idle client of {}, KiB", stage.effort.idle_clients);
    let head = ["contender", "at rest, RSS MiB", "at rest, PSS MiB", &idle, &down, &up];
    print_table(&head, cells.collect());
}

fn cells(label: &str, held: &Held, figures: &mut Figures) -> Vec<String> {
    figures.set("rest", label, held.rest_resident / MIB);
    figures.set("idle client", label, held.idle_client / KIB);
    figures.set("growth", label, held.growth_down.max(held.growth_up) / MIB);
    let mib = |bytes: f64| format!("{:.1}", bytes / MIB);
    let idle = format!("{:.1}", held.idle_client / KIB);
    vec![
        mib(held.rest_resident),
        mib(held.rest_proportional),
        idle,
        mib(held.growth_down),
        mib(held.growth_up),
    ]
}

/// Idle clients and the large body meet fresh processes: room that the first left behind would
/// hide what the second takes.
fn held(stage: &Stage, contender: &Contender) -> Result<Held, Unmeasured> {
    let (rest, idle_client) = at_rest(stage, contender)?;
    let (growth_down, growth_up) = growths(stage, contender)?;
    let (rest_resident, rest_proportional) = (rest.resident, rest.proportional);
    Ok(Held { rest_resident, rest_proportional, idle_client, growth_down, growth_up })
}

fn at_rest(stage: &Stage, contender: &Contender) -> Result<(Memory, f64), Unmeasured> {
    let running = stage.start(contender, WIRES)?;
    let process = process(&running)?;
    let rest = process.memory()?;
    let clients = stage.rest_clients(running.address)?;
    let grown = process.memory()?.resident - rest.resident;
    drop(clients);
    Ok((rest, grown / stage.effort.idle_clients as f64))
}

fn growths(stage: &Stage, contender: &Contender) -> Result<(f64, f64), Unmeasured> {
    let running = stage.start(contender, WIRES)?;
    let process = process(&running)?;
    let bytes = stage.effort.large_body_bytes;
    let down = growth(process, || download(running.address, bytes))?;
    let up = growth(process, || upload(running.address, bytes))?;
    Ok((down, up))
}

fn process(running: &Running) -> Result<&Process, Unmeasured> {
    running.process.as_ref().ok_or_else(|| Unmeasured::because("there is no process"))
}

/// How far the peak rises over what was resident before.
fn growth(
    process: &Process,
    transfer: impl FnOnce() -> Result<(), Unmeasured>,
) -> Result<f64, Unmeasured> {
    process.forget_peak();
    let before = process.memory()?.resident;
    transfer()?;
    Ok((process.peak()? - before).max(0.0))
}

fn download(address: SocketAddr, bytes: u64) -> Result<(), Unmeasured> {
    let mut stream = connect(address)?;
    stream.write_all(&http1::request(address, &format!("/bytes/{bytes}")))?;
    let mut part = vec![0; PART_BYTES];
    let mut received = 0;
    while received < bytes {
        match stream.read(&mut part)? {
            0 => {
                return Err(Unmeasured::because(format!(
                    "the download broke off after {received} bytes"
                )));
            }
            read => received += read as u64,
        }
    }
    Ok(())
}

fn upload(address: SocketAddr, bytes: u64) -> Result<(), Unmeasured> {
    let mut stream = connect(address)?;
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let part = vec![b'x'; PART_BYTES];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(PART_BYTES, |left| left.min(PART_BYTES));
        stream.write_all(&part[..now])?;
        left -= now as u64;
    }
    let status = http1::read_answer(&mut stream)?.status;
    if status == 200 {
        Ok(())
    } else {
        Err(Unmeasured::because(format!("the upload was answered with {status}")))
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, Unmeasured> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    Ok(stream)
}
