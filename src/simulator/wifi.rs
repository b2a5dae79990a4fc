//! Wi-Fi clients: the rows of the registration table.

use std::time::Duration;

use super::hardware::radios;
use super::rng::mix;
use super::row::Row;
use super::settings::Settings;
use super::value::Value;

/// A Wi-Fi client as `/interface/wifi` or `/interface/wireless` shows it. Of two counters the first is what
/// was sent to the client, the second what the client sent.
pub(super) fn station(settings: &Settings, mac: &str, address: &str, since: Duration) -> Row {
    let random = mac.bytes().fold(settings.seed, |random, byte| mix(random ^ u64::from(byte)));
    let is_5ghz = random.is_multiple_of(3);
    let (sent, received) = (9_000 + random % 300_000, 900 + (random >> 20) % 20_000);
    let count = |per_second| Value::Count { from: 1800, per_second, since };
    let bytes = Value::pair(count(sent), ",", count(received));
    let packets = Value::pair(count(sent / 900 + 1), ",", count(received / 300 + 1));
    let attenuation = 48 + (random >> 40) % 32;
    let signal = Value::Joined(vec!["-".into(), Value::around(attenuation, 3)]);
    let idle = Value::Joined(vec![Value::around(300 + random % 200, 290), "ms".into()]);
    let row = Row::new().with("interface", radios(&settings.version)[usize::from(is_5ghz)]);
    if settings.version.has_wifi() {
        // In bits per second.
        let rate = if is_5ghz { "433300000" } else { "72200000" };
        return row
            .with("ssid", "Hotspot")
            .with("mac-address", mac)
            .with("uptime", Value::Since(since))
            .with("last-activity", idle)
            .with("signal", signal)
            .with("band", if is_5ghz { "5ghz-ac" } else { "2ghz-n" })
            .with_fields(&format!("tx-rate={rate} rx-rate={rate}"))
            .with("packets", packets)
            .with("bytes", bytes)
            .with("tx-bits-per-second", Value::around(sent * 8, sent))
            .with("rx-bits-per-second", Value::around(received * 8, received))
            .with("authorized", true);
    }
    let rate = if is_5ghz { "433.3Mbps-80MHz/1S/SGI" } else { "72.2Mbps-20MHz/1S/SGI" };
    row.with("mac-address", mac)
        .with_fields(&format!("ap=false wds=false bridge=false rx-rate={rate} tx-rate={rate}"))
        .with("packets", packets)
        .with("bytes", bytes)
        .with("uptime", Value::Since(since))
        .with("last-activity", idle)
        .with("signal-strength", Value::Joined(vec![signal, "@6Mbps".into()]))
        .with("signal-to-noise", Value::around(105 - attenuation, 3))
        .with("tx-ccq", Value::around(88, 9))
        .with("p-throughput", Value::around(54_928, 3000))
        .with("last-ip", address)
        .with("wmm-enabled", true)
}
