//! The simulated router, from the outside: commands over real sockets and what it says to them.
//! Only the wire is ours here; what is expected comes from RouterOS's documentation and traces.

mod answers;
mod client;
mod faults;
mod hotspot;
mod menus;
mod odd_answers;
mod outages;
mod sessions;
mod side_by_side;
mod tls;
