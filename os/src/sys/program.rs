//! A program for the interpreter in a spawned child: instructions and data in memory that both processes see.
//!
//! ```text
//! Header | Instruction * count | data
//! ```
//! Instructions name data by offset, so that the buffer may lie anywhere. The child changes its own copy of the
//! slots in place; nothing else is shared with it.
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

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
    /// (D paths, count, D argv, D envp, own): execve the first that is there; `own` says with the environment of this process.
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
    /// (D path, mode): make a directory and those above it, following no links of others; its descriptor.
    pub const MAKE_DIRECTORY: u32 = FIRST + 21;
    /// (fd to receive, fd to send, kind, D path): enter the namespace that is kept there, or make it and keep it there.
    pub const SHARE_NAMESPACE: u32 = FIRST + 22;
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
    /// How many instructions follow.
    count: usize,
    /// The environment of the process that runs an [`Image`].
    pub(super) environ: AtomicUsize,
}

/// What the child said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The step that failed, its errno, the exit status.
    pub failed: Option<(u16, i32, u8)>,
    /// Steps that were weakened, with the errno.
    pub weakened: Vec<(u16, i32)>,
}

/// How much shared memory is mapped at a time; a program that needs more gets a mapping of its own.
const REGION: usize = 256 << 10;
/// Programs begin on cache lines of their own.
const ALIGN: usize = 64;

/// Shared memory for the programs of several children.
///
/// Every mapping of the manager costs each child that it makes: with one for each program, the last of a hundred
/// children made at once paid for ninety-nine.
#[derive(Debug)]
struct Region {
    base: *mut c_void,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone; the programs in it do not overlap.
unsafe impl Send for Region {}
// SAFETY: as above; the value itself only holds the mapping.
unsafe impl Sync for Region {}

impl Region {
    fn new(length: usize) -> Result<Self, Errno> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping, at an address the kernel chooses.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), length, protection, MapFlags::SHARED)? };
        Ok(Region { base, length })
    }

    /// The children whose programs are here have begun; others do not need it.
    fn keep_from_children(&self) {
        // SAFETY: our own mapping; what this says concerns children that are made from now on. A refusal costs time only.
        let _ = unsafe { libc::madvise(self.base, self.length, libc::MADV_DONTFORK) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: our own mapping; every program in it is gone. Children have their own mapping of it.
        let _ = unsafe { munmap(self.base, self.length) };
    }
}

/// Where the next programs go. A region lives as long as one of its programs.
#[derive(Debug, Default)]
pub struct Arena {
    current: Weak<Region>,
    used: usize,
}

impl Arena {
    /// Room for `length` bytes that no living program uses: the region, and where in it.
    fn take(&mut self, length: usize) -> Result<(Arc<Region>, usize), Errno> {
        let length = length.checked_next_multiple_of(ALIGN).ok_or(Errno::NOMEM)?;
        if let Some(region) = self.current.upgrade()
            && length <= region.length - self.used
        {
            let at = self.used;
            self.used += length;
            return Ok((region, at));
        }
        if let Some(full) = self.current.upgrade() {
            full.keep_from_children();
        }
        let region = Arc::new(Region::new(length.max(REGION))?);
        (self.current, self.used) = (Arc::downgrade(&region), length);
        Ok((region, 0))
    }
}

/// What a program consists of.
pub(super) struct Parts<'a> {
    pub(super) header: &'a Header,
    pub(super) code: &'a [Instruction],
    pub(super) data: *mut u8,
}

impl Parts<'_> {
    /// # Safety
    /// A program begins at this address, and lives longer than what is returned.
    pub(super) unsafe fn at<'a>(address: usize) -> Parts<'a> {
        // SAFETY: the program begins with a header, whose atomics may be shared with the child; behind it are as many
        // instructions as it says, which nobody writes, and then the data (or the end, when there is none).
        unsafe {
            let header = &*(address as *const Header);
            let code = (address as *const Header).add(1).cast::<Instruction>();
            Parts {
                header,
                code: std::slice::from_raw_parts(code, header.count),
                data: code.add(header.count).cast_mut().cast::<u8>(),
            }
        }
    }
}

/// Shared memory that holds a program.
#[derive(Debug)]
pub struct Program {
    base: *mut c_void,
    /// Keeps the memory mapped.
    _region: Arc<Region>,
}

// SAFETY: this part of the region belongs to this value alone; it may be moved and dropped anywhere.
unsafe impl Send for Program {}

impl Program {
    /// Put instructions and data into shared memory.
    pub fn new(arena: &mut Arena, instructions: &[Instruction], data: &[u8]) -> Result<Self, Errno> {
        let code = size_of_val(instructions);
        let (region, at) = arena.take(size_of::<Header>() + code + data.len())?;
        // SAFETY: the arena gave room for header, code and data there, which nothing else uses and which is aligned
        // for all of them; a header of zero bytes is valid atomics; instructions are plain data and the offset of
        // the code keeps their alignment (the header's size is a multiple of 8).
        let base = unsafe {
            let base = region.base.cast::<u8>().add(at);
            std::ptr::write_bytes(base, 0, size_of::<Header>());
            (*base.cast::<Header>()).count = instructions.len();
            let at = base.add(size_of::<Header>());
            std::ptr::copy_nonoverlapping(instructions.as_ptr().cast::<u8>(), at, code);
            std::ptr::copy_nonoverlapping(data.as_ptr(), at.add(code), data.len());
            base.cast::<c_void>()
        };
        Ok(Program { base, _region: region })
    }

