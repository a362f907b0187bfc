//! The upstreams: URL, account, credential, connections, routes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use super::policy::matcher;
use super::reader::{Record, Resolver, Scope};
use super::unused::KnownUpstream;
use crate::allowance::{AccountRule, Allowance, QueueBounds, SCOPES_MAX, scopes_of};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::files::{cannot_read, read_bounded};
use crate::config::format::{Format as _, Header, Url, origin_text};
use crate::config::item::{Field, Item};
use crate::config::keys;
use crate::config::provenance::Origin;
use crate::config::tree::Location;
use crate::gateway::{self, CallPolicy, Credential};
use crate::routing::route::{Entry, Matcher, Routes};
use crate::upstream::{self, ResponseLimits, Scheme, TlsRoots};

/// What the gateway and the connections to the vendor know of one upstream; `None` when faulty.
pub(super) type BothSides = Option<(gateway::Upstream, upstream::Settings)>;

/// The route of an upstream, and where it is written.
struct RouteOf {
    host: Option<Box<str>>,
    prefix: Box<str>,
    at: Location,
}

impl<'a> Resolver<'a> {
    pub(super) fn upstreams(&mut self, root: &Scope<'a>) -> Vec<BothSides> {
        let fields = root.entries(&keys::UPSTREAMS);
        if fields.is_empty() && root.own(&keys::UPSTREAMS).is_some_and(Item::is_map) {
            let at = root.own_field(&keys::UPSTREAMS).map(|field| field.at);
            let message = "there is no upstream";
            let diagnostic = Diagnostic::new(DiagnosticCode::MissingKey, at, message);
            let diagnostic = diagnostic.key(root.key(&keys::UPSTREAMS));
            self.diagnostics.push(diagnostic.accepted("`NAME: { url: https://… }`"));
        }
        let mut upstreams: Vec<_> = fields.iter().map(|field| self.upstream(root, field)).collect();
        self.place_costs(fields, &mut upstreams);
        self.check_accounts(fields, &upstreams);
        upstreams
    }

    fn upstream(&mut self, root: &Scope<'a>, field: &'a Field) -> BothSides {
        let scope = upstream_scope(root, field);
        self.optional(&scope, &keys::USE);
        self.optional(&scope, &keys::TIER);
        let url = self.optional(&scope, &keys::URL);
        if scope.own(&keys::URL).is_none() && field.item.is_map() {
            self.missing_url(root, &scope, field);
        }
        self.record_own(&scope, &keys::EXEMPT_EVERYWHERE);
        let account = self.account(root, &scope);
        let policy = self.call_policy(&scope);
        let dialect = policy.as_ref().map(|policy| &*policy.dialect);
        let allowances = self.allowances(&scope, dialect);
        // A long window that is forgotten at a restart can be spent twice.
        let written = |key: &dyn keys::Declaration| root.written(key).is_some();
        let is_kept = written(&keys::STATE_DIR) || written(&keys::STORE_URL);
        for allowance in allowances.iter().filter(|_| !is_kept) {
            if allowance.grant.length().is_some_and(|length| length >= keys::GUARDED_BELOW) {
                let key = format!("{}.{}", scope.key(&keys::ALLOWANCES), allowance.name);
                let message = "what is spent is forgotten when the process ends";
                self.warnings.push(format!("{key}: {message}"));
            }
        }
        let credential = self.credential(&scope);
        let entries = scope.maps(&keys::ROUTES).iter().enumerate();
        let routes: Vec<_> =
            entries.map(|(number, entry)| self.route_entry(&scope, number, entry)).collect();
        let queue = self.queue_bounds(root, &scope);
        let connections = self.connections(field, &scope, url.as_ref());
        self.warn_of_unused_in(&KnownUpstream {
            root,
            field,
            scope: &scope,
            url: url.as_ref(),
            allowances: &allowances,
        });
        self.warn_of_unsupported(root, &scope);
        let url = url?;
        let gateway_side = gateway::Upstream {
            name: Arc::from(&*field.key),
            origin: origin_text(&url.origin).into(),
            base_path: url.path,
            account: account?,
            allowances,
            queue,
            credential,
            routes: routes.into_iter().collect::<Option<_>>()?,
            policy: policy?,
        };
        Some((gateway_side, connections?))
    }

