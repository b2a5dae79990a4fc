//! The query words of `print`: a small stack machine over truth values that is run for each row.
//!
//! Source: MikroTik's documentation of the API, "Queries".

use std::cmp::Ordering;

use super::clock::Now;
use super::reply::TrapReply;
use super::row::Row;
use super::value::duration_seconds;

/// Upper bound of the steps of one query. `?#` can push a copy for every two bytes of a word, and each
/// row runs all steps: without a limit one command could keep the router busy for minutes.
const MAX_STEPS: usize = 256;

/// A parsed query. Without steps every row matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<Instruction>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Instruction {
    /// `?key`
    Has(Vec<u8>),
    /// `?-key`
    Lacks(Vec<u8>),
    /// `?key=value`, `?=key=value`, `?<key=value`, `?>key=value`, and alternatives of them, such as a hundred ids.
    Compare(Vec<u8>, Ordering, Vec<Vec<u8>>),
    /// `!`
    Not,
    /// `&`
    And,
    /// `|`
    Or,
    /// An index followed by another character, or `.` after an operation: pushes a copy.
    Copy(usize),
    /// An index at the end: drops all other values.
    Keep(usize),
}

impl Query {
    /// Parses the `?` words and ignores the other words.
    pub(super) fn parse<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Self, TrapReply> {
        let mut steps = Vec::new();
        for word in words.filter_map(|word| word.strip_prefix(b"?")) {
            match word {
                [b'#', operations @ ..] => parse_operations(operations, &mut steps)?,
                [b'-', key @ ..] => steps.push(Instruction::Lacks(key.to_vec())),
                [b'=', rest @ ..] => steps.push(comparison(rest, Ordering::Equal)),
                [b'<', rest @ ..] => steps.push(comparison(rest, Ordering::Less)),
                [b'>', rest @ ..] => steps.push(comparison(rest, Ordering::Greater)),
                key if !key.contains(&b'=') => steps.push(Instruction::Has(key.to_vec())),
                rest => steps.push(comparison(rest, Ordering::Equal)),
            }
            if steps.len() > MAX_STEPS {
                return Err(TrapReply::new("query too long"));
            }
        }
        Ok(Self(steps))
    }

    /// Whether all values that the row leaves on the stack are true. An operation without enough values gets `false`.
    pub(super) fn matches(&self, row: &Row, now: &Now<'_>) -> bool {
        let mut stack: Vec<bool> = Vec::new();
        for step in &self.0 {
            let mut pop = || stack.pop().unwrap_or(false);
            let value = match step {
                Instruction::Has(key) => row.read(key, now).is_some(),
                Instruction::Lacks(key) => row.read(key, now).is_none(),
                Instruction::Compare(key, ordering, operands) => row.read(key, now).is_some_and(|value| {
                    let is_text = key == b".id" || row.get(key).is_none_or(|value| !value.is_counter());
                    operands.iter().any(|operand| match *ordering {
                        Ordering::Equal if is_text => is_same_text(&value, operand),
                        _ => compare(&value, operand) == *ordering,
                    })
                }),
                Instruction::Not => !pop(),
                Instruction::And => pop() & pop(),
                Instruction::Or => pop() | pop(),
                Instruction::Copy(index) => at(&stack, *index),
                Instruction::Keep(index) => {
                    let kept = at(&stack, *index);
                    stack.clear();
                    kept
                }
            };
            stack.push(value);
        }
        stack.into_iter().all(|value| value)
    }
}

/// Splits `key=value` at its first `=`.
fn comparison(word: &[u8], ordering: Ordering) -> Instruction {
    let at = word.iter().position(|&byte| byte == b'=').unwrap_or(word.len());
    Instruction::Compare(word[..at].to_vec(), ordering, vec![word.get(at + 1..).unwrap_or_default().to_vec()])
}

/// Adds an "or". Two comparisons of one property become one with the values of both.
fn push_or(steps: &mut Vec<Instruction>) {
    if let [.., Instruction::Compare(key, by, values), Instruction::Compare(key2, by2, more)] = &mut steps[..]
        && (key, by) == (key2, by2)
        && values.len() + more.len() <= MAX_STEPS / 2
    {
        values.append(more);
        steps.pop();
    } else {
        steps.push(Instruction::Or);
    }
}

fn parse_operations(operations: &[u8], steps: &mut Vec<Instruction>) -> Result<(), TrapReply> {
    let mut index: Option<usize> = None;
    for (i, &byte) in operations.iter().enumerate() {
        if steps.len() > MAX_STEPS {
            return Err(TrapReply::new("query too long"));
        }
        if byte.is_ascii_digit() {
            let digit = usize::from(byte - b'0');
            index = Some(index.unwrap_or(0).saturating_mul(10).saturating_add(digit));
            continue;
        }
        let indexed = index.take();
        steps.extend(indexed.map(Instruction::Copy));
        match byte {
            b'!' => steps.push(Instruction::Not),
            b'&' => steps.push(Instruction::And),
            b'|' => push_or(steps),
            // A dot only ends an index; after anything else it copies the top.
            b'.' if indexed.is_none() && i > 0 => steps.push(Instruction::Copy(0)),
            b'.' => {}
            _ => return Err(TrapReply::new("bad query operation")),
        }
    }
    steps.extend(index.map(Instruction::Keep));
    Ok(())
}

