//! The messages of all channels as bytes, for the state directory.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::alert::{AlertRecord, Notification};

/// Longest form in bytes: the full queues of 16 channels, whose texts may take twice as much in JSON.
const MAX_SAVED: usize = 8 << 20;

/// The version of the form.
const VERSION: u8 = 1;

/// The messages that are not delivered, by the name of the channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedMessages {
    version: u8,
    pub(super) channels: HashMap<String, SavedChannel>,
}

/// The messages of a channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedChannel {
    pub(super) queued: Vec<Notification>,
    pub(super) dropped: u64,
    /// The alerts that the channel sends again.
    pub(super) firing: Vec<AlertRecord>,
}

impl SavedMessages {
    pub(super) fn of(channels: HashMap<String, SavedChannel>) -> Self {
        Self { version: VERSION, channels }
    }

    /// The bytes of the messages; none if they are too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= MAX_SAVED)
    }

    /// Reads what [`SavedMessages::encode`] has written.
    ///
    /// # Errors
    ///
    /// If it is something else, which may come from a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_SAVED {
            return Err(format!("the saved messages have more than {MAX_SAVED} bytes"));
        }
        let saved: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if saved.version != VERSION {
            return Err(format!("the saved messages have version {}; expected {VERSION}", saved.version));
        }
        Ok(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{firing, message, resolved};

    #[test]
    fn saved_messages_are_read_again() {
        let queued = vec![message("é", "a\nb", vec![resolved("SiteDown", "awka")])];
        let channel = SavedChannel { queued, dropped: 3, firing: vec![firing("SiteDown", "jos")] };
        let saved = SavedMessages::of(HashMap::from([("ops".to_string(), channel)]));
        assert_eq!(SavedMessages::decode(&saved.encode().unwrap()), Ok(saved));
    }

    #[test]
    fn other_bytes_are_errors() {
        for (bytes, part) in [
            (&b""[..], "EOF"),
            (b"{}", "missing field"),
            (br#"{"version":2,"channels":{}}"#, "version 2"),
            (&vec![b' '; MAX_SAVED + 1], "more than"),
        ] {
            let error = SavedMessages::decode(bytes).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
