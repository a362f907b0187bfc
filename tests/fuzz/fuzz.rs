//! One binary for all fuzz targets: `EVENKEEL_FUZZ_TARGET` names the one to run. `run` beside this
//! file builds and drives it.

#![no_main]

mod targets;

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

use crate::targets::{TARGETS, Target};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn target() -> &'static Target {
    CHOSEN.get_or_init(|| {
        let name = std::env::var("EVENKEEL_FUZZ_TARGET").unwrap_or_default();
        TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| {
            let names = TARGETS.map(|target| target.name).join(", ");
            panic!("EVENKEEL_FUZZ_TARGET is one of {names}")
        })
    })
}

/// libFuzzer reads its seeds from a folder: they are written there before it does.
fn write_seeds() {
    let Some(folder) = std::env::var_os("EVENKEEL_FUZZ_SEEDS") else { return };
    for (number, seed) in (target().seeds)().iter().enumerate() {
        let path = Path::new(&folder).join(format!("{number:04}"));
        std::fs::write(path, seed).expect("the folder of seeds can be written");
    }
}

fuzz_target!(init: write_seeds(), |input: &[u8]| (target().run)(input));
