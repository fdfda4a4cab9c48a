//! What can't be derived, and what the compiler says of it.
//!
//! A few files with many mistakes each, because each costs a run of the compiler.

#[test]
fn every_misuse_is_explained_where_it_stands() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
