//! Messages about unknown names: they suggest the most similar known name, or list all of them.

/// `message`, with the known name that `found` resembles, or with all of them.
pub fn unknown(message: &str, found: &str, known: &[&str]) -> String {
    match nearest(found, known) {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => format!("{message}; expected one of {}", known.join(", ")),
    }
}

/// The known name that `found` abbreviates or mistypes.
pub fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    let mut longer = known.iter().filter(|name| name.starts_with(found));
    if let (Some(name), None) = (longer.next(), longer.next()) {
        return Some(name);
    }
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, found), *name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}
