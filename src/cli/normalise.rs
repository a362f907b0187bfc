//! `evenkeel normalise`: captured error responses in, the problems that the client would get out.
//!
//! It uses the code of the live gateway and sends nothing.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use http::header::DATE;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::capture::{Capture, CommandError, STDIN, USAGE, Why, header};
use crate::cli::Streams;
use crate::cli::source::colours;
use crate::config::dialect_in_file;
use crate::dialect::{self, AUTO, Dialect};
use crate::outcome::{Classification, Processing, Remedy, StoppedBy};
use crate::problem::{CallContext, Problem, upstream_problem};

#[derive(Args, Debug)]
pub struct NormaliseArgs {
    /// The vendor's dialect: a built-in one, or a file.
    #[arg(long, value_name = "NAME", default_value = AUTO)]
    pub dialect: String,
    /// The status of captures that are bodies alone; those that begin with `HTTP/`, as `curl -i`
    /// writes them, have their own.
    #[arg(long, value_name = "N")]
    pub status: Option<StatusCode>,
    /// A header of the captured responses, as `Name: value`.
    #[arg(long = "header", short = 'H', value_name = "K: V", value_parser = header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The method of the request.
    #[arg(long, value_name = "M", default_value = "GET")]
    pub method: Method,
    /// When the responses arrived, for waits until a date; by default the header Date, else now.
    #[arg(long, value_name = "RFC3339")]
    #[arg(value_parser = |text: &str| text.parse::<jiff::Timestamp>().map(SystemTime::from))]
    pub at: Option<SystemTime>,
    /// Reads successful responses too, as on a route with `inspect_success: true`.
    #[arg(long)]
    pub inspect_success: bool,
    /// Says on standard error which rule and which sign decided, and where message, code and wait
    /// were found.
    #[arg(long)]
    pub why: bool,
    /// Files with a capture each; `-` is standard input.
    #[arg(value_name = "FILE", default_value = STDIN)]
    pub files: Vec<String>,
}

/// Prints the problems as JSON, each behind the name of its file where there are several. `now` is
/// used where neither arguments nor capture have a time.
pub fn run(
    args: &NormaliseArgs,
    streams: &mut Streams<'_>,
    now: impl Fn() -> SystemTime,
) -> ExitCode {
    let dialect = match dialect_named(&args.dialect) {
        Ok(dialect) => dialect,
        Err((code, message)) => {
            // Where standard error cannot be written either, the exit code has to do.
            let _ = writeln!(streams.stderr, "evenkeel normalise: {message}");
            return ExitCode::from(code);
        }
    };
    // A file that is no error does not keep the others from being shown.
    let codes = args.files.iter().map(|file| {
        let problem = problem_of(args, &dialect, file, streams.stdin, &now);
        let (code, message) = match problem.and_then(|found| print(args, file, &found, streams)) {
            Ok(()) => return 0,
            Err(error) => error,
        };
        let file = if args.files.len() > 1 { format!("{file}: ") } else { String::new() };
        let _ = writeln!(streams.stderr, "evenkeel normalise: {file}{message}");
        code
    });
    codes.max().map_or(ExitCode::SUCCESS, ExitCode::from)
}

fn print(
    args: &NormaliseArgs,
    file: &str,
    (problem, why): &(Problem, Why),
    streams: &mut Streams<'_>,
) -> Result<(), CommandError> {
    let several = args.files.len() > 1;
    if args.why {
        // The problem alone stays on standard output, so that it can be piped.
        let name = if several { format!("{:<10}{file}\n", "file") } else { String::new() };
        let _ = write!(streams.stderr, "{name}{why}");
    }
    let label = if several { format!("==> {file} <==\n") } else { String::new() };
    let written = writeln!(streams.stdout, "{label}{}", pretty(problem));
    written.map_err(|error| (1, format!("cannot write the problem: {error}")))
}

const NOT_INSPECTED: &str = "a response with a status of success passes unread; with \
                             --inspect-success it is judged as on a route with \
                             `inspect_success: true`";

