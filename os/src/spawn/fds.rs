//! Where the manager's descriptors are in the child.
//!
//! First everything the plan does not use is closed. What it uses is then moved behind the greatest of its numbers, so
//! that descriptors opened on the way and the final places from 3 on never collide with it.
use super::assemble::{Arg, Assembler, signed};
use crate::sys::program::{Policy, special};
use runstead_core::plan::{Fd, Op, Plan};
use std::collections::BTreeMap;

use Arg::N;

/// `CLOSE_RANGE_UNSHARE`.
const CLOSE_RANGE_UNSHARE: u64 = 2;
/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const LISTEN_FDS_START: i32 = 3;

/// Numbers of the manager's descriptors and where they are moved.
#[derive(Debug)]
pub(super) struct FdLayout {
    moved: BTreeMap<i32, i32>,
    high: i32,
}

impl FdLayout {
    /// For a plan and the descriptors the spawn itself needs.
    pub(super) fn new(plan: &Plan, own: &[i32]) -> Self {
        let mut used: Vec<i32> = own.to_vec();
        let mut placed = 0;
        for step in &plan.steps {
            match &step.op {
                Op::PlaceFds { fds, .. } => {
                    placed = fds.len() as i32;
                    used.extend(fds);
                }
                Op::DupStdio { from: Fd::Manager(fd), .. } | Op::WaitHangup { fd, .. } => used.push(*fd),
                _ => {}
            }
        }
        used.sort_unstable();
        used.dedup();
        let greatest = used.last().copied().unwrap_or(0);
        let high = (greatest + 1).max(LISTEN_FDS_START + placed + 1);
        let moved = used.iter().zip(high..).map(|(from, to)| (*from, to)).collect();
        FdLayout { moved, high }
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
        self.moved.get(&fd).copied().unwrap_or(fd)
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
