//! The upstreams: where they are, whom they count, which requests they get.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::policy::{matcher, plain};
use super::{Origin, Record, Resolver, Scope, futile};
use crate::allowance::{AccountRule, Allowance, Grant, SCOPES_MAX, scopes_of};
use crate::config::check::{Field, Held, Item};
use crate::config::fault::{Fault, Sort};
use crate::config::keys::{self, Keys};
use crate::config::layers::cannot_read;
use crate::config::scalar::{Url, origin_text};
use crate::config::tree::At;
use crate::gateway::{self, CallPolicy, Credential};
use crate::routing::route::{Entry, Matcher, Routes};
use crate::upstream::{self, Protocol, ResponseLimits, Scheme, TlsRoots};

/// One upstream as the workshop and the back door see it; `None` when it is faulty.
pub(super) type Both = Option<(gateway::Upstream, upstream::Settings)>;

impl<'a> Resolver<'a> {
    pub(super) fn upstreams(&mut self) -> Vec<Both> {
        let fields = self.upstream_fields();
        if fields.is_empty()
            && self.root.field("upstreams").is_some_and(|field| is_map(&field.item))
        {
            let at = self.root.field("upstreams").map(|field| field.at);
            let fault = Fault::new(Sort::MissingKey, at, "there is no upstream");
            self.faults.push(fault.key("upstreams").accepted("`NAME: { url: https://… }`"));
        }
        let upstreams: Vec<_> = fields.iter().map(|field| self.upstream(field)).collect();
        self.accounts(fields, &upstreams);
        upstreams
    }

