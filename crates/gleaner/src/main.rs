//! gleaner.
fn main() {}
