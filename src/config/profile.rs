//! Profiles: what is known of a vendor, as settings beneath those of an upstream that uses it.
//!
//! A profile is stronger than `defaults` and the dialect, because it joins the tree as a part of
//! the upstream before anything is resolved. Maps merge, lists replace, as between layers, but
//! for two maps whose keys exclude each other: the account and the credential.

use std::collections::BTreeMap;

use super::check;
use super::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics, nearest};
use super::item::{Content, Field, Item};
use super::keys::{self, Declaration, Keys};
use super::tree::{Location, SourceName};
use super::yaml;

/// A profile that is part of the program.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInProfile {
    pub name: &'static str,
    /// Its YAML, as it stands in `config/profiles/`.
    pub text: &'static str,
}

impl BuiltInProfile {
    /// Name, vendor, URL and tiers, for a list.
    #[must_use]
    pub fn line(&self) -> String {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.sources.add(SourceName::Profile(self.name), String::new());
        let node = yaml::read(source, self.text, &mut diagnostics).ok().flatten();
        let item = node.map(|node| check::part(node, keys::PROFILE, &[], &mut diagnostics));
        let item = item.unwrap_or_else(|| Item::map(Location::whole(source), Vec::new()));
        let text = |setting: &dyn Declaration| {
            text(&item, setting).map_or_else(String::new, |(text, _)| text.into())
        };
        let url = Some(text(&keys::URL)).filter(|url| !url.is_empty());
        let url = url.unwrap_or_else(|| text(&keys::URL_EXAMPLE).replace("://acme", "://YOURS"));
        let tiers = item.find(keys::TIERS.path()).map_or(&[][..], Item::fields);
        let tiers: Vec<&str> = tiers.iter().map(|field| &*field.key).collect();
        let tiers = if tiers.is_empty() { "-".to_owned() } else { tiers.join(", ") };
        format!("{:16} {:20} {url:52} {tiers}", self.name, text(&keys::PROFILE_NAME))
    }
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltInProfile {
            name: $name,
            text: include_str!(concat!("../../config/profiles/", $name, ".yaml")),
        }),*]
    };
}

const BUILT_IN: &[BuiltInProfile] = built_in![
    "anthropic",
    "aws_dynamodb",
    "aws_s3",
    "droplink",
    "github",
    "google_cloud",
    "microsoft_graph",
    "openai",
    "salesforce",
    "shopify",
    "slack",
    "stripe",
    "twilio",
    "wordbee",
];

pub fn built_in_profiles() -> impl Iterator<Item = BuiltInProfile> {
    BUILT_IN.iter().copied()
}

/// Puts the profile of each upstream beneath it. Built-in profiles that are used join `profiles`.
pub(super) fn apply(merged: Item, diagnostics: &mut Diagnostics) -> Item {
    let own = merged.find(keys::PROFILES.path()).map_or(&[][..], Item::fields);
    let own = own.iter().map(|field| (field.key.clone(), field.clone()));
    let mut profiles = Profiles { known: own.collect(), diagnostics };
    let Item { at, content: Content::Map(mut fields) } = merged else { return merged };
    for field in fields.iter_mut().filter(|field| *field.key == *keys::UPSTREAMS.path()) {
        if let Content::Map(upstreams) = &mut field.item.content {
            upstreams.iter_mut().for_each(|upstream| profiles.beneath(upstream));
        }
    }
    fields.retain(|field| *field.key != *keys::PROFILES.path());
    let known = profiles.known.into_values().collect();
    let key = keys::PROFILES.path().into();
    fields.push(Field { key, at, item: Item::map(at, known) });
    Item::map(at, fields)
}

struct Profiles<'d> {
    known: BTreeMap<Box<str>, Field>,
    diagnostics: &'d mut Diagnostics,
}

