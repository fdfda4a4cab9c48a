//! What somebody tries who can put things where the command looks.

mod owners;
mod places;
mod special;
