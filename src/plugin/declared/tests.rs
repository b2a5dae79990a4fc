//! The command of a declared plugin, and how it reads answers of every form.

use std::sync::Arc;

use super::*;
use crate::clock::Moment;
use crate::plugin::{Data, MetricKind, Plugin};
use crate::routeros::client::Command;
use crate::routeros::client::Reply;
use crate::routeros::codepage::Codepage;
use crate::routeros::error::Cause;
use crate::routeros::wire::Sentence;

fn declaration() -> Declaration {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let metric =
        |name: &str, measure, labels: &[&str]| Metric { name: name.into(), measure, labels: texts(labels) };
    Declaration {
        name: "queues".into(),
        title: "Queues".into(),
        menu: "/queue/simple".into(),
        query: texts(&["disabled=false", "-comment"]),
        columns: vec!["name".into(), "rate-limit".into()],
        every: None,
        private: false,
        metrics: vec![
            metric("queues", Measure::Rows, &[]),
            metric("queues_by_parent", Measure::Rows, &["parent-queue"]),
            metric("rates", Measure::Gauge("rate".into()), &[]),
            metric("bytes_total", Measure::Counter("bytes".into()), &["parent-queue"]),
        ],
    }
}

fn reply(rows: &[&str]) -> Reply {
    let words = |row: &&str| {
        let words = row.split_whitespace().map(|word| format!("={word}"));
        std::iter::once("!re".to_string()).chain(words).collect::<Vec<_>>()
    };
    let row = |row: &&str| Sentence::from_words(words(row).iter().map(String::as_str));
    Reply { rows: rows.iter().map(row).collect(), ..Reply::default() }
}

/// Reads an answer after the previous data.
fn read(reply: Reply, previous: Option<&Data>) -> Data {
    read_as(declaration(), reply, previous)
}

fn read_as(declaration: Declaration, reply: Reply, previous: Option<&Data>) -> Data {
    let codepage = Codepage::named("windows-1252").unwrap();
    let context = ReadContext::new(Moment::now(), codepage);
    Plugin::Declared(declaration.into()).read(&[Ok(reply)], previous, &context).unwrap()
}

/// Each series with its value.
fn series(data: &Data) -> Vec<String> {
    let of = |family: Family| {
        let series = family.series().map(|(labels, value)| {
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}{{{}}} {value}", family.name, labels.join(","))
        });
        series.collect::<Vec<_>>()
    };
    data.families().into_iter().flat_map(of).collect()
}

/// The counter's series alone.
fn counted(data: &Data) -> Vec<String> {
    series(data).into_iter().filter(|line| line.starts_with("bytes_total")).collect()
}

#[test]
fn one_command_requests_all_shown_and_measured_properties() {
    let expected = Command::new("/queue/simple/print")
        .attribute(".proplist", "name,rate-limit,parent-queue,rate,bytes,.id")
        .query("?disabled=false")
        .query("?-comment")
        .at_most(limits::DECLARED);
    assert_eq!(declaration().command(), expected);
    let bare = Declaration { metrics: Vec::new(), query: Vec::new(), ..declaration() };
    let expected = Command::new("/queue/simple/print").attribute(".proplist", "name,rate-limit");
    assert_eq!(bare.command(), expected.at_most(limits::DECLARED));
}

#[test]
fn a_table_has_the_declared_columns() {
    let mut answer = reply(&["name=a rate-limit=5 other=x", "", ".id=*2 rate-limit=", "name=b name=c"]);
    let mut hostile = Sentence::from_words(["!re"]);
    hostile.push_attribute(b"name", b"caf\xe9\0<b>");
    answer.rows.push(&hostile);
    let data = read(answer, None);
    let table = &data.listing().unwrap().table;
    assert_eq!(table.columns, ["name", "rate-limit"]);
    let cells: Vec<Vec<Option<&str>>> =
        table.rows.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect();
    assert_eq!(
        cells,
        [
            vec![Some("a"), Some("5")],
            // An empty row is ignored; a row without shown properties is not.
            vec![None, Some("")],
            vec![Some("b"), None],
            vec![Some("café\0<b>"), None],
        ]
    );
}

