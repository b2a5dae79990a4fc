//! The options of the benchmark.

use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Refresh,
    Login,
    Http,
    Subscribers,
    Large,
    Alerts,
    Journal,
}

const PARTS: [(&str, Part); 7] = [
    ("refresh", Part::Refresh),
    ("login", Part::Login),
    ("http", Part::Http),
    ("subscribers", Part::Subscribers),
    ("large", Part::Large),
    ("alerts", Part::Alerts),
    ("journal", Part::Journal),
];

/// The numbers of routers and of sessions at each. Fifty routers have the limit of time; the others show what grows.
const CELLS: [(usize, usize); 5] = [(1, 20), (1, 2000), (50, 20), (50, 200), (1000, 20)];

pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    pub(crate) cells: Vec<(usize, usize)>,
    /// How long a large fleet is measured.
    pub(crate) time: Duration,
    pub(crate) json: bool,
}

impl Options {
    pub(crate) fn parse() -> Self {
        let mut options =
            Self { parts: Vec::new(), cells: CELLS.into(), time: Duration::from_secs(60), json: false };
        let (mut routers, mut sessions) = (None, None);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut numbers = || {
                let value = words.next().unwrap_or_default();
                let number = |part: &str| {
                    part.parse()
                        .unwrap_or_else(|_| panic!("{word}: found {value:?}; expected numbers such as 1,50"))
                };
                value.split(',').map(number).collect::<Vec<usize>>()
            };
            match word.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--json" => options.json = true,
                "--routers" => routers = Some(numbers()),
                "--sessions" => sessions = Some(numbers()),
                "--seconds" => options.time = Duration::from_secs(numbers()[0] as u64),
                name => {
                    let part = PARTS.iter().find(|(known, _)| *known == name);
                    let names = PARTS.map(|(name, _)| name).join(" ");
                    let (_, part) = part.unwrap_or_else(|| {
                        panic!("found {name:?}; expected {names} --json --routers --sessions --seconds")
                    });
                    options.parts.push(*part);
                }
            }
        }
        if options.parts.is_empty() {
            options.parts = vec![Part::Refresh, Part::Login, Part::Http, Part::Subscribers];
        }
        if routers.is_some() || sessions.is_some() {
            let (routers, sessions) = (routers.unwrap_or(vec![50]), sessions.unwrap_or(vec![20]));
            options.cells =
                routers.iter().flat_map(|&routers| sessions.iter().map(move |&n| (routers, n))).collect();
        }
        options
    }
}
