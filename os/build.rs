//! Builds the program that opens PAM sessions. It is the one dynamically linked part (PAM modules are shared libraries), so that
//! it cannot be a binary of this workspace, which is static; the manager carries it in itself.
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "src/sys/pam_session/program.rs";

fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let output = PathBuf::from(variable("OUT_DIR")).join("pam-session");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args([
        "--edition=2024",
        "--crate-name=pam_session",
        "--crate-type=bin",
        "-Copt-level=s",
        "-Cpanic=abort",
    ]);
    rustc.args(["-Cstrip=symbols", "-Ctarget-feature=-crt-static", "-Dwarnings"]);
    rustc.arg(format!("--target={}", variable("TARGET"))).arg("-o").arg(&output).arg(SOURCE);
    // Flags of the workspace are for static programs.
    let status = rustc.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{SOURCE} cannot be built: {status}"),
        Err(error) => panic!("the compiler cannot be started for {SOURCE}: {error}"),
    }
}
