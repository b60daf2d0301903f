//! The machine's console: a pseudo terminal and what is written to it.

use crate::transcript::Transcript;
use crate::{Error, Result};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::path::Path;

/// The host's end of a console.
pub struct Console {
    said: Transcript,
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
        Ok((Console { said: Transcript::of(File::from(master), log), terminal }, slave))
    }

    /// Everything written so far.
    pub fn text(&self) -> String {
        self.said.text()
    }

    /// The last `n` lines written.
    pub fn tail(&self, n: usize) -> String {
        self.said.tail(n)
    }
}
