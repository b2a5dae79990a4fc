//! A search in the journal: an agent at routers in this process, whose sessions all end.

use std::fmt;
use std::time::{Duration, Instant};

use phsweb_agent::simulator::{Router, Settings};
use serde::Serialize;
use serde_json::Value;

use crate::phsweb::Phsweb;
use crate::report::Report;

/// Their sessions together are as many as the journal keeps by default.
const ROUTERS: u64 = 50;
const SESSIONS: usize = 200;

const SEARCHES: usize = 200;

/// The time within which a search in 10,000 rows ends.
const LIMIT_MS: f64 = 20.0;

/// Longest wait until the journal has all sessions.
const RECORDED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Journal {
    rows: u64,
    searches: usize,
    median_milliseconds: f64,
    percentile95_milliseconds: f64,
    longest_milliseconds: f64,
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "\nA search in {} rows of the journal: half within {:.1} ms, 95% within {:.1} ms, all {} within {:.1} ms",
            self.rows,
            self.median_milliseconds,
            self.percentile95_milliseconds,
            self.searches,
            self.longest_milliseconds
        )
    }
}

pub(crate) fn measure(report: &mut Report) {
    let settings = |seed| Settings {
        users: SESSIONS,
        active: SESSIONS,
        churn: Duration::ZERO,
        seed,
        ..Settings::default()
    };
    let routers: Vec<Router> = (1..=ROUTERS)
        .map(|seed| Router::start(([127, 0, 0, 1], 0).into(), settings(seed)).unwrap())
        .collect();
    let addresses: Vec<String> = routers.iter().map(|router| router.addr().to_string()).collect();
    let agent = Phsweb::configured(&addresses, "1s", "");
    for router in &routers {
        router.sessions().iter().for_each(|session| router.log_out(&session.id));
    }
    let rows = ROUTERS * SESSIONS as u64;
    let total = |query: &str| {
        let found: Value = serde_json::from_str(&agent.get(&format!("/api/journal?{query}"))).unwrap();
        found["total"].as_u64().unwrap()
    };
    let began = Instant::now();
    while total("limit=1") < rows {
        assert!(began.elapsed() < RECORDED_WITHIN, "expected {rows} rows, found {}", total("limit=1"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // Each one is new, so that no response is used twice.
    let search = |number: usize| {
        let began = Instant::now();
        total(&format!("q=nobody{number}&limit=50"));
        began.elapsed().as_secs_f64() * 1e3
    };
    let mut times: Vec<f64> = (0..SEARCHES).map(search).collect();
    times.sort_unstable_by(f64::total_cmp);
    let result = Journal {
        rows,
        searches: SEARCHES,
        median_milliseconds: times[SEARCHES / 2],
        percentile95_milliseconds: times[SEARCHES * 95 / 100],
        longest_milliseconds: times[SEARCHES - 1],
    };
    report.add("journal", &result);
    report.limit("milliseconds of a search in the journal", result.median_milliseconds, LIMIT_MS);
}
