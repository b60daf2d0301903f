//! The machine's console: a pseudo terminal whose output is kept in memory and in a file.

use crate::{Error, Result};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The host's end of a console.
pub struct Console {
    said: Arc<Mutex<Vec<u8>>>,
    /// Path of the terminal, to be bound over `/dev/console`.
    pub terminal: String,
}

impl Console {
    /// Opens a terminal and copies what is written to it into `log` until everyone has closed it.
    ///
    /// Also returns the terminal's end, for the machine's standard streams.
    pub fn open(log: &Path) -> Result<(Console, File)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(Error::on("open a pseudo terminal", "/dev/ptmx"))?;
        grantpt(&master).map_err(Error::on("grant", "/dev/ptmx"))?;
        unlockpt(&master).map_err(Error::on("unlock", "/dev/ptmx"))?;
        let name = ptsname(&master, Vec::new()).map_err(Error::on("name", "/dev/ptmx"))?;
        let terminal = name.to_string_lossy().into_owned();
        let slave =
            File::options().read(true).write(true).open(&terminal).map_err(Error::on("open", &terminal))?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let file = File::create(log).map_err(Error::on("create", log))?;
        let sink = Arc::clone(&said);
        std::thread::spawn(move || drain(master, file, &sink));
        Ok((Console { said, terminal }, slave))
    }

    /// Everything written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The last `n` lines written.
    pub fn tail(&self, n: usize) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(n)..].join("\n")
    }
}

fn drain(master: OwnedFd, mut file: File, sink: &Mutex<Vec<u8>>) {
    let mut master = File::from(master);
    let mut buffer = [0u8; 4096];
    // A terminal whose other end nobody has open reads as an I/O error: that is its end of file.
    while let Ok(n) = master.read(&mut buffer) {
        if n == 0 {
            break;
        }
        let bytes = &buffer[..n];
        sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        if file.write_all(bytes).is_err() {
            break;
        }
    }
}