    fn upstream_fields(&self) -> &'a [Field] {
        let root: &'a Item = self.root;
        root.field("upstreams").map_or(&[], |field| field.item.fields())
    }

    fn upstream(&mut self, field: &'a Field) -> Both {
        let scope = self.upstream_scope(field);
        let url = self.option(&scope, &["url"]).and_then(|plain| plain.url());
        let account = self.account(&scope);
        let allowances = self.allowances(&scope);
        self.warn_of_forgetting(&field.key, &allowances);
        let credential = self.credential(&scope);
        let policy = self.call_policy(&scope);
        let routes = self.route_entries(&scope);
        let queue_max = self.number(&scope, &["queue", "max"]);
        let back = self.back_door(field, &scope, url.as_ref());
        let (url_seen, allowances_seen) = (url.as_ref(), allowances.as_slice());
        let seen =
            futile::Seen { field, scope: &scope, url: url_seen, allowances: allowances_seen };
        self.warn_of_futile(&seen);
        let (url, name) = (url?, Arc::from(&*field.key));
        let front = gateway::Upstream {
            name,
            origin: origin_text(&url.origin).into(),
            base_path: url.path,
            account: account?,
            allowances,
            queue_max,
            credential,
            routes: routes?,
            policy: policy?,
        };
        Some((front, back?))
    }

    fn upstream_scope(&self, field: &'a Field) -> Scope<'a> {
        let root: &'a Item = self.root;
        let weak = root.field("defaults").map(|field| &field.item);
        let path = format!("upstreams.{}", field.key);
        Scope { weak, ..Scope::of(Some(&field.item), upstream_keys(), path) }
    }

    fn back_door(
        &mut self,
        field: &Field,
        scope: &Scope<'a>,
        url: Option<&Url>,
    ) -> Option<upstream::Settings> {
        let protocol = match self.word(scope, &["protocol"]).as_str() {
            "http1" => Protocol::Http1,
            "http2" => Protocol::Http2,
            _ => Protocol::Auto,
        };
        let roots = self.roots(scope, url);
        Some(upstream::Settings {
            name: (*field.key).into(),
            protocol,
            roots,
            connect_timeout: self.duration(scope, &["timeouts", "connect"]),
            connections_max: self.number(scope, &["connections", "max"]),
            idle_timeout: self.duration(scope, &["connections", "idle"]),
            response_limits: ResponseLimits {
                head_bytes_max: self.bytes(scope, &["head", "max"]),
                headers_max: self.number(scope, &["head", "headers"]),
            },
            origin: url?.origin.clone(),
        })
    }

    fn roots(&mut self, scope: &Scope<'a>, url: Option<&Url>) -> TlsRoots {
        let path = ["tls", "ca"];
        let (Some(item), Some(written)) = (scope.written(&path), self.option(scope, &path)) else {
            return TlsRoots::System;
        };
        let file = self.faults.sources.folder(item.at).join(written.to_string());
        if let Some(message) = unreadable_pem(&file) {
            let fault = Fault::new(Sort::File, Some(item.at), message).key(scope.key(&path));
            let accepted = "a PEM file with at least one certificate";
            self.faults.push_once(fault.found(written.to_string()).accepted(accepted));
        } else if let Some(message) = only_pins(&file) {
            let place = self.faults.sources.position(item.at);
            let warning = format!("{}: {message} ({place})", scope.key(&path));
            self.warnings.extend(Some(warning).filter(|it| !self.warnings.contains(it)));
        }
        let clear = url.is_some_and(|url| url.origin.scheme == Scheme::Http);
        if clear && scope.own(&path).is_some() {
            let message = "`tls.ca` means nothing for a URL in clear".to_owned();
            self.conflict(Some(item), scope.key(&path), message, "an `https://` URL");
        }
        TlsRoots::File(file)
    }

    fn account(&mut self, scope: &Scope<'a>) -> Option<AccountRule> {
        let header = self.header(scope, &["account", "header"]);
        let name = self.option(scope, &["account", "name"]);
        match (header, name) {
            (Some(_), Some(_)) => {
                let message = "an account is told by a header or has a name, not both".to_owned();
                let item = scope.own(&["account", "name"]);
                self.conflict(item, scope.key(&["account", "name"]), message, "one of the two");
                None
            }
            (Some(header), None) => {
                self.account_is_no_key(scope, &header);
                Some(AccountRule::Header(header))
            }
            (None, Some(name)) => Some(AccountRule::Named(name.to_string().into())),
            (None, None) => Some(AccountRule::Upstream),
        }
    }

    /// Accounts are named in logs, metrics and the status; a key must not be.
    fn account_is_no_key(&mut self, scope: &Scope<'a>, header: &HeaderName) {
        let client_key = self.root.find(["listen", "client_key_header"]);
        let client_key = client_key.and_then(|item| plain(item)?.header());
        let fallback = || HeaderName::from_static(crate::config::defaults::CLIENT_KEY_HEADER);
        let own = scope.own(&["auth", "header"]).and_then(|item| plain(item)?.header());
        let carried = match header {
            header if *header == client_key.unwrap_or_else(fallback) => "the client's key",
            header if Some(header) == own.as_ref() => "the credential under `auth`",
            _ => return,
        };
        let path = ["account", "header"];
        let message = format!("`{header}` carries {carried}, which is not an account");
        let accepted = "a header that names the account and is no secret";
        self.conflict(scope.own(&path), scope.key(&path), message, accepted);
    }

    fn credential(&mut self, scope: &Scope<'a>) -> Option<Credential> {
        let header = self.option(scope, &["auth", "header"])?;
        let (header, written) = (header.header()?, header.to_string().into());
        let scheme = self.option(scope, &["auth", "scheme"]);
        let secret = self.secret(scope, &["auth", "value"])?;
        let word = scheme.as_ref().map(|scheme| format!("{scheme} ").to_ascii_lowercase());
        let twice =
            |word: &String| secret.bytes().to_ascii_lowercase().starts_with(word.as_bytes());
        if word.as_ref().is_some_and(twice) {
            let key = scope.key(&["auth", "scheme"]);
            self.warnings.push(format!("{key}: the secret begins with the scheme already"));
        }
        let mut bytes = scheme.map(|scheme| format!("{scheme} ").into_bytes()).unwrap_or_default();
        bytes.extend_from_slice(secret.bytes());
        let mut value = HeaderValue::from_bytes(&bytes).ok()?;
        value.set_sensitive(true);
        Some(Credential { header, written, value })
    }

    fn route_entries(&mut self, scope: &Scope<'a>) -> Option<Vec<(Matcher, CallPolicy)>> {
        let entries = match scope.own(&["routes"]).map(|item| &item.held) {
            Some(Held::List(entries)) => entries.as_slice(),
            Some(_) | None => &[],
        };
        let resolved: Vec<_> = entries
            .iter()
            .enumerate()
            .map(|(number, entry)| self.route_entry(scope, number, entry))
            .collect();
        resolved.into_iter().collect()
    }

    fn route_entry(
        &mut self,
        upstream: &Scope<'a>,
        number: usize,
        entry: &'a Item,
    ) -> Option<(Matcher, CallPolicy)> {
        let mut strong = upstream.strong.clone();
        strong.insert(0, entry);
        let path = upstream.key(&["routes", &number.to_string()]);
        let scope =
            Scope { path, keys: route_keys(), strong, weak: upstream.weak, record: Record::Own };
        let written = entry.field("match");
        if let Some(written) = written {
            self.record_flow(&scope, "match", &written.item);
        }
        let policy = self.route_policy(&scope);
        Some((matcher(&written?.item), policy?))
    }

    /// The route table. Two upstreams that want the same requests contradict each other.
    pub(super) fn routes(&mut self) -> Routes {
        let fields = self.upstream_fields();
        let mut taken: BTreeMap<(Option<Box<str>>, Box<str>), At> = BTreeMap::new();
        let mut entries = Vec::new();
        for (number, field) in fields.iter().enumerate() {
            let Some((host, prefix, at)) = self.route(field) else { continue };
            if let Some(first) = taken.insert((host.clone(), prefix.clone()), at) {
                self.same_route(field, &prefix, at, first);
            }
            entries.push(Entry { host, prefix, upstream: number });
        }
        Routes::new(entries)
    }

    fn same_route(&mut self, field: &Field, prefix: &str, at: At, first: At) {
        let shown = if prefix.is_empty() { "/" } else { prefix };
        let message = format!("another upstream has the route `{shown}` already");
        let fault = Fault::new(Sort::Conflict, Some(at), message).found(shown);
        let fault = fault.key(format!("upstreams.{}.route", field.key));
        self.faults.push(fault.accepted("a path or a host of its own").also(first, "the other"));
    }

    fn route(&mut self, field: &'a Field) -> Option<(Option<Box<str>>, Box<str>, At)> {
        let scope = self.upstream_scope(field);
        let host = self.option(&scope, &["route", "host"]).and_then(|plain| plain.host());
        let written = scope.own(&["route"]);
        let path = scope.own(&["route", "path"]);
        let prefix = match (path, &host) {
            (Some(_), _) => self.option(&scope, &["route", "path"])?.prefix()?,
            (None, Some(_)) => "".into(),
            (None, None) => format!("/{}", field.key).into(),
        };
        if path.is_none() {
            let shown = if prefix.is_empty() { "/".to_owned() } else { prefix.to_string() };
            self.record(&scope, &["route", "path"], shown, Origin::Default);
        }
        let faulty = |item: &Item| !is_map(item) || item.fields().iter().any(is_faulty);
        if written.is_some_and(faulty) {
            return None;
        }
        Some((host, prefix, path.or(written).map_or(field.at, |item| item.at)))
    }

    /// What upstreams that share an account must agree on, and how many scopes it may have.
    fn accounts(&mut self, fields: &'a [Field], upstreams: &[Both]) {
        let mut own = BTreeMap::<&str, Vec<(&'a Field, &gateway::Upstream)>>::new();
        let mut shared = own.clone();
        for (field, (front, _)) in
            fields.iter().zip(upstreams).filter_map(|(field, both)| Some((field, both.as_ref()?)))
        {
            let (accounts, name) = match &front.account {
                AccountRule::Named(name) => (&mut shared, name),
                AccountRule::Upstream | AccountRule::Header(_) => (&mut own, &front.name),
            };
            accounts.entry(name).or_default().push((field, front));
        }
        for members in own.values().chain(shared.values()) {
            self.agreement(members);
            self.scopes(members);
        }
    }

    fn agreement(&mut self, members: &[(&Field, &gateway::Upstream)]) {
        let mut known: BTreeMap<&str, (Grant, At)> = BTreeMap::new();
        for (field, front) in members {
            for allowance in &front.allowances {
                let at = allowance_at(field, &allowance.name);
                let (grant, first) = *known.entry(&allowance.name).or_insert((allowance.grant, at));
                if grant != allowance.grant {
                    let message = format!(
                        "`{}` of the same account grants something else elsewhere",
                        allowance.name
                    );
                    let fault = Fault::new(Sort::Conflict, Some(at), message);
                    let key = format!("upstreams.{}.allowances.{}", field.key, allowance.name);
                    let fault = fault.key(key).accepted("the same words, or another name");
                    self.faults.push(fault.also(first, "the other"));
                }
            }
        }
    }

    fn scopes(&mut self, members: &[(&Field, &gateway::Upstream)]) {
        let count = scopes_of(members.iter().map(|(_, front)| &front.allowances[..]));
        if count <= SCOPES_MAX {
            return;
        }
        let Some((field, _)) = members.last() else { return };
        let message = format!("one account has {count} scopes");
        let fault = Fault::new(Sort::Range, Some(field.at), message).found(count.to_string());
        let fault = fault.key(format!("upstreams.{}.allowances", field.key));
        self.faults.push(fault.accepted(format!(
            "at most {SCOPES_MAX}: the allowances of all upstreams of the account, those of one \
             name being one, and three for each upstream"
        )));
    }

    /// A long window that is forgotten at a restart can be spent twice.
    fn warn_of_forgetting(&mut self, upstream: &str, allowances: &[Allowance]) {
        for allowance in allowances {
            let long = matches!(allowance.grant, Grant::Window { window, .. }
                if window >= crate::config::defaults::GUARDED_BELOW);
            if long {
                self.warnings.push(format!(
                    "upstreams.{upstream}.allowances.{}: what is spent is forgotten when the \
                     process ends",
                    allowance.name
                ));
            }
        }
    }
}

fn allowance_at(field: &Field, name: &str) -> At {
    field.item.find(["allowances", name]).map_or(field.at, |item| item.at)
}

const fn is_map(item: &Item) -> bool {
    matches!(item.held, Held::Map(_))
}

const fn is_faulty(field: &Field) -> bool {
    matches!(field.item.held, Held::Faulty)
}

/// A bundle of all the world's roots has a quarter of a megabyte.
const CA_BYTES_MAX: u64 = 4 << 20;

/// Whether certificates can be there; whether they are sound, the back door finds out.
fn unreadable_pem(file: &Path) -> Option<String> {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(CA_BYTES_MAX).read_to_end(&mut text));
    if let Err(error) = read {
        return Some(cannot_read(&error));
    }
    let text = String::from_utf8_lossy(&text);
    let block = text.split_once("-----BEGIN CERTIFICATE-----");
    let whole = block.is_some_and(|(_, rest)| rest.contains("-----END CERTIFICATE-----"));
    if !whole {
        return Some("the file holds no certificate".into());
    }
    upstream::certificates(file).err()
}

