//! A block whose keys and values have been checked against its table. What builds entities asks it for values by name, and
//! gets the table's default where nothing was written.

use super::problem::Mark;
use super::table::{Given, Table};
use super::tree::Text;
use super::units;
use std::sync::Arc;
use std::time::Duration;

/// A checked block.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) table: &'static Table,
    pub(super) mark: Mark,
    /// By the table's order.
    items: Vec<Option<Item>>,
    /// Fields that were written, but wrong.
    failed: Vec<&'static str>,
}

/// A checked value and its place.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) mark: Mark,
}

/// A checked value.
#[derive(Debug)]
pub(super) enum Value {
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Text),
    Word(&'static str),
    Duration(Duration),
    Size(u64),
    Pem(Pem),
    List(Vec<Item>),
    Map(Vec<(Arc<str>, Item)>),
    Record(Record),
    /// Another entity's name, or its id.
    Reference {
        by_id: bool,
        key: Arc<str>,
    },
    /// Accepted and not looked at.
    Skipped,
}

/// A checked PEM field, with what was written where it came from a reference.
#[derive(Debug)]
pub(super) struct Pem {
    pub(super) pem: super::Pem,
    pub(super) written: Option<Arc<str>>,
}

impl Record {
    pub(super) fn new(table: &'static Table, mark: Mark) -> Self {
        Self { table, mark, items: table.fields.iter().map(|_| None).collect(), failed: Vec::new() }
    }

    /// Notes that the field was written, but wrong: nothing else is to be said of it.
    pub(super) fn fail(&mut self, name: &'static str) {
        self.failed.push(name);
    }

    /// Puts the value of the field at `index` of the table.
    pub(super) fn put(&mut self, index: usize, item: Item) {
        if let Some(slot) = self.items.get_mut(index) {
            *slot = Some(item);
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        let index = self.table.fields.iter().position(|field| field.name == name);
        debug_assert!(index.is_some(), "table {} has no field {name}", self.table.name);
        index
    }

    /// What was written.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        self.items.get(self.index(name)?)?.as_ref()
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.item(name).map(|item| &item.value)
    }

    fn default(&self, name: &str) -> Given {
        self.index(name).and_then(|index| self.table.fields.get(index)).map_or(Given::Nothing, |field| field.default)
    }

    /// Whether it was written (`null` is not).
    pub(super) fn has(&self, name: &str) -> bool {
        self.item(name).is_some()
    }

    /// Where the field's value stands, or else the block itself.
    pub(super) fn mark_of(&self, name: &str) -> Mark {
        self.item(name).map_or(self.mark, |item| item.mark)
    }

    /// Whether it was written, well or not.
    pub(super) fn attempted(&self, name: &str) -> bool {
        self.has(name) || self.attempted_but_failed(name)
    }

    /// Whether it was written, but wrong.
    pub(super) fn attempted_but_failed(&self, name: &str) -> bool {
        self.failed.contains(&name)
    }

