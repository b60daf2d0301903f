//! A spawn with a PAM session: the child sets up what comes before, executes a program that opens the session (PAM is dynamic
//! libraries, and the manager is not), and that executes the manager's image to take the steps that are left.
use super::encode::{append_command, encode_rest};
use crate::sys::pam_session::PROGRAM;
use crate::sys::program::Image;
use runstead_core::plan::{ExitStatus, OnError, Op, Plan, Step, Text};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, OwnedFd};

/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const LISTEN_FDS_START: usize = 3;

/// A plan for the child itself, and the descriptors it uses.
pub(super) struct Split {
    pub(super) plan: Plan,
    /// Open until the child is made.
    pub(super) _fds: [OwnedFd; 3],
}

/// Divide a plan with a session in two; `None` when it has none.
pub(super) fn split(plan: &Plan) -> Result<Option<Split>, Errno> {
    let Some(at) = plan.steps.iter().position(|step| matches!(step.op, Op::PamSession { .. })) else {
        return Ok(None);
    };
    let (before, behind) = plan.steps.split_at(at);
    let [session, rest @ .., last] = behind else { return Err(Errno::INVAL) };
    let Op::Exec { paths, argv, envp } = &last.op else { return Err(Errno::INVAL) };
    let Op::PamSession { service, user, uid, gid, tty, expand, fds, nonblock } = &session.op else {
        return Err(Errno::INVAL);
    };
    let [left_at, exe_at, program_at] = [0, 1, 2].map(|n| LISTEN_FDS_START + fds.len() + n);
    let image = encode_rest(rest, left_at).ok_or(Errno::TOOBIG)?;
    let words = argv.iter().map(|word| word.text.clone()).collect();
    let left = Left { image, expand: *expand, paths: paths.clone(), words };
    let left = memory_file("runstead-spawn", &left.to_bytes())?;
    let exe = open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let program = memory_file("runstead-pam", PROGRAM)?;
    // What it is going to be, as the reference shows it: syslog lines of PAM modules begin with this.
    let name = paths.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let words = [
        &*format!("({name})"),
        service,
        user,
        tty,
        &uid.to_string(),
        &gid.to_string(),
        &exe_at.to_string(),
        &left_at.to_string(),
    ];
    let mut placed = fds.clone();
    placed.extend([&left, &exe, &program].map(AsRawFd::as_raw_fd));
    let step = |op| Step { op, setting: session.setting, on_error: OnError::Fail(ExitStatus::Pam) };
    let mut steps = before.to_vec();
    steps.push(step(Op::PlaceFds { fds: placed, nonblock: *nonblock }));
    steps.push(step(Op::Exec {
        paths: vec![format!("/proc/self/fd/{program_at}")],
        argv: words.map(Text::from).to_vec(),
        envp: envp.clone(),
    }));
    let plan = Plan { steps, ..plan.clone() };
    Ok(Some(Split { plan, _fds: [left, exe, program] }))
}

/// A file in memory that may be executed.
fn memory_file(name: &str, bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that says it is to be executable, and take it for that anyway.
    let fd = match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&fd, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&fd, seals)?;
    Ok(fd)
}

/// What is left of a spawn: steps, and the command behind them.
#[derive(Debug)]
struct Left {
    image: Image,
    /// Variables in the words are to be expanded.
    expand: bool,
    paths: Vec<String>,
    words: Vec<String>,
}

impl Left {
    /// The length of the steps, whether to expand, the number of paths (64 bits each), the steps, and NUL-terminated strings.
    fn to_bytes(&self) -> Vec<u8> {
        let image = self.image.to_bytes();
        let head = [image.len(), usize::from(self.expand), self.paths.len()];
        let mut bytes: Vec<u8> = head.iter().flat_map(|number| number.to_ne_bytes()).collect();
        bytes.extend(image);
        for text in self.paths.iter().chain(&self.words) {
            bytes.extend(text.bytes().chain([0]));
        }
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Left> {
        let mut number = || {
            let (head, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(usize::from_ne_bytes(*head))
        };
        let (length, expand, count) = (number()?, number()? != 0, number()?);
        let (image, strings) = bytes.split_at_checked(length)?;
        let strings = std::str::from_utf8(strings).ok()?.split_terminator('\0').map(str::to_owned);
        let mut paths: Vec<String> = strings.collect();
        let words = if count <= paths.len() { paths.split_off(count) } else { return None };
        Some(Left { image: Image::from_bytes(image)?, expand, paths, words })
    }
}

/// Take the steps that this descriptor holds, in this process, with its environment; comes back only when that is impossible.
pub fn go_on_from(number: u32) -> std::io::Error {
    let bytes = match std::fs::read(format!("/proc/self/fd/{number}")) {
        Ok(bytes) => bytes,
        Err(error) => return error,
    };
    let Some(left) = Left::from_bytes(&bytes) else {
        return std::io::Error::new(std::io::ErrorKind::InvalidData, "no steps of a spawn");
    };
    let words = if left.expand {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables: Vec<_> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        runstead_core::plan::expand(&left.words, &variables)
    } else {
        left.words
    };
    let argv: Vec<Text> = words.into_iter().map(Text::from).collect();
    append_command(left.image, &left.paths, &argv).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_survives_the_way() {
        let image = Image { code: Vec::new(), data: b"x".to_vec() };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let left = Left { image, expand: true, paths: texts(&["/a", "/b"]), words: texts(&["a", "", "$C"]) };
        let bytes = left.to_bytes();
        assert_eq!(format!("{:?}", Left::from_bytes(&bytes)), format!("{:?}", Some(left)));
        assert!(Left::from_bytes(&bytes[..20]).is_none());
    }
}
