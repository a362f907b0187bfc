//! `evenkeel learn`: captured errors of a vendor in, a dialect for review out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use http::StatusCode;

use super::capture::{Capture, CommandError, USAGE};
use crate::cli::Streams;
use crate::dialect::{LearnError, SAMPLES_MAX, Sample, learn};

#[derive(Args, Debug)]
pub struct LearnArgs {
    /// The name of the dialect.
    #[arg(long, value_name = "NAME", default_value = "vendor")]
    pub name: String,
    /// The status of samples that are bodies alone; those that begin with `HTTP/`, as `curl -i`
    /// writes them, have their own.
    #[arg(long, value_name = "N")]
    pub status: Option<StatusCode>,
    /// Captured error responses of one vendor.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
}

/// Prints the dialect as YAML. `now` is when a sample without a `Date` arrived.
pub fn run(args: &LearnArgs, streams: &mut Streams<'_>, now: SystemTime) -> ExitCode {
    let (code, message) = match proposal(args, now) {
        Ok(yaml) => {
            return match streams.stdout.write_all(yaml.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Err(error) => error,
    };
    // Where standard error cannot be written either, the exit code has to do.
    let _ = writeln!(streams.stderr, "evenkeel learn: {message}");
    ExitCode::from(code)
}

fn proposal(args: &LearnArgs, now: SystemTime) -> Result<String, CommandError> {
    if args.files.len() > SAMPLES_MAX {
        return Err((USAGE, format!("give at most {SAMPLES_MAX} samples")));
    }
    let samples = args.files.iter().zip(names(&args.files)).map(|(file, name)| {
        let capture = Capture::read(file, args.status, &mut std::io::empty())?;
        let at = capture.date().unwrap_or(now);
        let Capture { status, headers, body } = capture;
        Ok(Sample { name, status, headers, body, at })
    });
    let samples = samples.collect::<Result<Vec<_>, CommandError>>()?;
    learn(&args.name, &samples).map_err(|error: LearnError| (1, error.to_string()))
}

/// The samples' names in comments: those of their files, or whole paths where files share one.
fn names(files: &[String]) -> Vec<String> {
    let name = |file: &String| {
        let name = Path::new(file).file_name().and_then(|name| name.to_str());
        name.unwrap_or(file).to_owned()
    };
    let names: Vec<String> = files.iter().map(name).collect();
    let is_distinct = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if is_distinct { names } else { files.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(files: &[&Path], status: Option<u16>) -> (String, String, String) {
        let name = |file: &&Path| file.to_str().unwrap().to_owned();
        let args = LearnArgs {
            name: "payco".to_owned(),
            status: status.map(|status| StatusCode::from_u16(status).unwrap()),
            files: files.iter().map(name).collect(),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut none = std::io::empty();
        let mut streams = Streams { stdin: &mut none, stdout: &mut out, stderr: &mut err };
        let code = run(&args, &mut streams, SystemTime::UNIX_EPOCH);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (format!("{code:?}"), text(out), text(err))
    }

    #[test]
    fn captures_and_bodies_become_a_dialect_that_normalise_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one.http", "two.json"].map(|name| folder.path().join(name));
        let body = r#"{"fault":{"message":"Ledger is locked.","code":"P-17"}}"#;
        std::fs::write(&one, format!("HTTP/1.1 429 Busy\nRetry-After: 7\n\n{body}")).unwrap();
        std::fs::write(&two, body).unwrap();
        let (code, yaml, err) = run_on(&[&one, &two], Some(422));
        assert_eq!((code, err), (format!("{:?}", ExitCode::SUCCESS), String::new()));
        assert!(yaml.contains("message: [/fault/message]"), "{yaml}");
        assert!(yaml.contains("#   one.http: 429"), "{yaml}");
        let value = serde_saphyr::from_str(&yaml).unwrap();
        assert!(crate::dialect::compile("payco", &value).is_ok(), "{yaml}");
    }

    #[test]
    fn samples_have_the_names_of_their_files_unless_two_share_one() {
        let files = |paths: [&str; 2]| paths.map(str::to_owned);
        assert_eq!(names(&files(["a/b/one.http", "two.http"])), ["one.http", "two.http"]);
        assert_eq!(names(&files(["a/one.http", "b/one.http"])), ["a/one.http", "b/one.http"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let [body, success] = ["body.json", "ok.http"].map(|name| folder.path().join(name));
        std::fs::write(&body, "{}").unwrap();
        std::fs::write(&success, "HTTP/1.1 200 OK\n\n{}").unwrap();
        let missing = folder.path().join("missing");
        let rows = [
            (body, ExitCode::from(2), "body.json has no valid head: give --status"),
            (success, ExitCode::FAILURE, "ok.http is not an error"),
            (missing, ExitCode::FAILURE, "cannot read"),
        ];
        for (file, expected, said) in rows {
            let (code, out, err) = run_on(&[&file], None);
            assert_eq!((code, out), (format!("{expected:?}"), String::new()), "{err}");
            assert!(err.contains(said), "{err}");
        }
    }
}
