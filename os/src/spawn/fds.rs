//! Where the manager's descriptors are in the child.
//!
//! First everything the plan does not use is closed. What it uses is then moved behind the greatest of its numbers, so
//! that descriptors opened on the way and the final places from 3 on never collide with it.
use super::assemble::{Arg, Assembler, signed};
use crate::sys::program::{Policy, special};
use runstead_core::plan::{Fd, Op, Plan};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use Arg::N;

/// `CLOSE_RANGE_UNSHARE`.
const CLOSE_RANGE_UNSHARE: u64 = 2;
/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const LISTEN_FDS_START: i32 = 3;

/// Numbers of the manager's descriptors and where they are moved.
#[derive(Debug)]
pub(super) struct FdLayout {
    /// Where the plan's descriptors are when the child begins, if that is not where the plan says.
    copies: BTreeMap<i32, i32>,
    moved: BTreeMap<i32, i32>,
    high: i32,
    pipe: i32,
}

/// The manager's descriptors that a plan names.
pub(super) fn plan_fds(plan: &Plan) -> BTreeSet<i32> {
    let mut used = BTreeSet::new();
    for step in &plan.steps {
        match &step.op {
            Op::PlaceFds { fds, .. } => used.extend(fds),
            Op::ShareNamespace { storage, .. } => used.extend(storage),
            Op::DupStdio { from: Fd::Manager(fd), .. } | Op::WaitHangup { fd, .. } => {
                used.insert(*fd);
            }
            _ => {}
        }
    }
    used
}

/// A copy of a descriptor by number, close-on-exec.
pub(super) fn duplicate(fd: i32) -> Result<OwnedFd, Errno> {
    crate::sys::clone::duplicate(fd)
}

impl FdLayout {
    /// For steps that use none of the manager's descriptors.
    pub(super) fn none() -> Self {
        FdLayout { copies: BTreeMap::new(), moved: BTreeMap::new(), high: 0, pipe: -1 }
    }

    /// For a plan, the write end of the spawn's own pipe, and copies that stand for the plan's descriptors.
    pub(super) fn new(plan: &Plan, pipe: i32, copies: BTreeMap<i32, i32>) -> Self {
        let placed = plan.steps.iter().find_map(|step| match &step.op {
            Op::PlaceFds { fds, .. } => Some(fds.len() as i32),
            _ => None,
        });
        let mut used: BTreeSet<i32> =
            plan_fds(plan).into_iter().map(|fd| copies.get(&fd).copied().unwrap_or(fd)).collect();
        used.insert(pipe);
        let greatest = used.last().copied().unwrap_or(0);
        let high = (greatest + 1).max(LISTEN_FDS_START + placed.unwrap_or(0) + 1);
        let moved = used.iter().zip(high..).map(|(from, to)| (*from, to)).collect();
        FdLayout { copies, moved, high, pipe }
    }

    /// Close what is not used, from above so that an unshared table is copied as short as it can be; move the rest.
    pub(super) fn encode(&self, asm: &mut Assembler, unshare: bool) {
        let mut flags = if unshare { CLOSE_RANGE_UNSHARE } else { 0 };
        let mut end = u64::from(u32::MAX);
        let keep = self.moved.keys().copied().filter(|fd| *fd >= LISTEN_FDS_START);
        for fd in keep.rev().chain([LISTEN_FDS_START - 1]) {
            let from = fd as u64 + 1;
            if from <= end {
                let instruction = asm.call(libc::SYS_close_range, &[N(from), N(end), N(flags)]);
                if flags == 0 {
                    // Older kernels: all our descriptors are close-on-exec anyway.
                    instruction.policy = Policy::Continue as u8;
                }
                flags = 0;
            }
            end = (fd as u64).saturating_sub(1);
        }
        if unshare {
            // Tells the manager that it may close what it held for us.
            let byte = asm.bytes(b".");
            asm.call(libc::SYS_write, &[signed(self.pipe), byte, N(1)]);
        }
        for (from, to) in &self.moved {
            asm.call(libc::SYS_dup3, &[signed(*from), signed(*to), N(libc::O_CLOEXEC as u64)]);
        }
        if self.high > LISTEN_FDS_START {
            let range = [N(LISTEN_FDS_START as u64), N(self.high as u64 - 1), N(0)];
            asm.call(libc::SYS_close_range, &range).policy = Policy::Continue as u8;
        }
    }

    /// The child's number of a descriptor that a step names.
    pub(super) fn get(&self, fd: i32) -> i32 {
        let begins = self.copies.get(&fd).copied().unwrap_or(fd);
        self.moved.get(&begins).copied().unwrap_or(begins)
    }

    /// Put descriptors at 3 and up, close-on-exec cleared.
    pub(super) fn place(&self, asm: &mut Assembler, fds: &[i32], nonblock: Option<(usize, bool)>) {
        for (fd, to) in fds.iter().zip(LISTEN_FDS_START..) {
            asm.call(libc::SYS_dup3, &[signed(self.get(*fd)), signed(to), N(0)]);
            if let Some((count, on)) = nonblock
                && ((to - LISTEN_FDS_START) as usize) < count
            {
                asm.add(special::NONBLOCK, &[signed(to), N(u64::from(on))]);
            }
        }
    }
}
