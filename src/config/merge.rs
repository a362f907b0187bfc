//! Layers into one tree: maps merge, lists replace, the stronger layer wins.
//!
//! The config crate does the layering, and what it layers is the number of the layer that
//! speaks for each key: its values can carry the name of a source, but neither the place of a
//! key nor a value that has been understood. With the number, both are picked from the layer.

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
    let mut picker = Picker { layers, path: Vec::new() };
    Ok(picker.fields(speakers))
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

struct Picker<'l> {
    layers: &'l [Item],
    path: Vec<String>,
}

impl Picker<'_> {
    /// In the order in which the layers first mention them.
    fn fields(&mut self, speakers: Map<String, Value>) -> Vec<Field> {
        let mut fields = Vec::with_capacity(speakers.len());
        for (key, speaker) in speakers {
            self.path.push(key);
            fields.extend(self.field(speaker).map(|field| (self.first_mention(), field)));
            self.path.pop();
        }
        fields.sort_by_key(|(mention, _)| *mention);
        fields.into_iter().map(|(_, field)| field).collect()
    }

    fn field(&mut self, speaker: Value) -> Option<Field> {
        if let ValueKind::Table(speakers) = speaker.kind {
            let mut written = self.layers.iter().find_map(|layer| self.written(layer)).cloned()?;
            written.item.held = Held::Map(self.fields(speakers));
            return Some(written);
        }
        let number = usize::try_from(speaker.into_uint().ok()?).ok()?;
        self.written(self.layers.get(number)?).cloned()
    }

    fn first_mention(&self) -> (usize, usize) {
        let mention = |(number, layer)| Some((number, self.written(layer)?.at.start));
        self.layers.iter().enumerate().find_map(mention).unwrap_or_default()
    }

    fn written<'l>(&self, layer: &'l Item) -> Option<&'l Field> {
        let (last, parents) = self.path.split_last()?;
        layer.find(parents.iter().map(String::as_str))?.field(last)
    }
}