    /// With a single client, there is nobody to leave room for.
    fn queue_bounds(&mut self, root: &Scope<'a>, scope: &Scope<'a>) -> QueueBounds {
        let all = self.get(scope, &keys::QUEUE_MAX);
        let client_percent = self.get(scope, &keys::QUEUE_PER_CLIENT);
        if root.entries(&keys::CLIENTS).len() < 2 {
            return QueueBounds::of_one_client(all);
        }
        QueueBounds { all, client_percent }
    }

    fn connections(
        &mut self,
        field: &Field,
        scope: &Scope<'a>,
        url: Option<&Url>,
    ) -> Option<upstream::Settings> {
        let roots = self.tls_roots(scope, url);
        Some(upstream::Settings {
            name: (*field.key).into(),
            protocol: self.get(scope, &keys::PROTOCOL),
            roots,
            connect_timeout: self.get(scope, &keys::CONNECT_TIMEOUT),
            connections_max: self.get(scope, &keys::CONNECTIONS_MAX),
            idle_timeout: self.get(scope, &keys::CONNECTION_IDLE),
            response_limits: ResponseLimits {
                head_bytes_max: self.get(scope, &keys::ANSWER_HEAD_BYTES),
                headers_max: self.get(scope, &keys::ANSWER_HEADERS),
            },
            origin: url?.origin.clone(),
        })
    }

    fn tls_roots(&mut self, scope: &Scope<'a>, url: Option<&Url>) -> TlsRoots {
        let written = self.optional(scope, &keys::TLS_CA);
        let (Some(item), Some(written)) = (scope.written(&keys::TLS_CA), written) else {
            return TlsRoots::System;
        };
        let key = scope.key(&keys::TLS_CA);
        let file = self.diagnostics.sources.folder(item.at).join(&*written);
        self.diagnostics.read.push(file.clone());
        if let Err(message) = check_pem(&file) {
            let diagnostic = Diagnostic::new(DiagnosticCode::File, Some(item.at), message);
            let accepted = "a PEM file with at least one certificate";
            self.diagnostics.push_once(diagnostic.key(&*key).found(written).accepted(accepted));
        } else if let Some(message) = pin_without_authority(&file) {
            let position = self.diagnostics.sources.position(item.at);
            let warning = format!("{key}: {message} ({position})");
            self.warnings.extend(Some(warning).filter(|it| !self.warnings.contains(it)));
        }
        let clear = url.is_some_and(|url| url.origin.scheme == Scheme::Http);
        if clear && scope.own(&keys::TLS_CA).is_some() {
            let message = "`tls.ca` has no effect on a URL without TLS";
            self.conflict(Some(item.at), key, message, "an `https://` URL");
        }
        TlsRoots::File(file)
    }

    fn account(&mut self, root: &Scope<'a>, scope: &Scope<'a>) -> Option<AccountRule> {
        let header = self.optional(scope, &keys::ACCOUNT_HEADER);
        let name = self.optional(scope, &keys::ACCOUNT_NAME);
        match (header, name) {
            (Some(_), Some(_)) => {
                let at = scope.own(&keys::ACCOUNT_NAME).map(|item| item.at);
                let message = "an account has a header or a name, not both";
                self.conflict(at, scope.key(&keys::ACCOUNT_NAME), message, "one of the two");
                None
            }
            (Some(header), None) => {
                self.account_is_not_a_key(root, scope, &header);
                Some(AccountRule::Header(header.name))
            }
            (None, Some(name)) => Some(AccountRule::Named(name.into())),
            (None, None) => Some(AccountRule::Upstream),
        }
    }

    /// Accounts appear in logs, metrics and the status; a key must not.
    fn account_is_not_a_key(&mut self, root: &Scope<'a>, scope: &Scope<'a>, account: &Header) {
        let credential = scope.written_value(&keys::AUTH_HEADER);
        let carried = if account.name == root.value(&keys::CLIENT_KEY_HEADER).name {
            "the client's key"
        } else if credential.is_some_and(|header| header.name == account.name) {
            "the credential under `auth`"
        } else {
            return;
        };
        let message =
            format!("`{}` carries {carried}, which does not name an account", account.name);
        let at = scope.own(&keys::ACCOUNT_HEADER).map(|item| item.at);
        let accepted = "a header that names the account and is not a secret";
        self.conflict(at, scope.key(&keys::ACCOUNT_HEADER), message, accepted);
    }

