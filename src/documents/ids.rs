//! Ids of documents: integers in the order of their time of creation, without a counter.
//!
//! An id is the milliseconds since 2025 followed by 12 random bits. Ids stay below 2^53, the largest
//! range of integers that JavaScript's numbers hold exactly, until the year 2094. Two writers in the
//! same millisecond choose the same id with a probability of 1 in 4,096; the conditional write
//! detects the collision, and the loser takes another id.

use crate::clock::now_ms;

/// 2025-01-01T00:00:00Z in milliseconds since the Unix epoch.
const EPOCH_MS: u64 = 1_735_689_600_000;
const RANDOM_BITS: u32 = 12;
/// JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_ID: u64 = (1 << 53) - 1;

/// A new id, which is very likely unused.
pub(super) fn new_id() -> i64 {
    compose(now_ms(), fastrand::u64(..))
}

fn compose(now_ms: u64, random: u64) -> i64 {
    let time = now_ms.saturating_sub(EPOCH_MS) << RANDOM_BITS;
    let id = time | (random & ((1 << RANDOM_BITS) - 1));
    // The mask keeps the cast exact. Before 2094 the mask removes nothing.
    (id & MAX_ID) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_time() {
        assert!(compose(EPOCH_MS + 1, u64::MAX) < compose(EPOCH_MS + 2, 0));
    }

    #[test]
    fn ids_are_safe_in_javascript_until_2094() {
        let year_2094 = 3_913_056_000_000;
        let last = compose(year_2094, u64::MAX);
        assert!(last as u64 <= MAX_ID);
        assert!(last > compose(year_2094 - 1, u64::MAX));
        assert!(new_id() > 0);
    }
}