/// One line for each member. Details too deep for serde_json's own parser are printed as sent.
fn pretty(problem: &Problem) -> String {
    let body = problem.to_bytes();
    let tree = serde_json::from_slice::<serde_json::Value>(&body);
    let lines = tree.and_then(|tree| serde_json::to_string_pretty(&tree));
    lines.unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned())
}

/// The exit code for an invalid dialect.
const CONFIGURATION: u8 = 78;

fn problem_of(
    args: &NormaliseArgs,
    dialect: &Dialect,
    file: &str,
    stdin: &mut dyn Read,
    now: impl FnOnce() -> SystemTime,
) -> Result<(Problem, Why), CommandError> {
    let mut capture = Capture::read(file, args.status, stdin)?;
    for (name, value) in &args.headers {
        capture.headers.append(name, value.clone());
    }
    let date = capture.date();
    if let (Some(at), Some(_)) = (args.at, date) {
        // HTTP dates cover the years 1970 to 9999.
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let text = httpdate::fmt_http_date(at.clamp(SystemTime::UNIX_EPOCH, last));
        let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        capture.headers.insert(DATE, value);
    }
    let wall = args.at.or(date).unwrap_or_else(now);
    if capture.status.is_success() && !args.inspect_success {
        return Err((1, NOT_INSPECTED.to_owned()));
    }
    explained(dialect, &capture, &args.method, wall)
        .ok_or_else(|| (1, "this response is not an error; it would pass unchanged".to_owned()))
}

/// The problem for a captured response; `None` when it is not an error. Successful responses are
/// inspected too, as under `inspect_success`.
#[must_use]
pub fn normalise(
    dialect: &Dialect,
    capture: &Capture,
    method: &Method,
    wall: SystemTime,
) -> Option<Problem> {
    explained(dialect, capture, method, wall).map(|(problem, _)| problem)
}

/// The same, with what decided.
fn explained(
    dialect: &Dialect,
    capture: &Capture,
    method: &Method,
    wall: SystemTime,
) -> Option<(Problem, Why)> {
    let body = Some(capture.body.clone());
    let (classification, facts) = dialect::understand(dialect, capture.head(), body, wall)?;
    let stopped_by = stopped_by(&classification, method);
    let call = CallContext {
        attempts: 1,
        stopped_by,
        outcome_unknown: stopped_by == Some(StoppedBy::Method),
        upstream: (*dialect.name != *AUTO).then_some(&*dialect.name),
        vendor_status: Some(capture.status),
        documentation: dialect.documentation.as_deref(),
        ..CallContext::default()
    };
    let why = Why::new(dialect, &classification, &facts);
    Some((upstream_problem(&classification, Some(facts), &call), why))
}

/// Why the gateway would not send the request again, as far as the response decides that.
fn stopped_by(classification: &Classification, method: &Method) -> Option<StoppedBy> {
    let repeatable = method.is_idempotent();
    match (classification.remedy, classification.processing) {
        (Remedy::Final, _) => Some(StoppedBy::Final),
        (_, Processing::Unknown) if !repeatable => Some(StoppedBy::Method),
        (_, Processing::Processed) => Some(StoppedBy::Final),
        (_, Processing::Unknown | Processing::NotSent | Processing::NotProcessed) => None,
    }
}

