//! PID files: what a manager makes of odd ones, and that nobody who was given a daemon's number is taken for it.

mod numbers;
mod services;
mod table;

use runstead_compat::machine::UnderTest;
use runstead_compat::proof::Proof;
use std::process::ExitCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(420);

fn main() -> ExitCode {
    if let Some(status) = numbers::inside_the_namespace() {
        return status;
    }
    let mut proof = Proof::begin("pidfiles", LIMIT);
    let Some(under_test) = proof.need("know what is under test", UnderTest::from_env()) else {
        return proof.end();
    };
    let outcome = services::prove(&mut proof, under_test);
    proof.need("start services with odd PID files", outcome);
    if under_test == UnderTest::Ours {
        numbers::prove(&mut proof);
    }
    proof.end()
}
