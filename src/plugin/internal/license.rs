//! The router's license, which limits how many hotspot users can be active.

use crate::plugin::context::ReadContext;
use crate::plugin::limits::{self, ONE_ROW};
use crate::routeros::client::{Command, Reply};
use crate::routeros::value;

/// The level of the license.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct License {
    /// `4`; on a CHR `free`, `p1`, `p10` or `p-unlimited`.
    pub level: Option<String>,
}

impl License {
    /// Maximum number of active hotspot users. `None` if the level is unknown or has no limit: level 6 and all levels of
    /// a CHR. Source: "License levels" in MikroTik's documentation.
    pub fn limit(&self) -> Option<u64> {
        match self.level.as_deref()? {
            "1" | "3" => Some(1),
            "4" => Some(200),
            "5" => Some(500),
            _ => None,
        }
    }
}

pub(super) fn command() -> Command {
    Command::new("/system/license/print").proplist("level,nlevel").at_most(ONE_ROW)
}

/// Reads the answer to [`command`]. RouterOS 6 calls the level `nlevel`.
pub(super) fn read(reply: &Reply, context: &ReadContext) -> License {
    let row = reply.rows.first();
    let level = row.and_then(|row| row.get("level").or_else(|| row.get("nlevel")));
    let level = level.filter(|level| !level.is_empty());
    License { level: level.map(|level| value::short_text(level, limits::LICENSE_LEVEL, context.codepage)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;

    #[test]
    fn limit_follows_from_the_level() {
        for (word, level, limit) in [
            ("=level=4", Some("4"), Some(200)),
            ("=nlevel=5", Some("5"), Some(500)),
            ("=level=3", Some("3"), Some(1)),
            ("=level=6", Some("6"), None),
            ("=level=p1", Some("p1"), None),
            ("=level=free", Some("free"), None),
            ("=level=", None, None),
            ("=software-id=AAAA-BBBB", None, None),
        ] {
            let reply = Reply {
                rows: [Sentence::from_words(["!re", word])].into_iter().collect(),
                ..Reply::default()
            };
            let codepage = Codepage::named("windows-1252").unwrap();
            let license = read(&reply, &ReadContext::new(Moment::now(), codepage));
            assert_eq!((license.level.as_deref(), license.limit()), (level, limit), "{word}");
        }
    }
}
