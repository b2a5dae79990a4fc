//! The commands of a menu: `print`, `listen`, `add`, `set` and `remove`.

use super::hotspot;
use super::menus::{ACTIVE, Rules, Settable, USER};
use super::print::{Follow, Print, split_list};
use super::reply::{CommandReply, TrapReply};
use super::row::Row;
use super::settings::Policies;
use super::state::State;
use super::table::{MenuTable, clears};
use super::value::Value;
use crate::routeros::wire::Sentence;

/// Runs a command with these policies.
pub(super) fn run(state: &mut State, policies: Policies, command: &Sentence) -> CommandReply {
    let path = path(command);
    let (menu, name) = path.rsplit_once('/').unwrap_or_default();
    let Some(rules) = state.tables.get(menu).map(MenuTable::rules) else {
        return CommandReply::traps(&unknown_menu(state, path), command.tag());
    };
    let reply = match Kind::of(name, rules) {
        None => Err(unknown_command(state, name)),
        Some(kind) if !kind.is_permitted(policies) => Err(TrapReply::not_permitted()),
        Some(Kind::Print) => print(state, menu, rules, command),
        Some(Kind::Add) => add(state, menu, rules, command),
        Some(Kind::Set) => set(state, menu, rules, command),
        Some(Kind::Remove) => remove(state, menu, command),
    };
    reply.unwrap_or_else(|trap| CommandReply::traps(&[trap], command.tag()))
}

/// The menu and the name of a command; empty if they are not UTF-8.
pub(super) fn path(command: &Sentence) -> &str {
    std::str::from_utf8(command.first()).unwrap_or_default()
}

enum Kind {
    /// `listen` too.
    Print,
    Add,
    Set,
    Remove,
}

impl Kind {
    fn of(name: &str, rules: Rules) -> Option<Self> {
        match name {
            "print" | "getall" => Some(Self::Print),
            "listen" if !rules.single => Some(Self::Print),
            "add" if rules.add => Some(Self::Add),
            "set" if !matches!(rules.settable, Settable::None) => Some(Self::Set),
            "remove" if rules.remove => Some(Self::Remove),
            _ => None,
        }
    }

    fn is_permitted(&self, policies: Policies) -> bool {
        match self {
            Self::Print => policies.read,
            Self::Add | Self::Set | Self::Remove => policies.write,
        }
    }
}

fn print(state: &mut State, menu: &str, rules: Rules, command: &Sentence) -> Result<CommandReply, TrapReply> {
    let print = Print::parse(command)?;
    if rules.single && print.follow != Follow::No {
        return Err(TrapReply::unknown_parameter());
    }
    let sends_empty = state.settings.version.sends_empty();
    state.with(menu, |table, now| table.print(&print, sends_empty, now)).ok_or_else(TrapReply::no_such_item)
}

fn add(state: &mut State, menu: &str, rules: Rules, command: &Sentence) -> Result<CommandReply, TrapReply> {
    let values = values(rules, command)?.into_iter().filter(|(key, value)| !clears(key, value));
    let row = values.fold(Row::new(), |row, (key, value)| row.with(&key, value));
    let id = if menu == USER { hotspot::add_user(state, row)? } else { state.insert(menu, row)? };
    Ok(CommandReply::ret(id.as_bytes(), command.tag()))
}

fn set(state: &mut State, menu: &str, rules: Rules, command: &Sentence) -> Result<CommandReply, TrapReply> {
    let values = values(rules, command)?;
    let ids = if rules.single { vec![String::new()] } else { ids(command)? };
    for id in ids {
        let values = values.clone();
        if state.with(menu, |table, now| table.set(&id, values, now)) != Some(true) {
            return Err(TrapReply::no_such_item());
        }
    }
    Ok(CommandReply::done(command.tag()))
}

fn remove(state: &mut State, menu: &str, command: &Sentence) -> Result<CommandReply, TrapReply> {
    for id in ids(command)? {
        let existed =
            if menu == ACTIVE { hotspot::kick(state, &id) } else { state.remove(menu, &id).is_some() };
        if !existed {
            return Err(TrapReply::no_such_item());
        }
    }
    Ok(CommandReply::done(command.tag()))
}

/// The attributes of a `set` or `add`, or the trap for one that the menu does not accept.
fn values(rules: Rules, command: &Sentence) -> Result<Vec<(String, Value)>, TrapReply> {
    let attributes = command.attributes().filter(|(key, _)| !matches!(*key, b".id" | b"numbers"));
    let value = |(key, value): (&[u8], &[u8])| {
        let key = std::str::from_utf8(key).ok().filter(|key| rules.settable.contains(key));
        let key = key.ok_or_else(TrapReply::unknown_parameter)?;
        // RouterOS accepts `yes` and `no`, and prints them as `true` and `false`.
        let value = match (key, value) {
            ("disabled", b"yes") => true.into(),
            ("disabled", b"no") => false.into(),
            _ => Value::from(value),
        };
        Ok((key.to_string(), value))
    };
    attributes.map(value).collect()
}

/// The rows that a command applies to. An `.id` that is not UTF-8 matches no row.
fn ids(command: &Sentence) -> Result<Vec<String>, TrapReply> {
    let ids = command.get(".id").or_else(|| command.get("numbers")).ok_or_else(TrapReply::no_such_item)?;
    Ok(split_list(ids).into_iter().map(|id| String::from_utf8_lossy(&id).into_owned()).collect())
}

/// The traps for a menu that does not exist. RouterOS 7 adds one with the first part of the path that
/// is unknown; with the last part if all of them are known.
pub(super) fn unknown_menu(state: &State, path: &str) -> Vec<TrapReply> {
    let prefix = TrapReply::missing("no such command prefix");
    if !state.settings.version.is_v7() {
        return vec![prefix];
    }
    let is_known = |path: &str| {
        let below = format!("{path}/");
        state.tables.keys().any(|menu| menu == path || menu.starts_with(&below))
    };
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
    let missing = ends.map(|end| &path[..end]).find(|path| !is_known(path)).unwrap_or(path);
    let part = missing.rsplit('/').next().unwrap_or_default();
    vec![unknown_command(state, part), prefix]
}

pub(super) fn unknown_command(state: &State, name: &str) -> TrapReply {
    if state.settings.version.is_v7() {
        TrapReply::missing(format!("no such command or directory ({name})"))
    } else {
        TrapReply::missing("no such command")
    }
}
