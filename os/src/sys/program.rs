//! A program for the interpreter in a spawned child: instructions and data in memory that both processes see.
//!
//! ```text
//! Header | Instruction * count | data
//! ```
//! Instructions name data by offset, so that the buffer may lie anywhere. The child changes its own copy of the
//! slots in place; nothing else is shared with it.
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

/// How an argument of an [`Instruction`] is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The number itself.
    Number = 0,
    /// An offset into the data: becomes a pointer.
    Data = 1,
    /// The value of a register; when it is negative the rest of the step is skipped.
    Register = 2,
}

/// What a failed instruction means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// Report, exit with the status.
    Fail = 0,
    /// Report, skip the rest of the step.
    Weaken = 1,
    /// Skip the rest of the step.
    Ignore = 2,
    /// Go on with the next instruction.
    Continue = 3,
    /// Go to the instruction `fine_to`.
    Jump = 4,
}

/// What is not one system call but a few. Arguments as documented; `D` is a data offset, `R` a register.
pub mod special {
    /// Numbers from here on are not system calls.
    pub const FIRST: u32 = 0x8000_0000;
    /// (ignore_sigpipe, bit set of signals): the default action, and none blocked.
    pub const RESET_SIGNALS: u32 = FIRST;
    /// (R fd, D bytes, length): write all.
    pub const WRITE_ALL: u32 = FIRST + 1;
    /// (D at, bytes behind): insert the PID, moving what is behind to the left.
    pub const FILL_PID: u32 = FIRST + 2;
    /// (D at, D envp entry): fstat descriptor 2, else 1; insert `dev:ino` or drop the entry.
    pub const FILL_JOURNAL: u32 = FIRST + 3;
    /// (resource, soft, hard)
    pub const RLIMIT: u32 = FIRST + 4;
    /// (mask): drop all others from the bounding set.
    pub const BOUNDING_SET: u32 = FIRST + 5;
    /// (inheritable, keep)
    pub const CAPABILITIES: u32 = FIRST + 6;
    /// (mask)
    pub const AMBIENT: u32 = FIRST + 7;
    /// (D array, count): add the data's address to each word.
    pub const RELOCATE: u32 = FIRST + 8;
    /// (D paths, count, D argv, D envp): execve the first that is there.
    pub const EXEC: u32 = FIRST + 9;
    /// (R fd): reset a terminal's line settings.
    pub const RESET_TTY: u32 = FIRST + 10;
    /// (R fd, uid, gid): owner of everything below a directory, not following links.
    pub const CHOWN_TREE: u32 = FIRST + 11;
    /// (R register): make it empty.
    pub const CLEAR: u32 = FIRST + 12;
    /// (R fd, milliseconds): poll for a hang-up.
    pub const WAIT_HANGUP: u32 = FIRST + 13;
    /// (R fd, uid, gid): go to the end of the step when owner and group are these.
    pub const END_IF_OWNER: u32 = FIRST + 14;
    /// Compare the target of a link (D path) with (D target): equal or error.
    pub const LINK_IS: u32 = FIRST + 15;
    /// (fd, nonblocking): `O_NONBLOCK`.
    pub const NONBLOCK: u32 = FIRST + 16;
    /// (index): go there.
    pub const JUMP: u32 = FIRST + 17;
    /// (R register): nothing; as with every instruction an empty register skips the rest of the step.
    pub const REQUIRE: u32 = FIRST + 18;
    /// (R what is to be hidden, D dir, D reg, D chr, D fifo, D sock): clone the node of the same kind.
    pub const CLONE_LIKE: u32 = FIRST + 19;
    /// (R what is to be mounted, D path): make a directory or an empty file.
    pub const MAKE_LIKE: u32 = FIRST + 20;
}

/// One step of the interpreter.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Instruction {
    /// A system call number or one of [`special`].
    pub op: u32,
    /// Two bits an argument: [`Kind`].
    pub kinds: u16,
    /// Keep the result in this register (plus one; 0: nowhere).
    pub store: u16,
    /// [`Policy`].
    pub policy: u8,
    /// Exit status for [`Policy::Fail`].
    pub exit: u8,
    /// For messages: the step of the plan.
    pub step: u16,
    /// Index of the first instruction behind this step.
    pub end: u32,
    /// Errnos that are as good as success (then nothing is stored and the next instruction follows).
    pub fine: [u16; 2],
    /// Index to go to after a `fine` errno (0: the next) or with [`Policy::Jump`].
    pub fine_to: u32,
    /// Arguments.
    pub args: [u64; 6],
}

