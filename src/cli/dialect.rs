//! `evenkeel dialect`: the built-in dialects, as a list or one at a time.

use std::process::ExitCode;

use clap::Args;

use super::Streams;
use crate::dialect::{builtin_names, builtin_text};

#[derive(Args, Clone, Debug)]
pub struct DialectArgs {
    /// Prints the text of this dialect, as a start for one's own.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &DialectArgs, streams: &mut Streams<'_>) -> ExitCode {
    let text = match &args.name {
        None => builtin_names().map(line).collect::<String>(),
        Some(name) => match builtin_text(name) {
            Some(text) => text.to_owned(),
            None => {
                let names = builtin_names().collect::<Vec<_>>().join(", ");
                let message = format!("there is no dialect `{name}`; built in are {names}");
                // Where standard error cannot be written either, the exit code has to do.
                let _ = writeln!(streams.stderr, "evenkeel dialect: {message}");
                return ExitCode::from(2);
            }
        },
    };
    match streams.stdout.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The name and the sentence that the text begins with.
fn line(name: &str) -> String {
    let about = builtin_text(name).unwrap_or_default().lines();
    let about = about.take_while(|line| line.starts_with('#'));
    let about = about.map(|line| line.trim_start_matches(['#', ' '])).collect::<Vec<_>>().join(" ");
    format!("{name:16} {about}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(name: Option<&str>) -> (String, String) {
        let args = DialectArgs { name: name.map(str::to_owned) };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut none = std::io::empty();
        run(&args, &mut Streams { stdin: &mut none, stdout: &mut out, stderr: &mut err });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn every_dialect_is_listed_with_what_it_is_for_and_printed() {
        let (list, _) = printed(None);
        assert_eq!(list.lines().count(), builtin_names().count());
        for line in list.lines() {
            assert!(line.len() > 40, "{line} says nothing");
        }
        assert!(printed(Some("stripe")).0.contains("\nextract:\n"));
    }

    #[test]
    fn an_unknown_dialect_is_answered_with_the_known_ones() {
        let (out, err) = printed(Some("strip"));
        assert_eq!(out, "");
        assert!(err.contains("`strip`") && err.contains("stripe"), "{err}");
    }
}
