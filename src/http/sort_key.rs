//! The order of sessions by any of their properties.

use std::cmp::Ordering;
use std::net::IpAddr;

/// The value by which a row is sorted. Addresses are sorted as numbers, and texts that are none follow them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    Number(u64),
    Address(IpAddr),
    Text(String),
}

impl SortKey {
    /// The key of a text, whose case does not matter.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_lowercase())
    }

    /// The key of an address.
    pub(super) fn address(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::text(text), Self::Address)
    }
}

/// The direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SortOrder {
    #[default]
    Ascending,
    Descending,
}

impl SortOrder {
    /// The direction and the name of a field, as `name`, or `-name` for a descending order.
    pub(super) fn read(text: &str) -> (Self, &str) {
        text.strip_prefix('-').map_or((Self::Ascending, text), |name| (Self::Descending, name))
    }

    /// One of these fields, and the direction; `None` if it is none of them.
    pub(super) fn field(text: &str, fields: &[&'static str]) -> Option<(&'static str, Self)> {
        let (order, name) = Self::read(text);
        Some((fields.iter().find(|field| **field == name)?, order))
    }

    /// Its name in `aria-sort`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
        }
    }

    /// Compares two values. Unknown values are last in either order.
    pub(super) fn compare(self, a: Option<&SortKey>, b: Option<&SortKey>) -> Ordering {
        match (a, b, self) {
            (None, _, _) | (_, None, _) => a.is_none().cmp(&b.is_none()),
            (_, _, Self::Ascending) => a.cmp(&b),
            (_, _, Self::Descending) => b.cmp(&a),
        }
    }
}
