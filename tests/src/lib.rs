//! End-to-end tests of Farmwatch, its fleet simulator and quickstart.
