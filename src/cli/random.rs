//! Random passwords and tokens.

use phsweb_agent::agent::Failure;
use ring::rand::{SecureRandom, SystemRandom};

/// 128 random bits as hexadecimal digits, which need no quotes in a file, a URL or a command.
pub(super) fn random_secret() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random bytes".to_string())?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
