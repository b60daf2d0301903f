//! The interpreter in a spawned child: raw system calls only, no allocation, no libc state, no panics.
//!
//! Between clone and execve it has the manager's code, its own program and an empty stack, but neither heap nor thread-local
//! memory ([`super::inherit`]); other threads of the manager (there are none but in tests) may have held any lock.
use super::program::{Header, Instruction, Kind, Parts, Policy, REGISTERS, WEAKENED, special};
use super::raw::{call, errno_of, syscall};
use std::sync::atomic::Ordering;

/// What the interpreter works on.
struct Machine<'a> {
    header: &'a Header,
    code: &'a [Instruction],
    data: *mut u8,
    registers: [i64; REGISTERS],
}

/// Run the program at this address; ends in execve or `exit_group`.
pub extern "C" fn run(address: usize) -> ! {
    // SAFETY: the manager made the program there and this child for it; the child lives for this function.
    let Parts { header, code, data } = unsafe { Parts::at(address) };
    let mut machine = Machine { header, code, data, registers: [-1; REGISTERS] };
    let mut at = 0usize;
    while let Some(instruction) = machine.code.get(at) {
        let instruction = *instruction;
        at = machine.step(&instruction, at);
    }
    // A program that does not end in execve is a mistake of the encoder.
    exit(255)
}

fn exit(status: i32) -> ! {
    loop {
        for way in [libc::SYS_exit_group, libc::SYS_exit] {
            // SAFETY: no pointers.
            unsafe { syscall(way as usize, [status as usize, 0, 0, 0, 0, 0]) };
        }
        // A filter refuses both (`SystemCallFilter=`): the processor does not ask it.
        super::raw::trap();
    }
}