/// Room for what only the child knows: two 64-bit numbers and a colon.
pub const SLOT: usize = 41;
/// Registers of a program.
pub const REGISTERS: usize = 512;
/// Weakened steps that are reported.
pub const WEAKENED: usize = 60;

/// Where the child reports.
#[repr(C)]
pub struct Header {
    /// Failed step plus one.
    pub failed: AtomicU32,
    /// Its errno.
    pub errno: AtomicU32,
    /// The exit status.
    pub exit: AtomicU32,
    /// How many steps were weakened.
    pub weakened: AtomicU32,
    /// `step << 16 | errno`.
    pub list: [AtomicU32; WEAKENED],
}

/// What the child said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The step that failed, its errno, the exit status.
    pub failed: Option<(u16, i32, u8)>,
    /// Steps that were weakened, with the errno.
    pub weakened: Vec<(u16, i32)>,
}

/// Shared memory that holds a program.
#[derive(Debug)]
pub struct Program {
    base: *mut c_void,
    length: usize,
    count: usize,
}

// SAFETY: the mapping belongs to this value alone; it may be moved and dropped anywhere.
unsafe impl Send for Program {}

impl Program {
    /// Put instructions and data into fresh shared memory.
    pub fn new(instructions: &[Instruction], data: &[u8]) -> Result<Self, Errno> {
        let code = size_of_val(instructions);
        let length = size_of::<Header>() + code + data.len();
        // SAFETY: a fresh anonymous mapping, at an address the kernel chooses.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
            )?
        };
        let program = Program { base, length, count: instructions.len() };
        // SAFETY: the mapping is long enough for header, code and data; the header is zero bytes, which are valid
        // atomics; instructions are plain data and the offset of the code keeps their alignment (the header's size
        // is a multiple of 8).
        unsafe {
            let at = base.cast::<u8>().add(size_of::<Header>());
            std::ptr::copy_nonoverlapping(instructions.as_ptr().cast::<u8>(), at, code);
            std::ptr::copy_nonoverlapping(data.as_ptr(), at.add(code), data.len());
        }
        Ok(program)
    }

    /// Keep it out of children made from now on: its own child has it. Otherwise every child of a storm copies the
    /// mappings of all that have not reached their execve(2) yet.
    pub(super) fn hide(&self) {
        // SAFETY: our own mapping; the advice concerns later children only. Without it these copy one mapping more.
        let _ = unsafe { madvise(self.base, self.length, Advice::LinuxDontFork) };
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the mapping begins with a header and lives as long as self; atomics may be shared with the child.
        unsafe { &*self.base.cast::<Header>() }
    }

    pub(super) fn code(&self) -> *const Instruction {
        // SAFETY: behind the header, inside the mapping.
        unsafe { self.base.cast::<u8>().add(size_of::<Header>()).cast::<Instruction>() }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn data(&self) -> *mut u8 {
        // SAFETY: behind the code, inside the mapping (or one past its end when there is no data).
        unsafe { self.code().add(self.count).cast_mut().cast::<u8>() }
    }

    /// What the child reported so far.
    pub fn report(&self) -> Report {
        let header = self.header();
        let failed = match header.failed.load(Ordering::Acquire) {
            0 => None,
            step => Some((
                (step - 1) as u16,
                header.errno.load(Ordering::Relaxed) as i32,
                header.exit.load(Ordering::Relaxed) as u8,
            )),
        };
        let count = (header.weakened.load(Ordering::Acquire) as usize).min(WEAKENED);
        let weakened = header.list[..count]
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .map(|word| ((word >> 16) as u16, (word & 0xffff) as i32))
            .collect();
        Report { failed, weakened }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: our own mapping; no reference into it outlives self. The child has its own mapping of it.
        let _ = unsafe { munmap(self.base, self.length) };
    }
}
