//! The fields of an event or span, with their types.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// The message and the fields, in the order they were written.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) fields: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        // A raw identifier keeps its mark in tracing.
        let name = field.name().trim_start_matches("r#").to_owned();
        self.fields.push((name, value));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.add(field, text.into()),
        }
    }
}

/// Keeps the fields of a span as pieces of a JSON array, from which the line takes them.
#[derive(Debug)]
pub(super) struct AsJson;

impl<'w> FormatFields<'w> for AsJson {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut read = Fields::default();
        fields.record(&mut read);
        for (name, value) in read.fields {
            write!(writer, "{},{value},", Value::from(name))?;
        }
        Ok(())
    }
}

/// The fields that [`AsJson`] has kept.
pub(super) fn kept(text: &str) -> Vec<(String, Value)> {
    let list: Vec<Value> =
        serde_json::from_str(&format!("[{}]", text.trim_end_matches(','))).unwrap_or_default();
    let pairs = list.chunks_exact(2).filter_map(|pair| match pair {
        [Value::String(name), value] => Some((name.clone(), value.clone())),
        _ => None,
    });
    pairs.collect()
}
