//! Simulated people: names, phones and user accounts, the same ones for the same seed.

use super::rng::mix;

const FIRST: [&str; 26] = [
    "chidi", "ngozi", "emeka", "adaeze", "obinna", "ifeoma", "tunde", "yetunde", "segun", "folake", "bola",
    "kemi", "aminu", "fatima", "musa", "zainab", "ibrahim", "hauwa", "kwame", "ama", "kofi", "efua", "awa",
    "ousmane", "mariama", "uche",
];

const LAST: [&str; 15] = [
    "okafor", "okonkwo", "eze", "nwosu", "adeyemi", "ogunleye", "balogun", "bello", "sani", "yusuf",
    "mensah", "owusu", "diallo", "traore", "ndiaye",
];

const PHONES: [&str; 7] =
    ["TECNO-SPARK-10", "Infinix-HOT-30", "Galaxy-A14", "itel-A60s", "iPhone", "Redmi-12C", "DESKTOP-4F2KQ1"];

/// The first three bytes of MAC addresses.
const VENDORS: [&str; 5] = ["8C:F5:A3", "D8:0B:9A", "E4:5F:01", "A0:AB:1B", "5A:3C:7E"];

const PROFILES: [&str; 3] = ["default", "weekly", "monthly"];

/// Comments of users, in the code page that they were typed in.
const COMMENTS: [&[u8]; 6] = [
    "Ngọ́zị Ọkọ́nkwọ, stall 14".as_bytes(),
    b"plan=weekly; paid=2000 NGN",
    // "Гость, комната 3" (guest, room 3) in windows-1251.
    b"\xC3\xEE\xF1\xF2\xFC, \xEA\xEE\xEC\xED\xE0\xF2\xE0 3",
    "Adébáyọ̀ – pays on Fridays".as_bytes(),
    b"reception",
    "café Aïssatou".as_bytes(),
];

/// A person with a phone, who is a configured user or uses a trial.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// The name of the hotspot user: a name, a telephone number, or the one that RouterOS gives on trial.
    pub(super) user: String,
    pub(super) password: String,
    pub(super) mac: String,
    pub(super) host_name: &'static str,
    pub(super) profile: &'static str,
    pub(super) comment: Option<&'static [u8]>,
    /// Whether the person has no account and is on trial.
    pub(super) is_trial: bool,
}

impl Person {
    /// The `n`th person of a router with `configured` users. Different `n` have different names and MACs.
    pub(super) fn nth(seed: u64, n: usize, configured: usize) -> Self {
        let random = mix(seed ^ mix(n as u64));
        let pick = |count: usize, shift: u32| usize::try_from(random >> shift & 0xFFFF).unwrap_or(0) % count;
        // Multiplication by an odd factor permutes 24 bits, so no two people share a MAC address.
        let device = (n as u64).wrapping_mul(0x9E_3779).wrapping_add(mix(seed)) & 0xFF_FFFF;
        let [_, _, _, _, _, a, b, c] = device.to_be_bytes();
        let mac = format!("{}:{a:02X}:{b:02X}:{c:02X}", VENDORS[n % VENDORS.len()]);
        let is_trial = n >= configured;
        let user = match n % 5 {
            _ if is_trial => format!("T-{mac}"),
            // 7919 and ten million have no common factor, so no two people share a number.
            4 => {
                format!("0803{:07}", (n as u64).wrapping_mul(7919).wrapping_add(mix(seed) >> 32) % 10_000_000)
            }
            _ => name(n),
        };
        Self {
            user,
            password: format!("{:06}", random % 1_000_000),
            mac,
            host_name: PHONES[pick(PHONES.len(), 8)],
            profile: PROFILES[pick(PROFILES.len(), 24)],
            comment: (n % 3 == 1).then(|| COMMENTS[n / 3 % COMMENTS.len()]),
            is_trial,
        }
    }
}

/// A name such as `chidi.okafor`; when all pairs are used, `chidi.okafor2`, and so on.
fn name(n: usize) -> String {
    let (first, round) = (n % FIRST.len(), n / FIRST.len());
    let (last, again) = ((first + round) % LAST.len(), round / LAST.len());
    let suffix = if again == 0 { String::new() } else { (again + 1).to_string() };
    format!("{}.{}{suffix}", FIRST[first], LAST[last])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_people_share_a_name_or_a_mac() {
        let people: Vec<_> = (0..5000).map(|n| Person::nth(7, n, 4900)).collect();
        let distinct = |key: fn(&Person) -> &String| people.iter().map(key).collect::<HashSet<_>>().len();
        assert_eq!((distinct(|p| &p.user), distinct(|p| &p.mac)), (5000, 5000));
    }

    #[test]
    fn same_seed_gives_the_same_people() {
        assert_eq!(Person::nth(1, 4, 9).user, Person::nth(1, 4, 9).user);
        assert_ne!(Person::nth(1, 4, 9).user, Person::nth(2, 4, 9).user);
    }
}