impl Machine<'_> {
    /// One instruction; gives the index of the next.
    fn step(&mut self, i: &Instruction, at: usize) -> usize {
        let end = i.end as usize;
        let Some(args) = self.arguments(i) else { return end };
        let result = if i.op < special::FIRST {
            // SAFETY: the encoder gives data offsets only for arguments that are pointers to such data.
            unsafe { syscall(i.op as usize, args) }
        } else if i.op == special::END_IF_OWNER {
            return if self.owner_is(args) { end } else { at + 1 };
        } else if i.op == special::JUMP {
            return args[0];
        } else {
            self.special(i, args)
        };
        match errno_of(result) {
            None => {
                if let Some(register) =
                    (i.store as usize).checked_sub(1).and_then(|n| self.registers.get_mut(n))
                {
                    *register = result as i64;
                }
                at + 1
            }
            Some(errno) if i.fine.contains(&(errno as u16)) => {
                if i.fine_to == 0 {
                    at + 1
                } else {
                    i.fine_to as usize
                }
            }
            Some(errno) => self.failed(i, errno, at),
        }
    }

    fn failed(&mut self, i: &Instruction, errno: i32, at: usize) -> usize {
        if i.policy == Policy::Fail as u8 {
            self.header.errno.store(errno as u32, Ordering::Relaxed);
            self.header.exit.store(u32::from(i.exit), Ordering::Relaxed);
            self.header.failed.store(u32::from(i.step) + 1, Ordering::Release);
            exit(i32::from(i.exit));
        }
        if i.policy == Policy::Weaken as u8 {
            let n = self.header.weakened.load(Ordering::Relaxed) as usize;
            if let Some(word) = self.header.list.get(n) {
                word.store(u32::from(i.step) << 16 | errno as u32, Ordering::Relaxed);
                self.header.weakened.store((n + 1).min(WEAKENED) as u32, Ordering::Release);
            }
        }
        match i.policy {
            policy if policy == Policy::Continue as u8 => at + 1,
            policy if policy == Policy::Jump as u8 => i.fine_to as usize,
            _ => i.end as usize,
        }
    }

    /// Arguments as the kernel wants them; `None` when one comes from an empty register.
    fn arguments(&self, i: &Instruction) -> Option<[usize; 6]> {
        let mut args = [0usize; 6];
        for (n, (slot, raw)) in args.iter_mut().zip(i.args).enumerate() {
            let kind = (i.kinds >> (2 * n)) & 3;
            *slot = if kind == Kind::Data as u16 {
                self.data.wrapping_add(raw as usize) as usize
            } else if kind == Kind::Register as u16 {
                let value = self.registers.get(raw as usize).copied().unwrap_or(-1);
                if value < 0 && i.op != special::CLEAR {
                    return None;
                }
                value as usize
            } else {
                raw as usize
            };
        }
        Some(args)
    }

    fn special(&mut self, i: &Instruction, a: [usize; 6]) -> isize {
        match i.op {
            special::RESET_SIGNALS => reset_signals(a[0] != 0, a[1] as u64),
            special::WRITE_ALL => write_all(a[0], a[1], a[2]),
            special::FILL_PID => {
                let pid = call(libc::SYS_getpid, [0; 6]);
                self.insert(a[0], a[1], &mut Decimal::of(pid as u64))
            }
            special::FILL_JOURNAL => self.fill_journal(a[0], a[1]),
            special::RLIMIT => rlimit(a[0], a[1], a[2]),
            special::BOUNDING_SET => bounding_set(a[0] as u64),
            special::CAPABILITIES => capabilities(a[0] as u64, a[1] as u64),
            special::AMBIENT => ambient(a[0] as u64),
            special::RELOCATE => self.relocate(a[0], a[1]),
            special::EXEC => self.exec(a),
            special::RESET_TTY => reset_tty(a[0]),
            special::CHOWN_TREE => super::chown_tree::chown_below(a[0], a[1], a[2]),
            special::CLEAR => {
                if let Some(register) = self.registers.get_mut(i.args[0] as usize) {
                    *register = -1;
                }
                0
            }
            special::WAIT_HANGUP => wait_hangup(a[0], a[1]),
            special::LINK_IS => link_is(a[0], a[1]),
            special::NONBLOCK => nonblock(a[0], a[1] != 0),
            special::REQUIRE => 0,
            special::CLONE_LIKE => clone_like(a),
            special::MAKE_LIKE => make_like(a[0], a[1]),
            // SAFETY: the encoder ends its strings with a zero byte.
            special::MAKE_DIRECTORY => unsafe { super::make_directory::make_directory(a[0], a[1]) },
            // SAFETY: the encoder ends its strings with a zero byte.
            special::SHARE_NAMESPACE => unsafe { super::share_namespace::share_namespace(a) },
            _ => -(libc::ENOSYS as isize),
        }
    }

    fn owner_is(&self, a: [usize; 6]) -> bool {
        stat(a[0]).is_some_and(|st| st.st_uid as usize == a[1] && st.st_gid as usize == a[2])
    }

    /// Insert digits at `at`, moving them before the `behind` bytes that follow the slot of fixed width.
    fn insert(&self, at: usize, behind: usize, digits: &mut Decimal) -> isize {
        let width = super::program::SLOT;
        let used = digits.length;
        // SAFETY: the encoder left `SLOT` bytes at `at` and `behind` more bytes after them, all in the data.
        unsafe {
            let slot = at as *mut u8;
            std::ptr::copy_nonoverlapping(digits.bytes.as_ptr(), slot, used.min(width));
            std::ptr::copy(slot.add(width), slot.add(used), behind);
        }
        0
    }

    fn fill_journal(&self, at: usize, entry: usize) -> isize {
        let socket = |fd| stat(fd).filter(|st| st.st_mode & libc::S_IFMT == libc::S_IFSOCK);
        match socket(2).or_else(|| socket(1)) {
            Some(st) => {
                let mut digits = Decimal::of(st.st_dev);
                digits.push(b':');
                digits.append(st.st_ino);
                self.insert(at, 1, &mut digits)
            }
            None => {
                // SAFETY: the encoder points at the last entry of the environment array, 8-aligned or not.
                unsafe { (entry as *mut u64).write_unaligned(0) };
                0
            }
        }
    }

    fn relocate(&self, array: usize, count: usize) -> isize {
        let words = array as *mut u64;
        for n in 0..count {
            // SAFETY: `count` words at `array` are in the data.
            unsafe {
                let word = words.add(n);
                let offset = word.read_unaligned();
                word.write_unaligned(self.data.wrapping_add(offset as usize) as u64);
            }
        }
        0
    }

    /// Try the paths in order; as execvp(3), a missing or forbidden file does not end the search.
    fn exec(&self, a: [usize; 6]) -> isize {
        let (paths, count, argv) = (a[0] as *const u64, a[1], a[2]);
        let envp = if a[4] == 0 { a[3] } else { self.header.environ.load(Ordering::Relaxed) };
        let mut worst = -(libc::ENOENT as isize);
        for n in 0..count {
            // SAFETY: `count` relocated words at `paths`.
            let path = unsafe { paths.add(n).read_unaligned() } as usize;
            let result = call(libc::SYS_execve, [path, argv, envp, 0, 0, 0]);
            match errno_of(result) {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => worst = result,
                _ => return result,
            }
        }
        worst
    }
}

