//! Names the shared library for the dynamic linker. Cargo gives it no soname, so a program linked
//! against it would go on with any later version, compatible or not.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // While the package's version is 0.x its ABI is called 0; from 1.0 on the soname is the major
    // version, which changes when a program must be built anew.
    let abi = env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets it");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos" | "ios") => {
            let name = format!("@rpath/libsession_locker.{abi}.dylib");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,{name}");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-current_version,{version}");
        }
        Ok("windows") => {}
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libsession_locker.so.{abi}"),
    }
}
