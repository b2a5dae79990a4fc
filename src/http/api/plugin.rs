//! `/api/sites/{site}/plugins/{plugin}`: a plugin's rows.

use std::borrow::Cow;
use std::iter::once;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::parameters;
use crate::http::context::Context;
use crate::http::message::{Response, problem};
use crate::plugin::{Data, Declaration, Property, Typed};
use crate::routeros::value::{decimal, format_duration, number};
use crate::state::SiteState;

#[derive(Serialize)]
struct TableJson<'s> {
    columns: Vec<String>,
    rows: Rows<'s>,
    at: Option<String>,
    state: &'static str,
    /// Why rows are missing, if some are.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<&'s str>,
}

#[derive(Serialize)]
struct ObjectsJson<'s> {
    fields: &'s [FieldJson],
    objects: Objects<'s>,
    at: Option<String>,
    state: &'static str,
    /// Why rows are missing, if some are.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<&'s str>,
}

/// A property, under the name that it has in the objects.
#[derive(Serialize)]
struct FieldJson {
    name: String,
    property: String,
    title: String,
    unit: &'static str,
    #[serde(skip)]
    its: Property,
}

/// The rows that a plugin has read, none before its first success.
struct Rows<'s>(Option<&'s Data>);

/// The same rows, with values of the types that their units define.
struct Objects<'s>(&'s [FieldJson], Option<&'s Data>);

struct Object<'s>(&'s [FieldJson], Cow<'s, [Option<String>]>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.into_iter().flat_map(Data::rows))
    }
}

impl Serialize for Objects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.1.into_iter().flat_map(|data| records(data).1);
        serializer.collect_seq(rows.map(|row| Object(self.0, row)))
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (FieldJson { name, its, .. }, cell) in self.0.iter().zip(&*self.1) {
            match cell.as_deref().and_then(|text| its.unit.read(text)) {
                None => {}
                Some(Typed::Text(text)) => map.serialize_entry(name, text)?,
                Some(Typed::Flag(is_set)) => map.serialize_entry(name, &is_set)?,
                Some(Typed::Numbers(numbers)) => match numbers.as_slice() {
                    [number] => map.serialize_entry(name, &Number(number))?,
                    numbers => {
                        let numbers: Vec<Number> = numbers.iter().map(|number| Number(number)).collect();
                        map.serialize_entry(name, &numbers)?;
                    }
                },
                Some(Typed::Duration(duration)) => {
                    map.serialize_entry(name, &format_duration(duration))?;
                    map.serialize_entry(&format!("{name}Seconds"), &duration.as_secs())?;
                }
            }
        }
        map.end()
    }
}

/// The text of a number, as a number.
struct Number<'t>(&'t str);

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match number(self.0.as_bytes()) {
            Some(count) => serializer.serialize_u64(count),
            None => decimal(self.0.as_bytes()).serialize(serializer),
        }
    }
}

/// The values of each object.
type Records<'d> = Box<dyn Iterator<Item = Cow<'d, [Option<String>]>> + 'd>;

/// The properties of the objects, and the value of each property in each object. `resource` has its properties in rows.
fn records(data: &Data) -> (Vec<String>, Records<'_>) {
    let Data::Resource(_) = data else { return (data.columns(), data.rows()) };
    let pair = |row: Cow<[Option<String>]>| match &*row {
        [name, value] => (name.clone().unwrap_or_default(), value.clone()),
        _ => Default::default(),
    };
    let (names, values): (Vec<_>, Vec<_>) = data.rows().map(pair).unzip();
    (names, Box::new(once(values.into())))
}

/// `mac-address` becomes `macAddress`.
fn camel_case(property: &str) -> String {
    let mut name = String::new();
    for word in property.split(['-', '.', '_']).filter(|word| !word.is_empty()) {
        let start = name.len();
        name += word;
        if start > 0
            && let Some(first) = name.get_mut(start..=start)
        {
            first.make_ascii_uppercase();
        }
    }
    name
}

/// The rows that the plugin last read.
pub(in crate::http) fn rows(context: &Context) -> Result<Response, Response> {
    let site = context.site()?;
    let reading = site.reading(context.parameters.plugin).ok_or_else(|| no_plugin(site))?;
    let form = |form: &str| ["table", "objects"].into_iter().find(|known| *known == form);
    let has_objects = parameters::value(context, "form", "table or objects", form)? == Some("objects");
    let data = reading.data.as_deref();
    let (at, state) = (reading.at.map(|at| context.view().date(at)), reading.state(site.is_online()).name());
    let partial = reading.partial_for(context.view().is_admin);
    // The columns of a declared plugin are known before its first success.
    let declared = || reading.plugin.declaration().map(Declaration::column_names).unwrap_or_default();
    if !has_objects {
        let columns = data.map_or_else(declared, Data::columns);
        return Ok(context.large_json(&TableJson { columns, rows: Rows(data), at, state, partial }));
    }
    let field = |property: String| {
        let its = reading.plugin.property(&property);
        let (title, unit) = (its.title.clone(), its.unit.name());
        FieldJson { name: camel_case(&property), property, title, unit, its }
    };
    let properties = data.map_or_else(declared, |data| records(data).0);
    let fields: Vec<FieldJson> = properties.into_iter().map(field).collect();
    let objects = Objects(&fields, data);
    Ok(context.large_json(&ObjectsJson { fields: &fields, objects, at, state, partial }))
}

/// The error for a plugin that the site does not collect.
pub(super) fn no_plugin(site: &SiteState) -> Response {
    let names: Vec<&str> = site.readings.iter().map(|reading| reading.plugin.name()).collect();
    let detail = format!("This site collects no plugin of that name. It has: {}.", names.join(", "));
    problem(404, &detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::plugin::Unit;

    #[test]
    fn objects_have_the_types_of_the_units() {
        let field = |property: &str, unit| FieldJson {
            name: camel_case(property),
            property: property.into(),
            title: String::new(),
            unit: "",
            its: Property { unit, ..property.into() },
        };
        let fields = [
            field("mac-address", Unit::Text),
            field("rx-byte", Unit::Bytes),
            field("max-limit", Unit::BitsPerSecond),
            field("signal", Unit::Dbm),
            field("running", Unit::Flag),
            field("expires-after", Unit::Duration),
        ];
        let object = |cells: [&str; 6]| {
            let cells = cells.map(|cell| Some(cell.to_string()).filter(|_| cell != "-"));
            to_value(Object(&fields, cells.as_slice().into())).unwrap()
        };
        assert_eq!(
            object(["02:00:00:00:00:07", "18446744073709551615", "1000/2000", "-61.5", "true", "1w1m30s"]),
            json!({
                "macAddress": "02:00:00:00:00:07", "rxByte": u64::MAX, "maxLimit": [1000, 2000], "signal": -61.5,
                "running": true, "expiresAfter": "7d1m30s", "expiresAfterSeconds": 604_890,
            })
        );
        assert_eq!(
            object(["-", "unlimited", "-", "", "maybe", "never"]),
            json!({}),
            "unknown values are absent"
        );
        assert_eq!((camel_case(".id"), camel_case("HTTPS")), ("id".into(), "HTTPS".into()));
    }
}
