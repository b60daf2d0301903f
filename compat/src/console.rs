//! The machine's console: a pseudo terminal and what is written to it.

use crate::transcript::Transcript;
use crate::{Error, Result};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The host's end of a console.
pub struct Console {
    said: Transcript,
    keyboard: File,
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
        let master = File::from(master);
        let keyboard = master.try_clone().map_err(Error::on("duplicate", "/dev/ptmx"))?;
        Ok((Console { said: Transcript::of(master, log), keyboard, terminal }, slave))
    }

    /// Everything written so far.
    pub fn text(&self) -> String {
        self.said.text()
    }

    /// Waits until the text from byte `from` on holds `words`; the position behind them.
    pub fn expect(&self, from: usize, words: &str, limit: Duration) -> Result<usize> {
        let end = Instant::now() + limit;
        loop {
            if let Some(at) = self.said.find(from, words) {
                return Ok(at);
            }
            if Instant::now() >= end {
                return Err(Error::new(format!("nobody said {words:?}:\n{}", self.tail(30))));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Type a line.
    pub fn type_line(&self, line: &str) -> Result<()> {
        let mut keyboard = &self.keyboard;
        keyboard.write_all(format!("{line}\n").as_bytes()).map_err(Error::on("type on", &self.terminal))
    }

    /// The last `n` lines written.
    pub fn tail(&self, n: usize) -> String {
        self.said.tail(n)
    }
}
