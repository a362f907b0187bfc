//! What a call costs of an allowance, and the places of different costs among those of a call.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::reader::{Resolver, Scope};
use super::upstream::BothSides;
use crate::allowance::{AccountRule, COST_CLASSES, CostClass, CostPart, CostRule, Grant, UsedAt};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::item::{Field, Item};
use crate::config::keys::{self, Declaration};

impl<'a> Resolver<'a> {
    /// The cost of an allowance that has one of its own; `None` where it is faulty.
    pub(super) fn cost(
        &mut self,
        allowance: &Scope<'a>,
        grant: &Grant,
        headroom: u32,
    ) -> Option<Option<CostRule>> {
        let Some(item) = allowance.own(&keys::COST) else { return Some(None) };
        if matches!(grant, Grant::Concurrency { .. }) {
            let message = "`cost` has no effect beside `concurrency`, which counts calls";
            let key = allowance.key(&keys::COST);
            self.conflict(Some(item.at), key, message, "`concurrency` alone");
            return None;
        }
        let scope = Scope::of(Some(item), keys::COST_KEYS, allowance.key(&keys::COST));
        let default = self.optional(&scope, &keys::COST_DEFAULT);
        self.record_own(&scope, &keys::COST_REQUEST);
        let request = scope.maps(&keys::COST_REQUEST).iter().enumerate();
        let key = scope.key(&keys::COST_REQUEST);
        let request: Vec<_> =
            request.map(|(number, part)| self.cost_part(part, format!("{key}.{number}"))).collect();
        let used = match scope.own(&keys::COST_SETTLE) {
            Some(item) => Some(self.used(item, scope.key(&keys::COST_SETTLE))?),
            None => None,
        };
        let (default, request) = (default?, request.into_iter().collect::<Option<Vec<_>>>()?);
        let most = grant.units().saturating_sub(headroom);
        if most < default {
            let at = scope.own(&keys::COST_DEFAULT).map(|item| item.at);
            let message = format!("a call that costs {default} never fits into {most}");
            let key = scope.key(&keys::COST_DEFAULT);
            self.conflict(at, key, message, format!("at most {most}"));
            return None;
        }
        if let (Some(UsedAt::Json(_)), Some(guard)) = (&used, allowance.own(&keys::ARRIVAL_GUARD)) {
            let message = "`arrival_guard` has no effect where the body of an answer says the cost";
            let key = allowance.key(&keys::ARRIVAL_GUARD);
            self.conflict(Some(guard.at), key, message, "`cost` alone");
        }
        Some(Some(CostRule { request, default, used }))
    }

    fn cost_part(&mut self, item: &'a Item, path: String) -> Option<CostPart> {
        let scope = Scope::of(Some(item), keys::COST_PART_KEYS, path);
        let all: [&dyn Declaration; 3] = [&keys::COST_JSON, &keys::COST_HEADER, &keys::COST_BYTES];
        match self.only_key(&scope, &all, "`json`, `header` or `bytes`")? {
            0 => scope.written_list(&keys::COST_JSON).map(CostPart::Json),
            1 => scope.written_value(&keys::COST_HEADER).map(|it| CostPart::Header(it.name)),
            _ => {
                let each = scope.written_value(&keys::COST_BYTES)?;
                NonZeroU32::new(each).map(CostPart::Bytes)
            }
        }
    }

    fn used(&mut self, item: &'a Item, path: String) -> Option<UsedAt> {
        let scope = Scope::of(Some(item), keys::SETTLE_KEYS, path);
        let all: [&dyn Declaration; 2] = [&keys::SETTLE_HEADER, &keys::SETTLE_JSON];
        all.iter().for_each(|setting| self.record_own(&scope, *setting));
        match self.only_key(&scope, &all, "`header` or `json`")? {
            0 => scope.written_value(&keys::SETTLE_HEADER).map(|it| UsedAt::Header(it.name)),
            _ => scope.written_list(&keys::SETTLE_JSON).map(UsedAt::Json),
        }
    }

    /// Which of these keys is written; there has to be exactly one.
    fn only_key(
        &mut self,
        scope: &Scope<'a>,
        keys: &[&dyn Declaration],
        names: &str,
    ) -> Option<usize> {
        let item = scope.strong.first().filter(|item| item.is_map())?;
        let written: Vec<_> =
            keys.iter().enumerate().filter(|(_, key)| scope.own(**key).is_some()).collect();
        if let [(only, _)] = &*written {
            return Some(*only);
        }
        let found = written.iter().map(|(_, key)| format!("`{}`", key.path()));
        let (code, message) = match written.len() {
            0 => (DiagnosticCode::MissingKey, format!("`{}` says nothing", scope.path)),
            _ => {
                let found = found.collect::<Vec<_>>().join(" and ");
                (DiagnosticCode::Conflict, format!("{found} cannot stand side by side"))
            }
        };
        let diagnostic = Diagnostic::new(code, Some(item.at), message).key(scope.path.clone());
        self.diagnostics.push(diagnostic.accepted(format!("one of {names}")));
        None
    }

    /// Gives the different costs of each account their places.
    pub(super) fn place_costs(&mut self, fields: &'a [Field], upstreams: &mut [BothSides]) {
        let mut accounts: BTreeMap<(bool, Arc<str>), Vec<Arc<CostRule>>> = BTreeMap::new();
        for (field, both) in fields.iter().zip(upstreams) {
            let Some((upstream, _)) = both else { continue };
            let account = match &upstream.account {
                AccountRule::Named(name) => (true, Arc::clone(name)),
                AccountRule::Upstream | AccountRule::Header(_) => {
                    (false, Arc::clone(&upstream.name))
                }
            };
            let rules = accounts.entry(account).or_default();
            for allowance in &mut upstream.allowances {
                let Some(rule) = &allowance.cost else { continue };
                let known = rules.iter().position(|other| other == rule);
                let place = known.unwrap_or(rules.len());
                if known.is_none() {
                    rules.push(Arc::clone(rule));
                }
                let class = u8::try_from(place + 1).ok().and_then(CostClass::new);
                allowance.cost_class = class.unwrap_or(CostClass::CALLS);
            }
            if COST_CLASSES <= rules.len() {
                let message = format!("one account has {} different costs", rules.len());
                let diagnostic = Diagnostic::new(DiagnosticCode::Range, Some(field.at), message);
                let diagnostic = diagnostic.key(format!("upstreams.{}.allowances", field.key));
                self.diagnostics.push(diagnostic.found(rules.len().to_string()).accepted(format!(
                    "at most {} beside the count of calls: give allowances that count the same \
                     units the same `cost`",
                    COST_CLASSES - 1
                )));
            }
        }
    }
}
