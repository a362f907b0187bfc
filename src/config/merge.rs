//! Layers into one tree: maps merge, lists replace, the stronger layer wins.
//!
//! The config crate does the layering. Its values carry an origin, which here is the number of the
//! field they were written in, so that key, location and structure are found again afterwards.

use std::collections::HashMap;

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::item::{Content, Field, Item};
use super::tree::Location;

/// Merges the layers, the weakest first.
///
/// # Errors
/// The config crate rejects a layer; none of ours gives it a reason to.
pub(super) fn merge(layers: &[Item]) -> Result<Item, ConfigError> {
    let mut written = Written::default();
    let mut builder = Config::builder();
    for layer in layers {
        builder = builder.add_source(Layer(written.table("", layer.fields())));
    }
    let merged = builder.build()?.collect()?;
    Ok(Item::map(Location::whole(0), written.fields("", merged)))
}

/// A layer as the config crate reads it.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// The fields of all layers by number, and the first that has each path.
#[derive(Default)]
struct Written<'l> {
    fields: Vec<&'l Field>,
    first: HashMap<String, usize>,
}

impl<'l> Written<'l> {
    fn table(&mut self, path: &str, fields: &'l [Field]) -> Map<String, Value> {
        fields.iter().map(|field| (field.key.to_string(), self.value(path, field))).collect()
    }

    fn value(&mut self, path: &str, field: &'l Field) -> Value {
        let number = self.fields.len();
        self.fields.push(field);
        let path = format!("{path}.{}", field.key);
        let kind = self.kind(&path, &field.item);
        self.first.entry(path).or_insert(number);
        Value::new(Some(&number.to_string()), kind)
    }

    fn kind(&mut self, path: &str, item: &'l Item) -> ValueKind {
        match &item.content {
            Content::Map(fields) => ValueKind::Table(self.table(path, fields)),
            Content::Text(text) => ValueKind::String(text.to_string()),
            Content::Secret(reference) => ValueKind::String(reference.to_yaml()),
            Content::Data(node) => ValueKind::String(node.to_json().to_string()),
            Content::Faulty => ValueKind::Nil,
            Content::List(items) => {
                let value = |item| Value::new(None, self.kind(path, item));
                ValueKind::Array(items.iter().map(value).collect())
            }
        }
    }

    /// Fields in the order in which the layers first have their keys.
    fn fields(&self, path: &str, merged: Map<String, Value>) -> Vec<Field> {
        let mut numbered: Vec<_> = merged
            .into_iter()
            .filter_map(|(key, value)| self.field(&format!("{path}.{key}"), value))
            .collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, field)| field).collect()
    }

    fn field(&self, path: &str, value: Value) -> Option<(usize, Field)> {
        let first = *self.first.get(path)?;
        let origin = value.origin().and_then(|origin| origin.parse::<usize>().ok());
        if let ValueKind::Table(merged) = value.kind {
            let field: &Field = self.fields[first];
            let item = Item::map(field.item.at, self.fields(path, merged));
            return Some((first, Field { item, ..field.clone() }));
        }
        let field: &Field = self.fields.get(origin?)?;
        Some((first, field.clone()))
    }
}
