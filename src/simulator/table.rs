//! A menu's rows, what may be done with them, and who listens to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use smol::channel::{Receiver, Sender, bounded};

use super::print::{Follow, Print};
use super::reply::{CommandReply, RowChange, Trap, sentence};
use super::row::{Now, Row, Value};
use crate::routeros::wire::Sentence;

/// Most rows in one menu. The largest hotspots have a few thousand users; a client that adds
/// rows without end must not fill the memory.
pub const MAX_ROWS: usize = 20_000;

/// Most changes waiting for one `listen`. A client that does not read them any more has its
/// `listen` interrupted, as memory is all that could hold the rest.
const MAX_CHANGES: usize = 1024;

/// What a menu allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether it is one row without an `.id`, such as `/system/resource`.
    pub(super) single: bool,
    pub(super) add: bool,
    pub(super) remove: bool,
    pub(super) set: Keys,
    /// The attribute that [`MenuTable::find_by`] finds rows by without looking at each. What is looked
    /// for at every login, in a menu that is as large as the hotspot, needs it.
    pub(super) found_by: &'static str,
}

/// The attributes that `set` and `add` take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keys {
    /// There is no `set`.
    None,
    Only(&'static [&'static str]),
    Any,
}

impl Keys {
    fn take(self, key: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Only(keys) => keys.iter().any(|k| k.as_bytes() == key),
            Self::Any => true,
        }
    }
}

/// Attributes that are not there at all where they are set to nothing.
const CLEARED: [&str; 3] = ["comment", "mac-address", "address"];

/// Whether a value given to an attribute takes it away.
pub(super) fn clears(key: &str, value: &Value) -> bool {
    CLEARED.contains(&key) && matches!(value, Value::Text(bytes) if bytes.is_empty())
}

#[derive(Debug)]
pub(super) struct MenuTable {
    rules: Rules,
    /// The rows by the order they came in.
    rows: BTreeMap<u64, Row>,
    /// Where the row of an `.id` is in `rows`.
    places: HashMap<String, u64>,
    /// Where the rows of a value of `rules.found_by` are in `rows`.
    found: HashMap<Vec<u8>, BTreeSet<u64>>,
    last_place: u64,
    last_id: u32,
    listeners: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    print: Print,
    sender: Sender<RowChange>,
}

