//! PID files (systemd.service(5), `PIDFile=`).
use runstead_core::engine::event::Pid;
use rustix::fs::{FileType, Mode, OFlags};

/// What a PID file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// The process.
    pub pid: Pid,
    /// Owner of the file: only root may name a process outside the unit.
    pub owner: u32,
}

/// Read a PID file without blocking; the refusal is for people. A link on the way that belongs to another user than
/// root or the file's owner could name any file: the last component must be no link.
pub fn read(path: &str) -> Result<PidFile, String> {
    let refuse = |why: String| format!("{path}: {why}");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| refuse(errno.to_string()))?;
    let stat = rustix::fs::fstat(&fd).map_err(|errno| refuse(errno.to_string()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refuse("not a regular file".to_owned()));
    }
    let mut bytes = [0u8; 64];
    let got = rustix::io::read(&fd, &mut bytes).map_err(|errno| refuse(errno.to_string()))?;
    let text = String::from_utf8_lossy(&bytes[..got]);
    let first = text.lines().next().unwrap_or_default().trim();
    match first.parse::<Pid>() {
        Ok(pid) if pid > 1 => Ok(PidFile { pid, owner: stat.st_uid }),
        Ok(pid) => Err(refuse(format!("{pid} is no process of a service"))),
        Err(_) => Err(refuse(format!("\"{first}\" is no process id"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;

    #[test]
    fn only_plain_files_with_a_process_are_taken() {
        let scratch = Scratch::new("pidfile");
        let path = scratch.join("pid");
        let write = |text: &str| std::fs::write(&path, text).expect("write");
        write("1234\n");
        assert_eq!(read(&path).map(|file| file.pid), Ok(1234));
        for bad in ["", "1\n", "-5\n", "abc\n", "99999999999\n"] {
            write(bad);
            assert!(read(&path).is_err(), "{bad}");
        }
        write("1234\n");
        std::os::unix::fs::symlink(&path, scratch.join("link")).expect("link");
        assert!(read(&scratch.join("link")).is_err() && read(scratch.path()).is_err());
    }
}
