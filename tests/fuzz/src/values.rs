//! Any text of a router as each type of value, and as rows of each plugin.
//!
//! An input is text. Each line is a value, and so is the whole input; lines without an empty one between them are a row
//! with one word per line.

use std::sync::LazyLock;

use phsweb_agent::clock::Moment;
use phsweb_agent::net::tls::{Authorities, Fingerprint};
use phsweb_agent::plugin::{Answer, BUILT_IN, Data, Following, Plugin, ReadContext};
use phsweb_agent::routeros::client::Reply;
use phsweb_agent::routeros::codepage::Codepage;
use phsweb_agent::routeros::rows::Rows;
use phsweb_agent::routeros::value;
use phsweb_agent::routeros::wire::{Sentence, attribute};

/// Some code pages that a site may declare: with undefined bytes and without.
static CODEPAGES: LazyLock<Vec<&'static Codepage>> = LazyLock::new(|| {
    let names = ["windows-1252", "windows-1251", "windows-1255", "windows-874"];
    names.map(|name| Codepage::named(name).expect("expected a known name")).into()
});

/// Runs one input.
///
/// # Panics
///
/// When the input shows a fault: that is what the fuzzer looks for.
pub fn run(input: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    for text in lines.iter().copied().chain([input]) {
        numbers(text);
        texts(text);
    }
    authorities(input);
    plugins(lines.split(|line| line.is_empty()).map(|words| Sentence::from_words(words.iter())).collect());
}

fn numbers(text: &[u8]) {
    if let Some(duration) = value::duration(text) {
        let shown = value::format_duration(duration);
        let again = value::duration(shown.as_bytes()).map(|again| again.as_secs());
        assert_eq!(again, Some(duration.as_secs()), "{shown}");
    }
    if let Some(number) = value::number(text) {
        assert!(text.iter().all(u8::is_ascii_digit));
        assert_eq!(value::number(number.to_string().as_bytes()), Some(number));
    }
    if let Some(decimal) = value::decimal(text) {
        assert!(decimal.is_finite(), "expected a finite number, got {decimal}");
        assert_eq!(value::decimal(decimal.to_string().as_bytes()), Some(decimal));
    }
    if let Some(boolean) = value::boolean(text) {
        assert_eq!(value::boolean(boolean.to_string().as_bytes()), Some(boolean));
    }
}

fn texts(text: &[u8]) {
    let utf8 = std::str::from_utf8(text);
    for codepage in &*CODEPAGES {
        let shown = value::text(text, codepage);
        assert!(utf8.is_err() || utf8 == Ok(&*shown), "expected UTF-8 to be unchanged");
    }
    if let Some((key, value)) = attribute(text) {
        assert!(!key.contains(&b'='));
        // Without a second `=`, the word lacks the one before the empty value.
        let whole = [b"=", key, b"=", value].concat();
        assert!(whole == text || value.is_empty() && whole.strip_suffix(b"=") == Some(text));
    }
    if let Some(fingerprint) = utf8.ok().and_then(|text| text.parse::<Fingerprint>().ok()) {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
}

fn authorities(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text) {
        match Authorities::from_pem(text) {
            Ok(read) => assert_eq!(Authorities::from_pem(text), Ok(read)),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}

fn context(following: Following) -> ReadContext {
    ReadContext { following, ..ReadContext::new(Moment::now(), CODEPAGES[0]) }
}

/// Applies these rows to a hotspot as changes, alone and before answers. The sessions are always the earlier ones plus
/// logins minus logouts, and no count decreases.
fn follow(plugin: &Plugin, answers: &[Answer], changes: &Rows, first: Data) {
    let mut before = first;
    let followed = before
        .follow(changes, &context(Following::On))
        .expect("expected so few rows to be within the limits");
    let answered = [Following::Begun(changes), Following::On, Following::No].map(Some);
    for following in [None].into_iter().chain(answered) {
        let after = match following {
            None => followed.clone().unwrap_or_else(|| before.clone()),
            Some(following) => plugin
                .read(answers, Some(&before), &context(following))
                .expect("expected every answer to be readable"),
        };
        if let (Data::Hotspot(before), Data::Hotspot(after)) = (&before, &after) {
            let (past, now) = (before.counts(), after.counts());
            let sessions = before.sessions.len() as u64 + now.logins + past.logouts;
            assert_eq!(sessions, after.sessions.len() as u64 + past.logins + now.logouts);
            for (server, past) in &before.servers {
                let now = after.servers.get(server).expect("expected a server to keep its counts");
                assert!(now.upload_bytes >= past.upload_bytes && now.download_bytes >= past.download_bytes);
            }
        }
        before = after;
    }
}

/// Every plugin reads these rows twice, the second time with the data of the first.
fn plugins(rows: Rows) {
    let changes = rows.clone();
    let ret = rows.iter().find_map(|row| row.get("ret")).map(<[u8]>::to_vec);
    let answers: [Answer; 2] =
        [Ok(Reply { rows, ..Reply::default() }), Ok(Reply { ret, ..Reply::default() })];
    for plugin in BUILT_IN {
        let read = |previous| {
            let data = plugin
                .read(&answers, previous, &context(Following::No))
                .expect("expected every answer to be readable");
            let columns = data.columns().len();
            assert!(data.rows().all(|row| row.len() == columns));
            assert!(data.families().iter().all(|family| family.series().count() <= 100));
            data
        };
        let first = read(None);
        match (&first, read(Some(&first))) {
            (Data::Hotspot(first), Data::Hotspot(again)) => {
                assert_eq!(first.sessions.len(), again.sessions.len());
                assert!(first.last_login <= again.last_login, "expected the last login not to move back");
            }
            (first, again) => assert_eq!(*first, again),
        }
        if let Data::Health(health) = &first {
            let mut measures = health.sensors.iter().filter_map(|sensor| sensor.measure);
            assert!(measures.all(|(_, measure)| measure.is_finite()));
        }
        follow(&plugin, &answers, &changes, first);
    }
}