#[test]
fn an_answer_is_measured_by_its_labels() {
    let rows = [
        ".id=*1 parent-queue=up rate=1.5 bytes=10",
        ".id=*2 parent-queue=up rate=-2 bytes=5",
        ".id=*3 rate=1m30s bytes=-7",
        ".id=*4 rate=true bytes=5k",
        ".id=*5 rate=fast",
        "",
    ];
    assert_eq!(
        series(&read(reply(&rows), None)),
        [
            "queues{} 5",
            "queues_by_parent{parent_queue=} 3",
            "queues_by_parent{parent_queue=up} 2",
            "rates{} 90.5",
            "bytes_total{parent_queue=up} 0",
        ]
    );
    assert_eq!(series(&read(reply(&[]), None)), ["queues{} 0"], "zero rows, and nothing unknown");
    // The only row of a menu may have no `.id`.
    assert_eq!(
        series(&read(reply(&["rate=4"]), None)),
        ["queues{} 1", "queues_by_parent{parent_queue=} 1", "rates{} 4"]
    );
}

#[test]
fn numbers_durations_and_booleans_are_figures() {
    for (text, figure) in [
        ("0", Some(0.0)),
        ("-4.5", Some(-4.5)),
        ("18446744073709551615", Some(18_446_744_073_709_551_615.0)),
        ("1w1s", Some(604_801.0)),
        ("00:01:00", Some(60.0)),
        ("500ms", Some(0.5)),
        ("yes", Some(1.0)),
        ("false", Some(0.0)),
        // A flag.
        ("", Some(1.0)),
        ("never", None),
        ("5%", None),
        ("1/2", None),
        ("1e9", None),
    ] {
        let row = Sentence::from_words(["!re", &format!("=a={text}")]);
        assert_eq!(number_of((&row).into(), "a"), figure, "{text:?}");
        assert_eq!(number_of((&row).into(), "b"), None);
    }
}

#[test]
fn a_counter_never_goes_down() {
    let steps: [(&[&str], f64); 9] = [
        // It starts from 0.
        (&[".id=*1 bytes=10", ".id=*2 bytes=5"], 0.0),
        (&[".id=*1 bytes=11", ".id=*2 bytes=5"], 1.0),
        // The order is irrelevant; a new row adds its value.
        (&[".id=*2 bytes=6", ".id=*1 bytes=11", ".id=*3 bytes=100"], 102.0),
        // A lower value was reset; an absent or malformed one stays.
        (&[".id=*1 bytes=4", ".id=*2", ".id=*3 bytes=-1"], 106.0),
        (&[".id=*1 bytes=4", ".id=*2 bytes=7", ".id=*3 bytes=100"], 107.0),
        // A missing row keeps its count, and is recognized when it reappears.
        (&[".id=*1 bytes=4"], 107.0),
        (&[], 107.0),
        (&[".id=*3 bytes=3"], 110.0),
        (&[".id=*2 bytes=9", ".id=*3 bytes=3"], 112.0),
    ];
    let mut before: Option<Data> = None;
    for (rows, total) in steps {
        let now = read(reply(rows), before.as_ref());
        assert_eq!(counted(&now), [format!("bytes_total{{parent_queue=}} {total}")], "{rows:?}");
        before = Some(now);
    }
    let mut singleton = read(reply(&["bytes=5"]), None);
    for total in [0, 1] {
        singleton = read(reply(&[&format!("bytes={}", 5 + total)]), Some(&singleton));
        assert_eq!(counted(&singleton), [format!("bytes_total{{parent_queue=}} {total}")]);
    }
}

