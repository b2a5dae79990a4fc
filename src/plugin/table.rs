//! Rows under named columns: the form in which the page and the JSON show any plugin.

/// Rows under named columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns, RouterOS's own where it has one.
    pub columns: Vec<String>,
    /// One cell per column in each row; `None` where the router sent no value.
    pub rows: Vec<Vec<Option<String>>>,
}
