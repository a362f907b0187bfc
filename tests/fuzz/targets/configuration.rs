//! Configuration files: settings, or diagnostics that point into the text.

use evenkeel::config::{Colours, DialectFault, Dialects, Environment, Request, SecretsRead, load};
use evenkeel::dialect;

use super::{Target, data_files};

pub(crate) const TARGET: Target = Target {
    name: "configuration",
    bytes_max: 2048,
    run,
    seeds: || {
        let mut seeds = data_files("config", ".yaml");
        seeds.extend(data_files("../../config", ".yaml"));
        seeds.extend(data_files("../../config/examples", ".yaml"));
        seeds.retain(|seed| seed.len() <= 2048);
        seeds
    },
};

const DIALECTS: Dialects = Dialects {
    builtin: dialect::builtin,
    names: || dialect::builtin_names().map(str::to_owned).collect(),
    compile: |name, value| {
        let fault = |fault: dialect::DialectError| DialectFault {
            pointer: fault.pointer,
            message: fault.message,
            accepted: fault.accepted,
            nearest: fault.nearest,
        };
        dialect::compile(name, value).map_err(|faults| faults.into_iter().map(fault).collect())
    },
    schema: dialect::schema,
};

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // The values of these keys name files of this machine.
    if ["file", "ca"].iter().any(|key| text.contains(key)) {
        return;
    }
    let request =
        Request { text: Some(text.to_owned()), secrets: SecretsRead::No, ..Request::default() };
    match load(&request, &Environment::of([]), &DIALECTS) {
        Ok(loaded) => {
            let shown = loaded.show();
            let again = Request { text: Some(shown.clone()), ..request };
            let again = load(&again, &Environment::of([]), &DIALECTS);
            let again = again.unwrap_or_else(|faults| {
                panic!("what is shown is accepted:\n{shown}\n{}", faults.human(Colours::Plain))
            });
            assert_eq!(uncommented(&again.show()), uncommented(&shown));
        }
        Err(faults) => {
            let json = faults.json();
            let diagnostics = json.as_array().expect("a list");
            assert!(!diagnostics.is_empty(), "rejected without a diagnostic");
            assert!(!faults.human(Colours::Plain).is_empty());
            let lines = text.lines().count().max(1) + 1;
            for diagnostic in diagnostics {
                let line = diagnostic["line"].as_u64();
                let inside = line.is_none_or(|line| (1..=lines as u64).contains(&line));
                assert!(inside, "beyond the last line: {diagnostic:#}");
            }
        }
    }
}

/// Without the origins, which stand in comments.
fn uncommented(shown: &str) -> Vec<String> {
    let lines = shown.lines().map(|line| line.split(" # ").next().unwrap_or(line));
    lines.map(|line| line.trim_end().to_owned()).filter(|line| !line.starts_with('#')).collect()
}
