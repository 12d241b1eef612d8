//! The parts of those programs that do not fit into one file.

pub mod job_market;
