//! Logging in: plainly from 6.43 on, by challenge before.
//!
//! Which of the two is configuration, not detection: a modern router still answers
//! a bare `/login` with a challenge and then refuses the response, and sending the
//! password first would give it in clear to an old one.

use super::wire::Sentence;

/// How a router takes the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `/login` with name and password: `RouterOS` 6.43 and later.
    #[default]
    Plain,
    /// `/login` for a challenge, then its MD5 response: `RouterOS` before 6.43.
    Challenge,
}

/// The login of 6.43 and later.
#[must_use]
pub fn plain(user: &[u8], password: &[u8]) -> Sentence {
    let mut sentence = Sentence::from_words(["/login"]);
    sentence.push_attribute(b"name", user);
    sentence.push_attribute(b"password", password);
    sentence
}

/// The second sentence of the login before 6.43: the answer to the challenge in `ret`,
/// or `None` where that is not hexadecimal.
#[must_use]
pub fn respond(user: &[u8], password: &[u8], ret: &[u8]) -> Option<Sentence> {
    let mut sentence = Sentence::from_words(["/login"]);
    sentence.push_attribute(b"name", user);
    sentence.push_attribute(b"response", response(password, ret)?.as_bytes());
    Some(sentence)
}

/// `00` and the MD5 of a zero byte, the password and the challenge.
fn response(password: &[u8], ret: &[u8]) -> Option<String> {
    let digits = std::str::from_utf8(ret).ok()?;
    if digits.len() % 2 != 0 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let challenge = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    let mut hashed = vec![0];
    hashed.extend_from_slice(password);
    for byte in challenge {
        hashed.push(byte.ok()?);
    }
    Some(format!("00{:x}", md5::compute(hashed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_to_a_known_challenge() {
        let expected = "0021277bff9ac7caf06aa608e46616d47f";
        assert_eq!(response(b"passTest", b"abc123").as_deref(), Some(expected));
        let sentence = respond(b"admin", b"passTest", b"abc123").unwrap();
        assert_eq!(sentence.get("response"), Some(expected.as_bytes()));
        assert_eq!(sentence.get("name"), Some(&b"admin"[..]));
    }

    #[test]
    fn a_challenge_that_is_not_hexadecimal_has_no_response() {
        for ret in [&b"abc"[..], b"zz", b"+1", b"\xff\xff", "é".as_bytes()] {
            assert_eq!(response(b"x", ret), None);
        }
    }
}
