//! The engine as a whole: events in, actions out, worked out by hand.

mod aside;
mod bench;
mod early;
mod interval;
mod maintenance;
mod pulse;
mod releases;
mod reload;
mod restart;
mod slos;
