//! How the binary is linked. It has a budget of 6 MB, as it is also the only file of an initramfs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Relative relocations as bits and not as 24 bytes each: tables of directives and interfaces are full of them.
    println!("cargo:rustc-link-arg-bins=-Wl,--pack-dyn-relocs=relr");
    // One copy of functions that came out the same: the language promises no distinct addresses.
    println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
}
