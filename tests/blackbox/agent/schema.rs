//! The part of JSON Schema that `openapi.json` uses. Unknown keywords fail.
//!
//! In one point it is stricter: a schema with `properties` allows no others, so that every property is described.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The only supported pattern: that of a site's key.
const SITE_KEY: &str = "^[A-Za-z0-9_-]{1,40}$";

/// Keywords that do not constrain the value.
const ANNOTATIONS: [&str; 6] =
    ["contentMediaType", "contentSchema", "default", "description", "example", "examples"];

/// The property names that a schema allows.
enum Names {
    /// Any name.
    Any,
    /// The described names.
    These(BTreeSet<String>),
}

impl Names {
    fn none() -> Self {
        Self::These(BTreeSet::new())
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::These(one), Self::These(other)) => Self::These(&one | &other),
            _ => Self::Any,
        }
    }
}

/// Follows `$ref` in this document.
pub(super) fn resolve<'d>(document: &'d Value, mut part: &'d Value) -> &'d Value {
    while let Some(to) = part.get("$ref").and_then(Value::as_str) {
        let pointer = to.strip_prefix('#').unwrap_or_else(|| panic!("expected a local reference, got {to}"));
        part = document.pointer(pointer).unwrap_or_else(|| panic!("{to} does not exist"));
    }
    part
}

/// Checks a value against a schema of this document. The error contains the place of a violation.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    Schemas { document }.check(schema, value, "")
}

struct Schemas<'d> {
    document: &'d Value,
}

impl Schemas<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let names = self.apply(schema, value, at)?;
        match (names, value) {
            (Names::These(names), Value::Object(object)) => {
                match object.keys().find(|name| !names.contains(*name)) {
                    Some(name) => Err(format!("{at}/{name} is not described")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Checks everything except that each property is described.
    fn apply(&self, schema: &Value, value: &Value, at: &str) -> Result<Names, String> {
        let keywords = schema.as_object().unwrap_or_else(|| panic!("{at}: expected a schema, got {schema}"));
        let mut names = Names::none();
        for (keyword, says) in keywords {
            let holds = match keyword.as_str() {
                "$ref" => {
                    names = names.and(self.apply(resolve(self.document, schema), value, at)?);
                    true
                }
                "allOf" => {
                    for each in list(says) {
                        names = names.and(self.apply(each, value, at)?);
                    }
                    true
                }
                "anyOf" => {
                    let each: Vec<_> = list(says).iter().map(|each| self.apply(each, value, at)).collect();
                    let errors: Vec<String> =
                        each.iter().filter_map(|one| one.as_ref().err().cloned()).collect();
                    let fits = each.into_iter().find_map(Result::ok);
                    names = names.and(fits.ok_or_else(|| errors.join(", and "))?);
                    true
                }
                "properties" => {
                    names = names.and(self.properties(map(says), value, at)?);
                    true
                }
                "additionalProperties" => {
                    names = names.and(self.others(says, keywords.get("properties"), value, at)?);
                    true
                }
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(says, item, &format!("{at}/{n}"))?;
                    }
                    true
                }
                "required" => list(says).iter().all(|name| match value {
                    Value::Object(object) => object.contains_key(text(name)),
                    _ => true,
                }),
                keyword => is_valid(keyword, says, value)
                    .unwrap_or_else(|| panic!("{at}: unknown keyword {keyword}")),
            };
            if !holds {
                return Err(format!("{at} is {value}, and {keyword} says {says}"));
            }
        }
        let allows_any_name = !keywords.contains_key("properties")
            && !keywords.contains_key("additionalProperties")
            && keywords.get("type").is_some_and(|kind| kind == "object");
        Ok(if allows_any_name { Names::Any } else { names })
    }

    fn properties(&self, schemas: &Map<String, Value>, value: &Value, at: &str) -> Result<Names, String> {
        for (name, schema) in schemas {
            if let Some(value) = value.get(name) {
                self.check(schema, value, &format!("{at}/{name}"))?;
            }
        }
        Ok(Names::These(schemas.keys().cloned().collect()))
    }

    fn others(
        &self,
        schema: &Value,
        properties: Option<&Value>,
        value: &Value,
        at: &str,
    ) -> Result<Names, String> {
        // Undescribed properties are refused anyway.
        if *schema == Value::Bool(false) {
            return Ok(Names::none());
        }
        let described = |name: &String| properties.is_some_and(|schemas| schemas.get(name).is_some());
        for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !described(name)) {
            self.check(schema, value, &format!("{at}/{name}"))?;
        }
        Ok(Names::Any)
    }
}

