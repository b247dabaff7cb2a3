//! The parity test is in `tests/parity/`, the FastAPI service in `app.py`. `cargo xtask test` runs the
//! test.