impl Profiles<'_> {
    fn beneath(&mut self, upstream: &mut Field) {
        let key = format!("{}.{}", keys::UPSTREAMS.path(), upstream.key);
        let Some((name, used_at)) = text(&upstream.item, &keys::USE) else {
            if let Some((_, at)) = text(&upstream.item, &keys::TIER) {
                let message = "a tier is one of a profile, and there is no `use`";
                let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, Some(at), message);
                let diagnostic = diagnostic.key(format!("{key}.{}", keys::TIER.path()));
                self.diagnostics.push(diagnostic.accepted("`use: NAME` beside it"));
            }
            return;
        };
        let Some(profile) = self.named(&name, used_at, &key) else { return };
        let allowances = self.allowances(&upstream.item, &profile, &name, &key);
        let describing = |field: &Field| Keys::of(keys::UPSTREAM).find(&field.key).is_none();
        let known = profile.fields().iter().filter(|field| !describing(field));
        let known = known.filter(|field| !is_replaced(&upstream.item, field)).cloned();
        let known = Item::map(profile.at, known.chain(allowances).collect());
        upstream.item = over(&upstream.item, &known);
    }

    fn named(&mut self, name: &str, at: Location, upstream: &str) -> Option<Item> {
        if let Some(own) = self.known.get(name) {
            return Some(own.item.clone());
        }
        if let Some(profile) = BUILT_IN.iter().find(|profile| profile.name == name) {
            let source = SourceName::Profile(profile.name);
            let source = self.diagnostics.sources.add(source, profile.text.to_owned());
            let node = yaml::read(source, profile.text, self.diagnostics).ok().flatten()?;
            let at = node.at;
            let item = check::part(node, keys::PROFILE, &["profiles", name], self.diagnostics);
            let field = Field { key: name.into(), at, item: item.clone() };
            self.known.insert(name.into(), field);
            return Some(item);
        }
        let names: Vec<&str> = BUILT_IN.iter().map(|profile| profile.name).collect();
        let own = self.known.keys().map(|name| &**name).filter(|name| !names.contains(name));
        let mut names: Vec<&str> = names.iter().copied().chain(own).collect();
        names.sort_unstable();
        let message = format!("there is no profile `{name}`");
        let diagnostic = Diagnostic::new(DiagnosticCode::Reference, Some(at), message);
        let diagnostic = diagnostic.key(format!("{upstream}.{}", keys::USE.path())).found(name);
        let diagnostic = diagnostic.nearest(nearest(name, names.iter().copied()));
        self.diagnostics.push(diagnostic.accepted(names.join(", ")));
        None
    }

    /// The allowances of the tier that the upstream names, if it names one.
    fn allowances(
        &mut self,
        upstream: &Item,
        profile: &Item,
        name: &str,
        key: &str,
    ) -> Option<Field> {
        let (tier, at) = text(upstream, &keys::TIER)?;
        let tiers = profile.find(keys::TIERS.path()).map_or(&[][..], Item::fields);
        if let Some(found) = tiers.iter().find(|field| *field.key == *tier) {
            return found.item.field(keys::ALLOWANCES.path()).cloned();
        }
        let names: Vec<&str> = tiers.iter().map(|field| &*field.key).collect();
        let message = format!("the profile `{name}` has no tier `{tier}`");
        let diagnostic = Diagnostic::new(DiagnosticCode::Reference, Some(at), message);
        let diagnostic = diagnostic.key(format!("{key}.{}", keys::TIER.path())).found(&*tier);
        let diagnostic = diagnostic.nearest(nearest(&tier, names.iter().copied()));
        let accepted = match names.as_slice() {
            [] => "no tier: the vendor publishes no limits; `allowances: { all: 10/s }`".to_owned(),
            names => names.join(", "),
        };
        self.diagnostics.push(diagnostic.accepted(accepted));
        None
    }
}

/// The text that an upstream has for a setting, and where.
fn text(upstream: &Item, setting: &dyn Declaration) -> Option<(Box<str>, Location)> {
    let item = &upstream.field(setting.path())?.item;
    let Content::Text(text) = &item.content else { return None };
    Some((text.clone(), item.at))
}

/// Whether the upstream has something else in place of what the profile knows: an account of its
/// own, a header of its own for the credential, or no credential.
fn is_replaced(upstream: &Item, known: &Field) -> bool {
    let own = upstream.field(&known.key);
    if *known.key == *keys::ACCOUNT.path() {
        own.is_some()
    } else if *known.key == *keys::AUTH.path() {
        own.is_none_or(|auth| auth.item.find("header").is_some())
    } else {
        false
    }
}