    /// Where it is, here and in the child.
    pub(super) fn address(&self) -> usize {
        self.base as usize
    }

    fn parts(&self) -> Parts<'_> {
        // SAFETY: a program begins there, and lives as long as self.
        unsafe { Parts::at(self.address()) }
    }

    /// What the child reported so far.
    pub fn report(&self) -> Report {
        let header = self.parts().header;
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

/// Instructions and data on their way to another process of the same executable.
#[derive(Debug)]
pub struct Image {
    /// What to do.
    pub code: Vec<Instruction>,
    /// What that refers to.
    pub data: Vec<u8>,
}

impl Image {
    /// The number of instructions, they, and the data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.code.len().to_ne_bytes().to_vec();
        let length = size_of_val(self.code.as_slice());
        // SAFETY: instructions are plain numbers, with no padding between the fields (a test looks).
        let code = unsafe { std::slice::from_raw_parts(self.code.as_ptr().cast::<u8>(), length) };
        bytes.extend_from_slice(code);
        bytes.extend_from_slice(&self.data);
        bytes
    }

    /// Back again; `None` when it is too short.
    pub fn from_bytes(bytes: &[u8]) -> Option<Image> {
        let (count, rest) = bytes.split_first_chunk()?;
        let count = usize::from_ne_bytes(*count);
        let (code, data) = rest.split_at_checked(count.checked_mul(size_of::<Instruction>())?)?;
        let read = |chunk: &[u8]| {
            // SAFETY: the chunk has the size of an instruction, for which any bytes are valid numbers.
            unsafe { chunk.as_ptr().cast::<Instruction>().read_unaligned() }
        };
        let code = code.chunks_exact(size_of::<Instruction>()).map(read).collect();
        Some(Image { code, data: data.to_vec() })
    }

    /// Become what it says. Comes back only without memory.
    pub fn run(self) -> std::io::Error {
        let program = match Program::new(&mut Arena::default(), &self.code, &self.data) {
            Ok(program) => program,
            Err(errno) => return errno.into(),
        };
        unsafe extern "C" {
            static environ: *const *const libc::c_char;
        }
        // SAFETY: the C library's variable; this process has one thread.
        let environment = unsafe { environ };
        program.parts().header.environ.store(environment as usize, Ordering::Relaxed);
        super::child::run(program.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_survive_the_way() {
        let sizes = [4, 2, 2, 1, 1, 2, 4, 4, 4, 48];
        assert_eq!(size_of::<Instruction>(), sizes.iter().sum::<usize>(), "there is padding");
        let instruction = Instruction {
            op: special::EXEC,
            kinds: 5,
            store: 1,
            policy: 2,
            exit: 3,
            step: 4,
            end: 6,
            fine: [7, 8],
            fine_to: 9,
            args: [1, 2, 3, 4, 5, u64::MAX],
        };
        let image = Image { code: vec![instruction; 3], data: b"data".to_vec() };
        let bytes = image.to_bytes();
        let again = Image::from_bytes(&bytes).expect("whole");
        assert_eq!((format!("{:?}", again.code), &*again.data), (format!("{:?}", image.code), &b"data"[..]));
        assert!(Image::from_bytes(&bytes[..200]).is_none() && Image::from_bytes(&[255; 8]).is_none());
    }

    fn program(arena: &mut Arena, byte: u8, length: usize) -> Program {
        Program::new(arena, &[], &vec![byte; length]).expect("there is memory")
    }

    fn holds(program: &Program, byte: u8, length: usize) -> bool {
        // SAFETY: the program was made with this much data.
        unsafe { std::slice::from_raw_parts(program.parts().data, length) }.iter().all(|b| *b == byte)
    }

    #[test]
    fn programs_share_a_region_and_do_not_overlap() {
        let mut arena = Arena::default();
        let (first, second) = (program(&mut arena, 1, 1000), program(&mut arena, 2, 1001));
        assert!(Arc::ptr_eq(&first._region, &second._region));
        let large = program(&mut arena, 3, 2 * REGION);
        assert!(!Arc::ptr_eq(&first._region, &large._region));
        assert!(holds(&first, 1, 1000) && holds(&second, 2, 1001) && holds(&large, 3, 2 * REGION));
    }

    #[test]
    fn a_region_goes_with_its_last_program() {
        let mut arena = Arena::default();
        let (first, second) = (program(&mut arena, 1, 10), program(&mut arena, 2, 10));
        drop(first);
        assert!(holds(&second, 2, 10) && arena.current.upgrade().is_some());
        drop(second);
        assert!(arena.current.upgrade().is_none());
        assert!(holds(&program(&mut arena, 3, 10), 3, 10));
    }
}
