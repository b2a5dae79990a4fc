//! The first configuration of a new site, and the commands that prepare its router.

use std::net::IpAddr;

use super::host::{API_PORT, Host};

/// Longest key that is made from a name; a key may have 40 characters.
const MAX_KEY: usize = 40;

/// A site that is about to be added.
#[derive(Debug)]
pub struct NewSite {
    name: String,
    /// Its router.
    pub host: Host,
    /// The router as it was typed.
    address: String,
    user: String,
}

/// A field of [`NewSite`], as a form or a command asks for it.
#[derive(Debug)]
pub struct NewSiteField {
    /// What is asked for.
    pub title: &'static str,
    /// What is used if there is no answer.
    pub default: Option<&'static str>,
    /// What an answer must be.
    pub expected: &'static str,
    /// Whether an answer is valid.
    pub is_valid: fn(&str) -> bool,
}

impl NewSite {
    /// The fields, in the order of [`NewSite::new`].
    pub const FIELDS: [NewSiteField; 3] = [
        NewSiteField {
            title: "Name of the site, such as Awka",
            default: None,
            expected: "a name of at most 100 characters",
            is_valid: is_name,
        },
        NewSiteField {
            title: "Address of its router, such as 192.168.88.1",
            default: None,
            expected: "a host name or an address, with :PORT unless it is 8728",
            is_valid: |text| Host::read(text, API_PORT).is_some(),
        },
        NewSiteField {
            title: "User for the agent at the router",
            default: Some("api-user"),
            expected: "a name",
            is_valid: is_name,
        },
    ];

    /// A site with these answers; `None` if the address is not valid.
    pub fn new([name, address, user]: [String; 3]) -> Option<Self> {
        let host = Host::read(&address, API_PORT)?;
        Some(Self { name, host, address, user })
    }

    /// The key: the letters and digits of the name in lower case, and hyphens.
    pub fn key(&self) -> String {
        let words = self.name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let mut key = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
        key.truncate(MAX_KEY);
        // `stats` is a path of the API. A name in another script has no letters for a key.
        match key.as_str() {
            "" | "stats" => "site".into(),
            _ => key,
        }
    }

    /// A commented sites.ron. `listen`, `admin` and `password` are lines and a value in the file's format.
    pub fn document(&self, listen: &str, admin: &str, password: &str) -> String {
        let (Self { name, address, user, .. }, key) = (self, self.key());
        format!(
            r#"// The configuration of phsweb-agent. docs/configuration.md describes all fields.
//
//     phsweb-agent check FILE    reports all problems of this file
//     phsweb-agent run FILE      runs it, and applies changes of this file while it runs
(
    http: (
        // The page. "0.0.0.0:8080" can be reached from other machines, too: then also set a token for viewers,
        // view: Token(File("view.token")).
        listen: "{listen}",
        // Who may see personal details and disconnect users: those with this token. It needs at least 16
        // random characters: (umask 077; head -c 24 /dev/urandom | base64 > admin.token)
        {admin}
    ),
    sites: {{
        // Each site has an entry like this one. The key "{key}" is its name in addresses and metrics.
        "{key}": (
            name: {name:?},
            hosts: [{address:?}],    // the router; several addresses are tried in order
            user: {user:?},
            password: {password},
            // tls: Pin("sha256:…"),    // for api-ssl: without it, the password crosses the network in clear
            // login: Challenge,        // for RouterOS before 6.43
        ),
    }},
)
"#
        )
    }

    /// The commands that create the user and permit its logins, as in the README. `agent`: the agent's address, if it
    /// is known.
    pub fn commands(&self, password: &str, agent: Option<IpAddr>) -> String {
        let agent = agent.map(|agent| format!("{agent}/{}", if agent.is_ipv4() { 32 } else { 128 }));
        let from = agent.as_ref().map(|agent| format!(" address={agent}")).unwrap_or_default();
        let (user, port) = (routeros_text(&self.user), self.host.port);
        let list = match &agent {
            Some(agent) => {
                format!("# address= replaces the list of this service. The agent's address is {agent}.")
            }
            None => "# To permit the agent only, add address=AGENT/32 with its address to both lines.".into(),
        };
        format!(
            "/user group add name=phsweb-agent policy=api,read,write\n\
             /user add name={user} group=phsweb-agent password={password}{from}\n\
             /ip service print detail where name=api\n\
             {list}\n\
             # RouterOS before 7.19: [find name=api]\n\
             /ip service set [find name=api and !dynamic] disabled=no port={port}{from}\n"
        )
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// A text as a value in a RouterOS command.
fn routeros_text(text: &str) -> String {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.bytes().all(is_word) {
        return text.into();
    }
    let escaped: String = text
        .chars()
        .flat_map(|c| ['\\'].into_iter().filter(move |_| "\\\"$?".contains(c)).chain([c]))
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn site(name: &str, address: &str, user: &str) -> NewSite {
        NewSite::new([name, address, user].map(String::from)).unwrap()
    }

    #[test]
    fn a_key_has_the_letters_and_digits_of_the_name() {
        for (name, expected) in [
            ("Awka", "awka"),
            ("  Lagos Island, no. 2 ", "lagos-island-no-2"),
            ("Ọja", "ja"),
            ("Зал", "site"),
            ("Stats", "site"),
            (&"a".repeat(50), &"a".repeat(40)),
        ] {
            assert_eq!(site(name, "10.0.1.1", "api").key(), expected, "{name}");
        }
    }

    #[test]
    fn texts_are_quoted_for_a_routeros_command() {
        for (text, expected) in
            [("api-user", "api-user"), ("ada o", "\"ada o\""), ("a\"$b\\", "\"a\\\"\\$b\\\\\"")]
        {
            assert_eq!(routeros_text(text), expected);
        }
    }

    #[test]
    fn the_commands_permit_the_agent_only_if_its_address_is_known() {
        let site = site("Awka", "10.0.1.1:8738", "api");
        let known = site.commands("secret", Some([10, 0, 0, 5].into()));
        assert!(known.contains("password=secret address=10.0.0.5/32\n"), "{known}");
        assert!(known.contains("port=8738 address=10.0.0.5/32\n"), "{known}");
        let v6 = site.commands("secret", Some(Ipv6Addr::LOCALHOST.into()));
        assert!(v6.contains("port=8738 address=::1/128\n"), "{v6}");
        let unknown = site.commands("secret", None);
        assert!(unknown.contains("password=secret\n") && unknown.contains("port=8738\n"), "{unknown}");
    }
}
