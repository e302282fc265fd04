//! What Farmwatch is tested with: a simulated fleet, and the real binaries in a folder of their own.

pub mod books;
pub mod browser;
pub mod clock;
pub mod disk;
pub mod fleet;
pub mod guest;
pub mod lan;
pub mod load;
pub mod machine;
pub mod postgres;
pub mod scoreboard;
pub mod street;
pub mod web;
pub mod wine;
pub mod world;
