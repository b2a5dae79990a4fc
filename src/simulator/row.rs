//! A row of a menu: its `.id` and its attributes.

use std::borrow::Cow;

use super::clock::Now;
use super::value::Value;

/// A row: its `.id` (empty in a menu of one row) and its attributes in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub(super) id: String,
    pub(super) attributes: Vec<(String, Value)>,
}

impl Row {
    /// A row without attributes. The menu that it is inserted into assigns its `.id`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the `.id`, such as `*1F`.
    pub fn id(mut self, id: &str) -> Self {
        self.id = id.to_string();
        self
    }

    /// Sets an attribute.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value.into());
        self
    }

    /// Sets attributes from text such as `name=office disabled=false`, whose values contain no space.
    pub(super) fn with_fields(self, fields: &str) -> Self {
        let fields = fields.split_ascii_whitespace().filter_map(|field| field.split_once('='));
        fields.fold(self, |row, (key, value)| row.with(key, value))
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        match self.attributes.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((key.to_string(), value)),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.attributes.iter().find_map(|(k, value)| (k.as_bytes() == key).then_some(value))
    }

    /// The bytes of an attribute with a fixed value; empty if there is none.
    pub(super) fn bytes(&self, key: &str) -> &[u8] {
        match self.get(key.as_bytes()) {
            Some(Value::Text(bytes)) => bytes,
            _ => b"",
        }
    }

    /// The text of an attribute with a fixed value; empty if there is none.
    pub(super) fn text(&self, key: &str) -> String {
        String::from_utf8_lossy(self.bytes(key)).into_owned()
    }

    /// The current value of `key` on the wire. `.id` counts as an attribute.
    pub(super) fn read(&self, key: &[u8], now: &Now<'_>) -> Option<Cow<'_, [u8]>> {
        if key == b".id" {
            return (!self.id.is_empty()).then_some(Cow::Borrowed(self.id.as_bytes()));
        }
        self.get(key).map(|value| value.render(now))
    }

    /// The current number of `key`; 0 if the row has none.
    pub(super) fn number(&self, key: &str, now: &Now<'_>) -> u64 {
        let text = self.read(key.as_bytes(), now).unwrap_or_default();
        std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}