/// The value at an index counted from the top of the stack.
fn at(stack: &[bool], index: usize) -> bool {
    stack.iter().rev().nth(index).copied().unwrap_or(false)
}

/// Whether two texts are equal: `007` and `7` are not. Clients may write a flag as `yes` or `no`.
fn is_same_text(value: &[u8], operand: &[u8]) -> bool {
    value == operand || matches!((value, operand), (b"true", b"yes") | (b"false", b"no"))
}

/// Compares numbers and durations by size, other values by their bytes.
fn compare(value: &[u8], operand: &[u8]) -> Ordering {
    if let (Some(value), Some(operand)) = (number(value), number(operand)) {
        return value.cmp(&operand);
    }
    match (duration_seconds(value), duration_seconds(operand)) {
        (Some(value), Some(operand)) => value.cmp(&operand),
        _ => value.cmp(operand),
    }
}

/// A number of digits only: `parse` would accept a plus sign too.
fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::value::Value;
    use std::time::Duration;

    fn matches(words: &[&str]) -> bool {
        let row = Row::new()
            .id("*A")
            .with("name", "awa")
            .with("bytes", "900")
            .with("comment", "a=b")
            .with("phone", "007")
            .with("limit-uptime", "60s")
            .with("radius", false);
        let row = row.with("uptime", Value::Duration(Duration::from_secs(3700)));
        let version = "7.20".parse().unwrap();
        let now = Now { at: Duration::ZERO, unix_s: 0, version: &version };
        Query::parse(words.iter().map(|word| word.as_bytes())).unwrap().matches(&row, &now)
    }

    #[test]
    fn each_query_word_matches_as_documented() {
        for (words, expected) in [
            (&[][..], true),
            (&["?name"], true),
            (&["?domain"], false),
            (&["?-name"], false),
            (&["?-domain"], true),
            (&["?name=awa"], true),
            (&["?=name=awa"], true),
            (&["?name=aw"], false),
            (&["?.id=*A"], true),
            (&["?comment=a=b"], true),
            (&["?>bytes=1000"], false),
            (&["?<bytes=1000"], true),
            (&["?>bytes=899"], true),
            (&["?>uptime=1h"], true),
            (&["?<uptime=2h"], true),
            // Moving values and counters compare by size, texts by their bytes.
            (&["?uptime=61m40s"], true),
            (&["?uptime=61m41s"], false),
            (&["?phone=007"], true),
            (&["?phone=7"], false),
            (&["?phone=+7"], false),
            (&["?limit-uptime=1m"], false),
            (&["?<limit-uptime=2m"], true),
            (&["?<phone=8"], true),
            // Not a number, so it compares by its bytes.
            (&["?<phone=+8"], false),
            (&["?<domain=z"], false),
            (&["?radius=no"], true),
            (&["?radius=false"], true),
            (&["?radius=yes"], false),
        ] {
            assert_eq!(matches(words), expected, "{words:?}");
        }
    }

    #[test]
    fn operations_combine_values_on_the_stack() {
        // `yes` and `no` push true and false.
        let (yes, no) = ("?name", "?-name");
        for (words, expected) in [
            (&[yes, no][..], false),
            (&[yes, yes], true),
            (&[no, "?#!"], true),
            (&[yes, no, "?#|"], true),
            (&[yes, no, "?#&"], false),
            (&[yes, no, "?#!&"], true),
            (&[no, no, "?#|!"], true),
            // Index 1 is the value below the top; at the end of the word all others are dropped.
            (&[yes, no, "?#1"], true),
            (&[yes, no, "?#0"], false),
            // Followed by another character, a copy is pushed.
            (&[no, yes, "?#1|"], false),
            (&[no, yes, "?#1.&|"], false),
            (&[no, yes, "?#0.0.||", "?#|"], true),
            // A dot after an operation copies the top.
            (&[no, "?#!.&"], true),
            // Alternatives, also of two properties and in several words.
            (&["?.id=*B", "?.id=*A", "?#|", "?.id=*C", "?#|"], true),
            (&["?.id=*B", "?.id=*C", "?#|", "?.id=*D", "?#|"], false),
            (&["?.id=*B", "?.id=*A", "?#|!"], false),
            (&[no, "?.id=*B", "?.id=*A", "?#|&"], false),
            (&["?.id=*B", "?name=awa", "?#|"], true),
            (&["?>bytes=1000", "?<bytes=1000", "?#|"], true),
            (&["?>bytes=1000", "?>bytes=899", "?#|"], true),
            // Too few values count as false.
            (&["?#&"], false),
            (&["?#!"], true),
        ] {
            assert_eq!(matches(words), expected, "{words:?}");
        }
    }

    #[test]
    fn query_with_too_many_steps_is_refused() {
        let word = format!("?#{}", "0.".repeat(MAX_STEPS + 1));
        assert!(Query::parse([word.as_bytes()].into_iter()).is_err());
        assert!(Query::parse([&b"?#x"[..]].into_iter()).is_err());
        assert_eq!(Query::parse(["?name".as_bytes(); MAX_STEPS].into_iter()).unwrap().0.len(), MAX_STEPS);
    }
}