impl MenuTable {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            rows: BTreeMap::new(),
            places: HashMap::new(),
            found: HashMap::new(),
            last_place: 0,
            last_id: 0,
            listeners: Vec::new(),
        }
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.values()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn find(&self, id: &str) -> Option<&Row> {
        self.rows.get(self.places.get(id)?)
    }

    /// The first row that has all of these texts.
    pub(super) fn find_by(&self, texts: &[(&str, &str)]) -> Option<&Row> {
        let has = |row: &&Row| texts.iter().all(|(key, text)| row.text(key) == text.as_bytes());
        match texts.iter().find(|(key, _)| *key == self.rules.found_by) {
            Some((_, text)) => {
                self.found.get(text.as_bytes())?.iter().filter_map(|place| self.rows.get(place)).find(has)
            }
            None => self.rows().find(has),
        }
    }

    /// Answers a print. `says_empty`: whether an answer without rows says so.
    pub(super) fn print(&mut self, print: &Print, says_empty: bool, now: &Now<'_>) -> CommandReply {
        let tag = print.tag.as_deref();
        let there = |id: &Vec<u8>| std::str::from_utf8(id).is_ok_and(|id| self.places.contains_key(id));
        if !print.ids().all(there) {
            return CommandReply::traps(&[Trap::new("no such item")], tag);
        }
        let rows = || self.rows().filter(|row| print.matches(row, now));
        if print.count_only {
            let count = if now.version.counts_all() { self.len() } else { rows().count() };
            return CommandReply::ret(count.to_string().as_bytes(), tag);
        }
        let mut sentences = match print.follow {
            Follow::Only => Vec::new(),
            Follow::No | Follow::After => rows().map(|row| print.re(row, now)).collect(),
        };
        let mut changes = None;
        if print.follow == Follow::No {
            if sentences.is_empty() && says_empty {
                sentences.push(sentence("!empty", tag));
            }
            sentences.push(sentence("!done", tag));
        } else {
            changes = Some(self.listen(print.clone()));
        }
        CommandReply { changes, ..CommandReply::of(sentences) }
    }

    /// Puts a row in, in place of one with the same `.id`; its `.id` is returned.
    pub(super) fn insert(&mut self, mut row: Row, now: &Now<'_>) -> Result<String, Trap> {
        if row.id.is_empty() && !self.rules.single {
            row.id = self.free_id();
        }
        let id = row.id.clone();
        if let Some(&place) = self.places.get(&id) {
            let changed = self.take_out(place).map(|old| differences(&old, &row)).unwrap_or_default();
            self.put_in(place, row.clone());
            self.tell_change(&row, &changed, now);
        } else if self.rows.len() < MAX_ROWS {
            self.tell(|print| print.matches(&row, now).then(|| print.re(&row, now)));
            self.last_place += 1;
            self.places.insert(id.clone(), self.last_place);
            self.put_in(self.last_place, row);
        } else {
            return Err(Trap::new(format!("failure: the simulated menu is full at {MAX_ROWS} rows")));
        }
        Ok(id)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Row> {
        let place = self.places.remove(id)?;
        let row = self.take_out(place)?;
        self.tell(|print| Some(print.re_dead(&row)));
        Some(row)
    }

    /// Takes all rows out, and nobody is told: how a reboot forgets, which ends every `listen` too.
    pub(super) fn forget(&mut self) {
        let rules = self.rules;
        *self = Self { last_id: self.last_id, last_place: self.last_place, ..Self::new(rules) };
    }

    /// Has all that counts begin again at zero. Nobody is told, as of any counter.
    pub(super) fn restart_counts(&mut self, at: Duration) {
        let attributes = self.rows.values_mut().flat_map(|row| &mut row.attributes);
        attributes.for_each(|(_, value)| value.restart(at));
    }

    /// Takes the first row out without a word: how the log forgets.
    pub(super) fn forget_first(&mut self) {
        if let Some(row) = self.rows.keys().next().copied().and_then(|place| self.take_out(place)) {
            self.places.remove(&row.id);
        }
    }

    fn put_in(&mut self, place: u64, row: Row) {
        let found_by = row.text(self.rules.found_by);
        if !found_by.is_empty() {
            self.found.entry(found_by.to_vec()).or_default().insert(place);
        }
        self.rows.insert(place, row);
    }

    fn take_out(&mut self, place: u64) -> Option<Row> {
        let row = self.rows.remove(&place)?;
        let found_by = row.text(self.rules.found_by);
        if let Some(places) = self.found.get_mut(found_by) {
            places.remove(&place);
            if places.is_empty() {
                self.found.remove(found_by);
            }
        }
        Some(row)
    }

    /// Sets attributes of a row; whether it is there.
    pub(super) fn set(&mut self, id: &str, values: Vec<(String, Value)>, now: &Now<'_>) -> bool {
        let Some(mut row) = self.find(id).cloned() else { return false };
        for (key, value) in values {
            row.set(&key, value);
        }
        let is_set = self.insert(row, now).is_ok();
        // Only now: a `listen` is told of the empty value, or it would never hear that it is gone.
        if let Some(row) = self.places.get(id).and_then(|place| self.rows.get_mut(place)) {
            // Empty, so it is not what the row is found by.
            row.attributes.retain(|(key, value)| !clears(key, value));
        }
        is_set
    }

    /// Makes these all the rows there are, [`MAX_ROWS`] at most. Rows without an `.id` keep the one
    /// that their place has, so that giving the same rows again changes nothing.
    pub(super) fn replace(&mut self, mut rows: Vec<Row>, now: &Now<'_>) {
        rows.truncate(MAX_ROWS);
        let old: Vec<String> = self.rows().map(|row| row.id.clone()).collect();
        for (row, id) in rows.iter_mut().zip(&old).filter(|(row, _)| row.id.is_empty()) {
            row.id.clone_from(id);
        }
        let kept: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        for id in old.iter().filter(|id| !kept.contains(id.as_str())) {
            self.remove(id);
        }
        for row in rows {
            // There is room: those that are left are among these.
            let _ = self.insert(row, now);
        }
    }

    /// The attributes of a `set` or `add`, or the trap for one that the menu does not have.
    pub(super) fn values(&self, asked: &Sentence) -> Result<Vec<(String, Value)>, Trap> {
        let mut values = Vec::new();
        for (key, value) in asked.attributes().filter(|(key, _)| !matches!(*key, b".id" | b"numbers")) {
            let name = std::str::from_utf8(key).ok().filter(|_| self.rules.set.take(key));
            let name = name.ok_or_else(Trap::unknown_parameter)?;
            // RouterOS takes `yes` and `no`, and shows them as `true` and `false`.
            let value = match (name, value) {
                ("disabled", b"yes") => true.into(),
                ("disabled", b"no") => false.into(),
                _ => Value::from(value),
            };
            values.push((name.to_string(), value));
        }
        Ok(values)
    }

    fn listen(&mut self, print: Print) -> Receiver<RowChange> {
        let (sender, changes) = bounded(MAX_CHANGES);
        self.listeners.retain(|listener| !listener.sender.is_closed());
        self.listeners.push(Listener { print, sender });
        changes
    }

    fn tell_change(&mut self, row: &Row, changed: &[String], now: &Now<'_>) {
        let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
        self.tell(|print| print.matches(row, now).then(|| print.re_change(row, &changed, now)).flatten());
    }

    /// Gives each listener its sentence, if it has one. One that is gone or does not keep up is let go.
    fn tell(&mut self, say: impl Fn(&Print) -> Option<Sentence>) {
        self.listeners.retain(|listener| match say(&listener.print) {
            Some(re) => listener.sender.try_send((Instant::now(), re)).is_ok(),
            None => !listener.sender.is_closed(),
        });
    }

    fn free_id(&mut self) -> String {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = format!("*{:X}", self.last_id);
            if !self.places.contains_key(&id) {
                return id;
            }
        }
    }
}

