//! The shipped `sites.ron` with all plugins of the catalogue enabled, and simulated routers of different versions.

use std::path::Path;

use phsweb_agent::config;
use phsweb_agent::plugin::{Declaration, Plugin};
use phsweb_agent::simulator::{Login, Router, Settings};
use tempfile::TempDir;

use super::agent::{Agent, program, until};

/// The sites of the file, each with the version of its router. The last one logs in by challenge, as configured in
/// the file.
pub(crate) const SITES: [(&str, &str); 3] =
    [("awka", "7.20.7 (long-term)"), ("lagos", "6.49.10 (stable)"), ("abuja", "6.42.12 (long-term)")];

const COLLECT: &str = r#"collect: ["hotspot", "resource", "health"],"#;
const ADMIN: &str = r#"// admin: Token(Env("PHSWEB_ADMIN_TOKEN")),"#;

/// An agent with that file.
pub(crate) struct Shipped {
    pub(crate) agent: Agent,
    routers: Vec<Router>,
    _folder: TempDir,
}

impl Shipped {
    /// Starts the agent. `before` is called with each router before that.
    #[track_caller]
    pub(crate) fn start(before: impl Fn(&Router)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sites.ron");
        std::fs::write(&path, collecting()).unwrap();
        let mut command = program(["run", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(&path).env("PHSWEB_ADMIN_TOKEN", "admin-token-01234");
        let routers = SITES.map(|(site, version)| {
            let logins = vec![Login::new("api-user", "change-me")];
            let settings = Settings { version: version.parse().unwrap(), logins, ..Settings::default() };
            let router = Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap();
            before(&router);
            let variable = |part: &str| format!("MIKROTIK_{}_{part}", site.to_uppercase());
            command.env(variable("HOST"), "127.0.0.1");
            command.env(variable("PORT"), router.addr().port().to_string());
            router
        });
        let agent = Agent::start(command).with_token("admin-token-01234");
        until("every site is online", || (agent.get("/readyz").status == 200).then_some(()));
        Self { agent, routers: routers.into(), _folder: folder }
    }

    /// The sites and their routers.
    pub(crate) fn sites(&self) -> impl Iterator<Item = (&'static str, &Router)> {
        SITES.map(|(site, _)| site).into_iter().zip(&self.routers)
    }
}

/// The file with all plugins of the catalogue enabled, and an admin.
fn collecting() -> String {
    let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sites.ron")).unwrap();
    let names: Vec<String> =
        config::catalogue().iter().map(|plugin| format!("{:?}", plugin.name())).collect();
    let with = |file: &str, found: &str, instead: &str| {
        assert_eq!(file.matches(found).count(), 1, "{found}");
        file.replace(found, instead)
    };
    let collecting = with(&file, COLLECT, &COLLECT.replace(']', &format!(", {}]", names.join(", "))));
    with(&collecting, ADMIN, ADMIN.trim_start_matches("// "))
}

/// The declarations of the catalogue.
pub(crate) fn catalogue() -> Vec<Declaration> {
    let declared = config::catalogue().iter().filter_map(Plugin::declaration).cloned().collect::<Vec<_>>();
    assert_eq!(declared.len(), 16, "{declared:?}");
    declared
}
