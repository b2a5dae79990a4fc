//! The time to refresh a fleet: until the last of many routers has replied.
//!
//! Each simulated router replies after 100 ms, as over a slow link. The agent refreshes sites in parallel and each in
//! one round trip, so a fleet takes about as long as one site.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use phsweb_agent::action::SiteHandles;
use phsweb_agent::config::{self, Changes, Config, Host, Secret};
use phsweb_agent::simulator::{Router, Settings};
use phsweb_agent::site::Sites;
use phsweb_agent::state::{Reload, Store};
use smol::{LocalExecutor, Timer};

const LATENCY: Duration = Duration::from_millis(100);

/// A refresh within a second of the last one returns its result, so each waits this long.
const PAUSE: Duration = Duration::from_millis(1050);

struct Fleet {
    keys: Vec<String>,
    handles: Arc<SiteHandles>,
    _sites: Sites,
    _routers: Vec<Router>,
}

impl Fleet {
    fn start(count: usize) -> Self {
        let routers: Vec<Router> = (0..count)
            .map(|_| {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                Router::start(address, Settings { latency: LATENCY, ..Settings::default() }).unwrap()
            })
            .collect();
        let none = Config::default();
        let sites: Vec<_> =
            routers.iter().enumerate().map(|(n, router)| Arc::new(config(n, router))).collect();
        let config = Config { sites, ..none.clone() };
        let keys = config.sites.iter().map(|site| site.key.clone()).collect();
        let (store, handles) = (
            Arc::new(Store::new(Reload::first(None, Vec::new()))),
            Arc::new(SiteHandles::new(Duration::from_secs(25))),
        );
        let mut sites = Sites::new(store.clone(), handles.clone(), Arc::default());
        smol::block_on(sites.apply(&Changes::between(&none, &config), &config));
        let fleet = Self { keys, handles, _sites: sites, _routers: routers };
        smol::block_on(fleet.refresh());
        assert!(
            store.snapshot().sites.iter().all(|site| site.is_online()),
            "expected every site to be online"
        );
        fleet
    }

    /// Refreshes all sites and waits for the results.
    async fn refresh(&self) {
        let executor = LocalExecutor::new();
        let refreshes: Vec<_> =
            self.keys.iter().map(|site| executor.spawn(self.handles.refresh(site, false))).collect();
        let all = async {
            for refresh in refreshes {
                refresh.await.unwrap();
            }
        };
        executor.run(all).await;
    }
}

fn config(number: usize, router: &Router) -> config::Site {
    let host = Host { name: router.addr().ip().to_string(), port: router.addr().port() };
    let password = Secret::new("password".into());
    let site = config::Site::new(&format!("site-{number}"), vec![host], "api-user", password);
    // No scheduled refresh during the measurement.
    config::Site { refresh: Duration::from_secs(3600), ..site }
}

fn refresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refresh");
    group.sample_size(10).warm_up_time(PAUSE).measurement_time(Duration::from_secs(15));
    for count in [1, 50] {
        let fleet = Fleet::start(count);
        group.bench_function(BenchmarkId::new("sites", count), |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations)
                    .map(|_| {
                        smol::block_on(async {
                            Timer::after(PAUSE).await;
                            let began = std::time::Instant::now();
                            fleet.refresh().await;
                            began.elapsed()
                        })
                    })
                    .sum()
            });
        });
    }
    group.finish();
}

criterion_group!(fleet, refresh);
criterion_main!(fleet);
