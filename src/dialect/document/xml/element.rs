//! One element → its value: a text, an object, or an array where it is a list.

use serde_json::{Map, Value};

use crate::dialect::document::cut::prefix;

const TEXT: &str = "#text";

/// Bytes of a name; a longer one is no name that anything looks for.
const NAME_BYTES_MAX: usize = 100;

/// Elements inside a text that only mark it up.
const INLINE: [&str; 11] =
    ["a", "abbr", "b", "br", "em", "font", "i", "small", "span", "strong", "u"];

/// Names that say what an element is about. `<message key="a">b</message>` is a message, not the
/// member `a`.
const FACTS: [&str; 16] = [
    "error",
    "fault",
    "problem",
    "message",
    "msg",
    "violation",
    "exception",
    "warning",
    "issue",
    "failure",
    "reason",
    "text",
    "code",
    "detail",
    "description",
    "title",
];

/// Names of entries that may themselves hold elements (`<lst name="error">…</lst>`, Solr).
const ENTRIES: [&str; 9] =
    ["entry", "item", "lst", "map", "struct", "object", "member", "property", "arr"];

/// Names of the items of any list of errors.
const ITEMS: [&str; 14] = [
    "error",
    "message",
    "problem",
    "item",
    "entry",
    "element",
    "member",
    "msg",
    "string",
    "text",
    "description",
    "fault",
    "reason",
    "li",
];

/// What ends the name of a list of errors; it may name the items.
const LISTS: [&str; 9] = [
    "errors",
    "problems",
    "messages",
    "violations",
    "issues",
    "failures",
    "causes",
    "faults",
    "warnings",
];

/// The types of values in XML-RPC.
const RPC_TYPES: [&str; 10] = [
    "string",
    "int",
    "i4",
    "i8",
    "boolean",
    "double",
    "datetime.iso8601",
    "base64",
    "struct",
    "array",
];

#[derive(Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Map<String, Value>,
    pub(super) text: String,
    /// The values of the elements inside, an array for each name.
    elements: Map<String, Value>,
}

impl Element {
    pub(super) fn new(name: String, attributes: Map<String, Value>) -> Self {
        Self { name, attributes, ..Self::default() }
    }

    /// Takes an element that is complete.
    pub(super) fn add(&mut self, mut inner: Self) {
        if INLINE.contains(&inner.name.as_str())
            && inner.elements.is_empty()
            && !self.text.trim().is_empty()
        {
            self.text.push(' ');
            self.text.push_str(inner.text.trim());
            self.text.push(' ');
            return;
        }
        if let Some((name, value)) = inner.take_entry() {
            self.push(name, value);
            return;
        }
        let name = std::mem::take(&mut inner.name);
        if let Some(items) = inner.take_items(&name) {
            // What is said of a list stands beside it, but for Rails' word that it is one.
            inner.attributes.retain(|name, value| !(name == "type" && value == "array"));
            for (name, value) in inner.attributes {
                self.attributes.entry(name).or_insert(value);
            }
            self.push(name, items);
            return;
        }
        self.push(name, inner.into_value());
    }

    fn push(&mut self, name: String, value: Value) {
        let values = self.elements.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Some(values) = values.as_array_mut() {
            values.push(value);
        }
    }

    pub(super) fn into_value(self) -> Value {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.attributes.is_empty() && self.elements.is_empty() {
            return if text.is_empty() { Value::Null } else { Value::String(text) };
        }
        let mut members = Map::new();
        for (name, value) in self.attributes {
            let taken = self.elements.contains_key(&name);
            members.insert(if taken { format!("@{name}") } else { name }, value);
        }
        for (name, values) in self.elements {
            members.insert(name, single_or_array(values));
        }
        if !text.is_empty() {
            members.insert(TEXT.to_owned(), Value::String(text));
        }
        Value::Object(members)
    }

    /// The name and the value of an element that stands for a member: `<entry key="a">b</entry>`,
    /// `<param name="a" value="b"/>`, `<member><name>a</name><value>b</value></member>`.
    fn take_entry(&mut self) -> Option<(String, Value)> {
        let own = self.name.to_ascii_lowercase();
        if FACTS.iter().any(|fact| own.contains(fact)) {
            return None;
        }
        let is_key =
            |name: &str| name.eq_ignore_ascii_case("key") || name.eq_ignore_ascii_case("name");
        let is_value = |name: &str| name.eq_ignore_ascii_case("value");
        let names: Vec<&str> = self.attributes.keys().map(String::as_str).collect();
        let (key, value) = match names.as_slice() {
            [] if self.elements.len() == 2 => {
                let inside = |is: &dyn Fn(&str) -> bool| {
                    let (_, values) = self.elements.iter().find(|(name, _)| is(name))?;
                    values.as_array().filter(|values| values.len() == 1)?.first()
                };
                let key = inside(&is_key)?.as_str()?.to_owned();
                (key, rpc_value(inside(&is_value)?.clone()))
            }
            [name] if is_key(name) => {
                if !self.elements.is_empty() && !ENTRIES.contains(&own.as_str()) {
                    return None;
                }
                let key = self.attributes.get(*name)?.as_str()?.to_owned();
                self.attributes.clear();
                (key, std::mem::take(self).into_value())
            }
            [_, _] if self.text.trim().is_empty() && self.elements.is_empty() => {
                let named = |is: &dyn Fn(&str) -> bool| {
                    self.attributes.iter().find(|(name, _)| is(name)).map(|(_, value)| value)
                };
                (named(&is_key)?.as_str()?.to_owned(), named(&is_value)?.clone())
            }
            _ => return None,
        };
        (!key.is_empty()).then(|| (short(&key), value))
    }

    /// The items of a list, which is known by its name and by holding nothing else.
    fn take_items(&mut self, name: &str) -> Option<Value> {
        let name = name.to_ascii_lowercase();
        let (item, _) = self.elements.iter().next().filter(|_| self.elements.len() == 1)?;
        let item_name = item.to_ascii_lowercase();
        let stem = item_name.strip_suffix('y');
        let named_after = name.ends_with(&format!("{item_name}s"))
            || name.ends_with(&format!("{item_name}es"))
            || name.ends_with(&format!("{item_name}list"))
            || name == format!("arrayof{item_name}")
            || stem.is_some_and(|stem| name.ends_with(&format!("{stem}ies")));
        let of_errors =
            ITEMS.contains(&item_name.as_str()) && LISTS.iter().any(|it| name.ends_with(it));
        if !self.text.trim().is_empty() || !(named_after || of_errors) {
            return None;
        }
        let item = item.clone();
        self.elements.remove(&item)
    }
}

/// The only value of a name, else all of them.
fn single_or_array(mut values: Value) -> Value {
    match values.as_array_mut() {
        Some(items) if items.len() == 1 => items.remove(0),
        Some(_) | None => values,
    }
}

/// A value of XML-RPC without the element that names its type.
pub(super) fn rpc_value(mut value: Value) -> Value {
    let members = value.as_object_mut().filter(|members| members.len() == 1);
    let inner = members.and_then(|members| {
        let (name, inner) = members.iter_mut().next()?;
        RPC_TYPES.contains(&name.to_ascii_lowercase().as_str()).then(|| inner.take())
    });
    inner.unwrap_or(value)
}

pub(super) fn short(name: &str) -> String {
    prefix(name, NAME_BYTES_MAX).to_owned()
}