#[test]
fn a_truncated_answer_counts_and_has_no_gauges() {
    let all = read(reply(&[".id=*1 bytes=10", ".id=*2 bytes=5"]), None);
    let cut = |rows: &[&str]| Reply { is_truncated: true, ..reply(rows) };
    let part = read(cut(&[".id=*1 bytes=12"]), Some(&all));
    assert_eq!(series(&part), ["bytes_total{parent_queue=} 2"], "the number of rows is unknown");
    // A row that was missing only from the truncated answer is not new.
    let again = read(reply(&[".id=*1 bytes=12", ".id=*2 bytes=6"]), Some(&part));
    assert_eq!(counted(&again), ["bytes_total{parent_queue=} 3"]);
    // The number of remembered rows is limited, which the answer that exceeds it shows.
    let mut last = again;
    let mut forgotten = Vec::new();
    for round in 0..8 {
        let rows: Vec<String> = (0..2000).map(|n| format!(".id=*{round}-{n} bytes=1")).collect();
        last = read(cut(&rows.iter().map(String::as_str).collect::<Vec<_>>()), Some(&last));
        forgotten.extend(last.incomplete());
    }
    let message =
        |rows| format!("bytes_total remembers 4096 rows: it has forgotten {rows} that were missing");
    assert_eq!(forgotten, [message(4002), message(4000), message(4000)]);
    assert_eq!(counted(&last), ["bytes_total{parent_queue=} 16003"]);
    for (id, total) in [("*7-0", 16_003), ("*0-0", 16_004)] {
        last = read(reply(&[&format!(".id={id} bytes=1")]), Some(&last));
        assert_eq!(counted(&last), [format!("bytes_total{{parent_queue=}} {total}")], "{id}");
        assert_eq!(last.incomplete(), None, "{id}");
    }
}

#[test]
fn a_row_that_an_incomplete_first_answer_left_out_is_not_new() {
    let first = read(Reply { is_truncated: true, ..reply(&[".id=*1 bytes=10"]) }, None);
    let second = read(reply(&[".id=*1 bytes=11", ".id=*2 bytes=700"]), Some(&first));
    assert_eq!(counted(&second), ["bytes_total{parent_queue=} 1"]);
    let third = read(reply(&[".id=*1 bytes=11", ".id=*2 bytes=702", ".id=*3 bytes=5"]), Some(&second));
    assert_eq!(counted(&third), ["bytes_total{parent_queue=} 8"]);
}

#[test]
fn a_gauge_whose_rows_disappear_is_zero() {
    let gauges =
        |data: &Data| series(data).into_iter().filter(|line| !line.starts_with("bytes")).collect::<Vec<_>>();
    let first = read(reply(&[".id=*1 parent-queue=up rate=3", ".id=*2 parent-queue=down rate=4"]), None);
    let empty =
        ["queues{} 0", "queues_by_parent{parent_queue=down} 0", "queues_by_parent{parent_queue=up} 0"];
    let second = read(reply(&[]), Some(&first));
    assert_eq!(gauges(&second), [&empty[..], &["rates{} 0"]].concat());
    // An incomplete answer hides them, but keeps their labels.
    let third = read(Reply { is_truncated: true, ..reply(&[]) }, Some(&second));
    assert_eq!(gauges(&third), [""; 0]);
    assert_eq!(gauges(&read(reply(&[]), Some(&third))), gauges(&second));
    // A row whose value is unknown is not 0.
    let unknown = read(reply(&[".id=*1 parent-queue=up rate=fast"]), Some(&third));
    assert_eq!(
        gauges(&unknown),
        ["queues{} 1", "queues_by_parent{parent_queue=down} 0", "queues_by_parent{parent_queue=up} 1"]
    );
}

#[test]
fn a_counter_of_another_column_starts_from_zero() {
    let before = read(reply(&[".id=*1 bytes=10 packets=1"]), None);
    let mut other = declaration();
    other.metrics[3].measure = Measure::Counter("packets".into());
    let now = read_as(other, reply(&[".id=*1 bytes=11 packets=2"]), Some(&before));
    assert_eq!(counted(&now), ["bytes_total{parent_queue=} 0"]);
}