fn dialect_named(name: &str) -> Result<Arc<Dialect>, CommandError> {
    if let Some(dialect) = dialect::builtin(name) {
        return Ok(dialect);
    }
    if !Path::new(name).is_file() {
        let builtin = dialect::builtin_names().collect::<Vec<_>>().join(", ");
        let message = format!("`{name}` is neither a built-in dialect ({builtin}) nor a file");
        return Err((USAGE, message));
    }
    let read = dialect_in_file(Path::new(name)).map(Arc::new);
    read.map_err(|diagnostics| {
        (CONFIGURATION, format!("the dialect is not valid\n{}", diagnostics.render(colours())))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::problem::{Cleaner, problem_headers};

    const FOLDER: &str = "tests/data/problems";

    fn wall() -> SystemTime {
        "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into()
    }

    /// Every `.http` file of the folder, in order.
    fn captures() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut captures: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|it| it == "http")).collect();
        captures.sort();
        captures
    }

    fn stem(path: &Path) -> &str {
        path.file_stem().and_then(|stem| stem.to_str()).unwrap()
    }

    fn problem(path: &Path) -> Option<Problem> {
        let name = stem(path).split('-').next().unwrap();
        let dialect = dialect::builtin(name).unwrap_or_else(|| panic!("{name} is not a dialect"));
        let capture = Capture::parse(std::fs::read(path).unwrap());
        let capture = capture.unwrap_or_else(|| panic!("{} is not a capture", path.display()));
        normalise(&dialect, &capture, &Method::GET, wall())
    }

    #[expect(clippy::disallowed_methods, reason = "this switch is for tests only")]
    fn updates() -> bool {
        std::env::var("UPDATE_EXPECTATIONS").is_ok_and(|it| it == "1")
    }

    #[test]
    fn every_payload_becomes_the_problem_beside_it() {
        let mut wrong = Vec::new();
        for path in captures() {
            let found = problem(&path).as_ref().map_or_else(|| "null".to_owned(), pretty) + "\n";
            let expected_path = path.with_file_name(format!("{}.problem.json", stem(&path)));
            if updates() {
                std::fs::write(&expected_path, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
            if found != expected {
                wrong.push(format!("{}\n--- found\n{found}--- expected\n{expected}", stem(&path)));
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn every_problem_fits_the_published_schema() {
        let schema = jsonschema::validator_for(&crate::problem::schema()).unwrap();
        let known: Vec<String> = names(&crate::problem::schema()["properties"]);
        let required = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| !name.starts_with("error_")).collect()
        };
        for path in captures() {
            if let Some(problem) = problem(&path) {
                let value = serde_json::from_slice(&problem.to_bytes()).unwrap();
                assert!(schema.is_valid(&value), "{}: {:?}", stem(&path), schema.validate(&value));
                assert!(names(&value).iter().all(|name| known.contains(name)), "{value}");
                assert_eq!(required(names(&value)), required(known.clone()), "{}", stem(&path));
            }
        }
    }

    fn names(value: &Value) -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn normalising_a_problem_changes_nothing() {
        for path in captures() {
            let Some(first) = problem(&path) else { continue };
            let headers = problem_headers(&first, None, Cleaner::default());
            let capture = Capture { status: first.status, headers, body: first.to_bytes() };
            for dialect in ["auto", "droplink", "wordbee"] {
                let dialect = dialect::builtin(dialect).unwrap();
                let second = normalise(&dialect, &capture, &Method::GET, wall());
                assert_eq!(second.as_ref(), Some(&first), "{}", stem(&path));
            }
        }
    }

    fn run_with(arguments: &[&str], stdin: &str) -> (ExitCode, String, String) {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            args: NormaliseArgs,
        }
        let line = std::iter::once(&"normalise").chain(arguments);
        let command: Command = clap::Parser::try_parse_from(line).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input = stdin.as_bytes();
        let mut streams = Streams { stdin: &mut input, stdout: &mut out, stderr: &mut err };
        let code = run(&command.args, &mut streams, wall);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_command_prints_a_problem() {
        let (code, out, err) = run_with(
            &["--dialect", "droplink", "--status", "503", "--header", "Retry-After: 7"],
            "{\"error\":\"closed\"}",
        );
        let problem: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((format!("{code:?}"), err), (format!("{:?}", ExitCode::SUCCESS), String::new()));
        assert_eq!(problem["code"], "upstream_maintenance");
        assert_eq!(
            (&problem["retry_after"], &problem["retry_after_basis"]),
            (&7.into(), &"upstream".into())
        );
    }

    #[test]
    fn why_names_the_sign_and_the_places_of_the_facts() {
        let rows = [
            (
                vec!["--status", "400"],
                r#"{"errorCode":"MINUTE_CALL_LIMIT_EXCEEDED","message":"No.","retry_in":"3s"}"#,
                [
                    "rule      auto",
                    "evidence  code token \"MINUTE_CALL_LIMIT_EXCEEDED\"",
                    "message   member /message",
                    "code      member /errorCode",
                    "wait      member /retry_in",
                ],
            ),
            (
                vec!["--status", "403", "--header", "Retry-After: 5"],
                "You exceeded the request limit.",
                [
                    "rule      auto",
                    "evidence  sentence matched \"exceeded the request limit.\"",
                    "message   the body",
                    "code      not found",
                    "wait      header retry-after",
                ],
            ),
            (
                vec!["--status", "503", "--header", "X-RateLimit-Remaining: 0"],
                "",
                [
                    "rule      auto",
                    "evidence  header x-ratelimit-remaining: 0",
                    "message   not found",
                    "code      not found",
                    "wait      none stated",
                ],
            ),
            (
                vec!["--status", "503", "--dialect", "droplink"],
                "{\"error\":\"closed\"}",
                [
                    "rule      maintenance",
                    "evidence  the rule's conditions",
                    "message   member /error",
                    "code      not found",
                    "wait      stated by the dialect",
                ],
            ),
        ];
        for (arguments, body, lines) in rows {
            let arguments: Vec<&str> = arguments.into_iter().chain(["--why"]).collect();
            let (_, out, err) = run_with(&arguments, body);
            assert!(serde_json::from_str::<Value>(&out).is_ok(), "{out}");
            for line in lines {
                assert!(err.lines().any(|it| it == line), "{line}\n{err}");
            }
        }
    }

    #[test]
    fn several_captures_are_labelled_and_one_that_is_no_error_stops_none() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["one.http", "fine.http"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], "HTTP/1.1 404 No\n\n{\"message\":\"No such order.\"}").unwrap();
        std::fs::write(&paths[1], "HTTP/1.1 200 OK\n\n{}").unwrap();
        let [one, fine] = paths.each_ref().map(|path| path.to_str().unwrap());
        let stdin = "HTTP/1.1 503 Closed\n\n";
        let (code, out, err) = run_with(&["--why", one, fine, "-"], stdin);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        let results: Vec<&str> = out.split("==> ").skip(1).collect();
        assert_eq!(results.len(), 2, "{out}");
        for (result, file, code) in
            [(results[0], one, "not_found"), (results[1], "-", "upstream_error")]
        {
            let (label, json) = result.split_once(" <==\n").unwrap();
            let problem: Value = serde_json::from_str(json).unwrap();
            assert_eq!((label, &problem["code"]), (file, &code.into()));
        }
        assert!(err.contains(&format!("file      {one}\ndialect   auto\n")), "{err}");
        assert!(err.contains(&format!("evenkeel normalise: {fine}: a response with")), "{err}");
    }

    #[test]
    fn waits_until_a_date_are_measured_from_at() {
        let date = "Retry-After: Thu, 01 Jan 2026 00:01:00 GMT";
        let rows = [
            (vec![], 60),
            (vec!["--at", "2026-01-01T00:00:50Z"], 10),
            (vec!["--header", "Date: Thu, 01 Jan 2026 00:00:30 GMT"], 30),
            (
                vec![
                    "--header",
                    "Date: Thu, 01 Jan 2026 00:00:30 GMT",
                    "--at",
                    "2026-01-01T00:00:50Z",
                ],
                10,
            ),
        ];
        for (more, expected) in rows {
            let arguments: Vec<&str> =
                ["--status", "429", "--header", date].into_iter().chain(more.clone()).collect();
            let (_, out, _) = run_with(&arguments, "");
            let problem: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(problem["retry_after"], expected, "{more:?}");
        }
    }

    #[test]
    fn a_success_a_missing_status_and_an_unknown_dialect_are_errors() {
        let failure = format!("{:?}", ExitCode::FAILURE);
        let inspected = ["--status", "200", "--inspect-success"];
        let (code, out, err) = run_with(&inspected, "{\"ok\":true}");
        assert_eq!((format!("{code:?}"), out), (failure.clone(), String::new()));
        assert!(err.contains("not an error"), "{err}");
        let refused = "{\"ok\":false,\"error\":\"no_such_thing\"}";
        let (code, out, err) = run_with(&["--status", "200"], refused);
        assert_eq!((format!("{code:?}"), out), (failure, String::new()));
        assert!(err.contains("--inspect-success"), "{err}");
        let (_, out, _) = run_with(&inspected, refused);
        assert!(out.contains("no_such_thing"), "{out}");
        let (code, _, err) = run_with(&[], "{}");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
        assert!(err.contains("--status"), "{err}");
        let (code, _, err) = run_with(&["--dialect", "nobody", "--status", "400"], "");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
        assert!(err.contains("droplink"), "{err}");
    }

    #[test]
    fn a_dialect_with_faults_is_shown_with_their_places() {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        let text =
            "extract: { mesage: /error }\nrules: [{ when: { status: 4x }, code: conflict }]\n";
        std::fs::write(file.path(), text).unwrap();
        let (code, _, err) =
            run_with(&["--dialect", file.path().to_str().unwrap(), "--status", "400"], "");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(78)));
        for words in [".yaml:1:12", "did you mean `message`?", ".yaml:2:27", "accepted: a status"] {
            assert!(err.contains(words), "{words}: {err}");
        }
    }

    #[test]
    fn the_outcome_of_an_unsafe_method_is_unknown() {
        let (_, out, _) = run_with(&["--status", "500", "--method", "POST"], "");
        let problem: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&problem["retryable"], &problem["outcome_unknown"], &problem["stopped_by"]),
            (&false.into(), &true.into(), &"method".into())
        );
    }

    fn any_problem(status: u16, headers: &[(usize, Vec<u8>)], body: &[u8]) -> Option<Problem> {
        let names = [
            "content-type",
            "content-encoding",
            "retry-after",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "www-authenticate",
            "date",
            "x-request-id",
        ];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                map.append(names[*name], value);
            }
        }
        let status = StatusCode::from_u16(status).unwrap();
        let capture = Capture { status, headers: map, body: Bytes::copy_from_slice(body) };
        let dialect =
            dialect::builtin(["auto", "droplink", "wordbee"][usize::from(status.as_u16()) % 3]);
        normalise(&dialect.unwrap(), &capture, &Method::POST, wall())
    }

    proptest! {
        #[test]
        fn every_error_response_becomes_a_valid_problem(
            status in 400_u16..1000,
            headers in proptest::collection::vec(
                (0_usize..8, proptest::collection::vec(32_u8..=255, 0..40)),
                0..5,
            ),
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                r#"\{("(error|errors|message|code|title|details|status|reason)":("[a-z <>.]{0,20}"|\{\}|\[("x",?)?\]|[0-9]{1,3}|null),?){0,4}\}"#
                    .prop_map(String::into_bytes),
                r#"\{"error":\{("(title|details|messages|errorurl|date|innererror)":("[a-z ]{0,9}"|\[\{"title":"x"\}\]|\{"code":"y"\}|null),?){0,4}\}\}"#
                    .prop_map(|text| text.replace(",}", "}").into_bytes()),
            ],
        ) {
            let problem = any_problem(status, &headers, &body);
            let problem = problem.expect("every error status is a problem");
            let value = serde_json::from_slice(&problem.to_bytes()).unwrap();
            let schema = schema();
            prop_assert!(schema.is_valid(&value), "{value}");
            prop_assert_eq!(Problem::from_value(&value), Some(problem.clone()));
            let headers = problem_headers(&problem, None, Cleaner::default());
            let capture = Capture { status: problem.status, headers, body: problem.to_bytes() };
            let auto = dialect::builtin("auto").unwrap();
            let again = normalise(&auto, &capture, &Method::GET, wall());
            prop_assert_eq!(again, Some(problem));
        }
    }

    fn schema() -> &'static jsonschema::Validator {
        static SCHEMA: std::sync::LazyLock<jsonschema::Validator> =
            std::sync::LazyLock::new(|| {
                jsonschema::validator_for(&crate::problem::schema()).unwrap()
            });
        &SCHEMA
    }
}
