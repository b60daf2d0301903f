//! Encodes the steps about standard descriptors and terminals.
use super::assemble::{Arg, Assembler, CWD, TEMP, signed};
use super::encode::move_to;
use super::fds::FdLayout;
use crate::sys::program::{Policy, special};
use runstead_core::plan::{Fd, HeldTty, Op};

use Arg::{N, R};

/// Seconds and nanoseconds between looks at a terminal that another session has.
const TTY_PAUSE: [u64; 2] = [0, 200_000_000];

/// Encode the step if it is one of these.
pub(super) fn encode(asm: &mut Assembler, op: &Op, layout: &FdLayout) -> bool {
    match op {
        Op::OpenStdio { target, path, flags, mode } => {
            let path = asm.string(path);
            let flags = N((*flags | libc::O_CLOEXEC) as u64);
            asm.call(libc::SYS_openat, &[CWD, path, flags, N(u64::from(*mode))]).store = TEMP + 1;
            move_to(asm, TEMP, *target);
        }
        Op::DupStdio { from, target } => {
            let is_child = matches!(from, Fd::Child(_));
            let from = match from {
                Fd::Manager(fd) => layout.get(*fd),
                Fd::Child(fd) => *fd,
            };
            if from != *target {
                asm.call(libc::SYS_dup3, &[signed(from), signed(*target), N(0)]);
            }
            if !is_child {
                // The manager reads without blocking; programs expect their standard streams to block.
                asm.add(special::NONBLOCK, &[signed(*target), N(0)]);
            }
        }
        Op::JournalStream { target, path, header, as_user } => journal(asm, *target, path, header, *as_user),
        Op::DataStdin { bytes } => data_stdin(asm, bytes),
        Op::WaitHangup { fd, timeout } => {
            asm.add(special::WAIT_HANGUP, &[signed(layout.get(*fd)), signed(*timeout)]);
        }
        Op::ShareNamespace { storage, kind, path } => {
            let [receive, send] = storage.map(|fd| signed(layout.get(fd)));
            let path = asm.string(path);
            asm.add(special::SHARE_NAMESPACE, &[receive, send, N(*kind), path]);
        }
        Op::ControllingTty { path, held } => controlling_tty(asm, path, *held),
        Op::ResetTty { path, reset, vhangup, size } => reset_tty(asm, path, *reset, *vhangup, *size),
        Op::ChownTty { uid } => {
            asm.call(libc::SYS_fchown, &[N(0), N(u64::from(*uid)), signed(-1)]);
            asm.call(libc::SYS_fchmod, &[N(0), N(0o620)]);
        }
        _ => return false,
    }
    true
}

/// Take the terminal on descriptor 0; while it is another session's, look again and again (the kernel tells nobody).
fn controlling_tty(asm: &mut Assembler, path: &str, held: HeldTty) {
    let steal = u64::from(held == HeldTty::Steal);
    let take = asm.code.len();
    asm.call(libc::SYS_ioctl, &[N(0), N(libc::TIOCSCTTY), N(steal)]);
    if held != HeldTty::Await {
        return;
    }
    let done = asm.code.len();
    asm.add(special::JUMP, &[N(0)]);
    asm.code[take].fine[0] = libc::EPERM as u16;
    asm.code[take].fine_to = asm.code.len() as u32;
    let path = asm.string(path);
    let pause = asm.aligned(&TTY_PAUSE.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>());
    let sleep = [N(libc::CLOCK_MONOTONIC as u64), N(0), pause, N(0)];
    asm.call(libc::SYS_clock_nanosleep, &sleep).policy = Policy::Continue as u8;
    // Who had it may have hung it up, with all that were open.
    let flags = N((libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) as u64);
    asm.call(libc::SYS_openat, &[CWD, path, flags, N(0)]).store = TEMP + 1;
    move_to(asm, TEMP, 0);
    asm.add(special::JUMP, &[N(take as u64)]);
    asm.code[done].args[0] = asm.code.len() as u64;
}

