//! The sentences of a login: with the password from RouterOS 6.43 on, by challenge before.
//!
//! The method is configured, not detected: a modern router still answers a bare `/login` with a challenge and then
//! refuses the response, and trying the password first would send it in clear to an old one.

use super::wire::Sentence;

/// How the password is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginMethod {
    /// `/login` with name and password: `RouterOS` 6.43 and later.
    #[default]
    Plain,
    /// `/login` for a challenge, then an MD5 response: `RouterOS` before 6.43.
    Challenge,
}

/// The login sentence of 6.43 and later.
pub fn plain(user: &[u8], password: &[u8]) -> Sentence {
    let mut sentence = Sentence::from_words(["/login"]);
    sentence.push_attribute(b"name", user);
    sentence.push_attribute(b"password", password);
    sentence
}

/// Hexadecimal digits of a challenge. The response to a shorter or empty challenge would be a digest of the password
/// that can be looked up in a table.
const CHALLENGE: usize = 32;

/// The second sentence of the login before 6.43: the response to the challenge in `ret`, or `None` if `ret` is not a
/// challenge.
pub fn respond(user: &[u8], password: &[u8], ret: &[u8]) -> Option<Sentence> {
    if ret.len() != CHALLENGE {
        return None;
    }
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
        let sentence = respond(b"admin", b"passTest", b"ebddd18303a54111e2dea05a92ab46b4").unwrap();
        assert_eq!(sentence.get("response"), Some(&b"00f0a08bf40926bc843e7e19ac45b567a3"[..]));
        assert_eq!(sentence.get("name"), Some(&b"admin"[..]));
    }

    #[test]
    fn only_32_digits_are_a_challenge() {
        let digits = "ebddd18303a54111e2dea05a92ab46b4".repeat(3);
        for length in 0..=digits.len() {
            let response = respond(b"admin", b"passTest", &digits.as_bytes()[..length]);
            assert_eq!(response.is_some(), length == 32, "{length}");
        }
        assert_eq!(respond(b"admin", b"passTest", &[b'g'; 32]), None);
        assert_eq!(respond(b"admin", b"passTest", &[0xff; 32]), None);
    }

    #[test]
    fn a_challenge_that_is_not_hexadecimal_has_no_response() {
        for ret in [&b"abc"[..], b"zz", b"+1", b"\xff\xff", "é".as_bytes()] {
            assert_eq!(response(b"x", ret), None);
        }
    }
}