/// Digits without allocation.
struct Decimal {
    bytes: [u8; super::program::SLOT],
    length: usize,
}

impl Decimal {
    fn of(value: u64) -> Self {
        let mut decimal = Decimal { bytes: [0; super::program::SLOT], length: 0 };
        decimal.append(value);
        decimal
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    fn append(&mut self, value: u64) {
        let mut divisor = 1u64;
        while value / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            self.push(b'0' + (value / divisor % 10) as u8);
            divisor /= 10;
        }
    }
}

fn stat(fd: usize) -> Option<libc::stat> {
    // SAFETY: all zero bytes are a valid stat.
    let mut st: libc::stat = unsafe { std::mem::zeroed() };
    let result = call(libc::SYS_fstat, [fd, (&raw mut st) as usize, 0, 0, 0, 0]);
    (result == 0).then_some(st)
}

/// Ignored dispositions survive execve, handlers do not: all become the default, and no signal stays blocked.
fn reset_signals(ignore_sigpipe: bool, mask: u64) -> isize {
    for signal in 1..=64usize {
        let is_meant = mask >> (signal - 1) & 1 != 0 || signal == libc::SIGPIPE as usize;
        if !is_meant || signal == libc::SIGKILL as usize || signal == libc::SIGSTOP as usize {
            continue;
        }
        let ignore = ignore_sigpipe && signal == libc::SIGPIPE as usize;
        // struct sigaction of the kernel: handler, flags, restorer, mask (x86_64) or handler, flags, mask.
        let action: [usize; 4] = [if ignore { libc::SIG_IGN } else { libc::SIG_DFL }, 0, 0, 0];
        let result = call(libc::SYS_rt_sigaction, [signal, (&raw const action) as usize, 0, 8, 0, 0]);
        if errno_of(result).is_some_and(|errno| errno != libc::EINVAL) {
            return result;
        }
    }
    let none = 0u64;
    call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, (&raw const none) as usize, 0, 8, 0, 0])
}

fn write_all(fd: usize, mut from: usize, mut length: usize) -> isize {
    loop {
        let written = call(libc::SYS_write, [fd, from, length, 0, 0, 0]);
        match errno_of(written) {
            Some(libc::EINTR) => {}
            Some(_) => return written,
            None => {
                let written = written as usize;
                from += written;
                length = length.saturating_sub(written);
                if length == 0 || written == 0 {
                    return 0;
                }
            }
        }
    }
}

/// prlimit(2); without the privilege to raise, the closest that is allowed.
fn rlimit(resource: usize, soft: usize, hard: usize) -> isize {
    let set =
        |limit: [u64; 2]| call(libc::SYS_prlimit64, [0, resource, (&raw const limit) as usize, 0, 0, 0]);
    let result = set([soft as u64, hard as u64]);
    if errno_of(result) != Some(libc::EPERM) {
        return result;
    }
    let mut now = [0u64; 2];
    let got = call(libc::SYS_prlimit64, [0, resource, 0, (&raw mut now) as usize, 0, 0]);
    if got < 0 {
        return got;
    }
    let hard = (hard as u64).min(now[1]);
    set([(soft as u64).min(hard), hard])
}

