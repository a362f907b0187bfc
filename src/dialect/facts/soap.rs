//! A SOAP fault, 1.1 or 1.2: its sentence and its most specific code.
//!
//! | | SOAP 1.1 | SOAP 1.2 |
//! | --- | --- | --- |
//! | code | `faultcode` | `Code/Value`, more specific in `Code/Subcode/…/Value` |
//! | sentence | `faultstring` | `Reason/Text` |
//! | the vendor's own error | `detail` | `Detail` |

use serde_json::Value;

use super::members::Members;
use crate::outcome::{Facts, ValueId};

/// Subcodes inside subcodes; services use one or two.
const SUBCODES_MAX: usize = 4;

/// The facts of the fault, unless there is none. `inside` finds those of an object at a pointer.
pub(super) fn fault(tree: &Value, inside: impl Fn(&Value, &str) -> Facts) -> Option<Facts> {
    let fault = Members::of(tree.as_object()?).object("fault")?;
    let mut carried = Vec::new();
    let code = fault_code(&fault, &mut carried);
    let reason = reason(&fault, &mut carried);
    if code.is_none() && reason.is_none() {
        return None;
    }
    let detail = fault.named(&["detail"]).next().filter(|detail| detail.value.is_object());
    let mut facts = detail.map(|detail| inside(detail.value, &detail.at())).unwrap_or_default();
    // The detail's sentence is the more specific one, if it is a sentence.
    let is_sentence = |text: &String| text.trim().contains(char::is_whitespace);
    facts.message = facts.message.filter(|text| reason.is_none() || is_sentence(text)).or(reason);
    facts.code = facts.code.or(code);
    facts.carried.extend(carried);
    Some(facts)
}

/// The code without the prefix of its namespace.
fn fault_code(fault: &Members<'_>, carried: &mut Vec<ValueId>) -> Option<String> {
    let mut code = fault.take(&["faultcode"], carried);
    let mut layer = fault.object("code");
    for _ in 0..SUBCODES_MAX {
        let Some(members) = layer else { break };
        code = members.take(&["value"], carried).or(code);
        layer = members.object("subcode");
    }
    code.map(|code| code.rsplit(':').next().unwrap_or_default().to_owned())
}

/// The sentence, the first of several languages.
fn reason(fault: &Members<'_>, carried: &mut Vec<ValueId>) -> Option<String> {
    let taken = fault.take(&["faultstring", "reason"], carried);
    taken.or_else(|| {
        let reason = fault.object("reason")?;
        let texts = reason.named(&["text"]).next()?;
        let text = texts.value.as_str().or_else(|| texts.value.get(0)?.as_str())?;
        carried.push(texts.id());
        Some(text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_versions_yield_the_sentence_and_the_most_specific_code() {
        let inside = |value: &Value, _: &str| Facts {
            message: value["message"].as_str().map(str::to_owned),
            code: value["code"].as_str().map(str::to_owned),
            carried: vec![ValueId::of(value)],
            ..Facts::default()
        };
        let old = |detail: Value| {
            json!({ "Fault": { "faultcode": "s:Server", "faultstring": "It is busy.",
                    "detail": detail } })
        };
        let new = json!({ "Fault": {
            "Code": { "Value": "s:Receiver", "Subcode": { "Value": "v:Busy" } },
            "Reason": { "Text": ["It is busy.", "Es ist besetzt."] },
        } });
        let rows = [
            (old(Value::Null), "It is busy.", "Server"),
            (old(json!({ "code": "BUSY" })), "It is busy.", "BUSY"),
            (old(json!({ "code": "BUSY", "message": "Busy" })), "It is busy.", "BUSY"),
            (old(json!({ "message": "The depot is busy." })), "The depot is busy.", "Server"),
            (new, "It is busy.", "Busy"),
        ];
        for (tree, message, code) in rows {
            let facts = fault(&tree, inside).unwrap();
            let found = (facts.message.as_deref(), facts.code.as_deref());
            assert_eq!(found, (Some(message), Some(code)), "{tree}");
        }
        for tree in [json!({}), json!({ "Fault": "x" }), json!({ "Fault": { "detail": {} } })] {
            assert!(fault(&tree, inside).is_none(), "{tree}");
        }
    }
}
