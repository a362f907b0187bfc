//! Layers into one tree: maps merge, lists replace, the stronger layer wins.
//!
//! The config crate does the layering, and what it layers is the number of the layer that
//! speaks for each key: its values can carry the name of a source, but neither the place of a
//! key nor a value that has been understood. With the number, both are picked from the layer.

use std::collections::HashMap;

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::check::{Field, Held, Item};

/// Lays the layers over each other, the weakest first.
///
/// # Errors
/// The config crate refuses a layer; none of ours gives it a reason to.
pub(super) fn merge(layers: &[Item]) -> Result<Vec<Field>, ConfigError> {
    let mut builder = Config::builder();
    for (number, item) in layers.iter().enumerate() {
        builder = builder.add_source(Layer { speaks: speaks(number, item) });
    }
    let speakers = builder.build()?.collect()?;
    Ok(pick(speakers, &layers.iter().map(Some).collect::<Vec<_>>()))
}

/// A layer as the config crate sees it.
#[derive(Clone, Debug)]
struct Layer {
    speaks: Value,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        self.speaks.clone().into_table()
    }
}

fn speaks(number: usize, item: &Item) -> Value {
    match &item.held {
        Held::Map(fields) => {
            let pair = |field: &Field| (field.key.to_string(), speaks(number, &field.item));
            Value::new(None, ValueKind::Table(fields.iter().map(pair).collect()))
        }
        Held::Plain(_) | Held::Secret(_) | Held::List(_) | Held::Data(_) | Held::Faulty => {
            Value::new(None, ValueKind::U64(number as u64))
        }
    }
}

/// The fields of the layers, in the order in which the layers first mention them.
fn pick(speakers: Map<String, Value>, layers: &[Option<&Item>]) -> Vec<Field> {
    let index: Vec<_> = layers.iter().map(|item| by_key(*item)).collect();
    let mut fields = Vec::with_capacity(speakers.len());
    for (key, speaker) in speakers {
        let written: Vec<_> = index.iter().map(|fields| fields.get(&*key).copied()).collect();
        let mention =
            |(number, field): (usize, &Option<&Field>)| Some((number, (*field)?.at.start));
        let mention = written.iter().enumerate().find_map(mention);
        fields.extend(field(speaker, &written).map(|field| (mention, field)));
    }
    fields.sort_by_key(|(mention, _)| *mention);
    fields.into_iter().map(|(_, field)| field).collect()
}

fn by_key(item: Option<&Item>) -> HashMap<&str, &Field> {
    let fields = item.map_or(&[] as &[Field], Item::fields);
    fields.iter().map(|field| (&*field.key, field)).collect()
}

/// One field, as each of the layers has written it.
fn field(speaker: Value, written: &[Option<&Field>]) -> Option<Field> {
    if let ValueKind::Table(speakers) = speaker.kind {
        let mut field: Field = written.iter().find_map(|field| *field)?.clone();
        let items: Vec<_> = written.iter().map(|field| field.map(|field| &field.item)).collect();
        field.item.held = Held::Map(pick(speakers, &items));
        return Some(field);
    }
    let number = usize::try_from(speaker.into_uint().ok()?).ok()?;
    written.get(number).copied().flatten().cloned()
}