/// What a file without an authority means, if it is one.
fn only_pins(file: &Path) -> Option<String> {
    let certificates = upstream::certificates(file).ok()?;
    if certificates.iter().any(|it| it.role == upstream::Role::Authority) {
        return None;
    }
    let first = certificates.iter().min_by_key(|it| it.not_after)?;
    let (last, expired) = (first.not_after, first.has_expired());
    let last = jiff::Timestamp::try_from(last).ok()?.strftime("%Y-%m-%d").to_string();
    if expired {
        return Some(format!(
            "the file holds no CA but a certificate to be believed itself (a pin), which expired on \
             {last}: every call fails"
        ));
    }
    Some(format!(
        "the file holds no CA, so exactly its certificate is believed (a pin), until {last}: when \
         the vendor renews it, every call fails until the file is renewed too"
    ))
}

fn upstream_keys() -> Keys {
    keys::keys_at(&["upstreams", keys::ANY])
}

fn route_keys() -> Keys {
    keys::keys_at(&["upstreams", keys::ANY, "routes", keys::ANY])
}

pub(super) fn allowance_keys() -> Keys {
    keys::keys_at(&["upstreams", keys::ANY, "allowances", keys::ANY])
}

pub(super) fn client_keys() -> Keys {
    keys::keys_at(&["clients", keys::ANY])
}

pub(super) fn client_limit_keys() -> Keys {
    keys::keys_at(&["clients", keys::ANY, "limit"])
}