/// Whether a value satisfies a keyword; none if the keyword is unknown.
fn is_valid(keyword: &str, says: &Value, value: &Value) -> Option<bool> {
    Some(match keyword {
        "type" => match says {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(text(kind), value)),
            kind => is_of(text(kind), value),
        },
        "enum" => list(says).contains(value),
        "const" => says == value,
        "minimum" => value.as_f64().is_none_or(|value| value >= says.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|value| value <= says.as_f64().unwrap()),
        "pattern" if says == SITE_KEY => value.as_str().is_none_or(is_site_key),
        "format" if says == "date-time" => value.as_str().is_none_or(is_date),
        _ => return ANNOTATIONS.contains(&keyword).then_some(true),
    })
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}

fn is_site_key(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// RFC 3339, in UTC.
fn is_date(text: &str) -> bool {
    humantime::parse_rfc3339(text).is_ok()
}

fn list(says: &Value) -> &[Value] {
    says.as_array().unwrap_or_else(|| panic!("expected a list, got {says}"))
}

fn map(says: &Value) -> &Map<String, Value> {
    says.as_object().unwrap_or_else(|| panic!("expected an object, got {says}"))
}

fn text(says: &Value) -> &str {
    says.as_str().unwrap_or_else(|| panic!("expected a text, got {says}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_checked_against_their_schema() {
        let document = json!({"parts": {
            "named": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        }});
        let named = json!({"$ref": "#/parts/named"});
        let more =
            json!({"allOf": [named, {"required": ["age"], "properties": {"age": {"type": "integer"}}}]});
        for (schema, value, holds) in [
            (named.clone(), json!({"name": "a"}), true),
            (named.clone(), json!({"name": 1}), false),
            (named.clone(), json!({}), false),
            (named.clone(), json!({"name": "a", "more": 1}), false),
            (named.clone(), json!([]), false),
            (more.clone(), json!({"name": "a", "age": 1}), true),
            (more.clone(), json!({"name": "a"}), false),
            (more.clone(), json!({"age": 1}), false),
            (more, json!({"name": "a", "age": 1, "more": 1}), false),
            (json!({"allOf": [named, {"required": ["name"]}]}), json!({"name": "a"}), true),
            (json!({"allOf": [named, {"required": ["name"]}]}), json!({"name": "a", "b": 1}), false),
            (json!({"anyOf": [named, {"type": "null"}]}), json!(null), true),
            (json!({"anyOf": [named, {"type": "null"}]}), json!({"name": "a"}), true),
            (json!({"anyOf": [named, {"type": "null"}]}), json!(1), false),
            (json!({"anyOf": [named, {"type": "null"}]}), json!({"name": "a", "b": 1}), false),
            (json!({"type": "object"}), json!({"any": 1}), true),
            (json!({"type": "object", "additionalProperties": named}), json!({"x": {"name": "a"}}), true),
            (json!({"type": "object", "additionalProperties": named}), json!({"x": {}}), false),
            (json!({"additionalProperties": false, "properties": {}}), json!({"x": 1}), false),
            (json!({"type": "array", "items": {"type": "integer"}}), json!([1, -2]), true),
            (json!({"type": "array", "items": {"type": "integer"}}), json!([1, 0.5]), false),
            (json!({"type": ["number", "null"]}), json!(0.5), true),
            (json!({"type": ["number", "null"]}), json!("0.5"), false),
            (json!({"type": "boolean"}), json!("true"), false),
            (json!({"enum": ["a", "b"]}), json!("b"), true),
            (json!({"enum": ["a", "b"]}), json!("c"), false),
            (json!({"const": ""}), json!(""), true),
            (json!({"const": ""}), json!(" "), false),
            (json!({"minimum": 1, "maximum": 2}), json!(2), true),
            (json!({"minimum": 1, "maximum": 2}), json!(3), false),
            (json!({"minimum": 1, "maximum": 2}), json!(0), false),
            (json!({"pattern": SITE_KEY}), json!("site_01-b"), true),
            (json!({"pattern": SITE_KEY}), json!("a b"), false),
            (json!({"pattern": SITE_KEY}), json!(""), false),
            (json!({"pattern": SITE_KEY}), json!("a".repeat(41)), false),
            (json!({"format": "date-time"}), json!("2026-05-31T09:54:33Z"), true),
            (json!({"format": "date-time"}), json!("2026-05-31 09:54"), false),
            (json!({"format": "date-time"}), json!(null), true),
        ] {
            assert_eq!(check(&document, &schema, &value).is_ok(), holds, "{schema} {value}");
        }
    }

    #[test]
    #[should_panic(expected = "unknown keyword minLength")]
    fn an_unknown_keyword_fails() {
        let _ = check(&json!({}), &json!({"minLength": 1}), &json!("a"));
    }
}
