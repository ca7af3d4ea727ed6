//! JSON → the same tree, several times faster than by the way of YAML: who manages the gateway through `POST /config` sends
//! all of the document each time. The text is looked through once a level, of which a document has some six, and any
//! [`MAX_DEPTH`] at the most.

use super::{Data, Entry, MAX_DEPTH, MAX_EVENTS, Mark, Node, Place};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// The tree of a text that is JSON, and `None` where the other way has to be gone: it may be YAML, or JSON with something
/// about it that the two read differently, or too much of it, and there is a message for each of these.
pub(super) fn parse(text: &str) -> Option<Node> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    Reading { text, at: 0, place: Place { line: 1, column: 1 }, left: MAX_EVENTS }.node(raw, 0)
}

/// Where it has come to: places are asked for in the order of the text.
struct Reading<'t> {
    text: &'t str,
    at: usize,
    place: Place,
    /// So many events are still read, counted as by the way of YAML or dearer: a key is one, a value two.
    left: usize,
}

impl Reading<'_> {
    fn node(&mut self, raw: &RawValue, depth: u8) -> Option<Node> {
        let text = raw.get();
        self.left = self.left.checked_sub(2)?;
        let place = self.place_of(text)?;
        let (length, data) = match text.as_bytes().first()? {
            b'{' | b'[' if depth >= MAX_DEPTH => return None,
            b'{' => (1, self.map(text, depth + 1)?),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                (1, Data::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect::<Option<_>>()?))
            }
            _ => (text.chars().count(), scalar(text)?),
        };
        Some(Node { data, mark: Mark { place, length: u32::try_from(length).ok()? } })
    }

    fn map(&mut self, text: &str, depth: u8) -> Option<Data> {
        let Fields(fields) = serde_json::from_str(text).ok()?;
        let mut entries = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            self.left = self.left.checked_sub(1)?;
            // Its quotes are not borrowed.
            let at = key.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?.checked_sub(1)?;
            let place = self.place_at(at)?;
            let length = u32::try_from(key.chars().count()).ok()?.checked_add(2)?;
            entries.push(Entry { key: Arc::from(key), mark: Mark { place, length }, value: self.node(value, depth)? });
        }
        Some(Data::Map(entries))
    }

    /// The place of a part of the text.
    fn place_of(&mut self, part: &str) -> Option<Place> {
        self.place_at(part.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?)
    }

    fn place_at(&mut self, at: usize) -> Option<Place> {
        for character in self.text.get(self.at..at)?.chars() {
            if character == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.at = at;
        Some(self.place)
    }
}

fn scalar(text: &str) -> Option<Data> {
    match serde_json::from_str(text).ok()? {
        // To the last digit. Whole numbers that are too large, and minus nothing, are other ones in YAML.
        Data::Number(_) => text.contains(['.', 'e', 'E']).then(|| text.parse().ok().map(Data::Number))?,
        data => Some(data),
    }
}

/// A map's entries in their order, with those that are there twice. One whose key is written with escapes is none: where it
/// stands is not known.
struct Fields<'t>(Vec<(&'t str, &'t RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::parse_yaml;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Read both ways, it is the same, with every place.
    fn is_read_alike(text: &str) {
        let (json, yaml) = (parse(text).expect(text), parse_yaml(text).expect(text));
        assert_eq!(json, yaml, "{text}");
    }

    fn is_left_to_yaml(text: &str) {
        assert_eq!(parse(text), None, "{text}");
    }

    #[test]
    fn a_document_is_the_same_by_both_ways_whatever_its_spaces() {
        let document = json!({
            "_format_version": "3.0", "a": [], "b": {}, "": null, "flags": [true, false, null],
            "numbers": [0, -7, 80, 1.5, -2.25e3, 1e3, 9_223_372_036_854_775_807_i64, -9_223_372_036_854_775_808_i64],
            "texts": ["", "yes", "80", "null", "~", "a: b", "# no comment", "é ü 𝄞", "\"\\/\n\t"],
            "services": [{"name": "a", "routes": [{"paths": ["/x", "~/y\\d+$"]}, {"hosts": ["é.test"]}]}],
        });
        is_read_alike(&document.to_string());
        is_read_alike(&serde_json::to_string_pretty(&document).expect("it is printed"));
        is_read_alike("\n\n  {\"a\" :\n[ 1 ,2\r\n],\"b\": {\"c\":null } , \"a\": \"twice\"}\n");
    }

    #[test]
    fn what_the_two_read_differently_or_may_tell_more_of_is_left_to_yaml() {
        is_left_to_yaml("{a: 1}");
        is_left_to_yaml("{\"a\": 1,}");
        is_left_to_yaml("{\"a\": 1} # with a comment");
        is_left_to_yaml("{\"a\": 1}\n---\n{}");
        is_left_to_yaml("{\"a\": ");
        is_left_to_yaml("{\"\\u0061\": 1}");
        is_left_to_yaml("{\"a\": -0}");
        is_left_to_yaml("{\"a\": 18446744073709551615}");
        is_left_to_yaml("{\"a\": 1e999}");
        is_left_to_yaml("- {\"a\": 1}");
        is_left_to_yaml("");
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        is_read_alike(&deep(MAX_DEPTH.into()));
        is_left_to_yaml(&deep(usize::from(MAX_DEPTH) + 1));
    }

    #[test]
    fn no_more_is_read_than_by_the_way_of_yaml() {
        let is_read = |text: &str, left: usize| {
            let raw: &RawValue = serde_json::from_str(text).expect("it is JSON");
            Reading { text: raw.get(), at: 0, place: Place { line: 1, column: 1 }, left }.node(raw, 0).is_some()
        };
        for (text, events) in [("[]", 2), ("{}", 2), ("[1]", 4), ("{\"a\": 1}", 5), ("{\"a\": [{}, \"b\"]}", 9)] {
            assert!(is_read(text, events) && !is_read(text, events - 1), "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e15..1e15).prop_map(Value::from),
            "[ -~éß中𝄞]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map("[a-z_é:# -]{0,8}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_json_is_the_same_by_both_ways(value in value(), pretty in any::<bool>()) {
            prop_assume!(value.is_object() || value.is_array());
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            is_read_alike(&text.expect("it is printed"));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"\\\\0-9eE+.a-ztruefalsn é\n-]{0,60}") {
            if let (Some(json), Ok(yaml)) = (parse(&text), parse_yaml(&text)) {
                prop_assert_eq!(json, yaml);
            }
        }
    }
}