    /// Whether it is a list or a map without elements.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::List(items)) => items.is_empty(),
            Some(Value::Map(entries)) => entries.is_empty(),
            _ => false,
        }
    }

    /// Every written field with its value.
    pub(super) fn written(&self) -> impl Iterator<Item = (&'static str, &Item)> {
        let names = self.table.fields.iter().map(|field| field.name);
        names.zip(&self.items).filter_map(|(name, item)| item.as_ref().map(|item| (name, item)))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match (self.value(name), self.default(name)) {
            (Some(Value::Flag(value)), _) => *value,
            (None, Given::Flag(value)) => value,
            _ => false,
        }
    }

    /// An integer that fits its type because the table's bounds say so.
    pub(super) fn integer<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        self.optional_integer(name).unwrap_or_default()
    }

    /// `None`: unset, or a word in its place.
    pub(super) fn optional_integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        let value = match (self.value(name), self.default(name)) {
            (Some(Value::Integer(value)), _) => *value,
            (None, Given::Integer(value)) => value,
            _ => return None,
        };
        T::try_from(value).ok()
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        match (self.value(name), self.default(name)) {
            (Some(Value::Number(value)), _) => *value,
            (None, Given::Number(value)) => value,
            _ => 0.0,
        }
    }

    /// A text or word; a word's place taken by a default.
    pub(super) fn text(&self, name: &str) -> Option<Arc<str>> {
        match (self.value(name), self.default(name)) {
            (Some(Value::Text(text)), _) => Some(text.value.clone()),
            (Some(Value::Word(word)), _) => Some((*word).into()),
            (None, Given::Text(word)) => Some(word.into()),
            _ => None,
        }
    }

    /// A text where neither `none` nor anything else stands in its place.
    pub(super) fn written_text(&self, name: &str) -> Option<&Text> {
        if let Some(Value::Text(text)) = self.value(name) { Some(text) } else { None }
    }

    pub(super) fn word(&self, name: &str) -> &'static str {
        match (self.value(name), self.default(name)) {
            (Some(Value::Word(word)), _) => word,
            (None, Given::Text(word)) => word,
            _ => "",
        }
    }

    pub(super) fn duration(&self, name: &str) -> Duration {
        self.optional_duration(name).unwrap_or_default()
    }

    /// `None`: unset, or `none`.
    pub(super) fn optional_duration(&self, name: &str) -> Option<Duration> {
        match (self.value(name), self.default(name)) {
            (Some(Value::Duration(value)), _) => Some(*value),
            (None, Given::Text(text)) => units::parse_duration(text),
            _ => None,
        }
    }

    /// Kong's integers of milliseconds.
    pub(super) fn milliseconds(&self, name: &str) -> Duration {
        Duration::from_millis(self.integer(name))
    }

    /// Kong's numbers of seconds.
    pub(super) fn seconds(&self, name: &str) -> Duration {
        Duration::try_from_secs_f64(self.number(name)).unwrap_or_default()
    }

    pub(super) fn size(&self, name: &str) -> u64 {
        self.optional_size(name).unwrap_or_default()
    }

    /// `None`: unset, or `none`.
    pub(super) fn optional_size(&self, name: &str) -> Option<u64> {
        match (self.value(name), self.default(name)) {
            (Some(Value::Size(value)), _) => Some(*value),
            (None, Given::Text(text)) => units::parse_size(text),
            _ => None,
        }
    }

    /// A size that its field bounds to 32 bits.
    pub(super) fn small_size(&self, name: &str) -> u32 {
        u32::try_from(self.size(name)).unwrap_or(u32::MAX)
    }

    pub(super) fn record(&self, name: &str) -> Option<&Self> {
        if let Some(Value::Record(record)) = self.value(name) { Some(record) } else { None }
    }

    /// The elements of a list, as written.
    pub(super) fn list(&self, name: &str) -> &[Item] {
        if let Some(Value::List(items)) = self.value(name) { items } else { &[] }
    }

    /// The blocks of a list, with their numbers.
    pub(super) fn records(&self, name: &str) -> impl Iterator<Item = (usize, &Self)> {
        self.list(name).iter().enumerate().filter_map(|(index, item)| match &item.value {
            Value::Record(record) => Some((index, record)),
            _ => None,
        })
    }

    pub(super) fn texts(&self, name: &str) -> Vec<Arc<str>> {
        match (self.value(name), self.default(name)) {
            (Some(Value::List(items)), _) => texts(items),
            (None, Given::Texts(texts)) => texts.iter().map(|text| Arc::from(*text)).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn integers<T: TryFrom<i64>>(&self, name: &str) -> Vec<T> {
        let fit = |value: &i64| T::try_from(*value).ok();
        match (self.value(name), self.default(name)) {
            (Some(Value::List(items)), _) => items
                .iter()
                .filter_map(|item| if let Value::Integer(value) = &item.value { fit(value) } else { None })
                .collect(),
            (None, Given::Integers(values)) => values.iter().filter_map(fit).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn numbers(&self, name: &str) -> Vec<f64> {
        match (self.value(name), self.default(name)) {
            (Some(Value::List(items)), _) => items
                .iter()
                .filter_map(|item| if let Value::Number(value) = &item.value { Some(*value) } else { None })
                .collect(),
            (None, Given::Numbers(values)) => values.to_vec(),
            _ => Vec::new(),
        }
    }

    pub(super) fn entries(&self, name: &str) -> &[(Arc<str>, Item)] {
        if let Some(Value::Map(entries)) = self.value(name) { entries } else { &[] }
    }

    /// A map of texts.
    pub(super) fn pairs(&self, name: &str) -> Vec<(Arc<str>, Arc<str>)> {
        let text = |item: &Item| if let Value::Text(text) = &item.value { Some(text.value.clone()) } else { None };
        self.entries(name).iter().filter_map(|(key, item)| Some((key.clone(), text(item)?))).collect()
    }

    /// A map of lists of texts.
    pub(super) fn lists(&self, name: &str) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
        let list = |item: &Item| if let Value::List(items) = &item.value { texts(items) } else { Vec::new() };
        self.entries(name).iter().map(|(key, item)| (key.clone(), list(item))).collect()
    }

    pub(super) fn pem(&self, name: &str) -> Option<super::Pem> {
        if let Some(Value::Pem(pem)) = self.value(name) { Some(pem.pem.clone()) } else { None }
    }
}

fn texts(items: &[Item]) -> Vec<Arc<str>> {
    items
        .iter()
        .filter_map(|item| match &item.value {
            Value::Text(text) => Some(text.value.clone()),
            Value::Word(word) => Some((*word).into()),
            _ => None,
        })
        .collect()
}
