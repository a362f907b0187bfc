//! Loading as a whole: layers, diagnostics, provenance, the reference file, the schema.

use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::item::Item;
use super::keys::{Keys, Kind};
use super::*;

/// A configuration with every feature.
const EVERY_FEATURE: &str = r"
version: 1
listen: { address: 127.0.0.1:8080, client_key_header: evenkeel-key }
admin: { address: 127.0.0.1:9900 }
clients:
  storefront: { key: { env: STOREFRONT_KEY }, priority: interactive, share: 3 }
  nightly:    { key: { env: NIGHTLY_KEY }, priority: batch, limit: 200/h }
defaults:
  timeouts: { connect: 3s, attempt: 20s, idle: 30s }
  wait: { default: 30s, max: 10m }
  retry: { attempts: 4, backoff: { base: 250ms, factor: 2, max: 10s }, budget: 10% }
  replay: { max_body: 256KiB }
upstreams:
  wordbee:
    url: https://acme.eu.wordbee-translator.com/api
    route: /wordbee
    dialect: wordbee
    account: { header: x-auth-accountid }
    allowances:
      account: { limit: 1000/h, burst: 20, exempt: [{ path: /auth/token }] }
  droplink:
    url: https://droplink.cc/api/v1
    dialect: droplink
    auth: { header: x-api-key, value: { env: DROPLINK_KEY } }
    allowances:
      all: 5/s
      bursty: { limit: 100/m, spread: none, arrival_guard: 500ms }
      parallel: { concurrency: 8 }
      drops: { limit: 100/day, match: { methods: [POST], path: /drop/* }, mode: observe }
    routes:
      - { match: { methods: [POST], path: /search }, repeatable: true, timeouts: { attempt: 5s } }
      - { match: { path: /jobs/** }, inspect_success: true, require: [authorization],
          rules: [{ name: busy, when: { status: 409 }, code: conflict }] }
  payco:
    url: https://api.payco.example
    route: { host: api.local, path: / }
    dialect: my_payco
    status: keep
    client_address: send
dialects:
  my_payco: { rules: [{ name: own, when: { status: 409 }, code: conflict }] }
telemetry: { log: { level: info, access: all } }
shutdown: { delay: 0s, grace: 30s }
";

fn environment() -> Environment {
    Environment::of([
        ("STOREFRONT_KEY", "s3cret-a"),
        ("NIGHTLY_KEY", "s3cret-b"),
        ("DROPLINK_KEY", "s3cret-c"),
    ])
}

/// Loads a text as if it were a file, with these variables and `--set`s.
pub(super) fn load_text(
    text: &str,
    env: &Environment,
    sets: &[&str],
) -> Result<Loaded, Box<Diagnostics>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evenkeel.yaml");
    std::fs::write(&file, text).unwrap();
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    let request = LoadRequest { files: vec![file], sets, ..LoadRequest::default() };
    load(&request, env)
}

pub(super) fn messages(diagnostics: &Diagnostics) -> Vec<String> {
    let line = |diagnostic: &Diagnostic| {
        let at = diagnostics.position(diagnostic).map(|at| at.to_string()).unwrap_or_default();
        format!("{at}: {} [{}]", diagnostic.message, diagnostic.key)
    };
    diagnostics.list.iter().map(line).collect()
}

#[test]
fn a_configuration_with_every_feature_loads() {
    let loaded =
        load_text(EVERY_FEATURE, &environment(), &[]).map_err(|diagnostics| messages(&diagnostics));
    let settings = loaded.unwrap().settings;
    let [wordbee, droplink, payco] = settings.gateway.upstreams.as_slice() else { panic!() };
    assert_eq!(&*wordbee.base_path, "/api");
    assert_eq!(wordbee.policy.attempt_timeout.as_secs(), 20);
    assert_eq!(droplink.policy.attempt_timeout.as_secs(), 60, "the dialect beats the defaults");
    assert_eq!(droplink.routes[0].1.attempt_timeout.as_secs(), 5, "the entry beats the dialect");
    assert_eq!(droplink.routes[0].1.repeat, crate::gateway::Repeat::Declared);
    let (own, with_rules) = (&droplink.policy.dialect, &droplink.routes[1].1.dialect);
    assert_eq!(with_rules.rules.len(), own.rules.len() + 1);
    assert_eq!(droplink.allowances.len(), 4);
    assert_eq!(payco.policy.dialect.rules.len(), 1);
    assert_eq!(settings.gateway.clients.all().len(), 2);
    assert!(settings.gateway.client_limits[1].is_some());
    assert!(!format!("{settings:?}").contains("s3cret"));
}

/// The warnings of a valid configuration.
#[track_caller]
pub(super) fn warnings_of(text: &str) -> Vec<String> {
    match load_text(text, &Environment::default(), &[]) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => panic!("{}", diagnostics.render(Colours::Plain)),
    }
}

/// The folder of wrong configurations, each beside its expected diagnostics.
const WRONG: &str = "tests/data/config";

/// The request that the first lines of a wrong configuration describe: `#! env A=b`,
/// `#! set a.b=c`, `#! flag limit=1/s`, `#! file PATH`.
fn wrong_request(file: &std::path::Path) -> (LoadRequest, Environment) {
    let bytes = std::fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let directives = |what: &str| -> Vec<String> {
        let line =
            |line: &str| Some(line.strip_prefix("#! ")?.strip_prefix(what)?.trim().to_owned());
        text.lines().filter_map(line).collect()
    };
    let flag = |name: &str| directives(&format!("flag {name}=")).pop();
    let flags = Flags {
        upstream: flag("upstream"),
        limit: flag("limit"),
        dialect: flag("dialect"),
        listen: flag("listen"),
        admin: flag("admin"),
    };
    let more = directives("file").into_iter().map(Into::into);
    let files = std::iter::once(file.to_owned()).chain(more).collect();
    let variables = directives("env");
    let variables = variables.iter().filter_map(|variable| variable.split_once('='));
    let keys = [("GOOD_KEY", "s3cret-good"), ("EMPTY_KEY", "")];
    (
        LoadRequest { files, sets: directives("set"), flags, ..LoadRequest::default() },
        Environment::of(variables.chain(keys)),
    )
}

fn wrong_files() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(WRONG).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn every_wrong_file_gets_its_expected_diagnostics() {
    let update = Environment::of_process().value("UPDATE_EXPECTATIONS").is_some();
    let files = wrong_files();
    assert!(files.len() >= 35);
    for file in files {
        let (request, env) = wrong_request(&file);
        let Err(diagnostics) = load(&request, &env) else { panic!("{file:?} is valid") };
        let rendered = diagnostics.render(Colours::Plain);
        assert!(!rendered.contains("s3cret"), "{file:?} shows a secret:\n{rendered}");
        assert!(
            !diagnostics.json().to_string().contains("s3cret"),
            "{file:?} shows a secret in JSON"
        );
        let expected = file.with_extension("txt");
        if update {
            std::fs::write(&expected, &rendered).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        let difference = first_difference(&rendered, &expected);
        assert!(rendered == expected, "{}: {difference}", file.display());
    }
}

/// The first line in which two texts differ, for texts that are too long to compare by eye.
fn first_difference(found: &str, expected: &str) -> String {
    let (mut found, mut expected) = (found.lines(), expected.lines());
    for number in 1.. {
        match (found.next(), expected.next()) {
            (None, None) => break,
            (found, expected) if found != expected => {
                let shown = |line: Option<&str>| line.unwrap_or("(nothing)").to_owned();
                let (found, expected) = (shown(found), shown(expected));
                return format!("line {number} is\n  {found}\nnot\n  {expected}");
            }
            _ => {}
        }
    }
    "only the line ends differ".to_owned()
}

#[test]
fn a_difference_is_shown_as_one_line() {
    let difference = first_difference("a\nb\nc\n", "a\nx\nc\n");
    assert_eq!(difference, "line 2 is\n  b\nnot\n  x");
    assert_eq!(first_difference("a\n", "a\nb\n"), "line 2 is\n  (nothing)\nnot\n  b");
}

fn load_file(file: &str) -> Result<Loaded, Vec<String>> {
    let request = LoadRequest { files: vec![file.into()], ..LoadRequest::default() };
    let keys = ["STOREFRONT_KEY", "REPORTS_KEY", "NIGHTLY_KEY", "PAYCO_TOKEN"];
    let env = Environment::of(keys.map(|key| (key, key)));
    load(&request, &env).map_err(|diagnostics| messages(&diagnostics))
}

#[test]
fn the_reference_has_exactly_the_defaults() {
    let reference = std::fs::read_to_string("config/evenkeel.yaml").unwrap();
    let reference = load_text(&reference, &Environment::default(), &[]).unwrap().settings;
    let text = "upstreams: { vendor: { url: 'https://api.vendor.example' } }";
    let minimal = load_text(text, &Environment::default(), &[]).unwrap().settings;
    let (reference, minimal) = (format!("{reference:#?}"), format!("{minimal:#?}"));
    assert!(reference == minimal, "{}", first_difference(&reference, &minimal));
}

#[test]
fn the_reference_has_every_key() {
    let text = std::fs::read_to_string("config/evenkeel.yaml").unwrap();
    let text = text.replace("#? ", "");
    let mut diagnostics = Diagnostics::default();
    let source = diagnostics.sources.add(tree::SourceName::Stdin, text.clone());
    let node = yaml::read(source, &text, &mut diagnostics).unwrap().unwrap();
    let item = check::layer(node, &mut diagnostics);
    assert_eq!(messages(&diagnostics), [""; 0]);
    every_key(&item, Keys::of(keys::FILE), "");
}

/// Walks the declarations and the file together; of a map from names, any entry may have a key.
fn every_key(item: &Item, keys: Keys, path: &str) {
    for key in keys.each() {
        if is_also_in_defaults(path, key.name) {
            continue;
        }
        let path = format!("{path}.{}", key.name);
        let field = item.field(key.name).unwrap_or_else(|| panic!("no `{path}`"));
        every_key_inside(&field.item, key.kind, &path);
    }
}

fn every_key_inside(item: &Item, kind: Kind, path: &str) {
    let element: Option<Kind> = match kind {
        Kind::Map(keys) | Kind::Shorthand { keys, .. } => return every_key(item, keys, path),
        Kind::Named { of, .. } | Kind::List { of, .. } => Some(of.into()),
        Kind::Value(_) | Kind::Secret | Kind::Data(_) => None,
    };
    if let Some(Kind::Map(keys) | Kind::Shorthand { keys, .. }) = element {
        let entries = item.entries().iter().chain(item.fields().iter().map(|field| &field.item));
        let fields = entries.flat_map(|entry| entry.fields().iter().cloned()).collect();
        every_key(&Item::map(item.at, fields), keys, path);
    }
}

/// What `defaults` shows, an upstream and a route's entry need not show again; nor a profile what
/// an upstream shows.
fn is_also_in_defaults(path: &str, key: &str) -> bool {
    let upstream = path == ".upstreams" || path == ".upstreams.routes";
    let has = |groups| Keys::of(groups).find(key).is_some();
    let profile = path == ".profiles" || path == ".profiles.tiers" || path == ".profiles.routes";
    upstream && has(keys::UPSTREAM_DEFAULTS) || profile && has(keys::UPSTREAM)
}

#[test]
fn one_of_several_clients_may_fill_a_part_of_the_queue() {
    let upstream = "upstreams: { v: { url: 'https://a.b', allowances: { a: 1/s }, queue: QUEUE } }";
    let bounds = |clients: &str, queue: &str| {
        let text = format!("{clients}\n{}", upstream.replace("QUEUE", queue));
        let env = Environment::of([("A", "a"), ("B", "b")]);
        let bounds = load_text(&text, &env, &[]).unwrap().settings.gateway.upstreams[0].queue;
        (bounds.all, bounds.client_percent)
    };
    let one = "clients: { a: { key: { env: A } } }";
    let two = "clients: { a: { key: { env: A } }, b: { key: { env: B } } }";
    assert_eq!(bounds("", "{ max: 11 }"), (11, 100));
    assert_eq!(bounds(one, "{ max: 11 }"), (11, 100));
    assert_eq!(bounds(two, "{ max: 11 }"), (11, 50));
    assert_eq!(bounds(two, "{ max: 11, per_client: 10% }"), (11, 10));
}

#[test]
fn a_quoted_secret_and_a_repeated_scheme_give_warnings() {
    let env = Environment::of([("QUOTED", "\"s3cret\""), ("TOKEN", "bearer s3cret")]);
    let auth = "auth: { header: authorization, scheme: Bearer, value: { env: TOKEN } }";
    let upstream =
        format!("upstreams: {{ v: {{ url: 'https://a.b', allowances: {{ a: 1/s }}, {auth} }} }}");
    let text = format!("clients: {{ a: {{ key: {{ env: QUOTED }} }} }}\n{upstream}");
    let warnings = load_text(&text, &env, &[]).unwrap().warnings;
    for (key, words) in [("clients.a.key", "in quotes"), ("upstreams.v.auth.scheme", "already")] {
        let about = |it: &&String| it.starts_with(key) && it.contains(words);
        assert_eq!(warnings.iter().filter(about).count(), 1, "{warnings:?}");
    }
    assert!(!warnings.concat().contains("s3cret"));
}

#[test]
fn a_tls_ca_without_an_authority_gives_a_warning() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    let folder = tempfile::tempdir().unwrap();
    for (is_ca, count) in [(IsCa::ExplicitNoCa, 1), (IsCa::Ca(BasicConstraints::Unconstrained), 0)]
    {
        let mut params = CertificateParams::new(vec!["a.b".to_owned()]).unwrap();
        (params.is_ca, params.not_after) = (is_ca, rcgen::date_time_ymd(2077, 5, 6));
        let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, own.pem()).unwrap();
        let tls = format!("tls: {{ ca: {} }}", file.display());
        let text = format!(
            "upstreams: {{ v: {{ url: 'https://a.b', allowances: {{ a: 1/s }}, {tls} }} }}"
        );
        let warnings = warnings_of(&text);
        let about =
            |it: &&String| it.contains("tls.ca") && it.contains("(a pin), until 2077-05-06");
        assert_eq!(warnings.iter().filter(about).count(), count, "{warnings:?}");
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let expired = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        std::fs::write(&file, expired.pem()).unwrap();
        let warnings = warnings_of(&text);
        let expired = |it: &&String| it.contains("which expired on 2001-01-01: every call fails");
        assert_eq!(warnings.iter().filter(expired).count(), count, "{warnings:?}");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        let diagnostics = load_text(&text, &Environment::default(), &[]).unwrap_err();
        assert!(messages(&diagnostics)[0].contains("not X.509"), "{:?}", messages(&diagnostics));
    }
}

#[test]
fn a_header_that_carries_a_key_cannot_name_the_account() {
    let a = "allowances: { a: 1/s }";
    let auth = "auth: { header: x-vendor-token, value: { env: K } }";
    let rows = [
        ("", "evenkeel-key", "the client's key"),
        ("listen: { client_key_header: x-our-key }", "X-Our-Key", "the client's key"),
        ("", "x-vendor-token", "the credential under `auth`"),
    ];
    let env = Environment::of([("K", "s3cret")]);
    for (listen, header, words) in rows {
        let account = format!("account: {{ header: {header} }}");
        let text = format!(
            "{listen}\nupstreams: {{ v: {{ url: 'https://a.b', {a}, {auth}, {account} }} }}"
        );
        let diagnostics = load_text(&text, &env, &[]).unwrap_err();
        assert!(
            messages(&diagnostics)[0].contains(words),
            "{header}: {:?}",
            messages(&diagnostics)
        );
    }
}

#[test]
fn allowances_of_a_shared_account_with_the_same_name_are_one_scope() {
    let allowances: String = (0..40).map(|n| format!("a{n}: {}/h, ", n + 1)).collect();
    let shared = format!("account: {{ name: shared }}, allowances: {{ {allowances} }}");
    let upstream = |name: &str, rest: &str| format!("  {name}: {{ url: https://a.b, {rest} }}\n");
    let both = upstream("one", &shared) + &upstream("two", &shared);
    let namesake = upstream("shared", "allowances: { a0: 9/s }");
    load_text(&format!("upstreams:\n{both}{namesake}"), &environment(), &[]).unwrap();
}

#[test]
fn every_example_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir("config/examples").unwrap() {
        let file = entry.unwrap().path();
        load_file(file.to_str().unwrap()).unwrap();
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn the_shown_configuration_loads_to_the_same_settings() {
    for text in [EVERY_FEATURE, &std::fs::read_to_string("config/evenkeel.yaml").unwrap()] {
        let loaded = load_text(text, &environment(), &["listen.address=[::1]:8080"]).unwrap();
        let shown = loaded.show();
        let again = load_text(&shown, &environment(), &[]);
        let again = again.unwrap_or_else(|diagnostics| {
            panic!("{}\n{shown}", diagnostics.render(Colours::Plain))
        });
        let (again, first) = (format!("{:#?}", again.settings), format!("{:#?}", loaded.settings));
        assert!(again == first, "{}\n{shown}", first_difference(&again, &first));
        assert!(!shown.contains("s3cret"));
    }
}

#[test]
fn the_stronger_layer_wins_and_is_the_origin() {
    let env = Environment::of([
        ("STOREFRONT_KEY", "a"),
        ("NIGHTLY_KEY", "b"),
        ("DROPLINK_KEY", "c"),
        ("EVENKEEL__UPSTREAMS__DROPLINK__ALLOWANCES__ALL", "7/s"),
        ("EVENKEEL__UPSTREAMS__DROPLINK__TIMEOUTS__ATTEMPT", "70s"),
        ("EVENKEEL__LISTEN__ADDRESS", "[::1]:1"),
        ("EVENKEEL__UPSTREAMS__DROPLINK__RETRY", "{ attempts: 9 }"),
    ]);
    let sets = ["upstreams.droplink.timeouts.attempt=80s", "upstreams.wordbee.wait.max=1m"];
    let loaded = load_text(EVERY_FEATURE, &env, &sets).unwrap();
    let droplink = &loaded.settings.gateway.upstreams[1];
    assert_eq!(loaded.settings.server.address.to_string(), "[::1]:1");
    assert_eq!((droplink.policy.attempt_timeout.as_secs(), droplink.policy.attempts), (80, 9));
    let shown = |key: &str| {
        let effective = loaded.provenance.effective(key).unwrap();
        let origin = effective.origin.to_string();
        format!("{} {}", effective.value, origin.rsplit('/').next().unwrap())
    };
    let rows = [
        (
            "upstreams.droplink.allowances.all.limit",
            "7/s environment EVENKEEL__UPSTREAMS__DROPLINK__ALLOWANCES__ALL",
        ),
        ("upstreams.droplink.allowances.all.spread", "auto default"),
        ("upstreams.droplink.allowances.bursty.arrival_guard", "500ms evenkeel.yaml:27:60"),
        ("upstreams.droplink.timeouts.attempt", "1m20s --set upstreams.droplink.timeouts.attempt"),
        ("upstreams.droplink.routes.0.timeouts.attempt", "5s evenkeel.yaml:31:93"),
        ("upstreams.droplink.routes.0.timeouts.idle", "30s evenkeel.yaml:9:48"),
        ("upstreams.wordbee.wait.max", "1m --set upstreams.wordbee.wait.max"),
        ("upstreams.wordbee.queue.max", "1000 default"),
        ("upstreams.payco.route.path", "/ evenkeel.yaml:36:37"),
    ];
    for (key, expected) in rows {
        assert_eq!(shown(key), expected, "{key}");
    }
}

#[test]
fn a_dialect_timeout_is_stronger_than_defaults_and_weaker_than_the_upstream() {
    let loaded = load_text(EVERY_FEATURE, &environment(), &[]).unwrap();
    let origin = loaded.provenance.origin_of("upstreams.droplink.timeouts.attempt").unwrap();
    assert_eq!(*origin, Origin::Dialect("droplink".into()));
}

#[test]
fn flags_configure_one_upstream_without_a_file() {
    let flags = Flags {
        upstream: Some("https://api.vendor.example/v1".into()),
        limit: Some("10/s".into()),
        dialect: Some("droplink".into()),
        listen: Some("127.0.0.1:0".into()),
        admin: Some("[::1]:9".into()),
    };
    let request = LoadRequest { flags, ..LoadRequest::default() };
    let loaded = load(&request, &Environment::default()).unwrap();
    assert_eq!(
        loaded.settings.summary(),
        ["upstream: / -> https://api.vendor.example/v1; all 10/s; dialect droplink"]
    );
    let origin = loaded.provenance.origin_of("upstreams.upstream.allowances.all.limit").unwrap();
    assert_eq!(origin.to_string(), "--limit");
}

#[test]
fn dialects_are_read_from_the_folder_beside_the_main_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("dialects")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "dialects/own.yaml",
        "rules:
- { name: a, when: { status: 409 }, code: conflict }
- { name: b, when: { status: 410 }, code: conflict }",
    );
    write("10-base.yaml", "upstreams: { vendor: { url: 'https://a.example', dialect: own } }");
    write("20-more.yaml", "upstreams: { vendor: { route: / } }");
    let request = LoadRequest { files: vec![folder.path().into()], ..LoadRequest::default() };
    let loaded = load(&request, &Environment::default()).unwrap();
    let vendor = &loaded.settings.gateway.upstreams[0];
    assert_eq!(vendor.policy.dialect.rules.len(), 2);
    assert_eq!(&*loaded.settings.gateway.routes.entries()[0].prefix, "");
}

#[test]
fn a_file_longer_than_the_bound_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.yaml");
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    let request = LoadRequest { files: vec![file], ..LoadRequest::default() };
    let diagnostics = load(&request, &Environment::default()).unwrap_err();
    assert!(messages(&diagnostics)[0].contains("longer than 1MiB"));
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_mistakes_in_others() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("10-broken.yaml", "upstreams: [");
    write("20-secret.yaml", "clients: { a: { key: { env: NO_SUCH_KEY } } }");
    write("30-dialect.yaml", "dialects: { own: { rules: [{ code: conflcit }] } }");
    write("40-value.yaml", "upstreams: { vendor: { timeouts: { attempt: 30 } } }");
    let request = LoadRequest { files: vec![folder.path().into()], ..LoadRequest::default() };
    let diagnostics = load(&request, &Environment::default()).unwrap_err();
    let summary = diagnostics.summary();
    assert_eq!(summary.len(), 4, "{summary:?}");
    let missing = |diagnostic: &&Diagnostic| diagnostic.code == DiagnosticCode::MissingKey;
    assert_eq!(diagnostics.list.iter().find(missing).map(|diagnostic| &diagnostic.message), None);
}

#[test]
fn a_log_filter_that_is_not_ascii_is_an_error() {
    let text = "telemetry: { log: { level: \" A\u{e4}=\" } }";
    let diagnostics = load_text(text, &Environment::default(), &[]).unwrap_err();
    assert!(diagnostics.list.iter().any(|diagnostic| diagnostic.key == "telemetry.log.level"));
}

#[test]
fn without_a_file_the_diagnostic_names_the_searched_paths() {
    let env = Environment::of([("XDG_CONFIG_HOME", "/nowhere")]);
    let diagnostics = load(&LoadRequest::default(), &env).unwrap_err();
    let rendered = diagnostics.render(Colours::Plain);
    assert!(rendered.contains("/nowhere/evenkeel/evenkeel.yaml"), "{rendered}");
}

#[test]
fn json_is_read_as_yaml() {
    let text =
        r#"{"upstreams": {"vendor": {"url": "https://a.example", "retry": {"attempts": 2}}}}"#;
    let loaded = load_text(text, &Environment::default(), &[]).unwrap();
    assert_eq!(loaded.settings.gateway.upstreams[0].policy.attempts, 2);
}

#[test]
fn the_schema_accepts_the_reference_and_rejects_wrong_files() {
    let schema = schema();
    let accepts = jsonschema::validator_for(&schema).unwrap();
    let data = |text: &str| {
        let mut diagnostics = Diagnostics::default();
        yaml::read(0, text, &mut diagnostics).unwrap().unwrap().to_json()
    };
    let reference = std::fs::read_to_string("config/evenkeel.yaml").unwrap();
    for text in [EVERY_FEATURE, &reference, &reference.replace("#? ", "")] {
        let found =
            accepts.iter_errors(&data(text)).map(|error| error.to_string()).collect::<Vec<_>>();
        assert_eq!(found, [""; 0]);
    }
    let whole = data(&reference.replace("#? ", ""));
    assert!(!accepts.is_valid(&data("upstreams: { v: { route: / } }")), "no URL and no profile");
    every_property(&schema["properties"]["dialects"], &whole["dialects"], "dialects");
    for wrong in
        ["09-unknown-key-nearest", "12-missing-keys", "31-unit-missing", "47-secret-written-down"]
    {
        let text = std::fs::read_to_string(format!("{WRONG}/{wrong}.yaml")).unwrap();
        assert!(!accepts.is_valid(&data(&text)), "{wrong}");
    }
}

/// Every property of a schema stands in the data: of several entries, in one of them.
fn every_property(schema: &Value, data: &Value, path: &str) {
    for inside in [&schema["items"], &schema["additionalProperties"]] {
        let Some(properties) = inside["properties"].as_object() else { continue };
        let together = together(data);
        for (name, property) in properties {
            let path = format!("{path}.{name}");
            let found = together.get(name).unwrap_or_else(|| panic!("no `{path}`"));
            every_property_of(property, found, &path);
        }
    }
}

fn every_property_of(schema: &Value, data: &Value, path: &str) {
    every_property(schema, data, path);
    let maps = schema["anyOf"].as_array().cloned().unwrap_or_default();
    for schema in maps.iter().chain([schema]) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let found = data.get(name);
            let path = format!("{path}.{name}");
            every_property_of(property, found.unwrap_or_else(|| panic!("no `{path}`")), &path);
        }
    }
}

/// All entries of a list or a map in one, maps inside them too.
fn together(data: &Value) -> Value {
    let entries: Vec<&Value> = match (data.as_array(), data.as_object()) {
        (Some(items), _) => items.iter().collect(),
        (None, Some(members)) => members.values().collect(),
        (None, None) => Vec::new(),
    };
    let mut whole = Value::Null;
    entries.into_iter().for_each(|entry| add(&mut whole, entry));
    whole
}

fn add(whole: &mut Value, entry: &Value) {
    let Some(members) = entry.as_object() else {
        *whole = entry.clone();
        return;
    };
    for (name, value) in members {
        add(&mut whole[name], value);
    }
}

/// The headers that are read of answers stand in the reference.
#[test]
fn the_reference_names_every_header_that_is_read() {
    let reference = std::fs::read_to_string("config/evenkeel.yaml").unwrap().to_ascii_lowercase();
    let mut names = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("src/dialect/hint").unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let quoted = shipped.split('"').skip(1).step_by(2).map(str::to_owned);
        names.extend(quoted.filter(|text| is_header_name(text)));
    }
    assert!(names.len() >= 6, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !reference.contains(*name)).collect();
    assert_eq!(missing, [""; 0]);
}

/// Words with a hyphen between them: a header, or what the name of one ends with.
fn is_header_name(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    letters && text.contains('-') && text.len() > 6
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let text =
        "\"a\\e[31m\": 1\nupstreams: { v: { url: \"https://\\e[31m\", status: \"\\u0007\" } }";
    let diagnostics = load_text(text, &Environment::default(), &[]).unwrap_err();
    let rendered = diagnostics.render(Colours::Plain);
    assert!(!rendered.contains(['\u{1b}', '\u{7}']), "{rendered}");
}

#[test]
fn the_number_of_diagnostics_is_bounded() {
    let text: String = (0..5_000).map(|n| format!("k{n}: 1\n")).collect();
    let diagnostics = load_text(&text, &Environment::default(), &[]).unwrap_err();
    assert_eq!((diagnostics.count(), diagnostics.list.len()), (5_001, 1_000));
    assert!(diagnostics.render(Colours::Plain).lines().count() < 2_000);
}

proptest::proptest! {
    /// Any text gives either settings, or at least one diagnostic that can be rendered.
    #[test]
    fn a_damaged_text_gives_diagnostics(
        at in 0..EVERY_FEATURE.len(),
        cut in 0_usize..40,
        put in "[a-z0-9{}\\[\\]:,#&*!|>'\"%@`\\-? \\n\\t\\r\u{e4}\u{1f600}]{0,6}",
    ) {
        let end = (at + cut).min(EVERY_FEATURE.len());
        let text = format!("{}{put}{}", &EVERY_FEATURE[..at], &EVERY_FEATURE[end..]);
        if let Err(diagnostics) = load_text(&text, &environment(), &[]) {
            assert!(diagnostics.count() > 0);
            assert!(!diagnostics.render(Colours::Plain).is_empty());
            let json = diagnostics.json();
            assert!(json.as_array().is_some_and(|objects| !objects.is_empty()));
        }
    }
}
