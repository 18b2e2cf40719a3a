//! Where the doers meet: each gets its settings and its channel ends. No logic lives here.

mod files;
mod follow;
mod load;
mod offline;
mod plans;
mod recorded;
mod records;
mod report;
mod routes;
mod service;
mod spending;
mod takeover;
mod web;
mod wiring;

pub use follow::{FollowOptions, Follower};
pub use load::{LoadError, Loaded, load};
pub use offline::roll_back_offline;
pub use service::{App, Configuration, Options, Succession, Wanted};
pub use web::load_web;
pub use wiring::watched_models;
