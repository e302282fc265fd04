//! The collector as agents meet it: over real TLS, on a store in a file.

mod field;

mod enrolment;
mod identity;
mod orders;
mod strangers;