    fn credential(&mut self, scope: &Scope<'a>) -> Option<Credential> {
        let header = self.optional(scope, &keys::AUTH_HEADER)?;
        let scheme = self.optional(scope, &keys::AUTH_SCHEME);
        let secret = self.secret(scope, &keys::AUTH_VALUE)?;
        let mut value = scheme.map(|scheme| format!("{scheme} ").into_bytes()).unwrap_or_default();
        let lower = |bytes: &[u8]| bytes.to_ascii_lowercase();
        if !value.is_empty() && lower(secret.bytes()).starts_with(&lower(&value)) {
            let key = scope.key(&keys::AUTH_SCHEME);
            self.warnings.push(format!("{key}: the secret begins with the scheme already"));
        }
        value.extend_from_slice(secret.bytes());
        let mut value = HeaderValue::from_bytes(&value).ok()?;
        value.set_sensitive(true);
        let written = header.written.into();
        Some(Credential { header: header.name, written, value })
    }

    fn route_entry(
        &mut self,
        upstream: &Scope<'a>,
        number: usize,
        entry: &'a Item,
    ) -> Option<(Matcher, CallPolicy)> {
        let mut strong = upstream.strong.clone();
        strong.insert(0, entry);
        let scope = Scope {
            path: format!("{}.{number}", upstream.key(&keys::ROUTES)),
            groups: keys::ROUTE_ENTRY,
            strong,
            weak: upstream.weak,
            record: Record::Own,
        };
        self.record_own(&scope, &keys::ENTRY_MATCH);
        let policy = self.entry_policy(&scope);
        Some((matcher(scope.own(&keys::ENTRY_MATCH)?), policy?))
    }

    /// The route table. Two upstreams with the same route contradict each other.
    pub(super) fn routes(&mut self, root: &Scope<'a>) -> Routes {
        let mut taken: BTreeMap<(Option<Box<str>>, Box<str>), Location> = BTreeMap::new();
        let mut entries = Vec::new();
        for (number, field) in root.entries(&keys::UPSTREAMS).iter().enumerate() {
            let scope = upstream_scope(root, field);
            let Some(RouteOf { host, prefix, at }) = self.route(&scope, field) else { continue };
            if let Some(first) = taken.insert((host.clone(), prefix.clone()), at) {
                let shown = keys::ROUTE_PATH.content.0.write(&prefix);
                let message = format!("another upstream has the route `{shown}` already");
                let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, Some(at), message);
                let diagnostic = diagnostic.key(scope.key(&keys::ROUTE)).found(shown);
                let accepted = "a different path or host";
                self.diagnostics.push(diagnostic.accepted(accepted).related(first, "the other"));
            }
            entries.push(Entry { host, prefix, upstream: number });
        }
        Routes::new(entries)
    }

    /// The route of an upstream; `None` when it is faulty.
    fn route(&mut self, scope: &Scope<'a>, field: &'a Field) -> Option<RouteOf> {
        let host = self.optional(scope, &keys::ROUTE_HOST);
        let written = scope.own(&keys::ROUTE);
        let path = scope.own(&keys::ROUTE_PATH);
        let prefix = match (path, &host) {
            (Some(_), _) => self.optional(scope, &keys::ROUTE_PATH)?,
            (None, Some(_)) => "".into(),
            (None, None) => format!("/{}", field.key).into(),
        };
        if path.is_none() {
            let shown = keys::ROUTE_PATH.content.0.write(&prefix);
            self.record(scope, &keys::ROUTE_PATH, shown, Origin::Default);
        }
        let inside = |item: &Item| item.fields().iter().any(|field| field.item.is_faulty());
        if written.is_some_and(|item| !item.is_map() || inside(item)) {
            return None;
        }
        let at = path.or(written).map_or(field.at, |item| item.at);
        Some(RouteOf { host, prefix, at })
    }

    /// What upstreams that share an account must agree on, and how many scopes it may have.
    fn check_accounts(&mut self, fields: &'a [Field], upstreams: &[BothSides]) {
        let mut own = BTreeMap::<&str, Vec<(&'a Field, &gateway::Upstream)>>::new();
        let mut shared = own.clone();
        for (field, (upstream, _)) in
            fields.iter().zip(upstreams).filter_map(|(field, both)| Some((field, both.as_ref()?)))
        {
            let (accounts, name) = match &upstream.account {
                AccountRule::Named(name) => (&mut shared, name),
                AccountRule::Upstream | AccountRule::Header(_) => (&mut own, &upstream.name),
            };
            accounts.entry(name).or_default().push((field, upstream));
        }
        for members in own.values().chain(shared.values()) {
            self.check_agreement(members);
            let count = scopes_of(members.iter().map(|(_, upstream)| &upstream.allowances[..]));
            let Some((field, _)) = members.last().filter(|_| count > SCOPES_MAX) else { continue };
            let message = format!("one account has {count} scopes");
            let diagnostic = Diagnostic::new(DiagnosticCode::Range, Some(field.at), message);
            let diagnostic = diagnostic.key(format!("upstreams.{}.allowances", field.key));
            self.diagnostics.push(diagnostic.found(count.to_string()).accepted(format!(
                "at most {SCOPES_MAX}: the allowances of all upstreams of the account, those with \
                 the same name counted once, and three for each upstream"
            )));
        }
    }

    fn check_agreement(&mut self, members: &[(&Field, &gateway::Upstream)]) {
        let mut known: BTreeMap<&str, (&Allowance, Location)> = BTreeMap::new();
        for (field, upstream) in members {
            for allowance in &upstream.allowances {
                let name = &*allowance.name;
                let scope = Scope::of(Some(&field.item), keys::UPSTREAM, "");
                let mut written = scope.entries(&keys::ALLOWANCES).iter();
                let written = written.find(|field| *field.key == *name);
                let at = written.map_or(field.at, |field| field.item.at);
                let (other, first) = *known.entry(name).or_insert((allowance, at));
                let same = allowance.grant == other.grant
                    && allowance.headroom == other.headroom
                    && allowance.cost == other.cost;
                if !same {
                    let message = format!(
                        "`{name}` grants something else in another upstream of the account"
                    );
                    let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, Some(at), message);
                    let key = format!("upstreams.{}.allowances.{name}", field.key);
                    let diagnostic = diagnostic.key(key).related(first, "the other");
                    self.diagnostics.push(diagnostic.accepted("the same grant, or another name"));
                }
            }
        }
    }
}

