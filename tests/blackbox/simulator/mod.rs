//! Black-box tests of the simulated router: commands and replies over real sockets. Only the wire decoder is
//! shared with it; the expectations come from RouterOS's documentation and traces.

mod answers;
mod client;
mod faults;
mod hotspot;
mod menus;
mod odd_answers;
mod outages;
mod sessions;
mod side_by_side;
mod time_and_pool;
mod tls;
