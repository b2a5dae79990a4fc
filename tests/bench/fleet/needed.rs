//! The physical limit of bytes: what a refresh needs of a router, and nothing else.

use std::time::Duration;

use phsweb_agent::net::tls::Tls;
use phsweb_agent::routeros::client::{self, Command};
use phsweb_agent::routeros::login::LoginMethod;
use smol::future;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The commands, and the bytes in both directions, of one refresh of one router.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed {
    pub(crate) commands: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// The properties that change from refresh to refresh: the rest is known from the first one.
fn commands() -> Vec<Command> {
    vec![
        Command::new("/ip/hotspot/active/print").proplist(".id,uptime,bytes-in,bytes-out"),
        Command::new("/ip/hotspot/user/print").attribute("count-only", ""),
        Command::new("/system/resource/print").proplist("uptime,cpu-load,free-memory"),
        Command::new("/system/health/print").proplist("name,value"),
    ]
}

/// Asks a router once.
pub(crate) fn of_router(address: &str) -> Needed {
    let (host, port) = address.rsplit_once(':').unwrap();
    smol::block_on(async {
        let (client, connection) =
            client::connect((host, port.parse().unwrap()), &Tls::Off, TIMEOUT).await.unwrap();
        let ask = async {
            client.login("api-user", "password", LoginMethod::Plain, TIMEOUT).await.unwrap();
            let before = client.usage();
            for answer in client.call_all(commands(), TIMEOUT).await {
                answer.unwrap();
            }
            let after = client.usage();
            Needed {
                commands: after.commands - before.commands,
                sent: after.sent_bytes - before.sent_bytes,
                received: after.received_bytes - before.received_bytes,
            }
        };
        let ended = async { panic!("{:?}", connection.run().await) };
        future::or(ask, ended).await
    })
}
