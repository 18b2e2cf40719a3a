//! The command line: flags named as Prometheus names them, help that teaches, exit codes that mean
//! something.
//!
//! 0 is success. 1 is a failure that was found: a mistake in a configuration, a probe that was not
//! good, a demo without its rollback. 2 is a wrong command line. 3 is a service that could not start
//! or broke. 4 is a comparison in which too little is known to tell.

mod arguments;
mod check;
mod check_rules;
mod convert;
mod cost;
mod demo;
mod healthcheck;
mod http;
mod init;
mod models;
mod notices;
mod notify;
mod prices;
mod probe;
mod query;
mod release;
mod replay;
mod rule_files;
mod run;
mod shadow;
mod signals;
mod simulate;
mod slo;
mod test;
mod token;

pub use arguments::main;
