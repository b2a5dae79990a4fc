//! What a router does when it is told to: the commands of its menus.

use super::menus::{ACTIVE, USER};
use super::print::{Follow, Print, list};
use super::reply::{CommandReply, Trap};
use super::row::Row;
use super::settings::Policies;
use super::state::State;
use super::table::{Keys, MenuTable, Rules, clears};
use crate::routeros::wire::Sentence;

/// Carries out a command of someone with these policies, and answers it.
pub(super) fn run(state: &mut State, policies: Policies, asked: &Sentence) -> CommandReply {
    let path = path(asked);
    let (menu, command) = path.rsplit_once('/').unwrap_or_default();
    let Some(rules) = state.tables.get(menu).map(MenuTable::rules) else {
        return CommandReply::traps(&unknown_menu(state, path), asked.tag());
    };
    let answer = match Command::named(command, rules) {
        None => Err(unknown_command(state, command)),
        Some(command) if !command.permitted(policies) => Err(Trap::not_permitted()),
        Some(Command::Print) => print(state, menu, rules, asked),
        Some(Command::Add) => add(state, menu, asked),
        Some(Command::Set) => set(state, menu, rules, asked),
        Some(Command::Remove) => remove(state, menu, asked),
    };
    answer.unwrap_or_else(|trap| CommandReply::traps(&[trap], asked.tag()))
}

/// The menu and the command, as a client says them; empty where that is no text.
pub(super) fn path(asked: &Sentence) -> &str {
    std::str::from_utf8(asked.first()).unwrap_or_default()
}

enum Command {
    /// `listen` too.
    Print,
    Add,
    Set,
    Remove,
}

impl Command {
    fn named(name: &str, rules: Rules) -> Option<Self> {
        match name {
            "print" | "getall" => Some(Self::Print),
            "listen" if !rules.single => Some(Self::Print),
            "add" if rules.add => Some(Self::Add),
            "set" if !matches!(rules.set, Keys::None) => Some(Self::Set),
            "remove" if rules.remove => Some(Self::Remove),
            _ => None,
        }
    }

    fn permitted(&self, policies: Policies) -> bool {
        match self {
            Self::Print => policies.read,
            Self::Add | Self::Set | Self::Remove => policies.write,
        }
    }
}

fn print(state: &mut State, menu: &str, rules: Rules, asked: &Sentence) -> Result<CommandReply, Trap> {
    let print = Print::read(asked)?;
    if rules.single && print.follow != Follow::No {
        return Err(Trap::unknown_parameter());
    }
    let says_empty = state.settings.version.says_empty();
    state.with(menu, |table, now| table.print(&print, says_empty, now)).ok_or_else(Trap::no_such_item)
}

fn add(state: &mut State, menu: &str, asked: &Sentence) -> Result<CommandReply, Trap> {
    let values = state.with(menu, |table, _| table.values(asked)).unwrap_or_else(|| Ok(Vec::new()))?;
    let given = values.into_iter().filter(|(key, value)| !clears(key, value));
    let row = given.fold(Row::new(), |row, (key, value)| row.with(&key, value));
    let id = if menu == USER { state.add_user(row)? } else { state.insert(menu, row)? };
    Ok(CommandReply::ret(id.as_bytes(), asked.tag()))
}

fn set(state: &mut State, menu: &str, rules: Rules, asked: &Sentence) -> Result<CommandReply, Trap> {
    let values = state.with(menu, |table, _| table.values(asked)).unwrap_or_else(|| Ok(Vec::new()))?;
    let ids = if rules.single { vec![String::new()] } else { ids(asked)? };
    for id in ids {
        let values = values.clone();
        if state.with(menu, |table, now| table.set(&id, values, now)) != Some(true) {
            return Err(Trap::no_such_item());
        }
    }
    Ok(CommandReply::done(asked.tag()))
}

fn remove(state: &mut State, menu: &str, asked: &Sentence) -> Result<CommandReply, Trap> {
    for id in ids(asked)? {
        let was_there = if menu == ACTIVE { state.kick(&id) } else { state.remove(menu, &id).is_some() };
        if !was_there {
            return Err(Trap::no_such_item());
        }
    }
    Ok(CommandReply::done(asked.tag()))
}

/// The rows a command is about. An `.id` that is no text is nobody's.
fn ids(asked: &Sentence) -> Result<Vec<String>, Trap> {
    let ids = asked.get(".id").or_else(|| asked.get("numbers")).ok_or_else(Trap::no_such_item)?;
    Ok(list(ids).into_iter().map(|id| String::from_utf8_lossy(&id).into_owned()).collect())
}

/// RouterOS 7 names the part of the path that is not there in a trap of its own; the last one where
/// all of them are.
pub(super) fn unknown_menu(state: &State, path: &str) -> Vec<Trap> {
    let prefix = Trap::missing("no such command prefix");
    if !state.settings.version.is_v7() {
        return vec![prefix];
    }
    let known = |path: &str| {
        let below = format!("{path}/");
        state.tables.keys().any(|menu| menu == path || menu.starts_with(&below))
    };
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
    let missing = ends.map(|end| &path[..end]).find(|path| !known(path)).unwrap_or(path);
    let part = missing.rsplit('/').next().unwrap_or_default();
    vec![Trap::missing(format!("no such command or directory ({part})")), prefix]
}

pub(super) fn unknown_command(state: &State, command: &str) -> Trap {
    if state.settings.version.is_v7() {
        Trap::missing(format!("no such command or directory ({command})"))
    } else {
        Trap::missing("no such command")
    }
}
