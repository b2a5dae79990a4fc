//! The results: printed as they come, or as one JSON object at the end.

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::binary::binary;

pub(crate) struct Report {
    is_json: bool,
    results: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(is_json: bool) -> Self {
        let mut report = Self { is_json, results: Map::new() };
        let binary = binary().display().to_string();
        report.print(&format!("The program is {binary}"));
        report.results.insert("binary".into(), binary.into());
        report
    }

    /// Prints a line that is not a result.
    pub(crate) fn print(&self, line: &str) {
        if !self.is_json {
            println!("{line}");
        }
    }

    /// Adds a result to a part.
    pub(crate) fn add(&mut self, part: &str, result: &(impl Serialize + Display)) {
        self.print(&result.to_string());
        self.push(part, serde_json::to_value(result).unwrap());
    }

    /// Names a program that could not be measured.
    pub(crate) fn missing(&mut self, program: &str, why: &str) {
        self.print(&format!("{program:16} not measured: {why}"));
        self.push("missing", serde_json::json!({ "program": program, "why": why }));
    }

    /// Compares a figure with its upper bound.
    pub(crate) fn limit(&mut self, what: &str, found: f64, limit: f64) {
        if found > limit {
            self.print(&format!("OVER THE LIMIT: {what} {found:.3}, expected at most {limit}"));
            self.push("overLimit", serde_json::json!({ "what": what, "found": found, "limit": limit }));
        }
    }

    fn push(&mut self, part: &str, value: Value) {
        let results = self.results.entry(part).or_insert_with(|| Value::Array(Vec::new()));
        results.as_array_mut().unwrap().push(value);
    }

    /// Fails if a limit was exceeded.
    pub(crate) fn finish(self) -> ExitCode {
        if self.is_json {
            println!("{:#}", Value::Object(self.results.clone()));
        }
        if self.results.contains_key("overLimit") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
