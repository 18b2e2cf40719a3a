//! Where the rooms meet: files are read, settings handed out, tasks started and joined.

pub mod load;