/// The settings of an upstream, over those of `defaults`.
fn upstream_scope<'a>(root: &Scope<'a>, field: &'a Field) -> Scope<'a> {
    let path = format!("{}.{}", root.key(&keys::UPSTREAMS), field.key);
    let weak = root.own(&keys::DEFAULTS);
    Scope { weak, ..Scope::of(Some(&field.item), keys::UPSTREAM, path) }
}

/// Whether the file can be read and holds certificates.
fn check_pem(file: &Path) -> Result<(), String> {
    /// A bundle of all public roots has a quarter of a megabyte.
    const CA_BYTES_MAX: u64 = 4 << 20;
    let bytes = File::open(file).and_then(|mut file| read_bounded(&mut file, CA_BYTES_MAX));
    let bytes = bytes.map_err(|error| cannot_read(&error))?;
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    let block = text.split_once("-----BEGIN CERTIFICATE-----");
    if !block.is_some_and(|(_, rest)| rest.contains("-----END CERTIFICATE-----")) {
        return Err("the file holds no certificate".into());
    }
    upstream::certificates(file).map(drop)
}

/// The warning about a file that holds no certificate authority, if it is one.
fn pin_without_authority(file: &Path) -> Option<String> {
    let certificates = upstream::certificates(file).ok()?;
    if certificates.iter().any(|it| it.role == upstream::Role::Authority) {
        return None;
    }
    let first = certificates.iter().min_by_key(|it| it.not_after)?;
    let last = jiff::Timestamp::try_from(first.not_after).ok()?.strftime("%Y-%m-%d").to_string();
    Some(match first.has_expired() {
        true => format!(
            "the file holds no CA but a server's own certificate (a pin), which expired on {last}: \
             every call fails"
        ),
        false => format!(
            "the file holds no CA, so exactly its certificate is trusted (a pin), until {last}: \
             when the vendor renews it, every call fails until the file is renewed too"
        ),
    })
}
