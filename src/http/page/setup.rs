//! The page before the first configuration: where the file is expected, and a form that fills in a first one.

use askama::Template;

use super::layout::{Layout, render, see_other};
use crate::config::{NewSite, NewSiteField, Secret};
use crate::http::context::Context;
use crate::http::message::{HandlerOutput, Response, problem};

/// The names of the fields of [`NewSite`] in the form.
const NAMES: [&str; 3] = ["name", "address", "user"];

/// Maximum number of characters of an answer: that of a site's name in the file. A longer host name needs no form.
const MAX_ANSWER: usize = 100;

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup<'p> {
    layout: Layout,
    file: &'p str,
    folder: &'p str,
    /// The file's name in that folder.
    name: &'p str,
    fields: Vec<Field>,
    is_submitted: bool,
    finished: Option<Finished>,
}

/// A field of the form.
struct Field {
    name: &'static str,
    title: &'static str,
    value: String,
    /// What was expected, if the value is not valid.
    expected: Option<&'static str>,
}

/// What the form leads to.
struct Finished {
    router: String,
    commands: String,
    document: String,
    token: String,
}

/// The page, if there was no valid configuration yet.
pub(super) fn waiting(context: &Context) -> Option<Response> {
    let defaults = NewSite::FIELDS.map(|field| field.default.unwrap_or_default().into());
    page(context, fields(defaults, |_, _| true), false, None)
}

/// `GET /setup`: redirects to the overview, which contains the form.
pub(in crate::http) fn redirect(context: &Context) -> Result<Response, Response> {
    Ok(see_other(&context.request.path, ""))
}

/// `POST /setup`: the page with the commands and the file, both filled in. Nothing is stored, and no router is
/// contacted.
pub(in crate::http) fn submit(context: &Context) -> Result<HandlerOutput, Response> {
    let answers = NAMES.map(|name| {
        let field = form_urlencoded::parse(&context.request.body).find(|(key, _)| key == name);
        field.map(|(_, value)| value.trim().to_string()).unwrap_or_default()
    });
    let fields = fields(answers.clone(), |field, answer| {
        answer.chars().count() <= MAX_ANSWER && (field.is_valid)(answer)
    });
    let is_valid = fields.iter().all(|field| field.expected.is_none());
    let finished = match NewSite::new(answers).filter(|_| is_valid) {
        Some(site) => Some(Finished::new(&site, context).map_err(|error| problem(500, &error))?),
        None => None,
    };
    // A configuration may have been applied meanwhile.
    let shown = page(context, fields, true, finished).unwrap_or_else(|| see_other(&context.request.path, ""));
    Ok(shown.no_store().into())
}

impl Finished {
    fn new(site: &NewSite, context: &Context) -> Result<Self, String> {
        let (password, token) = (Secret::random()?, Secret::random()?);
        let [password, token] = [&password, &token].map(Secret::expose);
        let plain = |secret: &str| format!("Plain(\"{secret}\")");
        let admin = format!("admin: Token({}),", plain(token));
        Ok(Self {
            router: site.host.name.clone(),
            commands: site.commands(password, None),
            document: site.document(&context.http.listen.to_string(), &admin, &plain(password)),
            token: token.into(),
        })
    }
}

fn fields(answers: [String; 3], is_valid: impl Fn(&NewSiteField, &str) -> bool) -> Vec<Field> {
    let rows = NAMES.into_iter().zip(&NewSite::FIELDS).zip(answers);
    let field = |((name, field), value): ((&'static str, &NewSiteField), String)| {
        let expected = (!is_valid(field, &value)).then_some(field.expected);
        Field { name, title: field.title, value, expected }
    };
    rows.map(field).collect()
}

fn page(
    context: &Context,
    fields: Vec<Field>,
    is_submitted: bool,
    finished: Option<Finished>,
) -> Option<Response> {
    let reload = &context.snapshot.reload;
    let file = reload.file.as_deref().filter(|_| reload.succeeded.is_none())?;
    let (folder, name) = file.rsplit_once('/').unwrap_or((".", file));
    Some(render(&Setup { layout: context.layout(), file, folder, name, fields, is_submitted, finished }))
}
