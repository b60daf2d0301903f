//! What a machine writes to its console, kept in memory and in a file.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Grows until everyone has closed the other end.
pub struct Transcript(Arc<Mutex<Vec<u8>>>);

impl Transcript {
    /// Keeps what comes out of `source`, also in the file `log` (as far as that can be written).
    pub fn of(mut source: impl Read + Send + 'static, log: &Path) -> Transcript {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (sink, mut file) = (Arc::clone(&said), File::create(log).ok());
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            // A terminal whose other end nobody has open reads as an I/O error: that is its end of file.
            while let Ok(n @ 1..) = source.read(&mut buffer) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..n]);
                if let Some(file) = &mut file {
                    let _ = file.write_all(&buffer[..n]);
                }
            }
        });
        Transcript(said)
    }

    /// Everything written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The position behind the first `words` that were written from byte `from` on.
    pub fn find(&self, from: usize, words: &str) -> Option<usize> {
        let text = self.text();
        let at = text.get(from..)?.find(words)?;
        Some(from + at + words.len())
    }

    /// The last `n` lines written.
    pub fn tail(&self, n: usize) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(n)..].join("\n")
    }
}