/// Maps merge; of everything else the stronger remains.
fn over(strong: &Item, weak: &Item) -> Item {
    let (Content::Map(fields), Content::Map(weaker)) = (&strong.content, &weak.content) else {
        return strong.clone();
    };
    let merged = fields.iter().map(|field| match weak.field(&field.key) {
        Some(beneath) => Field { item: over(&field.item, &beneath.item), ..field.clone() },
        None => field.clone(),
    });
    let added = weaker.iter().filter(|field| strong.field(&field.key).is_none()).cloned();
    Item::map(strong.at, merged.chain(added).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{load_text, messages, warnings_of};
    use crate::config::{Environment, LoadRequest, Loaded, load};

    #[track_caller]
    fn loaded(text: &str) -> Loaded {
        let env = Environment::of([("KEY", "s3cret")]);
        load_text(text, &env, &[]).unwrap_or_else(|it| panic!("{:#?}", messages(&it)))
    }

    #[test]
    fn every_built_in_profile_loads_by_its_name_alone_or_asks_for_the_url() {
        for profile in built_in_profiles() {
            let name = profile.name;
            let text = format!("upstreams: {{ v: {{ use: {name}, allowances: {{ a: 1/s }} }} }}");
            if let Err(diagnostics) = load_text(&text, &Environment::default(), &[]) {
                let found = messages(&diagnostics);
                assert_eq!(found.len(), 1, "{name}: {found:#?}");
                assert!(found[0].contains("`upstreams.v` has no `url`"), "{name}: {found:#?}");
                let example = diagnostics.list[0].accepted.as_deref().unwrap_or_default();
                assert!(example.contains("like https://"), "{name}: {example}");
            }
        }
    }

    #[test]
    fn every_tier_of_every_profile_loads_with_a_source_and_a_date() {
        for profile in built_in_profiles() {
            let line = profile.line();
            let tiers = line.rsplit("  ").next().unwrap_or_default().trim();
            for tier in tiers.split(", ").filter(|tier| *tier != "-") {
                let name = profile.name;
                let text = format!(
                    "upstreams: {{ v: {{ use: {name}, tier: {tier}, url: 'https://a.b' }} }}"
                );
                let loaded = loaded(&text);
                let unintended = |it: &&String| {
                    !it.contains("forgotten when the process ends") && !it.contains("also limits")
                };
                let warnings: Vec<_> = loaded.warnings.iter().filter(unintended).collect();
                assert!(warnings.is_empty(), "{name} {tier}: {warnings:#?}");
            }
        }
    }

    #[test]
    fn one_word_brings_what_is_known_of_the_vendor_and_its_origin() {
        let loaded = loaded(
            "defaults: { timeouts: { attempt: 7s } }
upstreams:
  stripe: { use: stripe, allowances: { all: 9/s }, auth: { value: { env: KEY } } }",
        );
        let stripe = &loaded.settings.gateway.upstreams[0];
        assert_eq!(stripe.origin.as_ref(), "https://api.stripe.com");
        assert_eq!(&*stripe.policy.dialect.name, "stripe");
        assert_eq!(stripe.policy.attempt_timeout.as_secs(), 80, "stronger than `defaults`");
        let credential = stripe.credential.as_ref().unwrap();
        assert_eq!(credential.value.to_str().unwrap(), "Bearer s3cret");
        let origin = loaded.provenance.origin_of("upstreams.stripe.url").unwrap().to_string();
        assert!(origin.starts_with("profile stripe:"), "{origin}");
        assert!(loaded.show().contains("# profile stripe:"), "{}", loaded.show());
    }

    #[test]
    fn the_upstream_and_its_routes_are_stronger_than_the_profile() {
        let loaded = loaded(
            "upstreams:
  a: { use: stripe, url: 'https://mock.example', timeouts: { attempt: 1s },
       allowances: { all: 9/s }, routes: [{ match: { path: /x }, timeouts: { attempt: 2s } }],
       auth: { header: x-key, value: { env: KEY } } }
  b: { use: stripe, allowances: { all: 9/s } }",
        );
        let [a, b] = loaded.settings.gateway.upstreams.as_slice() else { panic!() };
        assert_eq!((a.origin.as_ref(), &*a.name), ("https://mock.example", "a"));
        assert_eq!(a.policy.attempt_timeout.as_secs(), 1);
        assert_eq!(a.routes[0].1.attempt_timeout.as_secs(), 2);
        let credential = a.credential.as_ref().unwrap();
        assert_eq!(credential.value.to_str().unwrap(), "s3cret", "no scheme of another header");
        assert!(b.credential.is_none(), "without `auth` the client's own is sent on");
    }

    #[test]
    fn only_a_named_tier_puts_published_limits_in_force() {
        let none = "upstreams: { v: { use: stripe } }";
        let settings = loaded(none).settings;
        assert!(settings.gateway.upstreams[0].allowances.is_empty());
        let warnings = warnings_of(none).concat();
        for words in
            ["`tier: live`", "would apply all 100/s", "https://docs.stripe.com/rate-limits"]
        {
            assert!(warnings.contains(words), "{words}: {warnings}");
        }
        let live =
            "upstreams: { v: { use: stripe, tier: live, allowances: { all: { burst: 7 } } } }";
        let settings = loaded(live).settings;
        let all = &settings.gateway.upstreams[0].allowances[0];
        assert_eq!(format!("{:?}", all.grant).matches("limit: 100").count(), 1, "{all:?}");
        assert_eq!(format!("{:?}", all.grant).matches("burst: 7").count(), 1, "{all:?}");
    }

    #[test]
    fn a_limit_that_no_allowance_can_express_is_repeated() {
        let warnings = warnings_of("upstreams: { v: { use: droplink, allowances: { a: 1/s } } }");
        let about =
            |it: &&String| it.contains("nothing here enforces") && it.contains("profile droplink:");
        assert_eq!(warnings.iter().filter(about).count(), 1, "{warnings:#?}");
    }

    #[test]
    fn the_account_and_the_exempt_calls_of_a_profile_hold_for_allowances_of_ones_own() {
        let own = |rest: &str| {
            let text =
                format!("upstreams: {{ v: {{ use: wordbee, url: 'https://a.b/api', {rest} }} }}");
            loaded(&text).settings
        };
        let settings = own("allowances: { a: 9/h, b: { limit: 9/s, exempt: [] } }");
        let v = &settings.gateway.upstreams[0];
        assert!(format!("{:?}", v.account).contains("x-auth-accountid"), "{:?}", v.account);
        let exempt: Vec<_> = v.allowances.iter().map(|it| it.exempt.len()).collect();
        assert_eq!(exempt, [1, 0]);
        let settings = own("allowances: { a: 9/h }, account: { name: ours }");
        assert!(format!("{:?}", settings.gateway.upstreams[0].account).contains("ours"));
    }

    #[test]
    fn own_profiles_are_read_from_the_folder_beside_the_main_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("profiles")).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "profiles/payco.yaml",
            "url: https://api.payco.example
documentation: https://docs.payco.example
support: help@payco.example
tiers: { big: { source: contract, date: 2026-01-01, allowances: { all: 9/s } } }",
        );
        write("evenkeel.yaml", "upstreams: { v: { use: payco, tier: big } }");
        let file = folder.path().join("evenkeel.yaml");
        let request = LoadRequest { files: vec![file], ..LoadRequest::default() };
        let loaded = load(&request, &Environment::default()).unwrap();
        let v = &loaded.settings.gateway.upstreams[0];
        assert_eq!(v.allowances.len(), 1);
        assert_eq!(v.policy.dialect.documentation.as_deref(), Some("https://docs.payco.example"));
        assert_eq!(&*v.policy.dialect.support.as_ref().unwrap().contact, "help@payco.example");
        let origin = loaded.provenance.origin_of("upstreams.v.url").unwrap().to_string();
        assert!(origin.ends_with("profiles/payco.yaml:1:6"), "{origin}");
    }

    #[test]
    fn what_is_shown_of_a_profile_loads_to_the_same_settings() {
        let first =
            loaded("upstreams: { s: { use: stripe, tier: live, auth: { value: { env: KEY } } } }");
        let again = loaded(&first.show());
        assert_eq!(format!("{:?}", again.settings), format!("{:?}", first.settings));
    }
}