/// The attributes of `new` that are not as in `old` and are pushed to a `listen`: counters are not.
fn differences(old: &Row, new: &Row) -> Vec<String> {
    let differs = |(key, value): &&(String, Value)| !value.is_counter() && old.get(key) != Some(value);
    new.attributes.iter().filter(differs).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYTHING: Rules =
        Rules { single: false, add: true, remove: true, set: Keys::Any, found_by: "name" };

    #[test]
    fn a_listener_that_does_not_read_is_let_go() {
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        let print = Print::read(&Sentence::from_words(["/test/listen"])).unwrap();
        let mut table = MenuTable::new(ANYTHING);
        let changes = table.print(&print, true, &now).changes.unwrap();
        for n in 0..MAX_CHANGES {
            table.insert(Row::new().with("n", n as u64), &now).unwrap();
        }
        assert!(!changes.is_closed());
        table.insert(Row::new(), &now).unwrap();
        assert!(changes.is_closed() && changes.len() == MAX_CHANGES, "{} changes wait", changes.len());
        assert!(table.listeners.is_empty());
    }

    #[test]
    fn rows_are_found_by_what_they_have_now() {
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        let mut table = MenuTable::new(ANYTHING);
        let row = |id: &str, name: &str, on: &str| Row::new().id(id).with("name", name).with("on", on);
        table
            .replace(vec![row("*1", "yam", "top"), row("*2", "yam", "side"), row("*3", "rice", "top")], &now);
        let found =
            |table: &MenuTable, texts: &[(&str, &str)]| table.find_by(texts).map(|row| row.id.clone());
        let named = |table: &MenuTable, name| found(table, &[("name", name)]);
        assert_eq!(named(&table, "yam").as_deref(), Some("*1"));
        assert_eq!(found(&table, &[("on", "side"), ("name", "yam")]).as_deref(), Some("*2"));
        assert_eq!(found(&table, &[("on", "top")]).as_deref(), Some("*1"));
        assert!(table.set("*1", vec![("name".to_string(), "palm".into())], &now));
        assert_eq!(named(&table, "yam").as_deref(), Some("*2"));
        assert_eq!(named(&table, "palm").as_deref(), Some("*1"));
        table.remove("*2");
        assert_eq!(named(&table, "yam"), None);
        table.forget_first();
        assert_eq!(named(&table, "palm"), None);
        table.replace(Vec::new(), &now);
        assert!(table.found.is_empty());
    }

    #[test]
    fn old_versions_ignore_a_query_on_count_only() {
        for (version, counted, listed) in [("6.28", "2", 1), ("6.29", "1", 1), ("7.20", "1", 1)] {
            let version = version.parse().unwrap();
            let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
            let mut table = MenuTable::new(ANYTHING);
            table.replace(vec![Row::new().with("name", "yam"), Row::new().with("name", "rice")], &now);
            let mut ask = |words: &[&str]| {
                let print = Print::read(&Sentence::from_words(words)).unwrap();
                table.print(&print, false, &now).sentences
            };
            let count = ask(&["/test/print", "=count-only=", "?name=yam"]);
            assert_eq!(count[0].get("ret"), Some(counted.as_bytes()), "{version}");
            assert_eq!(ask(&["/test/print", "?name=yam"]).len(), listed + 1, "{version}: rows and the end");
        }
    }

    #[test]
    fn a_menu_takes_so_many_rows() {
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        let mut table = MenuTable::new(ANYTHING);
        table.replace(vec![Row::new(); MAX_ROWS + 1], &now);
        assert_eq!(table.len(), MAX_ROWS);
        assert!(table.insert(Row::new(), &now).is_err());
        assert!(table.insert(Row::new().id("*1"), &now).is_ok(), "a row that is there can be changed");
    }
}
