//! What functions get and what their answers may ask for.

mod answers;
mod calls;
mod requests;
