//! What the profile of an upstream says beyond its settings: published limits and whether they are
//! in force, and what a customer's URL looks like.

use super::reader::{Resolver, Scope};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::format::Format;
use crate::config::item::{Content, Field, Item};
use crate::config::keys::{self, Declaration, List};

impl<'a> Resolver<'a> {
    pub(super) fn missing_url(&mut self, root: &Scope<'a>, scope: &Scope<'a>, field: &Field) {
        let profile = profile_of(root, scope);
        // An unknown profile may know the URL.
        if profile.is_none() && scope.own(&keys::USE).is_some() {
            return;
        }
        let example = profile.and_then(|profile| profile.written_value(&keys::URL_EXAMPLE));
        let accepted = example.map_or_else(
            || keys::URL.content.0.accepted(),
            |example| format!("your URL, like {example}"),
        );
        let message = format!("`{}` has no `{}`", scope.path, keys::URL.path());
        let diagnostic = Diagnostic::new(DiagnosticCode::MissingKey, Some(field.at), message);
        self.diagnostics.push(diagnostic.key(scope.key(&keys::URL)).accepted(accepted));
    }

    /// The limits that the profile knows and no tier puts in force, for an upstream that has no
    /// allowance at all.
    pub(super) fn published_tiers(&self, root: &Scope<'a>, scope: &Scope<'a>) -> Option<String> {
        let profile = profile_of(root, scope)?;
        let tier = |field: &'a Field| {
            let tier = Scope::of(Some(&field.item), keys::TIER_KEYS, "");
            let allowances = tier.entries(&keys::ALLOWANCES).iter();
            let grants: Vec<String> = allowances.map(grant).collect();
            let about = tier.written_value(&keys::TIER_ABOUT);
            format!(
                "`tier: {}`{} would apply {} ({}, {})",
                field.key,
                about.map_or_else(String::new, |about| format!(" for {about}")),
                if grants.is_empty() { "nothing".to_owned() } else { grants.join(", ") },
                tier.written_value(&keys::TIER_SOURCE).unwrap_or_default(),
                tier.written_value(&keys::TIER_DATE).unwrap_or_default(),
            )
        };
        let tiers: Vec<String> = profile.entries(&keys::TIERS).iter().map(tier).collect();
        (!tiers.is_empty()).then(|| tiers.join("; "))
    }

    /// Repeats the published limits that no allowance can express.
    pub(super) fn warn_of_unsupported(&mut self, root: &Scope<'a>, scope: &Scope<'a>) {
        let Some(profile) = profile_of(root, scope) else { return };
        let named = scope.written_value(&keys::TIER);
        let tiers = profile.entries(&keys::TIERS).iter();
        let tier = tiers.filter(|field| named.as_deref() == Some(&*field.key));
        let tier = tier.map(|field| Scope::of(Some(&field.item), keys::TIER_KEYS, ""));
        let of_tier = tier.flat_map(|tier| sentences(&tier, &keys::TIER_UNSUPPORTED));
        for (item, words) in sentences(&profile, &keys::UNSUPPORTED).chain(of_tier) {
            let message = format!("the vendor also limits, and nothing here enforces: {words}");
            self.warn(item.at, &scope.path, &message);
        }
    }
}

/// The settings of the profile that an upstream uses.
fn profile_of<'a>(root: &Scope<'a>, upstream: &Scope<'a>) -> Option<Scope<'a>> {
    let name = upstream.written_value(&keys::USE)?;
    let field = root.entries(&keys::PROFILES).iter().find(|field| *field.key == *name)?;
    Some(Scope::of(Some(&field.item), keys::PROFILE, format!("profiles.{name}")))
}

/// The texts of a list, with where they are written.
fn sentences<'a, F: Format>(
    scope: &Scope<'a>,
    list: &List<F>,
) -> impl Iterator<Item = (&'a Item, &'a str)> + use<'a, F> {
    let items = scope.own(list).map_or(&[][..], Item::entries);
    items.iter().filter_map(|item| match &item.content {
        Content::Text(text) => Some((item, &**text)),
        Content::Secret(_)
        | Content::Map(_)
        | Content::List(_)
        | Content::Data(_)
        | Content::Faulty => None,
    })
}

/// `reads 100/s`, `parallel 8 at a time`.
fn grant(field: &Field) -> String {
    let scope = Scope::of(Some(&field.item), keys::ALLOWANCE, "");
    let limit = scope.written_value(&keys::LIMIT).map(|limit| limit.to_string());
    let parallel = scope.written_value(&keys::CONCURRENCY).map(|it| format!("{it} at a time"));
    format!("{} {}", field.key, limit.or(parallel).unwrap_or_default())
}
