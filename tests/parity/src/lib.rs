//! The parity test is in `tests/parity/`, the service that it compares with in `app.py`;
//! `cargo xtask test` runs it.
