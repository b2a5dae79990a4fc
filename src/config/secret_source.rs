//! The source of a secret (`Plain("…")`, `Env("VARIABLE")`, `File("path")`): parses it and fetches the secret.

use std::path::Path;

use super::document::Node;
use super::environment::is_variable_name;
use super::fingerprint::is_open_to_all;
use super::secret::{SHORT_TOKEN, Secret, is_short, trimmed};
use super::table::SECRET_WORDS;
use super::validator::{FieldValue, Validator};

/// Maximum size of a secret's file, in bytes. A larger file is probably the wrong one.
const MAX_SECRET_FILE: u64 = 4096;

/// The kind of a source, one of [`SECRET_WORDS`], and the secret itself or its place.
pub(super) struct SecretSource<'f>(&'f str, String);

/// Reads a source from `node`, which is or is part of the field's value.
pub(super) fn read<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    node: Option<Node<'f>>,
) -> Option<SecretSource<'f>> {
    let source = |node: Node<'f>| {
        let (word, argument) = node.variant();
        Some(SecretSource(word, argument?.text()?)).filter(|_| SECRET_WORDS.contains(&word))
    };
    let source = node.and_then(source);
    if source.is_none() {
        check.reject_kind(value, &value.field.expected());
    }
    source
}

/// Reads a token. An empty one is rejected, because it would admit everybody.
pub(super) fn token<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    argument: Option<Node<'f>>,
) -> Option<Secret> {
    let source = read(check, value, argument)?;
    let secret = fetch(check, value, source)?;
    // Other characters can't be sent after `Authorization: Bearer`.
    let is_sendable =
        !secret.expose().is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !is_sendable {
        let message = "the token is empty or can't be sent; expected a long random text of letters, digits \
            and signs, with no space";
        check.report_hidden(value, message);
    } else if is_short(secret.expose()) {
        check.deprecate(value, SHORT_TOKEN);
    }
    is_sendable.then_some(secret)
}

/// Fetches a secret from its source.
pub(super) fn fetch<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    SecretSource(kind, content): SecretSource<'f>,
) -> Option<Secret> {
    match kind {
        "Env" => from_variable(check, value, &content),
        "File" => from_file(check, value, &content),
        _ => {
            if !content.is_empty() && !check.has_warned_of_open_file && check.document.is_open_to_all() {
                check.has_warned_of_open_file = true;
                let message = "every user of this machine can read this file with its secrets: chmod o-r it, \
                    or use File(…) or Env(…) instead of Plain(…)";
                check.warn(value, message);
            }
            Some(Secret::new(content))
        }
    }
}

fn from_variable<'f>(check: &mut Validator<'f>, value: FieldValue<'f>, variable: &str) -> Option<Secret> {
    // The name may be the misplaced secret itself.
    if !is_variable_name(variable) {
        let message = "the value in Env(…) is not the name of a variable; expected letters, digits and _";
        check.report_hidden(value, message);
        return None;
    }
    let error = match (check.environment)(variable).as_deref().map(trimmed) {
        None => "is not set; expected the secret in it",
        Some("") => "is empty; expected the secret in it",
        Some(secret) => return Some(Secret::new(secret.into())),
    };
    let before = format!("{}: the environment variable", check.path_of(value));
    check.document.report_variable(value.node, variable, &before, error);
    None
}

fn from_file<'f>(check: &mut Validator<'f>, value: FieldValue<'f>, path: &str) -> Option<Secret> {
    let file = check.document.relative(Path::new(path));
    let error = match check.document.fingerprints.read_text(&file, MAX_SECRET_FILE) {
        Ok(text) => {
            if is_open_to_all(&file) {
                let file = file.display();
                let message =
                    format!("every user of this machine can read the secret file {file}: chmod o-r it");
                check.warn(value, &message);
            }
            let secret = trimmed(&text);
            if !secret.is_empty() {
                return Some(Secret::new(secret.into()));
            }
            // A file is empty for a moment while it is written. Its content would be a wrong password.
            "is empty".into()
        }
        Err(error) => error,
    };
    check.report_file(
        value,
        (path, &file),
        "the secret file",
        &format!("{error}; expected the secret in it"),
    );
    None
}
