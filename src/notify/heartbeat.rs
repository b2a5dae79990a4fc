//! The heartbeat: a GET at each interval, for a monitor that reports when they stop. The executor that also runs the sites
//! sends it: if it is sent, that works.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use smol::Timer;
use smol::future;

use super::delivery_record::DeliveryRecord;
use super::endpoint::Endpoint;
use crate::config::HeartbeatConfig;
use crate::net::http_client::HttpClient;
use crate::net::url::HttpUrl;

/// Sends heartbeats until the task is dropped.
pub(super) async fn beat(config: HeartbeatConfig, client: HttpClient, attempts: Arc<Mutex<DeliveryRecord>>) {
    let record = |result| {
        attempts.lock().unwrap_or_else(PoisonError::into_inner).record("heartbeat", result);
    };
    let endpoint = match HttpUrl::parse(config.url.expose()) {
        Ok(url) => Endpoint::new(url, &config.trust, &[]),
        Err(error) => {
            record(Err(error.into()));
            return future::pending().await;
        }
    };
    loop {
        let began = Instant::now();
        let outcome = endpoint.send(&client, "GET", (Vec::new(), Vec::new()), |_| None).await;
        record(outcome.into_result());
        Timer::at(began + config.every).await;
    }
}