/// Connect, announce, keep; where that fails, open `/dev/null` in its stead.
fn journal(asm: &mut Assembler, target: i32, path: &str, header: &str, as_user: Option<(u32, u32)>) {
    let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    address.extend_from_slice(path.as_bytes());
    address.push(0);
    let length = N(address.len() as u64);
    let address = asm.aligned(&address);
    let content = asm.bytes(header.as_bytes());
    let kind = N((libc::SOCK_STREAM | libc::SOCK_CLOEXEC) as u64);
    let size = asm.aligned(&(8i32 << 20).to_ne_bytes());
    let null = asm.string("/dev/null");
    let ids = |asm: &mut Assembler, gid: u32, uid: u32| {
        let keep = signed(-1);
        asm.call(libc::SYS_setresgid, &[keep, N(u64::from(gid)), keep]).policy = Policy::Continue as u8;
        asm.call(libc::SYS_setresuid, &[keep, N(u64::from(uid)), keep]).policy = Policy::Continue as u8;
    };
    asm.call(libc::SYS_socket, &[N(libc::AF_UNIX as u64), kind, N(0)]).store = TEMP + 1;
    if let Some((uid, gid)) = as_user {
        ids(asm, gid, uid);
    }
    let connect = asm.code.len();
    asm.call(libc::SYS_connect, &[R(TEMP), address, length]);
    let back = |asm: &mut Assembler| {
        if as_user.is_some() {
            let keep = signed(-1);
            asm.call(libc::SYS_setresuid, &[keep, N(0), keep]);
            asm.call(libc::SYS_setresgid, &[keep, N(0), keep]);
        }
    };
    back(asm);
    asm.add(special::WRITE_ALL, &[R(TEMP), content, N(header.len() as u64)]).policy = Policy::Continue as u8;
    asm.call(libc::SYS_shutdown, &[R(TEMP), N(libc::SHUT_RD as u64)]).policy = Policy::Continue as u8;
    let options = [R(TEMP), N(libc::SOL_SOCKET as u64), N(libc::SO_SNDBUF as u64), size, N(4)];
    asm.call(libc::SYS_setsockopt, &options).policy = Policy::Continue as u8;
    let jump = asm.code.len();
    asm.add(special::JUMP, &[N(0)]);
    asm.code[connect].policy = Policy::Jump as u8;
    asm.code[connect].fine_to = asm.code.len() as u32;
    back(asm);
    asm.close(TEMP);
    let flags = N((libc::O_WRONLY | libc::O_CLOEXEC | libc::O_NOCTTY) as u64);
    asm.call(libc::SYS_openat, &[CWD, null, flags, N(0)]).store = TEMP + 1;
    asm.code[jump].args[0] = asm.code.len() as u64;
    move_to(asm, TEMP, target);
}

/// `StandardInputText=` and `StandardInputData=`: a memfd that is read from its beginning.
fn data_stdin(asm: &mut Assembler, bytes: &[u8]) {
    let name = asm.string("stdin");
    let content = asm.bytes(bytes);
    let flags = N(u64::from(libc::MFD_CLOEXEC));
    asm.call(libc::SYS_memfd_create, &[name, flags]).store = TEMP + 1;
    asm.add(special::WRITE_ALL, &[R(TEMP), content, N(bytes.len() as u64)]);
    asm.call(libc::SYS_lseek, &[R(TEMP), N(0), N(libc::SEEK_SET as u64)]);
    move_to(asm, TEMP, 0);
}

fn reset_tty(asm: &mut Assembler, path: &str, reset: bool, vhangup: bool, size: (u16, u16)) {
    let path = asm.string(path);
    let flags = (libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    let open = |asm: &mut Assembler| {
        asm.call(libc::SYS_openat, &[CWD, path, N(flags), N(0)]).store = TEMP + 1;
    };
    if vhangup {
        const TIOCVHANGUP: u64 = 0x5437;
        open(asm);
        asm.call(libc::SYS_ioctl, &[R(TEMP), N(TIOCVHANGUP), N(0)]).policy = Policy::Continue as u8;
        asm.close(TEMP);
    }
    open(asm);
    if reset {
        asm.add(special::RESET_TTY, &[R(TEMP)]).policy = Policy::Continue as u8;
    }
    if size != (0, 0) {
        let window: Vec<u8> = [size.0, size.1, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let window = asm.aligned(&window);
        asm.call(libc::SYS_ioctl, &[R(TEMP), N(libc::TIOCSWINSZ), window]).policy = Policy::Continue as u8;
    }
    asm.close(TEMP);
}
