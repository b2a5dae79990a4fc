//! Answers and changes brought together: who is online, who came, who went.
//!
//! A print says who was online at some moment while it ran. A `listen` says who came and went
//! since, and on the way either may overtake the other. So, while the menu is followed:
//!
//! - Changes count as they come, in their order. Each login and each logout is counted once,
//!   however short its session was.
//! - An answer brings the counters of the sessions. Where it disagrees about who is online, a change
//!   may be on its way: the difference is a [`Doubt`]. One that stands at a later answer, with no
//!   change told of that session meanwhile, is a change that the router did not tell, and counts.
//! - The first answer after a `listen` has begun counts at once, for what happened while nobody
//!   listened, but for the sessions that a change has touched meanwhile: for these the changes decide.
//!
//! Where nobody listens, each answer counts at once by what differs from the one before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Counts, Hotspot, Session};
use crate::clock::Moment;
use crate::plugin::{Context, Following};
use crate::routeros::client::{MAX_REPLY, MAX_ROWS};
use crate::routeros::error::{Cause, Error};
use crate::routeros::value::{self, Text};
use crate::routeros::wire::Sentence;

/// How long a change may be behind the answer that it was overtaken by. Over one connection it is
/// some milliseconds; a busy small router may take longer.
const DOUBT: Duration = Duration::from_secs(2);

/// Servers with counts of their own; what is beyond is counted together. No hotspot known has a tenth.
const MAX_SERVERS: usize = 64;

/// An answer that disagreed with what the changes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// What the answer said of this id.
    seen: Option<Arc<Session>>,
    since: Moment,
}

impl Hotspot {
    /// Applies changes in their order, and gives the ids that they touched.
    ///
    /// # Errors
    ///
    /// `protocol` when there are more sessions than are taken.
    pub(super) fn apply(&mut self, changes: &[Sentence], context: &Context) -> Result<HashSet<Text>, Error> {
        let mut touched = HashSet::new();
        let mut book = Book::open(self);
        for change in changes {
            let Some(id) = change.get(".id") else { continue };
            let id = Text::new(id, context.codepage);
            book.hotspot.doubts.remove(&id);
            let is_dead = change.get(".dead").is_some_and(|dead| value::boolean(dead) != Some(false));
            match book.get(&id) {
                Some(_) if is_dead => book.goes(&id),
                Some(known) => {
                    let known = known.clone();
                    let mut now = Session::clone(&known);
                    now.merge(change, context);
                    if change.get("uptime").is_some() {
                        now.login = now.uptime.map(|uptime| context.now.before(uptime));
                    }
                    if known.is(&now, Duration::ZERO) {
                        book.put(Session { login: known.login, ..now });
                    } else {
                        // The one before went without a word.
                        book.goes(&id);
                        let mut next = Session::read(change, context);
                        // The id is made of the address, so these are the next one's, too.
                        next.server = next.server.or_else(|| known.server.clone());
                        next.address = next.address.or_else(|| known.address.clone());
                        book.comes(next);
                    }
                }
                // A change of one that is not known says too little; the next answer tells.
                None if !is_dead && change.get("user").is_some() => {
                    book.comes(Session::read(change, context));
                }
                None => {}
            }
            touched.insert(id);
        }
        book.close()?;
        Ok(touched)
    }

    /// Brings an answer in: these sessions are there, and where the answer is `whole`, no others.
    ///
    /// # Errors
    ///
    /// `protocol` when there are more sessions than are taken.
    pub(super) fn reconcile(
        &mut self,
        seen: Vec<Session>,
        whole: bool,
        context: &Context,
    ) -> Result<(), Error> {
        let touched = match context.following {
            Following::Begun(changes) => self.apply(changes, context)?,
            Following::No | Following::On => HashSet::new(),
        };
        let before = std::mem::take(&mut self.doubts);
        let mut book = Book::open(self);
        let gone: Vec<Text> = if whole {
            let there: HashSet<&Text> = seen.iter().map(|session| &session.id).collect();
            book.places.keys().filter(|id| !there.contains(id)).cloned().collect()
        } else {
            Vec::new()
        };
        let mut differing: Vec<(Text, Option<Session>)> = gone.into_iter().map(|id| (id, None)).collect();
        for session in seen {
            match book.get(&session.id) {
                Some(known) if known.is(&session, context.took) => {
                    let login = known.login.or(session.login);
                    book.put(Session { login, ..session });
                }
                _ => differing.push((session.id.clone(), Some(session))),
            }
        }
        for (id, seen) in differing {
            let seen = seen.map(Arc::new);
            let since = before.get(&id).filter(|doubt| doubt.is_about(seen.as_deref(), context));
            let since = since.map_or(context.now, |doubt| doubt.since);
            let counts = match context.following {
                Following::No => true,
                Following::Begun(_) => !touched.contains(&id),
                Following::On => context.now.since(since) >= DOUBT,
            };
            if !counts {
                book.hotspot.doubts.insert(id, Doubt { seen, since });
                continue;
            }
            if matches!(context.following, Following::On) {
                book.hotspot.untold_changes += 1;
            }
            if book.get(&id).is_some() {
                book.goes(&id);
            }
            match seen {
                // Who is there at the first look came before there was anybody to count.
                Some(session) if context.previous.is_none() => book.put(Session::clone(&session)),
                Some(session) => book.comes(Session::clone(&session)),
                None => {}
            }
        }
        book.close()
    }
}

