//! The metrics of a hotspot: one series per server, none per user.

use std::collections::BTreeMap;

use super::data::Hotspot;
use crate::plugin::metric::Family;

impl Hotspot {
    /// Active sessions, users, logins, logouts and traffic, by server.
    pub fn families(&self) -> Vec<Family> {
        let mut active = Family::gauge(
            "mikrotik_hotspot_active_users",
            "Active sessions of a hotspot server. Absent while the hotspot can't be read, or some sessions are not kept. \
             The empty server stands for sessions that name none.",
        );
        let mut sessions: BTreeMap<&str, u32> = self.servers.keys().map(|server| (&**server, 0)).collect();
        for session in &self.sessions {
            *sessions.entry(self.server_key(session.server())).or_default() += 1;
        }
        for (server, count) in sessions.into_iter().filter(|_| !self.is_truncated) {
            active.add([("server", server)], count.into());
        }
        let configured = Family::gauge(
            "mikrotik_hotspot_configured_users",
            "Users configured at the hotspot, the default-trial row left out. Absent while that can't be read.",
        );
        let mut logins = Family::counter(
            "mikrotik_hotspot_logins_total",
            "Logins at a hotspot server since the agent's first read of it.",
        );
        let mut logouts = Family::counter(
            "mikrotik_hotspot_logouts_total",
            "Logouts at a hotspot server, for any reason, since the agent's first read of it.",
        );
        let mut upload = Family::counter(
            "mikrotik_hotspot_upload_bytes_total",
            "Bytes that users of a hotspot server uploaded, as observed since the agent's first read of it.",
        );
        let mut download = Family::counter(
            "mikrotik_hotspot_download_bytes_total",
            "Bytes that users of a hotspot server downloaded, as observed since the agent's first read of it.",
        );
        for (server, counts) in &self.servers {
            let server = || [("server", server)];
            logins.add(server(), counts.logins as f64);
            logouts.add(server(), counts.logouts as f64);
            upload.add(server(), counts.upload_bytes as f64);
            download.add(server(), counts.download_bytes as f64);
        }
        let configured = configured.with_value(self.configured_users.map(|users| users as f64));
        vec![active, configured, logins, logouts, upload, download]
    }
}
