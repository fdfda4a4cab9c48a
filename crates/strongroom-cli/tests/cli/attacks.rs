//! What somebody tries who can put things where the command looks.

mod owners;
mod places;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod randomless;
mod special;
