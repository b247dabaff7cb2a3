//! The tests of the delivery contract are in `tests/faults/`; `cargo xtask test` runs them.
