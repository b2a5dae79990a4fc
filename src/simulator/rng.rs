//! Deterministic random numbers: the same input always gives the same number.

/// Maps a number to the full range of u64 (the finalizer of `SplitMix64`).
pub(super) fn mix(number: u64) -> u64 {
    let n = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ n >> 31
}
