//! `runstead pidfile` as scripts use it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_runstead");

/// A directory that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("runstead-pidfile-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn file(&self) -> String {
        self.0.join("daemon.pid").to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pidfile(words: &[&str]) -> Output {
    Command::new(PROGRAM).arg("pidfile").args(words).stdin(Stdio::null()).output().unwrap()
}

fn code(words: &[&str]) -> Option<i32> {
    pidfile(words).status.code()
}

#[test]
fn files_of_processes() {
    let place = Place::new("verbs");
    let file = place.file();
    assert_eq!(code(&["check", &file]), Some(3));
    assert_eq!(code(&["read", &file]), Some(3));
    let own = std::process::id().to_string();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(code(&["write", &file, &own]), Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{own}\n"));
    assert_eq!(code(&["check", &file]), Some(0));
    assert_eq!(pidfile(&["read", &file]).stdout, format!("{own}\n").as_bytes());
    assert_eq!(code(&["write", &file, &own]), Some(1), "its process lives");
    std::fs::write(&file, "2147483647\n").unwrap();
    assert_eq!(code(&["check", &file]), Some(1));
    let line: serde_json::Value =
        serde_json::from_slice(&pidfile(&["check", &file, "--json"]).stdout).unwrap();
    assert_eq!((line["state"].as_str(), line["pid"].as_u64()), (Some("stale"), Some(2_147_483_647)));
    std::fs::write(&file, "a diary\n").unwrap();
    assert_eq!(
        (code(&["check", &file]), code(&["read", &file]), code(&["write", &file, &own])),
        (Some(4), Some(4), Some(4))
    );
    for wrong in [&[][..], &["reads"], &["read"], &["write", &file, "0"], &["write", &file, "x"]] {
        assert_eq!(code(wrong), Some(2), "{wrong:?}");
    }
    assert_eq!(code(&["--help"]), Some(0));
}

#[test]
fn a_program_has_its_file_while_it_runs() {
    let place = Place::new("run");
    let file = place.file();
    let script = format!(
        "[ $(cat {file}) = $$ ] && {PROGRAM} pidfile check {file} && ! {PROGRAM} pidfile run {file} true && exit 7"
    );
    assert_eq!(code(&["run", &file, "sh", "-c", &script]), Some(7));
    assert!(!Path::new(&file).exists());
    assert_eq!(code(&["run", &file, "/no/such/program"]), Some(127));
    assert!(!Path::new(&file).exists());
}

#[test]
fn signals_are_passed_on() {
    let place = Place::new("signals");
    let file = place.file();
    let mut child = Command::new(PROGRAM).args(["pidfile", "run", &file, "sleep", "1000"]).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while !Path::new(&file).exists() {
        assert!(Instant::now() < end, "no file");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(!Path::new(&file).exists());
}