fn prctl(args: [usize; 5]) -> isize {
    call(libc::SYS_prctl, [args[0], args[1], args[2], args[3], args[4], 0])
}

fn bounding_set(keep: u64) -> isize {
    for capability in 0..64usize {
        if keep >> capability & 1 == 1 {
            continue;
        }
        let has = prctl([libc::PR_CAPBSET_READ as usize, capability, 0, 0, 0]);
        if has < 0 {
            break;
        }
        if has > 0 {
            let dropped = prctl([libc::PR_CAPBSET_DROP as usize, capability, 0, 0, 0]);
            if dropped < 0 {
                return dropped;
            }
        }
    }
    0
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

fn capabilities(inheritable: u64, keep: u64) -> isize {
    let header = [CAPABILITY_VERSION, 0];
    // effective, permitted, inheritable, low words; then the high words
    let mut sets = [0u32; 6];
    let pointers = [(&raw const header) as usize, (&raw mut sets) as usize, 0, 0, 0, 0];
    let got = call(libc::SYS_capget, pointers);
    if got < 0 {
        return got;
    }
    let [low, high] = [keep as u32, (keep >> 32) as u32];
    let inherit = [inheritable as u32, (inheritable >> 32) as u32];
    // What is permitted takes effect: a change of user leaves it permitted only (`PR_SET_KEEPCAPS`).
    let permitted = [sets[1] & low, sets[4] & high];
    sets = [permitted[0], permitted[0], inherit[0], permitted[1], permitted[1], inherit[1]];
    call(libc::SYS_capset, [(&raw const header) as usize, (&raw const sets) as usize, 0, 0, 0, 0])
}

fn ambient(mask: u64) -> isize {
    for capability in (0..64usize).filter(|n| mask >> n & 1 == 1) {
        let raised =
            prctl([libc::PR_CAP_AMBIENT as usize, libc::PR_CAP_AMBIENT_RAISE as usize, capability, 0, 0]);
        if raised < 0 {
            return raised;
        }
    }
    0
}

/// The kernel's `struct termios` for `TCGETS`: four flag words, a line discipline, control characters.
#[repr(C)]
struct Termios {
    iflag: u32,
    oflag: u32,
    cflag: u32,
    lflag: u32,
    line: u8,
    cc: [u8; 19],
}

/// Sane line settings for a login terminal (console_codes(4), termios(3)).
fn reset_tty(fd: usize) -> isize {
    let mut tio = Termios { iflag: 0, oflag: 0, cflag: 0, lflag: 0, line: 0, cc: [0; 19] };
    let ioctl = |request: usize, pointer: usize| call(libc::SYS_ioctl, [fd, request, pointer, 0, 0, 0]);
    ioctl(libc::TIOCNXCL as usize, 0);
    let got = ioctl(libc::TCGETS as usize, (&raw mut tio) as usize);
    if got < 0 {
        return got;
    }
    tio.iflag &= !(libc::IGNBRK | libc::BRKINT | libc::ISTRIP | libc::INLCR | libc::IGNCR | libc::IUCLC);
    tio.iflag |= libc::ICRNL | libc::IMAXBEL | libc::IUTF8;
    tio.oflag |= libc::ONLCR | libc::OPOST;
    tio.cflag |= libc::CREAD;
    tio.lflag = libc::ISIG
        | libc::ICANON
        | libc::IEXTEN
        | libc::ECHO
        | libc::ECHOE
        | libc::ECHOK
        | libc::ECHOCTL
        | libc::ECHOKE;
    let set = [
        (libc::VINTR, 3),
        (libc::VQUIT, 28),
        (libc::VERASE, 127),
        (libc::VKILL, 21),
        (libc::VEOF, 4),
        (libc::VSTART, 17),
        (libc::VSTOP, 19),
        (libc::VSUSP, 26),
        (libc::VLNEXT, 22),
        (libc::VWERASE, 23),
        (libc::VREPRINT, 18),
        (libc::VEOL, 0),
        (libc::VEOL2, 0),
        (libc::VTIME, 0),
        (libc::VMIN, 1),
    ];
    for (index, byte) in set {
        if let Some(slot) = tio.cc.get_mut(index) {
            *slot = byte;
        }
    }
    ioctl(libc::TCSETS as usize, (&raw const tio) as usize)
}

fn wait_hangup(fd: usize, milliseconds: usize) -> isize {
    let mut poll = libc::pollfd { fd: fd as i32, events: 0, revents: 0 };
    let timeout = [(milliseconds / 1000) as u64, (milliseconds % 1000 * 1_000_000) as u64];
    call(libc::SYS_ppoll, [(&raw mut poll) as usize, 1, (&raw const timeout) as usize, 0, 8, 0])
}

/// 0 when the link at `path` reads `target`, else `EEXIST`.
fn link_is(path: usize, target: usize) -> isize {
    let mut buffer = [0u8; 4096];
    let at = libc::AT_FDCWD as isize as usize;
    let size = buffer.len() - 1;
    let read = call(libc::SYS_readlinkat, [at, path, (&raw mut buffer) as usize, size, 0, 0]);
    if read < 0 {
        return -(libc::EEXIST as isize);
    }
    for (n, byte) in buffer.iter().enumerate() {
        // SAFETY: the target is a NUL-terminated string in the data; the comparison ends at its NUL.
        let wanted = unsafe { *(target as *const u8).add(n) };
        if wanted != *byte {
            return -(libc::EEXIST as isize);
        }
        if wanted == 0 {
            return 0;
        }
    }
    -(libc::EEXIST as isize)
}

fn nonblock(fd: usize, on: bool) -> isize {
    let flags = call(libc::SYS_fcntl, [fd, libc::F_GETFL as usize, 0, 0, 0, 0]);
    if flags < 0 {
        return flags;
    }
    let bit = libc::O_NONBLOCK as usize;
    let wanted = if on { flags as usize | bit } else { flags as usize & !bit };
    call(libc::SYS_fcntl, [fd, libc::F_SETFL as usize, wanted, 0, 0, 0])
}

/// `OPEN_TREE_CLONE`, close-on-exec.
const OPEN_TREE: usize = 1 | libc::O_CLOEXEC as usize;

/// A clone of the node that is of the kind of `a[0]`; where that one is missing, of the plain file.
fn clone_like(a: [usize; 6]) -> isize {
    let Some(st) = stat(a[0]) else { return -(libc::EBADF as isize) };
    let [_, dir, reg, chr, fifo, sock] = a;
    let node = match st.st_mode & libc::S_IFMT {
        libc::S_IFDIR => dir,
        libc::S_IFCHR | libc::S_IFBLK => chr,
        libc::S_IFIFO => fifo,
        libc::S_IFSOCK => sock,
        _ => reg,
    };
    let open = |path| call(libc::SYS_open_tree, [libc::AT_FDCWD as isize as usize, path, OPEN_TREE, 0, 0, 0]);
    let tree = open(node);
    if tree < 0 && node != dir { open(reg) } else { tree }
}

fn make_like(fd: usize, path: usize) -> isize {
    let at = libc::AT_FDCWD as isize as usize;
    let Some(st) = stat(fd) else { return -(libc::EBADF as isize) };
    let result = match st.st_mode & libc::S_IFMT {
        libc::S_IFDIR => call(libc::SYS_mkdirat, [at, path, 0o755, 0, 0, 0]),
        _ => call(libc::SYS_mknodat, [at, path, (libc::S_IFREG | 0o644) as usize, 0, 0, 0]),
    };
    if errno_of(result) == Some(libc::EEXIST) { 0 } else { result }
}