#[test]
fn a_changed_declaration_inherits_data_that_still_holds() {
    let before = read(reply(&[".id=*1 name=a bytes=10 packets=1", ".id=*2 name=b bytes=5"]), None);
    let first = Plugin::Declared(declaration().into());
    let columns = declaration().columns;
    let with = |change: &dyn Fn(&mut Declaration)| {
        let mut other = declaration();
        change(&mut other);
        let inherited = Plugin::Declared(other.clone().into()).inherit(&before, &first);
        (other, inherited)
    };
    let Data::Listing(old) = &before else { panic!() };
    let (_, same) = with(&|other| other.title = "Other".into());
    assert_eq!(same, Some(before.clone()));
    let (other, moved) = with(&|other| other.columns = vec!["new".into(), columns[0].clone()]);
    let Some(Data::Listing(listing)) = &moved else { panic!() };
    assert_eq!(listing.table.columns, other.column_names());
    assert_eq!(listing.table.rows[1], [None, old.table.rows[1][0].clone()]);
    let now = read_as(other, reply(&[".id=*1 bytes=11", ".id=*2 bytes=5"]), moved.as_ref());
    assert_eq!(counted(&now), ["bytes_total{parent_queue=} 1"]);
    let (_, without) = with(&|other| other.metrics.clear());
    let Some(Data::Listing(listing)) = &without else { panic!() };
    assert!(listing.families().is_empty() && listing.table == old.table);
    for change in [&|other: &mut Declaration| other.menu = "/b".into(), &|other: &mut Declaration| {
        other.query = vec!["c".into()];
    }] as [&dyn Fn(&mut Declaration); 2]
    {
        assert_eq!(with(change).1, None);
    }
}

#[test]
fn the_help_of_a_metric_is_one_line() {
    let declaration = Declaration { query: vec!["a=one\ntwo".into(), "-b".into()], ..declaration() };
    let helps: Vec<String> = declaration.metrics.iter().map(|metric| declaration.help(metric)).collect();
    let tail = "the rows of /queue/simple";
    assert_eq!(
        helps,
        [
            "Rows of /queue/simple where a=one two, -b.".to_string(),
            "Rows of /queue/simple where a=one two, -b.".to_string(),
            format!("Sum of rate of {tail} where a=one two, -b."),
            format!("Increase of bytes of {tail} where a=one two, -b since the agent's first read."),
        ]
    );
    let private = Declaration { private: true, ..declaration };
    assert_eq!(private.help(&private.metrics[0]), "Rows of /queue/simple.", "viewers may read it");
    let kinds: Vec<MetricKind> = read(reply(&[]), None).families().iter().map(|family| family.kind).collect();
    assert_eq!(kinds, [MetricKind::Gauge, MetricKind::Gauge, MetricKind::Gauge, MetricKind::Counter]);
}

#[test]
fn a_failed_answer_is_the_error_of_the_read() {
    let context = ReadContext::new(Moment::now(), Codepage::named("windows-1252").unwrap());
    let refused = Error::new(Cause::Permission, "not enough permissions (9)");
    let error = super::read(&declaration(), &[Err(refused.clone())], None, &context).unwrap_err();
    assert_eq!(error, refused);
}

#[test]
fn plugins_are_equal_if_their_declarations_are() {
    let plugin = |declaration: Declaration| Plugin::Declared(Arc::new(declaration));
    assert_eq!(plugin(declaration()), plugin(declaration()));
    assert_ne!(plugin(declaration()), plugin(Declaration { private: true, ..declaration() }));
    assert_eq!(Plugin::Health, Plugin::Health);
    assert_ne!(Plugin::Health, Plugin::Resource);
    assert_ne!(Plugin::Health, plugin(Declaration { name: "health".into(), ..declaration() }));
}

#[test]
fn cells_are_shortened_and_rows_with_too_long_an_id_are_left_out() {
    let long = "é".repeat(60_000);
    let rows = [
        Sentence::from_words([
            "!re",
            "=.id=*1",
            &format!("=name={long}"),
            "=bytes=1",
            &format!("=parent-queue={long}"),
        ]),
        Sentence::from_words(["!re", &format!("=.id=*{}", "A".repeat(100)), "=name=b", "=bytes=1"]),
    ];
    let data = read(Reply { rows: rows.into_iter().collect(), ..Reply::default() }, None);
    assert_eq!(
        data.incomplete().as_deref(),
        Some("rows left out because of an .id of more than 32 bytes: 1")
    );
    let rows = &data.listing().unwrap().table.rows;
    let cell = rows[0][0].as_deref().unwrap();
    assert!(rows.len() == 1 && cell.chars().count() == 1000 && cell.ends_with("é…"), "{rows:?}");
    assert_eq!(
        series(&data),
        ["bytes_total{parent_queue=".to_string() + &"é".repeat(64) + "} 0"],
        "no gauges of an incomplete answer"
    );
}
