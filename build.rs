//! Names the shared library for the dynamic linker. Cargo gives it no soname, so a program linked
//! against it would go on with any later version, compatible or not.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A program must be built anew when the ABI's name changes: with each minor version while the
    // version is 0.x, from 1.0 on with the major one.
    let variable = |name: &str| env::var(name).expect("cargo sets it");
    let (major, minor) = (
        variable("CARGO_PKG_VERSION_MAJOR"),
        variable("CARGO_PKG_VERSION_MINOR"),
    );
    let version = variable("CARGO_PKG_VERSION");
    let abi = match major.as_str() {
        "0" => format!("0.{minor}"),
        _ => major,
    };
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
