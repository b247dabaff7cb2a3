//! The end-to-end tests are in `tests/e2e/`; `cargo xtask test` runs them.
