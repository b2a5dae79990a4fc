//! The series of a site: name, unit, and how the values of a span are combined.

/// One measured quantity of a site over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Active users.
    Users,
    /// Logins: a sum, not a gauge.
    Logins,
    /// Traffic from the users, in bit/s.
    Upload,
    /// Traffic to the users, in bit/s.
    Download,
    /// Load of the router's CPU, in percent.
    Cpu,
    /// Used memory of the router, in percent.
    Memory,
    /// Whether the router answers: 1 or 0. Its average is the availability.
    Reachable,
}

impl Series {
    /// All series, in the order of their columns.
    pub const ALL: [Self; 7] =
        [Self::Users, Self::Logins, Self::Upload, Self::Download, Self::Cpu, Self::Memory, Self::Reachable];

    /// The name in requests and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Logins => "logins",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Reachable => "reachable",
        }
    }

    /// The series with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|series| series.name() == name)
    }

    /// The unit of its values; empty for counts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Upload | Self::Download => "bit/s",
            Self::Cpu | Self::Memory => "%",
            Self::Users | Self::Logins | Self::Reachable => "",
        }
    }

    /// Whether the values of a span are added up. All others are gauges, with a minimum, an average and a maximum.
    pub fn is_sum(self) -> bool {
        self == Self::Logins
    }
}