impl Doubt {
    fn is_about(&self, seen: Option<&Session>, context: &Context) -> bool {
        match (self.seen.as_deref(), seen) {
            (Some(before), Some(now)) => before.is(now, context.took),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The sessions of a hotspot, to be found by id while they change.
struct Book<'h> {
    hotspot: &'h mut Hotspot,
    sessions: Vec<Option<Arc<Session>>>,
    places: HashMap<Text, usize>,
}

impl<'h> Book<'h> {
    fn open(hotspot: &'h mut Hotspot) -> Self {
        let sessions: Vec<_> = std::mem::take(&mut hotspot.sessions).into_iter().map(Some).collect();
        let places = sessions.iter().enumerate();
        let places = places.filter_map(|(at, session)| Some((session.as_ref()?.id.clone(), at))).collect();
        Self { hotspot, sessions, places }
    }

    fn get(&self, id: &Text) -> Option<&Arc<Session>> {
        self.sessions[*self.places.get(id)?].as_ref()
    }

    /// Puts a session in, in place of one with the same id.
    fn put(&mut self, session: Session) {
        self.hotspot.last_login = self.hotspot.last_login.max(session.login);
        let session = Arc::new(session);
        if let Some(&at) = self.places.get(&session.id) {
            self.sessions[at] = Some(session);
        } else {
            self.places.insert(session.id.clone(), self.sessions.len());
            self.sessions.push(Some(session));
        }
    }

    /// Somebody logged in.
    fn comes(&mut self, session: Session) {
        self.counts(session.server.as_deref()).logins += 1;
        self.put(session);
    }

    /// Somebody logged out.
    fn goes(&mut self, id: &Text) {
        if let Some(session) = self.places.remove(id).and_then(|at| self.sessions[at].take()) {
            self.counts(session.server.as_deref()).logouts += 1;
        }
    }

    fn counts(&mut self, server: Option<&str>) -> &mut Counts {
        let server = server.unwrap_or_default();
        let servers = &mut self.hotspot.servers;
        let own = servers.contains_key(server) || servers.len() < MAX_SERVERS;
        servers.entry(if own { server.into() } else { String::new() }).or_default()
    }

    fn close(self) -> Result<(), Error> {
        self.hotspot.sessions = self.sessions.into_iter().flatten().collect();
        let sessions = &self.hotspot.sessions;
        let cost: usize = sessions.iter().map(|session| session.cost()).sum();
        if sessions.len() > MAX_ROWS || cost > MAX_REPLY {
            let message = format!(
                "the router tells of {} sessions that take {cost} bytes; {MAX_ROWS} and {MAX_REPLY} are taken",
                sessions.len()
            );
            return Err(Error::new(Cause::Protocol, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Data;
    use crate::routeros::value::Encoding;

    /// A hotspot, and what is told of it.
    struct Told {
        hotspot: Option<Data>,
        now: Moment,
    }

    /// A row, or with no user a change of one: `id user mac uptime`.
    fn row(row: &(&str, &str, &str, &str)) -> Sentence {
        let (id, user, mac, uptime) = row;
        let words = [("id", id), ("user", user), ("mac-address", mac), ("uptime", uptime)];
        let words = words.iter().filter(|(_, value)| !value.is_empty());
        let words = words.map(|(key, value)| match *key {
            "id" => format!("=.id={value}"),
            key => format!("={key}={value}"),
        });
        Sentence::from_words(std::iter::once("!re".to_string()).chain(words))
    }

    fn dead(id: &str, word: &str) -> Sentence {
        Sentence::from_words(["!re", &format!("=.id={id}"), &format!("=.dead={word}")])
    }

    impl Told {
        fn new() -> Self {
            Self { hotspot: None, now: Moment::now() }
        }

        fn later(&mut self, seconds: u64) {
            self.now = self.now.after(Duration::from_secs(seconds));
        }

        fn change<T>(&mut self, following: Following, act: impl FnOnce(&mut Hotspot, &Context) -> T) -> T {
            let codepage = Encoding::for_label(b"windows-1252").unwrap();
            let mut hotspot = match &self.hotspot {
                Some(Data::Hotspot(hotspot)) => hotspot.clone(),
                _ => Hotspot::default(),
            };
            let previous = self.hotspot.as_ref();
            let context = Context { previous, following, ..Context::new(self.now, codepage) };
            let done = act(&mut hotspot, &context);
            self.hotspot = Some(Data::Hotspot(hotspot));
            done
        }

        fn answer(&mut self, following: Following, rows: &[(&str, &str, &str, &str)]) {
            self.answer_in_part(following, rows, true);
        }

        fn answer_in_part(&mut self, following: Following, rows: &[(&str, &str, &str, &str)], whole: bool) {
            self.change(following, |hotspot, context| {
                let seen = rows.iter().map(|of| Session::read(&row(of), context)).collect();
                hotspot.reconcile(seen, whole, context).unwrap();
            });
        }

        fn told(&mut self, changes: &[Sentence]) {
            self.change(Following::On, |hotspot, context| hotspot.apply(changes, context).unwrap());
        }

        /// Who is there, and how many logins and logouts were counted.
        #[track_caller]
        fn is(&self, users: &str, logins: u64, logouts: u64) {
            let Some(Data::Hotspot(hotspot)) = &self.hotspot else { panic!("nothing is known") };
            let there: Vec<&str> = hotspot.sessions.iter().map(|session| &*session.user).collect();
            assert_eq!(there.join(" "), users);
            assert_eq!(hotspot.counts(), Counts { logins, logouts });
        }

        fn in_doubt(&self) -> bool {
            self.hotspot.as_ref().unwrap().is_in_doubt()
        }
    }

    const ADA: (&str, &str, &str, &str) = ("*1", "ada", "M1", "1h");
    const CHIDI: (&str, &str, &str, &str) = ("*2", "chidi", "M2", "2h");

    #[test]
    fn polling_counts_what_differs_from_answer_to_answer() {
        let mut told = Told::new();
        told.answer(Following::No, &[ADA, CHIDI]);
        told.is("ada chidi", 0, 0);
        told.later(30);
        told.answer(Following::No, &[("*1", "ada", "M1", "1h30s"), ("*3", "bola", "M3", "5s")]);
        told.is("ada bola", 1, 1);
        told.later(30);
        told.answer(Following::No, &[("*1", "bola", "M3", "9s"), ("*3", "bola", "M3", "3s")]);
        told.is("bola bola", 3, 3);
        assert!(!told.in_doubt());
    }

    #[test]
    fn changes_count_as_they_come() {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[ADA]);
        told.is("ada", 0, 0);
        told.told(&[row(&("*2", "chidi", "M2", "0s")), dead("*1", "true")]);
        told.is("chidi", 1, 1);
        // One that is gone before anybody looked again, and one more at the same address.
        told.told(&[row(&("*1", "bola", "M3", "0s")), dead("*1", "yes"), row(&("*1", "ada", "M1", "0s"))]);
        told.is("chidi ada", 3, 2);
        // What is told of what is there already, or of what is not, counts nothing.
        told.told(&[row(&("*2", "", "", "")), row(&("*2", "chidi", "M2", "")), dead("*9", "true")]);
        told.is("chidi ada", 3, 2);
        // Somebody else at the same address, without a word of who left.
        told.told(&[row(&("*2", "bola", "M3", "0s"))]);
        told.is("ada bola", 4, 3);
        // The same person again, which the age alone shows.
        told.later(60);
        told.told(&[row(&("*1", "ada", "M1", "0s"))]);
        told.is("bola ada", 5, 4);
    }

    #[test]
    fn an_answer_that_a_change_has_overtaken_or_follows_counts_nothing_twice() {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[ADA]);
        // Already gone, and chidi already there, in an answer that their changes come after.
        told.later(1);
        told.answer(Following::On, &[CHIDI]);
        told.is("ada", 0, 0);
        assert!(told.in_doubt());
        told.told(&[dead("*1", "true"), row(&CHIDI)]);
        told.is("chidi", 1, 1);
        assert!(!told.in_doubt());
        // Still there, and bola not yet, in an answer that their changes came before.
        told.told(&[dead("*2", "true"), row(&("*1", "bola", "M3", "0s"))]);
        told.answer(Following::On, &[CHIDI]);
        told.is("bola", 2, 2);
        told.later(10);
        told.answer(Following::On, &[("*1", "bola", "M3", "10s")]);
        told.is("bola", 2, 2);
        assert!(!told.in_doubt());
    }

    #[test]
    fn a_change_that_was_not_told_counts_at_the_second_look() {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[ADA]);
        for (after_s, users, logins) in [(1, "ada", 0), (1, "ada", 0), (1, "chidi", 1)] {
            told.later(after_s);
            told.answer(Following::On, &[CHIDI]);
            told.is(users, logins, logins);
        }
        assert_eq!(told.hotspot.as_ref().unwrap().untold_changes(), 2);
        assert!(!told.in_doubt());
    }

    #[test]
    fn what_happened_while_nobody_listened_counts_at_the_first_answer() {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[ADA]);
        told.later(600);
        // Ada left meanwhile, chidi came; bola comes and goes while the first answer is on its way.
        let changes = [row(&("*3", "bola", "M3", "0s")), dead("*3", "true")];
        told.answer(Following::Begun(&changes), &[CHIDI, ("*3", "bola", "M3", "0s")]);
        told.is("chidi", 2, 2);
        assert!(told.in_doubt(), "the answer may be older than the changes");
    }

    #[test]
    fn who_comes_before_the_first_answer_of_all_is_there_once() {
        let mut told = Told::new();
        let changes = [row(&("*3", "bola", "M3", "0s"))];
        told.answer(Following::Begun(&changes), &[ADA, ("*3", "bola", "M3", "0s")]);
        told.is("bola ada", 1, 0);
    }

    #[test]
    fn what_a_part_of_an_answer_lacks_is_not_gone() {
        for following in [Following::No, Following::On] {
            let mut told = Told::new();
            told.answer(Following::Begun(&[]), &[ADA, CHIDI]);
            told.later(30);
            told.answer_in_part(following, &[("*1", "ada", "M1", "1h30s")], false);
            told.is("ada chidi", 0, 0);
            assert!(!told.in_doubt());
        }
    }

    #[test]
    fn more_than_is_taken_is_an_error() {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[]);
        let many = |from: usize, to: usize| {
            (from..to).map(|n| row(&(&format!("*{n:X}"), "x", "M", "0s"))).collect::<Vec<_>>()
        };
        told.told(&many(0, MAX_ROWS));
        let error = told.change(Following::On, |hotspot, context| {
            hotspot.apply(&many(MAX_ROWS, MAX_ROWS + 1), context).unwrap_err()
        });
        assert_eq!(error.cause, Cause::Protocol);
        let wide = "w".repeat(MAX_REPLY / 2);
        let mut told = Told::new();
        let error = told.change(Following::On, |hotspot, context| {
            let rows = [row(&("*1", &wide, "M", "0s")), row(&("*2", &wide, "M", "0s"))];
            hotspot.apply(&rows, context).unwrap_err()
        });
        assert_eq!(error.cause, Cause::Protocol);
    }

    #[test]
    fn servers_are_counted_apart_up_to_a_bound() {
        let mut told = Told::new();
        told.answer(Following::Begun(&[]), &[]);
        let mut rows = Vec::new();
        for n in 0..2 * MAX_SERVERS {
            let mut row = row(&(&format!("*{n:X}"), "x", "M", "0s"));
            row.push_attribute(b"server", format!("hs{n}").as_bytes());
            rows.push(row);
        }
        told.told(&rows);
        let Some(Data::Hotspot(hotspot)) = &told.hotspot else { panic!() };
        assert_eq!(hotspot.servers["hs0"].logins, 1);
        assert_eq!((hotspot.servers[""].logins, hotspot.servers.len()), (64, MAX_SERVERS + 1));
    }
}
