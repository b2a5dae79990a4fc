//! The page about the API: every path with its methods, roles and parameters, from `openapi.json`.

use askama::Template;
use serde_json::Value;

use super::layout::{Layout, render};
use crate::http::api::openapi;
use crate::http::context::Context;
use crate::http::message::Response;
use crate::plugin::Plugin;

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    layout: Layout,
    operations: Vec<Operation>,
}

/// One method of one path.
struct Operation {
    method: String,
    path: String,
    role: String,
    summary: String,
    parameters: Vec<Parameter>,
    /// The address of an example relative to the root, if the agent has one.
    example: Option<String>,
}

struct Parameter {
    name: String,
    description: String,
    is_required: bool,
}

/// `GET /api`. The same for all roles, except for the examples.
pub(in crate::http) fn show(context: &Context) -> Result<Response, Response> {
    let document = openapi::document();
    let mut operations: Vec<Operation> = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let methods = resolve(&document, item);
        for (method, operation) in methods.as_object().into_iter().flatten() {
            if method == "parameters" {
                continue;
            }
            let parameters =
                [&methods["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array);
            let parameters = parameters.flatten().map(|parameter| resolve(&document, parameter));
            // `If-None-Match` is of HTTP.
            let parameters = parameters.filter(|parameter| parameter["in"] != "header").map(read);
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                role: text(operation.get("x-role").unwrap_or(&document["x-role"])),
                summary: text(&operation["summary"]),
                parameters: parameters.collect(),
                example: example(context, path).filter(|_| method == "get"),
            });
        }
    }
    // Programs are the readers: the paths of the page are last.
    operations.sort_by_key(|operation| !operation.path.starts_with("/api/"));
    Ok(render(&ApiPage { layout: context.layout(), operations }))
}

/// The part of the document that a value refers to, or the value.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(value)
}

fn read(parameter: &Value) -> Parameter {
    Parameter {
        name: text(&parameter["name"]),
        description: text(&parameter["description"]),
        is_required: parameter["required"] == true,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

/// A path with the first site that there is and one of its plugins.
fn example(context: &Context, path: &str) -> Option<String> {
    let mut path = path.trim_start_matches('/').to_string();
    if path.contains("{site}") {
        let site = context.snapshot.sites.first()?;
        path = path.replace("{site}", &site.key);
        if path.contains("{plugin}") {
            let is_visible = |plugin: &Plugin| context.is_admin() || !plugin.private();
            let reading = site.readings.iter().find(|reading| is_visible(&reading.plugin))?;
            path = path.replace("{plugin}", reading.plugin.name());
        }
    }
    Some(path).filter(|path| !path.contains('{'))
}
